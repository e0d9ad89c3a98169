//! Sigma rules compiled together, indicator matching, correlation over event time.
//!
//! This crate is pure: it opens no file, asks no clock, and sees events only through `khien-event`.

pub mod correlate;
pub mod finding;
pub mod indicators;
pub mod rule;
pub mod text;
