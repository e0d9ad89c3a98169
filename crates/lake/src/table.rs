//! One Delta table: opening, appending, and up to where it goes.

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, StructField, StructType, Transaction};
use deltalake::operations::create::CreateBuilder;
use deltalake::operations::vacuum::VacuumMode;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use object_store::{ObjectStoreExt as _, PutPayload};
use thiserror::Error;
use url::Url;

use crate::columns::{CLASS, DAY, Rows};
use crate::files::{self, File};

/// Why the lake cannot be used.
#[derive(Debug, Error)]
pub enum LakeError {
    /// The address is none that a lake can be at.
    #[error("`{0}` is no folder and no address of an object store")]
    Address(String),
    /// Delta Lake says no.
    #[error("the table cannot be read or written")]
    Delta(#[source] Box<DeltaTableError>),
    /// A file cannot be encoded.
    #[error("rows cannot be written as Parquet")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A file cannot be stored.
    #[error("a file of the lake cannot be stored")]
    Store(#[from] object_store::Error),
    /// A file is not as this program writes them.
    #[error("the lake has a file that another program has written or changed: {0}")]
    Strange(String),
    /// What works in the background was ended.
    #[error("the work was ended")]
    Ended,
}

impl From<DeltaTableError> for LakeError {
    fn from(error: DeltaTableError) -> Self {
        Self::Delta(Box::new(error))
    }
}

/// What a table is like.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) schema: SchemaRef,
    /// The columns it is divided by.
    pub(crate) dividing: &'static [&'static str],
}

pub(crate) fn events() -> Shape {
    Shape { name: "events", schema: crate::columns::EVENTS.clone(), dividing: &[DAY, CLASS] }
}

pub(crate) fn findings() -> Shape {
    Shape { name: "findings", schema: crate::columns::FINDINGS.clone(), dividing: &[DAY] }
}

/// The address of the table called `name` in the lake at `lake`, which ends with a slash.
pub(crate) fn address(lake: &Url, name: &str) -> Result<Url, LakeError> {
    lake.join(&format!("{name}/")).map_err(|_| LakeError::Address(lake.to_string()))
}

/// Commits between two checkpoints of the log.
const CHECKPOINT_INTERVAL: &str = if cfg!(test) { "10" } else { "100" };

/// Opens a table, or makes it.
pub(crate) async fn open(lake: &Url, shape: &Shape) -> Result<DeltaTable, LakeError> {
    let url = address(lake, shape.name)?;
    let mut table = DeltaTableBuilder::from_url(url)?.build()?;
    let schema: StructType = shape.schema.as_ref().try_into_kernel().map_err(DeltaTableError::from)?;
    if table.verify_deltatable_existence().await? {
        table.load().await?;
        return with_new_columns(table, &schema).await;
    }
    let interval = Some(CHECKPOINT_INTERVAL.to_owned());
    let table = CreateBuilder::new()
        .with_log_store(table.log_store())
        .with_table_name(shape.name)
        .with_columns(schema.fields().cloned())
        .with_partition_columns(shape.dividing.iter().copied())
        .with_configuration([
            ("delta.checkpointInterval".to_owned(), interval),
            // Every commit reads again what the log says of all files: of other columns it would read that nothing is known.
            ("delta.dataSkippingStatsColumns".to_owned(), Some(bounded(shape))),
            ("delta.logRetentionDuration".to_owned(), Some("interval 1 hour".to_owned())),
            ("delta.deletedFileRetentionDuration".to_owned(), Some("interval 1 hour".to_owned())),
        ])
        .await?;
    Ok(table)
}

/// The columns of which the log knows bounds.
fn bounded(shape: &Shape) -> String {
    let known = |name: &&str| shape.schema.column_with_name(name).is_some();
    files::BOUNDED.iter().copied().filter(known).collect::<Vec<_>>().join(",")
}

/// Adds the columns that an earlier version of the program did not know; its rows have no value in them.
async fn with_new_columns(table: DeltaTable, schema: &StructType) -> Result<DeltaTable, LakeError> {
    let known = table.snapshot()?.schema();
    let new: Vec<StructField> = schema.fields().filter(|field| known.field(field.name()).is_none()).cloned().collect();
    if new.is_empty() {
        return Ok(table);
    }
    Ok(table.add_columns().with_fields(new).await?)
}

/// Name under which the tables note up to which batch they go.
const APPLICATION: &str = "khien-journal";

