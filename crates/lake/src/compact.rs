//! Puts small files together.
//!
//! Every commit leaves a file for each part of a table that it has rows of, many of them small. Files of about the same
//! size become one of the next size, so that a row is written again only a few times, until its file is large enough.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;
use deltalake::DeltaTable;
use deltalake::kernel::Action;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::files::{self, Effort, File};
use crate::table::{self, LakeError, Shape};

/// Sizes in bytes below which files are of one kind; larger ones are left alone.
const SIZES: [u64; 3] = [16 << 10, 128 << 10, 1 << 20];

/// So many files of one kind in one part of the table are worth the work.
const ENOUGH: usize = 8;

/// Most files that are put together at once, and most bytes of them: unpacked they are ten to twenty times as large, and all
/// of it is in memory.
const AT_ONCE: usize = 64;
const BYTES_AT_ONCE: u64 = 6 << 20;

/// Files that become one.
struct Plan {
    paths: Vec<Path>,
    removes: Vec<Action>,
    part: (i32, i32),
}

/// Puts the files of one part of the table together, if some part has enough of them; whether it did.
pub(crate) async fn compact(table: &mut DeltaTable, shape: &Shape, now_ms: i64) -> Result<bool, LakeError> {
    let Some(plan) = plan(table)? else { return Ok(false) };
    let store = table.object_store();
    let mut contents = Vec::with_capacity(plan.paths.len());
    for path in &plan.paths {
        contents.push(store.get(path).await?.bytes().await?);
    }
    let part = plan.part;
    let columns = columns(shape);
    let merged =
        tokio::task::spawn_blocking(move || merge(part, &columns, contents)).await.map_err(|_| LakeError::Ended)??;
    let mut actions = plan.removes;
    actions.push(Action::Add(table::store(table, shape, merged, now_ms, false).await?));
    table::commit_rearranged(table, actions).await?;
    Ok(true)
}

/// The part of the table with the most small files of one kind.
fn plan(table: &DeltaTable) -> Result<Option<Plan>, LakeError> {
    let mut groups: BTreeMap<(String, usize), Vec<_>> = BTreeMap::new();
    for file in table.snapshot()?.log_data().iter() {
        let size = u64::try_from(file.size()).unwrap_or(0);
        let Some(kind) = SIZES.iter().position(|most| size < *most) else { continue };
        let path = file.path().into_owned();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        groups.entry((folder, kind)).or_default().push(file);
    }
    let Some((_, mut group)) = groups.into_iter().max_by_key(|(_, files)| files.len()) else { return Ok(None) };
    if group.len() < ENOUGH {
        return Ok(None);
    }
    group.truncate(AT_ONCE);
    let mut bytes = 0;
    let fits = group.iter().position(|file| {
        bytes += u64::try_from(file.size()).unwrap_or(0);
        bytes > BYTES_AT_ONCE
    });
    group.truncate(fits.unwrap_or(group.len()).max(2));
    let Some(part) = group.first().and_then(|file| files::part(&file.partition_values_map())) else { return Ok(None) };
    Ok(Some(Plan {
        paths: group.iter().map(deltalake::kernel::LogicalFileView::object_store_path).collect(),
        removes: group.iter().map(|file| Action::Remove(file.remove_action(false))).collect(),
        part,
    }))
}

/// The columns of files: those by which the table is divided are not in them.
pub(crate) fn columns(shape: &Shape) -> SchemaRef {
    let fields = shape.schema.fields().iter().filter(|field| !shape.dividing.contains(&field.name().as_str()));
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

/// The same rows with all of `columns`; what a file of an earlier version lacks is null.
pub(crate) fn complete(batch: &RecordBatch, columns: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
        Some(column) => arrow::compute::cast(column, field.data_type()),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    };
    RecordBatch::try_new(columns.clone(), columns.fields().iter().map(column).collect::<Result<_, _>>()?)
}

/// Makes one file of the contents of several.
fn merge(part: (i32, i32), columns: &SchemaRef, contents: Vec<Bytes>) -> Result<File, LakeError> {
    let mut batches: Vec<RecordBatch> = Vec::new();
    for content in contents {
        for batch in ParquetRecordBatchReaderBuilder::try_new(content)?.build()? {
            let whole = batch.and_then(|batch| complete(&batch, columns));
            batches.push(whole.map_err(parquet::errors::ParquetError::from)?);
        }
    }
    if batches.iter().all(|batch| batch.num_rows() == 0) {
        return Err(LakeError::Ended);
    }
    Ok(files::file_of_all(part, &batches, Effort::More)?)
}
