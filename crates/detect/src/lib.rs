//! Sigma rules compiled together, indicator matching, correlation over event time.
//!
//! This crate is pure: it opens no file, asks no clock, and sees events only through `khien-event`.

mod cache;
pub mod check;
pub mod correlate;
pub mod engine;
pub mod explain;
pub mod finding;
pub mod indicators;
pub mod pack;
pub mod reasons;
pub mod reference;
pub mod rule;
pub mod scope;
#[cfg(any(test, feature = "testgen"))]
pub mod testgen;
pub mod text;
