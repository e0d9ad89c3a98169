//! `khien rules explain` and `khien detect --explain`: what a rule says, and why it matched an event or did not.

use khien_detect::correlate::Correlation;
use khien_detect::rule::Rule;
use serde_json::json;

use super::{correlation, list, tree};
use crate::args::{Explain, TextOrJson};
use crate::engine::{Engine, ExplainJob, Explanation};
use crate::exit::Exit;
use crate::glob;
use crate::safe;
use crate::terminal::{Console, Look};
use crate::text::{Text, append};

/// Events that are explained when no position is given.
const EVENTS: usize = 10;

/// Ids that are proposed for one that does not exist.
const PROPOSED: usize = 5;

/// Columns of labels.
const LABEL_COLUMNS: usize = 22;

/// Runs `khien rules explain`.
///
/// # Errors
/// When there is no such rule, or nothing can be read.
pub fn command<E: Engine>(engine: &E, explain: &Explain, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    let loaded = super::load(engine, &explain.rules, None, console)?;
    let (rules, id) = (&loaded.rules, explain.rule.as_str());
    if let Some(found) = engine.correlation(rules, id).filter(|_| explain.input.is_empty()) {
        return show_correlation(engine, rules, found, explain.output, console);
    }
    let rule = find(engine, rules, id, console.text)?;
    let as_json = explain.output == TextOrJson::Json;
    if explain.input.is_empty() {
        let shown = if as_json {
            format!("{}\n", serde_json::to_string_pretty(rule)?)
        } else {
            describe(rule, console.out_look, console.text)
        };
        console.out.write_all(shown.as_bytes())?;
        return Ok(Exit::Done);
    }
    let inputs = glob::expand(&explain.input, console.text);
    for problem in &inputs.problems {
        console.warn(problem);
    }
    let job = ExplainJob {
        rule: rule.id.clone(),
        inputs: inputs.list,
        format: explain.format,
        logsource: explain.logsource.clone(),
        position: explain.position,
        limit: EVENTS,
        lang: console.text.0,
    };
    let explanations = engine.explain(rules, &job)?;
    show(rule, &explanations, as_json, console)
}

fn show_correlation<E: Engine>(
    engine: &E,
    rules: &E::Rules,
    found: &Correlation,
    output: TextOrJson,
    console: &mut Console<'_>,
) -> anyhow::Result<Exit> {
    let title = |id: &str| {
        let rule = engine.rule(rules, id).map(|rule| rule.title.clone());
        rule.or_else(|| engine.correlation(rules, id).map(|c| c.title.clone()))
    };
    let shown = match output {
        TextOrJson::Json => format!("{}\n", serde_json::to_string_pretty(found)?),
        TextOrJson::Text => correlation::describe(found, &title, console.out_look, console.text),
    };
    console.out.write_all(shown.as_bytes())?;
    Ok(Exit::Done)
}

/// The rule with this id, to explain it on events.
///
/// # Errors
/// When there is none, with ids that look like it. A correlation is about many events; the error names its rules.
pub fn find<'a, E: Engine>(engine: &E, rules: &'a E::Rules, id: &str, text: Text) -> anyhow::Result<&'a Rule> {
    if let Some(rule) = engine.rule(rules, id) {
        return Ok(rule);
    }
    if let Some(correlation) = engine.correlation(rules, id) {
        anyhow::bail!(text.explain_parts(id, &correlation.rules.join(", ")));
    }
    let wanted = id.to_lowercase();
    let similar: Vec<String> = engine
        .list(rules)
        .into_iter()
        .filter(|row| row.id.to_lowercase().starts_with(&wanted) || row.title.to_lowercase().contains(&wanted))
        .take(PROPOSED)
        .map(|row| format!("{} ({})", row.id, row.title))
        .collect();
    if similar.is_empty() {
        anyhow::bail!(text.unknown_rule(id));
    }
    anyhow::bail!("{}; {}", text.unknown_rule(id), text.similar_rules(&similar.join(", ")))
}

