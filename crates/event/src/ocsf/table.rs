//! The table `content/taxonomy/ocsf.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::Lookup;
use super::convert::Convert;

/// A class of OCSF.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Class {
    pub(super) uid: u64,
    pub(super) category: u8,
    pub(super) caption: String,
    /// Attributes of which all must be there.
    #[serde(default)]
    required: Vec<String>,
    /// Attributes of which one must be there.
    #[serde(default)]
    any: Vec<String>,
}

impl Class {
    /// Whether the class comes from the Windows extension.
    pub(super) fn is_windows(&self) -> bool {
        self.uid > 200_000
    }

    /// Attributes of which all must be there.
    pub(super) fn required(&self) -> &[String] {
        &self.required
    }

    /// Attributes of which one must be there.
    pub(super) fn any(&self) -> &[String] {
        &self.any
    }

    /// Whether `tree` has what the class requires.
    pub(super) fn is_complete(&self, tree: &Map<String, Json>) -> bool {
        has(tree, &self.required, &self.any)
    }
}

/// What an object requires.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    any: Vec<String>,
}

fn has(tree: &Map<String, Json>, required: &[String], any: &[String]) -> bool {
    required.iter().all(|name| tree.contains_key(name))
        && (any.is_empty() || any.iter().any(|name| tree.contains_key(name)))
}

/// How events of some kinds become a class.
#[derive(Debug)]
pub(super) struct Entry {
    kinds: Vec<String>,
    conditions: BTreeMap<String, Vec<String>>,
    pub(super) class: String,
    activity: u64,
    activity_by: Option<ActivityBy>,
    fields: Vec<Field>,
    /// Constants for objects that exist.
    pub(super) set: Vec<(String, Json)>,
}

impl Entry {
    /// The activity of an event.
    pub(super) fn activity(&self, lookup: &Lookup<'_>) -> u64 {
        let by = self.activity_by.as_ref();
        let found = by.and_then(|by| {
            let (_, value) = lookup.value(&by.field)?;
            by.values.iter().find(|(pattern, _)| fits(pattern, &value)).map(|(_, activity)| *activity)
        });
        found.unwrap_or(self.activity)
    }

    /// The activity when no field says another one.
    pub(super) fn default_activity(&self) -> u64 {
        self.activity
    }

    /// The field that says the activity, and what its values mean.
    pub(super) fn activity_by(&self) -> Option<(&str, &BTreeMap<String, u64>)> {
        self.activity_by.as_ref().map(|by| (by.field.as_str(), &by.values))
    }

    /// Fields and the patterns of which one must fit.
    pub(super) fn conditions(&self) -> &BTreeMap<String, Vec<String>> {
        &self.conditions
    }

    fn is_for(&self, kind: &str, lookup: &Lookup<'_>) -> bool {
        self.kinds.iter().any(|pattern| fits(pattern, kind))
            && self
                .conditions
                .iter()
                .all(|(field, wanted)| lookup.value(field).is_some_and(|(_, v)| wanted.iter().any(|w| fits(w, &v))))
    }
}

/// Whether `text` is `pattern`, which may begin or end with `*`; without regard to ASCII case.
fn fits(pattern: &str, text: &str) -> bool {
    fits_lower(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
}

/// The same for texts in lower case.
pub(super) fn fits_lower(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => text.ends_with(end),
        (None, Some(start)) => text.starts_with(start),
        (None, None) => text == pattern,
    }
}

/// An activity by the value of a field.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActivityBy {
    field: String,
    values: BTreeMap<String, u64>,
}

/// How severe events of some kinds say they are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Severity {
    kinds: Vec<String>,
    /// The field that says it, by the name that rules use.
    pub(super) field: String,
    /// What its values mean in OCSF's numbers, 1 (informational) to 6 (fatal).
    pub(super) values: BTreeMap<String, u8>,
}

/// The severity of an event that says nothing of it.
pub(super) const INFORMATIONAL: u8 = 1;

/// Where a field goes.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Attributes divided by dots.
    pub(super) path: String,
    pub(super) convert: Convert,
    /// Names by which rules know the field, best first.
    pub(super) sources: Vec<String>,
}

impl Field {
    /// The paths of everything its value may become.
    pub(super) fn outputs(&self) -> impl Iterator<Item = String> {
        self.convert.paths().iter().map(|path| join(&self.path, path))
    }

