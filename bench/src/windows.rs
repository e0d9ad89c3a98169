//! What kind of Windows event a line holds, nested as `evtx_dump` writes it or flat.

use serde_json::Value;

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
}
