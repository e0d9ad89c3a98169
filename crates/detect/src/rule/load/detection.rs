//! The `detection` section: named detections, and the condition over them.

use std::collections::BTreeMap;

use khien_base::message::Message;
use rsigma_parser::{ConditionExpr, Detection, Detections, Quantifier, SelectorPattern, SigmaValue};

use super::{Placeholders, item};
use crate::reasons;
use crate::rule::{Expr, Item};

/// Most nodes of one rule's tree; selectors repeat detections.
const NODES: usize = 200_000;

/// Why a detection cannot be used, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Named detection.
    pub(super) detection: Option<String>,
    /// Field of the item.
    pub(super) field: Option<String>,
    /// What is wrong.
    pub(super) reason: Message,
}

impl Fault {
    fn condition(reason: Message) -> Self {
        Self { detection: None, field: None, reason }
    }
}

/// The expression of a whole detection section, and the names that no condition uses.
pub(super) fn expression(section: &Detections, placeholders: &Placeholders) -> Result<(Expr, Vec<String>), Fault> {
    let mut named = BTreeMap::new();
    for (name, detection) in &section.named {
        let expr = detection_expr(detection, placeholders).map_err(|(field, reason)| Fault {
            detection: Some(name.clone()),
            field,
            reason,
        })?;
        named.insert(name.as_str(), expr);
    }
    let mut resolver = Resolver {
        sizes: named.iter().map(|(n, e)| (*n, size(e))).collect(),
        used: named.keys().map(|n| (*n, false)).collect(),
        named: &named,
        nodes: 0,
    };
    let mut conditions = section
        .conditions
        .iter()
        .map(|c| resolver.condition(c))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Fault::condition)?;
    let whole = match conditions.len() {
        0 => return Err(Fault::condition(reasons::no_condition())),
        1 => conditions.remove(0),
        _ => Expr::Or(conditions),
    };
    let unused = resolver.used.iter().filter(|(_, used)| !**used);
    let unused = unused.map(|(name, _)| (*name).to_owned()).collect();
    Ok((whole, unused))
}

type Reason = (Option<String>, Message);

fn detection_expr(detection: &Detection, placeholders: &Placeholders) -> Result<Expr, Reason> {
    match detection {
        Detection::AllOf(items) if items.is_empty() => Err((None, reasons::empty_detection())),
        Detection::AllOf(items) => {
            let list = items.iter().map(|i| field_item(i, placeholders));
            list.collect::<Result<Vec<_>, _>>().map(|l| joined(l, Expr::And))
        }
        Detection::AnyOf(list) if list.is_empty() => Err((None, reasons::empty_detection())),
        Detection::AnyOf(list) => {
            let list = list.iter().map(|d| detection_expr(d, placeholders));
            list.collect::<Result<Vec<_>, _>>().map(|l| joined(l, Expr::Or))
        }
        Detection::Keywords(values) if values.is_empty() => Err((None, reasons::empty_detection())),
        Detection::Keywords(values) => keywords(values, placeholders),
        Detection::And(_) | Detection::ArrayMatch { .. } | Detection::Conditional { .. } => {
            Err((None, reasons::array_matching()))
        }
    }
}

/// One of the same kind without its list.
fn joined(mut list: Vec<Expr>, kind: fn(Vec<Expr>) -> Expr) -> Expr {
    match list.len() {
        1 => list.remove(0),
        _ => kind(list),
    }
}

fn field_item(item: &rsigma_parser::DetectionItem, placeholders: &Placeholders) -> Result<Expr, Reason> {
    if item.field.name.is_none() && item.field.modifiers.is_empty() {
        return Err((None, reasons::key_not_text()));
    }
    item::expression(item, placeholders).map_err(|reason| (item.field.name.clone(), reason))
}

fn keywords(values: &[SigmaValue], placeholders: &Placeholders) -> Result<Expr, Reason> {
    let item = rsigma_parser::DetectionItem {
        field: rsigma_parser::FieldSpec::new(None, Vec::new()),
        values: values.to_vec(),
    };
    item::expression(&item, placeholders).map_err(|reason| (None, reason))
}

