//! Packs, exceptions, alerts, suppressions.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Makes an enumeration that is text in the database and in JSON.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// What it is called everywhere.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The one that is called so.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.name() == name)
            }
        }
    };
}

words! {
    /// What a version of a pack is.
    PackState {
        /// Uploaded, for trying.
        Draft = "draft",
        /// In force.
        Live = "live",
        /// No longer in force.
        Retired = "retired",
    }
}

words! {
    /// What people have decided about an alert.
    AlertState {
        /// Nobody has looked at it.
        New = "new",
        /// Somebody works on it.
        Triaged = "triaged",
        /// It is an attack.
        TruePositive = "true_positive",
        /// It is none.
        FalsePositive = "false_positive",
        /// Nothing more is to be done.
        Closed = "closed",
    }
}

/// One version of a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pack {
    /// Its number.
    pub id: Uuid,
    /// What all versions are called.
    pub name: String,
    /// Counted from 1.
    pub version: i32,
    /// See there.
    pub state: PackState,
    /// The organisations it is in force for, `null` for all.
    pub organisations: Option<Vec<String>>,
    /// SHA-256 of what was uploaded, in hexadecimal.
    pub sha256: String,
    /// Bytes of what was uploaded.
    pub bytes: i64,
    /// Rules that can be used.
    pub rules: i32,
    /// Correlations that can be used.
    pub correlations: i32,
    /// Rules that cannot be used.
    pub unusable: i32,
    /// When it was uploaded, in milliseconds since 1970.
    pub created_ms: i64,
    /// When its state changed last.
    pub changed_ms: i64,
}

/// A list of values that exceptions share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExceptionList {
    /// Its number.
    pub id: Uuid,
    /// Unique.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// What is in it, by value.
    pub entries: Vec<Entry>,
}

/// A value in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The value; case does not matter.
    pub value: String,
    /// Why it is harmless.
    pub reason: String,
    /// Until when, in milliseconds since 1970.
    #[serde(default)]
    pub until_ms: Option<i64>,
}

/// What is to be an exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewException {
    /// The list with the values.
    pub list: String,
    /// The field as rules name it.
    pub field: String,
    /// Ids of the rules it is for; none for all.
    #[serde(default)]
    pub rules: Vec<String>,
    /// The organisation it is for, `null` for all.
    #[serde(default)]
    pub organisation: Option<String>,
    /// Why.
    pub reason: String,
    /// Until when, in milliseconds since 1970.
    #[serde(default)]
    pub until_ms: Option<i64>,
}

/// Events with a value of a list in some field make no alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// Its number.
    pub id: Uuid,
    /// What it says.
    #[serde(flatten)]
    pub what: NewException,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
}

/// What is to be suppressed; at least one of the first three.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSuppression {
    /// Alerts of the rule with this id.
    #[serde(default)]
    pub rule: Option<String>,
    /// Alerts of this organisation.
    #[serde(default)]
    pub organisation: Option<String>,
    /// Alerts about this entity; `*` stands for any characters.
    #[serde(default)]
    pub entity: Option<String>,
    /// Why.
    pub reason: String,
    /// Until when, in milliseconds since 1970.
    pub until_ms: i64,
}

/// Alerts that ask for no attention for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suppression {
    /// Its number.
    pub id: Uuid,
    /// What it says.
    #[serde(flatten)]
    pub what: NewSuppression,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
}

/// Findings of one rule about one entity that came together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Id of the rule.
    pub rule_id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: String,
    /// The level as OCSF numbers severities.
    pub severity_id: i32,
    /// The pack and version it came in.
    pub pack: String,
    /// Whose events they are on.
    pub organisation: String,
    /// What they are about; empty when nothing tells.
    pub entity: String,
    /// Event time of the first, in milliseconds since 1970.
    pub first_ms: i64,
    /// Event time of the last.
    pub last_ms: i64,
    /// How many.
    pub findings: i64,
    /// The event of one of them.
    pub event_id: i64,
}

/// Longest texts of an alert, in characters, and of those by which it is found: an index of PostgreSQL takes no more.
const TEXT: usize = 500;
const KEY: usize = 200;

/// Text as every database takes it: of bounded length, without the character zero.
fn storable(text: &str, most: usize) -> String {
    let whole = |c: char| if c == '\0' { '\u{fffd}' } else { c };
    if text.chars().count() <= most {
        return text.chars().map(whole).collect();
    }
    text.chars().take(most - 1).chain(['…']).map(whole).collect()
}

impl Seen {
    /// The same with texts that every database takes; what strangers wrote must not keep alerts from being raised.
    pub(crate) fn storable(&self) -> Self {
        Self {
            rule_id: storable(&self.rule_id, KEY),
            title: storable(&self.title, TEXT),
            pack: storable(&self.pack, TEXT),
            entity: storable(&self.entity, KEY),
            ..self.clone()
        }
    }
}

/// Findings that people decide about together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Its number.
    pub id: Uuid,
    /// Id of the rule.
    pub rule_id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: String,
    /// The level as OCSF numbers severities.
    pub severity_id: i32,
    /// The pack and version of the newest finding.
    pub pack: String,
    /// Whose events they are on.
    pub organisation: String,
    /// What they are about; empty when nothing tells.
    pub entity: String,
    /// Event time of the first finding, in milliseconds since 1970.
    pub first_ms: i64,
    /// Event time of the last.
    pub last_ms: i64,
    /// How many findings.
    pub findings: i64,
    /// The event of the newest.
    pub event_id: i64,
    /// See there.
    pub state: AlertState,
    /// Who works on it.
    pub assignee: Option<String>,
    /// The suppression under which it came.
    pub suppressed: Option<Uuid>,
    /// When it was raised.
    pub created_ms: i64,
    /// When anything about it changed.
    pub changed_ms: i64,
}

/// Which alerts are wanted; nothing said means all that are not suppressed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertFilter {
    /// In one of these states, separated by commas.
    #[serde(default)]
    pub state: Option<String>,
    /// Of this organisation.
    #[serde(default)]
    pub organisation: Option<String>,
    /// Of the rule with this id.
    #[serde(default)]
    pub rule: Option<String>,
    /// About this entity.
    #[serde(default)]
    pub entity: Option<String>,
    /// At least of this level.
    #[serde(default)]
    pub level: Option<String>,
    /// With this in title or entity; case does not matter in ASCII.
    #[serde(default)]
    pub text: Option<String>,
    /// Of somebody, or of nobody when empty.
    #[serde(default)]
    pub assignee: Option<String>,
    /// Suppressed ones instead.
    #[serde(default)]
    pub suppressed: Option<bool>,
    /// Behind the alert with this number, in the order of lists: the newest first.
    #[serde(default)]
    pub after: Option<Uuid>,
    /// At most so many, 1 to 1000; 100 when not said.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// What changes about an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertChange {
    /// The state it must have now, so that nobody overwrites what another one decided.
    #[serde(default)]
    pub from: Option<AlertState>,
    /// The new state.
    #[serde(default)]
    pub state: Option<AlertState>,
    /// Who works on it from now on; nobody when empty.
    #[serde(default)]
    pub assignee: Option<String>,
    /// What there is to say about it.
    #[serde(default)]
    pub note: Option<String>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct History {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// What was done: `add`, `go_live`, `retire`, `change`, `remove` ...
    pub action: String,
    /// With what, as JSON.
    pub detail: serde_json::Value,
}
