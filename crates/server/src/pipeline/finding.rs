//! Findings as rows.

use khien_detect::finding::{Finding, Matched, Source};
use khien_detect::rule::Level;
use khien_ingest::batch::Batch;
use khien_lake::{FindingRow, FindingRows};
use serde_json::{Map, Value};

/// The event of a finding.
pub(super) struct Origin<'a> {
    pub(super) event_id: u64,
    pub(super) batch: &'a Batch,
    /// When its sender says it happened, for events that do not say so themselves.
    pub(super) sent_ns: Option<i64>,
}

/// Adds a finding.
pub(super) fn push(rows: &mut FindingRows, origin: &Origin<'_>, finding: &Finding<'_>) {
    let head = finding.head;
    let analytic = match head.source {
        Source::Rule => "rule",
        Source::Correlation => "correlation",
        Source::Indicator => "indicator",
    };
    rows.push(&FindingRow {
        event_id: origin.event_id,
        time_ns: finding.time_ns.or(origin.sent_ns),
        received_ms: origin.batch.origin.received_ms,
        organisation: &origin.batch.origin.organisation,
        source: &origin.batch.origin.source,
        analytic,
        rule_id: &head.id,
        rule_title: &head.title,
        level: head.level.name(),
        severity_id: severity(head.level),
        tags: &Value::from(head.tags.clone()).to_string(),
        matched: &matched(finding.matched),
        events: &format!("[{}]", origin.event_id),
    });
}

/// A level as OCSF numbers severities.
fn severity(level: Level) -> u8 {
    match level {
        Level::Informational => 1,
        Level::Low => 2,
        Level::Medium => 3,
        Level::High => 4,
        Level::Critical => 5,
    }
}

/// The fields that matched as one object; a field with different values has an array of them.
fn matched(fields: &[Matched<'_>]) -> String {
    let mut object: Map<String, Value> = Map::new();
    for field in fields {
        // What the engine hands out is JSON; a number that no parser keeps stays text.
        let value = serde_json::from_str(field.json).unwrap_or_else(|_| Value::from(field.json));
        match object.get_mut(field.field) {
            None => {
                object.insert(field.field.to_owned(), value);
            }
            Some(Value::Array(values)) if !values.contains(&value) => values.push(value),
            Some(first) if *first != value && !first.is_array() => *first = Value::Array(vec![first.take(), value]),
            Some(_) => {}
        }
    }
    Value::Object(object).to_string()
}
