//! The one process that writes.

use std::sync::{Arc, Mutex, PoisonError};

use deltalake::DeltaTable;
use url::Url;

use crate::columns::{EventRows, FindingRows, Rows};
use crate::compact::Merge;
use crate::query::Reader;
use crate::retention::{Expiry, Retention, expire};
use crate::table::{self, LakeError, Shape};

/// Up to which batch of the journal the tables go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Events: everything up to this batch may be forgotten elsewhere.
    pub events: u64,
    /// Findings. Behind `events` only when later batches gave none; ahead of it after a crash between the two.
    pub findings: u64,
}

/// The newest state of the tables, for those who read in the same process.
#[derive(Clone)]
pub(crate) struct Latest(Arc<Mutex<(DeltaTable, DeltaTable)>>);

impl Latest {
    pub(crate) fn get(&self) -> (DeltaTable, DeltaTable) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// See the module text.
pub struct Writer {
    events: Open,
    findings: Open,
    latest: Latest,
}

struct Open {
    table: DeltaTable,
    shape: Shape,
    waiting: Vec<Rows>,
    committed: u64,
    /// Small and large files that are being made.
    small: Option<Merge>,
    large: Option<Merge>,
}

impl Open {
    async fn new(lake: &Url, shape: Shape) -> Result<Self, LakeError> {
        let table = table::open(lake, &shape).await?;
        let committed = table::committed(&table).await?;
        Ok(Self { table, shape, waiting: Vec::new(), committed, small: None, large: None })
    }

    async fn append(&mut self, sequence: u64, now_ms: i64) -> Result<(), LakeError> {
        let rows = std::mem::take(&mut self.waiting);
        let kept: Vec<Rows> = rows.iter().map(Rows::share).collect();
        let done = table::append(&mut self.table, &self.shape, rows, sequence, now_ms).await;
        if let Err(error) = done
            && !self.has_landed(sequence).await
        {
            // They are still to be written.
            self.waiting = kept;
            return Err(error);
        }
        self.committed = sequence;
        Ok(())
    }

    /// See [`Writer::compact`].
    async fn compact(&mut self, now_ms: i64, idle: bool) -> Result<bool, LakeError> {
        let Self { table, shape, small, large, .. } = self;
        let mut done = false;
        for merge in [&mut *small, &mut *large] {
            let Some(going_on) = merge.take() else { continue };
            match going_on.end(table, shape, now_ms).await? {
                Ok(committed) => done |= committed,
                Err(going_on) => *merge = Some(going_on),
            }
        }
        if small.is_none() {
            *small = Merge::begin_small(table, shape, large.as_ref())?;
        }
        if large.is_none() {
            *large = Merge::begin_large(table, shape, small.as_ref(), now_ms, idle)?;
        }
        Ok(done)
    }

    /// Whether a commit that failed is in the table all the same: it may be that only what follows it went wrong.
    async fn has_landed(&mut self, sequence: u64) -> bool {
        let newest = self.table.update_state().await.is_ok();
        newest && table::committed(&self.table).await.is_ok_and(|committed| committed >= sequence)
    }
}

impl Writer {
    /// Opens the lake at `lake`, a folder or an address that ends with a slash, or makes it.
    ///
    /// # Errors
    /// When it cannot be read or made.
    pub async fn open(lake: &Url) -> Result<Self, LakeError> {
        let events = Open::new(lake, table::events()).await?;
        let findings = Open::new(lake, table::findings()).await?;
        let latest = Latest(Arc::new(Mutex::new((events.table.clone(), findings.table.clone()))));
        Ok(Self { events, findings, latest })
    }

    /// Up to which batch the tables go.
    pub fn committed(&self) -> Committed {
        Committed { events: self.events.committed, findings: self.findings.committed }
    }

    /// Someone who reads what this writer has committed.
    pub fn reader(&self) -> Reader {
        Reader::following(self.latest.clone())
    }

