//! Why a rule matched an event, or did not: the tree of the rule with what each node found.

use khien_base::lang::Lang;
use khien_event::event::{Event, Value};
use serde::Serialize;

use crate::reference::{Sources, holds, item_values, test_holds};
use crate::rule::{Case, Compare, Expr, Item, Link, Part, Rule, Test, TextOp, TimePart};

/// Most values of a field, and most tests of an item, that an explanation lists.
const SHOWN: usize = 50;

/// Most characters of a value that are shown.
const VALUE_CHARS: usize = 300;

/// An explained rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Rule id.
    pub rule: String,
    /// Rule title.
    pub title: String,
    /// Whether the rule matched.
    pub matched: bool,
    /// The tree.
    pub condition: Node,
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Node {
    /// All parts must hold.
    And {
        /// Result.
        holds: bool,
        /// Parts.
        parts: Vec<Node>,
    },
    /// One part must hold.
    Or {
        /// Result.
        holds: bool,
        /// Parts.
        parts: Vec<Node>,
    },
    /// The inner node must not hold.
    Not {
        /// Result.
        holds: bool,
        /// What is negated.
        inner: Box<Node>,
    },
    /// So many parts must hold.
    AtLeast {
        /// Result.
        holds: bool,
        /// How many.
        wanted: u32,
        /// Parts.
        parts: Vec<Node>,
    },
    /// A detection of the rule by its name.
    Named {
        /// Result.
        holds: bool,
        /// Name.
        name: String,
        /// What it says.
        inner: Box<Node>,
    },
    /// Tests on a field or on the whole event.
    Item(ItemNode),
}

/// An explained detection item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ItemNode {
    /// Result.
    pub holds: bool,
    /// Field as the rule names it, absent for keywords.
    pub field: Option<String>,
    /// Names under which the event may hold it.
    pub sources: Vec<String>,
    /// What the event holds there, at most the first 50; for keywords, what fulfilled a test.
    pub values: Vec<Seen>,
    /// Whether one test is enough (false) or all must hold.
    pub all: bool,
    /// The tests, those that hold first when there are more than 50.
    pub tests: Vec<Checked>,
    /// Tests that are not listed.
    pub more: usize,
}

/// A value of the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Field of the event.
    pub field: String,
    /// Value, shortened.
    pub value: String,
}

/// A test and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The test, as in a rule: `contains: x`.
    pub test: String,
    /// Result.
    pub holds: bool,
    /// Why it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

/// Why a test does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The event has no such field.
    Absent,
    /// The event has the field, and it should not.
    Present,
    /// The field holds nothing that can be compared (null, an object, an empty array).
    NoText,
    /// No value is of the kind the test is about (number, address, time).
    OtherKind,
    /// Every value differs.
    Differs,
    /// The field the test refers to is absent.
    OtherAbsent,
}

/// Explains a rule on an event; `fields` as for [`crate::reference::matches`].
pub fn explain(rule: &Rule, event: &Event, fields: Sources<'_>) -> Explanation {
    Explanation {
        rule: rule.id.clone(),
        title: rule.title.clone(),
        matched: holds(&rule.condition, event, fields),
        condition: node(&rule.condition, event, fields),
    }
}

fn node(expr: &Expr, event: &Event, fields: Sources<'_>) -> Node {
    let parts = |list: &[Expr]| list.iter().map(|e| node(e, event, fields)).collect();
    let holds = holds(expr, event, fields);
    match expr {
        Expr::And(list) => Node::And { holds, parts: parts(list) },
        Expr::Or(list) => Node::Or { holds, parts: parts(list) },
        Expr::Not(inner) => Node::Not { holds, inner: Box::new(node(inner, event, fields)) },
        Expr::AtLeast(wanted, list) => Node::AtLeast { holds, wanted: *wanted, parts: parts(list) },
        Expr::Named(name, inner) => {
            Node::Named { holds, name: name.clone(), inner: Box::new(node(inner, event, fields)) }
        }
        Expr::Item(item) => Node::Item(item_node(item, holds, event, fields)),
    }
}

fn item_node(item: &Item, holds: bool, event: &Event, fields: Sources<'_>) -> ItemNode {
    let values = item_values(item, event, fields);
    let sources = item.field.as_deref().map(fields).unwrap_or_default();
    let mut tests: Vec<Checked> = item
        .tests
        .iter()
        .map(|test| {
            let holds = test_holds(test, &values, event, fields);
            Checked { test: describe(test), holds, why: (!holds).then(|| why(test, &values, event, fields)) }
        })
        .collect();
    let more = tests.len().saturating_sub(SHOWN);
    if more > 0 {
        tests.sort_by_key(|t| !t.holds);
        tests.truncate(SHOWN);
    }
    ItemNode {
        holds,
        field: item.field.clone(),
        values: seen(item, &sources, event),
        sources,
        all: item.link == Link::All,
        tests,
        more,
    }
}

