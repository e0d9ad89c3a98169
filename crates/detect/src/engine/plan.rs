//! Rules lowered for one kind of event: fields become slots, what the kind already decides is folded away.

use std::cell::{Cell, OnceCell};

use hashbrown::HashSet;
use ipnet::IpNet;
use memchr::memmem;

use super::eval::ends_with;
use super::literals::LiteralSet;
use super::values::Slot;
use crate::rule::{Case, Compare, Expr, Item, Link, Part, Test, TextOp, TimePart};
use crate::text::fold;

/// A condition over the slots of a route.
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
    Slots(Box<[Slot]>),
    /// Any value of the event.
    Everywhere,
}

/// One item with its tests, grouped by how they are decided.
pub(super) struct ItemNode {
    pub(super) target: Target,
    /// The field as the rule names it, empty for keywords.
    pub(super) field: Box<str>,
    pub(super) link: Link,
    pub(super) tests: Box<[Check]>,
    /// Tests of a long list of `Any` that one search decides together; none of them is in `tests`.
    pub(super) group: Option<Box<Group>>,
}

/// Many literals, any of which will do.
#[derive(Default)]
pub(super) struct Group {
    /// Whole values, folded.
    pub(super) equal: HashSet<Box<[u8]>, foldhash::fast::FixedState>,
    /// Substrings, folded.
    pub(super) contained: Vec<Box<[u8]>>,
    /// Ends, folded.
    pub(super) ends: Vec<Box<[u8]>>,
    asked: Cell<u32>,
    search: OnceCell<LiteralSet>,
}

/// Questions after which building one search for all substrings pays.
const WORTH_BUILDING: u32 = 16;

impl Group {
    /// Whether a folded text is or contains one of the literals.
    pub(super) fn holds(&self, folded: &[u8]) -> bool {
        self.equal.contains(folded) || self.ends(folded) || (!self.contained.is_empty() && self.contains(folded))
    }

    fn ends(&self, folded: &[u8]) -> bool {
        self.ends.iter().any(|end| ends_with(folded, end))
    }

    fn contains(&self, folded: &[u8]) -> bool {
        self.asked.set(self.asked.get().saturating_add(1));
        if self.asked.get() > WORTH_BUILDING {
            return self.search.get_or_init(|| LiteralSet::new(&self.contained)).is_in(folded);
        }
        self.contained.iter().any(|literal| memmem::find(folded, literal).is_some())
    }
}

/// A literal to be found inside texts.
pub(super) struct Needle {
    pub(super) literal: Box<[u8]>,
    finder: OnceCell<memmem::Finder<'static>>,
}

