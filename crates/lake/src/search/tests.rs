//! Searches over a small lake.

use khien_event::ocsf::flat::{COLUMNS, Flat, Scalar};
use proptest::prelude::*;
use serde_json::Value;

use super::parse::{Node, Piece, Term, Test};
use super::*;
use crate::{EventRow, EventRows, FindingRows, Limits, QueryError, Scope, Search, Writer};

/// Noon of a day in 2024, in nanoseconds.
const NOON_NS: i64 = 1_718_884_800_000_000_000;

fn column_at(name: &str) -> usize {
    COLUMNS.iter().position(|column| column.name == name).unwrap()
}

/// Events of two SOCs, a minute apart.
async fn lake(folder: &tempfile::TempDir) -> Writer {
    let rows = [
        ("soc-a", "ws-01", "admin", "10.1.2.3", 22, r"C:\Tools\mimikatz.exe lsadump", "failed login of admin"),
        ("soc-a", "WS-02", "lan", "10.9.9.9", 443, "cmd.exe /c whoami", "100% sure_thing"),
        ("soc-a", "srv", "minh", "192.0.2.7", 3389, "powershell -enc AAAA", "đăng nhập sai"),
        ("soc-b", "ws-01", "hoa", "2001:db8::7", 80, "", "nothing"),
    ];
    let mut events = EventRows::default();
    for (index, (organisation, host, user, ip, port, cmd, raw)) in rows.into_iter().enumerate() {
        let text = |name: &str, value: &str| (column_at(name), Scalar::Text(value.to_owned()));
        let mut values = vec![
            text("device_hostname", host),
            text("actor_user_name", user),
            text("src_endpoint_ip", ip),
            (column_at("dst_endpoint_port"), Scalar::Number(port)),
        ];
        if !cmd.is_empty() {
            values.push(text("process_cmd_line", cmd));
        }
        values.sort_by_key(|(column, _)| *column);
        let severity_id = index as u8 + 1;
        let flat = Flat { class_uid: 1007, category_uid: 1, activity_id: 1, severity_id, values };
        events.push(&EventRow {
            event_id: index as u64,
            time_ns: Some(NOON_NS + index as i64 * 60_000_000_000),
            received_ms: NOON_NS / 1_000_000,
            organisation,
            source: "s",
            protocol: "ndjson",
            kind: "k",
            flat: &flat,
            raw: raw.as_bytes(),
            raw_sha256: [0; 32],
            envelope: None,
        });
    }
    let address = url::Url::from_directory_path(folder.path()).unwrap();
    let mut writer = Writer::open(&address).await.unwrap();
    writer.add(&mut events, &mut FindingRows::default());
    writer.commit(1, 0).await.unwrap();
    writer
}

fn search(query: &str) -> Search {
    Search { query: query.to_owned(), limit: 10, ..Search::default() }
}

fn ids(found: &crate::Found) -> Vec<i64> {
    let id =
        |event: &serde_json::value::RawValue| serde_json::from_str::<Value>(event.get()).unwrap()["event_id"].as_i64();
    found.events.iter().filter_map(|event| id(event)).collect()
}

#[tokio::test]
async fn searches_find_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let reader = lake(&folder).await.reader();
    for (query, wanted) in [
        ("", vec![3, 2, 1, 0]),
        ("*", vec![3, 2, 1, 0]),
        ("host:ws-01", vec![3, 0]),
        ("device.hostname:ws-02", vec![1]),
        ("host:ws-*", vec![3, 1, 0]),
        ("host:ws-0?", vec![3, 1, 0]),
        ("cmd:*mimikatz*", vec![0]),
        (r"cmd:C:\Tools\mimi*", vec![0]),
        ("cmd:*", vec![2, 1, 0]),
        ("NOT cmd:*", vec![3]),
        ("-user:admin host:ws-01", vec![3]),
        ("ip:10.0.0.0/8", vec![1, 0]),
        ("ip:2001:db8::/32", vec![3]),
        ("src_endpoint.ip:10.1.2.3 OR user:hoa", vec![3, 0]),
        ("dst_endpoint.port:(22 OR 3389)", vec![2, 0]),
        ("port:>=443 port:<3389", vec![1]),
        ("port:[80 TO 443]", vec![3, 1]),
        ("port:{80 TO *]", vec![2, 1]),
        ("severity:high", vec![3]),
        ("severity_id:>2", vec![3, 2]),
        ("time:2024-06-20", vec![3, 2, 1, 0]),
        ("time:2024-06-20T12:01:00Z", vec![1]),
        ("time:[2024-06-20T12:01:00Z TO 2024-06-20T12:02:00Z}", vec![1]),
        ("time:<2024-06-20", vec![]),
        ("organisation:soc-b", vec![3]),
        ("organisation:SOC-B", vec![]),
        ("\"failed login\"", vec![0]),
        ("FAILED login", vec![0]),
        ("100%", vec![1]),
        ("sure_thing", vec![1]),
        ("surexthing", vec![]),
        ("\"ĐĂNG nhập\"", vec![2]),
        ("(user:admin OR user:lan) AND NOT host:ws-01", vec![1]),
        ("user:admin OR user:lan host:srv", vec![0]),
        ("\"AND\"", vec![]),
    ] {
        let found = reader.search(search(query), &Scope::All, Limits::default()).await;
        let found = found.unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!((ids(&found), found.total), (wanted.clone(), wanted.len() as u64), "{query}");
    }
    let own = Scope::Organisations(vec!["soc-b".to_owned()]);
    let found = reader.search(search("host:ws-01 OR organisation:soc-a"), &own, Limits::default()).await.unwrap();
    assert_eq!(ids(&found), [3]);
}

