//! Finding signs in raw values.
//!
//! Whole values, starts and ends are looked up by a hash of at most eight bytes. For signs inside a value, four
//! neighbouring bytes of each sign (the rarest, as far as known) are kept in a bitmap; a value is read once and every
//! four bytes of it are looked up. A hit is compared with the sign before it counts.

use hashbrown::HashMap;

use super::nibbles::{Nibbles, PIECES};
use super::witness::{GRAM, Place, Sign, soft};

/// Signs of one field, or of the whole record, each with the bodies it stands for.
#[derive(Default)]
pub(super) struct Filter {
    /// Bodies that want to be evaluated whenever the field is there.
    pub(super) present: Vec<u32>,
    /// Bodies that want to be evaluated when the value has a character beyond ASCII.
    pub(super) beyond_ascii: Vec<u32>,
    whole: Anchored,
    starts: [Anchored; 2],
    ends: [Anchored; 2],
    inside: Option<Inside>,
    signs: Vec<Known>,
    bodies: Vec<u32>,
}

struct Known {
    bytes: Box<[u8]>,
    first: u32,
    count: u32,
}

/// Signs by a hash of their outermost bytes.
type Anchored = HashMap<u64, Vec<u32>, foldhash::fast::FixedState>;

/// Bytes that the two tables of starts and of ends look at.
const WIDTHS: [usize; 2] = [8, GRAM];

impl Filter {
    /// A filter for `signs`, sorted and with the bodies of each. `rarity` tells how often four soft bytes were seen.
    pub(super) fn new(signs: &[(Sign, Vec<u32>)], rarity: &dyn Fn(u32) -> u32) -> Self {
        let mut filter = Self::default();
        let mut inside = Vec::new();
        for (sign, bodies) in signs {
            match sign.place {
                Place::Present => filter.present.extend_from_slice(bodies),
                Place::BeyondAscii => filter.beyond_ascii.extend_from_slice(bodies),
                Place::Whole | Place::Inside | Place::Start | Place::End => {}
            }
            if matches!(sign.place, Place::Present | Place::BeyondAscii) {
                continue;
            }
            let id = filter.signs.len() as u32;
            let first = filter.bodies.len() as u32;
            filter.bodies.extend_from_slice(bodies);
            filter.signs.push(Known { bytes: sign.bytes.clone(), first, count: bodies.len() as u32 });
            let width = usize::from(sign.bytes.len() < WIDTHS[0]);
            match sign.place {
                Place::Whole => filter.whole.entry(whole_key(&sign.bytes)).or_default().push(id),
                Place::Start => filter.starts[width].entry(head_key(&sign.bytes, WIDTHS[width])).or_default().push(id),
                Place::End => filter.ends[width].entry(tail_key(&sign.bytes, WIDTHS[width])).or_default().push(id),
                Place::Inside | Place::Present | Place::BeyondAscii => inside.push(id),
            }
        }
        if !inside.is_empty() {
            filter.inside = Some(Inside::new(&inside, &filter.signs, rarity));
        }
        filter
    }

    /// Whether the filter looks at values at all.
    pub(super) fn reads_values(&self) -> bool {
        !self.signs.is_empty()
    }

    /// Hands the bodies of every sign in `value` to `found`.
    #[inline]
    pub(super) fn probe(&self, value: &[u8], found: &mut impl FnMut(&[u32])) {
        if !self.whole.is_empty()
            && let Some(list) = self.whole.get(&whole_key(value))
        {
            self.confirm(list, found, |sign| sign.len() == value.len() && same(sign, value));
        }
        for (width, table) in WIDTHS.iter().zip(&self.starts) {
            if !table.is_empty()
                && value.len() >= *width
                && let Some(list) = table.get(&head_key(value, *width))
            {
                self.confirm(list, found, |sign| value.get(..sign.len()).is_some_and(|v| same(sign, v)));
            }
        }
        for (width, table) in WIDTHS.iter().zip(&self.ends) {
            if !table.is_empty()
                && value.len() >= *width
                && let Some(list) = table.get(&tail_key(value, *width))
            {
                self.confirm(list, found, |sign| {
                    value.len() >= sign.len() && same(sign, &value[value.len() - sign.len()..])
                });
            }
        }
        if let Some(inside) = &self.inside {
            inside.scan(value, &self.signs, &mut |id| self.hand_out(id, found));
        }
    }

