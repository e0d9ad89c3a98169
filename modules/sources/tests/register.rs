//! The register on both databases.

#![expect(clippy::unwrap_used, reason = "everything here is a test")]

use khien_sources::{
    Keeping, KeepingError, Kind, Moment, NewSoc, Quota, Sources, SourcesError, default_keeping, migrations,
};
use khien_testkit::postgres::Postgres;
use sea_orm_migration::{MigrationTrait, MigratorTrait};

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        migrations()
    }
}

async fn register(url: &str) -> Sources {
    let db = khien_store::connect(url).await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    // A second time there is nothing to do.
    Migrator::up(&db, None).await.unwrap();
    Sources::new(db)
}

fn moment(number: u8) -> Moment {
    Moment { now_ms: 1_000 + i64::from(number), random: [number; 32] }
}

/// A time at which everything is valid.
const NOW_MS: i64 = 1_800_000_000_000;

fn soc(name: &str, quota: Quota) -> NewSoc {
    NewSoc { name: name.to_owned(), kind: Kind::Province, quota }
}

/// What holds on every database.
async fn holds(sources: &Sources) {
    let quota = Quota { events_per_second: Some(5), ..Quota::default() };
    let (added, token) = sources.add(soc("Sở TTTT Đà Nẵng", quota), moment(1)).await.unwrap();
    assert_eq!((added.name.as_str(), added.kind, added.created_ms), ("Sở TTTT Đà Nẵng", Kind::Province, 1_001));
    assert_eq!(sources.authenticate(token.reveal(), NOW_MS).await.unwrap().as_ref(), Some(&added));
    assert_eq!(sources.named("Sở TTTT Đà Nẵng").await.unwrap().quota, quota);
    assert!(!format!("{token:?}").contains(token.reveal()));

    let again = sources.add(soc("Sở TTTT Đà Nẵng", quota), moment(2)).await;
    assert!(matches!(again, Err(SourcesError::Exists(_))), "{again:?}");
    for (name, fault) in [("", "empty"), (" x", "blank"), ("a\nb", "control"), (&"ắ".repeat(101), "100")] {
        let refused = sources.add(soc(name, quota), moment(3)).await.unwrap_err();
        assert!(refused.to_string().contains(fault), "{refused}");
    }
    assert!(sources.add(soc(&"ắ".repeat(100), quota), moment(4)).await.is_ok());
    assert!(matches!(sources.named("nobody").await, Err(SourcesError::Unknown(_))));
    assert!(matches!(sources.add_token("nobody", moment(5)).await, Err(SourcesError::Unknown(_))));

    let second = sources.add_token("Sở TTTT Đà Nẵng", moment(6)).await.unwrap();
    assert_eq!(sources.authenticate(second.reveal(), NOW_MS).await.unwrap().as_ref(), Some(&added));
    assert_eq!(sources.revoke("Sở TTTT Đà Nẵng", 2_000).await.unwrap(), 2);
    assert_eq!(sources.revoke("Sở TTTT Đà Nẵng", 3_000).await.unwrap(), 0);
    for token in [&token, &second] {
        assert_eq!(sources.authenticate(token.reveal(), NOW_MS).await.unwrap(), None);
    }
    assert_eq!(sources.authenticate("", NOW_MS).await.unwrap(), None);
    let list = sources.list().await.unwrap();
    let credentials = &list.iter().find(|(soc, _)| soc.id == added.id).unwrap().1;
    assert_eq!(credentials.iter().map(|c| c.revoked_ms).collect::<Vec<_>>(), [Some(2_000), Some(2_000)]);
    assert_eq!(list.len(), 2);
}

