//! One JSON object a line: `{"time", "rule", "attack", "event": {"file", "position", "record"}, "matched", "evidence"}`.
//!
//! A contract: members may be added, none is taken away or changes its meaning. `time` is RFC 3339 in UTC or null;
//! `record` is the record as it was read, a JSON value where it is one and a string otherwise; `evidence` is there for
//! correlations only.

use std::sync::Arc;

use khien_detect::finding::{Evidence, Finding, Head, Matched, Source};

use super::heads::Heads;
use super::{Block, Form, Place, Render, Shared, json};
use crate::attack;

/// See the module text.
pub struct Ndjson {
    heads: Heads,
    /// Names of the inputs as JSON strings.
    files: Arc<[Box<[u8]>]>,
}

impl Ndjson {
    /// A renderer with empty caches.
    pub fn new(shared: &Shared) -> Self {
        Self { heads: Heads::new(head_members), files: shared.files.iter().map(|name| quoted(name)).collect() }
    }
}

impl Render for Ndjson {
    fn finding(&mut self, place: Place, finding: &Finding<'_>, block: &mut Block) {
        block.counts.add(finding.head.level);
        let out = &mut block.bytes;
        out.extend_from_slice(b"{\"time\":");
        time_or_null(finding.time_ns, out);
        out.push(b',');
        out.extend_from_slice(self.heads.get(finding.head));
        out.extend_from_slice(b",\"event\":{\"file\":");
        file_name(&self.files, place.file, out);
        out.extend_from_slice(b",\"position\":");
        json::number(finding.position, out);
        out.extend_from_slice(b",\"record\":");
        record(place.form, finding.raw, out);
        out.extend_from_slice(b"},\"matched\":");
        matched(finding.matched, out);
        if !finding.evidence.is_empty() {
            evidence(finding.evidence, &self.files, out);
        }
        out.extend_from_slice(b"}\n");
    }
}

/// `name` as a JSON string.
fn quoted(name: &str) -> Box<[u8]> {
    let mut out = Vec::new();
    json::string(name, &mut out);
    out.into()
}

/// Appends the name of an input.
fn file_name(files: &[Box<[u8]>], file: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(files.get(file as usize).map_or(b"null", |name| name));
}

/// Appends a time in quotes, or null.
pub(crate) fn time_or_null(time_ns: Option<i64>, out: &mut Vec<u8>) {
    match time_ns {
        None => out.extend_from_slice(b"null"),
        Some(ns) => {
            out.push(b'"');
            json::time(ns, out);
            out.push(b'"');
        }
    }
}

/// Appends a raw record: JSON as it is, anything else as a string. The events of a correlation are its evidence; it has no
/// record of its own, which is null.
fn record(form: Form, raw: &[u8], out: &mut Vec<u8>) {
    match form {
        _ if raw.is_empty() => out.extend_from_slice(b"null"),
        Form::Json => json::one_line(raw, out),
        Form::Text => json::string_lossy(raw, out),
    }
}

/// Appends the fields that matched as one object. A field that several parts of the rule name stands once; keywords
/// found in several values are put into one array.
pub(crate) fn matched(fields: &[Matched<'_>], out: &mut Vec<u8>) {
    out.push(b'{');
    let mut first = true;
    for (i, field) in fields.iter().enumerate() {
        if fields.iter().take(i).any(|f| f.field == field.field) {
            continue;
        }
        if !first {
            out.push(b',');
        }
        first = false;
        json::string(field.field, out);
        out.push(b':');
        values(field, fields.get(i + 1..).unwrap_or_default(), out);
    }
    out.push(b'}');
}

/// Appends the value of `first`, joined with the different ones that `rest` has for the same field.
fn values(first: &Matched<'_>, rest: &[Matched<'_>], out: &mut Vec<u8>) {
    let mut all = vec![first.json];
    for other in rest.iter().filter(|f| f.field == first.field) {
        if !all.contains(&other.json) {
            all.push(other.json);
        }
    }
    if let [one] = all[..] {
        return json::one_line(one.as_bytes(), out);
    }
    out.push(b'[');
    for (i, value) in all.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        json::one_line(members(value).as_bytes(), out);
    }
    out.push(b']');
}

/// What stands inside the brackets of an array; anything else as it is.
fn members(json: &str) -> &str {
    json.strip_prefix('[').and_then(|j| j.strip_suffix(']')).filter(|j| !j.trim().is_empty()).unwrap_or(json)
}

fn evidence(list: &[Evidence], files: &[Box<[u8]>], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"evidence\":[");
    for (i, event) in list.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"time\":");
        time_or_null(event.time_ns, out);
        out.extend_from_slice(b",\"rule\":");
        json::string(&event.rule, out);
        out.extend_from_slice(b",\"file\":");
        file_name(files, event.file, out);
        out.extend_from_slice(b",\"position\":");
        json::number(event.position, out);
        out.push(b'}');
    }
    out.push(b']');
}

/// The name of a source in files.
pub fn source(source: Source) -> &'static str {
    match source {
        Source::Rule => "rule",
        Source::Correlation => "correlation",
        Source::Indicator => "indicator",
    }
}

/// Appends the members `rule` and `attack`.
fn head_members(head: &Head, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"rule\":{\"id\":");
    json::string(&head.id, out);
    out.extend_from_slice(b",\"title\":");
    json::string(&head.title, out);
    out.extend_from_slice(b",\"level\":");
    json::string(head.level.name(), out);
    out.extend_from_slice(b",\"tags\":[");
    for (i, tag) in head.tags.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        json::string(tag, out);
    }
    out.push(b']');
    if let Some(author) = &head.author {
        out.extend_from_slice(b",\"author\":");
        json::string(author, out);
    }
    out.extend_from_slice(b",\"source\":");
    json::string(source(head.source), out);
    out.push(b'}');
    let attacks = attack::of_tags(&head.tags);
    if !attacks.is_empty() {
        let list = serde_json::to_vec(&attacks).unwrap_or_else(|_| b"[]".to_vec());
        out.extend_from_slice(b",\"attack\":");
        out.extend_from_slice(&list);
    }
}

#[cfg(test)]
mod tests {
    use crate::args::Output;
    use crate::output::sample;

    #[test]
    fn findings_are_lines_of_json() {
        let block = sample::rendered(Output::Ndjson);
        let text = String::from_utf8(block.bytes).unwrap();
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value["rule"]["id"].is_string());
            assert!(value["event"]["position"].is_u64());
        }
        insta::assert_snapshot!("ndjson", text);
    }
}
