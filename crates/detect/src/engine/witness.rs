//! What must stand in an event before a rule can hold.
//!
//! A rule's witness is a set of [`Sign`]s of which at least one shows whenever the rule's condition holds. Looking for
//! signs is cheap, so nearly all rules are dismissed without being evaluated. A sign may show without its rule holding
//! (letters are compared without regard to case and a few other bits); it may never be missing when the rule holds.

use khien_event::fields::Encoding;

use super::plan::{Check, ItemNode, Node, Shape, Target, Token};
use super::values::Slot;
use crate::rule::Link;

/// Something that shows in the raw bytes of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Sign {
    /// Where: a field, or `None` for anywhere in the record.
    pub(super) slot: Option<Slot>,
    /// How `bytes` stand in the value.
    pub(super) place: Place,
    /// Soft bytes (see [`soft`]) as the encoding spells them.
    pub(super) bytes: Box<[u8]>,
}

/// How a sign stands in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    /// It is the value.
    Whole,
    /// Inside.
    Inside,
    /// At its start.
    Start,
    /// At its end.
    End,
    /// Some character beyond ASCII stands in it; `bytes` is empty.
    BeyondAscii,
    /// The field is there at all; `bytes` is empty.
    Present,
}

/// The byte that stands for `byte` and its other case.
#[inline]
pub(super) fn soft(byte: u8) -> u8 {
    byte | 0x20
}

/// Shortest piece of text that can be searched for.
pub(super) const GRAM: usize = 4;

/// How often signs show, as far as known.
pub(super) trait Frequencies {
    /// The expected share of events in which `sign` shows, plus the price of looking.
    fn price(&self, sign: &Sign) -> f32;
}

/// Finds the cheapest witness of `node`, or `None` when the rule may hold without any sign.
pub(super) fn witness(node: &Node, encoding: Encoding, frequencies: &dyn Frequencies) -> Option<Vec<Sign>> {
    Search { encoding, frequencies }.node(node).map(|choice| choice.signs)
}

struct Search<'a> {
    encoding: Encoding,
    frequencies: &'a dyn Frequencies,
}

struct Choice {
    price: f32,
    signs: Vec<Sign>,
}

impl Search<'_> {
    fn node(&self, node: &Node) -> Option<Choice> {
        match node {
            Node::Const(true) | Node::Not(_) => None,
            Node::Const(false) => Some(Choice { price: 0.0, signs: Vec::new() }),
            Node::And(list) => cheapest(list.iter().filter_map(|n| self.node(n))),
            Node::Or(list) | Node::AtLeast(_, list) => union(list.iter().map(|n| self.node(n))),
            Node::Item(item) => self.item(item),
        }
    }

    fn item(&self, item: &ItemNode) -> Option<Choice> {
        let tests = item.tests.iter().map(|c| self.check(&item.target, c));
        match (&item.group, item.link) {
            (None, Link::All) => cheapest(tests.flatten()),
            (None, Link::Any) => union(tests),
            (Some(group), _) => {
                let equal = group.equal.iter().map(|l| self.literal(&item.target, Shape::Equals, l));
                let contained = group.contained.iter().map(|l| self.literal(&item.target, Shape::Contains, l));
                let ends = group.ends.iter().map(|l| self.literal(&item.target, Shape::EndsWith, l));
                union(tests.chain(equal).chain(contained).chain(ends))
            }
        }
    }

    fn check(&self, target: &Target, check: &Check) -> Option<Choice> {
        match check {
            Check::Null | Check::Exists(false) => None,
            Check::Text { shape, literal, .. } => self.literal(target, *shape, literal),
            Check::Contains { needle, .. } => self.literal(target, Shape::Contains, &needle.literal),
            Check::Glob { tokens, .. } => self.glob(target, tokens),
            Check::Regex(regex) => self.regex(target, regex.required()),
            Check::Number(crate::rule::Compare::Eq, number) => self.number(target, *number),
            Check::FieldRef { .. }
            | Check::Exists(true)
            | Check::Cidr(_)
            | Check::Number(..)
            | Check::Bool(_)
            | Check::TimePart(..) => self.present(target),
        }
    }

    fn present(&self, target: &Target) -> Option<Choice> {
        self.signs(target, Place::Present, &[])
    }

    /// The sign `bytes` at `place` in every field of `target`.
    fn signs(&self, target: &Target, place: Place, bytes: &[u8]) -> Option<Choice> {
        let slots: Vec<Option<Slot>> = match target {
            Target::Slots(slots) => slots.iter().map(|&s| Some(s)).collect(),
            Target::Everywhere if matches!(place, Place::Inside | Place::BeyondAscii) => vec![None],
            Target::Everywhere => return None,
        };
        let signs: Vec<Sign> = slots.into_iter().map(|slot| Sign { slot, place, bytes: bytes.into() }).collect();
        Some(Choice { price: signs.iter().map(|s| self.frequencies.price(s)).sum(), signs })
    }

    fn literal(&self, target: &Target, shape: Shape, literal: &[u8]) -> Option<Choice> {
        let pieces = pieces(literal, self.encoding);
        // ASCII is never equal to anything beyond it, whatever the case.
        let beyond = || (!literal.is_ascii()).then(|| self.signs(target, Place::BeyondAscii, &[])).flatten();
        let inside = || self.longest_inside(target, &pieces).or_else(beyond);
        if let Target::Everywhere = target {
            return inside();
        }
        let all = pieces.first().filter(|p| p.at_start && p.at_end).map(|p| &*p.bytes);
        let anchored = match shape {
            Shape::Equals => all.map(|b| (Place::Whole, b)),
            Shape::StartsWith => pieces.first().filter(|p| p.at_start).map(|p| (Place::Start, &*p.bytes)),
            Shape::EndsWith => pieces.last().filter(|p| p.at_end).map(|p| (Place::End, &*p.bytes)),
            Shape::Contains => None,
        };
        let long_enough = |place, bytes: &[u8]| place == Place::Whole || bytes.len() >= GRAM;
        let anchored =
            anchored.filter(|(place, bytes)| long_enough(*place, bytes)).and_then(|(p, b)| self.signs(target, p, b));
        anchored.or_else(inside).or_else(|| self.present(target))
    }

    /// The longest piece, anywhere in the value.
    fn longest_inside(&self, target: &Target, pieces: &[Piece]) -> Option<Choice> {
        let long = pieces.iter().filter(|p| p.bytes.len() >= GRAM);
        cheapest(long.filter_map(|p| self.signs(target, Place::Inside, &p.bytes)))
    }

    fn glob(&self, target: &Target, tokens: &[Token]) -> Option<Choice> {
        let literals = tokens.iter().filter_map(|t| match t {
            Token::Literal(literal) => Some(literal),
            Token::One | Token::Any => None,
        });
        let inside = cheapest(literals.filter_map(|l| self.longest_inside(target, &pieces(l, self.encoding))));
        inside.or_else(|| self.present(target))
    }

    /// A regular expression holds only if one of its required literals stands in the text.
    fn regex(&self, target: &Target, required: &[Vec<u8>]) -> Option<Choice> {
        let signs = required.iter().map(|literal| self.longest_inside(target, &pieces(literal, self.encoding)));
        let found = if required.is_empty() { None } else { union(signs) };
        found.or_else(|| self.present(target))
    }

    /// An integer shows as its digits; [`super::filter`] brings other spellings into that form.
    fn number(&self, target: &Target, number: f64) -> Option<Choice> {
        match integer_digits(number) {
            Some(digits) => self.signs(target, Place::Whole, &digits.bytes().map(soft).collect::<Vec<u8>>()),
            None => self.present(target),
        }
    }
}

