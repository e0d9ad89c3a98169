//! What a rule writer should know beyond what keeps a rule from being used: `khien rules check`.

pub mod lint;

use std::collections::HashSet;

use khien_base::message::Message;
use khien_event::attack;
use khien_event::taxonomy::Taxonomy;
use rsigma_parser::LintRule;

use crate::reasons;
use crate::rule::load::{Problem, RuleSet, Severity};
use crate::rule::{Expr, Item, Part, Rule, Test};
use crate::scope::is_known;

/// Tactics of ATT&CK as Sigma tags write them (tags appendix 2.1).
const TACTICS: [&str; 15] = [
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "stealth",
    "defense-impairment",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
];

/// Findings of the parser's linter that are taste, or that the loader and this module say better.
const NOT_REPORTED: [LintRule; 12] = [
    LintRule::YamlParseError,
    LintRule::NotAMapping,
    LintRule::MissingDescription,
    LintRule::MissingAuthor,
    LintRule::InvalidId,
    LintRule::ConditionReferencesUnknown,
    LintRule::DeprecatedAggregationSyntax,
    LintRule::IncompatibleModifiers,
    LintRule::NullInValueList,
    LintRule::UnknownRuleReference,
    LintRule::AllWithRe,
    LintRule::UnknownKey,
];

/// What the text of a rule file breaks of the specification's rules for metadata.
pub fn check_text(file: &str, text: &str) -> Vec<Problem> {
    rsigma_parser::lint_yaml_str(text)
        .into_iter()
        .filter(|w| !NOT_REPORTED.contains(&w.rule))
        .filter(|w| matches!(w.severity, rsigma_parser::Severity::Error | rsigma_parser::Severity::Warning))
        .map(|w| Problem {
            file: file.to_owned(),
            line: w.span.map_or(1, |s| s.start_line + 1),
            severity: Severity::Warning,
            rule: None,
            title: None,
            reason: lint::message(w.rule, &w.message),
            hint: w.fix.map(|f| reasons::hint_linter(f.title)),
        })
        .collect()
}

/// What is doubtful about rules that can be used.
pub fn check_rules(set: &RuleSet, taxonomy: &Taxonomy) -> Vec<Problem> {
    set.rules.iter().flat_map(|r| Checker::new(r).run(taxonomy)).collect()
}

/// Problems of loading, texts and rules together, each line and reason once, in the order of files and lines. A line of
/// which the loader complained gets no second complaint from the linter.
pub fn merge(set: &RuleSet, texts: Vec<Problem>, rules: Vec<Problem>) -> Vec<Problem> {
    let taken: HashSet<(&str, u32)> = set.problems.iter().map(|p| (p.file.as_str(), p.line)).collect();
    let texts = texts.into_iter().filter(|p| !taken.contains(&(p.file.as_str(), p.line)));
    let mut all: Vec<Problem> = set.problems.iter().cloned().chain(texts).chain(rules).collect();
    all.sort_by(|a, b| (&a.file, a.line, a.reason.to_string()).cmp(&(&b.file, b.line, b.reason.to_string())));
    all.dedup_by(|a, b| (&a.file, a.line, &a.reason) == (&b.file, b.line, &b.reason));
    all
}

/// Looks at one rule.
struct Checker<'a> {
    rule: &'a Rule,
    found: Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn new(rule: &'a Rule) -> Self {
        Self { rule, found: Vec::new() }
    }

    fn run(mut self, taxonomy: &Taxonomy) -> Vec<Problem> {
        self.metadata();
        self.log_source(taxonomy);
        for tag in &self.rule.tags {
            if let Some(reason) = tag_problem(tag) {
                self.say(reason, None);
            }
        }
        let rule = self.rule;
        self.expression(&rule.condition);
        self.found
    }

    fn say(&mut self, reason: Message, hint: Option<Message>) {
        self.found.push(Problem {
            file: self.rule.origin.file.clone(),
            line: self.rule.origin.line,
            severity: Severity::Warning,
            rule: Some(self.rule.id.clone()),
            title: Some(self.rule.title.clone()),
            reason,
            hint,
        });
    }

    fn metadata(&mut self) {
        // The rule of an old aggregation carries the id with an ending.
        let id = self.rule.id.split(':').next().unwrap_or_default();
        if id.starts_with("rule-") || self.rule.name.as_deref() == Some(id) {
            self.say(reasons::no_id(), Some(reasons::hint_random_uuid()));
        } else if !is_uuid(id) {
            self.say(reasons::id_no_uuid(id), Some(reasons::hint_random_uuid()));
        }
        if self.rule.status.is_none() {
            self.say(reasons::no_status(), None);
        }
        if self.rule.title.trim().is_empty() {
            self.say(reasons::no_title(), None);
        }
    }

    fn log_source(&mut self, taxonomy: &Taxonomy) {
        if !is_known(&self.rule.logsource, taxonomy) {
            let source = &self.rule.logsource;
            let parts = [("product", &source.product), ("category", &source.category), ("service", &source.service)];
            let text: Vec<String> =
                parts.into_iter().filter_map(|(name, part)| part.as_ref().map(|p| format!("{name} {p}"))).collect();
            let reason = reasons::unknown_logsource(text.join(", "));
            self.say(reason, None);
        }
    }

    fn expression(&mut self, expr: &Expr) {
        match expr {
            Expr::And(list) | Expr::Or(list) | Expr::AtLeast(_, list) => {
                for part in list {
                    self.expression(part);
                }
            }
            Expr::Not(inner) | Expr::Named(_, inner) => self.expression(inner),
            Expr::Item(item) => self.item(item),
        }
    }

    fn item(&mut self, item: &Item) {
        let field = item.field.as_deref().unwrap_or("keywords");
        let mut seen = HashSet::new();
        for test in &item.tests {
            let text = crate::explain::describe(test);
            if let Test::Regex(pattern) = test
                && starts_anywhere(&pattern.text)
            {
                self.say(reasons::leading_any(field), Some(reasons::hint_no_leading_any()));
            }
            if let Test::Text(parts, _) = test
                && parts.as_slice() == [Part::Any]
            {
                self.say(reasons::lone_wildcard(field), Some(reasons::hint_exists()));
            }
            if !seen.insert(crate::text::fold(&text)) {
                self.say(reasons::repeated_value(field, &text), None);
            }
        }
    }
}

