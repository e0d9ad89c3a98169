//! From rows to Parquet files, one for each part of the table.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Int64Type, SchemaRef, TimestampMicrosecondType};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde_json::{Map, json};

use crate::columns::{CLASS, DAY, Rows};
use crate::words;

/// A file that is not written yet.
pub(crate) struct File {
    /// Class and day of all its rows.
    pub(crate) part: (i32, i32),
    /// Its content.
    pub(crate) bytes: Vec<u8>,
    /// Whether it has an index of its words.
    pub(crate) indexed: bool,
    /// What Delta keeps of it: number of rows, least and greatest values, as JSON.
    pub(crate) stats: String,
}

/// Columns of which a file's least and greatest value are kept beside it, so that most files need not be opened.
pub(crate) const BOUNDED: &[&str] = &["event_id", "time", "received", "organisation", "source", "batch"];

/// Rows of a row group, and bytes after which it ends whatever it has.
const GROUP_ROWS: usize = 131_072;
const GROUP_BYTES: usize = 64 << 20;

/// Bytes of a page, and of a column's dictionary, in files that will be written again: whoever puts many of them together
/// has a page of every column of each in memory.
const PASSING_PAGE: usize = 128 << 10;

/// How much work it may be to make a file small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Events wait for it.
    Less,
    /// Nobody does, but it will be written again.
    More,
    /// It is to stay as it is.
    Most,
}

/// Columns of long texts that are seldom alike: the only ones that are packed while events wait.
const LONG: &[&str] = &["raw", "raw_bytes", "envelope", "message", "process_cmd_line", "actor_process_cmd_line"];

/// Columns of numbers that go up little by little, or nearly so.
const RISING: &[&str] = &["event_id", "time", "received", "batch"];

/// How files are written.
fn properties(schema: &SchemaRef, effort: Effort) -> WriterProperties {
    let zstd = |level| Compression::ZSTD(ZstdLevel::try_new(level).expect("1 and 3 are levels"));
    // A context of the packer for every page of sixty columns costs more than the packing itself.
    let (long, others) = match effort {
        Effort::Less => (zstd(1), Compression::UNCOMPRESSED),
        Effort::More | Effort::Most => (zstd(3), zstd(3)),
    };
    let mut properties = WriterProperties::builder()
        .set_compression(others)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by("khien".to_owned());
    if effort != Effort::Most {
        properties = properties.set_data_page_size_limit(PASSING_PAGE).set_dictionary_page_size_limit(PASSING_PAGE);
    }
    for field in schema.fields() {
        let (name, path) = (field.name().as_str(), ColumnPath::from(field.name().as_str()));
        if LONG.contains(&name) {
            properties = properties.set_column_compression(path.clone(), long);
        }
        match name {
            // No two are alike: a dictionary would only be tried.
            "raw" | "raw_bytes" => {
                properties = properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_statistics_enabled(path, EnabledStatistics::None);
            }
            // Nothing makes it smaller.
            "raw_sha256" => {
                properties = properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_compression(path.clone(), Compression::UNCOMPRESSED)
                    .set_column_statistics_enabled(path, EnabledStatistics::None);
            }
            rising if RISING.contains(&rising) => {
                properties = properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
            }
            _ => {}
        }
    }
    properties.build()
}

/// Makes a file of each part of the table to which some rows belong, in the order of time.
pub(crate) fn files(rows: Vec<Rows>) -> Result<Vec<File>, ParquetError> {
    let mut parts: BTreeMap<(i32, i32), Vec<Row>> = BTreeMap::new();
    for (batch, rows) in rows.iter().enumerate() {
        for (row, part) in rows.parts.iter().enumerate() {
            parts.entry(*part).or_default().push((batch, row));
        }
    }
    let batches: Vec<RecordBatch> = rows.into_iter().map(|rows| rows.batch).collect();
    parts.into_iter().map(|(part, mut rows)| file(part, &batches, &mut rows)).collect()
}

/// A row by its batch and its place there.
type Row = (usize, usize);

/// Rows that are put side by side at once: large enough for columns to pay, small enough to stay in a cache.
pub(crate) const CHUNK: usize = 2_048;

/// Encodes one file of `rows`, of which there is at least one.
fn file(part: (i32, i32), batches: &[RecordBatch], rows: &mut [Row]) -> Result<File, ParquetError> {
    let times: Vec<&[i64]> = batches.iter().map(times).collect();
    rows.sort_by_key(|&(batch, row)| times[batch][row]);
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    let mut encoder = Encoder::new(part, &batches[rows[0].0].schema(), Effort::Less)?;
    for rows in rows.chunks(CHUNK) {
        encoder.write(&interleave_record_batch(&batches, rows)?)?;
    }
    encoder.finish()
}

/// When the rows of a batch happened, in microseconds since 1970.
pub(crate) fn times(batch: &RecordBatch) -> &[i64] {
    batch["time"].as_primitive::<TimestampMicrosecondType>().values()
}

/// Writes a file.
pub(crate) struct Encoder {
    part: (i32, i32),
    writer: ArrowWriter<Vec<u8>>,
    stats: Stats,
    words: Option<words::Builder>,
}

