//! The tables' columns, and how rows become batches of columns.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, Int32Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use khien_event::ocsf::flat::{COLUMNS, Flat, Holds, Scalar};

/// An event as it is kept.
#[derive(Clone, Copy, Debug)]
pub struct EventRow<'a> {
    /// See `khien_ingest::batch::event_id`.
    pub event_id: u64,
    /// When it happened, in nanoseconds since 1970, if it or its sender says so.
    pub time_ns: Option<i64>,
    /// When it was received, in milliseconds since 1970.
    pub received_ms: i64,
    /// Whose it is.
    pub organisation: &'a str,
    /// The source, as its sender calls it.
    pub source: &'a str,
    /// The protocol it came by.
    pub protocol: &'a str,
    /// Its kind in the taxonomy; empty when it could not be decoded.
    pub kind: &'a str,
    /// Its attributes.
    pub flat: &'a Flat,
    /// The record as it came.
    pub raw: &'a [u8],
    /// SHA-256 of `raw`.
    pub raw_sha256: [u8; 32],
    /// What stood around it, as JSON.
    pub envelope: Option<&'a [u8]>,
}

/// A finding as it is kept.
#[derive(Clone, Copy, Debug)]
pub struct FindingRow<'a> {
    /// The event; for a correlation the one that completed it.
    pub event_id: u64,
    /// When it happened, in nanoseconds since 1970.
    pub time_ns: Option<i64>,
    /// When the event was received, in milliseconds since 1970.
    pub received_ms: i64,
    /// Whose event it is.
    pub organisation: &'a str,
    /// The source of the event.
    pub source: &'a str,
    /// What found it: `rule`, `correlation`, `indicator`.
    pub analytic: &'a str,
    /// Id of the rule.
    pub rule_id: &'a str,
    /// Its title.
    pub rule_title: &'a str,
    /// Its level: `informational`, `low`, `medium`, `high`, `critical`.
    pub level: &'a str,
    /// The level as OCSF numbers it.
    pub severity_id: u8,
    /// Its tags, as a JSON array.
    pub tags: &'a str,
    /// The fields that made it match, as a JSON object.
    pub matched: &'a str,
    /// The events behind it, as a JSON array of event ids; for one on one event just that.
    pub events: &'a str,
    /// The pack that the rule came in, as `name@version`.
    pub pack: &'a str,
    /// What it is about: `host:NAME`, `ip:ADDRESS`, `user:NAME`, or the group of a correlation.
    pub entity: Option<&'a str>,
    /// The exception that silences it.
    pub exception: Option<&'a str>,
    /// The batch that it was found with; for one event that is the batch it came in.
    pub batch: u64,
}

/// A column of time in microseconds, UTC.
fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Column by which both tables are divided; always the last ones.
pub(crate) const DAY: &str = "day";
pub(crate) const CLASS: &str = "class_uid";

/// The columns of `events`; those by which the table is divided come last.
pub(crate) static EVENTS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = vec![
        Field::new("event_id", DataType::Int64, false),
        Field::new("time", time(), false),
        Field::new("time_known", DataType::Boolean, false),
        Field::new("received", time(), false),
        Field::new("organisation", DataType::Utf8, false),
        Field::new("source", DataType::Utf8, false),
        Field::new("protocol", DataType::Utf8, false),
        Field::new("kind", DataType::Utf8, false),
        Field::new("category_uid", DataType::Int32, false),
        Field::new("activity_id", DataType::Int32, false),
        Field::new("severity_id", DataType::Int32, false),
    ];
    fields.extend(COLUMNS.iter().map(|column| {
        let holds = match column.holds {
            Holds::Text => DataType::Utf8,
            Holds::Number => DataType::Int32,
        };
        Field::new(column.name, holds, true)
    }));
    fields.extend([
        Field::new("raw", DataType::Utf8, false),
        Field::new("raw_bytes", DataType::Binary, true),
        Field::new("raw_sha256", DataType::Binary, false),
        Field::new("envelope", DataType::Utf8, true),
        Field::new(CLASS, DataType::Int32, false),
        Field::new(DAY, DataType::Date32, false),
    ]);
    Arc::new(Schema::new(fields))
});

/// The columns of `findings`.
pub(crate) static FINDINGS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("event_id", DataType::Int64, false),
        Field::new("time", time(), false),
        Field::new("time_known", DataType::Boolean, false),
        Field::new("received", time(), false),
        Field::new("organisation", DataType::Utf8, false),
        Field::new("source", DataType::Utf8, false),
        Field::new("analytic", DataType::Utf8, false),
        Field::new("rule_id", DataType::Utf8, false),
        Field::new("rule_title", DataType::Utf8, false),
        Field::new("level", DataType::Utf8, false),
        Field::new("severity_id", DataType::Int32, false),
        Field::new("tags", DataType::Utf8, false),
        Field::new("matched", DataType::Utf8, false),
        Field::new("events", DataType::Utf8, false),
        Field::new("pack", DataType::Utf8, true),
        Field::new("entity", DataType::Utf8, true),
        Field::new("exception", DataType::Utf8, true),
        Field::new("batch", DataType::Int64, true),
        Field::new(DAY, DataType::Date32, false),
    ]))
});

