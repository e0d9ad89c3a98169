//! The engine against a slow evaluator written from the module text.

use std::collections::{BTreeMap, BTreeSet};

use khien_event::taxonomy::LogSource;
use proptest::prelude::*;

use super::*;
use crate::rule::{Expr, Level, Origin, Rule};

pub(super) const SECOND: i64 = 1_000_000_000;

pub(super) fn correlations(yaml: &str) -> Vec<Correlation> {
    let parsed = rsigma_parser::parse_sigma_yaml(yaml).unwrap();
    assert_eq!(parsed.errors, Vec::<String>::new());
    let list = parsed.correlations.iter();
    list.map(|c| Correlation::from_sigma(c, Origin::default()).unwrap()).collect()
}

fn reason(body: &str) -> String {
    let yaml = format!("title: T\ncorrelation:\n{body}");
    let parsed = rsigma_parser::parse_sigma_yaml(&yaml).unwrap();
    Correlation::from_sigma(&parsed.correlations[0], Origin::default()).unwrap_err().to_string()
}

fn rule(name: &str) -> Rule {
    Rule {
        id: format!("id-{name}"),
        name: Some(name.to_owned()),
        title: name.to_owned(),
        level: Level::Low,
        status: None,
        tags: Vec::new(),
        description: None,
        author: None,
        references: Vec::new(),
        falsepositives: Vec::new(),
        fields: Vec::new(),
        related: Vec::new(),
        logsource: LogSource::default(),
        origin: Origin::default(),
        condition: Expr::And(Vec::new()),
        reports: false,
    }
}

pub(super) fn rules() -> Vec<Rule> {
    ["a", "b", "c"].map(rule).to_vec()
}

/// A match as tests write it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Match {
    pub(super) time: i64,
    pub(super) rule: usize,
    pub(super) position: u64,
    pub(super) fields: Vec<(&'static str, String)>,
}

