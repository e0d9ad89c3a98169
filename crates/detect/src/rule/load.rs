//! Sigma YAML → [`Rule`]s: every modifier applied, every condition resolved, filters joined, references checked.
//!
//! A rule that cannot be used becomes a [`Problem`] with file, line and reason, and never stops the others. What the
//! specification leaves open is decided here so:
//! * A second rule with an id that is already taken is not loaded: as a warning when both say the same, else an error.
//! * A filter is joined to its rules with `and` (as in pySigma and rsigma), so filters are written `not selection`.
//! * A correlation without `generate: true` silences the rules it refers to, whoever else refers to them.
//! * A rule without `logsource` is used on every event, with a warning.
//! * `neq` is the negation of its whole item, so it holds for an absent field (pySigma).

mod aggregation;
mod detection;
mod documents;
mod filter;
mod item;
mod lines;
mod pattern;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use khien_base::message::Message;
use khien_event::taxonomy::LogSource;
use rsigma_parser::{CorrelationRule, SigmaRule};
use serde::{Deserialize, Serialize};

use self::documents::{DOCUMENT_BYTES, Document};
use super::{Level, Origin, Rule};
use crate::correlate::Correlation;
use crate::reasons;

/// Most problems kept; more are counted in the last one.
const PROBLEMS: usize = 10_000;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The rule is used all the same.
    Warning,
    /// The rule is not used.
    Error,
}

/// Something wrong with a rule file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// File, as the user named it.
    pub file: String,
    /// 1-based line, as near to the cause as can be said.
    pub line: u32,
    /// How bad it is.
    pub severity: Severity,
    /// Id of the rule, if it has one.
    pub rule: Option<String>,
    /// Title of the rule, if it has one.
    pub title: Option<String>,
    /// What is wrong.
    #[serde(with = "crate::reasons::stored")]
    pub reason: Message,
    /// What to do about it.
    #[serde(with = "crate::reasons::stored::option")]
    pub hint: Option<Message>,
}

/// Values of the placeholders that `expand` puts in (`%Servers%`). Values may hold wildcards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placeholders {
    values: BTreeMap<String, Vec<String>>,
}

impl Placeholders {
    /// Adds values of a placeholder, whose name is written without percent signs.
    pub fn add(&mut self, name: impl Into<String>, values: impl IntoIterator<Item = String>) {
        self.values.entry(name.into()).or_default().extend(values);
    }

    /// The values of a placeholder.
    pub fn get(&self, name: &str) -> Option<&[String]> {
        self.values.get(name).map(Vec::as_slice)
    }
}

/// Reads a table of placeholders: a YAML (or JSON) mapping from names, with or without their percent signs, to a value or
/// a list of values.
///
/// # Errors
/// What is wrong with the text.
pub fn placeholder_table(text: &str) -> Result<Vec<(String, Vec<String>)>, Message> {
    use yaml_serde::Value;
    let scalar = |value: &Value| match value {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        _ => None,
    };
    let table: BTreeMap<String, Value> =
        yaml_serde::from_str(text).map_err(|error| reasons::placeholders_unreadable(&error))?;
    let values = |(name, value): (String, Value)| {
        let list = match &value {
            Value::Sequence(list) => list.iter().map(scalar).collect::<Option<Vec<_>>>(),
            one => scalar(one).map(|v| vec![v]),
        };
        let list = list.ok_or_else(|| reasons::placeholder_value(&name))?;
        Ok((name.trim_matches('%').to_owned(), list))
    };
    table.into_iter().map(values).collect()
}

/// Everything that was loaded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleSet {
    /// Rules in the order of files and documents.
    pub rules: Vec<Rule>,
    /// Correlations likewise.
    pub correlations: Vec<Correlation>,
    /// What could not be used or looks wrong, by file and line.
    pub problems: Vec<Problem>,
}

