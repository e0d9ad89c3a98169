//! Why a rule matched an event or did not.

use std::io;

use khien_detect::explain;
use khien_detect::rule::Rule;
use khien_detect::rule::load::RuleSet;
use khien_detect::scope::is_tried;
use khien_event::decode::Decoded;
use khien_event::evtx::{self, Item};
use khien_event::taxonomy::Taxonomy;
use khien_event::text::{LineFormat, TextDecoder};

use super::read::{Chunk, Reading, Spare, Task};
use crate::engine::{ExplainJob, Explanation};
use crate::glob::Input;
use crate::stop::Stop;
use khien_event::whole::Whole;

/// Explains the events that `job` asks for.
pub(super) fn events(rules: &RuleSet, job: &ExplainJob) -> anyhow::Result<Vec<Explanation>> {
    let rule = rules.rules.iter().find(|rule| rule.id == job.rule);
    let Some(rule) = rule else { anyhow::bail!("no rule has the id {}", job.rule) };
    let mut explainer = Explainer::new(rule, job);
    let mut failure = None;
    for (index, input) in job.inputs.iter().enumerate() {
        if explainer.is_full() {
            break;
        }
        failure = failure.or(explainer.input(index as u32, input).err());
    }
    match failure {
        Some(error) if explainer.found.is_empty() => Err(error.into()),
        _ => Ok(explainer.found),
    }
}

struct Explainer<'a> {
    rule: &'a Rule,
    job: &'a ExplainJob,
    taxonomy: &'static Taxonomy,
    again: Whole,
    found: Vec<Explanation>,
}

impl<'a> Explainer<'a> {
    fn new(rule: &'a Rule, job: &'a ExplainJob) -> Self {
        Self { rule, job, taxonomy: Taxonomy::embedded(), again: Whole::new(), found: Vec::new() }
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.job.limit
    }

    /// Explains the events of an input, until there are enough.
    fn input(&mut self, index: u32, input: &Input) -> io::Result<()> {
        let mut reading = Reading::open(index, input, self.job.format, &Stop::default())?;
        let mut spare = Spare::default();
        while !self.is_full()
            && let Some(task) = reading.next(&mut spare)?
        {
            self.task(&input.name(), &task);
            spare.keep(task.chunk);
        }
        Ok(())
    }

    fn task(&mut self, file: &str, task: &Task) {
        match &task.chunk {
            Chunk::Records(block) => {
                let mut text = TextDecoder::new(task.lines, task.reference_ns);
                text.headers(block.headers());
                for record in block.records() {
                    let is_json = task.lines == LineFormat::Any && record.bytes.trim_ascii_start().starts_with(b"{");
                    self.record(file, record.position, record.bytes, (!is_json).then_some(&mut text));
                }
            }
            Chunk::Evtx(batch) => evtx::decode(batch, |item| {
                if let Item::Record(id, json) = item {
                    self.record(file, id, json, None);
                }
            }),
        }
    }

    fn record(&mut self, file: &str, position: u64, record: &[u8], text: Option<&mut TextDecoder>) {
        if self.is_full() || record.trim_ascii().is_empty() {
            return;
        }
        let decoded = self.again.decode(text, record);
        // Every record is decoded, since tables are remembered; only the wanted one is explained.
        if decoded == Ok(Decoded::Event) && self.job.position.is_none_or(|wanted| wanted == position) {
            self.event(file, position, record);
        }
    }

    fn event(&mut self, file: &str, position: u64, record: &[u8]) {
        let (event, kind) = self.again.event(record);
        let applies = match &self.job.logsource {
            Some(said) => said.satisfies(&self.rule.logsource),
            None => is_tried(self.rule, kind, self.taxonomy),
        };
        let sources =
            |field: &str| self.taxonomy.sources(kind, field).into_iter().map(std::borrow::Cow::into_owned).collect();
        let explanation = explain::explain(self.rule, &event, &sources);
        self.found.push(Explanation {
            file: file.to_owned(),
            position,
            applies,
            matched: applies && explanation.matched,
            lines: body(&explanation.render(self.job.lang)),
            condition: serde_json::to_value(&explanation.condition).unwrap_or_default(),
        });
    }
}

/// The lines below the heading, moved to the left.
fn body(text: &str) -> String {
    let lines = text.lines().skip(1).map(|line| line.strip_prefix("  ").unwrap_or(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}
