//! What the server finds while events come in.

use std::path::Path;
use std::time::Duration;

use khien_testkit::postgres::Postgres;
use khien_testkit::server::{Server, add_operator, add_soc, administer, administer_state};
use serde_json::{Value, json};

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
    generate: true
    condition: {gte: 3}
";

/// Somebody tries a door.
fn tried(minute: u32, badge: &str) -> Vec<u8> {
    format!("{{\"time\":\"2026-11-20T10:{minute:02}:00Z\",\"action\":\"tried\",\"badge\":\"{badge}\"}}\n").into_bytes()
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the folder can be written");
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

/// Asks until `done` says so, for a while; the last answer.
fn wait(server: &Server, path: &str, token: &str, done: impl Fn(&Value) -> bool) -> Value {
    let mut answer = Value::Null;
    for _ in 0..200 {
        answer = server.ask("GET", path, token, &Value::Null).1;
        if done(&answer) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    answer
}

/// Waits until the rules have changed so often.
fn rules_changed(server: &Server, times: u64) {
    let wanted = format!("khien_rules_revision {times}\n");
    for _ in 0..600 {
        if server.request("GET", "/metrics", &[], b"").body.contains(&wanted) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the rules did not change {times} times");
}

fn alerts(server: &Server, token: &str, count: usize) -> Vec<Value> {
    let page = wait(server, "/v1/alerts", token, |page| page["alerts"].as_array().is_some_and(|a| a.len() == count));
    page["alerts"].as_array().expect("a list").clone()
}

/// Asks for the events until there are so many.
fn has_events(server: &Server, token: &str, count: u64) {
    let wanted = json!([{"n": count}]);
    assert_eq!(server.wait_for(token, "SELECT count(*) AS n FROM events", &wanted), wanted);
}

#[test]
fn packs_go_live_and_their_findings_become_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let rules = RULES.replace("level: low", "level: medium");
    let (a, b) = (add_soc(KHIEN, &data, "soc-a", &[]), add_soc(KHIEN, &data, "soc-b", &[]));
    let watch = add_operator(KHIEN, &data, "trực ban");
    let server = Server::start(KHIEN, &data, &[]);
    server.post("/v1/ingest", &a, &tried(1, "7"));
    has_events(&server, &a, 1);

    let authorization = [("authorization", format!("Bearer {watch}"))];
    let authorization: Vec<(&str, &str)> = authorization.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let added = server.request("PUT", "/v1/packs/doors", &authorization, rules.as_bytes());
    assert_eq!((added.status, &added.json()["pack"]["state"]), (201, &json!("draft")), "{added:?}");
    let broken = server.request("PUT", "/v1/packs/doors", &authorization, b"title: x");
    assert_eq!((broken.status, &broken.json()["error"]["code"]), (400, &json!("pack")), "{broken:?}");
    assert_eq!(server.ask("PUT", "/v1/packs/doors", &a, &Value::Null).0, 400);
    assert_eq!(
        server.request("PUT", "/v1/packs/doors", &[("authorization", &format!("Bearer {a}"))], rules.as_bytes()).status,
        403
    );
    let (status, live) = server.ask("POST", "/v1/packs/doors/live", &watch, &json!({"organisations": ["soc-a"]}));
    assert_eq!((status, &live["pack"]["organisations"]), (200, &json!(["soc-a"])), "{live}");

    // A rule in force looks at what comes, until then nothing was found.
    let mut sent = 1;
    let mut found = Vec::new();
    while found.is_empty() && sent < 200 {
        server.post("/v1/ingest", &a, &tried(2, &format!("{sent}")));
        server.post("/v1/ingest", &b, &tried(2, &format!("{sent}")));
        sent += 1;
        std::thread::sleep(Duration::from_millis(50));
        found = server.ask("GET", "/v1/alerts", &a, &Value::Null).1["alerts"].as_array().unwrap().clone();
    }
    let alert = found[0].clone();
    assert_eq!(
        (&alert["title"], &alert["organisation"], &alert["state"]),
        (&json!("Door tried"), &json!("soc-a"), &json!("new"))
    );
    assert_eq!(alert["pack"], json!("doors@1"));
    assert_eq!(server.ask("GET", "/v1/alerts", &b, &Value::Null).1["alerts"], json!([]));
    has_events(&server, &a, sent);
    // All findings are in the one alert, as all are about the same.
    let count = "SELECT count(*) AS n FROM findings";
    let findings = server.query(&watch, count)[0]["n"].clone();
    let one = wait(&server, "/v1/alerts", &watch, |page| page["alerts"][0]["findings"] == findings);
    assert_eq!((one["alerts"].as_array().unwrap().len(), &one["alerts"][0]["findings"]), (1, &findings));

    let path = format!("/v1/alerts/{}", alert["id"].as_str().unwrap());
    assert_eq!(server.ask("GET", &path, &b, &Value::Null).0, 404);
    assert_eq!(server.ask("PATCH", &path, &b, &json!({"state": "closed"})).0, 404);
    let change = json!({"from": "new", "state": "false_positive", "note": "cửa thử nghiệm"});
    assert_eq!(server.ask("PATCH", &path, &a, &change).0, 200);
    assert_eq!(server.ask("PATCH", &path, &watch, &change).0, 409);
    let (_, seen) = server.ask("GET", &path, &watch, &Value::Null);
    assert_eq!(
        (&seen["history"][0]["actor"], &seen["history"][0]["detail"]["note"]),
        (&json!("soc-a"), &json!("cửa thử nghiệm"))
    );

    // An exception keeps the finding and silences it, for the correlation too.
    let list = json!({"entries": [{"value": "GUARD", "reason": "night watch"}]});
    assert_eq!(server.ask("PUT", "/v1/exception-lists/guards", &watch, &list).0, 200);
    let exception = json!({"list": "guards", "field": "badge", "reason": "they try doors"});
    let (status, made) = server.ask("POST", "/v1/exceptions", &watch, &exception);
    assert_eq!(status, 201, "{made}");
    rules_changed(&server, 3);
    for minute in 10..14 {
        server.post("/v1/ingest", &a, &tried(minute, "guard"));
    }
    has_events(&server, &a, sent + 4);
    let silenced = "SELECT count(*) AS n, count(exception) AS e, min(exception) AS id FROM findings WHERE matched LIKE '%guard%' OR exception IS NOT NULL";
    let id = &made["exception"]["id"];
    assert_eq!(server.query(&a, silenced), json!([{"n": 4, "e": 4, "id": id}]));

    server.ask("DELETE", "/v1/packs/doors/live", &watch, &Value::Null);
    rules_changed(&server, 4);
    server.post("/v1/ingest", &a, &tried(20, "9"));
    has_events(&server, &a, sent + 5);
    let after = server.query(&watch, "SELECT count(*) AS n FROM findings WHERE exception IS NULL");
    assert_eq!(after[0]["n"], findings);
    assert_eq!(alerts(&server, &watch, 1).len(), 1);
    server.stop();
    let listed = administer(KHIEN, &data, &["admin", "pack", "list", "--lang", "en"]);
    assert!(listed.starts_with("doors@1\tretired\tall SOCs\t2 rules"), "{listed}");
}

#[test]
fn hunts_find_what_rules_would_have_found() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let rules = write(folder.path(), "doors.yml", RULES);
    let (a, b) = (add_soc(KHIEN, &data, "soc-a", &[]), add_soc(KHIEN, &data, "soc-b", &[]));
    let watch = add_operator(KHIEN, &data, "watch");
    let server = Server::start(KHIEN, &data, &["--rules", &rules]);
    for minute in 0..6 {
        server.post("/v1/ingest", &a, &tried(minute, "7"));
        server.post("/v1/ingest", &b, &tried(minute, "8"));
    }
    server.post("/v1/ingest", &b, b"<13>Nov 25 10:00:00 h app: no door\n{broken\n");
    has_events(&server, &a, 6);
    has_events(&server, &b, 8);
    let live = "SELECT rule_id, organisation, matched FROM findings ORDER BY 1, 2, 3";
    let live = server.query(&watch, live);
    assert!(live.as_array().unwrap().len() > 12, "{live}");

    let whole = json!({"rules": RULES, "from_ms": 0, "to_ms": 4_102_444_800_000_i64});
    let (status, begun) = server.ask("POST", "/v1/hunts", &watch, &whole);
    assert_eq!(status, 202, "{begun}");
    let path = format!("/v1/hunts/{}", begun["hunt"]["id"].as_str().unwrap());
    let done = wait(&server, &path, &watch, |hunt| hunt["hunt"]["stage"] == json!("done"));
    assert_eq!((&done["hunt"]["events"], &done["hunt"]["events_done"]), (&json!(14), &json!(14)), "{done}");
    let authorization = format!("Bearer {watch}");
    let found = server.request("GET", &format!("{path}/findings"), &[("authorization", &authorization)], b"").body;
    let mut found: Vec<(String, String, String)> = (found.lines())
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|f| {
            let text = |name: &str| f[name].as_str().unwrap().to_owned();
            (text("rule_id"), text("organisation"), f["matched"].to_string())
        })
        .collect();
    found.sort();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let live: Vec<(String, String, String)> = (live.as_array().unwrap().iter())
        .map(|row| (text(row, "rule_id"), text(row, "organisation"), text(row, "matched")))
        .collect();
    assert_eq!(found, live);

    // A SOC hunts in its own events, and nobody else sees it.
    let (_, own) =
        server.ask("POST", "/v1/hunts", &a, &json!({"indicators": "7.7.7.7\nno.example\n", "from_ms": 0, "to_ms": 1}));
    let own = format!("/v1/hunts/{}", own["hunt"]["id"].as_str().unwrap());
    assert_eq!(wait(&server, &own, &a, |hunt| hunt["hunt"]["stage"] == json!("done"))["hunt"]["events"], json!(0));
    for (path, token) in [(&own, &b), (&path, &a)] {
        assert_eq!(server.ask("GET", path, token, &Value::Null).0, 404);
        assert_eq!(server.ask("DELETE", path, token, &Value::Null).0, 404);
        assert_eq!(server.ask("GET", &format!("{path}/findings"), token, &Value::Null).0, 404);
    }
    for (body, status) in [
        (json!({"rules": RULES, "from_ms": 5, "to_ms": 5}), 400),
        (json!({"from_ms": 0, "to_ms": 5}), 400),
        (json!({"rules": "title: x", "from_ms": 0, "to_ms": 5}), 400),
        (json!({"indicators": "not an indicator", "from_ms": 0, "to_ms": 5}), 400),
        (json!({"rules": RULES, "from_ms": 0, "to_ms": 5, "organisation": "soc-b"}), 403),
    ] {
        assert_eq!(server.ask("POST", "/v1/hunts", &a, &body).0, status, "{body}");
    }
    server.stop();
    let server = Server::start(KHIEN, &data, &["--rules", &rules]);
    assert_eq!(server.ask("GET", &path, &watch, &Value::Null).1["hunt"]["findings"], json!(live.len()));
    server.stop();
}

