//! What the kind of an event decides about the rules before any of its values is read.

use hashbrown::HashMap;
use khien_event::names::FieldId;
use khien_event::taxonomy::KindId;

use super::Detector;
use super::eval::{Texts, text_check_holds};
use super::plan::{Check, Context, ItemNode, lower_item};
use crate::rule::{Expr, Item, Link, Test};
use crate::scope::is_tried_on_unknown;
use crate::text::fold;

/// Number of a field as rules name it, among those of the detector.
pub(super) type RuleField = u32;

/// Stands for "the whole event" where keywords have no field.
pub(super) const KEYWORDS: RuleField = RuleField::MAX;

/// The rules for a kind of event, where its events hold the fields that these look at, and their items that look only
/// at discriminating fields.
pub(super) struct KindPlan {
    pub(super) kind: KindId,
    pub(super) bodies: Vec<PlannedBody>,
    /// By rule field: 1 + its place in `held`, 0 for fields that no rule here looks at.
    held_at: Vec<u32>,
    held: Vec<Held>,
    items: Vec<KnownItem>,
}

/// A body for this kind of event.
#[derive(Clone, Copy)]
pub(super) struct PlannedBody {
    /// Index among the detector's bodies.
    pub(super) body: u32,
    /// Its items that look only at discriminating fields, in `KindPlan::items` and so among the outcomes of a route.
    first: u32,
    count: u32,
}

impl PlannedBody {
    /// Whether it has items that look only at discriminating fields.
    pub(super) fn is_decidable(self) -> bool {
        self.count > 0
    }
}

/// Where events of a kind hold a rule's field.
struct Held {
    fields: Box<[FieldId]>,
    /// The discriminating field that alone holds it.
    discriminator: Option<u8>,
}

/// An item on a discriminating field.
struct KnownItem {
    /// Which item of its body it is, in order of appearance.
    ordinal: u32,
    discriminator: u8,
    item: ItemNode,
}

/// The texts of the discriminating fields of one event; the outer option is `None` where the field is absent.
pub(super) type Known = [Option<Option<String>>];

impl KindPlan {
    /// The rules of `detector` for events of `kind`, whose discriminating fields are `discriminators`.
    pub(super) fn new(detector: &Detector, kind: KindId, discriminators: &[FieldId]) -> Self {
        let applies: Vec<bool> = detector.sources.iter().map(|source| detector.applies(kind, source)).collect();
        let mut plan = Self {
            kind,
            bodies: Vec::new(),
            held_at: vec![0; detector.fields.len()],
            held: Vec::new(),
            items: Vec::new(),
        };
        // What the user says of the events is known.
        let unknown = detector.log_source.is_none() && !detector.taxonomy.knows(kind);
        for (index, body) in detector.bodies.iter().enumerate() {
            if !applies[body.source as usize] {
                continue;
            }
            if unknown && !is_tried_on_unknown(detector.rule_of(index), detector.taxonomy) {
                continue;
            }
            let first = plan.items.len() as u32;
            let mut decidable = false;
            for &field in &body.items {
                decidable |= field != KEYWORDS && plan.hold(detector, field, discriminators).discriminator.is_some();
            }
            if decidable {
                plan.collect(detector, index);
            }
            let count = plan.items.len() as u32 - first;
            plan.bodies.push(PlannedBody { body: index as u32, first, count });
        }
        plan
    }

    /// Where events hold `field`, found out when a rule first asks.
    fn hold(&mut self, detector: &Detector, field: RuleField, discriminators: &[FieldId]) -> &Held {
        let at = &mut self.held_at[field as usize];
        if *at == 0 {
            let fields = detector.sources(self.kind, &detector.fields[field as usize]);
            let discriminator = match fields[..] {
                [one] => discriminators.iter().position(|&d| d == one).map(|d| d as u8),
                _ => None,
            };
            self.held.push(Held { fields, discriminator });
            *at = self.held.len() as u32;
        }
        &self.held[*at as usize - 1]
    }

