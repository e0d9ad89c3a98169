//! One decoded event: typed fields as spans of its raw bytes.
//!
//! A decoder fills a [`Fields`] that its caller owns and reuses, so that decoding an event allocates nothing. A value is
//! a span of the raw record, or of a scratch buffer when the decoder had to change bytes (unescape CEF, join lines).

use std::sync::Arc;

use crate::names::{FieldId, Names};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Text as it is, UTF-8, nothing escaped.
    Text,
    /// The inside of a JSON string: backslash escapes may stand in it ([`crate::json::unescape_into`]).
    Escaped,
    /// A JSON number, or text that a decoder knows to be one.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// An explicit null.
    Null,
    /// An object: the field exists, its members are fields of their own.
    Object,
    /// An empty array: the field exists and has no value.
    EmptyArray,
}

/// How the bytes of an event's text values are written in the raw record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Encoding {
    /// Values are plain text (syslog, CEF, key=value, TSV).
    #[default]
    Plain,
    /// Values are the insides of JSON strings.
    Json,
}

/// How a record is shaped; an index into the taxonomy's shapes. 0 is a shape nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct ShapeId(pub u16);

/// One field of one event. A field with several values (an array) stands several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Canonical name, [`FieldId::OTHER`] when nobody asked for it.
    pub name: FieldId,
    /// Type of the value.
    pub kind: Kind,
    in_scratch: bool,
    start: u32,
    len: u32,
}

/// The fields of one event; see the module text.
#[derive(Clone, Debug)]
pub struct Fields {
    names: Arc<Names>,
    list: Vec<Field>,
    scratch: Vec<u8>,
    labels: Option<Vec<(u32, u32)>>,
    /// How text values are written.
    pub encoding: Encoding,
    /// What the decoder recognised.
    pub shape: ShapeId,
    /// Some printable ASCII text of a JSON record is written as `\uXXXX` or `\/`, so it is not spelled the usual way.
    pub odd_escapes: bool,
    /// A JSON record holds a character beyond ASCII, written out or as `\uXXXX`.
    pub beyond_ascii: bool,
    /// Event time in nanoseconds since 1970 when the decoder had to work it out itself (syslog headers); otherwise the
    /// taxonomy says which fields hold it.
    pub time_ns: Option<i64>,
}

impl Fields {
    /// Empty fields over the names that matter.
    pub fn new(names: Arc<Names>) -> Self {
        Self {
            names,
            list: Vec::with_capacity(64),
            scratch: Vec::new(),
            labels: None,
            encoding: Encoding::Plain,
            shape: ShapeId::default(),
            odd_escapes: false,
            beyond_ascii: false,
            time_ns: None,
        }
    }

    /// The same, but every field's full name is kept too ([`Fields::label`]). Slower; for explanation, OCSF and tests.
    pub fn with_labels(names: Arc<Names>) -> Self {
        Self { labels: Some(Vec::with_capacity(64)), ..Self::new(names) }
    }

    /// Whether full names are kept.
    pub fn keeps_labels(&self) -> bool {
        self.labels.is_some()
    }

    /// Names that matter.
    pub fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// Forgets the event before.
    pub fn clear(&mut self) {
        self.list.clear();
        self.scratch.clear();
        if let Some(labels) = &mut self.labels {
            labels.clear();
        }
        self.encoding = Encoding::Plain;
        self.shape = ShapeId::default();
        self.odd_escapes = false;
        self.beyond_ascii = false;
        self.time_ns = None;
    }

    /// Adds a value given by its bytes, which are copied.
    pub fn push(&mut self, name: &str, kind: Kind, value: &[u8]) {
        let id = self.names.get(name);
        let start = self.scratch.len() as u32;
        self.scratch.extend_from_slice(value);
        self.list.push(Field { name: id, kind, in_scratch: true, start, len: value.len() as u32 });
        self.push_label(name);
    }

    /// Adds a text value, repairing bytes that are not UTF-8 (`U+FFFD` in their place).
    pub fn push_text(&mut self, name: &str, value: &[u8]) {
        match simdutf8::basic::from_utf8(value) {
            Ok(_) => self.push(name, Kind::Text, value),
            Err(_) => self.push(name, Kind::Text, String::from_utf8_lossy(value).as_bytes()),
        }
    }

    /// Adds a value that is the span `start..start + len` of the raw record.
    pub fn push_span(&mut self, name: FieldId, kind: Kind, start: usize, len: usize) {
        self.list.push(Field { name, kind, in_scratch: false, start: start as u32, len: len as u32 });
    }

    /// Adds the full name of the field just pushed by [`Fields::push_span`]. Does nothing unless names are kept.
    pub fn push_label(&mut self, name: &str) {
        if let Some(labels) = &mut self.labels {
            labels.push((self.scratch.len() as u32, name.len() as u32));
            self.scratch.extend_from_slice(name.as_bytes());
        }
    }

    /// The fields in the order they stand in the record.
    pub fn list(&self) -> &[Field] {
        &self.list
    }

    /// The bytes of `field`, of this event, whose raw record is `raw`.
    #[inline]
    pub fn bytes<'a>(&'a self, raw: &'a [u8], field: &Field) -> &'a [u8] {
        let (start, end) = (field.start as usize, field.start as usize + field.len as usize);
        if field.in_scratch { &self.scratch[start..end] } else { &raw[start..end] }
    }

    /// Whether the value of `field` is a span of the raw record.
    pub fn is_span(field: &Field) -> bool {
        !field.in_scratch
    }

    /// The span of `field` in the raw record, `None` when its bytes were rewritten.
    pub fn span(field: &Field) -> Option<std::ops::Range<usize>> {
        (!field.in_scratch).then(|| field.start as usize..field.start as usize + field.len as usize)
    }

    /// The full name of the field at `index`, empty unless names are kept.
    pub fn label(&self, index: usize) -> &str {
        self.labels
            .as_ref()
            .and_then(|l| l.get(index))
            .and_then(|&(s, n)| std::str::from_utf8(&self.scratch[s as usize..(s + n) as usize]).ok())
            .unwrap_or("")
    }
}
