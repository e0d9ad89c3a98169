//! The rules that can still hold for one kind of event, and where to look for their signs.

use std::cell::OnceCell;
use std::sync::Arc;

use khien_event::fields::{Encoding, Field, Kind, ShapeId};
use khien_event::json::unescape_into;
use khien_event::names::FieldId;
use khien_event::taxonomy::KindId;
use memchr::memmem;

use super::Detector;
use super::filter::{Entry, Filter, Placed, Row};
use super::kind::{KindPlan, Place as ItemPlace, PlannedBody};
use super::lessons::{Frequencies, LEARNED, Lessons};
use super::plan::{Context, Node, lower};
use super::values::{Source, Values};
use super::witness::{Place, SignRoom, Signs, Witness, integer_digits};
use crate::cache::{Record, ValueCache};
use crate::text::number;

/// What decides which rules can hold: the kind, how text is written, and the outcomes of all items that look only at
/// discriminating fields (`None` when a field stands twice and nothing may be folded away).
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct RouteKey {
    pub(super) kind: KindId,
    pub(super) shape: ShapeId,
    pub(super) encoding: Encoding,
    pub(super) outcomes: Option<Vec<bool>>,
}

/// A body as it stands on a route.
struct RouteBody {
    planned: PlannedBody,
    /// Lowered when an event first shows one of its signs; most never do.
    condition: OnceCell<Box<Node>>,
    witness: Chosen,
    /// It is looked for by signs in values, so that others may be rarer.
    may_improve: bool,
    /// How often it was evaluated in vain since its signs were chosen.
    wasted: u32,
}

impl RouteBody {
    fn new(planned: PlannedBody) -> Self {
        Self { planned, condition: OnceCell::new(), witness: Chosen::Always, may_improve: true, wasted: 0 }
    }

    /// The signs it is looked for by, if there are any.
    fn witness<'a>(&'a self, detector: &'a Detector, encoding: Encoding) -> Option<&'a Witness> {
        match &self.witness {
            Chosen::Always => None,
            Chosen::First => detector.first_witness(self.planned.body as usize, encoding),
            Chosen::Own(own) => Some(own),
        }
    }
}

/// The signs that a body is looked for by.
enum Chosen {
    /// None: it may hold without any.
    Always,
    /// Those of [`Detector::first_witness`].
    First,
    Own(Witness),
}

/// See the module text.
pub(super) struct Route {
    plan: Arc<KindPlan>,
    outcomes: Option<Vec<bool>>,
    encoding: Encoding,
    /// The bodies that can hold.
    bodies: Vec<RouteBody>,
    /// Filter per field id, [`NO_FILTER`] for fields without signs.
    filter_of: Vec<u32>,
    filters: Vec<Filter>,
    /// Signs anywhere in the record.
    everywhere: Filter,
    /// Bodies that may hold without any sign.
    always: Vec<u32>,
    /// Number of the last event for which a body became a candidate.
    seen: Vec<u64>,
    events: u64,
    lessons: Lessons,
    /// Candidates that did not hold since the signs were chosen.
    wasted: u64,
    /// Places in values where some sign might have stood, since then.
    places: u64,
    /// How often signs were chosen.
    choices: u32,
    /// First of the numbers under which the values of its filters are remembered.
    owner: u64,
    /// Per filter.
    records: Vec<Record>,
}

const NO_FILTER: u32 = u32::MAX;

/// The number of [`Route::everywhere`] while filters are made, after all others.
const ANYWHERE: u32 = u32::MAX;

/// What the search for candidates needs from event to event, whatever their route.
pub(super) struct Search {
    pub(super) values: Values,
    pub(super) candidates: Vec<u32>,
    found: Vec<u32>,
    spelling: Vec<u8>,
    cache: ValueCache<u32>,
    /// Numbers given to routes, so that no two filters share remembered values.
    owners: u64,
    room: Room,
}

/// Room to make filters in, kept because large vectors that come and go touch memory that nothing else needs.
struct Room {
    signs: SignRoom,
    placed: Vec<Placed>,
    rows: Vec<Row>,
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
            room: Room {
                signs: SignRoom::new(),
                placed: Vec::with_capacity(1 << 13),
                rows: Vec::with_capacity(1 << 13),
            },
        }
    }
}

