//! The files of the table as they are written.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::LogSource;

/// One file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    /// The group its kinds, fields, defaults and variant belong to.
    pub(super) group: String,
    pub(super) rename: BTreeMap<String, String>,
    pub(super) envelope: Vec<Envelope>,
    pub(super) shape: Vec<Shape>,
    pub(super) default: Vec<Default_>,
    pub(super) fields: FieldLists,
    pub(super) variant: Option<Variant>,
    pub(super) kind: Vec<Kind>,
}

/// Rule field name to canonical names.
pub(super) type FieldLists = BTreeMap<String, Vec<String>>;

/// See [`super::names::Envelope`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope {
    pub(super) prefix: String,
    #[serde(default)]
    pub(super) guard: String,
    #[serde(default)]
    pub(super) skip: bool,
    #[serde(default)]
    pub(super) capitalise: bool,
    #[serde(default)]
    pub(super) pairs: Option<String>,
    #[serde(default)]
    pub(super) reserved: Vec<String>,
}

/// How a record is recognised and read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    pub(super) name: String,
    /// Any of these lists, of which every canonical name must stand in the record (`a|b`: one of the two is enough).
    /// None: only by name.
    #[serde(default)]
    pub(super) when: Vec<Vec<String>>,
    /// The group whose kinds are tried.
    pub(super) kinds: String,
    /// The variant of the group's field names.
    #[serde(default)]
    pub(super) variant: Option<String>,
    #[serde(default)]
    pub(super) discriminators: Vec<String>,
    /// Discriminator to others of which the first present stands in when it is absent.
    #[serde(default)]
    pub(super) fallback: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(super) time: Vec<String>,
}

/// A value for an absent discriminator that follows from another.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Default_ {
    pub(super) field: String,
    pub(super) from: String,
    pub(super) values: BTreeMap<String, String>,
}

/// Other names for the fields of a group's kinds, asked beside their own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variant {
    pub(super) name: String,
    #[serde(default)]
    pub(super) fields: FieldLists,
    #[serde(default)]
    pub(super) kinds: BTreeMap<String, FieldLists>,
}

/// A kind of event.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kind {
    pub(super) name: String,
    #[serde(default, rename = "where")]
    pub(super) when: BTreeMap<String, OneOrMany>,
    pub(super) sources: Vec<LogSource>,
    #[serde(default)]
    pub(super) fields: FieldLists,
}

/// A value or several of which one is enough.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(Scalar),
    Many(Vec<Scalar>),
}

/// A text or a whole number.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Text(String),
    Number(i64),
}
