//! Where in the observations of one group a correlation holds.

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::model::{Condition, Correlation, Type, Window};
use super::plan::Source;

/// Most matches that a hit names.
pub const MAX_EVIDENCE: usize = 100;

/// One match of a group. The order of the fields is the order of evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Obs {
    pub(super) time_ns: i64,
    pub(super) file: u32,
    pub(super) position: u64,
    /// 0 for an event; for a hit of a correlation one more than its source, as it is not the event that completed it.
    pub(super) class: u32,
    /// `value_count`: number of the value; numeric types: the bits of the number; else 0.
    pub(super) measure: u64,
    /// Index of the sender in the correlation's sources.
    pub(super) source: u32,
    /// Number of the tuple of carried values.
    pub(super) carry: u32,
}

/// A time that the correlation held: a range of observations and the measured number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) first: usize,
    /// Last observation of the window: the one that completed it.
    pub(super) last: usize,
    pub(super) value: f64,
}

/// Which instants to look at, and what happened before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch<'a> {
    /// Instants up to this one have been looked at before.
    pub(super) after: i64,
    /// Last instant to look at.
    pub(super) until: i64,
    /// Time of the group's last hit, `i64::MIN` for none.
    pub(super) last_hit: i64,
    /// Times of hits that were reported before, in their order: no window of another hit may meet theirs.
    pub(super) known: &'a [i64],
}

/// What evaluation needs to know of a correlation.
pub(super) struct Test<'a> {
    correlation: &'a Correlation,
    slots_of: Vec<&'a [u32]>,
    rising: bool,
    ordered: Vec<u32>,
}

impl<'a> Test<'a> {
    pub(super) fn new(correlation: &'a Correlation, sources: &'a [Source]) -> Self {
        Self {
            correlation,
            slots_of: sources.iter().map(|s| s.slots.as_slice()).collect(),
            rising: correlation.is_rising(),
            ordered: correlation.ordered_rules(),
        }
    }

    /// Looks at every instant of `stretch` in `list`, which is sorted. Adds to `found`, notes the last hit, and returns the
    /// first observation that later windows may need.
    pub(super) fn run(&self, list: &[Obs], stretch: &mut Stretch<'_>, found: &mut Vec<Found>) -> usize {
        if self.is_out_of_reach(list.len()) {
            let start = list.partition_point(|o| o.time_ns <= stretch.until);
            return self.needed_from(list, 0..start, *stretch);
        }
        let mut measure = Measure::new(self, list);
        let (mut first, mut start) = (0, 0);
        while let Some(now) = list.get(start).map(|o| o.time_ns) {
            if now > stretch.until {
                break;
            }
            let end = start + list[start..].partition_point_near(|o| o.time_ns == now);
            let new_first = self.first_of_window(list, first, start);
            measure.remove(list, first..new_first);
            first = new_first;
            measure.add(list, start..end);
            let due = self.rising || end == list.len() || self.first_of_window(list, first, end) > first;
            let quiet = self.window_start(now, list[first].time_ns) <= stretch.last_hit
                || stretch.known.iter().any(|hit| self.meet(now, list[first].time_ns, *hit));
            if due && !quiet && now > stretch.after && measure.holds(list[first].time_ns) {
                stretch.last_hit = now;
                found.push(Found { first, last: end - 1, value: measure.value() });
            }
            start = end;
        }
        self.needed_from(list, first..start, *stretch)
    }

    /// Whether no window can hold because all observations together are too few. Where a session begins is only known
    /// by walking through them.
    fn is_out_of_reach(&self, observations: usize) -> bool {
        let counts = matches!(self.correlation.kind, Type::EventCount | Type::ValueCount);
        match (&self.correlation.window, &self.correlation.condition) {
            (Window::Sliding | Window::Tumbling, Condition::Number(all)) if counts && self.rising => {
                !all.iter().all(|(op, limit)| op.holds(observations as f64, *limit))
            }
            _ => false,
        }
    }

    /// First observation of the window at the instant that begins at `start`, when the window before began at `first`.
    fn first_of_window(&self, list: &[Obs], first: usize, start: usize) -> usize {
        let now = list[start].time_ns;
        let span = self.correlation.timespan_ns;
        if first == start {
            return start;
        }
        match self.correlation.window {
            Window::Sliding => {
                let oldest = now.saturating_sub(span);
                first + list[first..].partition_point_near(|o| o.time_ns < oldest)
            }
            Window::Tumbling => {
                let same = list[first].time_ns.div_euclid(span) == now.div_euclid(span);
                if same { first } else { start }
            }
            Window::Session { gap_ns } => {
                let pause = now.saturating_sub(list[start - 1].time_ns) > gap_ns;
                let long = now.saturating_sub(list[first].time_ns) > span;
                if pause || long { start } else { first }
            }
        }
    }

