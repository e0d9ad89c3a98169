//! Whether a condition holds for an event, exactly.

use std::net::IpAddr;

use khien_event::fields::Kind;
use khien_event::names::FieldId;
use memchr::memmem;

use super::kind::RuleField;
use super::plan::{Check, Group, ItemNode, Node, Shape, Target, Token};
use super::values::{Source, ValueRef, Values};
use crate::rule::{Case, Compare, Link, TextOp, TimePart};
use crate::text::number;

/// The event under evaluation.
pub(super) struct Evaluation<'a> {
    pub(super) source: Source<'a>,
    pub(super) values: &'a mut Values,
    /// All values of the event, for keywords; see [`Everything`].
    pub(super) everything: &'a mut dyn Everything,
}

/// The texts of all values of an event, for keyword items. Fetched only when a keyword item is evaluated.
pub(super) trait Everything {
    /// Calls `test` with every text, plain and folded, until it says yes. Returns whether it did.
    fn any(&mut self, test: &mut dyn FnMut(Texts<'_>) -> bool) -> bool;
}

/// A text in both spellings.
#[derive(Clone, Copy)]
pub(super) struct Texts<'a> {
    pub(super) plain: &'a [u8],
    pub(super) folded: &'a [u8],
}

impl<'a> Texts<'a> {
    fn of(self, case: Case) -> &'a [u8] {
        match case {
            Case::Fold => self.folded,
            Case::Exact => self.plain,
        }
    }
}

/// What makes an item hold.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Shown {
    /// A value of its field.
    Value(ValueRef),
    /// A text of the event, for keywords.
    Text(String),
    /// That there is no value.
    Absence,
}

/// Most texts that are shown for one keyword item.
const KEYWORD_TEXTS: usize = 4;

