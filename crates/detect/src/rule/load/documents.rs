//! A file as YAML documents, each with the line it starts on, and Sigma's collection actions between them.
//!
//! `---` and `...` at the beginning of a line end a document wherever they stand, also inside a block scalar (YAML 1.2.2,
//! 9.1.2 "Document Markers", production `c-forbidden`), so that splitting by lines is exact and one broken document
//! cannot hide the ones after it.

use std::borrow::Cow;

use khien_base::message::Message;
use serde::Deserialize;
use yaml_serde::{Mapping, Value};

use crate::reasons;

/// Longest document in bytes.
pub(super) const DOCUMENT_BYTES: usize = 1 << 20;

/// Deepest nesting of mappings that `action: global` merges.
const MERGE_DEPTH: usize = 64;

/// Most bytes that templates may add to the documents of one file.
const MERGED_BYTES: usize = 16 << 20;

/// One document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    /// 1-based line of the file on which its text starts.
    pub(super) line: u32,
    /// 1-based line on which its first content stands.
    pub(super) content_line: u32,
    /// Its text.
    pub(super) text: &'a str,
}

/// The documents of a file that have any content, in order.
pub(super) fn split(text: &str) -> Vec<Document<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    let (mut start, mut first_line) = (0, 1);
    let mut offset = 0;
    for (line, raw) in (1_u32..).zip(text.split_inclusive('\n')) {
        if marks(raw, "---") || marks(raw, "...") {
            documents.extend(document(text, start..offset, first_line));
            let skip = if marks(raw, "...") { raw.len() } else { 0 };
            start = offset + skip;
            first_line = line + u32::from(skip > 0);
        }
        offset += raw.len();
    }
    documents.extend(document(text, start..text.len(), first_line));
    documents
}

/// Whether a line is the document marker `marker`.
fn marks(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn document(text: &str, range: std::ops::Range<usize>, line: u32) -> Option<Document<'_>> {
    let text = text.get(range)?;
    let before = text.lines().position(has_content)?;
    Some(Document { line, content_line: line + before as u32, text })
}

/// Whether a line holds more than a marker, a directive, a comment or space.
fn has_content(line: &str) -> bool {
    let line = if marks(line, "---") { line.get(3..).unwrap_or_default() } else { line };
    let line = line.trim();
    !line.is_empty() && !line.starts_with(['#', '%'])
}

/// What the documents before say about the next ones: the template of `action: global` and what `action: repeat`
/// repeats (Sigma rule collections).
#[derive(Debug, Default)]
pub(super) struct Actions {
    active: bool,
    global: Option<Mapping>,
    previous: Option<Mapping>,
    bytes: usize,
}

impl Actions {
    /// State for a file; files without any `action` cost nothing.
    pub(super) fn new(file: &str) -> Self {
        Self { active: file.lines().any(|l| l.starts_with("action")), ..Self::default() }
    }

    /// The document with templates applied, `None` for one that only gives orders.
    ///
    /// # Errors
    /// Why the action cannot be followed.
    pub(super) fn apply<'a>(&mut self, text: &'a str) -> Result<Option<Cow<'a, str>>, Message> {
        if !self.active {
            return Ok(Some(Cow::Borrowed(text)));
        }
        let Ok(Value::Mapping(mut document)) = first_value(text) else {
            return Ok(Some(Cow::Borrowed(text)));
        };
        let action = document.remove("action");
        match action.as_ref().map(|a| a.as_str().unwrap_or_default()) {
            None => self.merged(document, false).map(Some),
            Some("global") => {
                self.global = Some(document);
                Ok(None)
            }
            Some("reset") => {
                self.global = None;
                Ok(None)
            }
            Some("repeat") => self.merged(document, true).map(Some),
            Some(other) => Err(reasons::unknown_action(other)),
        }
    }

    fn merged<'a>(&mut self, document: Mapping, repeat: bool) -> Result<Cow<'a, str>, Message> {
        let mut base = if repeat {
            self.previous.clone().ok_or_else(reasons::nothing_to_repeat)?
        } else {
            self.global.clone().unwrap_or_default()
        };
        merge(&mut base, document, 0)?;
        let text = yaml_serde::to_string(&base).map_err(reasons::merge_not_written)?;
        self.bytes += text.len();
        if self.bytes > MERGED_BYTES {
            return Err(reasons::merge_too_large());
        }
        self.previous = Some(base);
        Ok(Cow::Owned(text))
    }
}

/// The first document of `text`.
pub(super) fn first_value(text: &str) -> Result<Value, yaml_serde::Error> {
    match yaml_serde::Deserializer::from_str(text).next() {
        Some(document) => Value::deserialize(document),
        None => Ok(Value::Null),
    }
}

/// Puts `over` on `base`, mappings into mappings.
fn merge(base: &mut Mapping, over: Mapping, depth: usize) -> Result<(), Message> {
    if depth > MERGE_DEPTH {
        return Err(reasons::nested_too_deep(MERGE_DEPTH));
    }
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Mapping(into)), Value::Mapping(from)) => merge(into, from, depth + 1)?,
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_know_their_lines() {
        let file = "# head\n---\na: 1\n--- # next\n\n# only words\n\nb: |\n  ---\n  x\n...\n%YAML 1.2\n---\nc: 3";
        let found: Vec<(u32, u32)> = split(file).iter().map(|d| (d.line, d.content_line)).collect();
        assert_eq!(found, [(2, 3), (4, 8), (13, 14)]);
        assert!(split("").is_empty());
        assert!(split("---\n---\n# nothing\n").is_empty());
        assert_eq!(split("\u{feff}a: 1\r\n---\r\nb: 2\r\n").len(), 2);
        assert_eq!(split("a: '\n----\n'").len(), 1);
    }

    #[test]
    fn a_global_template_reaches_until_it_is_reset() {
        let file = "action: global\n";
        let mut actions = Actions::new(file);
        assert_eq!(actions.apply("action: global\nx: {a: 1, b: 1}").unwrap(), None);
        let one = actions.apply("x: {b: 2}\n").unwrap().unwrap();
        assert_eq!(first_value(&one).unwrap(), first_value("x: {a: 1, b: 2}").unwrap());
        let two = actions.apply("action: repeat\ny: 5\n").unwrap().unwrap();
        assert_eq!(first_value(&two).unwrap(), first_value("{x: {a: 1, b: 2}, y: 5}").unwrap());
        assert_eq!(actions.apply("action: reset").unwrap(), None);
        let three = actions.apply("z: 1").unwrap().unwrap();
        assert_eq!(first_value(&three).unwrap(), first_value("z: 1").unwrap());
        assert!(actions.apply("action: explode").is_err());
        assert!(Actions::new(file).apply("action: repeat\na: 1").is_err());
    }
}
