//! A JSON record as an [`Event`], read the plain way.
//!
//! This is the reference: the fast walker must give the same fields, and a fuzz target compares the two. What it means:
//!
//! - A record is one JSON text (RFC 8259) in UTF-8 whose value is an object; white space around it is allowed, anything
//!   else is malformed. A record of more than [`limits::RECORD_BYTES`] bytes is malformed.
//! - Every value has a path: the keys of the objects around it, from the root. Arrays add nothing to a path, so the
//!   elements of an array are several values of the same field. The field's name is [`Taxonomy::canonical`] of the path.
//! - Fields stand in the order of the record. A key that stands twice in an object gives both values.
//! - A string is [`Value::Text`] with its escapes undone; a `\u` escape that is half of a surrogate pair is malformed,
//!   in a key too. A number is [`Value::Number`] as it was written, whatever its size; `true`, `false`, `null` are
//!   [`Value::Bool`] and [`Value::Null`].
//! - An object below the root gives [`Value::Object`] with its JSON text without the white space between tokens
//!   (escapes, numbers and the order of members stay as they were), and then its members. An empty one too.
//! - Where the taxonomy knows a list of pairs of names and values, the value of each object in it that has a name is
//!   also a field of that name behind the object; null when there is none, the first when there are several.
//! - An empty array gives [`Value::EmptyArray`], also inside another array.
//! - Objects and arrays may be nested [`limits::JSON_DEPTH`] deep, the root counting as one; deeper records are
//!   malformed. So are records with more than [`limits::EVENT_FIELDS`] fields.
//! - Names and object texts repeat what stands around them, so a small hostile record could grow without end. When they
//!   exceed [`EVENT_BYTES`] the record is malformed here; the fast walker, which copies nothing, may go on.
//!
//! [`Malformed::offset`] is where the parser stopped; only the fact, not the place, is part of the contract.

use std::borrow::Cow;
use std::fmt;

use khien_base::limits;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::decode::Malformed;
use crate::event::{Event, Value};
use crate::fields::ShapeId;
use crate::reasons;
use crate::taxonomy::{KindId, PairPart, Taxonomy};

/// Most bytes of names and values of one [`Event`].
pub const EVENT_BYTES: usize = 4 * limits::RECORD_BYTES;

/// Reads a record; see the module text.
///
/// # Errors
/// [`Malformed`] when the bytes are not a JSON object within the limits.
pub fn event_from_json(bytes: &[u8], taxonomy: &Taxonomy) -> Result<Event, Malformed> {
    if bytes.len() > limits::RECORD_BYTES {
        return Err(Malformed::new(reasons::TOO_LONG, limits::RECORD_BYTES));
    }
    let text = simdutf8::compat::from_utf8(bytes).map_err(|e| Malformed::new(reasons::NOT_UTF8, e.valid_up_to()))?;
    let root: &RawValue = parse(text)?;
    if !root.get().starts_with('{') {
        return Err(Malformed::new(reasons::NOT_AN_OBJECT, 0));
    }
    let mut reader = Reader { taxonomy, event: Event::default(), path: Vec::new(), bytes: 0, pair: Pair::default() };
    reader.members(root.get(), 1)?;
    Ok(reader.event)
}

/// The shape of a record by the names of its fields; what [`Taxonomy::mark`] and [`Taxonomy::shape_of`] say of a JSON
/// record while it is walked.
pub fn shape_of_event(event: &Event, taxonomy: &Taxonomy) -> ShapeId {
    let marks = event.fields.iter().fold(0, |marks, (name, _)| marks | taxonomy.mark_of_name(name));
    taxonomy.shape_of(marks)
}

/// The kind of an event of `shape`: each discriminator counts with the first of its values that has a text
/// ([`Value::text`]), and as absent when none has.
pub fn kind_of_event(event: &Event, shape: ShapeId, taxonomy: &Taxonomy) -> KindId {
    let values: Vec<_> =
        taxonomy.discriminators(shape).iter().map(|name| event.values(name).find_map(Value::text)).collect();
    taxonomy.kind(shape, &values)
}

/// The event under construction.
struct Reader<'t> {
    taxonomy: &'t Taxonomy,
    event: Event,
    /// Keys of the objects around the value.
    path: Vec<String>,
    /// Bytes of names and values so far.
    bytes: usize,
    pair: Pair,
}

/// The parts of the pair that is being read.
#[derive(Default)]
struct Pair {
    name: Option<String>,
    value: Option<Value>,
}

