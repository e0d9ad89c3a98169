//! A correlation after parsing.

use khien_base::message::Message;
use rsigma_parser::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, Quantifier,
    SelectorPattern, Timespan, WindowMode,
};
use serde::{Deserialize, Serialize};

use crate::reasons;
use crate::rule::{Level, Origin};

/// Most rules that one correlation may refer to.
const MAX_RULES: usize = 4096;
/// Most nesting of an extended condition.
const MAX_DEPTH: usize = 64;

/// A rule over the matches of other rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// `id`; when there is none, `name`, else a hash of title and rules.
    pub id: String,
    /// `name`, by which other correlations may refer to it.
    pub name: Option<String>,
    /// `title`
    pub title: String,
    /// `level`
    pub level: Level,
    /// `status` as written
    pub status: Option<String>,
    /// `tags`
    pub tags: Vec<String>,
    /// `description`
    pub description: Option<String>,
    /// `author`
    pub author: Option<String>,
    /// `references`
    pub references: Vec<String>,
    /// `falsepositives`
    pub falsepositives: Vec<String>,
    /// Where it stands.
    pub origin: Origin,
    /// `type`
    pub kind: Type,
    /// `rules`: ids or names of rules or correlations, in order.
    pub rules: Vec<String>,
    /// `group-by`: fields or aliases.
    pub group_by: Vec<String>,
    /// `timespan` in nanoseconds, above 0.
    pub timespan_ns: i64,
    /// How windows are laid over time.
    pub window: Window,
    /// `condition`
    pub condition: Condition,
    /// `field` of the condition: what `value_*` types look at; empty for the others.
    pub fields: Vec<String>,
    /// `percentile` of `value_percentile`, 0 to 100.
    pub percentile: u8,
    /// `aliases`
    pub aliases: Vec<Alias>,
    /// `generate`: whether the rules it refers to report on their own.
    pub generate: bool,
    /// False for a correlation that only feeds others: one that refers to it has `generate: false`.
    pub reports: bool,
}

/// Type of a correlation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Type {
    /// How many events.
    EventCount,
    /// How many different values.
    ValueCount,
    /// Sum of values.
    ValueSum,
    /// Average of values.
    ValueAvg,
    /// A percentile of values.
    ValuePercentile,
    /// Median of values.
    ValueMedian,
    /// Which rules matched.
    Temporal,
    /// Which rules matched, in the order of the list.
    TemporalOrdered,
}

impl Type {
    /// Whether it looks at values of a field.
    pub fn has_field(self) -> bool {
        !matches!(self, Self::EventCount | Self::Temporal | Self::TemporalOrdered)
    }

    /// Whether it looks at which rules matched.
    pub fn is_temporal(self) -> bool {
        matches!(self, Self::Temporal | Self::TemporalOrdered)
    }

    /// Whether the values of its field are numbers.
    pub fn is_numeric(self) -> bool {
        self.has_field() && self != Self::ValueCount
    }
}

/// How windows are laid over time (`tumbling` and `session` are extensions of `rsigma`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// The timespan before each match.
    Sliding,
    /// Buckets of the timespan, counted from 1970.
    Tumbling,
    /// As long as the next match follows within the gap, at most the timespan.
    Session {
        /// The gap in nanoseconds.
        gap_ns: i64,
    },
}

/// When a correlation holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    /// The measured number fulfils all of these.
    Number(Vec<(Operator, f64)>),
    /// Temporal types: which rules matched.
    Rules(RuleExpr),
}

/// Comparison of the measured number with the given one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// greater
    Gt,
    /// greater or equal
    Gte,
    /// less
    Lt,
    /// less or equal
    Lte,
    /// equal
    Eq,
    /// not equal
    Neq,
}

impl Operator {
    /// Whether `value` compares so with `limit`.
    #[expect(clippy::float_cmp, reason = "counts are exact; equality of averages is what the rule asks for")]
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Gt => value > limit,
            Self::Gte => value >= limit,
            Self::Lt => value < limit,
            Self::Lte => value <= limit,
            Self::Eq => value == limit,
            Self::Neq => value != limit,
        }
    }
}

