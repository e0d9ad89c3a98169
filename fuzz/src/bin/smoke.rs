//! `smoke [ITERATIONS] [TARGET]`: a short fuzz run of every target, or a longer one of some. See fuzz/README.md.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use khien_fuzz::smoke::{Plan, run};

/// Mutations of each target when nobody asks for more: a few seconds in a debug build.
const ITERATIONS: u64 = 2_000;

fn main() -> ExitCode {
    match plan().and_then(|plan| run(&plan)) {
        Ok(tried) => {
            eprintln!("fuzz smoke: {tried} inputs, nothing found");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("fuzz smoke: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn plan() -> Result<Plan> {
    let mut arguments = std::env::args().skip(1);
    let iterations = match arguments.next() {
        Some(text) => text.parse().with_context(|| format!("'{text}' is not a number of iterations"))?,
        None => ITERATIONS,
    };
    Ok(Plan { iterations, only: arguments.next(), crashes: PathBuf::from("target/fuzz-crashes") })
}
