//! The fast engine equals the plain evaluator on real rules and events.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use khien_detect::reference;
use khien_detect::rule::Rule;
use khien_detect::scope::is_tried;
use khien_event::decode::{Decode, Decoded};
use khien_event::event::{Event, Value};
use khien_event::fields::{Fields, Kind, ShapeId};
use khien_event::json_slow::{event_from_json, kind_of_event, shape_of_event};
use khien_event::names::Names;
use khien_event::taxonomy::{KindId, Taxonomy};
use khien_event::text::{LineFormat, TextDecoder};
use khien_testkit::read_tar_zst;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::run::{Match, NOW_NS, Run, detector, rule_set, sample};

/// The plain evaluator over many rules; remembers what does not depend on the event.
struct Slow<'a> {
    rules: Vec<&'a Rule>,
    taxonomy: &'static Taxonomy,
    /// Indices of the rules for each kind of event.
    of_kind: HashMap<KindId, Vec<usize>>,
    /// Sources of the fields that rules name.
    sources: RefCell<HashMap<(KindId, String), Vec<String>>>,
    found: Vec<Match>,
}

impl<'a> Slow<'a> {
    fn new(rules: &'a [Rule]) -> Self {
        let mut rules: Vec<_> = rules.iter().collect();
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        let taxonomy = Taxonomy::embedded();
        Self { rules, taxonomy, of_kind: HashMap::new(), sources: RefCell::default(), found: Vec::new() }
    }

    fn json(&mut self, record: &[u8], position: u64) {
        let event = event_from_json(record, self.taxonomy).unwrap();
        let shape = shape_of_event(&event, self.taxonomy);
        self.event(&event, shape, position);
    }

    fn event(&mut self, event: &Event, shape: ShapeId, position: u64) {
        let Self { rules, taxonomy, of_kind, sources, found } = self;
        let kind = kind_of_event(event, shape, taxonomy);
        let of_this =
            |rules: &[&Rule]| (0..rules.len()).filter(|&i| is_tried(rules[i], kind, taxonomy)).collect::<Vec<_>>();
        let indices = of_kind.entry(kind).or_insert_with(|| of_this(rules));
        let sources = |field: &str| {
            let mut known = sources.borrow_mut();
            let look_up = || taxonomy.sources(kind, field).into_iter().map(std::borrow::Cow::into_owned).collect();
            known.entry((kind, field.to_owned())).or_insert_with(look_up).clone()
        };
        let matching = indices.iter().filter(|&&i| reference::matches(rules[i], event, &sources));
        found.extend(matching.map(|&i| (rules[i].id.clone(), position)));
    }
}

/// Compares the two on JSON records; gives the number of findings.
fn compare_json(rules: &[Rule], records: &[(u64, Vec<u8>)]) -> usize {
    let mut fast = Run::new(&detector(rules.to_vec()));
    let mut slow = Slow::new(rules);
    let mut count = 0;
    for (position, record) in records {
        fast.record(record, *position);
        slow.json(record, *position);
        let found = fast.take();
        assert_eq!(found, std::mem::take(&mut slow.found), "event {position}");
        count += found.len();
    }
    count
}

#[test]
fn windows_events() {
    let (Some(set), Some(records)) = (rule_set(), sample("windows_evtx_dev.jsonl.zst", 20)) else { return };
    let count = compare_json(&set.rules, &records);
    println!("{} Windows events, {count} findings", records.len());
    assert!(count > 50);
}

#[test]
fn flat_windows_events() {
    let (Some(set), Some(records)) = (rule_set(), sample("windows_otrf_flat_dev.jsonl.zst", 300)) else { return };
    let count = compare_json(&set.rules, &records);
    println!("{} flat Windows events, {count} findings", records.len());
}

/// A line of the cloud corpus; the event stands inside.
#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow)]
    event: &'a RawValue,
}

#[test]
fn cloud_events() {
    let (Some(set), Some(records)) = (rule_set(), sample("cloud_saas_events_panther.jsonl.zst", 4)) else { return };
    let inner = |line: &[u8]| serde_json::from_slice::<Wrapped<'_>>(line).unwrap().event.get().as_bytes().to_vec();
    let records: Vec<_> = records.iter().map(|(position, line)| (*position, inner(line))).collect();
    let count = compare_json(&set.rules, &records);
    println!("{} cloud events, {count} findings", records.len());
    assert!(count > 0);
}

/// Compares the two on every `step`th line of text; gives the numbers of events and of findings.
fn compare_text(rules: &[Rule], files: &[(String, Vec<u8>)], step: usize) -> (usize, usize) {
    let mut fast = Run::new(&detector(rules.to_vec()));
    let mut slow = Slow::new(rules);
    let mut decoder = TextDecoder::new(LineFormat::Any, NOW_NS);
    let mut fields = Fields::with_labels(Arc::new(Names::new()));
    let (mut events, mut count) = (0, 0);
    let lines = files.iter().flat_map(|(_, file)| file.split(|&b| b == b'\n'));
    for line in lines.step_by(step).filter(|line| !line.starts_with(b"{")) {
        fields.clear();
        if decoder.decode(line, &mut fields) != Ok(Decoded::Event) {
            continue;
        }
        events += 1;
        fast.record(line, events as u64);
        slow.event(&event_of(&fields, line), fields.shape, events as u64);
        let found = fast.take();
        assert_eq!(found, std::mem::take(&mut slow.found), "{}", String::from_utf8_lossy(line));
        count += found.len();
    }
    (events, count)
}

/// The event that a text decoder read.
fn event_of(fields: &Fields, record: &[u8]) -> Event {
    let value = |field| {
        let text = String::from_utf8(fields.bytes(record, field).to_vec()).unwrap();
        match field.kind {
            Kind::Text => Value::Text(text),
            Kind::Number => Value::Number(text),
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Null => Value::Null,
            Kind::Object => Value::Object(text),
            Kind::EmptyArray => Value::EmptyArray,
            Kind::Escaped => {
                let mut plain = Vec::new();
                khien_event::json::unescape_into(text.as_bytes(), &mut plain);
                Value::Text(String::from_utf8(plain).unwrap())
            }
        }
    };
    let list = fields.list().iter().enumerate();
    Event { fields: list.map(|(i, field)| (fields.label(i).to_owned(), value(field))).collect() }
}

#[test]
fn lines_of_text() {
    let Some(set) = rule_set() else { return };
    // Lines that no format fits are tried on every rule, which is what makes this slow.
    for (archive, step) in [("syslog_cef_leef_dev.tar.zst", 2), ("crowdsec_parser_logs_dev.tar.zst", 10)] {
        let Some(files) = read_tar_zst(archive) else { return };
        let (events, count) = compare_text(&set.rules, &files, step);
        println!("{archive}: {events} lines, {count} findings");
        assert!(events > 300);
    }
}