#[tokio::test]
async fn pages_histogram_and_facets_come_in_one_call() {
    let folder = tempfile::tempdir().unwrap();
    let reader = lake(&folder).await.reader();
    let mut seen = Vec::new();
    let mut wanted = Search { limit: 3, facets: vec!["user".into()], buckets: 2, ..Search::default() };
    let unknown = reader.search(wanted.clone(), &Scope::All, Limits::default()).await;
    assert!(matches!(unknown, Err(QueryError::Invalid(_))), "{unknown:?}");
    wanted.facets = vec!["organisation".into(), "device.hostname".into()];
    loop {
        let found = reader.search(wanted.clone(), &Scope::All, Limits::default()).await.unwrap();
        seen.extend(ids(&found));
        wanted.after = found.next;
        assert_eq!(found.total, 4);
        assert_eq!(found.histogram.iter().map(|(_, n)| n).sum::<u64>(), 4);
        assert_eq!((found.bucket_us, found.histogram.len()), (300_000_000, 1));
        assert_eq!(found.facets[0].values, [("soc-a".to_owned(), 3), ("soc-b".to_owned(), 1)]);
        assert_eq!(found.facets[1].values[0], ("ws-01".to_owned(), 2));
        if found.next.is_none() {
            break;
        }
    }
    assert_eq!(seen, [3, 2, 1, 0]);
    let from = NOON_NS / 1_000 + 60_000_000;
    let found = Search { from_us: Some(from), to_us: Some(from + 1), ..search("") };
    assert_eq!(ids(&reader.search(found, &Scope::All, Limits::default()).await.unwrap()), [1]);
    for wrong in [Search { limit: 0, ..search("") }, Search { buckets: 5_000, ..search("") }] {
        assert!(reader.search(wrong, &Scope::All, Limits::default()).await.is_err());
    }
}

#[test]
fn faults_say_where_and_what() {
    for (query, at, what) in [
        ("host:", 6, "a value is missing"),
        ("(host:a", 8, "a closing parenthesis is missing"),
        ("host:a)", 7, "closes nothing"),
        ("\"abc", 5, "a closing quote is missing"),
        ("port:[1 80]", 9, "[from TO to]"),
        ("port:[1 TO 80", 14, "ends with"),
        ("colour:red", 1, "no field `colour`"),
        ("host:a port:x", 8, "a whole number"),
        ("port:2*", 1, "no wildcards"),
        ("time:yesterday", 1, "2026-11-20"),
        ("severity:awful", 1, "low, medium"),
        ("OR x", 1, "something is missing before `OR`"),
        ("a AND OR b", 7, "something is missing before `OR`"),
        ("a AND", 6, "a value is missing"),
    ] {
        let fault = check(query).unwrap_err();
        assert!(fault.at == at && fault.what.to_string().contains(what), "{query}: {fault}");
    }
    assert!(check(&"(".repeat(100)).unwrap_err().what.to_string().contains("deeper"));
    assert!(check(&"NOT ".repeat(100)).unwrap_err().what.to_string().contains("in a row"));
    assert!(check(&"a ".repeat(600)).unwrap_err().what.to_string().contains("terms"));
    assert!(check(&"a".repeat(9_000)).unwrap_err().what.to_string().contains("characters"));
}

#[test]
fn a_value_is_text_and_wildcards() {
    let term = |query: &str| match parse::parse(query).unwrap() {
        Some(Node::Term(Term { test: Test::Like(pieces), .. })) => pieces,
        other => panic!("{other:?}"),
    };
    let text = |text: &str| Piece::Text(text.to_owned());
    assert_eq!(term("a:b**c?d"), [text("b"), Piece::Any, text("c"), Piece::One, text("d")]);
    assert_eq!(term("a:\"b*\""), [text("b*")]);
    assert_eq!(term(r"a:b\*c\d"), [text(r"b*c\d")]);
    assert_eq!(term("a:\"\""), [text("")]);
    assert_eq!(term("x:y:z"), [text("y:z")]);
}

proptest! {
    #[test]
    fn any_text_is_a_search_or_has_a_fault_in_it(query in "[a-z:()\\[\\]{}*?\"\\\\ANDORT<>=./0-9 -]{0,60}") {
        if let Err(fault) = check(&query) {
            prop_assert!(fault.at >= 1 && fault.at <= query.chars().count() + 1, "{} in {}", fault, query);
        }
    }
}
