//! `khien detect` as people and scripts use it: the real program over real files.

#![expect(clippy::unwrap_used, reason = "a test ends where its surroundings fail, in helpers too")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use khien_testkit::content;
use serde_json::Value;

/// Finds `"word":"bad"` in any event.
const BAD_WORD: &str = "title: Bad word\nid: 00000000-0000-4000-8000-000000000001\nlevel: high\nstatus: test\n\
    logsource:\n  product: any\ndetection:\n  selection:\n    word: bad\n  condition: selection\n";

/// How one run ended.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn findings(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("a finding is JSON")).collect()
    }

    fn positions(&self) -> Vec<u64> {
        self.findings().iter().map(|f| f["event"]["position"].as_u64().expect("a position")).collect()
    }
}

fn khien() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_khien"));
    command.env("LC_ALL", "en_US.UTF-8").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Ran {
    ran(khien().args(arguments).output().expect("the program runs"))
}

fn ran(output: std::process::Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs with `write` at the other end of standard input.
fn run_with_input(mut command: Command, write: impl FnOnce(&mut dyn Write) + Send + 'static) -> Ran {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || write(&mut stdin));
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("everything is read");
    ran(output)
}

fn shown(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

fn content_rules() -> String {
    shown(&content().join("rules"))
}

fn content_events() -> String {
    shown(&content().join("events"))
}

/// A folder with the rule [`BAD_WORD`].
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.0.path().join("rule.yml"), BAD_WORD.replace("  product: any\n", "  category: test\n")).unwrap();
        place
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        shown(&path)
    }

    fn detect(&self) -> Command {
        let mut command = khien();
        command.args(["detect", "--logsource", "category=test", "--rules"]).arg(self.0.path().join("rule.yml"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.detect().args(arguments).output().expect("the program runs"))
    }
}

