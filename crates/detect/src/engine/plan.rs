//! Conditions lowered for one kind of event: its own fields, what the kind already decides folded away.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use hashbrown::HashSet;
use ipnet::IpNet;
use khien_event::names::FieldId;
use khien_event::taxonomy::KindId;
use memchr::memmem;

use super::Detector;
use super::kind::{Items, RuleField};
use super::literals::{Ends, LiteralSet};
use super::nibbles::RawNeedles;
use super::regex::LazyRegex;
use crate::rule::{Case, Compare, Expr, Item, Link, Part, Test, TextOp, TimePart};
use crate::text::fold;

/// A condition over the fields of a kind of event.
pub(super) enum Node {
    Const(bool),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Not(Box<Node>),
    AtLeast(u32, Box<[Node]>),
    Item(Box<ItemNode>),
}

/// Where an item looks.
pub(super) enum Target {
    /// Any value of these fields.
    Fields(Box<[FieldId]>),
    /// Any value of the event.
    Everywhere,
}

/// One item with its tests, grouped by how they are decided.
pub(super) struct ItemNode {
    pub(super) target: Target,
    /// The field as the rule names it.
    pub(super) field: RuleField,
    pub(super) link: Link,
    pub(super) tests: Vec<Check>,
    /// Tests of a long list of `Any` that one search decides together; none of them is in `tests`.
    pub(super) group: Option<Box<Group>>,
}

impl ItemNode {
    /// Whether it looks at the same values as another and calls them the same.
    fn looks_where(&self, other: &Self) -> bool {
        self.field == other.field
            && match (&self.target, &other.target) {
                (Target::Fields(own), Target::Fields(others)) => own == others,
                (Target::Everywhere, Target::Everywhere) => true,
                _ => false,
            }
    }

    /// Makes it ready to be asked: groups its tests and puts the cheap ones first.
    fn seal(&mut self) {
        let mut checks = std::mem::take(&mut self.tests);
        if self.link == Link::Any && checks.len() > GROUP {
            self.group = take_group(&mut checks).map(Box::new);
        }
        checks.sort_by_key(check_cost);
        let sealed = |check| match check {
            Check::Text { shape: Shape::Contains, literal, case } => {
                Check::Contains { needle: Box::new(Needle::new(literal)), case }
            }
            check => check,
        };
        self.tests = checks.into_iter().map(sealed).collect();
    }
}

/// Many literals, any of which will do.
#[derive(Default)]
pub(super) struct Group {
    /// Whole values, folded.
    pub(super) equal: HashSet<Box<[u8]>, foldhash::fast::FixedState>,
    /// Substrings, folded.
    pub(super) contained: Vec<Box<[u8]>>,
    /// Ends, folded.
    pub(super) ends: Ends,
    asked: AtomicU32,
    search: OnceLock<LiteralSet>,
    raw: OnceLock<Option<Box<RawNeedles>>>,
}

/// Questions after which building one search for all substrings pays.
const WORTH_BUILDING: u32 = 4;

impl Group {
    /// Whether a folded text is or contains one of the literals.
    pub(super) fn holds(&self, folded: &[u8]) -> bool {
        self.equal.contains(folded)
            || self.ends.is_end_of(folded)
            || (!self.contained.is_empty() && self.contains(folded))
    }

    /// The same of a long JSON string that is still escaped and spelled the usual way; `None` when only the text itself
    /// can tell.
    pub(super) fn holds_raw(&self, raw: &[u8]) -> Option<bool> {
        if !self.equal.is_empty() || !self.ends.is_empty() {
            return None;
        }
        self.raw.get_or_init(|| RawNeedles::new(&self.contained).map(Box::new)).as_ref()?.are_in(raw)
    }

    fn contains(&self, folded: &[u8]) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        if asked < WORTH_BUILDING {
            // Threads that ask at the same time may be counted once: this is a rough count.
            self.asked.store(asked + 1, Ordering::Relaxed);
        } else {
            return self.search.get_or_init(|| LiteralSet::new(&self.contained)).is_in(folded);
        }
        self.contained.iter().any(|literal| memmem::find(folded, literal).is_some())
    }
}

/// A literal to be found inside texts.
pub(super) struct Needle {
    pub(super) literal: Box<[u8]>,
    finder: OnceLock<memmem::Finder<'static>>,
    raw: OnceLock<Option<Box<RawNeedles>>>,
}

impl Needle {
    fn new(literal: Box<[u8]>) -> Self {
        Self { literal, finder: OnceLock::new(), raw: OnceLock::new() }
    }

