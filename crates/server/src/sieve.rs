//! Which stored events a hunt has to look at.
//!
//! A hunt decodes records and runs the rules on them as if they had just come in. Most records need not be decoded to know
//! that no rule of the hunt matches: their kind is none that the rules are for, or a column does not have what every match
//! must have there, or the words of a match are nowhere in a stretch of a file. A [`Sieve`] says so as SQL. It lets through
//! too much, never too little; whatever it does not understand it lets through.

use std::net::Ipv4Addr;

use khien_detect::indicators::{IndicatorSet, Kind};
use khien_detect::rule::{Expr, Item, Link, Part, Rule, Test};
use khien_detect::scope::is_tried;
use khien_event::ocsf::flat::{Column, column_of};
use khien_event::taxonomy::{KindId, Taxonomy};

/// With more rules than this, nearly every event is let through.
const MOST_RULES: usize = 32;

/// Tests of one hunt that are put to columns; of what is beyond them everything is let through.
const MOST_TESTS: usize = 512;

/// What must be so of an event.
#[derive(Clone, Debug, PartialEq)]
enum Sieve {
    /// Nothing.
    Everything,
    All(Vec<Sieve>),
    /// One of these; never, when there is none.
    Any(Vec<Sieve>),
    /// Not of these kinds.
    NotOf(Vec<&'static str>),
    /// The column has no value, or one that is like the pattern without regard to case.
    Like(&'static Column, String),
    /// The words of the text stand in the event; at an end that is `open` they may go on.
    Words(String, (bool, bool)),
}

impl Sieve {
    fn all(list: impl IntoIterator<Item = Self>) -> Self {
        let mut kept: Vec<Self> = list.into_iter().filter(|sieve| *sieve != Self::Everything).collect();
        match kept.len() {
            0 => Self::Everything,
            1 => kept.swap_remove(0),
            _ => Self::All(kept),
        }
    }

    fn any(list: impl IntoIterator<Item = Self>) -> Self {
        let list: Vec<Self> = list.into_iter().collect();
        if list.contains(&Self::Everything) { Self::Everything } else { Self::Any(list) }
    }

    fn sql(&self) -> String {
        let joined = |list: &[Self], with: &str, none: &str| {
            let list: Vec<String> = list.iter().map(Self::sql).collect();
            if list.is_empty() { none.to_owned() } else { format!("({})", list.join(with)) }
        };
        match self {
            Self::Everything => "true".to_owned(),
            Self::All(list) => joined(list, " AND ", "true"),
            Self::Any(list) => joined(list, " OR ", "false"),
            Self::NotOf(kinds) => {
                let kinds: Vec<String> = kinds.iter().map(|kind| quoted(kind)).collect();
                format!("kind NOT IN ({})", kinds.join(", "))
            }
            Self::Like(column, pattern) => format!("({0} IS NULL OR {0} ILIKE {1})", column.name, quoted(pattern)),
            Self::Words(text, open) => format!("may_have_words(event_id, {}, {}, {})", quoted(text), open.0, open.1),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The condition on events that one of `rules` or `indicators` may match, as SQL; `None` when that may be all of them.
pub(crate) fn condition(
    rules: &[Rule],
    indicators: Option<&IndicatorSet>,
    taxonomy: &'static Taxonomy,
) -> Option<String> {
    let indicators = indicators.map(of_indicators);
    let rules = (indicators.is_none() || !rules.is_empty()).then(|| of_rules(rules, taxonomy));
    let sieve = Sieve::any(rules.into_iter().chain(indicators));
    (sieve != Sieve::Everything).then(|| sieve.sql())
}

/// With more indicators than this, nearly every stretch of events has the words of one.
const MOST_INDICATORS: usize = 200;

fn of_indicators(set: &IndicatorSet) -> Sieve {
    if set.len() > MOST_INDICATORS {
        return Sieve::Everything;
    }
    Sieve::any(set.iter().map(|indicator| {
        let words = || Sieve::Words(indicator.value.clone(), (false, false));
        match indicator.kind {
            Kind::Hash => words(),
            // Others may be written in several ways.
            Kind::Domain if indicator.value.is_ascii() && !indicator.value.contains("xn--") => words(),
            Kind::Ip if indicator.value.parse::<Ipv4Addr>().is_ok() => {
                // Inside of IPv6 it may be written in hexadecimal digits.
                Sieve::any([words(), Sieve::Words("ffff".to_owned(), (false, false))])
            }
            Kind::Ip | Kind::Domain | Kind::Url | Kind::Email => Sieve::Everything,
        }
    }))
}

fn of_rules(rules: &[Rule], taxonomy: &'static Taxonomy) -> Sieve {
    if rules.len() > MOST_RULES {
        return Sieve::Everything;
    }
    let mut count = 0;
    Sieve::any(rules.iter().map(|rule| of_rule(rule, taxonomy, &mut count)))
}

fn of_rule(rule: &Rule, taxonomy: &'static Taxonomy, tests: &mut usize) -> Sieve {
    let known = || (1..taxonomy.kind_count()).map(|kind| KindId(kind as u16));
    let (tried, not): (Vec<KindId>, Vec<KindId>) = known().partition(|kind| is_tried(rule, *kind, taxonomy));
    // Kinds have names that may be the same in several versions of the program, but not for several kinds.
    let not: Vec<&str> = not.into_iter().map(|kind| taxonomy.kind_name(kind)).collect();
    let kinds = if not.is_empty() { Sieve::Everything } else { Sieve::NotOf(not) };
    Sieve::all([kinds, Sifting { tried, taxonomy, tests }.expr(&rule.condition)])
}

struct Sifting<'a> {
    tried: Vec<KindId>,
    taxonomy: &'static Taxonomy,
    tests: &'a mut usize,
}

impl Sifting<'_> {
    fn expr(&mut self, expr: &Expr) -> Sieve {
        match expr {
            Expr::And(list) => Sieve::all(list.iter().map(|expr| self.expr(expr)).collect::<Vec<_>>()),
            Expr::Or(list) => Sieve::any(list.iter().map(|expr| self.expr(expr)).collect::<Vec<_>>()),
            // What an event lacks can be known only when it was decoded.
            Expr::Not(_) | Expr::AtLeast(0, _) => Sieve::Everything,
            Expr::AtLeast(count, list) => {
                let list: Vec<Sieve> = list.iter().map(|expr| self.expr(expr)).collect();
                if *count as usize >= list.len() { Sieve::all(list) } else { Sieve::any(list) }
            }
            Expr::Named(_, inner) => self.expr(inner),
            Expr::Item(item) => self.of_item(item),
        }
    }

    fn of_item(&mut self, item: &Item) -> Sieve {
        *self.tests += item.tests.len();
        if *self.tests > MOST_TESTS {
            return Sieve::Everything;
        }
        let column = item.field.as_deref().and_then(|field| column_of(field, &self.tried, self.taxonomy));
        let sieves = item.tests.iter().map(|test| of_test(test, column));
        match item.link {
            Link::Any => Sieve::any(sieves),
            Link::All => Sieve::all(sieves),
        }
    }
}

fn of_test(test: &Test, column: Option<&'static Column>) -> Sieve {
    match test {
        Test::Text(parts, _) => {
            let last = parts.len().saturating_sub(1);
            let words = parts.iter().enumerate().filter_map(|(at, part)| match part {
                Part::Literal(literal) => Some(Sieve::Words(literal.clone(), (at > 0, at < last))),
                Part::One | Part::Any => None,
            });
            let like = column.and_then(|column| Some(Sieve::Like(column, pattern(parts)?)));
            Sieve::all(words.chain(like).collect::<Vec<_>>())
        }
        Test::Regex(regex) => Sieve::all(regex.required.iter().map(|list| {
            Sieve::any(list.iter().map(|literal| {
                let words = Sieve::Words(literal.clone(), (true, true));
                let parts = [Part::Any, Part::Literal(literal.clone()), Part::Any];
                let like = column.and_then(|column| Some(Sieve::Like(column, pattern(&parts)?)));
                Sieve::all([words].into_iter().chain(like))
            }))
        })),
        _ => Sieve::Everything,
    }
}

/// A pattern of SQL that every text is like which fits `parts`; `None` when that would be every text.
fn pattern(parts: &[Part]) -> Option<String> {
    let mut pattern = String::new();
    for part in parts {
        match part {
            Part::Literal(text) if text.is_ascii() => {
                for letter in text.chars() {
                    if matches!(letter, '%' | '_' | '\\') {
                        pattern.push('\\');
                    }
                    pattern.push(letter);
                }
            }
            // Engines differ in what is the same letter.
            Part::Literal(_) | Part::Any => pattern.push('%'),
            Part::One => pattern.push('_'),
        }
    }
    pattern.chars().any(|letter| letter != '%').then_some(pattern)
}

#[cfg(test)]
mod tests;
