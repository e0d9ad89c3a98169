//! Findings in OCSF 1.8: each event once, as an event of its own class, then a Detection Finding for each finding on it.
//!
//! The two are tied by `metadata.uid` of the event and `finding_info.related_events[].uid`. Events whose kind has no
//! class of its own are Base Events, which is what OCSF has them for. Both carry the raw record with its SHA-256.
//! <https://schema.ocsf.io/1.8.0/classes/detection_finding>

use khien_detect::finding::{Evidence, Finding, Head, Source};
use khien_detect::rule::Level;
use sha2::{Digest as _, Sha256};

use super::heads::Heads;
use super::{Block, Place, Render, Shared, json, ndjson};
use crate::attack::{self, Techniques};

/// The version of the schema.
pub const VERSION: &str = "1.8.0";

/// Turns an event into the members that its own OCSF class has beside those every class has.
pub trait EventClass: Send {
    /// Appends members, each with a comma after it, for the event of `finding`, and says which class it is. `None` when
    /// the kind of event has no class; nothing is appended then.
    fn members(&mut self, finding: &Finding<'_>, out: &mut Vec<u8>) -> Option<Class>;
}

/// The class of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// `class_uid`
    pub class: u32,
    /// `category_uid`
    pub category: u32,
    /// `activity_id`
    pub activity: u32,
}

impl Class {
    /// Base Event, activity Other.
    const BASE: Self = Self { class: 0, category: 0, activity: 99 };

    /// `type_uid`, which OCSF defines as the class times 100 plus the activity.
    fn type_uid(self) -> u64 {
        u64::from(self.class) * 100 + u64::from(self.activity)
    }
}

/// Knows no class but the Base Event.
#[derive(Clone, Copy, Debug, Default)]
pub struct BaseOnly;

impl EventClass for BaseOnly {
    fn members(&mut self, _finding: &Finding<'_>, _out: &mut Vec<u8>) -> Option<Class> {
        None
    }
}

/// See the module text.
pub struct Ocsf {
    heads: Heads,
    shared: Shared,
    classes: Box<dyn EventClass>,
    /// The event written last, its type and the rendered members about its raw record.
    last: Option<(u32, u64)>,
    last_type: u64,
    raw_members: Vec<u8>,
    event_members: Vec<u8>,
    uid: String,
}

impl Ocsf {
    /// A renderer that writes events as Base Events.
    pub fn new(shared: &Shared) -> Self {
        Self::with_classes(shared, Box::new(BaseOnly))
    }

    /// A renderer that writes events in the classes `classes` knows.
    pub fn with_classes(shared: &Shared, classes: Box<dyn EventClass>) -> Self {
        let techniques = shared.techniques.clone();
        Self {
            heads: Heads::new(move |head, out| head_members(head, &*techniques, out)),
            shared: shared.clone(),
            classes,
            last: None,
            last_type: 0,
            raw_members: Vec::new(),
            event_members: Vec::new(),
            uid: String::new(),
        }
    }

    /// Writes the event, unless it was the last one written into this block.
    fn event(&mut self, place: Place, finding: &Finding<'_>, out: &mut Vec<u8>) {
        if !out.is_empty() && self.last == Some((place.file, finding.position)) {
            return;
        }
        self.last = Some((place.file, finding.position));
        self.uid = event_uid(self.shared.file(place.file), finding.position);
        self.raw_members.clear();
        raw_members(finding.raw, &mut self.raw_members);
        self.event_members.clear();
        let class = self.classes.members(finding, &mut self.event_members);
        let class = class.unwrap_or(Class::BASE);
        self.last_type = class.type_uid();

        out.push(b'{');
        out.extend_from_slice(&self.event_members);
        member("activity_id", u64::from(class.activity), out);
        member("category_uid", u64::from(class.category), out);
        member("class_uid", u64::from(class.class), out);
        member("type_uid", class.type_uid(), out);
        // An event as such is of no severity: Informational.
        member("severity_id", 1, out);
        self.time_and_metadata(place, finding, &self.uid, out);
        out.push(b',');
        out.extend_from_slice(&self.raw_members);
        out.extend_from_slice(b"}\n");
    }

