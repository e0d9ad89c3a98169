//! Rules, packs, indicators and correlations from any bytes, and the fast engine against the plain evaluator.

use std::borrow::Cow;
use std::io::Cursor;
use std::sync::Arc;

use khien_detect::check::{check_rules, check_text};
use khien_detect::correlate::{Correlator, Limits, Observation};
use khien_detect::engine::{Detector, Worker};
use khien_detect::indicators::IndicatorSet;
use khien_detect::rule::Rule;
use khien_detect::rule::load::{Loader, Placeholders, RuleSet};
use khien_detect::scope::is_tried;
use khien_detect::testgen::{Sample, sample};
use khien_detect::{explain, pack, reference};
use khien_event::json::{Emit, JsonDecoder};
use khien_event::json_slow::{event_from_json, kind_of_event, shape_of_event};
use khien_event::taxonomy::Taxonomy;

/// Longest rule file of a run, in bytes; longer ones only take longer.
const RULE_BYTES: usize = 8 << 10;

fn load(text: &str) -> RuleSet {
    let mut loader = Loader::new(Placeholders::default());
    loader.add_file("fuzz.yml", text);
    loader.finish()
}

/// An event with fields of every type for rules that come from text.
const EVENT: &[u8] =
    br#"{"Channel":"Security","EventID":4688,"Image":"C:\\a\\cmd.exe","CommandLine":"cmd -x /c \"a*b?\"",
"Ip":"10.1.2.3","T":"2026-01-02T03:04:05Z","B":true,"N":null,"E":"","L":["a","b",1],"O":{"x":[{}],"y":[]}}"#;

/// A rule file of any text: what loads can be written, read, checked, explained and run, and both evaluators agree.
pub fn rules(bytes: &[u8]) {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(RULE_BYTES)]);
    let set = load(&text);
    packed(&set);
    check_text("fuzz.yml", &text);
    check_rules(&set, Taxonomy::embedded());
    agree(set.rules, &[EVENT.to_vec()]);
}

/// What is written is read back.
fn packed(set: &RuleSet) {
    let mut bytes = Vec::new();
    pack::write(set, &mut bytes).expect("memory can be written");
    let again = pack::read(bytes.as_slice()).expect("what was written can be read");
    // Compared as text: a rule may hold a number that is not equal to itself.
    assert_eq!(format!("{again:?}"), format!("{set:?}"));
}

/// A compiled pack of any bytes, and one with any content behind a header that fits.
pub fn pack_file(bytes: &[u8]) {
    let sealed = pack::sealed(bytes);
    for pack in [bytes, &sealed] {
        if let Ok(set) = pack::read(pack) {
            packed(&set);
        }
    }
}

/// A zip archive of any bytes.
pub fn zip(bytes: &[u8]) {
    let mut loader = Loader::new(Placeholders::default());
    if let Ok(imported) = pack::import_zip(Cursor::new(bytes), &mut loader) {
        let set = loader.finish();
        assert!(imported.files > 0 || set.rules.is_empty());
    }
}

/// Generated rules and events.
pub fn engine(bytes: &[u8]) {
    let Sample { rules, events } = sample(bytes);
    let records: Vec<Vec<u8>> = events.into_iter().map(|event| event.json).collect();
    // Some of them again, so that caches answer too.
    let repeated: Vec<Vec<u8>> = records.iter().cycle().take(records.len() * 3).cloned().collect();
    agree(rules, &repeated);
}

/// The fast engine and the plain evaluator say the same of every record.
fn agree(rules: Vec<Rule>, records: &[Vec<u8>]) {
    let taxonomy = Taxonomy::embedded();
    let detector = Arc::new(Detector::new(rules, &[], taxonomy));
    let mut worker = Worker::new(detector.clone());
    let mut decoder = JsonDecoder::new(detector.names().clone(), taxonomy, Emit::Named);
    for (position, record) in (0..).zip(records) {
        let mut found = Vec::new();
        let mut take = |rule: usize| found.push(rule);
        let result = worker.record(&mut decoder, record, position, &mut |rule, _, _| take(rule));
        assert!(result.is_ok(), "the record is valid: {result:?}");
        assert_eq!(found, matching(detector.rules(), record));
    }
}

/// Indices of the rules that match by the plain evaluator; the explanation must say the same.
fn matching(rules: &[Rule], record: &[u8]) -> Vec<usize> {
    let taxonomy = Taxonomy::embedded();
    let event = event_from_json(record, taxonomy).expect("the record is valid");
    let kind = kind_of_event(&event, shape_of_event(&event, taxonomy), taxonomy);
    let sources = |field: &str| taxonomy.sources(kind, field).into_iter().map(Cow::into_owned).collect();
    let holds = |rule: &Rule| {
        let matches = reference::matches(rule, &event, &sources);
        assert_eq!(explain::explain(rule, &event, &sources).matched, matches, "the explanation of {}", rule.id);
        matches && is_tried(rule, kind, taxonomy)
    };
    (0..rules.len()).filter(|&at| holds(&rules[at])).collect()
}

