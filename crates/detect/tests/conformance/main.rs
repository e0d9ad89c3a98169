//! The statements of the Sigma specification, one row each in `cases.yml`, by the fast engine and the plain evaluator.

#![expect(clippy::unwrap_used, reason = "a row that cannot be read is a failed test")]

use std::borrow::Cow;
use std::sync::Arc;

use khien_detect::engine::{Detector, Worker};
use khien_detect::reference;
use khien_detect::rule::load::{Loader, Placeholders, RuleSet};
use khien_event::json::{Emit, JsonDecoder};
use khien_event::json_slow::{event_from_json, kind_of_event, shape_of_event};
use khien_event::taxonomy::Taxonomy;
use serde::Deserialize;
use yaml_serde::{Mapping, Value};

/// A row.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    says: String,
    rule: Mapping,
    #[serde(default)]
    hits: Vec<String>,
    #[serde(default)]
    misses: Vec<String>,
    refused: Option<String>,
}

impl Case {
    fn load(&self) -> RuleSet {
        let mut detection = self.rule.clone();
        if !detection.contains_key("condition") {
            detection.insert("condition".into(), "sel".into());
        }
        let mut rule = Mapping::new();
        rule.insert("title".into(), self.says.as_str().into());
        rule.insert("id".into(), "929a690e-bef0-4204-a928-ef5e620d6fcc".into());
        rule.insert("logsource".into(), Value::Mapping([("category".into(), "test".into())].into_iter().collect()));
        rule.insert("detection".into(), Value::Mapping(detection));
        let mut placeholders = Placeholders::default();
        placeholders.add("known", ["one".to_owned(), "two*".to_owned()]);
        let mut loader = Loader::new(placeholders);
        loader.add_file("cases.yml", &yaml_serde::to_string(&rule).unwrap());
        loader.finish()
    }

    /// What is wrong with this row.
    fn faults(&self) -> Vec<String> {
        let set = self.load();
        let reasons: Vec<String> = set.problems.iter().map(|problem| problem.reason.to_string()).collect();
        if let Some(word) = &self.refused {
            let as_said = set.rules.is_empty() && reasons.iter().any(|reason| reason.contains(word));
            return if as_said { Vec::new() } else { vec![format!("not refused for {word}: {reasons:?}")] };
        }
        if set.rules.is_empty() || self.hits.is_empty() || self.misses.is_empty() {
            return vec![format!("refused or without events: {reasons:?}")];
        }
        let wanted = self.hits.iter().map(|event| (event, true)).chain(self.misses.iter().map(|event| (event, false)));
        let mut faults = Vec::new();
        for (event, wanted) in wanted {
            let found = [("fast", fast(&set, event)), ("plain", plain(&set, event))];
            faults.extend(
                found.iter().filter(|(_, hit)| *hit != wanted).map(|(by, hit)| format!("{by}: {event} is {hit}")),
            );
        }
        faults
    }
}

fn fast(set: &RuleSet, event: &str) -> bool {
    let detector = Arc::new(Detector::new(set.rules.clone(), &[], Taxonomy::embedded()));
    let mut worker = Worker::new(detector.clone());
    let mut decoder = JsonDecoder::new(detector.names().clone(), Taxonomy::embedded(), Emit::Named);
    let mut count = 0;
    worker.record(&mut decoder, event.as_bytes(), 1, &mut |_, _, _| count += 1).unwrap();
    count > 0
}

fn plain(set: &RuleSet, event: &str) -> bool {
    let taxonomy = Taxonomy::embedded();
    let event = event_from_json(event.as_bytes(), taxonomy).unwrap();
    let kind = kind_of_event(&event, shape_of_event(&event, taxonomy), taxonomy);
    let sources = |field: &str| taxonomy.sources(kind, field).into_iter().map(Cow::into_owned).collect();
    reference::matches(&set.rules[0], &event, &sources)
}

#[test]
fn every_statement_holds() {
    let cases: Vec<Case> = yaml_serde::from_str(include_str!("cases.yml")).unwrap();
    let faults: Vec<String> = cases
        .iter()
        .flat_map(|case| case.faults().into_iter().map(move |fault| format!("{}: {fault}", case.says)))
        .collect();
    assert!(faults.is_empty(), "{} of {} statements:\n{}", faults.len(), cases.len(), faults.join("\n"));
    println!("{} statements hold", cases.len());
}
