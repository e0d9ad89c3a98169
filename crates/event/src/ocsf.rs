//! Events and findings in the Open Cybersecurity Schema Framework, version 1.8 (<https://schema.ocsf.io/1.8.0>).
//!
//! [`Normalised::event`] gives an event its own class (Process Activity, Authentication...) as
//! `content/taxonomy/ocsf.toml` says for its kind, with its raw data, their hash, and everything without a place under
//! `unmapped`. A class that would lack what the schema requires is not claimed: such an event is a Base Event.
//! [`Normalised::finding`] gives a Detection Finding with the objects of the event as evidence, [`correlation`] one on
//! several events. A finding names its events by `finding_info.related_events[].uid`, which is their `metadata.uid`.

mod convert;
pub mod fast;
pub mod flat;
mod table;

use khien_base::hex::hex;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};

use crate::attack::{self, Reference};
use crate::event::{Event, Value};
use crate::taxonomy::{KindId, Taxonomy};
use table::{Entry, Table};

/// The version of the schema.
pub const VERSION: &str = "1.8.0";

/// Most bytes of raw data that are copied into an event; more are cut off, and the hash is still of all of them.
pub const RAW_BYTES: usize = 1 << 20;

/// A record of an input.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its fields.
    pub event: &'a Event,
    /// Its kind.
    pub kind: KindId,
    /// Its bytes as they were read.
    pub raw: &'a [u8],
    /// Where it stands.
    pub place: Place<'a>,
}

/// Where and when an event is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Event time in nanoseconds since 1970. OCSF demands a time; an event without one gets 0.
    pub time_ns: Option<i64>,
    /// The file it came from, as the user named it.
    pub file: &'a str,
    /// 1-based line, or record number of EVTX.
    pub position: u64,
}

impl Place<'_> {
    /// What names the event: the same for the same file, given in the same way.
    fn uid(&self) -> String {
        format!("{}#{}", self.file, self.position)
    }

    fn milliseconds(&self) -> i64 {
        self.time_ns.unwrap_or(0).div_euclid(1_000_000)
    }
}

/// What found something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Analytic {
    /// A rule on one event.
    Rule,
    /// A correlation over several events.
    Correlation,
    /// An indicator of compromise.
    Indicator,
}

/// What is told of a finding, besides its event.
#[derive(Clone, Copy, Debug)]
pub struct FindingInput<'a> {
    /// What found it.
    pub analytic: Analytic,
    /// Rule id.
    pub rule_id: &'a str,
    /// Title of the rule.
    pub title: &'a str,
    /// Description of the rule.
    pub description: Option<&'a str>,
    /// Author of the rule, for the attribution that rule licences ask for.
    pub author: Option<&'a str>,
    /// `informational`, `low`, `medium`, `high` or `critical`.
    pub level: &'a str,
    /// Tags of the rule.
    pub tags: &'a [String],
    /// What matched: an object with the fields as the rule names them.
    pub matched: &'a Json,
}

/// An event whose fields have found their place in its class.
pub struct Normalised<'a> {
    record: Record<'a>,
    mapped: Mapped,
}

impl<'a> Normalised<'a> {
    /// Finds the class of an event and the places of its fields.
    pub fn new(record: Record<'a>, taxonomy: &Taxonomy) -> Self {
        Self { mapped: Mapped::new(&record, taxonomy), record }
    }

    /// The event in its own class.
    pub fn event(&self) -> Json {
        let Self { record, mapped } = self;
        let class = mapped.class;
        let mut out = mapped.tree.clone();
        out.insert("class_uid".into(), class.uid.into());
        out.insert("class_name".into(), class.caption.as_str().into());
        out.insert("category_uid".into(), class.category.into());
        out.insert("activity_id".into(), mapped.activity.into());
        out.insert("type_uid".into(), mapped.type_uid().into());
        out.insert("severity_id".into(), mapped.severity.into());
        out.insert("time".into(), record.place.milliseconds().into());
        let mut metadata = metadata(&record.place, record.place.uid());
        if let Some(Json::Object(more)) = out.remove("metadata") {
            metadata.extend(more);
        }
        if class.is_windows() {
            let extension = json!({"name": "win", "uid": "2", "version": VERSION});
            metadata.insert("extensions".into(), json!([extension]));
        }
        out.insert("metadata".into(), metadata.into());
        add_raw(&mut out, record.raw);
        if !mapped.observables.is_empty() {
            out.insert("observables".into(), mapped.observables.clone().into());
        }
        if !mapped.unmapped.is_empty() {
            out.insert("unmapped".into(), mapped.unmapped.clone().into());
        }
        out.into()
    }

