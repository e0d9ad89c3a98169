//! Collects observations and evaluates them.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::HashMap;

use super::CorrelationHit;
use super::evaluate::{Found, MAX_EVIDENCE, Obs, Stretch, Test, number};
use super::intern::{Interner, NONE};
use super::live::Live;
use super::model::{Correlation, Type};
use super::plan::{Export, Feed, Plan, Source, Unusable, Upstream};
use crate::finding::Evidence;
use crate::rule::Rule;

/// Bounds of the state of all correlations together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Groups of all correlations.
    pub groups: usize,
    /// Observations in one group.
    pub observations_per_group: usize,
    /// Memory in bytes.
    pub bytes: usize,
    /// Different combinations that one match takes part with when its fields have several values.
    pub combinations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { groups: 400_000, observations_per_group: 200_000, bytes: 96 << 20, combinations: 64 }
    }
}

/// What was counted. Nothing is dropped without being counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Matches fed that some correlation uses.
    pub matches: u64,
    /// Of these, without a time.
    pub without_time: u64,
    /// Times that a match lacked a field to group by.
    pub without_group: u64,
    /// Times that a match lacked the field to measure, or it was no number.
    pub without_value: u64,
    /// Observations kept: a match counts once for every correlation and group it takes part in.
    pub observations: u64,
    /// Combinations of several values left out beyond [`Limits::combinations`].
    pub combinations_cut: u64,
    /// Observations dropped because state had been let go behind their time.
    pub late: u64,
    /// Observations dropped because the state was full.
    pub evicted_observations: u64,
    /// Groups dropped for the same reason.
    pub evicted_groups: u64,
    /// Times that part of the state was evaluated early.
    pub compactions: u64,
    /// Hits reported.
    pub hits: u64,
}

impl Statistics {
    /// Whether the hits are those of the whole set of matches, whatever its order.
    pub fn exact(&self) -> bool {
        self.late == 0 && self.evicted_observations == 0 && self.evicted_groups == 0 && self.combinations_cut == 0
    }
}

/// A match of a base rule.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// Index of the rule in the list given to [`Correlator::new`].
    pub rule: usize,
    /// Event time in nanoseconds since 1970.
    pub time_ns: Option<i64>,
    /// The texts of the fields that [`Correlator::needs`] names, each with its field's place in that list; several values
    /// repeat the field.
    pub fields: &'a [(usize, &'a str)],
    /// Index of the input file; for [`Correlator::live`] the second of receipt, counted from 1970.
    pub file: u32,
    /// Position in it; for [`Correlator::live`] the number of the event.
    pub position: u64,
    /// Whose it is: with [`Correlator::live`], matches of different ones never meet. Without, it says nothing.
    pub scope: &'a str,
}

/// Evaluates correlations; see the module text.
pub struct Correlator {
    pub(super) correlations: Arc<[Correlation]>,
    rule_ids: Vec<String>,
    pub(super) plan: Arc<Plan>,
    pub(super) states: Vec<State>,
    pub(super) values: Interner,
    pub(super) tuples: Interner,
    limits: Limits,
    statistics: Statistics,
    pub(super) groups: usize,
    /// Memory of the groups.
    pub(super) bytes: usize,
    /// Correlations with a group above its bound.
    crowded: Vec<(usize, i64)>,
    /// For matches that never end.
    pub(super) live: Option<Live>,
    /// Memory to use again.
    columns: Columns,
    row: Row,
}

/// State of one correlation.
pub(super) struct State {
    /// By key; see [`Correlator::key`].
    pub(super) groups: Groups,
    /// Observations up to this time come too late.
    cut: i64,
    /// Instants up to this one have been evaluated.
    pub(super) done: i64,
}

/// Groups by their keys.
pub(super) type Groups = HashMap<u64, Group, foldhash::fast::RandomState>;

pub(super) struct Group {
    pub(super) list: Vec<Obs>,
    sorted: bool,
    last_hit: i64,
    /// Times of hits that were reported and that later matches may still meet, in their order; only while live.
    pub(super) hits: Vec<i64>,
    /// It is among those that are to be evaluated.
    pub(super) touched: bool,
}

