//! [`Flat`] rows straight from the fields of an event, without building the event's tree.
//!
//! What the table says of a kind of event is worked out once per kind: which fields to look at, where their values go, and
//! what each object needs to stand. An event then costs a look at those fields. The rows are those of
//! [`Normalised::flat`](super::Normalised::flat), which a test compares over every event there is.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value as Json;

use super::flat::{COLUMNS, Column, Flat, Scalar, scalar};
use super::table::{Class, Entry, INFORMATIONAL, Table, fits_lower, join};
use crate::fields::{Field as Found, Fields, Kind};
use crate::json::unescape_into;
use crate::names::{FieldId, Names};
use crate::taxonomy::{KindId, Taxonomy};

/// See the module text.
pub struct Flattener {
    names: Arc<Names>,
    taxonomy: &'static Taxonomy,
    table: &'static Table,
    plans: HashMap<KindId, Arc<KindPlan>>,
    index: Index,
}

/// The names by which rules know the fields that rows are made of; who decodes must ask for them.
pub fn fields() -> Vec<String> {
    let mut names: Vec<String> = Table::embedded().all_fields().map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Where the fields of the event at hand are.
#[derive(Default)]
struct Index {
    /// By field id: 1 + place in the list of the first field with this name.
    first: Vec<u32>,
    /// By place in the list: 1 + place of the next one with the same name.
    next: Vec<u32>,
    /// By field id: place of the last one.
    last: Vec<u32>,
}

impl Index {
    fn fill(&mut self, fields: &Fields, names: usize) {
        self.first.clear();
        self.first.resize(names, 0);
        self.last.resize(names, 0);
        self.next.clear();
        self.next.resize(fields.list().len(), 0);
        for (place, field) in fields.list().iter().enumerate() {
            let Some(name) = field.name.index() else { continue };
            let number = place as u32 + 1;
            if self.first[name] == 0 {
                self.first[name] = number;
            } else {
                self.next[self.last[name] as usize] = number;
            }
            self.last[name] = place as u32;
        }
    }

    fn places(&self, name: usize) -> impl Iterator<Item = usize> {
        let mut at = self.first.get(name).copied().unwrap_or(0);
        std::iter::from_fn(move || {
            let place = at.checked_sub(1)? as usize;
            at = self.next[place];
            Some(place)
        })
    }
}

/// The event at hand.
struct Lookup<'a> {
    fields: &'a Fields,
    raw: &'a [u8],
    index: &'a Index,
}

impl<'a> Lookup<'a> {
    /// The first value that says something among the fields of `sources`, in their order.
    fn value(&self, sources: &[FieldId]) -> Option<Cow<'a, str>> {
        sources.iter().filter_map(|source| source.index()).find_map(|name| {
            let mut values = self.index.places(name).filter_map(|place| self.text(&self.fields.list()[place]));
            values.find(|text| !matches!(text.trim(), "" | "-"))
        })
    }

    /// Whether all values of the fields of `sources` that say something are the same.
    fn is_one(&self, sources: &[FieldId]) -> bool {
        let places = || sources.iter().filter_map(|source| source.index()).flat_map(|name| self.index.places(name));
        if places().nth(1).is_none() {
            return true; // The usual case, which needs no look at what the field holds.
        }
        let mut values = places()
            .filter_map(|place| self.text(&self.fields.list()[place]))
            .filter(|text| !matches!(text.trim(), "" | "-"));
        let first = values.next();
        values.all(|value| Some(value) == first)
    }

    fn text(&self, field: &Found) -> Option<Cow<'a, str>> {
        let bytes = self.fields.bytes(self.raw, field);
        match field.kind {
            Kind::Text | Kind::Number => Some(String::from_utf8_lossy(bytes)),
            Kind::Escaped if memchr::memchr(b'\\', bytes).is_none() => Some(String::from_utf8_lossy(bytes)),
            Kind::Escaped => {
                let mut plain = Vec::with_capacity(bytes.len());
                unescape_into(bytes, &mut plain);
                Some(Cow::Owned(String::from_utf8_lossy(&plain).into_owned()))
            }
            Kind::True => Some("true".into()),
            Kind::False => Some("false".into()),
            Kind::Null | Kind::Object | Kind::EmptyArray => None,
        }
    }
}

