//! Reading in the order of sequence numbers.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::format::{Found, MAGIC, read};
use super::{Shared, segment_path};
use crate::batch::Batch;

/// A durable batch.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its sequence number.
    pub sequence: u64,
    /// What was sent.
    pub batch: Arc<Batch>,
}

/// Why the next batch cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The disk failed; the same batch is tried again the next time.
    #[error("cannot read the journal")]
    Io(#[from] io::Error),
    /// Somebody changed or removed files of the journal. Reading goes on behind what is lost.
    #[error("batches {from} to {to} of the journal are damaged or gone; the file is kept as it is")]
    Lost {
        /// First batch that cannot be read.
        from: u64,
        /// Last one.
        to: u64,
    },
}

/// See the module text.
pub struct Cursor {
    shared: Arc<Shared>,
    next: u64,
    file: Option<Position>,
}

/// A place in a segment.
struct Position {
    /// First sequence number of the segment.
    first: u64,
    reader: BufReader<File>,
    /// Sequence number of the record that begins here.
    next: u64,
}

impl Cursor {
    pub(super) fn new(shared: Arc<Shared>, next: u64) -> Self {
        Self { shared, next, file: None }
    }

    /// The next batch; `None` when none came within `patience`, or none will ever come ([`Cursor::is_over`]).
    ///
    /// # Errors
    /// See [`ReadError`]; the cursor can be asked again.
    pub fn next(&mut self, patience: Duration) -> Result<Option<Stored>, ReadError> {
        {
            let state = self.shared.lock();
            let waits = |state: &mut super::State| state.durable < self.next && !state.closed;
            let (state, _) =
                self.shared.grown.wait_timeout_while(state, patience, waits).unwrap_or_else(PoisonError::into_inner);
            if state.durable < self.next {
                return Ok(None);
            }
            let first = state.tail.front().map_or(u64::MAX, |stored| stored.sequence);
            if first <= self.next
                && let Some(stored) = state.tail.get((self.next - first) as usize)
            {
                let stored = stored.clone();
                debug_assert_eq!(stored.sequence, self.next, "the tail has no gaps");
                drop(state);
                (self.next, self.file) = (self.next + 1, None);
                return Ok(Some(stored));
            }
        }
        self.read_file().map(Some)
    }

    /// Whether the journal was closed and everything in it was read.
    pub fn is_over(&self) -> bool {
        let state = self.shared.lock();
        state.closed && state.durable < self.next
    }

    /// Sequence number of the batch that comes next.
    pub fn position(&self) -> u64 {
        self.next
    }

    fn read_file(&mut self) -> Result<Stored, ReadError> {
        let (first, last) = {
            let state = self.shared.lock();
            let holds =
                state.segments.iter().rev().find(|segment| segment.first <= self.next && segment.last >= self.next);
            let Some(segment) = holds else {
                let next = state.segments.iter().map(|s| s.first).filter(|first| *first > self.next).min();
                let to = next.map_or(state.durable, |next| next - 1);
                let from = std::mem::replace(&mut self.next, to + 1);
                return Err(ReadError::Lost { from, to });
            };
            (segment.first, segment.last)
        };
        let mut at = match self.file.take().filter(|at| at.first == first && at.next <= self.next) {
            Some(at) => at,
            None => self.open(first)?,
        };
        loop {
            match read(&mut at.reader)? {
                Found::Record(batch, sequence, _) if sequence == at.next => {
                    at.next += 1;
                    if sequence == self.next {
                        self.next += 1;
                        self.file = Some(at);
                        return Ok(Stored { sequence, batch: Arc::from(batch) });
                    }
                }
                Found::Record(..) | Found::End | Found::Damage => {
                    let from = std::mem::replace(&mut self.next, last + 1);
                    return Err(ReadError::Lost { from, to: last });
                }
            }
        }
    }

    fn open(&self, first: u64) -> io::Result<Position> {
        let mut file = File::open(segment_path(&self.shared.folder, first))?;
        file.seek(SeekFrom::Start(MAGIC.len() as u64))?;
        Ok(Position { first, reader: BufReader::with_capacity(256 << 10, file), next: first })
    }
}
