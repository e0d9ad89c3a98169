//! How long rows are kept, and what must not be removed.

use arrow::array::AsArray as _;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use bytes::Bytes;
use deltalake::DeltaTable;
use deltalake::kernel::{Action, LogicalFileView};
use object_store::ObjectStoreExt as _;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use serde_json::Value as Json;

use crate::files::{self, File};
use crate::table::{self, LakeError, Shape};

/// How long rows are kept: so many days after they happened *and* were received, so that what arrives late is not removed
/// at once. Of several rules that fit, the one that says most counts: organisation and class, then
/// organisation, then class, then neither. Rows that no rule fits are kept for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The rules.
    pub rules: Vec<Keep>,
    /// What is kept whatever the rules say.
    pub holds: Vec<Hold>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// For rows of this organisation, `None` for all.
    pub organisation: Option<String>,
    /// For events of this class, `None` for all; findings have none.
    pub class_uid: Option<i32>,
    /// So many days after the day on which it happened or was received, whatever is later.
    pub days: u32,
}

/// A legal hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// On rows of this organisation, `None` for all.
    pub organisation: Option<String>,
    /// From this day on, in days since 1970.
    pub from_day: i32,
    /// Up to this day.
    pub to_day: i32,
}

impl Retention {
    fn days(&self, organisation: &str, class_uid: i32) -> Option<u32> {
        let fits = |keep: &&Keep| {
            keep.organisation.as_ref().is_none_or(|name| name == organisation)
                && keep.class_uid.is_none_or(|class| class == class_uid)
        };
        let says = |keep: &&Keep| (keep.organisation.is_some(), keep.class_uid.is_some());
        self.rules.iter().filter(fits).max_by_key(says).map(|keep| keep.days)
    }

    /// Whether a row of that part that was received on `received` may be removed.
    fn is_over(&self, organisation: &str, (class_uid, day): (i32, i32), received: i32, today: i32) -> bool {
        let since = i64::from(today) - i64::from(day.max(received));
        let held = self.holds.iter().any(|hold| {
            hold.organisation.as_ref().is_none_or(|name| name == organisation)
                && (hold.from_day..=hold.to_day).contains(&day)
        });
        !held && self.days(organisation, class_uid).is_some_and(|days| since > i64::from(days))
    }

    /// Whether some rows of that part may be over: no file of another is looked at.
    fn may_be_over(&self, day: i32, today: i32) -> bool {
        let least = self.rules.iter().map(|keep| keep.days).min();
        least.is_some_and(|days| i64::from(today) - i64::from(day) > i64::from(days))
    }
}

/// Files that are looked at in one go: meanwhile nothing is committed.
const AT_ONCE: usize = 64;

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// How far the removal of rows has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    /// Events are done.
    pub(crate) findings: bool,
    /// The last file that was looked at.
    pub(crate) after: Option<String>,
}

/// When rows were received at the earliest, whatever their senders' or our own clock said: batches are numbered in their
/// order, so no row was received before those of earlier batches were. A clock that was behind for a while must not make
/// its rows old.
struct Floors(Vec<(i64, i32)>);

impl Floors {
    /// From what the log says of all files. What was received after `today` was received by a clock that was ahead.
    fn of(table: &DeltaTable, shape: &Shape, today: i32) -> Result<Self, LakeError> {
        let files = table.snapshot()?.log_data();
        let known = files.iter().filter_map(|file| {
            let stats: Json = serde_json::from_str(&file.stats()?).ok()?;
            let received = chrono::DateTime::parse_from_rfc3339(stats["minValues"]["received"].as_str()?).ok()?;
            Some((first(&file, shape)?, received.timestamp_micros().div_euclid(DAY_US) as i32))
        });
        Ok(Self::from(known.filter(|(_, day)| *day <= today).collect::<Vec<_>>()))
    }

    /// The day of a file that begins there.
    fn day(&self, batch: i64) -> i32 {
        let behind = self.0.partition_point(|(first, _)| *first <= batch);
        behind.checked_sub(1).map_or(i32::MIN, |last| self.0[last].1)
    }
}

/// Where a file begins in the order of batches.
fn first(file: &LogicalFileView, shape: &Shape) -> Option<i64> {
    // Numbers of events begin with that of their batch; findings may be on events of earlier ones.
    let column = if shape.schema.column_with_name("batch").is_some() { "batch" } else { "event_id" };
    serde_json::from_str::<Json>(&file.stats()?).ok()?["minValues"][column].as_i64()
}

impl From<Vec<(i64, i32)>> for Floors {
    /// Where each file begins, and the earliest day of its rows.
    fn from(mut files: Vec<(i64, i32)>) -> Self {
        files.sort_unstable();
        let mut greatest = i32::MIN;
        for (_, day) in &mut files {
            greatest = greatest.max(*day);
            *day = greatest;
        }
        Self(files)
    }
}

/// What becomes of a file.
enum Fate {
    Stays,
    Goes(u64),
    /// Only some of its rows stay.
    Shrinks(File, u64),
}

