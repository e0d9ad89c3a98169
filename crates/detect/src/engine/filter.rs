//! Finding signs in raw values.
//!
//! Whole values, starts and ends are looked up by a hash of at most eight bytes, signs inside a value by four bytes of
//! each ([`super::grams`]). A hit is compared with the sign before it counts.

use std::hash::Hash;

use super::grams::{Grams, Table};
use super::witness::{GRAM, Place, Sign, gram, soft};

/// A sign and a body that it stands for.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) sign: &'a Sign,
    /// Those of the sign.
    pub(super) bytes: &'a [u8],
    pub(super) body: u32,
}

/// Where an [`Entry`] is to be found, and the filter it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Placed {
    pub(super) filter: u32,
    /// Index of a witness.
    pub(super) witness: u32,
    /// Index of a sign in it.
    pub(super) sign: u32,
}

/// An entry of one of the tables of a filter that is being made.
pub(super) struct Row {
    table: u8,
    key: u64,
    /// Of the sign.
    hash: u64,
    /// Index of the [`Placed`] it comes from.
    from: u32,
}

/// Tables of a filter, as [`Row`]s call them.
const WHOLE: u8 = 0;
const STARTS: [u8; 2] = [1, 2];
const ENDS: [u8; 2] = [3, 4];
const INSIDE: u8 = 5;

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
    /// A filter for the signs of one field. `entry` finds them; `rows` is room to work in.
    pub(super) fn new<'a>(placed: &[Placed], entry: impl Fn(&Placed) -> Entry<'a>, rows: &mut Vec<Row>) -> Self {
        let mut filter = Self::default();
        rows.clear();
        for (from, place) in placed.iter().enumerate() {
            let Entry { sign, bytes, body } = entry(place);
            let width = usize::from(bytes.len() < WIDTHS[0]);
            let (table, key) = match sign.place {
                Place::Present => {
                    filter.present.push(body);
                    continue;
                }
                Place::BeyondAscii => {
                    filter.beyond_ascii.push(body);
                    continue;
                }
                Place::Whole => (WHOLE, sign.hash),
                Place::Start => (STARTS[width], head_key(bytes, WIDTHS[width])),
                Place::End => (ENDS[width], tail_key(bytes, WIDTHS[width])),
                Place::Inside => match bytes[sign.rarest as usize..].first_chunk() {
                    Some(rarest) => (INSIDE, u64::from(gram(rarest))),
                    None => continue,
                },
            };
            rows.push(Row { table, key, hash: sign.hash, from: from as u32 });
        }
        rows.sort_unstable_by_key(|row| (row.table, row.key, row.hash));
        let entry = |row: &Row| entry(&placed[row.from as usize]);
        let of = |table| {
            let start = rows.partition_point(|row| row.table < table);
            &rows[start..rows.partition_point(|row| row.table <= table)]
        };
        filter.whole = filter.table(of(WHOLE), entry, |key, id, _| (key, id));
        filter.starts = STARTS.map(|table| filter.table(of(table), entry, |key, id, _| (key, id)));
        filter.ends = ENDS.map(|table| filter.table(of(table), entry, |key, id, _| (key, id)));
        let inside = filter.table(of(INSIDE), entry, |key, id, sign| (key as u32, (id, sign.rarest)));
        if !inside.is_empty() {
            filter.inside = Some(Grams::new(inside));
        }
        filter
    }

    /// Takes the signs of `rows` and makes a table of them, of a key and a value each.
    fn table<'a, K: Hash + Eq + Copy, V>(
        &mut self,
        rows: &[Row],
        entry: impl Fn(&Row) -> Entry<'a>,
        pair: impl Fn(u64, u32, &Sign) -> (K, V),
    ) -> Table<K, V> {
        let mut table = Table::with_capacity(rows.len());
        for same in rows.chunk_by(|a, b| a.key == b.key && entry(a).bytes == entry(b).bytes) {
            let Entry { sign, bytes, .. } = entry(&same[0]);
            let id = self.signs.len() as u32;
            let (start, first) = (self.text.len() as u32, self.bodies.len() as u32);
            self.text.extend_from_slice(bytes);
            self.bodies.extend(same.iter().map(|row| entry(row).body));
            self.signs.push(Known { start, len: bytes.len() as u32, first, count: same.len() as u32 });
            let (key, value) = pair(same[0].key, id, sign);
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