#[test]
fn the_shipped_rules_find_exactly_what_is_expected() {
    let ran = run(&["detect", "--rules", &content_rules(), "--", &content_events()]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let expected = fs::read_to_string(content().join("expected.tsv")).unwrap();
    let expected: BTreeSet<String> = expected.lines().skip(1).map(str::to_owned).collect();
    let mut found = BTreeSet::new();
    for finding in ran.findings() {
        let file = PathBuf::from(finding["event"]["file"].as_str().unwrap());
        let (rule, position) = (&finding["rule"], &finding["event"]["position"]);
        let file = file.file_name().unwrap().to_str().unwrap();
        let line = format!("{}\t{file}\t{position}\t{}", rule["id"].as_str().unwrap(), rule["title"].as_str().unwrap());
        assert!(found.insert(line.clone()), "found twice: {line}");
    }
    let differences: String = expected.symmetric_difference(&found).fold(String::new(), |mut all, line| {
        writeln!(all, "{} {line}", if found.contains(line) { "too much:" } else { "missing:" }).unwrap();
        all
    });
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn a_finding_has_the_shape_of_the_contract() {
    let ran = run(&["detect", "--rules", &content_rules(), "--", &content_events()]);
    let mut correlations = 0;
    for finding in ran.findings() {
        assert!(finding["time"].as_str().is_some_and(|t| t.ends_with('Z')), "{finding}");
        for member in ["id", "title", "level"] {
            assert!(finding["rule"][member].is_string(), "{finding}");
        }
        assert!(finding["rule"]["tags"].is_array());
        assert!(finding["attack"].as_array().unwrap().iter().all(|a| a["name"].is_string()));
        assert!(finding["matched"].is_object());
        let event = &finding["event"];
        assert!(event["file"].is_string() && event["position"].as_u64().is_some_and(|p| p > 0));
        if finding["rule"]["source"] == "correlation" {
            correlations += 1;
            assert!(event["record"].is_null());
            let evidence = finding["evidence"].as_array().unwrap();
            assert!(evidence.iter().any(|e| e["file"] == event["file"] && e["position"] == event["position"]));
        } else {
            assert!(event["record"].is_object() || event["record"].is_string());
        }
    }
    assert!(correlations >= 4);
}

#[test]
fn threads_packs_and_the_order_of_rules_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let pack = shown(&folder.path().join("p.pack"));
    assert_eq!(run(&["rules", "import", &content_rules(), "--output", &pack]).code, Some(0));
    let detect = |rules: &[&str], threads: &str| {
        let mut command = khien();
        command.arg("detect").arg("--rules").args(rules).args(["--threads", threads, "--", &content_events()]);
        ran(command.output().unwrap()).out
    };
    let alone = detect(&[&content_rules()], "1");
    assert!(!alone.is_empty());
    assert_eq!(alone, detect(&[&content_rules()], "4"));
    assert_eq!(alone, detect(&[&pack], "1"));
    let folders: Vec<String> =
        ["web", "windows", "network", "linux", "cloud"].map(|f| shown(&content().join("rules").join(f))).into();
    assert_eq!(alone, detect(&folders.iter().map(String::as_str).collect::<Vec<_>>(), "2"));
}

#[test]
fn exit_codes_say_how_it_went() {
    let place = Place::new();
    let good = place.write("good.jsonl", "{\"word\":\"bad\"}\n");
    let broken = place.write("broken.jsonl", "{\"word\":\n{\"word\":\"good\"}\n");
    let code = |arguments: &[&str]| place.run(arguments).code;
    assert_eq!(code(&[&good]), Some(0));
    assert_eq!(code(&[&good, "--fail-on", "high"]), Some(1));
    assert_eq!(code(&[&good, "--fail-on", "critical"]), Some(0));
    assert_eq!(code(&[&good, "--level", "critical", "--fail-on", "low"]), Some(0));
    assert_eq!(code(&[&good, "--no-such"]), Some(2));
    assert_eq!(code(&[&good, "--strict"]), Some(0));
    assert_eq!(code(&[&broken]), Some(0));
    assert_eq!(code(&[&broken, "--strict"]), Some(3));
    assert_eq!(code(&["no-such-file.log"]), Some(3));
    assert_eq!(code(&["no-such-file.log", &good]), Some(0));
    assert_eq!(code(&["no-such-file.log", &good, "--strict"]), Some(3));
}

#[test]
fn malformed_records_are_counted_and_the_first_are_shown() {
    let place = Place::new();
    let file = place.write("m.jsonl", "{\"word\":\"bad\"}\n{\"word\":\n\n{\"a\":1e}\n{\"word\":\"bad\"}\n{]\n");
    let summary = place.write("summary.json", "");
    let ran = place.run(&[&file, "--summary-json", &summary, "--max-malformed-reported", "2"]);
    assert_eq!(ran.positions(), [1, 5]);
    let summary: Value = serde_json::from_slice(&fs::read(&summary).unwrap()).unwrap();
    assert_eq!(summary["malformed"]["count"], 3);
    let samples = summary["malformed"]["samples"].as_array().unwrap();
    let places: Vec<_> =
        samples.iter().map(|s| (s["file"].as_str().unwrap(), s["position"].as_u64().unwrap())).collect();
    assert_eq!(places, [(file.as_str(), 2), (file.as_str(), 4)]);
    assert!(ran.err.contains("m.jsonl:2: ") || ran.err.contains("Malformed"), "{}", ran.err);
    assert_eq!(summary["events"], 2);
}

#[test]
fn every_way_of_packing_gives_the_same_findings() {
    let place = Place::new();
    let lines = "{\"word\":\"good\"}\r\n{\"word\":\"bad\"}\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(lines.as_bytes(), 1).unwrap();
    let wide: Vec<u8> = lines.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, bytes) in [
        ("plain.jsonl", lines.as_bytes().to_vec()),
        ("marked.jsonl", [b"\xef\xbb\xbf", lines.as_bytes()].concat()),
        ("wide.jsonl", [b"\xff\xfe", wide.as_slice()].concat()),
        ("packed.jsonl.gz", gzip.clone()),
        ("twice.gz", [gzip.as_slice(), &[]].concat()),
        ("packed.zst", zstd),
        ("array.json", b"[{\"word\":\"good\"},{\"word\":\"bad\"}]".to_vec()),
    ] {
        let file = place.write(name, &bytes);
        assert_eq!(place.run(&[&file]).positions(), [2], "{name}");
        let mut command = place.detect();
        command.arg("-");
        let piped = run_with_input(command, move |pipe| pipe.write_all(&bytes).unwrap());
        assert_eq!(piped.positions(), [2], "{name} by standard input");
        assert_eq!(piped.findings()[0]["event"]["file"], "-");
    }
}

#[test]
fn a_cut_archive_gives_what_it_has_and_says_so() {
    let place = Place::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all("{\"word\":\"bad\"}\n".repeat(50).as_bytes()).unwrap();
    let mut bytes = gzip.finish().unwrap();
    bytes.truncate(bytes.len() / 2);
    let file = place.write("cut.gz", bytes);
    let ran = place.run(&[&file]);
    assert!(!ran.findings().is_empty());
    assert!(ran.err.contains("cannot read") && ran.err.contains("cut.gz"), "{}", ran.err);
    assert_eq!(place.run(&[&file, "--strict"]).code, Some(3));
}

