//! JSON that is not one object on each line.
//!
//! The scanner only finds where values begin and end; whether they are JSON is for their decoder to say. It follows
//! depth and strings, and nothing else, so it runs over any bytes. Elements of a top-level array are records, and so
//! are elements of the array member of an envelope: an object that otherwise only says where the events come from.

use std::io::{self, Read};

use khien_base::limits::RECORD_BYTES;

use super::bytes::Bytes;
use super::{BLOCK_BYTES, Block, Layout, Source};

/// Members that hold the events of an envelope: AWS (trails, log groups, tables), Azure Monitor and Microsoft Graph, Google
/// Cloud Logging and Workspace, and others.
const HOLDERS: [&[u8]; 10] =
    [b"Records", b"records", b"value", b"entries", b"logEvents", b"events", b"Events", b"Items", b"items", b"results"];

/// Members that an envelope may have before the one that holds its events. Any other makes the object an event.
const COMPANIONS: [&[u8]; 27] = [
    b"@odata.context",
    b"@odata.count",
    b"@odata.nextLink",
    b"count",
    b"Count",
    b"ScannedCount",
    b"cursor",
    b"etag",
    b"kind",
    b"links",
    b"logGroup",
    b"logStream",
    b"meta",
    b"messageType",
    b"next",
    b"nextBackwardToken",
    b"nextForwardToken",
    b"nextLink",
    b"nextPageToken",
    b"nextToken",
    b"NextToken",
    b"owner",
    b"requestId",
    b"searchedLogStreams",
    b"subscriptionFilters",
    b"total",
    b"totalCount",
];

/// Longest member name that is compared, in bytes.
const KEY: usize = 32;

/// Where the scanner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Between values.
    Between,
    /// In an object or array that is a record.
    Value,
    /// In something that is no object or array, up to the end of the line or the next comma.
    Scrap,
    /// In an envelope, after the array of events.
    Tail,
}

/// Whether the scanner is in a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quoted {
    No,
    Yes,
    /// After a backslash.
    Escape,
}

/// Finds records in bytes that come piece by piece.
#[derive(Debug)]
struct Scanner {
    place: Place,
    depth: usize,
    /// The depth at which records begin: 0 at top level, 1 in an array, 2 in an envelope.
    base: usize,
    string: Quoted,
    /// The string is the name of a member of a top-level object.
    in_key: bool,
    /// The last byte outside strings that was not blank.
    last: u8,
    /// The last string at depth 1, as far as it matters.
    key: Vec<u8>,
    /// The object has only members that envelopes have.
    may_envelop: bool,
    /// `[` of a holder was the last byte.
    at_holder: bool,
}

/// What a byte turned out to be.
enum Found {
    Nothing,
    /// A record begins here.
    Start,
    /// A record ends before this place, counted from the byte: 1 includes it.
    End(usize),
    /// The record before is broken and ends before this byte, which begins another.
    EndAndStart,
    /// What was taken for a record is the start of an envelope; its first element may begin here.
    Envelope,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            place: Place::Between,
            depth: 0,
            base: 0,
            string: Quoted::No,
            in_key: false,
            last: 0,
            key: Vec::with_capacity(KEY),
            may_envelop: true,
            at_holder: false,
        }
    }
}

impl Scanner {
    /// How many bytes from the start of `bytes` can be passed over because nothing there matters.
    fn pass(&self, bytes: &[u8]) -> usize {
        if self.string != Quoted::Yes || self.in_key {
            return 0;
        }
        memchr::memchr3(b'"', b'\\', b'\n', bytes).unwrap_or(bytes.len())
    }

    fn step(&mut self, byte: u8) -> Found {
        if self.string != Quoted::No {
            return self.string(byte);
        }
        match self.place {
            Place::Between => self.between(byte),
            Place::Scrap => self.scrap(byte),
            Place::Value | Place::Tail => self.inside(byte),
        }
    }

    fn string(&mut self, byte: u8) -> Found {
        if self.string == Quoted::Escape {
            self.string = Quoted::Yes;
        } else if byte == b'\\' {
            self.string = Quoted::Escape;
        } else if byte == b'"' {
            self.string = Quoted::No;
            self.last = b'"';
            return Found::Nothing;
        } else if byte == b'\n' {
            // No string of JSON holds a line end: the record is broken, the next line may be whole.
            return self.abandon();
        }
        if self.in_key && self.key.len() < KEY {
            self.key.push(byte);
        }
        Found::Nothing
    }

