//! The fast engine against the plain evaluator, on generated rules and events.

use std::borrow::Cow;
use std::sync::Arc;

use khien_event::event::Event;
use khien_event::json::{Emit, JsonDecoder};
use khien_event::json_slow::{event_from_json, kind_of_event, shape_of_event};
use khien_event::taxonomy::Taxonomy;
use proptest::prelude::*;

use super::*;
use crate::reference;
use crate::scope::is_tried;
use crate::testgen::{Sample, sample, samples};

/// `(rule id, event number)` of every match, by the fast engine.
fn fast(rules: Vec<Rule>, records: &[Vec<u8>]) -> Vec<(String, u64)> {
    let taxonomy = Taxonomy::embedded();
    let detector = Arc::new(Detector::new(rules, &[], taxonomy));
    let mut worker = Worker::new(detector.clone());
    let mut decoder = JsonDecoder::new(detector.names().clone(), taxonomy, Emit::Named);
    let mut found = Vec::new();
    for (i, record) in records.iter().enumerate() {
        let each = &mut |_: usize, f: &Finding<'_>, _: &Fields| {
            for matched in f.matched {
                serde_json::from_str::<serde::de::IgnoredAny>(matched.json).expect("matched values are JSON");
            }
            found.push((f.head.id.clone(), f.position));
        };
        worker.record(&mut decoder, record, i as u64, each).expect("generated records are valid");
    }
    found
}

/// The same by the plain evaluator.
fn slow(rules: &[Rule], records: &[Vec<u8>]) -> Vec<(String, u64)> {
    let taxonomy = Taxonomy::embedded();
    let mut found = Vec::new();
    for (i, record) in records.iter().enumerate() {
        let event: Event = event_from_json(record, taxonomy).expect("generated records are valid");
        let kind = kind_of_event(&event, shape_of_event(&event, taxonomy), taxonomy);
        let sources = |field: &str| taxonomy.sources(kind, field).into_iter().map(Cow::into_owned).collect();
        let mut ids: Vec<_> = rules
            .iter()
            .filter(|rule| is_tried(rule, kind, taxonomy) && reference::matches(rule, &event, &sources))
            .map(|rule| (rule.id.clone(), i as u64))
            .collect();
        ids.sort();
        found.extend(ids);
    }
    found
}

fn compare(Sample { rules, events }: Sample) -> Result<(), TestCaseError> {
    let records: Vec<Vec<u8>> = events.into_iter().map(|e| e.json).collect();
    // The same events many times over, so that caches answer and signs are chosen again.
    let repeated: Vec<Vec<u8>> = records.iter().cycle().take(records.len() * 70).cloned().collect();
    let expected = slow(&rules, &records);
    prop_assert_eq!(&fast(rules.clone(), &records), &expected);
    let many = fast(rules.clone(), &repeated);
    prop_assert_eq!(many.len(), expected.len() * 70);
    let mut turned = rules;
    turned.reverse();
    prop_assert_eq!(fast(turned, &records), expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn fast_is_slow(sample in samples()) {
        compare(sample)?;
    }
}

/// What the kind of event decides by itself is part of what a finding shows.
#[test]
fn fields_that_are_folded_away_are_shown() {
    use crate::rule::load::{Loader, Placeholders};
    let text = "title: T\nid: t\nlogsource: {product: windows, service: system}\ndetection:\n  a: {EventID: 7045}\n  condition: a\n";
    let mut loader = Loader::new(Placeholders::default());
    loader.add_file("t.yml", text);
    let detector = Arc::new(Detector::new(loader.finish().rules, &[], Taxonomy::embedded()));
    let mut worker = Worker::new(detector.clone());
    let mut decoder = JsonDecoder::new(detector.names().clone(), Taxonomy::embedded(), Emit::Named);
    let record = br#"{"Channel":"System","EventID":7045,"ServiceName":"x"}"#;
    let mut shown = Vec::new();
    let mut each = |_: usize, f: &Finding<'_>, _: &Fields| {
        shown.extend(f.matched.iter().map(|m| (m.field.to_owned(), m.json.to_owned())));
    };
    worker.record(&mut decoder, record, 1, &mut each).unwrap();
    assert_eq!(shown, [("EventID".to_owned(), "7045".to_owned())]);
}

/// Samples that once differed.
#[test]
fn regressions() {
    let found: [&[u8]; 5] = [
        &[],
        &[0; 40],
        &[255; 200],
        &[
            165, 38, 0, 0, 1, 0, 44, 0, 0, 0, 0, 46, 0, 0, 1, 0, 0, 0, 0, 0, 148, 0, 0, 0, 0, 46, 52, 96, 2, 0, 0, 0,
            1, 0, 0, 78, 46, 52, 96, 2,
        ],
        &[
            1, 119, 0, 0, 0, 0, 46, 0, 0, 153, 0, 0, 0, 0, 0, 127, 92, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 92, 76, 0, 92, 0,
            0, 153, 253, 175, 238, 0, 76, 1, 87, 46, 124, 0, 153, 253, 175, 238,
        ],
    ];
    for bytes in found {
        compare(sample(bytes)).unwrap();
    }
}
