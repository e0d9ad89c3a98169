//! Searches: hits, how they lie in time, and what is frequent among them, in one call.

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::cast as cast_array;
use arrow::datatypes::{DataType, Int64Type};
use arrow::json::LineDelimitedWriter;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::logical_expr::Expr;
use datafusion::prelude::{cast, col, lit};
use datafusion::scalar::ScalarValue;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::{Limits, QueryError, Reader, Scope, Task, failure};
use crate::search::{self, reasons};

/// What is looked for. See [`crate::search`] for the language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// In the search language; everything when empty.
    pub query: String,
    /// From this event time on, in microseconds since 1970.
    pub from_us: Option<i64>,
    /// Up to before this event time.
    pub to_us: Option<i64>,
    /// At most so many hits, the newest first.
    pub limit: usize,
    /// Behind the hit with this time and event id: the last one of the page before.
    pub after: Option<(i64, i64)>,
    /// Fields whose frequent values are wanted.
    pub facets: Vec<String>,
    /// In how many parts time is divided at most; 0 for none.
    pub buckets: usize,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// How many events in all.
    pub total: u64,
    /// The hits as JSON objects, the newest first; columns without a value are left out.
    pub events: Vec<Box<RawValue>>,
    /// What [`Search::after`] is for the next page, if there is more.
    pub next: Option<(i64, i64)>,
    /// Width of a part of time, in microseconds.
    pub bucket_us: i64,
    /// Beginning of each part that has events, and how many, in the order of time.
    pub histogram: Vec<(i64, u64)>,
    /// For each field asked for, in that order.
    pub facets: Vec<Facet>,
}

/// Frequent values of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    /// The field as it was asked for.
    pub field: String,
    /// Values and how often, the most frequent first.
    pub values: Vec<(String, u64)>,
}

/// Values that a facet has at most.
const FACET_VALUES: usize = 10;

/// Facets of one search.
const FACETS: usize = 16;

/// Most hits on a page, and most parts of time.
const HITS: usize = 1_000;
const BUCKETS: usize = 1_000;

/// Widths that people can read, in seconds.
const WIDTHS: [i64; 16] =
    [1, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000, 31_536_000];

const TEXT: DataType = DataType::Utf8;
const NUMBER: DataType = DataType::Int64;

fn time() -> Expr {
    cast(col("time"), NUMBER)
}

fn timestamp(us: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(us), Some("UTC".into())))
}

impl Reader {
    /// Searches the events.
    ///
    /// # Errors
    /// When the search is wrong, or meets a limit.
    pub async fn search(&self, search: Search, scope: &Scope, limits: Limits) -> Result<Found, QueryError> {
        let (this, scope) = (self.clone(), scope.clone());
        let work = async move { this.find(&search, &scope, limits).await };
        let runtime = self.runtime.clone().unwrap_or_else(tokio::runtime::Handle::current);
        let mut task = runtime.spawn(work);
        // Whoever goes away ends it.
        let _end = Task(task.abort_handle());
        if let Ok(done) = timeout(limits.time, &mut task).await {
            return done.unwrap_or(Err(QueryError::Lake(crate::LakeError::Ended)));
        }
        Err(QueryError::Time(limits.time))
    }

    async fn find(&self, search: &Search, scope: &Scope, limits: Limits) -> Result<Found, QueryError> {
        if !(1..=HITS).contains(&search.limit) || search.buckets > BUCKETS || search.facets.len() > FACETS {
            return Err(QueryError::Invalid(reasons::page_bounds(HITS, BUCKETS, FACETS)));
        }
        let columns: Result<Vec<&str>, QueryError> = (search.facets.iter())
            .map(|name| search::column(name).ok_or_else(|| QueryError::Invalid(reasons::unknown_facet(name))))
            .collect();
        let columns = columns?;
        let parsed = search::parse(&search.query)?.map(|node| search::filter(&node)).transpose()?;
        let session = self.session(scope, limits).await?;
        let failed = |error: DataFusionError| failure(&error, limits);
        let mut all = session.table("events").await.map_err(failed)?;
        let from = search.from_us.map(|us| col("time").gt_eq(timestamp(us)));
        let to = search.to_us.map(|us| col("time").lt(timestamp(us)));
        for condition in [from, to, parsed].into_iter().flatten() {
            all = all.filter(condition).map_err(failed)?;
        }
        let (total, span) = extent(&all).await.map_err(failed)?;
        let hits = page(&all, search).await.map_err(failed)?;
        let mut found =
            Found { total, events: Vec::new(), next: None, bucket_us: 0, histogram: Vec::new(), facets: Vec::new() };
        found.next = last(&hits, search.limit).map_err(failed)?;
        found.events = objects(&hits)?;
        found.events.truncate(search.limit);
        if let Some((first, last)) = span.filter(|_| search.buckets > 0) {
            let (first, last) = (search.from_us.unwrap_or(first), search.to_us.map_or(last, |to| to - 1));
            found.bucket_us = width(last.saturating_sub(first), search.buckets);
            found.histogram = histogram(&all, found.bucket_us).await.map_err(failed)?;
        }
        for (field, column) in search.facets.iter().zip(columns) {
            let values = frequent(&all, column).await.map_err(failed)?;
            found.facets.push(Facet { field: field.clone(), values });
        }
        Ok(found)
    }
}

