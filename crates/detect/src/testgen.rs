//! Random rules and events that have something to do with each other, for property tests and fuzzing.
//!
//! Everything is made from bytes ([`from_bytes`]), so that a fuzzer steers it and `proptest` can shrink it. Few field
//! names, few pieces of text, every trap of comparing: case, escapes, wildcards as text, surrogates, characters whose
//! lower case is longer or ASCII, numbers in several spellings, null, arrays, nested objects, absent fields, field names
//! that JSON escapes.

use khien_event::event::{Event, Value};
use khien_event::taxonomy::LogSource;
use proptest::strategy::Strategy;

use crate::rule::{Case, Compare, Expr, Item, Level, Link, Origin, Part, Rule, Test, TextOp, TimePart, pcre};

/// Names that rules ask for; dotted ones are members of objects.
pub const FIELDS: [&str; 7] = ["A", "B", "Image", "c.d", "c.e", "x y", "é"];

const PIECES: [&str; 32] = [
    "a", "A", "b", "B", "ab", "\\", "\\\\", "*", "?", "\"", "/", " ", "-", "é", "É", "ß", "İ", "\u{212a}", "k", "K",
    "😀", "\n", "\t", "\u{1}", "ſ", "s", "1", "10", "true", "null", "cmd.exe", "Σς",
];

const NUMBERS: [&str; 10] = ["0", "-0", "1", "10", "1.0", "1e1", "10.5", "-1", "4688", "9007199254740993"];

const WORDS: [&str; 14] = [
    "1",
    "10",
    "+1",
    "1e0",
    "0x10",
    "nan",
    "inf",
    "TRUE",
    "false",
    "10.0.0.1",
    "10.1.2.3",
    "2001:db8::1",
    "2026-11-21T23:05:09Z",
    "2026-02-03 04:05:06",
];

const NETS: [&str; 5] = ["10.0.0.0/8", "10.0.0.1/32", "0.0.0.0/0", "2001:db8::/32", "10.1.0.0/16"];

const PATTERNS: [&str; 12] =
    ["a", "^a", "b$", "a.*b", "(?i)cmd\\.exe", "[ab]{2}", "\\d+", "\\\\", "(?s)a.b", "^$", "é|ß", "(?i)k"];

/// Most nodes of one generated rule.
const NODES: usize = 24;

/// Rules and events made together.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Rules, all with the same log source.
    pub rules: Vec<Rule>,
    /// Events.
    pub events: Vec<GeneratedEvent>,
}

/// An event in the two forms that must mean the same.
#[derive(Clone, Debug)]
pub struct GeneratedEvent {
    /// One line of JSON, escapes chosen at random.
    pub json: Vec<u8>,
    /// Its fields, named by their path.
    pub event: Event,
}

/// Samples for property tests; they shrink by losing bytes.
pub fn samples() -> impl Strategy<Value = Sample> {
    proptest::collection::vec(proptest::prelude::any::<u8>(), 0..1_500).prop_map(|b| sample(&b))
}

/// Rules, and events as JSON lines.
pub fn from_bytes(bytes: &[u8]) -> (Vec<Rule>, Vec<Vec<u8>>) {
    let sample = sample(bytes);
    let lines = sample.events.into_iter().map(|e| e.json).collect();
    (sample.rules, lines)
}

/// What these bytes stand for.
pub fn sample(bytes: &[u8]) -> Sample {
    let mut source = Source { bytes };
    let rules = 1 + source.below(6);
    let rules = (0..rules).map(|i| rule(&mut source, i)).collect();
    let events = 1 + source.below(8);
    let events = (0..events).map(|_| event(&mut source)).collect();
    Sample { rules, events }
}

