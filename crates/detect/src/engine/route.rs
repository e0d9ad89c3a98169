//! The rules that can still hold for one kind of event, and where to look for their signs.

use hashbrown::HashMap;
use khien_event::fields::{Encoding, Field, Kind, ShapeId};
use khien_event::json::unescape_into;
use khien_event::names::FieldId;
use khien_event::taxonomy::{KindId, LogSource};
use memchr::memmem;

use super::cache::{Record, ValueCache};
use super::eval::{Texts, text_check_holds};
use super::filter::{Filter, gram};
use super::plan::{Check, ItemNode, Lowering, Node, lower};
use super::values::{Slot, Source, Values};
use super::witness::{Frequencies, GRAM, Place, Sign, integer_digits, witness};
use super::{Body, Detector};
use crate::rule::{Expr, Item, Link};
use crate::text::{fold, number};

/// Most fields on which the kind of an event may depend.
pub(super) const DISCRIMINATORS: usize = 8;

/// What decides which rules can hold: the kind, how text is written, and the outcomes of all items that look only at
/// discriminating fields (`None` when a field stands twice and nothing may be folded away).
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct RouteKey {
    pub(super) kind: KindId,
    pub(super) shape: ShapeId,
    pub(super) encoding: Encoding,
    pub(super) outcomes: Option<Vec<bool>>,
}

/// The rules for a kind of event, and their items that look only at discriminating fields.
pub(super) struct KindPlan {
    bodies: Vec<u32>,
    items: Vec<KnownItem>,
}

/// An item on a discriminating field.
struct KnownItem {
    body: u32,
    /// Which item of its rule it is, in order of appearance.
    ordinal: u32,
    discriminator: usize,
    item: ItemNode,
}

/// The texts of the discriminating fields of one event; the outer option is `None` where the field is absent.
pub(super) type Known = [Option<Option<String>>];

impl KindPlan {
    /// The rules of `detector` for events of `kind`, whose discriminating fields are `names`.
    pub(super) fn new(detector: &Detector, bodies: &[Body], kind: KindId, names: &[&str]) -> Self {
        let mut plan = Self { bodies: Vec::new(), items: Vec::new() };
        let mut applies: HashMap<&LogSource, bool> = HashMap::new();
        for (index, body) in bodies.iter().enumerate() {
            let rule = &detector.rules[body.rules[0] as usize];
            let source = &rule.logsource;
            if !*applies.entry(source).or_insert_with(|| detector.applies(kind, source)) {
                continue;
            }
            plan.bodies.push(index as u32);
            let mut collector =
                Collector { detector, kind, names, body: index as u32, ordinal: 0, items: &mut plan.items };
            collector.walk(&rule.condition);
        }
        plan
    }

    /// What the discriminating fields decide.
    pub(super) fn outcomes(&self, known: &Known) -> Vec<bool> {
        self.items.iter().map(|k| decided(&k.item, known[k.discriminator].as_ref())).collect()
    }
}

struct Collector<'a> {
    detector: &'a Detector,
    kind: KindId,
    names: &'a [&'a str],
    body: u32,
    ordinal: u32,
    items: &'a mut Vec<KnownItem>,
}

impl Collector<'_> {
    fn walk(&mut self, expr: &Expr) {
        match expr {
            Expr::And(list) | Expr::Or(list) | Expr::AtLeast(_, list) => list.iter().for_each(|e| self.walk(e)),
            Expr::Not(inner) | Expr::Named(_, inner) => self.walk(inner),
            Expr::Item(item) => {
                self.item(item);
                self.ordinal += 1;
            }
        }
    }

    fn item(&mut self, item: &Item) {
        let Some(field) = &item.field else { return };
        let compares_fields = item.tests.iter().any(|t| matches!(t, crate::rule::Test::FieldRef(..)));
        let sources = self.detector.taxonomy.sources(self.kind, field);
        let [source] = &sources[..] else { return };
        let Some(discriminator) = self.names.iter().position(|n| n == source) else {
            return;
        };
        if !compares_fields {
            let node = lower(&Expr::Item(item.clone()), &mut NoRoute);
            if let Node::Item(lowered) = node {
                self.items.push(KnownItem { body: self.body, ordinal: self.ordinal, discriminator, item: *lowered });
            }
        }
    }
}

