//! Which rule feeds which correlation, and which fields of its events are needed for that.

use std::collections::HashMap;

use khien_base::message::Message;

use super::model::{Correlation, Type};
use crate::reasons;
use crate::rule::Rule;

/// A correlation that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Its index in the list given.
    pub correlation: usize,
    /// Why.
    pub reason: Message,
}

/// Who sends observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Upstream {
    /// The rule at this index.
    Rule(usize),
    /// The correlation at this index.
    Correlation(usize),
}

/// One sender of a correlation. Columns are indexes into what the sender is asked for.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) upstream: Upstream,
    /// Which of the correlation's `rules` it is; more than one if listed twice.
    pub(super) slots: Vec<u32>,
    pub(super) group: Vec<usize>,
    pub(super) measure: Vec<usize>,
    pub(super) carry: Vec<usize>,
    /// All columns above, each once.
    pub(super) columns: Vec<usize>,
}

/// A receiver: correlation and the index of the sender in its sources.
pub(super) type Feed = (usize, usize);

/// Everything about one correlation that its list entry does not say.
#[derive(Clone, Debug, Default)]
pub(super) struct Wiring {
    pub(super) sources: Vec<Source>,
    /// Who receives its hits.
    pub(super) downstream: Vec<Feed>,
    /// Fields that receivers ask for.
    pub(super) exports: Vec<String>,
    /// For each export: where it comes from.
    pub(super) export_from: Vec<Export>,
    /// Fields kept with each observation for receivers.
    pub(super) carry: Vec<String>,
    /// Whether its hits are reported.
    pub(super) reports: bool,
}

/// Where an exported field comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Export {
    /// Value of this `group-by` field.
    Group(usize),
    /// This carried field of the matches in the window.
    Carry(usize),
}

/// The whole wiring.
pub(super) struct Plan {
    pub(super) wirings: Vec<Wiring>,
    /// Usable correlations, senders before receivers.
    pub(super) order: Vec<usize>,
    /// Per rule: who receives its matches.
    pub(super) rule_feeds: Vec<Vec<Feed>>,
    /// Per rule: fields of its events that are needed.
    pub(super) needs: Vec<Vec<String>>,
}

impl Plan {
    pub(super) fn new(correlations: &[Correlation], rules: &[Rule]) -> (Self, Vec<Unusable>) {
        let index = Index::new(correlations, rules);
        let (resolved, order, unusable) = resolve(correlations, &index);
        let mut plan = Self {
            wirings: vec![Wiring::default(); correlations.len()],
            order,
            rule_feeds: vec![Vec::new(); rules.len()],
            needs: vec![Vec::new(); rules.len()],
        };
        plan.mark_reporting(correlations, &resolved);
        // Receivers first: what they need of a correlation, that correlation needs of its own senders.
        for &c in plan.order.clone().iter().rev() {
            plan.wire(c, correlations, rules, &resolved[c]);
        }
        (plan, unusable)
    }

    /// A correlation used by another reports only if every such correlation says `generate`.
    fn mark_reporting(&mut self, correlations: &[Correlation], resolved: &[Vec<Vec<Upstream>>]) {
        for &c in &self.order {
            self.wirings[c].reports = true;
        }
        for &c in self.order.iter().filter(|&&c| !correlations[c].generate) {
            for upstream in resolved[c].iter().flatten() {
                if let Upstream::Correlation(inner) = upstream {
                    self.wirings[*inner].reports = false;
                }
            }
        }
    }

    fn wire(&mut self, c: usize, list: &[Correlation], rules: &[Rule], slots: &[Vec<Upstream>]) {
        let correlation = &list[c];
        self.settle_exports(c, correlation);
        let carry = self.wirings[c].carry.clone();
        for upstream in distinct(slots) {
            let names = SenderNames::of(upstream, list, rules);
            let mut columns_of = |fields: &[String]| -> Vec<usize> {
                fields.iter().map(|f| self.ask(upstream, names.field(correlation, f))).collect()
            };
            let group = columns_of(&correlation.group_by);
            let measure = columns_of(&correlation.fields);
            let carry = columns_of(&carry);
            let mut columns = [group.clone(), measure.clone(), carry.clone()].concat();
            columns.sort_unstable();
            columns.dedup();
            let source = self.wirings[c].sources.len();
            match upstream {
                Upstream::Rule(rule) => self.rule_feeds[rule].push((c, source)),
                Upstream::Correlation(inner) => self.wirings[inner].downstream.push((c, source)),
            }
            self.wirings[c].sources.push(Source {
                upstream,
                slots: slots_of(slots, upstream),
                group,
                measure,
                carry,
                columns,
            });
        }
    }

    /// All receivers have asked: decides what is carried.
    fn settle_exports(&mut self, c: usize, correlation: &Correlation) {
        let wiring = &mut self.wirings[c];
        for name in &wiring.exports {
            let group = correlation.group_by.iter().position(|g| g == name);
            let from = group.map_or_else(
                || {
                    wiring.carry.push(name.clone());
                    Export::Carry(wiring.carry.len() - 1)
                },
                Export::Group,
            );
            wiring.export_from.push(from);
        }
    }

