//! JSON records, read at close to the speed of memory.
//!
//! Detection looks at every value of every event once, so the reader decides how fast everything else can be. Library
//! readers build values or unescape text; this one walks the record once and hands out spans. It works in two steps:
//!
//! 1. [`scan`] marks the unescaped quotes of the record, 64 bytes at a time, and notes whether anything unusual is in it
//!    (control characters, escapes other than the common ones, bytes above 127).
//! 2. [`walk`] follows the structure from quote to quote. Keys are predicted: every key remembers which key followed it
//!    last time, so that recognising a key is one comparison of 32 bytes.
//!
//! The record is fully validated: what this reader accepts, a strict JSON parser accepts, and the other way round within
//! the limits of `khien_base::limits` (a fuzz target holds it to that).

mod keys;
mod scan;
mod walk;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use keys::KeyTree;
use scan::Scan;

use crate::decode::{Decode, Decoded, Malformed};
use crate::fields::{Encoding, Fields, ShapeId};
use crate::names::Names;
use crate::reasons;
use crate::taxonomy::Taxonomy;

/// Which fields a [`JsonDecoder`] hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// Those that somebody asked for by name.
    Named,
    /// All scalars; unnamed ones as [`crate::names::FieldId::OTHER`].
    All,
}

/// The decoder of JSON records; see the module text. Keeps what it learns about keys from record to record.
pub struct JsonDecoder {
    keys: KeyTree,
    scan: Scan,
    emit: Emit,
    shapes: ShapeMemo,
}

impl JsonDecoder {
    /// A decoder for the fields in `names`.
    pub fn new(names: Arc<Names>, taxonomy: &'static Taxonomy, emit: Emit) -> Self {
        Self {
            keys: KeyTree::new(names, taxonomy),
            scan: Scan::default(),
            emit,
            shapes: ShapeMemo { taxonomy, last: (0, ShapeId(0)) },
        }
    }
}

impl Decode for JsonDecoder {
    fn decode(&mut self, record: &[u8], fields: &mut Fields) -> Result<Decoded, Malformed> {
        if record.len() > khien_base::limits::RECORD_BYTES {
            return Err(Malformed::new(reasons::TOO_LONG, khien_base::limits::RECORD_BYTES));
        }
        self.keys.make_room();
        self.scan.run(record)?;
        fields.encoding = Encoding::Json;
        fields.odd_escapes = self.scan.odd_escapes;
        fields.beyond_ascii = self.scan.beyond_ascii;
        let marks = walk::record(record, &self.scan, &mut self.keys, self.emit, fields)?;
        fields.shape = self.shapes.get(marks);
        Ok(Decoded::Event)
    }
}

/// The shape of the last marks seen; files rarely mix shapes.
struct ShapeMemo {
    taxonomy: &'static Taxonomy,
    last: (u64, ShapeId),
}

impl ShapeMemo {
    fn get(&mut self, marks: u64) -> ShapeId {
        if self.last.0 != marks {
            self.last = (marks, self.taxonomy.shape_of(marks));
        }
        self.last.1
    }
}

/// Unescapes the inside of a JSON string that [`JsonDecoder`] accepted, appending to `out`.
pub fn unescape_into(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = rest.get(at + 1).copied().unwrap_or(b'\\');
        rest = rest.get(at + 2..).unwrap_or_default();
        match escape {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => rest = unescape_unicode(rest, out),
            other => out.push(other),
        }
    }
    out.extend_from_slice(rest);
}

/// Decodes the digits after `\u` (and the low half of a surrogate pair), returning what follows.
fn unescape_unicode<'a>(digits: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let unit =
        |b: &[u8]| b.get(..4).and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u32::from_str_radix(d, 16).ok());
    let Some(first) = unit(digits) else {
        return digits;
    };
    let mut rest = digits.get(4..).unwrap_or_default();
    let mut code = first;
    if (0xD800..0xDC00).contains(&first)
        && rest.starts_with(b"\\u")
        && let Some(low) = unit(&rest[2..]).filter(|l| (0xDC00..0xE000).contains(l))
    {
        code = 0x1_0000 + ((first - 0xD800) << 10) + (low - 0xDC00);
        rest = rest.get(6..).unwrap_or_default();
    }
    let mut buffer = [0; 4];
    out.extend_from_slice(char::from_u32(code).unwrap_or('\u{FFFD}').encode_utf8(&mut buffer).as_bytes());
    rest
}
