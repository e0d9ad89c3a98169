use khien_event::ocsf::flat::{COLUMNS, Flat, Scalar};
use url::Url;

use super::*;
use crate::query::QueryError;

const DAY_NS: i64 = 86_400_000_000_000;
const NOON_NS: i64 = 20_000 * DAY_NS + DAY_NS / 2;

fn lake(folder: &tempfile::TempDir) -> Url {
    Url::from_directory_path(folder.path()).unwrap()
}

fn column(name: &str) -> usize {
    COLUMNS.iter().position(|column| column.name == name).unwrap()
}

/// `count` events of `organisation`, of two classes and two days, from number `first` on.
fn events(organisation: &str, first: u64, count: u64) -> EventRows {
    let mut rows = EventRows::default();
    for id in first..first + count {
        let values = vec![(column("process_cmd_line"), Scalar::Text(format!("run {id}")))];
        let class_uid = if id % 2 == 0 { 1007 } else { 0 };
        let flat = Flat { class_uid, category_uid: 1, activity_id: 1, severity_id: 1, values };
        rows.push(&EventRow {
            event_id: id,
            time_ns: Some(NOON_NS - (id % 3) as i64 * DAY_NS / 2),
            received_ms: NOON_NS / 1_000_000,
            organisation,
            source: "s",
            protocol: "ndjson",
            kind: "windows/sysmon/1",
            flat: &flat,
            raw: format!("{{\"id\":{id}}}").as_bytes(),
            raw_sha256: [id as u8; 32],
            envelope: (id == first).then_some(b"{\"host\":\"h\"}".as_slice()),
        });
    }
    rows
}

fn finding(organisation: &str, event_id: u64) -> FindingRows {
    let mut rows = FindingRows::default();
    rows.push(&FindingRow {
        event_id,
        time_ns: None,
        received_ms: NOON_NS / 1_000_000,
        organisation,
        source: "s",
        analytic: "rule",
        rule_id: "r-1",
        rule_title: "Title",
        level: "high",
        severity_id: 4,
        tags: "[]",
        matched: "{}",
        events: "[1]",
        pack: "p@1",
        entity: Some("host:h"),
        exception: None,
        batch: event_id,
    });
    rows
}

async fn ask(reader: &Reader, sql: &str, scope: &Scope) -> Result<String, QueryError> {
    ask_within(reader, sql, scope, Limits::default()).await
}

async fn ask_within(reader: &Reader, sql: &str, scope: &Scope, limits: Limits) -> Result<String, QueryError> {
    let mut written = reader.query(sql, scope, limits).await?.write(Output::Csv)?;
    let mut out = Vec::new();
    while let Some(bytes) = written.next().await? {
        out.extend(bytes);
    }
    Ok(String::from_utf8(out).unwrap())
}

async fn filled(folder: &tempfile::TempDir) -> Writer {
    let mut writer = Writer::open(&lake(folder)).await.unwrap();
    writer.add(&mut events("soc-a", 0, 10), &mut finding("soc-a", 4));
    writer.add(&mut events("soc-b", 10, 5), &mut FindingRows::default());
    writer.commit(2, 1_000).await.unwrap();
    writer
}

#[tokio::test]
async fn rows_come_back_and_the_offset_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = filled(&folder).await;
    assert_eq!(writer.committed(), Committed { events: 2, findings: 2 });
    writer.add(&mut events("soc-b", 15, 2), &mut FindingRows::default());
    writer.commit(7, 2_000).await.unwrap();
    assert_eq!(writer.committed(), Committed { events: 7, findings: 2 });
    let sql = "SELECT organisation, count(*) AS n, min(event_id) AS first FROM events GROUP BY 1 ORDER BY 1";
    let wanted = "organisation,n,first\nsoc-a,10,0\nsoc-b,7,10\n";
    assert_eq!(ask(&writer.reader(), sql, &Scope::All).await.unwrap(), wanted);
    // Another process sees the same.
    drop(writer);
    assert_eq!(ask(&Reader::at(lake(&folder)), sql, &Scope::All).await.unwrap(), wanted);
    let again = Writer::open(&lake(&folder)).await.unwrap();
    assert_eq!(again.committed(), Committed { events: 7, findings: 2 });
}

