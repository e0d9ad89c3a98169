//! What one thread does with one batch.

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
const UNKNOWN: Flat = Flat { class_uid: 0, category_uid: 0, activity_id: 0, severity_id: 0, values: Vec::new() };

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

    pub(crate) fn work(&mut self, Task { previous, stored }: &Task) -> Lot {
        let mut lot = Lot {
            previous: *previous,
            sequence: stored.sequence,
            events: EventRows::default(),
            findings: FindingRows::default(),
            malformed: 0,
        };
        let batch = &stored.batch;
        let mut text = TextDecoder::new(LineFormat::Any, batch.origin.received_ms.saturating_mul(1_000_000));
        for (index, record) in batch.records().enumerate() {
            self.record(batch, index, record, &mut text, &mut lot);
        }
        lot
    }

    fn record(&mut self, batch: &Batch, index: usize, record: &[u8], text: &mut TextDecoder, lot: &mut Lot) {
        let id = event_id(lot.sequence, index);
        let is_json = record.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let origin = Origin { event_id: id, batch, sent_ns: sent_ns(batch, index) };
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
        let mut row = EventRow {
            event_id: id,
            time_ns: origin.sent_ns,
            received_ms: batch.origin.received_ms,
            organisation: &batch.origin.organisation,
            source: &batch.origin.source,
            protocol: &batch.origin.protocol,
            kind: "",
            flat: &UNKNOWN,
            raw: record,
            raw_sha256: Sha256::digest(record).into(),
            envelope: batch.envelope(index),
        };
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

/// When its sender says that a record happened.
fn sent_ns(batch: &Batch, index: usize) -> Option<i64> {
    batch.time_ms(index).map(|ms| ms.saturating_mul(1_000_000))
}
