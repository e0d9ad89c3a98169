//! What the engine says about an event.

use khien_event::taxonomy::KindId;

use crate::rule::Level;

/// What a finding tells of the rule, correlation or indicator behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Rule id; for an indicator its id or `indicator:` and the value.
    pub id: String,
    /// Title.
    pub title: String,
    /// Severity.
    pub level: Level,
    /// Tags as written (`attack.execution`, `attack.t1059.001`, `cve.2024-1`).
    pub tags: Vec<String>,
    /// Author, for the attribution that rule licences ask for.
    pub author: Option<String>,
    /// What it is.
    pub source: Source,
}

/// What kind of thing found something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A rule on one event.
    Rule,
    /// A correlation over several events; the event shown is the one that completed it.
    Correlation,
    /// An indicator of compromise.
    Indicator,
}

/// A field that made the rule match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matched<'a> {
    /// The field as the rule names it; `keyword` for a match in no particular field.
    pub field: &'a str,
    /// Its value as a JSON value (several values as an array).
    pub json: &'a str,
}

/// One finding. Borrowed from the engine: valid during the call that hands it out.
#[derive(Clone, Copy, Debug)]
pub struct Finding<'a> {
    /// What found it.
    pub head: &'a Head,
    /// Event time in nanoseconds since 1970, if the event has one.
    pub time_ns: Option<i64>,
    /// 1-based line of line formats, record number of EVTX.
    pub position: u64,
    /// The fields that made it match, in the order of the rule.
    pub matched: &'a [Matched<'a>],
    /// The record as it was read (EVTX: its JSON).
    pub raw: &'a [u8],
    /// The kind of event.
    pub kind: KindId,
    /// For a correlation: positions of the events that led to it, oldest first, at most 100, each with its file.
    pub evidence: &'a [Evidence],
}

/// An event that took part in a correlation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Id of the rule the event matched.
    pub rule: String,
    /// Index of the input file.
    pub file: u32,
    /// Position in it.
    pub position: u64,
    /// Its time.
    pub time_ns: Option<i64>,
}