    /// A Detection Finding (class 2004) on the event.
    pub fn finding(&self, input: &FindingInput<'_>) -> Json {
        let Self { record, mapped } = self;
        let related = [related(&record.place, Some(mapped.type_uid()))];
        let mut out = detection(input, &record.place, &related);
        let mut evidence = mapped.evidence();
        evidence.insert("data".into(), json!({"matched": input.matched}));
        out.insert("evidences".into(), json!([evidence]));
        if let Some(device) = mapped.tree.get("device") {
            out.insert("device".into(), device.clone());
        }
        if !mapped.observables.is_empty() {
            out.insert("observables".into(), mapped.observables.clone().into());
        }
        add_raw(&mut out, record.raw);
        out.into()
    }
}

/// A Detection Finding on several events: `place` is that of the one that completed it, `evidence` are all that led to it.
pub fn correlation(input: &FindingInput<'_>, place: &Place<'_>, evidence: &[Place<'_>]) -> Json {
    let completed = std::iter::once(place).filter(|place| !evidence.iter().any(|e| e.uid() == place.uid()));
    let related: Vec<Json> = completed.chain(evidence).map(|place| related(place, None)).collect();
    let mut out = detection(input, place, &related);
    out.insert("evidences".into(), json!([{"data": {"matched": input.matched}}]));
    out.into()
}

/// What every Detection Finding has.
fn detection(input: &FindingInput<'_>, place: &Place<'_>, related: &[Json]) -> Map<String, Json> {
    let mut out = Map::new();
    let uid = format!("{}@{}", input.rule_id, place.uid());
    out.insert("class_uid".into(), 2004.into());
    out.insert("class_name".into(), "Detection Finding".into());
    out.insert("category_uid".into(), 2.into());
    out.insert("activity_id".into(), 1.into());
    out.insert("type_uid".into(), 200_401.into());
    out.insert("severity_id".into(), severity(input.level).into());
    out.insert("status_id".into(), 1.into());
    out.insert("is_alert".into(), true.into());
    out.insert("time".into(), place.milliseconds().into());
    out.insert("message".into(), input.title.into());
    out.insert("metadata".into(), metadata(place, uid.clone()).into());
    out.insert("finding_info".into(), finding_info(input, place, &uid, related));
    let mut unmapped = Map::new();
    unmapped.insert("file".into(), place.file.into());
    unmapped.insert("position".into(), place.position.into());
    if let Some(author) = input.author {
        unmapped.insert("rule_author".into(), author.into());
    }
    let tags: Vec<_> = input.tags.iter().map(String::as_str).collect();
    unmapped.insert("rule_tags".into(), tags.into());
    out.insert("unmapped".into(), unmapped.into());
    out
}

/// An event as findings name it.
fn related(place: &Place<'_>, type_uid: Option<u64>) -> Json {
    let mut related = json!({"uid": place.uid()});
    if let Some(type_uid) = type_uid {
        related["type_uid"] = type_uid.into();
    }
    if place.time_ns.is_some() {
        related["created_time"] = place.milliseconds().into();
    }
    related
}

/// The severity of a Sigma level.
fn severity(level: &str) -> u8 {
    match level.to_ascii_lowercase().as_str() {
        "informational" => 1,
        "low" => 2,
        "medium" => 3,
        "high" => 4,
        "critical" => 5,
        _ => 0,
    }
}

fn finding_info(input: &FindingInput<'_>, place: &Place<'_>, uid: &str, related: &[Json]) -> Json {
    let (type_id, kind) = match input.analytic {
        Analytic::Rule => (1, "Sigma rule"),
        Analytic::Correlation => (1, "Sigma correlation"),
        Analytic::Indicator => (9, "Indicator"),
    };
    let mut info = json!({
        "uid": uid,
        "title": input.title,
        "created_time": place.milliseconds(),
        "data_sources": [place.file],
        "analytic": {"uid": input.rule_id, "name": input.title, "type_id": type_id, "category": kind},
        "related_events": related,
    });
    if let Some(description) = input.description {
        info["desc"] = description.into();
    }
    let attacks = attacks(input.tags);
    if !attacks.is_empty() {
        info["attacks"] = attacks.into();
    }
    info
}

/// The ATT&CK objects of a rule's tags: one for each technique with that tactic of the rule which it serves, and one for
/// each tactic left over.
fn attacks(tags: &[String]) -> Vec<Json> {
    let references: Vec<_> = tags.iter().filter_map(|t| attack::reference(t)).collect();
    let tactics = || {
        references.iter().filter_map(|r| match r {
            Reference::Tactic { short_name, .. } => Some((short_name.as_str(), r)),
            Reference::Technique { .. } => None,
        })
    };
    let mut used = Vec::new();
    let mut attacks = Vec::new();
    for reference in &references {
        let Reference::Technique { parent, tactics: serves, .. } = reference else {
            continue;
        };
        let mut attack = Map::new();
        let own = named(reference.id(), reference.name());
        match parent {
            Some((id, name)) => {
                attack.insert("technique".into(), named(Some(id), name.unwrap_or(id)));
                attack.insert("sub_technique".into(), own);
            }
            None => {
                attack.insert("technique".into(), own);
            }
        }
        if let Some((short, tactic)) = tactics().find(|(short, _)| serves.contains(short)) {
            attack.insert("tactic".into(), named(tactic.id(), tactic.name()));
            used.push(short.to_owned());
        }
        attacks.push(attack.into());
    }
    for (short, tactic) in tactics() {
        if !used.iter().any(|u| u == short) {
            attacks.push(json!({"tactic": named(tactic.id(), tactic.name())}));
        }
    }
    attacks
}

fn named(uid: Option<&str>, name: &str) -> Json {
    match uid {
        Some(uid) => json!({"uid": uid, "name": name}),
        None => json!({"name": name}),
    }
}

/// What of an event's class may stand in an evidence object.
const EVIDENCE: &[&str] = &[
    "actor",
    "api",
    "connection_info",
    "device",
    "dst_endpoint",
    "file",
    "http_request",
    "http_response",
    "job",
    "process",
    "query",
    "reg_key",
    "reg_value",
    "script",
    "src_endpoint",
    "user",
    "win_service",
];

/// What every class says about where an event came from.
fn metadata(place: &Place<'_>, uid: String) -> Map<String, Json> {
    let mut metadata = Map::new();
    let product = json!({
        "name": "Khiên", "vendor_name": "Khiên", "version": env!("CARGO_PKG_VERSION"),
    });
    metadata.insert("product".into(), product);
    metadata.insert("version".into(), VERSION.into());
    metadata.insert("profiles".into(), json!(["host"]));
    metadata.insert("uid".into(), uid.into());
    metadata.insert("log_source".into(), place.file.into());
    if let Ok(position) = u32::try_from(place.position) {
        metadata.insert("sequence".into(), position.into());
    }
    metadata
}

/// Adds the raw record and its hash.
fn add_raw(out: &mut Map<String, Json>, raw: &[u8]) {
    let shown = raw.get(..RAW_BYTES).unwrap_or(raw);
    out.insert("raw_data".into(), String::from_utf8_lossy(shown).into());
    out.insert("raw_data_size".into(), raw.len().into());
    out.insert("raw_data_hash".into(), fingerprint(raw));
}

/// The SHA-256 of `bytes` as a Fingerprint object.
pub fn fingerprint(bytes: &[u8]) -> Json {
    json!({"algorithm": "SHA-256", "algorithm_id": 3, "value": hex(&Sha256::digest(bytes))})
}

/// An event's fields in the attributes of its class.
struct Mapped {
    class: &'static table::Class,
    activity: u64,
    severity: u8,
    tree: Map<String, Json>,
    /// Attributes of fields that have several values, of which one stands in the tree.
    several: Vec<String>,
    observables: Vec<Json>,
    unmapped: Map<String, Json>,
}

impl Mapped {
    /// What OCSF calls the type: class and activity as one number.
    fn type_uid(&self) -> u64 {
        self.class.uid * 100 + self.activity
    }

    /// The objects that may stand in an evidence object.
    fn evidence(&self) -> Map<String, Json> {
        let objects = EVIDENCE.iter().filter_map(|name| Some(((*name).to_owned(), self.tree.get(*name)?.clone())));
        objects.collect()
    }

    fn new(record: &Record<'_>, taxonomy: &Taxonomy) -> Self {
        let table = Table::embedded();
        let lookup = Lookup { event: record.event, kind: record.kind, taxonomy };
        let entry = table.entry(taxonomy.kind_name(record.kind), &lookup);
        if let Some(entry) = entry {
            let class = table.class(&entry.class);
            let mapped = Self::of_class(class, entry, table, &lookup);
            if class.is_complete(&mapped.tree) {
                return mapped;
            }
        }
        Self::of_class(table.base(), table.base_entry(), table, &lookup)
    }

    fn of_class(
        class: &'static table::Class,
        entry: &'static Entry,
        table: &'static Table,
        lookup: &Lookup<'_>,
    ) -> Self {
        let mut tree = Map::new();
        let (mut placed, mut several) = (Vec::new(), Vec::new());
        for field in table.fields(entry) {
            let value = field.sources.iter().find_map(|source| {
                let (name, text) = lookup.value(source)?;
                let values = field.convert.apply(&text)?;
                Some((source, name, values))
            });
            let Some((source, name, values)) = value else {
                continue;
            };
            let is_one = lookup.is_one(source);
            for (path, json) in values {
                let path = table::join(&field.path, path);
                if put(&mut tree, &path, json) {
                    if !is_one {
                        several.push(path.clone());
                    }
                    placed.push((path, name.clone()));
                }
            }
        }
        for (path, constant) in &entry.set {
            if table::parent_exists(&tree, path) {
                put(&mut tree, path, constant.clone());
            }
        }
        Table::complete(&mut tree);
        table.prune(&mut tree);
        placed.retain(|(path, _)| table::get(&tree, path).is_some());
        let used: Vec<&str> = placed.iter().map(|(_, name)| name.as_str()).collect();
        Self {
            class,
            activity: entry.activity(lookup),
            severity: table.severity(lookup.taxonomy.kind_name(lookup.kind), lookup),
            observables: observables(&tree),
            unmapped: unmapped(lookup.event, &used),
            several,
            tree,
        }
    }
}

/// Puts `json` at `path` unless something stands there already.
fn put(tree: &mut Map<String, Json>, path: &str, json: Json) -> bool {
    match path.split_once('.') {
        None => {
            let free = !tree.contains_key(path);
            if free {
                tree.insert(path.to_owned(), json);
            }
            free
        }
        Some((first, rest)) => {
            let inner = tree.entry(first.to_owned()).or_insert_with(|| Map::new().into());
            inner.as_object_mut().is_some_and(|o| put(o, rest, json))
        }
    }
}

/// The fields of an event by the names that rules use.
struct Lookup<'a> {
    event: &'a Event,
    kind: KindId,
    taxonomy: &'a Taxonomy,
}

