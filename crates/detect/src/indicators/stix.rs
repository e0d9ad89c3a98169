//! STIX 2.1 bundles, one object at a time.

use std::cell::Cell;
use std::io::{BufRead, Read};
use std::rc::Rc;

use khien_base::message::Message;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::key::{Kind, shown};
use super::read::Loader;
use super::set::Note;
use crate::reasons;

/// Largest object of a bundle, in bytes.
const MAX_OBJECT: u64 = 16 << 20;
/// Most comparisons of one pattern.
const MAX_COMPARISONS: usize = 10_000;
/// Longest id, name or label that is kept, in characters.
const MAX_TEXT: usize = 200;

/// Reads a bundle, a list of objects or a single object.
pub(super) fn read(loader: &mut Loader, reader: impl BufRead) -> std::io::Result<()> {
    let place = Rc::new(Place::default());
    let counted = Counted { reader, place: Rc::clone(&place) };
    let mut json = serde_json::Deserializer::from_reader(counted);
    let objects = Objects { loader, place: &place };
    let result = serde::Deserializer::deserialize_any(&mut json, objects);
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.is_io() && !place.too_large() => Err(error.into()),
        Err(error) => {
            let line = place.line();
            loader.problem(line, reasons::unreadable_from_here(error));
            Ok(())
        }
    }
}

/// Where reading stands.
#[derive(Default)]
struct Place {
    lines: Cell<u32>,
    bytes: Cell<u64>,
    object_start: Cell<u64>,
}

impl Place {
    fn line(&self) -> u32 {
        self.lines.get().saturating_add(1)
    }

    fn begin_object(&self) {
        self.object_start.set(self.bytes.get());
    }

    fn too_large(&self) -> bool {
        self.bytes.get() - self.object_start.get() > MAX_OBJECT
    }
}

/// Counts lines and refuses objects that are too large.
struct Counted<R> {
    reader: R,
    place: Rc<Place>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let lines = memchr::memchr_iter(b'\n', &buffer[..read]).count() as u32;
        let place = &self.place;
        place.lines.set(place.lines.get().saturating_add(lines));
        place.bytes.set(place.bytes.get() + read as u64);
        if place.too_large() {
            return Err(std::io::Error::other("an object is too large"));
        }
        Ok(read)
    }
}

/// Takes the objects of a bundle as they come.
struct Objects<'l, 's> {
    loader: &'l mut Loader<'s>,
    place: &'l Place,
}

impl<'de> DeserializeSeed<'de> for &mut Objects<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(Objects { loader: self.loader, place: self.place })
    }
}

impl<'de> Visitor<'de> for Objects<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("a STIX 2.1 bundle")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.place.begin_object();
        while let Some(object) = seq.next_element::<Value>()? {
            take(self.loader, self.place.line(), &object);
            self.place.begin_object();
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut alone = serde_json::Map::new();
        let mut bundle = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "objects" {
                bundle = true;
                map.next_value_seed(&mut self)?;
            } else if key.starts_with("x_") || alone.len() > 64 {
                map.next_value::<IgnoredAny>()?;
            } else {
                alone.insert(key, map.next_value()?);
            }
        }
        if !bundle {
            take(self.loader, self.place.line(), &Value::Object(alone));
        }
        Ok(())
    }

    // `objects` that is no list has no indicators.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.loader.problem(self.place.line(), reasons::objects_no_list());
        Ok(())
    }
}

fn text<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    object.get(key).and_then(Value::as_str)
}

fn take(loader: &mut Loader, line: u32, object: &Value) {
    match text(object, "type") {
        Some("indicator") => indicator(loader, line, object),
        Some(kind @ ("ipv4-addr" | "ipv6-addr" | "domain-name" | "url" | "email-addr")) => {
            match text(object, "value") {
                Some(value) => loader.add(line, value, Kind::from_name(kind), Some(note(object))),
                None => loader.problem(line, reasons::object_without_value(kind)),
            }
        }
        Some("file" | "artifact" | "x509-certificate") => {
            let hashes = object.get("hashes").and_then(Value::as_object);
            for (_, value) in hashes.into_iter().flatten().filter(|(n, _)| is_known_hash(n)) {
                let value = value.as_str().unwrap_or("");
                loader.add(line, value, Some(Kind::Hash), Some(note(object)));
            }
        }
        _ => {}
    }
}

