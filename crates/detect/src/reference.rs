//! The plain, slow evaluator, written straight from the specification. The fast engine must say the same.
//!
//! Sections named here are those of the Sigma rules specification 2.1 and its modifiers appendix.
//!
//! * **Text** ("General": "all values are treated as case-insensitive strings"): characters are compared after
//!   [`crate::text::fold_char`]; with `cased` as they are. A pattern means the whole value. `?` is one character, `*` any
//!   number, line ends included ("String Wildcard"). Numbers and truth values of an event are text as they are written
//!   (`true`, `false`); null, objects and empty arrays have no text.
//! * **Several values** ("Lists"; arrays in the event, several sources of a field): a test holds when any value fulfils it.
//!   With `|all` each test may be fulfilled by another value. Negation negates the whole.
//! * **Absent fields**: every test is false except null and `exists: false`; `neq` negates its item and so holds (open in
//!   the specification; pySigma does so, rsigma does not). An absent field makes `not filter` true.
//! * **Null** ("Special Field Values"): the field is absent, or one of its values is null. The empty text is not null, and
//!   null is not the empty text. An object or an empty array is neither.
//! * **Exists** ("Field Existence", "only verifies the presence of a field, not its value, be it empty or null").
//! * **Numbers**: a plain number of a rule equals a number or text that is one ([`crate::text::number`]), by value:
//!   `4688`, `"4688"`, `4688.0`. Hexadecimal is text.
//! * **Truth values**: `true` of a rule equals true or the text `true` in any case, not `1` or `yes`.
//! * **Regular expressions** (appendix, "Regular Expression") match anywhere in the text, case-sensitive.
//! * **CIDR**: text that is an address, without zone or port; IPv4 written as IPv6 (`::ffff:192.0.2.1`, as Windows logs
//!   do) counts as both.
//! * **Keywords** ("Keywords search"): a test holds when any value of any field fulfils it; the loader has put `*` around.
//!   Names of fields are not searched.
//! * **Field references**: any value of the one field relates so to any value of the other; absence is false.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;

use khien_event::event::{Event, Value};
use regex::Regex;

use crate::rule::{Case, Compare, Expr, Item, Link, Part, Rule, Test, TextOp, pcre, time};
use crate::text::{fold_char, number};

/// Where the values of a rule's field stand: the canonical names under which the event holds it.
pub type Sources<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// Whether `rule` matches `event`. The log source of the rule is the caller's business.
pub fn matches(rule: &Rule, event: &Event, fields: Sources<'_>) -> bool {
    holds(&rule.condition, event, fields)
}

/// Whether an expression holds.
pub fn holds(expr: &Expr, event: &Event, fields: Sources<'_>) -> bool {
    match expr {
        Expr::And(list) => list.iter().all(|e| holds(e, event, fields)),
        Expr::Or(list) => list.iter().any(|e| holds(e, event, fields)),
        Expr::Not(inner) => !holds(inner, event, fields),
        Expr::AtLeast(n, list) => list.iter().filter(|e| holds(e, event, fields)).count() >= *n as usize,
        Expr::Named(_, inner) => holds(inner, event, fields),
        Expr::Item(item) => item_holds(item, event, fields),
    }
}

fn item_holds(item: &Item, event: &Event, fields: Sources<'_>) -> bool {
    let values = item_values(item, event, fields);
    let holds = |test: &Test| test_holds(test, &values, event, fields);
    match item.link {
        Link::Any => item.tests.iter().any(holds),
        Link::All => item.tests.iter().all(holds),
    }
}

/// The values an item looks at.
pub(crate) fn item_values<'e>(item: &Item, event: &'e Event, fields: Sources<'_>) -> Vec<&'e Value> {
    match &item.field {
        Some(field) => values_of(field, event, fields),
        None => event.fields.iter().map(|(_, v)| v).collect(),
    }
}

fn values_of<'e>(field: &str, event: &'e Event, fields: Sources<'_>) -> Vec<&'e Value> {
    let sources = fields(field);
    event.fields.iter().filter(|(name, _)| sources.contains(name)).map(|(_, value)| value).collect()
}

/// Whether a test holds for the values of its field.
pub(crate) fn test_holds(test: &Test, values: &[&Value], event: &Event, fields: Sources<'_>) -> bool {
    match test {
        Test::Null => values.is_empty() || values.iter().any(|v| matches!(v, Value::Null)),
        Test::Exists(wanted) => *wanted != values.is_empty(),
        Test::FieldRef(other, op, case) => {
            let others = values_of(other, event, fields);
            let mut needles = others.iter().filter_map(|v| v.text());
            needles.any(|n| values.iter().any(|v| relates(v.text(), n, *op, *case)))
        }
        _ => values.iter().any(|v| value_fulfils(test, v)),
    }
}