/// Memory of a group beside its observations: its place in a map that is full to seven sixteenths or more.
const GROUP_BYTES: usize = (size_of::<(u64, Group)>() + 1) * 16 / 7;

impl Group {
    pub(super) fn new(list: Vec<Obs>, hits: Vec<i64>) -> Self {
        Self { sorted: list.len() < 2, list, last_hit: i64::MIN, hits, touched: false }
    }

    pub(super) fn bytes(&self) -> usize {
        GROUP_BYTES + self.list.capacity() * size_of::<Obs>() + self.hits.capacity() * size_of::<i64>()
    }

    fn push(&mut self, o: Obs) {
        self.sorted &= self.list.last().is_none_or(|last| *last < o);
        self.list.push(o);
    }

    /// Brings the set of observations into order.
    pub(super) fn sort(&mut self) {
        if !self.sorted {
            self.list.sort_unstable();
            self.list.dedup();
            self.sorted = true;
        }
    }

    fn drop_first(&mut self, count: usize) {
        self.list.drain(..count);
        if self.list.capacity() > 2 * self.list.len() + 16 {
            self.list.shrink_to_fit();
        }
    }
}

/// A hit, kept until all of one evaluation can be put in order.
pub(super) struct Hit {
    correlation: usize,
    time_ns: i64,
    file: u32,
    position: u64,
    scope: String,
    group: Vec<String>,
    value: f64,
    evidence: Vec<Obs>,
    evidence_total: usize,
}

/// Where and when something was seen.
#[derive(Clone, Copy)]
struct Place {
    time_ns: i64,
    file: u32,
    position: u64,
    class: u32,
    /// Number of the value that says whose it is.
    scope: u32,
}

impl Correlator {
    /// Prepares `correlations` over `rules`. Also says which correlations cannot be used and why.
    pub fn new(correlations: Vec<Correlation>, rules: &[Rule], limits: Limits) -> (Self, Vec<Unusable>) {
        let (plan, unusable) = Plan::new(&correlations, rules);
        let state = || State { groups: HashMap::default(), cut: i64::MIN, done: i64::MIN };
        let correlator = Self {
            states: correlations.iter().map(|_| state()).collect(),
            rule_ids: rules.iter().map(|r| r.id.clone()).collect(),
            correlations: correlations.into(),
            plan: Arc::new(plan),
            values: Interner::default(),
            tuples: Interner::default(),
            limits,
            statistics: Statistics::default(),
            groups: 0,
            bytes: 0,
            crowded: Vec::new(),
            live: None,
            columns: Columns::default(),
            row: Row::default(),
        };
        (correlator, unusable)
    }

    /// The correlations, in the order of [`CorrelationHit::correlation`].
    pub fn correlations(&self) -> &[Correlation] {
        &self.correlations
    }

    /// Whether any correlation uses the matches of this rule.
    pub fn is_fed_by(&self, rule: usize) -> bool {
        self.plan.rule_feeds.get(rule).is_some_and(|f| !f.is_empty())
    }

    /// Fields of the events of this rule that correlations need.
    pub fn needs(&self, rule: usize) -> &[String] {
        self.plan.needs.get(rule).map_or(&[], Vec::as_slice)
    }

    /// What was counted so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Memory of the state in bytes, approximately.
    pub fn bytes(&self) -> usize {
        self.bytes + self.values.bytes() + self.tuples.bytes()
    }