/// The next line of the program's standard output.
fn next_line(child: &mut Child) -> String {
    let out = child.stdout.as_mut().expect("a pipe");
    let mut line = String::new();
    BufReader::with_capacity(1, out).read_line(&mut line).unwrap();
    line
}

#[test]
fn live_input_shows_its_findings_at_once() {
    let place = Place::new();
    let mut command = place.detect();
    let mut child =
        command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for position in 1..=2 {
        let written = Instant::now();
        stdin.write_all(b"{\"word\":\"bad\"}\n").unwrap();
        let finding: Value = serde_json::from_str(&next_line(&mut child)).unwrap();
        assert_eq!(finding["event"]["position"], position);
        assert!(written.elapsed() < Duration::from_secs(10), "{:?}", written.elapsed());
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// Whoever watches a live log ends with Ctrl-C, and wants to know what was seen.
#[cfg(unix)]
#[test]
fn a_stopped_run_still_says_what_it_found() {
    let place = Place::new();
    let mut command = place.detect();
    command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"{\"word\":\"bad\"}\n").unwrap();
    assert!(next_line(&mut child).starts_with('{'));
    // The pipe stays open: only the signal ends the run.
    let asked = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{err}");
    assert!(err.contains("Stopped as asked"), "{err}");
}

#[test]
fn a_closed_pipe_is_an_ordinary_end() {
    let place = Place::new();
    let file = place.write("many.jsonl", "{\"word\":\"bad\"}\n".repeat(100_000));
    let mut child = place.detect().arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(next_line(&mut child).starts_with('{'));
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(child.wait().unwrap().success(), "{err}");
    assert!(!err.contains("error"), "{err}");
}

#[test]
fn indicators_need_no_rules() {
    let place = Place::new();
    let list = place.write("list.txt", "198.51.100.7\nno indicator\n");
    let log = place.write("log.jsonl", "{\"src\":\"198.51.100.8\"}\n{\"src\":\"198.51.100.7\",\"n\":1}\n");
    let ran = run(&["detect", "--indicators", &list, "--", &log]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.positions(), [2]);
    assert_eq!(ran.findings()[0]["matched"], serde_json::json!({"src": "198.51.100.7"}));
    assert!(ran.err.contains("list.txt:2"), "{}", ran.err);
    let strict = run(&["detect", "--strict", "--indicators", &list, "--", &log]);
    assert_eq!(strict.code, Some(3));
}

#[test]
fn rules_that_cannot_be_used_are_listed_and_stop_no_other() {
    let place = Place::new();
    let bad = place.write("bad.yml", BAD_WORD.replace("word: bad", "word|contians: bad"));
    let good = place.write("good.yml", BAD_WORD);
    let check = run(&["rules", "check", &bad, &good]);
    assert_eq!(check.code, Some(3));
    assert!(check.out.contains("bad.yml:9: error:") && check.out.contains("contians"), "{}", check.out);
    assert_eq!(run(&["rules", "check", &content_rules()]).code, Some(0));
    let log = place.write("log.jsonl", "{\"word\":\"bad\"}\n");
    let ran = place.run(&["--rules", &bad, "--", &log]);
    assert_eq!(ran.positions(), [1]);
    assert!(ran.err.contains("1 used, 1 unusable"), "{}", ran.err);
}

#[test]
fn correlations_are_explained_as_rules() {
    let id = "1c794c7b-2d4d-485b-a93c-6a1de271983e";
    let ran = run(&["rules", "explain", id, "--rules", &content_rules()]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for part in ["event_count", "IpAddress, TargetUserName", "5 min", "khien_logon_failed", "≥ 10"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    let on_events = run(&["rules", "explain", id, "--rules", &content_rules(), "--", &content_events()]);
    assert_eq!(on_events.code, Some(3));
    assert!(on_events.err.contains("khien_logon_failed"), "{}", on_events.err);
}

#[test]
fn ocsf_is_valid_against_the_published_schema() {
    let ran = run(&["detect", "--output", "ocsf", "--rules", &content_rules(), "--", &content_events()]);
    let classes: BTreeSet<u64> =
        ran.findings().iter().map(|event| event["class_uid"].as_u64().expect("a class")).collect();
    assert!(classes.len() >= 8, "{classes:?}");
    for event in ran.findings() {
        assert!(event["raw_data_hash"]["value"].is_string() || event["class_uid"] == 2004, "{event}");
    }
    if let Some(python) = khien_testkit::ocsf::python() {
        khien_testkit::ocsf::judge(&python, &ran.out);
    }
}

#[test]
fn event_logs_have_their_record_numbers_and_valid_ocsf() {
    let Some(files) = khien_testkit::read_tar_zst("sigmahq-regression-dev.tar.zst") else {
        return;
    };
    let place = Place::new();
    let every = BAD_WORD.replace("  product: any", "  product: windows").replace("word: bad", "EventID|exists: true");
    let rule = place.write("every.yml", every);
    let logs = place.0.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let is_event_log = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "evtx");
    let event_logs = files.iter().filter(|(name, _)| is_event_log(name)).step_by(4).enumerate();
    for (number, (_, bytes)) in event_logs {
        fs::write(logs.join(format!("{number}.evtx")), bytes).unwrap();
    }
    let ran = run(&["detect", "--rules", &rule, "--", &shown(&logs)]);
    assert!(ran.findings().len() > 20, "{}", ran.err);
    let mut last = (String::new(), 0);
    for finding in ran.findings() {
        let event = &finding["event"];
        assert!(event["record"]["Event"]["System"]["EventRecordID"].is_u64(), "{finding}");
        let place = (event["file"].as_str().unwrap().to_owned(), event["position"].as_u64().unwrap());
        assert!(place.1 > 0 && (last.0 != place.0 || last.1 < place.1), "{place:?} after {last:?}");
        last = place;
    }
    let ocsf = run(&["detect", "--output", "ocsf", "--rules", &rule, "--", &shown(&logs)]);
    if let Some(python) = khien_testkit::ocsf::python() {
        khien_testkit::ocsf::judge(&python, &ocsf.out);
    }
}

#[test]
fn deep_nesting_is_survived() {
    let place = Place::new();
    let deep = 1_000_000;
    let closed = format!("{{\"a\":{}{}}}", "[".repeat(deep), "]".repeat(deep));
    // What is never closed stands last: in a document it may be anything's beginning.
    let lines = format!("{closed}\n{{\"word\":\"bad\"}}\n{}", "{\"a\":".repeat(deep));
    let file = place.write("deep.jsonl", lines);
    for format in ["jsonl", "json", "auto"] {
        let ran = place.run(&[&file, "--format", format]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert_eq!(ran.positions(), [2], "{format}: {}", ran.err);
    }
}

/// Runs in an address space of so many bytes that nothing unbounded fits: the programs of tests are not optimised and their
/// allocator keeps what it frees, so this is far above what a run needs. The program itself takes more than 200 MB of it.
#[cfg(unix)]
fn bounded(place: &Place) -> Command {
    let mut command = Command::new("sh");
    let script = "ulimit -v 650000 && exec \"$0\" detect --threads 1 --logsource category=test --rules \"$@\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_khien")]).arg(place.0.path().join("rule.yml"));
    command.env("LC_ALL", "en_US.UTF-8");
    command
}