/// JSON that keeps how its numbers are written.
enum Json {
    Null,
    Bool(bool),
    Number(&'static str),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

/// Decisions taken from bytes; zero when they are used up, so that everything ends.
struct Source<'a> {
    bytes: &'a [u8],
}

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                *first
            }
            None => 0,
        }
    }

    fn below(&mut self, n: usize) -> usize {
        self.byte() as usize % n
    }

    fn chance(&mut self, percent: usize) -> bool {
        // A used-up source says no.
        99 - self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn text(&mut self) -> String {
        if self.chance(20) {
            return self.pick(&WORDS).to_owned();
        }
        let pieces = self.below(5);
        (0..pieces).map(|_| self.pick(&PIECES)).collect()
    }
}

fn rule(source: &mut Source<'_>, index: usize) -> Rule {
    let mut nodes = NODES;
    Rule {
        id: format!("rule-{index}"),
        name: None,
        title: format!("Rule {index}"),
        level: Level::Medium,
        status: None,
        tags: Vec::new(),
        description: None,
        author: None,
        references: Vec::new(),
        falsepositives: Vec::new(),
        fields: Vec::new(),
        related: Vec::new(),
        logsource: LogSource::default(),
        origin: Origin::default(),
        condition: expr(source, 4, &mut nodes),
        reports: true,
    }
}

fn expr(source: &mut Source<'_>, depth: usize, nodes: &mut usize) -> Expr {
    *nodes = nodes.saturating_sub(1);
    if depth == 0 || *nodes == 0 {
        return Expr::Item(item(source));
    }
    match source.below(10) {
        0 | 1 => Expr::And(list(source, depth, nodes)),
        2 | 3 => Expr::Or(list(source, depth, nodes)),
        4 => Expr::Not(Box::new(expr(source, depth - 1, nodes))),
        5 => {
            let wanted = source.below(4) as u32;
            Expr::AtLeast(wanted, list(source, depth, nodes))
        }
        6 => Expr::Named("sel".into(), Box::new(expr(source, depth - 1, nodes))),
        _ => Expr::Item(item(source)),
    }
}

fn list(source: &mut Source<'_>, depth: usize, nodes: &mut usize) -> Vec<Expr> {
    let count = source.below(4);
    (0..count).map(|_| expr(source, depth - 1, nodes)).collect()
}

fn item(source: &mut Source<'_>) -> Item {
    let keyword = source.chance(10);
    let count = if source.chance(5) { 0 } else { 1 + source.below(3) };
    let link = if source.chance(30) { Link::All } else { Link::Any };
    let tests = (0..count).map(|_| if keyword { keyword_test(source) } else { test(source) }).collect();
    Item { field: (!keyword).then(|| source.pick(&FIELDS).to_owned()), link, tests }
}

fn keyword_test(source: &mut Source<'_>) -> Test {
    if source.chance(20) {
        return Test::Regex(regex(source).into());
    }
    let mut parts = vec![Part::Any];
    for part in pattern(source) {
        push(&mut parts, part);
    }
    push(&mut parts, Part::Any);
    Test::Text(parts, case(source))
}

fn test(source: &mut Source<'_>) -> Test {
    match source.below(16) {
        0 => Test::Regex(regex(source).into()),
        1 => Test::Cidr(source.pick(&NETS).parse().expect("the networks above are valid")),
        2 => Test::Number(compare(source), source.pick(&[0.0, 1.0, 10.0, 10.5, -1.0, 4688.0])),
        3 => Test::Number(Compare::Eq, source.pick(&[0.0, 1.0, 10.0, 4688.0])),
        4 => Test::Bool(source.chance(50)),
        5 => Test::Null,
        6 => Test::Exists(source.chance(50)),
        7 => Test::FieldRef(source.pick(&FIELDS).to_owned(), text_op(source), case(source)),
        8 => time_test(source),
        _ => Test::Text(pattern(source), case(source)),
    }
}

fn time_test(source: &mut Source<'_>) -> Test {
    let (part, values) = source.pick(&[
        (TimePart::Minute, [5, 0]),
        (TimePart::Hour, [23, 4]),
        (TimePart::Day, [21, 3]),
        (TimePart::Week, [47, 6]),
        (TimePart::Month, [11, 2]),
        (TimePart::Year, [2026, 1970]),
    ]);
    Test::TimePart(part, source.pick(&values))
}

