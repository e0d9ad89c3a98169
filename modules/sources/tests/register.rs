//! The register on both databases.

#![expect(clippy::unwrap_used, reason = "everything here is a test")]

use khien_sources::{Kind, Moment, NewSoc, Quota, Sources, SourcesError, migrations};
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

fn soc(name: &str, quota: Quota) -> NewSoc {
    NewSoc { name: name.to_owned(), kind: Kind::Province, quota }
}

/// What holds on every database.
async fn holds(sources: &Sources) {
    let quota = Quota { events_per_second: Some(5), ..Quota::default() };
    let (added, token) = sources.add(soc("Sở TTTT Đà Nẵng", quota), moment(1)).await.unwrap();
    assert_eq!((added.name.as_str(), added.kind, added.created_ms), ("Sở TTTT Đà Nẵng", Kind::Province, 1_001));
    assert_eq!(sources.authenticate(token.reveal()).await.unwrap().as_ref(), Some(&added));
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
    assert_eq!(sources.authenticate(second.reveal()).await.unwrap().as_ref(), Some(&added));
    assert_eq!(sources.revoke("Sở TTTT Đà Nẵng", 2_000).await.unwrap(), 2);
    assert_eq!(sources.revoke("Sở TTTT Đà Nẵng", 3_000).await.unwrap(), 0);
    for token in [&token, &second] {
        assert_eq!(sources.authenticate(token.reveal()).await.unwrap(), None);
    }
    assert_eq!(sources.authenticate("").await.unwrap(), None);
    let list = sources.list().await.unwrap();
    let credentials = &list.iter().find(|(soc, _)| soc.id == added.id).unwrap().1;
    assert_eq!(credentials.iter().map(|c| c.revoked_ms).collect::<Vec<_>>(), [Some(2_000), Some(2_000)]);
    assert_eq!(list.len(), 2);
}

#[tokio::test]
async fn the_register_holds_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("state.db").display());
    holds(&register(&url).await).await;
}

#[tokio::test]
async fn the_register_holds_on_postgresql() {
    let Some(postgres) = Postgres::start() else { return };
    holds(&register(&postgres.url()).await).await;
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
