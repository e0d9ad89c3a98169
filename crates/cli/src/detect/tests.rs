//! The commands with an engine that finds fixed things.

use khien_base::lang::Lang;
use khien_detect::reasons;
use khien_detect::rule::{Expr, Item, Link, Origin, Part as TextPart, Rule, Test};
use khien_event::taxonomy::LogSource;

use super::*;
use crate::args::{self, Command};
use crate::engine::{Explanation, FileFailure, MalformedSample, NewRender, Problem, RuleRow, Severity, Sink};
use crate::glob::Input;
use crate::output::{Block, Form, Place, sample};
use crate::terminal::Look;
use crate::text::Text;

/// Finds one thing of level high in every line of every file.
struct Fake;

fn rule() -> Rule {
    let test =
        Test::Text(vec![TextPart::Any, TextPart::Literal("bad".into()), TextPart::Any], khien_detect::rule::Case::Fold);
    Rule {
        id: "11111111-aaaa".into(),
        name: None,
        title: "Bad word".into(),
        level: Level::High,
        status: Some("stable".into()),
        tags: vec!["attack.t1059".into(), "attack.execution".into()],
        description: Some("Says so.".into()),
        author: Some("Người Viết".into()),
        references: vec![],
        falsepositives: vec!["Tests".into()],
        fields: vec![],
        related: vec![],
        logsource: LogSource { product: Some("linux".into()), ..LogSource::default() },
        origin: Origin { file: "rules/bad.yml".into(), line: 1 },
        condition: Expr::Named(
            "selection".into(),
            Box::new(Expr::Item(Item { field: None, link: Link::Any, tests: vec![test] })),
        ),
        reports: true,
    }
}

impl Engine for Fake {
    type Rules = Vec<Rule>;

    fn load(&self, request: &LoadRequest) -> anyhow::Result<Loaded<Self::Rules>> {
        let problem = |severity, hint: Option<&str>| Problem {
            file: "rules/odd.yml".into(),
            line: 12,
            rule: None,
            severity,
            title: None,
            reason: reasons::parser("modifier |contians is unknown"),
            hint: hint.map(reasons::hint_linter),
        };
        let name = request.paths[0].to_string_lossy();
        let problems = match name.as_ref() {
            "broken" => {
                vec![problem(Severity::Error, Some("did you mean |contains?")), problem(Severity::Warning, None)]
            }
            "warned" => vec![problem(Severity::Warning, None)],
            _ => vec![],
        };
        Ok(Loaded { rules: vec![rule()], usable: 1, problems })
    }

    fn list(&self, rules: &Self::Rules) -> Vec<RuleRow> {
        rules.iter().map(RuleRow::from).collect()
    }

    fn rule<'a>(&self, rules: &'a Self::Rules, id: &str) -> Option<&'a Rule> {
        rules.iter().find(|rule| rule.id == id)
    }

    fn correlation<'a>(&self, _rules: &'a Self::Rules, _id: &str) -> Option<&'a khien_detect::correlate::Correlation> {
        None
    }

    fn save_pack(&self, _rules: &Self::Rules, path: &Path) -> anyhow::Result<()> {
        Ok(fs::write(path, "pack")?)
    }

    fn detect(
        &self,
        _rules: Self::Rules,
        job: &Job,
        output: &dyn NewRender,
        sink: &mut dyn Sink,
    ) -> anyhow::Result<Stats> {
        let mut stats = Stats::default();
        let head = sample::head("r", Level::High, &["attack.execution"]);
        for (file, input) in job.inputs.iter().enumerate() {
            let Input::File(path) = input else { continue };
            let bytes = match fs::read(path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    stats.files_failed.push(FileFailure { file: input.name(), reason: error.kind().to_string() });
                    continue;
                }
            };
            stats.files_read += 1;
            stats.bytes += bytes.len() as u64;
            let (mut render, mut block) = (output.render(), Block::default());
            for (i, line) in bytes.split(|b| *b == b'\n').enumerate() {
                let mut finding = sample::finding(&head, line, &[], &[]);
                finding.position = i as u64 + 1;
                if line == b"malformed" {
                    stats.malformed += 1;
                    stats.malformed_samples.push(MalformedSample {
                        file: input.name(),
                        position: finding.position,
                        reason: reasons::parser("no"),
                    });
                    continue;
                }
                stats.events += 1;
                render.finding(Place { file: file as u32, form: Form::Text }, &finding, &mut block);
            }
            sink.block(&mut block)?;
        }
        Ok(stats)
    }

    fn explain(&self, _rules: &Self::Rules, job: &ExplainJob) -> anyhow::Result<Vec<Explanation>> {
        Ok(vec![Explanation {
            file: job.inputs[0].name(),
            position: job.position.unwrap_or(1),
            applies: false,
            matched: false,
            lines: "✗ all of\n  ✓ Image\n      Image = a \u{1b}[2J\n    ✓ contains: a\n  ✗ User\n".into(),
            condition: serde_json::json!({ "holds": false }),
        }])
    }
}

