//! The commands as sequences of steps, each a child process or a check of our own.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::tidy;

/// Format, lints, tidy and tests: what to run before a commit.
pub(crate) fn check(root: &Path) -> Result<()> {
    lint(root)?;
    run_tests(root, &[])
}

/// Everything CI runs. The tests come last, so that the last lines are the test runner's own summary.
pub(crate) fn test(root: &Path, arguments: &[String]) -> Result<()> {
    lint(root)?;
    step("documentation tests");
    cargo(root, &["test", "--quiet", "--workspace", "--doc"])?;
    step("fuzz smoke");
    cargo(root, &["run", "--quiet", "--package", "khien-fuzz", "--bin", "smoke"])?;
    run_tests(root, arguments)
}

/// The structure checks alone.
pub(crate) fn tidy(root: &Path) -> Result<()> {
    step("tidy");
    let report = tidy::check(root)?;
    for note in &report.notes {
        eprintln!("note: {note}");
    }
    for problem in &report.problems {
        eprintln!("error: {problem}");
    }
    match report.problems.len() {
        0 => Ok(()),
        count => bail!("tidy found {count} problems; the rules are in CONTRIBUTING.md"),
    }
}

/// Builds the program, runs the rules over the events the repository ships, and shows the whole platform at work on them.
pub(crate) fn demo(root: &Path, arguments: &[String]) -> Result<()> {
    // Not a release build: that takes several times as long, and here nobody waits for the program.
    step("building khien; the first time takes about ten minutes on two cores");
    cargo(root, &["build", "--package", "khien"])?;
    step("khien detect --rules content/rules content/events");
    khien(root, &["detect", "--rules", "content/rules"], arguments, &["content/events"])?;
    step("khien demo --rules content/rules --events content/events");
    khien(root, &["demo", "--rules", "content/rules", "--events", "content/events"], &[], &[])?;
    eprintln!("\n{NEXT}");
    Ok(())
}

/// Runs the program that [`demo`] has built.
fn khien(root: &Path, before: &[&str], arguments: &[String], behind: &[&str]) -> Result<()> {
    let mut command = cargo_command(root);
    command.args(["run", "--quiet", "--package", "khien", "--"]);
    command.args(before).args(arguments).args(behind);
    finish(command)
}

const NEXT: &str = "\
What to try next, from this folder:

  alias khien='cargo run --quiet --package khien --'       # for real work: cargo build --release --package khien
  khien detect --rules content/rules content/events --output ndjson
  khien rules list content/rules
  khien admin soc add --name my-soc --kind ministry        # prints a token
  khien serve --rules content/rules                        # docs/operations.md
  khien simulate --to http://127.0.0.1:8514 --socs 20 --data khien-data content/events
  khien query \"SELECT organisation, count(*) FROM events GROUP BY 1\"

Your own logs and rules go in the same places; content/README.md tells the story these events hold.";

/// Runs the benchmarks. Their driver is a script, because it starts and compares programs and is no part of any.
pub(crate) fn bench(root: &Path, arguments: &[String]) -> Result<()> {
    let mut command = Command::new(root.join("bench/run.sh"));
    command.args(arguments).current_dir(root);
    let status = command.status().context("could not start bench/run.sh; it needs bash and python3")?;
    if !status.success() {
        bail!("bench/run.sh failed ({status})");
    }
    Ok(())
}

fn lint(root: &Path) -> Result<()> {
    step("format");
    cargo(root, &["fmt", "--all", "--check"]).context("the format differs; `cargo fmt --all` repairs it")?;
    step("lints");
    cargo(root, &["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
    tidy(root)
}

/// All tests but those in documentation, with `cargo nextest` where it is installed.
fn run_tests(root: &Path, arguments: &[String]) -> Result<()> {
    if std::env::var_os("KHIEN_CORPUS").is_none() {
        eprintln!("note: KHIEN_CORPUS is not set, tests over the large corpora will say that they were skipped");
    }
    let mut command = cargo_command(root);
    if has_nextest(root) {
        step("tests (cargo nextest)");
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        step("tests (cargo test; cargo-nextest is not installed)");
        command.args(["test", "--workspace", "--lib", "--bins", "--tests"]);
        command.arg("--no-fail-fast");
    }
    command.args(arguments);
    finish(command)
}

fn has_nextest(root: &Path) -> bool {
    cargo_command(root)
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn step(name: &str) {
    eprintln!("==> {name}");
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = cargo_command(root);
    command.args(arguments);
    finish(command)
}

/// The cargo that runs us, in the workspace's folder.
fn cargo_command(root: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(root);
    command
}

fn finish(mut command: Command) -> Result<()> {
    let words: Vec<String> = std::iter::once(OsString::from("cargo"))
        .chain(command.get_args().map(OsString::from))
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let words = words.join(" ");
    let status = command.status().with_context(|| format!("could not start '{words}'; is Rust installed?"))?;
    if !status.success() {
        bail!("'{words}' failed ({status})");
    }
    Ok(())
}
