//! One detection item (`Field|modifier|modifier: values`) as an expression, every modifier applied in the order written
//! (rules specification, "Value Modifiers"; modifiers appendix 2.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use khien_base::message::Message;
use rsigma_parser::fieldpath::unescape_brackets;
use rsigma_parser::{DetectionItem, Modifier, SigmaValue};

use super::Placeholders;
use super::pattern::{self, Patterns};
use crate::reasons;
use crate::rule::pcre::{self, Flags};
use crate::rule::{Case, Compare, Expr, Item, Link, Part, Test, TextOp, TimePart};

/// Most tests one value may become (`windash`, `expand`).
pub(super) const TESTS_PER_VALUE: usize = 4_096;

/// Most tests of one item.
const TESTS_PER_ITEM: usize = 200_000;

/// Largest whole number that a 64-bit float holds exactly; larger ones are compared as text.
const EXACT: i64 = 1 << 53;

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Text(TextOp),
    Re(Flags),
    Cidr,
    Exists,
    FieldRef(TextOp),
    Number(Compare),
    Time(TimePart),
}

/// A change of a value before it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Base64,
    Base64Offset,
    Utf16Le,
    Utf16Be,
    Utf16,
    WinDash,
    Expand,
    /// `contains`, `startswith` or `endswith`: from here on the value has wildcards.
    Wild,
}

/// The modifiers of an item, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plan {
    operator: Option<Operator>,
    steps: Vec<Step>,
    case: Case,
    all: bool,
    negated: bool,
}

/// The expression of an item.
///
/// # Errors
/// Why the item cannot be used, lower case, without a full stop.
pub(super) fn expression(item: &DetectionItem, placeholders: &Placeholders) -> Result<Expr, Message> {
    let plan = Plan::of(&item.field.modifiers)?;
    let field = item.field.name.as_deref().map(|n| unescape_brackets(n).into_owned());
    let compiler = Compiler { plan: &plan, keyword: field.is_none(), placeholders };
    let mut groups = compiler.groups(&item.values)?;
    if groups.iter().map(Vec::len).sum::<usize>() > TESTS_PER_ITEM {
        return Err(reasons::too_many_tests(TESTS_PER_ITEM));
    }
    let part = |link, tests| Expr::Item(Item { field: field.clone(), link, tests });
    let linked = if !plan.all {
        part(Link::Any, groups.into_iter().flatten().collect())
    } else if groups.iter().all(|g| g.len() == 1) {
        part(Link::All, groups.into_iter().flatten().collect())
    } else {
        Expr::And(groups.drain(..).map(|g| part(Link::Any, g)).collect())
    };
    Ok(if plan.negated { Expr::Not(Box::new(linked)) } else { linked })
}

impl Plan {
    fn of(modifiers: &[Modifier]) -> Result<Self, Message> {
        let mut plan = Self { operator: None, steps: Vec::new(), case: Case::Fold, all: false, negated: false };
        for &modifier in modifiers {
            plan.add(modifier)?;
        }
        plan.check()?;
        Ok(plan)
    }

    fn add(&mut self, modifier: Modifier) -> Result<(), Message> {
        match modifier {
            Modifier::All => self.all = true,
            Modifier::Neq => self.negated = true,
            Modifier::Cased => self.case = Case::Exact,
            Modifier::IgnoreCase | Modifier::Multiline | Modifier::DotAll => {
                self.add_flag(modifier)?;
            }
            Modifier::Base64 => self.steps.push(Step::Base64),
            Modifier::Base64Offset => self.steps.push(Step::Base64Offset),
            Modifier::Wide => self.steps.push(Step::Utf16Le),
            Modifier::Utf16be => self.steps.push(Step::Utf16Be),
            Modifier::Utf16 => self.steps.push(Step::Utf16),
            Modifier::WindAsh => self.steps.push(Step::WinDash),
            Modifier::Expand => self.steps.push(Step::Expand),
            Modifier::Contains => self.add_text(TextOp::Contains)?,
            Modifier::StartsWith => self.add_text(TextOp::StartsWith)?,
            Modifier::EndsWith => self.add_text(TextOp::EndsWith)?,
            Modifier::Re => self.set(Operator::Re(Flags::default()), modifier)?,
            Modifier::Cidr => self.set(Operator::Cidr, modifier)?,
            Modifier::Exists => self.set(Operator::Exists, modifier)?,
            Modifier::FieldRef => self.set(Operator::FieldRef(TextOp::Equals), modifier)?,
            Modifier::Gt => self.set(Operator::Number(Compare::Gt), modifier)?,
            Modifier::Gte => self.set(Operator::Number(Compare::Gte), modifier)?,
            Modifier::Lt => self.set(Operator::Number(Compare::Lt), modifier)?,
            Modifier::Lte => self.set(Operator::Number(Compare::Lte), modifier)?,
            Modifier::Minute => self.set(Operator::Time(TimePart::Minute), modifier)?,
            Modifier::Hour => self.set(Operator::Time(TimePart::Hour), modifier)?,
            Modifier::Day => self.set(Operator::Time(TimePart::Day), modifier)?,
            Modifier::Week => self.set(Operator::Time(TimePart::Week), modifier)?,
            Modifier::Month => self.set(Operator::Time(TimePart::Month), modifier)?,
            Modifier::Year => self.set(Operator::Time(TimePart::Year), modifier)?,
        }
        Ok(())
    }