#[test]
fn the_ledger_says_what_rules_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let pack = write(folder.path(), "doors.yml", RULES);
    let (a, b) = (add_soc(KHIEN, &data, "soc-a", &[]), add_soc(KHIEN, &data, "soc-b", &[]));
    let watch = add_operator(KHIEN, &data, "watch");
    let server = Server::start(KHIEN, &data, &[]);
    server.post("/v1/ingest", &a, &tried(1, "7"));
    has_events(&server, &a, 1);
    administer(KHIEN, &data, &["admin", "pack", "add", "--name", "doors", &pack]);
    administer(KHIEN, &data, &["admin", "pack", "live", "--name", "doors", "--organisation", "soc-a"]);
    let mut sent = 1;
    while server.query(&a, "SELECT count(*) AS n FROM findings") == json!([{"n": 0}]) && sent < 200 {
        // The same again would be taken for a repetition.
        let event = tried(2, &sent.to_string());
        server.post("/v1/ingest", &a, &event);
        server.post("/v1/ingest", &b, &event);
        sent += 1;
        std::thread::sleep(Duration::from_millis(50));
    }
    let ledger = "/v1/coverage?from_ms=0&to_ms=4102444800000";
    let total = |ledger: &Value| -> u64 {
        let rows = ledger["coverage"].as_array().map_or(&[][..], Vec::as_slice);
        rows.iter().map(|row| row["events"].as_u64().unwrap_or(0)).sum()
    };
    let hour = "/v1/coverage?from_ms=1763596800000&to_ms=1763683200000";
    let recent = |now: u64| format!("/v1/coverage?from_ms={}&to_ms={now}", now - 7_200_000);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    assert_eq!(server.ask("GET", hour, &b, &Value::Null).1["coverage"], json!([]));
    let own = wait(&server, &recent(now), &a, |ledger| total(ledger) == sent);
    assert_eq!(server.ask("GET", ledger, &watch, &Value::Null).0, 400);
    let covers: Vec<(&Value, &Value)> =
        own["coverage"].as_array().unwrap().iter().map(|row| (&row["pack"], &row["cover"])).collect();
    assert!(covers.contains(&(&json!(""), &json!("not_run"))), "{own}");
    assert!(covers.contains(&(&json!("doors@1"), &json!("seen"))), "{own}");
    let other = wait(&server, &recent(now), &b, |ledger| total(ledger) == sent - 1);
    assert!(other["coverage"].as_array().unwrap().iter().all(|row| row["cover"] == json!("not_run")), "{other}");
    server.stop();
}