#[tokio::test]
async fn values_are_what_was_put_in() {
    let folder = tempfile::tempdir().unwrap();
    let reader = filled(&folder).await.reader();
    let sql = "SELECT event_id, time, time_known, class_uid, day, process_cmd_line, user_name, raw, envelope \
               FROM events WHERE event_id IN (0, 1) ORDER BY event_id";
    let wanted = "event_id,time,time_known,class_uid,day,process_cmd_line,user_name,raw,envelope\n\
        0,2024-10-04T12:00:00Z,true,1007,2024-10-04,run 0,,\"{\"\"id\"\":0}\",\"{\"\"host\"\":\"\"h\"\"}\"\n\
        1,2024-10-04T00:00:00Z,true,0,2024-10-04,run 1,,\"{\"\"id\"\":1}\",\n";
    assert_eq!(ask(&reader, sql, &Scope::All).await.unwrap(), wanted);
    let sql = "SELECT f.rule_id, e.raw FROM findings f JOIN events e USING (event_id)";
    assert_eq!(ask(&reader, sql, &Scope::All).await.unwrap(), "rule_id,raw\nr-1,\"{\"\"id\"\":4}\"\n");
}

#[tokio::test]
async fn nobody_sees_another_organisation() {
    let folder = tempfile::tempdir().unwrap();
    let reader = filled(&folder).await.reader();
    let scope = Scope::Organisations(vec!["soc-b".into()]);
    for (sql, wanted) in [
        ("SELECT count(*) AS n FROM events", "n\n5\n"),
        ("SELECT count(*) AS n FROM events WHERE organisation = 'soc-a' OR true", "n\n5\n"),
        ("SELECT DISTINCT organisation AS o FROM events UNION SELECT organisation FROM events", "o\nsoc-b\n"),
        ("SELECT count(*) AS n FROM findings", "n\n0\n"),
        ("WITH events AS (SELECT * FROM events) SELECT max(event_id) AS n FROM events", "n\n14\n"),
        ("SELECT count(*) AS n FROM (SELECT * FROM events LIMIT 100)", "n\n5\n"),
    ] {
        assert_eq!(ask(&reader, sql, &scope).await.unwrap(), wanted, "{sql}");
    }
    let nobody = Scope::Organisations(Vec::new());
    assert_eq!(ask(&reader, "SELECT count(*) AS n FROM events", &nobody).await.unwrap(), "n\n0\n");
}

#[tokio::test]
async fn only_queries_are_run_and_only_over_the_views() {
    let folder = tempfile::tempdir().unwrap();
    let reader = filled(&folder).await.reader();
    let path = folder.path().join("events").display().to_string();
    for sql in [
        "DROP TABLE events",
        "CREATE TABLE x AS SELECT 1",
        "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '/tmp'",
        "INSERT INTO events SELECT * FROM events",
        "COPY events TO '/tmp/x.parquet'",
        "SET datafusion.execution.batch_size = 1",
        "SELECT 1; SELECT 2",
        "SELECT * FROM information_schema.tables",
        "SELECT nonsense FROM events",
        "SELEC",
        "",
        &format!("SELECT * FROM '{path}'"),
    ] {
        let result = ask(&reader, sql, &Scope::All).await;
        assert!(matches!(result, Err(QueryError::Sql(_) | QueryError::OnlyQueries)), "{sql}: {result:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_end_a_query() {
    let folder = tempfile::tempdir().unwrap();
    let reader = filled(&folder).await.reader();
    let rows = Limits { rows: 14, ..Limits::default() };
    assert!(matches!(ask_within(&reader, "SELECT * FROM events", &Scope::All, rows).await, Err(QueryError::Rows(14))));
    let memory = Limits { memory_bytes: 1 << 20, ..Limits::default() };
    let sql =
        "SELECT a.value, count(DISTINCT b.value) FROM generate_series(1, 300) a, generate_series(1, 3000) b GROUP BY 1";
    let result = ask_within(&reader, sql, &Scope::All, memory).await;
    assert!(matches!(result, Err(QueryError::Memory(_))), "{result:?}");
    let time = Limits { time: std::time::Duration::from_millis(20), ..Limits::default() };
    let sql = "SELECT count(*) FROM generate_series(1, 6000) a, generate_series(1, 6000) b WHERE a.value * b.value = 7";
    let result = ask_within(&reader, sql, &Scope::All, time).await;
    assert!(matches!(result, Err(QueryError::Time(_))), "{result:?}");
}

#[tokio::test]
async fn answers_are_written_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let reader = filled(&folder).await.reader();
    let text = async |sql: &str, output| {
        let mut written = reader.query(sql, &Scope::All, Limits::default()).await.unwrap().write(output).unwrap();
        let mut out = Vec::new();
        while let Some(bytes) = written.next().await.unwrap() {
            out.extend(bytes);
        }
        out
    };
    let (some, none) =
        ("SELECT event_id AS a, user_name AS b FROM events ORDER BY 1 LIMIT 2", "SELECT 1 AS a WHERE false");
    let json: serde_json::Value = serde_json::from_slice(&text(some, Output::Json).await).unwrap();
    assert_eq!(json, serde_json::json!([{"a": 0, "b": null}, {"a": 1, "b": null}]));
    assert_eq!(text(none, Output::Json).await, b"[]\n");
    assert_eq!(text(some, Output::Ndjson).await, b"{\"a\":0,\"b\":null}\n{\"a\":1,\"b\":null}\n");
    assert_eq!(text(none, Output::Csv).await, b"a\n");
    let arrow = arrow::ipc::reader::StreamReader::try_new(std::io::Cursor::new(text(some, Output::Arrow).await), None);
    assert_eq!(arrow.unwrap().map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 2);
    let all: serde_json::Value = serde_json::from_slice(&text("SELECT * FROM events", Output::Json).await).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 15);
}