fn starts_anywhere(pattern: &str) -> bool {
    let rest = match pattern.strip_prefix("(?").and_then(|p| p.split_once(')')) {
        Some((flags, rest)) if flags.chars().all(|c| matches!(c, 'i' | 'm' | 's')) => rest,
        _ => pattern,
    };
    rest.starts_with(".*") || rest.starts_with("^.*")
}

fn is_uuid(id: &str) -> bool {
    let groups: Vec<&str> = id.split('-').collect();
    groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|g| g.chars().all(|c| c.is_ascii_hexdigit()))
}

/// What is wrong with a tag of the namespace `attack`.
fn tag_problem(tag: &str) -> Option<Message> {
    let value = tag.strip_prefix("attack.")?;
    let digits = |text: &str, n: usize| text.len() == n && text.chars().all(|c| c.is_ascii_digit());
    let technique = value.strip_prefix('t').is_some_and(|t| match t.split_once('.') {
        Some((main, sub)) => digits(main, 4) && digits(sub, 3),
        None => digits(t, 4),
    });
    let numbered = |prefix| value.strip_prefix(prefix).is_some_and(|n| digits(n, 4));
    let tactic = TACTICS.contains(&value.replace('_', "-").as_str()) || value == "impact";
    let other = ["ds", "m", "c"].into_iter().any(numbered);
    if technique {
        let known = !matches!(attack::reference(tag), Some(attack::Reference::Technique { name: None, .. }));
        (!known).then(|| reasons::unknown_technique(value.to_ascii_uppercase()))
    } else if numbered("g") || numbered("s") || tactic || other {
        None
    } else {
        Some(reasons::bad_attack_tag(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::load::{Loader, Placeholders};

    fn reasons(text: &str) -> Vec<String> {
        let mut loader = Loader::new(Placeholders::default());
        loader.add_file("t", text);
        let set = loader.finish();
        let found = merge(&set, check_text("t", text), check_rules(&set, Taxonomy::embedded()));
        found.into_iter().map(|p| p.reason.to_string()).collect()
    }

    const GOOD: &str = "title: A good rule\nid: 929a690e-bef0-4204-a928-ef5e620d6fcc\nstatus: test\ndescription: Says what it finds.\nauthor: somebody\ndate: 2026-01-02\ntags:\n  - attack.execution\n  - attack.t1059.001\nlogsource:\n  category: process_creation\n  product: windows\ndetection:\n  selection:\n    Image|endswith: \\a.exe\n  condition: selection\nlevel: high\n";

    #[test]
    fn a_good_rule_is_left_alone() {
        assert_eq!(reasons(GOOD), Vec::<String>::new());
    }

    #[test]
    fn each_doubt_is_told_once() {
        for (from, to, word) in [
            ("id: 929a690e-bef0-4204-a928-ef5e620d6fcc\n", "", "no id"),
            ("929a690e", "929a690", "no UUID"),
            ("status: test\n", "", "status"),
            ("attack.t1059.001", "attack.t10", "attack.t10"),
            ("attack.execution", "attack.exekution", "exekution"),
            ("Image|endswith: \\a.exe", "Image: [a, A]", "twice"),
            ("Image|endswith: \\a.exe", "Image|re: .*a", "begins with"),
            ("Image|endswith: \\a.exe", "Image: '*'", "whatever"),
            ("level: high\n", "", "level"),
        ] {
            let found = reasons(&GOOD.replace(from, to));
            let hits = found.iter().filter(|r| r.contains(word)).count();
            assert!(hits >= 1 && found.len() <= 2, "{word}: {found:?}");
        }
    }

    #[test]
    fn tags_of_attack_have_forms() {
        for good in [
            "attack.t1059",
            "attack.g0001",
            "attack.s0002",
            "attack.impact",
            "attack.defense_evasion",
            "cve.2024-1",
            "tlp.red",
        ] {
            assert_eq!(tag_problem(good), None, "{good}");
        }
        for wrong in ["attack.T1059", "attack.t1059.1", "attack.", "attack.g1", "attack.t9999", "attack.t1059.999"] {
            assert!(tag_problem(wrong).is_some(), "{wrong}");
        }
    }
}
