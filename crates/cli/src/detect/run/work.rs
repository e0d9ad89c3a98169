//! What one worker does with a task.

use std::sync::Arc;

use khien_base::message::Message;
use khien_detect::correlate::{Correlator, Observations, Wanted};
use khien_detect::engine::{Detector, Worker};
use khien_detect::finding::{Finding, Matched};
use khien_detect::indicators::{IndicatorId, IndicatorSearch, IndicatorSet};
use khien_detect::rule::Level;
use khien_event::decode::{Decoded, Malformed};
use khien_event::evtx::{self, Item};
use khien_event::fields::{Fields, ShapeId};
use khien_event::json::{Emit, JsonDecoder};
use khien_event::reasons;
use khien_event::taxonomy::{KindId, Taxonomy};
use khien_event::text::{LineFormat, TextDecoder};

use super::read::{Chunk, Task};
use crate::output::{Block, Form, Place, Render};
use khien_event::whole::Whole;

/// What all workers share.
pub(super) struct Shared {
    pub(super) detector: Arc<Detector>,
    /// Correlations, to know which matches they want.
    pub(super) correlator: Option<Arc<Correlator>>,
    pub(super) indicators: Option<Arc<IndicatorSet>>,
    pub(super) level: Level,
    /// Most malformed records that are described.
    pub(super) samples: usize,
}

/// What came of one task.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) file: u32,
    pub(super) block: Block,
    pub(super) bytes: u64,
    pub(super) events: u64,
    pub(super) unrecognised: u64,
    pub(super) malformed: u64,
    /// Position and reason of the first malformed records.
    pub(super) samples: Vec<(u64, Message)>,
    pub(super) observations: Observations,
    /// Somebody may be waiting for it.
    pub(super) live: bool,
}

/// One thread's worker.
pub(super) struct Hand {
    shared: Arc<Shared>,
    worker: Worker,
    json: JsonDecoder,
    /// The decoder of lines that are not JSON, with what it was made for.
    text: Option<(LineFormat, i64, TextDecoder)>,
    render: Box<dyn Render>,
    spotter: Option<Spotter>,
    again: Whole,
    /// Findings on the event at hand that wait for its fields.
    held: Vec<Held>,
    wanted: Wanted,
    text_shape: ShapeId,
}

impl Hand {
    pub(super) fn new(shared: Arc<Shared>, render: Box<dyn Render>) -> Self {
        let taxonomy = Taxonomy::embedded();
        let names = shared.detector.names().clone();
        let emit = if shared.indicators.is_some() { Emit::All } else { Emit::Named };
        Self {
            worker: Worker::new(shared.detector.clone()),
            json: JsonDecoder::new(names, taxonomy, emit),
            text: None,
            render,
            spotter: shared.indicators.clone().map(Spotter::new),
            again: Whole::new(),
            held: Vec::new(),
            wanted: Wanted::default(),
            text_shape: taxonomy.shape("text"),
            shared,
        }
    }

    /// Runs the rules over the records of `task`. `block` is an empty block for the findings.
    pub(super) fn work(&mut self, task: &Task, block: Block) -> Outcome {
        let mut outcome = Outcome { file: task.file, bytes: task.bytes, block, live: task.live, ..Outcome::default() };
        for skipped in &task.skipped {
            self.malformed(skipped.position, reasons::record_skipped(skipped.bytes), &mut outcome);
        }
        match &task.chunk {
            Chunk::Records(block) => {
                self.prepare_text(task, block);
                for record in block.records() {
                    self.record(record.bytes, record.position, task.lines, &mut outcome);
                }
            }
            Chunk::Evtx(batch) => evtx::decode(batch, |item| match item {
                Item::Record(id, json) => self.decoded_by_json(json, id, &mut outcome),
                Item::Damage(damage) => self.malformed(damage.record_id, damage.message(), &mut outcome),
            }),
        }
        outcome
    }