    /// Earliest time that belongs to the window at `now`.
    fn window_start(&self, now: i64, first: i64) -> i64 {
        let span = self.correlation.timespan_ns;
        match self.correlation.window {
            Window::Sliding => now.saturating_sub(span),
            Window::Tumbling => now.div_euclid(span).saturating_mul(span),
            Window::Session { .. } => first,
        }
    }

    /// Whether the window at `now`, whose oldest observation is of time `first`, meets that of a hit at `hit`.
    fn meet(&self, now: i64, first: i64, hit: i64) -> bool {
        if hit <= now {
            return self.window_start(now, first) <= hit;
        }
        match self.correlation.window {
            Window::Sliding | Window::Tumbling => self.window_start(hit, first) <= now,
            // It may be another session; only that session knows.
            Window::Session { .. } => hit.saturating_sub(first) <= self.correlation.timespan_ns,
        }
    }

    /// Whether a hit at `hit` has used up what happened at `time`: no other hit can have it in its window.
    pub(super) fn is_used(&self, time: i64, hit: i64) -> bool {
        match self.correlation.window {
            Window::Sliding | Window::Tumbling => time <= hit && self.window_start(hit, hit) <= time,
            // What follows needs to know that the session goes on.
            Window::Session { .. } => false,
        }
    }

    /// Whether a hit comes with the match that completes it.
    pub(super) fn is_rising(&self) -> bool {
        self.rising
    }

    /// Longest window, in nanoseconds.
    pub(super) fn timespan(&self) -> i64 {
        self.correlation.timespan_ns
    }

    /// Lets go of what is over; of a session only the whole, since where it begins decides where the next one does.
    pub(super) fn let_go(&self, list: &mut Vec<Obs>, is_over: impl Fn(&Obs) -> bool) {
        let Window::Session { .. } = self.correlation.window else {
            return list.retain(|o| !is_over(o));
        };
        list.sort_unstable();
        let mut kept = Vec::new();
        let (mut first, mut start) = (0, 0);
        while let Some(now) = list.get(start).map(|o| o.time_ns) {
            let begins = self.first_of_window(list, first, start);
            if begins == start && start > 0 {
                keep_session(&list[first..start], &is_over, &mut kept);
            }
            first = begins;
            start += list[start..].partition_point_near(|o| o.time_ns == now);
        }
        keep_session(&list[first..], &is_over, &mut kept);
        *list = kept;
    }

    /// First observation that a window after `stretch` may hold, when the one looked at last was `window`.
    fn needed_from(&self, list: &[Obs], window: Range<usize>, stretch: Stretch<'_>) -> usize {
        let next = stretch.until.saturating_add(1);
        match self.correlation.window {
            Window::Sliding | Window::Tumbling => {
                let oldest = self.window_start(next, next);
                // The next hit of a sliding window lies wholly behind the last.
                let over = |o: &Obs| self.correlation.window == Window::Sliding && o.time_ns <= stretch.last_hit;
                list.partition_point(|o| o.time_ns < oldest || over(o))
            }
            Window::Session { gap_ns } => {
                let span = self.correlation.timespan_ns;
                let goes_on = !window.is_empty()
                    && next.saturating_sub(list[window.end - 1].time_ns) <= gap_ns
                    && next.saturating_sub(list[window.start].time_ns) <= span;
                if goes_on { window.start } else { window.end }
            }
        }
    }
}

fn keep_session(session: &[Obs], is_over: impl Fn(&Obs) -> bool, kept: &mut Vec<Obs>) {
    if !session.iter().all(is_over) {
        kept.extend_from_slice(session);
    }
}

/// `partition_point` that is quick when the answer is near the beginning, as it is for a window that moves on.
trait PartitionNear {
    fn partition_point_near(&self, before: impl Fn(&Obs) -> bool) -> usize;
}

impl PartitionNear for [Obs] {
    fn partition_point_near(&self, before: impl Fn(&Obs) -> bool) -> usize {
        self.iter().position(|o| !before(o)).unwrap_or(self.len())
    }
}

/// What is measured of the window, kept up to date as it moves.
struct Measure<'a> {
    test: &'a Test<'a>,
    kept: Kept,
}

enum Kept {
    /// Number of events.
    Events(usize),
    /// How often each value is there.
    Values(HashMap<u64, usize, foldhash::fast::RandomState>),
    /// Sum in steps of 2⁻³² and number of values.
    Sum(i128, usize),
    /// Ranked values.
    Ranks(Ranks),
    /// How often each rule is there.
    Rules(RuleCounts),
    /// That, and the order.
    Order(RuleCounts, Chain),
}

