//! The server as SOCs and shells meet it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use khien_testkit::server::{Server, add_soc, try_request};
use serde_json::{Value, json};

const KHIEN: &str = env!("CARGO_BIN_EXE_khien");

fn content(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content").join(path)
}

fn rules() -> [String; 2] {
    ["--rules".to_owned(), content("rules").display().to_string()]
}

/// Asks on the command line.
fn query(data: &Path, sql: &str) -> Value {
    let output = Command::new(KHIEN).args(["query", "--output", "json", "--data"]).arg(data).arg(sql).output();
    let output = output.expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the answer is JSON")
}

const COUNT: &str = "SELECT count(*) AS n FROM events";

#[test]
fn what_was_accepted_is_there_once_and_stays_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let token = add_soc(KHIEN, data.path(), "soc-a", &[]);
    let server = Server::start(KHIEN, data.path(), &[]);
    let body = b"{\"a\":1}\n\nplain line\n{\"broken\":\n\xff\xfe bytes\n";
    let first = server.post("/v1/ingest?source=s%C3%B3", &token, body);
    assert_eq!((first.status, first.json()), (200, json!({"accepted": 4, "rejected": 0})));
    // The answer was lost and everything is sent again.
    assert_eq!(server.post("/v1/ingest?source=s%C3%B3", &token, body).json(), json!({"accepted": 4, "rejected": 0}));
    let key = [("authorization", format!("Bearer {token}")), ("idempotency-key", "k1".to_owned())];
    let key: Vec<(&str, &str)> = key.iter().map(|(n, v)| (*n, v.as_str())).collect();
    for body in ["one", "two"] {
        assert_eq!(server.request("POST", "/v1/ingest", &key, body.as_bytes()).status, 200);
    }
    assert_eq!(server.wait_for(&token, COUNT, &json!([{"n": 5}])), json!([{"n": 5}]));
    server.stop();
    let rows = query(data.path(), "SELECT raw, source, raw_bytes FROM events ORDER BY event_id");
    let raw: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["raw"].as_str().unwrap()).collect();
    assert_eq!(raw, ["{\"a\":1}", "plain line", "{\"broken\":", "\u{fffd}\u{fffd} bytes", "one"]);
    assert_eq!(
        (&rows[0]["source"], &rows[0]["raw_bytes"], &rows[3]["raw_bytes"]),
        (&json!("só"), &Value::Null, &json!("fffe206279746573"))
    );
    let server = Server::start(KHIEN, data.path(), &[]);
    assert_eq!(server.post("/v1/ingest?source=s%C3%B3", &token, body).status, 200);
    server.post("/v1/ingest", &token, b"three");
    assert_eq!(server.wait_for(&token, COUNT, &json!([{"n": 6}])), json!([{"n": 6}]));
    server.stop();
}