/// Runs a command in a folder with the files `a.log` and `b.log`: standard output, standard error, exit code.
fn run_in(lang: Lang, terminal: bool, argv: &[&str]) -> (String, String, Exit) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.log"), "one\n=two").unwrap();
    fs::write(folder.path().join("b.log"), "bad \x1b[2J\nmalformed").unwrap();
    let root = folder.path().to_string_lossy().into_owned();
    let argv: Vec<_> = ["khien"].iter().chain(argv).map(|a| a.replace("{}", &root).into()).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let text = Text(lang);
    let cli = args::parse(&argv, text).unwrap();
    let mut console = Console {
        out: &mut out,
        err: &mut err,
        out_look: Look::plain(80),
        err_look: Look::plain(80),
        out_is_terminal: terminal,
        err_is_terminal: false,
        text,
    };
    let result = match &cli.command {
        Command::Detect(detect) => command(&Fake, detect, &mut console),
        Command::Rules(rules) => crate::rules::command(&Fake, &rules.command, &mut console),
        _ => panic!("not a command of this engine"),
    };
    let exit = result.unwrap_or_else(|error| {
        err.extend_from_slice(format!("{error:#}\n").as_bytes());
        Exit::Data
    });
    let shown = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&root, "…");
    (shown(out), shown(err), exit)
}

fn run(argv: &[&str]) -> (String, String, Exit) {
    run_in(Lang::En, false, argv)
}

/// The summary without what differs from run to run.
fn steady(summary: &str) -> String {
    let lines: Vec<&str> = summary.lines().filter(|l| !l.contains("events/s")).collect();
    lines.join("\n")
}

#[test]
fn findings_go_out_and_the_summary_to_standard_error() {
    let (out, err, exit) = run(&["detect", "--rules", "r", "{}"]);
    assert_eq!(exit, Exit::Done);
    assert_eq!(out.lines().count(), 3);
    assert!(out.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()));
    insta::assert_snapshot!("detect_stderr", steady(&err));
}

#[test]
fn a_terminal_gets_a_table() {
    let (out, _, _) = run_in(Lang::Vi, true, &["detect", "--rules", "r", "{}/*.log"]);
    insta::assert_snapshot!("detect_table", out);
}

#[test]
fn the_exit_code_says_how_it_went() {
    let exit = |argv: &[&str]| run(argv).2;
    assert_eq!(exit(&["detect", "{}/a.log", "--rules", "r", "--fail-on", "high"]), Exit::Findings);
    assert_eq!(exit(&["detect", "{}/a.log", "--rules", "r", "--fail-on", "critical"]), Exit::Done);
    assert_eq!(exit(&["detect", "{}/a.log", "--rules", "r", "--strict"]), Exit::Done);
    assert_eq!(exit(&["detect", "{}/b.log", "--rules", "r"]), Exit::Done);
    assert_eq!(exit(&["detect", "{}/b.log", "--rules", "r", "--strict"]), Exit::Data);
    assert_eq!(exit(&["detect", "{}/a.log", "--rules", "broken", "--strict"]), Exit::Data);
    assert_eq!(exit(&["detect", "{}/missing.log", "--rules", "r"]), Exit::Data);
    assert_eq!(exit(&["detect", "{}/missing.log", "{}/a.log", "--rules", "r"]), Exit::Done);
    assert_eq!(exit(&["detect", "{}/missing.log", "{}/a.log", "--rules", "r", "--strict"]), Exit::Data);
    assert_eq!(exit(&["detect", "{}/*.none", "--rules", "r"]), Exit::Data);
}