/// Number of nodes and tests.
fn size(expr: &Expr) -> usize {
    match expr {
        Expr::And(list) | Expr::Or(list) | Expr::AtLeast(_, list) => 1 + list.iter().map(size).sum::<usize>(),
        Expr::Not(inner) | Expr::Named(_, inner) => 1 + size(inner),
        Expr::Item(Item { tests, .. }) => 1 + tests.len(),
    }
}

/// Puts detections in the place of their names.
struct Resolver<'a> {
    named: &'a BTreeMap<&'a str, Expr>,
    sizes: BTreeMap<&'a str, usize>,
    used: BTreeMap<&'a str, bool>,
    nodes: usize,
}

impl Resolver<'_> {
    fn condition(&mut self, condition: &ConditionExpr) -> Result<Expr, Message> {
        match condition {
            ConditionExpr::And(list) => self.list(list).map(Expr::And),
            ConditionExpr::Or(list) => self.list(list).map(Expr::Or),
            ConditionExpr::Not(inner) => Ok(Expr::Not(Box::new(self.condition(inner)?))),
            ConditionExpr::Identifier(name) => self.detection(name),
            ConditionExpr::Selector { quantifier, pattern } => self.selector(quantifier, pattern),
        }
    }

    fn list(&mut self, list: &[ConditionExpr]) -> Result<Vec<Expr>, Message> {
        list.iter().map(|c| self.condition(c)).collect()
    }

    fn detection(&mut self, name: &str) -> Result<Expr, Message> {
        let Some(expr) = self.named.get(name) else {
            return Err(reasons::undefined_detection(name));
        };
        self.nodes += self.sizes.get(name).copied().unwrap_or(1);
        if self.nodes > NODES {
            return Err(reasons::rule_too_large(NODES));
        }
        if let Some(used) = self.used.get_mut(name) {
            *used = true;
        }
        Ok(Expr::Named(name.to_owned(), Box::new(expr.clone())))
    }

    fn selector(&mut self, quantifier: &Quantifier, pattern: &SelectorPattern) -> Result<Expr, Message> {
        let chosen: Vec<String> = self
            .named
            .keys()
            .filter(|name| !name.starts_with('_'))
            .filter(|name| match pattern {
                SelectorPattern::Them => true,
                SelectorPattern::Pattern(glob) => glob_matches(glob, name),
            })
            .map(|name| (*name).to_owned())
            .collect();
        if chosen.is_empty() {
            return Err(reasons::empty_selector(format_args!("{quantifier} of {pattern}")));
        }
        let count = chosen.len();
        let list = chosen.iter().map(|n| self.detection(n)).collect::<Result<Vec<_>, _>>()?;
        match quantifier {
            Quantifier::Any => Ok(joined(list, Expr::Or)),
            Quantifier::All => Ok(joined(list, Expr::And)),
            Quantifier::Count(n) => match u32::try_from(*n) {
                Ok(n) if n >= 1 && n as usize <= count => Ok(Expr::AtLeast(n, list)),
                _ => Err(reasons::impossible_selector(format_args!("{quantifier} of {pattern}"), count)),
            },
        }
    }
}

/// Whether a name matches a pattern with `*` anywhere (rules specification, "Condition").
fn glob_matches(glob: &str, name: &str) -> bool {
    let mut pieces = glob.split('*');
    let Some(mut rest) = name.strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::glob_matches;

    #[test]
    fn names_match_with_stars_anywhere() {
        assert!(glob_matches("sel*", "selection"));
        assert!(glob_matches("*", ""));
        assert!(glob_matches("s*a*b", "sab"));
        assert!(glob_matches("s*a*b", "s_a_a_b"));
        assert!(!glob_matches("s*a*b", "s_b_a"));
        assert!(glob_matches("sel", "sel"));
        assert!(!glob_matches("sel", "sel_1"));
        assert!(!glob_matches("ab*ba", "aba"));
    }
}
