//! The values of the event under evaluation, unescaped and folded only when a rule asks for it.

use khien_event::fields::{Field, Fields, Kind};
use khien_event::json::unescape_into;
use khien_event::names::FieldId;
use memchr::memchr;

use crate::text::fold_char;

const NONE: u32 = u32::MAX;

/// Where the bytes of a text are.
#[derive(Clone, Copy)]
enum Place {
    Unknown,
    /// The value has no text (null, object, empty array).
    Nothing,
    /// The field's own bytes.
    Own,
    /// A span of the arena.
    Arena(u32, u32),
}

/// Least length of a JSON string that is searched as it stands, and how often that is done.
const RAW_BYTES: usize = 512;
const RAW_SEARCHES: u8 = 4;

struct Value {
    field: Field,
    next: u32,
    /// How often it was searched as it stands.
    searches: u8,
    text: Place,
    folded: Place,
}

/// Buffers for one event at a time; see the module text.
#[derive(Default)]
pub(super) struct Values {
    list: Vec<Value>,
    /// First and last value per field.
    heads: Vec<(u32, u32)>,
    touched: Vec<usize>,
    arena: Vec<u8>,
}

/// One value; valid until the next event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ValueRef(u32);

/// The event whose values are asked for.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// The record.
    pub(super) raw: &'a [u8],
    /// Its fields.
    pub(super) fields: &'a Fields,
}

impl Values {
    /// Forgets the event before and takes the named fields of this one.
    pub(super) fn take(&mut self, fields: &Fields) {
        for field in self.touched.drain(..) {
            self.heads[field] = (NONE, NONE);
        }
        self.heads.resize(fields.names().len(), (NONE, NONE));
        self.list.clear();
        self.arena.clear();
        for field in fields.list() {
            if let Some(name) = field.name.index() {
                self.push(name, *field);
            }
        }
    }

    fn push(&mut self, name: usize, field: Field) {
        let index = self.list.len() as u32;
        self.list.push(Value { field, next: NONE, searches: 0, text: Place::Unknown, folded: Place::Unknown });
        let (head, tail) = &mut self.heads[name];
        if *head == NONE {
            *head = index;
            self.touched.push(name);
        } else {
            self.list[*tail as usize].next = index;
        }
        *tail = index;
    }

    /// The first value of `field`.
    pub(super) fn first(&self, field: FieldId) -> Option<ValueRef> {
        self.heads.get(field.index()?).filter(|h| h.0 != NONE).map(|h| ValueRef(h.0))
    }

    /// The value of the same field after `value`.
    pub(super) fn next(&self, value: ValueRef) -> Option<ValueRef> {
        let next = self.list[value.0 as usize].next;
        (next != NONE).then_some(ValueRef(next))
    }

    /// What `value` is.
    pub(super) fn kind(&self, value: ValueRef) -> Kind {
        self.list[value.0 as usize].field.kind
    }

    /// Whether `value` has a text, be it empty.
    pub(super) fn has_text(&self, value: ValueRef) -> bool {
        !matches!(self.kind(value), Kind::Null | Kind::Object | Kind::EmptyArray)
    }

    /// The field behind `value`.
    pub(super) fn field(&self, value: ValueRef) -> &Field {
        &self.list[value.0 as usize].field
    }

    /// The text of `value`, unescaped; `None` when it has none.
    pub(super) fn text<'a>(&'a mut self, value: ValueRef, source: Source<'a>) -> Option<&'a [u8]> {
        let entry = &mut self.list[value.0 as usize];
        if let Place::Unknown = entry.text {
            entry.text = place_text(&entry.field, source, &mut self.arena);
        }
        let place = entry.text;
        let field = entry.field;
        self.at(place, &field, source)
    }

    /// The text of `value`, folded by [`crate::text::fold`]; `None` when it has none.
    pub(super) fn folded<'a>(&'a mut self, value: ValueRef, source: Source<'a>) -> Option<&'a [u8]> {
        let index = value.0 as usize;
        if let Place::Unknown = self.list[index].folded {
            self.text(value, source)?;
            let entry = &self.list[index];
            let start = self.arena.len();
            match entry.text {
                Place::Arena(from, len) => {
                    let range = from as usize..(from + len) as usize;
                    if self.arena[range.clone()].is_ascii() {
                        self.arena.extend_from_within(range);
                        self.arena[start..].make_ascii_lowercase();
                    } else {
                        let copy = self.arena[range].to_vec();
                        fold_into(&copy, &mut self.arena);
                    }
                }
                _ => fold_into(source.fields.bytes(source.raw, &entry.field), &mut self.arena),
            }
            let len = self.arena.len() - start;
            self.list[index].folded = Place::Arena(start as u32, len as u32);
        }
        let entry = &self.list[index];
        self.at(entry.folded, &entry.field, source)
    }

    /// The bytes of a long JSON string that nobody has unescaped or folded yet, where a search in them is cheaper than
    /// that. Says so a few times only: then the text is asked for by so many that it had better be made.
    pub(super) fn raw<'a>(&mut self, value: ValueRef, source: Source<'a>) -> Option<&'a [u8]> {
        let entry = &mut self.list[value.0 as usize];
        let unread = matches!(entry.folded, Place::Unknown) && entry.field.kind == Kind::Escaped;
        if !unread || source.fields.odd_escapes || entry.searches == RAW_SEARCHES {
            return None;
        }
        let bytes = source.fields.bytes(source.raw, &entry.field);
        entry.searches += 1;
        (bytes.len() >= RAW_BYTES).then_some(bytes)
    }

    /// Both forms of the text of `value`, as it is and folded.
    pub(super) fn texts<'a>(&'a mut self, value: ValueRef, source: Source<'a>) -> Option<(&'a [u8], &'a [u8])> {
        self.folded(value, source)?;
        let entry = &self.list[value.0 as usize];
        self.at(entry.text, &entry.field, source).zip(self.at(entry.folded, &entry.field, source))
    }

    fn at<'a>(&'a self, place: Place, field: &Field, source: Source<'a>) -> Option<&'a [u8]> {
        match place {
            Place::Unknown | Place::Nothing => None,
            Place::Own => Some(source.fields.bytes(source.raw, field)),
            Place::Arena(start, len) => Some(&self.arena[start as usize..(start + len) as usize]),
        }
    }
}

fn place_text(field: &Field, source: Source<'_>, arena: &mut Vec<u8>) -> Place {
    match field.kind {
        Kind::Null | Kind::Object | Kind::EmptyArray => Place::Nothing,
        Kind::Text | Kind::Number | Kind::True | Kind::False => Place::Own,
        Kind::Escaped => {
            let bytes = source.fields.bytes(source.raw, field);
            if memchr(b'\\', bytes).is_none() {
                return Place::Own;
            }
            let start = arena.len();
            unescape_into(bytes, arena);
            Place::Arena(start as u32, (arena.len() - start) as u32)
        }
    }
}

/// Appends the folded form of UTF-8 `text`.
pub(super) fn fold_into(text: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    if text.is_ascii() {
        out.extend_from_slice(text);
        out[start..].make_ascii_lowercase();
        return;
    }
    let mut buffer = [0; 4];
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            out.extend_from_slice(fold_char(c).encode_utf8(&mut buffer).as_bytes());
        }
        out.extend_from_slice(chunk.invalid());
    }
}
