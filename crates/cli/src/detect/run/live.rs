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

/// How long bytes may wait before they are given away.
const PATIENCE: Duration = Duration::from_millis(200);

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 << 10;

/// Pieces that are read ahead.
const PIECES: usize = 4;

/// Says whether a [`Live`] reader may pause. It must not while its first bytes are looked at, or while it is read by
/// something that does not know pauses.
#[derive(Clone, Debug, Default)]
pub(super) struct MayPause(Arc<AtomicBool>);

impl MayPause {
    pub(super) fn set(&self, may: bool) {
        self.0.store(may, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// See the module text.
pub(super) struct Live {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
    may_pause: MayPause,
    /// When the first byte was given that was not followed by a pause.
    since: Option<Instant>,
}

impl Live {
    /// Reads `source` on a thread of its own. The thread ends with the source, or when the reader is gone and the source
    /// gives something.
    pub(super) fn new(source: impl Read + Send + 'static, may_pause: MayPause) -> io::Result<Self> {
        let (sender, pieces) = sync_channel(PIECES);
        std::thread::Builder::new().name("standard input".to_owned()).spawn(move || read_ahead(source, &sender))?;
        Ok(Self { pieces, piece: io::Cursor::default(), may_pause, since: None })
    }

    /// The next piece; `None` at the end.
    fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(since) = self.since.filter(|_| self.may_pause.get()) else {
            return self.pieces.recv().ok().transpose();
        };
        let left = PATIENCE.saturating_sub(since.elapsed());
        match self.pieces.recv_timeout(left) {
            Ok(piece) => piece.map(Some),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(self.pause()),
        }
    }

    fn pause(&mut self) -> io::Error {
        self.since = None;
        io::ErrorKind::WouldBlock.into()
    }
}

impl Read for Live {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.may_pause.get() && self.since.is_some_and(|since| since.elapsed() >= PATIENCE) {
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
        let may_pause = MayPause::default();
        let mut live = Live::new(Told(told), may_pause.clone()).unwrap();
        let mut buffer = [0; 8];
        tell.send(b"one".as_slice()).unwrap();
        assert_eq!(live.read(&mut buffer).unwrap(), 3);
        may_pause.set(true);
        assert_eq!(live.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        tell.send(b"two more bytes".as_slice().split_at(8).0).unwrap();
        assert_eq!(live.read(&mut buffer).unwrap(), 8);
        drop(tell);
        assert_eq!(live.read(&mut buffer).unwrap(), 0);
    }
}
