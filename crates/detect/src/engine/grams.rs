//! Searching many literals at once by four bytes of each.
//!
//! The four bytes (the rarest of the literal, as far as known) are kept in a bitmap; a text is read once and every four
//! bytes of it are looked up. Where a literal may stand the caller compares it.

use std::hash::Hash;

use hashbrown::HashMap;

use super::nibbles::{Nibbles, PIECES};
use super::witness::{GRAM, gram};

/// Lists by key, all in one vector.
pub(super) struct Table<K, V> {
    spans: HashMap<K, (u32, u32), foldhash::fast::FixedState>,
    list: Vec<V>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { spans: HashMap::default(), list: Vec::new() }
    }
}

impl<K: Hash + Eq + Copy, V> Table<K, V> {
    /// A table for about so many keys.
    pub(super) fn with_capacity(keys: usize) -> Self {
        let spans = HashMap::with_capacity_and_hasher(keys, foldhash::fast::FixedState::default());
        Self { spans, list: Vec::with_capacity(keys) }
    }

    /// Adds a value. All values of a key are added one after the other.
    pub(super) fn push(&mut self, key: K, value: V) {
        let next = self.list.len() as u32;
        self.spans.entry(key).or_insert((next, 0)).1 += 1;
        self.list.push(value);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    #[inline]
    pub(super) fn get(&self, key: K) -> &[V] {
        self.spans.get(&key).map_or(&[], |&(first, count)| &self.list[first as usize..(first + count) as usize])
    }
}

/// See the module text.
pub(super) struct Grams {
    bitmap: Vec<u64>,
    shift: u32,
    /// Four bytes to the literals they stand for, each with the offset of the four bytes in it.
    literals: Table<u32, (u32, u32)>,
    /// For few literals and long texts.
    first_look: Option<Nibbles>,
}

/// Texts from this length on are looked at in vectors first.
const LONG: usize = 67;

/// Smallest and largest bitmap, as powers of two of bits: 512 bytes to 32 KiB, the size of a first-level cache.
const BITMAP: std::ops::RangeInclusive<u32> = 12..=18;

impl Grams {
    /// `literals` has four soft bytes of each literal, with the number of the literal and their offset in it.
    pub(super) fn new(literals: Table<u32, (u32, u32)>) -> Self {
        let count = literals.list.len();
        let bits = (count * 64).next_power_of_two().trailing_zeros().clamp(*BITMAP.start(), *BITMAP.end());
        let mut grams = Self { bitmap: vec![0; 1 << (bits - 6)], shift: 32 - bits, literals, first_look: None };
        for &gram in grams.literals.spans.keys() {
            let place = grams.place(gram);
            grams.bitmap[place / 64] |= 1 << (place % 64);
        }
        if grams.literals.spans.len() <= PIECES {
            grams.first_look = Some(Nibbles::new(&grams.literals.spans.keys().copied().collect::<Vec<_>>()));
        }
        grams
    }

    #[inline]
    fn place(&self, gram: u32) -> usize {
        (gram.wrapping_mul(0x9E37_79B1) >> self.shift) as usize
    }

    /// Calls `found` with the number of a literal and where in `text` it would start, for every place where it may
    /// stand, until that says that it is enough. The start lies beyond the text when the literal does not fit.
    #[inline]
    pub(super) fn scan(&self, text: &[u8], found: &mut impl FnMut(u32, usize) -> bool) {
        if let Some(first_look) = self.first_look.as_ref().filter(|_| text.len() >= LONG) {
            let mut enough = false;
            first_look.scan(text, &mut |at| {
                let gram = text[at..].first_chunk().map_or(0, gram);
                enough = enough || (self.may_be(gram) && self.hit(gram, at, found));
            });
            return;
        }
        for (at, window) in text.windows(GRAM).enumerate() {
            let gram = window.first_chunk().map_or(0, gram);
            if self.may_be(gram) && self.hit(gram, at, found) {
                return;
            }
        }
    }

    #[inline]
    fn may_be(&self, gram: u32) -> bool {
        let place = self.place(gram);
        self.bitmap[place / 64] >> (place % 64) & 1 != 0
    }

    #[inline(never)]
    fn hit(&self, gram: u32, at: usize, found: &mut impl FnMut(u32, usize) -> bool) -> bool {
        self.literals.get(gram).iter().any(|&(id, offset)| found(id, at.wrapping_sub(offset as usize)))
    }
}