/// The entries for a kind of event in their order.
struct KindPlan {
    entries: Vec<EntryPlan>,
    base: EntryPlan,
    severities: Vec<Meaning<u8>>,
}

/// Where events of a kind hold what rules call a field, in the order in which values are looked for.
type Sources = Box<[FieldId]>;

/// A field, and what its values mean.
struct Meaning<T> {
    sources: Sources,
    /// Patterns in lower case.
    values: Vec<(String, T)>,
}

impl<T: Copy> Meaning<T> {
    fn new(sources: Sources, values: &BTreeMap<String, T>) -> Self {
        Self { sources, values: values.iter().map(|(pattern, means)| (pattern.to_ascii_lowercase(), *means)).collect() }
    }

    /// What the field means in the event at hand.
    fn of(&self, lookup: &Lookup<'_>) -> Option<T> {
        let value = lookup.value(&self.sources)?.to_ascii_lowercase();
        self.values.iter().find(|(pattern, _)| fits_lower(pattern, &value)).map(|(_, means)| *means)
    }
}

/// What an entry says, worked out for one kind of event.
struct EntryPlan {
    /// Fields and the patterns of which one must fit, in lower case.
    conditions: Vec<(Sources, Vec<String>)>,
    class: &'static Class,
    activity: u64,
    activity_by: Option<Meaning<u64>>,
    attributes: Vec<Attribute>,
    leaves: Vec<Leaf>,
    /// Children behind their parents.
    objects: Vec<Object>,
    /// Leaves with a constant that stand when their object does, in order.
    constants: Vec<usize>,
    required: Vec<Member>,
    any: Vec<Member>,
}

/// A field and where its values go.
struct Attribute {
    /// For each name by which rules know the field, where events of the kind hold it.
    sources: Vec<Sources>,
    convert: super::convert::Convert,
    /// What the conversion may give, and the leaf of each.
    outputs: Vec<(&'static str, usize)>,
}

/// An attribute that holds a value.
struct Leaf {
    object: Option<usize>,
    column: Option<usize>,
    /// See [`Column::is_one_value`].
    is_one_value: bool,
}

/// An attribute that holds others.
struct Object {
    parent: Option<usize>,
    members: Vec<Member>,
    /// What it needs; `None` for any member at all.
    needs: Option<(Vec<Member>, Vec<Member>)>,
}

/// An attribute by its place in a plan.
#[derive(Clone, Copy)]
enum Member {
    Leaf(usize),
    Object(usize),
    /// Nothing of this plan.
    Never,
}

/// What of a plan an event has.
#[derive(Default)]
struct Standing {
    leaves: Vec<Option<Json>>,
    objects: Vec<bool>,
    /// Leaves that have one of several values.
    several: Vec<usize>,
}

impl Standing {
    fn has(&self, member: Member) -> bool {
        match member {
            Member::Leaf(leaf) => self.leaves[leaf].is_some(),
            Member::Object(object) => self.objects[object],
            Member::Never => false,
        }
    }

    fn fulfils(&self, required: &[Member], any: &[Member]) -> bool {
        required.iter().all(|member| self.has(*member))
            && (any.is_empty() || any.iter().any(|member| self.has(*member)))
    }
}

impl Flattener {
    /// For events decoded with `names`, which must hold the sources of all [`fields`].
    pub fn new(names: Arc<Names>, taxonomy: &'static Taxonomy) -> Self {
        Self { names, taxonomy, table: Table::embedded(), plans: HashMap::new(), index: Index::default() }
    }

    /// The row of the event in `fields`, whose record is `raw` and whose kind is `kind`.
    pub fn flat(&mut self, kind: KindId, fields: &Fields, raw: &[u8]) -> Flat {
        if !self.plans.contains_key(&kind) {
            let plan = Arc::new(self.plan(kind));
            self.plans.insert(kind, plan);
        }
        let plan = self.plans[&kind].clone();
        self.index.fill(fields, self.names.len());
        let lookup = Lookup { fields, raw, index: &self.index };
        let holds = |(sources, patterns): &(Sources, Vec<String>)| {
            lookup.value(sources).is_some_and(|value| {
                let value = value.to_ascii_lowercase();
                patterns.iter().any(|pattern| fits_lower(pattern, &value))
            })
        };
        let entry = plan.entries.iter().find(|entry| entry.conditions.iter().all(holds));
        let found = entry.and_then(|entry| {
            let standing = entry.stand(&lookup);
            standing.fulfils(&entry.required, &entry.any).then_some((entry, standing))
        });
        let (entry, standing) = found.unwrap_or_else(|| (&plan.base, plan.base.stand(&lookup)));
        let severity = plan.severities.iter().find_map(|by| by.of(&lookup)).unwrap_or(INFORMATIONAL);
        entry.row(standing, severity, &lookup)
    }

