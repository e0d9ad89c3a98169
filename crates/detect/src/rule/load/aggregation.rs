//! Conditions of Sigma 1 with an aggregation (`selection | count(User) by Host > 5`): the rule without it, and the
//! correlation that means the same (correlation specification, "Expression of Relationships In The Condition").

use khien_base::message::Message;
use rsigma_parser::{
    ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, SigmaRule, Timespan, WindowMode,
};

use crate::reasons;

/// A document whose condition was cut at its pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The document without aggregation.
    pub(super) text: String,
    /// What stood after the pipe.
    aggregation: String,
}

/// Cuts the condition of a document, if it stands on one line and has a pipe.
pub(super) fn cut(text: &str) -> Option<Cut> {
    let mut aggregation = None;
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let condition = line.trim_start().starts_with("condition:");
        match line.split_once('|') {
            Some((before, after)) if condition && aggregation.is_none() => {
                let quote = before.trim_start().strip_prefix("condition:").and_then(|c| {
                    let c = c.trim_start();
                    c.chars().next().filter(|q| matches!(q, '\'' | '"'))
                });
                out.push_str(before.trim_end());
                out.extend(quote);
                out.push('\n');
                let after = after.split(" #").next().unwrap_or_default().trim();
                aggregation = Some(quote.map_or(after, |q| after.trim_end_matches(q)).trim().to_owned());
            }
            _ => out.push_str(line),
        }
    }
    aggregation.map(|aggregation| Cut { text: out, aggregation })
}

impl Cut {
    /// The correlation over `rule`, which refers to it by `base`.
    ///
    /// # Errors
    /// Why there is none that means the same.
    pub(super) fn correlation(&self, rule: &SigmaRule, base: &str) -> Result<CorrelationRule, Message> {
        let parsed = Parsed::of(&self.aggregation)?;
        let timeframe = rule.detection.timeframe.as_deref().ok_or_else(reasons::no_timeframe)?;
        let timespan = Timespan::parse(timeframe).map_err(reasons::bad_timespan)?;
        Ok(CorrelationRule {
            title: rule.title.clone(),
            sigma_version: rule.sigma_version,
            id: rule.id.clone(),
            name: rule.name.clone(),
            status: rule.status,
            description: rule.description.clone(),
            author: rule.author.clone(),
            date: rule.date.clone(),
            modified: rule.modified.clone(),
            related: rule.related.clone(),
            references: rule.references.clone(),
            taxonomy: rule.taxonomy.clone(),
            license: rule.license.clone(),
            tags: rule.tags.clone(),
            fields: rule.fields.clone(),
            falsepositives: rule.falsepositives.clone(),
            level: rule.level,
            scope: rule.scope.clone(),
            correlation_type: parsed.kind,
            rules: vec![base.to_owned()],
            group_by: parsed.group_by,
            timespan,
            window: WindowMode::Sliding,
            gap: None,
            condition: CorrelationCondition::Threshold {
                predicates: vec![parsed.threshold],
                field: parsed.field.map(|f| vec![f]),
                percentile: None,
            },
            aliases: Vec::new(),
            generate: false,
            custom_attributes: std::collections::HashMap::default(),
        })
    }
}

/// What an aggregation says.
struct Parsed {
    kind: CorrelationType,
    field: Option<String>,
    group_by: Vec<String>,
    threshold: (ConditionOperator, u64),
}

impl Parsed {
    fn of(text: &str) -> Result<Self, Message> {
        let unknown = || reasons::no_aggregation(text);
        let (function, rest) = text.split_once('(').ok_or_else(unknown)?;
        let (field, rest) = rest.split_once(')').ok_or_else(unknown)?;
        let field = Some(field.trim()).filter(|f| !f.is_empty() && *f != "*").map(str::to_owned);
        let kind = match (function.trim(), &field) {
            ("count", None) => CorrelationType::EventCount,
            ("count", Some(_)) => CorrelationType::ValueCount,
            ("sum", Some(_)) => CorrelationType::ValueSum,
            ("avg", Some(_)) => CorrelationType::ValueAvg,
            _ => return Err(unknown()),
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (group_by, comparison) = match words.as_slice() {
            ["by", fields @ .., operator, number] => (group_fields(fields), [*operator, *number]),
            [operator, number] => (Vec::new(), [*operator, *number]),
            _ => return Err(unknown()),
        };
        let operator = match comparison[0] {
            ">" => ConditionOperator::Gt,
            ">=" => ConditionOperator::Gte,
            "<" => ConditionOperator::Lt,
            "<=" => ConditionOperator::Lte,
            "=" | "==" => ConditionOperator::Eq,
            _ => return Err(unknown()),
        };
        let count = comparison[1].parse().map_err(|_| unknown())?;
        Ok(Self { kind, field, group_by, threshold: (operator, count) })
    }
}

fn group_fields(words: &[&str]) -> Vec<String> {
    let fields = words.iter().flat_map(|w| w.split(','));
    fields.filter(|f| !f.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<(CorrelationType, Option<String>, usize)> {
        let parsed = Parsed::of(text).ok()?;
        Some((parsed.kind, parsed.field, parsed.group_by.len()))
    }

    #[test]
    fn aggregations_become_correlations() {
        assert_eq!(kind("count() > 5"), Some((CorrelationType::EventCount, None, 0)));
        assert_eq!(kind("count(a.b) by x, y >= 5"), Some((CorrelationType::ValueCount, Some("a.b".into()), 2)));
        assert_eq!(kind("sum(n) by h < 5"), Some((CorrelationType::ValueSum, Some("n".into()), 1)));
        assert_eq!(kind("near other"), None);
        assert_eq!(kind("count() by x"), None);
        assert_eq!(kind("min(n) > 5"), None);
        assert_eq!(kind("count() > many"), None);
    }

    #[test]
    fn the_condition_is_cut_at_its_pipe() {
        let cut = cut("a: x|y\ncondition: 'sel | count() > 5' # why\n").unwrap();
        assert_eq!(cut.text, "a: x|y\ncondition: 'sel'\n");
        assert_eq!(cut.aggregation, "count() > 5");
        assert_eq!(super::cut("condition: sel\n"), None);
    }
}
