//! A correlation in words.

use khien_detect::correlate::{Condition, Correlation, Operator, RuleExpr, Type, Window};

use super::explain::Sheet;
use crate::safe;
use crate::terminal::Look;
use crate::text::{Text, append};

/// Deepest level of a condition that is shown.
const DEPTH: usize = 64;

/// What a correlation says. `title_of` knows the titles of the rules it refers to.
pub fn describe(
    correlation: &Correlation,
    title_of: &dyn Fn(&str) -> Option<String>,
    look: Look,
    text: Text,
) -> String {
    let mut sheet = Sheet::new(&correlation.title, look);
    sheet.row(text.label_id(), &correlation.id);
    sheet.row(text.label_level(), text.level(correlation.level));
    sheet.row(text.label_status(), correlation.status.as_deref().unwrap_or_default());
    sheet.row(text.label_author(), correlation.author.as_deref().unwrap_or_default());
    sheet.row(text.column_attack(), &crate::attack::words(&correlation.tags));
    sheet.row(text.label_tags(), &correlation.tags.join(", "));
    sheet.row(text.label_file(), &format!("{}:{}", correlation.origin.file, correlation.origin.line));
    sheet.row(text.label_description(), correlation.description.as_deref().unwrap_or_default().trim());
    sheet.row(text.label_false_positives(), &correlation.falsepositives.join("; "));
    sheet.row(text.label_type(), type_name(correlation.kind));
    sheet.row(text.label_group_by(), &correlation.group_by.join(", "));
    sheet.row(text.label_timespan(), &window(correlation, text));
    let mut out = sheet.finish();
    append(&mut out, format_args!("  {}:\n", text.label_rules()));
    for rule in &correlation.rules {
        let title = title_of(rule).map(|title| format!("  {}", safe::line(&title))).unwrap_or_default();
        append(&mut out, format_args!("    {}{}\n", safe::line(rule), look.faint(&title)));
    }
    aliases(correlation, text, &mut out);
    append(&mut out, format_args!("  {}:\n", text.label_condition()));
    condition(correlation, text, &mut out);
    out
}

fn aliases(correlation: &Correlation, text: Text, out: &mut String) {
    if correlation.aliases.is_empty() {
        return;
    }
    append(out, format_args!("  {}:\n", text.label_aliases()));
    for alias in &correlation.aliases {
        let fields: Vec<String> = alias.fields.iter().map(|(rule, field)| format!("{rule}: {field}")).collect();
        let line = format!("{} = {}", alias.name, fields.join(", "));
        append(out, format_args!("    {}\n", safe::line(&line)));
    }
}

fn condition(correlation: &Correlation, text: Text, out: &mut String) {
    match &correlation.condition {
        Condition::Number(limits) => {
            let what = measured(correlation, text);
            for (operator, limit) in limits {
                append(out, format_args!("    {} {} {limit}\n", safe::line(&what), sign(*operator)));
            }
        }
        Condition::Rules(rules) => expression(rules, &correlation.rules, 2, text, out),
    }
}

/// What the condition compares.
fn measured(correlation: &Correlation, text: Text) -> String {
    let fields = correlation.fields.join(", ");
    match correlation.kind {
        Type::EventCount => text.measured_events().to_owned(),
        Type::Temporal | Type::TemporalOrdered => text.measured_rules().to_owned(),
        Type::ValueCount => text.measured_values(&fields),
        Type::ValueSum => text.measured_sum(&fields),
        Type::ValueAvg => text.measured_average(&fields),
        Type::ValueMedian => text.measured_median(&fields),
        Type::ValuePercentile => text.measured_percentile(&fields, &correlation.percentile.to_string()),
    }
}

fn expression(expr: &RuleExpr, rules: &[String], depth: usize, text: Text, out: &mut String) {
    let mut line = |words: &str| append(out, format_args!("{}{words}\n", "  ".repeat(depth)));
    if depth > DEPTH {
        return line("…");
    }
    let name = |rule: &u32| rules.get(*rule as usize).map(|name| safe::line(name).into_owned()).unwrap_or_default();
    match expr {
        RuleExpr::Rule(rule) => line(&name(rule)),
        RuleExpr::AtLeast(count, list) => {
            line(&format!("{}:", text.at_least(&count.to_string())));
            for rule in list {
                append(out, format_args!("{}{}\n", "  ".repeat(depth + 1), name(rule)));
            }
        }
        RuleExpr::And(list) | RuleExpr::Or(list) => {
            let all = matches!(expr, RuleExpr::And(_));
            line(&format!("{}:", if all { text.all_of() } else { text.any_of() }));
            for part in list {
                expression(part, rules, depth + 1, text, out);
            }
        }
        RuleExpr::Not(part) => {
            line(&format!("{}:", text.none_of()));
            expression(part, rules, depth + 1, text, out);
        }
    }
}

