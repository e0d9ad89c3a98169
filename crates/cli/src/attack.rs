//! ATT&CK names for the tags of rules.

use serde::Serialize;

/// Where the names of techniques come from.
pub trait Techniques: Send + Sync {
    /// The name of technique `id` (`T1059`, `T1059.001`), if it is known.
    fn name(&self, id: &str) -> Option<&str>;
}

/// A table without techniques: they are shown by their id.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTechniques;

impl Techniques for NoTechniques {
    fn name(&self, _id: &str) -> Option<&str> {
        None
    }
}

/// A tactic or technique that a tag names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attack {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// `TA0002`, `T1059.001`.
    pub id: String,
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
    /// The name, or the id where there is none.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }
}

/// The tactics of Enterprise ATT&CK: tag, id, name. <https://attack.mitre.org/tactics/enterprise/>
///
/// Names as in version 18; version 19 splits Defense Evasion into Stealth and Defense Impairment, which rules may already
/// name, so their tags are known too.
const TACTICS: &[(&str, &str, &str)] = &[
    ("reconnaissance", "TA0043", "Reconnaissance"),
    ("resource-development", "TA0042", "Resource Development"),
    ("initial-access", "TA0001", "Initial Access"),
    ("execution", "TA0002", "Execution"),
    ("persistence", "TA0003", "Persistence"),
    ("privilege-escalation", "TA0004", "Privilege Escalation"),
    ("defense-evasion", "TA0005", "Defense Evasion"),
    ("stealth", "TA0005", "Stealth"),
    ("credential-access", "TA0006", "Credential Access"),
    ("discovery", "TA0007", "Discovery"),
    ("lateral-movement", "TA0008", "Lateral Movement"),
    ("collection", "TA0009", "Collection"),
    ("command-and-control", "TA0011", "Command and Control"),
    ("exfiltration", "TA0010", "Exfiltration"),
    ("impact", "TA0040", "Impact"),
    ("defense-impairment", "TA0112", "Defense Impairment"),
];

/// What the `attack.` tags among `tags` mean, in their order. Groups and software are not listed.
pub fn of_tags(tags: &[String], techniques: &dyn Techniques) -> Vec<Attack> {
    tags.iter().filter_map(|tag| of_tag(tag, techniques)).collect()
}

fn of_tag(tag: &str, techniques: &dyn Techniques) -> Option<Attack> {
    let tag = tag.to_ascii_lowercase();
    let name = tag.strip_prefix("attack.")?;
    if is_technique(name) {
        let id = name.to_ascii_uppercase();
        let name = techniques.name(&id).map(str::to_owned);
        return Some(Attack { kind: Kind::Technique, id, name });
    }
    // Older rules write `defense_evasion`.
    let name = name.replace('_', "-");
    let (_, id, label) = TACTICS.iter().find(|(tag, id, _)| *tag == name || id.eq_ignore_ascii_case(&name))?;
    Some(Attack { kind: Kind::Tactic, id: (*id).to_owned(), name: Some((*label).to_owned()) })
}

/// Whether `name` is `t` and four digits, with `.` and three digits after it or not.
fn is_technique(name: &str) -> bool {
    let digits = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
    let Some(number) = name.strip_prefix('t') else {
        return false;
    };
    match number.split_once('.') {
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
        None => digits(number, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Techniques for One {
        fn name(&self, id: &str) -> Option<&str> {
            (id == "T1059.001").then_some("PowerShell")
        }
    }

    #[test]
    fn tags_become_names() {
        let tags = [
            "attack.execution",
            "attack.defense_evasion",
            "attack.T1059.001",
            "attack.t1003",
            "attack.g0010",
            "cve.2024-1",
            "attack.t10",
        ];
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        let found: Vec<String> = of_tags(&tags, &One).iter().map(|a| format!("{} {}", a.id, a.label())).collect();
        assert_eq!(found, ["TA0002 Execution", "TA0005 Defense Evasion", "T1059.001 PowerShell", "T1003 T1003"]);
    }
}
