//! What the command line needs from the engine, and nothing more.
//!
//! `detect/run.rs` implements [`Engine`] over `khien-detect` and `khien-event`; tests implement it with fixed answers.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use khien_base::message::Message;
use khien_detect::correlate::Correlation;
use khien_detect::rule::{Level, Rule};
use khien_event::taxonomy::LogSource;
use serde::Serialize;

use crate::args::Format;
use crate::glob::Input;
use crate::output::{Block, Render};
use crate::stop::Stop;
use crate::text::Text;

/// The engine behind the commands.
pub trait Engine {
    /// Rules, correlations and whatever was compiled from them.
    type Rules;

    /// Loads rules from files, folders, zip archives and packs. Rules that cannot be used are reported, not fatal.
    ///
    /// # Errors
    /// Only when a path itself cannot be read.
    fn load(&self, request: &LoadRequest) -> anyhow::Result<Loaded<Self::Rules>>;

    /// Everything the loaded rules are, in the order of their files.
    fn list(&self, rules: &Self::Rules) -> Vec<RuleRow>;

    /// The rule with this id or name, for explanations.
    fn rule<'a>(&self, rules: &'a Self::Rules, id: &str) -> Option<&'a Rule>;

    /// The correlation with this id or name.
    fn correlation<'a>(&self, rules: &'a Self::Rules, id: &str) -> Option<&'a Correlation>;

    /// Writes the rules as a compiled pack.
    ///
    /// # Errors
    /// When the file cannot be written.
    fn save_pack(&self, rules: &Self::Rules, path: &Path) -> anyhow::Result<()>;

    /// Runs the rules over all inputs. Blocks reach `sink` in the order of the input, whatever the number of threads.
    ///
    /// # Errors
    /// When `sink` fails, or indicators cannot be loaded. A file that cannot be read is in the [`Stats`] instead.
    fn detect(
        &self,
        rules: Self::Rules,
        job: &Job,
        output: &dyn NewRender,
        sink: &mut dyn Sink,
    ) -> anyhow::Result<Stats>;

    /// Says for events of the inputs why the rule matched or did not: for the event at `position`, or for the first
    /// `limit` events.
    ///
    /// # Errors
    /// When nothing can be read.
    fn explain(&self, rules: &Self::Rules, job: &ExplainJob) -> anyhow::Result<Vec<Explanation>>;
}

/// What to load.
#[derive(Clone, Debug, Default)]
pub struct LoadRequest {
    /// Rule files, folders, zip archives, packs.
    pub paths: Vec<PathBuf>,
    /// Values for `|expand` placeholders.
    pub placeholders: Option<PathBuf>,
    /// Least level that is wanted; rules below it need not be compiled unless a correlation needs them.
    pub level: Option<Level>,
}

/// What came of loading.
#[derive(Debug)]
pub struct Loaded<R> {
    /// The rules.
    pub rules: R,
    /// How many rules and correlations can be used.
    pub usable: u64,
    /// What is wrong with the others, and warnings, in the order of their files.
    pub problems: Vec<Problem>,
}

impl<R> Loaded<R> {
    /// How many rules cannot be used.
    pub fn unusable(&self) -> u64 {
        self.problems.iter().filter(|p| p.severity == Severity::Error).count() as u64
    }
}

/// How bad a problem of a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The rule works, but somebody should look.
    Warning,
    /// The rule cannot be used.
    Error,
}

/// Something wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File as the user named it.
    pub file: String,
    /// 1-based line, 0 when it concerns the whole file.
    pub line: u32,
    /// Id of the rule, when it has one.
    pub rule: Option<String>,
    /// How bad.
    pub severity: Severity,
    /// Title of the rule, when it has one.
    pub title: Option<String>,
    /// What is wrong.
    pub reason: Message,
    /// What to do about it.
    pub hint: Option<Message>,
}

/// A rule as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleRow {
    /// Id.
    pub id: String,
    /// Title.
    pub title: String,
    /// Severity.
    pub level: Level,
    /// `status`
    pub status: Option<String>,
    /// `rule` or `correlation`
    pub kind: &'static str,
    /// `logsource`
    pub logsource: LogSource,
    /// Tags as written.
    pub tags: Vec<String>,
    /// Author.
    pub author: Option<String>,
    /// File as the user named it.
    pub file: String,
    /// 1-based line.
    pub line: u32,
}

impl From<&Rule> for RuleRow {
    fn from(rule: &Rule) -> Self {
        Self {
            id: rule.id.clone(),
            title: rule.title.clone(),
            level: rule.level,
            status: rule.status.clone(),
            kind: "rule",
            logsource: rule.logsource.clone(),
            tags: rule.tags.clone(),
            author: rule.author.clone(),
            file: rule.origin.file.clone(),
            line: rule.origin.line,
        }
    }
}

