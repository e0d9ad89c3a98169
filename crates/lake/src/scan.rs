//! How the tables are read: which files, which rows of them, and what is remembered from one query to the next.
//!
//! Files are chosen by what the log says of them (day, class, least and greatest values), and rows by the words that a
//! condition needs ([`crate::words`]). What is left is DataFusion's: it reads the footers, of which the newest used ones
//! stay in memory, chooses row groups by their statistics, and puts the conditions while it reads.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics, ToDFSchema as _};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, ParquetFileReaderFactory as _, ParquetRowSelection,
};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::scalar::ScalarValue;
use deltalake::DeltaTable;
use deltalake::kernel::LogicalFileView;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{ObjectMeta, ObjectStore};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use serde_json::Value as Json;

use crate::columns::CLASS;
use crate::files;
use crate::table::{LakeError, Shape};
use crate::words::{Filters, Need, ROWS, needs};

/// Memory for footers of files.
const FOOTERS_BYTES: usize = 192 << 20;

/// The same for whoever looks at nothing twice.
const FORGETFUL_BYTES: usize = 8 << 20;

/// Files whose words are looked up at the same time.
const AT_ONCE: usize = 16;

/// Columns that take much to unpack.
const HEAVY: [&str; 5] = ["raw", "raw_bytes", "raw_sha256", "envelope", "message"];

/// Fewer columns than this, of the others, are little.
const FEW_COLUMNS: usize = 12;

/// What one query leaves for the next.
pub(crate) struct Remembered {
    footers: Arc<FileMetadataCache>,
    known: Mutex<HashMap<&'static str, Known>>,
}

/// The files of a state of a table.
struct Known {
    version: Option<u64>,
    files: Arc<Vec<Arc<Part>>>,
}

/// A file, as the log knows it.
#[derive(Debug)]
struct Part {
    file: PartitionedFile,
    rows: usize,
    /// Bounds of its columns.
    bounds: Arc<Statistics>,
    /// The greatest time, by which files are read the newest first.
    newest: i64,
}

impl Default for Remembered {
    fn default() -> Self {
        Self::with_room(FOOTERS_BYTES)
    }
}

impl Remembered {
    /// For whoever looks at nothing twice.
    pub(crate) fn forgetful() -> Self {
        Self::with_room(FORGETFUL_BYTES)
    }

    fn with_room(footers: usize) -> Self {
        let footers = DefaultCache::new(footers).with_name("footers");
        Self { footers: Arc::new(footers), known: Mutex::default() }
    }

    /// The files of `table` as it is.
    fn files(&self, table: &DeltaTable, shape: &Shape) -> Result<Arc<Vec<Arc<Part>>>, LakeError> {
        let version = table.version();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.remove(shape.name);
        if let Some(before) = before.as_ref().filter(|before| before.version == version) {
            let files = before.files.clone();
            known.insert(shape.name, Known { version, files: files.clone() });
            return Ok(files);
        }
        let before: HashMap<&str, &Arc<Part>> = (before.iter())
            .flat_map(|before| before.files.iter())
            .map(|part| (part.file.object_meta.location.as_ref(), part))
            .collect();
        let log = table.snapshot()?.log_data();
        let mut files = Vec::new();
        for view in log.iter() {
            let path = view.object_store_path();
            let part = match before.get(path.as_ref()) {
                Some(part) => (*part).clone(),
                None => Arc::new(part(&view, path, shape)?),
            };
            files.push(part);
        }
        files.sort_by_key(|part| std::cmp::Reverse(part.newest));
        let files = Arc::new(files);
        known.insert(shape.name, Known { version, files: files.clone() });
        Ok(files)
    }
}

