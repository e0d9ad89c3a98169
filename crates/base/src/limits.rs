//! Written bounds. Every loop over foreign bytes has one of them.

/// Longest record (line, EVTX record, JSON value) that is decoded, in bytes. Longer ones are counted as malformed.
pub const RECORD_BYTES: usize = 16 << 20;

/// Deepest nesting of JSON that is followed. Deeper records are malformed.
pub const JSON_DEPTH: usize = 128;

/// Most fields of one event. Records with more are malformed.
pub const EVENT_FIELDS: usize = 65_536;
