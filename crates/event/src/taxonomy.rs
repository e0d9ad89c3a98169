//! What kind of event a record is, which Sigma log sources it belongs to, and how Sigma field names map to its fields.
//!
//! All of it is data: `content/taxonomy/*.toml` beside this crate, embedded in the binary. A file of the table describes
//!
//! - **names**: envelopes that are cut off dotted names and single names that are renamed, so that all spellings of the
//!   same event (EVTX, Winlogbeat, `NXLog`, flat JSON) have one canonical name for one field;
//! - **shapes**: how a record is recognised by the names in it, where its time stands, which fields tell its kind;
//! - **kinds**: what is said about the discriminating fields, and the Sigma log sources that follow from it. The first
//!   kind of the shape's group that holds is taken;
//! - **fields**: what rules call a field and what the events of a kind call it;
//! - **OCSF**: the class of a kind's events and where its fields go (see [`crate::ocsf`]).
//!
//! Invariants: [`Taxonomy::canonical`] of a path depends on nothing but the path, and applying it to its own result
//! changes nothing that matters to a rule; kind 0 and shape 0 mean "unknown", and every rule applies to kind 0.

mod file;
mod load;
mod names;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use hashbrown::HashMap;

use crate::fields::ShapeId;

pub use load::TaxonomyError;
use load::{Condition, Kind, Shape};
use names::NameTable;
pub use names::PairPart;

/// A kind of event; an index into the taxonomy's kinds. 0 is a kind nobody knows: every rule applies to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct KindId(pub u16);

/// A Sigma log source as a rule or a kind of event states it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSource {
    /// `product`
    pub product: Option<String>,
    /// `category`
    pub category: Option<String>,
    /// `service`
    pub service: Option<String>,
}

impl LogSource {
    /// Whether a rule that states `rule` is written for events of this log source: every component the rule states is
    /// the same here, without regard to ASCII case.
    pub fn satisfies(&self, rule: &Self) -> bool {
        let same = |rule: &Option<String>, own: &Option<String>| match (rule, own) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(rule), Some(own)) => rule.eq_ignore_ascii_case(own),
        };
        same(&rule.product, &self.product) && same(&rule.category, &self.category) && same(&rule.service, &self.service)
    }
}

/// Field names a rule may use, each with the canonical names that hold it.
type FieldMap = HashMap<String, Vec<String>, foldhash::fast::FixedState>;

/// Names and texts of the embedded files.
macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../content/taxonomy/", $name)))),*]
    };
}

/// The files of the embedded table, in the order in which shapes and kinds are tried.
const FILES: &[(&str, &str)] = files! {
    "linux.toml"
    "windows.toml"
    "windows_ecs.toml"
    "hosts.toml"
    "auditd.toml"
    "network.toml"
    "zeek.toml"
    "web.toml"
    "w3c.toml"
    "appliances.toml"
    "leef.toml"
    "keyvalue.toml"
    "cloud.toml"
    "gcp.toml"
    "okta.toml"
    "m365.toml"
    "azure.toml"
    "kubernetes.toml"
    "bitbucket.toml"
    "onelogin.toml"
    "duo.toml"
    "opencanary.toml"
    "github.toml"
    "endpoint.toml"
    "text.toml"
};

/// See the module text.
#[derive(Debug)]
pub struct Taxonomy {
    names: NameTable,
    /// Canonical name to its bits, at most 64 different ones; see [`Taxonomy::mark`].
    marks: HashMap<String, u64, foldhash::fast::FixedState>,
    /// Index 0 is the unknown shape.
    shapes: Vec<Shape>,
    /// Index 0 is the unknown kind.
    kinds: Vec<Kind>,
}