#[test]
fn the_summary_is_written_for_programs() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_string_lossy().into_owned();
    run(&["detect", "{}", "--rules", "r", "--summary-json", &path]);
    let json: serde_json::Value = serde_json::from_slice(&fs::read(file.path()).unwrap()).unwrap();
    assert_eq!(json["events"], 3);
    assert_eq!(json["findings"]["by_level"]["high"], 3);
    assert_eq!(json["malformed"]["count"], 1);
    assert_eq!(json["files"]["read"], 2);
}

#[test]
fn explanations_go_field_by_field() {
    let (vi, _, exit) = run_in(
        Lang::Vi,
        false,
        &["detect", "--rules", "r", "{}/a.log", "--explain", "11111111-aaaa", "--position", "2"],
    );
    assert_eq!(exit, Exit::Done);
    let (en, _, _) = run(&["rules", "explain", "11111111-aaaa", "--rules", "r", "{}/a.log"]);
    insta::assert_snapshot!("explain", format!("{vi}------\n{en}"));
    let (json, _, _) = run(&["rules", "explain", "11111111-aaaa", "--rules", "r", "{}/a.log", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["events"][0]["matched"], false);
    let (_, err, exit) = run(&["rules", "explain", "1111", "--rules", "r"]);
    assert_eq!(
        (err.as_str(), exit),
        ("there is no rule 1111; did you mean one of: 11111111-aaaa (Bad word)\n", Exit::Data)
    );
}

#[test]
fn rules_are_checked_as_compilers_do() {
    let (out, err, exit) = run(&["rules", "check", "broken"]);
    assert_eq!(exit, Exit::Data);
    insta::assert_snapshot!("check", format!("{out}------\n{err}"));
    assert_eq!(run(&["rules", "check", "warned"]).2, Exit::Done);
    assert_eq!(run(&["rules", "check", "warned", "--strict"]).2, Exit::Data);
    let (json, _, _) = run(&["rules", "check", "broken", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["errors"], &json["problems"][0]["line"]), (&1.into(), &12.into()));
}

#[test]
fn rules_are_listed_and_filtered() {
    let (out, err, _) = run(&["rules", "list", "r"]);
    insta::assert_snapshot!("list", format!("{out}------\n{err}"));
    let shown = |argv: &[&str]| {
        let all: Vec<&str> = ["rules", "list", "r"].iter().chain(argv).copied().collect();
        !run(&all).0.is_empty()
    };
    assert!(shown(&[
        "--level",
        "high",
        "--tag",
        "attack.T1059",
        "--status",
        "stable",
        "--search",
        "WORD bad",
        "--logsource",
        "product=linux"
    ]));
    assert!(!shown(&["--level", "critical"]));
    assert!(!shown(&["--tag", "attack.t105"]));
    assert!(!shown(&["--status", "test"]));
    assert!(!shown(&["--search", "good"]));
    assert!(!shown(&["--logsource", "product=linux,service=auth"]));
    let (json, _, _) = run(&["rules", "list", "r", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["attack"][1]["id"], "TA0002");
}

#[test]
fn a_pack_is_written_unless_strict_says_no() {
    let folder = tempfile::tempdir().unwrap();
    let pack = folder.path().join("p.pack");
    let path = pack.to_string_lossy().into_owned();
    assert_eq!(run(&["rules", "import", "broken", "-o", &path, "--strict"]).2, Exit::Data);
    assert!(!pack.exists());
    let (_, err, exit) = run(&["rules", "import", "broken", "-o", &path]);
    assert_eq!(exit, Exit::Done);
    assert!(err.contains("error: modifier |contians is unknown"));
    assert!(pack.exists());
}
