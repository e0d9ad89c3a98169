//! `khien rules check`: what is wrong with rules, as compilers say it.

use serde_json::{Value, json};

use crate::args::{Check, TextOrJson};
use crate::engine::{Engine, Problem, Severity};
use crate::exit::Exit;
use crate::safe;
use crate::terminal::{Console, Look};
use crate::text::{Text, append};

/// Runs the command. The problems are its result and go to standard output.
///
/// # Errors
/// When a path cannot be read.
pub fn command<E: Engine>(engine: &E, check: &Check, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    let loaded = super::load(engine, &check.path, check.placeholders.as_ref(), console)?;
    let errors = loaded.unusable();
    let warnings = loaded.problems.len() as u64 - errors;
    let result = match check.output {
        TextOrJson::Text => lines(&loaded.problems, console.out_look, console.text),
        TextOrJson::Json => {
            let document = json!({
                "usable": loaded.usable,
                "errors": errors,
                "warnings": warnings,
                "problems": loaded.problems.iter().map(|p| for_programs(p, console.text)).collect::<Vec<_>>(),
            });
            format!("{}\n", serde_json::to_string_pretty(&document)?)
        }
    };
    console.out.write_all(result.as_bytes())?;
    let text = console.text;
    let counts = [loaded.usable + errors, errors, warnings].map(|n| text.count(n));
    console.tell(&text.check_summary(&counts[0], &counts[1], &counts[2]));
    let failed = errors > 0 || (check.strict && warnings > 0) || loaded.usable + errors == 0;
    Ok(if failed { Exit::Data } else { Exit::Done })
}

/// A problem with its code and, in the language of the command, its sentences.
fn for_programs(problem: &Problem, text: Text) -> Value {
    json!({
        "file": problem.file,
        "line": problem.line,
        "severity": problem.severity,
        "rule": problem.rule,
        "title": problem.title,
        "place": problem.reason.place(),
        "code": problem.reason.code(),
        "reason": text.message(&problem.reason),
        "hint": problem.hint.as_ref().map(|hint| text.message(hint)),
    })
}

/// Tells of problems on standard error.
pub fn tell(problems: &[Problem], console: &mut Console<'_>) {
    let lines = lines(problems, console.err_look, console.text);
    if !lines.is_empty() {
        console.tell(lines.trim_end());
    }
}

/// One `file:line: reason` for each problem, with what to do below it.
fn lines(problems: &[Problem], look: Look, text: Text) -> String {
    let mut out = String::new();
    for problem in problems {
        let place = match problem.line {
            0 => problem.file.clone(),
            line => format!("{}:{line}", problem.file),
        };
        let kind = match problem.severity {
            Severity::Error => look.bad(text.error()),
            Severity::Warning => text.warning().to_owned(),
        };
        append(
            &mut out,
            format_args!("{}: {kind} {}\n", safe::line(&place), safe::line(&text.message(&problem.reason))),
        );
        if let Some(hint) = &problem.hint {
            append(&mut out, format_args!("    {} {}\n", text.hint(), safe::line(&text.message(hint))));
        }
    }
    out
}