fn indicator(loader: &mut Loader, line: u32, object: &Value) {
    if object.get("revoked") == Some(&Value::Bool(true)) {
        return loader.problem(line, reasons::revoked());
    }
    if let Some(language @ ("yara" | "snort" | "suricata" | "sigma" | "pcre")) = text(object, "pattern_type") {
        return loader.problem(line, reasons::other_pattern_language(language));
    }
    let Some(pattern) = text(object, "pattern") else {
        return loader.problem(line, reasons::no_pattern());
    };
    let (values, refused) = comparisons(pattern);
    let note = note(object);
    for (kind, value) in values {
        loader.add(line, &value, kind, Some(note.clone()));
    }
    for reason in refused {
        loader.problem(line, reason);
    }
}

fn note(object: &Value) -> Note {
    let strings = |key: &str| -> Vec<&str> {
        let list = object.get(key).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let mut labels: Vec<Box<str>> =
        [strings("indicator_types"), strings("labels")].concat().into_iter().take(32).map(short).collect();
    labels.extend(strings("object_marking_refs").into_iter().filter_map(tlp).map(Into::into));
    Note {
        id: text(object, "id").map(short),
        name: text(object, "name").map(short),
        labels: labels.into(),
        valid_from_ns: text(object, "valid_from").and_then(time_ns),
        valid_until_ns: text(object, "valid_until").and_then(time_ns),
    }
}

fn short(text: &str) -> Box<str> {
    text.chars().take(MAX_TEXT).collect::<String>().into()
}

fn time_ns(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

/// The well-known markings of TLP 1 (STIX 2.1, 7.2.1.4) and TLP 2.0 (its extension definition).
fn tlp(marking: &str) -> Option<&'static str> {
    Some(match marking.strip_prefix("marking-definition--")? {
        "613f2e26-407d-48c7-9eca-b8e91df99dc9" => "tlp:white",
        "94868c89-83c2-464b-929b-a1a8aa3c8487" => "tlp:clear",
        "34098fce-860f-48ae-8e50-ebd3cc5e41da" | "bab4a63c-aed9-4cf5-a766-dfca5abac2bb" => "tlp:green",
        "f88d31f6-486f-44da-b317-01333bde0b82" | "55d920b0-5e8b-4f79-9ee9-91f868d9b421" => "tlp:amber",
        "939a9414-2ddd-4d32-a0cd-375ea402b003" => "tlp:amber+strict",
        "5e57c739-391a-4eb3-b6be-7d15ca92d5ed" | "e828b379-4e03-4974-9ac4-e53a884c97c1" => "tlp:red",
        _ => return None,
    })
}

/// One word of a pattern.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// `[`
    Open,
    /// `]`
    Close,
    /// `(`
    OpenList,
    /// `)`
    CloseList,
    /// `,`
    Comma,
    /// `=`, `!=`, `<` ...
    Operator(String),
    /// A quoted text.
    Text(String),
    /// Path, keyword or number.
    Word(String),
}

/// What the indicator is when it is known, and its value.
type Comparison = (Option<Kind>, String);

/// The values of a pattern any of which fulfils it, and why the rest cannot be used.
fn comparisons(pattern: &str) -> (Vec<Comparison>, Vec<Message>) {
    let tokens = match tokens(pattern) {
        Ok(tokens) => tokens,
        Err(reason) => return (Vec::new(), vec![reason]),
    };
    for token in &tokens {
        if let Token::Word(word) = token
            && let Some(word) = ["AND", "FOLLOWEDBY", "NOT", "WITHIN", "REPEATS", "START"].iter().find(|k| **k == word)
        {
            return (Vec::new(), vec![reasons::pattern_needs_more(word, shown(pattern))]);
        }
    }
    let mut values = Vec::new();
    let mut refused = Vec::new();
    for part in tokens.split(|t| *t == Token::Word("OR".to_owned())).take(MAX_COMPARISONS) {
        match comparison(part, pattern) {
            Ok(found) => values.extend(found),
            Err(reason) => refused.push(reason),
        }
    }
    (values, refused)
}

