//! How long a server keeps events.

use khien_testkit::server::{Server, add_soc, administer};
use serde_json::{Value, json};

const KHIEN: &str = env!("CARGO_BIN_EXE_khien");

#[test]
fn rules_and_holds_are_kept_and_old_events_that_come_now_stay() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let token = add_soc(KHIEN, &data, "soc-a", &[]);
    let run = |arguments: &[&str]| administer(KHIEN, &data, arguments);
    let of = ["--soc", "soc-a", "--class", "4003"];
    let set = [&["admin", "retention", "set", "--days", "1", "--reason", "NĐ 333, Điều 16"], of.as_slice()].concat();
    assert!(run(&set).contains("\tsoc-a\t4003\t1\tNĐ 333, Điều 16"));
    run(&["admin", "retention", "set", "--days", "1", "--reason", "a test"]);
    let rules: Value = serde_json::from_str(&run(&["admin", "retention", "list", "--output", "json"])).unwrap();
    assert_eq!((&rules["default"]["days"], rules["rules"].as_array().unwrap().len()), (&json!(366), 2));
    let hold = ["admin", "hold", "add", "--from", "2026-01-01", "--until", "2026-02-01", "--reason", "case 7"];
    let line = run(&hold);
    let id = line.split('\t').next().unwrap();
    assert!(line.contains("\t2026-01-01\t2026-02-01\tcase 7"), "{line}");
    run(&["admin", "hold", "lift", "--id", id, "--reason", "closed"]);
    assert!(run(&["admin", "hold", "list", "--lang", "en"]).ends_with("lifted"));
    // Of the year 2020, but received now.
    let server = Server::start(KHIEN, &data, &[]);
    for number in 0..3 {
        let event = format!("{{\"time\":1600000000,\"event\":\"old {number}\"}}");
        assert_eq!(server.post("/services/collector/event", &token, event.as_bytes()).status, 200);
        let wanted = json!([{"n": number + 1}]);
        let sql = "SELECT count(*) AS n FROM events WHERE time < '2021-01-01T00:00:00Z'";
        assert_eq!(server.wait_for(&token, sql, &wanted), wanted);
    }
    server.stop();
}
