//! What one worker does with a task.

use std::sync::Arc;

use khien_detect::correlate::Correlator;
use khien_detect::engine::{Detector, Worker};
use khien_detect::finding::{Finding, Matched};
use khien_detect::indicators::{IndicatorId, IndicatorSet};
use khien_detect::rule::Level;
use khien_event::decode::{Decode, Decoded, Malformed};
use khien_event::evtx::{self, Item};
use khien_event::fields::{Fields, Kind, ShapeId};
use khien_event::json::{Emit, JsonDecoder, unescape_into};
use khien_event::names::Names;
use khien_event::taxonomy::{KindId, Taxonomy};
use khien_event::text::{LineFormat, TextDecoder};

use super::read::{Chunk, Task};
use crate::output::{Block, Form, Place, Render};

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
    pub(super) samples: Vec<(u64, String)>,
    pub(super) observations: Vec<Observed>,
}

/// A match that correlations want.
pub(super) struct Observed {
    pub(super) rule: usize,
    pub(super) time_ns: Option<i64>,
    pub(super) position: u64,
    pub(super) fields: Vec<(String, String)>,
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
            text_shape: taxonomy.shape("text"),
            shared,
        }
    }

    /// Runs the rules over the records of `task`. `block` is an empty block for the findings.
    pub(super) fn work(&mut self, task: &Task, block: Block) -> Outcome {
        let mut outcome = Outcome { file: task.file, bytes: task.bytes, block, ..Outcome::default() };
        for skipped in &task.skipped {
            let reason = format!("record of {} bytes is longer than the limit", skipped.bytes);
            self.malformed(skipped.position, reason, &mut outcome);
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
                Item::Damage(damage) => self.malformed(damage.record_id, damage.to_string(), &mut outcome),
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
        let Self { shared, worker, json, render, .. } = self;
        let place = Place { file: outcome.file, form: Form::Json };
        let mut takes = Takes { shared, render: render.as_mut(), place, outcome };
        let result =
            worker.record(json, record, position, &mut |rule, finding, fields| takes.finding(rule, finding, fields));
        self.done(result, record, place, position, outcome);
    }

    fn decoded_by_text(&mut self, record: &[u8], position: u64, outcome: &mut Outcome) {
        let Self { shared, worker, text, render, .. } = self;
        let Some((_, _, decoder)) = text else { return };
        let place = Place { file: outcome.file, form: Form::Text };
        let mut takes = Takes { shared, render: render.as_mut(), place, outcome };
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
            Err(malformed) => self.malformed(position, malformed.to_string(), outcome),
            Ok(Decoded::Event) => {
                outcome.events += 1;
                if let Some(spotter) = &mut self.spotter {
                    let seen = Seen { record, place, position, time_ns: None };
                    let decoder: &mut dyn Decode = match (place.form, &mut self.text) {
                        (Form::Text, Some((_, _, decoder))) => decoder,
                        _ => &mut self.json,
                    };
                    spotter.event(&self.worker, decoder, seen, self.render.as_mut(), &mut outcome.block);
                }
            }
        }
    }

    fn malformed(&self, position: u64, reason: String, outcome: &mut Outcome) {
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
}

impl Takes<'_> {
    fn finding(&mut self, rule: usize, finding: &Finding<'_>, fields: &Fields) {
        let detector = &self.shared.detector;
        if detector.rules()[rule].reports && finding.head.level >= self.shared.level {
            self.render.finding(self.place, finding, &mut self.outcome.block);
        }
        let Some(correlator) = self.shared.correlator.as_ref().filter(|c| c.is_fed_by(rule)) else { return };
        let of = |field: &String| {
            let texts = detector.texts(fields, finding.raw, finding.kind, field);
            texts.into_iter().map(|text| (field.clone(), text)).collect::<Vec<_>>()
        };
        let fields = correlator.needs(rule).iter().flat_map(of).collect();
        let observed = Observed { rule, time_ns: finding.time_ns, position: finding.position, fields };
        self.outcome.observations.push(observed);
    }
}

/// Looks for indicators in every value of an event.
struct Spotter {
    set: Arc<IndicatorSet>,
    found: Vec<IndicatorId>,
    plain: Vec<u8>,
    /// For the names of fields, once something was found.
    labelled: Fields,
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
        let labelled = Fields::with_labels(Arc::new(Names::new()));
        Self { set, found: Vec::new(), plain: Vec::new(), labelled }
    }

    fn event(
        &mut self,
        worker: &Worker,
        decoder: &mut dyn Decode,
        mut seen: Seen<'_>,
        render: &mut dyn Render,
        block: &mut Block,
    ) {
        self.found.clear();
        let fields = worker.fields();
        for field in fields.list() {
            let bytes = fields.bytes(seen.record, field);
            look(&self.set, field.kind, bytes, &mut self.plain, &mut self.found);
        }
        if self.found.is_empty() {
            return;
        }
        seen.time_ns = worker.time_ns(seen.record);
        self.found.sort_unstable();
        self.found.dedup();
        let found = std::mem::take(&mut self.found);
        for &id in &found {
            if self.set.get(id).is_valid_at(seen.time_ns) {
                self.report(id, decoder, seen, render, block);
            }
        }
        self.found = found;
    }

    /// Reads the event once more, with the names of its fields, and reports where the indicator stands.
    fn report(
        &mut self,
        id: IndicatorId,
        decoder: &mut dyn Decode,
        seen: Seen<'_>,
        render: &mut dyn Render,
        block: &mut Block,
    ) {
        self.labelled.clear();
        // It was decoded a moment ago; a decoder with a memory for tables says the same again.
        if decoder.decode(seen.record, &mut self.labelled).is_err() {
            return;
        }
        let mut places: Vec<(String, String)> = Vec::new();
        for (index, field) in self.labelled.list().iter().enumerate() {
            let bytes = self.labelled.bytes(seen.record, field);
            let mut here = Vec::new();
            let text = look(&self.set, field.kind, bytes, &mut self.plain, &mut here);
            if here.contains(&id) {
                let json = serde_json::Value::from(String::from_utf8_lossy(text)).to_string();
                places.push((self.labelled.label(index).to_owned(), json));
            }
        }
        places.dedup_by(|a, b| a.0 == b.0);
        let matched: Vec<Matched<'_>> = places.iter().map(|(field, json)| Matched { field, json }).collect();
        let head = self.set.get(id).head();
        let finding = Finding {
            head: &head,
            time_ns: seen.time_ns,
            position: seen.position,
            matched: &matched,
            raw: seen.record,
            kind: KindId::default(),
            evidence: &[],
        };
        render.finding(seen.place, &finding, block);
    }
}

/// Looks for indicators in one value; returns its text.
fn look<'a>(
    set: &IndicatorSet,
    kind: Kind,
    bytes: &'a [u8],
    plain: &'a mut Vec<u8>,
    found: &mut Vec<IndicatorId>,
) -> &'a [u8] {
    let text = match kind {
        Kind::Null | Kind::True | Kind::False | Kind::Object | Kind::EmptyArray | Kind::Number => return bytes,
        Kind::Escaped if bytes.contains(&b'\\') => {
            plain.clear();
            unescape_into(bytes, plain);
            &plain[..]
        }
        Kind::Escaped | Kind::Text => bytes,
    };
    set.matches(text, found);
    text
}
