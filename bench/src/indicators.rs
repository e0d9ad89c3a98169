//! A list of synthetic indicators of every kind.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Result;

use crate::rng::{Rng, token};

/// Writes `count` distinct indicators as a plain list: of 20, six addresses, one network, six domains, four SHA-256,
/// one MD5, one URL, one e-mail address.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, count: u64) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for number in 0..count {
        writeln!(out, "{}", indicator(number))?;
    }
    out.flush()?;
    Ok(())
}

/// Public addresses are made by a bijection of 24 bits below first bytes that no recording here uses as its own.
fn indicator(number: u64) -> String {
    let mut rng = Rng::new(number);
    let word = token(number);
    match number % 20 {
        0..6 => address(number, 45),
        6 => format!("{}/28", address((number / 20) * 16, 151)),
        7..13 => format!("{word}.{}", ["example.com", "test-net.org", "bench.example"][rng.below(3)]),
        13..17 => rng.hex(64, false),
        17 => rng.hex(32, false),
        18 => format!("http://{word}.example.net/{}/{word}.bin", rng.hex(6, false)),
        _ => format!("{word}@mail.example.org"),
    }
}

fn address(number: u64, first: u8) -> String {
    let [_, carry, a, b, c] = [0, (number >> 24) as u8, (number >> 16) as u8, (number >> 8) as u8, number as u8];
    format!("{}.{a}.{b}.{c}", first.wrapping_add(carry))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn indicators_are_distinct() {
        let all: HashSet<String> = (0..100_000).map(indicator).collect();
        assert_eq!(all.len(), 100_000);
    }
}