    /// Whether what stands at `path` is the text of the field.
    pub(super) fn keeps_text(&self, path: &str) -> bool {
        match self.convert {
            Convert::Text => self.path == path,
            Convert::File => join(&self.path, "path") == path,
            _ => false,
        }
    }

    fn parse(path: &str, text: &str) -> Result<Self, String> {
        let (convert, names) = match text.split_once(": ") {
            None => (Convert::Text, text),
            Some((name, names)) => {
                let convert = Convert::named(name).ok_or_else(|| format!("`{path}` has no conversion `{name}`"))?;
                (convert, names)
            }
        };
        Ok(Self { path: path.to_owned(), convert, sources: names.split(',').map(|n| n.trim().to_owned()).collect() })
    }
}

/// See the module text.
#[derive(Debug)]
pub(super) struct Table {
    classes: BTreeMap<String, Class>,
    objects: BTreeMap<String, Object>,
    common: Vec<Field>,
    entries: Vec<Entry>,
    base: Entry,
    severities: Vec<Severity>,
}

/// The name of the class for everything else.
const BASE: &str = "base_event";
/// The map that every entry has.
const COMMON: &str = "common";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    class: BTreeMap<String, Class>,
    object: BTreeMap<String, Object>,
    map: BTreeMap<String, BTreeMap<String, String>>,
    entry: Vec<FileEntry>,
    severity: Vec<Severity>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    kinds: Vec<String>,
    #[serde(default, rename = "where")]
    conditions: BTreeMap<String, Vec<String>>,
    class: String,
    activity: u64,
    #[serde(default)]
    activity_by: Option<ActivityBy>,
    #[serde(default)]
    uses: Vec<String>,
    #[serde(default)]
    set: BTreeMap<String, u64>,
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

