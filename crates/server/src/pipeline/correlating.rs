//! Correlations over all batches, in the order of the journal, over restarts too.
//!
//! What a correlator holds is saved from time to time, together with the number of the last batch that it has seen. After
//! a restart, batches behind that are read from the journal again, for correlations only; what they find anew is in the
//! lake already and is not added again.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use khien_detect::correlate::{CorrelationHit, Correlator};

use super::Done;
use super::finding::Found;
use super::worker::Lot;
use crate::paths::replace;
use crate::rules::RuleBook;

/// How often the state is saved, and how often at most.
const SAVING: Duration = Duration::from_secs(10);
const SOONEST: Duration = Duration::from_secs(2);

/// When the state is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// When it is time.
    Due,
    /// As soon as may be: the journal could give something up.
    Soon,
    /// Now.
    Now,
}

/// What a saved state begins with; the number of the last batch follows.
const MAGIC: &[u8; 8] = b"khcorr01";

/// See the module text.
pub(crate) struct Correlating {
    book: Arc<RuleBook>,
    correlator: Correlator,
    path: PathBuf,
    /// The last batch that is in the state on disk.
    saved: u64,
    /// The last batch that the correlator has seen.
    seen: u64,
    since: Option<Instant>,
}

impl Correlating {
    /// Goes on from the state at `path`, if it is not ahead of the lake, which goes up to batch `committed`.
    pub(crate) fn open(book: Arc<RuleBook>, path: PathBuf, committed: u64) -> Self {
        let mut correlator = book.correlator();
        let saved = match read(&path) {
            Ok(Some((sequence, state))) if sequence <= committed => match correlator.restore(&state) {
                Ok(()) => Some(sequence),
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "correlations begin anew");
                    correlator = book.correlator();
                    None
                }
            },
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "correlations begin anew");
                None
            }
        };
        let saved = saved.unwrap_or(committed);
        Self { book, correlator, path, saved, seen: saved, since: None }
    }

    /// The last batch that need not be seen again after a restart.
    pub(crate) fn saved(&self) -> u64 {
        self.saved
    }

    /// Takes a batch in; what holds now is among its findings. A fault of ours costs what correlations hold, nothing more.
    pub(crate) fn take(&mut self, lot: &mut Lot, done: Done) {
        self.seen = lot.sequence;
        if !Arc::ptr_eq(&self.book, &lot.book) {
            self.change_rules(lot.book.clone());
        }
        if self.correlator.correlations().is_empty() {
            return;
        }
        if catch_unwind(AssertUnwindSafe(|| self.correlate(lot, done))).is_err() {
            tracing::error!(batch = lot.sequence, "correlating a batch panicked; correlations begin anew");
            self.correlator = self.book.correlator();
        }
    }

    fn correlate(&mut self, lot: &mut Lot, done: Done) {
        let wanted = lot.sequence > done.findings;
        let Lot { observations, findings, received_ms, sequence, .. } = lot;
        let (book, received_ms, sequence) = (&self.book, *received_ms, *sequence);
        let mut note = |hit: &CorrelationHit<'_>| {
            let Some(pack) = book.correlation_pack(hit.correlation, hit.scope) else { return };
            if wanted {
                let found = Found::of_hit(hit, &book.correlations[hit.correlation], received_ms, pack);
                found.push(findings, sequence);
            }
        };
        let second = u32::try_from(received_ms / 1_000).unwrap_or(0);
        observations.each(second, &mut |observation| self.correlator.feed(&observation, &mut note));
        self.correlator.settle(received_ms.saturating_mul(1_000_000), &mut note);
    }

    /// Correlations that stay as they are keep what they hold.
    fn change_rules(&mut self, book: Arc<RuleBook>) {
        let state = self.correlator.save();
        self.correlator = book.correlator();
        self.book = book;
        if let Err(error) = self.correlator.restore(&state) {
            tracing::error!(%error, "correlations begin anew");
            self.correlator = self.book.correlator();
        }
    }

    /// Saves the state, which must be that behind a commit.
    pub(super) async fn save(&mut self, when: When) {
        if self.seen == self.saved {
            return;
        }
        if self.correlator.correlations().is_empty() {
            self.saved = self.seen;
            return;
        }
        let pause = match when {
            When::Due => SAVING,
            When::Soon => SOONEST,
            When::Now => Duration::ZERO,
        };
        if self.since.is_some_and(|since| since.elapsed() < pause) {
            return;
        }
        self.since = Some(Instant::now());
        let (path, sequence) = (self.path.clone(), self.seen);
        let content = [MAGIC.as_slice(), &sequence.to_le_bytes(), &self.correlator.save()].concat();
        match tokio::task::spawn_blocking(move || replace(&path, &content)).await {
            Ok(Ok(())) => self.saved = sequence,
            Ok(Err(error)) => tracing::error!(%error, "the state of correlations cannot be saved"),
            Err(_) => tracing::error!("saving the state of correlations failed"),
        }
    }
}

/// The number of the last batch, and the state.
fn read(path: &Path) -> io::Result<Option<(u64, Vec<u8>)>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let parts = bytes.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk::<8>());
    let (sequence, state) = parts.ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some((u64::from_le_bytes(*sequence), state.to_vec())))
}
