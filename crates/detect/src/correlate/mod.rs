//! Correlations: what many matches say together (Sigma correlation rules specification 2.1).
//!
//! A [`Correlator`] is fed with the matches of base rules and says where a correlation holds. What it finds is a function
//! of the *set* of matches: their order, the number of threads and the way input was split do not matter. It therefore
//! collects compact observations per group and evaluates them in the order of event time.
//!
//! # Meaning
//!
//! The specification leaves most of this open; each decision says why.
//!
//! - **Time** is event time. A match without one takes no part and is counted
//!   ([`Statistics::without_time`]).
//! - **Groups**: matches with the same values (compared exactly) in all `group-by` fields. A match that lacks one takes no
//!   part ("must all have the same value": absent is not a value; Splunk's `stats by`, to which pySigma translates, does
//!   the same). A field with several values puts the match into the group of each.
//! - **Windows**: sliding (the default) looks at every instant `t` at which something happened, at the matches from
//!   `t - timespan` to `t`, both included, as EQL's `maxspan` does. `tumbling` has buckets aligned to 1970; `session` goes
//!   on while the distance to the next match is at most `gap` and the whole at most `timespan`.
//! - **When a condition is looked at**: where more matches can only help (`gt`/`gte` on event, value and rule counts and
//!   on sums; expressions without `not`), at every instant, so that a hit comes with the match that completed it. Every
//!   other condition (`lt`, `lte`, `eq`, `neq`, ranges, averages, percentiles, `not`) is looked at where the window is
//!   *complete*: the next match no longer fits beside the window's oldest. So `eq: 3` is not fulfilled on the way to ten.
//!   A condition that needs nothing to happen at all (`lt: 1`) never holds, since nothing is there to look at.
//! - **One hit per window**: after a hit a group is silent until its window lies wholly behind the hit. The matches behind
//!   two hits of a group therefore never overlap. (pySigma's Splunk and SQL backends yield one row a bucket: the same
//!   order of magnitude, without their blind spot at the edges.)
//! - **`event_count` counts events** ("counts events occurring"): an event that matches two of the rules counts once.
//! - **`value_count`** with several fields counts distinct combinations; **`value_percentile`** (default 50) interpolates
//!   linearly between ranks, as SQL's `PERCENTILE_CONT`; sums are exact in steps of 2⁻³².
//! - **`temporal`** without a condition needs every rule. `rsigma-parser` writes this as `gte: 1`, so an explicit `gte: 1`
//!   means the same. `temporal_ordered` needs times that do not decrease in the order of `rules`: of matches at the same
//!   instant a clock cannot tell which was first.
//! - **Correlations of correlations**: a hit is an observation at the time of the match that completed it, with the values
//!   of the group and, for fields by which the inner correlation does not group, with those of every match in its window
//!   (at most [`Limits::combinations`] different combinations).
//!
//! # Live
//!
//! [`Correlator::live`] does the same for matches that never end. It is fed batch by batch; after each,
//! [`Correlator::settle`] reports what holds. What it reports is a function of the batches and their order alone, so that
//! it can be saved at some batch and go on from there elsewhere.
//!
//! - Matches of different owners ([`Observation::scope`]) never meet.
//! - A match is kept for the timespan and the grace after it happened *and* after it was received: what arrives late meets
//!   what else arrives late, and what happened at the same time and came in before.
//! - A hit that was reported stays. A match that arrives later can only complete windows that meet none of those before:
//!   where matches arrive in the order of time, hits are those of the whole set.
//! - Conditions to which more matches may do harm wait until their window is complete: the timespan and the grace. What
//!   arrives later than that is not looked at by them.
//!
//! # Bounds
//!
//! State is bounded by [`Limits`]. When it is reached, the older half of what is held is evaluated and let go; matches
//! that arrive behind that line afterwards are *late* and dropped. If that is not enough (all within one window), the
//! oldest observations are dropped. Both are counted in [`Statistics`]; while [`Statistics::exact`] is true, findings are
//! those of the whole set.

mod engine;
mod evaluate;
mod intern;
mod live;
#[cfg(test)]
mod live_tests;
mod model;
mod observed;
mod plan;
#[cfg(test)]
mod tests;

pub use engine::{Correlator, Limits, Observation, Statistics};
pub use evaluate::MAX_EVIDENCE;
pub use live::SavedError;
pub use model::{Alias, Condition, Correlation, Operator, RuleExpr, Type, Window};
pub use observed::{Observations, Wanted};
pub use plan::Unusable;

use crate::finding::Evidence;

/// One time that a correlation held. Borrowed: valid during the call that hands it out.
#[derive(Clone, Copy, Debug)]
pub struct CorrelationHit<'a> {
    /// Index of the correlation in the list given to [`Correlator::new`].
    pub correlation: usize,
    /// Time of the match that completed it, nanoseconds since 1970.
    pub time_ns: i64,
    /// File of that match.
    pub file: u32,
    /// Position in the file.
    pub position: u64,
    /// Whose it is, with [`Correlator::live`].
    pub scope: &'a str,
    /// The `group-by` fields (as the correlation names them) and their values.
    pub group: &'a [(&'a str, &'a str)],
    /// The count, sum, average ... that fulfilled the condition; for an expression the number of different rules.
    pub value: f64,
    /// Matches in the window, oldest first, at most [`MAX_EVIDENCE`]: the newest, and of each rule at least one. A hit of
    /// an inner correlation stands as its completing match under the correlation's id.
    pub evidence: &'a [Evidence],
    /// How many matches the window held.
    pub evidence_total: usize,
}