/// The last batch whose rows are in the table, 0 for none.
pub(crate) async fn committed(table: &DeltaTable) -> Result<u64, LakeError> {
    let version = table.snapshot()?.transaction_version(table.log_store().as_ref(), APPLICATION).await?;
    Ok(version.and_then(|version| u64::try_from(version).ok()).unwrap_or(0))
}

/// Appends rows and notes in the same transaction that the table goes up to batch `sequence`.
pub(crate) async fn append(
    table: &mut DeltaTable,
    shape: &Shape,
    rows: Vec<Rows>,
    sequence: u64,
    now_ms: i64,
) -> Result<(), LakeError> {
    let encoded = tokio::task::spawn_blocking(move || files::files(rows)).await.map_err(|_| LakeError::Ended)??;
    let mut actions = Vec::with_capacity(encoded.len());
    for file in encoded {
        actions.push(Action::Add(store(table, shape, file, now_ms, true).await?));
    }
    let transaction = Transaction::new_with_last_update(APPLICATION, sequence as i64, Some(now_ms));
    let properties =
        CommitProperties::default().with_application_transaction(transaction).with_cleanup_expired_logs(Some(true));
    let operation = DeltaOperation::Write {
        mode: SaveMode::Append,
        partition_by: Some(shape.dividing.iter().map(|name| (*name).to_owned()).collect()),
        predicate: None,
    };
    let log = table.log_store();
    let state = table.snapshot()?;
    let commit = CommitBuilder::from(properties).with_actions(actions).build(Some(state), log, operation).await?;
    table.state = Some(commit.snapshot());
    Ok(())
}

/// Commits a change of files that leaves all rows as they are.
pub(crate) async fn commit_rearranged(table: &mut DeltaTable, actions: Vec<Action>) -> Result<(), LakeError> {
    let operation = DeltaOperation::Optimize { predicate: None, target_size: 0 };
    let log = table.log_store();
    let state = table.snapshot()?;
    let commit = CommitBuilder::from(CommitProperties::default()).with_actions(actions);
    let commit = commit.build(Some(state), log, operation).await?;
    table.state = Some(commit.snapshot());
    Ok(())
}

/// Commits that rows were removed.
pub(crate) async fn commit_removal(table: &mut DeltaTable, actions: Vec<Action>) -> Result<(), LakeError> {
    let operation = DeltaOperation::Delete { predicate: None };
    let log = table.log_store();
    let state = table.snapshot()?;
    let commit = CommitBuilder::from(CommitProperties::default()).with_actions(actions);
    let commit = commit.build(Some(state), log, operation).await?;
    table.state = Some(commit.snapshot());
    Ok(())
}

/// How long files that no state needs any more are kept for queries that have begun.
const KEPT: chrono::TimeDelta = chrono::TimeDelta::hours(1);

/// Removes files that no state of the last hour needs, and such as a crash left behind; how many.
pub(crate) async fn vacuum(table: &mut DeltaTable) -> Result<usize, LakeError> {
    let vacuum = table.clone().vacuum().with_retention_period(KEPT).with_enforce_retention_duration(false);
    let (after, metrics) = vacuum.with_mode(VacuumMode::Full).await?;
    *table = after;
    Ok(metrics.files_deleted.len())
}

/// How names of files with an index of words end.
pub(crate) const INDEXED: &str = ".words.zstd.parquet";

/// Stores a file; what the log says of it.
pub(crate) async fn store(
    table: &DeltaTable,
    shape: &Shape,
    file: File,
    now_ms: i64,
    data_change: bool,
) -> Result<Add, LakeError> {
    let (class, day) = file.part;
    let values: HashMap<String, Option<String>> = (shape.dividing.iter())
        .map(|name| {
            let value = if *name == DAY { files::day(day) } else { class.to_string() };
            ((*name).to_owned(), Some(value))
        })
        .collect();
    let folder: String = (shape.dividing.iter())
        .filter_map(|name| Some(format!("{name}={}/", values.get(*name)?.as_deref()?)))
        .collect();
    let kind = if file.indexed { INDEXED } else { ".zstd.parquet" };
    let path = format!("{folder}{}{kind}", uuid::Uuid::now_v7());
    let size = file.bytes.len() as i64;
    let payload = PutPayload::from(file.bytes);
    table.object_store().put(&object_store::path::Path::from(path.as_str()), payload).await?;
    Ok(Add {
        path,
        partition_values: values,
        size,
        modification_time: now_ms,
        data_change,
        stats: Some(file.stats),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    })
}