/// Lowers items whose slots do not matter.
struct NoRoute;

impl Lowering for NoRoute {
    fn slots(&mut self, _: &str) -> Vec<Slot> {
        Vec::new()
    }

    fn known(&mut self, _: &Item) -> Option<bool> {
        None
    }
}

/// The outcome of an item on a discriminating field.
fn decided(item: &ItemNode, value: Option<&Option<String>>) -> bool {
    let plain = value.and_then(|v| v.as_deref());
    let folded = plain.map(fold);
    let texts = plain.zip(folded.as_deref()).map(|(p, f)| Texts { plain: p.as_bytes(), folded: f.as_bytes() });
    let check = |check: &Check| match check {
        Check::Null => plain.is_none(),
        Check::Exists(wanted) => value.is_some() == *wanted,
        _ => texts.is_some_and(|t| text_check_holds(check, t)),
    };
    let by_group = item.group.as_ref().is_some_and(|g| texts.is_some_and(|t| g.holds(t.folded)));
    by_group
        || match item.link {
            Link::Any => item.tests.iter().any(check),
            Link::All => item.tests.iter().all(check),
        }
}

/// A body as it stands on a route.
struct RouteBody {
    /// Index among the detector's bodies.
    body: u32,
    condition: Node,
    /// Fields whose items hold for every event of the route, with their slots; findings show them too.
    known: Vec<(Box<str>, Vec<Slot>)>,
}

/// See the module text.
pub(super) struct Route {
    /// The kind of its events.
    pub(super) kind: KindId,
    encoding: Encoding,
    /// The bodies that can hold.
    bodies: Vec<RouteBody>,
    /// Slot per field id, [`NO_SLOT`] for fields no rule here looks at.
    slot_of: Vec<Slot>,
    slots: usize,
    /// Per slot.
    filters: Vec<Filter>,
    /// Signs anywhere in the record.
    everywhere: Filter,
    /// Bodies that may hold without any sign.
    always: Vec<u32>,
    /// Whether signs have been chosen. Until they are, every body is evaluated: most kinds of event come too seldom for a
    /// choice to pay.
    chosen: bool,
    /// Number of the last event for which a body became a candidate.
    seen: Vec<u64>,
    events: u64,
    lessons: Lessons,
    /// First of the numbers under which the values of its slots are remembered.
    owner: u64,
    /// Per slot.
    records: Vec<Record>,
}

const NO_SLOT: Slot = Slot::MAX;

/// What the search for candidates needs from event to event, whatever their route.
pub(super) struct Search {
    pub(super) values: Values,
    pub(super) candidates: Vec<u32>,
    found: Vec<u32>,
    spelling: Vec<u8>,
    cache: ValueCache,
    /// Numbers given to routes, so that no two filters share remembered values.
    owners: u64,
}

impl Search {
    pub(super) fn new() -> Self {
        Self {
            values: Values::default(),
            candidates: Vec::new(),
            found: Vec::new(),
            spelling: Vec::new(),
            cache: ValueCache::new(),
            owners: 0,
        }
    }
}

