//! Packs, exceptions and alerts on both databases.

#![expect(clippy::unwrap_used, reason = "everything here is a test")]

use khien_detections::{
    Actor, AlertChange, AlertFilter, AlertState, ContentError, Counts, Cover, CoverageFilter, Covered, Declared,
    Detections, DetectionsError, Entry, NewException, NewSuppression, PackState, Reach, Seen, migrations, read_pack,
};
use khien_testkit::postgres::Postgres;
use sea_orm_migration::{MigrationTrait, MigratorTrait};

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        migrations()
    }
}

const RULE: &str = "title: T
id: 6f5b1c1e-8a39-4d0e-9d9e-0b1f6a5d0c01
logsource: {product: x}
detection:
    selection: {a: b}
    condition: selection
";

fn centre(now_ms: i64) -> Actor {
    Actor { name: "watch".into(), reach: Reach::All, now_ms }
}

fn soc(name: &str, now_ms: i64) -> Actor {
    Actor { name: name.into(), reach: Reach::Organisation(name.into()), now_ms }
}

fn seen(organisation: &str, entity: &str, first_ms: i64, last_ms: i64, findings: i64) -> Seen {
    Seen {
        rule_id: "r1".into(),
        title: "Quét cổng".into(),
        level: "high".into(),
        severity_id: 4,
        pack: "p@1".into(),
        organisation: organisation.into(),
        entity: entity.into(),
        first_ms,
        last_ms,
        findings,
        event_id: last_ms,
    }
}

fn filter() -> AlertFilter {
    AlertFilter::default()
}

async fn packs(detections: &Detections) {
    let content = RULE.as_bytes();
    let set = read_pack(content).unwrap();
    let first = detections.add_pack("cơ bản", content, &set, &centre(1)).await.unwrap();
    assert_eq!((first.version, first.state, first.rules, first.organisations), (1, PackState::Draft, 1, None));
    let same = detections.add_pack("cơ bản", content, &set, &centre(2)).await;
    assert!(matches!(same, Err(DetectionsError::Conflict(_))), "{same:?}");
    for name in ["", "a@b", "a/b"] {
        let refused = detections.add_pack(name, content, &set, &centre(2)).await;
        assert!(matches!(refused, Err(DetectionsError::Invalid(_))), "{refused:?}");
    }
    let other = format!("{RULE}# more\n");
    detections.add_pack("cơ bản", other.as_bytes(), &set, &centre(3)).await.unwrap();
    assert!(detections.in_force().await.unwrap().packs.is_empty());
    let before = detections.revision().await.unwrap();
    let only = ["soc-a".to_owned()];
    detections.go_live("cơ bản", Some(1), Some(&only), &centre(4)).await.unwrap();
    let live = detections.go_live("cơ bản", None, None, &centre(5)).await.unwrap();
    assert_eq!((live.version, live.state, live.organisations), (2, PackState::Live, None));
    assert_eq!(detections.revision().await.unwrap(), before + 2);
    let force = detections.in_force().await.unwrap();
    assert_eq!((force.packs.len(), &force.packs[0].1), (1, &other.into_bytes()));
    let states: Vec<PackState> = detections.packs(&centre(6)).await.unwrap().iter().map(|pack| pack.state).collect();
    assert_eq!(states, [PackState::Live, PackState::Retired]);
    detections.retire("cơ bản", &centre(7)).await.unwrap();
    let again = detections.retire("cơ bản", &centre(8)).await;
    assert!(matches!(again, Err(DetectionsError::Unknown(_))), "{again:?}");
    let actions: Vec<String> =
        detections.pack_history("cơ bản", &centre(9)).await.unwrap().into_iter().map(|h| h.action).collect();
    assert_eq!(actions, ["add", "add", "go_live", "go_live", "retire"]);
    for refused in [
        detections.packs(&soc("soc-a", 1)).await.err(),
        detections.go_live("cơ bản", None, None, &soc("soc-a", 1)).await.err(),
        detections.retire("cơ bản", &soc("soc-a", 1)).await.err(),
        detections.add_pack("x", content, &set, &soc("soc-a", 1)).await.err(),
        detections.pack("cơ bản", None, &soc("soc-a", 1)).await.err(),
    ] {
        assert!(matches!(refused, Some(DetectionsError::Forbidden)), "{refused:?}");
    }
}

fn exception(organisation: Option<&str>) -> NewException {
    NewException {
        list: "scanners".into(),
        field: "SourceIp".into(),
        rules: Vec::new(),
        organisation: organisation.map(str::to_owned),
        reason: "ours".into(),
        until_ms: Some(1_000),
    }
}

