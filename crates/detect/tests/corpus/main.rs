//! Rules over real events, where `KHIEN_CORPUS` names their folder.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "all of this is test code")]

mod equal;
mod indifference;
mod load;
mod reference;
mod regression;
mod run;
mod spelling;
