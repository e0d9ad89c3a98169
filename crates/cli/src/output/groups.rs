//! Findings put together by rule, for the table.

use std::collections::HashMap;

use khien_detect::finding::{Finding, Head, Source};

use super::Counts;
use crate::safe;

/// Most rules and indicators the table tells of.
pub const GROUPS: usize = 10_000;

/// Most sample events of one rule.
pub const SAMPLES: usize = 3;

/// Most matched fields of one sample.
const FIELDS: usize = 6;

/// Most events of a correlation that are named.
const EVIDENCE: usize = 4;

/// Longest value that is kept, in characters.
const VALUE: usize = 300;

/// Findings by rule, in the order of the first finding of each.
#[derive(Debug, Default)]
pub struct Groups {
    list: Vec<Group>,
    by_id: HashMap<String, usize>,
    /// Findings of rules that found no place.
    pub beyond: Counts,
}

/// The findings of one rule.
#[derive(Clone, Debug)]
pub struct Group {
    /// The rule.
    pub head: Head,
    /// How many.
    pub count: u64,
    /// Time of the earliest event, in nanoseconds since 1970.
    pub first_ns: Option<i64>,
    /// Time of the latest.
    pub last_ns: Option<i64>,
    /// The first few events in the order of the input.
    pub samples: Vec<Sample>,
}

/// An event of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Index of the input.
    pub file: u32,
    /// Position in it.
    pub position: u64,
    /// Fields that matched, and their values, safe to show.
    pub fields: Vec<(String, String)>,
    /// Input and position of the first events that led to a correlation.
    pub evidence: Vec<(u32, u64)>,
    /// How many more there are.
    pub more_evidence: u64,
}

impl Groups {
    /// The groups.
    pub fn list(&self) -> &[Group] {
        &self.list
    }

    /// Counts a finding on an event of input `file`.
    pub fn add(&mut self, file: u32, finding: &Finding<'_>) {
        let index = match self.by_id.get(&finding.head.id) {
            Some(&index) => index,
            None => self.insert(Group {
                head: finding.head.clone(),
                count: 0,
                first_ns: None,
                last_ns: None,
                samples: Vec::new(),
            }),
        };
        let group = &mut self.list[index];
        group.count += 1;
        group.first_ns = earliest(group.first_ns, finding.time_ns);
        group.last_ns = group.last_ns.max(finding.time_ns);
        if group.samples.len() < SAMPLES {
            group.samples.push(sample(file, finding));
        }
    }

    fn insert(&mut self, group: Group) -> usize {
        self.by_id.insert(group.head.id.clone(), self.list.len());
        self.list.push(group);
        self.list.len() - 1
    }

    /// Takes over the groups of the block that follows. Only here is the number of groups bounded: a block is bounded by
    /// itself, and the order of blocks does not depend on threads.
    pub fn merge(&mut self, next: &mut Self) {
        for group in next.list.drain(..) {
            match self.by_id.get(&group.head.id) {
                Some(&index) => self.list[index].merge(group),
                None if self.list.len() < GROUPS => {
                    self.insert(group);
                }
                None => self.beyond.0[group.head.level as usize] += group.count,
            }
        }
        next.by_id.clear();
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.list.clear();
        self.by_id.clear();
        self.beyond = Counts::default();
    }
}

impl Group {
    fn merge(&mut self, next: Self) {
        self.count += next.count;
        self.first_ns = earliest(self.first_ns, next.first_ns);
        self.last_ns = self.last_ns.max(next.last_ns);
        let room = SAMPLES.saturating_sub(self.samples.len());
        self.samples.extend(next.samples.into_iter().take(room));
    }
}

/// The earlier of two times, where an unknown one does not count.
fn earliest(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (known, None) | (None, known) => known,
    }
}

fn sample(file: u32, finding: &Finding<'_>) -> Sample {
    let mut fields: Vec<(String, String)> = Vec::new();
    for matched in finding.matched {
        if fields.len() >= FIELDS {
            break;
        }
        // A keyword is found anywhere in an event, so the whole event says more.
        if matched.field == "keyword" && matched.json == "null" {
            continue;
        }
        let name = safe::line(matched.field).into_owned();
        let value = shown(matched.json);
        if !fields.iter().any(|(n, v)| *n == name && *v == value) {
            fields.push((name, value));
        }
    }
    if fields.is_empty() && finding.head.source != Source::Correlation {
        let record = String::from_utf8_lossy(finding.raw.get(..VALUE * 4).unwrap_or(finding.raw));
        fields.push((String::new(), cut(&record)));
    }
    Sample {
        file,
        position: finding.position,
        fields,
        evidence: finding.evidence.iter().take(EVIDENCE).map(|e| (e.file, e.position)).collect(),
        more_evidence: finding.evidence.len().saturating_sub(EVIDENCE) as u64,
    }
}

/// A JSON value as people write it: text without quotes, several texts one after the other, anything else as it stands.
fn shown(json: &str) -> String {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Texts {
        One(String),
        Several(Vec<String>),
    }
    match serde_json::from_str(json) {
        Ok(Texts::One(text)) => cut(&text),
        Ok(Texts::Several(texts)) => cut(&texts.join(", ")),
        Err(_) => cut(json),
    }
}

fn cut(text: &str) -> String {
    let short: String = text.chars().take(VALUE).collect();
    safe::line(&short).into_owned()
}

#[cfg(test)]
mod tests {
    use khien_detect::finding::Matched;
    use khien_detect::rule::Level;

    use super::*;
    use crate::output::sample::{finding, head};

    fn groups(ids: &[&str]) -> Groups {
        let mut groups = Groups::default();
        for (i, id) in (0_i64..).zip(ids) {
            let head = head(id, Level::Low, &[]);
            let mut finding = finding(&head, b"{}", &[], &[]);
            finding.time_ns = (i != 1).then_some(100 - i);
            finding.position = i as u64;
            groups.add(0, &finding);
        }
        groups
    }

    #[test]
    fn where_blocks_are_cut_makes_no_difference() {
        let ids = ["a", "b", "a", "a", "c", "a", "b"];
        let whole = groups(&ids);
        let mut parts = Groups::default();
        parts.merge(&mut groups(&ids));
        assert_eq!(format!("{:?}", whole.list), format!("{:?}", parts.list));
        let a = &parts.list[0];
        assert_eq!((a.count, a.first_ns, a.last_ns, a.samples.len()), (4, Some(95), Some(100), 3));
        let b = &parts.list[1];
        assert_eq!((b.first_ns, b.last_ns), (Some(94), Some(94)));
    }

    #[test]
    fn more_rules_than_there_is_room_for_are_counted() {
        let ids: Vec<String> = (0..GROUPS + 5).map(|i| i.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut all = Groups::default();
        all.merge(&mut groups(&ids));
        assert_eq!((all.list().len(), all.beyond.total()), (GROUPS, 5));
    }

    #[test]
    fn values_are_read_and_made_safe() {
        let head = head("a", Level::Low, &[]);
        let long = format!("\"{}\"", "ă".repeat(1_000));
        let matched = [
            Matched { field: "A", json: "\"x\\u001b[2Jy\"" },
            Matched { field: "B", json: "[1,2]" },
            Matched { field: "C", json: &long },
        ];
        let sample = sample(0, &finding(&head, b"", &matched, &[]));
        assert_eq!(sample.fields[0].1, "x\\x1b[2Jy");
        assert_eq!(sample.fields[1].1, "[1,2]");
        assert_eq!(sample.fields[2].1.chars().count(), VALUE);
    }
}