    /// Ends a broken record before the current byte.
    fn abandon(&mut self) -> Found {
        self.string = Quoted::No;
        let found = if self.place == Place::Value { Found::End(0) } else { Found::Nothing };
        self.close(self.base);
        found
    }

    /// Back between records of depth `base`.
    fn close(&mut self, base: usize) {
        self.place = Place::Between;
        self.base = base;
        self.depth = base;
        self.at_holder = false;
        self.last = 0;
    }

    fn between(&mut self, byte: u8) -> Found {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' | 0x1e => Found::Nothing,
            b'[' if self.base == 0 => {
                self.base = 1;
                self.depth = 1;
                Found::Nothing
            }
            b'{' | b'[' => self.start(byte),
            b']' if self.base == 1 => {
                self.close(0);
                Found::Nothing
            }
            b']' if self.base == 2 => {
                self.place = Place::Tail;
                self.base = 0;
                self.depth = 1;
                Found::Nothing
            }
            _ => {
                self.place = Place::Scrap;
                Found::Start
            }
        }
    }

    fn start(&mut self, byte: u8) -> Found {
        self.place = Place::Value;
        self.depth = self.base + 1;
        self.last = byte;
        self.may_envelop = byte == b'{' && self.base == 0;
        self.key.clear();
        Found::Start
    }

    fn scrap(&mut self, byte: u8) -> Found {
        let ends = byte == b'\n' || (self.base > 0 && matches!(byte, b',' | b']'));
        if !ends {
            return Found::Nothing;
        }
        self.place = Place::Between;
        if byte == b']' {
            // The bracket closes the array too.
            let base = self.base;
            self.between(byte);
            debug_assert!(self.base < base);
        }
        Found::End(0)
    }

    fn inside(&mut self, byte: u8) -> Found {
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            return Found::Nothing;
        }
        if self.at_holder {
            self.at_holder = false;
            if matches!(byte, b'{' | b']') {
                return self.enter(byte);
            }
        }
        let before = std::mem::replace(&mut self.last, byte);
        match byte {
            b'"' => {
                self.string = Quoted::Yes;
                self.in_key = self.depth == 1 && self.base == 0 && matches!(before, b'{' | b',' | b']');
                if self.in_key {
                    self.key.clear();
                }
            }
            b':' if self.depth == 1 && self.base == 0 => {
                self.may_envelop &= is_one_of(&self.key, &HOLDERS) || is_one_of(&self.key, &COMPANIONS);
            }
            // No JSON has `{` after anything else: the record before has lost its end.
            b'{' if self.place == Place::Value && !matches!(before, b'{' | b'[' | b',' | b':') => {
                let base = self.base;
                self.close(base);
                self.start(byte);
                return Found::EndAndStart;
            }
            b'{' | b'[' => {
                self.at_holder = byte == b'['
                    && before == b':'
                    && self.depth == 1
                    && self.may_envelop
                    && is_one_of(&self.key, &HOLDERS);
                self.depth += 1;
            }
            b'}' | b']' => return self.up(),
            _ => {}
        }
        Found::Nothing
    }

    fn up(&mut self) -> Found {
        self.depth -= 1;
        if self.depth > self.base {
            return Found::Nothing;
        }
        let was_tail = self.place == Place::Tail;
        self.close(self.base);
        if was_tail { Found::Nothing } else { Found::End(1) }
    }

    /// The holder's array begins with an object or is empty: the object around it is an envelope.
    fn enter(&mut self, byte: u8) -> Found {
        self.close(2);
        self.between(byte);
        Found::Envelope
    }
}

fn is_one_of(key: &[u8], names: &[&[u8]]) -> bool {
    names.contains(&key)
}

/// Divides a stream of JSON documents.
#[derive(Default)]
pub(super) struct Framer {
    scanner: Scanner,
    open: Option<Open>,
    /// How many records ended so far, skipped ones too.
    ended: u64,
}

/// The record that has begun and not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// Where it begins in the bytes that are held.
    start: usize,
    /// Bytes of it that were dropped because it is too long.
    dropped: u64,
}

/// The bytes of one call.
struct Work<'b> {
    bytes: &'b mut Bytes,
    /// Up to where they were scanned.
    at: usize,
    spans: Vec<(u32, u32, u64)>,
}

