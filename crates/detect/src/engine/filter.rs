//! Finding signs in raw values.
//!
//! Whole values, starts and ends are looked up by a hash of at most eight bytes, signs inside a value by four bytes of
//! each ([`super::grams`]). A hit is compared with the sign before it counts.

use std::hash::Hash;

use super::grams::{Grams, Table};
use super::witness::{GRAM, Place, Sign, gram, soft};

/// A sign and a body that it stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) sign: Sign,
    /// Those of the sign.
    pub(super) bytes: &'a [u8],
    pub(super) body: u32,
}

/// Signs of one field, or of the whole record, each with the bodies it stands for.
#[derive(Default)]
pub(super) struct Filter {
    /// Bodies that want to be evaluated whenever the field is there.
    pub(super) present: Vec<u32>,
    /// Bodies that want to be evaluated when the value has a character beyond ASCII.
    pub(super) beyond_ascii: Vec<u32>,
    whole: Table<u64, u32>,
    starts: [Table<u64, u32>; 2],
    ends: [Table<u64, u32>; 2],
    inside: Option<Grams>,
    signs: Vec<Known>,
    /// The bytes of all signs.
    text: Vec<u8>,
    bodies: Vec<u32>,
}

/// Spans of `Filter::text` and `Filter::bodies`.
struct Known {
    start: u32,
    len: u32,
    first: u32,
    count: u32,
}

/// Bytes that the two tables of starts and of ends look at.
const WIDTHS: [usize; 2] = [8, GRAM];