    /// Sets an operator that stands alone.
    fn set(&mut self, operator: Operator, modifier: Modifier) -> Result<(), Message> {
        let name = word(modifier);
        if self.operator.is_some() {
            return Err(reasons::second_comparison(name));
        }
        if !self.steps.is_empty() {
            return Err(reasons::takes_plain_value(name));
        }
        self.operator = Some(operator);
        Ok(())
    }

    fn add_text(&mut self, op: TextOp) -> Result<(), Message> {
        self.operator = Some(match self.operator {
            None => Operator::Text(op),
            Some(Operator::FieldRef(TextOp::Equals)) => Operator::FieldRef(op),
            Some(_) => {
                return Err(reasons::second_comparison(op_word(op)));
            }
        });
        if self.operator == Some(Operator::Text(op)) {
            self.steps.push(Step::Wild);
        }
        Ok(())
    }

    fn add_flag(&mut self, modifier: Modifier) -> Result<(), Message> {
        let Some(Operator::Re(flags)) = &mut self.operator else {
            return Err(reasons::flag_without_re(word(modifier)));
        };
        match modifier {
            Modifier::IgnoreCase => flags.ignore_case = true,
            Modifier::Multiline => flags.multi_line = true,
            _ => flags.dot_all = true,
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Message> {
        let text = matches!(self.operator, None | Some(Operator::Text(_)));
        if !text && !self.steps.is_empty() {
            return Err(reasons::text_only_steps());
        }
        let cased = self.case == Case::Exact;
        match self.operator {
            Some(Operator::Exists) if self.all || self.negated || cased => Err(reasons::exists_alone()),
            Some(Operator::Cidr | Operator::Number(_) | Operator::Time(_)) if cased => Err(reasons::cased_needs_text()),
            Some(Operator::Re(flags)) if cased && flags.ignore_case => Err(reasons::cased_against_i()),
            _ => self.check_steps(),
        }
    }

    fn check_steps(&self) -> Result<(), Message> {
        let mut wild = false;
        let (mut wide, mut base64) = (0, 0);
        for step in &self.steps {
            match step {
                Step::Wild => wild = true,
                Step::WinDash | Step::Expand if wide + base64 > 0 => {
                    return Err(reasons::before_encodings());
                }
                Step::WinDash | Step::Expand => {}
                _ if wild => {
                    return Err(reasons::encodings_before_text());
                }
                Step::Base64 | Step::Base64Offset => base64 += 1,
                Step::Utf16Le | Step::Utf16Be | Step::Utf16 if base64 > 0 => {
                    return Err(reasons::utf16_before_base64());
                }
                Step::Utf16Le | Step::Utf16Be | Step::Utf16 => wide += 1,
            }
        }
        if wide > 1 || base64 > 1 {
            return Err(reasons::encoded_twice());
        }
        Ok(())
    }
}

/// Makes tests of values.
struct Compiler<'a> {
    plan: &'a Plan,
    keyword: bool,
    placeholders: &'a Placeholders,
}

impl Compiler<'_> {
    /// The tests of each value; those of one value are alternatives.
    fn groups(&self, values: &[SigmaValue]) -> Result<Vec<Vec<Test>>, Message> {
        if values.is_empty() {
            // An empty list of values means null (as in pySigma); keywords have no null.
            return self.value(&SigmaValue::Null).map(|tests| vec![tests]);
        }
        values.iter().map(|v| self.value(v)).collect()
    }

