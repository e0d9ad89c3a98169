//! All rules in use load, and come back from a pack as they were.

use khien_detect::pack;
use khien_detect::rule::load::Severity;

use crate::run::{rule_files, rule_set};

#[test]
fn every_rule_in_use_loads_and_packs() {
    let (Some(set), Some(files)) = (rule_set(), rule_files()) else { return };
    assert!(files.len() > 3_700, "{} files", files.len());
    let errors: Vec<_> = set.problems.iter().filter(|p| p.severity == Severity::Error).collect();
    assert!(errors.iter().all(|p| p.reason.to_string().contains("placeholder")), "{errors:?}");
    assert_eq!(set.rules.len() + errors.len(), files.len());
    let mut bytes = Vec::new();
    pack::write(set, &mut bytes).unwrap();
    assert!(pack::read(bytes.as_slice()).unwrap() == *set, "a pack gives the rules back");
}