fn window(correlation: &Correlation, text: Text) -> String {
    let span = duration(correlation.timespan_ns, text);
    match correlation.window {
        Window::Sliding => span,
        Window::Tumbling => format!("{span} (tumbling)"),
        Window::Session { gap_ns } => format!("{span} (session, gap {})", duration(gap_ns, text)),
    }
}

/// A duration in the largest unit that divides it.
fn duration(ns: i64, text: Text) -> String {
    let seconds = ns / 1_000_000_000;
    let units = [
        (86_400, text.unit_days(&text.count((seconds / 86_400).unsigned_abs()))),
        (3_600, text.unit_hours(&text.count((seconds / 3_600).unsigned_abs()))),
        (60, text.unit_minutes(&text.count((seconds / 60).unsigned_abs()))),
    ];
    let whole = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds % unit == 0);
    whole.map_or_else(|| text.unit_seconds(&text.count(seconds.unsigned_abs())), |(_, words)| words)
}

/// The name of a type in the Sigma specification.
fn type_name(kind: Type) -> &'static str {
    match kind {
        Type::EventCount => "event_count",
        Type::ValueCount => "value_count",
        Type::ValueSum => "value_sum",
        Type::ValueAvg => "value_avg",
        Type::ValuePercentile => "value_percentile",
        Type::ValueMedian => "value_median",
        Type::Temporal => "temporal",
        Type::TemporalOrdered => "temporal_ordered",
    }
}

fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Gt => ">",
        Operator::Gte => "≥",
        Operator::Lt => "<",
        Operator::Lte => "≤",
        Operator::Eq => "=",
        Operator::Neq => "≠",
    }
}

#[cfg(test)]
mod tests {
    use khien_base::lang::Lang;
    use khien_detect::correlate::Alias;
    use khien_detect::rule::{Level, Origin};

    use super::*;

    fn correlation() -> Correlation {
        Correlation {
            id: "c-1".into(),
            name: None,
            title: "Many failures".into(),
            level: Level::High,
            status: None,
            tags: vec!["attack.t1110".into()],
            description: None,
            author: None,
            references: vec![],
            falsepositives: vec![],
            origin: Origin { file: "c.yml".into(), line: 1 },
            kind: Type::ValueCount,
            rules: vec!["failed".into(), "logon".into()],
            group_by: vec!["IpAddress".into()],
            timespan_ns: 600_000_000_000,
            window: Window::Sliding,
            condition: Condition::Number(vec![(Operator::Gte, 5.0)]),
            fields: vec!["User".into()],
            percentile: 50,
            aliases: vec![Alias { name: "who".into(), fields: vec![("failed".into(), "User".into())] }],
            generate: false,
            reports: true,
        }
    }

    #[test]
    fn a_correlation_reads_as_a_sheet() {
        let title = |id: &str| (id == "failed").then(|| "Logon failed".to_owned());
        let mut temporal = correlation();
        temporal.kind = Type::Temporal;
        temporal.condition = Condition::Rules(RuleExpr::And(vec![
            RuleExpr::Rule(0),
            RuleExpr::Not(Box::new(RuleExpr::AtLeast(1, vec![1]))),
        ]));
        let shown = [
            describe(&correlation(), &title, Look::plain(80), Text(Lang::Vi)),
            describe(&temporal, &title, Look::plain(80), Text(Lang::En)),
        ];
        insta::assert_snapshot!("correlation", shown.join("------\n"));
    }

    #[test]
    fn durations_have_their_unit() {
        let shown = |seconds: i64| duration(seconds * 1_000_000_000, Text(Lang::En));
        assert_eq!(
            [shown(30), shown(90), shown(120), shown(7_200), shown(86_400)],
            ["30 s", "90 s", "2 min", "2 h", "1 d"]
        );
    }
}
