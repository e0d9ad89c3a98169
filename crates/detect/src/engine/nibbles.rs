//! A first look at long texts: which positions may start one of a few dozen four-byte pieces.
//!
//! Each byte is split into two halves of four bits; a table of 16 entries per half says which of eight groups of pieces
//! allow it at that place ("Teddy", as in Hyperscan and `aho-corasick`). One instruction looks up 32 or 64 bytes at
//! once. Processors that look up six bits at once (AVX-512 VBMI) need one table for each place and half the work. Both
//! cases of a letter are allowed, so the text needs no folding.

use super::literals::commonness;
use super::witness::{GRAM, gram};

/// Most pieces for which this pays; with more, too many positions pass.
pub(super) const PIECES: usize = 160;

const GROUPS: usize = 8;

/// Tables per place in a piece: low half, high half.
type Halves = [[[u8; 16]; 2]; GRAM];

/// Tables per place in a piece: the lower six bits of a byte.
type Sixes = [[u8; 64]; GRAM];

/// See the module text.
pub(super) struct Nibbles {
    halves: Halves,
    sixes: Sixes,
}

impl Nibbles {
    /// Tables for `grams`, four soft bytes each.
    pub(super) fn new(grams: &[u32]) -> Self {
        let mut sorted: Vec<u32> = grams.iter().map(|g| g.swap_bytes()).collect();
        sorted.sort_unstable();
        let share = sorted.len().div_ceil(GROUPS).max(1);
        let (mut halves, mut sixes) = (Halves::default(), [[0; 64]; GRAM]);
        for (i, gram) in sorted.iter().enumerate() {
            let group = 1_u8 << (i / share);
            for (place, &byte) in gram.to_be_bytes().iter().enumerate() {
                // A soft byte stands for itself and for the byte without bit 5.
                for byte in [byte, byte & !0x20] {
                    halves[place][0][usize::from(byte & 15)] |= group;
                    halves[place][1][usize::from(byte >> 4)] |= group;
                    sixes[place][usize::from(byte & 63)] |= group;
                }
            }
        }
        Self { halves, sixes }
    }

    /// Calls `hit` with every position of `text` at which a piece may stand whole.
    #[inline]
    pub(super) fn scan(&self, text: &[u8], hit: &mut impl FnMut(usize)) {
        #[cfg(target_arch = "x86_64")]
        let done = scan_blocks(&Path::BEST_FIRST, self, text, hit);
        #[cfg(not(target_arch = "x86_64"))]
        let done = 0;
        for (at, window) in text.windows(GRAM).enumerate().skip(done) {
            if self.may_stand(window) {
                hit(at);
            }
        }
    }

    fn may_stand(&self, window: &[u8]) -> bool {
        let table = window.iter().zip(&self.sixes);
        table.fold(u8::MAX, |groups, (&byte, six)| groups & six[usize::from(byte & 63)]) != 0
    }
}

/// Literals that are looked for in long JSON strings as they stand, without unescaping or folding them first.
pub(super) struct RawNeedles {
    list: Vec<RawNeedle>,
    nibbles: Nibbles,
}

struct RawNeedle {
    /// As JSON spells it, in small letters.
    spelled: Box<[u8]>,
    /// Where its rarest four bytes begin, and those.
    offset: usize,
    rarest: u32,
}

/// Most literals that are looked for like this.
const NEEDLES: usize = 32;

impl RawNeedles {
    /// For folded literals; `None` when they are many, or one is too short or has several usual spellings in JSON.
    pub(super) fn new(literals: &[Box<[u8]>]) -> Option<Self> {
        let list = literals.iter().map(|literal| RawNeedle::new(literal)).take(NEEDLES + 1);
        let list = list.collect::<Option<Vec<_>>>().filter(|list| list.len() <= NEEDLES)?;
        let grams: Vec<u32> = list.iter().map(|needle| needle.rarest).collect();
        Some(Self { nibbles: Nibbles::new(&grams), list })
    }

    /// Whether one of them stands in `raw`; `None` when that cannot be told without unescaping.
    pub(super) fn are_in(&self, raw: &[u8]) -> Option<bool> {
        let mut found = Some(false);
        self.nibbles.scan(raw, &mut |at| {
            let piece = raw[at..].first_chunk().map_or(0, gram);
            for needle in self.list.iter().filter(|needle| needle.rarest == piece) {
                if found == Some(false)
                    && let Some(start) = at.checked_sub(needle.offset)
                    && needle.stands_at(raw, start)
                {
                    found = begins_character(raw, start);
                }
            }
        });
        found
    }
}

