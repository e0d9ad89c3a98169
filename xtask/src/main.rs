//! Developer commands: `cargo xtask check`, `test`, `demo`, `tidy`, `bench`.
//!
//! They need Rust and nothing else. What a step may use besides (`cargo-nextest`, Python) is looked for, and its absence
//! is said in words. Messages go to standard error, so that standard output belongs to the program that is run.

mod steps;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
cargo xtask COMMAND

  demo [ARGUMENTS]   build Khiên and run it on the rules and events of content/
  test [FILTER]      everything CI runs: format, lints, tidy, documentation tests, fuzz smoke, tests
  check              format, lints, tidy and tests; before each commit
  tidy               the structure checks alone
  bench [ARGUMENTS]  the benchmarks of bench/";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let root = workspace_root()?;
    let Some((command, rest)) = arguments.split_first() else {
        eprintln!("{USAGE}");
        return Ok(());
    };
    match command.as_str() {
        "demo" => steps::demo(&root, rest),
        "test" => steps::test(&root, rest),
        "check" => steps::check(&root),
        "tidy" => steps::tidy(&root),
        "bench" => steps::bench(&root, rest),
        "help" | "--help" | "-h" => {
            eprintln!("{USAGE}");
            Ok(())
        }
        unknown => bail!("there is no command '{unknown}'\n\n{USAGE}"),
    }
}

/// The folder of the workspace, one level above this package's manifest.
fn workspace_root() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.parent().context("the package xtask is not inside a workspace")?;
    Ok(root.to_path_buf())
}
