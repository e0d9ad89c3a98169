//! Filters: conditions that are joined to rules of others (filters specification 2.1).

use khien_event::taxonomy::LogSource;
use rsigma_parser::{FilterRule, FilterRuleTarget};

use super::{Problem, Severity, log_source};
use crate::reasons;
use crate::rule::{Expr, Origin, Rule};

/// A filter.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    id: Option<String>,
    title: String,
    targets: Targets,
    source: LogSource,
    condition: Expr,
    origin: Origin,
}

/// The rules a filter means.
#[derive(Clone, Debug)]
enum Targets {
    Any,
    /// Ids or names.
    These(Vec<String>),
}

impl Filter {
    /// A filter with its condition resolved.
    pub(super) fn new(sigma: FilterRule, condition: Expr, origin: Origin) -> Self {
        let all = |name: &String| name.eq_ignore_ascii_case("any") || name.eq_ignore_ascii_case("all");
        let targets = match sigma.rules {
            FilterRuleTarget::Any => Targets::Any,
            FilterRuleTarget::Specific(list) if list.len() == 1 && list.iter().all(all) => Targets::Any,
            FilterRuleTarget::Specific(list) => Targets::These(list),
        };
        Self {
            id: sigma.id,
            title: sigma.title,
            targets,
            source: sigma.logsource.as_ref().map(log_source).unwrap_or_default(),
            condition,
            origin,
        }
    }

    /// Joins the filter to the rules it means; a problem when there are none.
    pub(super) fn apply(self, rules: &mut [Rule]) -> Option<Problem> {
        let mut applied = 0;
        let named = Expr::Named(format!("filter: {}", self.title), Box::new(self.condition.clone()));
        for rule in rules.iter_mut().filter(|r| self.means(r)) {
            let before = std::mem::replace(&mut rule.condition, Expr::And(Vec::new()));
            rule.condition = Expr::And(vec![before, named.clone()]);
            applied += 1;
        }
        (applied == 0).then(|| Problem {
            file: self.origin.file,
            line: self.origin.line,
            severity: Severity::Warning,
            rule: self.id,
            title: Some(self.title),
            reason: reasons::filter_without_rule(),
            hint: Some(reasons::hint_compare_filter()),
        })
    }

    fn means(&self, rule: &Rule) -> bool {
        let part = |filter: &Option<String>, rule: &Option<String>| filter.is_none() || filter == rule;
        let source = part(&self.source.product, &rule.logsource.product)
            && part(&self.source.category, &rule.logsource.category)
            && part(&self.source.service, &rule.logsource.service);
        source
            && match &self.targets {
                Targets::Any => true,
                Targets::These(list) => list.iter().any(|n| super::is_called(rule, n)),
            }
    }
}