impl Needle {
    fn new(literal: Box<[u8]>) -> Self {
        Self { literal, finder: OnceCell::new() }
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
    Regex(Box<LazyRegex>),
    Cidr(IpNet),
    Number(Compare, f64),
    Bool(bool),
    Null,
    Exists(bool),
    FieldRef {
        slots: Box<[Slot]>,
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

/// A regular expression, compiled when a value first needs it.
pub(super) struct LazyRegex {
    pub(super) pattern: Box<str>,
    /// Literals of which one stands in every match, apart from ASCII case; see [`crate::rule::required_literals`].
    required: OnceCell<Vec<Vec<u8>>>,
    compiled: OnceCell<Option<regex::Regex>>,
}

impl LazyRegex {
    pub(super) fn new(pattern: &str) -> Self {
        Self { pattern: pattern.into(), required: OnceCell::new(), compiled: OnceCell::new() }
    }

    pub(super) fn required(&self) -> &[Vec<u8>] {
        self.required.get_or_init(|| crate::rule::required_literals(&self.pattern).unwrap_or_default())
    }

    /// Whether the expression matches `plain`, whose folded form is `folded`. Texts without a required literal are
    /// dismissed before the expression is ever compiled.
    pub(super) fn holds(&self, plain: &[u8], folded: &[u8]) -> bool {
        let required = self.required();
        if !required.is_empty() && !required.iter().any(|literal| memmem::find(folded, literal).is_some()) {
            return false;
        }
        // Only a pattern that the rule loader should have refused does not compile.
        let compiled = self.compiled.get_or_init(|| crate::rule::pcre::build(&self.pattern).ok());
        compiled.as_ref().zip(std::str::from_utf8(plain).ok()).is_some_and(|(regex, text)| regex.is_match(text))
    }
}

/// Lists longer than this are decided by one search.
const GROUP: usize = 6;

/// What lowering needs to know of the route.
pub(super) trait Lowering {
    /// The slots that hold what rules call `field`.
    fn slots(&mut self, field: &str) -> Vec<Slot>;
    /// The outcome of `item` when the kind of event already decides it.
    fn known(&mut self, item: &Item) -> Option<bool>;
}

/// Lowers a condition.
pub(super) fn lower(expr: &Expr, route: &mut dyn Lowering) -> Node {
    match expr {
        Expr::Named(_, inner) => lower(inner, route),
        Expr::And(list) => conjunction(list.iter().map(|e| lower(e, route)).collect()),
        Expr::Or(list) => disjunction(list.iter().map(|e| lower(e, route)).collect()),
        Expr::Not(inner) => match lower(inner, route) {
            Node::Const(value) => Node::Const(!value),
            node => Node::Not(Box::new(node)),
        },
        Expr::AtLeast(count, list) => at_least(*count, list.iter().map(|e| lower(e, route)).collect()),
        Expr::Item(item) => match route.known(item) {
            Some(value) => Node::Const(value),
            None => Node::Item(Box::new(lower_item(item, route))),
        },
    }
}

fn conjunction(list: Vec<Node>) -> Node {
    if list.iter().any(|n| matches!(n, Node::Const(false))) {
        return Node::Const(false);
    }
    let mut list: Vec<Node> = list.into_iter().filter(|n| !matches!(n, Node::Const(true))).collect();
    match list.len() {
        0 => Node::Const(true),
        1 => list.remove(0),
        _ => {
            // Cheap questions first; the order has no influence on the answer.
            list.sort_by_key(cost);
            Node::And(list.into())
        }
    }
}

fn disjunction(list: Vec<Node>) -> Node {
    if list.iter().any(|n| matches!(n, Node::Const(true))) {
        return Node::Const(true);
    }
    let mut list: Vec<Node> = list.into_iter().filter(|n| !matches!(n, Node::Const(false))).collect();
    match list.len() {
        0 => Node::Const(false),
        1 => list.remove(0),
        _ => {
            list.sort_by_key(cost);
            Node::Or(list.into())
        }
    }
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
        Check::Null | Check::Exists(_) | Check::Bool(_) => 1,
        Check::Contains { .. } => 4,
        Check::Text { .. } | Check::Number(..) => 2,
        Check::Cidr(_) | Check::FieldRef { .. } => 8,
        Check::Glob { .. } | Check::TimePart(..) => 10,
        Check::Regex(_) => 50,
    }
}

fn lower_item(item: &Item, route: &mut dyn Lowering) -> ItemNode {
    let (target, field) = match &item.field {
        Some(field) => (Target::Slots(route.slots(field).into()), field.as_str()),
        None => (Target::Everywhere, ""),
    };
    let mut checks: Vec<Check> = item.tests.iter().map(|t| lower_test(t, route)).collect();
    let group = (item.link == Link::Any && checks.len() > GROUP).then(|| take_group(&mut checks)).flatten();
    checks.sort_by_key(check_cost);
    ItemNode { target, field: field.into(), link: item.link, tests: checks.into(), group: group.map(Box::new) }
}

/// Moves the literals that one search can decide out of `checks`.
fn take_group(checks: &mut Vec<Check>) -> Option<Group> {
    let mut group = Group::default();
    let mut rest = Vec::with_capacity(checks.len());
    for check in checks.drain(..) {
        match check {
            Check::Text { shape: Shape::Equals, literal, case: Case::Fold } => {
                group.equal.insert(literal);
            }
            Check::Contains { needle, case: Case::Fold } if !needle.literal.is_empty() => {
                group.contained.push(needle.literal);
            }
            Check::Text { shape: Shape::EndsWith, literal, case: Case::Fold } => {
                group.ends.push(literal);
            }
            other => rest.push(other),
        }
    }
    *checks = rest;
    (!group.equal.is_empty() || !group.contained.is_empty() || !group.ends.is_empty()).then_some(group)
}

fn lower_test(test: &Test, route: &mut dyn Lowering) -> Check {
    match test {
        Test::Text(parts, case) => lower_text(parts, *case),
        Test::Regex(pattern) => Check::Regex(Box::new(LazyRegex::new(pattern))),
        Test::Cidr(net) => Check::Cidr(*net),
        Test::Number(compare, number) => Check::Number(*compare, *number),
        Test::Bool(value) => Check::Bool(*value),
        Test::Null => Check::Null,
        Test::Exists(wanted) => Check::Exists(*wanted),
        Test::FieldRef(field, op, case) => Check::FieldRef { slots: route.slots(field).into(), op: *op, case: *case },
        Test::TimePart(part, number) => Check::TimePart(*part, *number),
    }
}

fn lower_text(parts: &[Part], case: Case) -> Check {
    let literal = |text: &str| match case {
        Case::Fold => fold(text).into_bytes().into_boxed_slice(),
        Case::Exact => text.as_bytes().into(),
    };
    let simple = |shape, text: &str| match shape {
        Shape::Contains => Check::Contains { needle: Box::new(Needle::new(literal(text))), case },
        _ => Check::Text { shape, literal: literal(text), case },
    };
    match parts {
        [] => simple(Shape::Equals, ""),
        [Part::Any] => simple(Shape::Contains, ""),
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