async fn exceptions(detections: &Detections) {
    let missing = detections.add_exception(exception(None), &centre(1)).await;
    assert!(matches!(missing, Err(DetectionsError::Unknown(_))), "{missing:?}");
    let entry = |value: &str, reason: &str| Entry { value: value.into(), reason: reason.into(), until_ms: None };
    let bad = detections.put_list("scanners", "", vec![entry("1.2.3.4", " ")], &centre(1)).await;
    assert!(matches!(bad, Err(DetectionsError::Invalid(_))), "{bad:?}");
    detections.put_list("scanners", "d", vec![entry("b", "r"), entry("a", "r")], &centre(1)).await.unwrap();
    let list = detections.put_list("scanners", "d", vec![entry("c", "r"), entry("a", "r")], &centre(2)).await.unwrap();
    assert_eq!((list.created_ms, list.entries[0].value.as_str(), list.entries.len()), (1, "a", 2));
    let everywhere = detections.add_exception(exception(None), &soc("soc-a", 3)).await;
    assert!(matches!(everywhere, Err(DetectionsError::Forbidden)), "{everywhere:?}");
    let past = detections.add_exception(exception(None), &centre(1_000)).await;
    assert!(matches!(past, Err(DetectionsError::Invalid(_))), "{past:?}");
    let own = detections.add_exception(exception(Some("soc-a")), &soc("soc-a", 3)).await.unwrap();
    detections.add_exception(exception(None), &centre(4)).await.unwrap();
    assert_eq!(detections.exceptions(&soc("soc-a", 5)).await.unwrap().len(), 1);
    assert_eq!(detections.exceptions(&centre(5)).await.unwrap().len(), 2);
    let needed = detections.remove_list("scanners", &centre(5)).await;
    assert!(matches!(needed, Err(DetectionsError::Conflict(_))), "{needed:?}");
    let other = detections.remove_exception(own.id, &soc("soc-b", 6)).await;
    assert!(matches!(other, Err(DetectionsError::Unknown(_))), "{other:?}");
    detections.remove_exception(own.id, &soc("soc-a", 6)).await.unwrap();
    let force = detections.in_force().await.unwrap().exceptions;
    assert_eq!((force.len(), force[0].1.len()), (1, 2));
}

const HOUR: i64 = 3_600_000;

