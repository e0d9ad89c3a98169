//! Operators on both databases.

#![expect(clippy::unwrap_used, reason = "everything here is a test")]

use khien_identity::{Identity, IdentityError, Moment, migrations};
use khien_testkit::postgres::Postgres;
use sea_orm_migration::{MigrationTrait, MigratorTrait};

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        migrations()
    }
}

fn moment(number: u8) -> Moment {
    Moment { now_ms: i64::from(number), random: [number; 32] }
}

/// What holds on every database.
async fn holds(url: &str) {
    let db = khien_store::connect(url).await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    let identity = Identity::new(db);
    let (added, token) = identity.add("Trực ban 1", moment(1)).await.unwrap();
    assert!(token.reveal().starts_with("khien_op_"));
    assert_eq!(identity.authenticate(token.reveal()).await.unwrap(), Some(added.clone()));
    assert_eq!(identity.authenticate("khien_op_").await.unwrap(), None);
    assert!(matches!(identity.add("Trực ban 1", moment(2)).await, Err(IdentityError::Exists(_))));
    assert!(matches!(identity.add(" ", moment(2)).await, Err(IdentityError::Name { .. })));
    identity.revoke("Trực ban 1", 7).await.unwrap();
    assert!(matches!(identity.revoke("Trực ban 1", 8).await, Err(IdentityError::Unknown(_))));
    assert_eq!(identity.authenticate(token.reveal()).await.unwrap(), None);
    let list = identity.list().await.unwrap();
    assert_eq!((list.len(), list[0].revoked_ms), (1, Some(7)));
}

#[tokio::test]
async fn operators_hold_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    holds(&format!("sqlite://{}?mode=rwc", folder.path().join("state.db").display())).await;
}

#[tokio::test]
async fn operators_hold_on_postgresql() {
    let Some(postgres) = Postgres::start() else { return };
    holds(&postgres.url()).await;
}
