//! What one thread does with one batch.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use khien_detect::engine::{Detector, Worker as Engine};
use khien_event::decode::Decoded;
use khien_event::json::{Emit, JsonDecoder};
use khien_event::ocsf::fast::Flattener;
use khien_event::ocsf::flat::Flat;
use khien_event::taxonomy::Taxonomy;
use khien_event::text::{LineFormat, TextDecoder};
use khien_ingest::batch::{Batch, event_id};
use khien_lake::{EventRow, EventRows, FindingRows};
use sha2::{Digest, Sha256};

use super::Task;
use super::finding::{Origin, push};

/// What came of a batch.
pub(crate) struct Lot {
    /// Number of the batch before.
    pub(crate) previous: u64,
    pub(crate) sequence: u64,
    pub(crate) events: EventRows,
    pub(crate) findings: FindingRows,
    /// Records that no decoder could read; they are kept as they are.
    pub(crate) malformed: u64,
}

/// See the module text.
pub(crate) struct Worker {
    engine: Engine,
    detector: Arc<Detector>,
    json: JsonDecoder,
    flattener: Flattener,
    /// Findings of batches up to this one are in the lake already.
    findings_until: u64,
}

/// An event of which nothing is known.
static UNKNOWN: Flat = Flat { class_uid: 0, category_uid: 0, activity_id: 0, severity_id: 0, values: Vec::new() };

impl Worker {
    pub(crate) fn new(detector: Arc<Detector>, findings_until: u64) -> Self {
        Self {
            engine: Engine::new(detector.clone()),
            json: JsonDecoder::new(detector.names().clone(), Taxonomy::embedded(), Emit::Named),
            flattener: Flattener::new(detector.names().clone(), Taxonomy::embedded()),
            detector,
            findings_until,
        }
    }

    /// Works on a batch. A fault of ours on some record costs what would have been known of that record, nothing more.
    pub(crate) fn work(&mut self, task: &Task) -> Lot {
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
        *self = Self::new(self.detector.clone(), self.findings_until);
        for (index, record) in batch.records().enumerate() {
            let tried = catch_unwind(AssertUnwindSafe(|| {
                self.record(batch, index, record, &mut text_decoder(batch), &mut Lot::of(task));
            }));
            if tried.is_ok() {
                self.record(batch, index, record, &mut text_decoder(batch), &mut lot);
                continue;
            }
            tracing::error!(batch = lot.sequence, index, "working on a record panicked; it is kept as it is");
            *self = Self::new(self.detector.clone(), self.findings_until);
            lot.malformed += 1;
            lot.events.push(&unknown(batch, index, record, lot.sequence));
        }
        lot
    }

    fn record(&mut self, batch: &Batch, index: usize, record: &[u8], text: &mut TextDecoder, lot: &mut Lot) {
        let is_json = record.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let origin = Origin { event_id: event_id(lot.sequence, index), batch, sent_ns: sent_ns(batch, index) };
        let (findings, detector) = (&mut lot.findings, &self.detector);
        let wanted = lot.sequence > self.findings_until;
        let mut found = |rule: usize, finding: &khien_detect::finding::Finding<'_>, _: &_| {
            if wanted && detector.rules()[rule].reports {
                push(findings, &origin, finding);
            }
        };
        let decoded = if is_json {
            self.engine.record(&mut self.json, record, index as u64, &mut found)
        } else {
            self.engine.record(text, record, index as u64, &mut found)
        };
        if decoded.is_err() {
            lot.malformed += 1;
        }
        let mut row = unknown(batch, index, record, lot.sequence);
        if decoded != Ok(Decoded::Event) {
            return lot.events.push(&row);
        }
        let kind = self.engine.kind();
        let flat = self.flattener.flat(kind, self.engine.fields(), record);
        row.time_ns = self.engine.time_ns(record).or(row.time_ns);
        row.kind = Taxonomy::embedded().kind_name(kind);
        row.flat = &flat;
        lot.events.push(&row);
    }
}

impl Lot {
    /// Nothing of a batch yet.
    fn of(Task { previous, stored }: &Task) -> Self {
        Self {
            previous: *previous,
            sequence: stored.sequence,
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
        let task = Task { previous: 6, stored: Stored { sequence: 7, batch: Arc::new(batch) } };
        let fields = khien_event::ocsf::fast::fields();
        let detector = Arc::new(Detector::new(Vec::new(), &fields, Taxonomy::embedded()));
        let mut worker = Worker::new(detector, 0);
        let (quick, careful) = (worker.work(&task), worker.work_with_care(&task));
        assert_eq!((quick.previous, quick.sequence, quick.events.len()), (6, 7, lines.len()));
        let of = |lot: &Lot| (lot.previous, lot.sequence, lot.events.len(), lot.findings.len(), lot.malformed);
        assert_eq!(of(&careful), of(&quick));
    }
}
