//! What the server finds while events come in.

use std::path::Path;

use khien_testkit::server::{Server, add_soc};
use serde_json::json;

const KHIEN: &str = env!("CARGO_BIN_EXE_khien");

const RULES: &str = "title: Door tried
id: 6f5b1c1e-8a39-4d0e-9d9e-0b1f6a5d0c01
name: door_tried
status: test
level: low
logsource: {product: doors}
detection:
    selection: {action: tried}
    condition: selection
---
title: Door tried often
id: 6f5b1c1e-8a39-4d0e-9d9e-0b1f6a5d0c02
status: test
level: high
correlation:
    type: event_count
    rules: [door_tried]
    group-by: [badge]
    timespan: 10m
    condition: {gte: 3}
";

/// Somebody tries a door.
fn tried(minute: u32, badge: &str) -> Vec<u8> {
    format!("{{\"time\":\"2026-11-20T10:{minute:02}:00Z\",\"action\":\"tried\",\"badge\":\"{badge}\"}}\n").into_bytes()
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn correlations_go_on_over_restarts_and_find_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let rules = write(folder.path(), "doors.yml", RULES);
    let arguments = ["--rules", rules.as_str()];
    let (a, b) = (add_soc(KHIEN, &data, "soc-a", &[]), add_soc(KHIEN, &data, "soc-b", &[]));
    let server = Server::start(KHIEN, &data, &arguments);
    assert_eq!(server.post("/v1/ingest?source=doors", &a, &tried(1, "7")).status, 200);
    assert_eq!(server.post("/v1/ingest?source=doors", &b, &tried(2, "7")).status, 200);
    let count = "SELECT count(*) AS n FROM events";
    assert_eq!(server.wait_for(&a, count, &json!([{"n": 1}])), json!([{"n": 1}]));
    server.kill();
    // Nothing of the first match is lost, and the match of another SOC does not count.
    let server = Server::start(KHIEN, &data, &arguments);
    server.post("/v1/ingest?source=doors", &a, &tried(3, "7"));
    server.post("/v1/ingest?source=doors", &a, &tried(3, "8"));
    assert_eq!(server.wait_for(&a, count, &json!([{"n": 3}])), json!([{"n": 3}]));
    let found = "SELECT rule_title, level, organisation, entity, matched, json_length FROM (SELECT *, \
        length(events) - length(replace(events, ',', '')) + 1 AS json_length FROM findings) \
        WHERE analytic = 'correlation'";
    assert_eq!(server.query(&a, found), json!([]));
    server.stop();
    let server = Server::start(KHIEN, &data, &arguments);
    server.post("/v1/ingest?source=doors", &a, &tried(4, "7"));
    let hit = json!([{
        "rule_title": "Door tried often", "level": "high", "organisation": "soc-a", "entity": "badge:7",
        "matched": "{\"badge\":\"7\"}", "json_length": 3,
    }]);
    assert_eq!(server.wait_for(&a, found, &hit), hit);
    for _ in 0..2 {
        server.post("/v1/ingest?source=doors", &a, &tried(5, "7"));
    }
    assert_eq!(server.wait_for(&a, count, &json!([{"n": 5}])), json!([{"n": 5}]));
    server.kill();
    let server = Server::start(KHIEN, &data, &arguments);
    server.post("/v1/ingest?source=doors", &a, &tried(6, "9"));
    assert_eq!(server.wait_for(&a, count, &json!([{"n": 6}])), json!([{"n": 6}]));
    assert_eq!(server.query(&a, found), hit);
    assert_eq!(server.query(&b, found), json!([]));
    server.stop();
}

#[test]
fn indicators_are_looked_for_in_everything() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let list = write(folder.path(), "list.txt", "203.0.113.66\nbad.example\n");
    let token = add_soc(KHIEN, &data, "soc-a", &[]);
    let server = Server::start(KHIEN, &data, &["--indicators", &list]);
    let lines =
        b"{\"peer\":{\"address\":\"203.0.113.66\"}}\n<13>Nov 25 10:00:00 h app: asks for www.bad.example now\n{}\n";
    assert_eq!(server.post("/v1/ingest", &token, lines).status, 200);
    let sql = "SELECT analytic, pack, matched FROM findings ORDER BY event_id";
    let wanted = json!([
        {"analytic": "indicator", "pack": "indicators", "matched": "{\"peer.address\":\"203.0.113.66\"}"},
    ]);
    let seen = server.wait_for(&token, "SELECT count(*) AS n FROM events", &json!([{"n": 3}]));
    assert_eq!(seen, json!([{"n": 3}]));
    let found = server.query(&token, sql);
    assert_eq!(found[0], wanted[0]);
    server.stop();
}
