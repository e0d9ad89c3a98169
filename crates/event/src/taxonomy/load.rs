//! From the files of the table to the table.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use thiserror::Error;

use super::file::{self, File, OneOrMany, Scalar};
use super::names::{self, NameTable};
use super::{FieldMap, KindId, LogSource, Taxonomy};

/// Why a table cannot be used.
#[derive(Debug, Error)]
pub enum TaxonomyError {
    /// A file is no TOML of the expected form.
    #[error("cannot read taxonomy file {file}")]
    Toml {
        /// Its name.
        file: String,
        /// What is wrong with it.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A file names something that is not there, or too much of it.
    #[error("taxonomy: {0}")]
    Content(String),
}

/// Name of shape 0 and kind 0.
pub(super) const UNKNOWN: &str = "unknown";
/// Most discriminators of a shape; see [`Taxonomy::discriminators`].
const DISCRIMINATORS: usize = 8;

/// A shape, ready for use.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) name: String,
    /// Sets of marks of which one must be complete; never empty sets.
    pub(super) when: Vec<u64>,
    pub(super) discriminators: Vec<&'static str>,
    /// Pairs of discriminators: the first takes the value of the second when it has none.
    pub(super) fallback: Vec<(usize, usize)>,
    pub(super) defaults: Vec<DefaultValue>,
    pub(super) time: Vec<&'static str>,
    pub(super) kinds: Vec<KindId>,
}

/// The value of an absent discriminator by another one's.
#[derive(Debug)]
pub(super) struct DefaultValue {
    pub(super) field: usize,
    pub(super) from: usize,
    values: BTreeMap<String, String>,
}

impl DefaultValue {
    /// The value that follows from `value`.
    pub(super) fn get(&self, value: &str) -> Option<&str> {
        self.values.get(value).map(String::as_str)
    }
}

/// A kind, ready for use.
#[derive(Debug, Default)]
pub(super) struct Kind {
    pub(super) name: String,
    pub(super) when: Vec<Condition>,
    pub(super) sources: Vec<LogSource>,
    /// The fields in which the kind differs from its group.
    pub(super) fields: FieldMap,
    /// Those of the group.
    pub(super) shared: Arc<FieldMap>,
}

/// What is said about one discriminator: one of the tests must hold.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) field: String,
    pub(super) tests: Vec<ValueTest>,
}

/// A test on the value of a discriminator; texts are compared without regard to ASCII case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ValueTest {
    /// The text. Written as it is.
    Is(String),
    /// Begins with the text. Written with `*` at the end.
    Prefix(String),
    /// There is a value. Written `*`.
    Present,
    /// There is none. Written `!`.
    Absent,
}

impl ValueTest {
    fn parse(scalar: &Scalar) -> Self {
        let text = match scalar {
            Scalar::Text(text) => text.as_str(),
            Scalar::Number(number) => return Self::Is(number.to_string()),
        };
        match text {
            "*" => Self::Present,
            "!" => Self::Absent,
            _ => match text.strip_suffix('*') {
                Some(prefix) => Self::Prefix(prefix.to_owned()),
                None => Self::Is(text.to_owned()),
            },
        }
    }

    /// Whether the test holds for `value`.
    pub(super) fn holds(&self, value: Option<&str>) -> bool {
        match (self, value) {
            (Self::Absent, value) => value.is_none(),
            (Self::Present, value) => value.is_some(),
            (_, None) => false,
            (Self::Is(text), Some(value)) => value.eq_ignore_ascii_case(text),
            (Self::Prefix(prefix), Some(value)) => {
                value.get(..prefix.len()).is_some_and(|front| front.eq_ignore_ascii_case(prefix))
            }
        }
    }
}

/// What the files say of one group of kinds.
#[derive(Default)]
struct Group {
    kinds: Vec<file::Kind>,
    fields: file::FieldLists,
    defaults: Vec<file::Default_>,
    variants: Vec<file::Variant>,
}

