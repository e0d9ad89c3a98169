//! What one thread does with one batch.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use khien_detect::correlate::{Observations, Wanted};
use khien_detect::engine::{Worker as Engine, text_of};
use khien_detect::finding::Finding;
use khien_event::decode::Decoded;
use khien_event::fields::Fields;
use khien_event::json::{Emit, JsonDecoder};
use khien_event::ocsf::fast::Flattener;
use khien_event::ocsf::flat::Flat;
use khien_event::taxonomy::Taxonomy;
use khien_event::text::{LineFormat, TextDecoder};
use khien_ingest::batch::{Batch, event_id};
use khien_lake::{EventRow, EventRows, FindingRows, row_time};
use sha2::{Digest, Sha256};

use super::finding::{Found, Held, Origin, entity, matched};
use super::spotter::Spotter;
use super::{Done, Task};
use crate::enrich::{Enriching, Known};
use crate::rules::{Exception, RuleBook};

/// What came of a batch.
pub(crate) struct Lot {
    /// Number of the batch before.
    pub(crate) previous: u64,
    pub(crate) sequence: u64,
    /// The rules it was worked on under.
    pub(crate) book: Arc<RuleBook>,
    pub(crate) received_ms: i64,
    pub(crate) events: EventRows,
    pub(crate) findings: FindingRows,
    /// What correlations want to know.
    pub(crate) observations: Observations,
    /// Records that no decoder could read; they are kept as they are.
    pub(crate) malformed: u64,
}

/// See the module text.
pub(crate) struct Worker {
    engine: Engine,
    book: Arc<RuleBook>,
    json: JsonDecoder,
    flattener: Flattener,
    spotter: Option<Spotter>,
    wanted: Wanted,
    /// Findings on the event at hand.
    held: Vec<Held>,
    done: Done,
    enriching: Enriching,
    /// What is known while a batch is worked on.
    known: Arc<Known>,
}

/// An event of which nothing is known.
static UNKNOWN: Flat = Flat { class_uid: 0, category_uid: 0, activity_id: 0, severity_id: 0, values: Vec::new() };

impl Worker {
    /// Works by `book`, with what is known from elsewhere.
    pub(crate) fn new(book: Arc<RuleBook>, done: Done, enriching: Enriching) -> Self {
        let names = book.detector.names();
        let emit = if book.indicators.is_some() { Emit::All } else { Emit::Named };
        Self {
            engine: Engine::new(book.detector.clone()),
            json: JsonDecoder::new(names.clone(), Taxonomy::embedded(), emit),
            flattener: Flattener::new(names.clone(), Taxonomy::embedded()),
            spotter: book.indicators.clone().map(Spotter::new),
            wanted: Wanted::default(),
            held: Vec::new(),
            book,
            done,
            known: enriching.known(),
            enriching,
        }
    }

    /// Works on a batch. A fault of ours on some record costs what would have been known of that record, nothing more.
    pub(crate) fn work(&mut self, task: &Task) -> Lot {
        if !Arc::ptr_eq(&self.book, &task.book) {
            self.begin_again(task);
        }
        self.known = self.enriching.known();
        let all = catch_unwind(AssertUnwindSafe(|| {
            let mut lot = Lot::of(task);
            let mut text = text_decoder(&task.stored.batch);
            for (index, record) in task.stored.batch.records().enumerate() {
                self.record(&task.stored.batch, index, record, &mut text, &mut lot);
            }
            lot
        }));
        all.unwrap_or_else(|_| self.work_with_care(task))
    }

    /// The same for a batch with a record on which something panics: each record is tried by itself before.
    fn work_with_care(&mut self, task: &Task) -> Lot {
        let batch = &task.stored.batch;
        let mut lot = Lot::of(task);
        self.begin_again(task);
        for (index, record) in batch.records().enumerate() {
            let tried = catch_unwind(AssertUnwindSafe(|| {
                self.record(batch, index, record, &mut text_decoder(batch), &mut Lot::of(task));
            }));
            if tried.is_ok() {
                self.record(batch, index, record, &mut text_decoder(batch), &mut lot);
                continue;
            }
            tracing::error!(batch = lot.sequence, index, "working on a record panicked; it is kept as it is");
            self.begin_again(task);
            lot.malformed += 1;
            if lot.sequence > self.done.events {
                lot.events.push(&unknown(batch, index, record, lot.sequence));
            }
        }
        lot
    }

