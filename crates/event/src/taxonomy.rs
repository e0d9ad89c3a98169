//! What kind of event a record is, which Sigma log sources it belongs to, and how Sigma field names map to its fields.
//!
//! All of it is data: `content/taxonomy/*.toml` beside this crate, embedded in the binary.

use std::borrow::Cow;

use crate::fields::ShapeId;

/// A kind of event; an index into the taxonomy's kinds. 0 is a kind nobody knows: every rule applies to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct KindId(pub u16);

/// A Sigma log source as a rule or a kind of event states it.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct LogSource {
    /// `product`
    pub product: Option<String>,
    /// `category`
    pub category: Option<String>,
    /// `service`
    pub service: Option<String>,
}

/// See the module text.
#[derive(Debug)]
pub struct Taxonomy {}

impl Taxonomy {
    /// The table the binary ships.
    pub fn embedded() -> &'static Self {
        static TABLE: Taxonomy = Taxonomy {};
        &TABLE
    }

    /// The canonical name of the value at `path` (JSON object keys from the root, arrays skipped): envelopes are
    /// stripped (`Event.EventData.Image` → `Image`, `winlog.event_data.Image` → `Image`), known members renamed
    /// (`Event.System.Provider.#attributes.Name` → `Provider_Name`); anything else is the path joined by dots.
    pub fn canonical(&self, path: &[&str]) -> String {
        match path {
            ["Event", "System", "Provider", "#attributes", "Name"] => "Provider_Name".into(),
            ["Event", "System", "EventID", "#text"] => "EventID".into(),
            ["Event", "System", rest @ ..] => rest.join("."),
            ["Event", "EventData", "Data", "#text"] => "Data".into(),
            ["Event", "EventData", rest @ ..] => rest.join("."),
            ["Event", "UserData", _, "Channel"] => "UserData.Channel".into(),
            ["Event", "UserData", _, rest @ ..] if !rest.is_empty() => rest.join("."),
            _ => path.join("."),
        }
    }

    /// The canonical name of a dotted name as a rule may write it.
    pub fn canonical_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(name)
    }

    /// Bits that say "this path stands in the record"; [`Taxonomy::shape_of`] decides by them. 0 for most paths.
    pub fn mark(&self, path: &[&str]) -> u64 {
        match path {
            ["Event", "System"] => 1,
            ["Channel"] => 2,
            ["EventID"] => 4,
            _ => 0,
        }
    }

    /// The shape of a JSON record with these marks.
    pub fn shape_of(&self, marks: u64) -> ShapeId {
        if marks & 1 != 0 || marks & 6 == 6 {
            ShapeId(1)
        } else {
            ShapeId(0)
        }
    }

    /// The shape called `name` (`zeek`, `auditd`, `cef`...), shape 0 when there is none.
    pub fn shape(&self, name: &str) -> ShapeId {
        if name == "windows" {
            ShapeId(1)
        } else {
            ShapeId(0)
        }
    }

    /// The canonical names of the fields on which the kind of a record of `shape` depends, at most 8.
    pub fn discriminators(&self, shape: ShapeId) -> &[&str] {
        if shape.0 == 1 {
            &["Channel", "EventID", "Provider_Name"]
        } else {
            &[]
        }
    }

    /// The kind of a record of `shape` by its discriminators, in their order; `None` where the field is absent.
    pub fn kind(&self, shape: ShapeId, values: &[Option<&str>]) -> KindId {
        match (shape.0, values) {
            (1, [Some("Microsoft-Windows-Sysmon/Operational"), Some("1"), ..]) => KindId(1),
            (1, [Some("Microsoft-Windows-Sysmon/Operational"), ..]) => KindId(2),
            _ => KindId(0),
        }
    }

    /// Number of kinds, the unknown one included.
    pub fn kind_count(&self) -> usize {
        3
    }

    /// Whether a rule with `source` is written for events of `kind`.
    pub fn applies(&self, kind: KindId, source: &LogSource) -> bool {
        let is = |have: &Option<String>, want: &str| have.as_deref().is_none_or(|h| h == want);
        match kind.0 {
            1 => {
                is(&source.product, "windows")
                    && (is(&source.category, "process_creation") && is(&source.service, "sysmon"))
            }
            2 => {
                is(&source.product, "windows")
                    && source.category.is_none()
                    && is(&source.service, "sysmon")
            }
            _ => true,
        }
    }

    /// The canonical names under which events of `kind` hold what a rule calls `field`: usually one, the same. Several
    /// mean "any of them".
    pub fn sources<'a>(&'a self, kind: KindId, field: &'a str) -> Vec<Cow<'a, str>> {
        let _ = kind;
        vec![self.canonical_name(field)]
    }

    /// The canonical names of the fields that may hold the event time of records of `shape`, best first.
    pub fn time_fields(&self, shape: ShapeId) -> &[&str] {
        let _ = shape;
        &[
            "TimeCreated.#attributes.SystemTime",
            "@timestamp",
            "UtcTime",
        ]
    }
}
