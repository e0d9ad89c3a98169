//! Finding signs in raw values.
//!
//! Whole values, starts and ends are looked up by a hash of at most eight bytes. For signs inside a value, four
//! neighbouring bytes of each sign (the rarest, as far as known) are kept in a bitmap; a value is read once and every
//! four bytes of it are looked up. A hit is compared with the sign before it counts.

use std::hash::Hash;

use hashbrown::HashMap;

use super::nibbles::{Nibbles, PIECES};
use super::witness::{GRAM, Place, gram, soft};

/// A sign and a body that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry<'a> {
    pub(super) place: Place,
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
    whole: Table<u64>,
    starts: [Table<u64>; 2],
    ends: [Table<u64>; 2],
    inside: Option<Inside>,
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

/// Lists by key, all in one vector.
struct Table<K, V = u32> {
    spans: HashMap<K, (u32, u32), foldhash::fast::FixedState>,
    list: Vec<V>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { spans: HashMap::default(), list: Vec::new() }
    }
}

impl<K: Ord + Hash + Copy, V: Ord + Copy> Table<K, V> {
    fn new(mut entries: Vec<(K, V)>) -> Self {
        entries.sort_unstable();
        let mut table = Self { spans: HashMap::default(), list: Vec::with_capacity(entries.len()) };
        for entries in entries.chunk_by(|a, b| a.0 == b.0) {
            let span = (table.list.len() as u32, entries.len() as u32);
            table.list.extend(entries.iter().map(|&(_, value)| value));
            table.spans.extend(entries.first().map(|&(key, _)| (key, span)));
        }
        table
    }

    fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    #[inline]
    fn get(&self, key: K) -> &[V] {
        self.spans.get(&key).map_or(&[], |&(first, count)| &self.list[first as usize..(first + count) as usize])
    }
}

/// Bytes that the two tables of starts and of ends look at.
const WIDTHS: [usize; 2] = [8, GRAM];

