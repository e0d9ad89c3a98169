//! Makes alerts of findings, as soon as these are in the lake.
//!
//! It reads findings where everybody else does and notes in the transaction that makes alerts up to which batch it has
//! come; so nothing is counted twice or left out, whenever it is ended.

use std::sync::Arc;
use std::time::Duration;

use khien_detections::{Detections, DetectionsError, Seen};
use khien_lake::{Limits, QueryError, Reader, Scope};
use serde::Deserialize;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::pipeline::{Progress, chain};
use crate::reading::rows;
use crate::system::now_ms;

/// Findings of a lower severity raise no alert (`low` findings are for review, says the Sigma specification).
const LEAST_SEVERITY: u8 = 3;

/// Batches whose findings are taken in at once.
const BATCHES: u64 = 4_096;

/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(2);

/// Memory for one reading.
const MEMORY_BYTES: usize = 256 << 20;

#[derive(Debug, Error)]
enum AlertingError {
    #[error("findings cannot be read")]
    Lake(#[from] QueryError),
    #[error("alerts cannot be written")]
    Detections(#[from] DetectionsError),
}

/// See the module text.
pub(crate) struct Alerting {
    pub(crate) detections: Detections,
    pub(crate) reader: Reader,
    pub(crate) progress: Arc<Progress>,
}

/// A row of the question below.
#[derive(Deserialize)]
struct Row {
    rule_id: String,
    title: String,
    level: String,
    severity_id: i32,
    pack: Option<String>,
    organisation: String,
    entity: Option<String>,
    first_ms: i64,
    last_ms: i64,
    findings: i64,
    event_id: i64,
}

impl From<Row> for Seen {
    fn from(row: Row) -> Self {
        Self {
            rule_id: row.rule_id,
            title: row.title,
            level: row.level,
            severity_id: row.severity_id,
            pack: row.pack.unwrap_or_default(),
            organisation: row.organisation,
            entity: row.entity.unwrap_or_default(),
            first_ms: row.first_ms,
            last_ms: row.last_ms,
            findings: row.findings,
            event_id: row.event_id,
        }
    }
}

/// Findings of one rule about one entity in ten minutes, of batches behind `after` up to `last`.
fn question(after: u64, last: u64) -> String {
    format!(
        "SELECT rule_id, level, severity_id, organisation, entity, max(rule_title) AS title, max(pack) AS pack, \
         arrow_cast(min(time), 'Int64') / 1000 AS first_ms, arrow_cast(max(time), 'Int64') / 1000 AS last_ms, \
         count(*) AS findings, max(event_id) AS event_id FROM findings \
         WHERE batch > {after} AND batch <= {last} AND exception IS NULL AND severity_id >= {LEAST_SEVERITY} \
         GROUP BY rule_id, level, severity_id, organisation, entity, date_bin(INTERVAL '10 minutes', time) \
         ORDER BY first_ms"
    )
}

impl Alerting {
    /// Works until it is told to stop.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut committed = self.progress.committed.subscribe();
        loop {
            let last = *committed.borrow_and_update();
            let done = self.take_in(last).await.inspect_err(|error| {
                tracing::error!(error = %chain(error), "alerts are behind, trying again");
            });
            let next = async {
                if done.is_ok() {
                    return committed.changed().await.is_ok();
                }
                sleep(PAUSE).await;
                true
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                goes_on = next => if !goes_on { return },
            }
        }
    }

    /// Takes in all findings up to batch `last`.
    async fn take_in(&self, last: u64) -> Result<(), AlertingError> {
        let mut after = self.detections.taken().await?;
        while after < last {
            let end = last.min(after + BATCHES);
            let seen = self.findings(after, end).await?;
            self.detections.take(&seen, end, now_ms()).await?;
            after = end;
        }
        Ok(())
    }

    async fn findings(&self, after: u64, last: u64) -> Result<Vec<Seen>, AlertingError> {
        let limits = Limits { rows: usize::MAX, memory_bytes: MEMORY_BYTES, threads: 1, ..Limits::default() };
        let found: Vec<Row> = rows(&self.reader, &question(after, last), &Scope::All, limits).await?;
        Ok(found.into_iter().map(Seen::from).collect())
    }
}