impl Route {
    /// Builds the route of `key`, for events of the kind of `plan`.
    pub(super) fn new(detector: &Detector, plan: &Arc<KindPlan>, key: &RouteKey, search: &mut Search) -> Self {
        let outcomes = key.outcomes.as_deref();
        let may_hold = |planned: &PlannedBody| {
            let condition = &detector.rule_of(planned.body as usize).condition;
            !planned.is_decidable() || plan.items(detector, *planned, outcomes).decide(condition) != Some(false)
        };
        let mut bodies = Vec::with_capacity(plan.bodies.len());
        bodies.extend(plan.bodies.iter().copied().filter(may_hold).map(RouteBody::new));
        let mut route = Self {
            plan: plan.clone(),
            outcomes: key.outcomes.clone(),
            encoding: key.encoding,
            seen: vec![0; bodies.len()],
            bodies,
            filter_of: vec![NO_FILTER; detector.names.len()],
            filters: Vec::new(),
            everywhere: Filter::default(),
            always: Vec::new(),
            events: 0,
            lessons: Lessons::default(),
            wasted: 0,
            places: 0,
            choices: 0,
            owner: 0,
            records: Vec::new(),
        };
        route.choose_signs(detector, search);
        route
    }

    /// The kind of its events.
    pub(super) fn kind(&self) -> KindId {
        self.plan.kind
    }

    /// The condition of a candidate.
    pub(super) fn condition(&self, detector: &Detector, candidate: u32) -> &Node {
        let body = &self.bodies[candidate as usize];
        body.condition.get_or_init(|| {
            let context = Context { detector, kind: self.plan.kind };
            let mut items = self.plan.items(detector, body.planned, self.outcomes.as_deref());
            Box::new(lower(&detector.rule_of(self.body(candidate)).condition, &mut items, context))
        })
    }

    /// The items of a candidate that hold for every event of this route.
    pub(super) fn known<'a>(&'a self, detector: &'a Detector, candidate: u32) -> Vec<ItemPlace<'a>> {
        let planned = self.bodies[candidate as usize].planned;
        let mut known = Vec::new();
        if planned.is_decidable() {
            let mut items = self.plan.items(detector, planned, self.outcomes.as_deref());
            items.known_fields(&detector.rule_of(planned.body as usize).condition, &mut known);
        }
        known
    }

    /// The detector's body behind a candidate.
    pub(super) fn body(&self, candidate: u32) -> usize {
        self.bodies[candidate as usize].planned.body as usize
    }

