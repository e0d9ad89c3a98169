//! Whether a folded text contains any of a list of literals.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use hashbrown::HashMap;
use memchr::memmem;

use super::nibbles::{Nibbles, PIECES};
use super::witness::GRAM;

/// A search for many literals. Texts that contain none, the usual case, are read in vectors.
pub(super) enum LiteralSet {
    /// Few literals: four bytes of each are looked for first, short ones by themselves.
    Few(Few),
    /// Many.
    Many(AhoCorasick),
    /// More than an automaton takes: one after the other.
    Each(Vec<Box<[u8]>>),
}

/// Four bytes to the literals they stand for, each with the offset of the four bytes in it.
type Pieces = HashMap<[u8; GRAM], Vec<(usize, Box<[u8]>)>, foldhash::fast::FixedState>;

/// See [`LiteralSet::Few`].
pub(super) struct Few {
    nibbles: Nibbles,
    pieces: Pieces,
    /// Literals shorter than four bytes.
    short: Vec<memmem::Finder<'static>>,
}

impl LiteralSet {
    /// A search for `literals`.
    pub(super) fn new(literals: &[Box<[u8]>]) -> Self {
        if literals.len() <= PIECES {
            return Self::Few(Few::new(literals));
        }
        match AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(literals) {
            Ok(automaton) => Self::Many(automaton),
            Err(_) => Self::Each(literals.to_vec()),
        }
    }

    /// Whether one of the literals stands in `text`.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        match self {
            Self::Few(few) => few.is_in(text),
            Self::Many(automaton) => automaton.is_match(text),
            Self::Each(list) => list.iter().any(|literal| memmem::find(text, literal).is_some()),
        }
    }
}

impl Few {
    fn new(literals: &[Box<[u8]>]) -> Self {
        let mut pieces: Pieces = HashMap::default();
        for literal in literals {
            let windows = literal.windows(GRAM).enumerate().filter_map(|(at, w)| Some((at, *w.first_chunk::<GRAM>()?)));
            if let Some((at, piece)) = windows.min_by_key(|(_, piece)| commonness(piece)) {
                pieces.entry(piece).or_default().push((at, literal.clone()));
            }
        }
        let grams: Vec<u32> = pieces.keys().map(super::witness::gram).collect();
        let is_short = literals.iter().filter(|l| l.len() < GRAM);
        let short = is_short.map(|l| memmem::Finder::new(l).into_owned()).collect();
        Self { nibbles: Nibbles::new(&grams), pieces, short }
    }

    fn is_in(&self, text: &[u8]) -> bool {
        if self.short.iter().any(|finder| finder.find(text).is_some()) {
            return true;
        }
        let mut found = false;
        self.nibbles.scan(text, &mut |at| found = found || self.stands(text, at));
        found
    }

    fn stands(&self, text: &[u8], at: usize) -> bool {
        let list = text[at..].first_chunk::<GRAM>().and_then(|piece| self.pieces.get(piece));
        list.is_some_and(|list| {
            list.iter().any(|(offset, literal)| at >= *offset && text[at - offset..].starts_with(literal))
        })
    }
}

/// How common four bytes are in command lines and paths, roughly: vowels, frequent letters, separators.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "callers hold a reference into longer text")]
fn commonness(piece: &[u8; GRAM]) -> u32 {
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
    }
}