/// Reads rule files one by one.
#[derive(Debug, Default)]
pub struct Loader {
    placeholders: Placeholders,
    rules: Vec<Rule>,
    correlations: Vec<(CorrelationRule, Origin)>,
    filters: Vec<filter::Filter>,
    /// Index of the rule (`Ok`) or correlation (`Err`) with an id.
    ids: HashMap<String, Result<usize, usize>>,
    problems: Vec<Problem>,
    dropped: usize,
}

/// What a document is, for its problems.
struct Subject<'a> {
    document: &'a Document<'a>,
    /// Its text after collection actions.
    text: &'a str,
    file: &'a str,
    id: Option<String>,
    title: Option<String>,
}

impl Loader {
    /// A loader that fills placeholders from a table.
    pub fn new(placeholders: Placeholders) -> Self {
        Self { placeholders, ..Self::default() }
    }

    /// Reads the documents of one file.
    pub fn add_file(&mut self, name: &str, text: &str) {
        let mut actions = documents::Actions::new(text);
        for document in documents::split(text) {
            let mut subject = Subject { document: &document, text: document.text, file: name, id: None, title: None };
            if document.text.len() > DOCUMENT_BYTES {
                let reason = reasons::document_too_long(DOCUMENT_BYTES);
                self.problem(&subject, Severity::Error, None, reason, None);
                continue;
            }
            match actions.apply(document.text) {
                Ok(Some(text)) => {
                    subject.text = &text;
                    self.document(subject);
                }
                Ok(None) => {}
                Err(reason) => self.problem(&subject, Severity::Error, None, reason, None),
            }
        }
    }

    /// Everything loaded so far: filters joined, references of correlations checked.
    pub fn finish(mut self) -> RuleSet {
        for filter in std::mem::take(&mut self.filters) {
            let problem = filter.apply(&mut self.rules);
            self.problems.extend(problem);
        }
        let correlations = self.resolve_correlations();
        self.problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        if self.dropped > 0 {
            self.problems.push(Problem {
                file: String::new(),
                line: 0,
                severity: Severity::Error,
                rule: None,
                title: None,
                reason: reasons::more_problems(self.dropped),
                hint: None,
            });
        }
        RuleSet { rules: self.rules, correlations, problems: self.problems }
    }

    fn problem(
        &mut self,
        subject: &Subject<'_>,
        severity: Severity,
        line: Option<u32>,
        reason: Message,
        hint: Option<Message>,
    ) {
        if self.problems.len() >= PROBLEMS {
            self.dropped += 1;
            return;
        }
        let document = subject.document;
        // Lines are known only in text that no collection action rewrote; the parser may see an end after the last one.
        let last = document.text.lines().count().max(1) as u32;
        let line = line
            .filter(|_| subject.text.len() == document.text.len())
            .map_or(document.content_line, |l| document.line + l.clamp(1, last) - 1);
        self.problems.push(Problem {
            file: subject.file.to_owned(),
            line,
            severity,
            rule: subject.id.clone(),
            title: subject.title.clone(),
            reason,
            hint,
        });
    }

    fn document(&mut self, mut subject: Subject<'_>) {
        if let Err(reason) = shallow_condition(subject.text) {
            return self.problem(&subject, Severity::Error, None, reason, None);
        }
        let (parsed, cut) = parse(subject.text);
        let mut parsed = match parsed {
            Ok(parsed) => parsed,
            Err(e) => return self.complain(&subject, Severity::Error, &e.to_string()),
        };
        let rule = parsed.rules.pop();
        let correlation = parsed.correlations.pop();
        let filter = parsed.filters.pop();
        let (id, title) = match (&rule, &correlation, &filter) {
            (Some(r), ..) => (r.id.clone(), Some(r.title.clone())),
            (_, Some(c), _) => (c.id.clone(), Some(c.title.clone())),
            (.., Some(f)) => (f.id.clone(), Some(f.title.clone())),
            _ => (top_level(subject.text, "id"), top_level(subject.text, "title")),
        };
        (subject.id, subject.title) = (id, title);
        let used = rule.is_some() || correlation.is_some() || filter.is_some();
        let severity = if used { Severity::Warning } else { Severity::Error };
        for complaint in &parsed.errors {
            self.complain(&subject, severity, complaint);
        }
        if let Some(rule) = rule {
            self.rule(&subject, &rule, cut.as_ref());
        } else if let Some(correlation) = correlation {
            self.correlation(&subject, correlation);
        } else if let Some(filter) = filter {
            self.filter(&subject, filter);
        }
    }