    fn plan(&self, kind: KindId) -> KindPlan {
        let name = self.taxonomy.kind_name(kind);
        let entries = self.table.entries_for(name).map(|entry| self.entry(kind, entry)).collect();
        let severities = self.table.severities_for(name);
        KindPlan {
            entries,
            base: self.entry(kind, self.table.base_entry()),
            severities: severities.map(|by| Meaning::new(self.sources(kind, &by.field), &by.values)).collect(),
        }
    }

    fn sources(&self, kind: KindId, field: &str) -> Sources {
        self.taxonomy.sources(kind, field).iter().map(|name| self.names.get(name)).collect()
    }

    fn entry(&self, kind: KindId, entry: &'static Entry) -> EntryPlan {
        let lower = |patterns: &[String]| patterns.iter().map(|p| p.to_ascii_lowercase()).collect::<Vec<_>>();
        let class = self.table.class(&entry.class);
        let mut places = Places::default();
        let attributes = (self.table.fields(entry))
            .map(|field| Attribute {
                sources: field.sources.iter().map(|source| self.sources(kind, source)).collect(),
                convert: field.convert,
                outputs: (field.convert.paths().iter())
                    .map(|path| (*path, places.leaf(&join(&field.path, path))))
                    .collect(),
            })
            .collect();
        let constants = (entry.set.iter().map(|(path, _)| path.as_str()))
            .chain(Table::COMPLETED.iter().map(|(_, path)| *path))
            .map(|path| places.leaf(path))
            .collect();
        let objects = places.objects(self.table);
        let member = |name: &String| places.member(name);
        EntryPlan {
            conditions: (entry.conditions().iter())
                .map(|(field, patterns)| (self.sources(kind, field), lower(patterns)))
                .collect(),
            class,
            activity: entry.default_activity(),
            activity_by: entry.activity_by().map(|(field, values)| Meaning::new(self.sources(kind, field), values)),
            attributes,
            leaves: places.leaves(),
            objects,
            constants,
            required: class.required().iter().map(member).collect(),
            any: class.any().iter().map(member).collect(),
        }
    }
}

impl EntryPlan {
    /// Finds the values of an event and which objects stand.
    fn stand(&self, lookup: &Lookup<'_>) -> Standing {
        let (leaves, objects) = (vec![None; self.leaves.len()], vec![false; self.objects.len()]);
        let mut standing = Standing { leaves, objects, several: Vec::new() };
        for attribute in &self.attributes {
            let Some((sources, values)) = attribute.values(lookup) else { continue };
            for (path, json) in values {
                let leaf = attribute.outputs.iter().find(|(output, _)| *output == path).map(|(_, leaf)| *leaf);
                let Some(leaf) = leaf else { continue };
                if standing.leaves[leaf].is_none() {
                    if self.leaves[leaf].is_one_value && !lookup.is_one(sources) {
                        standing.several.push(leaf);
                    }
                    standing.leaves[leaf] = Some(json);
                    self.raise(leaf, &mut standing);
                }
            }
        }
        for &leaf in &self.constants {
            if standing.leaves[leaf].is_none() && self.leaves[leaf].object.is_none_or(|o| standing.objects[o]) {
                standing.leaves[leaf] = Some(Json::Null);
            }
        }
        // The innermost first: whoever lacks what it needs is gone with all its members.
        for (index, object) in self.objects.iter().enumerate().rev() {
            let whole = match &object.needs {
                _ if !standing.objects[index] => continue,
                Some((required, any)) => standing.fulfils(required, any),
                None => object.members.iter().any(|member| standing.has(*member)),
            };
            standing.objects[index] = whole;
        }
        standing
    }