    /// Groups held.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Takes a match in. Hits come here only when the bounds force an early evaluation.
    pub fn feed(&mut self, match_: &Observation, out: &mut dyn FnMut(&CorrelationHit)) {
        if !self.is_fed_by(match_.rule) {
            return;
        }
        self.statistics.matches += 1;
        let Some(time_ns) = match_.time_ns else {
            self.statistics.without_time += 1;
            return;
        };
        let mut columns = std::mem::take(&mut self.columns);
        let scope = if self.live.is_some() { self.values.intern(match_.scope.as_bytes()) } else { Some(NONE) };
        let whole = scope.filter(|_| self.fill(&mut columns, match_));
        if let Some(scope) = whole {
            let place = Place { time_ns, file: match_.file, position: match_.position, class: 0, scope };
            let plan = Arc::clone(&self.plan);
            for &feed in &plan.rule_feeds[match_.rule] {
                self.take(&plan, feed, place, &columns);
            }
        } else {
            self.statistics.evicted_observations += 1;
        }
        self.columns = columns;
        if whole.is_none() {
            self.relieve(out);
            return;
        }
        if !self.crowded.is_empty() || self.is_full() {
            self.relieve(out);
        }
    }

    /// Evaluates all that is left and forgets it. Hits come in the order of time.
    pub fn flush(&mut self, out: &mut dyn FnMut(&CorrelationHit)) {
        let mut hits = Vec::new();
        for i in 0..self.plan.order.len() {
            let c = self.plan.order[i];
            self.evaluate(c, i64::MAX, &mut hits);
            // Hits are observations of others; they are evaluated next, so only a burst of them can be too much.
            self.force_under_bounds();
        }
        self.report(hits, out);
        for state in &mut self.states {
            state.groups = HashMap::default();
            state.cut = i64::MIN;
            state.done = i64::MIN;
        }
        self.crowded.clear();
        self.values = Interner::default();
        self.tuples = Interner::default();
        debug_assert_eq!((self.groups, self.bytes), (0, 0), "all memory is accounted for");
    }

    /// The values of the needed fields, as numbers, each once. False when there is no room for them.
    fn fill(&mut self, columns: &mut Columns, match_: &Observation) -> bool {
        columns.clear();
        for need in 0..self.plan.needs[match_.rule].len() {
            let start = columns.values.len();
            for (_, value) in match_.fields.iter().filter(|(place, _)| *place == need) {
                let Some(id) = self.values.intern(value.as_bytes()) else { return false };
                if columns.values[start..].contains(&id) {
                    continue;
                }
                if columns.values.len() - start == self.limits.combinations {
                    self.statistics.combinations_cut += 1;
                    break;
                }
                columns.values.push(id);
            }
            columns.end();
        }
        true
    }

    /// Adds an observation for every combination of values.
    fn take(&mut self, plan: &Plan, (c, source_index): Feed, place: Place, columns: &Columns) {
        if place.time_ns <= self.states[c].cut {
            self.statistics.late += 1;
            return;
        }
        let source = &plan.wirings[c].sources[source_index];
        let lacks = |list: &[usize]| list.iter().any(|&i| columns.get(i).is_empty());
        if lacks(&source.group) {
            self.statistics.without_group += 1;
            return;
        }
        if lacks(&source.measure) {
            self.statistics.without_value += 1;
            return;
        }
        let mut row = std::mem::take(&mut self.row);
        row.begin(columns);
        for count in 0.. {
            if count == self.limits.combinations {
                self.statistics.combinations_cut += 1;
                break;
            }
            row.choose(source, columns);
            if self.live.is_some() {
                row.key.push(place.scope);
            }
            self.keep(c, source_index as u32, place, &row);
            if !row.advance(source, columns) {
                break;
            }
        }
        self.row = row;
    }

    fn keep(&mut self, c: usize, source: u32, place: Place, row: &Row) {
        let Some(measure) = self.measure(c, &row.measure) else {
            self.statistics.without_value += 1;
            return;
        };
        let Some(carry) = self.tuple(&row.carry) else {
            self.statistics.evicted_observations += 1;
            return;
        };
        let Some(key) = self.key(&row.key) else {
            self.statistics.evicted_observations += 1;
            return;
        };
        let observation = Obs {
            time_ns: place.time_ns,
            file: place.file,
            position: place.position,
            class: place.class,
            measure,
            source,
            carry,
        };
        self.statistics.observations += 1;
        let (groups, bytes) = (&mut self.groups, &mut self.bytes);
        let group = self.states[c].groups.entry(key).or_insert_with(|| {
            *groups += 1;
            let group = Group::new(Vec::with_capacity(1), Vec::new());
            *bytes += group.bytes();
            group
        });
        let before = group.list.capacity();
        group.push(observation);
        *bytes += (group.list.capacity() - before) * size_of::<Obs>();
        if group.list.len() > self.limits.observations_per_group {
            let middle = group.list[group.list.len() / 2].time_ns;
            self.crowded.push((c, middle));
        }
        if let Some(live) = &mut self.live
            && !std::mem::replace(&mut group.touched, true)
        {
            live.touched[c].push(key);
        }
    }

