//! `limit READER PATH [--seconds S] [--memory]`: the CPU time of reading alone, as one line of JSON.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use khien_bench::limits::{self, Measured, Reader};
use serde_json::json;

const USAGE: &str = "\
limit READER PATH [--seconds S] [--memory]

  lines PATH      reads the lines of the file
  simd-json PATH  parses every line with simd-json
  sonic-rs PATH   parses every line with sonic-rs
  evtx PATH       decodes every .evtx file below the folder with the crate evtx

  --seconds S     repeats until S CPU seconds are used (5)
  --memory        the file is in memory before the clock starts";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [reader, path, options @ ..] = arguments.as_slice() else { bail!("{USAGE}") };
    let options = Options::parse(options)?;
    let measured = measure(reader, Path::new(path), options)?;
    let line = json!({
        "reader": reader,
        "events": measured.events,
        "bytes": measured.bytes,
        "passes": measured.passes.len(),
        "cpu_seconds": measured.median(),
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

fn measure(reader: &str, path: &Path, options: Options) -> Result<Measured> {
    let reader = match reader {
        "lines" => Reader::Lines,
        "simd-json" => Reader::SimdJson,
        "sonic-rs" => Reader::SonicRs,
        "evtx" => return limits::evtx(path, options.least),
        unknown => bail!("there is no reader '{unknown}'\n\n{USAGE}"),
    };
    if options.memory {
        limits::lines_in_memory(path, reader, options.least)
    } else {
        limits::lines_of_file(path, reader, options.least)
    }
}

#[derive(Clone, Copy, Debug)]
struct Options {
    least: Duration,
    memory: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self { least: Duration::from_secs(5), memory: false };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--memory" => options.memory = true,
                "--seconds" => {
                    let seconds: f64 = arguments.next().context("--seconds needs a number")?.parse()?;
                    options.least = Duration::try_from_secs_f64(seconds)?;
                }
                unknown => bail!("there is no option '{unknown}'\n\n{USAGE}"),
            }
        }
        Ok(options)
    }
}