    /// Notes that the objects around a leaf are there.
    fn raise(&self, leaf: usize, standing: &mut Standing) {
        let mut object = self.leaves[leaf].object;
        while let Some(index) = object.filter(|index| !standing.objects[*index]) {
            standing.objects[index] = true;
            object = self.objects[index].parent;
        }
    }

    /// Whether an object and all around it stand.
    fn stands(&self, mut object: Option<usize>, standing: &Standing) -> bool {
        while let Some(index) = object {
            if !standing.objects[index] {
                return false;
            }
            object = self.objects[index].parent;
        }
        true
    }

    fn row(&self, mut standing: Standing, severity_id: u8, lookup: &Lookup<'_>) -> Flat {
        let mut values: Vec<(usize, Scalar)> = Vec::new();
        for (index, leaf) in self.leaves.iter().enumerate() {
            let Some(column) = leaf.column.filter(|_| !standing.several.contains(&index)) else { continue };
            let Some(json) = standing.leaves[index].take() else { continue };
            if let Some(scalar) = scalar(&COLUMNS[column], json).filter(|_| self.stands(leaf.object, &standing)) {
                values.push((column, scalar));
            }
        }
        values.sort_unstable_by_key(|(column, _)| *column);
        Flat {
            class_uid: self.class.uid as u32,
            category_uid: self.class.category,
            activity_id: self.activity_by.as_ref().and_then(|by| by.of(lookup)).unwrap_or(self.activity) as u32,
            severity_id,
            values,
        }
    }
}

impl Attribute {
    /// The values of the first field that has some, and where it is.
    fn values(&self, lookup: &Lookup<'_>) -> Option<(&Sources, super::convert::Attributes)> {
        self.sources.iter().find_map(|sources| Some((sources, self.convert.apply(&lookup.value(sources)?)?)))
    }
}

/// Paths that get a place in a plan.
#[derive(Default)]
struct Places {
    leaves: Vec<String>,
    objects: Vec<String>,
}

impl Places {
    /// The place of the leaf at `path`, and of all objects around it.
    fn leaf(&mut self, path: &str) -> usize {
        for (at, _) in path.match_indices('.') {
            let object = path.get(..at).unwrap_or_default();
            if !self.objects.iter().any(|known| known == object) {
                self.objects.push(object.to_owned());
            }
        }
        self.leaves.iter().position(|known| known == path).unwrap_or_else(|| {
            self.leaves.push(path.to_owned());
            self.leaves.len() - 1
        })
    }

    fn object(&self, path: &str) -> Option<usize> {
        self.objects.iter().position(|known| known == path)
    }

    fn member(&self, path: &str) -> Member {
        let leaf = || self.leaves.iter().position(|known| known == path).map_or(Member::Never, Member::Leaf);
        self.object(path).map_or_else(leaf, Member::Object)
    }

    fn leaves(&self) -> Vec<Leaf> {
        let leaf = |path: &String| Leaf {
            object: path.rsplit_once('.').and_then(|(object, _)| self.object(object)),
            column: COLUMNS.iter().position(|column| column.path == path),
            is_one_value: Column::is_one_value(path),
        };
        self.leaves.iter().map(leaf).collect()
    }

    /// The objects, with what the table says they need. Sorts them, so that children stand behind their parents; no
    /// leaf may come afterwards.
    fn objects(&mut self, table: &Table) -> Vec<Object> {
        self.objects.sort_by_key(|path| path.matches('.').count());
        let object = |path: &String| {
            let name = path.rsplit('.').next().unwrap_or(path);
            let inside = |member: &String| self.member(&join(path, member));
            let needs = table
                .needs(name)
                .map(|(required, any)| (required.iter().map(inside).collect(), any.iter().map(inside).collect()));
            let is_member = |other: &&String| other.rsplit_once('.').is_some_and(|(around, _)| around == path);
            let members = self.leaves.iter().chain(&self.objects).filter(is_member).map(|path| self.member(path));
            Object {
                parent: path.rsplit_once('.').and_then(|(around, _)| self.object(around)),
                members: members.collect(),
                needs,
            }
        };
        self.objects.iter().map(object).collect()
    }
}

#[cfg(test)]
mod tests;