impl Route {
    /// Builds the route of `key`.
    pub(super) fn new(detector: &Detector, plan: &KindPlan, key: &RouteKey) -> Self {
        let mut builder = Builder {
            detector,
            kind: key.kind,
            slot_of: vec![NO_SLOT; detector.names.len()],
            slots: 0,
            known: known_outcomes(plan, key),
            fields: HashMap::new(),
            body: 0,
            ordinal: 0,
        };
        let mut bodies = Vec::new();
        for &body in &plan.bodies {
            (builder.body, builder.ordinal) = (body, 0);
            let rule = &detector.rules[detector.bodies[body as usize].rules[0] as usize];
            if builder.decide(&rule.condition) == Some(false) {
                continue;
            }
            builder.ordinal = 0;
            let condition = lower(&rule.condition, &mut builder);
            if !matches!(condition, Node::Const(false)) {
                builder.ordinal = 0;
                let mut known = Vec::new();
                builder.known_fields(&rule.condition, &mut known);
                bodies.push(RouteBody { body, condition, known });
            }
        }
        let slots = builder.slots;
        Self {
            kind: key.kind,
            encoding: key.encoding,
            chosen: false,
            seen: vec![0; bodies.len()],
            bodies,
            slot_of: builder.slot_of,
            slots,
            filters: Vec::new(),
            everywhere: Filter::default(),
            always: Vec::new(),
            events: 0,
            lessons: Lessons::new(slots),
            owner: 0,
            records: vec![Record::default(); slots],
        }
    }

    /// The condition of a candidate.
    pub(super) fn condition(&self, candidate: u32) -> &Node {
        &self.bodies[candidate as usize].condition
    }

    /// The fields of a candidate that need no evaluation on this route.
    pub(super) fn known(&self, candidate: u32) -> &[(Box<str>, Vec<Slot>)] {
        &self.bodies[candidate as usize].known
    }

    /// The detector's body behind a candidate.
    pub(super) fn body(&self, candidate: u32) -> usize {
        self.bodies[candidate as usize].body as usize
    }

    /// Sorts the fields of an event into the values of `search` and fills its candidates with the bodies worth
    /// evaluating.
    pub(super) fn candidates(&mut self, source: Source<'_>, search: &mut Search) {
        self.events += 1;
        search.values.clear(self.slots);
        search.found.clear();
        let learning = Lessons::wants(self.events);
        let all = !self.chosen;
        for field in source.fields.list() {
            let slot = field.name.index().map_or(NO_SLOT, |i| self.slot_of[i]);
            if slot != NO_SLOT {
                search.values.push(slot, *field);
                if all {
                    self.lessons.learn_field(slot, field, source, &mut search.spelling);
                } else {
                    self.look(slot, field, source, search, learning);
                }
            }
        }
        search.candidates.clear();
        if all {
            search.candidates.extend(0..self.bodies.len() as u32);
            return;
        }
        let beyond = source.fields.encoding == Encoding::Plain || source.fields.beyond_ascii;
        if beyond {
            search.found.extend_from_slice(&self.everywhere.beyond_ascii);
        }
        if self.everywhere.reads_values() {
            self.look_everywhere(source, search);
        }
        search.candidates.extend_from_slice(&self.always);
        for &body in &search.found {
            let last = &mut self.seen[body as usize];
            if *last != self.events {
                *last = self.events;
                search.candidates.push(body);
            }
        }
    }

    /// Looks for signs in one value.
    #[inline]
    fn look(&mut self, slot: Slot, field: &Field, source: Source<'_>, search: &mut Search, learning: bool) {
        let index = usize::from(slot);
        let filter = &self.filters[index];
        search.found.extend_from_slice(&filter.present);
        if !filter.beyond_ascii.is_empty() && may_be_beyond_ascii(field, source) {
            search.found.extend_from_slice(&filter.beyond_ascii);
        }
        if !filter.reads_values() && !learning {
            return;
        }
        let Some(value) = searchable(field, source, &mut search.spelling) else {
            return;
        };
        if learning {
            self.lessons.learn(slot, value);
        }
        let owner = self.owner + index as u64;
        let find = |value: &[u8], out: &mut Vec<u32>| filter.probe(value, &mut |bodies| out.extend_from_slice(bodies));
        search.cache.bodies(owner, value, &mut self.records[index], find, &mut search.found);
        // A number in a rule is looked for by its usual digits; text that looks like it keeps its own spelling too.
        if let Some(digits) = odd_integer(value) {
            filter.probe(digits.as_bytes(), &mut |bodies| search.found.extend_from_slice(bodies));
        }
    }

