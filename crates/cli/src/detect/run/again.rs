//! A second look at an event in which something was found: all of its fields, with their names.

use std::sync::Arc;

use khien_event::decode::{Decode, Decoded, Malformed};
use khien_event::event::{Event, Value};
use khien_event::fields::{Field, Fields, Kind};
use khien_event::json::{Emit, JsonDecoder, unescape_into};
use khien_event::json_slow::kind_of_event;
use khien_event::names::Names;
use khien_event::taxonomy::{KindId, Taxonomy};
use khien_event::text::TextDecoder;

/// See the module text.
pub(super) struct Again {
    json: JsonDecoder,
    fields: Fields,
}

impl Again {
    pub(super) fn new() -> Self {
        let names = Arc::new(Names::new());
        Self {
            json: JsonDecoder::new(names.clone(), Taxonomy::embedded(), Emit::All),
            fields: Fields::with_labels(names),
        }
    }

    /// Decodes a record: with `text`, which remembers the tables before it, or as JSON.
    pub(super) fn decode(&mut self, text: Option<&mut TextDecoder>, record: &[u8]) -> Result<Decoded, Malformed> {
        self.fields.clear();
        match text {
            Some(text) => text.decode(record, &mut self.fields),
            None => self.json.decode(record, &mut self.fields),
        }
    }

    /// The fields of the record decoded last, with labels.
    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The record decoded last and its kind.
    pub(super) fn event(&self, record: &[u8]) -> (Event, KindId) {
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