const DAY_US: i64 = 86_400_000_000;

/// The earliest and, behind the time of receipt, the latest time that is believed: 1990, and a day ahead.
const EARLIEST_US: i64 = 631_152_000_000_000;

/// The time of a row in microseconds since 1970, and whether it is the event's own. What no clock can have shown is not
/// believed; the time of receipt stands for it.
pub fn row_time(time_ns: Option<i64>, received_ms: i64) -> (i64, bool) {
    let received = received_ms.saturating_mul(1_000);
    let known = time_ns.map(|ns| ns.div_euclid(1_000));
    match known.filter(|us| (EARLIEST_US..=received.saturating_add(DAY_US)).contains(us)) {
        Some(us) => (us, true),
        None => (received, false),
    }
}

fn day_of(time_us: i64) -> i32 {
    time_us.div_euclid(DAY_US) as i32
}

/// What events and findings begin with.
struct Common {
    event_id: Int64Builder,
    time: TimestampMicrosecondBuilder,
    time_known: BooleanBuilder,
    received: TimestampMicrosecondBuilder,
    organisation: StringBuilder,
    source: StringBuilder,
    days: Vec<i32>,
}

impl Common {
    fn new() -> Self {
        Self {
            event_id: Int64Builder::new(),
            time: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            time_known: BooleanBuilder::new(),
            received: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            organisation: StringBuilder::new(),
            source: StringBuilder::new(),
            days: Vec::new(),
        }
    }

    fn push(&mut self, event_id: u64, time_ns: Option<i64>, received_ms: i64, organisation: &str, source: &str) {
        let (us, known) = row_time(time_ns, received_ms);
        self.event_id.append_value(event_id as i64);
        self.time.append_value(us);
        self.time_known.append_value(known);
        self.received.append_value(received_ms.saturating_mul(1_000));
        self.organisation.append_value(organisation);
        self.source.append_value(source);
        self.days.push(day_of(us));
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.event_id.finish()),
            Arc::new(self.time.finish()),
            Arc::new(self.time_known.finish()),
            Arc::new(self.received.finish()),
            Arc::new(self.organisation.finish()),
            Arc::new(self.source.finish()),
        ]
    }
}

/// A column of an attribute, filled to the row before the last one that has it.
enum Attribute {
    Text(StringBuilder, usize),
    Number(Int32Builder, usize),
}

impl Attribute {
    fn put(&mut self, row: usize, value: &Scalar) {
        match (self, value) {
            (Self::Text(builder, filled), Scalar::Text(text)) => {
                builder.append_nulls(row - *filled);
                builder.append_value(text);
                *filled = row + 1;
            }
            (Self::Number(builder, filled), Scalar::Number(number)) => {
                builder.append_nulls(row - *filled);
                builder.append_value(*number);
                *filled = row + 1;
            }
            // A value of the other type is none.
            _ => {}
        }
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        match self {
            Self::Text(builder, filled) => {
                builder.append_nulls(rows - std::mem::take(filled));
                Arc::new(builder.finish())
            }
            Self::Number(builder, filled) => {
                builder.append_nulls(rows - std::mem::take(filled));
                Arc::new(builder.finish())
            }
        }
    }
}

/// Collects events.
pub struct EventRows {
    common: Common,
    protocol: StringBuilder,
    kind: StringBuilder,
    category: Int32Builder,
    activity: Int32Builder,
    severity: Int32Builder,
    attributes: Vec<Attribute>,
    raw: StringBuilder,
    raw_bytes: BinaryBuilder,
    raw_sha256: FixedSizeBinaryBuilder,
    envelope: StringBuilder,
    classes: Vec<i32>,
    bytes: usize,
}

impl Default for EventRows {
    fn default() -> Self {
        let attribute = |holds| match holds {
            Holds::Text => Attribute::Text(StringBuilder::new(), 0),
            Holds::Number => Attribute::Number(Int32Builder::new(), 0),
        };
        Self {
            common: Common::new(),
            protocol: StringBuilder::new(),
            kind: StringBuilder::new(),
            category: Int32Builder::new(),
            activity: Int32Builder::new(),
            severity: Int32Builder::new(),
            attributes: COLUMNS.iter().map(|column| attribute(column.holds)).collect(),
            raw: StringBuilder::new(),
            raw_bytes: BinaryBuilder::new(),
            raw_sha256: FixedSizeBinaryBuilder::new(32),
            envelope: StringBuilder::new(),
            classes: Vec::new(),
            bytes: 0,
        }
    }
}

