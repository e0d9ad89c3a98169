//! A rule's condition in words.

use khien_detect::rule::{Case, Compare, Expr, Item, Link, Part, Test, TextOp, TimePart};

use crate::safe;
use crate::terminal::Look;
use crate::text::Text;

/// Tests of one item that are shown; the others are counted.
const SHOWN: usize = 12;

/// Deepest level that is shown. Parsers bound nesting too; this keeps the stack safe whatever they allow.
const DEPTH: usize = 64;

/// The condition as an indented tree.
pub fn render(condition: &Expr, look: Look, text: Text) -> String {
    let mut tree = Tree { out: String::new(), look, text };
    tree.expression(condition, 1);
    tree.out
}

struct Tree {
    out: String,
    look: Look,
    text: Text,
}

impl Tree {
    fn line(&mut self, depth: usize, line: &str) {
        self.out.push_str(&"  ".repeat(depth));
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn expression(&mut self, expression: &Expr, depth: usize) {
        if depth > DEPTH {
            return self.line(depth, "…");
        }
        match expression {
            Expr::And(parts) if parts.is_empty() => self.line(depth, self.text.no_condition()),
            Expr::And(parts) | Expr::Or(parts) if parts.len() == 1 => self.each(parts, depth),
            Expr::And(parts) => self.group(self.text.all_of(), parts, depth),
            Expr::Or(parts) => self.group(self.text.any_of(), parts, depth),
            Expr::AtLeast(count, parts) => {
                let heading = self.text.at_least(&count.to_string());
                self.group(&heading, parts, depth);
            }
            Expr::Not(part) => {
                self.line(depth, &format!("{}:", self.look.bad(self.text.none_of())));
                self.expression(part, depth + 1);
            }
            Expr::Named(name, part) => {
                let heading = self.text.detection(&safe::line(name));
                self.line(depth, &self.look.strong(&heading));
                self.expression(part, depth + 1);
            }
            Expr::Item(item) => self.item(item, depth),
        }
    }

    fn group(&mut self, heading: &str, parts: &[Expr], depth: usize) {
        self.line(depth, &format!("{heading}:"));
        self.each(parts, depth + 1);
    }

    fn each(&mut self, parts: &[Expr], depth: usize) {
        for part in parts {
            self.expression(part, depth);
        }
    }

    fn item(&mut self, item: &Item, depth: usize) {
        let field = item.field.as_deref().map_or(self.text.any_field().into(), safe::line);
        if let [only] = &item.tests[..] {
            let line = format!("{field} {}", test(only, self.text));
            return self.line(depth, &line);
        }
        let link = match item.link {
            Link::Any => self.text.any_of(),
            Link::All => self.text.all_of(),
        };
        self.line(depth, &format!("{field} — {link}:"));
        for one in item.tests.iter().take(SHOWN) {
            self.line(depth + 1, &test(one, self.text));
        }
        let more = item.tests.len().saturating_sub(SHOWN);
        if more > 0 {
            let rest = self.text.and_more(&self.text.count(more as u64));
            self.line(depth + 1, &self.look.faint(&rest));
        }
    }
}

/// One test in words: `chứa 'mimikatz'`.
pub fn test(one: &Test, text: Text) -> String {
    match one {
        Test::Text(parts, case) => with_case(pattern(parts, text), *case, text),
        Test::Regex(regex) => text.test_regex(&format!("/{}/", safe::line(&regex.text))),
        Test::Cidr(network) => text.test_cidr(&network.to_string()),
        Test::Number(compare, number) => format!("{} {number}", sign(*compare)),
        Test::Bool(value) => text.test_equals(if *value { "true" } else { "false" }),
        Test::Null => text.test_null().to_owned(),
        Test::Exists(true) => text.test_exists().to_owned(),
        Test::Exists(false) => text.test_absent().to_owned(),
        Test::FieldRef(field, operation, case) => {
            let other = text.test_field(&safe::line(field));
            with_case(relation(*operation, &other, text), *case, text)
        }
        Test::TimePart(part, value) => text.test_time(time_part(*part, text), &value.to_string()),
    }
}

fn with_case(words: String, case: Case, text: Text) -> String {
    match case {
        Case::Fold => words,
        Case::Exact => format!("{words} ({})", text.case_matters()),
    }
}

/// A pattern by the name Sigma has for its shape.
fn pattern(parts: &[Part], text: Text) -> String {
    let quoted = |literal: &str| format!("'{}'", safe::line(literal));
    match parts {
        [] => text.test_equals("''"),
        [Part::Literal(l)] => text.test_equals(&quoted(l)),
        [Part::Any, Part::Literal(l), Part::Any] => text.test_contains(&quoted(l)),
        [Part::Literal(l), Part::Any] => text.test_starts(&quoted(l)),
        [Part::Any, Part::Literal(l)] => text.test_ends(&quoted(l)),
        parts => text.test_like(&quoted(&wildcards(parts))),
    }
}

/// A pattern as a rule writes it, wildcards that are meant literally escaped.
fn wildcards(parts: &[Part]) -> String {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Any => out.push('*'),
            Part::One => out.push('?'),
            Part::Literal(literal) => {
                for c in literal.chars() {
                    if matches!(c, '*' | '?') {
                        out.push('\\');
                    }
                    out.push(c);
                }
            }
        }
    }
    out
}