    /// Reports what the parser said.
    fn complain(&mut self, subject: &Subject<'_>, severity: Severity, complaint: &str) {
        let (line, text) = lines::of_message(complaint);
        let line = line.or_else(|| lines::of_complaint(subject.text, complaint));
        let text = text.lines().next_back().unwrap_or_default().trim_start_matches([' ', '=']);
        let reason = if complaint.contains('\n') && complaint.starts_with("Condition") {
            reasons::condition_unreadable(text)
        } else {
            reasons::parser(lower_first(text))
        };
        let hint = complaint.starts_with("Condition") && has_capital_words(subject.text);
        self.problem(subject, severity, line, reason, hint.then(reasons::hint_small_letters));
    }

    fn rule(&mut self, subject: &Subject<'_>, sigma: &SigmaRule, cut: Option<&aggregation::Cut>) {
        if rsigma_parser::array_matching_enabled(sigma.sigma_version) {
            let reason = reasons::sigma_3();
            let line = lines::of_key(subject.text, "sigma-version", 0);
            return self.problem(subject, Severity::Error, line, reason, None);
        }
        if let Some(reason) = nested_value(subject.text, &sigma.detection) {
            return self.problem(subject, Severity::Error, None, reason, None);
        }
        let (condition, unused) = match detection::expression(&sigma.detection, &self.placeholders) {
            Ok(found) => found,
            Err(fault) => return self.fault(subject, &fault),
        };
        let mut rule = rule_of(sigma, subject, condition);
        for name in unused {
            let line = lines::of_key(subject.text, &name, 0);
            let reason = reasons::unused_detection(&name);
            self.problem(subject, Severity::Warning, line, reason, None);
        }
        if let Some(cut) = cut {
            match aggregated(&mut rule, sigma, cut) {
                Ok(correlation) => self.correlation(subject, correlation),
                Err(reason) => {
                    let line = lines::of_key(subject.text, "condition", 0);
                    let hint = reasons::hint_correlation();
                    return self.problem(subject, Severity::Error, line, reason, Some(hint));
                }
            }
        }
        self.warn_about(subject, sigma);
        self.admit(subject, rule);
    }

    fn warn_about(&mut self, subject: &Subject<'_>, sigma: &SigmaRule) {
        let source = &sigma.logsource;
        if source.product.is_none() && source.category.is_none() && source.service.is_none() {
            let reason = reasons::no_logsource();
            self.problem(subject, Severity::Warning, None, reason, None);
        }
        if let Some(taxonomy) = sigma.taxonomy.as_deref().filter(|t| *t != "sigma") {
            let line = lines::of_key(subject.text, "taxonomy", 0);
            let reason = reasons::unknown_taxonomy(taxonomy);
            self.problem(subject, Severity::Warning, line, reason, None);
        }
    }

    /// Keeps a rule unless its id is taken.
    fn admit(&mut self, subject: &Subject<'_>, rule: Rule) {
        let place = match self.ids.get(&rule.id) {
            None => {
                self.ids.insert(rule.id.clone(), Ok(self.rules.len()));
                self.rules.push(rule);
                return;
            }
            Some(Ok(index)) => {
                let first = &self.rules[*index];
                (first.origin.clone(), first.condition == rule.condition && first.logsource == rule.logsource)
            }
            Some(Err(index)) => (self.correlations[*index].1.clone(), false),
        };
        self.duplicate(subject, &place.0, place.1);
    }

