//! No event on which a rule matches is kept back.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use khien_detect::correlate::Observations;
use khien_detect::rule::load::{Loader, Placeholders, RuleSet};
use khien_event::decode::Decoded;
use khien_event::ocsf::flat::{COLUMNS, Flat, Scalar};
use khien_event::text::{LineFormat, TextDecoder};
use khien_lake::Words;

use super::*;
use crate::enrich::Enriching;
use crate::pipeline::{Done, Origin, Worker};
use crate::rules::{Pack, RuleBook};

/// A time in 2024, in nanoseconds.
const NOW_NS: i64 = 1_718_884_800_000_000_000;

fn holds(sieve: &Sieve, kind: &str, flat: &Flat, words: &Words) -> bool {
    let here = |list: &[Sieve]| list.iter().map(|sieve| holds(sieve, kind, flat, words)).collect::<Vec<_>>();
    match sieve {
        Sieve::Everything => true,
        Sieve::All(list) => here(list).into_iter().all(|holds| holds),
        Sieve::Any(list) => here(list).into_iter().any(|holds| holds),
        Sieve::NotOf(kinds) => !kinds.contains(&kind),
        Sieve::Like(column, pattern) => {
            let value = flat.values.iter().find(|(index, _)| COLUMNS[*index].name == column.name);
            value.is_none_or(|(_, value)| matches!(value, Scalar::Text(text) if is_like(pattern, text)))
        }
        Sieve::Words(text, open) => words.may_have(text, *open),
    }
}

/// As the database compares.
fn is_like(pattern: &str, text: &str) -> bool {
    fn fits(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', rest @ ..] => (0..=text.len()).any(|from| fits(rest, &text[from..])),
            ['_', rest @ ..] => !text.is_empty() && fits(rest, &text[1..]),
            ['\\', letter, rest @ ..] | [letter, rest @ ..] => {
                text.first().is_some_and(|other| other.eq_ignore_ascii_case(letter)) && fits(rest, &text[1..])
            }
        }
    }
    fits(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
}

fn rules(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> RuleSet {
    let mut loader = Loader::new(Placeholders::default());
    for (name, bytes) in files {
        if Path::new(&name).extension().is_some_and(|extension| extension == "yml") {
            loader.add_file(&name, &String::from_utf8_lossy(&bytes));
        }
    }
    loader.finish()
}

/// Ids and titles.
type Named = Vec<(String, String)>;

/// What is looked for in records, with the findings on each.
struct Sifted {
    worker: Worker,
    text: TextDecoder,
}

impl Sifted {
    fn new(book: RuleBook) -> Self {
        let worker = Worker::new(Arc::new(book), Done::default(), Enriching::default());
        Self { worker, text: TextDecoder::new(LineFormat::Any, NOW_NS) }
    }

    /// Ids and titles of what is found in a record, and what a sieve sees of it.
    fn look(&mut self, line: &[u8]) -> Option<(Named, &'static str, Flat, Words)> {
        let origin =
            Origin { event_id: 0, organisation: "a", source: "s", received_ms: NOW_NS / 1_000_000, sent_ns: None };
        let decoded = self.worker.examine(&origin, line, &mut self.text, true, &mut Observations::default());
        let held: Vec<_> = self.worker.held().map(|held| (held.head.id, held.head.title)).collect();
        if decoded != Some(Decoded::Event) || held.is_empty() {
            return None;
        }
        let (kind, flat) = (self.worker.kind(), self.worker.flat(line));
        let mut words = Words::default();
        words.add_record(&String::from_utf8_lossy(line));
        for (_, value) in &flat.values {
            if let Scalar::Text(text) = value {
                words.add_value(text);
            }
        }
        Some((held, kind, flat, words))
    }
}

/// Runs all rules on all lines; how many findings there were, after making sure that the sieve lets each through.
fn sift(set: RuleSet, lines: impl Iterator<Item = Vec<u8>>) -> usize {
    let pack = Pack { name: "p@1".into(), rules: set, organisations: None };
    let book = RuleBook::new(vec![pack], None, Vec::new());
    let mut sieves: HashMap<String, Sieve> = HashMap::new();
    for rule in book.detector.rules() {
        let mut count = 0;
        sieves.insert(rule.id.clone(), of_rule(rule, Taxonomy::embedded(), &mut count));
    }
    let (mut sifted, mut found) = (Sifted::new(book), 0);
    for line in lines {
        let Some((held, kind, flat, words)) = sifted.look(&line) else { continue };
        for (id, title) in held {
            found += 1;
            let sieve = &sieves[&id];
            let line = String::from_utf8_lossy(&line);
            assert!(holds(sieve, kind, &flat, &words), "{id} {title}\n{sieve:?}\n{flat:?}\n{line}");
        }
    }
    found
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + use<> {
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>().into_iter()
}

/// The files below a folder, with their names.
fn files_in(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                return files_in(&path);
            }
            vec![(path.display().to_string(), std::fs::read(&path).unwrap())]
        })
        .collect()
}