impl RawNeedle {
    fn new(literal: &[u8]) -> Option<Self> {
        if !literal.iter().all(|byte| (0x20..0x7F).contains(byte)) {
            return None;
        }
        let mut spelled = Vec::with_capacity(literal.len());
        for &byte in literal {
            if matches!(byte, b'\\' | b'"') {
                spelled.push(b'\\');
            }
            spelled.push(byte);
        }
        let windows = spelled.windows(GRAM).enumerate().filter_map(|(at, w)| Some((at, w.first_chunk::<GRAM>()?)));
        let (offset, rarest) = windows.min_by_key(|(_, piece)| commonness(piece))?;
        Some(Self { rarest: gram(rarest), spelled: spelled.into(), offset })
    }

    fn stands_at(&self, raw: &[u8], start: usize) -> bool {
        raw.get(start..start + self.spelled.len()).is_some_and(|stands| stands.eq_ignore_ascii_case(&self.spelled))
    }
}

/// Whether a character of a JSON string begins at `at` and not the rest of an escape; `None` behind a `\u`.
fn begins_character(raw: &[u8], at: usize) -> Option<bool> {
    let before = &raw[..at];
    if before[at.saturating_sub(5)..].windows(2).any(|pair| pair == b"\\u") {
        return None;
    }
    Some(before.iter().rev().take_while(|&&byte| byte == b'\\').count().is_multiple_of(2))
}

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "vector instructions: one look-up for 32 or 64 bytes; compared with the plain loop by test and fuzzer"
)]
#[expect(clippy::cast_ptr_alignment, reason = "the loads used need no alignment")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m256i, __m512i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
        _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
        _mm256_srli_epi16, _mm512_and_si512, _mm512_broadcast_i32x4, _mm512_loadu_si512, _mm512_permutexvar_epi8,
        _mm512_set1_epi8, _mm512_shuffle_epi8, _mm512_srli_epi16, _mm512_test_epi8_mask,
    };

    use super::{GRAM, Halves, Sixes};

    /// Bytes that a step reads beyond its own.
    const OVERLAP: usize = GRAM - 1;

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) fn vbmi(tables: &Sixes, text: &[u8], hit: &mut impl FnMut(usize)) -> usize {
        // SAFETY: each table is 64 readable bytes; the load needs no alignment.
        let tables = tables.each_ref().map(|table| unsafe { _mm512_loadu_si512(table.as_ptr().cast::<__m512i>()) });
        let mut at = 0;
        while at + 64 + OVERLAP <= text.len() {
            let [a, b, c, d] = std::array::from_fn(|place| {
                // SAFETY: `at + place + 64 <= text.len()` because `place <= OVERLAP`; the load needs no alignment.
                let bytes = unsafe { _mm512_loadu_si512(text.as_ptr().add(at + place).cast::<__m512i>()) };
                // The upper two bits of each byte are not looked at.
                _mm512_permutexvar_epi8(bytes, tables[place])
            });
            let groups = _mm512_and_si512(_mm512_and_si512(a, b), c);
            let mut found = _mm512_test_epi8_mask(groups, d);
            while found != 0 {
                hit(at + found.trailing_zeros() as usize);
                found &= found - 1;
            }
            at += 64;
        }
        at
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn avx512(tables: &Halves, text: &[u8], hit: &mut impl FnMut(usize)) -> usize {
        let tables = tables.map(|halves| {
            halves.map(|half| {
                // SAFETY: `half` is 16 readable bytes; the load needs no alignment.
                _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(half.as_ptr().cast::<__m128i>()) })
            })
        });
        let low_half = _mm512_set1_epi8(15);
        let mut at = 0;
        while at + 64 + OVERLAP <= text.len() {
            let mut groups = _mm512_set1_epi8(-1);
            for (place, [low, high]) in tables.iter().enumerate() {
                // SAFETY: `at + place + 64 <= text.len()` because `place <= OVERLAP`; the load needs no alignment.
                let bytes = unsafe { _mm512_loadu_si512(text.as_ptr().add(at + place).cast::<__m512i>()) };
                let low = _mm512_shuffle_epi8(*low, _mm512_and_si512(bytes, low_half));
                let high = _mm512_shuffle_epi8(*high, _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), low_half));
                groups = _mm512_and_si512(groups, _mm512_and_si512(low, high));
            }
            let mut found = _mm512_test_epi8_mask(groups, groups);
            while found != 0 {
                hit(at + found.trailing_zeros() as usize);
                found &= found - 1;
            }
            at += 64;
        }
        at
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(tables: &Halves, text: &[u8], hit: &mut impl FnMut(usize)) -> usize {
        let tables = tables.map(|halves| {
            halves.map(|half| {
                // SAFETY: `half` is 16 readable bytes; the load needs no alignment.
                _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(half.as_ptr().cast::<__m128i>()) })
            })
        });
        let low_half = _mm256_set1_epi8(15);
        let mut at = 0;
        while at + 32 + OVERLAP <= text.len() {
            let mut groups = _mm256_set1_epi8(-1);
            for (place, [low, high]) in tables.iter().enumerate() {
                // SAFETY: `at + place + 32 <= text.len()` because `place <= OVERLAP`; the load needs no alignment.
                let bytes = unsafe { _mm256_loadu_si256(text.as_ptr().add(at + place).cast::<__m256i>()) };
                let low = _mm256_shuffle_epi8(*low, _mm256_and_si256(bytes, low_half));
                let high = _mm256_shuffle_epi8(*high, _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), low_half));
                groups = _mm256_and_si256(groups, _mm256_and_si256(low, high));
            }
            let none = _mm256_movemask_epi8(_mm256_cmpeq_epi8(groups, _mm256_setzero_si256()));
            let mut found = !none.cast_unsigned();
            while found != 0 {
                hit(at + found.trailing_zeros() as usize);
                found &= found - 1;
            }
            at += 32;
        }
        at
    }
}

