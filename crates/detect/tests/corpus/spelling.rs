//! Windows events as other programs write them.

use serde_json::{Map, Value, json};

/// A program's way to write an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Spelling {
    /// Winlogbeat 7 and later: everything below `winlog`, ECS fields beside it.
    Winlogbeat,
    /// Winlogbeat 6: `event_data`, `log_name`.
    WinlogbeatOld,
    /// The module `im_msvistalog` of `NXLog` with `to_json()`: one flat object.
    Nxlog,
    /// Flat records with the names of the event's XML.
    Flat,
}

/// Rewrites an event that `evtx_dump` wrote. `None` for those whose data have no names or are not plain values, and for
/// those that a flat record cannot hold, because their data name what the record says itself.
pub(crate) fn spell(record: &[u8], spelling: Spelling) -> Option<Vec<u8>> {
    let event: Value = serde_json::from_slice(record).ok()?;
    let system = event["Event"]["System"].as_object()?;
    let data = event["Event"]["EventData"].as_object()?;
    if data.values().any(|value| value.is_object() || value.is_array()) {
        return None;
    }
    let spelled = match spelling {
        Spelling::Winlogbeat => winlogbeat(system, data),
        Spelling::WinlogbeatOld => winlogbeat_old(system, data),
        Spelling::Nxlog => flat(system, data, ["EventTime", "SourceName", "Hostname", "RecordNumber"])?,
        Spelling::Flat => flat(system, data, ["TimeCreated", "Provider_Name", "Computer", "EventRecordID"])?,
    };
    Some(spelled.to_string().into_bytes())
}

/// The parts of `System` that every program writes.
struct Head<'a> {
    id: &'a Value,
    channel: &'a Value,
    computer: &'a Value,
    provider: &'a Value,
    record: &'a Value,
    time: &'a Value,
}

fn head(system: &Map<String, Value>) -> Head<'_> {
    const NULL: &Value = &Value::Null;
    let get = |name: &str| system.get(name).unwrap_or(NULL);
    let id = get("EventID");
    Head {
        // With qualifiers it is an object.
        id: id.get("#text").unwrap_or(id),
        channel: get("Channel"),
        computer: get("Computer"),
        provider: &get("Provider")["#attributes"]["Name"],
        record: get("EventRecordID"),
        time: &get("TimeCreated")["#attributes"]["SystemTime"],
    }
}

/// The same value as text, which is all that Winlogbeat writes of event data.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Bool(truth) => Value::String(truth.to_string()),
        other => other.clone(),
    }
}

fn texts(data: &Map<String, Value>) -> Map<String, Value> {
    data.iter().map(|(name, value)| (name.clone(), as_text(value))).collect()
}

fn winlogbeat(system: &Map<String, Value>, data: &Map<String, Value>) -> Value {
    let head = head(system);
    json!({
        "@timestamp": head.time,
        "ecs": {"version": "8.0.0"},
        "event": {"code": as_text(head.id), "kind": "event", "provider": head.provider},
        "host": {"name": head.computer},
        "winlog": {
            "api": "wineventlog",
            "channel": head.channel,
            "computer_name": head.computer,
            "event_data": texts(data),
            "event_id": as_text(head.id),
            "provider_name": head.provider,
            "record_id": head.record,
        },
    })
}

fn winlogbeat_old(system: &Map<String, Value>, data: &Map<String, Value>) -> Value {
    let head = head(system);
    json!({
        "@timestamp": head.time,
        "computer_name": head.computer,
        "event_data": texts(data),
        "event_id": head.id,
        "log_name": head.channel,
        "record_number": as_text(head.record),
        "source_name": head.provider,
        "type": "wineventlog",
    })
}

fn flat(system: &Map<String, Value>, data: &Map<String, Value>, names: [&str; 4]) -> Option<Value> {
    let head = head(system);
    let mut record = Map::new();
    let values = [head.time, head.provider, head.computer, head.record];
    for (name, value) in names.into_iter().zip(values).chain([("Channel", head.channel), ("EventID", head.id)]) {
        record.insert(name.to_owned(), value.clone());
    }
    for (name, value) in data {
        if record.insert(name.clone(), value.clone()).is_some() {
            return None;
        }
    }
    Some(Value::Object(record))
}
