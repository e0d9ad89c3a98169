//! What must stand in a text for a regular expression to match it.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Shortest literal that is worth looking for.
const SHORTEST: usize = 1;
/// Most alternatives that are worth looking for.
const MOST: usize = 32;

/// Literals, folded ([`crate::text::fold`]), of which one stands in every folded match of `hir`; `None` when none help.
pub(super) fn required(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(literal) => long_enough(vec![folded(&literal.0)?]),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Alternation(list) => {
            let all: Option<Vec<_>> = list.iter().map(required).collect();
            all.map(|l| l.concat()).filter(|l| l.len() <= MOST)
        }
        HirKind::Concat(list) => best(concat_runs(list).into_iter().chain(list.iter().filter_map(required))),
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// Texts are searched in their folded form, so literals are folded too, beyond ASCII as well.
fn folded(literal: &[u8]) -> Option<String> {
    std::str::from_utf8(literal).ok().map(crate::text::fold)
}

fn long_enough(list: Vec<String>) -> Option<Vec<String>> {
    list.iter().all(|l| l.len() >= SHORTEST).then_some(list)
}

/// Prefers long literals, then few of them.
fn best(choices: impl Iterator<Item = Vec<String>>) -> Option<Vec<String>> {
    choices.max_by_key(|list| (list.iter().map(String::len).min(), std::cmp::Reverse(list.len())))
}

/// Runs of neighbouring literals and letters in both cases (`(?i)abc` is a run of classes).
fn concat_runs(list: &[Hir]) -> Vec<Vec<String>> {
    let mut runs = Vec::new();
    let mut run = String::new();
    for part in list {
        match fixed(part) {
            Some(text) => run.push_str(&text),
            None => runs.extend(long_enough(vec![std::mem::take(&mut run)])),
        }
    }
    runs.extend(long_enough(vec![run]));
    runs
}

/// The text of a part that always matches the same text apart from case.
fn fixed(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => folded(&literal.0),
        HirKind::Class(class) => one_letter(class).map(String::from),
        HirKind::Capture(capture) => fixed(&capture.sub),
        HirKind::Concat(list) => list.iter().map(fixed).collect::<Option<Vec<_>>>().map(|l| l.concat()),
        _ => None,
    }
}

/// The lower-case letter when `class` is just that letter in both cases. Unicode adds relatives to `k` and `s` (Kelvin
/// sign, long s): those classes are not fixed.
fn one_letter(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else {
        return None;
    };
    let ranges: Vec<(char, char)> = class.iter().map(|r| (r.start(), r.end())).collect();
    match ranges[..] {
        [(a, b), (c, d)] if a == b && c == d && a.is_ascii_uppercase() && c == a.to_ascii_lowercase() => Some(c),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    fn required(pattern: &str) -> Option<Vec<String>> {
        super::required(&regex_syntax::Parser::new().parse(pattern).unwrap())
    }

    #[test]
    fn a_match_needs_its_literals() {
        assert_eq!(required(r"foo.*barbaz"), Some(vec!["barbaz".into()]));
        assert_eq!(required(r"\w+`\w+"), Some(vec!["`".into()]));
        assert_eq!(required(r"(?i)Open.?Done"), Some(vec!["done".into()]));
        assert_eq!(required(r"(abcd|efgh)+x"), Some(vec!["abcd".into(), "efgh".into()]));
        assert_eq!(required(r"(abcd)?"), None);
        assert_eq!(required(r"[a-z]+"), None);
        assert_eq!(required("nullßÉ"), Some(vec!["nullßé".into()]));
    }
}