impl Taxonomy {
    /// The table the binary ships.
    pub fn embedded() -> &'static Self {
        static TABLE: LazyLock<Taxonomy> =
            LazyLock::new(|| Taxonomy::parse(FILES).expect("a test loads the same embedded files and finds no error"));
        &TABLE
    }

    /// Reads a table from the texts of its files, each with a name for messages.
    ///
    /// The few strings that shapes hand out by reference are leaked: a table is read once and lives as long as the
    /// process.
    ///
    /// # Errors
    /// [`TaxonomyError`] with the file when a text is no TOML, has unknown members, or names something that is not
    /// there.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, TaxonomyError> {
        load::load(files)
    }

    /// The canonical name of the value at `path` (JSON object keys from the root, arrays skipped): envelopes are
    /// stripped (`Event.EventData.Image` → `Image`, `winlog.event_data.Image` → `Image`), known members renamed
    /// (`Event.System.Provider.#attributes.Name` → `Provider_Name`), spaces removed (`Threat Name` → `ThreatName`);
    /// anything else is the path joined by dots. A key that itself contains dots counts as several.
    pub fn canonical(&self, path: &[&str]) -> String {
        match path {
            [key] => self.names.canonical(key).into_owned(),
            keys => self.names.canonical(&keys.join(".")).into_owned(),
        }
    }

    /// The canonical name of a dotted name as a rule may write it.
    pub fn canonical_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        self.names.canonical(name)
    }

    /// What the value at `path` is to a list of names and values that stand for members; `None` for nearly all paths.
    pub fn pair_part(&self, path: &[&str]) -> Option<PairPart> {
        self.names.pair_part(&path.join("."))
    }

    /// Bits that say "this path stands in the record"; [`Taxonomy::shape_of`] decides by them. 0 for most paths.
    pub fn mark(&self, path: &[&str]) -> u64 {
        self.mark_of_name(&self.canonical(path))
    }

    /// [`Taxonomy::mark`] of a canonical name.
    pub fn mark_of_name(&self, canonical: &str) -> u64 {
        self.marks.get(canonical).copied().unwrap_or(0)
    }

    /// The shape of a JSON record with these marks: the first of the table that asks for nothing else.
    pub fn shape_of(&self, marks: u64) -> ShapeId {
        let found = self.shapes.iter().position(|shape| shape.when.iter().any(|all| marks & all == *all));
        ShapeId(found.unwrap_or(0) as u16)
    }

    /// The shape called `name` (`zeek`, `auditd`, `cef`...), shape 0 when there is none.
    pub fn shape(&self, name: &str) -> ShapeId {
        ShapeId(self.shapes.iter().position(|s| s.name == name).unwrap_or(0) as u16)
    }

    /// The name of `shape`, `unknown` for shape 0.
    pub fn shape_name(&self, shape: ShapeId) -> &str {
        self.shapes.get(usize::from(shape.0)).map_or(load::UNKNOWN, |s| &s.name)
    }

    /// Number of shapes, the unknown one included.
    pub fn shape_count(&self) -> usize {
        self.shapes.len()
    }

    /// The canonical names of the fields on which the kind of a record of `shape` depends, at most 8.
    pub fn discriminators(&self, shape: ShapeId) -> &[&str] {
        self.shapes.get(usize::from(shape.0)).map_or(&[], |s| &s.discriminators)
    }

    /// The kind of a record of `shape` by its discriminators, in their order; `None` where the field is absent.
    ///
    /// Of a field with several values the first with a text counts (see [`crate::json_slow::kind_of_event`]).
    pub fn kind(&self, shape: ShapeId, values: &[Option<&str>]) -> KindId {
        let Some(shape) = self.shapes.get(usize::from(shape.0)) else {
            return KindId::default();
        };
        let values = shape.complete(values);
        shape
            .kinds
            .iter()
            .copied()
            .find(|id| {
                let kind = &self.kinds[usize::from(id.0)];
                kind.when.iter().all(|c| shape.holds(c, &values))
            })
            .unwrap_or_default()
    }

    /// Number of kinds, the unknown one included.
    pub fn kind_count(&self) -> usize {
        self.kinds.len()
    }

    /// The name of `kind`, such as `sysmon.process_creation`; `unknown` for kind 0.
    pub fn kind_name(&self, kind: KindId) -> &str {
        self.kinds.get(usize::from(kind.0)).map_or(load::UNKNOWN, |k| &k.name)
    }

    /// Whether `kind` is one of the table, not the one of records that nobody knows.
    pub fn knows(&self, kind: KindId) -> bool {
        kind.0 != 0 && usize::from(kind.0) < self.kinds.len()
    }

    /// The log sources of `kind`; empty for kind 0.
    pub fn log_sources(&self, kind: KindId) -> &[LogSource] {
        self.kinds.get(usize::from(kind.0)).map_or(&[], |k| &k.sources)
    }

    /// Whether a rule with `source` is written for events of `kind`: some log source of the kind satisfies every
    /// component that the rule states.
    pub fn applies(&self, kind: KindId, source: &LogSource) -> bool {
        match self.kinds.get(usize::from(kind.0)) {
            Some(k) if kind.0 != 0 => k.sources.iter().any(|own| own.satisfies(source)),
            _ => true,
        }
    }

    /// The canonical names under which events of `kind` hold what a rule calls `field`: usually one, the same. Several
    /// mean "any of them".
    pub fn sources<'a>(&'a self, kind: KindId, field: &'a str) -> Vec<Cow<'a, str>> {
        let name = self.names.canonical(field);
        let mapped = self.kinds.get(usize::from(kind.0)).and_then(|k| {
            let name = name.as_ref();
            k.fields.get(name).or_else(|| k.shared.get(name))
        });
        match mapped {
            Some(names) => names.iter().map(|n| Cow::Borrowed(n.as_str())).collect(),
            None => vec![name],
        }
    }

    /// All canonical names that some kind of event uses for what a rule calls `field`: the name itself first, then what
    /// [`Taxonomy::sources`] says of each kind, without repeats.
    pub fn all_sources<'a>(&'a self, field: &'a str) -> Vec<Cow<'a, str>> {
        let name = self.names.canonical(field);
        let own = self.kinds.iter().filter_map(|kind| kind.fields.get(name.as_ref()));
        // The kinds of a group stand together and share one map.
        let groups = self.kinds.chunk_by(|a, b| Arc::ptr_eq(&a.shared, &b.shared));
        let shared = groups.filter_map(|kinds| kinds.first()?.shared.get(name.as_ref()));
        let mut all: Vec<Cow<'a, str>> = own.chain(shared).flatten().map(|n| Cow::Borrowed(n.as_str())).collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|n| *n != name);
        all.insert(0, name);
        all
    }

    /// The canonical names of the fields that may hold the event time of records of `shape`, best first.
    pub fn time_fields(&self, shape: ShapeId) -> &[&str] {
        self.shapes.get(usize::from(shape.0)).map_or(&[], |s| &s.time)
    }
}

impl Shape {
    /// The values by which conditions are decided: absent and empty ones replaced by the field's fallback, then by the
    /// group's default.
    fn complete<'a>(&'a self, values: &[Option<&'a str>]) -> Vec<Option<&'a str>> {
        let value = |i: usize| values.get(i).copied().flatten().filter(|v| !v.is_empty());
        let mut complete: Vec<_> = (0..self.discriminators.len()).map(value).collect();
        for &(field, other) in &self.fallback {
            complete[field] = complete[field].or(complete[other]);
        }
        for default in &self.defaults {
            if complete[default.field].is_none() {
                complete[default.field] = complete[default.from].and_then(|v| default.get(v));
            }
        }
        complete
    }

    /// Whether `condition` holds for completed `values`. A condition on a field this shape does not have holds only if
    /// the field must be absent.
    fn holds(&self, condition: &Condition, values: &[Option<&str>]) -> bool {
        let value = self.discriminators.iter().position(|d| *d == condition.field).and_then(|i| values[i]);
        condition.tests.iter().any(|t| t.holds(value))
    }
}

#[cfg(test)]
mod tests;
