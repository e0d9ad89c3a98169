//! The content the repository ships is well formed.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use khien_testkit::content;
use rsigma_parser::{SigmaCollection, parse_sigma_yaml};

/// Every rule file with what the parser made of it.
fn rules() -> Vec<(PathBuf, SigmaCollection)> {
    walkdir::WalkDir::new(content().join("rules"))
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.expect("the rules are readable").into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a rule file is text");
            let parsed = parse_sigma_yaml(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, parsed)
        })
        .collect()
}

/// Ids of everything that can report: rules and correlations.
fn ids() -> Vec<String> {
    rules()
        .into_iter()
        .flat_map(|(_, parsed)| {
            let rules = parsed.rules.into_iter().map(|rule| rule.id);
            let correlations = parsed.correlations.into_iter().map(|rule| rule.id);
            rules.chain(correlations).collect::<Vec<_>>()
        })
        .map(|id| id.expect("every shipped rule has an id"))
        .collect()
}

#[test]
fn every_rule_parses() {
    let rules = rules();
    assert!(rules.len() >= 25, "{} rules", rules.len());
    for (path, parsed) in rules {
        assert!(!parsed.has_errors(), "{}: {:?}", path.display(), parsed.errors);
        let documents = parsed.rules.len() + parsed.correlations.len() + parsed.filters.len();
        assert_eq!(documents, 1, "{}", path.display());
        for rule in parsed.rules {
            assert!(rule.level.is_some(), "{}: no level", path.display());
            assert!(!rule.tags.is_empty(), "{}: no tags", path.display());
            assert!(!rule.falsepositives.is_empty(), "{}: no false positives", path.display());
            assert!(rule.description.is_some(), "{}: no description", path.display());
        }
    }
}

#[test]
fn rule_ids_are_unique() {
    let ids = ids();
    let unique: HashSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());
}

#[test]
fn expected_findings_name_rules_and_files_that_exist() {
    let ids: HashSet<String> = ids().into_iter().collect();
    let expected = fs::read_to_string(content().join("expected.tsv")).unwrap();
    let mut rows = 0;
    for (index, line) in expected.lines().enumerate() {
        if index == 0 || line.is_empty() {
            continue;
        }
        let columns: Vec<&str> = line.split('\t').collect();
        let [id, file, position, _title] = columns.as_slice() else {
            panic!("line {}: not four columns: {line}", index + 1);
        };
        assert!(ids.contains(*id), "line {}: no rule has the id {id}", index + 1);
        assert!(content().join("events").join(file).is_file(), "line {}: no file {file}", index + 1);
        assert!(position.parse::<u64>().unwrap() > 0, "line {}", index + 1);
        rows += 1;
    }
    assert!(rows >= 25, "{rows} expected findings");
}
