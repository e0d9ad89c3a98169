//! What must stand in an event before a rule can hold.
//!
//! A rule's witness is a set of [`Sign`]s of which at least one shows whenever the rule's condition holds. Looking for
//! signs is cheap, so nearly all rules are dismissed without being evaluated. A sign may show without its rule holding
//! (letters are compared without regard to case and a few other bits); it may never be missing when the rule holds.

use khien_event::fields::Encoding;
use khien_event::names::FieldId;

use super::filter::whole_key;
use super::kind::{Items, Place as ItemPlace, RuleField};
use super::lessons::Frequencies;
use crate::rule::{Compare, Expr, Item, Link, Part, Test};

/// Something that shows in the raw bytes of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sign {
    /// Where: a field as rules name it, or [`super::kind::KEYWORDS`] for anywhere in the record.
    pub(super) field: RuleField,
    /// How its bytes stand in the value.
    pub(super) place: Place,
    start: u32,
    len: u32,
    /// Where in its bytes the rarest four begin.
    pub(super) rarest: u32,
    /// Of its bytes; see [`whole_key`].
    pub(super) hash: u64,
}

impl Sign {
    fn span(&self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// How a sign stands in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// It is the value.
    Whole,
    /// Inside.
    Inside,
    /// At its start.
    Start,
    /// At its end.
    End,
    /// Some character beyond ASCII stands in it; the sign has no bytes.
    BeyondAscii,
    /// The field is there at all; the sign has no bytes.
    Present,
}

/// The byte that stands for `byte` and its other case.
#[inline]
pub(super) fn soft(byte: u8) -> u8 {
    byte | 0x20
}

/// Shortest piece of text that can be searched for.
pub(super) const GRAM: usize = 4;

/// Four soft bytes as a number.
#[inline]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "callers hold a reference into longer text")]
pub(super) fn gram(bytes: &[u8; GRAM]) -> u32 {
    u32::from_le_bytes(*bytes) | 0x2020_2020
}

/// What is known of a condition without evaluating it.
#[derive(Debug)]
enum Outlook {
    /// It never holds on this route.
    Never,
    /// It always holds.
    Always,
    /// It may hold without any sign.
    Open,
    /// It holds only where one of these signs shows.
    Signs(Choice),
    /// It holds only where some sign shows, but looking for them costs more than the budget.
    Dear,
}

/// The signs of [`SignRoom::list`] from the first one on.
#[derive(Clone, Copy, Debug)]
struct Choice {
    price: f32,
    first: usize,
}

/// Finds the signs of one condition after the other.
pub(super) struct Signs<'a> {
    encoding: Encoding,
    frequencies: Frequencies<'a>,
    /// What signs may cost to be of interest: what cheaper ones cost that are known already.
    budget: f32,
    room: &'a mut SignRoom,
}

/// What [`Signs`] works with.
pub(super) struct SignRoom {
    /// The chosen signs.
    list: Vec<Sign>,
    /// Soft bytes (see [`soft`]) of signs as the encoding spells them.
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
}

impl SignRoom {
    /// Room for nearly every rule.
    pub(super) fn new() -> Self {
        Self { list: Vec::with_capacity(1 << 13), bytes: Vec::with_capacity(1 << 18), pieces: Vec::new() }
    }
}

/// A stretch of a literal that has one spelling in the record; a span of [`SignRoom::bytes`].
#[derive(Clone, Copy)]
struct Piece {
    start: u32,
    len: u32,
    at_start: bool,
    at_end: bool,
}

impl<'a> Signs<'a> {
    /// For records whose values are written in `encoding`.
    pub(super) fn new(encoding: Encoding, frequencies: Frequencies<'a>, room: &'a mut SignRoom) -> Self {
        Self { encoding, frequencies, budget: f32::INFINITY, room }
    }

    /// The cheapest witness of a condition; `None` when it may hold without any sign. `items` goes through its items.
    pub(super) fn witness(&mut self, condition: &Expr, items: &mut Items<'_>) -> Option<Witness> {
        self.room.list.clear();
        self.room.bytes.clear();
        match self.add(condition, items) {
            Outlook::Never | Outlook::Signs(_) => Some(self.chosen()),
            // Without a budget nothing is dear.
            Outlook::Always | Outlook::Open | Outlook::Dear => None,
        }
    }

    /// What was chosen, without what was not.
    fn chosen(&self) -> Witness {
        let length = self.room.list.iter().map(|sign| sign.len as usize).sum();
        let (mut list, mut bytes) = (self.room.list.clone(), Vec::with_capacity(length));
        for sign in &mut list {
            let start = bytes.len() as u32;
            bytes.extend_from_slice(&self.room.bytes[sign.span()]);
            sign.start = start;
        }
        Witness { list: list.into(), bytes: bytes.into() }
    }

