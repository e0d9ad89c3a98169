//! Counts what came into the coverage ledger, and watches for sources that fall silent or change.
//!
//! It reads events where everybody else does and notes in the transaction that counts them up to which batch it has come.

use std::sync::Arc;
use std::time::Duration;

use khien_detections::{Counts, Covered, Declared, Detections, DetectionsError};
use khien_ingest::batch::event_id;
use khien_lake::{Limits, QueryError, Reader, Scope};
use khien_sources::{Sources, SourcesError};
use serde::Deserialize;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::pipeline::{Progress, chain};
use crate::reading::rows;
use crate::rules::RuleBook;
use crate::system::now_ms;

/// How often events are counted.
const COUNTING: Duration = Duration::from_secs(5);

/// How often sources are looked at.
const WATCHING: Duration = Duration::from_mins(1);

/// Batches that are counted at once.
const BATCHES: u64 = 65_536;

/// An event that is received so much later than it happened is late.
const LATE_US: i64 = 600_000_000;

/// Memory for one reading.
const MEMORY_BYTES: usize = 256 << 20;

#[derive(Debug, Error)]
enum LedgerError {
    #[error("events cannot be read")]
    Lake(#[from] QueryError),
    #[error("the ledger cannot be written")]
    Detections(#[from] DetectionsError),
    #[error("the register of SOCs cannot be read")]
    Sources(#[from] SourcesError),
}

/// See the module text.
pub(crate) struct Ledger {
    pub(crate) detections: Detections,
    pub(crate) sources: Sources,
    pub(crate) reader: Reader,
    pub(crate) progress: Arc<Progress>,
}

/// A row of the question below.
#[derive(Deserialize)]
struct Row {
    organisation: String,
    source: String,
    hour: i64,
    events: i64,
    late: i64,
    undecoded: i64,
    untimed: i64,
    unhosted: i64,
    first_received_ms: i64,
    last_received_ms: i64,
}

/// What came with the batches behind `after` up to `last`.
fn question(after: u64, last: u64) -> String {
    let (from, to) = (event_id(after + 1, 0), event_id(last + 1, 0));
    format!(
        "SELECT organisation, source, arrow_cast(time, 'Int64') / 3600000000 AS hour, count(*) AS events, \
         count(*) FILTER (WHERE arrow_cast(received, 'Int64') - arrow_cast(time, 'Int64') > {LATE_US}) AS late, \
         count(*) FILTER (WHERE kind = '') AS undecoded, count(*) FILTER (WHERE NOT time_known) AS untimed, \
         count(*) FILTER (WHERE device_hostname IS NULL) AS unhosted, \
         arrow_cast(min(received), 'Int64') / 1000 AS first_received_ms, \
         arrow_cast(max(received), 'Int64') / 1000 AS last_received_ms FROM events \
         WHERE event_id >= {from} AND event_id < {to} GROUP BY organisation, source, hour"
    )
}

impl Ledger {
    /// Works until it is told to stop.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let since_ms = now_ms();
        let mut ticks = interval(COUNTING);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watched = Instant::now();
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                _ = ticks.tick() => {}
            }
            let mut done = self.count().await;
            if done.is_ok() && watched.elapsed() >= WATCHING {
                watched = Instant::now();
                done = self.watch(since_ms).await;
            }
            if let Err(error) = done {
                tracing::error!(error = %chain(&error), "the coverage ledger is behind, trying again");
            }
        }
    }

    /// Looks which sources are silent, changed or not declared.
    async fn watch(&self, since_ms: i64) -> Result<(), LedgerError> {
        let declared = self.sources.declared().await?.into_iter().map(|one| Declared {
            organisation: one.soc.name,
            source: one.name,
            silence_ms: one.silence_ms,
            declared_ms: one.created_ms,
        });
        self.detections.watch_sources(&declared.collect::<Vec<_>>(), since_ms, now_ms()).await?;
        Ok(())
    }

    /// Counts everything that is in the lake.
    async fn count(&self) -> Result<(), LedgerError> {
        let committed = *self.progress.committed.borrow();
        let mut after = self.detections.covered().await?;
        while after < committed {
            let (book, changes) = self.progress.book_behind(after);
            let last = committed.min(after + BATCHES).min(changes);
            let limits = Limits { rows: usize::MAX, memory_bytes: MEMORY_BYTES, threads: 1, ..Limits::default() };
            let found: Vec<Row> = rows(&self.reader, &question(after, last), &Scope::All, limits).await?;
            let covered: Vec<Covered> = found.iter().flat_map(|row| covered(row, book.as_deref())).collect();
            self.detections.cover(&covered, last).await?;
            after = last;
        }
        self.progress.forget_books(committed);
        Ok(())
    }
}

/// A row for each pack that was in force.
fn covered(row: &Row, book: Option<&RuleBook>) -> Vec<Covered> {
    let mut packs = book.map(|book| book.packs_of(&row.organisation)).unwrap_or_default();
    if packs.is_empty() {
        packs.push("");
    }
    let of = |pack: &&str| Covered {
        organisation: row.organisation.clone(),
        source: row.source.clone(),
        pack: (*pack).to_owned(),
        hour: row.hour,
        counts: Counts {
            events: row.events,
            late: row.late,
            undecoded: row.undecoded,
            untimed: row.untimed,
            unhosted: row.unhosted,
        },
        first_received_ms: row.first_received_ms,
        last_received_ms: row.last_received_ms,
    };
    packs.iter().map(of).collect()
}