    fn confirm(&self, list: &[u32], found: &mut impl FnMut(&[u32]), stands: impl Fn(&[u8]) -> bool) {
        for &id in list {
            if stands(&self.signs[id as usize].bytes) {
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
    grams: HashMap<u32, Vec<(u32, u32)>, foldhash::fast::FixedState>,
    /// For few signs and long values.
    first_look: Option<Nibbles>,
}

/// Four soft bytes as a number.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "callers hold a reference into longer text")]
pub(super) fn gram(bytes: &[u8; GRAM]) -> u32 {
    u32::from_le_bytes(*bytes) | 0x2020_2020
}

/// Values from this length on are looked at in vectors first.
const LONG: usize = 67;

/// Smallest and largest bitmap, as powers of two of bits: 512 bytes to 32 KiB, the size of a first-level cache.
const BITMAP: std::ops::RangeInclusive<u32> = 12..=18;

impl Inside {
    fn new(ids: &[u32], signs: &[Known], rarity: &dyn Fn(u32) -> u32) -> Self {
        let bits = (ids.len() * 64).next_power_of_two().trailing_zeros().clamp(*BITMAP.start(), *BITMAP.end());
        let mut inside =
            Self { bitmap: vec![0; 1 << (bits - 6)], shift: 32 - bits, grams: HashMap::default(), first_look: None };
        for &id in ids {
            let bytes = &signs[id as usize].bytes;
            let grams = bytes.windows(GRAM).enumerate().filter_map(|(at, w)| Some((at as u32, gram(w.first_chunk()?))));
            if let Some((at, rarest)) = grams.min_by_key(|(_, g)| rarity(*g)) {
                let place = inside.place(rarest);
                inside.bitmap[place / 64] |= 1 << (place % 64);
                inside.grams.entry(rarest).or_default().push((id, at));
            }
        }
        if inside.grams.len() <= PIECES {
            inside.first_look = Some(Nibbles::new(&inside.grams.keys().copied().collect::<Vec<_>>()));
        }
        inside
    }

    #[inline]
    fn place(&self, gram: u32) -> usize {
        (gram.wrapping_mul(0x9E37_79B1) >> self.shift) as usize
    }

    #[inline]
    fn scan(&self, value: &[u8], signs: &[Known], found: &mut impl FnMut(u32)) {
        if let Some(first_look) = self.first_look.as_ref().filter(|_| value.len() >= LONG) {
            first_look.scan(value, &mut |at| {
                let gram = value[at..].first_chunk().map_or(0, gram);
                if self.may_be(gram) {
                    self.hit(gram, at, value, signs, found);
                }
            });
            return;
        }
        for (at, window) in value.windows(GRAM).enumerate() {
            let gram = window.first_chunk().map_or(0, gram);
            if self.may_be(gram) {
                self.hit(gram, at, value, signs, found);
            }
        }
    }

    #[inline]
    fn may_be(&self, gram: u32) -> bool {
        let place = self.place(gram);
        self.bitmap[place / 64] >> (place % 64) & 1 != 0
    }

    #[inline(never)]
    fn hit(&self, gram: u32, at: usize, value: &[u8], signs: &[Known], found: &mut impl FnMut(u32)) {
        let Some(list) = self.grams.get(&gram) else {
            return;
        };
        for &(id, offset) in list {
            let sign = &signs[id as usize].bytes;
            let start = at.wrapping_sub(offset as usize);
            if value.get(start..).and_then(|v| v.get(..sign.len())).is_some_and(|v| same(sign, v)) {
                found(id);
            }
        }
    }
}
