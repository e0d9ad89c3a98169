//! Which rules are in force for whom, and what becomes of what they find.
//!
//! Rules come in packs, which have versions: a version is uploaded as a draft, tried, put in force and retired. Findings
//! become alerts: those of one rule about one entity of one organisation, as long as they follow each other, are one
//! alert, which people decide. Exceptions keep findings on what is known to be harmless from becoming alerts, suppressions
//! keep alerts from asking for attention, for a time and with a reason. The coverage ledger says what was looked at.
//!
//! What it is not: it matches no event (`khien-detect` does) and keeps no finding (the lake does). Invariants: at most one
//! version of a pack is in force; a batch of findings is taken in once or not at all; every change says who made it, when
//! and why, and can be read afterwards; nobody sees or changes what is beyond their reach.

mod alerts;
mod coverage;
mod exceptions;
mod history;
mod migrations;
mod model;
mod packs;
mod reach;
mod reasons;
mod service;

pub use coverage::{Counts, Cover, CoverageFilter, CoverageRow, Covered, Declared};
pub use migrations::migrations;
pub use model::{
    Alert, AlertChange, AlertFilter, AlertState, Entry, Exception, ExceptionList, History, NewException,
    NewSuppression, Pack, PackState, Seen, Suppression,
};
pub use packs::{ContentError, read_pack};
pub use reach::{Actor, Reach};
pub use service::{Detections, DetectionsError, InForce};