pub(super) fn at(seconds: i64, rule: usize, position: u64, fields: &[(&'static str, &str)]) -> Match {
    Match {
        time: seconds * SECOND,
        rule,
        position,
        fields: fields.iter().map(|(n, v)| (*n, (*v).to_owned())).collect(),
    }
}

/// A hit as tests compare it: correlation, time, position, group, value, evidence as rule and position.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(super) struct Seen {
    pub(super) correlation: usize,
    pub(super) time: i64,
    position: u64,
    pub(super) group: Vec<String>,
    value: f64,
    evidence: Vec<(String, u64)>,
}

fn seen(hit: &CorrelationHit) -> Seen {
    Seen {
        correlation: hit.correlation,
        time: hit.time_ns / SECOND,
        position: hit.position,
        group: hit.group.iter().map(|(_, v)| (*v).to_owned()).collect(),
        value: hit.value,
        evidence: hit.evidence.iter().map(|e| (e.rule.clone(), e.position)).collect(),
    }
}

fn feed(engine: &mut Correlator, list: &[Match], hits: &mut Vec<Seen>) {
    for m in list {
        let place = |name: &str| engine.needs(m.rule).iter().position(|need| need == name);
        let fields: Vec<(usize, &str)> = m.fields.iter().filter_map(|(n, v)| Some((place(n)?, v.as_str()))).collect();
        let observation = Observation {
            rule: m.rule,
            time_ns: Some(m.time),
            fields: &fields,
            file: 0,
            scope: "",
            position: m.position,
        };
        engine.feed(&observation, &mut |h| hits.push(seen(h)));
    }
}

pub(super) fn run_with(list: &[Correlation], matches: &[Match], limits: Limits) -> (Vec<Seen>, Statistics) {
    let (mut engine, unusable) = Correlator::new(list.to_vec(), &rules(), limits);
    assert_eq!(unusable, Vec::new());
    let mut hits = Vec::new();
    feed(&mut engine, matches, &mut hits);
    engine.flush(&mut |h| hits.push(seen(h)));
    hits.sort_by(|a, b| a.partial_cmp(b).unwrap());
    (hits, engine.statistics())
}

fn run(yaml: &str, matches: &[Match]) -> Vec<Seen> {
    run_with(&correlations(yaml), matches, Limits::default()).0
}

/// Times of the hits, in seconds.
fn times(yaml: &str, matches: &[Match]) -> Vec<i64> {
    run(yaml, matches).iter().map(|h| h.time).collect()
}

pub(super) const BRUTE: &str = "
title: Many failed logins
id: many
name: many_failed
level: high
correlation:
    type: event_count
    rules: [a]
    group-by: [host]
    timespan: 1m
    condition: {gte: 3}
";

#[test]
fn counts_events_in_a_sliding_window() {
    let one = |t, p| at(t, 0, p, &[("host", "h1")]);
    assert_eq!(times(BRUTE, &[one(0, 1), one(50, 2)]), [0_i64; 0]);
    assert_eq!(times(BRUTE, &[one(0, 1), one(50, 2), one(60, 3)]), [60]);
    assert_eq!(times(BRUTE, &[one(0, 1), one(50, 2), one(61, 3)]), [0_i64; 0]);
    let hits = run(BRUTE, &[one(60, 3), one(0, 1), one(50, 2)]);
    assert_eq!(hits[0].group, ["h1"]);
    assert_eq!(hits[0].position, 3);
    assert!((hits[0].value - 3.0).abs() < 1e-9);
    let evidence: Vec<u64> = hits[0].evidence.iter().map(|e| e.1).collect();
    assert_eq!(evidence, [1, 2, 3]);
}

#[test]
fn is_silent_until_the_window_lies_behind_the_hit() {
    let list: Vec<Match> = (0..200).map(|t| at(t, 0, t as u64, &[("host", "h1")])).collect();
    assert_eq!(times(BRUTE, &list), [2, 63, 124, 185]);
}

#[test]
fn keeps_groups_apart_and_leaves_out_what_lacks_the_field() {
    let list = [
        at(0, 0, 1, &[("host", "h1")]),
        at(1, 0, 2, &[("host", "h2")]),
        at(2, 0, 3, &[]),
        at(3, 0, 4, &[("host", "h1")]),
        at(4, 0, 5, &[("host", "h1"), ("host", "h2")]),
        at(5, 0, 6, &[("host", "h2")]),
    ];
    let (hits, statistics) = run_with(&correlations(BRUTE), &list, Limits::default());
    let groups: Vec<(i64, &str)> = hits.iter().map(|h| (h.time, h.group[0].as_str())).collect();
    assert_eq!(groups, [(4, "h1"), (5, "h2")]);
    assert_eq!(statistics.without_group, 1);
    assert!(statistics.exact());
}

#[test]
fn counts_an_event_once_for_two_rules() {
    let yaml = BRUTE.replace("[a]", "[a, b]");
    let both = |t, p| [at(t, 0, p, &[("host", "h")]), at(t, 1, p, &[("host", "h")])];
    assert_eq!(times(&yaml, &[both(0, 1), both(1, 2)].concat()), [0_i64; 0]);
    let list = [both(0, 1), both(1, 2), both(2, 3)].concat();
    assert_eq!(times(&yaml, &list), [2]);
}

#[test]
fn looks_at_upper_bounds_only_in_complete_windows() {
    let one = |t| at(t, 0, t as u64, &[("host", "h1")]);
    let eq = BRUTE.replace("{gte: 3}", "{eq: 2}");
    assert_eq!(times(&eq, &[one(0), one(1), one(2), one(3)]), [0_i64; 0]);
    assert_eq!(times(&eq, &[one(0), one(1)]), [1]);
    let range = BRUTE.replace("{gte: 3}", "{gt: 1, lte: 3}");
    assert_eq!(times(&range, &[one(0), one(1), one(2)]), [2]);
    assert_eq!(times(&range, &[one(0), one(1), one(2), one(3)]), [0_i64; 0]);
}

#[test]
fn events_without_time_are_counted_only() {
    let (mut engine, _) = Correlator::new(correlations(BRUTE), &rules(), Limits::default());
    let fields = [(0, "h")];
    let mut hits = 0;
    for position in 0..9 {
        let observation = Observation { rule: 0, time_ns: None, fields: &fields, file: 0, scope: "", position };
        engine.feed(&observation, &mut |_| hits += 1);
    }
    engine.flush(&mut |_| hits += 1);
    assert_eq!((hits, engine.statistics().without_time), (0, 9));
}

#[test]
fn counts_values_and_combinations() {
    let yaml = BRUTE.replace("event_count", "value_count").replace("{gte: 3}", "{field: user, gte: 3}");
    let login = |t, user| at(t, 0, t as u64, &[("host", "h"), ("user", user)]);
    assert_eq!(times(&yaml, &[login(0, "x"), login(1, "y"), login(2, "x")]), [0_i64; 0]);
    assert_eq!(times(&yaml, &[login(0, "x"), login(1, "y"), login(2, "z")]), [2]);
    let pairs = yaml.replace("field: user", "field: [user, port]");
    let pair = |t, user, port| at(t, 0, t as u64, &[("host", "h"), ("user", user), ("port", port)]);
    let list = [pair(0, "x", "1"), pair(1, "x", "2"), pair(2, "y", "1"), login(3, "q")];
    assert_eq!(times(&pairs, &list), [2]);
}

#[test]
fn sums_averages_and_percentiles() {
    let yaml = |kind: &str, condition: &str| BRUTE.replace("event_count", kind).replace("{gte: 3}", condition);
    let sent = |t, n| at(t, 0, t as u64, &[("host", "h"), ("bytes", n)]);
    let list = [sent(0, "100"), sent(1, "1e2"), sent(2, "many"), sent(3, "50.5")];
    assert_eq!(times(&yaml("value_sum", "{field: bytes, gt: 250}"), &list), [3]);
    assert_eq!(times(&yaml("value_sum", "{field: bytes, gt: 251}"), &list), [0_i64; 0]);
    assert_eq!(times(&yaml("value_avg", "{field: bytes, gt: 83, lt: 84}"), &list), [3]);
    assert_eq!(times(&yaml("value_median", "{field: bytes, eq: 100}"), &list), [3]);
    let percentile = yaml("value_percentile", "{field: bytes, lt: 61, percentile: 10}");
    let hits = run(&percentile, &list);
    assert!((hits[0].value - 60.4).abs() < 1e-9, "{hits:?}");
}

const CHAIN: &str = "
title: Together
correlation:
    type: temporal
    rules: [a, b, c]
    group-by: [host]
    timespan: 1m
";

#[test]
fn temporal_needs_every_rule_in_any_order() {
    let m = |t, rule| at(t, rule, t as u64, &[("host", "h")]);
    assert_eq!(times(CHAIN, &[m(0, 2), m(1, 0), m(2, 1)]), [2]);
    assert_eq!(times(CHAIN, &[m(0, 2), m(1, 0), m(61, 1)]), [0_i64; 0]);
    let two = format!("{CHAIN}    condition: {{gte: 2}}\n");
    assert_eq!(times(&two, &[m(0, 2), m(1, 0)]), [1]);
}

#[test]
fn temporal_ordered_needs_the_order() {
    let yaml = CHAIN.replace("type: temporal", "type: temporal_ordered");
    let m = |t, rule, p| at(t, rule, p, &[("host", "h")]);
    assert_eq!(times(&yaml, &[m(0, 0, 0), m(1, 1, 1), m(2, 2, 2)]), [2]);
    assert_eq!(times(&yaml, &[m(0, 2, 0), m(1, 1, 1), m(2, 0, 2)]), [0_i64; 0]);
    // One instant: a clock cannot tell which was first.
    assert_eq!(times(&yaml, &[m(5, 2, 0), m(5, 1, 1), m(5, 0, 2)]), [5]);
    // The chain must lie in one window, though older members of it are there.
    let list = [m(0, 0, 0), m(30, 1, 1), m(70, 2, 2), m(80, 0, 3)];
    assert_eq!(times(&yaml, &list), [0_i64; 0]);
    let twice = CHAIN.replace("type: temporal", "type: temporal_ordered").replace("[a, b, c]", "[a, a, b]");
    assert_eq!(times(&twice, &[m(0, 0, 0), m(0, 1, 1)]), [0_i64; 0]);
    assert_eq!(times(&twice, &[m(0, 0, 0), m(0, 0, 2), m(0, 1, 1)]), [0]);
}

#[test]
fn expressions_over_rules() {
    let m = |t, rule| at(t, rule, t as u64, &[("host", "h")]);
    let without = format!("{CHAIN}    condition: a and not b\n");
    assert_eq!(times(&without, &[m(0, 0), m(10, 1)]), [0_i64; 0]);
    assert_eq!(times(&without, &[m(0, 0), m(10, 2)]), [10]);
    let either = format!("{CHAIN}    condition: (a or b) and c\n");
    assert_eq!(times(&either, &[m(0, 1), m(10, 2)]), [10]);
    let some = format!("{CHAIN}    condition: 2 of them\n");
    assert_eq!(times(&some, &[m(0, 1), m(10, 2)]), [10]);
    let ordered = without.replace("temporal", "temporal_ordered").replace("a and not b", "a and b");
    assert_eq!(times(&ordered, &[m(0, 1), m(10, 0)]), [0_i64; 0]);
    assert_eq!(times(&ordered, &[m(0, 0), m(10, 1)]), [10]);
}

#[test]
fn aliases_name_fields_of_different_rules() {
    let yaml = "
title: Both ends
correlation:
    type: temporal
    rules: [a, b]
    group-by: [address]
    timespan: 10s
    aliases:
        address: {a: destination, b: source}
";
    let list = [
        at(0, 0, 1, &[("destination", "192.0.2.1"), ("source", "192.0.2.9")]),
        at(1, 1, 2, &[("source", "192.0.2.1")]),
    ];
    let (engine, _) = Correlator::new(correlations(yaml), &rules(), Limits::default());
    assert_eq!(engine.needs(0), ["destination"]);
    assert_eq!(engine.needs(1), ["source"]);
    assert!(!engine.is_fed_by(2));
    assert_eq!(run(yaml, &list)[0].group, ["192.0.2.1"]);
}

const CHAINED: &str = "
---
title: Then it worked
id: then
correlation:
    type: temporal_ordered
    rules: [many_failed, b]
    group-by: [user]
    timespan: 1h
";

#[test]
fn correlations_feed_correlations() {
    let yaml = format!("{BRUTE}{CHAINED}");
    let failed = |t, user| at(t, 0, t as u64, &[("host", "h"), ("user", user)]);
    let worked = |t, user| at(t, 1, t as u64, &[("user", user)]);
    let list = [failed(0, "x"), failed(1, "y"), failed(2, "x"), worked(9, "x"), worked(8, "z")];
    let hits = run(&yaml, &list);
    assert_eq!(hits.len(), 1, "the inner one does not report: {hits:?}");
    assert_eq!((hits[0].correlation, hits[0].time), (1, 9));
    assert_eq!(hits[0].group, ["x"]);
    let evidence = [("many".to_owned(), 2), ("id-b".to_owned(), 9)];
    assert_eq!(hits[0].evidence, evidence);
    let both = yaml.replace("id: then", "id: then\ngenerate: true");
    assert_eq!(run(&both, &list).len(), 2);
}

#[test]
fn unusable_correlations_do_not_stop_others() {
    let yaml = format!(
        "{BRUTE}
---
title: Nothing
id: nothing
correlation: {{type: event_count, rules: [missing], timespan: 1m, condition: {{gte: 1}}}}
---
title: Above nothing
id: above
correlation: {{type: event_count, rules: [nothing], timespan: 1m, condition: {{gte: 1}}}}
---
title: Itself
id: itself
correlation: {{type: event_count, rules: [itself], timespan: 1m, condition: {{gte: 1}}}}
"
    );
    let (engine, unusable) = Correlator::new(correlations(&yaml), &rules(), Limits::default());
    let reasons: Vec<(usize, &str)> = unusable.iter().map(|u| (u.correlation, u.reason.code())).collect();
    assert_eq!(reasons, [(1, "rule_not_loaded"), (2, "rule_unusable"), (3, "refers_to_itself"),]);
    assert!(engine.is_fed_by(0));
}

#[test]
fn says_why_a_correlation_cannot_be_used() {
    assert_eq!(
        reason("    type: value_count\n    rules: [a]\n    timespan: 1m\n    condition: {gte: 1}\n"),
        "the condition of a value correlation needs a `field`"
    );
    assert_eq!(
        reason("    type: event_count\n    rules: []\n    timespan: 1m\n    condition: {gte: 1}\n"),
        "the correlation refers to no rule"
    );
    assert_eq!(
        reason("    type: event_count\n    rules: [a]\n    timespan: 0s\n    condition: {gte: 1}\n"),
        "timespan `0s` is empty"
    );
    assert_eq!(
        reason("    type: event_count\n    rules: [a]\n    timespan: 9999y\n    condition: {gte: 1}\n"),
        "timespan `9999y` is too long"
    );
    assert_eq!(
        reason("    type: temporal\n    rules: [a]\n    timespan: 1m\n    condition: a and z\n"),
        "the condition names `z`, which `rules` does not"
    );
}

#[test]
fn survives_a_pack() {
    let list = correlations(&format!("{BRUTE}{CHAINED}---{CHAIN}    condition: a and not b\n"));
    let bytes = postcard::to_stdvec(&list).unwrap();
    assert_eq!(postcard::from_bytes::<Vec<Correlation>>(&bytes).unwrap(), list);
}

#[test]
fn keeps_evidence_of_every_rule() {
    let mut list = vec![at(0, 1, 1, &[("host", "h")])];
    list.extend((1..300).map(|i| at(i / 10, 0, i as u64 + 1, &[("host", "h")])));
    list.push(at(31, 2, 999, &[("host", "h")]));
    let hits = run(CHAIN, &list);
    assert_eq!(hits[0].evidence.len(), MAX_EVIDENCE);
    assert_eq!(hits[0].evidence[0], ("id-b".to_owned(), 1));
    assert_eq!(hits[0].evidence[99], ("id-c".to_owned(), 999));
}

#[test]
fn long_input_in_order_is_exact_in_little_memory() {
    let limits = Limits { groups: 300, observations_per_group: 400, bytes: 400_000, ..Limits::default() };
    let host = |t: i64| format!("h{}", t * 7919 % 97);
    let list: Vec<Match> = (0..40_000).map(|t| at(t / 4, 0, t as u64, &[("host", &host(t))])).collect();
    let correlations = correlations(BRUTE);
    let (bounded, statistics) = run_with(&correlations, &list, limits);
    assert!(statistics.exact() && statistics.compactions > 3, "{statistics:?}");
    let (whole, _) = run_with(&correlations, &list, Limits::default());
    assert!(whole.len() > 100);
    assert_eq!(bounded, whole);
}

#[test]
fn groups_that_no_window_needs_any_more_are_let_go() {
    let limits = Limits { groups: 300, bytes: 200_000, ..Limits::default() };
    // Every tenth second the same three values, else values never seen again.
    let list: Vec<Match> = (0..20_000_i64)
        .map(|t| {
            let host = if t % 10 == 0 { "same".to_owned() } else { format!("h{t}") };
            at(t, 0, t as u64, &[("host", &host), ("user", &host), ("v", "1")])
        })
        .collect();
    for window in ["sliding", "tumbling", "session\n    gap: 30s"] {
        let yaml = format!(
            "title: T\nid: t\ncorrelation:\n    type: event_count\n    rules: [a]\n    group-by: [host, user, v]\n    \
             timespan: 60s\n    window: {window}\n    condition: {{gte: 3}}\n"
        );
        let correlations = correlations(&yaml);
        let (bounded, statistics) = run_with(&correlations, &list, limits);
        assert!(statistics.exact() && statistics.compactions > 3, "{window}: {statistics:?}");
        let (whole, _) = run_with(&correlations, &list, Limits::default());
        assert!(whole.len() > 100 && whole[0].group == ["same", "same", "1"]);
        assert_eq!(bounded, whole);
    }
}

#[test]
fn hostile_groups_are_bounded_and_counted() {
    let limits = Limits { groups: 1000, observations_per_group: 100, bytes: 1_000_000, ..Limits::default() };
    let (mut engine, _) = Correlator::new(correlations(BRUTE), &rules(), limits);
    for i in 0..50_000_u64 {
        let host = format!("host-{i}");
        let host = if i % 2 == 0 { host.as_str() } else { "same" };
        let observation =
            Observation { rule: 0, time_ns: Some(0), fields: &[(0, host)], file: 0, scope: "", position: i };
        engine.feed(&observation, &mut |_| {});
        assert!(engine.groups() <= limits.groups);
        assert!(engine.bytes() <= limits.bytes);
    }
    let statistics = engine.statistics();
    assert!(statistics.evicted_groups > 20_000, "{statistics:?}");
    assert!(!statistics.exact());
}

#[test]
fn prints_the_cost_of_feeding() {
    let (mut engine, _) = Correlator::new(correlations(BRUTE), &rules(), Limits::default());
    let hosts: Vec<String> = (0..500).map(|i| format!("host-{i}.example.com")).collect();
    let start = std::time::Instant::now();
    let count = 300_000_u64;
    let mut hits = 0;
    for i in 0..count {
        let observation = Observation {
            rule: 0,
            time_ns: Some(i.cast_signed() * SECOND / 100),
            fields: &[(0, &hosts[i as usize * 7919 % 500])],
            file: 0,
            position: i,
            scope: "",
        };
        engine.feed(&observation, &mut |_| hits += 1);
    }
    let fed = start.elapsed().as_nanos() as u64 / count;
    engine.flush(&mut |_| hits += 1);
    let all = start.elapsed().as_nanos() as u64 / count;
    eprintln!("correlation: {fed} ns a match fed, {all} ns with evaluation, {hits} hits");
}

// ---- The slow evaluator -------------------------------------------------------------------------------------------

/// One observation of the slow evaluator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slow {
    time: i64,
    position: u64,
    rule: usize,
    value: Option<String>,
}

