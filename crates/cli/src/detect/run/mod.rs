//! The engine behind the commands: where `khien-event` and `khien-detect` meet the command line.
//!
//! Workers take turns in reading; what one has read it decodes and matches itself. Results are handed over in the order of
//! the input, by whoever has finished the one whose turn it is, so that findings never depend on the number of threads. A
//! fixed number of tasks is under way at once.

mod explain;
mod live;
mod load;
mod pipeline;
mod read;
mod work;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use khien_detect::correlate::{Correlation, Correlator, Limits};
use khien_detect::engine::Detector;
use khien_detect::indicators::IndicatorSet;
use khien_detect::pack;
use khien_detect::rule::Rule;
use khien_detect::rule::load::RuleSet;
use khien_event::input;
use khien_event::taxonomy::{LogSource, Taxonomy};

use crate::clock;
use crate::engine::{
    Engine, ExplainJob, Explanation, Job, LoadRequest, Loaded, MalformedSample, NewRender, RuleRow, Sink, Stats,
};
use crate::text::Text;

/// The engine that is linked into this binary.
#[derive(Clone, Copy, Debug)]
pub struct Linked;

impl Engine for Linked {
    type Rules = RuleSet;

    fn load(&self, request: &LoadRequest) -> anyhow::Result<Loaded<RuleSet>> {
        load::rules(request)
    }

    fn list(&self, rules: &RuleSet) -> Vec<RuleRow> {
        rules.rules.iter().map(RuleRow::from).chain(rules.correlations.iter().map(correlation_row)).collect()
    }

    fn rule<'a>(&self, rules: &'a RuleSet, id: &str) -> Option<&'a Rule> {
        rules.rules.iter().find(|rule| rule.id == id || rule.name.as_deref() == Some(id))
    }

    fn correlation<'a>(&self, rules: &'a RuleSet, id: &str) -> Option<&'a Correlation> {
        rules.correlations.iter().find(|rule| rule.id == id || rule.name.as_deref() == Some(id))
    }

    fn save_pack(&self, rules: &RuleSet, path: &Path) -> anyhow::Result<()> {
        let name = || path.display().to_string();
        let mut file = BufWriter::new(File::create(path).with_context(name)?);
        pack::write(rules, &mut file).with_context(name)?;
        file.flush().with_context(name)
    }

    fn detect(&self, rules: RuleSet, job: &Job, output: &dyn NewRender, sink: &mut dyn Sink) -> anyhow::Result<Stats> {
        let (indicators, unusable) = indicators(&job.indicators, job.malformed_reported, job.text)?;
        let (detector, correlator) = compile(rules, job);
        let loading_cpu = clock::cpu();
        let shared = work::Shared {
            detector,
            correlator: correlator.map(Arc::new),
            level: job.level,
            samples: job.malformed_reported,
            indicators: indicators.map(Arc::new),
        };
        let stats = pipeline::run(shared, job, output, sink)?;
        Ok(Stats { indicators_unusable: unusable.count, indicator_samples: unusable.samples, loading_cpu, ..stats })
    }

    fn explain(&self, rules: &RuleSet, job: &ExplainJob) -> anyhow::Result<Vec<Explanation>> {
        explain::events(rules, job)
    }
}

/// Rules and correlations made ready.
fn compile(rules: RuleSet, job: &Job) -> (Arc<Detector>, Option<Correlator>) {
    let fields: Vec<String> = rules.correlations.iter().flat_map(Correlation::event_fields).collect();
    let detector = Detector::with_log_source(rules.rules, &fields, job.logsource.clone(), Taxonomy::embedded());
    let correlator = (!rules.correlations.is_empty())
        .then(|| Correlator::new(rules.correlations, detector.rules(), Limits::default()).0);
    (Arc::new(detector), correlator)
}

/// Entries of indicator lists that cannot be used.
#[derive(Default)]
pub(crate) struct Unusable {
    pub(crate) count: u64,
    /// The first of them.
    samples: Vec<MalformedSample>,
}

/// The indicators of all lists; entries that cannot be used do not stop the rest.
pub(crate) fn indicators(
    paths: &[PathBuf],
    samples: usize,
    text: Text,
) -> anyhow::Result<(Option<IndicatorSet>, Unusable)> {
    let mut set = IndicatorSet::new();
    let mut unusable = Unusable::default();
    for path in paths {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| name.clone())?;
        let reader = input::open(file, 1 << 40).with_context(|| name.clone())?;
        let report = set.load(&name, reader).with_context(|| name.clone())?;
        if report.added == 0 && report.duplicates == 0 {
            anyhow::bail!(match report.problems.first() {
                Some(p) => text.malformed_sample(&name, &p.line.to_string(), &text.message(&p.reason)),
                None => text.cannot_read(&name, text.indicators_empty()),
            });
        }
        unusable.count += report.unusable;
        let room = samples.saturating_sub(unusable.samples.len());
        unusable.samples.extend(report.problems.into_iter().take(room).map(|problem| MalformedSample {
            file: name.clone(),
            position: u64::from(problem.line),
            reason: problem.reason,
        }));
    }
    Ok(((!paths.is_empty()).then_some(set), unusable))
}

fn correlation_row(correlation: &Correlation) -> RuleRow {
    RuleRow {
        id: correlation.id.clone(),
        title: correlation.title.clone(),
        level: correlation.level,
        status: correlation.status.clone(),
        kind: "correlation",
        logsource: LogSource::default(),
        tags: correlation.tags.clone(),
        author: correlation.author.clone(),
        file: correlation.origin.file.clone(),
        line: correlation.origin.line,
    }
}