impl Evaluation<'_> {
    /// Whether `node` holds.
    pub(super) fn holds(&mut self, node: &Node) -> bool {
        match node {
            Node::Const(value) => *value,
            Node::And(list) => list.iter().all(|n| self.holds(n)),
            Node::Or(list) => list.iter().any(|n| self.holds(n)),
            Node::Not(inner) => !self.holds(inner),
            Node::AtLeast(count, list) => {
                let mut open = *count;
                list.iter().any(|n| {
                    open -= u32::from(self.holds(n));
                    open == 0
                })
            }
            Node::Item(item) => self.item_holds(item),
        }
    }

    fn item_holds(&mut self, item: &ItemNode) -> bool {
        if let Some(group) = &item.group
            && self.group_holds(&item.target, group)
        {
            return true;
        }
        match item.link {
            Link::Any => item.tests.iter().any(|c| self.check_holds(&item.target, c)),
            Link::All => item.tests.iter().all(|c| self.check_holds(&item.target, c)),
        }
    }

    fn group_holds(&mut self, target: &Target, group: &Group) -> bool {
        match target {
            Target::Everywhere => self.everything.any(&mut |texts| group.holds(texts.folded)),
            Target::Fields(fields) => self.any_value(fields, |eval, value| eval.group_holds_for(value, group)),
        }
    }

    fn group_holds_for(&mut self, value: ValueRef, group: &Group) -> bool {
        if let Some(found) = self.values.raw(value, self.source).and_then(|raw| group.holds_raw(raw)) {
            return found;
        }
        self.values.folded(value, self.source).is_some_and(|folded| group.holds(folded))
    }

    /// Whether `test` holds for some value of `fields`.
    fn any_value(&mut self, fields: &[FieldId], mut test: impl FnMut(&mut Self, ValueRef) -> bool) -> bool {
        for &field in fields {
            let mut at = self.values.first(field);
            while let Some(value) = at {
                if test(self, value) {
                    return true;
                }
                at = self.values.next(value);
            }
        }
        false
    }

    fn check_holds(&mut self, target: &Target, check: &Check) -> bool {
        let fields = match target {
            Target::Fields(fields) => fields,
            Target::Everywhere => {
                return self.everything.any(&mut |texts| text_check_holds(check, texts));
            }
        };
        match check {
            Check::Null => {
                let absent = fields.iter().all(|&f| self.values.first(f).is_none());
                absent || self.any_value(fields, |eval, value| eval.values.kind(value) == Kind::Null)
            }
            Check::Exists(wanted) => fields.iter().any(|&f| self.values.first(f).is_some()) == *wanted,
            Check::FieldRef { fields: others, op, case } => {
                self.any_value(fields, |eval, value| eval.relates(value, others, *op, *case))
            }
            _ => self.any_value(fields, |eval, value| eval.value_holds(value, check)),
        }
    }

    fn value_holds(&mut self, value: ValueRef, check: &Check) -> bool {
        if matches!(check, Check::AnyText) {
            return self.values.has_text(value);
        }
        if let Check::Regex(regex) = check {
            return self.values.texts(value, self.source).is_some_and(|(plain, folded)| regex.holds(plain, folded));
        }
        if let Check::Contains { needle, case: Case::Fold } = check
            && let Some(found) = self.values.raw(value, self.source).and_then(|raw| needle.is_in_raw(raw))
        {
            return found;
        }
        let text = match check {
            Check::Text { case: Case::Fold, .. }
            | Check::Contains { case: Case::Fold, .. }
            | Check::Glob { case: Case::Fold, .. } => self.values.folded(value, self.source),
            _ => self.values.text(value, self.source),
        };
        text.is_some_and(|t| text_check_holds(check, Texts { plain: t, folded: t }))
    }

    /// Whether the text of `value` relates to some text of `others`.
    fn relates(&mut self, value: ValueRef, others: &[FieldId], op: TextOp, case: Case) -> bool {
        let Some(left) = self.text_in(value, case) else {
            return false;
        };
        self.any_value(others, |eval, other| {
            let Some(right) = eval.text_in(other, case) else {
                return false;
            };
            match op {
                TextOp::Equals => left == right,
                TextOp::Contains => memmem::find(&left, &right).is_some(),
                TextOp::StartsWith => left.starts_with(&right),
                TextOp::EndsWith => left.ends_with(&right),
            }
        })
    }

    fn text_in(&mut self, value: ValueRef, case: Case) -> Option<Vec<u8>> {
        match case {
            Case::Fold => self.values.folded(value, self.source),
            Case::Exact => self.values.text(value, self.source),
        }
        .map(<[u8]>::to_vec)
    }

    /// Appends to `out` what makes `node` hold, given that it does: the field of each item with each value that fulfils
    /// it.
    pub(super) fn matched(&mut self, node: &Node, out: &mut Vec<(RuleField, Shown)>) {
        match node {
            Node::Const(_) | Node::Not(_) => {}
            Node::And(list) => list.iter().for_each(|n| self.matched(n, out)),
            Node::Or(list) | Node::AtLeast(_, list) => {
                for child in list {
                    if self.holds(child) {
                        self.matched(child, out);
                    }
                }
            }
            Node::Item(item) => self.matched_item(item, out),
        }
    }

    fn matched_item(&mut self, item: &ItemNode, out: &mut Vec<(RuleField, Shown)>) {
        let before = out.len();
        let group = item.group.as_ref();
        match &item.target {
            Target::Fields(fields) => {
                self.any_value(fields, |eval, value| {
                    let by_group = group.is_some_and(|g| eval.group_holds_for(value, g));
                    if by_group || item.tests.iter().any(|c| eval.one_value_holds(value, c)) {
                        out.push((item.field, Shown::Value(value)));
                    }
                    false
                });
            }
            Target::Everywhere => {
                self.everything.any(&mut |texts| {
                    let by_group = group.is_some_and(|g| g.holds(texts.folded));
                    if by_group || item.tests.iter().any(|c| text_check_holds(c, texts)) {
                        out.push((item.field, Shown::Text(String::from_utf8_lossy(texts.plain).into_owned())));
                    }
                    out.len() - before >= KEYWORD_TEXTS
                });
            }
        }
        if out.len() == before {
            out.push((item.field, Shown::Absence));
        }
    }

    fn one_value_holds(&mut self, value: ValueRef, check: &Check) -> bool {
        match check {
            Check::Null => self.values.kind(value) == Kind::Null,
            Check::Exists(wanted) => *wanted,
            Check::FieldRef { fields, op, case } => self.relates(value, fields, *op, *case),
            _ => self.value_holds(value, check),
        }
    }
}

/// Whether `text` ends with `end`. Ends are often the same in the last few characters (`.exe`), so the first one is
/// compared before the rest.
pub(super) fn ends_with(text: &[u8], end: &[u8]) -> bool {
    let Some(start) = text.len().checked_sub(end.len()) else { return false };
    text.get(start) == end.first() && text.ends_with(end)
}