/// Shows explanations on standard output.
///
/// # Errors
/// When writing fails.
pub fn show(
    rule: &Rule,
    explanations: &[Explanation],
    as_json: bool,
    console: &mut Console<'_>,
) -> anyhow::Result<Exit> {
    if as_json {
        let document = json!({ "rule": { "id": rule.id, "title": rule.title }, "events": explanations });
        writeln!(console.out, "{}", serde_json::to_string_pretty(&document)?)?;
    } else {
        let mut out = describe(rule, console.out_look, console.text);
        for explanation in explanations {
            out.push('\n');
            out.push_str(&event(explanation, console.out_look, console.text));
        }
        console.out.write_all(out.as_bytes())?;
    }
    if explanations.is_empty() {
        let what = console.text.nothing_to_explain(&rule.id);
        console.warn(&what);
        return Ok(Exit::Data);
    }
    Ok(Exit::Done)
}

/// Labels and values below a title.
pub(super) struct Sheet {
    out: String,
}

impl Sheet {
    pub(super) fn new(title: &str, look: Look) -> Self {
        Self { out: format!("{}\n", look.strong(&safe::line(title))) }
    }

    /// Adds a row, unless there is no value.
    pub(super) fn row(&mut self, label: &str, value: &str) {
        if !value.is_empty() {
            let label = safe::pad(&format!("{label}:"), LABEL_COLUMNS);
            append(&mut self.out, format_args!("  {label} {}\n", safe::line(value)));
        }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }
}

/// The rule itself.
pub fn describe(rule: &Rule, look: Look, text: Text) -> String {
    let mut sheet = Sheet::new(&rule.title, look);
    sheet.row(text.label_id(), &rule.id);
    sheet.row(text.label_level(), text.level(rule.level));
    sheet.row(text.label_status(), rule.status.as_deref().unwrap_or_default());
    sheet.row(text.label_author(), rule.author.as_deref().unwrap_or_default());
    sheet.row(text.label_logsource(), &list::logsource(&rule.logsource, text));
    sheet.row(text.column_attack(), &crate::attack::words(&rule.tags));
    sheet.row(text.label_tags(), &rule.tags.join(", "));
    sheet.row(text.label_file(), &format!("{}:{}", rule.origin.file, rule.origin.line));
    sheet.row(text.label_description(), rule.description.as_deref().unwrap_or_default().trim());
    sheet.row(text.label_false_positives(), &rule.falsepositives.join("; "));
    let mut out = sheet.finish();
    append(&mut out, format_args!("  {}:\n", text.label_condition()));
    for line in tree::render(&rule.condition, look, text).lines() {
        append(&mut out, format_args!("  {line}\n"));
    }
    out
}

/// One event and what became of every part of the condition on it.
fn event(explanation: &Explanation, look: Look, text: Text) -> String {
    let place = text.at_position(&safe::line(&explanation.file), &explanation.position.to_string());
    let verdict = if explanation.matched { look.good(text.matched()) } else { look.bad(text.not_matched()) };
    let mut out = format!("{}  {verdict}\n", look.strong(&place));
    if !explanation.applies {
        append(&mut out, format_args!("  {}\n", text.not_applicable()));
    }
    for line in safe::lines(&explanation.lines).lines() {
        append(&mut out, format_args!("  {}\n", marked(line, look)));
    }
    out
}

/// A line with its mark in the colour of what it says, cut where the terminal ends.
fn marked(line: &str, look: Look) -> String {
    let text = line.trim_start();
    let indent = " ".repeat(safe::width(line) - safe::width(text));
    let fit = |text: &str, taken: usize| {
        let room = look.columns.saturating_sub(indent.len() + taken);
        safe::fit(text, room).into_owned()
    };
    if let Some(rest) = text.strip_prefix("✓ ") {
        format!("{indent}{} {}", look.good("✓"), fit(rest, 4))
    } else if let Some(rest) = text.strip_prefix("✗ ") {
        format!("{indent}{} {}", look.bad("✗"), fit(rest, 4))
    } else {
        format!("{indent}{}", look.faint(&fit(text, 2)))
    }
}
