//! How batches stand in a segment file.
//!
//! A segment begins with [`MAGIC`]. A record is a head of [`HEAD_BYTES`] bytes, little endian:
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..4 | CRC-32 of everything behind it, to the end of the record |
//! | 4..8 | length of origin and extras |
//! | 8..12 | number of spans |
//! | 12..16 | length of the body |
//! | 16..24 | sequence number |
//!
//! and then origin and extras (postcard), the spans (two `u32` each) and the body. A change needs a new magic; the golden file of
//! the tests must stay readable.

use std::io::{self, Read};

use bytes::Bytes;

use crate::batch::{BYTES, Batch, Extras, Origin, RECORDS, Span};

pub(super) const MAGIC: [u8; 8] = *b"KHIENJ01";

pub(super) const HEAD_BYTES: usize = 24;

/// Most bytes of origin and extras.
const ORIGIN_BYTES: usize = 4 << 20;

/// What of a record stands before its body.
pub(super) fn head(batch: &Batch, sequence: u64) -> Result<Vec<u8>, postcard::Error> {
    let mut out = vec![0; HEAD_BYTES];
    let origin = postcard::to_stdvec(&(&batch.origin, &batch.extras))?;
    out[4..8].copy_from_slice(&(origin.len() as u32).to_le_bytes());
    out[8..12].copy_from_slice(&(batch.spans.len() as u32).to_le_bytes());
    out[12..16].copy_from_slice(&(batch.body.len() as u32).to_le_bytes());
    out[16..24].copy_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&origin);
    for span in &batch.spans {
        out.extend_from_slice(&span.start.to_le_bytes());
        out.extend_from_slice(&span.len.to_le_bytes());
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(&out[4..]);
    crc.update(&batch.body);
    out[..4].copy_from_slice(&crc.finalize().to_le_bytes());
    Ok(out)
}

/// What stands at a place of a segment.
#[derive(Debug)]
pub(super) enum Found {
    /// A whole record, its sequence number, and how many bytes it takes.
    Record(Box<Batch>, u64, u64),
    /// The end of the file.
    End,
    /// No record: it was cut off or changed.
    Damage,
}

/// Reads the record that begins where `from` stands.
pub(super) fn read(from: &mut impl Read) -> io::Result<Found> {
    let mut head = [0; HEAD_BYTES];
    match fill(from, &mut head)? {
        0 => return Ok(Found::End),
        HEAD_BYTES => {}
        _ => return Ok(Found::Damage),
    }
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
    let (origin_len, spans, body_len) = (word(4), word(8), word(12));
    if origin_len > ORIGIN_BYTES || spans > RECORDS || body_len > BYTES {
        return Ok(Found::Damage);
    }
    let mut meta = vec![0; origin_len + spans * 8];
    let mut body = vec![0; body_len];
    if fill(from, &mut meta)? != meta.len() || fill(from, &mut body)? != body_len {
        return Ok(Found::Damage);
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head[4..]);
    crc.update(&meta);
    crc.update(&body);
    if crc.finalize().to_le_bytes() != head[..4] {
        return Ok(Found::Damage);
    }
    let sequence = u64::from(word(16) as u32) | (word(20) as u64) << 32;
    let size = (HEAD_BYTES + meta.len() + body_len) as u64;
    Ok(match batch(&meta, origin_len, Bytes::from(body)) {
        Some(batch) => Found::Record(Box::new(batch), sequence, size),
        None => Found::Damage,
    })
}

/// The batch of a record whose checksum was right.
fn batch(meta: &[u8], origin_len: usize, body: Bytes) -> Option<Batch> {
    let (origin, spans) = meta.split_at_checked(origin_len)?;
    let (origin, extras): (Origin, Extras) = postcard::from_bytes(origin).ok()?;
    let (pairs, _) = spans.as_chunks::<8>();
    let spans: Vec<Span> = pairs
        .iter()
        .map(|p| Span {
            start: u32::from_le_bytes([p[0], p[1], p[2], p[3]]),
            len: u32::from_le_bytes([p[4], p[5], p[6], p[7]]),
        })
        .collect();
    let inside = |span: &Span| span.start as usize + span.len as usize <= body.len();
    spans.iter().chain(&extras.envelopes).all(inside).then_some(Batch { origin, spans, extras, body })
}

/// Reads until `into` is full or the file ends; how much was read.
fn fill(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut at = 0;
    while at < into.len() {
        match from.read(&mut into[at..]) {
            Ok(0) => break,
            Ok(count) => at += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(at)
}