    /// What is kept of the measured field; `None` when it is no number although one is needed.
    fn measure(&mut self, c: usize, values: &[u32]) -> Option<u64> {
        let kind = self.correlations[c].kind;
        match (kind, values) {
            (_, []) => Some(0),
            (Type::ValueCount, [one]) => Some(u64::from(*one)),
            (Type::ValueCount, several) => self.tuple(several).map(u64::from),
            (_, [one, ..]) => std::str::from_utf8(self.values.get(*one)).ok().and_then(number).map(f64::to_bits),
        }
    }

    /// The values of a group in one number: up to two side by side, more as the number of their tuple.
    fn key(&mut self, values: &[u32]) -> Option<u64> {
        match *values {
            [] => Some(0),
            [one] => Some(u64::from(one)),
            [one, two] => Some(pair(one, two)),
            _ => self.tuple(values).map(u64::from),
        }
    }

    /// How many values a key is made of: those to group by and, while live, whose it is.
    pub(super) fn key_width(&self, c: usize) -> usize {
        self.correlations[c].group_by.len() + usize::from(self.live.is_some())
    }

    /// The values that [`Self::key`] made `key` of.
    pub(super) fn key_values(&self, c: usize, key: u64) -> Vec<u32> {
        match self.key_width(c) {
            0 => Vec::new(),
            1 => vec![key as u32],
            2 => vec![key as u32, (key >> 32) as u32],
            _ => self.tuple_values(key as u32),
        }
    }

    fn tuple(&mut self, values: &[u32]) -> Option<u32> {
        if values.is_empty() {
            return Some(NONE);
        }
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tuples.intern(&bytes)
    }

    /// Evaluates the instants of one correlation up to `until`, lets go what is not needed any more and passes hits on.
    fn evaluate(&mut self, c: usize, until: i64, hits: &mut Vec<Hit>) {
        let mut groups = std::mem::take(&mut self.states[c].groups);
        let after = self.states[c].done;
        let (plan, correlations) = (Arc::clone(&self.plan), Arc::clone(&self.correlations));
        let test = Test::new(&correlations[c], &plan.wirings[c].sources);
        let silence = until.saturating_sub(correlations[c].timespan_ns);
        let mut found = Vec::new();
        groups.retain(|&key, group| {
            self.bytes -= group.bytes();
            self.groups -= 1;
            group.sort();
            found.clear();
            let mut stretch = Stretch { after, until, last_hit: group.last_hit, known: &[] };
            let needed = test.run(&group.list, &mut stretch, &mut found);
            group.last_hit = stretch.last_hit;
            if !found.is_empty() {
                let values = self.key_values(c, key);
                for f in &found {
                    self.pass_on(c, &values, &group.list, *f);
                    if plan.wirings[c].reports {
                        hits.push(self.hit(c, &values, &group.list, *f));
                    }
                }
            }
            if until == i64::MAX {
                return false;
            }
            group.drop_first(needed);
            let kept = group.last_hit > silence || !group.list.is_empty();
            if kept {
                self.groups += 1;
                self.bytes += group.bytes();
            }
            kept
        });
        shrink(&mut groups);
        self.states[c].groups = groups;
        self.states[c].done = until;
    }

