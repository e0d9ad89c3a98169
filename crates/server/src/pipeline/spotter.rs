//! Indicators of compromise in events.

use std::sync::Arc;

use khien_detect::finding::Matched;
use khien_detect::indicators::{IndicatorId, IndicatorSearch, IndicatorSet};
use khien_event::fields::Fields;
use khien_event::text::TextDecoder;
use khien_event::whole::Whole;

use super::finding::{Held, matched};

/// What stands for the pack in findings of indicators.
const PACK: &str = "indicators";

/// One thread's search.
pub(super) struct Spotter {
    search: IndicatorSearch,
    found: Vec<IndicatorId>,
    again: Whole,
}

impl Spotter {
    pub(super) fn new(set: Arc<IndicatorSet>) -> Self {
        Self { search: IndicatorSearch::new(set), found: Vec::new(), again: Whole::new() }
    }

    /// Adds a finding for each indicator in an event. `text` is the decoder of a record that is not JSON.
    pub(super) fn look(
        &mut self,
        fields: &Fields,
        record: &[u8],
        text: Option<&mut TextDecoder>,
        time_ns: Option<i64>,
        held: &mut Vec<Held>,
    ) {
        let mut found = std::mem::take(&mut self.found);
        self.search.event(fields, record, &mut found);
        // Names of fields are looked for only when there is something to name.
        if !found.is_empty() && self.again.decode(text, record).is_ok() {
            for id in &found {
                held.extend(self.finding(*id, record, time_ns));
            }
        }
        self.found = found;
    }

    fn finding(&mut self, id: IndicatorId, record: &[u8], time_ns: Option<i64>) -> Option<Held> {
        let indicator = self.search.set().get(id);
        if !indicator.is_valid_at(time_ns) {
            return None;
        }
        let head = indicator.head();
        let mut places: Vec<(&str, String)> = Vec::new();
        let fields = self.again.fields();
        for (index, field) in fields.list().iter().enumerate() {
            if let Some(text) = self.search.place(id, field, fields, record) {
                let json = serde_json::Value::from(String::from_utf8_lossy(text)).to_string();
                places.push((fields.label(index), json));
            }
        }
        let matched = matched(places.iter().map(|(field, json)| Matched { field, json }));
        Some(Held { head, time_ns, matched, pack: PACK.to_owned(), exception: None })
    }
}