fn relation(operation: TextOp, other: &str, text: Text) -> String {
    match operation {
        TextOp::Equals => text.test_equals(other),
        TextOp::Contains => text.test_contains(other),
        TextOp::StartsWith => text.test_starts(other),
        TextOp::EndsWith => text.test_ends(other),
    }
}

fn sign(compare: Compare) -> &'static str {
    match compare {
        Compare::Gt => ">",
        Compare::Gte => "≥",
        Compare::Lt => "<",
        Compare::Lte => "≤",
        Compare::Eq => "=",
    }
}

fn time_part(part: TimePart, text: Text) -> &'static str {
    match part {
        TimePart::Minute => text.part_minute(),
        TimePart::Hour => text.part_hour(),
        TimePart::Day => text.part_day(),
        TimePart::Week => text.part_week(),
        TimePart::Month => text.part_month(),
        TimePart::Year => text.part_year(),
    }
}

#[cfg(test)]
mod tests {
    use khien_base::lang::Lang;

    use super::*;

    fn item(field: Option<&str>, link: Link, tests: Vec<Test>) -> Expr {
        Expr::Item(Item { field: field.map(str::to_owned), link, tests })
    }

    fn literal(text: &str) -> Part {
        Part::Literal(text.to_owned())
    }

    fn condition() -> Expr {
        let many = (0..20).map(|i| Test::Text(vec![Part::Any, literal(&format!("w{i}")), Part::Any], Case::Fold));
        Expr::And(vec![
            Expr::Named(
                "selection".into(),
                Box::new(Expr::And(vec![
                    item(Some("Image"), Link::Any, vec![Test::Text(vec![Part::Any, literal("\\cmd.exe")], Case::Fold)]),
                    item(Some("CommandLine"), Link::Any, many.collect()),
                    item(Some("Port"), Link::All, vec![Test::Number(Compare::Gte, 1024.0), Test::Exists(true)]),
                ])),
            ),
            Expr::Not(Box::new(Expr::Or(vec![
                item(None, Link::Any, vec![Test::Text(vec![literal("a*"), Part::One], Case::Exact)]),
                item(Some("User"), Link::Any, vec![Test::FieldRef("Owner".into(), TextOp::StartsWith, Case::Fold)]),
                item(Some("Ip"), Link::Any, vec![Test::Cidr("10.0.0.0/8".parse().unwrap())]),
                item(Some("Time"), Link::Any, vec![Test::TimePart(TimePart::Hour, 3), Test::Null]),
                item(Some("X"), Link::Any, vec![Test::Regex("(?i)a\u{1b}b".into())]),
            ]))),
            Expr::AtLeast(2, vec![item(Some("Flag"), Link::Any, vec![Test::Bool(true)]), Expr::And(vec![])]),
        ])
    }

    #[test]
    fn a_condition_reads_as_a_tree() {
        let both = [Lang::Vi, Lang::En].map(|lang| render(&condition(), Look::plain(80), Text(lang)));
        insta::assert_snapshot!("condition", both.join("------\n"));
    }

    #[test]
    fn nesting_is_bounded() {
        let mut deep = item(None, Link::Any, vec![]);
        for _ in 0..1_000 {
            deep = Expr::Not(Box::new(deep));
        }
        assert_eq!(render(&deep, Look::plain(80), Text(Lang::En)).lines().count(), DEPTH + 1);
    }
}
