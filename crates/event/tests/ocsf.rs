//! OCSF events and findings against the published schema; see [`khien_testkit::ocsf`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use khien_event::json_slow::{event_from_json, kind_of_event, shape_of_event};
use khien_event::ocsf::{self, Analytic, FindingInput, Normalised, Place, Record};
use khien_event::taxonomy::Taxonomy;
use khien_testkit::ocsf::{judge, python};

/// Events of our own, one for every kind of mapping.
const SAMPLES: &str = include_str!("ocsf_samples.jsonl");

/// Most events of one kind that are taken from a corpus.
const PER_KIND: usize = 12;

/// The event's own class and a finding on it, as two lines.
fn lines_of(json: &[u8], position: u64, out: &mut String) -> (String, u64) {
    let table = Taxonomy::embedded();
    let event = event_from_json(json, table).expect("valid JSON");
    let kind = kind_of_event(&event, shape_of_event(&event, table), table);
    let place = Place { time_ns: Some(1_700_000_000_000_000_000), file: "logs/a.jsonl", position };
    let normalised = Normalised::new(Record { event: &event, kind, raw: json, place }, table);
    let tags = ["attack.execution", "attack.t1059.001", "attack.newer", "tlp.green"].map(String::from);
    let input = FindingInput {
        analytic: Analytic::Rule,
        rule_id: "00000000-0000-0000-0000-000000000000",
        title: "A rule",
        description: Some("Finds something"),
        author: Some("Somebody"),
        level: "critical",
        tags: &tags,
        matched: &serde_json::json!({"Image": "x", "Ports": [1, 2]}),
    };
    let own = normalised.event();
    let class = own["class_uid"].as_u64().expect("a class");
    writeln!(out, "{own}").expect("strings take everything");
    writeln!(out, "{}", normalised.finding(&input)).expect("strings take everything");
    let together = ocsf::correlation(&input, &place, &[Place { position: position + 1, ..place }]);
    writeln!(out, "{together}").expect("strings take everything");
    (table.kind_name(kind).to_owned(), class)
}

#[test]
fn our_samples_are_valid_and_have_their_classes() {
    let mut lines = String::new();
    let mut classes = BTreeSet::new();
    for (number, line) in SAMPLES.lines().enumerate() {
        let sample: serde_json::Value = serde_json::from_str(line).expect("valid JSON");
        let json = sample["event"].to_string();
        let (kind, class) = lines_of(json.as_bytes(), number as u64 + 1, &mut lines);
        assert_eq!(Some(class), sample["class"].as_u64(), "{kind}: {json}");
        classes.insert(class);
    }
    assert!(classes.len() >= 15, "{classes:?}");
    if let Some(python) = python() {
        judge(&python, &lines);
    }
}

#[test]
fn events_of_the_corpora_are_valid() {
    let (Some(windows), Some(cloud)) = (
        khien_testkit::read_zst("windows_evtx_dev.jsonl.zst"),
        khien_testkit::read_zst("cloud_saas_events_panther.jsonl.zst"),
    ) else {
        return;
    };
    let Some(python) = python() else {
        return;
    };
    let mut lines = String::new();
    let mut counts: BTreeMap<(String, u64), usize> = BTreeMap::new();
    let mut take = |json: &[u8], position| {
        let mut two = String::new();
        let (kind, class) = lines_of(json, position, &mut two);
        let count = counts.entry((kind, class)).or_default();
        *count += 1;
        if *count <= PER_KIND {
            lines.push_str(&two);
        }
    };
    for (number, line) in windows.split(|&b| b == b'\n').enumerate() {
        if !line.is_empty() {
            take(line, number as u64 + 1);
        }
    }
    for (number, line) in cloud.split(|&b| b == b'\n').enumerate() {
        if !line.is_empty() {
            let record: serde_json::Value = serde_json::from_slice(line).expect("valid JSON");
            take(record["event"].to_string().as_bytes(), number as u64 + 1);
        }
    }
    for ((kind, class), count) in &counts {
        println!("{count:6} {kind} {class}");
    }
    judge(&python, &lines);
}