#[test]
fn every_protocol_delivers() {
    let data = tempfile::tempdir().unwrap();
    let token = add_soc(KHIEN, data.path(), "soc-a", &[]);
    let server = Server::start(
        KHIEN,
        data.path(),
        &["--syslog-udp", "127.0.0.1:0", "--syslog-tcp", "127.0.0.1:0", "--syslog-source", "soc-a"],
    );
    let bulk = server.post("/logs/_bulk", &token, b"{\"index\":{}}\n{\"by\":\"bulk\"}\n{\"delete\":{\"_id\":\"1\"}}\n");
    assert_eq!((bulk.status, &bulk.json()["errors"]), (200, &json!(true)), "{bulk:?}");
    assert!(bulk.headers.contains("x-elastic-product: elasticsearch"), "{}", bulk.headers);
    let splunk = [("authorization", format!("Splunk {token}"))];
    let splunk: Vec<(&str, &str)> = splunk.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let hec =
        server.request("POST", "/services/collector/event", &splunk, b"{\"time\":1764100000,\"event\":\"by hec\"}");
    assert_eq!(hec.json(), json!({"text": "Success", "code": 0}));
    let otlp = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "by otlp"}}]}]}]});
    assert_eq!(server.post("/v1/logs", &token, otlp.to_string().as_bytes()).status, 200);
    let at = |protocol: &str| server.syslog.iter().find(|(name, _)| name == protocol).unwrap().1;
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.send_to(b"<13>Nov 25 10:00:00 h app: by udp", at("udp")).unwrap();
    let mut tcp = TcpStream::connect(at("tcp")).unwrap();
    tcp.write_all(b"<13>Nov 25 10:00:00 h app: by tcp\n33 <13>Nov 25 10:00:00 h app: by tcp").unwrap();
    drop(tcp);
    let wanted = json!([
        {"protocol": "bulk", "source": "logs", "n": 1}, {"protocol": "hec", "source": "default", "n": 1},
        {"protocol": "otlp", "source": "default", "n": 1}, {"protocol": "syslog", "source": "syslog", "n": 3},
    ]);
    let sql = "SELECT protocol, source, count(*) AS n FROM events WHERE raw LIKE '%by%' GROUP BY 1, 2 ORDER BY 1";
    assert_eq!(server.wait_for(&token, sql, &wanted), wanted);
    assert_eq!(
        server.query(&token, "SELECT time, time_known, envelope FROM events WHERE protocol = 'hec'"),
        json!([{"time": "2025-11-25T19:46:40Z", "time_known": true, "envelope": "{\"time\":1764100000}"}])
    );
    server.stop();
}

