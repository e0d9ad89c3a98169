//! ATT&CK names for the tags of rules. The table is `khien_event`'s.

use khien_event::attack::{Reference, reference};
use serde::Serialize;

/// A tactic or technique that a tag names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attack {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// `TA0002`, `T1059.001`; none for a tactic that is newer than the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name, when it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What an [`Attack`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Why an attacker does something.
    Tactic,
    /// How.
    Technique,
}

impl Attack {
    /// For people: `Execution`, `T1059.001 PowerShell`, and the id alone where the name is unknown.
    pub fn words(&self) -> String {
        match (self.kind, &self.id, &self.name) {
            (Kind::Technique, Some(id), Some(name)) => format!("{id} {name}"),
            (_, _, Some(name)) => name.clone(),
            (_, id, None) => id.clone().unwrap_or_default(),
        }
    }
}

/// What the `attack.` tags among `tags` mean, in their order. Groups and software are not listed.
pub fn of_tags(tags: &[String]) -> Vec<Attack> {
    tags.iter().filter_map(|tag| reference(tag)).map(Attack::from).collect()
}

/// The ATT&CK part of `tags` for people: `Execution; T1059.001 PowerShell`.
pub fn words(tags: &[String]) -> String {
    of_tags(tags).iter().map(Attack::words).collect::<Vec<_>>().join("; ")
}

impl From<Reference> for Attack {
    fn from(reference: Reference) -> Self {
        match reference {
            Reference::Tactic { id, name, .. } => {
                Self { kind: Kind::Tactic, id: id.map(str::to_owned), name: Some(name) }
            }
            Reference::Technique { id, name, .. } => {
                Self { kind: Kind::Technique, id: Some(id), name: name.map(str::to_owned) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_names() {
        let tags = [
            "attack.execution",
            "attack.defense_evasion",
            "attack.stealth",
            "attack.T1059.001",
            "attack.t9999",
            "attack.newer",
            "attack.g0010",
            "cve.2024-1",
            "attack.t10",
        ];
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        assert_eq!(words(&tags), "Execution; Defense Evasion; Stealth; T1059.001 PowerShell; T9999; Newer");
        let json = serde_json::to_string(&of_tags(&tags[5..6])).unwrap();
        assert_eq!(json, r#"[{"type":"tactic","name":"Newer"}]"#);
    }
}
