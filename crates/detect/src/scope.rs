//! Which events a rule is tried on.

use khien_event::taxonomy::{KindId, LogSource, Taxonomy};

use crate::engine::fields_of;
use crate::rule::{Expr, Item, Link, Rule, Test};

/// Whether `rule` is tried on events of `kind`: its log source fits, and if nobody knows that kind the rule has something
/// to say about it.
///
/// A record that nobody knows may be anything: prose, the log of some product. Events of the log sources of the taxonomy
/// would have been recognised; if it comes from one of them nevertheless, in a shape of somebody's own, then its fields say
/// so. So rules for these sources are tried if they ask for a field. Those that only look for words anywhere, or hold where
/// nothing stands at all (`not selection`), would only guess.
pub fn is_tried(rule: &Rule, kind: KindId, taxonomy: &Taxonomy) -> bool {
    taxonomy.applies(kind, &rule.logsource) && (taxonomy.knows(kind) || is_tried_on_unknown(rule, taxonomy))
}

pub(crate) fn is_tried_on_unknown(rule: &Rule, taxonomy: &Taxonomy) -> bool {
    let LogSource { product, category, service, .. } = &rule.logsource;
    let asks_for_every_event = product.is_none() && category.is_none() && service.is_none();
    if asks_for_every_event || !is_known(&rule.logsource, taxonomy) {
        return true;
    }
    let mut fields = Vec::new();
    fields_of(&rule.condition, &mut fields);
    !fields.is_empty() && !holds_on_nothing(&rule.condition)
}

/// Whether some kind of event that is known has this log source.
pub(crate) fn is_known(source: &LogSource, taxonomy: &Taxonomy) -> bool {
    (1..taxonomy.kind_count()).any(|kind| taxonomy.applies(KindId(kind as u16), source))
}

/// Whether a condition holds for an event without any field.
fn holds_on_nothing(expr: &Expr) -> bool {
    match expr {
        Expr::And(list) => list.iter().all(holds_on_nothing),
        Expr::Or(list) => list.iter().any(holds_on_nothing),
        Expr::Not(inner) => !holds_on_nothing(inner),
        Expr::AtLeast(count, list) => list.iter().filter(|e| holds_on_nothing(e)).count() >= *count as usize,
        Expr::Named(_, inner) => holds_on_nothing(inner),
        Expr::Item(Item { link, tests, .. }) => {
            let asks_for_absence = |test: &Test| matches!(test, Test::Null | Test::Exists(false));
            match link {
                Link::Any => tests.iter().any(asks_for_absence),
                Link::All => tests.iter().all(asks_for_absence),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::load::{Loader, Placeholders};

    fn is_tried_on_anything(logsource: &str, detection: &str) -> bool {
        let mut loader = Loader::new(Placeholders::default());
        let text = format!("title: t\nid: r\nlogsource: {logsource}\ndetection:\n{detection}\n");
        loader.add_file("t", &text);
        let set = loader.finish();
        assert_eq!(set.rules.len(), 1, "{:?}", set.problems);
        is_tried(&set.rules[0], KindId(0), Taxonomy::embedded())
    }

    #[test]
    fn what_nobody_knows_is_tried_with_rules_that_ask_for_something() {
        let (fields, words) = ("  s: {Image: x}\n  condition: s", "  s: ['some words']\n  condition: s");
        let (not, absent) = ("  s: {Image: x}\n  condition: not s", "  s: {Image: null}\n  condition: s");
        let mixed = "  s: {Image: x}\n  f: {User: y}\n  condition: s and not f";
        for (logsource, detection, expected) in [
            ("{product: windows}", fields, true),
            ("{product: windows}", mixed, true),
            ("{product: windows}", words, false),
            ("{product: windows}", not, false),
            ("{product: windows}", absent, false),
            ("{product: ours}", words, true),
            ("{product: ours}", not, true),
            ("{product: windows}", "  s: {a: 1}\n  t: {b: null}\n  condition: 1 of them", false),
            ("{}", words, true),
            ("{}", not, true),
        ] {
            assert_eq!(is_tried_on_anything(logsource, detection), expected, "{logsource} {detection}");
        }
    }
}
