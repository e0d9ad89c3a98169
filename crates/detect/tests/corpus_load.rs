//! All SigmaHQ rules load. Reads the folder that `KHIEN_CORPUS` names.

use std::path::Path;
use std::time::Instant;

use khien_detect::rule::load::{Loader, Placeholders, Severity};

/// The folders of rules that are in use.
const FOLDERS: [&str; 6] =
    ["rules", "rules-compliance", "rules-dfir", "rules-emerging-threats", "rules-placeholder", "rules-threat-hunting"];

fn read(folder: &Path, files: &mut Vec<(String, String)>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read(&path, files);
        } else if path.extension().is_some_and(|e| e == "yml") {
            files.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn every_rule_in_use_loads() {
    let Some(root) = std::env::var_os("KHIEN_RULES") else {
        println!("skipped: KHIEN_RULES does not name a folder of unpacked SigmaHQ rules");
        return;
    };
    let mut files = Vec::new();
    for folder in FOLDERS {
        read(&Path::new(&root).join(folder), &mut files);
    }
    let start = Instant::now();
    let mut loader = Loader::new(Placeholders::default());
    for (name, text) in &files {
        loader.add_file(name, text);
    }
    let set = loader.finish();
    println!("{} files, {} rules, {:?}", files.len(), set.rules.len(), start.elapsed());
    for p in &set.problems {
        println!("{}:{} {:?} {}", p.file, p.line, p.severity, p.reason);
    }
    let errors = set.problems.iter().filter(|p| p.severity == Severity::Error);
    assert!(errors.clone().all(|p| p.reason.contains("placeholder")), "{:?}", errors.collect::<Vec<_>>());
}