/// What the log says of a file.
fn part(view: &LogicalFileView, location: object_store::path::Path, shape: &Shape) -> Result<Part, LakeError> {
    let strange = || LakeError::Strange(location.to_string());
    if view.deletion_vector_descriptor().is_some() {
        // Nothing of ours writes them.
        return Err(strange());
    }
    let (class, day) = files::part(&view.partition_values_map()).ok_or_else(strange)?;
    let stats: Json = view.stats().and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(strange)?;
    let rows = stats["numRecords"].as_u64().and_then(|rows| usize::try_from(rows).ok()).ok_or_else(strange)?;
    // In the order of the columns.
    let names = shape.schema.fields().iter().map(|field| field.name().as_str());
    let dividing = names.filter(|name| shape.dividing.contains(name));
    let values: Vec<ScalarValue> = dividing.map(|name| dividing_value(name, class, day)).collect();
    let (mut columns, mut newest) = (Vec::new(), 0);
    for field in shape.schema.fields() {
        let name = field.name();
        // What is not known is a null of the column's type: bounds of all files are put into one array.
        let unknown = ScalarValue::try_from(viewed(field).data_type()).unwrap_or(ScalarValue::Null);
        let unknown = Precision::Exact(unknown);
        let mut column =
            ColumnStatistics { min_value: unknown.clone(), max_value: unknown, ..ColumnStatistics::new_unknown() };
        if shape.dividing.contains(&name.as_str()) {
            let value = Precision::Exact(dividing_value(name, class, day));
            (column.min_value, column.max_value) = (value.clone(), value);
        } else {
            let bound = |side: &str| scalar(field.data_type(), &stats[side][name]);
            if let (Some(least), Some(greatest)) = (bound("minValues"), bound("maxValues")) {
                if let ("time", ScalarValue::TimestampMicrosecond(Some(us), _)) = (name.as_str(), &greatest) {
                    newest = *us;
                }
                (column.min_value, column.max_value) = (Precision::Exact(least), Precision::Exact(greatest));
            }
        }
        columns.push(column);
    }
    let bounds =
        Statistics { num_rows: Precision::Exact(rows), total_byte_size: Precision::Absent, column_statistics: columns };
    let size = u64::try_from(view.size()).map_err(|_| strange())?;
    let last_modified = view.modification_datetime()?;
    let meta = ObjectMeta { location, last_modified, size, e_tag: None, version: None };
    let file = PartitionedFile::new_from_meta(meta).with_partition_values(values);
    Ok(Part { file, rows, bounds: Arc::new(bounds), newest })
}

fn dividing_value(name: &str, class: i32, day: i32) -> ScalarValue {
    if name == CLASS { ScalarValue::Int32(Some(class)) } else { ScalarValue::Date32(Some(day)) }
}

/// A bound as the log writes it.
fn scalar(kind: &DataType, value: &Json) -> Option<ScalarValue> {
    match kind {
        DataType::Int64 => Some(ScalarValue::Int64(Some(value.as_i64()?))),
        DataType::Utf8 => Some(ScalarValue::Utf8View(Some(value.as_str()?.to_owned()))),
        DataType::Timestamp(_, zone) => {
            let time = chrono::DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
            Some(ScalarValue::TimestampMicrosecond(Some(time.timestamp_micros()), zone.clone()))
        }
        _ => None,
    }
}