fn seen(item: &Item, sources: &[String], event: &Event) -> Vec<Seen> {
    let looked_at = |name: &String, value: &Value| match &item.field {
        Some(_) => sources.contains(name),
        None => item.tests.iter().any(|t| crate::reference::value_fulfils(t, value)),
    };
    event
        .fields
        .iter()
        .filter(|(name, value)| looked_at(name, value))
        .take(SHOWN)
        .map(|(field, value)| Seen { field: field.clone(), value: shown(value) })
        .collect()
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Text(t) => format!("\"{t}\""),
        Value::Number(t) | Value::Object(t) => t.clone(),
        Value::Bool(b) => b.to_string(),
        Value::Null => "null".into(),
        Value::EmptyArray => "[]".into(),
    };
    match text.char_indices().nth(VALUE_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn why(test: &Test, values: &[&Value], event: &Event, fields: Sources<'_>) -> Why {
    let texts: Vec<&str> = values.iter().filter_map(|v| v.text()).collect();
    match test {
        Test::Exists(false) => Why::Present,
        Test::Null => Why::Differs,
        _ if values.is_empty() => Why::Absent,
        _ if texts.is_empty() => Why::NoText,
        Test::FieldRef(other, ..) if fields(other).iter().all(|n| event.values(n).next().is_none()) => Why::OtherAbsent,
        Test::Number(..) if texts.iter().all(|t| crate::text::number(t).is_none()) => Why::OtherKind,
        Test::Cidr(_) if texts.iter().all(|t| t.parse::<std::net::IpAddr>().is_err()) => Why::OtherKind,
        Test::TimePart(part, _) if texts.iter().all(|t| crate::rule::time::part_of(t, *part).is_none()) => {
            Why::OtherKind
        }
        _ => Why::Differs,
    }
}

/// A test as a rule would write it.
pub fn describe(test: &Test) -> String {
    match test {
        Test::Text(parts, case) => text_test(parts, *case),
        Test::Regex(pattern) => format!("re: {}", pattern.text),
        Test::Cidr(net) => format!("cidr: {net}"),
        Test::Number(compare, n) => match compare {
            Compare::Gt => format!("gt: {n}"),
            Compare::Gte => format!("gte: {n}"),
            Compare::Lt => format!("lt: {n}"),
            Compare::Lte => format!("lte: {n}"),
            Compare::Eq => format!("= {n}"),
        },
        Test::Bool(b) => format!("= {b}"),
        Test::Null => "null".into(),
        Test::Exists(b) => format!("exists: {b}"),
        Test::FieldRef(other, op, case) => {
            format!("fieldref{}{}: {other}", op_suffix(*op), case_suffix(*case))
        }
        Test::TimePart(part, n) => format!("{}: {n}", part_name(*part)),
    }
}

fn text_test(parts: &[Part], case: Case) -> String {
    let (op, inner) = match parts {
        [Part::Any, Part::Literal(_), Part::Any] => ("contains", &parts[1..2]),
        [Part::Any, Part::Literal(_)] => ("endswith", &parts[1..]),
        [Part::Literal(_), Part::Any] => ("startswith", &parts[..1]),
        _ => ("=", parts),
    };
    let text: String = inner
        .iter()
        .map(|p| match p {
            Part::Literal(l) => l.as_str(),
            Part::One => "?",
            Part::Any => "*",
        })
        .collect();
    let colon = if op == "=" { "" } else { ":" };
    format!("{op}{}{colon} \"{text}\"", case_suffix(case))
}

fn op_suffix(op: TextOp) -> &'static str {
    match op {
        TextOp::Equals => "",
        TextOp::Contains => "|contains",
        TextOp::StartsWith => "|startswith",
        TextOp::EndsWith => "|endswith",
    }
}

fn case_suffix(case: Case) -> &'static str {
    match case {
        Case::Fold => "",
        Case::Exact => "|cased",
    }
}

fn part_name(part: TimePart) -> &'static str {
    match part {
        TimePart::Minute => "minute",
        TimePart::Hour => "hour",
        TimePart::Day => "day",
        TimePart::Week => "week",
        TimePart::Month => "month",
        TimePart::Year => "year",
    }
}

impl Why {
    /// The reason in words.
    pub fn text(self, lang: Lang) -> &'static str {
        match self {
            Self::Absent => lang.pick("sự kiện không có trường này", "the event has no such field"),
            Self::Present => lang.pick("sự kiện có trường này", "the event has the field"),
            Self::NoText => lang.pick("trường không có giá trị để so sánh", "the field holds nothing to compare"),
            Self::OtherKind => lang.pick("giá trị thuộc loại khác", "the value is of another kind"),
            Self::Differs => lang.pick("giá trị khác", "the value differs"),
            Self::OtherAbsent => {
                lang.pick("sự kiện không có trường được tham chiếu", "the event lacks the other field")
            }
        }
    }
}