fn compare(source: &mut Source<'_>) -> Compare {
    source.pick(&[Compare::Gt, Compare::Gte, Compare::Lt, Compare::Lte, Compare::Eq])
}

fn text_op(source: &mut Source<'_>) -> TextOp {
    source.pick(&[TextOp::Equals, TextOp::Contains, TextOp::StartsWith, TextOp::EndsWith])
}

fn case(source: &mut Source<'_>) -> Case {
    if source.chance(25) { Case::Exact } else { Case::Fold }
}

fn regex(source: &mut Source<'_>) -> String {
    if source.chance(70) {
        return source.pick(&PATTERNS).to_owned();
    }
    let literal = regex::escape(&source.text());
    match pcre::translate(&literal, pcre::Flags::default()) {
        Ok(pattern) => pattern,
        Err(_) => "a".into(),
    }
}

/// A text pattern of any shape: equality, contains, startswith, endswith, inner wildcards.
fn pattern(source: &mut Source<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    let shape = source.below(8);
    if shape <= 2 {
        push(&mut parts, Part::Any);
    }
    push(&mut parts, Part::Literal(source.text()));
    if shape == 7 {
        push(&mut parts, if source.chance(50) { Part::Any } else { Part::One });
        push(&mut parts, Part::Literal(source.text()));
    }
    if matches!(shape, 0 | 1 | 3) {
        push(&mut parts, Part::Any);
    }
    parts
}

/// Adds a part as the loader would: literals joined, empty ones and repeated `Any` dropped.
fn push(parts: &mut Vec<Part>, part: Part) {
    match (parts.last_mut(), part) {
        (Some(Part::Literal(last)), Part::Literal(more)) => last.push_str(&more),
        (Some(Part::Any), Part::Any) => {}
        (_, Part::Literal(text)) if text.is_empty() => {}
        (_, part) => parts.push(part),
    }
}

fn event(source: &mut Source<'_>) -> GeneratedEvent {
    let mut members = Vec::new();
    for name in ["A", "B", "Image", "x y", "é", "Other"] {
        if source.chance(70) {
            members.push((name, value(source, 2)));
        }
    }
    if source.chance(60) {
        members.push(("c", nested(source)));
    }
    let object = Json::Object(members);
    let mut json = Vec::new();
    write(&object, source, &mut json);
    let mut event = Event::default();
    flatten("", &object, &mut event);
    GeneratedEvent { json, event }
}

fn nested(source: &mut Source<'_>) -> Json {
    if source.chance(15) {
        return value(source, 1);
    }
    let mut members = Vec::new();
    for name in ["d", "e"] {
        if source.chance(60) {
            members.push((name, value(source, 1)));
        }
    }
    let inner = Json::Object(members);
    if source.chance(20) { Json::Array(vec![inner, value(source, 1)]) } else { inner }
}

fn value(source: &mut Source<'_>, depth: usize) -> Json {
    match source.below(12) {
        0 => Json::Null,
        1 => Json::Bool(source.chance(50)),
        2 => Json::Number(source.pick(&NUMBERS)),
        3 if depth > 0 => {
            let count = source.below(4);
            Json::Array((0..count).map(|_| value(source, depth - 1)).collect())
        }
        _ => Json::Text(source.text()),
    }
}