    /// Fills the candidates of `search` with the bodies worth evaluating.
    pub(super) fn candidates(&mut self, source: Source<'_>, search: &mut Search) {
        self.events += 1;
        search.found.clear();
        // There is something to learn where candidates do not hold; most kinds of event come too seldom for that.
        let learning = self.waste() * 4 > self.price() && Lessons::wants(self.events);
        for field in source.fields.list() {
            if let Some(name) = field.name.index() {
                let filter = self.filter_of[name];
                if filter == NO_FILTER {
                    continue;
                }
                self.look(filter as usize, field, source, search);
                if learning && let Some(value) = searchable(field, source, &mut search.spelling) {
                    self.lessons.learn(field.name, value);
                }
            }
        }
        let beyond = source.fields.encoding == Encoding::Plain || source.fields.beyond_ascii;
        if beyond {
            search.found.extend_from_slice(&self.everywhere.beyond_ascii);
        }
        if self.everywhere.reads_values() {
            self.look_everywhere(source, search);
            if learning {
                self.lessons.learn(FieldId::OTHER, source.raw);
            }
        }
        search.candidates.clear();
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
    fn look(&mut self, index: usize, field: &Field, source: Source<'_>, search: &mut Search) {
        let filter = &self.filters[index];
        search.found.extend_from_slice(&filter.present);
        if !filter.beyond_ascii.is_empty() && may_be_beyond_ascii(field, source) {
            search.found.extend_from_slice(&filter.beyond_ascii);
        }
        if !filter.reads_values() {
            return;
        }
        let Some(value) = searchable(field, source, &mut search.spelling) else {
            return;
        };
        let owner = self.owner + index as u64;
        let places = &mut self.places;
        let find = |value: &[u8], out: &mut Vec<u32>| {
            *places += u64::from(filter.probe(value, &mut |bodies| out.extend_from_slice(bodies)));
        };
        search.cache.found(owner, value, &mut self.records[index], find, &mut search.found);
        // A number in a rule is looked for by its usual digits; text that looks like it keeps its own spelling too.
        if let Some(digits) = odd_integer(value) {
            filter.probe(digits.as_bytes(), &mut |bodies| search.found.extend_from_slice(bodies));
        }
    }

    /// Looks for signs that may stand anywhere in the record.
    fn look_everywhere(&mut self, source: Source<'_>, search: &mut Search) {
        let found = &mut search.found;
        let mut add = |bodies: &[u32]| found.extend_from_slice(bodies);
        let places = if source.fields.odd_escapes {
            respell(source.raw, &mut search.spelling);
            self.everywhere.probe(&search.spelling, &mut add)
        } else if source.fields.encoding == Encoding::Json {
            self.everywhere.probe(source.raw, &mut add)
        } else {
            let values = source.fields.list().iter().map(|field| source.fields.bytes(source.raw, field));
            values.map(|value| self.everywhere.probe(value, &mut add)).sum()
        };
        self.places += u64::from(places);
    }

    /// Notes that a candidate did not hold; whether better signs might have spared it.
    pub(super) fn was_wasted(&mut self, candidate: u32) -> bool {
        let body = &mut self.bodies[candidate as usize];
        body.wasted = body.wasted.saturating_add(1);
        body.may_improve
    }

    /// Counts candidates that did not hold. Chooses the signs again when they have cost more than that.
    pub(super) fn learn_from(&mut self, wasted: u64, detector: &Detector, search: &mut Search) {
        self.wasted += wasted;
        if self.waste() > self.price() && self.choices < CHOICES {
            self.choose_signs(detector, search);
            if self.events > LEARNED {
                // Nothing is learned any more.
                (self.lessons, self.choices) = (Lessons::default(), CHOICES);
            }
        }
    }

    /// What the signs have cost in vain since they were chosen, in evaluations.
    fn waste(&self) -> u64 {
        self.wasted + self.places / PLACES
    }

    /// Candidates that did not hold whose evaluation costs more than choosing signs again, twice as many every time.
    fn price(&self) -> u64 {
        (self.bodies.len() as u64 * CHOICE_PRICE) << self.choices.min(32)
    }

    /// Chooses the signs by what is known so far, later only those that did badly.
    fn choose_signs(&mut self, detector: &Detector, search: &mut Search) {
        self.choices += 1;
        let anew = self.choices == 1 || self.places / PLACES > self.wasted;
        (self.wasted, self.places) = (0, 0);
        let frequencies = Frequencies { lessons: &self.lessons, common: &detector.common };
        let mut signs = Signs::new(self.encoding, frequencies, &mut search.room.signs);
        for body in &mut self.bodies {
            if !anew && body.wasted < WASTED {
                continue;
            }
            body.wasted = 0;
            let number = body.planned.body as usize;
            body.witness = if self.choices == 1 && !body.planned.is_decidable() {
                let first = detector.find_first_witness(number, self.encoding, &mut signs);
                first.map_or(Chosen::Always, |_| Chosen::First)
            } else {
                let mut items = self.plan.items(detector, body.planned, self.outcomes.as_deref());
                let own = signs.witness(&detector.rule_of(number).condition, &mut items);
                own.map_or(Chosen::Always, Chosen::Own)
            };
            let signs = body.witness(detector, self.encoding).map(|witness| &witness.list);
            body.may_improve = signs.is_some_and(|list| list.iter().all(|sign| sign.place != Place::Present));
        }
        self.make_filters(detector, search);
    }

    /// Makes the filters that find the chosen signs.
    fn make_filters(&mut self, detector: &Detector, search: &mut Search) {
        let Room { placed, rows, .. } = &mut search.room;
        placed.clear();
        self.filter_of.fill(NO_FILTER);
        self.always.clear();
        let (mut filters, mut witnesses) = (0, Vec::with_capacity(self.bodies.len()));
        for (body, number) in self.bodies.iter().zip(0..) {
            let Some(witness) = body.witness(detector, self.encoding) else {
                self.always.push(number);
                continue;
            };
            for (sign, index) in witness.list.iter().zip(0..) {
                for field in self.plan.fields(sign.field) {
                    let filter = field.index().map_or(ANYWHERE, |name| {
                        let filter = &mut self.filter_of[name];
                        if *filter == NO_FILTER {
                            *filter = filters;
                            filters += 1;
                        }
                        *filter
                    });
                    placed.push(Placed { filter, witness: witnesses.len() as u32, sign: index });
                }
            }
            witnesses.push((number, witness));
        }
        placed.sort_unstable();
        let entry = |place: &Placed| {
            let (body, witness) = witnesses[place.witness as usize];
            let sign = &witness.list[place.sign as usize];
            Entry { sign, bytes: witness.bytes(sign), body }
        };
        self.filters.clear();
        self.everywhere = Filter::default();
        for placed in placed.chunk_by(|a, b| a.filter == b.filter) {
            let filter = Filter::new(placed, entry, rows);
            match placed[0].filter {
                ANYWHERE => self.everywhere = filter,
                _ => self.filters.push(filter),
            }
        }
        self.owner = search.owners;
        search.owners += self.filters.len() as u64;
        self.records = vec![Record::default(); self.filters.len()];
    }
}

/// How many failed evaluations cost as much as choosing signs again, for each body.
const CHOICE_PRICE: u64 = 1;

/// Failed evaluations of one body from which its signs are chosen again.
const WASTED: u32 = 2;

/// How many places that were looked at for nothing cost as much as an evaluation.
const PLACES: u64 = 64;

/// Most times that the signs of a route are chosen.
const CHOICES: u32 = 9;

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

#[cfg(test)]
mod tests {
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
}
