//! The taxonomy over real rules and events: every reference detection and every regression case must be routed to its
//! rule, and every log source of the rules must be served or be explained in `docs/logsources.md`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use khien_event::event::Event;
use khien_event::json_slow::{event_from_json, kind_of_event, shape_of_event};
use khien_event::taxonomy::{KindId, LogSource, Taxonomy};

const RULES: &str = "sigmahq-rules-8eaafff.tar.zst";

/// Rule id and log source of every rule: just enough YAML for the way they are laid out.
fn rules() -> Option<Vec<(String, LogSource)>> {
    let files = khien_testkit::read_tar_zst(RULES)?;
    let mut rules = Vec::new();
    for (name, bytes) in files {
        if name.contains("tests/") || !has_extension(&name, "yml") {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        rules.extend(text.split("\n---").filter_map(rule));
    }
    assert!(rules.len() > 3_000, "the archive holds SigmaHQ's rules");
    Some(rules)
}

fn has_extension(name: &str, wanted: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|e| e == wanted)
}

fn rule(document: &str) -> Option<(String, LogSource)> {
    let mut id = String::new();
    let mut source = None;
    let mut inside = false;
    for line in document.lines() {
        let plain = line.split(" #").next().unwrap_or_default();
        let Some((key, value)) = plain.split_once(':') else {
            continue;
        };
        let value = value.trim().trim_matches(['\'', '"']);
        if !line.starts_with(' ') {
            inside = key == "logsource";
            if inside {
                source = Some(LogSource::default());
            }
            if key == "id" {
                value.clone_into(&mut id);
            }
            continue;
        }
        let Some(source) = source.as_mut().filter(|_| inside) else {
            continue;
        };
        match key.trim() {
            "product" => source.product = Some(value.to_owned()),
            "category" => source.category = Some(value.to_owned()),
            "service" => source.service = Some(value.to_owned()),
            _ => {}
        }
    }
    source.map(|s| (id, s))
}

fn read(json: &[u8]) -> (Event, KindId) {
    let table = Taxonomy::embedded();
    let event = event_from_json(json, table).expect("the corpora hold valid JSON");
    let shape = shape_of_event(&event, table);
    let kind = kind_of_event(&event, shape, table);
    (event, kind)
}

#[test]
fn every_reference_detection_is_routed_to_its_rule() {
    let (Some(rules), Some(oracle), Some(events)) =
        (rules(), khien_testkit::read_zst("oracle_dev.csv.zst"), khien_testkit::read_zst("windows_evtx_dev.jsonl.zst"))
    else {
        return;
    };
    let rules: HashMap<_, _> = rules.into_iter().collect();
    let events: Vec<_> = events.split(|&b| b == b'\n').collect();
    let oracle = String::from_utf8(oracle).expect("text");
    let table = Taxonomy::embedded();
    let mut checked = 0;
    let mut missed = Vec::new();
    for row in oracle.lines().skip(1).filter(|r| r.ends_with(",must")) {
        let mut cells = row.split(',');
        let (Some(id), Some(line)) = (cells.next(), cells.next()) else {
            continue;
        };
        let line: usize = line.parse().expect("a line number");
        let (_, kind) = read(events[line - 1]);
        checked += 1;
        if !table.applies(kind, &rules[id]) {
            missed.push((id.to_owned(), line, table.kind_name(kind), rules[id].clone()));
        }
    }
    assert!(checked > 1_000);
    assert!(missed.is_empty(), "{} of {checked}: {missed:#?}", missed.len());
}

#[test]
fn every_regression_case_is_routed_to_its_rule() {
    let (Some(rules), Some(files)) = (rules(), khien_testkit::read_tar_zst("sigmahq-regression-dev.tar.zst")) else {
        return;
    };
    let rules: HashMap<_, _> = rules.into_iter().collect();
    let table = Taxonomy::embedded();
    let mut checked = 0;
    for (name, bytes) in files.iter().filter(|(n, _)| has_extension(n, "json")) {
        let stem = name.rsplit('/').next().and_then(|n| n.strip_suffix(".json"));
        let Some(source) = stem.and_then(|id| rules.get(id)) else {
            continue;
        };
        // A case is one record, or several one after another.
        let stream = serde_json::Deserializer::from_slice(bytes).into_iter::<serde_json::Value>();
        let routed = stream
            .map(|record| record.expect("valid JSON").to_string())
            .filter(|record| table.applies(read(record.as_bytes()).1, source))
            .count();
        assert!(routed > 0, "{name} is routed to {source:?}");
        checked += 1;
    }
    assert!(checked > 50, "{checked} cases were found");
}