/// A list of indicators, a zero byte, and values to look at, one a line.
pub fn indicators(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |&b| b == 0);
    let list = parts.next().unwrap_or_default();
    let mut set = IndicatorSet::new();
    let report = set.load("list", list).expect("memory can be read");
    assert_eq!(report.added, set.len() as u64);
    let mut found = Vec::new();
    for value in parts.next().unwrap_or_default().split(|&b| b == b'\n') {
        set.matches(value, &mut found);
    }
    for id in found {
        assert!(!set.get(id).value.is_empty());
    }
}

/// Correlations of every type, with holes for what the bytes decide.
const CORRELATIONS: [(&str, &str); 7] = [
    ("event_count", "condition: {OP: N}"),
    ("value_count", "condition: {OP: N, field: v}"),
    ("value_sum", "condition: {OP: N, field: v}"),
    ("value_avg", "condition: {OP: N, field: v}"),
    ("value_percentile", "condition: {OP: N, field: v}"),
    ("temporal", ""),
    ("temporal_ordered", ""),
];

/// Two rules, a correlation and matches made from bytes: their order does not matter.
pub fn correlation(bytes: &[u8]) {
    let [kind, op, count, span, rest @ ..] = bytes else { return };
    let (name, condition) = CORRELATIONS[usize::from(*kind) % CORRELATIONS.len()];
    let op = ["gte", "gt", "lt", "lte", "eq", "neq"][usize::from(*op) % 6];
    let condition = condition.replace("OP", op).replace('N', &(count % 6).to_string());
    let text = format!(
        "title: A\nid: a\nname: a\nlogsource: {{product: p}}\ndetection: {{s: {{F: 1}}, condition: s}}\n---\n\
         title: B\nid: b\nname: b\nlogsource: {{product: p}}\ndetection: {{s: {{F: 2}}, condition: s}}\n---\n\
         title: C\nid: c\ncorrelation:\n  type: {name}\n  rules: [a, b]\n  group-by: [g]\n  timespan: {}s\n  {condition}\n",
        span % 20 + 1,
    );
    let set = load(&text);
    let mut matches: Vec<[u8; 4]> = rest.chunks_exact(4).take(200).filter_map(|c| c.try_into().ok()).collect();
    let forwards = hits(&set, &matches);
    matches.reverse();
    assert_eq!(hits(&set, &matches), forwards);
}

/// A saved state of correlations that some bytes of were changed: it is refused, or gone on with.
pub fn correlation_state(bytes: &[u8]) {
    let text = "title: A\nid: a\nname: a\nlogsource: {product: p}\ndetection: {s: {F: 1}, condition: s}\n---\n\
                title: C\nid: c\nname: c\ncorrelation:\n  type: value_count\n  rules: [a]\n  group-by: [g]\n  \
                timespan: 9s\n  condition: {gte: 2, field: v}\n---\n\
                title: D\nid: d\ncorrelation:\n  type: temporal\n  rules: [c, a]\n  group-by: [w]\n  timespan: 9s\n";
    let set = load(text);
    let new = || Correlator::live(set.correlations.clone(), &set.rules, Limits::default(), 0).0;
    let feed = |correlator: &mut Correlator, second: i64, value: &str| {
        let fields: Vec<(usize, &str)> = (0..correlator.needs(0).len()).map(|place| (place, value)).collect();
        let time_ns = Some(second * 1_000_000_000);
        let (file, position) = (second as u32, second as u64);
        correlator.feed(&Observation { rule: 0, time_ns, fields: &fields, file, scope: "s", position }, &mut |_| {});
    };
    let mut first = new();
    for second in 0..6 {
        feed(&mut first, second, &format!("{}", second % 3));
    }
    let mut saved = first.save();
    // Each three bytes of the input change one: where, and into what.
    for change in bytes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % saved.len();
        saved[at] = change[2];
    }
    let mut second = new();
    if second.restore(&saved).is_ok() {
        feed(&mut second, 6, "0");
        let mut hits = 0;
        second.settle(7_000_000_000, &mut |hit| hits += hit.evidence.len());
        second.settle(i64::MAX, &mut |hit| hits += hit.evidence.len());
        second.save();
    }
}

/// The hits of matches: rule, time in seconds, group and value of each are one byte.
fn hits(set: &RuleSet, matches: &[[u8; 4]]) -> Vec<String> {
    let (mut correlator, _) = Correlator::new(set.correlations.clone(), &set.rules, Limits::default());
    let mut hits = Vec::new();
    for [rule, seconds, group, value] in matches {
        let (group, value) = ((group % 4).to_string(), value.to_string());
        let rule_index = usize::from(rule % 2);
        let text = |name: &String| if name == "g" { group.as_str() } else { value.as_str() };
        let fields: Vec<(usize, &str)> = correlator.needs(rule_index).iter().map(text).enumerate().collect();
        // The position follows from the content, so that it is the same in every order.
        let position = u64::from(u32::from_le_bytes([rule % 2, *seconds, group.as_bytes()[0], value.as_bytes()[0]]));
        let time_ns = Some(i64::from(*seconds) * 1_000_000_000);
        let observation = Observation { rule: rule_index, time_ns, fields: &fields, file: 0, scope: "", position };
        correlator.feed(&observation, &mut |hit| hits.push(format!("{hit:?}")));
    }
    correlator.flush(&mut |hit| hits.push(format!("{hit:?}")));
    assert!(correlator.statistics().exact());
    hits.sort();
    hits
}