impl Table {
    /// The table the binary ships.
    pub(super) fn embedded() -> &'static Self {
        static TABLE: LazyLock<Table> = LazyLock::new(|| {
            Table::parse(include_str!("../../content/taxonomy/ocsf.toml"))
                .expect("a test loads the same embedded file and finds no error")
        });
        &TABLE
    }

    /// Reads a table; the error says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        let maps = file
            .map
            .iter()
            .map(|(name, map)| Ok((name.as_str(), fields(map)?)))
            .collect::<Result<BTreeMap<_, _>, String>>()?;
        let entries = file.entry.into_iter().map(|e| entry(e, &maps, &file.class)).collect::<Result<_, String>>()?;
        if !file.class.contains_key(BASE) {
            return Err(format!("no class `{BASE}`"));
        }
        if let Some(unknown) = file.severity.iter().flat_map(|by| by.values.values()).find(|id| !(1..=6).contains(*id))
        {
            return Err(format!("no severity `{unknown}`"));
        }
        Ok(Self {
            common: maps.get(COMMON).cloned().unwrap_or_default(),
            classes: file.class,
            objects: file.object,
            entries,
            base: Entry {
                kinds: Vec::new(),
                conditions: BTreeMap::new(),
                class: BASE.to_owned(),
                activity: 99,
                activity_by: None,
                fields: Vec::new(),
                set: Vec::new(),
            },
            severities: file.severity,
        })
    }

    /// The entry for an event of the kind called `kind`.
    pub(super) fn entry(&self, kind: &str, lookup: &Lookup<'_>) -> Option<&Entry> {
        self.entries.iter().find(|e| e.is_for(kind, lookup))
    }

    /// The entries for events of the kind called `kind`, whatever their fields.
    pub(super) fn entries_for(&self, kind: &str) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.kinds.iter().any(|pattern| fits(pattern, kind)))
    }

    /// Every field that some entry looks at, by the names that rules use.
    pub(super) fn all_fields(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .flat_map(|entry| {
                let own = entry.fields.iter().flat_map(|field| field.sources.iter().map(String::as_str));
                let by = entry.activity_by.as_ref().map(|by| by.field.as_str());
                own.chain(entry.conditions.keys().map(String::as_str)).chain(by)
            })
            .chain(self.common.iter().flat_map(|field| field.sources.iter().map(String::as_str)))
            .chain(self.severities.iter().map(|by| by.field.as_str()))
    }

    /// What may say how severe events of the kind called `kind` are, best first.
    pub(super) fn severities_for(&self, kind: &str) -> impl Iterator<Item = &Severity> {
        self.severities.iter().filter(move |by| by.kinds.iter().any(|pattern| fits(pattern, kind)))
    }

    /// How severe an event of the kind called `kind` says it is.
    pub(super) fn severity(&self, kind: &str, lookup: &Lookup<'_>) -> u8 {
        let said = self.severities_for(kind).find_map(|by| {
            let (_, value) = lookup.value(&by.field)?;
            by.values.iter().find(|(pattern, _)| fits(pattern, &value)).map(|(_, severity)| *severity)
        });
        said.unwrap_or(INFORMATIONAL)
    }

    /// What the object called `name` needs: all of the first, one of the second.
    pub(super) fn needs(&self, name: &str) -> Option<(&[String], &[String])> {
        self.objects.get(name).map(|object| (object.required.as_slice(), object.any.as_slice()))
    }

    /// The class of an entry.
    pub(super) fn class(&self, name: &str) -> &Class {
        self.classes.get(name).unwrap_or_else(|| self.base())
    }

    /// The class for everything else.
    pub(super) fn base(&self) -> &Class {
        &self.classes[BASE]
    }

    /// The entry for everything else.
    pub(super) fn base_entry(&self) -> &Entry {
        &self.base
    }

    /// The fields of `entry` and the common ones.
    pub(super) fn fields<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = &'a Field> {
        entry.fields.iter().chain(&self.common)
    }

    /// Attributes that an object must have and that nobody knows: the type of a device, the direction of a connection.
    pub(super) const COMPLETED: &[(&str, &str)] =
        &[("device", "device.type_id"), ("connection_info", "connection_info.direction_id")];

    /// Adds the attributes of [`Table::COMPLETED`] to objects that are there.
    pub(super) fn complete(tree: &mut Map<String, Json>) {
        for (object, path) in Self::COMPLETED {
            let attribute = path.rsplit('.').next().unwrap_or(path);
            if let Some(Json::Object(found)) = tree.get_mut(*object) {
                found.entry(attribute).or_insert_with(|| 0.into());
            }
        }
    }

    /// Removes objects that lack what they require, the innermost first.
    pub(super) fn prune(&self, tree: &mut Map<String, Json>) {
        let names: Vec<String> = tree.keys().cloned().collect();
        for name in names {
            let Some(Json::Object(inner)) = tree.get_mut(&name) else {
                continue;
            };
            self.prune(inner);
            let whole = match self.objects.get(&name) {
                Some(needs) => has(inner, &needs.required, &needs.any),
                None => !inner.is_empty(),
            };
            if !whole {
                tree.remove(&name);
            }
        }
    }
}

fn fields(map: &BTreeMap<String, String>) -> Result<Vec<Field>, String> {
    map.iter().map(|(path, text)| Field::parse(path, text)).collect()
}

fn entry(
    file: FileEntry,
    maps: &BTreeMap<&str, Vec<Field>>,
    classes: &BTreeMap<String, Class>,
) -> Result<Entry, String> {
    if !classes.contains_key(&file.class) {
        return Err(format!("no class `{}`", file.class));
    }
    let mut own = fields(&file.fields)?;
    for name in &file.uses {
        let map = maps.get(name.as_str()).ok_or_else(|| format!("no map `{name}`"))?;
        own.extend(map.iter().cloned());
    }
    Ok(Entry {
        kinds: file.kinds,
        conditions: file.conditions,
        class: file.class,
        activity: file.activity,
        activity_by: file.activity_by,
        fields: own,
        set: file.set.into_iter().map(|(p, v)| (p, v.into())).collect(),
    })
}

/// Two paths, each of which may be empty, as one.
pub(super) fn join(first: &str, second: &str) -> String {
    match (first, second) {
        ("", path) | (path, "") => path.to_owned(),
        _ => format!("{first}.{second}"),
    }
}

/// What stands at `path`.
pub(super) fn get<'a>(tree: &'a Map<String, Json>, path: &str) -> Option<&'a Json> {
    match path.split_once('.') {
        None => tree.get(path),
        Some((first, rest)) => get(tree.get(first)?.as_object()?, rest),
    }
}

/// Whether the object that would hold `path` is there.
pub(super) fn parent_exists(tree: &Map<String, Json>, path: &str) -> bool {
    path.rsplit_once('.').is_none_or(|(parent, _)| get(tree, parent).is_some())
}
