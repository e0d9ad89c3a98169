//! Binary Windows event logs, `.evtx`: every record as the JSON that the crate `evtx` writes.
//!
//! A log is a header of 4 KiB and chunks of 64 KiB that can be read without each other. [`Chunks`] reads them from any
//! stream, also a compressed one, in [`Batch`]es that may go to worker threads; [`decode`] turns a batch into JSON. What
//! the file's header claims is not believed: what there is, is read. Damaged chunks and records are reported and passed
//! over. The crate renders a whole chunk into one buffer with templates compiled once, which is the cheapest way it has;
//! nothing is serialised twice.

use std::io::{self, Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ::evtx::{EvtxParser, ParserSettings, RenderedChunk, RenderedChunkItem};
use khien_base::message::Message;

use crate::reasons;

/// Size of the file's header, in bytes.
const HEADER: usize = 4 << 10;
/// Size of a chunk, in bytes.
const CHUNK: usize = 64 << 10;
/// Most chunks of a batch.
const BATCH: usize = 64;
/// Bytes of one read.
const STEP: usize = 256 << 10;

/// Some chunks of a log, in the order of the file. Used again, it needs no new memory.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// A header and the chunks, as a log of their own, and room for more.
    buffer: Vec<u8>,
    /// Bytes of the chunks.
    size: usize,
    first: u64,
    cut: Option<usize>,
}

impl Batch {
    /// Size of the chunks in bytes.
    pub fn size_bytes(&self) -> usize {
        self.size
    }

    /// The header and the chunks.
    fn log(&self) -> &[u8] {
        self.buffer.get(..HEADER + self.size).unwrap_or_default()
    }

    /// Reads chunks until there are `wanted` bytes or no more.
    fn fill(&mut self, reader: &mut impl Read, wanted: usize) -> io::Result<()> {
        self.size = 0;
        // At once: what a growing vector leaves behind is memory that was touched for nothing.
        self.buffer.reserve_exact((HEADER + wanted).saturating_sub(self.buffer.len()));
        while self.size < wanted {
            let (start, step) = (HEADER + self.size, STEP.min(wanted - self.size));
            if self.buffer.len() < start + step {
                self.buffer.resize(start + step, 0);
            }
            match reader.read(&mut self.buffer[start..start + step]) {
                Ok(0) => return Ok(()),
                Ok(count) => self.size += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Reads the chunks of a log.
pub struct Chunks<R> {
    reader: R,
    next: u64,
    started: bool,
}

impl<R: Read> Chunks<R> {
    /// Reads a log from its beginning.
    pub fn new(reader: R) -> Self {
        Self { reader, next: 0, started: false }
    }

    /// Fills `batch` with the next chunks; whether there were any.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when the stream is not an event log, and what the reader fails with before it has
    /// given anything for this batch.
    pub fn next_batch(&mut self, batch: &mut Batch) -> io::Result<bool> {
        if !self.started {
            self.read_header()?;
        }
        batch.first = self.next;
        batch.cut = None;
        batch.buffer.resize(batch.buffer.len().max(HEADER), 0);
        batch.buffer[..HEADER].copy_from_slice(&header());
        let result = batch.fill(&mut self.reader, BATCH * CHUNK);
        if batch.size == 0 {
            return result.map(|()| false);
        }
        if !batch.size.is_multiple_of(CHUNK) {
            // The records of a chunk that was cut off are whole up to the cut.
            batch.cut = Some(batch.size % CHUNK);
            let (end, whole) = (HEADER + batch.size, batch.size.next_multiple_of(CHUNK));
            batch.buffer.resize(batch.buffer.len().max(HEADER + whole), 0);
            batch.buffer[end..HEADER + whole].fill(0);
            batch.size = whole;
        }
        self.next += (batch.size / CHUNK) as u64;
        Ok(true)
    }

    fn read_header(&mut self) -> io::Result<()> {
        let mut head = Vec::with_capacity(HEADER);
        self.reader.by_ref().take(HEADER as u64).read_to_end(&mut head)?;
        if !head.starts_with(b"ElfFile\0") {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "input is not a Windows event log"));
        }
        if head.len() < HEADER {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "event log is cut off in its header"));
        }
        self.started = true;
        Ok(())
    }
}

/// The header of a log of version 3.1 with nothing claimed; [MS-EVEN6] leaves it to the implementation, see the
/// description of the format by J. Metz (libevtx).
fn header() -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(b"ElfFile\0");
    header[32..36].copy_from_slice(&128_u32.to_le_bytes());
    header[36..38].copy_from_slice(&1_u16.to_le_bytes());
    header[38..40].copy_from_slice(&3_u16.to_le_bytes());
    header[40..42].copy_from_slice(&(HEADER as u16).to_le_bytes());
    header
}

/// Something in a log that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The number of the record when it is known, otherwise 0.
    pub record_id: u64,
    /// 0-based number of the chunk in the file.
    pub chunk: u64,
    /// What is wrong.
    pub reason: String,
}