impl Filter {
    /// A filter for sorted `entries`. `commonness` compares four soft bytes by how often they were seen.
    pub(super) fn new(entries: &[Entry<'_>], commonness: &dyn Fn(u32) -> u32) -> Self {
        let mut filter = Self::default();
        let (mut whole, mut inside) = (Vec::new(), Vec::new());
        let (mut starts, mut ends) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for same in entries.chunk_by(|a, b| (a.place, a.bytes) == (b.place, b.bytes)) {
            let Entry { place, bytes, .. } = same[0];
            let bodies = same.iter().map(|entry| entry.body);
            match place {
                Place::Present => filter.present.extend(bodies),
                Place::BeyondAscii => filter.beyond_ascii.extend(bodies),
                Place::Whole | Place::Inside | Place::Start | Place::End => {
                    let id = filter.sign(bytes, bodies);
                    let width = usize::from(bytes.len() < WIDTHS[0]);
                    match place {
                        Place::Whole => whole.push((whole_key(bytes), id)),
                        Place::Start => starts[width].push((head_key(bytes, WIDTHS[width]), id)),
                        Place::End => ends[width].push((tail_key(bytes, WIDTHS[width]), id)),
                        Place::Inside | Place::Present | Place::BeyondAscii => inside.push(id),
                    }
                }
            }
        }
        filter.whole = Table::new(whole);
        filter.starts = starts.map(Table::new);
        filter.ends = ends.map(Table::new);
        if !inside.is_empty() {
            filter.inside = Some(Inside::new(&inside, &filter, commonness));
        }
        filter
    }

    /// Adds a sign and its bodies.
    fn sign(&mut self, bytes: &[u8], bodies: impl Iterator<Item = u32>) -> u32 {
        let (start, first) = (self.text.len() as u32, self.bodies.len() as u32);
        self.text.extend_from_slice(bytes);
        self.bodies.extend(bodies);
        self.signs.push(Known { start, len: bytes.len() as u32, first, count: self.bodies.len() as u32 - first });
        self.signs.len() as u32 - 1
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

    /// Hands the bodies of every sign in `value` to `found`.
    #[inline]
    pub(super) fn probe(&self, value: &[u8], found: &mut impl FnMut(&[u32])) {
        if !self.whole.is_empty() {
            self.confirm(self.whole.get(whole_key(value)), found, |sign| sign.len() == value.len() && same(sign, value));
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
        if let Some(inside) = &self.inside {
            inside.scan(value, self, &mut |id| self.hand_out(id, found));
        }
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
fn whole_key(bytes: &[u8]) -> u64 {
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
fn tail_key(bytes: &[u8], width: usize) -> u64 {
    if width == 8 {
        bytes.last_chunk::<8>().map_or(0, |b| u64::from_le_bytes(*b) | SOFT)
    } else {
        bytes.last_chunk::<4>().map_or(0, |b| u64::from(u32::from_le_bytes(*b)) | SOFT >> 32)
    }
}

/// Signs inside values.
struct Inside {
    bitmap: Vec<u64>,
    shift: u32,
    /// Four bytes to the signs they stand for, each with the offset of the four bytes in it.
    grams: Table<u32, (u32, u32)>,
    /// For few signs and long values.
    first_look: Option<Nibbles>,
}

/// Values from this length on are looked at in vectors first.
const LONG: usize = 67;

/// Smallest and largest bitmap, as powers of two of bits: 512 bytes to 32 KiB, the size of a first-level cache.
const BITMAP: std::ops::RangeInclusive<u32> = 12..=18;

impl Inside {
    fn new(ids: &[u32], filter: &Filter, commonness: &dyn Fn(u32) -> u32) -> Self {
        let bits = (ids.len() * 64).next_power_of_two().trailing_zeros().clamp(*BITMAP.start(), *BITMAP.end());
        let rarest = |&id: &u32| {
            let windows = filter.bytes(id).windows(GRAM).enumerate();
            let grams = windows.filter_map(|(at, w)| Some((gram(w.first_chunk()?), (id, at as u32))));
            grams.min_by_key(|&(gram, _)| commonness(gram))
        };
        let grams = Table::new(ids.iter().filter_map(rarest).collect());
        let mut inside = Self { bitmap: vec![0; 1 << (bits - 6)], shift: 32 - bits, grams, first_look: None };
        for &gram in inside.grams.spans.keys() {
            let place = inside.place(gram);
            inside.bitmap[place / 64] |= 1 << (place % 64);
        }
        if inside.grams.spans.len() <= PIECES {
            inside.first_look = Some(Nibbles::new(&inside.grams.spans.keys().copied().collect::<Vec<_>>()));
        }
        inside
    }

    #[inline]
    fn place(&self, gram: u32) -> usize {
        (gram.wrapping_mul(0x9E37_79B1) >> self.shift) as usize
    }

    #[inline]
    fn scan(&self, value: &[u8], filter: &Filter, found: &mut impl FnMut(u32)) {
        if let Some(first_look) = self.first_look.as_ref().filter(|_| value.len() >= LONG) {
            first_look.scan(value, &mut |at| {
                let gram = value[at..].first_chunk().map_or(0, gram);
                if self.may_be(gram) {
                    self.hit(gram, at, value, filter, found);
                }
            });
            return;
        }
        for (at, window) in value.windows(GRAM).enumerate() {
            let gram = window.first_chunk().map_or(0, gram);
            if self.may_be(gram) {
                self.hit(gram, at, value, filter, found);
            }
        }
    }

    #[inline]
    fn may_be(&self, gram: u32) -> bool {
        let place = self.place(gram);
        self.bitmap[place / 64] >> (place % 64) & 1 != 0
    }

    #[inline(never)]
    fn hit(&self, gram: u32, at: usize, value: &[u8], filter: &Filter, found: &mut impl FnMut(u32)) {
        for &(id, offset) in self.grams.get(gram) {
            let sign = filter.bytes(id);
            let start = at.wrapping_sub(offset as usize);
            if value.get(start..).and_then(|v| v.get(..sign.len())).is_some_and(|v| same(sign, v)) {
                found(id);
            }
        }
    }
}
