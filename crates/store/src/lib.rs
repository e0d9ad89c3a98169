//! The state database: everything that is not an event.
//!
//! SQLite in a file on one machine, PostgreSQL for many; modules write one code for both with `SeaORM`, which they reach
//! through this crate. Each module brings its entities and migrations; who wires them together runs the migrations.
//!
//! Conventions: identifiers are version 7 UUIDs, times are whole milliseconds since 1970 in UTC, enumerations are text
//! with a CHECK. A migration only ever goes forward and has a name `mYYYYMMDD_NNNNNN_module_what`, by which all of them
//! are put in order.

use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbErr, SqlErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait as _,
};
use thiserror::Error;

pub use sea_orm;
pub use sea_orm_migration;

/// Why the database cannot do something.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Something with this name or key is there already.
    #[error("it is there already")]
    Exists,
    /// The database says no.
    #[error("the state database failed")]
    Database(#[source] DbErr),
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::Exists,
            _ => Self::Database(error),
        }
    }
}

/// How long a writer waits for another one, of this process or not.
const BUSY: Duration = Duration::from_secs(10);

/// Connections at once.
const CONNECTIONS: u32 = 8;

/// Connects to the database at `url`: `sqlite://FILE?mode=rwc` or `postgres://...`.
///
/// # Errors
/// When it cannot be reached or made.
pub async fn connect(url: &str) -> Result<DatabaseConnection, StoreError> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(CONNECTIONS).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|sqlite| {
        sqlite
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .foreign_keys(true)
    });
    Ok(Database::connect(options).await?)
}

/// Begins a transaction that will write.
///
/// On SQLite it waits for its turn here: one that has read before it writes would be refused at once while another one is
/// writing, however long it may wait.
///
/// # Errors
/// When the database fails, or another writer takes too long.
pub async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, StoreError> {
    let sqlite_transaction_mode = Some(SqliteTransactionMode::Immediate);
    Ok(db.begin_with_options(TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() }).await?)
}