#[test]
fn searches_answer_with_hits_histogram_and_facets() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (a, b) = (add_soc(KHIEN, &data, "soc-a", &[]), add_soc(KHIEN, &data, "soc-b", &[]));
    let watch = add_operator(KHIEN, &data, "watch");
    let server = Server::start(KHIEN, &data, &[]);
    for minute in 0..5 {
        server.post("/v1/ingest?source=doors", &a, &tried(minute, "7"));
        server.post("/v1/ingest?source=doors", &b, &tried(minute, "8"));
    }
    has_events(&server, &a, 5);
    has_events(&server, &b, 5);
    let search = json!({"query": "source:doors tried", "limit": 2, "facets": ["organisation"], "buckets": 10});
    let (status, found) = server.ask("POST", "/v1/search", &watch, &search);
    assert_eq!((status, &found["total"], found["events"].as_array().unwrap().len()), (200, &json!(10), 2), "{found}");
    let frequent = json!([{"value": "soc-a", "count": 5}, {"value": "soc-b", "count": 5}]);
    assert_eq!(found["facets"], json!([{"field": "organisation", "values": frequent}]));
    let (_, own) = server.ask("POST", "/v1/search", &a, &search);
    assert_eq!(own["total"], json!(5));
    let mut seen = 0;
    let mut page = json!({"query": "", "limit": 2});
    loop {
        let (_, found) = server.ask("POST", "/v1/search", &a, &page);
        seen += found["events"].as_array().unwrap().len();
        if found["next"].is_null() {
            break;
        }
        page["after"] = found["next"].clone();
    }
    assert_eq!(seen, 5);
    for (body, code) in [
        (json!({"query": "colour:red"}), "search"),
        (json!({"query": "(x"}), "search"),
        (json!({"limit": 0}), "search"),
        (json!({"after": "x"}), "after"),
        (json!({"nothing": 1}), "body"),
    ] {
        let (status, refused) = server.ask("POST", "/v1/search", &a, &body);
        assert_eq!((status, &refused["error"]["code"]), (400, &json!(code)), "{refused}");
    }
    server.stop();
    let said = administer(KHIEN, &data, &["search", "--lang", "en", "--output", "json", "badge AND \"7\""]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["total"], json!(5), "{said}");
}

