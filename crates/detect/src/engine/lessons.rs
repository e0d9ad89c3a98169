//! How often pieces of text stand in values: a guess from the rules, and what was seen of the events.

use hashbrown::HashMap;
use khien_event::names::FieldId;

use super::kind::each_item;
use super::witness::{GRAM, Place, gram, soft};
use crate::rule::{Expr, Part, Test};

/// Counters of a table, as a power of two.
const COUNTERS: u32 = 12;

/// How often four bytes stood next to each other, counted by a hash of them.
#[derive(Clone, Default)]
pub(super) struct GramCounts {
    /// None until the first text comes.
    counters: Option<Box<[u16; 1 << COUNTERS]>>,
    texts: u32,
}

/// Most pieces of a text that are counted; of a longer one, stretches all over it, other ones of each text.
const COUNTED: usize = 1_024;
const STRETCH: usize = 128;

impl GramCounts {
    /// Counts the pieces of a text.
    pub(super) fn add(&mut self, text: &[u8]) {
        self.texts += 1;
        let counters = self.counters.get_or_insert_with(|| Box::new([0; 1 << COUNTERS]));
        let step = (text.len() / (COUNTED / STRETCH)).max(STRETCH);
        let first = if step > STRETCH { (self.texts as usize).wrapping_mul(STRETCH) % step } else { 0 };
        // What is counted stands for what is not.
        let weight = u16::try_from(step / STRETCH).unwrap_or(u16::MAX);
        for start in (first..text.len()).step_by(step) {
            for window in text[start..].windows(GRAM).take(STRETCH) {
                let counter = &mut counters[place(window.first_chunk().map_or(0, gram))];
                *counter = counter.saturating_add(weight);
            }
        }
    }

    fn count(&self, gram: u32) -> u32 {
        self.counters.as_ref().map_or(0, |counters| counters[place(gram)].into())
    }
}

fn place(gram: u32) -> usize {
    (gram.wrapping_mul(0x85EB_CA6B) >> (32 - COUNTERS)) as usize
}

/// What rules look for, text by text. What many rules mention, such as system folders, is common in events too.
pub(super) fn common_in_rules<'a>(conditions: impl Iterator<Item = &'a Expr>) -> GramCounts {
    let mut grams = GramCounts::default();
    let mut text = Vec::new();
    for condition in conditions {
        each_item(condition, &mut |item| {
            let parts = item.tests.iter().filter_map(|test| match test {
                Test::Text(parts, _) => Some(parts),
                _ => None,
            });
            for part in parts.flatten() {
                if let Part::Literal(literal) = part {
                    text.clear();
                    text.extend(literal.bytes().map(soft));
                    grams.add(&text);
                }
            }
        });
    }
    grams
}

/// What has been seen of the values of a route's fields.
#[derive(Default)]
pub(super) struct Lessons {
    fields: HashMap<FieldId, GramCounts, foldhash::fast::FixedState>,
}

/// Values of a field below which its lessons say too little.
const ENOUGH: u32 = 16;

impl Lessons {
    /// Whether to learn from event number `event`: from the first ones, then from fewer and fewer.
    pub(super) fn wants(event: u64) -> bool {
        event <= 256 || (event <= 4_096 && event.is_multiple_of(16)) || (event <= LEARNED && event.is_multiple_of(256))
    }

    /// Learns from a value of `field`, or from a record for [`FieldId::OTHER`].
    pub(super) fn learn(&mut self, field: FieldId, value: &[u8]) {
        self.fields.entry(field).or_default().add(value);
    }

    /// What was seen of `field`, or of records for [`FieldId::OTHER`]; `None` for too little.
    fn of(&self, field: FieldId) -> Option<&GramCounts> {
        self.fields.get(&field).filter(|seen| seen.texts >= ENOUGH)
    }
}

/// Events after which nothing more is learned.
pub(super) const LEARNED: u64 = 65_536;

/// What is known of how often signs show.
#[derive(Clone, Copy)]
pub(super) struct Frequencies<'a> {
    pub(super) lessons: &'a Lessons,
    pub(super) common: &'a GramCounts,
}

impl Frequencies<'_> {
    /// The expected share of events in which a sign shows in some of `fields` ([`FieldId::OTHER`] for anywhere in the
    /// record), plus the price of looking for it; and where in the sign its rarest four bytes begin.
    pub(super) fn price(&self, fields: &[FieldId], kind: Place, bytes: &[u8]) -> (f32, u32) {
        let base = match kind {
            Place::Whole => 0.3,
            Place::Start | Place::End => 0.5,
            Place::Inside => 1.0,
            Place::Present => return (50.0, 0),
            Place::BeyondAscii => return (0.5, 0),
        };
        let prior = base / (1.0 + bytes.len() as f32);
        let common = rarest(bytes, |gram| self.common.count(gram));
        let by_mentions = prior + common.map_or(0.0, |(mentions, _)| mentions as f32 * MENTION);
        let mut at = common.map_or(0, |(_, at)| at);
        let mut price = 0.0;
        for &field in fields {
            let seen = self.lessons.of(field);
            match seen.and_then(|seen| rarest(bytes, |gram| seen.count(gram)).zip(Some(seen))) {
                None => price += by_mentions,
                Some(((count, place), seen)) => {
                    price += 10.0 * count as f32 / seen.texts as f32 + prior * 0.1;
                    at = place;
                }
            }
        }
        (if fields.is_empty() { by_mentions } else { price }, at)
    }
}

/// Pieces of a sign that are compared; a longer one is rare enough.
const PIECES: usize = 24;

/// The lowest count of four bytes of a sign, and where they begin.
fn rarest(bytes: &[u8], count: impl Fn(u32) -> u32) -> Option<(u32, u32)> {
    let mut rarest = None;
    for (at, window) in bytes.windows(GRAM).take(PIECES).enumerate() {
        let count = count(window.first_chunk().map_or(0, gram));
        if rarest.is_none_or(|(least, _)| count < least) {
            rarest = Some((count, at as u32));
        }
    }
    rarest
}

/// What each mention in a rule adds to the expected share of events in which a piece stands.
const MENTION: f32 = 0.002;