    /// Gives up whatever state there is.
    fn begin_again(&mut self, task: &Task) {
        *self = Self::new(task.book.clone(), self.done, self.enriching.clone());
    }

    fn record(&mut self, batch: &Batch, index: usize, record: &[u8], text: &mut TextDecoder, lot: &mut Lot) {
        let origin = Origin {
            event_id: event_id(lot.sequence, index),
            organisation: &batch.origin.organisation,
            source: &batch.origin.source,
            received_ms: batch.origin.received_ms,
            sent_ns: sent_ns(batch, index),
        };
        let wanted = lot.sequence > self.done.findings;
        let decoded = self.examine(&origin, record, text, wanted, &mut lot.observations);
        if decoded.is_none() {
            lot.malformed += 1;
        }
        if lot.sequence <= self.done.events {
            // It is in the lake; only correlations did not know it yet.
            return;
        }
        let mut row = unknown(batch, index, record, lot.sequence);
        if decoded != Some(Decoded::Event) {
            return lot.events.push(&row);
        }
        let mut flat = self.flat(record);
        self.known.add(&mut flat);
        row.time_ns = self.engine.time_ns(record).or(row.time_ns);
        row.kind = Taxonomy::embedded().kind_name(self.engine.kind());
        row.flat = &flat;
        lot.events.push(&row);
        if wanted && !self.held.is_empty() {
            let entity = entity(&flat);
            for held in self.held.drain(..) {
                Found::on(&origin, held, entity.as_deref()).push(&mut lot.findings, lot.sequence);
            }
        }
    }

    /// Decodes a record and looks for what rules and indicators find on it, which is then [`Self::held`]; adds what
    /// correlations want to know. `None` when no decoder can read it.
    pub(crate) fn examine(
        &mut self,
        origin: &Origin<'_>,
        record: &[u8],
        text: &mut TextDecoder,
        wanted: bool,
        observations: &mut Observations,
    ) -> Option<Decoded> {
        let is_json = record.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        self.held.clear();
        let mut takes =
            Takes { book: &self.book, origin, held: &mut self.held, wanted: &mut self.wanted, observations };
        let mut found = |rule: usize, finding: &Finding<'_>, fields: &Fields| takes.finding(rule, finding, fields);
        let decoded = if is_json {
            self.engine.record(&mut self.json, record, origin.event_id, &mut found)
        } else {
            self.engine.record(text, record, origin.event_id, &mut found)
        };
        if wanted
            && decoded == Ok(Decoded::Event)
            && let Some(spotter) = &mut self.spotter
        {
            let time_ns = self.engine.time_ns(record);
            spotter.look(self.engine.fields(), record, (!is_json).then_some(text), time_ns, &mut self.held);
        }
        decoded.ok()
    }

    /// What was found on the record examined last.
    pub(crate) fn held(&mut self) -> std::vec::Drain<'_, Held> {
        self.held.drain(..)
    }

    /// The kind of the record examined last.
    #[cfg(test)]
    pub(crate) fn kind(&self) -> &'static str {
        Taxonomy::embedded().kind_name(self.engine.kind())
    }

    /// The attributes of the record examined last.
    pub(crate) fn flat(&mut self, record: &[u8]) -> Flat {
        self.flattener.flat(self.engine.kind(), self.engine.fields(), record)
    }
}

/// Takes what rules find on one event.
struct Takes<'a> {
    book: &'a RuleBook,
    origin: &'a Origin<'a>,
    held: &'a mut Vec<Held>,
    wanted: &'a mut Wanted,
    observations: &'a mut Observations,
}