    fn span(&self, start: u32, len: u32) -> &[u8] {
        &self.room.bytes[start as usize..(start + len) as usize]
    }

    /// Adds the cheapest witness of a condition to the list. `items` goes through its items.
    fn add(&mut self, expr: &Expr, items: &mut Items<'_>) -> Outlook {
        match expr {
            Expr::Named(_, inner) => self.add(inner, items),
            Expr::And(list) => self.cheapest(list, &mut |signs, e| signs.add(e, items)),
            Expr::Or(list) => self.union(list, 1, &mut |signs, e| signs.add(e, items)),
            Expr::AtLeast(count, list) => self.union(list, *count, &mut |signs, e| signs.add(e, items)),
            Expr::Not(inner) => match items.decide(inner) {
                Some(true) => Outlook::Never,
                Some(false) => Outlook::Always,
                None => Outlook::Open,
            },
            Expr::Item(item) => self.item(item, items.next()),
        }
    }

    fn item(&mut self, item: &Item, place: ItemPlace<'_>) -> Outlook {
        match (place.known, item.link) {
            (Some(true), _) => Outlook::Always,
            (Some(false), _) => Outlook::Never,
            (None, Link::All) => self.cheapest(&item.tests, &mut |signs, test| signs.test(test, &place)),
            (None, Link::Any) => self.any_of(&item.tests, &mut |signs, test| signs.test(test, &place)),
        }
    }

    /// The witness of a conjunction: the cheapest of its parts'.
    fn cheapest<T>(&mut self, parts: &[T], outlook: &mut dyn FnMut(&mut Self, &T) -> Outlook) -> Outlook {
        let (before, budget) = (self.room.list.len(), self.budget);
        let mut best: Option<Choice> = None;
        let (mut never, mut open, mut dear) = (false, false, false);
        for part in parts {
            match outlook(self, part) {
                Outlook::Never => never = true,
                Outlook::Always => {}
                Outlook::Open => open = true,
                Outlook::Dear => dear = true,
                Outlook::Signs(choice) => {
                    let cheaper = self.cheaper(best, choice);
                    self.budget = self.budget.min(cheaper.price);
                    best = Some(cheaper);
                }
            }
        }
        self.budget = budget;
        match best {
            _ if never => {
                self.room.list.truncate(before);
                Outlook::Never
            }
            Some(choice) => Outlook::Signs(choice),
            None if dear => Outlook::Dear,
            None if open => Outlook::Open,
            None => Outlook::Always,
        }
    }

    /// Keeps one of two choices, of which `new` stands at the end of the list and `old` directly before it.
    fn cheaper(&mut self, old: Option<Choice>, new: Choice) -> Choice {
        match old {
            Some(old) if old.price <= new.price => {
                self.room.list.truncate(new.first);
                old
            }
            Some(old) => {
                self.room.list.drain(old.first..new.first);
                Choice { first: old.first, ..new }
            }
            None => new,
        }
    }

    /// The witness of "at least `count` of these": that of every part. Conditions are gone through to their end, because
    /// their items must be.
    fn union<T>(&mut self, parts: &[T], count: u32, outlook: &mut dyn FnMut(&mut Self, &T) -> Outlook) -> Outlook {
        let budget = self.budget;
        let mut choice = Choice { price: 0.0, first: self.room.list.len() };
        let (mut sure, mut possible, mut open, mut dear) = (0, 0, false, false);
        for part in parts {
            self.budget = if open || dear { 0.0 } else { budget - choice.price };
            match outlook(self, part) {
                Outlook::Never => {}
                Outlook::Always => sure += 1,
                Outlook::Open => (open, possible) = (true, possible + 1),
                Outlook::Dear => (dear, possible) = (true, possible + 1),
                Outlook::Signs(signs) => {
                    choice.price += signs.price;
                    possible += 1;
                }
            }
            dear |= choice.price > budget;
        }
        self.budget = budget;
        let missing = count.saturating_sub(sure);
        let outlook = match () {
            () if missing == 0 => Outlook::Always,
            () if possible < missing => Outlook::Never,
            () if open => Outlook::Open,
            () if dear => Outlook::Dear,
            () => return Outlook::Signs(choice),
        };
        self.room.list.truncate(choice.first);
        outlook
    }