impl Lookup<'_> {
    /// The first value of `field` that says something, with the name it stands under.
    fn value(&self, field: &str) -> Option<(String, String)> {
        let names = self.taxonomy.sources(self.kind, field);
        names.iter().find_map(|name| {
            let text = self.event.values(name).filter_map(Value::text).find(|t| !matches!(t.trim(), "" | "-"))?;
            Some((name.to_string(), text.to_owned()))
        })
    }

    /// Whether all values of `field` that say something are the same.
    fn is_one(&self, field: &str) -> bool {
        let names = self.taxonomy.sources(self.kind, field);
        let mut values = (names.iter())
            .flat_map(|name| self.event.values(name).filter_map(Value::text))
            .filter(|text| !matches!(text.trim(), "" | "-"));
        let first = values.next();
        values.all(|value| Some(value) == first)
    }
}

/// Everything whose name is not among `used`.
fn unmapped(event: &Event, used: &[&str]) -> Map<String, Json> {
    let mut unmapped = Map::new();
    for (name, value) in &event.fields {
        let json = match value {
            _ if used.contains(&name.as_str()) => continue,
            Value::Text(text) => Json::from(text.as_str()),
            Value::Number(text) => number(text),
            Value::Bool(truth) => Json::from(*truth),
            Value::Null => Json::Null,
            // Its members stand for themselves.
            Value::Object(text) if text != "{}" => continue,
            Value::Object(_) => Map::new().into(),
            Value::EmptyArray => json!([]),
        };
        match unmapped.get_mut(name) {
            None => {
                unmapped.insert(name.clone(), json);
            }
            Some(Json::Array(list)) => list.push(json),
            Some(first) => *first = Json::Array(vec![first.take(), json]),
        }
    }
    unmapped
}

