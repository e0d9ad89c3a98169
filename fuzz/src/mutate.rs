//! Mutations of bytes from a seed: the same seed gives the same bytes on every machine.

/// Longest input that a mutation makes, in bytes.
pub const INPUT_BYTES: usize = 64 << 10;

/// Bytes that mean something to one parser or another.
const INTERESTING: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b"\"",
    b"'",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"=",
    b"|",
    b"*",
    b"?",
    b"<",
    b">",
    b"%",
    b"$",
    b"#",
    b"-",
    b"_",
    b"/",
    b".",
    b"(",
    b")",
    b"(?i)",
    b"null",
    b"true",
    b"-0",
    b"1e999",
    b"9223372036854775808",
    b"1970-01-01T00:00:00Z",
    b"\xff",
    b"\xc3",
    b"\xe2\x84\xaa",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x9b\xa1",
    b"127.0.0.1/33",
    b"::/0",
    b"\xff\xff\xff\xff",
    b"\0\0\0\x80",
];

/// A small generator of pseudo-random numbers (xorshift64*). Enough for tests, no use for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound.max(1) as u64;
        (self.next_u64() % bound) as usize
    }
}

/// Changes `data` in one to eight places. `other` is a second input, of which pieces may come in.
pub fn mutate(data: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(8) {
        mutate_once(data, other, random);
    }
    data.truncate(INPUT_BYTES);
}

fn mutate_once(data: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    match random.below(8) {
        0 => flip_bit(data, random),
        1 => set_byte(data, random),
        2 => remove_range(data, random),
        3 => repeat_range(data, random),
        4 => splice(data, other, random),
        5 => data.truncate(random.below(data.len() + 1)),
        6 => swap_ranges(data, random),
        _ => insert_interesting(data, random),
    }
}

fn flip_bit(data: &mut [u8], random: &mut Random) {
    let at = random.below(data.len());
    let bit = random.below(8);
    if let Some(byte) = data.get_mut(at) {
        *byte ^= 1 << bit;
    }
}

fn set_byte(data: &mut [u8], random: &mut Random) {
    let at = random.below(data.len());
    let value = random.next_u64().to_le_bytes()[0];
    if let Some(byte) = data.get_mut(at) {
        *byte = value;
    }
}

fn remove_range(data: &mut Vec<u8>, random: &mut Random) {
    let range = some_range(data.len(), random);
    data.drain(range);
}

/// Repeats a piece; now and then so often that nesting and lengths become deep.
fn repeat_range(data: &mut Vec<u8>, random: &mut Random) {
    let range = some_range(data.len(), random);
    let times = if random.below(16) == 0 { 512 } else { 1 + random.below(4) };
    let piece = data[range.clone()].repeat(times);
    data.splice(range.end..range.end, piece.into_iter().take(INPUT_BYTES));
}

fn splice(data: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let from = some_range(other.len(), random);
    let into = some_range(data.len(), random);
    data.splice(into, other[from].iter().copied());
}

/// Two neighbouring pieces change places.
fn swap_ranges(data: &mut [u8], random: &mut Random) {
    let range = some_range(data.len(), random);
    let middle = random.below(range.len() + 1);
    data[range].rotate_left(middle);
}

fn insert_interesting(data: &mut Vec<u8>, random: &mut Random) {
    let piece = INTERESTING[random.below(INTERESTING.len())];
    let at = random.below(data.len() + 1);
    data.splice(at..at, piece.iter().copied());
}

/// A range inside `len`, short more often than long.
fn some_range(len: usize, random: &mut Random) -> std::ops::Range<usize> {
    let start = random.below(len + 1);
    let longest = if random.below(4) == 0 { len } else { 16 };
    let size = random.below(longest.min(len - start) + 1);
    start..start + size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let run = || {
            let mut random = Random::new(7);
            let mut data = b"{\"a\":[1,2,3]}".to_vec();
            mutate(&mut data, b"other", &mut random);
            data
        };
        assert_eq!(run(), run());
    }

    #[test]
    fn mutation_starts_from_nothing_and_stays_bounded() {
        let mut random = Random::new(1);
        let mut data = Vec::new();
        for _ in 0..2_000 {
            mutate(&mut data, b"seed", &mut random);
            assert!(data.len() <= INPUT_BYTES);
        }
    }
}