    /// Whether the literal, folded, stands in a JSON string that is still escaped and spelled the usual way; `None` when
    /// only the text itself can tell.
    pub(super) fn is_in_raw(&self, raw: &[u8]) -> Option<bool> {
        let needles = || RawNeedles::new(std::slice::from_ref(&self.literal)).map(Box::new);
        self.raw.get_or_init(needles).as_ref()?.are_in(raw)
    }

    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        if text.len() < self.literal.len() {
            return false;
        }
        self.finder.get_or_init(|| memmem::Finder::new(&self.literal).into_owned()).find(text).is_some()
    }
}

/// A test, ready to run.
pub(super) enum Check {
    /// There is a text, whatever it says.
    AnyText,
    /// The literal is the text, its start or its end.
    Text {
        shape: Shape,
        literal: Box<[u8]>,
        case: Case,
    },
    Contains {
        needle: Box<Needle>,
        case: Case,
    },
    Glob {
        tokens: Box<[Token]>,
        case: Case,
    },
    Regex(Arc<LazyRegex>),
    Cidr(IpNet),
    Number(Compare, f64),
    Bool(bool),
    Null,
    Exists(bool),
    FieldRef {
        fields: Box<[FieldId]>,
        op: TextOp,
        case: Case,
    },
    TimePart(TimePart, i64),
}

/// Where a literal stands in a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    Equals,
    Contains,
    StartsWith,
    EndsWith,
}

/// A piece of a glob.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    Literal(Box<[u8]>),
    One,
    Any,
}

/// Lists longer than this are decided by one search.
const GROUP: usize = 6;

/// What lowering needs beside the condition and its items.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) detector: &'a Detector,
    /// The kind of event that is lowered for.
    pub(super) kind: KindId,
}

/// Lowers a condition; `items` goes through its items.
pub(super) fn lower(expr: &Expr, items: &mut Items<'_>, context: Context<'_>) -> Node {
    let mut node = loose(expr, items, context);
    seal(&mut node);
    node
}

/// Lowers a condition, but leaves grouping and sorting to [`seal`], when alternatives have been joined.
fn loose(expr: &Expr, items: &mut Items<'_>, context: Context<'_>) -> Node {
    let mut all = |list: &[Expr]| list.iter().map(|e| loose(e, items, context)).collect();
    match expr {
        Expr::And(list) => conjunction(all(list)),
        Expr::Or(list) => disjunction(all(list)),
        Expr::AtLeast(count, list) => at_least(*count, all(list)),
        Expr::Named(_, inner) => loose(inner, items, context),
        Expr::Not(inner) => match loose(inner, items, context) {
            Node::Const(value) => Node::Const(!value),
            node => Node::Not(Box::new(node)),
        },
        Expr::Item(item) => {
            let place = items.next();
            match place.known {
                Some(value) => Node::Const(value),
                None => Node::Item(Box::new(loose_item(item, place.field, place.fields, context))),
            }
        }
    }
}

/// Groups tests and puts cheap questions first; neither has any influence on the answer.
fn seal(node: &mut Node) {
    match node {
        Node::Const(_) => {}
        Node::And(list) | Node::Or(list) => {
            list.iter_mut().for_each(seal);
            list.sort_by_key(cost);
        }
        Node::AtLeast(_, list) => list.iter_mut().for_each(seal),
        Node::Not(inner) => seal(inner),
        Node::Item(item) => item.seal(),
    }
}

fn conjunction(mut list: Vec<Node>) -> Node {
    if list.iter().any(|n| matches!(n, Node::Const(false))) {
        return Node::Const(false);
    }
    list.retain(|n| !matches!(n, Node::Const(true)));
    match list.len() {
        0 => Node::Const(true),
        1 => list.remove(0),
        _ => Node::And(list.into()),
    }
}

fn disjunction(mut list: Vec<Node>) -> Node {
    if list.iter().any(|n| matches!(n, Node::Const(true))) {
        return Node::Const(true);
    }
    list.retain(|n| !matches!(n, Node::Const(false)));
    let mut list = joined(list);
    match list.len() {
        0 => Node::Const(false),
        1 => list.remove(0),
        _ => Node::Or(list.into()),
    }
}

/// Joins alternatives on the same field, so that one search decides them together.
fn joined(list: Vec<Node>) -> Vec<Node> {
    let mut joined: Vec<Node> = Vec::with_capacity(list.len());
    for node in list {
        let Node::Item(item) = node else {
            joined.push(node);
            continue;
        };
        let same = joined.iter_mut().find_map(|other| match other {
            Node::Item(other) if other.link == Link::Any && other.looks_where(&item) => Some(other),
            _ => None,
        });
        match same {
            Some(same) if item.link == Link::Any => same.tests.extend(item.tests),
            _ => joined.push(Node::Item(item)),
        }
    }
    joined
}

fn at_least(count: u32, list: Vec<Node>) -> Node {
    let sure = list.iter().filter(|n| matches!(n, Node::Const(true))).count() as u32;
    let open: Vec<Node> = list.into_iter().filter(|n| !matches!(n, Node::Const(_))).collect();
    let missing = count.saturating_sub(sure);
    if missing == 0 {
        Node::Const(true)
    } else if open.len() < missing as usize {
        Node::Const(false)
    } else {
        Node::AtLeast(missing, open.into())
    }
}