#[test]
fn strangers_get_nothing_and_nobody_sees_another_soc() {
    let data = tempfile::tempdir().unwrap();
    let (a, b) = (add_soc(KHIEN, data.path(), "soc-a", &[]), add_soc(KHIEN, data.path(), "soc-b", &[]));
    let server = Server::start(KHIEN, data.path(), &[]);
    for (method, path) in [
        ("POST", "/v1/ingest"),
        ("POST", "/_bulk"),
        ("POST", "/x/_bulk"),
        ("POST", "/v1/query"),
        ("POST", "/v1/logs"),
        ("POST", "/services/collector/event"),
        ("POST", "/services/collector/raw"),
    ] {
        let json = ("content-type", "application/json");
        assert_eq!(server.request(method, path, &[json], b"{}").status, 401, "{path}");
        let wrong = server.request(method, path, &[json, ("authorization", "Bearer khien_soc_00")], b"{}").status;
        assert!([401, 403].contains(&wrong), "{path}: {wrong}");
    }
    server.post("/v1/ingest", &a, b"secret of a");
    server.post("/v1/ingest", &b, b"of b");
    assert_eq!(server.wait_for(&a, COUNT, &json!([{"n": 1}])), json!([{"n": 1}]));
    assert_eq!(server.wait_for(&b, "SELECT raw FROM events", &json!([{"raw": "of b"}])), json!([{"raw": "of b"}]));
    let sql = "SELECT count(*) AS n FROM events WHERE organisation = 'soc-a' OR raw LIKE '%secret%'";
    assert_eq!(server.query(&b, sql), json!([{"n": 0}]));
    let revoked =
        Command::new(KHIEN).args(["admin", "soc", "revoke", "--name", "soc-a", "--data"]).arg(data.path()).status();
    assert!(revoked.unwrap().success());
    let mut status = 200;
    for _ in 0..100 {
        status = server.post("/v1/ingest", &a, b"more").status;
        if status == 401 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(status, 401);
    server.stop();
}

#[test]
fn bad_requests_are_told_what_is_wrong() {
    let data = tempfile::tempdir().unwrap();
    let token = add_soc(KHIEN, data.path(), "soc-a", &["--events-per-day", "3"]);
    let server = Server::start(KHIEN, data.path(), &[]);
    let query = |sql: &str| server.post("/v1/query", &token, json!({"sql": sql}).to_string().as_bytes());
    for (response, status, code) in [
        (query("DROP TABLE events"), 400, "sql"),
        (query("SELECT nothing FROM events"), 400, "sql"),
        (server.post("/v1/query", &token, b"{\"sequel\":1}"), 400, "question"),
        (server.post("/v1/query", &token, b"{\"sql\":\"SELECT 1\",\"format\":\"xml\"}"), 400, "format"),
        (server.post("/v1/ingest?source=a%00b", &token, b"x"), 400, "source_name"),
        (server.post("/v1/logs", &token, b"nonsense"), 400, "broken_body"),
        (server.post("/nowhere", &token, b""), 404, "not_found"),
        (server.post("/v1/ingest", &token, b"1\n2\n3\n4\n"), 429, "quota"),
    ] {
        assert_eq!((response.status, response.json()["error"]["code"].as_str()), (status, Some(code)), "{response:?}");
    }
    assert!(server.post("/v1/ingest", &token, b"1\n2\n3\n4\n").headers.contains("retry-after: "));
    assert_eq!(server.post("/_bulk", &token, b"nonsense\n").json()["status"], json!(400));
    let hec = server.post("/services/collector/event", &token, b"{\"event\":1}{\"host\":\"h\"}").json();
    assert_eq!(hec, json!({"text": "event field is required", "code": 12, "invalid-event-number": 1}));
    let gzip = [("authorization", format!("Bearer {token}")), ("content-encoding", "gzip".to_owned())];
    let gzip: Vec<(&str, &str)> = gzip.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert_eq!(server.request("POST", "/v1/ingest", &gzip, b"not gzip").status, 400);
    server.stop();
}

#[test]
fn live_findings_are_those_of_detect() {
    let data = tempfile::tempdir().unwrap();
    let token = add_soc(KHIEN, data.path(), "soc-a", &[]);
    let [option, rules] = rules();
    let server = Server::start(KHIEN, data.path(), &[&option, &rules]);
    let files =
        ["workstation-evtx.jsonl", "file-server-winlogbeat.ndjson", "domain-controller-flat.jsonl", "gateway-auth.log"];
    let files = files.map(|file| content("events").join(file));
    for file in &files {
        let sent = server.post("/v1/ingest?source=files", &token, &std::fs::read(file).unwrap());
        assert_eq!(sent.status, 200);
    }
    let output = Command::new(KHIEN).args(["detect", "--output", "ndjson", "--rules", &rules]).args(&files).output();
    let mut wanted: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut correlations = 0;
    for line in String::from_utf8(output.unwrap().stdout).unwrap().lines() {
        let finding: Value = serde_json::from_str(line).unwrap();
        let id = finding["rule"]["id"].as_str().unwrap().to_owned();
        *wanted.entry((id, finding["matched"].to_string())).or_default() += 1;
        correlations += u64::from(finding.get("evidence").is_some());
    }
    assert!(correlations > 2, "{correlations}");
    let total: u64 = wanted.values().sum();
    assert!(total > 10, "{total}");
    let count = "SELECT count(*) AS n FROM findings";
    assert_eq!(server.wait_for(&token, count, &json!([{"n": total}])), json!([{"n": total}]));
    let mut found: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in server.query(&token, "SELECT rule_id, matched FROM findings").as_array().unwrap() {
        let matched: Value = serde_json::from_str(row["matched"].as_str().unwrap()).unwrap();
        *found.entry((row["rule_id"].as_str().unwrap().to_owned(), matched.to_string())).or_default() += 1;
    }
    assert_eq!(found, wanted);
    server.stop();
}

#[test]
fn every_documented_operation_is_there_and_asks_who_it_is() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(KHIEN, data.path(), &[]);
    let document = server.request("GET", "/v1/openapi.json", &[], b"").json();
    assert_eq!(document["openapi"], json!("3.1.0"));
    let json_body = [("content-type", "application/json")];
    let mut operations = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let is_open = operation["security"] == json!([]);
            let path = path.replace("{id}", "019a0000-0000-7000-8000-000000000000").replace(['{', '}'], "");
            let response = server.request(&method.to_uppercase(), &path, &json_body, b"{}");
            assert_eq!(response.status, if is_open { 200 } else { 401 }, "{method} {path}");
            let status = response.status.to_string();
            assert!(operation["responses"].get(&status).is_some(), "{method} {path} has no {status}");
            operations += 1;
        }
    }
    assert!(operations > 15, "{operations}");
    server.stop();
}

