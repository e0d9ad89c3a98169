//! Correlations without end against those over the whole set.

use proptest::prelude::*;

use super::tests::{BRUTE, Match, SECOND, at, correlations, generated, matches, rules, run_with};
use super::*;

const GRACE: i64 = 10 * SECOND;

/// A hit: correlation, time in seconds, owner, group.
type Hit = (usize, i64, String, Vec<String>);

fn correlator(list: &[Correlation]) -> Correlator {
    Correlator::live(list.to_vec(), &rules(), Limits::default(), GRACE).0
}

fn start(yaml: &str) -> Correlator {
    correlator(&correlations(yaml))
}

/// Feeds matches of one owner that were received `late` seconds after the newest happened, and settles.
fn feed(engine: &mut Correlator, scope: &str, list: &[Match], late: i64, hits: &mut Vec<Hit>) {
    let mut note = |h: &CorrelationHit| {
        let group = h.group.iter().map(|(_, value)| (*value).to_owned()).collect();
        hits.push((h.correlation, h.time_ns / SECOND, h.scope.to_owned(), group));
    };
    let clock = list.iter().map(|m| m.time).max().unwrap_or(0) + late * SECOND;
    for m in list {
        let place = |name: &str| engine.needs(m.rule).iter().position(|need| need == name);
        let fields: Vec<(usize, &str)> = m.fields.iter().filter_map(|(n, v)| Some((place(n)?, v.as_str()))).collect();
        let (rule, file, position) = (m.rule, (clock / SECOND) as u32, m.position);
        engine.feed(&Observation { rule, time_ns: Some(m.time), fields: &fields, file, position, scope }, &mut note);
    }
    engine.settle(clock, &mut note);
}

fn sorted(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort();
    hits
}

fn host(seconds: i64, position: u64) -> Match {
    at(seconds, 0, position, &[("host", "h1")])
}

#[test]
fn a_hit_comes_with_the_match_that_completes_it_and_once() {
    let mut engine = start(BRUTE);
    let mut hits = Vec::new();
    feed(&mut engine, "x", &[host(0, 1), host(50, 2)], 0, &mut hits);
    assert_eq!(hits, []);
    feed(&mut engine, "x", &[host(60, 3)], 0, &mut hits);
    assert_eq!(hits, [(0, 60, "x".to_owned(), vec!["h1".to_owned()])]);
    feed(&mut engine, "x", &[host(61, 4), host(62, 5), host(63, 6)], 0, &mut hits);
    assert_eq!(hits.len(), 1);
}

#[test]
fn matches_of_different_owners_never_meet() {
    let mut engine = start(BRUTE);
    let mut hits = Vec::new();
    for (time, owner) in [(0, "x"), (1, "y"), (2, "x"), (3, "y")] {
        feed(&mut engine, owner, &[host(time, time as u64)], 0, &mut hits);
    }
    assert_eq!(hits, []);
    feed(&mut engine, "y", &[host(4, 4)], 0, &mut hits);
    assert_eq!(hits, [(0, 4, "y".to_owned(), vec!["h1".to_owned()])]);
}

#[test]
fn what_arrives_late_is_found_at_its_own_time() {
    let mut engine = start(BRUTE);
    let mut hits = Vec::new();
    feed(&mut engine, "x", &[host(10_000, 1), host(10_001, 2), host(10_002, 3)], 0, &mut hits);
    // Hours ago, in two batches.
    feed(&mut engine, "x", &[host(100, 4), host(101, 5)], 9_903, &mut hits);
    feed(&mut engine, "x", &[host(102, 6)], 9_910, &mut hits);
    let times: Vec<i64> = hits.iter().map(|hit| hit.1).collect();
    assert_eq!(times, [10_002, 102]);
    // Beside a hit that was reported there is none.
    feed(&mut engine, "x", &[host(10_000, 7), host(9_999, 8), host(9_998, 9)], 20, &mut hits);
    assert_eq!(hits.len(), 2);
}

#[test]
fn state_ends_when_nothing_can_need_it() {
    let mut engine = start(BRUTE);
    let mut hits = Vec::new();
    for n in 0..1_000 {
        let name = format!("h{n}");
        feed(&mut engine, "x", &[at(n, 0, n as u64, &[("host", &name)])], 0, &mut hits);
    }
    assert!(engine.groups() < 100, "{}", engine.groups());
    engine.settle(10_000 * SECOND, &mut |_| {});
    assert_eq!((engine.groups(), engine.statistics().evicted_groups), (0, 0));
}