    /// The witness of "any of these", none of which has items of its own: over at the first that settles it.
    fn any_of<T>(&mut self, parts: &[T], outlook: &mut dyn FnMut(&mut Self, &T) -> Outlook) -> Outlook {
        let mut settled = false;
        self.union(parts, 1, &mut |signs, part| {
            if settled {
                return Outlook::Never;
            }
            let found = outlook(signs, part);
            settled = matches!(found, Outlook::Always | Outlook::Open | Outlook::Dear);
            found
        })
    }

    fn test(&mut self, test: &Test, place: &ItemPlace<'_>) -> Outlook {
        match test {
            Test::Null | Test::Exists(false) => Outlook::Open,
            Test::Text(parts, _) => self.text(place, parts),
            Test::Regex(regex) => self.regex(place, &regex.required),
            Test::Number(Compare::Eq, number) => self.number(place, *number),
            Test::FieldRef(..)
            | Test::Exists(true)
            | Test::Cidr(_)
            | Test::Number(..)
            | Test::Bool(_)
            | Test::TimePart(..) => self.present(place),
        }
    }

    /// A text pattern: a literal at one place, or anything else, which holds only where its literals stand.
    fn text(&mut self, place: &ItemPlace<'_>, parts: &[Part]) -> Outlook {
        match parts {
            [] => self.literal(place, Place::Whole, ""),
            [Part::Any] => self.present(place),
            [Part::Literal(text)] => self.literal(place, Place::Whole, text),
            [Part::Any, Part::Literal(text), Part::Any] => self.literal(place, Place::Inside, text),
            [Part::Literal(text), Part::Any] => self.literal(place, Place::Start, text),
            [Part::Any, Part::Literal(text)] => self.literal(place, Place::End, text),
            _ => {
                let literals = parts.iter().filter_map(|part| match part {
                    Part::Literal(literal) => Some(literal),
                    Part::One | Part::Any => None,
                });
                self.room.pieces.clear();
                literals.for_each(|literal| self.cut(literal));
                self.rarest_inside(place).map_or_else(|| self.present(place), Outlook::Signs)
            }
        }
    }

    fn present(&mut self, place: &ItemPlace<'_>) -> Outlook {
        self.signs(place, Place::Present, (0, 0)).map_or(Outlook::Open, Outlook::Signs)
    }

    /// The sign at `kind` of place in every field of an item; `None` when that cannot be looked for.
    fn signs(&mut self, place: &ItemPlace<'_>, kind: Place, (start, len): (u32, u32)) -> Option<Choice> {
        let anywhere = [FieldId::OTHER];
        let fields = match kind {
            _ if !place.is_keywords() => place.fields,
            Place::Inside | Place::BeyondAscii => &anywhere,
            Place::Whole | Place::Start | Place::End | Place::Present => return None,
        };
        let bytes = self.span(start, len);
        let (price, rarest) = self.frequencies.price(fields, kind, bytes);
        let hash = whole_key(bytes);
        let first = self.room.list.len();
        self.room.list.push(Sign { field: place.field, place: kind, start, len, rarest, hash });
        Some(Choice { price, first })
    }

    fn literal(&mut self, place: &ItemPlace<'_>, kind: Place, literal: &str) -> Outlook {
        self.room.pieces.clear();
        self.cut(literal);
        let whole = |p: &&Piece| p.at_start && p.at_end;
        let long = |p: &&Piece| p.len as usize >= GRAM;
        let anchored = match kind {
            Place::Whole => self.room.pieces.first().filter(whole),
            Place::Start => self.room.pieces.first().filter(|p| p.at_start).filter(long),
            Place::End => self.room.pieces.last().filter(|p| p.at_end).filter(long),
            Place::Inside | Place::BeyondAscii | Place::Present => None,
        };
        let anchored = anchored.copied().filter(|_| !place.is_keywords());
        let best = match anchored {
            Some(piece) => self.signs(place, kind, (piece.start, piece.len)),
            None => self.rarest_inside(place),
        };
        self.or_beyond_ascii(best, place, literal).map_or_else(|| self.present(place), Outlook::Signs)
    }

    /// The cheaper of `best` and that the value has something beyond ASCII, when `literal` has: ASCII is never equal to
    /// anything beyond it, whatever the case.
    fn or_beyond_ascii(&mut self, best: Option<Choice>, place: &ItemPlace<'_>, literal: &str) -> Option<Choice> {
        if literal.is_ascii() {
            return best;
        }
        match self.signs(place, Place::BeyondAscii, (0, 0)) {
            Some(beyond) => Some(self.cheaper(best, beyond)),
            None => best,
        }
    }

