//! Fuzz targets: plain functions over hostile bytes, and a smoke run of them that needs nothing but Rust.
//!
//! A target panics when something is wrong and otherwise returns. `cargo xtask test` feeds each one its seeds and a
//! fixed number of mutations of them ([`smoke`]); libFuzzer takes the same functions through `fuzz/cargo-fuzz`. A target
//! stands here, has a folder of seeds and a libFuzzer entry; `cargo xtask tidy` compares the three.

mod bytes;
mod intake;
mod json;
mod matching;
pub mod mutate;
pub mod smoke;
mod targets;

pub use bytes::{evtx, frames, input, text, time};
pub use intake::{journal, requests, search, syslog_stream};
pub use json::json;
pub use matching::{correlation, correlation_state, engine, indicators, pack_file, rules, zip};
pub use targets::{locale, taxonomy_path, text_fold};

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: &[(&str, Target)] = &[
    ("correlation", correlation),
    ("correlation_state", correlation_state),
    ("engine", engine),
    ("evtx", evtx),
    ("frames", frames),
    ("indicators", indicators),
    ("input", input),
    ("journal", journal),
    ("json", json),
    ("locale", locale),
    ("pack_file", pack_file),
    ("requests", requests),
    ("rules", rules),
    ("search", search),
    ("syslog_stream", syslog_stream),
    ("taxonomy_path", taxonomy_path),
    ("text", text),
    ("text_fold", text_fold),
    ("time", time),
    ("zip", zip),
];

/// The target called `name`.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
