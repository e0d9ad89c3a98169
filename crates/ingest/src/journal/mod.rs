//! The durable log of batches: what is in it was acknowledged, and the other way round.
//!
//! Batches are appended by many and read by one, in the order of their sequence numbers, which have no gaps. One thread
//! writes: it takes all that waits, writes it, and makes it durable with one call to the disk, so that the price of that
//! call is shared. A write that fails is taken back, and its senders hear so.
//!
//! On disk the log is a row of segments, `FIRST.journal`, and beside each full one its keys, `FIRST.keys`. What readers
//! have done with is given up in whole segments by [`Trimmer::trim`]; the keys stay longer.

mod cursor;
mod disk;
mod format;
mod keys;
mod recover;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use thiserror::Error;

pub use cursor::{Cursor, ReadError, Stored};
pub use disk::{Disk, RealDisk, Segment, Space};
pub use recover::Recovered;

use crate::batch::{BYTES, Batch, RECORDS};
use writer::{Request, Writer};

/// Sizes and bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// When a segment is full; at most a sixty-fourth of the disk.
    pub segment_bytes: u64,
    /// What is kept in memory for a reader that is not far behind.
    pub tail_bytes: usize,
    /// Most bytes on their way to the disk.
    pub waiting_bytes: usize,
    /// Most bytes on disk that no reader has done with; at most a quarter of the disk.
    pub backlog_bytes: u64,
    /// What must stay free on the disk, for what was taken in already; at most a tenth of the disk.
    pub reserve_bytes: u64,
    /// How many keys are remembered.
    pub keys: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            tail_bytes: 64 << 20,
            waiting_bytes: 96 << 20,
            backlog_bytes: 8 << 30,
            reserve_bytes: 256 << 20,
            keys: 2_000_000,
        }
    }
}

impl Options {
    /// The same for a disk that may be small: what the journal holds must leave room for what becomes of it.
    fn on_disk_of(self, space: Option<Space>) -> Self {
        let Some(Space { all_bytes, .. }) = space else { return self };
        Self {
            segment_bytes: self.segment_bytes.min(all_bytes / 64).max(1),
            backlog_bytes: self.backlog_bytes.min(all_bytes / 4),
            ..self
        }
    }
}

/// Why the journal cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The disk failed.
    #[error("cannot open the journal at {path}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another process works with it.
    #[error("another process uses the journal at {path}")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

/// What a sender is told of a batch that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its sequence number; of a batch that was sent before, the number that it got then.
    pub sequence: u64,
    /// It was there already and was not added again.
    pub duplicate: bool,
}

/// Why a batch was not taken. Nothing of it is kept, and it may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Too much waits to be written.
    #[error("too much waits to be written")]
    Busy,
    /// Readers are too far behind.
    #[error("what was taken in before is not processed yet")]
    Backlog,
    /// The disk is full, or nearly.
    #[error("the disk is full")]
    Full,
    /// The disk failed.
    #[error("the disk failed ({0})")]
    Failed(io::ErrorKind),
    /// It has more records or bytes than a batch may have.
    #[error("the batch is larger than {BYTES} bytes or {RECORDS} records")]
    TooLarge,
    /// The journal is being closed.
    #[error("the journal is closed")]
    Closed,
}

/// See the module text. Clones are the same journal.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    requests: Sender<Option<Request>>,
    options: Options,
}

/// The thread that writes; the journal is closed when all [`Journal`]s are gone.
pub struct Running(JoinHandle<()>);

impl Running {
    /// Waits until everything that was appended is written.
    pub fn join(self) {
        // A panic of the thread was reported where it happened; whoever waited for an answer was refused.
        drop(self.0.join());
    }
}

/// What writer and reader share.
struct Shared {
    folder: PathBuf,
    state: Mutex<State>,
    grown: Condvar,
    /// Bytes on their way to the disk.
    waiting: AtomicUsize,
    /// Held as long as the journal is open.
    _lock: File,
}

#[derive(Default)]
struct State {
    /// Last sequence number that is durable.
    durable: u64,
    /// By their first sequence number; the last one is being written.
    segments: VecDeque<SegmentInfo>,
    /// The newest batches, without gaps, up to `durable`.
    tail: VecDeque<Stored>,
    tail_bytes: usize,
    closed: bool,
}

#[derive(Clone, Debug)]
struct SegmentInfo {
    first: u64,
    /// Last sequence number in it; `first - 1` when there is none.
    last: u64,
    bytes: u64,
}