    /// Looks for signs that may stand anywhere in the record.
    fn look_everywhere(&self, source: Source<'_>, search: &mut Search) {
        let found = &mut search.found;
        let mut add = |bodies: &[u32]| found.extend_from_slice(bodies);
        if source.fields.odd_escapes {
            respell(source.raw, &mut search.spelling);
            self.everywhere.probe(&search.spelling, &mut add);
        } else if source.fields.encoding == Encoding::Json {
            self.everywhere.probe(source.raw, &mut add);
        } else {
            for field in source.fields.list() {
                self.everywhere.probe(source.fields.bytes(source.raw, field), &mut add);
            }
        }
    }

    /// Whether enough was learned since the signs were chosen.
    pub(super) fn wants_relearning(&self) -> bool {
        let first = !self.chosen
            && (self.events >= FIRST_EVENTS || self.events * self.bodies.len() as u64 >= FIRST_EVALUATIONS);
        (first || matches!(self.events, 1_024 | 16_384 | LEARNED)) && !self.bodies.is_empty()
    }

    /// Chooses the signs again.
    pub(super) fn choose_signs(&mut self, search: &mut Search) {
        search.owners += self.slots as u64 + 1;
        self.owner = search.owners - self.slots as u64;
        let mut signs: HashMap<Sign, Vec<u32>> = HashMap::new();
        self.chosen = true;
        self.always.clear();
        for (index, body) in self.bodies.iter().enumerate() {
            match witness(&body.condition, self.encoding, &self.lessons) {
                None => self.always.push(index as u32),
                Some(chosen) => chosen.into_iter().for_each(|sign| signs.entry(sign).or_default().push(index as u32)),
            }
        }
        let mut by_slot: Vec<Vec<(Sign, Vec<u32>)>> = (0..self.slots).map(|_| Vec::new()).collect();
        let mut anywhere = Vec::new();
        for (sign, mut bodies) in signs {
            bodies.dedup();
            match sign.slot {
                Some(slot) => by_slot[usize::from(slot)].push((sign, bodies)),
                None => anywhere.push((sign, bodies)),
            }
        }
        let lessons = &self.lessons;
        self.filters =
            by_slot.iter().enumerate().map(|(slot, signs)| Filter::new(signs, &|g| lessons.count(slot, g))).collect();
        self.everywhere = Filter::new(&anywhere, &|g| lessons.total(g));
    }
}

/// Outcomes by body and item.
fn known_outcomes(plan: &KindPlan, key: &RouteKey) -> HashMap<(u32, u32), bool> {
    let outcomes = key.outcomes.as_deref().unwrap_or_default();
    plan.items.iter().zip(outcomes).map(|(item, &outcome)| ((item.body, item.ordinal), outcome)).collect()
}

struct Builder<'a> {
    detector: &'a Detector,
    kind: KindId,
    slot_of: Vec<Slot>,
    slots: usize,
    known: HashMap<(u32, u32), bool>,
    /// Slots of the fields asked for so far.
    fields: HashMap<String, Vec<Slot>>,
    body: u32,
    ordinal: u32,
}