/// A way to look at many positions at once.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    Vbmi,
    Avx512,
    Avx2,
}

#[cfg(target_arch = "x86_64")]
impl Path {
    const BEST_FIRST: [Self; 3] = [Self::Vbmi, Self::Avx512, Self::Avx2];

    /// Whether this processor can take it.
    #[inline]
    fn is_open(self) -> bool {
        let wide = || is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512f");
        match self {
            Self::Vbmi => wide() && is_x86_feature_detected!("avx512vbmi"),
            Self::Avx512 => wide(),
            Self::Avx2 => is_x86_feature_detected!("avx2"),
        }
    }
}

/// Scans as much as whole vectors cover, on the first of `paths` that is open; returns the first position not looked at.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "calls into functions that need the instructions just asked for")]
#[inline]
fn scan_blocks(paths: &[Path], nibbles: &Nibbles, text: &[u8], hit: &mut impl FnMut(usize)) -> usize {
    match paths.iter().find(|path| path.is_open()) {
        // SAFETY: the path is open, so the processor has AVX-512 F, BW and VBMI.
        Some(Path::Vbmi) => unsafe { x86::vbmi(&nibbles.sixes, text, hit) },
        // SAFETY: likewise AVX-512 F and BW.
        Some(Path::Avx512) => unsafe { x86::avx512(&nibbles.halves, text, hit) },
        // SAFETY: likewise AVX2.
        Some(Path::Avx2) => unsafe { x86::avx2(&nibbles.halves, text, hit) },
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::witness::gram;
    use super::*;

    fn hits(nibbles: &Nibbles, text: &[u8]) -> Vec<usize> {
        let mut list = Vec::new();
        nibbles.scan(text, &mut |at| list.push(at));
        list
    }

    proptest! {
        #[test]
        fn raw_literals_are_found_where_the_text_has_one(
            text in r#"[a-cA-C\\"\n\u{1}đn ]{0,30}"#,
            literals in prop::collection::vec(r#"[a-c\\"n ]{1,6}"#, 1..4),
        ) {
            let raw = serde_json::to_string(&text).unwrap();
            let raw = &raw.as_bytes()[1..raw.len() - 1];
            let boxed: Vec<Box<[u8]>> = literals.iter().map(|literal| literal.as_bytes().into()).collect();
            if let Some(found) = RawNeedles::new(&boxed).and_then(|needles| needles.are_in(raw)) {
                let expected = literals.iter().any(|literal| text.to_ascii_lowercase().contains(literal));
                prop_assert_eq!(found, expected, "{}", String::from_utf8_lossy(raw));
            }
        }

        #[test]
        fn no_path_misses_a_piece(text in "[a-eA-E\\\\. ]{0,300}", pieces in prop::collection::vec("[a-e\\\\. ]{4}", 1..40)) {
            let grams: Vec<u32> = pieces.iter().map(|p| gram(p.as_bytes().first_chunk().unwrap())).collect();
            let nibbles = Nibbles::new(&grams);
            let text = text.as_bytes();
            let windows = || text.windows(GRAM).enumerate();
            let stands: Vec<usize> =
                windows().filter(|(_, w)| grams.contains(&gram(w.first_chunk().unwrap()))).map(|(at, _)| at).collect();
            let by_sixes: Vec<usize> = windows().filter(|(_, w)| nibbles.may_stand(w)).map(|(at, _)| at).collect();
            let missed = |found: &[usize], done: usize| stands.iter().any(|at| *at < done && !found.contains(at));
            prop_assert!(!missed(&by_sixes, text.len()));
            prop_assert!(!missed(&hits(&nibbles, text), text.len()));
            #[cfg(target_arch = "x86_64")]
            for path in Path::BEST_FIRST.into_iter().filter(|path| path.is_open()) {
                let mut found = Vec::new();
                let done = scan_blocks(&[path], &nibbles, text, &mut |at| found.push(at));
                prop_assert!(!missed(&found, done), "{:?}", path);
                if path == Path::Vbmi {
                    let before: Vec<usize> = by_sixes.iter().copied().filter(|at| *at < done).collect();
                    prop_assert_eq!(found, before);
                }
            }
        }
    }
}
