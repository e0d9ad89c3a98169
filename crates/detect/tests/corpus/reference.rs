//! The reference detections: what two other engines agree on is found, and every difference is explained.

use std::collections::{BTreeMap, BTreeSet};

use khien_testkit::read_zst;

use crate::run::{EXPLAINED, Match, Run, detector, lines, table, windows_rules};

/// What the reference and we say of one event and rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdicts {
    /// The other engines that report it.
    engines: String,
    /// Whether we do.
    ours: bool,
}

fn found() -> Option<BTreeSet<Match>> {
    let mut run = Run::new(&detector(windows_rules()?));
    for (position, record) in lines("windows_evtx_dev.jsonl.zst")? {
        run.record(&record, position);
    }
    Some(run.take().into_iter().collect())
}

/// The rows of the reference: who reports what, and what at least two engines agree on.
fn reference() -> Option<(BTreeMap<Match, String>, BTreeSet<Match>)> {
    let text = String::from_utf8(read_zst("oracle_dev.csv.zst")?).unwrap();
    let (mut engines, mut must) = (BTreeMap::new(), BTreeSet::new());
    for row in text.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let [rule, line, rsigma, zircolite, chainsaw, class] = cells[..] else { panic!("a row of six: {row}") };
        let key = (rule.to_owned(), line.parse().unwrap());
        let reports = [("rsigma", rsigma), ("Zircolite", zircolite), ("Chainsaw", chainsaw)];
        let names: Vec<&str> = reports.iter().filter(|(_, says)| *says == "1").map(|(name, _)| *name).collect();
        engines.insert(key.clone(), names.join(", "));
        if class == "must" {
            must.insert(key);
        }
    }
    Some((engines, must))
}

/// The differences that the document explains.
fn explained() -> BTreeMap<Match, Verdicts> {
    let mut all = BTreeMap::new();
    for row in table(EXPLAINED, "| rule | lines |") {
        let [rule, lines, engines, ours, reason, paragraph] = &row[..] else { panic!("six cells: {row:?}") };
        assert!(!reason.is_empty() && !paragraph.is_empty(), "{row:?}");
        for line in lines.split_whitespace() {
            let verdicts = Verdicts { engines: engines.clone(), ours: ours == "yes" };
            let before = all.insert((rule.clone(), line.parse().unwrap()), verdicts);
            assert!(before.is_none(), "{rule} {line} stands twice");
        }
    }
    all
}

#[test]
fn every_difference_from_the_reference_is_explained() {
    let (Some(found), Some((engines, must))) = (found(), reference()) else { return };
    let all: BTreeSet<&Match> = found.iter().chain(engines.keys()).collect();
    let differences: BTreeMap<Match, Verdicts> = all
        .into_iter()
        .filter(|key| !(must.contains(*key) && found.contains(*key)))
        .map(|key| {
            let engines = engines.get(key).map_or("none", String::as_str).to_owned();
            (key.clone(), Verdicts { engines, ours: found.contains(key) })
        })
        .collect();
    println!("{} agreed, {} differences", must.len(), differences.len());
    let explained = explained();
    let unexplained: Vec<_> = differences.iter().filter(|(key, is)| explained.get(*key) != Some(*is)).collect();
    assert!(unexplained.is_empty(), "not in docs/detection-differences.md: {unexplained:#?}");
    let past: Vec<_> = explained.iter().filter(|(key, _)| !differences.contains_key(*key)).collect();
    assert!(past.is_empty(), "in docs/detection-differences.md, but no difference: {past:#?}");
}