impl Builder<'_> {
    fn slot(&mut self, field: FieldId) -> Option<Slot> {
        let place = self.slot_of.get_mut(field.index()?)?;
        if *place == NO_SLOT {
            *place = self.slots as Slot;
            self.slots += 1;
        }
        Some(*place)
    }

    /// Appends the fields of items that are known to hold and do not stand behind a `not`.
    fn known_fields(&mut self, expr: &Expr, out: &mut Vec<(Box<str>, Vec<Slot>)>) {
        match expr {
            Expr::Named(_, inner) => self.known_fields(inner, out),
            Expr::Not(inner) => self.known_fields(inner, &mut Vec::new()),
            Expr::And(list) | Expr::Or(list) | Expr::AtLeast(_, list) => {
                for part in list {
                    self.known_fields(part, out);
                }
            }
            Expr::Item(item) => {
                let holds = self.known(item) == Some(true);
                if let Some(field) = item.field.as_ref().filter(|_| holds) {
                    let slots = self.slots(field);
                    out.push((field.as_str().into(), slots));
                }
            }
        }
    }

    /// What the outcomes known so far say of a condition, if they decide it.
    fn decide(&mut self, expr: &Expr) -> Option<bool> {
        match expr {
            Expr::Named(_, inner) => self.decide(inner),
            Expr::Not(inner) => self.decide(inner).map(|value| !value),
            Expr::Item(item) => self.known(item),
            Expr::And(list) => {
                let parts: Vec<_> = list.iter().map(|e| self.decide(e)).collect();
                if parts.contains(&Some(false)) {
                    Some(false)
                } else {
                    parts.iter().all(Option::is_some).then_some(true)
                }
            }
            Expr::Or(list) => {
                let parts: Vec<_> = list.iter().map(|e| self.decide(e)).collect();
                if parts.contains(&Some(true)) {
                    Some(true)
                } else {
                    parts.iter().all(Option::is_some).then_some(false)
                }
            }
            Expr::AtLeast(_, list) => {
                for part in list {
                    self.decide(part);
                }
                None
            }
        }
    }
}

impl Lowering for Builder<'_> {
    fn slots(&mut self, field: &str) -> Vec<Slot> {
        if let Some(slots) = self.fields.get(field) {
            return slots.clone();
        }
        let detector = self.detector;
        let sources = detector.taxonomy.sources(self.kind, field);
        let slots: Vec<Slot> = sources.iter().filter_map(|name| self.slot(detector.names.get(name))).collect();
        self.fields.insert(field.to_owned(), slots.clone());
        slots
    }

    fn known(&mut self, _: &Item) -> Option<bool> {
        let outcome = self.known.get(&(self.body, self.ordinal)).copied();
        self.ordinal += 1;
        outcome
    }
}

/// Whether a value may hold a character beyond ASCII.
fn may_be_beyond_ascii(field: &Field, source: Source<'_>) -> bool {
    if source.fields.encoding == Encoding::Json && !source.fields.beyond_ascii {
        return false;
    }
    let bytes = source.fields.bytes(source.raw, field);
    !bytes.is_ascii() || (field.kind == Kind::Escaped && memmem::find(bytes, b"\\u").is_some())
}

/// The bytes of a field in the spelling that signs are written in; `None` when it has no text.
fn searchable<'a>(field: &Field, source: Source<'a>, spelling: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    if matches!(field.kind, Kind::Null | Kind::Object | Kind::EmptyArray) {
        return None;
    }
    let own = source.fields.bytes(source.raw, field);
    let respelled = source.fields.odd_escapes && field.kind == Kind::Escaped && own.contains(&b'\\');
    if respelled {
        respell(own, spelling);
    }
    Some(if respelled { spelling } else { own })
}

/// The digits of a text that is an integer but not written the usual way (`+5`, `5.0`, `05`, `5e0`).
fn odd_integer(bytes: &[u8]) -> Option<String> {
    let (&first, rest) = bytes.split_first()?;
    let usual = matches!(first, b'1'..=b'9') && rest.iter().all(u8::is_ascii_digit) && rest.len() < 15;
    if usual || bytes.len() > 32 || !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return None;
    }
    integer_digits(number(std::str::from_utf8(bytes).ok()?)?)
}