    pub(super) fn hit(&self, c: usize, key: &[u32], list: &[Obs], found: Found) -> Hit {
        let newest = &list[found.last];
        let window = &list[found.first..=found.last];
        let (group, scope) = key.split_at(self.correlations[c].group_by.len());
        Hit {
            correlation: c,
            time_ns: newest.time_ns,
            file: newest.file,
            position: newest.position,
            scope: scope.first().map(|&id| self.text(id)).unwrap_or_default(),
            group: group.iter().map(|&id| self.text(id)).collect(),
            value: found.value,
            evidence: evidence(window, self.plan.wirings[c].sources.len()),
            evidence_total: window.len(),
        }
    }

    fn text(&self, id: u32) -> String {
        String::from_utf8_lossy(self.values.get(id)).into_owned()
    }

    /// Makes a hit an observation of the correlations that use it.
    pub(super) fn pass_on(&mut self, c: usize, key: &[u32], list: &[Obs], found: Found) {
        if self.plan.wirings[c].downstream.is_empty() {
            return;
        }
        let newest = &list[found.last];
        let tuples = self.carried(&list[found.first..=found.last]);
        let plan = Arc::clone(&self.plan);
        let mut columns = Columns::default();
        for carried in tuples {
            columns.clear();
            for from in &plan.wirings[c].export_from {
                match *from {
                    Export::Group(i) => columns.values.push(key[i]),
                    Export::Carry(i) => columns.values.extend(carried.get(i).copied().filter(|&v| v != NONE)),
                }
                columns.end();
            }
            for &(receiver, source) in &plan.wirings[c].downstream {
                let place = Place {
                    time_ns: newest.time_ns,
                    file: newest.file,
                    position: newest.position,
                    class: source as u32 + 1,
                    scope: if self.live.is_some() { key.last().copied().unwrap_or(NONE) } else { NONE },
                };
                self.take(&plan, (receiver, source), place, &columns);
            }
        }
    }

    /// The different tuples of carried values in a window, the newest first.
    fn carried(&mut self, window: &[Obs]) -> Vec<Vec<u32>> {
        let mut seen: Vec<u32> = Vec::new();
        for o in window.iter().rev() {
            if seen.contains(&o.carry) {
                continue;
            }
            if seen.len() == self.limits.combinations {
                self.statistics.combinations_cut += 1;
                break;
            }
            seen.push(o.carry);
        }
        seen.into_iter().map(|id| self.tuple_values(id)).collect()
    }

    fn tuple_values(&self, id: u32) -> Vec<u32> {
        if id == NONE {
            return Vec::new();
        }
        let quads = self.tuples.get(id).chunks_exact(4);
        quads.map(|q| u32::from_le_bytes([q[0], q[1], q[2], q[3]])).collect()
    }

    pub(super) fn report(&mut self, mut hits: Vec<Hit>, out: &mut dyn FnMut(&CorrelationHit)) {
        hits.sort_by(|a, b| {
            let key = |h: &Hit| (h.time_ns, h.correlation, h.file, h.position);
            key(a).cmp(&key(b)).then_with(|| (&a.scope, &a.group).cmp(&(&b.scope, &b.group)))
        });
        for hit in hits {
            self.statistics.hits += 1;
            let names = &self.correlations[hit.correlation].group_by;
            let group: Vec<(&str, &str)> =
                names.iter().zip(&hit.group).map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let evidence: Vec<Evidence> = hit
                .evidence
                .iter()
                .map(|o| Evidence {
                    rule: self.sender(hit.correlation, o.source).to_owned(),
                    file: o.file,
                    position: o.position,
                    time_ns: Some(o.time_ns),
                })
                .collect();
            out(&CorrelationHit {
                correlation: hit.correlation,
                time_ns: hit.time_ns,
                file: hit.file,
                position: hit.position,
                scope: &hit.scope,
                group: &group,
                value: hit.value,
                evidence: &evidence,
                evidence_total: hit.evidence_total,
            });
        }
    }

    pub(super) fn sender(&self, c: usize, source: u32) -> &str {
        let Source { upstream, .. } = self.plan.wirings[c].sources[source as usize];
        match upstream {
            Upstream::Rule(rule) => &self.rule_ids[rule],
            Upstream::Correlation(inner) => &self.correlations[inner].id,
        }
    }