impl Damage {
    /// The same for people.
    pub fn message(&self) -> Message {
        reasons::damaged_chunk(self.chunk, &self.reason)
    }
}

/// What [`decode`] finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A record: its number and its JSON, compact, `{"Event":{"System":...,"EventData":...}}` with `#attributes`.
    Record(u64, &'a [u8]),
    /// Something unreadable.
    Damage(Damage),
}

/// Decodes a batch, chunk by chunk from the oldest record on.
pub fn decode(batch: &Batch, mut each: impl FnMut(Item<'_>)) {
    let count = batch.size_bytes() / CHUNK;
    if let Some(cut) = batch.cut {
        each(Item::Damage(Damage {
            record_id: 0,
            chunk: batch.first + count as u64 - 1,
            reason: format!("chunk ends after {cut} of {CHUNK} bytes"),
        }));
    }
    let order = order(batch);
    let mut given = 0;
    let Ok(mut parser) = parser(batch.log()) else {
        return;
    };
    let mut chunks = parser.chunks_json_bytes(false);
    loop {
        // Only the library is guarded: a panic of the callback is the caller's.
        match guarded(|| chunks.next()) {
            Some(Some(chunk)) => give(&chunk, batch.first + number(&order, given), &mut each),
            Some(None) => return,
            None => break,
        }
        given += 1;
    }
    // The library panicked on this chunk; the others are decoded one by one.
    failed(batch.first + number(&order, given), &mut each);
    for &index in order.get(given + 1..).unwrap_or_default() {
        decode_alone(batch, index, &mut each);
    }
}

/// The chunks that hold anything, in the order in which the library walks them: from the one with the lowest record
/// number to the end, then from the beginning (a full log overwrites its oldest chunk).
fn order(batch: &Batch) -> Vec<usize> {
    let chunks: Vec<&[u8]> = batch.log().get(HEADER..).unwrap_or_default().chunks_exact(CHUNK).collect();
    let field = |chunk: &[u8], at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&chunk[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let oldest = (0..chunks.len())
        .filter(|&at| chunks[at].starts_with(b"ElfChnk\0") && field(chunks[at], 24) <= field(chunks[at], 32))
        .min_by_key(|&at| field(chunks[at], 24))
        .unwrap_or(0);
    (oldest..chunks.len()).chain(0..oldest).filter(|&at| !is_unused(chunks[at])).collect()
}

/// Whether a chunk was never written to. Logs grow in large steps, so most chunks of a small one are like this.
fn is_unused(chunk: &[u8]) -> bool {
    // Without an early end the bytes are read in vectors.
    chunk.chunks(512).all(|part| part.iter().fold(0, |all, byte| all | byte) == 0)
}

fn number(order: &[usize], given: usize) -> u64 {
    order.get(given).map_or(0, |&at| at as u64)
}

/// Decodes one chunk of a batch in which another made the library panic.
fn decode_alone(batch: &Batch, index: usize, each: &mut impl FnMut(Item<'_>)) {
    let mut bytes = header().to_vec();
    let start = HEADER + index * CHUNK;
    bytes.extend_from_slice(&batch.log()[start..start + CHUNK]);
    let chunk = batch.first + index as u64;
    let rendered = guarded(|| {
        let mut parser = parser(&bytes).ok()?;
        parser.chunks_json_bytes(false).next()
    });
    match rendered {
        Some(rendered) => rendered.iter().for_each(|rendered| give(rendered, chunk, each)),
        None => failed(chunk, each),
    }
}

fn failed(chunk: u64, each: &mut impl FnMut(Item<'_>)) {
    each(Item::Damage(Damage { record_id: 0, chunk, reason: "chunk makes its decoder fail".to_owned() }));
}

/// The library's parser over a header and chunks.
fn parser(bytes: &[u8]) -> ::evtx::err::Result<EvtxParser<Cursor<&[u8]>>> {
    let settings = ParserSettings::new().indent(false).separate_json_attributes(false);
    Ok(EvtxParser::from_read_seek(Cursor::new(bytes))?.with_configuration(settings))
}

/// Calls the library; `None` when it panics. Without unwinding (`panic = "abort"`) this guards nothing.
fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

/// Gives the records and failures of a chunk.
fn give(rendered: &RenderedChunk, chunk: u64, each: &mut impl FnMut(Item<'_>)) {
    for (id, json) in rendered.records() {
        each(Item::Record(id, json));
    }
    for item in &rendered.items {
        if let RenderedChunkItem::Failed(error) = item {
            let record_id = match error {
                ::evtx::err::EvtxError::FailedToParseRecord { record_id, .. } => *record_id,
                _ => 0,
            };
            each(Item::Damage(Damage { record_id, chunk, reason: error.to_string() }));
        }
    }
}

#[cfg(test)]
mod tests;
