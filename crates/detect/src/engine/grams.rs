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
    bitmap: Bitmap,
    /// Four bytes to the literals they stand for, each with the offset of the four bytes in it.
    literals: Table<u32, (u32, u32)>,
    /// For few literals and long texts.
    first_look: Option<Nibbles>,
}

/// Texts from this length on are looked at in vectors first.
const LONG: usize = 67;

impl Grams {
    /// `literals` has four soft bytes of each literal, with the number of the literal and their offset in it.
    pub(super) fn new(literals: Table<u32, (u32, u32)>) -> Self {
        let mut bitmap = Bitmap::new(literals.list.len());
        literals.spans.keys().for_each(|&gram| bitmap.add(gram));
        let few = literals.spans.len() <= PIECES;
        let first_look = few.then(|| Nibbles::new(&literals.spans.keys().copied().collect::<Vec<_>>()));
        Self { bitmap, literals, first_look }
    }

    /// Calls `found` with the number of a literal and where in `text` it would start, for every place where it may
    /// stand, until that says that it is enough. The start lies beyond the text when the literal does not fit. Returns
    /// how many places were looked at.
    #[inline]
    pub(super) fn scan(&self, text: &[u8], found: &mut impl FnMut(u32, usize) -> bool) -> u32 {
        let (mut enough, mut places) = (false, 0);
        let mut hit = |gram: u32, at: usize| {
            places += 1;
            enough = enough || self.hit(gram, at, found);
        };
        match self.first_look.as_ref().filter(|_| text.len() >= LONG) {
            Some(first_look) => first_look.scan(text, &mut |at| {
                let gram = text[at..].first_chunk().map_or(0, gram);
                if self.bitmap.has(gram) {
                    hit(gram, at);
                }
            }),
            None => self.bitmap.scan(text, &mut hit),
        }
        places
    }

    #[inline(never)]
    fn hit(&self, gram: u32, at: usize, found: &mut impl FnMut(u32, usize) -> bool) -> bool {
        self.literals.get(gram).iter().any(|&(id, offset)| found(id, at.wrapping_sub(offset as usize)))
    }
}

/// A set of four soft bytes that may say yes too often.
struct Bitmap {
    words: Vec<u32>,
    /// Bits of a hash that are no place in the map; places are fewer than 32 times the words.
    shift: u32,
}

/// Smallest and largest bitmap, as powers of two of bits: 512 bytes to 32 KiB, the size of a first-level cache.
const BITMAP: std::ops::RangeInclusive<u32> = 12..=18;

/// What four bytes are multiplied with; the upper bits of the product are their place.
const SPREAD: u32 = 0x9E37_79B1;

impl Bitmap {
    /// An empty map for so many entries.
    fn new(entries: usize) -> Self {
        let bits = (entries * 64).next_power_of_two().trailing_zeros().clamp(*BITMAP.start(), *BITMAP.end());
        Self { words: vec![0; 1 << (bits - 5)], shift: 32 - bits }
    }

    fn add(&mut self, gram: u32) {
        let place = self.place(gram);
        self.words[place / 32] |= 1 << (place % 32);
    }

    #[inline]
    fn place(&self, gram: u32) -> usize {
        (gram.wrapping_mul(SPREAD) >> self.shift) as usize
    }

    #[inline]
    fn has(&self, gram: u32) -> bool {
        let place = self.place(gram);
        self.words[place / 32] >> (place % 32) & 1 != 0
    }

    /// Calls `hit` with every four bytes of `text` that are in the map, soft, and where they begin; in any order.
    #[inline]
    fn scan(&self, text: &[u8], hit: &mut impl FnMut(u32, usize)) {
        if !vectors::scan(self, text, hit) {
            self.scan_plainly(text, hit);
        }
    }