    fn duplicate(&mut self, subject: &Subject<'_>, first: &Origin, same: bool) {
        let severity = if same { Severity::Warning } else { Severity::Error };
        let reason = if same {
            reasons::duplicate_rule(&first.file, first.line)
        } else {
            reasons::duplicate_id(&first.file, first.line)
        };
        let line = lines::of_key(subject.text, "id", 0);
        self.problem(subject, severity, line, reason, Some(reasons::hint_own_id()));
    }

    fn fault(&mut self, subject: &Subject<'_>, fault: &detection::Fault) {
        let line = lines::of_fault(subject.text, fault.detection.as_deref(), fault.field.as_deref());
        let reason = match (&fault.detection, &fault.field) {
            (Some(d), Some(f)) => fault.reason.clone().at(format!("{d}.{f}")),
            (Some(d), None) => fault.reason.clone().at(d.clone()),
            _ => fault.reason.clone(),
        };
        let is_placeholder = fault.reason.code() == reasons::no_placeholder_values("").code();
        let hint = is_placeholder.then(reasons::hint_placeholder_file);
        self.problem(subject, Severity::Error, line, reason, hint);
    }

    fn correlation(&mut self, subject: &Subject<'_>, correlation: CorrelationRule) {
        let origin = origin(subject);
        if let Some(id) = &correlation.id {
            if let Some(taken) = self.ids.get(id) {
                let first = match taken {
                    Ok(rule) => self.rules[*rule].origin.clone(),
                    Err(other) => self.correlations[*other].1.clone(),
                };
                return self.duplicate(subject, &first, false);
            }
            self.ids.insert(id.clone(), Err(self.correlations.len()));
        }
        self.correlations.push((correlation, origin));
    }

    fn filter(&mut self, subject: &Subject<'_>, sigma: rsigma_parser::FilterRule) {
        match detection::expression(&sigma.detection, &self.placeholders) {
            Ok((condition, _)) => {
                self.filters.push(filter::Filter::new(sigma, condition, origin(subject)));
            }
            Err(fault) => self.fault(subject, &fault),
        }
    }

    /// Correlations with their references checked; rules they silence are silenced.
    fn resolve_correlations(&mut self) -> Vec<Correlation> {
        let drafts = std::mem::take(&mut self.correlations);
        let mut pending: Vec<(usize, Correlation)> = Vec::new();
        for (index, (draft, origin)) in drafts.iter().enumerate() {
            match Correlation::from_sigma(draft, origin.clone()) {
                Ok(_) if draft.rules.is_empty() => {
                    self.correlation_problem(draft, origin, reasons::no_rules());
                }
                Ok(correlation) => pending.push((index, correlation)),
                Err(reason) => self.correlation_problem(draft, origin, reason),
            }
        }
        let mut known: HashSet<&str> = HashSet::new();
        let rules = std::mem::take(&mut self.rules);
        known.extend(rules.iter().flat_map(|r| names(Some(&r.id), r.name.as_ref())));
        let mut usable = Vec::new();
        loop {
            let (ready, rest): (Vec<_>, Vec<_>) =
                pending.into_iter().partition(|(i, _)| drafts[*i].0.rules.iter().all(|r| known.contains(r.as_str())));
            pending = rest;
            if ready.is_empty() {
                break;
            }
            known.extend(ready.iter().flat_map(|(i, _)| draft_names(&drafts[*i].0)));
            usable.extend(ready);
        }
        for (index, _) in &pending {
            let (draft, origin) = &drafts[*index];
            let gone = draft.rules.iter().find(|r| !known.contains(r.as_str()));
            let name = gone.map_or("", |g| g);
            let circle = pending.iter().any(|(i, _)| draft_names(&drafts[*i].0).any(|n| n == name));
            let reason = if circle { reasons::circular(name) } else { reasons::rule_not_loaded(name) };
            self.correlation_problem(draft, origin, reason);
        }
        self.rules = rules;
        usable.sort_by_key(|(index, _)| *index);
        self.silence(&drafts, &mut usable);
        usable.into_iter().map(|(_, c)| c).collect()
    }

