//! Puts results into order and commits them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use khien_ingest::journal::Trimmer;
use khien_lake::{Expiry, Writer};
use khien_sources::Keeping;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::correlating::When;
use super::worker::Lot;
use super::{Correlating, Done, chain};
use crate::rules::RuleBook;
use crate::system::now_ms;

/// How long rows wait before they are committed.
const AGE: Duration = Duration::from_millis(800);

/// How long nothing comes before what can be kept in order is.
const IDLE: Duration = Duration::from_secs(2);

/// Bytes of rows from which they are committed at once.
const BYTES: usize = 64 << 20;

/// Pauses between attempts while the lake cannot be written.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(15)];

/// What the committer counts, for everyone to see.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) events: AtomicU64,
    pub(crate) findings: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) failures: AtomicU64,
    /// Grows with every change of the rules that are in force.
    pub(crate) revision: AtomicI64,
    /// Last batch whose events and findings can be asked for.
    pub(crate) committed: watch::Sender<u64>,
    /// Rules with the first batch that was worked on under each.
    books: Mutex<Vec<(u64, Arc<RuleBook>)>>,
}

impl Progress {
    fn books(&self) -> MutexGuard<'_, Vec<(u64, Arc<RuleBook>)>> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes under which rules a batch was worked on.
    fn note_book(&self, batch: u64, book: &Arc<RuleBook>) {
        let mut books = self.books();
        if books.last().is_none_or(|(_, last)| !Arc::ptr_eq(last, book)) {
            books.push((batch, book.clone()));
        }
    }

    /// The rules for the batch behind `after`, and the last batch that they are for. Batches before a restart are said to
    /// have been worked on under the rules of after it.
    pub(crate) fn book_behind(&self, after: u64) -> (Option<Arc<RuleBook>>, u64) {
        let books = self.books();
        let next = books.iter().skip(1).position(|(first, _)| *first > after + 1).map(|index| index + 1);
        let index = next.unwrap_or(books.len()).saturating_sub(1);
        let last = next.map_or(u64::MAX, |next| books[next].0 - 1);
        (books.get(index).map(|(_, book)| book.clone()), last)
    }

    /// Nobody will ask for batches up to this one again.
    pub(crate) fn forget_books(&self, batch: u64) {
        let mut books = self.books();
        while books.len() > 1 && books[1].0 <= batch + 1 {
            books.remove(0);
        }
    }
}

/// See the module text.
pub(crate) struct Committer {
    journal: Trimmer,
    /// Where the lake is on this machine's disks, if it is there.
    folder: Option<PathBuf>,
    correlating: Correlating,
    keeping: Keeping,
    progress: Arc<Progress>,
}

/// Rows that were added and not committed.
#[derive(Default)]
struct Waiting {
    bytes: usize,
    since: Option<Instant>,
    /// The last batch of which all rows were added.
    sequence: u64,
}

/// Keeps the tables in good order, when there is time or it was left undone for too long.
#[derive(Default)]
struct Upkeep {
    /// When putting files together failed.
    failed: Option<Instant>,
    cleaned: Option<Instant>,
    /// When the removal of rows was begun last.
    expired: Option<Instant>,
    /// As of when it judges them, and how far it has come.
    expiry: Option<(i64, Expiry)>,
}

/// How long upkeep that failed rests.
const AGAIN: Duration = Duration::from_mins(1);

/// How often files that nobody needs are removed.
const CLEANING: Duration = Duration::from_mins(20);

/// How often rows that are kept no longer are removed.
const EXPIRING: Duration = Duration::from_hours(24);

impl Upkeep {
    /// Removes rows that are kept no longer, a little with each commit.
    async fn expire(&mut self, writer: &mut Writer, keeping: &Keeping) {
        if self.expired.is_none_or(|begun| begun.elapsed() >= EXPIRING) {
            self.expired = Some(Instant::now());
            self.expiry = begin_removal(keeping).await.map(|as_of_ms| (as_of_ms, Expiry::default()));
        }
        let Some((as_of_ms, expiry)) = self.expiry.take() else { return };
        let retention = match crate::keeping::retention(keeping).await {
            Ok(retention) => retention,
            Err(error) => return tracing::error!(error = %chain(&error), "nobody can say how long rows are kept"),
        };
        match writer.expire(&retention, as_of_ms, expiry).await {
            Ok((removed, next)) => {
                if removed > 0 {
                    tracing::info!(removed, "rows that are kept no longer were removed");
                }
                self.expiry = next.map(|next| (as_of_ms, next));
            }
            Err(error) => tracing::error!(error = %chain(&error), "rows that are kept no longer cannot be removed"),
        }
    }

    async fn after_commit(&mut self, writer: &mut Writer, lots: &mpsc::Receiver<Lot>) {
        self.failed = self.failed.filter(|failed| failed.elapsed() < AGAIN);
        if self.failed.is_none()
            && let Err(error) = writer.compact(now_ms(), lots.is_empty()).await
        {
            tracing::error!(error = %chain(&error), "small files of the lake cannot be put together");
            self.failed = Some(Instant::now());
        }
        if self.cleaned.is_none_or(|cleaned| cleaned.elapsed() >= CLEANING) {
            self.cleaned = Some(Instant::now());
            match writer.clean().await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "files of the lake that nobody needs were removed"),
                Err(error) => {
                    tracing::error!(error = %chain(&error), "files of the lake that nobody needs cannot be removed");
                }
            }
        }
    }
}