/// Lets small files be put together until there is nothing more to do.
async fn compacted(writer: &mut Writer) {
    for _ in 0..2_000 {
        writer.compact(2_000, false).await.unwrap();
        if !writer.is_compacting() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{:?}", writer.file_counts());
}

#[tokio::test]
async fn small_files_are_put_together_and_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(&lake(&folder)).await.unwrap();
    let reader = writer.reader();
    for sequence in 1..=20 {
        writer.add(&mut events("soc-a", sequence * 100, 6), &mut finding("soc-a", sequence * 100));
        writer.commit(sequence, 1_000).await.unwrap();
    }
    let sql = "SELECT * FROM events ORDER BY event_id";
    let before = ask(&reader, sql, &Scope::All).await.unwrap();
    let files = |writer: &Writer| writer.file_counts();
    let many = files(&writer);
    compacted(&mut writer).await;
    let few = files(&writer);
    assert!(few.0 * 4 < many.0 && few.1 * 4 < many.1, "{many:?} {few:?}");
    assert_eq!(ask(&reader, sql, &Scope::All).await.unwrap(), before);
    assert_eq!(writer.committed(), Committed { events: 20, findings: 20 });
    assert_eq!(writer.clean().await.unwrap(), 0);
    assert_eq!(ask(&reader, sql, &Scope::All).await.unwrap(), before);
    writer.add(&mut events("soc-a", 9_000, 1), &mut FindingRows::default());
    writer.commit(21, 3_000).await.unwrap();
    drop(writer);
    let again = Writer::open(&lake(&folder)).await.unwrap();
    assert_eq!(again.committed(), Committed { events: 21, findings: 20 });
    assert_eq!(ask(&again.reader(), "SELECT count(*) AS n FROM events", &Scope::All).await.unwrap(), "n\n121\n");
}

/// Commits so many times, one event each.
async fn commit_often(writer: &mut Writer, times: u64) {
    for sequence in 1..=times {
        writer.add(&mut events("soc-a", sequence, 1), &mut FindingRows::default());
        writer.commit(sequence, 1_000).await.unwrap();
    }
}

#[tokio::test]
async fn the_offset_outlives_checkpoints_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(&lake(&folder)).await.unwrap();
    commit_often(&mut writer, 23).await;
    let log = folder.path().join("events/_delta_log");
    let checkpoints = std::fs::read_dir(log).unwrap();
    let is_checkpoint = |name: &str| name.contains(".checkpoint.");
    let checkpoints = checkpoints.filter(|e| is_checkpoint(&e.as_ref().unwrap().file_name().to_string_lossy()));
    assert!(checkpoints.count() >= 2);
    drop(writer);
    let again = Writer::open(&lake(&folder)).await.unwrap();
    assert_eq!(again.committed(), Committed { events: 23, findings: 0 });
    assert_eq!(ask(&again.reader(), "SELECT count(*) AS n FROM events", &Scope::All).await.unwrap(), "n\n23\n");
}

