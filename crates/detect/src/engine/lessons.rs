//! How often pieces of text stand in values: a guess from the rules, and what was seen of the events.

use hashbrown::HashMap;
use khien_event::names::FieldId;

use super::kind::each_item;
use super::witness::{GRAM, Place, gram, soft};
use crate::rule::{Expr, Part, Test};

/// Counters of a table, as a power of two.
const COUNTERS: u32 = 13;

/// How often four bytes stood next to each other, counted by a hash of them.
#[derive(Clone, Default)]
pub(super) struct Grams {
    /// Empty until the first text comes.
    counters: Vec<u16>,
    texts: u32,
}

/// Longest part of a text that is counted.
const TEXT_BYTES: usize = 1_024;

impl Grams {
    /// Counts the pieces of a text.
    pub(super) fn add(&mut self, text: &[u8]) {
        self.texts += 1;
        if self.counters.is_empty() {
            self.counters = vec![0; 1 << COUNTERS];
        }
        for window in text.windows(GRAM).take(TEXT_BYTES) {
            let counter = &mut self.counters[place(window.first_chunk().map_or(0, gram))];
            *counter = counter.saturating_add(1);
        }
    }

    fn count(&self, gram: u32) -> u32 {
        self.counters.get(place(gram)).map_or(0, |&c| c.into())
    }
}

fn place(gram: u32) -> usize {
    (gram.wrapping_mul(0x85EB_CA6B) >> (32 - COUNTERS)) as usize
}

/// What rules look for, text by text. What many rules mention, such as system folders, is common in events too.
pub(super) fn common_in_rules<'a>(conditions: impl Iterator<Item = &'a Expr>) -> Grams {
    let mut grams = Grams::default();
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
    fields: HashMap<FieldId, Grams, foldhash::fast::FixedState>,
}

/// Values of a field below which its lessons say too little.
const ENOUGH: u32 = 16;

impl Lessons {
    /// Whether to learn from event number `event`: from the first ones after a few, then fewer and fewer. Most kinds of
    /// event come too seldom for learning to pay.
    pub(super) fn wants(event: u64) -> bool {
        (event > 16 && event <= 128)
            || (event <= 4_096 && event.is_multiple_of(16))
            || (event <= LEARNED && event.is_multiple_of(256))
    }

    /// Learns from a value of `field`.
    pub(super) fn learn(&mut self, field: FieldId, value: &[u8]) {
        self.fields.entry(field).or_default().add(value);
    }

    /// What was seen of `field`, or of all fields for [`FieldId::OTHER`].
    fn of(&self, field: FieldId) -> Seen<'_> {
        let mut grams = Vec::new();
        match field {
            FieldId::OTHER => grams.extend(self.fields.values()),
            _ => grams.extend(self.fields.get(&field)),
        }
        let texts = grams.iter().map(|g| g.texts).max().filter(|&texts| texts >= ENOUGH).unwrap_or(0);
        Seen { grams, texts }
    }
}

/// What was seen of one field or of all.
struct Seen<'a> {
    grams: Vec<&'a Grams>,
    /// Values seen, 0 for too few.
    texts: u32,
}

impl Seen<'_> {
    /// How often four bytes stood in the values, or stand in rules when too few values were seen.
    fn count(&self, gram: u32, common: &Grams) -> u32 {
        if self.texts == 0 { common.count(gram) } else { self.grams.iter().map(|g| g.count(gram)).fold(0, u32::saturating_add) }
    }
}

/// Events after which nothing more is learned.
pub(super) const LEARNED: u64 = 65_536;

/// What is known of how often signs show.
#[derive(Clone, Copy)]
pub(super) struct Frequencies<'a> {
    pub(super) lessons: &'a Lessons,
    pub(super) common: &'a Grams,
}

impl Frequencies<'_> {
    /// The expected share of events in which a sign shows, plus the price of looking for it. `field` is
    /// [`FieldId::OTHER`] for anywhere in the record.
    pub(super) fn price(&self, field: FieldId, kind: Place, bytes: &[u8]) -> f32 {
        let base = match kind {
            Place::Whole => 0.3,
            Place::Start | Place::End => 0.5,
            Place::Inside => 1.0,
            Place::Present => return 50.0,
            Place::BeyondAscii => return 1.0,
        };
        let prior = base / (1.0 + bytes.len() as f32);
        let rarest = |count: &dyn Fn(u32) -> u32| {
            bytes.windows(GRAM).filter_map(|w| w.first_chunk()).map(|w| count(gram(w))).min()
        };
        let seen = self.lessons.of(field);
        match rarest(&|g| seen.count(g, self.common)) {
            None => prior,
            Some(count) if seen.texts > 0 => 10.0 * count as f32 / seen.texts as f32 + prior * 0.1,
            Some(mentions) => prior + mentions as f32 * MENTION,
        }
    }

    /// How often four bytes stand in the values of `field`, or in rules when little was seen; to be compared with others.
    pub(super) fn commonness(&self, field: FieldId) -> impl Fn(u32) -> u32 {
        let seen = self.lessons.of(field);
        move |gram| seen.count(gram, self.common)
    }
}

/// What each mention in a rule adds to the expected share of events in which a piece stands.
const MENTION: f32 = 0.002;
