//! Correlations over matches that never end; see [`super`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::engine::{Correlator, Group, Limits, Renamed, Renaming, State, shrink};
use super::evaluate::{Found, Obs, Stretch, Test};
use super::intern::{Interner, NONE};
use super::{Correlation, CorrelationHit, Type, Unusable};
use crate::rule::{Origin, Rule};

/// How often everything is looked through for what is over, in nanoseconds of the clock.
const SWEEP_NS: i64 = 5_000_000_000;

const SECOND_NS: i64 = 1_000_000_000;

/// Hits of one group that are remembered.
const HITS: usize = 64;

/// What a correlator needs to know to go on without end.
pub(super) struct Live {
    /// How much later than others a match may arrive and still meet them.
    grace_ns: i64,
    /// Per correlation: keys of groups with something new.
    pub(super) touched: Vec<Vec<u64>>,
    /// The latest time of receipt.
    clock_ns: i64,
    /// When everything was looked through last.
    swept_ns: i64,
}

impl Live {
    /// Finds the groups with something new, whose keys have changed.
    pub(super) fn look_again(&mut self, states: &[State]) {
        for (state, touched) in states.iter().zip(&mut self.touched) {
            touched.clear();
            touched.extend(state.groups.iter().filter(|(_, group)| group.touched).map(|(key, _)| *key));
        }
    }
}

/// Why a saved state cannot be gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SavedError {
    /// The bytes are not those of a state, or of one that another version of the program saved.
    #[error("this is no saved state of correlations, or another version saved it")]
    Unreadable,
}

/// A state as it is saved.
#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    clock_ns: i64,
    swept_ns: i64,
    #[serde(borrow)]
    values: Vec<&'a [u8]>,
    #[serde(borrow)]
    tuples: Vec<&'a [u8]>,
    states: Vec<SavedCorrelation>,
}

#[derive(Serialize, Deserialize)]
struct SavedCorrelation {
    /// What the numbers in its groups depend on.
    identity: Vec<u8>,
    /// Complete windows up to this instant were looked at.
    done: i64,
    groups: Vec<(u64, Vec<i64>, Vec<Obs>)>,
}

impl Correlator {
    /// As [`Correlator::new`], for matches without end. Matches may arrive so much later than others and still meet them.
    pub fn live(
        correlations: Vec<Correlation>,
        rules: &[Rule],
        limits: Limits,
        grace_ns: i64,
    ) -> (Self, Vec<Unusable>) {
        let (mut correlator, unusable) = Self::new(correlations, rules, limits);
        let touched = correlator.states.iter().map(|_| Vec::new()).collect();
        correlator.live = Some(Live { grace_ns, touched, clock_ns: i64::MIN, swept_ns: i64::MIN });
        (correlator, unusable)
    }

    /// Evaluates what was fed since the last call, in the order of time. `clock_ns` is when the newest of it was received,
    /// in nanoseconds since 1970; it never goes back. Does nothing without [`Correlator::live`].
    pub fn settle(&mut self, clock_ns: i64, out: &mut dyn FnMut(&CorrelationHit)) {
        let Some(live) = &mut self.live else { return };
        live.clock_ns = live.clock_ns.max(clock_ns);
        let clock_ns = live.clock_ns;
        let sweep = clock_ns >= live.swept_ns.saturating_add(SWEEP_NS);
        if sweep {
            live.swept_ns = clock_ns;
        }
        let quiet = live.touched.iter().all(Vec::is_empty);
        if quiet && !sweep {
            return;
        }
        let mut hits = Vec::new();
        let (plan, correlations) = (Arc::clone(&self.plan), Arc::clone(&self.correlations));
        let grace_ns = self.live.as_ref().map_or(0, |live| live.grace_ns);
        // Senders come before receivers, so that hits are evaluated as matches of others in the same round.
        for &c in &plan.order {
            let touched = self.live.as_mut().map(|live| std::mem::take(&mut live.touched[c])).unwrap_or_default();
            if !sweep && touched.is_empty() {
                continue;
            }
            let horizon = clock_ns.saturating_sub(grace_ns).saturating_sub(correlations[c].timespan_ns);
            let test = Test::new(&correlations[c], &plan.wirings[c].sources);
            let reports = plan.wirings[c].reports;
            let after = self.states[c].done;
            let mut round = Round { c, sweep, test, reports, after, horizon, found: Vec::new(), hits: Vec::new() };
            if sweep {
                let keys: Vec<u64> = self.states[c].groups.keys().copied().collect();
                for key in keys {
                    round.group(self, key);
                }
                shrink(&mut self.states[c].groups);
                self.states[c].done = after.max(horizon);
            } else {
                for key in touched {
                    round.group(self, key);
                }
            }
            hits.extend(round.hits);
        }
        self.force_under_bounds();
        self.report(hits, out);
    }