/// `pattern` is the whole one, for messages.
fn comparison(tokens: &[Token], pattern: &str) -> Result<Vec<Comparison>, Message> {
    // Brackets group what `or` divides; they mean nothing more.
    let outer = |t: &&Token| matches!(t, Token::Open | Token::Close);
    let tokens: Vec<&Token> = tokens.iter().filter(|t| !outer(t)).collect();
    let start = tokens.iter().take_while(|t| ***t == Token::OpenList).count();
    match &tokens[start..] {
        [Token::Word(path), Token::Operator(op), Token::Text(value), rest @ ..]
            if op == "=" && rest.iter().all(|t| **t == Token::CloseList) =>
        {
            Ok(vec![(kind_of(path, pattern)?, value.clone())])
        }
        [Token::Word(path), Token::Word(op), Token::Text(value), ..] if op == "ISSUBSET" => {
            Ok(vec![(kind_of(path, pattern)?, value.clone())])
        }
        [Token::Word(path), Token::Word(op), Token::OpenList, list @ ..] if op == "IN" => {
            let kind = kind_of(path, pattern)?;
            let texts = list.iter().filter_map(|t| match t {
                Token::Text(value) => Some((kind, value.clone())),
                _ => None,
            });
            Ok(texts.take(MAX_COMPARISONS).collect())
        }
        [Token::Word(_), Token::Operator(op) | Token::Word(op), ..] => {
            Err(reasons::pattern_comparison(shown(op), shown(pattern)))
        }
        _ => Err(reasons::pattern_unreadable(shown(pattern))),
    }
}

/// The kind of the property that a path names.
fn kind_of(path: &str, pattern: &str) -> Result<Option<Kind>, Message> {
    let (object, property) = path.split_once(':').unwrap_or((path, ""));
    match (object, property) {
        ("ipv4-addr" | "ipv6-addr", "value") => Ok(Some(Kind::Ip)),
        ("domain-name", "value") => Ok(Some(Kind::Domain)),
        ("url", "value") => Ok(Some(Kind::Url)),
        ("email-addr", "value") | ("email-message", "from_ref.value" | "sender_ref.value") => Ok(Some(Kind::Email)),
        ("network-traffic", "src_ref.value" | "dst_ref.value") => Ok(None),
        (_, property) if property.starts_with("hashes.") && is_known_hash(property) => Ok(Some(Kind::Hash)),
        _ => Err(reasons::nothing_to_look_up(shown(path), shown(pattern))),
    }
}

fn is_known_hash(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace(['-', '_', '\'', '"'], "");
    let name = name.strip_prefix("HASHES.").unwrap_or(&name);
    matches!(name, "MD5" | "SHA1" | "SHA256" | "SHA512" | "IMPHASH")
}

fn tokens(pattern: &str) -> Result<Vec<Token>, Message> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let token = match c {
            c if c.is_whitespace() => continue,
            '[' => Token::Open,
            ']' => Token::Close,
            '(' => Token::OpenList,
            ')' => Token::CloseList,
            ',' => Token::Comma,
            '\'' => Token::Text(quoted(&mut chars)?),
            '=' | '!' | '<' | '>' => {
                let mut operator = c.to_string();
                while let Some(c) = chars.next_if(|c| matches!(c, '=' | '>')) {
                    operator.push(c);
                }
                Token::Operator(operator.replace("==", "="))
            }
            c => Token::Word(word(c, &mut chars)?),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// The rest of a quoted text.
fn quoted(chars: &mut Chars) -> Result<String, Message> {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\'' => return Ok(text),
            '\\' => text.extend(chars.next()),
            c => text.push(c),
        }
    }
    Err(reasons::pattern_open_text())
}

/// The rest of a path or keyword; a path may have quoted parts (`file:hashes.'SHA-256'`) and indexes (`[0]`, `[*]`).
fn word(first: char, chars: &mut Chars) -> Result<String, Message> {
    let mut word = String::from(first);
    while let Some(&c) = chars.peek() {
        match c {
            '\'' if word.ends_with('.') => {
                chars.next();
                word.push_str(&quoted(chars)?);
            }
            '[' => {
                chars.next();
                while chars.next_if(|c| *c != ']').is_some() {}
                chars.next();
            }
            c if c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '"' | '*') => {
                chars.next();
                word.push(c);
            }
            _ => break,
        }
    }
    Ok(word)
}