impl Encoder {
    pub(crate) fn new(part: (i32, i32), schema: &SchemaRef, effort: Effort) -> Result<Self, ParquetError> {
        let properties = properties(schema, effort);
        let writer = ArrowWriter::try_new(Vec::with_capacity(1 << 16), schema.clone(), Some(properties))?;
        let indexed = effort == Effort::Most && schema.column_with_name("raw").is_some();
        Ok(Self { part, writer, stats: Stats::default(), words: indexed.then(words::Builder::default) })
    }

    /// Adds rows in the order of time.
    pub(crate) fn write(&mut self, chunk: &RecordBatch) -> Result<(), ParquetError> {
        self.stats.add(chunk);
        if let Some(words) = &mut self.words {
            words.add(chunk);
        }
        self.writer.write(chunk)?;
        if self.writer.in_progress_size() >= GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }

    /// The file, which has at least one row.
    pub(crate) fn finish(mut self) -> Result<File, ParquetError> {
        let indexed = self.words.is_some();
        // So few rows are looked at as a whole sooner than looked up.
        if let Some(words) = self.words.take().filter(|_| self.stats.rows >= words::ROWS) {
            self.writer.flush()?;
            let (filters, entry) = words.finish(self.writer.bytes_written() as u64);
            self.writer.write_all(&filters)?;
            self.writer.append_key_value_metadata(entry);
        }
        let bytes = self.writer.into_inner()?;
        Ok(File { part: self.part, bytes, indexed, stats: self.stats.into_json() })
    }
}

/// Least and greatest values, as the Delta protocol writes them.
/// <https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics>
#[derive(Default)]
struct Stats {
    rows: usize,
    numbers: BTreeMap<&'static str, (i64, i64)>,
    times: BTreeMap<&'static str, (i64, i64)>,
    texts: BTreeMap<&'static str, (String, String)>,
}

impl Stats {
    fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows();
        for name in BOUNDED {
            let Some(column) = batch.column_by_name(name) else { continue };
            match column.data_type() {
                // Files of an earlier version have no values in a column that they did not know.
                DataType::Int64 if column.null_count() > 0 => {}
                DataType::Int64 => widen(&mut self.numbers, name, bounds(column.as_primitive::<Int64Type>().values())),
                DataType::Timestamp(..) => {
                    widen(&mut self.times, name, bounds(column.as_primitive::<TimestampMicrosecondType>().values()));
                }
                _ => {
                    let texts = column.as_string::<i32>();
                    let texts = || texts.iter().flatten();
                    let bounds = texts().min().zip(texts().max()).map(|(a, b)| (a.to_owned(), b.to_owned()));
                    widen(&mut self.texts, name, bounds);
                }
            }
        }
    }

    fn into_json(self) -> String {
        let (mut least, mut greatest, mut nulls) = (Map::new(), Map::new(), Map::new());
        let numbers = self.numbers.into_iter().map(|(name, (a, b))| (name, json!(a), json!(b)));
        // Delta compares times in milliseconds, so the greatest is rounded up.
        let times = (self.times.into_iter())
            .map(|(name, (a, b))| (name, json!(time(a.div_euclid(1_000))), json!(time(b.div_euclid(1_000) + 1))));
        let texts = self.texts.into_iter().map(|(name, (a, b))| (name, json!(a), json!(b)));
        for (name, a, b) in numbers.chain(times).chain(texts) {
            least.insert(name.into(), a);
            greatest.insert(name.into(), b);
            // None of these columns may be without a value.
            nulls.insert(name.into(), 0.into());
        }
        json!({"numRecords": self.rows, "minValues": least, "maxValues": greatest, "nullCount": nulls}).to_string()
    }
}

fn widen<T: Ord>(all: &mut BTreeMap<&'static str, (T, T)>, name: &'static str, bounds: Option<(T, T)>) {
    let Some((least, greatest)) = bounds else { return };
    match all.remove(name) {
        Some((a, b)) => all.insert(name, (a.min(least), b.max(greatest))),
        None => all.insert(name, (least, greatest)),
    };
}

fn bounds(values: &[i64]) -> Option<(i64, i64)> {
    Some((*values.iter().min()?, *values.iter().max()?))
}

/// Milliseconds since 1970 as RFC 3339.
fn time(ms: i64) -> String {
    use arrow::temporal_conversions::timestamp_ms_to_datetime;
    let time = timestamp_ms_to_datetime(ms).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The value of a part as it stands in paths and in the log.
pub(crate) fn day(days: i32) -> String {
    let date = arrow::temporal_conversions::date32_to_datetime(days).unwrap_or_default();
    date.format("%Y-%m-%d").to_string()
}

/// The part that the log writes as these values.
pub(crate) fn part(values: &HashMap<String, Option<String>>) -> Option<(i32, i32)> {
    let text = |name: &str| values.get(name)?.as_deref();
    let class = text(CLASS).map_or(Some(0), |class| class.parse().ok())?;
    let date = chrono::NaiveDate::parse_from_str(text(DAY)?, "%Y-%m-%d").ok()?;
    Some((class, date.signed_duration_since(chrono::NaiveDate::default()).num_days() as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_written_and_read() {
        for days in [0, 20_000, 7_305, -3] {
            let values =
                HashMap::from([(DAY.to_owned(), Some(day(days))), (CLASS.to_owned(), Some("4001".to_owned()))]);
            assert_eq!(part(&values), Some((4001, days)));
        }
        assert_eq!(part(&HashMap::new()), None);
    }
}
