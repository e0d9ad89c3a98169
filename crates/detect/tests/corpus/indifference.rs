//! What must not change the findings: the order of rules, how the input is divided, how a format spells its events.

use std::collections::BTreeMap;

use khien_detect::rule::Rule;

use crate::run::{Match, Run, detector, rule_set, sample, windows_rules};
use crate::spelling::{Spelling, spell};

fn find(rules: Vec<Rule>, records: &[(u64, Vec<u8>)]) -> Vec<Match> {
    let mut run = Run::new(&detector(rules));
    for (position, record) in records {
        run.record(record, *position);
    }
    run.take()
}

/// Puts a list into an order that has nothing to do with the one before, the same on every run.
fn shuffle<T>(list: &mut [T], mut state: u64) {
    for last in (1..list.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        list.swap(last, (state >> 33) as usize % (last + 1));
    }
}

#[test]
fn the_order_of_rules_and_events_does_not_matter() {
    let (Some(set), Some(mut records)) = (rule_set(), sample("windows_evtx_dev.jsonl.zst", 5)) else { return };
    let expected = find(set.rules.clone(), &records);
    assert!(expected.len() > 200, "{} findings", expected.len());
    for seed in 1..3 {
        let mut rules = set.rules.clone();
        shuffle(&mut rules, seed);
        assert_eq!(find(rules, &records), expected);
    }
    shuffle(&mut records, 3);
    let mut found = find(set.rules.clone(), &records);
    found.sort_by_key(|(_, position)| *position);
    assert_eq!(found, expected);
}

#[test]
fn how_the_input_is_divided_does_not_matter() {
    let (Some(set), Some(records)) = (rule_set(), sample("windows_evtx_dev.jsonl.zst", 5)) else { return };
    let expected = find(set.rules.clone(), &records);
    let detector = detector(set.rules.clone());
    for parts in [2, 7] {
        let size = records.len().div_ceil(parts);
        let part = |records: &[(u64, Vec<u8>)]| {
            let mut run = Run::new(&detector);
            for (position, record) in records {
                run.record(record, *position);
            }
            run.take()
        };
        let found: Vec<Vec<Match>> = std::thread::scope(|scope| {
            let threads: Vec<_> = records.chunks(size).map(|chunk| scope.spawn(move || part(chunk))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(found.concat(), expected);
    }
}

#[test]
fn rules_do_not_influence_each_other() {
    let (Some(rules), Some(records)) = (windows_rules(), sample("windows_evtx_dev.jsonl.zst", 10)) else { return };
    let expected = find(rules.clone(), &records);
    let mut found: Vec<Match> =
        rules.chunks(rules.len().div_ceil(4)).flat_map(|part| find(part.to_vec(), &records)).collect();
    found.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    assert_eq!(found, expected);
}

#[test]
fn the_spelling_of_a_format_does_not_matter() {
    let (Some(rules), Some(records)) = (windows_rules(), sample("windows_evtx_dev.jsonl.zst", 3)) else { return };
    let spellings = [Spelling::Winlogbeat, Spelling::WinlogbeatOld, Spelling::Nxlog, Spelling::Flat];
    let (mut events, mut findings) = (0, 0);
    let mut runs = spellings.map(|spelling| (spelling, Run::new(&detector(rules.clone()))));
    let mut plain = Run::new(&detector(rules.clone()));
    let mut different: BTreeMap<(Spelling, u64), (Vec<Match>, Vec<Match>)> = BTreeMap::new();
    for (position, record) in &records {
        plain.record(record, *position);
        let expected = plain.take();
        for (spelling, run) in &mut runs {
            let Some(spelled) = spell(record, *spelling) else { continue };
            run.record(&spelled, *position);
            let found = run.take();
            events += 1;
            findings += found.len();
            if found != expected {
                different.insert((*spelling, *position), (expected.clone(), found));
            }
        }
    }
    println!("{events} events, {findings} findings");
    assert!(different.is_empty(), "{}; spelling, line, expected, found: {different:#?}", different.len());
    assert!(findings > 1_000);
}
