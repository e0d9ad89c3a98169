//! Syslog over TCP, RFC 6587: octet counting, with messages on lines of their own in between.

use std::io::{self, Read};

use khien_base::limits::RECORD_BYTES;

use super::bytes::Bytes;
use super::{BLOCK_BYTES, Block, Layout, Source};

/// Divides a stream of counted messages.
#[derive(Default)]
pub(super) struct Framer {
    /// Messages so far.
    count: u64,
    /// Bytes of an overlong message still to be dropped.
    drop: u64,
}

/// What stands at the beginning of the bytes.
enum Next {
    /// A message between these places, and where the next one begins.
    Message(usize, usize, usize),
    /// A message longer than is held: where it begins, and its length.
    Overlong(usize, u64),
    /// More bytes are needed.
    Incomplete,
}

impl Framer {
    pub(super) fn next_block<R: Read>(&mut self, source: &mut Source<R>, block: &mut Block) -> io::Result<bool> {
        let mut spans = Vec::new();
        block.clear(Layout::default());
        std::mem::swap(&mut block.bytes, &mut source.carry);
        let mut at = 0;
        loop {
            self.take(source, &mut block.bytes, &mut at, &mut spans);
            if !spans.is_empty() && (at >= BLOCK_BYTES || source.paused) || source.ended {
                break;
            }
            source.read_more(&mut block.bytes);
        }
        source.carry.extend_from_slice(&block.bytes[at..]);
        block.bytes.truncate(at);
        if spans.is_empty() {
            return source.end();
        }
        block.layout = Layout::Spans(spans);
        Ok(true)
    }

    /// Takes all messages that are complete from `at` on.
    fn take<R: Read>(
        &mut self,
        source: &mut Source<R>,
        bytes: &mut Bytes,
        at: &mut usize,
        spans: &mut Vec<(u32, u32, u64)>,
    ) {
        loop {
            let dropped = self.drop.min((bytes.len() - *at) as u64);
            bytes.remove(*at..*at + dropped as usize);
            self.drop -= dropped;
            if self.drop > 0 {
                return;
            }
            let blank = bytes[*at..].iter().take_while(|b| b.is_ascii_whitespace()).count();
            let start = *at + blank;
            match next(&bytes[start..], source.ended) {
                Next::Message(from, to, after) => {
                    self.count += 1;
                    spans.push(((start + from) as u32, (start + to) as u32, self.count));
                    *at = start + after;
                }
                Next::Overlong(from, length) => {
                    self.count += 1;
                    source.skip(self.count, length);
                    bytes.remove(*at..start + from);
                    self.drop = length;
                }
                Next::Incomplete => return,
            }
        }
    }
}

fn next(bytes: &[u8], ended: bool) -> Next {
    if bytes.is_empty() {
        return Next::Incomplete;
    }
    let digits = bytes.iter().take(10).take_while(|b| b.is_ascii_digit()).count();
    if digits == bytes.len() && digits < 10 && !ended {
        return Next::Incomplete;
    }
    if (1..10).contains(&digits) && bytes.get(digits) == Some(&b' ') {
        let length = bytes[..digits].iter().fold(0, |value: usize, b| value * 10 + usize::from(b - b'0'));
        let from = digits + 1;
        if length > RECORD_BYTES {
            return Next::Overlong(from, length as u64);
        }
        return match bytes.len() >= from + length {
            true => Next::Message(from, from + length, from + length),
            false if ended => Next::Message(from, bytes.len(), bytes.len()),
            false => Next::Incomplete,
        };
    }
    line(bytes, ended)
}

/// A message on a line of its own.
fn line(bytes: &[u8], ended: bool) -> Next {
    match memchr::memchr(b'\n', bytes) {
        Some(end) => Next::Message(0, end, end + 1),
        None if bytes.len() > RECORD_BYTES => Next::Overlong(0, bytes.len() as u64),
        None if ended => Next::Message(0, bytes.len(), bytes.len()),
        None => Next::Incomplete,
    }
}
