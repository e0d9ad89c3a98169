//! `khien detect`: from arguments to the exit code.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use khien_detect::rule::Level;

use crate::args::{Detect, Output};
use crate::clock;
use crate::engine::{Engine, ExplainJob, Job, LoadRequest, Loaded, Meter, Stats};
use crate::exit::Exit;
use crate::glob::{self, Inputs};
use crate::output::{Counts, Renders, Report, Shared, groups::Groups, table};
use crate::rules;
use crate::stop::Stop;
use crate::terminal::Console;
use crate::text::Text;

pub mod progress;
pub mod run;
pub mod summary;

use summary::Summary;

/// Events that are explained when no position is given.
const EXPLAINED: usize = 10;

/// Runs the command.
///
/// # Errors
/// What made going on impossible; a file or rule that cannot be used does not.
pub fn command<E: Engine>(engine: &E, detect: &Detect, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let inputs = glob::expand(&detect.input, console.text);
    for problem in &inputs.problems {
        console.warn(problem);
    }
    if inputs.list.is_empty() {
        anyhow::bail!(console.text.no_input());
    }
    let loaded = load(engine, detect, console)?;
    if let Some(rule) = &detect.explain {
        return explain(engine, detect, rule, &loaded, inputs, console);
    }
    if loaded.usable == 0 && detect.indicators.is_empty() {
        anyhow::bail!(console.text.no_rules());
    }
    let (usable, unusable) = (loaded.usable, loaded.unusable());
    let found = find(engine, detect, loaded.rules, &inputs, console)?;
    let summary = Summary {
        stats: found.stats,
        rules_used: usable,
        rules_unusable: unusable,
        findings: found.counts,
        input_problems: inputs.problems,
        seconds: started.elapsed().as_secs_f64(),
        cpu: clock::cpu(),
    };
    conclude(detect, &summary, console)
}

fn load<E: Engine>(engine: &E, detect: &Detect, console: &Console<'_>) -> anyhow::Result<Loaded<E::Rules>> {
    let request = LoadRequest {
        paths: glob::expand_paths(&detect.rules, console.text).map_err(anyhow::Error::msg)?,
        placeholders: detect.placeholders.clone(),
        level: detect.explain.is_none().then(|| detect.level.into()),
    };
    engine.load(&request)
}

/// What a run gave.
struct Found {
    stats: Stats,
    counts: Counts,
}

fn find<E: Engine>(
    engine: &E,
    detect: &Detect,
    rules: E::Rules,
    inputs: &Inputs,
    console: &mut Console<'_>,
) -> anyhow::Result<Found> {
    let output = detect.output.unwrap_or(if console.out_is_terminal { Output::Table } else { Output::Ndjson });
    let shared = Shared { files: inputs.list.iter().map(glob::Input::name).collect() };
    let job = job(detect, inputs, console)?;
    let live = output == Output::Table && inputs.list.contains(&glob::Input::Standard);
    // Lines that come one by one would tear the bar apart.
    let visible = console.err_is_terminal && !detect.no_progress && !live;
    let bar = visible.then(|| progress::Progress::start(&inputs.list, job.meter.clone(), console.text));
    let renders = Renders { output, shared: shared.clone(), live: live.then_some((console.out_look, console.text)) };
    let mut report = Report::start(output, &mut *console.out)?;
    let result = engine.detect(rules, &job, &renders, &mut report);
    // The bar goes before anything else is said, also when the run failed.
    drop(bar);
    let stats = result?;
    let (counts, groups, _) = report.finish()?;
    if output == Output::Table {
        if live && counts.total() > 0 {
            writeln!(console.out)?;
        }
        show_table(&groups, &shared, console)?;
    }
    Ok(Found { stats, counts })
}

fn show_table(groups: &Groups, shared: &Shared, console: &mut Console<'_>) -> anyhow::Result<()> {
    let table = table::render(groups, shared, console.out_look, console.text);
    console.out.write_all(table.as_bytes())?;
    console.out.flush()?;
    Ok(())
}

fn job(detect: &Detect, inputs: &Inputs, console: &Console<'_>) -> anyhow::Result<Job> {
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Job {
        inputs: inputs.list.clone(),
        format: detect.format,
        threads: if detect.threads == 0 { all() } else { detect.threads },
        level: detect.level.into(),
        indicators: glob::expand_paths(&detect.indicators, console.text).map_err(anyhow::Error::msg)?,
        logsource: detect.logsource.clone(),
        malformed_reported: detect.max_malformed_reported,
        text: console.text,
        meter: Arc::new(Meter::default()),
        stop: Stop::of_process(),
    })
}

/// Shows and writes the summary and finds the exit code.
fn conclude(detect: &Detect, summary: &Summary, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    for failure in &summary.stats.files_failed {
        let what = console.text.cannot_read(&failure.file, &failure.reason);
        console.warn(&what);
    }
    for sample in &summary.stats.indicator_samples {
        let what = console.text.malformed_sample(
            &sample.file,
            &sample.position.to_string(),
            &console.text.message(&sample.reason),
        );
        console.warn(&what);
    }
    let shown = summary.render(console.err_look, console.text);
    if console.out_is_terminal && console.err_is_terminal && summary.findings.total() > 0 {
        // Both stand on one screen.
        console.tell("");
    }
    console.tell(shown.trim_end());
    if let Some(path) = &detect.summary_json {
        write_json(path, summary, console.text).with_context(|| console.text.cannot_write(&path.to_string_lossy()))?;
    }
    Ok(exit(detect.strict, detect.fail_on.map(Level::from), summary))
}

fn write_json(path: &Path, summary: &Summary, text: Text) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(&summary.to_json(text))?;
    json.push(b'\n');
    fs::write(path, json)?;
    Ok(())
}

/// The exit code: an early end first, then bad data before findings, because findings on part of the data may not be all.
fn exit(strict: bool, fail_on: Option<Level>, summary: &Summary) -> Exit {
    if summary.stats.stopped {
        Exit::Stopped
    } else if summary.stats.files_read == 0 || (strict && summary.is_incomplete()) {
        Exit::Data
    } else if fail_on.is_some_and(|level| summary.findings.at_least(level) > 0) {
        Exit::Findings
    } else {
        Exit::Done
    }
}

fn explain<E: Engine>(
    engine: &E,
    detect: &Detect,
    id: &str,
    loaded: &Loaded<E::Rules>,
    inputs: Inputs,
    console: &mut Console<'_>,
) -> anyhow::Result<Exit> {
    let rule = rules::explain::find(engine, &loaded.rules, id, console.text)?;
    let job = ExplainJob {
        rule: rule.id.clone(),
        inputs: inputs.list,
        format: detect.format,
        logsource: detect.logsource.clone(),
        position: detect.position,
        limit: EXPLAINED,
        lang: console.text.0,
    };
    let explanations = engine.explain(&loaded.rules, &job)?;
    let as_json = matches!(detect.output, Some(Output::Ndjson | Output::Ocsf));
    rules::explain::show(rule, &explanations, as_json, console)
}

#[cfg(test)]
mod tests;