/// The addresses of the router stand in the document, and the other way round.
#[test]
fn no_address_is_left_out_of_the_document() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("openapi.json")).unwrap()).unwrap();
    let files = std::fs::read_dir(folder.join("src/http")).unwrap().map(|entry| entry.unwrap().path());
    let router: String = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let mut in_code: Vec<&str> = router.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    in_code.sort_unstable();
    let mut documented: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    documented.sort_unstable();
    assert_eq!(in_code, documented);
}

/// How often the server is killed; many more times with `KHIEN_KILLS`.
fn kills() -> u64 {
    std::env::var("KHIEN_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}

#[test]
fn killed_at_any_moment_it_loses_and_doubles_nothing() {
    let data = tempfile::tempdir().unwrap();
    let token = format!("Bearer {}", add_soc(KHIEN, data.path(), "soc-a", &[]));
    let [option, rules] = rules();
    let suspicious = std::fs::read_to_string(content("events/workstation-evtx.jsonl")).unwrap();
    let suspicious = suspicious.lines().nth(1).unwrap().to_owned();
    let (address, stop) = (Arc::new(Mutex::new(None)), Arc::new(AtomicBool::new(false)));
    let next = Arc::new(AtomicU64::new(0));
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let (address, stop, next) = (address.clone(), stop.clone(), next.clone());
            let (token, suspicious) = (token.clone(), suspicious.clone());
            std::thread::spawn(move || {
                let mut acknowledged = 0;
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let lines = (0..number % 20).map(|i| format!("\nline {number}-{i}"));
                    let body =
                        format!("{{\"n\":{number},{}{}", suspicious.get(1..).unwrap(), lines.collect::<String>());
                    // Until it is acknowledged, as shippers do.
                    loop {
                        let at: Option<std::net::SocketAddr> = *address.lock().unwrap();
                        let headers = [("authorization", token.as_str())];
                        let sent = at.map(|at| try_request(at, "POST", "/v1/ingest", &headers, body.as_bytes()));
                        if matches!(sent, Some(Ok(response)) if response.status == 200) {
                            break;
                        }
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    acknowledged += 1 + number % 20;
                }
                acknowledged
            })
        })
        .collect();
    let mut server = Server::start(KHIEN, data.path(), &[&option, &rules]);
    for i in 0..kills() {
        *address.lock().unwrap() = Some(server.address);
        std::thread::sleep(Duration::from_millis(150 + i * 677 % 1_400));
        server.kill();
        server = Server::start(KHIEN, data.path(), &[&option, &rules]);
    }
    *address.lock().unwrap() = Some(server.address);
    stop.store(true, Ordering::Relaxed);
    let acknowledged: u64 = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
    server.stop();
    let sql = "SELECT count(*) AS n, count(DISTINCT raw) AS d, count(DISTINCT event_id) AS i FROM events";
    assert_eq!(query(data.path(), sql), json!([{"n": acknowledged, "d": acknowledged, "i": acknowledged}]));
    let sql = "SELECT count(*) AS n, count(DISTINCT f.event_id) AS e FROM findings f JOIN events e USING (event_id) \
               WHERE f.rule_title = 'Office program starts a script host' AND e.raw LIKE '{\"n\":%'";
    let batches = next.load(Ordering::Relaxed);
    assert_eq!(query(data.path(), sql), json!([{"n": batches, "e": batches}]));
}
