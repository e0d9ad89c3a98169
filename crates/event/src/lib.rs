//! Decoders of foreign log formats, field taxonomies and OCSF normalisation.
//!
//! Bytes come in, typed fields go out. This crate is pure: it opens no file, asks no clock, and knows nothing of rules.
//! Invariants: a decoder never panics and never loses the raw bytes; a decoded value is a span of the record or of a
//! scratch buffer that the caller owns; memory is bounded by the record limit.

pub mod attack;
pub mod decode;
pub mod event;
pub mod evtx;
pub mod fields;
pub mod frame;
pub mod input;
pub mod json;
pub mod json_slow;
pub mod names;
pub mod ocsf;
pub mod reasons;
pub mod taxonomy;
pub mod text;
pub mod time;
pub mod whole;