impl<'a> Measure<'a> {
    fn new(test: &'a Test<'a>, list: &[Obs]) -> Self {
        let rules = || RuleCounts::new(test.correlation.rules.len());
        let kept = match test.correlation.kind {
            Type::EventCount => Kept::Events(0),
            Type::ValueCount => Kept::Values(HashMap::default()),
            Type::ValueSum | Type::ValueAvg => Kept::Sum(0, 0),
            Type::ValueMedian | Type::ValuePercentile => Kept::Ranks(Ranks::new(list)),
            Type::Temporal => Kept::Rules(rules()),
            Type::TemporalOrdered => Kept::Order(rules(), Chain::new(test.ordered.len(), test.slots_of.len())),
        };
        Self { test, kept }
    }

    fn add(&mut self, list: &[Obs], instant: Range<usize>) {
        for i in instant.clone() {
            let o = &list[i];
            match &mut self.kept {
                Kept::Rules(rules) | Kept::Order(rules, _) => {
                    rules.add(self.test.slots_of[o.source as usize]);
                }
                _ if repeats(list, i) => {}
                Kept::Events(n) => *n += 1,
                Kept::Values(counts) => *counts.entry(o.measure).or_insert(0) += 1,
                Kept::Sum(sum, n) => {
                    *sum += fixed(o.measure);
                    *n += 1;
                }
                Kept::Ranks(ranks) => ranks.add(o.measure),
            }
        }
        if let Kept::Order(_, chain) = &mut self.kept {
            chain.add(self.test, &list[instant]);
        }
    }

    fn remove(&mut self, list: &[Obs], range: Range<usize>) {
        for i in range {
            let o = &list[i];
            match &mut self.kept {
                Kept::Rules(rules) | Kept::Order(rules, _) => {
                    rules.remove(self.test.slots_of[o.source as usize]);
                }
                _ if repeats(list, i) => {}
                Kept::Events(n) => *n -= 1,
                Kept::Values(counts) => {
                    if let Some(n) = counts.get_mut(&o.measure) {
                        *n -= 1;
                        if *n == 0 {
                            counts.remove(&o.measure);
                        }
                    }
                }
                Kept::Sum(sum, n) => {
                    *sum -= fixed(o.measure);
                    *n -= 1;
                }
                Kept::Ranks(ranks) => ranks.remove(o.measure),
            }
        }
    }

    /// The measured number.
    fn value(&self) -> f64 {
        match &self.kept {
            Kept::Events(n) => *n as f64,
            Kept::Values(counts) => counts.len() as f64,
            Kept::Sum(sum, n) => match self.test.correlation.kind {
                Type::ValueAvg => unfixed(*sum) / (*n).max(1) as f64,
                _ => unfixed(*sum),
            },
            Kept::Ranks(ranks) => ranks.percentile(match self.test.correlation.kind {
                Type::ValueMedian => 50,
                _ => self.test.correlation.percentile,
            }),
            Kept::Rules(rules) | Kept::Order(rules, _) => rules.different as f64,
        }
    }

    /// Whether the condition holds for the window whose oldest observation is of time `first`.
    fn holds(&self, first: i64) -> bool {
        if let Kept::Order(_, chain) = &self.kept
            && !chain.is_complete_since(first)
        {
            return false;
        }
        match (&self.test.correlation.condition, &self.kept) {
            (Condition::Rules(expr), Kept::Rules(rules) | Kept::Order(rules, _)) => {
                expr.holds(&|slot| rules.counts.get(slot as usize).is_some_and(|n| *n > 0))
            }
            (Condition::Rules(_), _) => false,
            (Condition::Number(all), _) => {
                let value = self.value();
                all.iter().all(|(op, limit)| op.holds(value, *limit))
            }
        }
    }
}

/// Whether the observation before is the same event with the same value, matched by another rule.
fn repeats(list: &[Obs], index: usize) -> bool {
    let key = |o: &Obs| (o.time_ns, o.file, o.position, o.class, o.measure);
    index > 0 && key(&list[index - 1]) == key(&list[index])
}

const STEPS: f64 = 4_294_967_296.0;
/// Largest number that can be measured; the sum of 2²⁰ of them fits.
const LARGEST: f64 = 1_180_591_620_717_411_303_424.0;

/// The number written as `text`, if it can be measured.
pub(super) fn number(text: &str) -> Option<f64> {
    let value: f64 = text.trim().parse().ok()?;
    (value.abs() <= LARGEST).then_some(value)
}

fn fixed(bits: u64) -> i128 {
    (f64::from_bits(bits) * STEPS).round() as i128
}

fn unfixed(sum: i128) -> f64 {
    sum as f64 / STEPS
}

