//! All fields of an event with their names, for those who need more of it than what rules ask for.
//!
//! Slower than the walk for rules: names and values are copied.

use std::sync::Arc;

use crate::decode::{Decode, Decoded, Malformed};
use crate::event::{Event, Value};
use crate::fields::{Field, Fields, Kind};
use crate::json::{Emit, JsonDecoder, unescape_into};
use crate::json_slow::kind_of_event;
use crate::names::Names;
use crate::taxonomy::{KindId, Taxonomy};
use crate::text::TextDecoder;

/// See the module text.
pub struct Whole {
    json: JsonDecoder,
    fields: Fields,
}

impl Default for Whole {
    fn default() -> Self {
        Self::new()
    }
}

impl Whole {
    /// A decoder of whole events.
    pub fn new() -> Self {
        let names = Arc::new(Names::new());
        Self {
            json: JsonDecoder::new(names.clone(), Taxonomy::embedded(), Emit::All),
            fields: Fields::with_labels(names),
        }
    }

    /// Decodes a record: with `text`, which remembers the tables before it, or as JSON.
    ///
    /// # Errors
    /// What the decoder says about a record it cannot read.
    pub fn decode(&mut self, text: Option<&mut TextDecoder>, record: &[u8]) -> Result<Decoded, Malformed> {
        self.fields.clear();
        match text {
            Some(text) => text.decode(record, &mut self.fields),
            None => self.json.decode(record, &mut self.fields),
        }
    }

    /// The fields of the record decoded last, with labels.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The record decoded last and its kind.
    pub fn event(&self, record: &[u8]) -> (Event, KindId) {
        let list = self.fields.list().iter().enumerate();
        let label = |i| self.fields.label(i).to_owned();
        let event = Event { fields: list.map(|(i, field)| (label(i), value(&self.fields, record, field))).collect() };
        let kind = kind_of_event(&event, self.fields.shape, Taxonomy::embedded());
        (event, kind)
    }
}

fn value(fields: &Fields, record: &[u8], field: &Field) -> Value {
    let bytes = fields.bytes(record, field);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match field.kind {
        Kind::Text => Value::Text(text(bytes)),
        Kind::Escaped => {
            let mut plain = Vec::with_capacity(bytes.len());
            unescape_into(bytes, &mut plain);
            Value::Text(text(&plain))
        }
        Kind::Number => Value::Number(text(bytes)),
        Kind::True => Value::Bool(true),
        Kind::False => Value::Bool(false),
        Kind::Null => Value::Null,
        Kind::Object => Value::Object(text(bytes)),
        Kind::EmptyArray => Value::EmptyArray,
    }
}
