//! Tests of the mapping; validity against the schema is judged in `tests/ocsf.rs`.

use super::*;
use crate::json_slow::{event_from_json, kind_of_event, shape_of_event};

fn mapped(json: &str) -> Json {
    with_record(json, |record| Normalised::new(*record, Taxonomy::embedded()).event())
}

fn with_record<T>(json: &str, use_it: impl FnOnce(&Record<'_>) -> T) -> T {
    let table = Taxonomy::embedded();
    let event = event_from_json(json.as_bytes(), table).expect("valid JSON");
    let kind = kind_of_event(&event, shape_of_event(&event, table), table);
    use_it(&Record { event: &event, kind, raw: json.as_bytes(), place: PLACE })
}

const PLACE: Place<'_> = Place { time_ns: Some(1_600_000_000_123_456_789), file: "a.jsonl", position: 7 };

const PROCESS: &str = r#"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Computer":"pc1",
    "Image":"C:\\Windows\\notepad.exe","ProcessId":"12","CommandLine":"notepad a.txt","User":"PC1\\an",
    "ParentImage":"C:\\Windows\\explorer.exe","ParentProcessId":4,"Hashes":"MD5=00","Mystery":[1,"x"]}"#;

#[test]
fn the_embedded_table_loads() {
    Table::parse(include_str!("../../content/taxonomy/ocsf.toml")).expect("the file is right");
}

#[test]
fn a_process_start_has_its_class() {
    let event = mapped(PROCESS);
    assert_eq!(event["class_uid"], 1007);
    assert_eq!(event["type_uid"], 100_701);
    assert_eq!(event["time"], 1_600_000_000_123_i64);
    assert_eq!(event["process"]["file"]["name"], "notepad.exe");
    assert_eq!(event["process"]["pid"], 12);
    assert_eq!(event["process"]["parent_process"]["pid"], 4);
    assert_eq!(event["actor"]["process"]["file"]["name"], "explorer.exe");
    assert_eq!(event["device"]["hostname"], "pc1");
    assert_eq!(event["unmapped"], json!({"Mystery": [1, "x"]}));
    assert_eq!(event["raw_data"], PROCESS);
    assert_eq!(event["raw_data_hash"]["value"].as_str().map(str::len), Some(64));
}

#[test]
fn what_a_class_lacks_makes_a_base_event() {
    let event = mapped(r#"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Image":"C:\\x.exe"}"#);
    assert_eq!(event["class_uid"], 0);
    assert_eq!(event["unmapped"]["Image"], "C:\\x.exe");
}

#[test]
fn objects_without_what_they_need_go_to_unmapped() {
    let event = mapped(&PROCESS.replace(r#""ParentProcessId":4"#, r#""ParentProcessId":"?""#));
    assert!(event["process"].get("parent_process").is_none());
    assert_eq!(event["unmapped"]["ParentImage"], "C:\\Windows\\explorer.exe");
}

#[test]
fn a_finding_names_rule_attack_and_evidence() {
    let tags = [
        "attack.execution".to_owned(),
        "attack.t1059.001".to_owned(),
        "attack.persistence".to_owned(),
        "cve.2024-1".to_owned(),
    ];
    let input = FindingInput {
        analytic: Analytic::Rule,
        rule_id: "a-rule",
        title: "A rule",
        description: Some("What it finds"),
        author: Some("An"),
        level: "high",
        tags: &tags,
        matched: &json!({"Image": "C:\\Windows\\notepad.exe"}),
    };
    let found = with_record(PROCESS, |r| Normalised::new(*r, Taxonomy::embedded()).finding(&input));
    assert_eq!(found["class_uid"], 2004);
    assert_eq!(found["severity_id"], 4);
    assert_eq!(found["finding_info"]["analytic"]["uid"], "a-rule");
    let attacks = &found["finding_info"]["attacks"];
    assert_eq!(attacks[0]["technique"]["uid"], "T1059");
    assert_eq!(attacks[0]["sub_technique"]["name"], "PowerShell");
    assert_eq!(attacks[0]["tactic"]["uid"], "TA0002");
    assert_eq!(attacks[1], json!({"tactic": {"uid": "TA0003", "name": "Persistence"}}));
    let evidence = &found["evidences"][0];
    assert_eq!(evidence["process"]["pid"], 12);
    assert_eq!(evidence["data"]["matched"]["Image"], "C:\\Windows\\notepad.exe");
    let event = mapped(PROCESS);
    let related = &found["finding_info"]["related_events"][0];
    assert_eq!((&related["uid"], &related["type_uid"]), (&event["metadata"]["uid"], &event["type_uid"]));

    let others = [Place { position: 3, time_ns: None, ..PLACE }, PLACE];
    let together = correlation(&input, &PLACE, &others);
    assert_eq!(together["finding_info"]["related_events"].as_array().map(Vec::len), Some(2));
    assert!(together.get("raw_data").is_none());
}