impl Framer {
    pub(super) fn next_block<R: Read>(&mut self, source: &mut Source<R>, block: &mut Block) -> io::Result<bool> {
        block.clear(Layout::default());
        std::mem::swap(&mut block.bytes, &mut source.carry);
        let held = block.bytes.len();
        let mut work = Work { bytes: &mut block.bytes, at: held, spans: Vec::new() };
        while !(source.ended || (!work.spans.is_empty() && (source.paused || work.bytes.len() >= BLOCK_BYTES))) {
            source.read_more(work.bytes);
            self.scan(source, &mut work);
            self.drop_useless(&mut work);
        }
        if source.ended {
            self.end(source, work.bytes.len(), &mut work);
        }
        let spans = work.spans;
        let keep = self.open.map_or(block.bytes.len(), |open| open.start);
        source.carry.extend_from_slice(&block.bytes[keep..]);
        block.bytes.truncate(keep);
        if let Some(open) = &mut self.open {
            open.start = 0;
        }
        if spans.is_empty() {
            return source.end();
        }
        block.layout = Layout::Spans(spans);
        Ok(true)
    }

    /// Scans all bytes that were not scanned yet.
    fn scan<R: Read>(&mut self, source: &mut Source<R>, work: &mut Work<'_>) {
        while work.at < work.bytes.len() {
            work.at += self.scanner.pass(&work.bytes[work.at..]);
            let Some(&byte) = work.bytes.get(work.at) else {
                break;
            };
            match self.scanner.step(byte) {
                Found::Nothing => {}
                Found::Start => self.start(work),
                Found::End(past) => self.end(source, work.at + past, work),
                Found::EndAndStart => {
                    self.end(source, work.at, work);
                    self.start(work);
                }
                Found::Envelope => {
                    self.open = None;
                    if self.scanner.place == Place::Value {
                        self.start(work);
                    }
                }
            }
            work.at += 1;
        }
    }

    fn start(&mut self, work: &mut Work<'_>) {
        self.open = Some(Open { start: work.at, dropped: 0 });
    }

    /// Ends the open record before `end`.
    fn end<R: Read>(&mut self, source: &mut Source<R>, end: usize, work: &mut Work<'_>) {
        let Some(open) = self.open.take() else {
            return;
        };
        let record = &work.bytes[open.start..end];
        let length = record.trim_ascii_end().len();
        if open.dropped == 0 && length == 0 {
            return;
        }
        self.ended += 1;
        if open.dropped > 0 || length > RECORD_BYTES {
            source.skip(self.ended, open.dropped + length as u64);
        } else {
            work.spans.push((open.start as u32, (open.start + length) as u32, self.ended));
        }
    }

    /// Drops what no record needs, so that neither blanks nor an overlong record fill the memory.
    fn drop_useless(&mut self, work: &mut Work<'_>) {
        let length = work.bytes.len();
        let keep = match &mut self.open {
            None => length,
            Some(open) if open.dropped > 0 || length - open.start > RECORD_BYTES => {
                let start = open.start;
                open.dropped += (length - start) as u64;
                work.bytes.truncate(start);
                work.at = start;
                return;
            }
            Some(open) => open.start,
        };
        if work.spans.is_empty() && keep > 0 {
            work.bytes.remove(0..keep);
            work.at -= keep;
            if let Some(open) = &mut self.open {
                open.start = 0;
            }
        }
    }
}

/// Whether text that begins with `{` is anything but one object on each line: an object over several lines, several on
/// one line, or an envelope. `text` may be cut off.
pub fn is_document(text: &[u8]) -> bool {
    let mut scanner = Scanner::default();
    for (at, &byte) in text.iter().enumerate() {
        match scanner.step(byte) {
            Found::Envelope => return true,
            Found::End(past) => {
                let (first, rest) = text.split_at(at + past);
                let line = rest.split(|&b| b == b'\n').next().unwrap_or_default();
                return memchr::memchr(b'\n', first).is_some() || !line.trim_ascii().is_empty();
            }
            // A broken first line says nothing; lines survive better.
            Found::EndAndStart => return false,
            Found::Nothing | Found::Start => {}
        }
    }
    // The object is longer than what is seen: pretty-printed if a line ends within it.
    memchr::memchr(b'\n', text).is_some()
}