/// A number as JSON; as text when it is none that JSON parsers keep.
fn number(text: &str) -> Json {
    serde_json::from_str::<serde_json::Number>(text).map_or_else(|_| text.into(), Json::Number)
}

/// Attributes whose values others may want to look up: last segment of the path, `type_id` and its caption.
const OBSERVABLE: &[(&str, u8, &str)] =
    &[("hostname", 1, "Hostname"), ("ip", 2, "IP Address"), ("url_string", 6, "URL String")];

fn observables(tree: &Map<String, Json>) -> Vec<Json> {
    let mut found = Vec::new();
    walk(tree, "", &mut found);
    found
}

/// Adds the observables of `tree`, whose path is `path`. The tree is as deep as the paths of the table.
fn walk(tree: &Map<String, Json>, path: &str, found: &mut Vec<Json>) {
    for (name, value) in tree {
        let path = table::join(path, name);
        match value {
            Json::Object(inner) => walk(inner, &path, found),
            Json::String(text) => {
                let user = (name == "name" && path.ends_with("user.name")).then_some((4, "User Name"));
                let known = OBSERVABLE.iter().find(|(n, ..)| n == name).map(|&(_, id, caption)| (id, caption));
                if let Some((id, caption)) = known.or(user) {
                    found.push(json!({"name": path, "type_id": id, "type": caption, "value": text}));
                }
            }
            Json::Array(list) if name == "hashes" => {
                for hash in list.iter().filter_map(|h| h.get("value")) {
                    found.push(json!({"name": path, "type_id": 8, "type": "Hash", "value": hash}));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