/// Every hit of one correlation without inner ones, fields `host` and `v`.
fn slow(c: &Correlation, index: usize, matches: &BTreeSet<Match>) -> Vec<(usize, i64, Vec<String>, f64)> {
    let mut groups: BTreeMap<Vec<String>, BTreeSet<Slow>> = BTreeMap::new();
    for m in matches.iter().filter(|m| c.rules.contains(&["a", "b", "c"][m.rule].to_owned())) {
        let get = |name: &str| m.fields.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone());
        let Some(key) = c.group_by.iter().map(|g| get(g)).collect::<Option<Vec<_>>>() else {
            continue;
        };
        let value = c.fields.first().and_then(|f| get(f));
        let usable = match c.kind {
            Type::EventCount | Type::Temporal | Type::TemporalOrdered => true,
            Type::ValueCount => value.is_some(),
            _ => value.as_ref().is_some_and(|v| v.parse::<f64>().is_ok()),
        };
        if usable {
            let row = Slow { time: m.time, position: m.position, rule: m.rule, value };
            groups.entry(key).or_default().insert(row);
        }
    }
    let mut hits = Vec::new();
    for (key, list) in groups {
        let instants: Vec<i64> = list.iter().map(|s| s.time).collect::<BTreeSet<_>>().into_iter().collect();
        let mut last_hit = None;
        for (i, &now) in instants.iter().enumerate() {
            let start = slow_start(c, &instants, i);
            let window: Vec<&Slow> = list.iter().filter(|s| s.time >= start && s.time <= now).collect();
            let oldest = window[0].time;
            let complete = i + 1 == instants.len() || slow_start(c, &instants, i + 1) > oldest;
            let (holds, value) = slow_holds(c, &window);
            if (c.is_rising() || complete) && holds && last_hit.is_none_or(|h| start > h) {
                last_hit = Some(now);
                hits.push((index, now / SECOND, key.clone(), value));
            }
        }
    }
    hits
}