    fn is_full(&self) -> bool {
        self.groups > self.limits.groups || self.bytes() > self.limits.bytes
    }

    /// Brings the state back under its bounds.
    fn relieve(&mut self, out: &mut dyn FnMut(&CorrelationHit)) {
        let mut hits = Vec::new();
        if self.is_full() {
            self.statistics.compactions += 1;
            // What came while live is evaluated already, or will be in a moment.
            for i in 0..self.plan.order.len() {
                let c = self.plan.order[i];
                if self.live.is_some() {
                    break;
                }
                if let Some(middle) = self.middle(c) {
                    self.compact(c, middle, &mut hits);
                }
            }
            // Numbering all values again pays only when they are much of what is held.
            let values = self.values.bytes() + self.tuples.bytes();
            if values > self.limits.bytes / 4 || self.is_full_for_long() {
                self.rebuild_values();
            }
            while self.is_full_for_long() && self.groups > 0 {
                self.evict();
                self.rebuild_values();
            }
        }
        // Hits of an inner correlation can crowd an outer one, which is later in the order; so this ends.
        while let Some((c, middle)) = self.crowded.pop() {
            if self.has_crowd(c, self.limits.observations_per_group) {
                self.statistics.compactions += 1;
                if self.live.is_none() {
                    self.compact(c, middle, &mut hits);
                }
                self.thin_out(c);
            }
        }
        self.report(hits, out);
    }

    /// Brings the state back under its bounds, whatever it costs.
    pub(super) fn force_under_bounds(&mut self) {
        while self.is_full() && self.groups > 0 {
            self.evict();
            self.rebuild_values();
        }
    }

    /// Less than what is allowed, so that work is not repeated at once.
    fn is_full_for_long(&self) -> bool {
        self.groups > self.limits.groups / 4 * 3 || self.bytes() > self.limits.bytes / 4 * 3
    }

    fn has_crowd(&self, c: usize, size: usize) -> bool {
        self.states[c].groups.values().any(|g| g.list.len() > size)
    }

    /// A time in the middle of what a correlation holds, from a sample.
    fn middle(&self, c: usize) -> Option<i64> {
        let held: usize = self.states[c].groups.values().map(|g| g.list.len()).sum();
        let every = held / 4096 + 1;
        let all = self.states[c].groups.values().flat_map(|g| &g.list);
        let mut sample: Vec<i64> = all.step_by(every).map(|o| o.time_ns).collect();
        if sample.is_empty() {
            return None;
        }
        let middle = sample.len() / 2;
        Some(*sample.select_nth_unstable(middle).1)
    }

    /// Evaluates one correlation early, so that about what is older than `middle` can go. Does nothing where that would
    /// free nothing.
    fn compact(&mut self, c: usize, middle: i64, hits: &mut Vec<Hit>) {
        let span = self.correlations[c].timespan_ns;
        let times = || {
            let groups = self.states[c].groups.values();
            groups.flat_map(|g| g.list.iter().map(|o| o.time_ns))
        };
        let (Some(oldest), Some(newest)) = (times().min(), times().max()) else {
            return;
        };
        // Some room is left for matches that come out of order.
        let mut cut = middle.saturating_add(span).saturating_add(span).min(newest.saturating_sub(span / 8));
        for source in &self.plan.wirings[c].sources {
            if let Upstream::Correlation(inner) = source.upstream {
                cut = cut.min(self.states[inner].done);
            }
        }
        // What happened up to here cannot be changed by what comes after the cut.
        let until = cut.saturating_sub(span);
        if until <= oldest || cut <= self.states[c].cut {
            return;
        }
        self.states[c].cut = cut;
        self.evaluate(c, until, hits);
    }

    /// Drops the older half of groups that are still too large.
    fn thin_out(&mut self, c: usize) {
        let bound = self.limits.observations_per_group;
        for group in self.states[c].groups.values_mut() {
            if group.list.len() > bound / 4 * 3 {
                self.bytes -= group.bytes();
                group.sort();
                let dropped = group.list.len().saturating_sub(bound / 2);
                group.drop_first(dropped);
                self.statistics.evicted_observations += dropped as u64;
                self.bytes += group.bytes();
            }
        }
    }

