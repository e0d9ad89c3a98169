//! Logs whose columns a header names: Zeek's TSV, and the W3C's extended log format as IIS and Exchange write it.
//!
//! Headers arrive as lines that begin with `#`. A reader that gives blocks of a file to several decoders repeats the
//! headers before each block ([`crate::frame`] does), so that every line is decoded in the same way wherever the file
//! was divided.

use std::borrow::Cow;

use super::access::hex_byte;
use super::out::Out;
use crate::fields::Kind;
use crate::time;

/// Most columns of a table.
const COLUMNS: usize = 1_024;

/// The tables of one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    zeek: Zeek,
    w3c: W3c,
    current: Current,
}

/// Which table the lines belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Current {
    #[default]
    None,
    Zeek,
    W3c,
}

impl Tables {
    /// Reads a line that begins with `#`; whether it was a header.
    pub(crate) fn header(&mut self, line: &str) -> bool {
        let Some(text) = line.strip_prefix('#') else {
            return false;
        };
        if self.zeek.header(text) {
            self.current = Current::Zeek;
            return true;
        }
        if self.w3c.header(text) {
            self.current = Current::W3c;
            return true;
        }
        false
    }

    /// Decodes a line of the table that is open; whether it was one.
    pub(crate) fn decode(&self, line: &str, out: &mut Out<'_>) -> bool {
        match self.current {
            Current::None => false,
            Current::Zeek => self.zeek.decode(line, out),
            Current::W3c => self.w3c.decode(line, out),
        }
    }
}

/// Zeek's TSV: <https://docs.zeek.org/en/master/log-formats.html>.
#[derive(Clone, Debug)]
struct Zeek {
    separator: String,
    set_separator: String,
    empty: String,
    unset: String,
    path: String,
    columns: Vec<(String, Type)>,
}

/// What a Zeek column holds, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Text,
    Number,
    Time,
    TextSet,
    NumberSet,
}

impl Default for Zeek {
    fn default() -> Self {
        Self {
            separator: "\t".into(),
            set_separator: ",".into(),
            empty: "(empty)".into(),
            unset: "-".into(),
            path: String::new(),
            columns: Vec::new(),
        }
    }
}

impl Zeek {
    fn header(&mut self, text: &str) -> bool {
        if let Some(separator) = text.strip_prefix("separator ") {
            *self =
                Self { separator: unescaped(separator.trim_end_matches(['\r', '\n'])).into_owned(), ..Self::default() };
            return !self.separator.is_empty();
        }
        let Some((name, value)) = text.split_once(self.separator.as_str()) else {
            return false;
        };
        match name {
            "set_separator" => value.clone_into(&mut self.set_separator),
            "empty_field" => value.clone_into(&mut self.empty),
            "unset_field" => value.clone_into(&mut self.unset),
            "path" => value.clone_into(&mut self.path),
            "fields" => {
                let names = value.split(self.separator.as_str()).take(COLUMNS);
                self.columns = names.map(|name| (name.to_owned(), Type::Text)).collect();
            }
            "types" => {
                let types = value.split(self.separator.as_str());
                for ((_, kind), name) in self.columns.iter_mut().zip(types) {
                    *kind = Type::of(name);
                }
            }
            "open" | "close" => {}
            _ => return false,
        }
        true
    }

    fn decode(&self, line: &str, out: &mut Out<'_>) -> bool {
        if self.columns.is_empty() {
            return false;
        }
        let mut values = line.splitn(self.columns.len() + 1, self.separator.as_str());
        let count = line.matches(self.separator.as_str()).take(self.columns.len() + 1).count() + 1;
        if count != self.columns.len() {
            return false;
        }
        out.shape("zeek");
        if !self.path.is_empty() {
            out.text("_path", &self.path);
        }
        for ((name, kind), value) in self.columns.iter().zip(&mut values) {
            self.value(name, *kind, value, out);
        }
        true
    }

    fn value(&self, name: &str, kind: Type, value: &str, out: &mut Out<'_>) {
        if value == self.unset {
            return;
        }
        let single = |out: &mut Out<'_>, kind: Kind, value: &str| {
            let plain = unescaped(value);
            out.put(name, kind, &plain);
        };
        match kind {
            Type::Text if value == self.empty => out.text(name, ""),
            Type::Text => single(out, Kind::Text, value),
            Type::Number => single(out, Kind::Number, value),
            Type::Time => {
                single(out, Kind::Number, value);
                if name == "ts" {
                    out.better_time(time::parse(value));
                }
            }
            Type::TextSet | Type::NumberSet if value == self.empty || self.set_separator.is_empty() => {
                out.put(name, Kind::EmptyArray, "");
            }
            Type::TextSet | Type::NumberSet => {
                let kind = if kind == Type::NumberSet { Kind::Number } else { Kind::Text };
                for member in value.split(self.set_separator.as_str()) {
                    if member != self.unset {
                        single(out, kind, member);
                    }
                }
            }
        }
    }
}