fn slow_start(c: &Correlation, instants: &[i64], i: usize) -> i64 {
    match c.window {
        Window::Sliding => instants[i] - c.timespan_ns,
        Window::Tumbling => instants[i].div_euclid(c.timespan_ns) * c.timespan_ns,
        Window::Session { gap_ns } => {
            let mut start = instants[0];
            for k in 1..=i {
                let apart = instants[k] - instants[k - 1] > gap_ns;
                if apart || instants[k] - start > c.timespan_ns {
                    start = instants[k];
                }
            }
            start
        }
    }
}

fn slow_holds(c: &Correlation, window: &[&Slow]) -> (bool, f64) {
    let events: BTreeSet<(i64, u64, &Option<String>)> = window.iter().map(|s| (s.time, s.position, &s.value)).collect();
    let mut numbers: Vec<f64> = events.iter().filter_map(|(_, _, v)| v.as_ref()?.parse().ok()).collect();
    numbers.sort_by(f64::total_cmp);
    let slot = |s: &Slow| c.rules.iter().position(|r| r == ["a", "b", "c"][s.rule]).unwrap() as u32;
    let present: BTreeSet<u32> = window.iter().map(|s| slot(s)).collect();
    let sum: f64 = numbers.iter().sum();
    let percentile = |p: usize| {
        let rank = (numbers.len() - 1) * p;
        let low = numbers[rank / 100];
        match rank % 100 {
            0 => low,
            part => low + (numbers[rank / 100 + 1] - low) * (part as f64 / 100.0),
        }
    };
    let value = match c.kind {
        Type::EventCount => events.iter().map(|(t, p, _)| (t, p)).collect::<BTreeSet<_>>().len() as f64,
        Type::ValueCount => events.iter().map(|e| e.2).collect::<BTreeSet<_>>().len() as f64,
        Type::ValueSum => sum,
        Type::ValueAvg => sum / numbers.len() as f64,
        Type::ValueMedian => percentile(50),
        Type::ValuePercentile => percentile(usize::from(c.percentile)),
        Type::Temporal | Type::TemporalOrdered => present.len() as f64,
    };
    let ordered = c.kind != Type::TemporalOrdered || in_order(&c.ordered_rules(), window, &slot, i64::MIN);
    let holds = match &c.condition {
        Condition::Number(all) => all.iter().all(|(op, limit)| op.holds(value, *limit)),
        Condition::Rules(expr) => expr.holds(&|s| present.contains(&s)),
    };
    (holds && ordered, value)
}