    /// The rarest piece, anywhere in the value; `None` when all are too short.
    fn rarest_inside(&mut self, place: &ItemPlace<'_>) -> Option<Choice> {
        let mut best = None;
        for at in 0..self.room.pieces.len() {
            let piece = self.room.pieces[at];
            if piece.len as usize >= GRAM
                && let Some(choice) = self.signs(place, Place::Inside, (piece.start, piece.len))
            {
                best = Some(self.cheaper(best, choice));
            }
        }
        best
    }

    /// A regular expression holds only if one literal of each required list stands in the text.
    fn regex(&mut self, place: &ItemPlace<'_>, required: &[Vec<String>]) -> Outlook {
        let outlook = self.cheapest(required, &mut |signs, list| {
            signs.any_of(list, &mut |signs, literal| {
                signs.room.pieces.clear();
                signs.cut(literal);
                let inside = signs.rarest_inside(place);
                signs.or_beyond_ascii(inside, place, literal).map_or(Outlook::Open, Outlook::Signs)
            })
        });
        match outlook {
            Outlook::Signs(_) | Outlook::Dear => outlook,
            Outlook::Never | Outlook::Always | Outlook::Open => self.present(place),
        }
    }

    /// An integer shows as its digits; [`super::filter`] brings other spellings into that form.
    fn number(&mut self, place: &ItemPlace<'_>, number: f64) -> Outlook {
        let Some(digits) = integer_digits(number) else {
            return self.present(place);
        };
        let start = self.room.bytes.len() as u32;
        self.room.bytes.extend(digits.bytes().map(soft));
        let found = self.signs(place, Place::Whole, (start, digits.len() as u32));
        found.map_or(Outlook::Open, Outlook::Signs)
    }

    /// Cuts a literal into the stretches that have one spelling: printable ASCII, with JSON's `\\` and `\"`. Letters
    /// beyond ASCII are left out because folding may change their bytes, control characters because JSON has two
    /// spellings.
    fn cut(&mut self, literal: &str) {
        let mut start = self.room.bytes.len();
        let mut at_start = true;
        for byte in literal.bytes() {
            if (0x20..0x7F).contains(&byte) {
                if self.encoding == Encoding::Json && matches!(byte, b'\\' | b'"') {
                    self.room.bytes.push(soft(b'\\'));
                }
                self.room.bytes.push(soft(byte));
                continue;
            }
            if self.room.bytes.len() > start {
                self.piece(start, at_start, false);
            }
            start = self.room.bytes.len();
            at_start = false;
        }
        let at_end = literal.bytes().next_back().is_none_or(|b| (0x20..0x7F).contains(&b));
        if self.room.bytes.len() > start || literal.is_empty() {
            self.piece(start, at_start, at_end);
        }
    }

    fn piece(&mut self, start: usize, at_start: bool, at_end: bool) {
        let len = (self.room.bytes.len() - start) as u32;
        self.room.pieces.push(Piece { start: start as u32, len, at_start, at_end });
    }
}

/// The signs of one condition.
pub(super) struct Witness {
    pub(super) list: Box<[Sign]>,
    bytes: Box<[u8]>,
}

impl Witness {
    /// The bytes of a sign.
    pub(super) fn bytes(&self, sign: &Sign) -> &[u8] {
        &self.bytes[sign.span()]
    }
}

/// The one spelling of an integer, `None` for other numbers.
pub(super) fn integer_digits(number: f64) -> Option<String> {
    (number.fract() == 0.0 && number.abs() < 9.0e15).then(|| format!("{}", number as i64))
}

#[cfg(test)]
mod tests {
    use super::super::lessons::{GramCounts, Lessons};
    use super::*;

    #[test]
    fn a_literal_is_cut_where_its_spelling_is_open() {
        let (lessons, common) = (Lessons::default(), GramCounts::default());
        let cut = |text: &str| {
            let mut room = SignRoom::new();
            let mut signs = Signs::new(Encoding::Json, Frequencies { lessons: &lessons, common: &common }, &mut room);
            signs.cut(text);
            let text = |p: &Piece| String::from_utf8_lossy(signs.span(p.start, p.len)).into_owned();
            signs.room.pieces.iter().map(|p| (text(p), p.at_start, p.at_end)).collect::<Vec<_>>()
        };
        assert_eq!(cut("abc"), [("abc".into(), true, true)]);
        assert_eq!(cut("a\\b"), [("a||b".into(), true, true)]);
        assert_eq!(cut("abđcd\n"), [("ab".into(), true, false), ("cd".into(), false, false)]);
        assert_eq!(cut(""), [(String::new(), true, true)]);
        assert_eq!(cut("đ"), []);
    }

    #[test]
    fn soft_bytes_forget_case() {
        assert_eq!(soft(b'A'), soft(b'a'));
    }
}
