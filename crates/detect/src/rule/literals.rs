//! What must stand in a text for a regular expression to match it.

use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind};

/// Literals, folded ([`crate::text::fold`]), of which one stands in every folded text that matches.
pub(super) type AnyOf = Vec<String>;

/// Most alternatives that are worth looking for.
const MOST: usize = 32;
/// Most characters of a class that is spelled out.
const CLASS: usize = 8;
/// Most lists for one expression.
const LISTS: usize = 6;

/// Lists of which each has a literal in every text that matches `hir`, the most telling first.
pub(super) fn required(hir: &Hir) -> Vec<AnyOf> {
    let mut lists = all(hir);
    lists.sort_by_key(|list| std::cmp::Reverse(worth(list)));
    lists.dedup();
    lists.truncate(LISTS);
    lists
}

/// Long literals tell more, then few of them.
fn worth(list: &AnyOf) -> (Option<usize>, std::cmp::Reverse<usize>) {
    (list.iter().map(String::len).min(), std::cmp::Reverse(list.len()))
}

fn all(hir: &Hir) -> Vec<AnyOf> {
    if let Some(texts) = spelled_out(hir) {
        return long_enough(texts).into_iter().collect();
    }
    match hir.kind() {
        HirKind::Capture(capture) => all(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => all(&repetition.sub),
        HirKind::Alternation(branches) => {
            let best: Option<Vec<AnyOf>> = branches.iter().map(|b| all(b).into_iter().max_by_key(worth)).collect();
            best.map(|lists| lists.concat()).and_then(long_enough).into_iter().collect()
        }
        HirKind::Concat(parts) => concatenated(parts),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => {
            Vec::new()
        }
    }
}

/// Neighbouring parts that can be spelled out make longer literals.
fn concatenated(parts: &[Hir]) -> Vec<AnyOf> {
    let mut lists = Vec::new();
    let mut run = vec![String::new()];
    for part in parts {
        if matches!(part.kind(), HirKind::Look(_)) {
            continue;
        }
        match spelled_out(part) {
            Some(texts) if run.len() * texts.len() <= MOST => run = product(&run, &texts),
            Some(texts) => lists.extend(long_enough(std::mem::replace(&mut run, texts))),
            None => {
                lists.extend(long_enough(std::mem::replace(&mut run, vec![String::new()])));
                lists.extend(all(part));
            }
        }
    }
    lists.extend(long_enough(run));
    lists
}

fn product(left: &[String], right: &[String]) -> Vec<String> {
    left.iter().flat_map(|l| right.iter().map(move |r| format!("{l}{r}"))).collect()
}

fn long_enough(list: Vec<String>) -> Option<AnyOf> {
    (list.len() <= MOST && list.iter().all(|l| !l.is_empty())).then_some(list)
}

/// All texts that a part matches, folded, when they are few.
fn spelled_out(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(vec![crate::text::fold(std::str::from_utf8(&literal.0).ok()?)]),
        HirKind::Class(Class::Unicode(class)) => {
            let mut texts = Vec::new();
            for c in class.iter().flat_map(|range| range.start()..=range.end()).take(2 * CLASS + 1) {
                texts.push(String::from(crate::text::fold_char(c)));
            }
            texts.sort_unstable();
            texts.dedup();
            (!texts.is_empty()
                && texts.len() <= CLASS
                && class.iter().map(ClassUnicodeRange::len).sum::<usize>() <= 2 * CLASS)
                .then_some(texts)
        }
        HirKind::Capture(capture) => spelled_out(&capture.sub),
        HirKind::Concat(parts) => parts.iter().try_fold(vec![String::new()], |run, part| {
            let texts = spelled_out(part)?;
            (run.len() * texts.len() <= MOST).then(|| product(&run, &texts))
        }),
        HirKind::Alternation(branches) => {
            let texts: Vec<String> = branches.iter().map(spelled_out).collect::<Option<Vec<_>>>()?.concat();
            (texts.len() <= MOST).then_some(texts)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    fn required(pattern: &str) -> Vec<Vec<String>> {
        super::required(&regex_syntax::Parser::new().parse(pattern).unwrap())
    }

    fn first(pattern: &str) -> Vec<String> {
        required(pattern).into_iter().next().unwrap_or_default()
    }

    #[test]
    fn a_match_needs_its_literals() {
        assert_eq!(required(r"foo.*barbaz"), [["barbaz"], ["foo"]]);
        assert_eq!(required(r"\w+`\w+"), [["`"]]);
        assert_eq!(first(r"(?i)Open.?Done"), ["open"]);
        assert_eq!(first(r"(abcd|efgh)+x"), ["abcd", "efgh"]);
        assert_eq!(first(r"(ab|cd)x"), ["abx", "cdx"]);
        assert_eq!(required(r"(abcd)?"), Vec::<Vec<String>>::new());
        assert_eq!(required(r"[a-z]+"), Vec::<Vec<String>>::new());
        assert_eq!(first("nullßÉ"), ["nullßé"]);
        assert_eq!(first(r#"\w\.[ "']{1}"#), [". ", ".\"", ".'"]);
        assert_eq!(first("(?i)ask"), ["ask", "as\u{212a}", "a\u{17f}k", "a\u{17f}\u{212a}"]);
        assert_eq!(required(r"(?i)(set).*&&\s?x"), [vec!["set", "\u{17f}et"], vec!["&&"], vec!["x"]]);
        assert_eq!(first(r"(?m)^ab$\ncd"), ["ab\ncd"]);
    }
}
