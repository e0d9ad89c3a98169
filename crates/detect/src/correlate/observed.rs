//! Matches on their way to a [`Correlator`].

use std::collections::HashMap;

use khien_event::fields::Fields;
use khien_event::names::FieldId;
use khien_event::taxonomy::KindId;

use super::{Correlator, Observation};
use crate::engine::{Detector, text_of};
use crate::finding::Finding;

/// Matches that correlations want, with all their texts in one. What one thread found goes to another in it.
#[derive(Debug, Default)]
pub struct Observations {
    list: Vec<Observed>,
    /// Place among the needed fields, and end in `text`.
    fields: Vec<(usize, usize)>,
    text: String,
    /// Owners, each as often as they follow another.
    scopes: Vec<String>,
}

#[derive(Debug)]
struct Observed {
    rule: usize,
    time_ns: Option<i64>,
    position: u64,
    /// Place among the owners.
    scope: usize,
    /// End in the list of fields.
    end: usize,
}

/// For a rule and a kind of event: the sources of each field that correlations need.
#[derive(Debug, Default)]
pub struct Wanted(HashMap<(usize, KindId), Vec<Box<[FieldId]>>>);

impl Observations {
    /// Adds a match of a rule that feeds `correlator`, at `time_ns`, of an event that belongs to `scope`.
    pub fn add(
        &mut self,
        (detector, correlator): (&Detector, &Correlator),
        wanted: &mut Wanted,
        (rule, finding, fields): (usize, &Finding<'_>, &Fields),
        time_ns: Option<i64>,
        scope: &str,
    ) {
        let sources = |kind| correlator.needs(rule).iter().map(|field| detector.sources(kind, field)).collect();
        let wanted = wanted.0.entry((rule, finding.kind)).or_insert_with_key(|(_, kind)| sources(*kind));
        for (place, sources) in wanted.iter().enumerate() {
            for field in fields.list().iter().filter(|f| sources.contains(&f.name)) {
                if let Some(text) = text_of(fields, finding.raw, field) {
                    self.text.push_str(&text);
                    self.fields.push((place, self.text.len()));
                }
            }
        }
        if self.scopes.last().is_none_or(|last| last != scope) {
            self.scopes.push(scope.to_owned());
        }
        let (position, scope, end) = (finding.position, self.scopes.len() - 1, self.fields.len());
        self.list.push(Observed { rule, time_ns, position, scope, end });
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Hands out every match, as one of `file`.
    pub fn each(&self, file: u32, take: &mut dyn FnMut(Observation<'_>)) {
        let mut start = 0;
        let texts: Vec<(usize, &str)> = (self.fields.iter())
            .map(|&(place, end)| (place, self.text.get(std::mem::replace(&mut start, end)..end).unwrap_or_default()))
            .collect();
        let mut start = 0;
        for &Observed { rule, time_ns, position, scope, end } in &self.list {
            let scope = &self.scopes[scope];
            take(Observation { rule, time_ns, fields: &texts[start..end], file, position, scope });
            start = end;
        }
    }
}
