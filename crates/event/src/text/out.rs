//! Where the decoders of text put their fields.

use khien_base::limits::EVENT_FIELDS;

use crate::decode::Malformed;
use crate::fields::{Encoding, Fields, Kind};
use crate::reasons;
use crate::taxonomy::Taxonomy;

/// The fields of one line that is being decoded: values that stand in the record become spans, others are copied, and
/// no line fills more than [`EVENT_FIELDS`].
pub(crate) struct Out<'a> {
    record: &'a [u8],
    fields: &'a mut Fields,
    prefix: &'static str,
    name: String,
    full: bool,
}

impl<'a> Out<'a> {
    /// Fields of `record`.
    pub(crate) fn new(record: &'a [u8], fields: &'a mut Fields) -> Self {
        fields.encoding = Encoding::Plain;
        Self { record, fields, prefix: "", name: String::new(), full: false }
    }

    /// Puts `prefix` before the names of all fields that follow.
    pub(crate) fn set_prefix(&mut self, prefix: &'static str) {
        self.prefix = prefix;
    }

    /// The event's shape, by its name in the taxonomy.
    pub(crate) fn shape(&mut self, name: &str) {
        self.fields.shape = Taxonomy::embedded().shape(name);
    }

    /// Gives access to the fields themselves, for the shape of embedded JSON.
    pub(crate) fn fields(&mut self) -> &mut Fields {
        self.fields
    }

    /// The event's time, unless an earlier call knew it.
    pub(crate) fn time(&mut self, time_ns: Option<i64>) {
        if let Some(time_ns) = time_ns {
            self.fields.time_ns.get_or_insert(time_ns);
        }
    }

    /// The event's time, better than what earlier calls knew.
    pub(crate) fn better_time(&mut self, time_ns: Option<i64>) {
        if time_ns.is_some() {
            self.fields.time_ns = time_ns;
        }
    }

    /// Adds a text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.put(name, Kind::Text, value);
    }

    /// Adds a text unless it is empty or the `-` for "nothing".
    pub(crate) fn known(&mut self, name: &str, value: &str) {
        if !value.is_empty() && value != "-" {
            self.text(name, value);
        }
    }

    /// Adds a text under the name `first.second`.
    pub(crate) fn joined(&mut self, first: &str, second: &str, value: &str) {
        let mut name = std::mem::take(&mut self.name);
        name.clear();
        name.extend([first, ".", second]);
        self.text(&name, value);
        self.name = name;
    }

    /// Adds a value.
    pub(crate) fn put(&mut self, name: &str, kind: Kind, value: &str) {
        if self.fields.list().len() >= EVENT_FIELDS {
            self.full = true;
            return;
        }
        if self.prefix.is_empty() {
            self.store(name, kind, value);
            return;
        }
        let mut full = String::with_capacity(self.prefix.len() + name.len());
        full.extend([self.prefix, name]);
        self.store(&full, kind, value);
    }

    fn store(&mut self, name: &str, kind: Kind, value: &str) {
        match offset_in(self.record, value) {
            Some(start) => {
                let id = self.fields.names().get(name);
                self.fields.push_span(id, kind, start, value.len());
                self.fields.push_label(name);
            }
            None => self.fields.push(name, kind, value.as_bytes()),
        }
    }

    /// Whether all fields fitted.
    pub(crate) fn finish(self) -> Result<(), Malformed> {
        if self.full { Err(Malformed::new(reasons::TOO_MANY_FIELDS, 0)) } else { Ok(()) }
    }
}

/// Where `value` stands in `record`, when it is a part of it (by address: equal text elsewhere does not count).
fn offset_in(record: &[u8], value: &str) -> Option<usize> {
    let start = (value.as_ptr() as usize).checked_sub(record.as_ptr() as usize)?;
    (start.checked_add(value.len())? <= record.len()).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Names;
    use std::sync::Arc;

    #[test]
    fn parts_of_the_record_become_spans_and_others_are_copied() {
        let mut fields = Fields::with_labels(Arc::new(Names::new()));
        let record = "a=việt b";
        let mut out = Out::new(record.as_bytes(), &mut fields);
        out.text("a", record.get(2..8).unwrap());
        out.joined("x", "y", "copied");
        out.set_prefix("p.");
        out.text("z", "");
        out.finish().unwrap();
        let list = fields.list();
        assert_eq!(Fields::span(&list[0]), Some(2..8));
        assert_eq!(Fields::span(&list[1]), None);
        assert_eq!(fields.bytes(record.as_bytes(), &list[1]), b"copied");
        assert_eq!([fields.label(0), fields.label(1), fields.label(2)], ["a", "x.y", "p.z"]);
    }

    #[test]
    fn an_event_has_a_bounded_number_of_fields() {
        let mut fields = Fields::new(Arc::new(Names::new()));
        let mut out = Out::new(b"", &mut fields);
        for _ in 0..=EVENT_FIELDS {
            out.text("a", "b");
        }
        assert!(out.finish().is_err());
        assert_eq!(fields.list().len(), EVENT_FIELDS);
    }
}
