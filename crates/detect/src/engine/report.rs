//! The fields that made a rule match, as JSON.

use khien_event::fields::{Field, Kind};

use super::eval::{Evaluation, Shown};
use super::kind::{KEYWORDS, Place, RuleField};
use super::plan::Node;
use super::values::ValueRef;
use crate::finding::Matched;

/// Buffers for the matched fields of one finding.
#[derive(Default)]
pub(super) struct Report {
    /// Names and JSON values, one behind the other.
    text: String,
    /// Where each name and each value ends in `text`.
    ends: Vec<(usize, usize)>,
    items: Vec<(RuleField, Shown)>,
}

impl Report {
    /// Collects what made `node` hold for the event under `evaluation`. `known` are items that hold for every event of
    /// its route, `names` the names of fields as rules call them.
    pub(super) fn fill(
        &mut self,
        evaluation: &mut Evaluation<'_>,
        known: &[Place<'_>],
        node: &Node,
        names: &[Box<str>],
    ) {
        let mut items = std::mem::take(&mut self.items);
        items.clear();
        for place in known {
            let value = place.fields.iter().find_map(|&field| evaluation.values.first(field));
            items.push((place.field, value.map_or(Shown::Absence, Shown::Value)));
        }
        evaluation.matched(node, &mut items);
        self.text.clear();
        self.ends.clear();
        for (i, (field, _)) in items.iter().enumerate() {
            // A field that several items look at stands once, with all values that matched.
            if items[..i].iter().any(|(before, _)| before == field) {
                continue;
            }
            self.text.push_str(if *field == KEYWORDS { "keyword" } else { &names[*field as usize] });
            let name_end = self.text.len();
            self.values(evaluation, items[i..].iter().filter(|(f, _)| f == field).map(|(_, shown)| shown));
            self.ends.push((name_end, self.text.len()));
        }
        self.items = items;
    }

    /// What was collected.
    pub(super) fn matched(&self) -> Vec<Matched<'_>> {
        let mut start = 0;
        let part = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        self.ends
            .iter()
            .map(|&(name_end, end)| {
                let matched = Matched { field: part(start, name_end), json: part(name_end, end) };
                start = end;
                matched
            })
            .collect()
    }

    fn values<'s>(&mut self, evaluation: &Evaluation<'_>, shown: impl Iterator<Item = &'s Shown>) {
        let mut distinct: Vec<&Shown> = Vec::new();
        for one in shown.filter(|one| **one != Shown::Absence) {
            if !distinct.contains(&one) {
                distinct.push(one);
            }
        }
        match &distinct[..] {
            [] => self.text.push_str("null"),
            [one] => self.shown(evaluation, one),
            several => {
                for (i, one) in several.iter().enumerate() {
                    self.text.push(if i == 0 { '[' } else { ',' });
                    self.shown(evaluation, one);
                }
                self.text.push(']');
            }
        }
    }

    fn shown(&mut self, evaluation: &Evaluation<'_>, shown: &Shown) {
        match shown {
            Shown::Value(value) => self.value(evaluation, *value),
            Shown::Text(text) => self.text.push_str(&serde_json::Value::from(text.as_str()).to_string()),
            Shown::Absence => self.text.push_str("null"),
        }
    }

    fn value(&mut self, evaluation: &Evaluation<'_>, value: ValueRef) {
        let field: &Field = evaluation.values.field(value);
        let bytes = evaluation.source.fields.bytes(evaluation.source.raw, field);
        let text = String::from_utf8_lossy(bytes);
        match field.kind {
            Kind::Escaped => {
                self.text.push('"');
                self.text.push_str(&text);
                self.text.push('"');
            }
            Kind::Number if is_json_number(&text) => self.text.push_str(&text),
            Kind::Text | Kind::Number => self.text.push_str(&serde_json::Value::from(text).to_string()),
            Kind::True => self.text.push_str("true"),
            Kind::False => self.text.push_str("false"),
            Kind::Null => self.text.push_str("null"),
            Kind::Object => self.text.push_str("{}"),
            Kind::EmptyArray => self.text.push_str("[]"),
        }
    }
}

/// Whether `text`, which some decoder calls a number, is one by JSON's grammar.
fn is_json_number(text: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(text).is_ok()
}
