//! The field names somebody asks for, as small numbers.
//!
//! Rules, taxonomy, indicators and output name the fields they need before the first event is read. Everything else in
//! an event still reaches keyword search and the raw record, but needs no name, so hostile input with endless new field
//! names costs nothing.

use hashbrown::HashMap;

/// A field name in a [`Names`] table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(pub u32);

impl FieldId {
    /// A field nobody asked for.
    pub const OTHER: Self = Self(u32::MAX);

    /// Position in a table indexed by field, or `None` for [`FieldId::OTHER`].
    pub fn index(self) -> Option<usize> {
        (self != Self::OTHER).then_some(self.0 as usize)
    }
}

/// Field names in the order they were first asked for.
#[derive(Clone, Debug, Default)]
pub struct Names {
    ids: HashMap<Box<str>, FieldId, foldhash::fast::FixedState>,
    list: Vec<Box<str>>,
}

impl Names {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// The id of `name`, adding it when it is new.
    pub fn add(&mut self, name: &str) -> FieldId {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let id = FieldId(u32::try_from(self.list.len()).expect("fewer than 2^32 field names"));
        self.ids.insert(name.into(), id);
        self.list.push(name.into());
        id
    }

    /// The id of `name`, or [`FieldId::OTHER`] when nobody asked for it.
    pub fn get(&self, name: &str) -> FieldId {
        self.ids.get(name).copied().unwrap_or(FieldId::OTHER)
    }

    /// The name of `id`, empty for [`FieldId::OTHER`].
    pub fn name(&self, id: FieldId) -> &str {
        id.index().and_then(|i| self.list.get(i)).map_or("", |n| n)
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