fn in_order(rules: &[u32], window: &[&Slow], slot: &dyn Fn(&Slow) -> u32, from: i64) -> bool {
    let Some((first, rest)) = rules.split_first() else {
        return true;
    };
    window.iter().filter(|s| slot(s) == *first && s.time >= from).any(|s| in_order(rest, window, slot, s.time))
}

fn condition() -> impl Strategy<Value = String> {
    let one = (prop::sample::select(vec!["gt", "gte", "lt", "lte", "eq", "neq"]), 1..5_u32)
        .prop_map(|(op, n)| format!("{op}: {n}"));
    let range = (1..3_u32, 2..5_u32).prop_map(|(a, b)| format!("gte: {a}, lte: {b}"));
    prop_oneof![3 => one, 1 => range]
}

pub(super) fn generated() -> impl Strategy<Value = String> {
    let kinds = prop::sample::select(vec![
        "event_count",
        "value_count",
        "value_sum",
        "value_avg",
        "value_percentile",
        "value_median",
        "temporal",
        "temporal_ordered",
    ]);
    let windows = prop::sample::select(vec!["", "    window: tumbling\n", "    window: session\n    gap: 3s\n"]);
    let expressions =
        prop::sample::select(vec!["", "", "a and b", "a and not b", "c or (a and b)", "2 of them", "all of them"]);
    (kinds, windows, condition(), expressions, 0..3_usize, 1..101_u32).prop_map(
        |(kind, window, condition, expression, groups, percentile)| {
            let expressed = match kind {
                "temporal" => !expression.is_empty(),
                "temporal_ordered" => ["a and b", "a and not b", "all of them"].contains(&expression),
                _ => false,
            };
            let condition = match kind {
                _ if expressed => format!("    condition: {expression}\n"),
                "temporal_ordered" => String::new(),
                "temporal" | "event_count" => format!("    condition: {{{condition}}}\n"),
                _ => format!(
                    "    condition: {{{condition}, field: v, percentile: {percentile}}}\n"
                ),
            };
            let group = ["[]", "[host]", "[host, v]"][groups];
            format!(
                "title: T\nid: t\ncorrelation:\n    type: {kind}\n    rules: [a, b, c]\n    group-by: {group}\n    timespan: 6s\n{window}{condition}"
            )
        },
    )
}