    /// The state, from which [`Correlator::restore`] goes on.
    pub fn save(&self) -> Vec<u8> {
        let live = self.live.as_ref();
        let states = (0..self.states.len()).map(|c| SavedCorrelation {
            identity: self.identity(c),
            done: self.states[c].done,
            groups: (self.states[c].groups.iter())
                .map(|(key, group)| (*key, group.hits.clone(), group.list.clone()))
                .collect(),
        });
        let saved = Saved {
            clock_ns: live.map_or(i64::MIN, |live| live.clock_ns),
            swept_ns: live.map_or(i64::MIN, |live| live.swept_ns),
            values: self.values.all(),
            tuples: self.tuples.all(),
            states: states.collect(),
        };
        // Everything in it can be written, and memory does not fail.
        postcard::to_allocvec(&saved).unwrap_or_default()
    }

    /// Goes on from a saved state. A correlation that has changed since begins anew.
    ///
    /// # Errors
    /// When the bytes are not those of a state.
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), SavedError> {
        let saved: Saved<'_> = postcard::from_bytes(saved).map_err(|_| SavedError::Unreadable)?;
        let values = Interner::of(&saved.values).ok_or(SavedError::Unreadable)?;
        let tuples = Interner::of(&saved.tuples).ok_or(SavedError::Unreadable)?;
        let numbers = Numbers { values: saved.values.len(), tuples: saved.tuples.len() };
        if !saved.tuples.iter().all(|tuple| numbers.are_values(tuple)) {
            return Err(SavedError::Unreadable);
        }
        if let Some(live) = &mut self.live {
            (live.clock_ns, live.swept_ns) = (saved.clock_ns, saved.swept_ns);
        }
        // Two that are the same, from two packs, have a state each.
        let mut identities: Vec<Option<Vec<u8>>> = (0..self.states.len()).map(|c| Some(self.identity(c))).collect();
        let widths: Vec<usize> = (0..self.states.len()).map(|c| self.key_width(c)).collect();
        let mut renaming = Renaming {
            values: Renamed::new(&mut self.values, &values),
            tuples: Renamed::new(&mut self.tuples, &tuples),
        };
        for SavedCorrelation { identity, done, groups } in saved.states {
            let Some(c) = identities.iter().position(|own| own.as_ref() == Some(&identity)) else { continue };
            identities[c] = None;
            self.states[c].done = done;
            for (key, hits, list) in groups {
                let sources = self.plan.wirings[c].sources.len();
                if !numbers.are_of(&self.correlations[c], widths[c], key, &list, sources) {
                    return Err(SavedError::Unreadable);
                }
                let (key, group) = renaming.group(&self.correlations[c], widths[c], key, Group::new(list, hits));
                self.bytes += group.bytes();
                match self.states[c].groups.insert(key, group) {
                    None => self.groups += 1,
                    Some(before) => self.bytes -= before.bytes(),
                }
            }
        }
        Ok(())
    }

    /// Everything that the numbers in a group of a correlation depend on.
    fn identity(&self, c: usize) -> Vec<u8> {
        let correlation = Correlation { origin: Origin::default(), ..self.correlations[c].clone() };
        let wiring = &self.plan.wirings[c];
        let senders: Vec<&str> = (0..wiring.sources.len()).map(|source| self.sender(c, source as u32)).collect();
        postcard::to_allocvec(&(correlation, senders, &wiring.carry)).unwrap_or_default()
    }
}

/// How many values and tuples a saved state has: numbers in it must be below.
#[derive(Clone, Copy)]
struct Numbers {
    values: usize,
    tuples: usize,
}