/// Fields of an object, arrays repeating their name, members joined by dots; an object is a field too.
fn flatten(path: &str, json: &Json, event: &mut Event) {
    let value = match json {
        Json::Text(t) => Value::Text(t.clone()),
        Json::Number(n) => Value::Number((*n).to_owned()),
        Json::Bool(b) => Value::Bool(*b),
        Json::Null => Value::Null,
        Json::Array(list) if list.is_empty() => Value::EmptyArray,
        Json::Array(list) => {
            for member in list {
                flatten(path, member, event);
            }
            return;
        }
        Json::Object(members) => {
            if !path.is_empty() {
                let mut text = Vec::new();
                write(json, &mut Source { bytes: &[] }, &mut text);
                let text = String::from_utf8_lossy(&text).into_owned();
                event.fields.push((path.to_owned(), Value::Object(text)));
            }
            for (name, member) in members {
                let path = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
                flatten(&path, member, event);
            }
            return;
        }
    };
    event.fields.push((path.to_owned(), value));
}

/// JSON text with spaces and escapes where the bytes want them.
fn write(json: &Json, source: &mut Source<'_>, out: &mut Vec<u8>) {
    match json {
        Json::Object(members) => {
            out.push(b'{');
            for (i, (name, member)) in members.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                space(source, out);
                write_text(name, source, out);
                space(source, out);
                out.push(b':');
                space(source, out);
                write(member, source, out);
            }
            out.push(b'}');
        }
        Json::Array(list) => {
            out.push(b'[');
            for (i, member) in list.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(member, source, out);
                space(source, out);
            }
            out.push(b']');
        }
        Json::Text(text) => write_text(text, source, out),
        Json::Number(digits) => out.extend_from_slice(digits.as_bytes()),
        Json::Bool(true) => out.extend_from_slice(b"true"),
        Json::Bool(false) => out.extend_from_slice(b"false"),
        Json::Null => out.extend_from_slice(b"null"),
    }
}

fn space(source: &mut Source<'_>, out: &mut Vec<u8>) {
    if source.chance(5) {
        out.push(source.pick(b" \t"));
    }
}

fn write_text(text: &str, source: &mut Source<'_>, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        if source.chance(10) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
            continue;
        }
        let short = match c {
            '"' => b'"',
            '\\' => b'\\',
            '\n' => b'n',
            '\t' => b't',
            '/' if source.chance(20) => b'/',
            c if c < ' ' => {
                out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes());
                continue;
            }
            c => {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::matches;

    /// Bytes that look random and are always the same.
    fn noise(seed: u64) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..1_200)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 24) as u8
            })
            .collect()
    }

    /// Texts and truth values below a path of plain names, in order.
    fn leaves(json: &serde_json::Value, out: &mut Vec<String>) {
        match json {
            serde_json::Value::Array(list) => list.iter().for_each(|v| leaves(v, out)),
            serde_json::Value::Object(members) => members.values().for_each(|v| leaves(v, out)),
            serde_json::Value::String(t) => out.push(t.clone()),
            serde_json::Value::Bool(b) => out.push(b.to_string()),
            _ => {}
        }
    }

    #[test]
    fn generated_lines_are_json_of_the_event() {
        for seed in 0..200 {
            for generated in sample(&noise(seed)).events {
                let json = serde_json::from_slice(&generated.json).unwrap();
                let mut expected = Vec::new();
                leaves(&json, &mut expected);
                let found: Vec<_> = generated
                    .event
                    .fields
                    .iter()
                    .filter(|(_, v)| matches!(v, Value::Text(_) | Value::Bool(_)))
                    .filter_map(|(_, v)| v.text())
                    .collect();
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn rules_and_events_meet() {
        let (mut hits, mut misses) = (0, 0);
        for seed in 0..300 {
            let sample = sample(&noise(seed));
            for rule in &sample.rules {
                for generated in &sample.events {
                    if matches(rule, &generated.event, &|f| vec![f.to_owned()]) {
                        hits += 1;
                    } else {
                        misses += 1;
                    }
                }
            }
        }
        assert!(hits * 8 > misses && misses * 8 > hits, "{hits} hits, {misses} misses");
    }

    #[test]
    fn no_bytes_are_still_a_sample() {
        let (rules, events) = from_bytes(&[]);
        assert_eq!((rules.len(), events.len()), (1, 1));
    }
}