async fn alerts(detections: &Detections) {
    let first = [seen("soc-a", "ip:1", 0, 5, 2), seen("soc-b", "ip:1", 0, 0, 1), seen("soc-a", "ip:2", 0, 0, 1)];
    assert_eq!(detections.take(&first, 10, 100).await.unwrap(), 3);
    assert_eq!(detections.taken().await.unwrap(), 10);
    // Within an hour of the alert, before or after it, then beyond.
    let more = [seen("soc-a", "ip:1", HOUR, HOUR + 5, 3), seen("soc-a", "ip:1", 3 * HOUR, 3 * HOUR, 1)];
    assert_eq!(detections.take(&more, 11, 200).await.unwrap(), 1);
    let own = detections.alerts(&filter(), &soc("soc-a", 0)).await.unwrap().0;
    let shape: Vec<(&str, i64, i64, i64)> =
        own.iter().map(|alert| (alert.entity.as_str(), alert.first_ms, alert.last_ms, alert.findings)).collect();
    assert_eq!(shape, [("ip:1", 3 * HOUR, 3 * HOUR, 1), ("ip:2", 0, 0, 1), ("ip:1", 0, HOUR + 5, 5)]);
    assert_eq!(own[2].event_id, HOUR + 5);
    assert_eq!(detections.undecided(&soc("soc-a", 0)).await.unwrap(), 3);
    assert_eq!(detections.undecided(&centre(0)).await.unwrap(), 4);
    let page = AlertFilter { after: Some(own[0].id), limit: Some(1), ..filter() };
    let (alone, next) = detections.alerts(&page, &soc("soc-a", 0)).await.unwrap();
    assert_eq!((alone[0].id, next), (own[1].id, Some(own[1].id)));
    let last = AlertFilter { after: next, ..page };
    assert_eq!(detections.alerts(&last, &soc("soc-a", 0)).await.unwrap().1, None);
    for (wanted, count) in [
        (AlertFilter { text: Some("QUét".into()), ..filter() }, 4),
        (AlertFilter { text: Some("ip:_".into()), ..filter() }, 0),
        (AlertFilter { level: Some("critical".into()), ..filter() }, 0),
        (AlertFilter { state: Some("new,closed".into()), organisation: Some("soc-b".into()), ..filter() }, 1),
        (AlertFilter { assignee: Some(String::new()), entity: Some("ip:2".into()), ..filter() }, 1),
        (AlertFilter { suppressed: Some(true), ..filter() }, 0),
    ] {
        assert_eq!(detections.alerts(&wanted, &centre(0)).await.unwrap().0.len(), count, "{wanted:?}");
    }
    for wrong in [
        AlertFilter { state: Some("done".into()), ..filter() },
        AlertFilter { level: Some("bad".into()), ..filter() },
        AlertFilter { limit: Some(0), ..filter() },
        AlertFilter { limit: Some(1_001), ..filter() },
    ] {
        let refused = detections.alerts(&wrong, &centre(0)).await;
        assert!(matches!(refused, Err(DetectionsError::Invalid(_))), "{refused:?}");
    }

    // What strangers wrote raises alerts too, however long it is.
    let strange = Seen { title: "x\0y".into(), ..seen("soc-c", &format!("user:\0{}", "ắ".repeat(9_000)), 0, 0, 1) };
    for batch in [11, 12] {
        detections.take(std::slice::from_ref(&strange), batch, 250).await.unwrap();
    }
    let (stored, _) = detections.alerts(&filter(), &soc("soc-c", 0)).await.unwrap();
    assert_eq!((stored.len(), stored[0].findings, stored[0].entity.chars().count()), (1, 2, 200));

    let id = own[2].id;
    let close = AlertChange {
        from: Some(AlertState::New),
        state: Some(AlertState::FalsePositive),
        assignee: Some("Lan".into()),
        note: Some("máy quét của ta".into()),
    };
    for stranger in [soc("soc-b", 1), soc("nobody", 1)] {
        let hidden = detections.alert(id, &stranger).await;
        assert!(matches!(hidden, Err(DetectionsError::Unknown(_))), "{hidden:?}");
        let hidden = detections.change_alert(id, close.clone(), &stranger).await;
        assert!(matches!(hidden, Err(DetectionsError::Unknown(_))), "{hidden:?}");
    }
    let done = detections.change_alert(id, close.clone(), &soc("soc-a", 300)).await.unwrap();
    assert_eq!((done.state, done.assignee.as_deref(), done.changed_ms), (AlertState::FalsePositive, Some("Lan"), 300));
    let late = detections.change_alert(id, close, &centre(301)).await;
    assert!(matches!(late, Err(DetectionsError::Conflict(_))), "{late:?}");
    let nothing = detections.change_alert(id, AlertChange::default(), &centre(301)).await;
    assert!(matches!(nothing, Err(DetectionsError::Invalid(_))), "{nothing:?}");
    let (_, history) = detections.alert(id, &centre(0)).await.unwrap();
    assert_eq!(
        (history.len(), history[0].actor.as_str(), &history[0].detail["before"]["state"]),
        (1, "soc-a", &"new".into())
    );
    // What was decided does not take more in.
    assert_eq!(detections.take(&[seen("soc-a", "ip:1", 0, 5, 2)], 12, 400).await.unwrap(), 1);

    let quiet = |organisation: Option<&str>, entity: Option<&str>| NewSuppression {
        rule: None,
        organisation: organisation.map(str::to_owned),
        entity: entity.map(str::to_owned),
        reason: "bảo trì".into(),
        until_ms: 1_000,
    };
    assert!(matches!(detections.suppress(quiet(None, None), &centre(1)).await, Err(DetectionsError::Invalid(_))));
    let beyond = detections.suppress(quiet(Some("soc-b"), None), &soc("soc-a", 1)).await;
    assert!(matches!(beyond, Err(DetectionsError::Forbidden)), "{beyond:?}");
    let suppression = detections.suppress(quiet(Some("soc-a"), Some("ip:9*")), &soc("soc-a", 1)).await.unwrap();
    assert_eq!(detections.take(&[seen("soc-a", "ip:99", 0, 0, 1)], 13, 500).await.unwrap(), 1);
    let silent = AlertFilter { suppressed: Some(true), ..filter() };
    assert_eq!(detections.alerts(&silent, &centre(0)).await.unwrap().0[0].suppressed, Some(suppression.id));
    detections.end_suppression(suppression.id, &centre(2)).await.unwrap();
    detections.take(&[seen("soc-a", "ip:98", 0, 0, 1)], 14, 600).await.unwrap();
    assert_eq!(detections.alerts(&silent, &centre(0)).await.unwrap().0.len(), 1);
}