#[tokio::test]
async fn what_fails_behind_a_commit_does_not_write_its_rows_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(&lake(&folder)).await.unwrap();
    // Checkpoints cannot be noted where a folder is in the way.
    std::fs::create_dir_all(folder.path().join("events/_delta_log/_last_checkpoint/x")).unwrap();
    commit_often(&mut writer, 12).await;
    let sql = "SELECT count(*) AS n, count(DISTINCT event_id) AS d FROM events";
    assert_eq!(ask(&writer.reader(), sql, &Scope::All).await.unwrap(), "n,d\n12,12\n");
}

#[tokio::test]
async fn a_lake_of_an_earlier_version_gets_new_columns() {
    let folder = tempfile::tempdir().unwrap();
    let mut shape = table::findings();
    let new = ["pack", "entity", "exception", "batch"];
    let old: Vec<_> = shape.schema.fields().iter().filter(|f| !new.contains(&f.name().as_str())).cloned().collect();
    shape.schema = std::sync::Arc::new(arrow::datatypes::Schema::new(old));
    let mut table = table::open(&lake(&folder), &shape).await.unwrap();
    for sequence in 1..=9 {
        let mut rows = finding("soc-a", sequence).finish();
        let kept: Vec<usize> = (0..rows.batch.num_columns())
            .filter(|column| !new.contains(&rows.batch.schema().field(*column).name().as_str()))
            .collect();
        rows.batch = rows.batch.project(&kept).unwrap();
        table::append(&mut table, &shape, vec![rows], sequence, 1_000).await.unwrap();
    }
    let mut writer = Writer::open(&lake(&folder)).await.unwrap();
    writer.add(&mut EventRows::default(), &mut finding("soc-a", 10));
    writer.commit(10, 1_000).await.unwrap();
    let sql = "SELECT count(*) AS n, count(pack) AS p, max(entity) AS e FROM findings";
    let seen = "n,p,e\n10,1,host:h\n";
    assert_eq!(ask(&writer.reader(), sql, &Scope::All).await.unwrap(), seen);
    compacted(&mut writer).await;
    assert_eq!(ask(&writer.reader(), sql, &Scope::All).await.unwrap(), seen);
}

/// Removes all that is over.
async fn expire_all(writer: &mut Writer, retention: &Retention, now_ms: i64) -> u64 {
    let (mut removed, mut next) = (0, Some(Expiry::default()));
    while let Some(expiry) = next {
        let (rows, behind) = writer.expire(retention, now_ms, expiry).await.unwrap();
        (removed, next) = (removed + rows, behind);
    }
    removed
}

#[tokio::test]
async fn rows_that_are_over_go_and_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = filled(&folder).await;
    let keep = |organisation: Option<&str>, days| Keep {
        organisation: organisation.map(str::to_owned),
        class_uid: None,
        days,
    };
    let day = |days: i64| (20_000 + days) * 86_400_000;
    let mut retention = Retention { rules: vec![keep(None, 366), keep(Some("soc-a"), 10)], holds: Vec::new() };
    assert_eq!(expire_all(&mut writer, &retention, day(10)).await, 0);
    retention.holds.push(Hold { organisation: None, from_day: 0, to_day: 30_000 });
    assert_eq!(expire_all(&mut writer, &retention, day(100)).await, 0);
    retention.holds.clear();
    // Ten events and a finding of one SOC, in files that it shares with another.
    assert_eq!(expire_all(&mut writer, &retention, day(100)).await, 11);
    let left = "SELECT organisation, count(*) AS n, count(DISTINCT raw) AS d FROM events GROUP BY 1";
    assert_eq!(ask(&writer.reader(), left, &Scope::All).await.unwrap(), "organisation,n,d\nsoc-b,5,5\n");
    assert_eq!(ask(&writer.reader(), "SELECT count(*) AS n FROM findings", &Scope::All).await.unwrap(), "n\n0\n");
    assert_eq!(writer.committed(), Committed { events: 2, findings: 2 });
    assert_eq!(expire_all(&mut writer, &retention, day(400)).await, 5);
    drop(writer);
    let again = Writer::open(&lake(&folder)).await.unwrap();
    assert_eq!(again.committed(), Committed { events: 2, findings: 2 });
    assert_eq!(ask(&again.reader(), "SELECT count(*) AS n FROM events", &Scope::All).await.unwrap(), "n\n0\n");
}