/// Notes that rows are removed; as of when they are judged, `None` when that cannot be said.
async fn begin_removal(keeping: &Keeping) -> Option<i64> {
    let now_ms = now_ms();
    let begun = keeping.begin_removal(now_ms).await;
    match begun {
        Ok(as_of_ms) if as_of_ms < now_ms => {
            let days = (now_ms - as_of_ms) / 86_400_000;
            tracing::warn!(days, "the clock is far ahead of the last removal of rows, which goes on by a week");
        }
        Ok(_) => {}
        Err(ref error) => tracing::error!(error = %chain(error), "nobody can say as of when rows may be removed"),
    }
    begun.ok()
}

impl Committer {
    pub(crate) fn new(
        journal: Trimmer,
        folder: Option<PathBuf>,
        correlating: Correlating,
        keeping: Keeping,
        progress: Arc<Progress>,
    ) -> Self {
        Self { journal, folder, correlating, keeping, progress }
    }

    /// The batch behind which it starts.
    pub(crate) fn start(&self) -> u64 {
        self.correlating.saved()
    }

    /// Commits what comes until nothing more can come; takes one from `under_way` for each batch that has got its place.
    pub(crate) async fn run(mut self, mut writer: Writer, mut lots: mpsc::Receiver<Lot>, under_way: Receiver<()>) {
        // By the number of the batch before.
        let mut early: HashMap<u64, Lot> = HashMap::new();
        let mut upkeep = Upkeep::default();
        let done = Done::from(writer.committed());
        let mut waiting = Waiting { sequence: self.start(), ..Waiting::default() };
        self.progress.committed.send_replace(done.events);
        loop {
            // When files are being put together, somebody waits for the end of that.
            let pause = if writer.is_compacting() { AGE } else { IDLE };
            let due = waiting.since.map_or_else(|| Instant::now() + pause, |since| since + AGE);
            match timeout_at(due, lots.recv()).await {
                Ok(Some(lot)) => {
                    early.insert(lot.previous, lot);
                    while let Some(lot) = early.remove(&waiting.sequence) {
                        self.add(lot, done, &mut writer, &mut waiting);
                        // There is one: the reader put it there before the batch.
                        under_way.try_recv().ok();
                    }
                    if waiting.bytes < BYTES {
                        continue;
                    }
                }
                Ok(None) => break,
                Err(_) => {}
            }
            self.commit(&mut writer, &mut waiting).await;
            upkeep.after_commit(&mut writer, &lots).await;
            upkeep.expire(&mut writer, &self.keeping).await;
        }
        self.commit(&mut writer, &mut waiting).await;
        self.correlating.save(When::Now).await;
    }

    fn add(&mut self, mut lot: Lot, done: Done, writer: &mut Writer, waiting: &mut Waiting) {
        self.progress.note_book(lot.sequence, &lot.book);
        self.correlating.take(&mut lot, done);
        waiting.sequence = lot.sequence;
        if lot.sequence <= done.events {
            // All of it is in the lake.
            return;
        }
        let count = |counter: &AtomicU64, amount: usize| counter.fetch_add(amount as u64, Ordering::Relaxed);
        count(&self.progress.events, lot.events.len());
        count(&self.progress.findings, lot.findings.len());
        count(&self.progress.malformed, lot.malformed as usize);
        waiting.bytes += lot.events.bytes();
        waiting.since.get_or_insert_with(Instant::now);
        writer.add(&mut lot.events, &mut lot.findings);
    }

    /// Commits, however long it takes: nothing else can be done with the rows.
    async fn commit(&mut self, writer: &mut Writer, waiting: &mut Waiting) {
        if waiting.since.is_none() {
            return;
        }
        for attempt in 0.. {
            match writer.commit(waiting.sequence, now_ms()).await {
                Ok(()) => break,
                Err(error) => {
                    self.progress.failures.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(error = %chain(&error), attempt, "the lake cannot be written, trying again");
                    sleep(PAUSES[attempt.min(PAUSES.len() - 1)]).await;
                }
            }
        }
        self.progress.commits.fetch_add(1, Ordering::Relaxed);
        self.progress.committed.send_replace(waiting.sequence);
        (waiting.bytes, waiting.since) = (0, None);
        // Only correlations still need what could be given up.
        let when = if self.journal.can_trim(waiting.sequence) { When::Soon } else { When::Due };
        self.correlating.save(when).await;
        self.trim(waiting.sequence.min(self.correlating.saved())).await;
    }

    /// Gives up segments of the journal, after what replaces them is durable.
    async fn trim(&self, sequence: u64) {
        let (journal, folder) = (self.journal.clone(), self.folder.clone());
        let trimmed = tokio::task::spawn_blocking(move || {
            if !journal.can_trim(sequence) {
                return Ok(());
            }
            if let Some(folder) = folder {
                sync_disk(&folder)?;
            }
            journal.trim(sequence)
        });
        match trimmed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "segments of the journal cannot be given up"),
            Err(_) => tracing::error!("giving up segments of the journal failed"),
        }
    }
}

/// Makes everything on the disk of `folder` durable.
fn sync_disk(folder: &std::path::Path) -> std::io::Result<()> {
    let folder = std::fs::File::open(folder)?;
    #[cfg(target_os = "linux")]
    return Ok(rustix::fs::syncfs(&folder)?);
    #[cfg(not(target_os = "linux"))]
    folder.sync_all()
}