/// An expression over the rules of a correlation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RuleExpr {
    /// All hold.
    And(Vec<RuleExpr>),
    /// At least one holds.
    Or(Vec<RuleExpr>),
    /// Does not hold.
    Not(Box<RuleExpr>),
    /// At least so many of these rules matched.
    AtLeast(u32, Vec<u32>),
    /// The rule at this index of [`Correlation::rules`] matched.
    Rule(u32),
}

impl RuleExpr {
    /// Whether it holds when `matched` says which rules matched.
    pub fn holds(&self, matched: &dyn Fn(u32) -> bool) -> bool {
        match self {
            Self::And(all) => all.iter().all(|e| e.holds(matched)),
            Self::Or(any) => any.iter().any(|e| e.holds(matched)),
            Self::Not(inner) => !inner.holds(matched),
            Self::AtLeast(count, rules) => rules.iter().filter(|&&r| matched(r)).count() >= *count as usize,
            Self::Rule(rule) => matched(*rule),
        }
    }

    /// Whether more matching rules can only help.
    pub fn is_rising(&self) -> bool {
        match self {
            Self::And(list) | Self::Or(list) => list.iter().all(Self::is_rising),
            Self::Not(_) => false,
            Self::AtLeast(..) | Self::Rule(_) => true,
        }
    }

    /// The rules that all must match, `None` when there is a choice.
    fn required(&self) -> Option<Vec<u32>> {
        match self {
            Self::Rule(rule) => Some(vec![*rule]),
            Self::Not(_) => Some(Vec::new()),
            Self::AtLeast(count, rules) => (*count as usize == rules.len()).then(|| rules.clone()),
            Self::And(list) => list.iter().try_fold(Vec::new(), |mut all, e| {
                all.extend(e.required()?);
                Some(all)
            }),
            Self::Or(list) => match list.as_slice() {
                [one] => one.required(),
                _ => None,
            },
        }
    }
}

/// Another name for fields that are called differently in the events of different rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The name used in `group-by` and `field`.
    pub name: String,
    /// Rule (id or name) and its field; sorted.
    pub fields: Vec<(String, String)>,
}

impl Correlation {
    /// The fields of events that it may ask for.
    pub fn event_fields(&self) -> impl Iterator<Item = String> + '_ {
        let aliases = self.aliases.iter().flat_map(|alias| alias.fields.iter().map(|(_, field)| field));
        self.group_by.iter().chain(&self.fields).chain(aliases).cloned()
    }

    /// Takes over a parsed correlation. The error says why it cannot be used.
    pub fn from_sigma(rule: &CorrelationRule, origin: Origin) -> Result<Self, Message> {
        let kind = kind(rule.correlation_type);
        if rule.rules.is_empty() {
            return Err(reasons::no_rules());
        }
        if rule.rules.len() > MAX_RULES {
            return Err(reasons::too_many_rules(MAX_RULES));
        }
        let (fields, percentile) = measured(rule, kind)?;
        Ok(Self {
            id: rule.id.clone().or_else(|| rule.name.clone()).unwrap_or_else(|| made_up_id(rule)),
            name: rule.name.clone(),
            title: rule.title.clone(),
            level: rule.level.map_or(Level::default(), level),
            status: rule.status.map(|s| format!("{s:?}").to_ascii_lowercase()),
            tags: rule.tags.clone(),
            description: rule.description.clone(),
            author: rule.author.clone(),
            references: rule.references.clone(),
            falsepositives: rule.falsepositives.clone(),
            origin,
            kind,
            rules: rule.rules.clone(),
            group_by: rule.group_by.clone(),
            timespan_ns: nanoseconds(&rule.timespan)?,
            window: window(rule)?,
            condition: condition(rule, kind)?,
            fields,
            percentile,
            aliases: aliases(rule),
            generate: rule.generate,
            reports: true,
        })
    }

    /// The rules that must come in order, for `temporal_ordered`.
    pub(super) fn ordered_rules(&self) -> Vec<u32> {
        match &self.condition {
            Condition::Rules(expr) => {
                let mut rules = expr.required().unwrap_or_default();
                rules.sort_unstable();
                rules.dedup();
                rules
            }
            Condition::Number(_) => (0..self.rules.len() as u32).collect(),
        }
    }

    /// Whether more matches can only help.
    pub(super) fn is_rising(&self) -> bool {
        let counts =
            matches!(self.kind, Type::EventCount | Type::ValueCount | Type::ValueSum) || self.kind.is_temporal();
        match &self.condition {
            Condition::Rules(expr) => expr.is_rising(),
            Condition::Number(all) => counts && all.iter().all(|(op, _)| matches!(op, Operator::Gt | Operator::Gte)),
        }
    }
}