impl Filter {
    /// A filter for the signs of one field.
    pub(super) fn new(entries: &[Entry<'_>]) -> Self {
        let mut filter = Self::default();
        let (mut whole, mut inside) = (Vec::new(), Vec::new());
        let (mut starts, mut ends) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for entry in entries {
            let Entry { sign, bytes, body } = entry;
            let width = usize::from(bytes.len() < WIDTHS[0]);
            match sign.place {
                Place::Present => filter.present.push(*body),
                Place::BeyondAscii => filter.beyond_ascii.push(*body),
                Place::Whole => whole.push((sign.hash, entry)),
                Place::Start => starts[width].push((head_key(bytes, WIDTHS[width]), entry)),
                Place::End => ends[width].push((tail_key(bytes, WIDTHS[width]), entry)),
                Place::Inside => {
                    let rarest = bytes[sign.rarest as usize..].first_chunk();
                    inside.extend(rarest.map(|rarest| (u64::from(gram(rarest)), entry)));
                }
            }
        }
        filter.whole = filter.table(whole, |key, id, _| (key, id));
        filter.starts = starts.map(|entries| filter.table(entries, |key, id, _| (key, id)));
        filter.ends = ends.map(|entries| filter.table(entries, |key, id, _| (key, id)));
        let inside = filter.table(inside, |key, id, sign| (key as u32, (id, sign.rarest)));
        if !inside.is_empty() {
            filter.inside = Some(Grams::new(inside));
        }
        filter
    }

    /// Takes the signs of `entries` and makes a table of them, of a key and a value each.
    fn table<K: Hash + Eq + Copy, V>(
        &mut self,
        mut entries: Vec<(u64, &Entry<'_>)>,
        row: impl Fn(u64, u32, &Sign) -> (K, V),
    ) -> Table<K, V> {
        let order = |&(key, entry): &(u64, &Entry<'_>)| u128::from(key) << 64 | u128::from(entry.sign.hash);
        entries.sort_unstable_by_key(order);
        let mut table = Table::with_capacity(entries.len());
        for same in entries.chunk_by(|a, b| a.0 == b.0 && a.1.bytes == b.1.bytes) {
            let (key, Entry { sign, bytes, .. }) = same[0];
            let id = self.signs.len() as u32;
            let (start, first) = (self.text.len() as u32, self.bodies.len() as u32);
            self.text.extend_from_slice(bytes);
            self.bodies.extend(same.iter().map(|(_, entry)| entry.body));
            self.signs.push(Known { start, len: bytes.len() as u32, first, count: same.len() as u32 });
            let (key, value) = row(key, id, sign);
            table.push(key, value);
        }
        table
    }

    #[inline]
    fn bytes(&self, id: u32) -> &[u8] {
        let sign = &self.signs[id as usize];
        &self.text[sign.start as usize..(sign.start + sign.len) as usize]
    }

    /// Whether the filter looks at values at all.
    pub(super) fn reads_values(&self) -> bool {
        !self.signs.is_empty()
    }

    /// Hands the bodies of every sign in `value` to `found`; returns at how many places some sign might have stood.
    #[inline]
    pub(super) fn probe(&self, value: &[u8], found: &mut impl FnMut(&[u32])) -> u32 {
        if !self.whole.is_empty() {
            self.confirm(self.whole.get(whole_key(value)), found, |sign| {
                sign.len() == value.len() && same(sign, value)
            });
        }
        for (width, table) in WIDTHS.iter().zip(&self.starts) {
            if !table.is_empty() && value.len() >= *width {
                self.confirm(table.get(head_key(value, *width)), found, |sign| {
                    value.get(..sign.len()).is_some_and(|v| same(sign, v))
                });
            }
        }
        for (width, table) in WIDTHS.iter().zip(&self.ends) {
            if !table.is_empty() && value.len() >= *width {
                self.confirm(table.get(tail_key(value, *width)), found, |sign| {
                    value.len() >= sign.len() && same(sign, &value[value.len() - sign.len()..])
                });
            }
        }
        let Some(inside) = &self.inside else { return 0 };
        inside.scan(value, &mut |id, start| {
            let sign = self.bytes(id);
            if value.get(start..).and_then(|v| v.get(..sign.len())).is_some_and(|v| same(sign, v)) {
                self.hand_out(id, found);
            }
            false
        })
    }

    fn confirm(&self, list: &[u32], found: &mut impl FnMut(&[u32]), stands: impl Fn(&[u8]) -> bool) {
        for &id in list {
            if stands(self.bytes(id)) {
                self.hand_out(id, found);
            }
        }
    }

    fn hand_out(&self, id: u32, found: &mut impl FnMut(&[u32])) {
        let sign = &self.signs[id as usize];
        found(&self.bodies[sign.first as usize..(sign.first + sign.count) as usize]);
    }
}

/// Whether `value` is `sign` apart from case. Both have the same length; `sign` is soft already.
#[inline]
fn same(sign: &[u8], value: &[u8]) -> bool {
    sign.iter().zip(value).all(|(s, v)| *s == soft(*v))
}

const SOFT: u64 = 0x2020_2020_2020_2020;

#[inline]
fn mix(state: u64, word: u64) -> u64 {
    let wide = u128::from((state ^ word).rotate_left(23)) * 0x9E37_79B9_7F4A_7C15_u128;
    (wide >> 64) as u64 ^ wide as u64
}

/// A hash of all soft bytes.
#[inline]
pub(super) fn whole_key(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = bytes.len() as u64;
    for word in words {
        state = mix(state, u64::from_le_bytes(*word) | SOFT);
    }
    let mut last = [0x20; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(state, u64::from_le_bytes(last) | SOFT)
}

/// The first `width` (4 or 8) soft bytes.
#[inline]
fn head_key(bytes: &[u8], width: usize) -> u64 {
    if width == 8 {
        bytes.first_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b) | SOFT)
    } else {
        bytes.first_chunk::<4>().map_or(0, |b| u64::from(u32::from_le_bytes(*b)) | SOFT >> 32)
    }
}

/// The last `width` (4 or 8) soft bytes.
#[inline]
pub(super) fn tail_key(bytes: &[u8], width: usize) -> u64 {
    if width == 8 {
        bytes.last_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b) | SOFT)
    } else {
        bytes.last_chunk::<4>().map_or(0, |b| u64::from(u32::from_le_bytes(*b)) | SOFT >> 32)
    }
}