    fn correlation_problem(&mut self, draft: &CorrelationRule, origin: &Origin, reason: Message) {
        if self.problems.len() >= PROBLEMS {
            self.dropped += 1;
            return;
        }
        self.problems.push(Problem {
            file: origin.file.clone(),
            line: origin.line,
            severity: Severity::Error,
            rule: draft.id.clone(),
            title: Some(draft.title.clone()),
            reason,
            hint: None,
        });
    }

    fn silence(&mut self, drafts: &[(CorrelationRule, Origin)], usable: &mut [(usize, Correlation)]) {
        let silent: HashSet<&str> = usable
            .iter()
            .map(|(i, _)| &drafts[*i].0)
            .filter(|d| !d.generate)
            .flat_map(|d| d.rules.iter().map(String::as_str))
            .collect();
        for rule in &mut self.rules {
            if names(Some(&rule.id), rule.name.as_ref()).any(|n| silent.contains(n)) {
                rule.reports = false;
            }
        }
        for (index, correlation) in usable {
            if draft_names(&drafts[*index].0).any(|n| silent.contains(n)) {
                correlation.reports = false;
            }
        }
    }
}

/// What a rule or correlation may be called by.
fn names<'a>(id: Option<&'a String>, name: Option<&'a String>) -> impl Iterator<Item = &'a str> {
    id.into_iter().chain(name).map(String::as_str)
}

fn draft_names(draft: &CorrelationRule) -> impl Iterator<Item = &str> {
    names(draft.id.as_ref(), draft.name.as_ref())
}

fn is_called(rule: &Rule, name: &str) -> bool {
    rule.id == name || rule.name.as_deref() == Some(name)
}

fn origin(subject: &Subject<'_>) -> Origin {
    Origin { file: subject.file.to_owned(), line: subject.document.content_line }
}

/// Parses a document, and once more without the aggregation of its condition when it has one.
fn parse(text: &str) -> (rsigma_parser::Result<rsigma_parser::SigmaCollection>, Option<aggregation::Cut>) {
    let parsed = rsigma_parser::parse_sigma_yaml(text);
    let failed =
        parsed.as_ref().is_ok_and(|p| p.rules.is_empty() && p.errors.iter().any(|e| e.starts_with("Condition")));
    match failed.then(|| aggregation::cut(text)).flatten() {
        Some(cut) => {
            let again = rsigma_parser::parse_sigma_yaml(&cut.text);
            (again, Some(cut))
        }
        None => (parsed, None),
    }
}

/// The parser descends once per parenthesis and per `not`; conditions that could exhaust its stack are refused before.
fn shallow_condition(text: &str) -> Result<(), Message> {
    const DEEP: usize = 64;
    if text.matches('(').count() <= DEEP && text.matches("not").count() <= DEEP {
        return Ok(());
    }
    let Ok(value) = documents::first_value(text) else {
        return Ok(());
    };
    for section in ["detection", "filter", "correlation"] {
        let condition = value.get(section).and_then(|s| s.get("condition"));
        let list: Vec<&str> = match condition {
            Some(yaml_serde::Value::String(one)) => vec![one],
            Some(yaml_serde::Value::Sequence(list)) => list.iter().filter_map(|v| v.as_str()).collect(),
            _ => Vec::new(),
        };
        if list.iter().any(|c| condition_depth(c) > DEEP) {
            return Err(reasons::condition_too_deep(DEEP));
        }
    }
    Ok(())
}

/// Deepest nesting of parentheses, or longest chain of `not`.
fn condition_depth(condition: &str) -> usize {
    let (mut depth, mut nots, mut deepest) = (0_usize, 0_usize, 0_usize);
    let spaced = condition.replace('(', " ( ").replace(')', " ) ");
    for word in spaced.split_whitespace() {
        match word {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            "not" => nots += 1,
            _ => nots = 0,
        }
        deepest = deepest.max(depth + nots);
    }
    deepest
}

