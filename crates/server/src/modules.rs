//! The modules of this program.

use khien_store::StoreError;
use khien_store::sea_orm::DatabaseConnection;
use sea_orm_migration::{MigrationTrait, MigratorTrait};

/// All migrations of all modules, in the order of their names.
struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut all = khien_sources::migrations();
        all.extend(khien_identity::migrations());
        all.extend(khien_detections::migrations());
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }
}

/// Brings the tables up to date.
pub(crate) async fn migrate(db: &DatabaseConnection) -> Result<(), StoreError> {
    Ok(Migrator::up(db, None).await?)
}
