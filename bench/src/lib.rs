//! What the benchmarks need besides Khiên itself: corpora made from recordings, and the limits it is compared with.
//!
//! `bench/run.sh` drives everything; `bench/README.md` says what is measured and how to read it. Nothing here uses Khiên's
//! own code, so that a mistake there cannot hide in the yardstick.
//!
//! Invariant: everything made here is a function of the recordings alone, so that two machines measure the same bytes.

pub mod corpora;
pub mod cpu;
pub mod indicators;
pub mod limits;
pub mod rng;
pub mod rules;
pub mod vary;
pub mod windows;