/// Reads the files.
pub(super) fn load(files: &[(&str, &str)]) -> Result<Taxonomy, TaxonomyError> {
    let mut names = NameTable::default();
    let mut shapes = Vec::new();
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for &(name, text) in files {
        let file: File = toml::from_str(text)
            .map_err(|source| TaxonomyError::Toml { file: name.to_owned(), source: Box::new(source) })?;
        add_names(&mut names, file.rename, file.envelope);
        shapes.extend(file.shape);
        let group = groups.entry(file.group).or_default();
        group.kinds.extend(file.kind);
        group.fields.extend(file.fields);
        group.defaults.extend(file.default);
        group.variants.extend(file.variant);
    }
    let mut taxonomy = Taxonomy {
        names,
        marks: HashMap::default(),
        shapes: vec![Shape { name: UNKNOWN.to_owned(), ..Shape::default() }],
        kinds: vec![Kind { name: UNKNOWN.to_owned(), ..Kind::default() }],
    };
    let mut loaded: BTreeMap<(String, Option<String>), Vec<KindId>> = BTreeMap::new();
    let mut bits = BTreeMap::new();
    for shape in shapes {
        let key = (shape.kinds.clone(), shape.variant.clone());
        let group = groups
            .get(&shape.kinds)
            .ok_or_else(|| content(&shape.name, "has kinds of an unknown group", &shape.kinds))?;
        let kinds = match loaded.get(&key) {
            Some(kinds) => kinds.clone(),
            None => add_kinds(&mut taxonomy, group, shape.variant.as_deref())?,
        };
        loaded.insert(key, kinds.clone());
        add_shape(&mut taxonomy, &mut bits, shape, group, kinds)?;
    }
    Ok(taxonomy)
}

/// An error about the contents.
fn content(who: &str, what: &str, name: &str) -> TaxonomyError {
    TaxonomyError::Content(format!("`{who}` {what}: `{name}`"))
}

fn add_names(names: &mut NameTable, renames: BTreeMap<String, String>, envelopes: Vec<file::Envelope>) {
    for (from, to) in renames {
        names.rename(from, to);
    }
    for e in envelopes {
        names.add(names::Envelope {
            prefix: e.prefix,
            guard: e.guard,
            skip: e.skip,
            capitalise: e.capitalise,
            pairs: e.pairs,
            reserved: e.reserved,
        });
    }
}

/// Adds the kinds of `group` in one variant of its field names.
fn add_kinds(taxonomy: &mut Taxonomy, group: &Group, variant: Option<&str>) -> Result<Vec<KindId>, TaxonomyError> {
    let variant = match variant {
        None => None,
        Some(name) => Some(
            group
                .variants
                .iter()
                .find(|v| v.name == name)
                .ok_or_else(|| content("a shape", "has an unknown variant", name))?,
        ),
    };
    if let Some(variant) = variant {
        let unknown = variant.kinds.keys().find(|name| group.kinds.iter().all(|k| k.name != **name));
        if let Some(unknown) = unknown {
            return Err(content(&variant.name, "names an unknown kind", unknown));
        }
    }
    let shared = Arc::new(shared_fields(&taxonomy.names, group, variant));
    let mut ids = Vec::with_capacity(group.kinds.len());
    for kind in &group.kinds {
        let id =
            u16::try_from(taxonomy.kinds.len()).map_err(|_| content(&kind.name, "is one kind too many", "65536"))?;
        ids.push(KindId(id));
        taxonomy.kinds.push(Kind {
            name: kind.name.clone(),
            when: kind.when.iter().map(condition).collect(),
            sources: kind.sources.clone(),
            fields: own_fields(&taxonomy.names, group, kind, variant),
            shared: Arc::clone(&shared),
        });
    }
    Ok(ids)
}

fn condition((field, values): (&String, &OneOrMany)) -> Condition {
    let tests = match values {
        OneOrMany::One(value) => vec![ValueTest::parse(value)],
        OneOrMany::Many(values) => values.iter().map(ValueTest::parse).collect(),
    };
    Condition { field: field.clone(), tests }
}

/// The field names that all kinds of a group share in one variant.
fn shared_fields(names: &NameTable, group: &Group, variant: Option<&file::Variant>) -> FieldMap {
    let mut map = FieldMap::default();
    insert(&mut map, names, &group.fields);
    if let Some(variant) = variant {
        extend(&mut map, names, &variant.fields);
    }
    map
}