/// What to run over which files.
#[derive(Clone, Debug)]
pub struct Job {
    /// What to read, in this order. The index of an input is the `file` of a [`crate::output::Place`].
    pub inputs: Vec<Input>,
    /// The format of all inputs; `Auto` recognises each.
    pub format: Format,
    /// Number of worker threads, at least 1.
    pub threads: usize,
    /// Findings below this level are not wanted.
    pub level: Level,
    /// Files of indicators.
    pub indicators: Vec<PathBuf>,
    /// The log source of all events, instead of what the taxonomy says.
    pub logsource: Option<LogSource>,
    /// How many malformed records to describe.
    pub malformed_reported: usize,
    /// The language of errors.
    pub text: Text,
    /// Where to count while reading.
    pub meter: std::sync::Arc<Meter>,
    /// Whether to stop before the end.
    pub stop: Stop,
}

/// Counters that a progress bar reads while the engine works. They may lag; [`Stats`] is what counts.
#[derive(Debug, Default)]
pub struct Meter {
    /// Bytes of the inputs that were read, before decompression.
    bytes: AtomicU64,
    /// Events.
    events: AtomicU64,
    /// Findings.
    findings: AtomicU64,
}

impl Meter {
    /// Adds what was done since the last call. Meant for once per block, not per event.
    pub fn add(&self, bytes: u64, events: u64, findings: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.events.fetch_add(events, Ordering::Relaxed);
        self.findings.fetch_add(findings, Ordering::Relaxed);
    }

    /// Bytes, events and findings so far.
    pub fn read(&self) -> (u64, u64, u64) {
        (self.bytes.load(Ordering::Relaxed), self.events.load(Ordering::Relaxed), self.findings.load(Ordering::Relaxed))
    }
}

/// Makes one renderer for each worker.
pub trait NewRender: Sync {
    /// A renderer with empty caches.
    fn render(&self) -> Box<dyn Render>;
}

/// Takes rendered blocks in the order of the input, from one worker at a time.
pub trait Sink: Send {
    /// Takes one block and leaves it empty, so that its memory can be used again.
    ///
    /// # Errors
    /// When writing fails; a broken pipe is among the reasons and ends the run.
    fn block(&mut self, block: &mut Block) -> std::io::Result<()>;

    /// Shows what was taken to whoever waits for it.
    ///
    /// # Errors
    /// As [`Sink::block`].
    fn flush(&mut self) -> std::io::Result<()>;
}

/// What was read and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Files read to their end or as far as possible.
    pub files_read: u64,
    /// Files of which nothing could be read.
    pub files_failed: Vec<FileFailure>,
    /// Bytes read, before decompression.
    pub bytes: u64,
    /// Events that rules were run on.
    pub events: u64,
    /// Records that could not be decoded.
    pub malformed: u64,
    /// The first of them.
    pub malformed_samples: Vec<MalformedSample>,
    /// Records of a format that was not recognised; nothing was looked for in them but keywords.
    pub unrecognised: u64,
    /// Indicators that were loaded.
    pub indicators: u64,
    /// Entries of indicator lists that cannot be used.
    pub indicators_unusable: u64,
    /// The first of them: file, line, reason.
    pub indicator_samples: Vec<MalformedSample>,
    /// State of correlations, if there are any.
    pub correlation: Option<CorrelationStats>,
    /// Somebody stopped the run before everything was read.
    pub stopped: bool,
    /// What the process had used when rules and indicators were ready; `None` where nobody can say.
    pub loading_cpu: Option<std::time::Duration>,
}

/// A file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileFailure {
    /// Its name.
    pub file: String,
    /// Why.
    pub reason: String,
}

/// A record that could not be decoded, or an entry that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedSample {
    /// File.
    pub file: String,
    /// 1-based line or record number.
    pub position: u64,
    /// Why.
    pub reason: Message,
}

/// What correlations kept in mind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CorrelationStats {
    /// Group states alive at the end.
    pub active: u64,
    /// States dropped because of the memory limit: correlations may have missed something.
    pub evicted: u64,
    /// Events that came later than their window is kept open.
    pub late: u64,
}

/// What to explain.
#[derive(Clone, Debug)]
pub struct ExplainJob {
    /// Id of the rule.
    pub rule: String,
    /// What to read.
    pub inputs: Vec<Input>,
    /// Its format.
    pub format: Format,
    /// The log source of all events, instead of what the taxonomy says.
    pub logsource: Option<LogSource>,
    /// Only the event at this position.
    pub position: Option<u64>,
    /// At most so many events.
    pub limit: usize,
    /// The language of the explanation.
    pub lang: khien_base::lang::Lang,
}

/// Why a rule matched an event or did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// File.
    pub file: String,
    /// Position in it.
    pub position: u64,
    /// Whether the rule is written for this kind of event at all.
    pub applies: bool,
    /// Whether the rule matched.
    pub matched: bool,
    /// What became of each part of the condition, in words: one line each, two spaces for each level, `✓ ` or `✗ ` first
    /// where the part holds or does not.
    #[serde(skip)]
    pub lines: String,
    /// The same for programs.
    pub condition: serde_json::Value,
}