#[test]
fn every_log_source_of_sigmahq_is_served_or_explained() {
    let Some(rules) = rules() else {
        return;
    };
    let explained = include_str!("../../../../docs/logsources.md");
    let table = Taxonomy::embedded();
    let mut counts: BTreeMap<LogSource, u32> = BTreeMap::new();
    for (_, source) in rules {
        *counts.entry(source).or_default() += 1;
    }
    let served = |source: &LogSource| (1..table.kind_count()).any(|k| table.applies(KindId(k as u16), source));
    let unserved: BTreeSet<_> = counts
        .iter()
        .filter(|(source, _)| !served(source))
        .map(|(source, count)| (row_start(source), *count))
        .collect();
    println!("{} of {} log sources have no kind:", unserved.len(), counts.len());
    for (row, count) in &unserved {
        println!("{count:5} {row}");
    }
    let missing: Vec<_> = unserved.iter().filter(|(row, _)| !explained.contains(row)).collect();
    assert!(missing.is_empty(), "not in docs/logsources.md: {missing:#?}");
}

#[test]
fn cloud_events_are_recognised() {
    let Some(lines) = khien_testkit::read_zst("cloud_saas_events_panther.jsonl.zst") else {
        return;
    };
    let shapes: HashMap<_, _> = [
        ("AWS.CloudTrail", "cloudtrail"),
        ("Azure.MonitorActivity", "azure"),
        ("Azure.Audit", "azure"),
        ("GCP.AuditLog", "gcp"),
        ("Okta.SystemLog", "okta"),
        ("GitHub.Audit", "github"),
        ("GSuite.ActivityEvent", "google_workspace"),
        ("OneLogin.Events", "onelogin"),
        ("Amazon.EKS.Audit", "kubernetes"),
        ("Duo.Authentication", "duo"),
        ("Microsoft365.Audit.SharePoint", "m365"),
        ("Microsoft365.Audit.AzureActiveDirectory", "m365"),
        ("Windows.EventLogs", "windows"),
    ]
    .into();
    let table = Taxonomy::embedded();
    let mut counts: BTreeMap<(String, String, String), u32> = BTreeMap::new();
    for line in lines.split(|&b| b == b'\n').filter(|l| !l.is_empty()) {
        let record: serde_json::Value = serde_json::from_slice(line).expect("valid JSON");
        let [log_type] = record["log_types"].as_array().expect("a list").as_slice() else {
            continue;
        };
        let log_type = log_type.as_str().unwrap_or_default().to_owned();
        let (event, kind) = read(record["event"].to_string().as_bytes());
        let shape = table.shape_name(shape_of_event(&event, table)).to_owned();
        let kind = table.kind_name(kind).to_owned();
        *counts.entry((log_type, shape, kind)).or_default() += 1;
    }
    let (mut right, mut all) = (0, 0);
    for ((log_type, shape, kind), count) in &counts {
        println!("{count:5} {log_type} {shape} {kind}");
        match shapes.get(log_type.as_str()) {
            Some(wanted) => {
                all += count;
                right += if wanted == shape { *count } else { 0 };
            }
            // Other products must not be taken for one of these.
            None => assert!(
                matches!(shape.as_str(), "unknown" | "okta" | "azure" | "ecs" | "duo"),
                "{log_type} is taken for {shape}"
            ),
        }
    }
    println!("{right} of {all} are recognised");
    assert!(right * 100 >= all * 90, "{right} of {all}");
}

/// How the row of a log source begins in `docs/logsources.md`.
fn row_start(source: &LogSource) -> String {
    let cell = |c: &Option<String>| c.clone().unwrap_or_else(|| "-".into());
    format!("| {} | {} | {} |", cell(&source.product), cell(&source.category), cell(&source.service))
}
