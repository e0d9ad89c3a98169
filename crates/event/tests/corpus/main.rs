//! Decoders and taxonomy over real logs and rules, where `KHIEN_CORPUS` names their folder.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "all of this is test code")]

mod formats;
mod taxonomy;
