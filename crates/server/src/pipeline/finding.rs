//! Findings as rows.

use std::sync::LazyLock;

use khien_detect::correlate::{Correlation, CorrelationHit};
use khien_detect::finding::{Head, Matched, Source};
use khien_detect::rule::Level;
use khien_event::ocsf::flat::{COLUMNS, Flat, Scalar};
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

/// A finding on one event, kept until all is known of the event.
pub(super) struct Held {
    pub(super) head: Head,
    pub(super) time_ns: Option<i64>,
    /// The fields that matched, as a JSON object.
    pub(super) matched: String,
    /// The pack that the rule came in.
    pub(super) pack: String,
    /// The exception that silences it.
    pub(super) exception: Option<String>,
}

/// Adds a finding on one event, which is about `entity`.
pub(super) fn push(rows: &mut FindingRows, origin: &Origin<'_>, held: &Held, entity: Option<&str>) {
    let head = &held.head;
    let analytic = match head.source {
        Source::Rule => "rule",
        Source::Correlation => "correlation",
        Source::Indicator => "indicator",
    };
    rows.push(&FindingRow {
        event_id: origin.event_id,
        time_ns: held.time_ns.or(origin.sent_ns),
        received_ms: origin.batch.origin.received_ms,
        organisation: &origin.batch.origin.organisation,
        source: &origin.batch.origin.source,
        analytic,
        rule_id: &head.id,
        rule_title: &head.title,
        level: head.level.name(),
        severity_id: severity(head.level),
        tags: &Value::from(head.tags.clone()).to_string(),
        matched: &held.matched,
        events: &format!("[{}]", origin.event_id),
        pack: &held.pack,
        entity,
        exception: held.exception.as_deref(),
    });
}

/// Adds what a correlation found when the batch of `received_ms` came.
pub(super) fn push_hit(
    rows: &mut FindingRows,
    hit: &CorrelationHit<'_>,
    rule: &Correlation,
    received_ms: i64,
    pack: &str,
) {
    let group: Map<String, Value> =
        hit.group.iter().map(|(field, value)| ((*field).to_owned(), Value::from(*value))).collect();
    let entity: Vec<String> = hit.group.iter().map(|(field, value)| format!("{field}:{value}")).collect();
    let mut events: Vec<u64> = hit.evidence.iter().map(|event| event.position).collect();
    events.dedup();
    rows.push(&FindingRow {
        event_id: hit.position,
        time_ns: Some(hit.time_ns),
        received_ms,
        organisation: hit.scope,
        // Its events may come from several.
        source: "",
        analytic: "correlation",
        rule_id: &rule.id,
        rule_title: &rule.title,
        level: rule.level.name(),
        severity_id: severity(rule.level),
        tags: &Value::from(rule.tags.clone()).to_string(),
        matched: &Value::Object(group).to_string(),
        events: &Value::from(events).to_string(),
        pack,
        entity: (!entity.is_empty()).then(|| entity.join(" ")).as_deref(),
        exception: None,
    });
}

/// Columns that say what an event is about, the most telling first, and what they are called then.
const ENTITIES: [(&str, &str); 6] = [
    ("device_hostname", "host"),
    ("src_endpoint_ip", "ip"),
    ("src_endpoint_hostname", "host"),
    ("user_name", "user"),
    ("actor_user_name", "user"),
    ("dst_endpoint_ip", "ip"),
];

/// What an event is about.
pub(super) fn entity(flat: &Flat) -> Option<String> {
    static PLACES: LazyLock<Vec<(usize, &str)>> = LazyLock::new(|| {
        let place = |name| COLUMNS.iter().position(|column| column.name == name);
        ENTITIES.iter().filter_map(|(name, what)| Some((place(*name)?, *what))).collect()
    });
    PLACES.iter().find_map(|(place, what)| match flat.values.iter().find(|(column, _)| column == place)? {
        (_, Scalar::Text(text)) if !text.is_empty() => Some(format!("{what}:{text}")),
        _ => None,
    })
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
pub(super) fn matched<'a>(fields: impl IntoIterator<Item = Matched<'a>>) -> String {
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
