//! MITRE ATT&CK: what the tags of a rule (`attack.t1059.001`, `attack.execution`) are called.
//!
//! The names come from `content/attack.tsv`. Rules may be newer than the table: an id that looks like a technique, or a
//! word that is no tactic of the table, is still understood, only without what the table would add.

use std::sync::LazyLock;

use hashbrown::HashMap;

/// The table: id, name, tactics divided by commas.
const TABLE: &str = include_str!("../content/attack.tsv");

/// What a tag refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A tactic.
    Tactic {
        /// `TA0002`; `None` when the table does not know it.
        id: Option<&'static str>,
        /// `Execution`
        name: String,
        /// `execution`
        short_name: String,
    },
    /// A technique or sub-technique.
    Technique {
        /// `T1059` or `T1059.001`
        id: String,
        /// `PowerShell`; `None` when the table does not know it.
        name: Option<&'static str>,
        /// Id and name of the technique that a sub-technique belongs to.
        parent: Option<(String, Option<&'static str>)>,
        /// Short names of the tactics it serves; empty when the table does not know it.
        tactics: Vec<&'static str>,
    },
}

impl Reference {
    /// The id, where there is one.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Tactic { id, .. } => *id,
            Self::Technique { id, .. } => Some(id),
        }
    }

    /// The name, or the id when the name is unknown.
    pub fn name(&self) -> &str {
        match self {
            Self::Tactic { name, .. } => name,
            Self::Technique { id, name, .. } => name.unwrap_or(id),
        }
    }
}

/// What the tag of a rule refers to: `attack.t1059.001`, `attack.execution`, `attack.command_and_control`, in any case.
/// `None` for tags of other name spaces and for groups, software and data sources (`attack.g0007`, `attack.s0002`).
pub fn reference(tag: &str) -> Option<Reference> {
    let tag = tag.trim().to_ascii_lowercase();
    let rest = tag.strip_prefix("attack.")?;
    if is_technique(rest) {
        return Some(technique(&rest.to_ascii_uppercase()));
    }
    let short_name = rest.replace('_', "-");
    let is_name = short_name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    if let Some(row) = table().tactics.get(short_name.as_str()) {
        return Some(Reference::Tactic { id: Some(row.id), name: row.name.to_owned(), short_name });
    }
    if let Some(row) = table().rows.get(rest.to_ascii_uppercase().as_str()) {
        // attack.ta0002
        return Some(Reference::Tactic {
            id: Some(row.id),
            name: row.name.to_owned(),
            short_name: row.tactics.to_owned(),
        });
    }
    (is_name && !short_name.is_empty()).then(|| Reference::Tactic { id: None, name: titled(&short_name), short_name })
}

/// `t` and four digits, perhaps a dot and three more.
fn is_technique(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('t') else {
        return false;
    };
    let (main, sub) = digits.split_once('.').unwrap_or((digits, "000"));
    let number = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
    number(main, 4) && number(sub, 3)
}

fn technique(id: &str) -> Reference {
    let row = table().rows.get(id);
    let parent = id.split_once('.').map(|(main, _)| {
        let name = table().rows.get(main).map(|r| r.name);
        (main.to_owned(), name)
    });
    Reference::Technique {
        id: id.to_owned(),
        name: row.map(|r| r.name),
        parent,
        tactics: row.map(|r| r.tactics.split(',').filter(|t| !t.is_empty()).collect()).unwrap_or_default(),
    }
}

/// `initial-access` as `Initial Access`.
fn titled(short_name: &str) -> String {
    let words = short_name.split('-').map(|word| {
        let mut chars = word.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ")
}

struct Row {
    id: &'static str,
    name: &'static str,
    tactics: &'static str,
}

type Index = HashMap<&'static str, Row, foldhash::fast::FixedState>;

struct Table {
    /// By id.
    rows: Index,
    /// Tactics by short name.
    tactics: Index,
}

fn table() -> &'static Table {
    static READ: LazyLock<Table> = LazyLock::new(|| {
        let mut read = Table { rows: Index::default(), tactics: Index::default() };
        for (id, name, tactics) in rows() {
            read.rows.insert(id, Row { id, name, tactics });
            if id.starts_with("TA") {
                read.tactics.insert(tactics, Row { id, name, tactics });
            }
        }
        read
    });
    &READ
}

fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    TABLE.lines().filter(|l| !l.starts_with('#')).filter_map(|l| {
        let mut cells = l.split('\t');
        Some((cells.next()?, cells.next()?, cells.next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let lines = TABLE.lines().filter(|l| !l.starts_with('#')).count();
        assert_eq!(rows().count(), lines);
        assert!(lines > 800);
        assert!(TABLE.contains("(c) 2025 The MITRE Corporation."));
        for (id, name, tactics) in rows() {
            assert!(!name.is_empty(), "{id}");
            for tactic in tactics.split(',').filter(|t| !t.is_empty()) {
                assert!(table().tactics.contains_key(tactic), "{id} {tactic}");
            }
        }
    }

    #[test]
    fn tags_are_understood() {
        let found = reference("attack.T1059.001").unwrap();
        assert_eq!((found.id(), found.name()), (Some("T1059.001"), "PowerShell"));
        let Reference::Technique { parent, tactics, .. } = found else {
            panic!("a technique");
        };
        assert_eq!(parent, Some(("T1059".into(), Some("Command and Scripting Interpreter"))));
        assert_eq!(tactics, ["execution"]);
        for tag in ["attack.command-and-control", "attack.command_and_control", "ATTACK.TA0011"] {
            let found = reference(tag).unwrap();
            assert_eq!((found.id(), found.name()), (Some("TA0011"), "Command and Control"), "{tag}");
        }
    }

    #[test]
    fn what_is_newer_than_the_table_keeps_its_id() {
        let found = reference("attack.t9999.001").unwrap();
        assert_eq!((found.id(), found.name()), (Some("T9999.001"), "T9999.001"));
        let found = reference("attack.some-tactic").unwrap();
        assert_eq!((found.id(), found.name()), (None, "Some Tactic"));
    }

    #[test]
    fn other_tags_are_not() {
        for tag in ["attack.g0007", "attack.s0002", "attack.", "cve.2024-1", "attack.t12", ""] {
            assert_eq!(reference(tag), None, "{tag}");
        }
    }
}
