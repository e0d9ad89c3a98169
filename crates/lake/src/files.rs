//! From rows to Parquet files, one for each part of the table.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Int64Type, SchemaRef, TimestampMicrosecondType};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde_json::{Map, json};

use crate::columns::{CLASS, DAY, Rows};

/// A file that is not written yet.
pub(crate) struct File {
    /// Class and day of all its rows.
    pub(crate) part: (i32, i32),
    /// Its content.
    pub(crate) bytes: Vec<u8>,
    /// What Delta keeps of it: number of rows, least and greatest values, as JSON.
    pub(crate) stats: String,
}

/// Columns of which a file's least and greatest value are kept beside it, so that most files need not be opened.
const BOUNDED: &[&str] = &["event_id", "time", "received", "organisation", "source"];

/// Rows of a row group.
const GROUP_ROWS: usize = 32_768;

/// How much work it may be to make a file small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Events wait for it.
    Less,
    /// Nobody does.
    More,
}

/// How files are written.
fn properties(schema: &SchemaRef, effort: Effort) -> WriterProperties {
    let level = match effort {
        Effort::Less => 1,
        Effort::More => 3,
    };
    let level = ZstdLevel::try_new(level).expect("1 and 3 are levels");
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by("khien".to_owned());
    for field in schema.fields() {
        let path = ColumnPath::from(field.name().as_str());
        match field.name().as_str() {
            // No two are alike: a dictionary would only be tried.
            "raw" | "raw_sha256" | "raw_bytes" => {
                properties = properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_statistics_enabled(path, EnabledStatistics::None);
            }
            "event_id" => {
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
    let Some(schema) = rows.first().map(|rows| rows.batch.schema()) else {
        return Ok(Vec::new());
    };
    let mut parts: BTreeMap<(i32, i32), Vec<RecordBatch>> = BTreeMap::new();
    for rows in rows {
        for (part, batch) in divide(&rows)? {
            parts.entry(part).or_default().push(batch);
        }
    }
    parts.into_iter().map(|(part, batches)| file(part, &schema, &batches, Effort::Less)).collect()
}

/// The rows of each part.
fn divide(rows: &Rows) -> Result<Vec<((i32, i32), RecordBatch)>, ParquetError> {
    let mut parts: BTreeMap<(i32, i32), Vec<u32>> = BTreeMap::new();
    for (index, part) in rows.parts.iter().enumerate() {
        parts.entry(*part).or_default().push(index as u32);
    }
    let all = rows.parts.len();
    let batch = |indices: Vec<u32>| match indices.len() == all {
        true => Ok(rows.batch.clone()),
        false => take_record_batch(&rows.batch, &UInt32Array::from(indices)),
    };
    parts.into_iter().map(|(part, indices)| Ok((part, batch(indices)?))).collect()
}

/// Encodes one file.
pub(crate) fn file(
    part: (i32, i32),
    schema: &SchemaRef,
    batches: &[RecordBatch],
    effort: Effort,
) -> Result<File, ParquetError> {
    let batch = in_order_of_time(&concat_batches(schema, batches)?)?;
    let mut bytes = Vec::with_capacity(1 << 16);
    let mut writer = ArrowWriter::try_new(&mut bytes, schema.clone(), Some(properties(schema, effort)))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(File { part, bytes, stats: stats(&batch) })
}

fn in_order_of_time(batch: &RecordBatch) -> Result<RecordBatch, ParquetError> {
    let times = batch["time"].as_primitive::<TimestampMicrosecondType>().values();
    if times.is_sorted() {
        return Ok(batch.clone());
    }
    let mut order: Vec<u32> = (0..batch.num_rows() as u32).collect();
    order.sort_by_key(|&row| times[row as usize]);
    Ok(take_record_batch(batch, &UInt32Array::from(order))?)
}

/// Least and greatest values, as the Delta protocol writes them.
/// <https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics>
pub(crate) fn stats(batch: &RecordBatch) -> String {
    let (mut least, mut greatest, mut nulls) = (Map::new(), Map::new(), Map::new());
    for name in BOUNDED {
        let Some(column) = batch.column_by_name(name) else { continue };
        let bounds = match column.data_type() {
            DataType::Int64 => bounds(column.as_primitive::<Int64Type>().values()).map(|(a, b)| (json!(a), json!(b))),
            DataType::Timestamp(..) => {
                // Delta compares times in milliseconds, so the greatest is rounded up.
                let bounds = bounds(column.as_primitive::<TimestampMicrosecondType>().values());
                bounds.map(|(a, b)| (json!(time(a.div_euclid(1_000))), json!(time(b.div_euclid(1_000) + 1))))
            }
            _ => {
                let texts = column.as_string::<i32>();
                let texts = || texts.iter().flatten();
                texts().min().zip(texts().max()).map(|(a, b)| (json!(a), json!(b)))
            }
        };
        if let Some((a, b)) = bounds {
            least.insert((*name).into(), a);
            greatest.insert((*name).into(), b);
            nulls.insert((*name).into(), column.null_count().into());
        }
    }
    json!({"numRecords": batch.num_rows(), "minValues": least, "maxValues": greatest, "nullCount": nulls}).to_string()
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