#[test]
fn the_starter_rules_find_what_they_found() {
    let content = khien_testkit::content();
    let events = files_in(&content.join("events")).into_iter().flat_map(|(_, bytes)| lines(&bytes));
    assert!(sift(rules(files_in(&content.join("rules"))), events) > 0);
}

#[test]
fn real_rules_find_what_they_found_in_real_events() {
    let Some(files) = khien_testkit::read_tar_zst("sigmahq-rules-8eaafff.tar.zst") else { return };
    let set = || rules(files.iter().cloned());
    for (name, least) in [("windows_evtx_dev.jsonl.zst", 1_000), ("windows_otrf_flat_dev.jsonl.zst", 1_000)] {
        let found = sift(set(), lines(&khien_testkit::read_zst(name).unwrap()));
        assert!(found > least, "{name}: {found}");
    }
    for name in ["sigmahq-regression-dev.tar.zst", "zeek_logs_dev.tar.zst", "syslog_cef_leef_dev.tar.zst"] {
        let files = khien_testkit::read_tar_zst(name).unwrap();
        sift(set(), files.into_iter().flat_map(|(_, bytes)| lines(&bytes)));
    }
    sift(set(), lines(&khien_testkit::read_zst("cloud_saas_events_panther.jsonl.zst").unwrap()));
}

#[test]
fn indicators_are_found_where_they_were_found() {
    let mut set = IndicatorSet::new();
    let list = "203.0.113.7\nevil.example\n0123456789abcdef0123456789abcdef\n";
    set.load("l", list.as_bytes()).unwrap();
    let sieve = of_indicators(&set);
    assert!(matches!(sieve, Sieve::Any(_)), "{sieve:?}");
    let mut sifted = Sifted::new(RuleBook::new(Vec::new(), Some(Arc::new(set)), Vec::new()));
    let mut found = 0;
    for line in [
        r#"{"EventID":3,"Channel":"Microsoft-Windows-Sysmon/Operational","DestinationIp":"203.0.113.7"}"#,
        r#"{"EventID":3,"Channel":"Microsoft-Windows-Sysmon/Operational","DestinationIp":"::ffff:203.0.113.7"}"#,
        r#"{"EventID":3,"Channel":"Microsoft-Windows-Sysmon/Operational","DestinationIp":"::ffff:cb00:7107"}"#,
        r#"{"_path":"dns","query":"WWW.Evil.Example.","id.orig_h":"10.0.0.1","ts":1.0,"uid":"C"}"#,
        r#"{"url":"https://x.evil.example:8443/a?b"}"#,
        r#"{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Hashes":"MD5=0123456789ABCDEF0123456789ABCDEF"}"#,
        "<13>Nov 25 10:00:00 fw drop src=203.0.113.7:443",
        r#"{"msg":"x\n203.0.113.7\tevil.example"}"#,
        "nothing",
    ] {
        let Some((held, kind, flat, words)) = sifted.look(line.as_bytes()) else { continue };
        found += held.len();
        assert!(holds(&sieve, kind, &flat, &words), "{line}");
    }
    assert!(found >= 6, "{found}");
    let mut set = IndicatorSet::new();
    set.load("l", b"203.0.113.0/24\nhttp://evil.example/x\n".as_slice()).unwrap();
    assert_eq!(of_indicators(&set), Sieve::Everything);
}