    /// Makes the decoder of lines fit the task.
    fn prepare_text(&mut self, task: &Task, block: &khien_event::frame::Block) {
        let fits = |(lines, reference, _): &(LineFormat, i64, TextDecoder)| {
            *lines == task.lines && *reference == task.reference_ns
        };
        if !self.text.as_ref().is_some_and(fits) {
            let decoder = TextDecoder::new(task.lines, task.reference_ns);
            self.text = Some((task.lines, task.reference_ns, decoder));
        }
        if let Some((_, _, decoder)) = &mut self.text {
            decoder.headers(block.headers());
        }
    }

    fn record(&mut self, record: &[u8], position: u64, lines: LineFormat, outcome: &mut Outcome) {
        let first = record.iter().find(|b| !b.is_ascii_whitespace());
        match first {
            None => {}
            Some(b'{') if lines == LineFormat::Any => self.decoded_by_json(record, position, outcome),
            Some(_) => self.decoded_by_text(record, position, outcome),
        }
    }

    fn decoded_by_json(&mut self, record: &[u8], position: u64, outcome: &mut Outcome) {
        let Self { shared, worker, json, render, held, wanted, .. } = self;
        let place = Place { file: outcome.file, form: Form::Json };
        let mut takes = Takes { shared, render: render.as_mut(), place, outcome, held, wanted };
        let result =
            worker.record(json, record, position, &mut |rule, finding, fields| takes.finding(rule, finding, fields));
        self.done(result, record, place, position, outcome);
    }

    fn decoded_by_text(&mut self, record: &[u8], position: u64, outcome: &mut Outcome) {
        let Self { shared, worker, text, render, held, wanted, .. } = self;
        let Some((_, _, decoder)) = text else { return };
        let place = Place { file: outcome.file, form: Form::Text };
        let mut takes = Takes { shared, render: render.as_mut(), place, outcome, held, wanted };
        let result =
            worker.record(decoder, record, position, &mut |rule, finding, fields| takes.finding(rule, finding, fields));
        if matches!(result, Ok(Decoded::Event)) && self.worker.fields().shape == self.text_shape {
            outcome.unrecognised += 1;
        }
        self.done(result, record, place, position, outcome);
    }

    /// Counts a record, and looks for indicators in an event.
    fn done(
        &mut self,
        result: Result<Decoded, Malformed>,
        record: &[u8],
        place: Place,
        position: u64,
        outcome: &mut Outcome,
    ) {
        match result {
            Ok(Decoded::Nothing) => {}
            Err(malformed) => self.malformed(position, malformed.message(), outcome),
            Ok(Decoded::Event) => {
                outcome.events += 1;
                let spotted = self.spotter.as_mut().is_some_and(|s| s.look(self.worker.fields(), record));
                if spotted || !self.held.is_empty() {
                    self.look_again(record, place, position, outcome);
                }
            }
        }
    }

    /// Reports what needs all fields of an event with their names.
    fn look_again(&mut self, record: &[u8], place: Place, position: u64, outcome: &mut Outcome) {
        let text = self.text.as_mut().filter(|_| place.form == Form::Text).map(|(_, _, decoder)| decoder);
        // It was decoded a moment ago; a decoder with a memory for tables says the same again.
        if self.again.decode(text, record).is_err() {
            return self.held.clear();
        }
        if self.render.wants_event() {
            let (event, kind) = self.again.event(record);
            self.render.event(event, kind);
        }
        for held in self.held.drain(..) {
            held.render(&self.shared, self.render.as_mut(), place, record, &mut outcome.block);
        }
        if let Some(spotter) = &mut self.spotter {
            let seen = Seen { record, place, position, time_ns: self.worker.time_ns(record) };
            spotter.report(self.again.fields(), seen, self.shared.level, self.render.as_mut(), &mut outcome.block);
        }
    }

    fn malformed(&self, position: u64, reason: Message, outcome: &mut Outcome) {
        outcome.malformed += 1;
        if outcome.samples.len() < self.shared.samples {
            outcome.samples.push((position, reason));
        }
    }
}

/// Takes the findings of one event.
struct Takes<'a> {
    shared: &'a Shared,
    render: &'a mut dyn Render,
    place: Place,
    outcome: &'a mut Outcome,
    held: &'a mut Vec<Held>,
    wanted: &'a mut Wanted,
}