impl Explanation {
    /// The explanation as lines of text, two spaces for each level.
    pub fn render(&self, lang: Lang) -> String {
        let verdict =
            if self.matched { lang.pick("khớp", "matches") } else { lang.pick("không khớp", "does not match") };
        let mut out = format!("{} ({}): {verdict}\n", self.title, self.rule);
        self.condition.render(&mut out, 1, lang);
        out
    }
}

impl Node {
    fn render(&self, out: &mut String, depth: usize, lang: Lang) {
        match self {
            Self::And { holds, parts } => {
                line(out, depth, *holds, lang.pick("tất cả", "all of"));
                render_all(parts, out, depth, lang);
            }
            Self::Or { holds, parts } => {
                line(out, depth, *holds, lang.pick("một trong", "one of"));
                render_all(parts, out, depth, lang);
            }
            Self::AtLeast { holds, wanted, parts } => {
                line(out, depth, *holds, &format!("{} {wanted}", lang.pick("ít nhất", "at least")));
                render_all(parts, out, depth, lang);
            }
            Self::Not { holds, inner } => {
                line(out, depth, *holds, lang.pick("không phải", "not"));
                inner.render(out, depth + 1, lang);
            }
            Self::Named { holds, name, inner } => {
                line(out, depth, *holds, name);
                inner.render(out, depth + 1, lang);
            }
            Self::Item(item) => item.render(out, depth, lang),
        }
    }
}

fn render_all(parts: &[Node], out: &mut String, depth: usize, lang: Lang) {
    for part in parts {
        part.render(out, depth + 1, lang);
    }
}

impl ItemNode {
    fn render(&self, out: &mut String, depth: usize, lang: Lang) {
        let name = self.field.as_deref().unwrap_or(lang.pick("từ khóa", "keywords"));
        let link = if self.all { lang.pick(" (tất cả)", " (all)") } else { "" };
        line(out, depth, self.holds, &format!("{name}{link}"));
        for seen in &self.values {
            pad(out, depth + 1);
            note(out, &format!("{} = {}", seen.field, seen.value));
        }
        for test in &self.tests {
            let why = test.why.map_or(String::new(), |w| format!(" ({})", w.text(lang)));
            line(out, depth + 1, test.holds, &format!("{}{why}", test.test));
        }
        if self.more > 0 {
            pad(out, depth + 1);
            note(out, &format!("… {} {}", self.more, lang.pick("phép thử nữa", "more tests")));
        }
    }
}

fn line(out: &mut String, depth: usize, holds: bool, text: &str) {
    pad(out, depth);
    out.push_str(if holds { "✓ " } else { "✗ " });
    push_line(out, text);
}

/// A line without a verdict.
fn note(out: &mut String, text: &str) {
    out.push_str("  ");
    push_line(out, text);
}

fn push_line(out: &mut String, text: &str) {
    // One line stays one line, whatever the rule or event holds.
    out.extend(text.chars().map(|c| if c.is_control() { '␤' } else { c }));
    out.push('\n');
}

fn pad(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::load::{Loader, Placeholders};

    const RULE: &str = "title: Shell\nid: r1\nlogsource: {product: p}\ndetection:\n  sel:\n    Image|endswith: [\\cmd.exe, \\sh]\n    Count|gt: 3\n  filter:\n    User: null\n  condition: sel and not filter\n";

    fn explained(fields: &[(&str, Value)]) -> Explanation {
        let mut loader = Loader::new(Placeholders::default());
        loader.add_file("t", RULE);
        let set = loader.finish();
        let fields = fields.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
        explain(&set.rules[0], &Event { fields }, &|f| vec![f.to_owned()])
    }

    #[test]
    fn every_field_says_what_it_found() {
        let found = explained(&[("Image", Value::Text("C:\\CMD.exe".into())), ("Count", Value::Text("many".into()))]);
        assert!(!found.matched);
        let english = found.render(Lang::En);
        let expected = "Shell (r1): does not match\n  ✗ all of\n    ✗ sel\n      ✗ all of\n        ✓ Image\n            Image = \"C:\\CMD.exe\"\n          ✓ endswith: \"\\cmd.exe\"\n          ✗ endswith: \"\\sh\" (the value differs)\n        ✗ Count\n            Count = \"many\"\n          ✗ gt: 3 (the value is of another kind)\n    ✗ not\n      ✓ filter\n        ✓ User\n          ✓ null\n";
        assert_eq!(english, expected);
        assert!(found.render(Lang::Vi).contains("không khớp"));
    }

    #[test]
    fn an_explanation_is_json() {
        let json = serde_json::to_value(explained(&[])).unwrap();
        assert_eq!(json["condition"]["kind"], "and");
        assert_eq!(json["condition"]["parts"][0]["inner"]["parts"][0]["tests"][0]["why"], "absent");
    }
}
