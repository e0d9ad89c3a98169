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
    /// The member that lists pairs of names and values, each of which is a member itself; see [`PairPart`].
    pub(super) pairs: Option<String>,
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
/// How converters from XML to JSON write the attributes of an element.
const XML_ATTRIBUTE: &str = ".@";
/// How both write the text of an XML element that also has attributes.
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

    /// What the value with a dotted name is to a list of pairs.
    pub(super) fn pair_part(&self, dotted: &str) -> Option<PairPart> {
        self.envelopes.iter().find_map(|envelope| envelope.pair_part(dotted))
    }
}

/// What a value is to a list of pairs such as `"Data": [{"@Name": "Image", "#text": "x"}]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairPart {
    /// The list, or its only pair.
    List,
    /// The name in a pair.
    Name,
    /// The value in a pair.
    Value,
}

impl PairPart {
    fn of_member(rest: &str) -> Option<Self> {
        match rest {
            "#attributes.Name" | "@Name" | "Name" => Some(Self::Name),
            "#text" | "Value" => Some(Self::Value),
            _ => None,
        }
    }
}

impl Envelope {
    /// What a member is to the pairs of this envelope.
    fn pair_part(&self, dotted: &str) -> Option<PairPart> {
        let rest = dotted.strip_prefix(&self.prefix)?.strip_prefix(self.pairs.as_deref()?)?;
        if rest.is_empty() { Some(PairPart::List) } else { PairPart::of_member(rest.strip_prefix('.')?) }
    }

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
        let mut name = rest.replace(&format!(".{ATTRIBUTES}"), "_");
        for attribute in [SEPARATE_ATTRIBUTES, XML_ATTRIBUTE] {
            name = name.replace(attribute, "_");
        }
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