impl Reader<'_> {
    /// Reads the members of the object `text`, which is nested `depth` deep.
    fn members(&mut self, text: &str, depth: usize) -> Result<(), Malformed> {
        let Members(members) = parse(text)?;
        for (key, value) in members {
            self.path.push(key.into_owned());
            self.count(self.path.iter().map(String::len).sum())?;
            let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
            let name = self.taxonomy.canonical(&path);
            self.value(&name, value.get(), depth)?;
            self.path.pop();
        }
        Ok(())
    }

    /// Reads a value that stands in an object or array nested `depth` deep.
    fn value(&mut self, name: &str, text: &str, depth: usize) -> Result<(), Malformed> {
        match text.as_bytes().first() {
            Some(b'{') => {
                below(depth)?;
                self.count(text.len())?;
                self.push(name, Value::Object(compact(text)))?;
                match self.pair_part() {
                    Some(PairPart::List) => self.pair(text, depth + 1),
                    _ => self.members(text, depth + 1),
                }
            }
            Some(b'[') => {
                below(depth)?;
                let Elements(elements) = parse(text)?;
                if elements.is_empty() {
                    return self.push(name, Value::EmptyArray);
                }
                elements.iter().try_for_each(|e| self.value(name, e.get(), depth + 1))
            }
            Some(b'"') => {
                let Text(text) = parse(text)?;
                self.push(name, Value::Text(text.into_owned()))
            }
            Some(b't') => self.push(name, Value::Bool(true)),
            Some(b'f') => self.push(name, Value::Bool(false)),
            Some(b'n') => self.push(name, Value::Null),
            _ => self.push(name, Value::Number(text.to_owned())),
        }
    }

    /// What the value at the current path is to a list of pairs.
    fn pair_part(&self) -> Option<PairPart> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        self.taxonomy.pair_part(&path)
    }

    /// Reads an object of a list of pairs, and adds its value under the name it gives.
    fn pair(&mut self, text: &str, depth: usize) -> Result<(), Malformed> {
        let outer = std::mem::take(&mut self.pair);
        self.members(text, depth)?;
        let Pair { name, value } = std::mem::replace(&mut self.pair, outer);
        if let Some(name) = name {
            let around = self.path.iter().map(String::as_str).take(self.path.len() - 1);
            let path: Vec<&str> = around.chain([name.as_str()]).collect();
            let name = self.taxonomy.canonical(&path);
            self.count(name.len())?;
            self.event.fields.push((name, value.unwrap_or(Value::Null)));
        }
        Ok(())
    }

    /// Counts bytes that are about to be copied.
    fn count(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.bytes += bytes;
        if self.bytes > EVENT_BYTES {
            return Err(Malformed::new(reasons::TOO_MANY_BYTES, 0));
        }
        Ok(())
    }

    fn push(&mut self, name: &str, value: Value) -> Result<(), Malformed> {
        if self.event.fields.len() == limits::EVENT_FIELDS {
            return Err(Malformed::new(reasons::TOO_MANY_FIELDS, 0));
        }
        self.count(name.len())?;
        match (self.pair_part(), &value) {
            (Some(PairPart::Name), Value::Text(text)) if self.pair.name.is_none() => {
                self.pair.name = Some(text.clone());
            }
            (Some(PairPart::Value), Value::Object(_) | Value::EmptyArray) => {}
            (Some(PairPart::Value), _) if self.pair.value.is_none() => self.pair.value = Some(value.clone()),
            _ => {}
        }
        self.event.fields.push((name.to_owned(), value));
        Ok(())
    }
}

/// Whether something may be nested in what is `depth` deep.
fn below(depth: usize) -> Result<(), Malformed> {
    if depth < limits::JSON_DEPTH { Ok(()) } else { Err(Malformed::new(reasons::TOO_DEEP, 0)) }
}

/// One level of `text`; what is inside stays text.
fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Malformed> {
    serde_json::from_str(text).map_err(|e| Malformed::new(reasons::NOT_JSON, offset(text, &e)))
}

/// Where in `text` the parser stopped.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    (before + error.column()).min(text.len())
}

/// Valid JSON without the white space between its tokens.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            in_string = c == '"';
        }
        out.push(c);
    }
    out
}

/// A JSON string without its escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Visit)
    }
}

/// The members of an object in their order, repeated keys included.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Text(key), value)) = map.next_entry()? {
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

