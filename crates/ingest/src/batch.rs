//! Records that arrived together.

use std::net::IpAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Most records of a batch: an event's number has sixteen bits for its place in its batch; see [`event_id`].
pub const RECORDS: usize = 1 << 16;

/// Most bytes of a batch.
pub const BYTES: usize = 64 << 20;

/// What tells one batch from every other: the hash of its sender, source and content, or of the key the sender gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key(pub [u8; 16]);

/// Where a batch came from and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Name of the organisation whose events these are.
    pub organisation: String,
    /// Name of the source, as the sender gave it.
    pub source: String,
    /// Protocol it came by: `ndjson`, `bulk`, `hec`, `otlp`, `syslog`.
    pub protocol: String,
    /// When it came, in milliseconds since 1970.
    pub received_ms: i64,
    /// Address it came from.
    pub peer: Option<IpAddr>,
    /// See [`Key`]; `None` for protocols without an answer, whose senders send nothing twice.
    pub key: Option<Key>,
}

/// A record as a stretch of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Where it begins.
    pub start: u32,
    /// How long it is.
    pub len: u32,
}

/// What a protocol says about records beside what is in them. A list is empty, or has a place for every record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras {
    /// When the sender says it happened, in milliseconds since 1970.
    pub times_ms: Vec<Option<i64>>,
    /// What stood around the record, as JSON; an empty span for nothing.
    pub envelopes: Vec<Span>,
}

/// Records that arrived together. The body is kept as it came, the spans say where its records are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where it came from.
    pub origin: Origin,
    /// Its records, at most [`RECORDS`].
    pub spans: Vec<Span>,
    /// What the protocol said about them.
    pub extras: Extras,
    /// The bytes the spans point into, at most [`BYTES`].
    pub body: Bytes,
}

impl Batch {
    /// The records in their order.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.spans.iter().map(|span| self.bytes(*span))
    }

    /// A stretch of the body.
    fn bytes(&self, span: Span) -> &[u8] {
        &self.body[span.start as usize..(span.start + span.len) as usize]
    }

    /// What stood around the record at `index`, if anything did.
    pub fn envelope(&self, index: usize) -> Option<&[u8]> {
        self.extras.envelopes.get(index).map(|span| self.bytes(*span)).filter(|bytes| !bytes.is_empty())
    }

    /// When the sender said the record at `index` happened.
    pub fn time_ms(&self, index: usize) -> Option<i64> {
        self.extras.times_ms.get(index).copied().flatten()
    }

    /// Memory it holds, about.
    pub fn size(&self) -> usize {
        self.body.len() + self.spans.len() * size_of::<Span>() + 256
    }
}

/// The number of the event at place `index` of the batch with this sequence number. Positive as a signed number for the
/// first 2^47 batches.
pub fn event_id(sequence: u64, index: usize) -> u64 {
    sequence << 16 | index as u64
}
