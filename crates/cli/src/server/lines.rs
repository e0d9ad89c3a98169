//! Events to send, with times of now.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use fastrand::Rng;

use crate::output::json;

/// Lines of files of events.
#[derive(Debug)]
pub(super) struct Sample {
    lines: Vec<Line>,
}

/// A line and where times stand in it.
#[derive(Debug)]
struct Line {
    text: String,
    /// Where `YYYY-MM-DDTHH:MM:SS` begins, also with a blank for the `T`.
    times: Vec<usize>,
}

/// Files whose lines are events.
const EXTENSIONS: [&str; 3] = ["jsonl", "ndjson", "log"];

/// Length of `YYYY-MM-DDTHH:MM:SS`.
const TIME: usize = 19;

impl Sample {
    /// Reads files, and those of folders whose names say that their lines are events.
    pub(super) fn read(paths: &[std::path::PathBuf]) -> anyhow::Result<Self> {
        let mut lines = Vec::new();
        for path in paths {
            let name = || path.display().to_string();
            if !path.is_dir() {
                add(path, &mut lines)?;
                continue;
            }
            let mut files: Vec<_> = path.read_dir().with_context(name)?.collect::<Result<_, _>>().with_context(name)?;
            files.sort_by_key(std::fs::DirEntry::file_name);
            for file in files {
                let path = file.path();
                if path.extension().and_then(|e| e.to_str()).is_some_and(|e| EXTENSIONS.contains(&e)) {
                    add(&path, &mut lines)?;
                }
            }
        }
        anyhow::ensure!(!lines.is_empty(), "no events in {paths:?}");
        Ok(Self { lines })
    }

    /// Some of them, each on a line, with times of now.
    pub(super) fn batch(&self, count: usize, random: &mut Rng) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
        let mut out = String::new();
        for _ in 0..count {
            let line = &self.lines[random.usize(..self.lines.len())];
            let mut time = Vec::with_capacity(TIME + 1);
            json::time((now - random.i64(0..3)) * 1_000_000_000, &mut time);
            let time = String::from_utf8_lossy(&time);
            let (date, clock) = (time.get(..10).unwrap_or_default(), time.get(11..TIME).unwrap_or_default());
            let mut from = 0;
            for &at in &line.times {
                out.push_str(line.text.get(from..at).unwrap_or_default());
                out.push_str(date);
                out.push_str(line.text.get(at + 10..=at + 10).unwrap_or("T"));
                out.push_str(clock);
                from = at + TIME;
            }
            out.push_str(line.text.get(from..).unwrap_or_default());
            out.push('\n');
        }
        out
    }
}

fn add(path: &Path, lines: &mut Vec<Line>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let full = text.lines().filter(|line| !line.trim().is_empty());
    lines.extend(full.map(|line| Line { times: times(line), text: line.to_owned() }));
    Ok(())
}

/// Where times stand in a line.
fn times(line: &str) -> Vec<usize> {
    let fits = |window: &[u8]| {
        window.iter().zip(b"dddd-dd-ddTdd:dd:dd").all(|(byte, wanted)| match wanted {
            b'd' => byte.is_ascii_digit(),
            b'T' => matches!(byte, b'T' | b' '),
            wanted => byte == wanted,
        })
    };
    let mut found: Vec<usize> = Vec::new();
    for (at, window) in line.as_bytes().windows(TIME).enumerate() {
        if found.last().is_none_or(|last| last + TIME <= at) && fits(window) {
            found.push(at);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_and_replaced() {
        let line = r#"{"a":"2026-11-16T01:02:11.120Z","b":"2020-01-01 00:00:00","c":"12026-11-16T0:02:11"}"#;
        assert_eq!(times(line), [6, 37]);
        let sample = Sample { lines: vec![Line { times: times(line), text: line.to_owned() }] };
        let out = sample.batch(2, &mut Rng::with_seed(1));
        assert_eq!(out.lines().count(), 2);
        assert!(
            !out.contains("2026-11-16T01:02:11") && out.contains(".120Z") && out.contains("12026-11-16T0"),
            "{out}"
        );
        assert_eq!(out.lines().next().unwrap().len(), line.len());
    }
}