/// A rough price of evaluating a node, in tens of nanoseconds.
fn cost(node: &Node) -> u32 {
    match node {
        Node::Const(_) => 0,
        Node::And(list) | Node::Or(list) | Node::AtLeast(_, list) => list.iter().map(cost).fold(0, u32::saturating_add),
        Node::Not(inner) => cost(inner).saturating_add(1),
        Node::Item(item) => {
            let everywhere = if matches!(item.target, Target::Everywhere) { 1_000 } else { 0 };
            let group = item.group.as_ref().map_or(0, |_| 20);
            item.tests.iter().map(check_cost).fold(everywhere + group, u32::saturating_add)
        }
    }
}

fn check_cost(check: &Check) -> u32 {
    match check {
        Check::AnyText | Check::Null | Check::Exists(_) | Check::Bool(_) => 1,
        Check::Contains { .. } | Check::Text { shape: Shape::Contains, .. } => 4,
        Check::Text { .. } | Check::Number(..) => 2,
        Check::Cidr(_) | Check::FieldRef { .. } => 8,
        Check::Glob { .. } | Check::TimePart(..) => 10,
        Check::Regex(_) => 50,
    }
}

/// Lowers an item on what the rule calls `field` and events of the kind hold as `fields`.
pub(super) fn lower_item(item: &Item, field: RuleField, fields: &[FieldId], context: Context<'_>) -> ItemNode {
    let mut node = loose_item(item, field, fields, context);
    node.seal();
    node
}

/// The same without [`ItemNode::seal`].
fn loose_item(item: &Item, field: RuleField, fields: &[FieldId], context: Context<'_>) -> ItemNode {
    let target = if item.field.is_some() { Target::Fields(fields.into()) } else { Target::Everywhere };
    let tests = item.tests.iter().map(|t| lower_test(t, context)).collect();
    ItemNode { target, field, link: item.link, tests, group: None }
}

/// Moves the literals that one search can decide out of `checks`.
fn take_group(checks: &mut Vec<Check>) -> Option<Group> {
    let mut group = Group::default();
    let mut ends = Vec::new();
    let mut rest = Vec::with_capacity(checks.len());
    for check in checks.drain(..) {
        match check {
            Check::Text { shape: Shape::Equals, literal, case: Case::Fold } => {
                group.equal.insert(literal);
            }
            Check::Text { shape: Shape::Contains, literal, case: Case::Fold } if !literal.is_empty() => {
                group.contained.push(literal);
            }
            Check::Text { shape: Shape::EndsWith, literal, case: Case::Fold } => {
                ends.push(literal);
            }
            other => rest.push(other),
        }
    }
    *checks = rest;
    group.ends = Ends::new(ends);
    (!group.equal.is_empty() || !group.contained.is_empty() || !group.ends.is_empty()).then_some(group)
}

fn lower_test(test: &Test, context: Context<'_>) -> Check {
    match test {
        Test::Text(parts, case) => lower_text(parts, *case),
        Test::Regex(pattern) => Check::Regex(context.detector.regexes.get(pattern)),
        Test::Cidr(net) => Check::Cidr(*net),
        Test::Number(compare, number) => Check::Number(*compare, *number),
        Test::Bool(value) => Check::Bool(*value),
        Test::Null => Check::Null,
        Test::Exists(wanted) => Check::Exists(*wanted),
        Test::FieldRef(field, op, case) => {
            Check::FieldRef { fields: context.detector.sources(context.kind, field), op: *op, case: *case }
        }
        Test::TimePart(part, number) => Check::TimePart(*part, *number),
    }
}

fn lower_text(parts: &[Part], case: Case) -> Check {
    let literal = |text: &str| match case {
        Case::Fold => fold(text).into_bytes().into_boxed_slice(),
        Case::Exact => text.as_bytes().into(),
    };
    let simple = |shape, text: &str| Check::Text { shape, literal: literal(text), case };
    match parts {
        [] => simple(Shape::Equals, ""),
        [Part::Any] => Check::AnyText,
        [Part::Literal(text)] => simple(Shape::Equals, text),
        [Part::Any, Part::Literal(text), Part::Any] => simple(Shape::Contains, text),
        [Part::Literal(text), Part::Any] => simple(Shape::StartsWith, text),
        [Part::Any, Part::Literal(text)] => simple(Shape::EndsWith, text),
        _ => {
            let tokens = parts.iter().map(|part| match part {
                Part::Literal(text) => Token::Literal(literal(text)),
                Part::One => Token::One,
                Part::Any => Token::Any,
            });
            Check::Glob { tokens: tokens.collect(), case }
        }
    }
}
