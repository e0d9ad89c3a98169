//! Step one: where the quotes are, and whether the record holds anything unusual.
//!
//! The three implementations (AVX-512, AVX2, portable) give the same masks; a test compares them.

use crate::decode::Malformed;
use crate::reasons;

/// What one pass over a record found.
#[derive(Default)]
pub(super) struct Scan {
    /// Bit `i` of word `w` is set when byte `64 w + i` is a quote that no backslash escapes.
    pub(super) quotes: Vec<u64>,
    /// A byte below 0x20 stands somewhere; inside a string it makes the record malformed.
    pub(super) control: bool,
    /// Some printable ASCII character is written as `\uXXXX`, or a slash as `\/`.
    pub(super) odd_escapes: bool,
    /// A byte above 127 stands somewhere, or a `\uXXXX` for a character beyond ASCII.
    pub(super) beyond_ascii: bool,
}

/// The raw masks of one 64-byte block.
#[derive(Clone, Copy, Default)]
struct Masks {
    quote: u64,
    backslash: u64,
    control: u64,
    high: u64,
}

/// What runs through all blocks.
#[derive(Default)]
struct Carry {
    /// The first byte of the next block is escaped.
    escaped: u64,
    control: u64,
    high: u64,
    odd: bool,
    beyond: bool,
    error: Option<usize>,
}

impl Scan {
    /// Scans `record`.
    ///
    /// # Errors
    /// An escape that JSON does not know, or bytes that are not UTF-8.
    pub(super) fn run(&mut self, record: &[u8]) -> Result<(), Malformed> {
        self.quotes.clear();
        self.quotes.reserve(record.len() / 64 + 2);
        let mut carry = Carry::default();
        blocks(record, &mut self.quotes, &mut carry);
        // One empty word behind the end, so that a search may start at the very end.
        self.quotes.push(0);
        if let Some(at) = carry.error {
            return Err(Malformed::new(reasons::UNKNOWN_ESCAPE, at));
        }
        if carry.high != 0
            && let Err(e) = simdutf8::compat::from_utf8(record)
        {
            return Err(Malformed::new(reasons::NOT_UTF8, e.valid_up_to()));
        }
        self.control = carry.control != 0;
        self.odd_escapes = carry.odd;
        self.beyond_ascii = carry.beyond || carry.high != 0;
        Ok(())
    }

    /// Position of the first unescaped quote at or after `from`, or `None`.
    #[inline]
    pub(super) fn next_quote(&self, from: usize) -> Option<usize> {
        let mut word = from / 64;
        let mut mask = self.quotes.get(word)? & (u64::MAX << (from % 64));
        while mask == 0 {
            word += 1;
            mask = *self.quotes.get(word)?;
        }
        Some(word * 64 + mask.trailing_zeros() as usize)
    }
}

/// Bits of the bytes that a backslash before them escapes; `carry` says whether the first one is.
#[inline]
fn escaped_bits(backslash: u64, carry: &mut u64) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let starts_escape = backslash & !*carry;
    let follows = starts_escape << 1 | *carry;
    let odd_starts = starts_escape & !EVEN & !follows;
    let (sum, overflow) = odd_starts.overflowing_add(starts_escape);
    *carry = u64::from(overflow);
    (EVEN ^ (sum << 1)) & follows
}

/// Takes one block into account. `at` is its offset, `record` the whole record.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the vector loops are several times slower with a call per block")]
fn block(masks: Masks, at: usize, record: &[u8], quotes: &mut Vec<u64>, carry: &mut Carry) {
    carry.control |= masks.control;
    carry.high |= masks.high;
    if masks.backslash | carry.escaped == 0 {
        quotes.push(masks.quote);
        return;
    }
    let escaped = escaped_bits(masks.backslash, &mut carry.escaped);
    quotes.push(masks.quote & !escaped);
    let unusual = escaped & !(masks.quote | masks.backslash);
    if unusual != 0 {
        check_escapes(unusual, at, record, carry);
    }
}

/// Checks the escapes that are neither `\\` nor `\"`.
#[inline(never)]
fn check_escapes(mut unusual: u64, at: usize, record: &[u8], carry: &mut Carry) {
    while unusual != 0 {
        let position = at + unusual.trailing_zeros() as usize;
        unusual &= unusual - 1;
        match record.get(position) {
            Some(b'n' | b'r' | b't' | b'b' | b'f') => {}
            Some(b'/') => carry.odd = true,
            Some(b'u') => match unicode_escape(record, position) {
                Some(unit) => {
                    carry.odd |= (0x20..0x7F).contains(&unit);
                    carry.beyond |= unit > 0x7F;
                }
                None => carry.error = carry.error.or(Some(position)),
            },
            _ => carry.error = carry.error.or(Some(position)),
        }
    }
}

/// The code unit that the four digits after the `u` at `position` say; `None` when they are not hexadecimal or half of a
/// surrogate pair is missing.
fn unicode_escape(record: &[u8], position: usize) -> Option<u32> {
    let unit = |at: usize| {
        let digits = record.get(at + 1..at + 5)?;
        digits.iter().try_fold(0_u32, |sum, &d| Some(sum * 16 + char::from(d).to_digit(16)?))
    };
    let own = unit(position)?;
    let whole = match own {
        0xD800..=0xDBFF => {
            record.get(position + 5..position + 7) == Some(b"\\u")
                && unit(position + 6).is_some_and(|low| (0xDC00..0xE000).contains(&low))
        }
        // A low half is valid only behind a high half, which is six bytes before.
        0xDC00..=0xDFFF => {
            position >= 7
                && record.get(position - 7..position - 5) == Some(b"\\u")
                && unit(position - 6).is_some_and(|high| (0xD800..0xDC00).contains(&high))
                && begins_escape(record, position - 7)
        }
        _ => true,
    };
    whole.then_some(own)
}

