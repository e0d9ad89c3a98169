//! Whether a folded text contains any of a list of literals, or ends with one.

use memchr::memmem;

use super::eval::ends_with;
use super::filter::tail_key;
use super::grams::{Grams, Table};
use super::witness::{GRAM, gram};

/// A search for many literals.
pub(super) struct LiteralSet {
    literals: Vec<Box<[u8]>>,
    grams: Grams,
    /// Literals shorter than four bytes.
    short: Vec<memmem::Finder<'static>>,
}

impl LiteralSet {
    /// A search for `literals`.
    pub(super) fn new(literals: &[Box<[u8]>]) -> Self {
        let rarest = |(id, literal): (usize, &[u8])| {
            let windows = literal.windows(GRAM).enumerate().filter_map(|(at, w)| Some((at, w.first_chunk::<GRAM>()?)));
            let (at, piece) = windows.min_by_key(|(_, piece)| commonness(piece))?;
            Some((gram(piece), (id as u32, at as u32)))
        };
        let mut pieces: Vec<(u32, (u32, u32))> =
            literals.iter().map(AsRef::as_ref).enumerate().filter_map(rarest).collect();
        pieces.sort_unstable();
        let mut table = Table::with_capacity(pieces.len());
        for (gram, place) in pieces {
            table.push(gram, place);
        }
        let is_short = literals.iter().filter(|l| l.len() < GRAM);
        Self {
            grams: Grams::new(table),
            short: is_short.map(|l| memmem::Finder::new(l).into_owned()).collect(),
            literals: literals.to_vec(),
        }
    }

    /// Whether one of the literals stands in `text`.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        let mut found = self.short.iter().any(|finder| finder.find(text).is_some());
        if !found {
            self.grams.scan(text, &mut |id, start| {
                found = text.get(start..).is_some_and(|rest| rest.starts_with(&self.literals[id as usize]));
                found
            });
        }
        found
    }
}

/// Literals that a folded text may end with, found by their last eight bytes.
#[derive(Default)]
pub(super) struct Ends {
    long: Table<u64, Box<[u8]>>,
    /// Those shorter than eight bytes.
    short: Vec<Box<[u8]>>,
}

/// Bytes that the table looks at.
const TAIL: usize = 8;

impl Ends {
    pub(super) fn new(literals: Vec<Box<[u8]>>) -> Self {
        let (mut long, short): (Vec<_>, Vec<_>) = literals.into_iter().partition(|literal| literal.len() >= TAIL);
        long.sort_by_cached_key(|literal| tail_key(literal, TAIL));
        let mut table = Table::with_capacity(long.len());
        for literal in long {
            table.push(tail_key(&literal, TAIL), literal);
        }
        Self { long: table, short }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.long.is_empty() && self.short.is_empty()
    }

    /// Whether `text` ends with one of the literals.
    pub(super) fn is_end_of(&self, text: &[u8]) -> bool {
        self.short.iter().any(|end| ends_with(text, end))
            || (text.len() >= TAIL && self.long.get(tail_key(text, TAIL)).iter().any(|end| ends_with(text, end)))
    }
}

/// How common four bytes are in command lines and paths, roughly: vowels, frequent letters, separators.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "callers hold a reference into longer text")]
pub(super) fn commonness(piece: &[u8; GRAM]) -> u32 {
    piece
        .iter()
        .map(|byte| match byte {
            b'e' | b's' | b't' | b'i' | b'n' | b'o' | b'r' | b'a' | b' ' | b'\\' | b'.' => 4,
            b'l' | b'c' | b'd' | b'm' | b'p' | b'u' | b'-' | b'/' | b'x' | b'w' => 3,
            b'a'..=b'z' | b'0'..=b'9' => 2,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_is_there(text in "[a-d]{0,120}", literals in prop::collection::vec("[a-d]{1,8}", 1..20)) {
            let literals: Vec<Box<[u8]>> = literals.iter().map(|l| l.as_bytes().into()).collect();
            let expected = literals.iter().any(|l| memmem::find(text.as_bytes(), l).is_some());
            prop_assert_eq!(LiteralSet::new(&literals).is_in(text.as_bytes()), expected);
            let long: Vec<Box<[u8]>> = literals.into_iter().filter(|l| l.len() >= GRAM).collect();
            let expected = long.iter().any(|l| memmem::find(text.as_bytes(), l).is_some());
            prop_assert_eq!(LiteralSet::new(&long).is_in(text.as_bytes()), expected);
        }

        #[test]
        fn finds_ends(text in "[ab.]{0,16}", ends in prop::collection::vec("[ab.]{0,12}", 0..20)) {
            let expected = ends.iter().any(|end| text.ends_with(end));
            let ends = Ends::new(ends.iter().map(|end| end.as_bytes().into()).collect());
            prop_assert_eq!(ends.is_end_of(text.as_bytes()), expected);
        }
    }
}
