//! Records of a stream: lines, syslog messages with a length before them, and JSON documents of any layout.
//!
//! A stream is read in [`Block`]s of whole records that a caller may hand to worker threads and give back for reuse.
//! Every record has a position: its 1-based line, and where records are not lines (length-prefixed syslog, JSON documents,
//! of which many stand on one line) its 1-based number.
//! Memory is bounded by a few times [`RECORD_BYTES`] whatever comes in: a longer record is skipped and reported.

mod bytes;
mod documents;
mod lines;
mod octets;

use std::io::{self, Read};
use std::sync::Arc;

use khien_base::limits::RECORD_BYTES;

pub use self::documents::is_document;
use bytes::Bytes;

/// Bytes that are read at once.
const READ_BYTES: usize = 512 << 10;

/// How many bytes a block holds before it is given away, unless the stream ends.
const BLOCK_BYTES: usize = 512 << 10;

/// How records follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// One record on each line.
    Lines,
    /// RFC 6587: `length blank message`, and messages on lines of their own in between.
    OctetCounted,
    /// JSON values in any layout; elements of arrays and of envelopes are records of their own.
    Documents,
}

/// A record that was left out because it is longer than [`RECORD_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Where it begins, as for records.
    pub position: u64,
    /// How long it is, in bytes.
    pub bytes: u64,
}

/// One record of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// 1-based line or number; see the module text.
    pub position: u64,
    /// The record without its line end.
    pub bytes: &'a [u8],
}

/// Whole records of a stream, in order.
#[derive(Clone, Debug, Default)]
pub struct Block {
    bytes: Bytes,
    layout: Layout,
    headers: Arc<[u8]>,
}

/// Where the records of a block stand.
#[derive(Clone, Debug)]
enum Layout {
    /// On every line; the number of the first.
    Lines(u64),
    /// Start, end and position of each.
    Spans(Vec<(u32, u32, u64)>),
}

impl Default for Layout {
    fn default() -> Self {
        Self::Lines(1)
    }
}

impl Block {
    /// The records in their order. Empty lines are records too.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let (mut lines, spans) = match &self.layout {
            Layout::Lines(first) => (Some(Lines { rest: &self.bytes, line: *first }), [].as_slice()),
            Layout::Spans(spans) => (None, spans.as_slice()),
        };
        let mut spans = spans.iter();
        std::iter::from_fn(move || match &mut lines {
            Some(lines) => lines.next(),
            None => spans
                .next()
                .map(|&(start, end, position)| Record { position, bytes: &self.bytes[start as usize..end as usize] }),
        })
    }

    /// The headers of tables (Zeek, W3C) that stand before this block in its stream, for
    /// [`crate::text::TextDecoder::headers`].
    pub fn headers(&self) -> &Arc<[u8]> {
        &self.headers
    }

    /// All bytes of the block.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Prepares for reuse; what one enormous record made it hold is given back.
    fn clear(&mut self, layout: Layout) {
        self.bytes.clear(4 * BLOCK_BYTES);
        self.layout = layout;
    }
}

/// The lines of a block.
struct Lines<'a> {
    rest: &'a [u8],
    line: u64,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = match memchr::memchr(b'\n', self.rest) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, [].as_slice()),
        };
        self.rest = rest;
        let position = self.line;
        self.line += 1;
        Some(Record { position, bytes: line.strip_suffix(b"\r").unwrap_or(line) })
    }
}

/// Reads the blocks of one stream.
pub struct Frames<R> {
    source: Source<R>,
    framer: Framer,
}

enum Framer {
    Lines(lines::Framer),
    Octets(octets::Framer),
    Documents(documents::Framer),
}

impl<R: Read> Frames<R> {
    /// Frames what `reader` gives, which [`crate::input::open`] has made plain UTF-8.
    pub fn new(reader: R, framing: Framing) -> Self {
        let framer = match framing {
            Framing::Lines => Framer::Lines(lines::Framer::default()),
            Framing::OctetCounted => Framer::Octets(octets::Framer::default()),
            Framing::Documents => Framer::Documents(documents::Framer::default()),
        };
        Self {
            source: Source {
                reader,
                carry: Bytes::default(),
                ended: false,
                paused: false,
                error: None,
                skipped: Vec::new(),
            },
            framer,
        }
    }

    /// Fills `block` with the next records; whether there were any. After `Ok(false)` nothing follows.
    ///
    /// A reader that fails with [`io::ErrorKind::WouldBlock`] has nothing for now: the whole records that were read are
    /// given in a block of their own, and where there are none it is asked again.
    ///
    /// # Errors
    /// What the reader fails with, once, after everything that was read before it was given, the record that it cut
    /// included.
    pub fn next_block(&mut self, block: &mut Block) -> io::Result<bool> {
        match &mut self.framer {
            Framer::Lines(framer) => framer.next_block(&mut self.source, block),
            Framer::Octets(framer) => framer.next_block(&mut self.source, block),
            Framer::Documents(framer) => framer.next_block(&mut self.source, block),
        }
    }

    /// The records that were skipped since the last call.
    pub fn take_skipped(&mut self) -> Vec<Skipped> {
        std::mem::take(&mut self.source.skipped)
    }
}

/// Most reports of skipped records that are held; later ones are counted with the last.
const SKIPPED: usize = 1_000;

/// The stream and what was read of it but not yet given away.
struct Source<R> {
    reader: R,
    carry: Bytes,
    ended: bool,
    /// The last read gave nothing because nothing is there for now.
    paused: bool,
    error: Option<io::Error>,
    skipped: Vec<Skipped>,
}

impl<R: Read> Source<R> {
    /// Appends what one read gives to `bytes`. At the end, after an error, and in a pause, that is nothing.
    fn read_more(&mut self, bytes: &mut Bytes) -> usize {
        if self.ended {
            return 0;
        }
        self.paused = false;
        let count = loop {
            match self.reader.read(bytes.room(READ_BYTES)) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.paused = true;
                    break 0;
                }
                Err(error) => {
                    self.error = Some(error);
                    break 0;
                }
            }
        };
        bytes.grow(count);
        self.ended = count == 0 && !self.paused;
        count
    }

    fn skip(&mut self, position: u64, bytes: u64) {
        if self.skipped.len() < SKIPPED {
            self.skipped.push(Skipped { position, bytes });
        } else if let Some(last) = self.skipped.last_mut() {
            last.bytes += bytes;
        }
    }

    /// What a call that found no record returns.
    fn end(&mut self) -> io::Result<bool> {
        self.error.take().map_or(Ok(false), Err)
    }
}

const _: () = assert!(RECORD_BYTES < (u32::MAX / 4) as usize, "spans of a block fit 32 bits");

#[cfg(test)]
mod tests;
