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
/// Some chunks of a log, in the order of the file; those that were never written to are left out. Used again, it needs no
/// new memory.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// A header and the chunks, as a log of their own, and room for more.
    buffer: Vec<u8>,
    /// 0-based numbers of the chunks in the file.
    numbers: Vec<u64>,
    cut: Option<Damage>,
}

impl Batch {
    /// Size of the chunks in bytes.
    pub fn size_bytes(&self) -> usize {
        self.numbers.len() * CHUNK
    }

    /// The header and the chunks.
    fn log(&self) -> &[u8] {
        self.buffer.get(..HEADER + self.size_bytes()).unwrap_or_default()
    }

    fn chunk(&self, index: usize) -> &[u8] {
        &self.buffer[HEADER + index * CHUNK..][..CHUNK]
    }

    /// Empties it and makes room for a whole batch.
    fn clear(&mut self) {
        self.numbers.clear();
        self.cut = None;
        // At once: what a growing vector leaves behind is memory that was touched for nothing.
        self.buffer.reserve_exact((HEADER + BATCH * CHUNK).saturating_sub(self.buffer.len()));
        self.buffer.resize(self.buffer.len().max(HEADER), 0);
        self.buffer[..HEADER].copy_from_slice(&header());
    }

    /// Reads one chunk and keeps it unless it was never written to; how many bytes there were.
    fn read_chunk(&mut self, number: u64, reader: &mut impl Read) -> io::Result<usize> {
        let start = HEADER + self.size_bytes();
        self.buffer.resize(self.buffer.len().max(start + CHUNK), 0);
        let chunk = &mut self.buffer[start..start + CHUNK];
        let mut size = 0;
        while size < CHUNK {
            match reader.read(&mut chunk[size..]) {
                Ok(0) => break,
                Ok(count) => size += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if size == 0 => return Err(error),
                Err(_) => break,
            }
        }
        if (1..CHUNK).contains(&size) {
            // The records of a chunk that was cut off are whole up to the cut.
            chunk[size..].fill(0);
            let reason = format!("chunk ends after {size} of {CHUNK} bytes");
            self.cut = Some(Damage { record_id: 0, chunk: number, reason });
        }
        if size > 0 && !is_unused(chunk) {
            self.numbers.push(number);
        }
        Ok(size)
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

    /// Fills `batch` with what the next chunks hold, which may be nothing; whether there were any.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when the stream is not an event log, and what the reader fails with before it has
    /// given anything for this batch.
    pub fn next_batch(&mut self, batch: &mut Batch) -> io::Result<bool> {
        if !self.started {
            self.read_header()?;
        }
        batch.clear();
        for chunk in 0..BATCH {
            match batch.read_chunk(self.next, &mut self.reader) {
                Ok(0) => return Ok(chunk > 0),
                Ok(_) => self.next += 1,
                Err(error) if chunk == 0 => return Err(error),
                Err(_) => break,
            }
            if batch.cut.is_some() {
                break;
            }
        }
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
    if let Some(cut) = &batch.cut {
        each(Item::Damage(cut.clone()));
    }
    if batch.numbers.is_empty() {
        return;
    }
    let order = order(batch);
    let number = |given: usize| order.get(given).map_or(0, |&index| batch.numbers[index]);
    let mut given = 0;
    let Ok(mut parser) = parser(batch.log()) else {
        return;
    };
    let mut chunks = parser.chunks_json_bytes(false);
    loop {
        // Only the library is guarded: a panic of the callback is the caller's.
        match guarded(|| chunks.next()) {
            Some(Some(chunk)) => give(&chunk, number(given), &mut each),
            Some(None) => return,
            None => break,
        }
        given += 1;
    }
    // The library panicked on this chunk; the others are decoded one by one.
    failed(number(given), &mut each);
    for &index in order.get(given + 1..).unwrap_or_default() {
        decode_alone(batch, index, &mut each);
    }
}

/// The chunks in the order in which the library walks them: from the one with the lowest record number to the end, then
/// from the beginning (a full log overwrites its oldest chunk).
fn order(batch: &Batch) -> Vec<usize> {
    let field = |chunk: &[u8], at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&chunk[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let count = batch.numbers.len();
    let first_record = |index: usize| {
        let chunk = batch.chunk(index);
        let (first, last) = (field(chunk, 24), field(chunk, 32));
        (chunk.starts_with(b"ElfChnk\0") && first <= last).then_some(first)
    };
    let oldest = (0..count).filter_map(|index| Some((first_record(index)?, index))).min();
    let oldest = oldest.map_or(0, |(_, index)| index);
    (oldest..count).chain(0..oldest).collect()
}

/// Whether a chunk was never written to. Logs grow in large steps, so most chunks of a small one are like this.
fn is_unused(chunk: &[u8]) -> bool {
    // Without an early end the bytes are read in vectors.
    chunk.chunks(512).all(|part| part.iter().fold(0, |all, byte| all | byte) == 0)
}

/// Decodes one chunk of a batch in which another made the library panic.
fn decode_alone(batch: &Batch, index: usize, each: &mut impl FnMut(Item<'_>)) {
    let bytes = [header().as_slice(), batch.chunk(index)].concat();
    let chunk = batch.numbers[index];
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
