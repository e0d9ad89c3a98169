//! `corpus DATA OUT [--quick]`: makes the corpora and rule sets below OUT from the recordings in DATA.

use std::path::Path;

use anyhow::{Result, bail};
use khien_bench::corpora::{self, Sizes};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (data, out, sizes) = match words.as_slice() {
        [data, out] => (data, out, Sizes::FULL),
        [data, out, "--quick"] => (data, out, Sizes::QUICK),
        _ => bail!("corpus DATA OUT [--quick]"),
    };
    corpora::make(Path::new(data), Path::new(out), sizes)
}