/// Whether one value fulfils a test that looks at one value.
pub(crate) fn value_fulfils(test: &Test, value: &Value) -> bool {
    let Some(written) = value.text() else {
        return false;
    };
    match test {
        Test::Text(parts, case) => text_matches(parts, written, *case),
        Test::Regex(pattern) => regex_matches(&pattern.text, written),
        Test::Cidr(net) => written
            .parse::<IpAddr>()
            .is_ok_and(|address| net.contains(&address.to_canonical()) || net.contains(&address)),
        Test::Number(compare, n) => {
            !matches!(value, Value::Bool(_)) && number(written).is_some_and(|v| compares(v, *compare, *n))
        }
        Test::Bool(wanted) => written.eq_ignore_ascii_case(if *wanted { "true" } else { "false" }),
        Test::TimePart(part, n) => time::part_of(written, *part) == Some(*n),
        Test::Null | Test::Exists(_) | Test::FieldRef(..) => false,
    }
}

/// Compiling a pattern for every value would make this evaluator useless for tests over real events.
fn regex_matches(pattern: &str, text: &str) -> bool {
    const KEPT: usize = 1_024;
    thread_local! {
        static COMPILED: RefCell<HashMap<String, Option<Regex>>> = RefCell::default();
    }
    COMPILED.with_borrow_mut(|compiled| {
        if compiled.len() >= KEPT && !compiled.contains_key(pattern) {
            compiled.clear();
        }
        let regex = compiled.entry(pattern.to_owned()).or_insert_with(|| pcre::build(pattern).ok());
        regex.as_ref().is_some_and(|r| r.is_match(text))
    })
}

#[expect(clippy::float_cmp, reason = "equality of numbers is what a rule asks for")]
fn compares(value: f64, compare: Compare, wanted: f64) -> bool {
    match compare {
        Compare::Gt => value > wanted,
        Compare::Gte => value >= wanted,
        Compare::Lt => value < wanted,
        Compare::Lte => value <= wanted,
        Compare::Eq => value == wanted,
    }
}

fn relates(text: Option<&str>, other: &str, op: TextOp, case: Case) -> bool {
    let Some(text) = text else {
        return false;
    };
    let (text, other) = match case {
        Case::Fold => (crate::text::fold(text), crate::text::fold(other)),
        Case::Exact => (text.to_owned(), other.to_owned()),
    };
    match op {
        TextOp::Equals => text == other,
        TextOp::Contains => text.contains(&other),
        TextOp::StartsWith => text.starts_with(&other),
        TextOp::EndsWith => text.ends_with(&other),
    }
}

/// One character of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Symbol {
    This(char),
    One,
    Any,
}

/// Whether the whole text matches the pattern.
pub fn text_matches(parts: &[Part], text: &str, case: Case) -> bool {
    let same = |c: char| match case {
        Case::Fold => fold_char(c),
        Case::Exact => c,
    };
    let mut pattern = Vec::new();
    for part in parts {
        match part {
            Part::Literal(literal) => {
                pattern.extend(literal.chars().map(|c| Symbol::This(same(c))));
            }
            Part::One => pattern.push(Symbol::One),
            Part::Any => pattern.push(Symbol::Any),
        }
    }
    let text: Vec<char> = text.chars().map(same).collect();
    glob(&pattern, &text)
}