    fn time_and_metadata(&self, place: Place, finding: &Finding<'_>, uid: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"time\":");
        signed(finding.time_ns.map_or(0, |ns| ns.div_euclid(1_000_000)), out);
        out.extend_from_slice(b",\"metadata\":{\"version\":");
        json::string(VERSION, out);
        out.extend_from_slice(b",\"product\":{\"name\":\"Khi\xc3\xaan\",\"version\":");
        json::string(env!("CARGO_PKG_VERSION"), out);
        out.extend_from_slice(b"},\"uid\":");
        json::string(uid, out);
        out.extend_from_slice(b",\"source\":");
        json::string(self.shared.file(place.file), out);
        if let Some(ns) = finding.time_ns {
            out.extend_from_slice(b",\"original_time\":\"");
            json::time(ns, out);
            out.push(b'"');
        }
        out.push(b'}');
    }

    fn detection(&mut self, place: Place, finding: &Finding<'_>, out: &mut Vec<u8>) {
        let uid = format!("{}@{}", finding.head.id, self.uid);
        out.extend_from_slice(
            b"{\"activity_id\":1,\"activity_name\":\"Create\",\"category_uid\":2,\"category_name\":\"Findings\",\
              \"class_uid\":2004,\"class_name\":\"Detection Finding\",\"type_uid\":200401,\"status_id\":1,",
        );
        self.time_and_metadata(place, finding, &uid, out);
        out.extend_from_slice(b",\"finding_info\":{\"uid\":");
        json::string(&uid, out);
        out.extend_from_slice(b",\"related_events\":[");
        related(&self.uid, Some(self.last_type), finding.time_ns, out);
        for event in finding.evidence {
            out.push(b',');
            self.evidence(event, out);
        }
        out.extend_from_slice(b"],");
        out.extend_from_slice(self.heads.get(finding.head));
        out.extend_from_slice(b",\"evidences\":[{\"data\":");
        ndjson::matched(finding.matched, out);
        out.extend_from_slice(b"}],");
        out.extend_from_slice(&self.raw_members);
        out.extend_from_slice(b"}\n");
    }

    fn evidence(&self, event: &Evidence, out: &mut Vec<u8>) {
        let uid = event_uid(self.shared.file(event.file), event.position);
        related(&uid, None, event.time_ns, out);
    }
}

impl Render for Ocsf {
    fn finding(&mut self, place: Place, finding: &Finding<'_>, block: &mut Block) {
        block.counts.add(finding.head.level);
        self.event(place, finding, &mut block.bytes);
        self.detection(place, finding, &mut block.bytes);
    }
}

/// The id of an event: stable for the same files given in the same way.
fn event_uid(file: &str, position: u64) -> String {
    format!("{file}#{position}")
}

/// Appends a related event.
fn related(uid: &str, type_uid: Option<u64>, time_ns: Option<i64>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"uid\":");
    json::string(uid, out);
    if let Some(type_uid) = type_uid {
        out.extend_from_slice(b",\"type_uid\":");
        json::number(type_uid, out);
    }
    if let Some(ns) = time_ns {
        out.extend_from_slice(b",\"created_time\":");
        signed(ns.div_euclid(1_000_000), out);
    }
    out.push(b'}');
}

/// Appends a member with a number and a comma.
fn member(name: &str, value: u64, out: &mut Vec<u8>) {
    json::string(name, out);
    out.push(b':');
    json::number(value, out);
    out.push(b',');
}

fn signed(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    json::number(number.unsigned_abs(), out);
}

/// Appends the raw record, its size in bytes and its SHA-256.
fn raw_members(raw: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"raw_data\":");
    json::string_lossy(raw, out);
    out.extend_from_slice(b",\"raw_data_size\":");
    json::number(raw.len() as u64, out);
    out.extend_from_slice(b",\"raw_data_hash\":{\"algorithm\":\"SHA-256\",\"algorithm_id\":3,\"value\":\"");
    for byte in Sha256::digest(raw) {
        json::hex(byte, out);
    }
    out.extend_from_slice(b"\"}");
}

/// Appends the rest of `finding_info`, which is the same for every finding of a rule, and the severity.
fn head_members(head: &Head, techniques: &dyn Techniques, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"title\":");
    json::string(&head.title, out);
    out.extend_from_slice(b",\"analytic\":{\"type\":");
    let (kind, id) = match head.source {
        Source::Rule | Source::Correlation => ("Rule", 1),
        Source::Indicator => ("Fingerprinting", 5),
    };
    json::string(kind, out);
    out.push(b',');
    member("type_id", id, out);
    out.extend_from_slice(b"\"name\":");
    json::string(&head.title, out);
    out.extend_from_slice(b",\"uid\":");
    json::string(&head.id, out);
    out.extend_from_slice(b",\"category\":");
    json::string(ndjson::source(head.source), out);
    out.push(b'}');
    tags(&head.tags, head.author.as_deref(), out);
    attacks(&attack::of_tags(&head.tags, techniques), techniques, out);
    let (severity, id) = severity(head.level);
    out.extend_from_slice(b"},\"severity\":");
    json::string(severity, out);
    out.extend_from_slice(b",\"severity_id\":");
    json::number(id, out);
    out.extend_from_slice(b",\"message\":");
    json::string(&head.title, out);
}