/// The one spelling of an integer, `None` for other numbers.
pub(super) fn integer_digits(number: f64) -> Option<String> {
    (number.fract() == 0.0 && number.abs() < 9.0e15).then(|| format!("{}", number as i64))
}

fn cheapest(choices: impl Iterator<Item = Choice>) -> Option<Choice> {
    choices.min_by(|a, b| a.price.total_cmp(&b.price))
}

fn union(choices: impl Iterator<Item = Option<Choice>>) -> Option<Choice> {
    let mut all = Choice { price: 0.0, signs: Vec::new() };
    for choice in choices {
        let choice = choice?;
        all.price += choice.price;
        all.signs.extend(choice.signs);
    }
    Some(all)
}

/// A stretch of a literal that has one spelling in the record.
struct Piece {
    bytes: Vec<u8>,
    at_start: bool,
    at_end: bool,
}

/// Cuts a literal into the stretches that have one spelling: printable ASCII, with JSON's `\\` and `\"`. Letters
/// beyond ASCII are left out because folding may change their bytes, control characters because JSON has two spellings.
fn pieces(literal: &[u8], encoding: Encoding) -> Vec<Piece> {
    let mut list = Vec::new();
    let mut bytes = Vec::new();
    let mut at_start = true;
    for &byte in literal {
        if (0x20..0x7F).contains(&byte) {
            if encoding == Encoding::Json && matches!(byte, b'\\' | b'"') {
                bytes.push(soft(b'\\'));
            }
            bytes.push(soft(byte));
        } else {
            if !bytes.is_empty() {
                list.push(Piece { bytes: std::mem::take(&mut bytes), at_start, at_end: false });
            }
            at_start = false;
        }
    }
    let at_end = literal.last().is_none_or(|b| (0x20..0x7F).contains(b));
    if !bytes.is_empty() || literal.is_empty() {
        list.push(Piece { bytes, at_start, at_end });
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_cut_where_its_spelling_is_open() {
        let cut = |text: &str| {
            let list = pieces(text.as_bytes(), Encoding::Json);
            list.into_iter()
                .map(|p| (String::from_utf8_lossy(&p.bytes).into_owned(), p.at_start, p.at_end))
                .collect::<Vec<_>>()
        };
        assert_eq!(cut("abc"), [("abc".into(), true, true)]);
        assert_eq!(cut("a\\b"), [("a||b".into(), true, true)]);
        assert_eq!(cut("abđcd\n"), [("ab".into(), true, false), ("cd".into(), false, false)]);
        assert_eq!(cut(""), [(String::new(), true, true)]);
        assert_eq!(cut("đ"), []);
    }
}