/// How often each rule is in the window.
struct RuleCounts {
    counts: Vec<usize>,
    different: usize,
}

impl RuleCounts {
    fn new(rules: usize) -> Self {
        Self { counts: vec![0; rules], different: 0 }
    }

    fn add(&mut self, slots: &[u32]) {
        for &slot in slots {
            let n = &mut self.counts[slot as usize];
            self.different += usize::from(*n == 0);
            *n += 1;
        }
    }

    fn remove(&mut self, slots: &[u32]) {
        for &slot in slots {
            let n = &mut self.counts[slot as usize];
            *n -= 1;
            self.different -= usize::from(*n == 0);
        }
    }
}

/// Rules in their order: for each, the latest start of a chain that has come so far.
struct Chain {
    latest: Vec<Option<i64>>,
    before: Vec<Option<i64>>,
    /// Per source: matches at this instant.
    at_instant: Vec<usize>,
    left: Vec<usize>,
}

impl Chain {
    fn new(steps: usize, sources: usize) -> Self {
        Self {
            latest: vec![None; steps],
            before: vec![None; steps],
            at_instant: vec![0; sources],
            left: vec![0; sources],
        }
    }

    /// Adds all matches of one instant. A match is one step of a chain at most.
    fn add(&mut self, test: &Test, instant: &[Obs]) {
        let Some(now) = instant.first().map(|o| o.time_ns) else {
            return;
        };
        self.at_instant.fill(0);
        let mut previous = None;
        for o in instant {
            let this = (o.file, o.position, o.class, o.source);
            if previous != Some(this) {
                self.at_instant[o.source as usize] += 1;
            }
            previous = Some(this);
        }
        self.before.clone_from(&self.latest);
        for step in 0..self.latest.len() {
            let start = match step {
                0 => Some(now),
                _ => self.before[step - 1],
            };
            if let Some(start) = start {
                self.walk(test, step, start);
            }
        }
    }

    /// Carries a chain that began at `start` from `step` on as far as the matches of the instant allow.
    fn walk(&mut self, test: &Test, step: usize, start: i64) {
        self.left.clone_from(&self.at_instant);
        for next in step..self.latest.len() {
            let rule = test.ordered[next];
            let left = &mut self.left;
            let Some(source) = (0..left.len()).find(|&s| left[s] > 0 && test.slots_of[s].contains(&rule)) else {
                return;
            };
            left[source] -= 1;
            let latest = &mut self.latest[next];
            *latest = (*latest).max(Some(start));
        }
    }

    fn is_complete_since(&self, first: i64) -> bool {
        self.latest.last().is_some_and(|l| l.is_some_and(|start| start >= first))
    }
}

/// Values of the window by rank: a Fenwick tree over all different values of the group.
struct Ranks {
    values: Vec<f64>,
    tree: Vec<usize>,
    count: usize,
}

impl Ranks {
    fn new(list: &[Obs]) -> Self {
        let mut values: Vec<f64> = list.iter().map(|o| f64::from_bits(o.measure)).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.dedup_by(|a, b| a.total_cmp(b).is_eq());
        Self { tree: vec![0; values.len() + 1], values, count: 0 }
    }

    fn add(&mut self, bits: u64) {
        self.count += 1;
        self.change(bits, |n| *n += 1);
    }

    fn remove(&mut self, bits: u64) {
        self.count -= 1;
        self.change(bits, |n| *n -= 1);
    }

    fn change(&mut self, bits: u64, change: impl Fn(&mut usize)) {
        let value = f64::from_bits(bits);
        let mut node = 1 + self.values.partition_point(|v| v.total_cmp(&value).is_lt());
        while let Some(n) = self.tree.get_mut(node) {
            change(n);
            node += node & node.wrapping_neg();
        }
    }

    /// The value of this rank, counted from 0.
    fn at(&self, rank: usize) -> f64 {
        let (mut node, mut left) = (0, rank);
        let mut step = self.tree.len().next_power_of_two();
        while step > 0 {
            if let Some(n) = self.tree.get(node + step)
                && *n <= left
            {
                node += step;
                left -= n;
            }
            step /= 2;
        }
        self.values.get(node).copied().unwrap_or(f64::NAN)
    }

    /// Linear interpolation between the two nearest ranks.
    fn percentile(&self, percent: u8) -> f64 {
        if self.count == 0 {
            return f64::NAN;
        }
        let hundredths = (self.count - 1) * usize::from(percent);
        let (low, part) = (hundredths / 100, hundredths % 100);
        let below = self.at(low);
        if part == 0 {
            return below;
        }
        let above = self.at(low + 1);
        below + (above - below) * (part as f64 / 100.0)
    }
}