impl Numbers {
    fn is_value(self, number: u32) -> bool {
        (number as usize) < self.values
    }

    fn is_tuple(self, number: u32) -> bool {
        (number as usize) < self.tuples
    }

    /// Whether a tuple is made of values, or of places without one.
    fn are_values(self, tuple: &[u8]) -> bool {
        let (numbers, rest) = tuple.as_chunks::<4>();
        let number = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
        rest.is_empty() && numbers.iter().map(number).all(|number| number == NONE || self.is_value(number))
    }

    /// Whether a group of `correlation`, whose key is made of `width` values, has only numbers that are there.
    fn are_of(self, correlation: &Correlation, width: usize, key: u64, list: &[Obs], sources: usize) -> bool {
        let (low, high) = (key as u32, (key >> 32) as u32);
        let key = match width {
            0 => key == 0,
            1 => high == 0 && self.is_value(low),
            2 => self.is_value(low) && self.is_value(high),
            _ => high == 0 && self.is_tuple(low),
        };
        let measure = |o: &Obs| {
            let number = u32::try_from(o.measure);
            correlation.kind != Type::ValueCount
                || number.is_ok_and(|n| if correlation.fields.len() > 1 { self.is_tuple(n) } else { self.is_value(n) })
        };
        let known =
            |o: &Obs| (o.source as usize) < sources && (o.carry == NONE || self.is_tuple(o.carry)) && measure(o);
        key && list.iter().all(known)
    }
}

/// One evaluation of one correlation.
struct Round<'a> {
    c: usize,
    sweep: bool,
    test: Test<'a>,
    reports: bool,
    /// Windows at instants up to this one were complete before.
    after: i64,
    /// Windows at instants up to this one are complete.
    horizon: i64,
    found: Vec<Found>,
    hits: Vec<super::engine::Hit>,
}

impl Round<'_> {
    fn group(&mut self, correlator: &mut Correlator, key: u64) {
        let Some(mut group) = correlator.states[self.c].groups.remove(&key) else { return };
        let (before, touched) = (group.bytes(), std::mem::take(&mut group.touched));
        if self.test.is_rising() && touched || self.sweep && !self.test.is_rising() {
            self.evaluate(correlator, key, &mut group);
        }
        if self.sweep {
            // Windows that are still to be looked at must be whole.
            let span = self.test.timespan();
            let over = if self.test.is_rising() { self.horizon } else { self.horizon.saturating_sub(span) };
            self.test.let_go(&mut group.list, |o| received_or_happened(o) < over);
            group.hits.retain(|hit| *hit >= over.saturating_sub(span));
            if group.list.capacity() > 2 * group.list.len() + 16 {
                group.list.shrink_to_fit();
            }
        }
        correlator.bytes -= before;
        if group.list.is_empty() && group.hits.is_empty() {
            correlator.groups -= 1;
            return;
        }
        correlator.bytes += group.bytes();
        correlator.states[self.c].groups.insert(key, group);
    }

    fn evaluate(&mut self, correlator: &mut Correlator, key: u64, group: &mut Group) {
        group.sort();
        self.found.clear();
        let rising = self.test.is_rising();
        let (after, until) = if rising { (i64::MIN, i64::MAX) } else { (self.after, self.horizon) };
        let mut stretch = Stretch { after, until, last_hit: i64::MIN, known: &group.hits };
        self.test.run(&group.list, &mut stretch, &mut self.found);
        if self.found.is_empty() {
            return;
        }
        let values = correlator.key_values(self.c, key);
        for found in self.found.drain(..) {
            correlator.pass_on(self.c, &values, &group.list, found);
            if self.reports {
                self.hits.push(correlator.hit(self.c, &values, &group.list, found));
            }
            group.hits.push(group.list[found.last].time_ns);
        }
        group.hits.sort_unstable();
        group.hits.drain(..group.hits.len().saturating_sub(HITS));
        let (test, hits) = (&self.test, &group.hits);
        if rising {
            group.list.retain(|o| !hits.iter().any(|hit| test.is_used(o.time_ns, *hit)));
        }
    }
}

/// When a match happened or was received, whatever is later.
fn received_or_happened(o: &Obs) -> i64 {
    o.time_ns.max(i64::from(o.file).saturating_mul(SECOND_NS))
}