impl Takes<'_> {
    fn finding(&mut self, rule: usize, finding: &Finding<'_>, fields: &Fields) {
        let detector = &self.book.detector;
        let Some(pack) = self.book.rule_pack(rule, self.origin.organisation) else { return };
        let excepted = self.book.exceptions.iter().find(|exception| self.is_excepted(exception, finding, fields));
        if detector.rules()[rule].reports {
            self.held.push(Held {
                head: finding.head.clone(),
                time_ns: finding.time_ns,
                matched: matched(finding.matched.iter().copied()),
                pack: pack.to_owned(),
                exception: excepted.map(|exception| exception.id.clone()),
            });
        }
        if excepted.is_none() && self.book.wiring.is_fed_by(rule) {
            let found = (rule, finding, fields);
            let (time, _) = row_time(finding.time_ns.or(self.origin.sent_ns), self.origin.received_ms);
            let time_ns = Some(time.saturating_mul(1_000));
            let owner = self.origin.organisation;
            self.observations.add((detector, &self.book.wiring), self.wanted, found, time_ns, owner);
        }
    }

    fn is_excepted(&self, exception: &Exception, finding: &Finding<'_>, fields: &Fields) -> bool {
        let Exception { rules, organisation, field, values, until_ms, .. } = exception;
        let is_over = |until: &Option<i64>| until.is_some_and(|until| self.origin.received_ms >= until);
        let meant = (rules.is_empty() || rules.contains(&finding.head.id))
            && organisation.as_ref().is_none_or(|name| name == self.origin.organisation)
            && !is_over(until_ms);
        if !meant {
            return false;
        }
        let sources = self.book.detector.sources(finding.kind, field);
        let texts = fields.list().iter().filter(|field| sources.contains(&field.name));
        texts
            .filter_map(|field| text_of(fields, finding.raw, field))
            .any(|text| values.get(&text.to_lowercase()).is_some_and(|until| !is_over(until)))
    }
}

impl Lot {
    /// Nothing of a batch yet.
    fn of(Task { previous, book, stored }: &Task) -> Self {
        Self {
            previous: *previous,
            sequence: stored.sequence,
            book: book.clone(),
            received_ms: stored.batch.origin.received_ms,
            observations: Observations::default(),
            events: EventRows::default(),
            findings: FindingRows::default(),
            malformed: 0,
        }
    }
}

/// Decodes lines that are not JSON.
fn text_decoder(batch: &Batch) -> TextDecoder {
    TextDecoder::new(LineFormat::Any, batch.origin.received_ms.saturating_mul(1_000_000))
}

/// A record of which only is known how it came.
fn unknown<'a>(batch: &'a Batch, index: usize, record: &'a [u8], sequence: u64) -> EventRow<'a> {
    EventRow {
        event_id: event_id(sequence, index),
        time_ns: sent_ns(batch, index),
        received_ms: batch.origin.received_ms,
        organisation: &batch.origin.organisation,
        source: &batch.origin.source,
        protocol: &batch.origin.protocol,
        kind: "",
        flat: &UNKNOWN,
        raw: record,
        raw_sha256: Sha256::digest(record).into(),
        envelope: batch.envelope(index),
    }
}

/// When its sender says that a record happened.
fn sent_ns(batch: &Batch, index: usize) -> Option<i64> {
    batch.time_ms(index).map(|ms| ms.saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use khien_ingest::batch::{Extras, Span};
    use khien_ingest::journal::Stored;

    use super::*;

    #[test]
    fn care_changes_nothing_where_nothing_panics() {
        let lines = ["{\"a\":1}", "<13>Nov 25 10:00:00 h sshd[1]: hello", "{broken", "# a comment", "\u{fffd}"];
        let body = lines.concat();
        let mut start = 0;
        let spans = lines.map(|line| {
            start += line.len() as u32;
            Span { start: start - line.len() as u32, len: line.len() as u32 }
        });
        let origin = khien_ingest::batch::Origin {
            organisation: "a".into(),
            source: "s".into(),
            protocol: "ndjson".into(),
            received_ms: 0,
            peer: None,
            key: None,
        };
        let batch = Batch { origin, spans: spans.into(), extras: Extras::default(), body: body.into() };
        let book = Arc::new(RuleBook::new(Vec::new(), None, Vec::new()));
        let stored = Stored { sequence: 7, batch: Arc::new(batch) };
        let task = Task { previous: 6, book: book.clone(), stored };
        let mut worker = Worker::new(book, Done::default(), Enriching::default());
        let (quick, careful) = (worker.work(&task), worker.work_with_care(&task));
        assert_eq!((quick.previous, quick.sequence, quick.events.len()), (6, 7, lines.len()));
        let of = |lot: &Lot| (lot.previous, lot.sequence, lot.events.len(), lot.findings.len(), lot.malformed);
        assert_eq!(of(&careful), of(&quick));
    }
}