/// Whether `check`, which concerns text alone, holds for a text.
pub(super) fn text_check_holds(check: &Check, texts: Texts<'_>) -> bool {
    match check {
        Check::AnyText => true,
        Check::Text { shape, literal, case } => {
            let text = texts.of(*case);
            match shape {
                Shape::Equals => *text == **literal,
                Shape::Contains => memmem::find(text, literal).is_some(),
                Shape::StartsWith => text.starts_with(literal),
                Shape::EndsWith => ends_with(text, literal),
            }
        }
        Check::Contains { needle, case } => needle.is_in(texts.of(*case)),
        Check::Glob { tokens, case } => glob_holds(tokens, texts.of(*case)),
        Check::Regex(regex) => regex.holds(texts.plain, texts.folded),
        Check::Cidr(net) => address(texts.plain).is_some_and(|a| net.contains(&a) || net.contains(&a.to_canonical())),
        Check::Number(compare, wanted) => as_number(texts.plain).is_some_and(|have| compares(have, *compare, *wanted)),
        Check::Bool(wanted) => texts.plain.eq_ignore_ascii_case(if *wanted { b"true" } else { b"false" }),
        Check::TimePart(part, wanted) => time_part(texts.plain, *part) == Some(*wanted),
        Check::Null | Check::Exists(_) | Check::FieldRef { .. } => false,
    }
}

fn as_number(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok().and_then(number)
}

fn compares(have: f64, compare: Compare, wanted: f64) -> bool {
    match compare {
        Compare::Gt => have > wanted,
        Compare::Gte => have >= wanted,
        Compare::Lt => have < wanted,
        Compare::Lte => have <= wanted,
        #[expect(clippy::float_cmp, reason = "a rule's number means exactly that number")]
        Compare::Eq => have == wanted,
    }
}

fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn time_part(text: &[u8], part: TimePart) -> Option<i64> {
    crate::rule::time::part_of(std::str::from_utf8(text).ok()?, part)
}

/// Whether all of `text` matches `tokens`. Linear in practice: after a `*` only the last one is tried again, and only where
/// the literal behind it stands.
fn glob_holds(tokens: &[Token], text: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match tokens.get(token) {
            None if at == text.len() => return true,
            None => None,
            Some(Token::Any) if token + 1 == tokens.len() => return true,
            Some(Token::Any) => {
                token += 1;
                let Some(start) = next_start(&tokens[token], text, at) else { return false };
                (retry, at) = (Some((token, start)), start);
                continue;
            }
            Some(Token::One) => char_len(text, at),
            Some(Token::Literal(literal)) => text[at..].starts_with(literal).then_some(literal.len()),
        };
        if let Some(len) = step {
            token += 1;
            at += len;
            continue;
        }
        let Some((from, start)) = retry else {
            return false;
        };
        let next = char_len(text, start).and_then(|len| next_start(&tokens[from], text, start + len));
        let Some(start) = next else {
            return false;
        };
        (retry, token, at) = (Some((from, start)), from, start);
    }
}

/// Where, from `start` on, the rest of a pattern may begin that begins with `token`.
fn next_start(token: &Token, text: &[u8], start: usize) -> Option<usize> {
    match token {
        Token::Literal(literal) => memmem::find(&text[start..], literal).map(|at| start + at),
        Token::One | Token::Any => Some(start),
    }
}

/// Bytes of the character at `at`, `None` at the end.
fn char_len(text: &[u8], at: usize) -> Option<usize> {
    let len = match *text.get(at)? {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    };
    Some(len.min(text.len() - at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(pattern: &str, text: &str) -> bool {
        let mut tokens = Vec::new();
        for c in pattern.chars() {
            tokens.push(match c {
                '*' => Token::Any,
                '?' => Token::One,
                c => Token::Literal(c.to_string().into_bytes().into()),
            });
        }
        glob_holds(&tokens, text.as_bytes())
    }

    #[test]
    fn globs_follow_their_wildcards() {
        assert!(glob("a*c?e", "abbbcde"));
        assert!(glob("*a*b*", "xxaxxbxx"));
        assert!(!glob("a*c?e", "abbbcdf"));
        assert!(glob("?", "đ"));
        assert!(!glob("??", "đ"));
        assert!(glob("**", ""));
        assert!(!glob("a?", "a"));
        assert!(glob("*aab", "aaaaab"));
    }
}