impl Takes<'_> {
    fn finding(&mut self, rule: usize, finding: &Finding<'_>, fields: &Fields) {
        let detector = &self.shared.detector;
        if detector.rules()[rule].reports && finding.head.level >= self.shared.level {
            if self.render.wants_event() {
                self.held.push(Held::new(rule, finding));
            } else {
                self.render.finding(self.place, finding, &mut self.outcome.block);
            }
        }
        let Some(correlator) = self.shared.correlator.as_ref().filter(|c| c.is_fed_by(rule)) else { return };
        self.outcome.observations.add(
            (detector, correlator),
            self.wanted,
            (rule, finding, fields),
            finding.time_ns,
            "",
        );
    }
}

/// A finding that waits for the fields of its event.
struct Held {
    rule: usize,
    time_ns: Option<i64>,
    position: u64,
    kind: KindId,
    matched: Vec<(String, String)>,
}

impl Held {
    fn new(rule: usize, finding: &Finding<'_>) -> Self {
        let matched = finding.matched.iter().map(|m| (m.field.to_owned(), m.json.to_owned())).collect();
        Self { rule, time_ns: finding.time_ns, position: finding.position, kind: finding.kind, matched }
    }

    fn render(&self, shared: &Shared, render: &mut dyn Render, place: Place, raw: &[u8], block: &mut Block) {
        let finding = Finding {
            head: shared.detector.head(self.rule),
            time_ns: self.time_ns,
            position: self.position,
            matched: &borrowed(&self.matched),
            raw,
            kind: self.kind,
            evidence: &[],
        };
        render.finding(place, &finding, block);
    }
}

fn borrowed(matched: &[(String, String)]) -> Vec<Matched<'_>> {
    matched.iter().map(|(field, json)| Matched { field, json }).collect()
}

/// Looks for indicators in every value of an event.
struct Spotter {
    search: IndicatorSearch,
    found: Vec<IndicatorId>,
}

/// The event that is looked at.
#[derive(Clone, Copy)]
struct Seen<'a> {
    record: &'a [u8],
    place: Place,
    position: u64,
    time_ns: Option<i64>,
}

impl Spotter {
    fn new(set: Arc<IndicatorSet>) -> Self {
        Self { search: IndicatorSearch::new(set), found: Vec::new() }
    }

    /// Whether there is an indicator in an event.
    fn look(&mut self, fields: &Fields, record: &[u8]) -> bool {
        self.search.event(fields, record, &mut self.found);
        !self.found.is_empty()
    }

    /// Reports the indicators that [`Spotter::look`] found, with the names of the fields that hold them.
    fn report(&mut self, fields: &Fields, seen: Seen<'_>, level: Level, render: &mut dyn Render, block: &mut Block) {
        let mut found = std::mem::take(&mut self.found);
        for id in found.drain(..) {
            let indicator = self.search.set().get(id);
            let (head, valid) = (indicator.head(), indicator.is_valid_at(seen.time_ns));
            if head.level < level || !valid {
                continue;
            }
            let places = self.places(id, fields, seen.record);
            let finding = Finding {
                head: &head,
                time_ns: seen.time_ns,
                position: seen.position,
                matched: &borrowed(&places),
                raw: seen.record,
                kind: KindId::default(),
                evidence: &[],
            };
            render.finding(seen.place, &finding, block);
        }
        self.found = found;
    }

    /// The fields that hold an indicator, and their values as JSON.
    fn places(&mut self, id: IndicatorId, fields: &Fields, record: &[u8]) -> Vec<(String, String)> {
        let mut places: Vec<(String, String)> = Vec::new();
        for (index, field) in fields.list().iter().enumerate() {
            if let Some(text) = self.search.place(id, field, fields, record) {
                let json = serde_json::Value::from(String::from_utf8_lossy(text)).to_string();
                places.push((fields.label(index).to_owned(), json));
            }
        }
        places.dedup_by(|a, b| a.0 == b.0);
        places
    }
}
