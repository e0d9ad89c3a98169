//! From the path of a value to its canonical name.

use std::borrow::Cow;

use hashbrown::HashMap;

/// An envelope: what stands around the fields of an event and is cut off their names.
#[derive(Debug)]
pub(super) struct Envelope {
    /// The front that is cut off, with its last dot.
    pub(super) prefix: String,
    /// Put in front of a member's name where the name alone would be taken for something else.
    pub(super) guard: String,
    /// Whether one more segment stands between the prefix and the names (the named element of `UserData`).
    pub(super) skip: bool,
    /// Whether names have their first letter capitalised.
    pub(super) capitalise: bool,
    /// Names that get the guard.
    pub(super) reserved: Vec<String>,
}

/// Renames and envelopes.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    renames: HashMap<String, String, foldhash::fast::FixedState>,
    envelopes: Vec<Envelope>,
}

/// How `evtx_dump` writes the attributes of an XML element.
const ATTRIBUTES: &str = "#attributes.";
/// The same in its form with separate attributes.
const SEPARATE_ATTRIBUTES: &str = "_attributes.";
/// How `evtx_dump` writes the text of an XML element that also has attributes.
const TEXT: &str = ".#text";

impl NameTable {
    /// Adds a rename of a whole dotted name.
    pub(super) fn rename(&mut self, from: String, to: String) {
        self.renames.insert(from, to);
    }

    /// Adds an envelope.
    pub(super) fn add(&mut self, envelope: Envelope) {
        self.envelopes.push(envelope);
    }

    /// The canonical name of a dotted name: see [`super::Taxonomy::canonical`].
    pub(super) fn canonical<'a>(&self, dotted: &'a str) -> Cow<'a, str> {
        if let Some(to) = self.renames.get(dotted) {
            return Cow::Owned(to.clone());
        }
        let envelope = self.envelopes.iter().find(|e| dotted.len() > e.prefix.len() && dotted.starts_with(&e.prefix));
        match envelope {
            Some(envelope) => Cow::Owned(without_spaces(&envelope.strip(dotted)).into_owned()),
            None => without_spaces(dotted),
        }
    }
}

impl Envelope {
    /// The name of a member whose dotted name starts with the prefix and goes on.
    fn strip(&self, dotted: &str) -> String {
        let Some(mut rest) = dotted.strip_prefix(&self.prefix) else {
            return dotted.to_owned();
        };
        if self.skip {
            match rest.split_once('.') {
                // The attributes of the element itself, in the separate form.
                Some((element, attribute)) if element.ends_with("_attributes") => {
                    return format!("{}_{attribute}", self.guard);
                }
                Some((_, member)) => rest = member,
                // The element itself.
                None => return dotted.to_owned(),
            }
        }
        if let Some(attribute) = rest.strip_prefix(ATTRIBUTES) {
            return format!("{}_{attribute}", self.guard);
        }
        let mut name = rest.replace(&format!(".{ATTRIBUTES}"), "_").replace(SEPARATE_ATTRIBUTES, "_");
        if let Some(text) = name.strip_suffix(TEXT) {
            name.truncate(text.len());
        }
        if self.capitalise {
            name = capitalised(&name);
        }
        if self.reserved.contains(&name) {
            return format!("{}.{name}", self.guard);
        }
        name
    }
}

/// `name` with its first letter in upper case.
fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// `name` without ASCII spaces: Windows Defender calls a field `Threat Name`, rules call it `ThreatName`.
fn without_spaces(name: &str) -> Cow<'_, str> {
    if name.contains(' ') { Cow::Owned(name.replace(' ', "")) } else { Cow::Borrowed(name) }
}
