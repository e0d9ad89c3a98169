//! A JSON object inside a line of text, flattened into fields with plain values.
//!
//! This is for the messages of syslog and containers, where speed matters less than in JSON lines: escapes are
//! removed here, so that the header's fields and the object's can stand in one event.

use std::fmt;

use khien_base::limits::EVENT_FIELDS;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::out::Out;
use crate::fields::Kind;
use crate::taxonomy::Taxonomy;

/// Most bytes that all field names of one object may have together; deep nesting of long keys would else cost memory
/// in proportion to the square of the record.
const NAME_BYTES: usize = 16 << 20;

/// Decodes the object that `text` is; whether it was one. Nesting is bounded by `serde_json` at 128.
pub(crate) fn decode(text: &str, out: &mut Out<'_>) -> bool {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return false;
    }
    let mut walk = Walk { path: Vec::new(), marks: 0, names: 0, values: 0, out };
    let mut json = serde_json::Deserializer::from_str(text);
    if Value(&mut walk).deserialize(&mut json).is_err() {
        return false;
    }
    let shape = Taxonomy::embedded().shape_of(walk.marks);
    out.fields().shape = shape;
    true
}

struct Walk<'o, 'a> {
    path: Vec<String>,
    marks: u64,
    names: usize,
    values: usize,
    out: &'o mut Out<'a>,
}

impl Walk<'_, '_> {
    fn put<E: Error>(&mut self, kind: Kind, value: &str) -> Result<(), E> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let taxonomy = Taxonomy::embedded();
        self.marks |= taxonomy.mark(&path);
        let name = taxonomy.canonical(&path);
        self.names += name.len();
        self.values += 1;
        if self.names > NAME_BYTES || self.values > EVENT_FIELDS {
            return Err(E::custom("more names than an event may have"));
        }
        self.out.put(&name, kind, value);
        Ok(())
    }
}

/// One value at the path of the walk.
struct Value<'w, 'o, 'a>(&'w mut Walk<'o, 'a>);

impl<'de> DeserializeSeed<'de> for Value<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        if value { self.0.put(Kind::True, "true") } else { self.0.put(Kind::False, "false") }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.0.put(Kind::Number, &value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.0.put(Kind::Number, &value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.0.put(Kind::Number, &value.to_string())
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<(), E> {
        self.0.put(Kind::Text, value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.0.put(Kind::Text, value)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.put(Kind::Null, "null")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let mut empty = true;
        while sequence.next_element_seed(Value(self.0))?.is_some() {
            empty = false;
        }
        if empty {
            self.0.put(Kind::EmptyArray, "")?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if !self.0.path.is_empty() {
            self.0.put(Kind::Object, "")?;
        }
        while let Some(key) = map.next_key::<String>()? {
            self.0.path.push(key);
            map.next_value_seed(Value(self.0))?;
            self.0.path.pop();
        }
        Ok(())
    }
}