    fn value(&self, value: &SigmaValue) -> Result<Vec<Test>, Message> {
        if self.keyword && !matches!(self.plan.operator, None | Some(Operator::Text(_) | Operator::Re(_))) {
            return Err(reasons::needs_field());
        }
        match self.plan.operator {
            None => self.text(value, TextOp::Equals),
            Some(Operator::Text(op)) => self.text(value, op),
            Some(Operator::Re(flags)) => regex(value, flags).map(one),
            Some(Operator::Cidr) => network(value).map(one),
            Some(Operator::Exists) => match value {
                SigmaValue::Bool(present) => Ok(one(Test::Exists(*present))),
                _ => Err(reasons::exists_needs_truth()),
            },
            Some(Operator::FieldRef(op)) => self.field_reference(value, op).map(one),
            Some(Operator::Number(compare)) => {
                number(value).map(|n| one(Test::Number(compare, n))).ok_or_else(|| reasons::number_expected(value))
            }
            Some(Operator::Time(part)) => time_part(value, part).map(one),
        }
    }

    /// Equality, `contains`, `startswith`, `endswith` and plain values.
    fn text(&self, value: &SigmaValue, op: TextOp) -> Result<Vec<Test>, Message> {
        let plain = op == TextOp::Equals && self.plan.steps.is_empty() && !self.keyword;
        match value {
            SigmaValue::Integer(n) if plain && n.abs() <= EXACT => Ok(one(Test::Number(Compare::Eq, *n as f64))),
            SigmaValue::Float(n) if plain && n.is_finite() => Ok(one(Test::Number(Compare::Eq, *n))),
            SigmaValue::Integer(n) => self.patterns(&n.to_string(), op),
            SigmaValue::Float(n) => self.patterns(&n.to_string(), op),
            SigmaValue::Bool(b) if plain => Ok(one(Test::Bool(*b))),
            SigmaValue::Bool(b) => self.patterns(if *b { "true" } else { "false" }, op),
            SigmaValue::Null if plain => Ok(one(Test::Null)),
            SigmaValue::Null if self.keyword => Err(reasons::null_needs_field()),
            SigmaValue::Null => Err(reasons::null_modified()),
            SigmaValue::String(s) => self.patterns(&s.original, op),
        }
    }

    fn patterns(&self, original: &str, op: TextOp) -> Result<Vec<Test>, Message> {
        let expands = self.plan.steps.contains(&Step::Expand);
        let mut patterns =
            if expands { Patterns::expand(original, self.placeholders)? } else { Patterns::parse(original) };
        for step in &self.plan.steps {
            patterns = match step {
                Step::Base64 => patterns.encode(base64)?,
                Step::Base64Offset => patterns.encode(base64_offsets)?,
                Step::Utf16Le => patterns.encode(|b| wide(b, u16::to_le_bytes, &[]))?,
                Step::Utf16Be => patterns.encode(|b| wide(b, u16::to_be_bytes, &[]))?,
                Step::Utf16 => patterns.encode(|b| wide(b, u16::to_le_bytes, &[0xff, 0xfe]))?,
                Step::WinDash => patterns.windash()?,
                Step::Expand | Step::Wild => patterns,
            };
        }
        let around = match op {
            TextOp::Equals => (self.keyword, self.keyword),
            TextOp::Contains => (true, true),
            TextOp::StartsWith => (false, true),
            TextOp::EndsWith => (true, false),
        };
        let finished = patterns.finish()?;
        Ok(finished.into_iter().map(|parts| Test::Text(surround(parts, around), self.plan.case)).collect())
    }

    fn field_reference(&self, value: &SigmaValue, op: TextOp) -> Result<Test, Message> {
        match value {
            SigmaValue::String(s) => match s.as_plain() {
                Some(name) if !name.is_empty() => Ok(Test::FieldRef(name, op, self.plan.case)),
                _ => Err(reasons::field_name_expected()),
            },
            _ => Err(reasons::field_name_expected()),
        }
    }
}

fn one(test: Test) -> Vec<Test> {
    vec![test]
}

fn surround(parts: Vec<Part>, (before, after): (bool, bool)) -> Vec<Part> {
    let mut out = Vec::with_capacity(parts.len() + 2);
    if before {
        pattern::push(&mut out, Part::Any);
    }
    for part in parts {
        pattern::push(&mut out, part);
    }
    if after {
        pattern::push(&mut out, Part::Any);
    }
    out
}