    /// The column under which `upstream` sends `field`.
    fn ask(&mut self, upstream: Upstream, field: &str) -> usize {
        let fields = match upstream {
            Upstream::Rule(rule) => &mut self.needs[rule],
            Upstream::Correlation(inner) => &mut self.wirings[inner].exports,
        };
        if let Some(column) = fields.iter().position(|f| f == field) {
            return column;
        }
        fields.push(field.to_owned());
        fields.len() - 1
    }
}

/// The ids by which aliases may name a sender.
struct SenderNames<'a> {
    id: &'a str,
    name: Option<&'a str>,
}

impl<'a> SenderNames<'a> {
    fn of(upstream: Upstream, correlations: &'a [Correlation], rules: &'a [Rule]) -> Self {
        let (id, name) = match upstream {
            Upstream::Rule(r) => (&rules[r].id, &rules[r].name),
            Upstream::Correlation(c) => (&correlations[c].id, &correlations[c].name),
        };
        Self { id, name: name.as_deref() }
    }

    /// What the sender calls `field`. An alias that does not mention the sender means the field of its own name.
    fn field<'f>(&self, correlation: &'f Correlation, field: &'f str) -> &'f str {
        let alias = correlation.aliases.iter().find(|a| a.name == field);
        alias
            .and_then(|a| a.fields.iter().find(|(rule, _)| rule == self.id || Some(rule.as_str()) == self.name))
            .map_or(field, |(_, f)| f.as_str())
    }
}

/// Rules and correlations by id and name.
struct Index<'a>(HashMap<&'a str, Vec<Upstream>>);

impl<'a> Index<'a> {
    fn new(correlations: &'a [Correlation], rules: &'a [Rule]) -> Self {
        let mut map: HashMap<&str, Vec<Upstream>> = HashMap::new();
        let mut add = |id: &'a str, name: Option<&'a str>, upstream| {
            map.entry(id).or_default().push(upstream);
            if let Some(name) = name.filter(|n| *n != id) {
                map.entry(name).or_default().push(upstream);
            }
        };
        for (i, rule) in rules.iter().enumerate() {
            add(&rule.id, rule.name.as_deref(), Upstream::Rule(i));
        }
        for (i, c) in correlations.iter().enumerate() {
            add(&c.id, c.name.as_deref(), Upstream::Correlation(i));
        }
        Self(map)
    }
}

type Resolved = Vec<Vec<Vec<Upstream>>>;

/// Finds what each correlation refers to and an order in which senders come first. What refers to something that is not
/// there, or to itself, cannot be used, nor can what refers to that.
fn resolve(list: &[Correlation], index: &Index) -> (Resolved, Vec<usize>, Vec<Unusable>) {
    let mut unusable = Vec::new();
    let mut state = vec![State::Waiting; list.len()];
    let mut resolved: Resolved = vec![Vec::new(); list.len()];
    for (c, correlation) in list.iter().enumerate() {
        match references(correlation, index) {
            Ok(slots) => resolved[c] = slots,
            Err(reason) => refuse(c, reason, &mut state, &mut unusable),
        }
    }
    let mut order = Vec::new();
    let mut progress = true;
    // Each round settles at least one correlation, so there are at most as many rounds as correlations.
    while progress {
        progress = false;
        for c in 0..list.len() {
            if state[c] != State::Waiting {
                continue;
            }
            let inner = || {
                resolved[c].iter().flatten().filter_map(|u| match u {
                    Upstream::Correlation(i) => Some(*i),
                    Upstream::Rule(_) => None,
                })
            };
            if let Some(bad) = inner().find(|&i| state[i] == State::Refused) {
                let reason = reasons::rule_unusable(&list[bad].id);
                refuse(c, reason, &mut state, &mut unusable);
                progress = true;
            } else if inner().all(|i| state[i] == State::Placed) {
                state[c] = State::Placed;
                order.push(c);
                progress = true;
            }
        }
    }
    for c in 0..list.len() {
        if state[c] == State::Waiting {
            refuse(c, reasons::refers_to_itself(), &mut state, &mut unusable);
        }
    }
    unusable.sort_by_key(|u| u.correlation);
    (resolved, order, unusable)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Placed,
    Refused,
}

fn refuse(c: usize, reason: Message, state: &mut [State], unusable: &mut Vec<Unusable>) {
    state[c] = State::Refused;
    unusable.push(Unusable { correlation: c, reason });
}

fn references(correlation: &Correlation, index: &Index) -> Result<Vec<Vec<Upstream>>, Message> {
    let one = |name: &String| index.0.get(name.as_str()).cloned().ok_or_else(|| reasons::rule_not_loaded(name));
    let slots: Vec<_> = correlation.rules.iter().map(one).collect::<Result<_, _>>()?;
    let numbers = correlation.kind == Type::TemporalOrdered;
    if numbers && correlation.rules.len() > 256 {
        return Err(reasons::too_many_ordered(256));
    }
    Ok(slots)
}

/// The different senders in the order in which they are first named.
fn distinct(slots: &[Vec<Upstream>]) -> Vec<Upstream> {
    let mut seen = std::collections::HashSet::new();
    slots.iter().flatten().copied().filter(|u| seen.insert(*u)).collect()
}

fn slots_of(slots: &[Vec<Upstream>], upstream: Upstream) -> Vec<u32> {
    slots.iter().enumerate().filter(|(_, s)| s.contains(&upstream)).map(|(i, _)| i as u32).collect()
}