    fn scan_plainly(&self, text: &[u8], hit: &mut impl FnMut(u32, usize)) {
        for (at, window) in text.windows(GRAM).enumerate() {
            let gram = window.first_chunk().map_or(0, gram);
            if self.has(gram) {
                hit(gram, at);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "vector instructions: sixteen look-ups at once; compared with the plain loop by test and fuzzer"
)]
#[expect(clippy::cast_possible_wrap, reason = "the instructions take words as signed")]
mod vectors {
    use std::arch::x86_64::{
        __m512i, __mmask16, _mm_cvtsi32_si128, _mm512_and_si512, _mm512_mask_i32gather_epi32, _mm512_maskz_loadu_epi8,
        _mm512_mullo_epi32, _mm512_or_si512, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_sllv_epi32,
        _mm512_srl_epi32, _mm512_srli_epi32, _mm512_test_epi32_mask,
    };

    use super::super::witness::gram;
    use super::{Bitmap, GRAM, SPREAD};

    /// Positions that one step looks at.
    const STEP: usize = 64;

    /// Shorter texts are over sooner without vectors.
    const LEAST: usize = 12;

    /// Scans all of `text` if this processor can.
    #[inline]
    pub(super) fn scan(map: &Bitmap, text: &[u8], hit: &mut impl FnMut(u32, usize)) -> bool {
        if text.len() < LEAST || !is_x86_feature_detected!("avx512bw") || !is_x86_feature_detected!("avx512f") {
            return false;
        }
        // SAFETY: the processor has AVX-512 F and BW.
        unsafe { avx512(map, text, hit) };
        true
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn avx512(map: &Bitmap, text: &[u8], hit: &mut impl FnMut(u32, usize)) {
        let positions = text.len().saturating_sub(GRAM - 1);
        for at in (0..positions).step_by(STEP) {
            let mut places = 0_u64;
            // Every fourth position is a word of a load that begins 0, 1, 2 or 3 bytes later.
            for offset in 0..GRAM.min(positions - at) {
                let start = at + offset;
                let lanes = (positions - start).div_ceil(GRAM).min(16) as u32;
                let grams = load(text, start);
                places |= spread(in_map(map, grams, (u32::MAX >> (32 - lanes)) as __mmask16)) << offset;
            }
            while places != 0 {
                let place = at + places.trailing_zeros() as usize;
                places &= places - 1;
                hit(text[place..].first_chunk().map_or(0, gram), place);
            }
        }
    }

    /// 64 soft bytes from `start` on, zeroes behind the end of the text.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn load(text: &[u8], start: usize) -> __m512i {
        let rest = text.len() - start;
        let mask = u64::MAX >> (STEP - rest.min(STEP));
        // SAFETY: the mask leaves out what lies behind the end of `text`; the load needs no alignment.
        let bytes = unsafe { _mm512_maskz_loadu_epi8(mask, text.as_ptr().add(start).cast()) };
        _mm512_or_si512(bytes, _mm512_set1_epi32(0x2020_2020))
    }

    /// Which of `lanes` are in the map.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn in_map(map: &Bitmap, grams: __m512i, lanes: __mmask16) -> __mmask16 {
        let hashes = _mm512_mullo_epi32(grams, _mm512_set1_epi32(SPREAD as i32));
        let places = _mm512_srl_epi32(hashes, _mm_cvtsi32_si128(map.shift as i32));
        let index = _mm512_srli_epi32::<5>(places);
        // SAFETY: a place is a hash without its `shift` lower bits, so its word is one of the map's; see `Bitmap::new`.
        let words = unsafe {
            _mm512_mask_i32gather_epi32::<4>(_mm512_setzero_si512(), lanes, index, map.words.as_ptr().cast())
        };
        let bits = _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_and_si512(places, _mm512_set1_epi32(31)));
        _mm512_test_epi32_mask(words, bits)
    }

    /// Puts bit `i` to place `4 i`.
    #[inline]
    fn spread(mask: __mmask16) -> u64 {
        let mut bits = u64::from(mask);
        bits = (bits | bits << 24) & 0x0000_00FF_0000_00FF;
        bits = (bits | bits << 12) & 0x000F_000F_000F_000F;
        bits = (bits | bits << 6) & 0x0303_0303_0303_0303;
        (bits | bits << 3) & 0x1111_1111_1111_1111
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod vectors {
    pub(super) fn scan(_: &super::Bitmap, _: &[u8], _: &mut impl FnMut(u32, usize)) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn vectors_agree_with_the_plain_loop(
            text in prop_oneof!["[a-eA-E\\\\. ]{0,40}", "[a-eA-E\\\\. ]{60,300}"],
            grams in prop::collection::vec("[a-e\\\\. ]{4}", 0..400),
        ) {
            let mut map = Bitmap::new(grams.len());
            for g in &grams {
                map.add(gram(g.as_bytes().first_chunk().unwrap()));
            }
            let (mut some, mut all) = (Vec::new(), Vec::new());
            map.scan(text.as_bytes(), &mut |gram, at| some.push((at, gram)));
            map.scan_plainly(text.as_bytes(), &mut |gram, at| all.push((at, gram)));
            some.sort_unstable();
            prop_assert_eq!(some, all);
        }
    }
}