impl Type {
    fn of(name: &str) -> Self {
        let number = |name: &str| matches!(name, "count" | "int" | "port" | "double" | "interval" | "time");
        let member = name
            .strip_prefix("set[")
            .or_else(|| name.strip_prefix("vector["))
            .and_then(|inner| inner.strip_suffix(']'));
        match member {
            Some(inner) if number(inner) => Self::NumberSet,
            Some(_) => Self::TextSet,
            None if name == "time" => Self::Time,
            None if number(name) => Self::Number,
            None => Self::Text,
        }
    }
}

/// Zeek's `\xHH`.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains("\\x") {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'\\' && bytes.get(at + 1) == Some(&b'x') && hex_byte(bytes, at + 2).is_some() {
            plain.extend(hex_byte(bytes, at + 2));
            at += 4;
        } else {
            plain.push(bytes[at]);
            at += 1;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

/// The extended log format: <https://www.w3.org/TR/WD-logfile>. Exchange divides its columns by commas.
#[derive(Clone, Debug, Default)]
struct W3c {
    columns: Vec<Column>,
    comma: bool,
    date: String,
}

/// A column: its own name, and the plain one of `cs(User-Agent)`.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    plain: Option<String>,
}

impl Column {
    fn new(name: &str) -> Self {
        let plain = name
            .split_once('(')
            .and_then(|(side, header)| Some((side, header.strip_suffix(')')?)))
            .map(|(side, header)| format!("{side}-{}", header.to_ascii_lowercase()));
        Self { name: name.to_owned(), plain }
    }
}

impl W3c {
    fn header(&mut self, text: &str) -> bool {
        let Some((name, value)) = text.split_once(':') else {
            return false;
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "fields" => {
                self.comma = value.contains(',');
                let names = value.split(|c: char| c == ',' || c.is_ascii_whitespace());
                self.columns = names.filter(|name| !name.is_empty()).take(COLUMNS).map(Column::new).collect();
            }
            "date" => value.get(..10).unwrap_or("").clone_into(&mut self.date),
            "software" | "version" | "start-date" | "end-date" | "remark" | "log-type" => {}
            _ => return false,
        }
        true
    }

    fn decode(&self, line: &str, out: &mut Out<'_>) -> bool {
        if self.columns.is_empty() {
            return false;
        }
        let expected = self.columns.len();
        // IIS leaves nothing out; Exchange and proxies may add columns the header does not name.
        let count = values(line, self.comma).take(expected).count();
        if count != expected {
            return false;
        }
        out.shape("w3c");
        let (mut date, mut clock) = ("", "");
        let (mut stem, mut query) = ("", "");
        for (column, value) in self.columns.iter().zip(values(line, self.comma)) {
            if value == "-" || value.is_empty() {
                continue;
            }
            match column.name.as_str() {
                "date" => date = value,
                "time" => clock = value,
                "cs-uri-stem" => stem = value,
                "cs-uri-query" => query = value,
                "date-time" => out.better_time(time::parse(value)),
                _ => {}
            }
            column.put(value, out);
        }
        self.uri(stem, query, out);
        let date = if date.is_empty() { &self.date } else { date };
        if date.len() <= 16 && clock.len() <= 24 && !clock.is_empty() {
            out.better_time(time::parse(&format!("{date} {clock}")));
        }
        true
    }

    /// Adds `cs-uri` where the log only has its parts.
    fn uri(&self, stem: &str, query: &str, out: &mut Out<'_>) {
        if stem.is_empty() || self.columns.iter().any(|c| c.name == "cs-uri") {
            return;
        }
        if query.is_empty() {
            out.text("cs-uri", stem);
        } else {
            out.text("cs-uri", &format!("{stem}?{query}"));
        }
    }
}

impl Column {
    fn put(&self, value: &str, out: &mut Out<'_>) {
        let Some(plain) = &self.plain else {
            out.text(&self.name, value);
            return;
        };
        // In request headers IIS writes blanks as `+`.
        let value = if value.contains('+') && !value.contains(' ') {
            Cow::Owned(value.replace('+', " "))
        } else {
            Cow::Borrowed(value)
        };
        out.text(&self.name, &value);
        out.text(plain, &value);
        if plain == "cs-user-agent" {
            out.text("c-useragent", &value);
        }
    }
}

/// The values of a line, between blanks or commas; quotes keep both inside.
fn values(line: &str, comma: bool) -> impl Iterator<Item = &str> {
    let mut rest = Some(line.trim_end_matches(['\r', '\n']));
    let divider = if comma { ',' } else { ' ' };
    std::iter::from_fn(move || {
        let text = rest?;
        let text = if comma { text } else { text.trim_start_matches([' ', '\t']) };
        if text.is_empty() && !comma {
            rest = None;
            return None;
        }
        if let Some(inner) = text.strip_prefix('"')
            && let Some((value, after)) = inner.split_once('"')
        {
            rest = after.split_once(divider).map(|(_, after)| after);
            return Some(value);
        }
        let halves = if comma { text.split_once(',') } else { text.split_once([' ', '\t']) };
        let (value, after) = match halves {
            Some((value, after)) => (value, Some(after)),
            None => (text, None),
        };
        rest = after;
        Some(value)
    })
}