fn covered(source: &str, hour: i64, late: i64, undecoded: i64, received_ms: i64) -> Covered {
    Covered {
        organisation: "soc-a".into(),
        source: source.into(),
        pack: if source == "c" { String::new() } else { "p@1".into() },
        hour,
        counts: Counts { events: 300, late, undecoded, ..Counts::default() },
        first_received_ms: received_ms,
        last_received_ms: received_ms,
    }
}

async fn coverage(detections: &Detections) {
    let rows = [
        covered("a", 10, 0, 0, 10 * HOUR),
        covered("b", 10, 0, 0, 10 * HOUR),
        covered("c", 10, 0, 0, 10 * HOUR),
        covered("a", 11, 0, 290, 11 * HOUR),
        // Sent three hours later.
        covered("b", 8, 300, 0, 11 * HOUR),
        covered("b", 12, 0, 0, 12 * HOUR),
    ];
    detections.cover(&rows, 7).await.unwrap();
    detections.cover(&[covered("a", 11, 300, 0, 11 * HOUR + 1)], 9).await.unwrap();
    assert_eq!(detections.covered().await.unwrap(), 9);
    let filter = CoverageFilter { organisation: None, source: None, from_ms: 8 * HOUR, to_ms: 12 * HOUR };
    let seen = detections.coverage(&filter, &centre(12 * HOUR)).await.unwrap();
    let of = |source: &str| -> Vec<(i64, Cover, i64)> {
        let rows = seen.iter().filter(|row| row.source == source);
        rows.map(|row| (row.hour_ms / HOUR, row.cover, row.counts.events)).collect()
    };
    assert_eq!(of("a"), [(10, Cover::Seen, 300), (11, Cover::Seen, 600), (12, Cover::Silent, 0)]);
    let b = [(8, Cover::Late, 300), (10, Cover::Seen, 300), (11, Cover::Silent, 0), (12, Cover::Seen, 300)];
    assert_eq!(of("b"), b);
    assert_eq!(of("c"), [(10, Cover::NotRun, 300), (11, Cover::Silent, 0), (12, Cover::Silent, 0)]);
    assert_eq!(detections.coverage(&filter, &soc("soc-b", 12 * HOUR)).await.unwrap(), []);
    let long = CoverageFilter { to_ms: 1 << 50, ..filter };
    let refused = detections.coverage(&long, &centre(1 << 50)).await;
    assert!(matches!(refused, Err(DetectionsError::Invalid(_))), "{refused:?}");

    // `a` drifted in hour 11, and two sources are silent; each is told once.
    assert_eq!(detections.watch_sources(&[], 0, 12 * HOUR + 600_000).await.unwrap(), 3);
    assert_eq!(detections.watch_sources(&[], 0, 12 * HOUR + 700_000).await.unwrap(), 0);
    let own = AlertFilter { text: Some("source".into()), ..filter_of("soc-a") };
    let mut alerts: Vec<(String, String)> = (detections.alerts(&own, &centre(0)).await.unwrap().0.into_iter())
        .map(|alert| (alert.rule_id, alert.entity))
        .collect();
    alerts.sort();
    let pair = |rule: &str, entity: &str| (rule.to_owned(), entity.to_owned());
    let silent = "khien:source-silent";
    assert_eq!(alerts, [pair("khien:source-drift", "source:a"), pair(silent, "source:a"), pair(silent, "source:c")]);
    // A server that was down did not listen.
    assert_eq!(detections.watch_sources(&[], 20 * HOUR, 20 * HOUR + 600_000).await.unwrap(), 0);
}