/// The parser writes a list or map that stands where a value belongs as text; such text does not stand in the document.
fn nested_value(text: &str, section: &rsigma_parser::Detections) -> Option<Message> {
    let mut queue: Vec<&rsigma_parser::Detection> = section.named.values().collect();
    while let Some(detection) = queue.pop() {
        let values: Box<dyn Iterator<Item = &rsigma_parser::SigmaValue>> = match detection {
            rsigma_parser::Detection::AllOf(items) => Box::new(items.iter().flat_map(|i| &i.values)),
            rsigma_parser::Detection::AnyOf(list) => {
                queue.extend(list);
                continue;
            }
            rsigma_parser::Detection::Keywords(values) => Box::new(values.iter()),
            _ => continue,
        };
        for value in values {
            let rsigma_parser::SigmaValue::String(s) = value else {
                continue;
            };
            let debug = ["Sequence [", "Mapping {", "TaggedValue"].iter().any(|p| s.original.starts_with(p));
            if debug && !text.contains(s.original.lines().next().unwrap_or_default()) {
                return Some(reasons::value_expected());
            }
        }
    }
    None
}

fn rule_of(sigma: &SigmaRule, subject: &Subject<'_>, condition: super::Expr) -> Rule {
    let hash = || format!("rule-{:016x}", fnv(subject.text));
    Rule {
        id: sigma.id.clone().or_else(|| sigma.name.clone()).unwrap_or_else(hash),
        name: sigma.name.clone(),
        title: sigma.title.clone(),
        level: sigma.level.map_or(Level::Informational, level),
        status: sigma.status.and_then(|_| top_level(subject.text, "status")),
        tags: sigma.tags.clone(),
        description: sigma.description.clone(),
        author: sigma.author.clone(),
        references: sigma.references.clone(),
        falsepositives: sigma.falsepositives.clone(),
        fields: sigma.fields.clone(),
        related: sigma
            .related
            .iter()
            .map(|r| (format!("{:?}", r.relation_type).to_lowercase(), r.id.clone()))
            .collect(),
        logsource: log_source(&sigma.logsource),
        origin: origin(subject),
        condition,
        reports: true,
    }
}

/// Makes the rule of an aggregation silent and gives its id to the correlation.
fn aggregated(rule: &mut Rule, sigma: &SigmaRule, cut: &aggregation::Cut) -> Result<CorrelationRule, Message> {
    let base = format!("{}:events", rule.id);
    let mut correlation = cut.correlation(sigma, &base)?;
    correlation.id.get_or_insert_with(|| rule.id.clone());
    rule.id = base;
    rule.name = None;
    Ok(correlation)
}

/// A log source in lower case, empty parts absent.
pub(super) fn log_source(source: &rsigma_parser::LogSource) -> LogSource {
    let part = |p: &Option<String>| p.as_deref().map(str::to_ascii_lowercase).filter(|p| !p.is_empty());
    LogSource { product: part(&source.product), category: part(&source.category), service: part(&source.service) }
}

fn level(level: rsigma_parser::Level) -> Level {
    match level {
        rsigma_parser::Level::Informational => Level::Informational,
        rsigma_parser::Level::Low => Level::Low,
        rsigma_parser::Level::Medium => Level::Medium,
        rsigma_parser::Level::High => Level::High,
        rsigma_parser::Level::Critical => Level::Critical,
    }
}

/// The plain value of a key at the beginning of a line, for documents that could not be parsed.
fn top_level(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
    let value = value.split(" #").next().unwrap_or_default().trim();
    let value = value.trim_matches(['\'', '"']);
    (!value.is_empty()).then(|| value.to_owned())
}

/// Whether a condition has its words in capitals, which the parser takes for names.
fn has_capital_words(text: &str) -> bool {
    let conditions = text.lines().filter_map(|line| line.trim_start().strip_prefix("condition:"));
    conditions.flat_map(str::split_whitespace).any(|word| matches!(word, "AND" | "OR" | "NOT" | "OF"))
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if text.starts_with("YAML") => format!("{first}{}", chars.as_str()),
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// FNV-1a, 64 bits: the same on every machine and in every version.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