/// `count` events from number `first` on, each with a user, an address and words of its own, half of them in JSON escapes.
fn told_apart(first: u64, count: u64) -> EventRows {
    let mut rows = EventRows::default();
    for id in first..first + count {
        let values = vec![
            (column("user_name"), Scalar::Text(format!("User {id}"))),
            (column("src_endpoint_ip"), Scalar::Text(format!("10.{}.{}.1", id / 250, id % 250))),
        ];
        let flat = Flat { class_uid: 1007, category_uid: 1, activity_id: 1, severity_id: 1, values };
        let raw = if id % 2 == 0 {
            format!(r#"{{"a":"x\nWord{id}y"}}"#)
        } else {
            format!("<9>word{id}y: 192.0.2.{}", id % 256)
        };
        rows.push(&EventRow { raw: raw.as_bytes(), ..event_row(id, &flat) });
    }
    rows
}

fn event_row(id: u64, flat: &Flat) -> EventRow<'_> {
    EventRow {
        event_id: id,
        time_ns: Some(NOON_NS + (id % 7_000) as i64 * 1_000_000),
        received_ms: NOON_NS / 1_000_000,
        organisation: "soc-a",
        source: "s",
        protocol: "ndjson",
        kind: "",
        flat,
        raw: b"",
        raw_sha256: [0; 32],
        envelope: None,
    }
}