/// How many events there are, and the times of the first and the last.
async fn extent(all: &DataFrame) -> Result<(u64, Option<(i64, i64)>), DataFusionError> {
    let sums = vec![count(lit(1)).alias("n"), min(time()).alias("a"), max(time()).alias("b")];
    let rows = all.clone().aggregate(Vec::new(), sums)?.collect().await?;
    let number = |name: &str| {
        let column = rows.iter().find(|batch| batch.num_rows() > 0)?.column_by_name(name)?;
        let column = cast_array(column, &NUMBER).ok()?;
        let column = column.as_primitive::<Int64Type>();
        (!column.is_null(0)).then(|| column.value(0))
    };
    Ok((number("n").and_then(|n| u64::try_from(n).ok()).unwrap_or(0), number("a").zip(number("b"))))
}

async fn page(all: &DataFrame, search: &Search) -> Result<Vec<RecordBatch>, DataFusionError> {
    let mut hits = all.clone();
    if let Some((us, id)) = search.after {
        let before = col("time").lt(timestamp(us));
        hits = hits.filter(before.or(col("time").eq(timestamp(us)).and(col("event_id").lt(lit(id)))))?;
    }
    let newest = vec![col("time").sort(false, false), col("event_id").sort(false, false)];
    // One more, to know whether there are more.
    hits.sort(newest)?.limit(0, Some(search.limit + 1))?.collect().await
}

/// Time and id of hit number `limit`, if there is one behind it.
fn last(hits: &[RecordBatch], limit: usize) -> Result<Option<(i64, i64)>, DataFusionError> {
    let rows: usize = hits.iter().map(RecordBatch::num_rows).sum();
    if rows <= limit {
        return Ok(None);
    }
    let mut row = limit - 1;
    for batch in hits {
        if row >= batch.num_rows() {
            row -= batch.num_rows();
            continue;
        }
        let number = |name: &str| cast_array(&batch[name], &NUMBER);
        let (times, ids) = (number("time")?, number("event_id")?);
        return Ok(Some((times.as_primitive::<Int64Type>().value(row), ids.as_primitive::<Int64Type>().value(row))));
    }
    Ok(None)
}

/// Hits as JSON.
fn objects(hits: &[RecordBatch]) -> Result<Vec<Box<RawValue>>, QueryError> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    for batch in hits {
        writer.write(batch).map_err(QueryError::Output)?;
    }
    writer.finish().map_err(QueryError::Output)?;
    let text = String::from_utf8_lossy(&writer.into_inner()).into_owned();
    Ok(text.lines().filter_map(|line| RawValue::from_string(line.to_owned()).ok()).collect())
}

/// The least readable width by which so much time has at most `buckets` parts, in microseconds.
fn width(span_us: i64, buckets: usize) -> i64 {
    let fits = |seconds: &i64| span_us / (seconds * 1_000_000) < buckets as i64;
    let seconds = WIDTHS.into_iter().find(|seconds| fits(seconds)).unwrap_or(WIDTHS[WIDTHS.len() - 1]);
    seconds * 1_000_000
}

async fn histogram(all: &DataFrame, width_us: i64) -> Result<Vec<(i64, u64)>, DataFusionError> {
    let part = (time() / lit(width_us)).alias("part");
    let parts = all.clone().aggregate(vec![part], vec![count(lit(1)).alias("n")])?;
    let rows = parts.sort(vec![col("part").sort(true, false)])?.collect().await?;
    let mut list = Vec::new();
    for batch in &rows {
        let (parts, counts) = (cast_array(&batch["part"], &NUMBER)?, cast_array(&batch["n"], &NUMBER)?);
        let (parts, counts) = (parts.as_primitive::<Int64Type>(), counts.as_primitive::<Int64Type>());
        list.extend((0..batch.num_rows()).map(|row| (parts.value(row) * width_us, counts.value(row) as u64)));
    }
    Ok(list)
}

async fn frequent(all: &DataFrame, column: &str) -> Result<Vec<(String, u64)>, DataFusionError> {
    let value = cast(col(column), TEXT).alias("value");
    let values =
        all.clone().filter(col(column).is_not_null())?.aggregate(vec![value], vec![count(lit(1)).alias("n")])?;
    let order = vec![col("n").sort(false, false), col("value").sort(true, false)];
    let rows = values.sort(order)?.limit(0, Some(FACET_VALUES))?.collect().await?;
    let mut list = Vec::new();
    for batch in &rows {
        let (values, counts) = (cast_array(&batch["value"], &TEXT)?, cast_array(&batch["n"], &NUMBER)?);
        let (values, counts) = (values.as_string::<i32>(), counts.as_primitive::<Int64Type>());
        list.extend((0..batch.num_rows()).map(|row| (values.value(row).to_owned(), counts.value(row) as u64)));
    }
    Ok(list)
}