fn kind(kind: CorrelationType) -> Type {
    match kind {
        CorrelationType::EventCount => Type::EventCount,
        CorrelationType::ValueCount => Type::ValueCount,
        CorrelationType::Temporal => Type::Temporal,
        CorrelationType::TemporalOrdered => Type::TemporalOrdered,
        CorrelationType::ValueSum => Type::ValueSum,
        CorrelationType::ValueAvg => Type::ValueAvg,
        CorrelationType::ValuePercentile => Type::ValuePercentile,
        CorrelationType::ValueMedian => Type::ValueMedian,
    }
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

/// FNV-1a: an id that stays the same in every version and on every machine.
fn made_up_id(rule: &CorrelationRule) -> String {
    let texts = std::iter::once(&rule.title).chain(&rule.rules).chain(&rule.group_by);
    let bytes = texts.flat_map(|t| t.bytes().chain([0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    format!("correlation-{hash:016x}")
}

fn nanoseconds(span: &Timespan) -> Result<i64, Message> {
    let ns = i64::try_from(span.seconds).ok().and_then(|s| s.checked_mul(1_000_000_000));
    match ns {
        Some(0) => Err(reasons::empty_timespan(&span.original)),
        Some(ns) => Ok(ns),
        None => Err(reasons::long_timespan(&span.original)),
    }
}

fn window(rule: &CorrelationRule) -> Result<Window, Message> {
    match (rule.window, &rule.gap) {
        (WindowMode::Sliding, _) => Ok(Window::Sliding),
        (WindowMode::Tumbling, _) => Ok(Window::Tumbling),
        (WindowMode::Session, Some(gap)) => Ok(Window::Session { gap_ns: nanoseconds(gap)? }),
        (WindowMode::Session, None) => Err(reasons::session_needs_gap()),
    }
}

/// `field` and `percentile` of the condition.
fn measured(rule: &CorrelationRule, kind: Type) -> Result<(Vec<String>, u8), Message> {
    let (field, percentile) = match &rule.condition {
        CorrelationCondition::Threshold { field, percentile, .. } => (field.clone().unwrap_or_default(), *percentile),
        CorrelationCondition::Extended(_) => (Vec::new(), None),
    };
    let percentile = match percentile {
        None => 50,
        Some(p) => u8::try_from(p).ok().filter(|p| *p <= 100).ok_or_else(|| reasons::percentile_range(p))?,
    };
    if !kind.has_field() {
        return Ok((Vec::new(), percentile));
    }
    match field.len() {
        0 => Err(reasons::value_needs_field()),
        1 => Ok((field, percentile)),
        _ if kind == Type::ValueCount => Ok((field, percentile)),
        n => Err(reasons::several_fields(n)),
    }
}

fn condition(rule: &CorrelationRule, kind: Type) -> Result<Condition, Message> {
    match &rule.condition {
        CorrelationCondition::Extended(_) if !kind.is_temporal() => Err(reasons::expression_needs_temporal()),
        CorrelationCondition::Extended(expr) => {
            let expr = rule_expr(expr, &rule.rules, MAX_DEPTH)?;
            if kind == Type::TemporalOrdered && expr.required().is_none_or(|r| r.is_empty()) {
                return Err(reasons::ordered_needs_required());
            }
            Ok(Condition::Rules(expr))
        }
        CorrelationCondition::Threshold { predicates, .. } => {
            let list: Vec<_> = predicates.iter().map(|(op, value)| (operator(*op), number(*value))).collect();
            if list.is_empty() {
                return Err(reasons::compares_nothing());
            }
            if kind.is_temporal() {
                return rule_count(list, kind, &rule.rules);
            }
            Ok(Condition::Number(list))
        }
    }
}

/// The condition of a temporal type that counts rules. The parser writes "all of them" as `gte: 1`.
fn rule_count(list: Vec<(Operator, f64)>, kind: Type, rules: &[String]) -> Result<Condition, Message> {
    let all = rules.len() as f64;
    if list == [(Operator::Gte, 1.0)] {
        return Ok(Condition::Number(vec![(Operator::Gte, all)]));
    }
    let holds = |count: f64| list.iter().all(|(op, limit)| op.holds(count, *limit));
    if kind == Type::TemporalOrdered {
        if !holds(all) || (1..rules.len()).any(|n| holds(n as f64)) {
            return Err(reasons::ordered_needs_all(rules.len()));
        }
        return Ok(Condition::Number(vec![(Operator::Gte, all)]));
    }
    Ok(Condition::Number(list))
}

fn operator(op: ConditionOperator) -> Operator {
    match op {
        ConditionOperator::Lt => Operator::Lt,
        ConditionOperator::Lte => Operator::Lte,
        ConditionOperator::Gt => Operator::Gt,
        ConditionOperator::Gte => Operator::Gte,
        ConditionOperator::Eq => Operator::Eq,
        ConditionOperator::Neq => Operator::Neq,
    }
}

/// The parser wraps negative numbers around.
fn number(value: u64) -> f64 {
    value.cast_signed() as f64
}

fn rule_expr(expr: &ConditionExpr, rules: &[String], depth: usize) -> Result<RuleExpr, Message> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(reasons::correlation_too_deep());
    };
    let list = |list: &[ConditionExpr]| -> Result<Vec<RuleExpr>, Message> {
        list.iter().map(|e| rule_expr(e, rules, depth)).collect()
    };
    Ok(match expr {
        ConditionExpr::And(all) => RuleExpr::And(list(all)?),
        ConditionExpr::Or(any) => RuleExpr::Or(list(any)?),
        ConditionExpr::Not(inner) => RuleExpr::Not(Box::new(rule_expr(inner, rules, depth)?)),
        ConditionExpr::Identifier(name) => {
            RuleExpr::Rule(rules.iter().position(|r| r == name).ok_or_else(|| reasons::not_among_rules(name))? as u32)
        }
        ConditionExpr::Selector { quantifier, pattern } => selector(quantifier, pattern, rules)?,
    })
}

fn selector(quantifier: &Quantifier, pattern: &SelectorPattern, rules: &[String]) -> Result<RuleExpr, Message> {
    let chosen: Vec<u32> = rules
        .iter()
        .enumerate()
        .filter(|(_, name)| match pattern {
            SelectorPattern::Them => true,
            SelectorPattern::Pattern(pattern) => glob(pattern, name),
        })
        .map(|(index, _)| index as u32)
        .collect();
    if chosen.is_empty() {
        return Err(reasons::pattern_fits_none(pattern));
    }
    let count = match quantifier {
        Quantifier::Any => 1,
        Quantifier::All => chosen.len() as u32,
        Quantifier::Count(n) => u32::try_from(*n).map_err(|_| reasons::count_too_large(n))?,
    };
    Ok(RuleExpr::AtLeast(count, chosen))
}

/// Whether `name` fits `pattern`, in which `*` stands for anything.
fn glob(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else {
        return rest.is_empty();
    };
    for piece in middle {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn aliases(rule: &CorrelationRule) -> Vec<Alias> {
    let mut aliases: Vec<Alias> = rule
        .aliases
        .iter()
        .map(|alias| {
            let mut fields: Vec<(String, String)> =
                alias.mapping.iter().map(|(rule, field)| (rule.clone(), field.clone())).collect();
            fields.sort();
            Alias { name: alias.alias.clone(), fields }
        })
        .collect();
    aliases.sort_by(|a, b| a.name.cmp(&b.name));
    aliases
}