#[test]
fn the_state_may_be_in_postgresql() {
    let Some(postgres) = Postgres::start() else { return };
    let (folder, state) = (tempfile::tempdir().unwrap(), postgres.url());
    let data = folder.path().join("data");
    let pack = write(folder.path(), "doors.yml", &RULES.replace("level: low", "level: medium"));
    let run = |arguments: &[&str]| administer_state(KHIEN, &data, &state, arguments);
    let token = run(&["admin", "soc", "add", "--name", "soc-a", "--kind", "province"]);
    run(&["admin", "pack", "add", "--name", "doors", &pack]);
    run(&["admin", "pack", "live", "--name", "doors"]);
    let server = Server::start_with_state(KHIEN, &data, &state);
    for minute in 0..4 {
        assert_eq!(server.post("/v1/ingest", &token, &tried(minute, "7")).status, 200);
    }
    assert_eq!(alerts(&server, &token, 2).len(), 2);
    server.stop();
    assert!(!data.join("state.db").exists());
}

/// What another SOC must not see anywhere.
const SECRET: &str = "marker-of-soc-a";

/// Things of one SOC and of the centre, by what the addresses call them.
fn things(server: &Server, watch: &str, a: &str) -> Vec<String> {
    let pack = RULES.replace("level: low", "level: high").replace("Door tried often", SECRET);
    let authorization = format!("Bearer {watch}");
    let added = server.request("PUT", "/v1/packs/marked", &[("authorization", &authorization)], pack.as_bytes());
    assert_eq!(added.status, 201);
    server.ask("POST", "/v1/packs/marked/live", watch, &json!({"organisations": ["soc-a"]}));
    rules_changed(server, 1);
    for minute in 0..4 {
        server.post("/v1/ingest?source=doors", a, &tried(minute, SECRET));
    }
    let list = json!({"entries": [{"value": SECRET, "reason": SECRET}]});
    server.ask("PUT", "/v1/exception-lists/marked", watch, &list);
    let found = alerts(server, a, 2);
    let made = |path: &str, body: Value| server.ask("POST", path, a, &body).1;
    let exception = json!({"list": "marked", "field": "x", "organisation": "soc-a", "reason": SECRET});
    let exception = made("/v1/exceptions", exception)["exception"]["id"].clone();
    let quiet = json!({"organisation": "soc-a", "entity": "none", "reason": SECRET, "until_ms": 4_102_444_800_000_i64});
    let quiet = made("/v1/suppressions", quiet)["suppression"]["id"].clone();
    let hunt = json!({"title": SECRET, "rules": RULES, "from_ms": 0, "to_ms": 4_102_444_800_000_i64});
    let hunt = made("/v1/hunts", hunt)["hunt"]["id"].clone();
    let ids = [&found[0]["id"], &found[1]["id"], &exception, &quiet, &hunt];
    ids.map(|id| id.as_str().expect("an id").to_owned()).to_vec()
}