fn regex(value: &SigmaValue, flags: Flags) -> Result<Test, Message> {
    let pattern = match value {
        SigmaValue::String(s) => s.original.clone(),
        SigmaValue::Integer(n) => n.to_string(),
        _ => return Err(reasons::regex_not_text()),
    };
    pcre::translate(&pattern, flags).map(|pattern| Test::Regex(pattern.into()))
}

fn network(value: &SigmaValue) -> Result<Test, Message> {
    let SigmaValue::String(s) = value else {
        return Err(reasons::not_a_network(value));
    };
    let text = s.original.trim();
    let net = match text.parse::<IpNet>() {
        Ok(net) => Some(net.trunc()),
        Err(_) => text.parse::<std::net::IpAddr>().ok().map(IpNet::from),
    };
    net.map(Test::Cidr).ok_or_else(|| reasons::not_a_network(text))
}

fn number(value: &SigmaValue) -> Option<f64> {
    match value {
        SigmaValue::Integer(n) => Some(*n as f64),
        SigmaValue::Float(n) if n.is_finite() => Some(*n),
        SigmaValue::String(s) => crate::text::number(&s.original),
        _ => None,
    }
}

fn time_part(value: &SigmaValue, part: TimePart) -> Result<Test, Message> {
    let allowed = match part {
        TimePart::Minute => 0..=59,
        TimePart::Hour => 0..=23,
        TimePart::Day => 1..=31,
        TimePart::Week => 1..=53,
        TimePart::Month => 1..=12,
        TimePart::Year => 1..=9999,
    };
    let n = match value {
        SigmaValue::Integer(n) => Some(*n),
        SigmaValue::String(s) => s.original.parse().ok(),
        _ => None,
    };
    match n {
        Some(n) if allowed.contains(&n) => Ok(Test::TimePart(part, n)),
        _ => Err(reasons::out_of_range(value, allowed.start(), allowed.end())),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "one of several encodings, others of which can fail")]
fn base64(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Message> {
    Ok(vec![STANDARD.encode(bytes).into_bytes()])
}

/// The three texts in which base64 may hold `bytes` at offsets 0, 1 and 2, without the characters that depend on the
/// neighbours.
fn base64_offsets(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Message> {
    const FIRST: [usize; 3] = [0, 2, 3];
    const CUT: [usize; 3] = [0, 3, 2];
    let mut variants = Vec::with_capacity(3);
    for (offset, first) in FIRST.into_iter().enumerate() {
        let mut shifted = vec![b' '; offset];
        shifted.extend_from_slice(bytes);
        let encoded = STANDARD.encode(&shifted).into_bytes();
        let end = encoded.len() - CUT[shifted.len() % 3];
        match encoded.get(first..end) {
            Some(middle) if !middle.is_empty() => variants.push(middle.to_vec()),
            _ => return Err(reasons::too_short_for_offset()),
        }
    }
    Ok(variants)
}

fn wide(bytes: &[u8], order: fn(u16) -> [u8; 2], mark: &[u8]) -> Result<Vec<Vec<u8>>, Message> {
    let text = std::str::from_utf8(bytes).map_err(|_| reasons::utf16_needs_text())?;
    let mut out = mark.to_vec();
    out.extend(text.encode_utf16().flat_map(order));
    Ok(vec![out])
}

fn op_word(op: TextOp) -> &'static str {
    match op {
        TextOp::Equals => "fieldref",
        TextOp::Contains => "contains",
        TextOp::StartsWith => "startswith",
        TextOp::EndsWith => "endswith",
    }
}

/// The modifier as rules write it.
fn word(modifier: Modifier) -> &'static str {
    match modifier {
        Modifier::Re => "re",
        Modifier::Cidr => "cidr",
        Modifier::Exists => "exists",
        Modifier::FieldRef => "fieldref",
        Modifier::Gt => "gt",
        Modifier::Gte => "gte",
        Modifier::Lt => "lt",
        Modifier::Lte => "lte",
        Modifier::Minute => "minute",
        Modifier::Hour => "hour",
        Modifier::Day => "day",
        Modifier::Week => "week",
        Modifier::Month => "month",
        Modifier::Year => "year",
        Modifier::IgnoreCase => "i",
        Modifier::Multiline => "m",
        Modifier::DotAll => "s",
        _ => "this",
    }
}
