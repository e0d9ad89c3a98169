//! The regression cases of `SigmaHQ`: events that a rule must match, as binary event logs and as JSON.

use std::collections::HashMap;

use khien_detect::rule::Rule;
use khien_testkit::read_tar_zst;
use serde::Deserialize;

use crate::run::{EXPLAINED, Run, detector, rule_set, table};

/// What `info.yml` says of a case; other keys do not matter here.
#[derive(Debug, Deserialize)]
struct Info {
    rule_metadata: Vec<Metadata>,
    regression_tests_info: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Case {
    path: String,
    match_count: Option<usize>,
}

/// The rules whose `match_count` is smaller than the number of events that match, and that number.
fn explained() -> HashMap<String, usize> {
    let rows = table(EXPLAINED, "| rule | match_count |").into_iter();
    rows.map(|row| (row[0].clone(), row[2].parse().unwrap())).collect()
}

/// The case's files: the event log it names and, where there is one, the same events as JSON.
fn files<'a>(case: &Case, archive: &'a HashMap<String, Vec<u8>>) -> Vec<(String, &'a [u8])> {
    let log = case.path.trim_start_matches("./").to_owned();
    let json = log.strip_suffix(".evtx").map(|stem| format!("{stem}.json"));
    let found = |name: String| archive.get(&name).map(|bytes| (name, bytes.as_slice()));
    let files: Vec<_> = [Some(log), json].into_iter().flatten().filter_map(found).collect();
    assert!(!files.is_empty(), "{} stands in the archive", case.path);
    files
}

#[test]
fn every_case_matches_its_rule() {
    let (Some(set), Some(archive)) = (rule_set(), read_tar_zst("sigmahq-regression-dev.tar.zst")) else { return };
    let archive: HashMap<String, Vec<u8>> = archive.into_iter().collect();
    let mut all = Run::new(&detector(set.rules.clone()));
    let explained = explained();
    let (mut checked, mut wrong) = (0, Vec::new());
    let infos = archive.iter().filter(|(name, _)| name.ends_with("info.yml"));
    for (name, text) in infos {
        let info: Info = yaml_serde::from_slice(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        for case in &info.regression_tests_info {
            for (file, bytes) in files(case, &archive) {
                all.file(&file, bytes);
                let together = all.take();
                for Metadata { id } in &info.rule_metadata {
                    let count = together.iter().filter(|(found, _)| found == id).count();
                    let rule = set.rules.iter().find(|rule| rule.id == *id);
                    let by_itself = rule.map_or(0, |rule| alone(rule, &file, bytes));
                    let wanted = explained.get(id).copied().or(case.match_count);
                    if wanted.map_or(count == 0, |wanted| count != wanted) || count != by_itself {
                        wrong.push((file.clone(), case.match_count, count, by_itself));
                    }
                    checked += 1;
                }
            }
        }
    }
    println!("{checked} regression files");
    assert!(checked >= 188 && wrong.is_empty(), "{checked} checked; file, wanted, found, by itself: {wrong:#?}");
}

/// Matches of a rule that is the only one.
fn alone(rule: &Rule, file: &str, bytes: &[u8]) -> usize {
    let mut run = Run::new(&detector(vec![rule.clone()]));
    run.file(file, bytes);
    run.take().len()
}