    /// Collects the items of a body that look only at a discriminating field.
    fn collect(&mut self, detector: &Detector, index: usize) {
        let context = Context { detector, kind: self.kind };
        let mut ordinal = 0;
        each_item(&detector.rule_of(index).condition, &mut |item| {
            let field = detector.bodies[index].items[ordinal as usize];
            let compares_fields = item.tests.iter().any(|t| matches!(t, Test::FieldRef(..)));
            if let Some(discriminator) = self.held(field).and_then(|held| held.discriminator)
                && !compares_fields
            {
                let item = lower_item(item, field, &[], context);
                self.items.push(KnownItem { ordinal, discriminator, item });
            }
            ordinal += 1;
        });
    }

    /// The fields that hold what rules call `field`; [`FieldId::OTHER`] for keywords.
    pub(super) fn fields(&self, field: RuleField) -> &[FieldId] {
        match field {
            KEYWORDS => &[FieldId::OTHER],
            _ => self.held(field).map_or(&[], |held| &held.fields),
        }
    }

    fn held(&self, field: RuleField) -> Option<&Held> {
        let at = *self.held_at.get(field as usize)?;
        self.held.get((at as usize).checked_sub(1)?)
    }

    /// What the discriminating fields decide.
    pub(super) fn outcomes(&self, known: &Known) -> Vec<bool> {
        let folded: Vec<Option<String>> = known.iter().map(|k| k.as_ref()?.as_deref().map(fold)).collect();
        let outcome = |k: &KnownItem| {
            let at = usize::from(k.discriminator);
            decided(&k.item, known[at].as_ref(), folded[at].as_deref())
        };
        self.items.iter().map(outcome).collect()
    }

    /// The items of a body in order, with what is known of them by the `outcomes` of a route.
    pub(super) fn items<'a>(
        &'a self,
        detector: &'a Detector,
        planned: PlannedBody,
        outcomes: Option<&'a [bool]>,
    ) -> Items<'a> {
        let range = planned.first as usize..(planned.first + planned.count) as usize;
        let outcomes = outcomes.and_then(|all| all.get(range.clone())).unwrap_or_default();
        Items {
            plan: Some(self),
            numbers: &detector.bodies[planned.body as usize].items,
            known: if outcomes.is_empty() { &[] } else { &self.items[range] },
            outcomes,
            next: 0,
        }
    }
}

/// Goes through the items of a body; see [`KindPlan::items`].
pub(super) struct Items<'a> {
    plan: Option<&'a KindPlan>,
    numbers: &'a [RuleField],
    known: &'a [KnownItem],
    outcomes: &'a [bool],
    next: usize,
}

/// One item of a body on a route.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// Its field as the rule names it.
    pub(super) field: RuleField,
    /// The fields of the event that hold it; empty for keywords.
    pub(super) fields: &'a [FieldId],
    /// Whether it holds for every event of the route, or for none.
    pub(super) known: Option<bool>,
}

impl Place<'_> {
    /// Whether it looks at the whole event.
    pub(super) fn is_keywords(&self) -> bool {
        self.field == KEYWORDS
    }
}

impl<'a> Items<'a> {
    /// Those of a body whatever the kind of event, by the numbers of their fields: none is held by any field.
    pub(super) fn anywhere(numbers: &'a [RuleField]) -> Self {
        Self { plan: None, numbers, known: &[], outcomes: &[], next: 0 }
    }

