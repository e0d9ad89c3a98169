//! The body of Elasticsearch's `_bulk`: an action on one line, and its document on the next.
//!
//! Events are only ever added, so `index` and `create` are taken, and `update` and `delete` are answered with an error of
//! their own, as the protocol foresees. <https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk>

use bytes::Bytes;
use khien_base::limits::RECORD_BYTES;
use serde::Deserialize;
use thiserror::Error;

use super::span;
use crate::batch::Span;

/// What a request asks for, action by action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bulk {
    /// In the order of the body.
    pub items: Vec<Item>,
}

/// One action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// `index`, `create`, `update` or `delete`.
    pub action: &'static str,
    /// `_index` of the action, `None` for that of the address.
    pub index: Option<String>,
    /// `_id` of the action.
    pub id: Option<String>,
    /// The document, or why there is none.
    pub document: Result<Span, Unsupported>,
}

/// Why an action is refused by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unsupported {
    /// Events are neither changed nor removed.
    #[error("events are only added; use index or create")]
    Action,
    /// The document is too long.
    #[error("the document is longer than {RECORD_BYTES} bytes")]
    TooLong,
}

/// Why a whole body is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BulkError {
    /// A line that should be an action is none.
    #[error("line {line} is no action with metadata: expected one of create, delete, index, update")]
    NoAction {
        /// 1-based.
        line: usize,
    },
    /// The last action lacks its document.
    #[error("the document of the action on line {line} is missing")]
    NoDocument {
        /// 1-based.
        line: usize,
    },
}

#[derive(Deserialize, Default)]
struct Meta {
    #[serde(rename = "_index")]
    index: Option<String>,
    #[serde(rename = "_id")]
    id: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Index(Option<Meta>),
    Create(Option<Meta>),
    Update(Option<Meta>),
    Delete(Option<Meta>),
}

/// Reads a body.
///
/// # Errors
/// When it does not alternate between actions and documents; nothing of it may be taken then.
pub fn parse(body: &Bytes) -> Result<Bulk, BulkError> {
    let mut lines = Lines { body, start: 0, number: 0 };
    let mut bulk = Bulk::default();
    while let Some((text, _)) = lines.next_full() {
        let line = lines.number;
        let action = serde_json::from_slice(text).map_err(|_| BulkError::NoAction { line })?;
        let (action, meta, has_document) = match action {
            Action::Index(meta) => ("index", meta, true),
            Action::Create(meta) => ("create", meta, true),
            Action::Update(meta) => ("update", meta, true),
            Action::Delete(meta) => ("delete", meta, false),
        };
        let document = if has_document {
            let (_, span) = lines.next_full().ok_or(BulkError::NoDocument { line })?;
            match action {
                "update" => Err(Unsupported::Action),
                _ if span.len as usize >= RECORD_BYTES => Err(Unsupported::TooLong),
                _ => Ok(span),
            }
        } else {
            Err(Unsupported::Action)
        };
        let meta = meta.unwrap_or_default();
        let id = meta.id.map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        bulk.items.push(Item { action, index: meta.index, id, document });
    }
    Ok(bulk)
}

struct Lines<'a> {
    body: &'a [u8],
    start: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    /// The next line that is not empty.
    fn next_full(&mut self) -> Option<(&'a [u8], Span)> {
        while self.start < self.body.len() {
            let start = self.start;
            let end = memchr::memchr(b'\n', &self.body[start..]).map_or(self.body.len(), |at| start + at);
            self.start = end + 1;
            self.number += 1;
            let line = &self.body[start..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some((line, span(start, line.len())));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Result<Bulk, BulkError> {
        parse(&Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn actions_and_documents_alternate() {
        let text = concat!(
            "{\"index\":{\"_index\":\"logs\",\"_id\":\"1\"}}\n{\"a\":1}\n",
            "{\"create\":{}}\n{\"a\":2}\n\n",
            "{\"delete\":{\"_id\":7}}\n",
            "{\"update\":{\"_id\":\"9\"}}\n{\"doc\":{}}\n",
        );
        let bulk = parse_text(text).unwrap();
        let actions: Vec<_> = bulk.items.iter().map(|i| (i.action, i.document.is_ok())).collect();
        assert_eq!(actions, [("index", true), ("create", true), ("delete", false), ("update", false)]);
        assert_eq!((bulk.items[0].index.as_deref(), bulk.items[0].id.as_deref()), (Some("logs"), Some("1")));
        assert_eq!(bulk.items[2].id.as_deref(), Some("7"));
        let span = bulk.items[1].document.unwrap();
        assert_eq!(text.get(span.start as usize..(span.start + span.len) as usize), Some("{\"a\":2}"));
    }

    #[test]
    fn other_bodies_are_refused_with_their_line() {
        assert_eq!(parse_text("{\"a\":1}\n"), Err(BulkError::NoAction { line: 1 }));
        assert_eq!(parse_text("{\"index\":{}}\n{}\nnonsense\n{}\n"), Err(BulkError::NoAction { line: 3 }));
        assert_eq!(parse_text("\n{\"index\":{}}\n"), Err(BulkError::NoDocument { line: 2 }));
        assert_eq!(parse_text(""), Ok(Bulk::default()));
    }
}