#[test]
#[cfg(unix)]
fn a_line_of_many_megabytes_is_skipped_in_bounded_memory() {
    let place = Place::new();
    let mut command = bounded(&place);
    command.args(["--format", "jsonl", "--output", "ndjson", "--", "-"]);
    let ran = run_with_input(command, |pipe| {
        pipe.write_all(b"{\"word\":\"bad\"}\n{\"word\":\"").unwrap();
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..512 {
            pipe.write_all(&piece).unwrap();
        }
        pipe.write_all(b"\"}\n{\"word\":\"bad\"}\n").unwrap();
    });
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.positions(), [1, 3]);
    assert!(ran.err.contains("-:2: record of 536870923 bytes"), "{}", ran.err);
}

#[test]
#[cfg(unix)]
fn expansion_bombs_cost_no_memory() {
    let place = Place::new();
    let zeros = || std::io::repeat(0).take(1 << 30);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::copy(&mut zeros(), &mut gzip).unwrap();
    let gzip = place.write("bomb.gz", gzip.finish().unwrap());
    let zstd = place.write("bomb.zst", zstd::encode_all(zeros(), 1).unwrap());
    for file in [&gzip, &zstd] {
        let ran = ran(bounded(&place).args(["--", file]).output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(ran.err.contains("Malformed            1"), "{}", ran.err);
    }
}