/// The elements of an array.
struct Elements<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(Visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> &'static Taxonomy {
        Taxonomy::embedded()
    }

    fn fields(json: &str) -> Vec<(String, Value)> {
        event_from_json(json.as_bytes(), table()).expect("valid").fields
    }

    fn refused(json: &[u8]) -> &'static str {
        event_from_json(json, table()).expect_err("malformed").reason.code
    }

    fn text(s: &str) -> Value {
        Value::Text(s.into())
    }

    fn number(s: &str) -> Value {
        Value::Number(s.into())
    }

    fn pairs(list: &[(&str, Value)]) -> Vec<(String, Value)> {
        list.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect()
    }

    #[test]
    fn every_type_of_value() {
        assert_eq!(
            fields(r#" {"a":"x\n\u00e9","b":-1.50E+3,"c":[true,false,null],"d":[],"e":{ }} "#),
            pairs(&[
                ("a", text("x\né")),
                ("b", number("-1.50E+3")),
                ("c", Value::Bool(true)),
                ("c", Value::Bool(false)),
                ("c", Value::Null),
                ("d", Value::EmptyArray),
                ("e", Value::Object("{}".into())),
            ])
        );
    }

    #[test]
    fn arrays_add_nothing_to_a_path_and_objects_stand_before_their_members() {
        assert_eq!(
            fields(r#"{"a":[{"b": " {\" x"},[[],{"b":2}]]}"#),
            pairs(&[
                ("a", Value::Object(r#"{"b":" {\" x"}"#.into())),
                ("a.b", text(" {\" x")),
                ("a", Value::EmptyArray),
                ("a", Value::Object(r#"{"b":2}"#.into())),
                ("a.b", number("2")),
            ])
        );
    }

    #[test]
    fn pairs_of_names_and_values_are_members() {
        for data in [
            r##"[{"@Name":"Image","#text":"x"},{"@Name":"Empty"}]"##,
            r##"[{"#attributes":{"Name":"Image"},"#text":"x"},{"Name":"Empty"}]"##,
            r#"[{"Value":"x","Name":"Image"},{"Name":"Empty","Value":null}]"#,
        ] {
            let event =
                event_from_json(format!(r#"{{"Event":{{"EventData":{{"Data":{data}}}}}}}"#).as_bytes(), table());
            let event = event.expect("valid");
            assert_eq!(event.values("Image").collect::<Vec<_>>(), [&text("x")], "{data}");
            assert_eq!(event.values("Empty").collect::<Vec<_>>(), [&Value::Null], "{data}");
        }
        // A list without names is what it was.
        let event = event_from_json(br#"{"Event":{"EventData":{"Data":["a","b"]}}}"#, table()).expect("valid");
        assert_eq!(event.values("Data").count(), 2);
    }

    #[test]
    fn repeated_keys_give_both_values() {
        assert_eq!(fields(r#"{"a":1,"a":2}"#), pairs(&[("a", number("1")), ("a", number("2"))]));
    }

    #[test]
    fn numbers_of_any_size_are_kept_as_written() {
        let digits = "9".repeat(400);
        assert_eq!(fields(&format!("{{\"a\":{digits}}}")), pairs(&[("a", number(&digits))]));
    }

    #[test]
    fn malformed_records() {
        for json in [
            &b""[..],
            b"{",
            b"{\"a\":1}x",
            b"{\"a\":01}",
            b"{\"a\":\"\x01\"}",
            b"{\"a\":\"\\x\"}",
            b"{\"a\":\"\\ud800\"}",
            b"{\"\\udc00\":1}",
            b"{\"a\":[1,]}",
            b"{'a':1}",
            b"{\"a\":tru}",
        ] {
            assert_eq!(refused(json), "not_json", "{}", json.escape_ascii());
        }
        assert_eq!(refused(b"[1]"), "not_an_object");
        assert_eq!(refused(b"{\"a\":\"\xff\"}"), "not_utf8");
    }

    #[test]
    fn depth_is_limited_to_the_level() {
        let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert_eq!(fields(&nested(limits::JSON_DEPTH - 1)).len(), 1);
        assert_eq!(refused(nested(limits::JSON_DEPTH).as_bytes()), "nested_too_deep");
        assert_eq!(refused(nested(10_000).as_bytes()), "nested_too_deep");
        let objects = "{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000);
        assert_eq!(refused(objects.as_bytes()), "nested_too_deep");
    }

    #[test]
    fn the_number_of_fields_is_limited() {
        let many = format!("{{\"a\":[{}1]}}", "1,".repeat(limits::EVENT_FIELDS));
        assert_eq!(refused(many.as_bytes()), "too_many_fields");
    }

    #[test]
    fn a_record_cannot_grow_without_end() {
        let deep = format!("{{\"{}\":", "k".repeat(100_000)).repeat(100);
        let json = format!("{deep}{{{}\"a\":1}}{}", "\"a\":1,".repeat(60_000), "}".repeat(100));
        assert_eq!(refused(json.as_bytes()), "names_too_large");
    }

    #[test]
    fn a_windows_record_has_a_shape_and_a_kind() {
        let table = Taxonomy::embedded();
        let record = br##"{"Event":{"System":{"Provider":{"#attributes":{"Name":"P"}},
            "EventID":{"#text":4688,"#attributes":{"Qualifiers":0}},"Channel":"Security"},
            "EventData":{"NewProcessName":"C:\\x.exe"},"UserData":{"Y":{"Channel":"System"}}}}"##;
        let event = event_from_json(record, table).expect("valid");
        let shape = shape_of_event(&event, table);
        assert_eq!(table.shape_name(shape), "windows");
        let kind = kind_of_event(&event, shape, table);
        assert_eq!(table.kind_name(kind), "security.process_creation");
        let channels: Vec<_> = event.values("Channel").filter_map(Value::text).collect();
        assert_eq!(channels, ["Security"]);
    }
}
