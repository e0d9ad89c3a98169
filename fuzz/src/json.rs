//! The fast JSON walker against the plain reader and, for validity, against `sonic-rs`.

use std::sync::Arc;

use khien_event::decode::{Decode, Malformed};
use khien_event::event::Value;
use khien_event::fields::{Field, Fields, Kind};
use khien_event::json::{Emit, JsonDecoder, unescape_into};
use khien_event::json_slow::event_from_json;
use khien_event::names::Names;
use khien_event::taxonomy::Taxonomy;
use sonic_rs::JsonValueTrait;

/// Every line of `bytes` as a record, with one decoder, so that what it predicts comes from the lines before.
pub fn json(bytes: &[u8]) {
    let mut names = Names::new();
    for name in ["Image", "a", "a.b", "b"] {
        names.add(name);
    }
    let names = Arc::new(names);
    let mut decoder = JsonDecoder::new(names.clone(), Taxonomy::embedded(), Emit::All);
    for record in bytes.split(|&b| b == b'\n').chain([bytes]) {
        same(&mut decoder, &names, record);
    }
}

/// Names and values of a record, in its order. The text of an object is left out: the walker does not keep it.
type List = Vec<(String, Value)>;

fn same(decoder: &mut JsonDecoder, names: &Arc<Names>, record: &[u8]) {
    let fast = walked(decoder, names, record);
    match (&fast, plain(record)) {
        (Ok(fast), Ok(plain)) => assert_eq!(*fast, plain),
        (Err(_), Err(_)) => {}
        (fast, plain) => panic!("fast {fast:?}, plain {plain:?}"),
    }
    // A number beyond the range of a double is a number to us and an error to others.
    if !record.contains(&b'e') && !record.contains(&b'E') && is_shallow(record) {
        let valid = sonic_rs::from_slice::<sonic_rs::Value>(record).is_ok_and(|value| value.is_object());
        assert_eq!(fast.is_ok(), valid);
    }
}

/// Whether nothing is nested deeper than we read; longer numbers may leave the range of a double too.
fn is_shallow(record: &[u8]) -> bool {
    record.iter().filter(|b| matches!(b, b'{' | b'[')).count() < khien_base::limits::JSON_DEPTH
        && !record.split(|b| !b.is_ascii_digit()).any(|digits| digits.len() > 300)
}

fn plain(record: &[u8]) -> Result<List, Malformed> {
    let event = event_from_json(record, Taxonomy::embedded())?;
    Ok(event.fields.into_iter().filter(|(_, value)| !matches!(value, Value::Object(_))).collect())
}

fn walked(decoder: &mut JsonDecoder, names: &Arc<Names>, record: &[u8]) -> Result<List, Malformed> {
    let mut fields = Fields::with_labels(names.clone());
    decoder.decode(record, &mut fields)?;
    let values = fields.list().iter().enumerate().filter(|(_, field)| field.kind != Kind::Object);
    Ok(values.map(|(at, field)| (fields.label(at).to_owned(), value(&fields, record, field))).collect())
}

fn value(fields: &Fields, record: &[u8], field: &Field) -> Value {
    let bytes = fields.bytes(record, field);
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).expect("values are UTF-8").to_owned();
    match field.kind {
        Kind::Text => Value::Text(text(bytes)),
        Kind::Number => Value::Number(text(bytes)),
        Kind::True => Value::Bool(true),
        Kind::False => Value::Bool(false),
        Kind::Null => Value::Null,
        Kind::Object => Value::Object(String::new()),
        Kind::EmptyArray => Value::EmptyArray,
        Kind::Escaped => {
            let mut plain = Vec::new();
            unescape_into(bytes, &mut plain);
            Value::Text(text(&plain))
        }
    }
}