pub(super) fn matches() -> impl Strategy<Value = Vec<Match>> {
    let one = (0..40_i64, 0..3_usize, 0..60_u64, 0..3_usize, 0..6_u8).prop_map(|(time, rule, position, host, v)| {
        // An event has one time and one set of fields, whatever rules match it.
        let time = (time + position.cast_signed() / 7) % 40;
        let mut fields = Vec::new();
        if host < 2 {
            fields.push(("host", format!("h{host}")));
        }
        if v < 5 {
            fields.push(("v", v.to_string()));
        }
        Match { time: time * SECOND, rule, position, fields }
    });
    prop::collection::vec(one, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn engine_equals_the_slow_evaluator(yaml in generated(), list in matches()) {
        let correlations = correlations(&yaml);
        let set: BTreeSet<Match> = list.iter().cloned().collect();
        let mut expected = slow(&correlations[0], 0, &set);
        let (hits, statistics) = run_with(&correlations, &list, Limits::default());
        let mut found: Vec<_> = hits.into_iter().map(|h| (h.correlation, h.time, h.group, h.value)).collect();
        expected.sort_by(|a, b| a.partial_cmp(b).unwrap());
        found.sort_by(|a, b| a.partial_cmp(b).unwrap());
        prop_assert!(statistics.exact());
        prop_assert_eq!(found, expected, "{}", yaml);
    }

    #[test]
    fn order_does_not_matter(
        yaml in generated(),
        (list, shuffled) in matches().prop_flat_map(|l| (Just(l.clone()), Just(l).prop_shuffle())),
    ) {
        let chained = format!("{yaml}---\ntitle: U\nid: u\ngenerate: true\ncorrelation:\n    type: temporal\n    \
            rules: [t, b]\n    group-by: [v]\n    timespan: 20s\n");
        let correlations = correlations(&chained);
        let (first, _) = run_with(&correlations, &list, Limits::default());
        let (second, _) = run_with(&correlations, &shuffled, Limits::default());
        prop_assert_eq!(first, second);
    }

    #[test]
    fn early_evaluation_changes_nothing_when_exact(yaml in generated(), mut list in matches()) {
        list.sort();
        let correlations = correlations(&yaml);
        let (whole, _) = run_with(&correlations, &list, Limits::default());
        for bound in [4, 9, 17] {
            let limits = Limits { observations_per_group: bound, groups: bound, ..Limits::default() };
            let (early, statistics) = run_with(&correlations, &list, limits);
            if statistics.exact() {
                prop_assert_eq!(&early, &whole);
            }
        }
    }
}