/// Lets large files be made of all there is.
async fn put_all_together(writer: &mut Writer) {
    let later = 1_000 + 3_600_000;
    for _ in 0..2_000 {
        writer.compact(later, false).await.unwrap();
        if writer.file_counts().0 == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{:?}", writer.file_counts());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_there_is_time_words_are_indexed_before_there_is_enough_for_a_large_file() {
    const EACH: u64 = 6_000;
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(&lake(&folder)).await.unwrap();
    let mut random = 1_u64;
    for sequence in 1..=7 {
        let mut rows = EventRows::default();
        for id in (sequence - 1) * EACH..sequence * EACH {
            // Nothing makes digits that say nothing smaller than half.
            let digits = (0..26).map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                format!("{random:016x}")
            });
            let raw = format!("<9>word{id}y: {}", digits.collect::<String>());
            let flat = Flat { class_uid: 0, category_uid: 0, activity_id: 0, severity_id: 1, values: Vec::new() };
            rows.push(&EventRow { raw: raw.as_bytes(), ..event_row(id, &flat) });
        }
        writer.add(&mut rows, &mut FindingRows::default());
        writer.commit(sequence, 1_000).await.unwrap();
    }
    let indexed = |writer: &Writer| {
        let (names, going_on) = writer.event_files();
        (names.iter().filter(|name| name.ends_with(table::INDEXED)).count(), names.len(), going_on)
    };
    compacted(&mut writer).await;
    assert_eq!(indexed(&writer), (0, 7, false));
    for _ in 0..2_000 {
        writer.compact(2_000, true).await.unwrap();
        if indexed(&writer).1 == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    // It is made once.
    writer.compact(2_000, true).await.unwrap();
    assert_eq!(indexed(&writer), (1, 1, false));
    let sql = "SELECT event_id AS n FROM events WHERE has_word(raw, 'word41999y')";
    assert_eq!(ask(&writer.reader(), sql, &Scope::All).await.unwrap(), "n\n41999\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_are_made_meanwhile_and_know_their_words() {
    const EACH: u64 = 6_000;
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(&lake(&folder)).await.unwrap();
    for sequence in 1..=5 {
        writer.add(&mut told_apart((sequence - 1) * EACH, EACH), &mut FindingRows::default());
        writer.commit(sequence, 1_000).await.unwrap();
    }
    let reader = writer.reader();
    let all = "SELECT count(*) AS n, sum(event_id) AS s, count(DISTINCT raw) AS d, min(time) AS a, max(time) AS b FROM events";
    let before = ask(&reader, all, &Scope::All).await.unwrap();
    put_all_together(&mut writer).await;
    assert_eq!(ask(&reader, all, &Scope::All).await.unwrap(), before);
    let found = async |condition: &str| {
        let sql = format!("SELECT event_id AS n FROM events WHERE {condition} ORDER BY 1");
        ask(&reader, &sql, &Scope::All).await.unwrap().trim_start_matches("n\n").trim_end().replace('\n', " ")
    };
    for id in [0, 1, 8_191, 8_192, 17_500, 29_999] {
        let wanted = id.to_string();
        for condition in [
            format!("user_name = 'User {id}'"),
            format!("user_name ILIKE 'uSER {id}'"),
            format!("user_name IN ('User {id}', 'nobody')"),
            format!("user_name LIKE '% {id}'"),
            format!("has_word(raw, 'word{id}y')"),
            format!("raw ILIKE '%word{id}y%'"),
            format!("src_endpoint_ip = '10.{}.{}.1' AND organisation = 'soc-a'", id / 250, id % 250),
            format!("(user_name = 'User {id}' OR user_name = 'x') AND event_id >= 0"),
        ] {
            assert_eq!(found(&condition).await, wanted, "{condition}");
        }
    }
    for none in [
        "user_name = 'user'",
        "has_word(raw, 'word')",
        "has_word(raw, '192.0.2')  AND false",
        "user_name = 'User 30000'",
    ] {
        assert_eq!(found(none).await, "", "{none}");
    }
    assert_eq!(found("has_word(raw, '192.0.2.255') AND event_id < 600").await, "255 511");
    // What is looked up is not read.
    let sql = "EXPLAIN ANALYZE SELECT event_id FROM events WHERE user_name ILIKE 'user 17'";
    let plan = ask(&reader, sql, &Scope::All).await.unwrap();
    assert!(plan.contains("output_rows=1"), "{plan}");
    let sql = "EXPLAIN SELECT event_id FROM events WHERE user_name ILIKE 'user 30000'";
    let plan = ask(&reader, sql, &Scope::All).await.unwrap();
    assert!(!plan.contains(".parquet"), "{plan}");
}

#[tokio::test]
async fn times_are_truncated_and_joins_begin_with_the_smaller_side() {
    let folder = tempfile::tempdir().unwrap();
    let reader = filled(&folder).await.reader();
    for (unit, wanted) in [
        ("hour", "2024-10-04T00:00:00Z"),
        ("day", "2024-10-03T00:00:00Z"),
        ("week", "2024-09-30T00:00:00Z"),
        ("year", "2024-01-01T00:00:00Z"),
    ] {
        let sql = format!("SELECT DISTINCT date_trunc('{unit}', time) AS t FROM events ORDER BY 1 DESC");
        let answer = ask(&reader, &sql, &Scope::All).await.unwrap();
        assert!(answer.contains(wanted), "{unit}: {answer}");
    }
    let sql = "SELECT date_trunc('hour', TIMESTAMP '2026-01-02 03:04:05') AS a, datetrunc('day', NULL::timestamp) AS b";
    assert_eq!(ask(&reader, sql, &Scope::All).await.unwrap(), "a,b\n2026-01-02T03:00:00,\n");
    let sql =
        "SELECT count(*) AS n FROM events JOIN (SELECT value * 2 AS v FROM generate_series(0, 5)) ON v = event_id";
    assert_eq!(ask(&reader, sql, &Scope::All).await.unwrap(), "n\n6\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_records_are_put_together_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(&lake(&folder)).await.unwrap();
    let flat = Flat { class_uid: 0, category_uid: 0, activity_id: 0, severity_id: 0, values: Vec::new() };
    for sequence in 1..=6_u64 {
        let mut rows = EventRows::default();
        for id in 0..40 {
            // Hardly anything of it packs.
            let long: String =
                (0..100_000_u64).map(|n| char::from(b'a' + ((n * n + id * sequence) % 26) as u8)).collect();
            rows.push(&EventRow {
                event_id: sequence * 100 + id,
                time_ns: Some(NOON_NS + (id * 7 + sequence) as i64),
                received_ms: NOON_NS / 1_000_000,
                organisation: "soc-a",
                source: "s",
                protocol: "ndjson",
                kind: "",
                flat: &flat,
                raw: long.as_bytes(),
                raw_sha256: [0; 32],
                envelope: None,
            });
        }
        writer.add(&mut rows, &mut FindingRows::default());
        writer.commit(sequence, 1_000).await.unwrap();
    }
    let sql = "SELECT count(*) AS n, count(DISTINCT event_id) AS d, sum(length(raw)) AS l, count(DISTINCT raw) AS r FROM events";
    let before = ask(&writer.reader(), sql, &Scope::All).await.unwrap();
    put_all_together(&mut writer).await;
    assert_eq!(ask(&writer.reader(), sql, &Scope::All).await.unwrap(), before);
}