/// Brings JSON text into its one spelling: `\u` and `\/` written as the characters themselves where JSON allows it.
fn respell(raw: &[u8], out: &mut Vec<u8>) {
    let mut plain = Vec::with_capacity(raw.len());
    out.clear();
    // Quotes outside strings are harmless here: the result is only searched, never parsed.
    unescape_into(raw, &mut plain);
    for byte in plain {
        if matches!(byte, b'\\' | b'"') {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

/// What has been seen of the values of a route's fields: how often four bytes stand next to each other.
pub(super) struct Lessons {
    slots: Vec<Lesson>,
}

#[derive(Clone, Default)]
struct Lesson {
    values: u32,
    /// By a hash of the four soft bytes; empty until the first value comes.
    grams: Vec<u16>,
}

const GRAM_COUNTERS: u32 = 14;

/// Events, or evaluations without signs, after which signs are chosen for the first time.
const FIRST_EVENTS: u64 = 8;
const FIRST_EVALUATIONS: u64 = 600;

/// Events after which nothing more is learned.
const LEARNED: u64 = 65_536;

/// Longest part of a value that is learned from.
const LESSON_BYTES: usize = 1_024;

impl Lessons {
    fn new(slots: usize) -> Self {
        Self { slots: vec![Lesson::default(); slots] }
    }

    /// Whether to learn from event number `event`: the first ones, then fewer and fewer.
    fn wants(event: u64) -> bool {
        event <= 128 || (event <= 4_096 && event.is_multiple_of(16)) || (event <= LEARNED && event.is_multiple_of(256))
    }

    /// Learns from a field that is not searched yet.
    fn learn_field(&mut self, slot: Slot, field: &Field, source: Source<'_>, spelling: &mut Vec<u8>) {
        if let Some(value) = searchable(field, source, spelling) {
            self.learn(slot, value);
        }
    }

    fn learn(&mut self, slot: Slot, value: &[u8]) {
        let lesson = &mut self.slots[usize::from(slot)];
        lesson.values += 1;
        if lesson.grams.is_empty() {
            lesson.grams = vec![0; 1 << GRAM_COUNTERS];
        }
        for window in value.windows(GRAM).take(LESSON_BYTES) {
            let counter = &mut lesson.grams[counter(window.first_chunk().map_or(0, gram))];
            *counter = counter.saturating_add(1);
        }
    }

    fn count(&self, slot: usize, gram: u32) -> u32 {
        self.slots[slot].grams.get(counter(gram)).map_or(0, |&c| c.into())
    }

    fn total(&self, gram: u32) -> u32 {
        (0..self.slots.len()).map(|slot| self.count(slot, gram)).fold(0, u32::saturating_add)
    }
}

fn counter(gram: u32) -> usize {
    (gram.wrapping_mul(0x85EB_CA6B) >> (32 - GRAM_COUNTERS)) as usize
}

impl Frequencies for Lessons {
    fn price(&self, sign: &Sign) -> f32 {
        let base = match sign.place {
            Place::Whole => 0.3,
            Place::Start | Place::End => 0.5,
            Place::Inside => 1.0,
            Place::Present => return 50.0,
            Place::BeyondAscii => return 1.0,
        };
        let prior = base / (1.0 + sign.bytes.len() as f32);
        let rarest = sign.bytes.windows(GRAM).filter_map(|w| w.first_chunk()).map(|w| {
            let gram = gram(w);
            sign.slot.map_or_else(|| self.total(gram), |slot| self.count(usize::from(slot), gram))
        });
        let values = sign.slot.map_or(0, |slot| self.slots[usize::from(slot)].values);
        match rarest.min() {
            Some(count) if values >= 16 => 10.0 * count as f32 / values as f32 + prior * 0.1,
            _ => prior,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::witness::soft;
    use super::*;

    #[test]
    fn integers_have_one_spelling() {
        for text in ["+5", "5.0", "05", "5e0", "0.5e1"] {
            assert_eq!(odd_integer(text.as_bytes()), Some("5".into()), "{text}");
        }
        for text in ["5", "4688", "", "x5", "5x", "-", "5.5", "123456789012345678901"] {
            assert_eq!(odd_integer(text.as_bytes()), None, "{text}");
        }
        assert_eq!(odd_integer(b"0"), Some("0".into()));
    }

    #[test]
    fn respelling_leaves_one_spelling() {
        let mut out = Vec::new();
        respell(br"a\/b\u005Cc\\d\u0022", &mut out);
        assert_eq!(out, br#"a/b\\c\\d\""#);
    }

    #[test]
    fn soft_bytes_forget_case() {
        assert_eq!(soft(b'A'), soft(b'a'));
    }
}
