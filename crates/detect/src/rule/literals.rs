//! What must stand in a text for a regular expression to match it.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Shortest literal that is worth looking for.
const SHORTEST: usize = 1;
/// Most alternatives that are worth looking for.
const MOST: usize = 32;

/// Literals, lower-cased in ASCII, of which one stands in every match of `hir`; `None` when none help.
pub(super) fn required(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Literal(literal) => long_enough(vec![literal.0.to_ascii_lowercase()]),
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

fn long_enough(list: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    list.iter().all(|l| l.len() >= SHORTEST).then_some(list)
}

/// Prefers long literals, then few of them.
fn best(choices: impl Iterator<Item = Vec<Vec<u8>>>) -> Option<Vec<Vec<u8>>> {
    choices.max_by_key(|list| (list.iter().map(Vec::len).min(), std::cmp::Reverse(list.len())))
}

/// Runs of neighbouring literals and letters in both cases (`(?i)abc` is a run of classes).
fn concat_runs(list: &[Hir]) -> Vec<Vec<Vec<u8>>> {
    let mut runs = Vec::new();
    let mut run = Vec::new();
    for part in list {
        match fixed(part) {
            Some(bytes) => run.extend(bytes),
            None => runs.extend(long_enough(vec![std::mem::take(&mut run)])),
        }
    }
    runs.extend(long_enough(vec![run]));
    runs
}

/// The bytes of a part that always matches the same ASCII text apart from case.
fn fixed(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(literal.0.to_ascii_lowercase()),
        HirKind::Class(class) => one_letter(class).map(|b| vec![b]),
        HirKind::Capture(capture) => fixed(&capture.sub),
        HirKind::Concat(list) => list.iter().map(fixed).collect::<Option<Vec<_>>>().map(|l| l.concat()),
        _ => None,
    }
}

/// The lower-case letter when `class` is just that letter in both cases. Unicode adds relatives to `k` and `s` (Kelvin
/// sign, long s): those classes are not fixed.
fn one_letter(class: &Class) -> Option<u8> {
    let Class::Unicode(class) = class else {
        return None;
    };
    let ranges: Vec<(char, char)> = class.iter().map(|r| (r.start(), r.end())).collect();
    match ranges[..] {
        [(a, b), (c, d)] if a == b && c == d && a.is_ascii_uppercase() && c == a.to_ascii_lowercase() => Some(c as u8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    fn required(pattern: &str) -> Option<Vec<String>> {
        let list = super::super::required_literals(pattern)?;
        Some(list.into_iter().map(|l| String::from_utf8(l).unwrap()).collect())
    }

    #[test]
    fn a_match_needs_its_literals() {
        assert_eq!(required(r"foo.*barbaz"), Some(vec!["barbaz".into()]));
        assert_eq!(required(r"\w+`\w+"), Some(vec!["`".into()]));
        assert_eq!(required(r"(?i)Open.?Done"), Some(vec!["done".into()]));
        assert_eq!(required(r"(abcd|efgh)+x"), Some(vec!["abcd".into(), "efgh".into()]));
        assert_eq!(required(r"(abcd)?"), None);
        assert_eq!(required(r"[a-z]+"), None);
    }
}