/// Glob matching: after a `*`, the shortest text it can stand for is tried first, and one character more each time the
/// rest does not fit.
fn glob(pattern: &[Symbol], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(Symbol::Any) => {
                star = Some((p, t));
                p += 1;
            }
            Some(Symbol::One) => {
                p += 1;
                t += 1;
            }
            Some(Symbol::This(c)) if *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else {
                    return false;
                };
                star = Some((at, from + 1));
                (p, t) = (at + 1, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|s| *s == Symbol::Any)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::load::{Loader, Placeholders};

    fn event(fields: &[(&str, Value)]) -> Event {
        let fields = fields.iter().map(|(n, v)| ((*n).to_owned(), v.clone()));
        Event { fields: fields.collect() }
    }

    fn text(t: &str) -> Value {
        Value::Text(t.into())
    }

    fn num(t: &str) -> Value {
        Value::Number(t.into())
    }

    /// Whether the detection `sel` of these lines holds; the field `Two` has two sources.
    fn sel(lines: &str, event: &Event) -> bool {
        let lines = lines.replace('\n', "\n    ");
        let rule = format!("title: t\nlogsource: {{product: p}}\ndetection:\n  sel:\n    {lines}\n  condition: sel\n");
        let mut loader = Loader::new(Placeholders::default());
        loader.add_file("t", &rule);
        let set = loader.finish();
        assert_eq!(set.problems, []);
        matches(&set.rules[0], event, &|f| match f {
            "Two" => vec!["A".into(), "B".into()],
            f => vec![f.into()],
        })
    }

    #[test]
    fn text_ignores_case_unless_told() {
        let e = event(&[("F", text("Ünïcode\\X"))]);
        assert!(sel(r"F: 'üNÏCODE\x'", &e));
        assert!(!sel(r"F|cased: 'üNÏCODE\x'", &e));
        assert!(sel("F|contains: CODE", &e));
        assert!(sel("F|startswith: ün", &e));
        assert!(sel("F|endswith: x", &e));
        assert!(sel("F: '?n*'", &e));
        assert!(!sel("F: n*", &e));
        assert!(!sel("F: k", &event(&[("F", text("\u{212a}"))])));
        assert!(sel("F: 'a*c'", &event(&[("F", text("a\nb\r\nc"))])));
        assert!(sel("F: 'a?c'", &event(&[("F", text("a😀c"))])));
    }

    #[test]
    fn several_values_are_any() {
        let e = event(&[("A", text("one")), ("B", text("two")), ("A", text("three"))]);
        assert!(sel("A: three", &e));
        assert!(sel("Two: two", &e));
        assert!(sel("Two|contains|all: [ne, wo]", &e));
        assert!(!sel("A|contains|all: [ne, wo]", &e));
        assert!(!sel("A|neq: one", &e), "negation is of the whole");
    }

    #[test]
    fn absence_null_and_empty_are_different() {
        let absent = event(&[]);
        let null = event(&[("F", Value::Null)]);
        let empty = event(&[("F", text(""))]);
        let array = event(&[("F", Value::EmptyArray)]);
        let table = [
            ("F: null", [true, true, false, false]),
            ("F: ''", [false, false, true, false]),
            ("F: '*'", [false, false, true, false]),
            ("F|exists: true", [false, true, true, true]),
            ("F|exists: false", [true, false, false, false]),
            ("F|neq: x", [true, true, true, true]),
            ("F|contains: ''", [false, false, true, false]),
        ];
        for (lines, expected) in table {
            let found = [&absent, &null, &empty, &array].map(|e| sel(lines, e));
            assert_eq!(found, expected, "{lines}");
        }
    }

    #[test]
    fn numbers_and_truth_values_are_also_text() {
        let as_number = event(&[("F", num("4688"))]);
        let as_text = event(&[("F", text("4688"))]);
        for e in [&as_number, &as_text] {
            assert!(sel("F: 4688", e) && sel("F: '4688'", e) && sel("F: 4688.0", e));
            assert!(sel("F|startswith: 46", e) && sel("F|gt: 4687", e) && sel("F|lte: 4688", e));
            assert!(!sel("F|lt: 4688", e));
        }
        assert!(sel("F: 4688", &event(&[("F", num("4.688e3"))])));
        assert!(!sel("F: 4688", &event(&[("F", text("0x1250"))])));
        assert!(!sel("F: 4688", &event(&[("F", text(" 4688"))])));
        assert!(sel("F: true", &event(&[("F", Value::Bool(true))])));
        assert!(sel("F: true", &event(&[("F", text("TRUE"))])));
        assert!(!sel("F: true", &event(&[("F", num("1"))])));
        assert!(sel("F: 'true'", &event(&[("F", Value::Bool(true))])));
        assert!(!sel("F|contains: a", &event(&[("F", Value::Object("{\"a\":1}".into()))])));
    }

    #[test]
    fn networks_references_and_times() {
        let e = event(&[
            ("Ip", text("10.1.2.3")),
            ("V6", text("2001:db8::1")),
            ("G", text("10.1")),
            ("T", text("2026-01-02T03:04:05Z")),
        ]);
        assert!(sel("Ip|cidr: 10.0.0.0/8", &e) && sel("V6|cidr: 2001:db8::/32", &e));
        assert!(!sel("Ip|cidr: 11.0.0.0/8", &e) && !sel("V6|cidr: 10.0.0.0/8", &e));
        assert!(!sel("G|cidr: 10.0.0.0/8", &e));
        assert!(sel("Ip|fieldref|startswith: G", &e) && !sel("Ip|fieldref: G", &e));
        assert!(!sel("Ip|fieldref: Gone", &e) && sel("Ip|fieldref|neq: Gone", &e));
        assert!(sel("T|hour: 3", &e) && sel("T|week: 1", &e) && !sel("T|minute: 5", &e));
    }

    #[test]
    fn keywords_see_every_value_and_no_name() {
        let e = event(&[("Alpha", text("the beta")), ("N", num("17"))]);
        assert!(sel("- BETA", &e) && sel("- 17", &e) && sel("- 'th?*ta'", &e));
        assert!(!sel("- Alpha", &e));
        assert!(sel("'|all': [beta, 17]", &e) && !sel("'|all': [beta, gamma]", &e));
        assert!(sel("'|re': '^the'", &e) && !sel("'|re': '^beta'", &e));
    }

    #[test]
    fn regular_expressions_match_anywhere_and_mind_case() {
        let e = event(&[("F", text("Hello\nWorld"))]);
        assert!(sel("F|re: o", &e) && !sel("F|re: hello", &e) && sel("F|re|i: hello", &e));
        assert!(!sel("F|re: ^World", &e) && sel("F|re|m: ^World", &e));
        assert!(!sel("F|re: o.W", &e) && sel("F|re|s: o.W", &e));
    }
}