#[test]
fn a_state_of_other_rules_begins_anew() {
    let mut engine = start(BRUTE);
    let mut hits = Vec::new();
    feed(&mut engine, "x", &[host(0, 1), host(1, 2)], 0, &mut hits);
    let saved = engine.save();
    let mut other = start(&BRUTE.replace("gte: 3", "gte: 2"));
    other.restore(&saved).unwrap();
    assert_eq!(other.groups(), 0);
    assert_eq!(other.restore(&saved[..saved.len() / 2]), Err(SavedError::Unreadable));
    let mut same = start(BRUTE);
    same.restore(&saved).unwrap();
    assert_eq!(same.groups(), 1);
    feed(&mut same, "x", &[host(2, 3)], 0, &mut hits);
    assert_eq!(hits.len(), 1);
}

#[test]
fn the_same_correlation_twice_keeps_a_state_each() {
    let twice = [correlations(BRUTE), correlations(BRUTE)].concat();
    let mut engine = correlator(&twice);
    let mut hits = Vec::new();
    feed(&mut engine, "x", &[host(0, 1), host(1, 2)], 0, &mut hits);
    let mut other = correlator(&twice);
    other.restore(&engine.save()).unwrap();
    assert_eq!((other.groups(), engine.groups()), (2, 2));
    feed(&mut other, "x", &[host(2, 3)], 0, &mut hits);
    assert_eq!(hits.len(), 2);
    other.settle(10_000 * SECOND, &mut |_| {});
    assert_eq!(other.groups(), 0);
}

#[test]
fn bounds_hold_whatever_comes() {
    let limits = Limits { groups: 100, observations_per_group: 50, bytes: 64 << 10, ..Limits::default() };
    let yaml = BRUTE.replace("gte: 3", "gte: 100000");
    let mut engine = Correlator::live(correlations(&yaml), &rules(), limits, GRACE).0;
    let mut hits = Vec::new();
    for n in 0..5_000_u64 {
        let name = if n % 2 == 0 { "same".to_owned() } else { format!("h{n}") };
        feed(&mut engine, "x", &[at(n as i64 / 100, 0, n, &[("host", &name)])], 0, &mut hits);
        assert!(engine.groups() <= 100 && engine.bytes() <= 96 << 10, "{} {}", engine.groups(), engine.bytes());
    }
    assert!(!engine.statistics().exact());
}

const OUTER: &str = "---
title: U
id: u
correlation:
    type: temporal
    rules: [t, b]
    group-by: [v]
    timespan: 20s
    generate: true
";

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_order_it_finds_what_the_whole_set_says(yaml in generated(), mut list in matches()) {
        list.sort();
        let correlations = correlations(&yaml);
        let (whole, _) = run_with(&correlations, &list, Limits::default());
        let whole: Vec<Hit> = whole.into_iter().map(|h| (h.correlation, h.time, "x".to_owned(), h.group)).collect();
        let mut engine = correlator(&correlations);
        let mut hits = Vec::new();
        for instant in list.chunk_by(|a, b| a.time == b.time) {
            feed(&mut engine, "x", instant, 0, &mut hits);
        }
        // Long after, in steps that are no longer than windows.
        let end = list.last().map_or(0, |m| m.time);
        for step in 0..60 {
            let mut note = |h: &CorrelationHit| {
                let group = h.group.iter().map(|(_, value)| (*value).to_owned()).collect();
                hits.push((h.correlation, h.time_ns / SECOND, h.scope.to_owned(), group));
            };
            engine.settle(end + step * 5 * SECOND, &mut note);
        }
        prop_assert_eq!(sorted(hits), sorted(whole), "{}", yaml);
    }

    #[test]
    fn goes_on_elsewhere_as_if_nothing_had_happened(
        yaml in generated(),
        mut list in matches(),
        at in any::<proptest::sample::Index>(),
        lot in 1_usize..5,
    ) {
        list.sort_by_key(|m| m.time + (m.position % 7) as i64 * SECOND);
        let correlations = correlations(&format!("{yaml}{OUTER}"));
        let mut engine = correlator(&correlations);
        let (mut hits, mut others) = (Vec::new(), Vec::new());
        let lots: Vec<&[Match]> = list.chunks(lot).collect();
        let cut = at.index(lots.len() + 1);
        for lot in &lots[..cut] {
            feed(&mut engine, "x", lot, 3, &mut hits);
        }
        let mut other = correlator(&correlations);
        other.restore(&engine.save()).unwrap();
        hits.clear();
        for lot in &lots[cut..] {
            feed(&mut engine, "x", lot, 3, &mut hits);
            feed(&mut other, "x", lot, 3, &mut others);
            prop_assert_eq!(&hits, &others);
        }
    }
}