/// A state of a table, to be read.
pub(crate) struct Scan {
    schema: TableSchema,
    files: Arc<Vec<Arc<Part>>>,
    store: Arc<dyn ObjectStore>,
    url: ObjectStoreUrl,
    footers: Arc<FileMetadataCache>,
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("url", &self.url).field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl Scan {
    /// Reads the state that `table` has.
    pub(crate) fn new(table: &DeltaTable, shape: &Shape, remembered: &Remembered) -> Result<Self, LakeError> {
        let files = remembered.files(table, shape)?;
        let (dividing, own): (Vec<_>, Vec<_>) =
            shape.schema.fields().iter().cloned().partition(|field| shape.dividing.contains(&field.name().as_str()));
        let viewed: Vec<Field> = own.iter().map(|field| viewed(field)).collect();
        Ok(Self {
            schema: TableSchema::builder(Arc::new(Schema::new(viewed))).with_table_partition_cols(dividing).build(),
            files,
            store: table.object_store(),
            url: table.log_store().object_store_url(),
            footers: remembered.footers.clone(),
        })
    }

    /// Where the files are, for a session that is to read them.
    pub(crate) fn store(&self) -> (&ObjectStoreUrl, &Arc<dyn ObjectStore>) {
        (&self.url, &self.store)
    }

    /// Whether so much is read of each row that rows which are not wanted should not be unpacked at all. Otherwise whole
    /// columns are unpacked sooner than parts of them.
    fn is_heavy(&self, projection: Option<&Vec<usize>>) -> bool {
        let fields = self.schema.table_schema().fields();
        projection.is_none_or(|columns| {
            columns.len() > FEW_COLUMNS || columns.iter().any(|column| HEAVY.contains(&fields[*column].name().as_str()))
        })
    }

    fn reader(&self) -> CachedParquetFileReaderFactory {
        CachedParquetFileReaderFactory::new(self.store.clone(), self.footers.clone())
    }

    /// The files that may have rows for which all `conditions` are true.
    fn chosen(&self, session: &dyn Session, conditions: &[Expr]) -> Result<Vec<Arc<Part>>> {
        let all = || self.files.iter().cloned().collect();
        let Some(condition) = conjunction(conditions.iter().cloned()).filter(|_| !self.files.is_empty()) else {
            return Ok(all());
        };
        let schema = self.schema.table_schema();
        let condition = session.create_physical_expr(condition, &schema.clone().to_dfschema()?)?;
        // A condition that says nothing about bounds chooses all.
        let pruning = PruningPredicateBuilder::new().with_file_schema(schema.clone()).try_build(condition);
        let Ok(pruning) = pruning else { return Ok(all()) };
        let bounds = self.files.iter().map(|part| part.bounds.clone()).collect();
        let kept = pruning.prune(&PrunableStatistics::new(bounds, schema.clone()))?;
        Ok(self.files.iter().zip(kept).filter(|(_, kept)| *kept).map(|(part, _)| part.clone()).collect())
    }

    /// A file and its rows that may have what is needed; nothing when it has none of them.
    async fn narrowed(&self, part: Arc<Part>, need: &Need, hashes: &[u64]) -> Result<Option<(PartitionedFile, usize)>> {
        let whole = Some((part.file.clone(), part.rows));
        // Smaller files have no filters.
        if hashes.is_empty() || part.rows < ROWS {
            return Ok(whole);
        }
        let metrics = ExecutionPlanMetricsSet::new();
        let footer = self.reader().create_reader(0, part.file.clone(), None, &metrics)?.get_metadata(None).await?;
        let Some(filters) = Filters::of(&footer) else { return Ok(whole) };
        let ranges: Vec<_> = hashes.iter().map(|hash| filters.range(*hash)).collect();
        let bytes = self.store.get_ranges(&part.file.object_meta.location, &ranges).await?;
        let found: HashMap<u64, Vec<bool>> =
            hashes.iter().zip(&bytes).map(|(hash, bytes)| (*hash, Filters::may_have(*hash, bytes))).collect();
        let met = |stretch| need.is_met(&|hash| found_at(&found, hash, stretch));
        let met: Vec<bool> = (0..filters.len()).map(met).collect();
        if met.iter().all(|met| *met) {
            return Ok(whole);
        }
        if !met.contains(&true) {
            return Ok(None);
        }
        let mut selectors: Vec<RowSelector> = Vec::new();
        let mut rows = 0;
        for (stretch, met) in met.into_iter().enumerate() {
            let count = ROWS.min(part.rows - stretch * ROWS);
            selectors.push(if met { RowSelector::select(count) } else { RowSelector::skip(count) });
            rows += if met { count } else { 0 };
        }
        let selection = ParquetRowSelection::new(RowSelection::from(selectors));
        Ok(Some((part.file.clone().with_extension(selection), rows)))
    }
}

fn found_at(found: &HashMap<u64, Vec<bool>>, hash: u64, stretch: usize) -> bool {
    found.get(&hash).and_then(|stretches| stretches.get(stretch)).is_none_or(|has| *has)
}

/// Text is read as views, which are cheaper to filter.
fn viewed(field: &Field) -> Field {
    match field.data_type() {
        DataType::Utf8 => field.clone().with_data_type(DataType::Utf8View),
        DataType::Binary => field.clone().with_data_type(DataType::BinaryView),
        _ => field.clone(),
    }
}

#[async_trait]
impl TableProvider for Scan {
    fn schema(&self) -> SchemaRef {
        self.schema.table_schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // The plan above keeps them until they are handed to the files as physical ones.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let parts = self.chosen(session, filters)?;
        let need = Need::all(filters.iter().map(needs));
        let mut hashes = Vec::new();
        need.each(&mut |hash| hashes.push(hash));
        hashes.sort_unstable();
        hashes.dedup();
        let narrowed: Vec<Option<(PartitionedFile, usize)>> =
            futures::stream::iter(parts.into_iter().map(|part| self.narrowed(part, &need, &hashes)))
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
        let mut groups: Vec<(u64, Vec<PartitionedFile>)> = Vec::new();
        groups.resize_with(session.config().target_partitions().max(1), Default::default);
        let mut rows = 0;
        for (file, kept) in narrowed.into_iter().flatten() {
            rows += kept;
            let bytes = file.object_meta.size;
            // The one that has least to do; each begins with its newest file.
            if let Some(group) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
                group.0 += bytes;
                group.1.push(file);
            }
        }
        if rows == 0 {
            let schema = self.schema();
            let schema = projection.map_or(Ok(schema.clone()), |columns| schema.project(columns).map(Arc::new))?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let groups = groups.into_iter().map(|(_, files)| files).filter(|files| !files.is_empty());
        let options = session.config().options().execution.parquet.clone();
        let options = datafusion::config::TableParquetOptions { global: options, ..Default::default() };
        let source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(options)
            .with_pushdown_filters(self.is_heavy(projection))
            .with_parquet_file_reader_factory(Arc::new(self.reader()));
        let statistics = Statistics {
            num_rows: if need == Need::Nothing && filters.is_empty() {
                Precision::Exact(rows)
            } else {
                Precision::Inexact(rows)
            },
            ..Statistics::new_unknown(self.schema.table_schema())
        };
        let config = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_groups(groups.map(FileGroup::new).collect())
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
