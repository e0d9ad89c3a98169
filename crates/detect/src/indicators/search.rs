//! Looking for indicators in events.

use std::sync::Arc;

use khien_event::fields::{Field, Fields, Kind};
use khien_event::json::unescape_into;

use super::{IndicatorId, IndicatorSet};
use crate::cache::{Record, ValueCache};

/// Fields of an event whose values are remembered apart; those after them share the last place.
const PLACES: usize = 256;

/// One thread's search in a set, which remembers what it found in values seen before.
pub struct IndicatorSearch {
    set: Arc<IndicatorSet>,
    cache: ValueCache<IndicatorId>,
    /// By the place of a field in its event: events of a kind list their fields in the same order.
    records: Vec<Record>,
    plain: Vec<u8>,
}

impl IndicatorSearch {
    /// A search in `set`.
    pub fn new(set: Arc<IndicatorSet>) -> Self {
        Self { set, cache: ValueCache::new(), records: vec![Record::default(); PLACES], plain: Vec::new() }
    }

    /// The set that is searched.
    pub fn set(&self) -> &IndicatorSet {
        &self.set
    }

    /// Puts the indicators in the values of an event into `found`, each once, in the order of the set.
    pub fn event(&mut self, fields: &Fields, raw: &[u8], found: &mut Vec<IndicatorId>) {
        found.clear();
        let Self { set, cache, records, plain } = self;
        for (index, field) in fields.list().iter().enumerate() {
            let value = fields.bytes(raw, field);
            if has_text(field.kind) && IndicatorSet::may_match(value) {
                let find = |value: &[u8], found: &mut Vec<IndicatorId>| {
                    set.matches(text(field.kind, value, plain), found);
                };
                let owner = u64::from(field.kind == Kind::Escaped);
                cache.found(owner, value, &mut records[index.min(PLACES - 1)], find, found);
            }
        }
        found.sort_unstable();
        found.dedup();
    }

    /// The text of a field when the indicator `id` is in it.
    pub fn place<'a>(
        &'a mut self,
        id: IndicatorId,
        field: &Field,
        fields: &'a Fields,
        raw: &'a [u8],
    ) -> Option<&'a [u8]> {
        let mut found = Vec::new();
        let text = text(field.kind, fields.bytes(raw, field), &mut self.plain);
        if has_text(field.kind) {
            self.set.matches(text, &mut found);
        }
        found.contains(&id).then_some(text)
    }
}

fn has_text(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Escaped)
}

/// The text of a value, unescaped into `plain` where it has escapes.
fn text<'a>(kind: Kind, bytes: &'a [u8], plain: &'a mut Vec<u8>) -> &'a [u8] {
    if kind != Kind::Escaped || memchr::memchr(b'\\', bytes).is_none() {
        return bytes;
    }
    plain.clear();
    unescape_into(bytes, plain);
    plain
}
