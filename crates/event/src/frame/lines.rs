//! One record on each line.

use std::io::{self, Read};
use std::sync::Arc;

use khien_base::limits::RECORD_BYTES;

use super::{BLOCK_BYTES, Block, Layout, Source};

/// Most bytes of table headers that are carried from block to block.
const HEADER_BYTES: usize = 64 << 10;

/// What is kept of the room for a line that goes on in the next block.
const CARRIED_BYTES: usize = 64 << 10;

/// Divides a stream into blocks of whole lines.
pub(super) struct Framer {
    /// Number of the line that comes next.
    line: u64,
    headers: Headers,
    /// Bytes of an overlong line that were dropped so far.
    dropped: u64,
}

impl Default for Framer {
    fn default() -> Self {
        Self { line: 1, headers: Headers::default(), dropped: 0 }
    }
}

impl Framer {
    pub(super) fn next_block<R: Read>(&mut self, source: &mut Source<R>, block: &mut Block) -> io::Result<bool> {
        block.clear(Layout::Lines(self.line));
        // Copied, not exchanged: a worker's buffer stays its own, and in the cache of its processor.
        block.bytes.extend_from_slice(&source.carry);
        source.carry.clear(CARRIED_BYTES);
        // Everything before this place is known to hold no line end.
        let mut searched = block.bytes.len();
        loop {
            let count = source.read_more(&mut block.bytes);
            if count == 0 && source.ended {
                return self.last(source, block);
            }
            let mut new_end = memchr::memrchr(b'\n', &block.bytes[searched..]).map(|at| at + searched + 1);
            let first_end = memchr::memchr(b'\n', &block.bytes[searched..]).map(|at| at + searched + 1);
            if self.dropped > 0 || first_end.unwrap_or(block.bytes.len()) > RECORD_BYTES + 2 {
                let drop = first_end.unwrap_or(block.bytes.len());
                self.drop_start(source, block, drop, first_end.is_some());
                new_end = new_end.map(|end| end - drop);
            }
            searched = block.bytes.len();
            if let Some(end) = new_end
                && end > 0
                && (block.bytes.len() >= BLOCK_BYTES || source.ended || source.paused)
            {
                source.carry.extend_from_slice(&block.bytes[end..]);
                block.bytes.truncate(end);
                return Ok(self.give(block));
            }
            if new_end.is_some_and(|end| end > 0) {
                // Lines are there, but the block may still grow: search it from its start when it is full.
                searched = 0;
            }
        }
    }

    /// Drops the first `count` bytes, which belong to an overlong line that ends there or goes on.
    fn drop_start<R: Read>(&mut self, source: &mut Source<R>, block: &mut Block, count: usize, ends: bool) {
        block.bytes.remove(0..count);
        self.dropped += count as u64;
        if ends {
            source.skip(self.line, self.dropped - 1);
            self.dropped = 0;
            self.line += 1;
            block.layout = Layout::Lines(self.line);
        }
    }

    /// The end of the stream: what is left is the last line, even without a line end.
    fn last<R: Read>(&mut self, source: &mut Source<R>, block: &mut Block) -> io::Result<bool> {
        if self.dropped > 0 {
            source.skip(self.line, self.dropped + block.bytes.len() as u64);
            self.dropped = 0;
            block.bytes.truncate(0);
        }
        if block.bytes.is_empty() {
            return source.end();
        }
        Ok(self.give(block))
    }

    /// Gives the block away: counts its lines and notes its headers for the blocks after it.
    fn give(&mut self, block: &mut Block) -> bool {
        block.headers = Arc::clone(&self.headers.lines);
        let bytes = &block.bytes[..];
        let mut after = None;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes).chain([bytes.len()]) {
            if bytes.get(start) == Some(&b'#') {
                self.headers.note(&bytes[start..bytes.len().min(end + 1)], &mut after);
            }
            self.line += u64::from(end < bytes.len());
            start = end + 1;
        }
        if let Some(lines) = after {
            self.headers.lines = lines.into();
        }
        true
    }
}

/// The table headers of the stream so far.
struct Headers {
    lines: Arc<[u8]>,
}

impl Default for Headers {
    fn default() -> Self {
        Self { lines: Arc::new([]) }
    }
}

impl Headers {
    /// Notes a line that may be a header in `after`, the headers after the block it stands in.
    fn note(&self, line: &[u8], after: &mut Option<Vec<u8>>) {
        if !is_header(line) {
            return;
        }
        let lines = after.get_or_insert_with(|| self.lines.to_vec());
        if starts_table(line) {
            lines.clear();
        }
        if lines.len() + line.len() <= HEADER_BYTES {
            lines.extend_from_slice(line);
        }
    }
}

/// Whether a line that begins with `#` says something about the lines after it.
fn is_header(line: &[u8]) -> bool {
    const NAMES: [&[u8]; 9] = [
        b"#separator",
        b"#set_separator",
        b"#empty_field",
        b"#unset_field",
        b"#path",
        b"#fields",
        b"#types",
        b"#Fields:",
        b"#Date:",
    ];
    starts_table(line) || NAMES.iter().any(|name| line.starts_with(name))
}

fn starts_table(line: &[u8]) -> bool {
    [b"#separator".as_slice(), b"#Software:", b"#Version:"].iter().any(|name| line.starts_with(name))
}
