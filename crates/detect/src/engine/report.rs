//! The fields that made a rule match, as JSON.

use khien_event::fields::{Field, Kind};

use super::eval::Evaluation;
use super::plan::Node;
use super::values::ValueRef;
use crate::finding::Matched;

/// Buffers for the matched fields of one finding.
#[derive(Default)]
pub(super) struct Report {
    fields: Vec<(String, usize)>,
    json: String,
}

impl Report {
    /// Collects what made `node` hold for the event under `evaluation`.
    pub(super) fn fill(&mut self, evaluation: &mut Evaluation<'_>, node: &Node) {
        let mut items = Vec::new();
        evaluation.matched(node, &mut items);
        let mut merged: Vec<(&str, Vec<ValueRef>)> = Vec::new();
        for (field, values) in items {
            match merged.iter_mut().find(|(f, _)| *f == field) {
                Some((_, have)) => have.extend(values.into_iter().filter(|v| !have.contains(v)).collect::<Vec<_>>()),
                None => merged.push((field, values)),
            }
        }
        self.fields.clear();
        self.json.clear();
        for (field, values) in merged {
            self.write(evaluation, &values);
            let name = if field.is_empty() { "keyword" } else { field };
            self.fields.push((name.to_owned(), self.json.len()));
        }
    }

    /// What was collected.
    pub(super) fn matched(&self) -> Vec<Matched<'_>> {
        let mut start = 0;
        self.fields
            .iter()
            .map(|(field, end)| {
                let json = self.json.get(start..*end).unwrap_or("null");
                start = *end;
                Matched { field, json }
            })
            .collect()
    }

    fn write(&mut self, evaluation: &Evaluation<'_>, values: &[ValueRef]) {
        match values {
            [] => self.json.push_str("null"),
            [value] => self.value(evaluation, *value),
            several => {
                for (i, value) in several.iter().enumerate() {
                    self.json.push(if i == 0 { '[' } else { ',' });
                    self.value(evaluation, *value);
                }
                self.json.push(']');
            }
        }
    }

    fn value(&mut self, evaluation: &Evaluation<'_>, value: ValueRef) {
        let field: &Field = evaluation.values.field(value);
        let bytes = evaluation.source.fields.bytes(evaluation.source.raw, field);
        let text = String::from_utf8_lossy(bytes);
        match field.kind {
            Kind::Escaped => {
                self.json.push('"');
                self.json.push_str(&text);
                self.json.push('"');
            }
            Kind::Text => self.json.push_str(&serde_json::Value::from(text).to_string()),
            Kind::Number if is_json_number(&text) => self.json.push_str(&text),
            Kind::Number => self.json.push_str(&serde_json::Value::from(text).to_string()),
            Kind::True => self.json.push_str("true"),
            Kind::False => self.json.push_str("false"),
            Kind::Null => self.json.push_str("null"),
            Kind::Object => self.json.push_str("{}"),
            Kind::EmptyArray => self.json.push_str("[]"),
        }
    }
}

/// Whether `text`, which some decoder calls a number, is one by JSON's grammar.
fn is_json_number(text: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(text).is_ok()
}
