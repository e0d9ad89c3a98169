//! Standard input that may be live, as in `tail -f access.log | khien detect ...`.
//!
//! A pipe gives its lines when they are written, and whoever watches wants their findings then, not when a block of a
//! mebibyte is full. So a thread waits for the pipe, and the reader of its bytes fails with
//! [`io::ErrorKind::WouldBlock`] from time to time, which [`khien_event::frame`] takes as "give away what is there".

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::stop::Stop;

/// How long bytes may wait before they are given away.
const PATIENCE: Duration = Duration::from_millis(200);

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 << 10;

/// Pieces that are read ahead.
const PIECES: usize = 4;

/// Tells a [`Live`] reader when to pause.
#[derive(Clone, Debug, Default)]
pub(super) struct Pauses {
    allowed: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
}

impl Pauses {
    /// Allows pauses, or not: while something reads that does not know them.
    pub(super) fn allow(&self, may: bool) {
        self.allowed.store(may, Ordering::Relaxed);
    }

    /// Asks for one at the next read, by somebody who has kept what came before the last one.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    fn are_allowed(&self) -> bool {
        self.allowed.load(Ordering::Relaxed)
    }

    fn was_asked(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed)
    }
}

/// See the module text.
pub(super) struct Live {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
    pauses: Pauses,
    stop: Stop,
    /// When the first byte was given that was not followed by a pause.
    since: Option<Instant>,
}

impl Live {
    /// Reads `source` on a thread of its own. The thread ends with the source, or when the reader is gone and the source
    /// gives something.
    pub(super) fn new(source: impl Read + Send + 'static, pauses: Pauses, stop: Stop) -> io::Result<Self> {
        let (sender, pieces) = sync_channel(PIECES);
        std::thread::Builder::new().name("standard input".to_owned()).spawn(move || read_ahead(source, &sender))?;
        Ok(Self { pieces, piece: io::Cursor::default(), pauses, stop, since: None })
    }

    /// The next piece; `None` at the end, and when somebody asks to stop while nothing comes.
    fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let since = self.since.filter(|_| self.pauses.are_allowed());
        loop {
            let left = since.map_or(PATIENCE, |since| PATIENCE.saturating_sub(since.elapsed()));
            match self.pieces.recv_timeout(left) {
                Ok(piece) => return piece.map(Some),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) if self.stop.is_asked() => return Ok(None),
                Err(RecvTimeoutError::Timeout) if since.is_some() => return Err(self.pause()),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn pause(&mut self) -> io::Error {
        self.since = None;
        io::ErrorKind::WouldBlock.into()
    }
}

impl Read for Live {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let has_waited = |since: Instant| since.elapsed() >= PATIENCE;
        if self.pauses.are_allowed() && (self.pauses.was_asked() || self.since.is_some_and(has_waited)) {
            return Err(self.pause());
        }
        if self.piece.position() == self.piece.get_ref().len() as u64 {
            match self.next_piece()? {
                Some(piece) => self.piece = io::Cursor::new(piece),
                None => return Ok(0),
            }
        }
        self.since.get_or_insert_with(Instant::now);
        self.piece.read(buffer)
    }
}

fn read_ahead(mut source: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let piece = match source.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => Ok(buffer.iter().take(count).copied().collect()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = piece.is_err();
        if sender.send(piece).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one piece at a time, when it is told to.
    struct Told(Receiver<&'static [u8]>);

    impl Read for Told {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let piece = self.0.recv().unwrap_or_default();
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    #[test]
    fn a_source_that_waits_makes_a_pause_once() {
        let (tell, told) = std::sync::mpsc::channel();
        let pauses = Pauses::default();
        let mut live = Live::new(Told(told), pauses.clone(), Stop::default()).unwrap();
        let mut buffer = [0; 8];
        tell.send(b"one".as_slice()).unwrap();
        assert_eq!(live.read(&mut buffer).unwrap(), 3);
        pauses.allow(true);
        assert_eq!(live.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        pauses.ask();
        assert_eq!(live.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        tell.send(b"two more bytes".as_slice().split_at(8).0).unwrap();
        assert_eq!(live.read(&mut buffer).unwrap(), 8);
        drop(tell);
        assert_eq!(live.read(&mut buffer).unwrap(), 0);
    }
}