impl Shared {
    /// Bytes on disk.
    fn backlog_bytes(&self) -> u64 {
        self.lock().segments.iter().map(|segment| segment.bytes).sum()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The batches in the content of a segment file with their sequence numbers, up to the first that is damaged.
pub fn batches_in(segment: &[u8]) -> Vec<(u64, Batch)> {
    let mut rest = segment.strip_prefix(&format::MAGIC).unwrap_or_default();
    let next = || match format::read(&mut rest) {
        Ok(format::Found::Record(batch, sequence, _)) => Some((sequence, *batch)),
        _ => None,
    };
    std::iter::from_fn(next).collect()
}

/// Keeps other processes out.
fn lock(folder: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::Io { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    let file = File::create(folder.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse { path: folder.to_owned() }),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.journal"))
}

fn keys_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.keys"))
}

impl Journal {
    /// Opens the journal in `folder`, or makes one. Sequence numbers go on behind those found and behind `committed`, up
    /// to which readers have done with everything elsewhere.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open(
        folder: &Path,
        committed: u64,
        options: Options,
        mut disk: Box<dyn Disk>,
    ) -> Result<(Self, Running, Recovered), OpenError> {
        let lock = lock(folder)?;
        let options = options.on_disk_of(disk.space(folder));
        let (recovered, segments, keys) = recover::recover(folder, options.keys)?;
        let durable = recovered.last.max(committed);
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            state: Mutex::new(State { durable, segments, ..State::default() }),
            grown: Condvar::new(),
            waiting: AtomicUsize::new(0),
            _lock: lock,
        });
        let failed = |source| OpenError::Io { path: folder.to_owned(), source };
        let (requests, inbox) = channel();
        let mut writer = Writer::new(shared.clone(), options, disk, keys, durable + 1);
        writer.begin_segment().map_err(failed)?;
        let thread = std::thread::Builder::new().name("journal".into());
        let handle = thread.spawn(move || writer.run(&inbox)).map_err(failed)?;
        Ok((Self { shared, requests, options }, Running(handle), recovered))
    }

    /// Appends a batch. `done` is called once, from another thread, when it is durable or was refused.
    ///
    /// # Errors
    /// When it is refused at once; `done` is not called then.
    pub fn append(
        &self,
        batch: Batch,
        done: impl FnOnce(Result<Receipt, Refusal>) + Send + 'static,
    ) -> Result<(), Refusal> {
        if batch.body.len() > BYTES || batch.spans.len() > RECORDS {
            return Err(Refusal::TooLarge);
        }
        let size = batch.size();
        let before = self.shared.waiting.fetch_add(size, Ordering::Relaxed);
        if before > 0 && before + size > self.options.waiting_bytes {
            self.shared.waiting.fetch_sub(size, Ordering::Relaxed);
            return Err(Refusal::Busy);
        }
        self.requests.send(Some(Request { batch, done: Box::new(done) })).map_err(|_| {
            self.shared.waiting.fetch_sub(size, Ordering::Relaxed);
            Refusal::Closed
        })
    }

    /// Takes nothing more, whoever has it still; what is on its way to the disk gets there.
    pub fn close(&self) {
        // It may be closed already.
        self.requests.send(None).ok();
    }

    /// A reader of everything behind sequence number `after`.
    pub fn cursor(&self, after: u64) -> Cursor {
        Cursor::new(self.shared.clone(), after + 1)
    }

    /// Last sequence number that is durable.
    pub fn durable(&self) -> u64 {
        self.shared.lock().durable
    }

    /// Bytes on disk.
    pub fn backlog_bytes(&self) -> u64 {
        self.shared.backlog_bytes()
    }

    /// Bytes on their way to the disk.
    pub fn waiting_bytes(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// What readers that have done with batches give up segments with. It does not keep the journal open.
    pub fn trimmer(&self) -> Trimmer {
        Trimmer { shared: self.shared.clone() }
    }
}

/// Gives up segments. Clones are the same.
#[derive(Clone)]
pub struct Trimmer {
    shared: Arc<Shared>,
}

impl Trimmer {
    /// Whether [`Trimmer::trim`] would find something to give up.
    pub fn can_trim(&self, sequence: u64) -> bool {
        let state = self.shared.lock();
        state.segments.len() > 1 && state.segments.front().is_some_and(|segment| segment.last <= sequence)
    }

    /// Gives up every full segment that ends at or before `sequence`.
    ///
    /// # Errors
    /// When a file cannot be removed; it is tried again the next time.
    pub fn trim(&self, sequence: u64) -> io::Result<()> {
        loop {
            let first = {
                let state = self.shared.lock();
                match state.segments.front() {
                    Some(segment) if state.segments.len() > 1 && segment.last <= sequence => segment.first,
                    _ => return Ok(()),
                }
            };
            match fs::remove_file(segment_path(&self.shared.folder, first)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut state = self.shared.lock();
            if state.segments.front().is_some_and(|segment| segment.first == first) {
                state.segments.pop_front();
            }
        }
    }
}
