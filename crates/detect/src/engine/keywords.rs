//! Every text of an event, for keywords.

use std::sync::Arc;

use khien_event::decode::Decode;
use khien_event::fields::{Encoding, Field, Fields, Kind};
use khien_event::json::{Emit, JsonDecoder, unescape_into};
use khien_event::names::Names;
use khien_event::taxonomy::Taxonomy;

use super::eval::{Everything, Texts};
use super::values::{Source, fold_into};

/// Fetches and keeps all texts of the current event; most events never need them.
pub(super) struct AllTexts {
    decoder: JsonDecoder,
    fields: Fields,
    ready: bool,
    /// Spans of `arena`: plain, then folded.
    spans: Vec<[(u32, u32); 2]>,
    arena: Vec<u8>,
}

impl AllTexts {
    pub(super) fn new(names: Arc<Names>, taxonomy: &'static Taxonomy) -> Self {
        Self {
            decoder: JsonDecoder::new(names.clone(), taxonomy, Emit::All),
            fields: Fields::new(names),
            ready: false,
            spans: Vec::new(),
            arena: Vec::new(),
        }
    }

    /// Forgets the event before.
    pub(super) fn forget(&mut self) {
        self.ready = false;
    }

    /// The texts of the event in `source`.
    pub(super) fn of<'a>(&'a mut self, source: Source<'a>) -> TextsOfEvent<'a> {
        TextsOfEvent { all: self, source }
    }

    fn fetch(&mut self, source: Source<'_>) {
        self.spans.clear();
        self.arena.clear();
        self.ready = true;
        // A JSON decoder hands out named fields only; read the record again for the others. Other decoders hand out all.
        let again = source.fields.encoding == Encoding::Json && {
            self.fields.clear();
            self.decoder.decode(source.raw, &mut self.fields).is_ok()
        };
        let fields = if again { &self.fields } else { source.fields };
        for field in fields.list() {
            add(field, fields.bytes(source.raw, field), &mut self.arena, &mut self.spans);
        }
    }
}

fn add(field: &Field, bytes: &[u8], arena: &mut Vec<u8>, spans: &mut Vec<[(u32, u32); 2]>) {
    let start = arena.len();
    match field.kind {
        Kind::Null | Kind::Object | Kind::EmptyArray => return,
        Kind::Escaped => unescape_into(bytes, arena),
        Kind::Text | Kind::Number | Kind::True | Kind::False => arena.extend_from_slice(bytes),
    }
    let middle = arena.len();
    let plain = arena[start..].to_vec();
    fold_into(&plain, arena);
    spans.push([(start as u32, middle as u32), (middle as u32, arena.len() as u32)]);
}

/// The texts of one event.
pub(super) struct TextsOfEvent<'a> {
    all: &'a mut AllTexts,
    source: Source<'a>,
}

impl Everything for TextsOfEvent<'_> {
    fn any(&mut self, test: &mut dyn FnMut(Texts<'_>) -> bool) -> bool {
        if !self.all.ready {
            self.all.fetch(self.source);
        }
        let arena = &self.all.arena;
        self.all.spans.iter().any(|[plain, folded]| {
            test(Texts {
                plain: &arena[plain.0 as usize..plain.1 as usize],
                folded: &arena[folded.0 as usize..folded.1 as usize],
            })
        })
    }
}
