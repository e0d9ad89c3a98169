//! Findings as rows.

use std::sync::LazyLock;

use khien_detect::correlate::{Correlation, CorrelationHit};
use khien_detect::finding::{Head, Matched, Source};
use khien_detect::rule::Level;
use khien_event::ocsf::flat::{COLUMNS, Flat, Scalar};
use khien_lake::{FindingRow, FindingRows, row_time};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The event of a finding.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) event_id: u64,
    pub(crate) organisation: &'a str,
    pub(crate) source: &'a str,
    pub(crate) received_ms: i64,
    /// When its sender says it happened, for events that do not say so themselves.
    pub(crate) sent_ns: Option<i64>,
}

/// A finding on one event, kept until all is known of the event.
pub(crate) struct Held {
    pub(crate) head: Head,
    pub(crate) time_ns: Option<i64>,
    /// The fields that matched, as a JSON object.
    pub(crate) matched: String,
    /// The pack that the rule came in.
    pub(crate) pack: String,
    /// The exception that silences it.
    pub(crate) exception: Option<String>,
}

/// A finding with everything that is known of it. As JSON it is like a row of the table of findings.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    pub(crate) event_id: u64,
    /// Microseconds since 1970.
    pub(crate) time_us: i64,
    pub(crate) received_ms: i64,
    pub(crate) organisation: String,
    pub(crate) source: String,
    pub(crate) analytic: &'static str,
    pub(crate) rule_id: String,
    pub(crate) rule_title: String,
    pub(crate) level: &'static str,
    pub(crate) severity_id: u8,
    pub(crate) tags: Vec<String>,
    /// A JSON object.
    pub(crate) matched: Box<RawValue>,
    pub(crate) events: Vec<u64>,
    pub(crate) pack: String,
    pub(crate) entity: Option<String>,
    pub(crate) exception: Option<String>,
    #[serde(skip)]
    pub(crate) time_ns: Option<i64>,
}

/// Text that is JSON, as it is.
fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl Found {
    /// On one event, which is about `entity`.
    pub(crate) fn on(origin: &Origin<'_>, held: Held, entity: Option<&str>) -> Self {
        let Held { head, time_ns, matched, pack, exception } = held;
        let time_ns = time_ns.or(origin.sent_ns);
        Self {
            event_id: origin.event_id,
            time_us: row_time(time_ns, origin.received_ms).0,
            received_ms: origin.received_ms,
            organisation: origin.organisation.to_owned(),
            source: origin.source.to_owned(),
            analytic: match head.source {
                Source::Rule => "rule",
                Source::Correlation => "correlation",
                Source::Indicator => "indicator",
            },
            rule_id: head.id,
            rule_title: head.title,
            level: head.level.name(),
            severity_id: severity(head.level),
            tags: head.tags,
            matched: raw(matched),
            events: vec![origin.event_id],
            pack,
            entity: entity.map(str::to_owned),
            exception,
            time_ns,
        }
    }

    /// What a correlation found when a batch of `received_ms` came.
    pub(crate) fn of_hit(hit: &CorrelationHit<'_>, rule: &Correlation, received_ms: i64, pack: &str) -> Self {
        let group: Map<String, Value> =
            hit.group.iter().map(|(field, value)| ((*field).to_owned(), Value::from(*value))).collect();
        let entity: Vec<String> = hit.group.iter().map(|(field, value)| format!("{field}:{value}")).collect();
        let mut events: Vec<u64> = hit.evidence.iter().map(|event| event.position).collect();
        events.dedup();
        Self {
            event_id: hit.position,
            time_us: row_time(Some(hit.time_ns), received_ms).0,
            received_ms,
            organisation: hit.scope.to_owned(),
            // Its events may come from several.
            source: String::new(),
            analytic: "correlation",
            rule_id: rule.id.clone(),
            rule_title: rule.title.clone(),
            level: rule.level.name(),
            severity_id: severity(rule.level),
            tags: rule.tags.clone(),
            matched: raw(Value::Object(group).to_string()),
            events,
            pack: pack.to_owned(),
            entity: (!entity.is_empty()).then(|| entity.join(" ")),
            exception: None,
            time_ns: Some(hit.time_ns),
        }
    }

    /// Adds it to the rows of a batch.
    pub(crate) fn push(&self, rows: &mut FindingRows, batch: u64) {
        rows.push(&FindingRow {
            event_id: self.event_id,
            time_ns: self.time_ns,
            received_ms: self.received_ms,
            organisation: &self.organisation,
            source: &self.source,
            analytic: self.analytic,
            rule_id: &self.rule_id,
            rule_title: &self.rule_title,
            level: self.level,
            severity_id: self.severity_id,
            tags: &Value::from(self.tags.clone()).to_string(),
            matched: self.matched.get(),
            events: &Value::from(self.events.clone()).to_string(),
            pack: &self.pack,
            entity: self.entity.as_deref(),
            exception: self.exception.as_deref(),
            batch,
        });
    }
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
pub(crate) fn entity(flat: &Flat) -> Option<String> {
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
