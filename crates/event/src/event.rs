//! An event for people and slow paths: every field with its full name and its value as text.

/// A value of an [`Event`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// Text, unescaped.
    Text(String),
    /// A number as it was written.
    Number(String),
    /// A truth value.
    Bool(bool),
    /// An explicit null.
    Null,
    /// An object, as its JSON text; its members are fields of their own.
    Object(String),
    /// An empty array.
    EmptyArray,
}

impl Value {
    /// The text that string patterns see: text, number or truth value; `None` for the rest.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(t) | Self::Number(t) => Some(t),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Null | Self::Object(_) | Self::EmptyArray => None,
        }
    }
}

/// All fields of one event under their canonical names, in the order of the record; arrays repeat the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Name and value.
    pub fields: Vec<(String, Value)>,
}

impl Event {
    /// The values of `name`.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.fields.iter().filter(move |(n, _)| n == name).map(|(_, v)| v)
    }
}