/// Whether the backslash at `position` is not itself escaped: an even number of others stand right before it.
fn begins_escape(record: &[u8], position: usize) -> bool {
    let before = record.iter().take(position).rev();
    before.take_while(|&&byte| byte == b'\\').count().is_multiple_of(2)
}

/// The rest of a record that does not fill a block, padded with spaces.
fn padded(rest: &[u8]) -> [u8; 64] {
    let mut last = [b' '; 64];
    last[..rest.len()].copy_from_slice(rest);
    last
}

/// The masks of a block without any special instructions.
fn masks_portable(bytes: &[u8; 64]) -> Masks {
    let mut masks = Masks::default();
    for (i, &byte) in bytes.iter().enumerate() {
        masks.quote |= u64::from(byte == b'"') << i;
        masks.backslash |= u64::from(byte == b'\\') << i;
        masks.control |= u64::from(byte < 0x20) << i;
        masks.high |= u64::from(byte >= 0x80) << i;
    }
    masks
}

#[inline]
fn blocks_with(masks: impl Fn(&[u8; 64]) -> Masks, record: &[u8], quotes: &mut Vec<u64>, carry: &mut Carry) {
    let (chunks, rest) = record.as_chunks::<64>();
    for (i, chunk) in chunks.iter().enumerate() {
        block(masks(chunk), i * 64, record, quotes, carry);
    }
    if !rest.is_empty() {
        block(masks(&padded(rest)), chunks.len() * 64, record, quotes, carry);
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "vector instructions for the innermost loop of the reader; compared with the portable loop by a test"
)]
#[expect(
    clippy::cast_ptr_alignment,
    clippy::cast_possible_wrap,
    reason = "the loads used need no alignment, and the instructions take bytes as signed"
)]
mod x86 {
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
        _mm256_set1_epi8, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_loadu_si512, _mm512_movepi8_mask,
        _mm512_set1_epi8,
    };

    use super::{Carry, Masks, blocks_with};

    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn blocks_avx512(record: &[u8], quotes: &mut Vec<u64>, carry: &mut Carry) {
        blocks_with(
            |bytes| {
                // SAFETY: `bytes` is 64 readable bytes; the load needs no alignment.
                let v = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast::<__m512i>()) };
                Masks {
                    quote: _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(b'"' as i8)),
                    backslash: _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(b'\\' as i8)),
                    control: _mm512_cmplt_epu8_mask(v, _mm512_set1_epi8(0x20)),
                    high: _mm512_movepi8_mask(v),
                }
            },
            record,
            quotes,
            carry,
        );
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn blocks_avx2(record: &[u8], quotes: &mut Vec<u64>, carry: &mut Carry) {
        blocks_with(
            |bytes| {
                let [low, high] = [&bytes[..32], &bytes[32..]].map(|half| {
                    // SAFETY: `half` is 32 readable bytes; the load needs no alignment.
                    unsafe { _mm256_loadu_si256(half.as_ptr().cast::<__m256i>()) }
                });
                let join = |l: __m256i, h: __m256i| {
                    u64::from(_mm256_movemask_epi8(l).cast_unsigned())
                        | u64::from(_mm256_movemask_epi8(h).cast_unsigned()) << 32
                };
                let equal = |byte: u8| {
                    let wanted = _mm256_set1_epi8(byte as i8);
                    join(_mm256_cmpeq_epi8(low, wanted), _mm256_cmpeq_epi8(high, wanted))
                };
                let limit = _mm256_set1_epi8(0x20);
                let above = join(low, high);
                // Signed comparison also takes bytes above 127 for small ones.
                let small = join(_mm256_cmpgt_epi8(limit, low), _mm256_cmpgt_epi8(limit, high));
                Masks { quote: equal(b'"'), backslash: equal(b'\\'), control: small & !above, high: above }
            },
            record,
            quotes,
            carry,
        );
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "calls into functions that need the instructions just asked for")]
fn blocks(record: &[u8], quotes: &mut Vec<u64>, carry: &mut Carry) {
    if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has AVX-512 F and BW.
        unsafe { x86::blocks_avx512(record, quotes, carry) }
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        unsafe { x86::blocks_avx2(record, quotes, carry) }
    } else {
        blocks_with(masks_portable, record, quotes, carry);
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn blocks(record: &[u8], quotes: &mut Vec<u64>, carry: &mut Carry) {
    blocks_with(masks_portable, record, quotes, carry);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(
        with: impl Fn(&[u8], &mut Vec<u64>, &mut Carry),
        record: &[u8],
    ) -> (Vec<u64>, u64, u64, bool, Option<usize>) {
        let (mut quotes, mut carry) = (Vec::new(), Carry::default());
        with(record, &mut quotes, &mut carry);
        (quotes, u64::from(carry.control != 0), u64::from(carry.high != 0), carry.odd, carry.error)
    }

    proptest! {
        #[test]
        fn all_implementations_agree(record in prop::collection::vec(prop_oneof![Just(b'\\'), Just(b'"'), Just(b'u'), any::<u8>()], 0..400)) {
            let portable = run(|r, q, c| blocks_with(masks_portable, r, q, c), &record);
            prop_assert_eq!(&run(blocks, &record), &portable);
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                #[expect(unsafe_code, reason = "the instructions were just asked for")]
                // SAFETY: the processor has AVX2.
                let avx2 = run(|r, q, c| unsafe { x86::blocks_avx2(r, q, c) }, &record);
                prop_assert_eq!(&avx2, &portable);
            }
        }
    }
}
