//! Puts small files together.
//!
//! Every commit leaves a file for each part of a table that it has rows of, many of them small. Files of about the same
//! size become one of the next size, so that a row is written again only a few times. When a part has enough of them for
//! a large file, or nothing has come to it for a while, they become one that stays as it is, with an index of its words
//! ([`crate::words`]). All of that is made beside what else is done; commits go on meanwhile. Small files of many parts are
//! put together at once: every commit costs something for each file there is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{BooleanArray, RecordBatch, new_null_array};
use arrow::compute::{filter_record_batch, interleave_record_batch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;
use deltalake::DeltaTable;
use deltalake::kernel::{Action, LogicalFileView};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use tokio::task::JoinHandle;

use crate::files::{self, CHUNK, Effort, Encoder, File};
use crate::table::{self, LakeError, Shape};

/// Sizes in bytes below which files are of one kind.
const SIZES: [u64; 3] = [16 << 10, 128 << 10, 1 << 20];

/// So many files of one kind in one part of the table are worth the work.
const ENOUGH: usize = 8;

/// Most files of one kind and part that are put together at once, and most bytes of them: unpacked they are ten to twenty
/// times as large.
const AT_ONCE: usize = 64;
const BYTES_AT_ONCE: u64 = 6 << 20;

/// Most bytes that are put together before they are committed, of all parts.
const BYTES_OF_ALL: u64 = 48 << 20;

/// A file of so many bytes is large and stays as it is.
const LARGE: u64 = 32 << 20;

/// Bytes of smaller ones that are worth the work of making a large one of them, and most of what is put into it.
const LARGE_BYTES: u64 = 96 << 20;
const LARGE_BYTES_AT_ONCE: u64 = 128 << 20;

/// When there is time, so many bytes of files without an index of words are worth one: what has none is read whole by
/// whoever looks for a word. They will be put together once more.
const BARE_BYTES: u64 = 8 << 20;

/// A part to which nothing has come for so long is put together whatever it has, if it is in so many files.
const AT_REST_MS: i64 = 30 * 60 * 1_000;
const AT_REST_FILES: usize = 4;

/// Most files of which a large one is made; each has some rows in memory while it is.
const LARGE_AT_ONCE: usize = 128;

/// Files that become one.
struct Plan {
    paths: Vec<Path>,
    removes: Vec<Action>,
    part: (i32, i32),
}

impl Plan {
    fn new(files: &[LogicalFileView]) -> Option<Self> {
        let part = files.first().and_then(|file| files::part(&file.partition_values_map()))?;
        Some(Self {
            paths: files.iter().map(LogicalFileView::object_store_path).collect(),
            removes: files.iter().map(|file| Action::Remove(file.remove_action(false))).collect(),
            part,
        })
    }
}

/// Files that are being made beside everything else.
pub(crate) struct Merge {
    plans: Vec<Plan>,
    work: JoinHandle<Result<Vec<File>, LakeError>>,
    ended: Ended,
}

/// Says to a merge that nobody wants what it makes.
#[derive(Clone, Default)]
struct Ended(Arc<AtomicBool>);

impl Drop for Merge {
    fn drop(&mut self) {
        self.ended.0.store(true, Ordering::Relaxed);
        self.work.abort();
    }
}

impl Merge {
    fn begin(table: &DeltaTable, shape: &Shape, plans: Vec<Plan>, effort: Effort) -> Self {
        let (store, columns) = (table.object_store(), columns(shape));
        let sources: Vec<_> = plans.iter().map(|plan| (plan.part, plan.paths.clone())).collect();
        let ended = Ended::default();
        let watched = ended.clone();
        let work = tokio::spawn(async move {
            let mut files = Vec::with_capacity(sources.len());
            for (part, paths) in sources {
                let contents = contents(store.as_ref(), &paths).await?;
                let (columns, watched) = (columns.clone(), watched.clone());
                let merged = tokio::task::spawn_blocking(move || merge(part, &columns, contents, effort, &watched));
                files.push(merged.await.map_err(|_| LakeError::Ended)??);
            }
            Ok(files)
        });
        Self { plans, work, ended }
    }

    /// Begins to put small files together, wherever there are enough of one kind, without those of `other`.
    pub(crate) fn begin_small(
        table: &DeltaTable,
        shape: &Shape,
        other: Option<&Self>,
    ) -> Result<Option<Self>, LakeError> {
        let plans = plan_small(table, &taken(other))?;
        Ok((!plans.is_empty()).then(|| Self::begin(table, shape, plans, Effort::More)))
    }

    /// Begins to make a large file, if some part has enough for one, without those of `other`; `idle` says that nothing else
    /// waits to be done.
    pub(crate) fn begin_large(
        table: &DeltaTable,
        shape: &Shape,
        other: Option<&Self>,
        now_ms: i64,
        idle: bool,
    ) -> Result<Option<Self>, LakeError> {
        let plan = plan_large(table, &taken(other), now_ms, idle)?;
        Ok(plan.map(|plan| Self::begin(table, shape, vec![plan], Effort::Most)))
    }

    /// Commits the files when they are made; gives the merge back when they are not. Whether any was committed.
    pub(crate) async fn end(
        mut self,
        table: &mut DeltaTable,
        shape: &Shape,
        now_ms: i64,
    ) -> Result<Result<bool, Self>, LakeError> {
        if !self.work.is_finished() {
            return Ok(Err(self));
        }
        let files = (&mut self.work).await.map_err(|_| LakeError::Ended)??;
        let there: HashSet<Path> = table.snapshot()?.log_data().iter().map(|file| file.object_store_path()).collect();
        let mut actions = Vec::new();
        for (plan, file) in std::mem::take(&mut self.plans).into_iter().zip(files) {
            // Otherwise rows of one of them were removed meanwhile.
            if plan.paths.iter().all(|path| there.contains(path)) {
                actions.extend(plan.removes);
                actions.push(Action::Add(table::store(table, shape, file, now_ms, false).await?));
            }
        }
        if actions.is_empty() {
            return Ok(Ok(false));
        }
        table::commit_rearranged(table, actions).await?;
        Ok(Ok(true))
    }
}

/// The files that a merge is reading.
fn taken(merge: Option<&Merge>) -> HashSet<Path> {
    merge.iter().flat_map(|merge| &merge.plans).flat_map(|plan| plan.paths.iter().cloned()).collect()
}

async fn contents(store: &dyn ObjectStore, paths: &[Path]) -> Result<Vec<Bytes>, LakeError> {
    let mut contents = Vec::with_capacity(paths.len());
    for path in paths {
        contents.push(store.get(path).await?.bytes().await?);
    }
    Ok(contents)
}

fn size(file: &LogicalFileView) -> u64 {
    u64::try_from(file.size()).unwrap_or(0)
}

/// The folder of a file, which is the part it belongs to.
fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The small files of one kind, wherever there are enough of them: first where there are most.
fn plan_small(table: &DeltaTable, taken: &HashSet<Path>) -> Result<Vec<Plan>, LakeError> {
    let mut groups: BTreeMap<(String, usize), Vec<_>> = BTreeMap::new();
    for file in table.snapshot()?.log_data().iter() {
        let Some(kind) = SIZES.iter().position(|most| size(&file) < *most) else { continue };
        if !taken.contains(&file.object_store_path()) {
            groups.entry((folder(&file.path()).to_owned(), kind)).or_default().push(file);
        }
    }
    let mut groups: Vec<_> = groups.into_values().filter(|files| files.len() >= ENOUGH).collect();
    groups.sort_by_key(|files| Reverse(files.len()));
    let (mut plans, mut bytes) = (Vec::new(), 0);
    for mut group in groups {
        group.truncate(AT_ONCE);
        truncate_to(&mut group, BYTES_AT_ONCE);
        bytes += group.iter().map(size).sum::<u64>();
        if bytes > BYTES_OF_ALL && !plans.is_empty() {
            break;
        }
        plans.extend(Plan::new(&group));
    }
    Ok(plans)
}

/// The part of the table of which a large file is worth most.
fn plan_large(table: &DeltaTable, taken: &HashSet<Path>, now_ms: i64, idle: bool) -> Result<Option<Plan>, LakeError> {
    let mut groups: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for file in table.snapshot()?.log_data().iter() {
        if size(&file) < LARGE && !taken.contains(&file.object_store_path()) {
            groups.entry(folder(&file.path()).to_owned()).or_default().push(file);
        }
    }
    let bytes = |files: &[LogicalFileView]| files.iter().map(size).sum::<u64>();
    let worth = |files: &Vec<LogicalFileView>| {
        let newest = files.iter().map(LogicalFileView::modification_time).max().unwrap_or(now_ms);
        bytes(files) >= LARGE_BYTES || files.len() >= AT_REST_FILES && now_ms.saturating_sub(newest) >= AT_REST_MS
    };
    let bare = |mut files: Vec<LogicalFileView>| {
        files.retain(|file| !file.path().ends_with(table::INDEXED));
        files
    };
    let most = match groups.values().filter(|files| worth(files)).max_by_key(|files| bytes(files)) {
        Some(files) => Some(files.clone()),
        None if idle => groups.into_values().map(bare).max_by_key(|files| bytes(files)),
        None => None,
    };
    let Some(mut group) = most.filter(|files| worth(files) || bytes(files) >= BARE_BYTES) else { return Ok(None) };
    // Those that were written after each other have rows of about the same time.
    group.sort_by_key(|file| (file.modification_time(), file.path().into_owned()));
    group.truncate(LARGE_AT_ONCE);
    truncate_to(&mut group, LARGE_BYTES_AT_ONCE);
    Ok(Plan::new(&group))
}

/// As many as have `most` bytes together, and two at least.
fn truncate_to(group: &mut Vec<LogicalFileView>, most: u64) {
    let mut bytes = 0;
    let fits = group.iter().position(|file| {
        bytes += size(file);
        bytes > most
    });
    group.truncate(fits.unwrap_or(group.len()).max(2));
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

/// Makes one file of the contents of several, each in the order of time.
fn merge(
    part: (i32, i32),
    columns: &SchemaRef,
    contents: Vec<Bytes>,
    effort: Effort,
    ended: &Ended,
) -> Result<File, LakeError> {
    let sources = contents.into_iter().map(|content| Source::new(content, columns.clone(), None));
    merged(part, columns, sources.collect::<Result<_, _>>()?, effort, ended)?.ok_or(LakeError::Ended)
}

/// The file without the rows for which `stays` says no; there is one that stays.
pub(crate) fn without(
    part: (i32, i32),
    columns: &SchemaRef,
    content: Bytes,
    stays: Vec<bool>,
) -> Result<File, LakeError> {
    let source = Source::new(content, columns.clone(), Some(stays))?;
    merged(part, columns, vec![source], Effort::Most, &Ended::default())?.ok_or(LakeError::Ended)
}

/// Rows of a file as they are read. It is opened when the first of them is wanted and gone behind the last: an open file
/// has a page of each column in memory, and those that were written one after another need not be open together.
struct Source {
    closed: Option<ParquetRecordBatchReaderBuilder<Bytes>>,
    reader: Option<ParquetRecordBatchReader>,
    columns: SchemaRef,
    /// For each row whether it is wanted; all of them are when there is none.
    stays: Option<Vec<bool>>,
    read: usize,
}

/// Rows of each file that are unpacked at the same time, and bytes of them, if their records are long.
const READ_AT_ONCE: usize = 512;
const READ_BYTES_AT_ONCE: i64 = 1 << 20;

/// Bytes of unpacked rows, beside those that each file is at, before some are written.
const HELD_BYTES: usize = 96 << 20;

impl Source {
    fn new(content: Bytes, columns: SchemaRef, stays: Option<Vec<bool>>) -> Result<Self, LakeError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(content)?;
        let groups = builder.metadata().row_groups();
        let (rows, bytes) = groups
            .iter()
            .fold((0, 0), |(rows, bytes), group| (rows + group.num_rows(), bytes + group.total_byte_size()));
        let fitting = READ_BYTES_AT_ONCE / (bytes / rows.max(1)).max(1);
        let fitting = usize::try_from(fitting).unwrap_or(0).clamp(1, READ_AT_ONCE);
        let closed = Some(builder.with_batch_size(fitting));
        Ok(Self { closed, reader: None, columns, stays, read: 0 })
    }

    /// A time that none of its rows is before.
    fn earliest(&self) -> i64 {
        let Some(metadata) = self.closed.as_ref().map(ParquetRecordBatchReaderBuilder::metadata) else {
            return i64::MIN;
        };
        let columns = metadata.file_metadata().schema_descr().columns();
        let time = columns.iter().position(|column| column.path().string() == "time");
        let least = |group: &RowGroupMetaData| match group.column(time?).statistics()? {
            Statistics::Int64(values) => values.min_opt().copied(),
            _ => None,
        };
        metadata.row_groups().iter().map(|group| least(group).unwrap_or(i64::MIN)).min().unwrap_or(i64::MIN)
    }

    /// Its next rows, `None` when there are no more.
    fn next(&mut self) -> Result<Option<RecordBatch>, LakeError> {
        if let Some(closed) = self.closed.take() {
            self.reader = Some(closed.build()?);
        }
        for batch in self.reader.iter_mut().flatten() {
            let mut batch = batch.and_then(|batch| complete(&batch, &self.columns)).map_err(arrow_error)?;
            let rows = self.read..self.read + batch.num_rows();
            self.read = rows.end;
            if let Some(stays) = &self.stays {
                let mask = BooleanArray::from(stays.get(rows).unwrap_or_default().to_vec());
                batch = filter_record_batch(&batch, &mask).map_err(arrow_error)?;
            }
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
        self.reader = None;
        Ok(None)
    }
}

fn arrow_error(error: ArrowError) -> LakeError {
    LakeError::Parquet(error.into())
}

/// Writes the rows of all sources in the order of time; nothing when there are none.
fn merged(
    part: (i32, i32),
    columns: &SchemaRef,
    mut sources: Vec<Source>,
    effort: Effort,
    ended: &Ended,
) -> Result<Option<File>, LakeError> {
    // The batches that rows of the next chunk come from, and for each open source which of them it is at.
    let mut pool: Vec<RecordBatch> = Vec::new();
    let mut current: Vec<Option<usize>> = vec![None; sources.len()];
    // The time of each source's next row, with its source and its place; of one that is not open, when to open it.
    let mut next: BinaryHeap<Reverse<(i64, usize, usize)>> =
        sources.iter().enumerate().map(|(number, source)| Reverse((source.earliest(), number, 0))).collect();
    let mut has_rows = false;
    // Bytes of batches that were taken since rows were written.
    let mut held = 0;
    let mut encoder = Encoder::new(part, columns, effort)?;
    let mut chunk: Vec<(usize, usize)> = Vec::with_capacity(CHUNK);
    while let Some(Reverse((_, source, row))) = next.pop() {
        let Some(batch) = current[source] else {
            if let Some(rows) = sources[source].next()? {
                has_rows = true;
                held += rows.get_array_memory_size();
                next.push(Reverse((files::times(&rows)[0], source, 0)));
                current[source] = Some(pool.len());
                pool.push(rows);
            }
            continue;
        };
        chunk.push((batch, row));
        let more = if row + 1 < pool[batch].num_rows() {
            Some((batch, row + 1))
        } else {
            sources[source].next()?.map(|rows| {
                held += rows.get_array_memory_size();
                pool.push(rows);
                (pool.len() - 1, 0)
            })
        };
        current[source] = more.map(|(batch, _)| batch);
        if let Some((batch, row)) = more {
            next.push(Reverse((files::times(&pool[batch])[row], source, row)));
        }
        if chunk.len() == CHUNK || held > HELD_BYTES {
            if ended.0.load(Ordering::Relaxed) {
                return Err(LakeError::Ended);
            }
            write(&mut encoder, &pool, &mut chunk)?;
            pool = current
                .iter_mut()
                .flatten()
                .zip(0..)
                .map(|(at, new)| pool[std::mem::replace(at, new)].clone())
                .collect();
            held = 0;
        }
    }
    write(&mut encoder, &pool, &mut chunk)?;
    if has_rows { Ok(Some(encoder.finish()?)) } else { Ok(None) }
}

fn write(encoder: &mut Encoder, pool: &[RecordBatch], chunk: &mut Vec<(usize, usize)>) -> Result<(), LakeError> {
    if !chunk.is_empty() {
        let batches: Vec<&RecordBatch> = pool.iter().collect();
        encoder.write(&interleave_record_batch(&batches, chunk).map_err(arrow_error)?)?;
        chunk.clear();
    }
    Ok(())
}