    /// Takes rows that [`Writer::commit`] will write. Rows of batches that the tables hold already must not be added.
    pub fn add(&mut self, events: &mut EventRows, findings: &mut FindingRows) {
        if !events.is_empty() {
            self.events.waiting.push(events.finish());
        }
        if !findings.is_empty() {
            self.findings.waiting.push(findings.finish());
        }
    }

    /// Commits everything added, which is everything up to batch `sequence`. Findings come first: after a crash between
    /// the two tables, the batches are read again, and findings up to [`Committed::findings`] are there already.
    ///
    /// # Errors
    /// When a table cannot be written; what was not committed is tried again by the next call.
    pub async fn commit(&mut self, sequence: u64, now_ms: i64) -> Result<(), LakeError> {
        if !self.findings.waiting.is_empty() {
            self.findings.append(sequence, now_ms).await?;
        }
        if sequence > self.events.committed {
            self.events.append(sequence, now_ms).await?;
        }
        self.show();
        Ok(())
    }

    /// Puts files together where there are many small ones: begins what is worth it beside everything else, and commits
    /// what was begun by an earlier call and is done; whether there was any. To be called after every commit, and when
    /// there is time, which `idle` says: then words of what came lately are indexed before there is enough for a large file.
    ///
    /// # Errors
    /// When a table cannot be read or written; all rows are where they were then.
    pub async fn compact(&mut self, now_ms: i64, idle: bool) -> Result<bool, LakeError> {
        let mut done = false;
        for open in [&mut self.events, &mut self.findings] {
            done |= open.compact(now_ms, idle).await?;
        }
        if done {
            self.show();
        }
        Ok(done)
    }

    /// Whether files are being put together.
    pub fn is_compacting(&self) -> bool {
        [&self.events, &self.findings].iter().any(|open| open.small.is_some() || open.large.is_some())
    }

    /// Removes files that nobody needs any more; how many. To be called from time to time.
    ///
    /// # Errors
    /// When files cannot be listed or removed; they are tried again the next time.
    pub async fn clean(&mut self) -> Result<usize, LakeError> {
        let mut removed = 0;
        for open in [&mut self.events, &mut self.findings] {
            removed += table::vacuum(&mut open.table).await?;
        }
        self.show();
        Ok(removed)
    }

    /// Removes rows that are kept no longer as of `now_ms`, from some files behind those of before; how many, and how far it
    /// has come, `None` when it is done. To be begun once a day.
    ///
    /// # Errors
    /// When a table cannot be read or written; what was removed until then stays removed.
    pub async fn expire(
        &mut self,
        retention: &Retention,
        now_ms: i64,
        expiry: Expiry,
    ) -> Result<(u64, Option<Expiry>), LakeError> {
        let today = now_ms.div_euclid(86_400_000) as i32;
        let Open { table, shape, .. } = if expiry.findings { &mut self.findings } else { &mut self.events };
        let (removed, last) = expire(table, shape, retention, today, now_ms, expiry.after.as_deref()).await?;
        if removed > 0 {
            self.show();
        }
        let next = match last {
            Some(after) => Some(Expiry { after: Some(after), ..expiry }),
            None if expiry.findings => None,
            None => Some(Expiry { findings: true, after: None }),
        };
        Ok((removed, next))
    }

    /// Files of `events` and of `findings`.
    pub fn file_counts(&self) -> (usize, usize) {
        let count = |open: &Open| open.table.snapshot().map_or(0, |state| state.log_data().iter().count());
        (count(&self.events), count(&self.findings))
    }

    /// Names of the files of `events`, and whether a large one is being made.
    #[cfg(test)]
    pub(crate) fn event_files(&self) -> (Vec<String>, bool) {
        let log = self.events.table.snapshot().map(|state| state.log_data()).expect("the table is open");
        let going_on = self.is_compacting();
        (log.iter().map(|file| file.path().into_owned()).collect(), going_on)
    }

    /// Lets readers see the newest state.
    fn show(&self) {
        let newest = (self.events.table.clone(), self.findings.table.clone());
        *self.latest.0.lock().unwrap_or_else(PoisonError::into_inner) = newest;
    }
}