/// The field names in which a kind differs from its group: its own instead of the group's, and beside them those of the
/// variant, the ones for this kind instead of the general ones.
fn own_fields(names: &NameTable, group: &Group, kind: &file::Kind, variant: Option<&file::Variant>) -> FieldMap {
    let special = variant.and_then(|v| v.kinds.get(&kind.name));
    let differs = |field: &String| kind.fields.contains_key(field) || special.is_some_and(|s| s.contains_key(field));
    let only = |lists: &file::FieldLists| -> file::FieldLists {
        let different = lists.iter().filter(|(field, _)| differs(field));
        different.map(|(f, l)| (f.clone(), l.clone())).collect()
    };
    let mut map = FieldMap::default();
    insert(&mut map, names, &only(&group.fields));
    insert(&mut map, names, &kind.fields);
    if let Some(variant) = variant {
        let mut beside = only(&variant.fields);
        beside.extend(special.cloned().unwrap_or_default());
        extend(&mut map, names, &beside);
    }
    map
}

/// Puts canonical `lists` into `map`, in place of what stands there.
fn insert(map: &mut FieldMap, names: &NameTable, lists: &file::FieldLists) {
    for (field, list) in lists {
        let list = list.iter().map(|n| names.canonical(n).into_owned()).collect();
        map.insert(names.canonical(field).into_owned(), list);
    }
}

/// Adds canonical `lists` to `map`, beside what stands there or the field itself.
fn extend(map: &mut FieldMap, names: &NameTable, lists: &file::FieldLists) {
    for (field, list) in lists {
        let field = names.canonical(field).into_owned();
        let own = map.entry(field.clone()).or_insert_with(|| vec![field]);
        own.extend(list.iter().map(|n| names.canonical(n).into_owned()));
    }
}

fn add_shape(
    taxonomy: &mut Taxonomy,
    bits: &mut BTreeMap<String, u32>,
    shape: file::Shape,
    group: &Group,
    kinds: Vec<KindId>,
) -> Result<(), TaxonomyError> {
    if shape.discriminators.len() > DISCRIMINATORS {
        return Err(content(&shape.name, "has too many discriminators", "8"));
    }
    let mut when = Vec::with_capacity(shape.when.len());
    for all in &shape.when {
        when.push(marks(&mut taxonomy.marks, bits, &shape.name, all)?);
    }
    let position = |name: &String| {
        shape
            .discriminators
            .iter()
            .position(|d| d == name)
            .ok_or_else(|| content(&shape.name, "has no such discriminator", name))
    };
    let fallback = shape
        .fallback
        .iter()
        .flat_map(|(field, others)| others.iter().map(move |other| (field, other)))
        .map(|(field, other)| Ok((position(field)?, position(other)?)))
        .collect::<Result<_, TaxonomyError>>()?;
    let defaults = group
        .defaults
        .iter()
        .map(|d| Ok(DefaultValue { field: position(&d.field)?, from: position(&d.from)?, values: d.values.clone() }))
        .collect::<Result<_, TaxonomyError>>()?;
    taxonomy.shapes.push(Shape {
        name: shape.name,
        when,
        fallback,
        defaults,
        discriminators: leaked(shape.discriminators),
        time: leaked(shape.time),
        kinds,
    });
    Ok(())
}

/// The bits of all of `asked`, each a name or several, divided by `|`, of which one is enough.
fn marks(
    table: &mut HashMap<String, u64, foldhash::fast::FixedState>,
    bits: &mut BTreeMap<String, u32>,
    shape: &str,
    asked: &[String],
) -> Result<u64, TaxonomyError> {
    if asked.is_empty() {
        return Err(content(shape, "is recognised by nothing", "when"));
    }
    let mut all = 0;
    for names in asked {
        let count = bits.len() as u32;
        let bit = *bits.entry(names.clone()).or_insert(count);
        let mark = 1_u64.checked_shl(bit).ok_or_else(|| content(shape, "needs one mark too many", names))?;
        for name in names.split('|') {
            *table.entry(name.to_owned()).or_default() |= mark;
        }
        all |= mark;
    }
    Ok(all)
}

fn leaked(names: Vec<String>) -> Vec<&'static str> {
    names.into_iter().map(|n| &*n.leak()).collect()
}