    /// Of the correlation that holds most: drops the older half of its groups, and the older half of each other group.
    fn evict(&mut self) {
        let size = |s: &State| s.groups.values().map(Group::bytes).sum::<usize>();
        let Some(state) = self.states.iter_mut().max_by_key(|s| size(s)) else {
            return;
        };
        let newest = |g: &Group| g.list.iter().map(|o| o.time_ns).max().unwrap_or(g.last_hit);
        let mut order: Vec<(i64, u64)> = state.groups.iter().map(|(key, group)| (newest(group), *key)).collect();
        order.sort_unstable();
        order.truncate(order.len() / 2);
        let mut gone: Vec<(u64, Group)> = order.iter().filter_map(|(_, key)| state.groups.remove_entry(key)).collect();
        for group in state.groups.values_mut() {
            self.bytes -= group.bytes();
            group.sort();
            let half = group.list.len().div_ceil(2);
            group.drop_first(half);
            self.statistics.evicted_observations += half as u64;
            self.bytes += group.bytes();
        }
        gone.extend(state.groups.extract_if(|_, g| g.list.is_empty()));
        for (_, group) in &gone {
            self.groups -= 1;
            self.bytes -= group.bytes();
            self.statistics.evicted_groups += 1;
            self.statistics.evicted_observations += group.list.len() as u64;
        }
        state.groups.shrink_to_fit();
    }

    /// Forgets values that nothing mentions any more.
    fn rebuild_values(&mut self) {
        let old_values = std::mem::take(&mut self.values);
        let old_tuples = std::mem::take(&mut self.tuples);
        let scoped = usize::from(self.live.is_some());
        let mut renaming = Renaming {
            values: Renamed::new(&mut self.values, &old_values),
            tuples: Renamed::new(&mut self.tuples, &old_tuples),
        };
        for (state, correlation) in self.states.iter_mut().zip(self.correlations.iter()) {
            let groups = std::mem::take(&mut state.groups);
            state.groups.reserve(groups.len());
            let width = correlation.group_by.len() + scoped;
            state.groups.extend(groups.into_iter().map(|(key, group)| renaming.group(correlation, width, key, group)));
        }
        if let Some(live) = &mut self.live {
            live.look_again(&self.states);
        }
    }
}

/// For each column its values, as numbers.
#[derive(Default)]
struct Columns {
    values: Vec<u32>,
    ends: Vec<usize>,
}

impl Columns {
    fn clear(&mut self) {
        self.values.clear();
        self.ends.clear();
    }

    /// What was added to the values since the last call is a column.
    fn end(&mut self) {
        self.ends.push(self.values.len());
    }

    fn get(&self, column: usize) -> &[u32] {
        let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.values[start..self.ends[column]]
    }
}

/// The parts of one observation, as numbers of values, and which value of each column they are.
#[derive(Default)]
struct Row {
    chosen: Vec<usize>,
    key: Vec<u32>,
    measure: Vec<u32>,
    carry: Vec<u32>,
}

impl Row {
    fn begin(&mut self, columns: &Columns) {
        self.chosen.clear();
        self.chosen.resize(columns.ends.len(), 0);
    }

    fn choose(&mut self, source: &Source, columns: &Columns) {
        let Self { chosen, key, measure, carry } = self;
        let value = |&i: &usize| columns.get(i).get(chosen[i]).copied().unwrap_or(NONE);
        for (part, from) in [(key, &source.group), (measure, &source.measure), (carry, &source.carry)] {
            part.clear();
            part.extend(from.iter().map(value));
        }
    }