#[test]
fn no_address_shows_or_changes_what_another_soc_has() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (a, b) = (add_soc(KHIEN, &data, "soc-a", &[]), add_soc(KHIEN, &data, "soc-b", &[]));
    let watch = add_operator(KHIEN, &data, "watch");
    let server = Server::start(KHIEN, &data, &[]);
    let ids = things(&server, &watch, &a);
    let all = || -> Vec<Value> {
        let paths =
            ["/v1/alerts", "/v1/exceptions", "/v1/suppressions", "/v1/hunts", "/v1/packs", "/v1/exception-lists"];
        paths.map(|path| server.ask("GET", path, &watch, &Value::Null).1).to_vec()
    };
    let hunt = format!("/v1/hunts/{}", ids[4]);
    wait(&server, &hunt, &a, |hunt| hunt["hunt"]["stage"] == json!("done"));
    let before = all();
    let document = server.request("GET", "/v1/openapi.json", &[], b"").json();
    let body = json!({
        "query": "", "sql": "SELECT * FROM events UNION ALL SELECT * FROM events", "state": "closed", "note": "x",
        "organisation": "soc-a", "from_ms": 0, "to_ms": 4_102_444_800_000_i64, "reason": "x", "until_ms": 4_102_444_800_000_i64,
    });
    // Each body is also tried without what an address does not know.
    let bodies = [
        body.clone(),
        json!({"sql": "SELECT * FROM findings"}),
        json!({"query": SECRET}),
        json!({"state": "closed"}),
        json!({"rules": RULES, "organisation": "soc-a", "from_ms": 0, "to_ms": 9}),
        json!({"from_ms": 0, "to_ms": 9, "organisation": "soc-a"}),
        json!({"list": "marked", "field": "x", "organisation": "soc-a", "reason": "x"}),
        json!({"rule": "r", "organisation": "soc-a", "reason": "x", "until_ms": 4_102_444_800_000_i64}),
        json!({"entries": [{"value": "x", "reason": "x"}]}),
        json!({"version": 1}),
    ];
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            // What takes events in and what is open to all shows nothing of anybody.
            if operation["tags"] == json!(["ingest"]) || operation["security"] == json!([]) {
                continue;
            }
            for id in &ids {
                let path = path.replace("{id}", id).replace("{name}", "marked");
                let path = if path == "/v1/coverage" {
                    "/v1/coverage?from_ms=0&to_ms=9&organisation=soc-a".into()
                } else {
                    path
                };
                for body in &bodies {
                    let (authorization, json) = (format!("Bearer {b}"), ("content-type", "application/json"));
                    let headers = [("authorization", authorization.as_str()), json];
                    let answer = server.request(&method.to_uppercase(), &path, &headers, body.to_string().as_bytes());
                    assert!(answer.status < 500, "{method} {path}: {answer:?}");
                    assert!(!answer.body.contains(SECRET), "{method} {path}: {answer:?}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 1_000, "{tried}");
    // Hunts of the other SOC are its own.
    let mut after = all();
    if let Some(hunts) = after[3]["hunts"].as_array_mut() {
        hunts.retain(|hunt| hunt["owner"] != json!("soc-b"));
    }
    assert_eq!(after, before);
    server.stop();
}