impl EventRows {
    /// Adds an event.
    pub fn push(&mut self, row: &EventRow<'_>) {
        let index = self.len();
        self.common.push(row.event_id, row.time_ns, row.received_ms, row.organisation, row.source);
        self.protocol.append_value(row.protocol);
        self.kind.append_value(row.kind);
        self.category.append_value(row.flat.category_uid.into());
        self.activity.append_value(row.flat.activity_id as i32);
        self.severity.append_value(row.flat.severity_id.into());
        for (column, value) in &row.flat.values {
            self.attributes[*column].put(index, value);
        }
        if let Ok(text) = std::str::from_utf8(row.raw) {
            self.raw.append_value(text);
            self.raw_bytes.append_null();
        } else {
            self.raw.append_value(String::from_utf8_lossy(row.raw));
            self.raw_bytes.append_value(row.raw);
        }
        self.raw_sha256.append_value(row.raw_sha256).expect("a SHA-256 has 32 bytes");
        self.envelope.append_option(row.envelope.map(String::from_utf8_lossy));
        self.classes.push(row.flat.class_uid as i32);
        self.bytes += row.raw.len() + 256;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// Memory they take, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The events as columns; none are left.
    pub(crate) fn finish(&mut self) -> Rows {
        let rows = self.len();
        let mut columns = self.common.finish();
        columns.extend([
            Arc::new(self.protocol.finish()) as ArrayRef,
            Arc::new(self.kind.finish()),
            Arc::new(self.category.finish()),
            Arc::new(self.activity.finish()),
            Arc::new(self.severity.finish()),
        ]);
        columns.extend(self.attributes.iter_mut().map(|attribute| attribute.finish(rows)));
        let sha256 = arrow::compute::cast(&self.raw_sha256.finish(), &DataType::Binary);
        columns.extend([
            Arc::new(self.raw.finish()) as ArrayRef,
            Arc::new(self.raw_bytes.finish()),
            sha256.expect("bytes of a fixed size are bytes"),
            Arc::new(self.envelope.finish()),
        ]);
        self.bytes = 0;
        let classes = std::mem::take(&mut self.classes);
        let days = std::mem::take(&mut self.common.days);
        Rows::new(&EVENTS, 2, columns, classes.into_iter().zip(days).collect())
    }
}

/// Collects findings.
pub struct FindingRows {
    common: Common,
    texts: [StringBuilder; 4],
    severity: Int32Builder,
    more: [StringBuilder; 6],
    batch: Int64Builder,
}

impl Default for FindingRows {
    fn default() -> Self {
        Self {
            common: Common::new(),
            texts: std::array::from_fn(|_| StringBuilder::new()),
            severity: Int32Builder::new(),
            more: std::array::from_fn(|_| StringBuilder::new()),
            batch: Int64Builder::new(),
        }
    }
}

impl FindingRows {
    /// Adds a finding.
    pub fn push(&mut self, row: &FindingRow<'_>) {
        self.common.push(row.event_id, row.time_ns, row.received_ms, row.organisation, row.source);
        for (builder, text) in self.texts.iter_mut().zip([row.analytic, row.rule_id, row.rule_title, row.level]) {
            builder.append_value(text);
        }
        self.severity.append_value(row.severity_id.into());
        let texts = [row.tags, row.matched, row.events, row.pack].map(Some).into_iter();
        for (builder, text) in self.more.iter_mut().zip(texts.chain([row.entity, row.exception])) {
            builder.append_option(text);
        }
        self.batch.append_value(row.batch as i64);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.common.days.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.common.days.is_empty()
    }

    /// The findings as columns; none are left.
    pub(crate) fn finish(&mut self) -> Rows {
        let mut columns = self.common.finish();
        columns.extend(self.texts.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        columns.push(Arc::new(self.severity.finish()));
        columns.extend(self.more.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        columns.push(Arc::new(self.batch.finish()));
        let days = std::mem::take(&mut self.common.days);
        Rows::new(&FINDINGS, 1, columns, days.into_iter().map(|day| (0, day)).collect())
    }
}

/// Rows as columns, without those by which the table is divided, and the part of the table that each belongs to.
pub(crate) struct Rows {
    pub(crate) batch: RecordBatch,
    /// Class and day of each row.
    pub(crate) parts: Vec<(i32, i32)>,
}

impl Rows {
    /// The same rows; columns are shared.
    pub(crate) fn share(&self) -> Self {
        Self { batch: self.batch.clone(), parts: self.parts.clone() }
    }

    /// `dividing` columns stand at the end of the schema and not among `columns`.
    fn new(schema: &SchemaRef, dividing: usize, columns: Vec<ArrayRef>, parts: Vec<(i32, i32)>) -> Self {
        let fields = schema.fields();
        let kept = Schema::new(fields[..fields.len() - dividing].to_vec());
        let batch = RecordBatch::try_new(Arc::new(kept), columns).expect("builders make what the schema says");
        Self { batch, parts }
    }
}
