//! Numbers that look random and are the same on every machine.

/// `SplitMix64` of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A sequence of its own for each `seed`.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`, 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        match end {
            0 => 0,
            end => (self.next_u64() % end as u64) as usize,
        }
    }

    /// True in about `percent` of 100 calls.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// `length` hexadecimal digits.
    pub fn hex(&mut self, length: usize, upper: bool) -> String {
        let digits: &[u8; 16] = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
        (0..length).map(|_| char::from(digits[self.below(16)])).collect()
    }
}

/// A bijection of 64-bit numbers that leaves no pattern (the finalizer of `SplitMix64`).
pub fn mix(number: u64) -> u64 {
    let a = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    b ^ (b >> 31)
}

/// `number` with digits and small letters.
pub fn base36(mut number: u64) -> String {
    let mut digits = Vec::with_capacity(13);
    loop {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize]);
        number /= 36;
        if number == 0 {
            break;
        }
    }
    digits.iter().rev().map(|&digit| char::from(digit)).collect()
}

/// A token of seven or fewer characters that is different for each of the first 2³⁴ numbers.
pub fn token(number: u64) -> String {
    const BITS: u64 = (1 << 34) - 1;
    // Odd multiplication and the xor with higher bits are bijections of 34-bit numbers.
    let a = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) & BITS;
    let b = (a ^ (a >> 17)).wrapping_mul(0xd6e8_feb8_6659_fd93) & BITS;
    base36(b ^ (b >> 17))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn tokens_never_repeat() {
        let tokens: HashSet<String> = (0..200_000).map(token).collect();
        assert_eq!(tokens.len(), 200_000);
        assert!(tokens.iter().all(|token| token.len() <= 7));
    }

    #[test]
    fn a_seed_is_a_sequence() {
        let numbers = |seed| {
            let mut rng = Rng::new(seed);
            [rng.next_u64(), rng.next_u64()]
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
        assert_eq!(base36(36), "10");
        assert_eq!(Rng::new(1).hex(40, false).len(), 40);
    }
}