    /// The next item.
    pub(super) fn next(&mut self) -> Place<'a> {
        let field = self.numbers.get(self.next).copied().unwrap_or(KEYWORDS);
        let mut known = None;
        if let (Some(first), Some(&outcome)) = (self.known.first(), self.outcomes.first())
            && first.ordinal as usize == self.next
        {
            known = Some(outcome);
            (self.known, self.outcomes) = (&self.known[1..], &self.outcomes[1..]);
        }
        self.next += 1;
        Place { field, fields: self.plan.and_then(|plan| plan.held(field)).map_or(&[], |held| &held.fields), known }
    }

    /// What the known items say of a condition, if they decide it. Goes through all its items.
    pub(super) fn decide(&mut self, expr: &Expr) -> Option<bool> {
        match expr {
            Expr::Named(_, inner) => self.decide(inner),
            Expr::Not(inner) => self.decide(inner).map(|value| !value),
            Expr::Item(_) => self.next().known,
            Expr::And(list) => self.unless(list, false),
            Expr::Or(list) => self.unless(list, true),
            Expr::AtLeast(_, list) => {
                for part in list {
                    self.decide(part);
                }
                None
            }
        }
    }

    /// `outcome` if one part decides so, its opposite if all parts decide so.
    fn unless(&mut self, list: &[Expr], outcome: bool) -> Option<bool> {
        let mut decided = Some(!outcome);
        for part in list {
            match self.decide(part) {
                Some(value) if value == outcome => decided = Some(outcome),
                None if decided != Some(outcome) => decided = None,
                _ => {}
            }
        }
        decided
    }

    /// Appends the fields of items that are known to hold and do not stand behind a `not`.
    pub(super) fn known_fields(&mut self, expr: &Expr, out: &mut Vec<Place<'a>>) {
        match expr {
            Expr::Named(_, inner) => self.known_fields(inner, out),
            Expr::Not(inner) => self.known_fields(inner, &mut Vec::new()),
            Expr::And(list) | Expr::Or(list) | Expr::AtLeast(_, list) => {
                for part in list {
                    self.known_fields(part, out);
                }
            }
            Expr::Item(_) => {
                let place = self.next();
                if place.known == Some(true) {
                    out.push(place);
                }
            }
        }
    }
}

/// The outcome of an item on a discriminating field.
fn decided(item: &ItemNode, value: Option<&Option<String>>, folded: Option<&str>) -> bool {
    let plain = value.and_then(|v| v.as_deref());
    let texts = plain.zip(folded).map(|(p, f)| Texts { plain: p.as_bytes(), folded: f.as_bytes() });
    let check = |check: &Check| match check {
        Check::Null => plain.is_none(),
        Check::Exists(wanted) => value.is_some() == *wanted,
        _ => texts.is_some_and(|t| text_check_holds(check, t)),
    };
    let by_group = item.group.as_ref().is_some_and(|g| texts.is_some_and(|t| g.holds(t.folded)));
    by_group
        || match item.link {
            Link::Any => item.tests.iter().any(check),
            Link::All => item.tests.iter().all(check),
        }
}

/// Gives numbers to the fields of items.
#[derive(Default)]
pub(super) struct FieldNumbers {
    numbers: HashMap<Box<str>, RuleField, foldhash::fast::FixedState>,
    names: Vec<Box<str>>,
}

impl FieldNumbers {
    /// The fields of the items of a condition, in order of appearance.
    pub(super) fn of(&mut self, expr: &Expr) -> Box<[RuleField]> {
        let mut items = Vec::new();
        each_item(expr, &mut |item| items.push(item.field.as_deref().map_or(KEYWORDS, |field| self.number(field))));
        items.into()
    }

    fn number(&mut self, field: &str) -> RuleField {
        if let Some(&number) = self.numbers.get(field) {
            return number;
        }
        let number = self.names.len() as RuleField;
        self.numbers.insert(field.into(), number);
        self.names.push(field.into());
        number
    }

    /// The names by number.
    pub(super) fn into_names(self) -> Vec<Box<str>> {
        self.names
    }
}

/// Calls `each` with the items of a condition, in order of appearance.
pub(super) fn each_item<'a>(expr: &'a Expr, each: &mut impl FnMut(&'a Item)) {
    match expr {
        Expr::And(list) | Expr::Or(list) | Expr::AtLeast(_, list) => list.iter().for_each(|e| each_item(e, each)),
        Expr::Not(inner) | Expr::Named(_, inner) => each_item(inner, each),
        Expr::Item(item) => each(item),
    }
}
