//! The limits: what reading costs when nothing is looked for.
//!
//! Each is measured in passes over the same input until enough CPU time has gone by; the median pass is reported.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use evtx::{EvtxParser, ParserSettings};

use crate::cpu;

/// Bytes read at once.
const BLOCK: usize = 1 << 20;

/// What one measurement found.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Events of one pass.
    pub events: u64,
    /// Bytes of one pass.
    pub bytes: u64,
    /// CPU seconds of each pass, in order.
    pub passes: Vec<f64>,
}

impl Measured {
    /// CPU seconds of the median pass.
    pub fn median(&self) -> f64 {
        let mut sorted = self.passes.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
    }
}

/// What is done with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Nothing.
    Lines,
    /// A full `simd_json::BorrowedValue`; the line is copied first, because that parser writes into its input.
    SimdJson,
    /// A full `sonic_rs::Value`.
    SonicRs,
}

impl Reader {
    /// Handles one line; false when it is not JSON.
    fn accepts(self, line: &[u8], scratch: &mut Vec<u8>) -> bool {
        match self {
            Self::Lines => {
                black_box(line);
                true
            }
            Self::SimdJson => {
                scratch.clear();
                scratch.extend_from_slice(line);
                black_box(simd_json::to_borrowed_value(scratch)).is_ok()
            }
            Self::SonicRs => black_box(sonic_rs::from_slice::<sonic_rs::Value>(line)).is_ok(),
        }
    }
}

/// Lines of the file, read anew in every pass as a program reads them.
///
/// # Errors
/// When the file cannot be read or a line is not what the reader expects.
pub fn lines_of_file(path: &Path, reader: Reader, least: Duration) -> Result<Measured> {
    let mut scratch = Vec::new();
    let mut line = Vec::new();
    repeat(least, || {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut input = BufReader::with_capacity(BLOCK, file);
        let mut count = Count::default();
        loop {
            line.clear();
            if input.read_until(b'\n', &mut line)? == 0 {
                return Ok(count);
            }
            count.take(line.strip_suffix(b"\n").unwrap_or(&line), reader, &mut scratch)?;
        }
    })
}

/// Lines of the file, which is in memory before the clock starts: the strictest yardstick.
///
/// # Errors
/// When the file cannot be read or a line is not what the reader expects.
pub fn lines_in_memory(path: &Path, reader: Reader, least: Duration) -> Result<Measured> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut scratch = Vec::new();
    repeat(least, || {
        let mut count = Count::default();
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &bytes).chain([bytes.len()]) {
            count.take(bytes.get(start..end).unwrap_or_default(), reader, &mut scratch)?;
            start = end + 1;
        }
        Ok(count)
    })
}

/// The crate `evtx` alone, turning every record of every file below `folder` into JSON text.
///
/// # Errors
/// When nothing can be read; single records that cannot be decoded are passed over, as Khiên does.
pub fn evtx(folder: &Path, least: Duration) -> Result<Measured> {
    let files = evtx_files(folder)?;
    repeat(least, || {
        let mut count = Count::default();
        for path in &files {
            let settings = ParserSettings::new().num_threads(1);
            let Ok(parser) = EvtxParser::from_path(path) else { continue };
            let mut parser = parser.with_configuration(settings);
            for record in parser.records_json_bytes().flatten() {
                count.events += 1;
                count.bytes += record.data.len() as u64;
                black_box(&record.data);
            }
        }
        Ok(count)
    })
}

fn evtx_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let path = entry?.into_path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("evtx")) {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!("there is no .evtx file below {}", folder.display());
    }
    Ok(files)
}

/// What one pass saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    events: u64,
    bytes: u64,
}

impl Count {
    fn take(&mut self, line: &[u8], reader: Reader, scratch: &mut Vec<u8>) -> Result<()> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(());
        }
        self.events += 1;
        self.bytes += line.len() as u64 + 1;
        if !reader.accepts(line, scratch) {
            bail!("event {} is not JSON", self.events);
        }
        Ok(())
    }
}

/// Passes until `least` CPU time is used, at least one.
fn repeat(least: Duration, mut pass: impl FnMut() -> Result<Count>) -> Result<Measured> {
    let start = cpu::used()?;
    let mut passes = Vec::new();
    let mut before = start;
    loop {
        let count = pass()?;
        let after = cpu::used()?;
        passes.push(after.saturating_sub(before).as_secs_f64());
        if after.saturating_sub(start) >= least {
            return Ok(Measured { events: count.events, bytes: count.bytes, passes });
        }
        before = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readers_count_the_same_lines() {
        let mut scratch = Vec::new();
        for reader in [Reader::Lines, Reader::SimdJson, Reader::SonicRs] {
            let mut count = Count::default();
            for line in [&b"{\"a\":1}\r"[..], b"", b"[]"] {
                count.take(line, reader, &mut scratch).unwrap();
            }
            assert_eq!(count, Count { events: 2, bytes: 11 });
        }
        assert!(Count::default().take(b"{", Reader::SonicRs, &mut scratch).is_err());
        assert!(Count::default().take(b"{", Reader::SimdJson, &mut scratch).is_err());
        assert!(Count::default().take(b"{", Reader::Lines, &mut scratch).is_ok());
    }

    #[test]
    fn the_median_pass_is_reported() {
        let measured = Measured { events: 1, bytes: 1, passes: vec![9.0, 1.0, 2.0] };
        assert!((measured.median() - 2.0).abs() < f64::EPSILON);
    }
}
