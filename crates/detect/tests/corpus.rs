//! All `SigmaHQ` rules over real events, against reference detections. Reads the folder that `KHIEN_CORPUS` names.
#![expect(clippy::print_stdout, reason = "a test over a corpus says what it skipped and measured")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::Instant;

use khien_detect::pack;
use khien_detect::reference;
use khien_detect::rule::load::{Loader, Placeholders, RuleSet, Severity};
use khien_event::event::Event;
use khien_event::json_slow::{event_from_json, kind_of_event, shape_of_event};
use khien_event::taxonomy::Taxonomy;

/// Folders of rules that are in use.
const FOLDERS: [&str; 6] = [
    "rules/",
    "rules-compliance/",
    "rules-dfir/",
    "rules-emerging-threats/",
    "rules-placeholder/",
    "rules-threat-hunting/",
];

/// The folder of the corpus; says so when there is none.
fn corpus() -> Option<PathBuf> {
    let found = std::env::var_os("KHIEN_CORPUS").map(PathBuf::from);
    if found.is_none() {
        println!("skipped: KHIEN_CORPUS names no folder of test data");
    }
    found
}

/// The content of `name`, or of the archive of it.
fn content(root: &std::path::Path, name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let file = File::open(root.join(format!("{name}.zst"))).expect("the corpus holds the file");
    let mut decoder = zstd::stream::read::Decoder::new(file).expect("zstd starts");
    decoder.window_log_max(27).expect("27 is allowed");
    decoder.read_to_end(&mut out).expect("the file is zstd");
    out
}

/// Names and texts of the YAML files of a tar archive.
fn yaml_files(tar: &[u8]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let (mut at, mut long_name) = (0, None);
    while let Some(header) = tar.get(at..at + 512).filter(|h| h[0] != 0) {
        let field = |range: std::ops::Range<usize>| {
            let bytes = &header[range];
            let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        };
        let size = usize::from_str_radix(field(124..136).trim(), 8).expect("a size");
        let body = &tar[at + 512..at + 512 + size];
        let prefix = field(345..500);
        let short = if prefix.is_empty() { field(0..100) } else { format!("{prefix}/{}", field(0..100)) };
        match header[156] {
            b'L' => {
                let text = String::from_utf8_lossy(body);
                long_name = Some(text.trim_end_matches('\0').to_owned());
            }
            b'x' => {
                let text = String::from_utf8_lossy(body).into_owned();
                let path = text.lines().find_map(|l| l.split_once(" path=").map(|(_, p)| p.to_owned()));
                long_name = path.or(long_name);
            }
            _ => {
                let name = long_name.take().unwrap_or(short);
                if std::path::Path::new(&name).extension().is_some_and(|e| e == "yml") {
                    files.push((name, String::from_utf8_lossy(body).into_owned()));
                }
            }
        }
        at += 512 + size.div_ceil(512) * 512;
    }
    files.sort();
    files
}

fn load(root: &std::path::Path) -> (RuleSet, usize) {
    let tar = content(root, "sigmahq-rules-8eaafff.tar");
    let files = yaml_files(&tar);
    let used = files.iter().filter(|(name, _)| {
        let name = name.trim_start_matches("./");
        FOLDERS.iter().any(|f| name.starts_with(f) || name.contains(&format!("/{f}")))
    });
    let start = Instant::now();
    let mut loader = Loader::new(Placeholders::default());
    let mut count = 0;
    for (name, text) in used {
        loader.add_file(name, text);
        count += 1;
    }
    let set = loader.finish();
    println!("{count} files, {} rules loaded in {:?}", set.rules.len(), start.elapsed());
    (set, count)
}

#[test]
fn every_rule_in_use_loads_and_packs() {
    let Some(root) = corpus() else { return };
    let (set, files) = load(&root);
    assert!(files > 3_700, "{files}");
    let errors: Vec<_> = set.problems.iter().filter(|p| p.severity == Severity::Error).collect();
    assert!(errors.iter().all(|p| p.reason.contains("placeholder")), "{errors:?}");
    assert_eq!(set.rules.len() + errors.len(), files);
    let mut bytes = Vec::new();
    pack::write(&set, &mut bytes).expect("memory can be written");
    let start = Instant::now();
    let again = pack::read(bytes.as_slice()).expect("a fresh pack is readable");
    println!("{} bytes of pack read in {:?}", bytes.len(), start.elapsed());
    assert_eq!(again, set);
}

#[test]
fn real_events_give_the_reference_detections() {
    let Some(root) = corpus() else { return };
    let (set, _) = load(&root);
    let taxonomy = Taxonomy::embedded();
    let lines = content(&root, "windows_evtx_dev.jsonl");
    let lines: Vec<&[u8]> = lines.split(|b| *b == b'\n').filter(|l| !l.is_empty()).collect();
    // Unoptimised builds take one line in twenty.
    let step = if cfg!(debug_assertions) { 20 } else { 1 };
    let mut found: HashSet<(String, usize)> = HashSet::new();
    let mut routes = HashMap::new();
    for (index, line) in lines.iter().enumerate().step_by(step) {
        let event: Event = event_from_json(line, taxonomy).expect("the corpus is JSON");
        let kind = kind_of_event(&event, shape_of_event(&event, taxonomy), taxonomy);
        let rules = routes.entry(kind).or_insert_with(|| {
            let applies = |r: &&khien_detect::rule::Rule| {
                r.logsource.product.as_deref() == Some("windows") && taxonomy.applies(kind, &r.logsource)
            };
            set.rules.iter().filter(applies).collect::<Vec<_>>()
        });
        let sources = |field: &str| taxonomy.sources(kind, field).iter().map(ToString::to_string).collect();
        for rule in rules.iter().filter(|r| reference::matches(r, &event, &sources)) {
            found.insert((rule.id.clone(), index + 1));
        }
    }
    let oracle = String::from_utf8(content(&root, "oracle_dev.csv")).expect("text");
    compare(&oracle, &found, step);
}

fn compare(oracle: &str, found: &HashSet<(String, usize)>, step: usize) {
    let (mut must, mut may) = (HashSet::new(), HashSet::new());
    for row in oracle.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let line: usize = cells[1].parse().expect("a line number");
        if (line - 1).is_multiple_of(step) {
            let set = if cells.last() == Some(&"must") { &mut must } else { &mut may };
            set.insert((cells[0].to_owned(), line));
        }
    }
    let missing: Vec<_> = must.difference(found).collect();
    let mut extra: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (rule, line) in found.difference(&must).filter(|f| !may.contains(*f)) {
        extra.entry(rule).or_default().push(*line);
    }
    let of_may = may.intersection(found).count();
    println!("must {} missing {}, may {of_may} of {}, extra {extra:?}", must.len(), missing.len(), may.len());
    for row in may.difference(found) {
        println!("not found, of may: {row:?}");
    }
    assert!(missing.is_empty(), "{missing:?}");
    assert!(extra.is_empty(), "{extra:?}");
}