/// A certificate that signed itself, and its key, both as PEM.
fn certificate(until: i32) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut wanted = rcgen::CertificateParams::new(["sender.example".to_owned()]).unwrap();
    wanted.not_after = rcgen::date_time_ymd(until, 1, 1);
    (wanted.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// Certificates and networks, on every database.
async fn senders_hold(sources: &Sources) {
    sources.add(soc("sender", Quota::default()), moment(20)).await.unwrap();
    let (pem, key) = certificate(2090);
    let added = sources.add_certificate("sender", pem.as_bytes(), NOW_MS).await.unwrap();
    assert!(added.expires_ms.unwrap() > NOW_MS);
    let block = pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, block).unwrap();
    let fingerprint: [u8; 32] =
        sha2::Digest::finalize(sha2::Digest::chain_update(sha2::Sha256::default(), &der)).into();
    let found = async |now_ms| sources.with_certificate(&fingerprint, now_ms).await.unwrap().map(|soc| soc.name);
    assert_eq!(found(NOW_MS).await.as_deref(), Some("sender"));
    assert_eq!(found(added.expires_ms.unwrap()).await, None);
    assert_eq!(sources.with_certificate(&[7; 32], NOW_MS).await.unwrap(), None);
    for (text, fault) in [
        (pem.clone(), "already"),
        (format!("{key}{pem}"), "private key"),
        (format!("{pem}{pem}"), "several"),
        (certificate(2001).0, "ended"),
        ("nothing".to_owned(), "PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(), "PEM"),
    ] {
        let refused = sources.add_certificate("sender", text.as_bytes(), NOW_MS).await.unwrap_err();
        assert!(refused.to_string().contains(fault), "{refused}");
    }
    assert_eq!(sources.revoke("sender", NOW_MS).await.unwrap(), 2);
    assert_eq!(found(NOW_MS).await, None);

    let network = |text: &str| text.parse().unwrap();
    sources.add_network("sender", network("10.1.2.3/8"), NOW_MS).await.unwrap();
    let again = sources.add_network("sender", network("10.0.0.0/8"), NOW_MS).await;
    assert!(matches!(again, Err(SourcesError::NetworkExists(_))), "{again:?}");
    let networks = sources.networks().await.unwrap();
    assert_eq!(
        networks.iter().map(|n| (n.soc.name.as_str(), n.network)).collect::<Vec<_>>(),
        [("sender", network("10.0.0.0/8"))]
    );
    sources.remove_network("sender", network("10.0.0.0/8")).await.unwrap();
    let gone = sources.remove_network("sender", network("10.0.0.0/8")).await;
    assert!(matches!(gone, Err(SourcesError::NoNetwork(..))), "{gone:?}");
}

/// Declared sources, on every database.
async fn declarations_hold(sources: &Sources) {
    for name in ["declarer", "other"] {
        sources.add(soc(name, Quota::default()), moment(if name == "other" { 31 } else { 30 })).await.unwrap();
    }
    sources.declare("declarer", "firewall", None, 1).await.unwrap();
    sources.declare("other", "firewall", None, 2).await.unwrap();
    // Said again, it is the same source with another limit.
    sources.declare("declarer", "firewall", Some(60_000), 3).await.unwrap();
    let declared = sources.declared().await.unwrap();
    let of = |name: &str| {
        let own = declared.iter().filter(|one| one.soc.name == name);
        own.map(|one| (one.name.as_str(), one.silence_ms, one.created_ms)).collect::<Vec<_>>()
    };
    assert_eq!(of("declarer"), [("firewall", Some(60_000), 1)]);
    assert_eq!(of("other"), [("firewall", None, 2)]);
    sources.withdraw("declarer", "firewall").await.unwrap();
    assert_eq!(sources.declared().await.unwrap().len(), 1);
    let gone = sources.withdraw("declarer", "firewall").await;
    assert!(matches!(gone, Err(SourcesError::NoSource(..))), "{gone:?}");
    assert!(matches!(sources.declare("nobody", "x", None, 4).await, Err(SourcesError::Unknown(_))));
    assert!(matches!(sources.declare("other", " x", None, 4).await, Err(SourcesError::Name { .. })));
}

/// Retention rules and legal holds, on every database.
async fn keeping_holds(url: &str) {
    let db = khien_store::connect(url).await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    let keeping = Keeping::new(db);
    assert_eq!(default_keeping().days, 366);
    let soc = || (Some("a".to_owned()), None);
    let because = || ("NĐ 333, Điều 16".to_owned(), "Lan");
    let first = keeping.set(soc(), 90, because(), 1).await.unwrap();
    keeping.set((None, Some(4003)), 30, because(), 2).await.unwrap();
    let second = keeping.set(soc(), 400, because(), 3).await.unwrap();
    let days: Vec<i32> = keeping.rules().await.unwrap().iter().map(|rule| rule.days).collect();
    assert_eq!(days, [30, 400]);
    assert!(matches!(keeping.remove(first.id, 4).await, Err(KeepingError::Unknown(_))));
    keeping.remove(second.id, 4).await.unwrap();
    assert_eq!(keeping.rules().await.unwrap().len(), 1);
    for refused in [keeping.set(soc(), 0, because(), 5).await, keeping.set(soc(), 5, (" ".into(), "Lan"), 5).await] {
        assert!(matches!(refused, Err(KeepingError::Invalid(_))), "{refused:?}");
    }
    // A clock that is years ahead, or back, takes a week more at most.
    let week = 7 * 86_400_000;
    assert_eq!(keeping.begin_removal(NOW_MS).await.unwrap(), NOW_MS);
    assert_eq!(keeping.begin_removal(NOW_MS + 1).await.unwrap(), NOW_MS + 1);
    assert_eq!(keeping.begin_removal(NOW_MS * 2).await.unwrap(), NOW_MS + 1 + week);
    assert_eq!(keeping.begin_removal(NOW_MS).await.unwrap(), NOW_MS);
    assert_eq!(keeping.begin_removal(NOW_MS * 2).await.unwrap(), NOW_MS + 1 + 2 * week);
    let hold = keeping.hold(None, (5, 9), because(), 6).await.unwrap();
    assert!(matches!(keeping.hold(None, (9, 5), because(), 6).await, Err(KeepingError::Invalid(_))));
    keeping.lift(hold.id, ("case closed", "Minh"), 7).await.unwrap();
    assert!(matches!(keeping.lift(hold.id, ("again", "Minh"), 8).await, Err(KeepingError::Unknown(_))));
    let holds = keeping.holds().await.unwrap();
    assert_eq!((holds[0].lifted_ms, holds[0].lifted.as_deref()), (Some(7), Some("Minh: case closed")));
}

#[tokio::test]
async fn the_register_holds_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("state.db").display());
    let sources = register(&url).await;
    holds(&sources).await;
    senders_hold(&sources).await;
    declarations_hold(&sources).await;
    keeping_holds(&url).await;
}

#[tokio::test]
async fn the_register_holds_on_postgresql() {
    let Some(postgres) = Postgres::start() else { return };
    let sources = register(&postgres.url()).await;
    holds(&sources).await;
    senders_hold(&sources).await;
    declarations_hold(&sources).await;
    keeping_holds(&postgres.url()).await;
}

#[tokio::test]
async fn two_processes_may_write_to_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("state.db").display());
    let (one, two) = (register(&url).await, register(&url).await);
    let quota = Quota::default();
    for number in 0..20 {
        let (a, b) = (format!("a{number}"), format!("b{number}"));
        let (a, b) =
            tokio::join!(one.add(soc(&a, quota), moment(number)), two.add(soc(&b, quota), moment(100 + number)));
        a.unwrap();
        b.unwrap();
    }
    assert_eq!(one.list().await.unwrap().len(), 40);
}