    /// The next combination of values; false after the last.
    fn advance(&mut self, source: &Source, columns: &Columns) -> bool {
        for &i in &source.columns {
            self.chosen[i] += 1;
            if self.chosen[i] < columns.get(i).len() {
                return true;
            }
            self.chosen[i] = 0;
        }
        false
    }
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// Gives back the room of groups that went, so that [`GROUP_BYTES`] is true.
pub(super) fn shrink(groups: &mut Groups) {
    if groups.len() < groups.capacity() / 2 {
        groups.shrink_to_fit();
    }
}

/// Moves values from old interners to new ones.
pub(super) struct Renaming<'a> {
    pub(super) values: Renamed<'a>,
    pub(super) tuples: Renamed<'a>,
}

impl Renaming<'_> {
    /// A group of `correlation` whose key is made of `width` values, with the new numbers.
    pub(super) fn group(
        &mut self,
        correlation: &Correlation,
        width: usize,
        key: u64,
        mut group: Group,
    ) -> (u64, Group) {
        let key = match width {
            0 => key,
            1 => u64::from(self.value(key as u32)),
            2 => pair(self.value(key as u32), self.value((key >> 32) as u32)),
            _ => u64::from(self.tuple(key as u32)),
        };
        for o in &mut group.list {
            o.carry = self.tuple(o.carry);
            if correlation.kind == Type::ValueCount {
                let id = o.measure as u32;
                let several = correlation.fields.len() > 1;
                o.measure = u64::from(if several { self.tuple(id) } else { self.value(id) });
            }
        }
        // The numbers are part of the order.
        group.sorted = false;
        (key, group)
    }

    fn value(&mut self, id: u32) -> u32 {
        self.values.number(id, Cow::Borrowed)
    }

    fn tuple(&mut self, id: u32) -> u32 {
        let values = &mut self.values;
        self.tuples.number(id, |old| {
            let quads = old.chunks_exact(4).map(|q| u32::from_le_bytes([q[0], q[1], q[2], q[3]]));
            quads.flat_map(|value| values.number(value, Cow::Borrowed).to_le_bytes()).collect()
        })
    }
}

/// Moves byte strings from one interner to another.
pub(super) struct Renamed<'a> {
    new: &'a mut Interner,
    old: &'a Interner,
    /// For each old number the new one, `NONE` for what was not moved yet.
    numbers: Vec<u32>,
}

impl<'a> Renamed<'a> {
    pub(super) fn new(new: &'a mut Interner, old: &'a Interner) -> Self {
        Self { new, old, numbers: vec![NONE; old.len()] }
    }

    /// The new number of `id`; `moved` says what becomes of its bytes.
    fn number(&mut self, id: u32, moved: impl FnOnce(&'a [u8]) -> Cow<'a, [u8]>) -> u32 {
        let Some(number) = self.numbers.get_mut(id as usize) else { return NONE };
        if *number == NONE {
            *number = self.new.intern(&moved(self.old.get(id))).unwrap_or(NONE);
        }
        *number
    }
}

/// The newest matches of a window, oldest first, but of each sender at least one.
fn evidence(window: &[Obs], sources: usize) -> Vec<Obs> {
    let mut chosen = newest(window, sources);
    // Numbers of values depend on the order of input, so they must not decide.
    let key = |o: &Obs| (o.time_ns, o.file, o.position, o.source);
    chosen.sort_by_key(key);
    chosen.dedup_by_key(|o| key(o));
    chosen
}

fn newest(window: &[Obs], sources: usize) -> Vec<Obs> {
    if window.len() <= MAX_EVIDENCE {
        return window.to_vec();
    }
    let mut waiting = vec![false; sources];
    for o in window {
        waiting[o.source as usize] = true;
    }
    let mut senders = waiting.iter().filter(|w| **w).count();
    let mut chosen: Vec<Obs> = Vec::with_capacity(MAX_EVIDENCE);
    for o in window.iter().rev() {
        let room = MAX_EVIDENCE - chosen.len();
        if room == 0 {
            break;
        }
        let first_of_sender = std::mem::take(&mut waiting[o.source as usize]);
        if first_of_sender || room > senders {
            senders -= usize::from(first_of_sender);
            chosen.push(*o);
        }
    }
    chosen
}