/// Removes rows that are over, of at most some files behind the one called `after`; how many, and the last file that was
/// looked at, if there are more.
pub(crate) async fn expire(
    table: &mut DeltaTable,
    shape: &Shape,
    retention: &Retention,
    today: i32,
    now_ms: i64,
    after: Option<&str>,
) -> Result<(u64, Option<String>), LakeError> {
    let floors = Floors::of(table, shape, today)?;
    let mut old = Vec::new();
    for file in table.snapshot()?.log_data().iter() {
        let Some(part) = files::part(&file.partition_values_map()) else { continue };
        let path = file.path().into_owned();
        let floor = first(&file, shape).map_or(i32::MIN, |first| floors.day(first));
        if retention.may_be_over(part.1.max(floor), today) && after.is_none_or(|after| path.as_str() > after) {
            old.push((path, (part, floor), file.object_store_path(), file.remove_action(true)));
        }
    }
    old.sort_by(|a, b| a.0.cmp(&b.0));
    let more = old.len() > AT_ONCE;
    old.truncate(AT_ONCE);
    let last = old.last().map(|(path, ..)| path.clone()).filter(|_| more);
    let (mut actions, mut removed) = (Vec::new(), 0);
    let columns = crate::compact::columns(shape);
    for (_, (part, floor), path, remove) in old {
        let content = table.object_store().get(&path).await?.bytes().await?;
        let (retention, columns) = (retention.clone(), columns.clone());
        let fate = tokio::task::spawn_blocking(move || fate(&content, (part, floor), &retention, today, &columns));
        match fate.await.map_err(|_| LakeError::Ended)?? {
            Fate::Stays => {}
            Fate::Goes(rows) => {
                removed += rows;
                actions.push(Action::Remove(remove));
            }
            Fate::Shrinks(file, rows) => {
                removed += rows;
                actions.push(Action::Remove(remove));
                actions.push(Action::Add(table::store(table, shape, file, now_ms, true).await?));
            }
        }
    }
    if !actions.is_empty() {
        table::commit_removal(table, actions).await?;
    }
    Ok((removed, last))
}

fn fate(
    content: &Bytes,
    (part, floor): ((i32, i32), i32),
    retention: &Retention,
    today: i32,
    columns: &SchemaRef,
) -> Result<Fate, LakeError> {
    let stays = stays(content, (part, floor), retention, today)?;
    let removed = stays.iter().filter(|stays| !**stays).count();
    if removed == 0 {
        return Ok(Fate::Stays);
    }
    if removed == stays.len() {
        return Ok(Fate::Goes(removed as u64));
    }
    let file = crate::compact::without(part, columns, content.clone(), stays)?;
    Ok(Fate::Shrinks(file, removed as u64))
}

/// For each row of a file whether it stays.
fn stays(
    content: &Bytes,
    (part, floor): ((i32, i32), i32),
    retention: &Retention,
    today: i32,
) -> Result<Vec<bool>, LakeError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(content.clone())?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["organisation", "received"]);
    let mut stays = Vec::new();
    for batch in builder.with_projection(mask).build()? {
        let batch = batch.map_err(ParquetError::from)?;
        let column = |name: &str, kind| cast(&batch[name], &kind).map_err(ParquetError::from);
        let (owners, received) = (column("organisation", DataType::Utf8)?, column("received", DataType::Int64)?);
        let (owners, received) = (owners.as_string::<i32>(), received.as_primitive::<Int64Type>());
        stays.extend((0..batch.num_rows()).map(|row| {
            let received = floor.max(received.value(row).div_euclid(DAY_US) as i32);
            !retention.is_over(owners.value(row), part, received, today)
        }));
    }
    Ok(stays)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(organisation: Option<&str>, class_uid: Option<i32>, days: u32) -> Keep {
        Keep { organisation: organisation.map(str::to_owned), class_uid, days }
    }

    #[test]
    fn the_rule_that_says_most_counts() {
        let rules = vec![
            keep(None, None, 366),
            keep(None, Some(4003), 90),
            keep(Some("a"), None, 30),
            keep(Some("a"), Some(4003), 7),
        ];
        let retention = Retention { rules, holds: Vec::new() };
        for (organisation, class, days) in [("b", 1007, 366), ("b", 4003, 90), ("a", 1007, 30), ("a", 4003, 7)] {
            assert_eq!(retention.days(organisation, class), Some(days), "{organisation} {class}");
        }
        assert_eq!(Retention::default().days("a", 0), None);
        assert!(!retention.is_over("a", (1007, 100), 100, 130));
        assert!(retention.is_over("a", (1007, 100), 100, 131));
        // It came late.
        assert!(!retention.is_over("a", (1007, 100), 101, 131));
    }

    #[test]
    fn no_row_was_received_before_those_of_earlier_batches() {
        let floors = Floors::from(vec![(30, 5), (1, 100), (10, 101), (20, 102), (40, 103)]);
        for (batch, day) in [(0, i32::MIN), (1, 100), (9, 100), (15, 101), (30, 102), (35, 102), (99, 103)] {
            assert_eq!(floors.day(batch), day, "{batch}");
        }
    }

    #[test]
    fn what_is_held_stays() {
        let hold = |organisation: Option<&str>| Hold {
            organisation: organisation.map(str::to_owned),
            from_day: 90,
            to_day: 100,
        };
        let with = |hold| Retention { rules: vec![keep(None, None, 1)], holds: vec![hold] };
        assert!(!with(hold(None)).is_over("a", (0, 100), 0, 1_000));
        assert!(with(hold(None)).is_over("a", (0, 101), 0, 1_000));
        assert!(with(hold(Some("b"))).is_over("a", (0, 100), 0, 1_000));
    }
}