/// Appends tags and author as `finding_info.tags`.
fn tags(tags: &[String], author: Option<&str>, out: &mut Vec<u8>) {
    if tags.is_empty() && author.is_none() {
        return;
    }
    out.extend_from_slice(b",\"tags\":[");
    if !tags.is_empty() {
        out.extend_from_slice(b"{\"name\":\"tags\",\"values\":[");
        for (i, tag) in tags.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            json::string(tag, out);
        }
        out.extend_from_slice(b"]}");
    }
    if let Some(author) = author {
        if !tags.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"name\":\"author\",\"value\":");
        json::string(author, out);
        out.push(b'}');
    }
    out.push(b']');
}

/// Appends `finding_info.attacks`.
fn attacks(list: &[attack::Attack], techniques: &dyn Techniques, out: &mut Vec<u8>) {
    if list.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"attacks\":[");
    for (i, attack) in list.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.push(b'{');
        match (attack.kind, attack.id.split_once('.')) {
            (attack::Kind::Tactic, _) => named("tactic", &attack.id, attack.name.as_deref(), out),
            (attack::Kind::Technique, None) => {
                named("technique", &attack.id, attack.name.as_deref(), out);
            }
            (attack::Kind::Technique, Some((technique, _))) => {
                named("technique", technique, techniques.name(technique), out);
                out.push(b',');
                named("sub_technique", &attack.id, attack.name.as_deref(), out);
            }
        }
        out.push(b'}');
    }
    out.push(b']');
}

fn named(member: &str, id: &str, name: Option<&str>, out: &mut Vec<u8>) {
    json::string(member, out);
    out.extend_from_slice(b":{\"uid\":");
    json::string(id, out);
    if let Some(name) = name {
        out.extend_from_slice(b",\"name\":");
        json::string(name, out);
    }
    out.push(b'}');
}

/// `severity` and `severity_id` of a level.
fn severity(level: Level) -> (&'static str, u64) {
    match level {
        Level::Informational => ("Informational", 1),
        Level::Low => ("Low", 2),
        Level::Medium => ("Medium", 3),
        Level::High => ("High", 4),
        Level::Critical => ("Critical", 5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Output;
    use crate::output::{Form, Renders, sample};

    #[test]
    fn findings_are_ocsf() {
        let text = String::from_utf8(sample::rendered(Output::Ocsf).bytes).unwrap();
        let version = format!("\"version\":\"{}\"}}", env!("CARGO_PKG_VERSION"));
        insta::assert_snapshot!("ocsf", text.replace(&version, "\"version\":\"…\"}"));
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let class = value["class_uid"].as_u64().unwrap();
            let activity = value["activity_id"].as_u64().unwrap();
            assert_eq!(value["type_uid"], class * 100 + activity);
        }
    }

    /// Asks the published JSON schemas, where Python has the package `ocsf-json-schema` and `jsonschema`.
    #[test]
    fn findings_are_valid_against_the_published_schema() {
        let python = std::env::var("KHIEN_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let findings = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(findings.path(), sample::rendered(Output::Ocsf).bytes).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ocsf_judge.py");
        let run = std::process::Command::new(python).arg(script).arg(findings.path()).output();
        let Ok(run) = run else {
            return println!("skipped: there is no Python");
        };
        let said = String::from_utf8_lossy(&run.stdout);
        match run.status.code() {
            Some(0) => assert_eq!(said.trim(), "6 valid"),
            Some(77) => println!("skipped: {said}"),
            _ => panic!("{said}{}", String::from_utf8_lossy(&run.stderr)),
        }
    }

    #[test]
    fn an_event_with_several_findings_is_written_once() {
        let renders = Renders { output: Output::Ocsf, shared: sample::shared() };
        let mut render = crate::engine::NewRender::render(&renders);
        let mut block = Block::default();
        let place = Place { file: 0, form: Form::Json };
        for id in ["a", "b"] {
            let head = sample::head(id, Level::Low, &[]);
            render.finding(place, &sample::finding(&head, b"{}", &[], &[]), &mut block);
        }
        let text = String::from_utf8(block.bytes).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert_eq!(text.matches("\"class_uid\":0").count(), 1);
    }
}
