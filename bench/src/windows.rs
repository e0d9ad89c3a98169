//! What kind of Windows event a line holds, nested as `evtx_dump` writes it or flat.

use serde_json::{Map, Value};

/// Channel in small letters and event number.
pub type Kind = (String, u64);

const SYSMON: &str = "microsoft-windows-sysmon/operational";
const POWERSHELL: &str = "microsoft-windows-powershell/operational";

/// Channel and number; `None` where the event names no number.
pub fn kind(event: &Value) -> Option<Kind> {
    let system = event.pointer("/Event/System").unwrap_or(event);
    let channel = system.get("Channel").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    Some((channel, number(system.get("EventID")?)?))
}

/// A number written as number, as text or with attributes.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Object(members) => number(members.get("#text")?),
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}

/// The category under which figures are published; named as Sigma names it where it does.
pub fn category((channel, id): &Kind) -> &'static str {
    match (channel.as_str(), id) {
        (SYSMON, 1) | ("security", 4688) => "process_creation",
        (SYSMON, 3) => "network_connection",
        (SYSMON, 7) => "image_load",
        (SYSMON, 8) => "create_remote_thread",
        (SYSMON, 9) => "raw_access_thread",
        (SYSMON, 10) => "process_access",
        (SYSMON, 11) => "file_event",
        (SYSMON, 12 | 14) => "registry_add_delete",
        (SYSMON, 13) => "registry_set",
        (SYSMON, 17 | 18) => "pipe_created",
        (SYSMON, 22) => "dns_query",
        (SYSMON, 23 | 26) => "file_delete",
        (POWERSHELL, 4103) => "ps_module",
        (POWERSHELL, 4104) => "ps_script",
        ("windows powershell", _) => "ps_classic",
        ("security", _) => "security",
        (SYSMON, _) => "sysmon_other",
        _ => "other",
    }
}

/// The event as the peers are given it: flat, and labelled with its log source, which spares them the routing.
///
/// `category` is `none` for events that no category of Sigma covers, because an absent label would let every rule through.
pub fn prepared(event: &Value) -> Value {
    let kind = kind(event).unwrap_or_default();
    let category = match category(&kind) {
        "security" | "other" | "sysmon_other" => "none",
        "registry_add_delete" => "registry_event",
        "ps_classic" => "ps_classic_start",
        category => category,
    };
    let service = match kind.0.as_str() {
        SYSMON => "sysmon",
        POWERSHELL => "powershell",
        "windows powershell" => "powershell-classic",
        "" => "none",
        channel => channel,
    };
    let mut flat = Map::new();
    match event.get("Event") {
        None => flat.extend(event.as_object().cloned().unwrap_or_default()),
        Some(nested) => {
            for part in ["System", "EventData", "UserData"] {
                flatten(nested.get(part), &mut flat);
            }
        }
    }
    let labels = [("product", "windows"), ("category", category), ("service", service)];
    flat.extend(labels.map(|(name, label)| (name.to_owned(), label.into())));
    Value::Object(flat)
}

/// Members of `part`, those of `#attributes` included, without what is already there.
fn flatten(part: Option<&Value>, flat: &mut Map<String, Value>) {
    let Some(members) = part.and_then(Value::as_object) else { return };
    for (name, value) in members {
        let attributes = value.get("#attributes").and_then(Value::as_object);
        let text = value.get("#text").or(if attributes.is_none() { Some(value) } else { None });
        if let Some(text) = text {
            flat.entry(name.clone()).or_insert_with(|| text.clone());
        }
        for (attribute, value) in attributes.into_iter().flatten() {
            flat.entry(format!("{name}_{attribute}")).or_insert_with(|| value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_shapes_are_recognised() {
        let flat = json!({"Channel": "Security", "EventID": 4688});
        let nested = json!({"Event": {"System": {"Channel": "security", "EventID": {"#text": "4688"}}}});
        assert_eq!(kind(&flat), kind(&nested));
        assert_eq!(category(&kind(&flat).unwrap()), "process_creation");
        assert_eq!(kind(&json!({"Channel": "Security"})), None);
    }

    #[test]
    fn peers_get_flat_labelled_events() {
        let nested = json!({"Event": {
            "System": {"Provider": {"#attributes": {"Name": "P"}}, "EventID": 4688, "Channel": "Security"},
            "EventData": {"NewProcessName": "a.exe"},
        }});
        let expected = json!({
            "Provider_Name": "P", "EventID": 4688, "Channel": "Security", "NewProcessName": "a.exe",
            "product": "windows", "category": "process_creation", "service": "security",
        });
        assert_eq!(prepared(&nested), expected);
        let flat = json!({"Channel": "System", "EventID": 7045});
        assert_eq!(prepared(&flat)["category"], "none");
        assert_eq!(prepared(&flat)["service"], "system");
    }
}