async fn declared_sources(detections: &Detections) {
    let declared = |source: &str, silence_ms| Declared {
        organisation: "soc-d".into(),
        source: source.into(),
        silence_ms,
        declared_ms: 100 * HOUR,
    };
    let of = |row: Covered| Covered { organisation: "soc-d".into(), ..row };
    let own = [declared("a", Some(60_000)), declared("b", None)];
    let watch = async |declared: &[Declared], now_ms| detections.watch_sources(declared, 0, now_ms).await.unwrap();
    let alerts = async || {
        let filter = AlertFilter { text: Some("source".into()), ..filter_of("soc-d") };
        let found = detections.alerts(&filter, &centre(0)).await.unwrap().0.into_iter();
        let mut found: Vec<_> = found.map(|alert| (alert.rule_id, alert.entity)).collect();
        found.sort();
        found
    };
    watch(&[], 99 * HOUR).await; // What the other tests left.
    assert_eq!(watch(&own, 100 * HOUR).await, 0);
    // What was never heard has its own alert, and is a hole in the ledger from its declaration on.
    assert_eq!(watch(&own, 100 * HOUR + 60_000).await, 1);
    assert_eq!(watch(&own, 100 * HOUR + 120_000).await, 0);
    let filter =
        CoverageFilter { organisation: Some("soc-d".into()), source: None, from_ms: 99 * HOUR, to_ms: 101 * HOUR };
    let holes = async |now_ms| {
        let rows = detections.coverage(&filter, &centre(now_ms)).await.unwrap();
        rows.into_iter().map(|row| (row.source, row.hour_ms / HOUR, row.cover)).collect::<Vec<_>>()
    };
    let silent = |source: &str, hour| (source.to_owned(), hour, Cover::Silent);
    assert_eq!(holes(100 * HOUR + 1).await, [silent("a", 100), silent("b", 100)]);
    // One that is heard and not declared is told once; the others come to life and fall silent as they said.
    let came = [of(covered("a", 100, 0, 0, 101 * HOUR)), of(covered("z", 100, 0, 0, 101 * HOUR))];
    detections.cover(&came, 10).await.unwrap();
    assert_eq!(watch(&own, 101 * HOUR + 30_000).await, 2);
    assert_eq!(watch(&own, 101 * HOUR + 60_000).await, 1);
    assert_eq!(watch(&own, 101 * HOUR + 120_000).await, 0);
    let pair = |rule: &str, source: &str| (format!("khien:source-{rule}"), format!("source:{source}"));
    let mut expected = [pair("missing", "a"), pair("missing", "b"), pair("silent", "a"), pair("undeclared", "z")];
    expected.sort();
    assert_eq!(alerts().await, expected);
    // What was declared by mistake is gone with its declaration; what was heard stays.
    assert_eq!(watch(&own[..1], 101 * HOUR + 180_000).await, 0);
    let sources: Vec<_> = holes(101 * HOUR).await.into_iter().map(|(source, ..)| source).collect();
    assert!(!sources.contains(&"b".to_owned()) && sources.contains(&"a".to_owned()), "{sources:?}");
}

fn filter_of(organisation: &str) -> AlertFilter {
    AlertFilter { organisation: Some(organisation.into()), ..filter() }
}

async fn holds(url: &str) {
    let db = khien_store::connect(url).await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    let detections = Detections::new(db);
    packs(&detections).await;
    exceptions(&detections).await;
    alerts(&detections).await;
    coverage(&detections).await;
    declared_sources(&detections).await;
}

#[tokio::test]
async fn detections_hold_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    holds(&format!("sqlite://{}?mode=rwc", folder.path().join("state.db").display())).await;
}

/// Whoever takes in findings, counts events and watches sources reads first and then writes, all at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn many_write_at_once_and_each_gets_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("state.db").display());
    let db = khien_store::connect(&url).await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    let detections = Detections::new(db);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..4_u64 {
        let detections = detections.clone();
        tasks.spawn(async move {
            for round in 1..=25 {
                let found = seen("soc-a", &format!("ip:{task}"), 0, 0, 1);
                detections.take(&[found], round, 100).await.unwrap();
                detections.cover(&[covered("a", 10, 0, 0, 10 * HOUR)], round).await.unwrap();
                detections.watch_sources(&[], 0, 10 * HOUR).await.unwrap();
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let (alerts, _) = detections.alerts(&filter(), &centre(0)).await.unwrap();
    assert_eq!(alerts.iter().map(|alert| alert.findings).sum::<i64>(), 100);
}

#[tokio::test]
async fn detections_hold_on_postgresql() {
    let Some(postgres) = Postgres::start() else { return };
    holds(&postgres.url()).await;
}

#[test]
fn what_is_no_pack_is_refused() {
    assert!(matches!(read_pack(b""), Err(ContentError::Empty(_))));
    assert!(matches!(read_pack(b"\xff\xfe"), Err(ContentError::Broken(_))));
    assert!(matches!(read_pack(b"PK\x03\x04 no zip"), Err(ContentError::Broken(_))));
    let wrong = read_pack(b"title: T\nlogsource: {product: x}\ndetection: {condition: missing}\n");
    assert!(matches!(wrong, Err(ContentError::Empty(_))), "{wrong:?}");
}
