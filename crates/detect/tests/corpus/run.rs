//! Rules of the corpora, and files run against them the way a user's files are.

use std::io::Read;
use std::sync::{Arc, OnceLock};

use khien_detect::engine::{Detector, Worker};
use khien_detect::rule::Rule;
use khien_detect::rule::load::{Loader, Placeholders, RuleSet};
use khien_event::decode::Decode;
use khien_event::evtx::{Batch, Chunks, Item, decode};
use khien_event::frame::{Block, Frames, Framing};
use khien_event::input::{self, Format};
use khien_event::json::{Emit, JsonDecoder};
use khien_event::taxonomy::Taxonomy;
use khien_event::text::{LineFormat, TextDecoder};
use khien_testkit::read_tar_zst;

/// The folders of rules that are in use.
const FOLDERS: [&str; 6] = [
    "rules/",
    "rules-compliance/",
    "rules-dfir/",
    "rules-emerging-threats/",
    "rules-placeholder/",
    "rules-threat-hunting/",
];

/// 2026-11-21T12:00:00Z, near which times without a year lie.
pub(crate) const NOW_NS: i64 = 1_795_262_400_000_000_000;

/// What the reader is told of differences; tests compare its tables with what happens.
pub(crate) const EXPLAINED: &str = include_str!("../../../../docs/detection-differences.md");

/// The cells of the rows of the table in `text` whose header begins so.
pub(crate) fn table(text: &str, header: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let lines = text.lines().skip_while(|line| !line.starts_with(header));
    lines.skip(2).take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// A finding: the id of the rule and the position of the event.
pub(crate) type Match = (String, u64);

/// The rule files in use, by name.
pub(crate) fn rule_files() -> Option<Vec<(String, String)>> {
    let files = read_tar_zst("sigmahq-rules-8eaafff.tar.zst")?.into_iter();
    let wanted = |name: &str| FOLDERS.iter().any(|folder| name.starts_with(folder)) && extension(name) == "yml";
    let mut files: Vec<_> = files.filter(|(name, _)| wanted(name)).collect();
    files.sort();
    Some(files.into_iter().map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap())).collect())
}

/// What follows the last dot of a name, in lower case.
pub(crate) fn extension(name: &str) -> String {
    name.rsplit('.').next().unwrap_or_default().to_lowercase()
}

/// All rules in use; read once.
pub(crate) fn rule_set() -> Option<&'static RuleSet> {
    static SET: OnceLock<Option<RuleSet>> = OnceLock::new();
    let load = || {
        let mut loader = Loader::new(Placeholders::default());
        for (name, text) in rule_files()? {
            loader.add_file(&name, &text);
        }
        Some(loader.finish())
    };
    SET.get_or_init(load).as_ref()
}

/// All rules for Windows.
pub(crate) fn windows_rules() -> Option<Vec<Rule>> {
    let windows = |rule: &&Rule| rule.logsource.product.as_deref() == Some("windows");
    Some(rule_set()?.rules.iter().filter(windows).cloned().collect())
}

/// Rules made ready.
pub(crate) fn detector(rules: Vec<Rule>) -> Arc<Detector> {
    Arc::new(Detector::new(rules, &[], Taxonomy::embedded()))
}

/// One thread's worker with its decoders.
pub(crate) struct Run {
    worker: Worker,
    json: JsonDecoder,
    text: TextDecoder,
    found: Vec<Match>,
    malformed: usize,
}

impl Run {
    pub(crate) fn new(detector: &Arc<Detector>) -> Self {
        Self {
            worker: Worker::new(detector.clone()),
            json: JsonDecoder::new(detector.names().clone(), Taxonomy::embedded(), Emit::Named),
            text: TextDecoder::new(LineFormat::Any, NOW_NS),
            found: Vec::new(),
            malformed: 0,
        }
    }

    /// The findings of everything since the last call; nothing may have been malformed.
    pub(crate) fn take(&mut self) -> Vec<Match> {
        assert_eq!(self.malformed, 0, "everything can be read");
        std::mem::take(&mut self.found)
    }

    /// Reads a file, recognising what it is.
    pub(crate) fn file(&mut self, name: &str, bytes: &[u8]) {
        let mut plain = Vec::new();
        input::open(bytes, u64::MAX).unwrap().read_to_end(&mut plain).unwrap();
        let head = &plain[..plain.len().min(input::SNIFF_BYTES)];
        match input::recognise(head, Some(name)) {
            Format::Evtx => self.event_log(&plain),
            Format::JsonDocument => self.stream(&plain, Framing::Documents),
            Format::OctetCounted => self.stream(&plain, Framing::OctetCounted),
            Format::JsonLines | Format::Lines(_) => self.stream(&plain, Framing::Lines),
        }
    }

    fn event_log(&mut self, bytes: &[u8]) {
        let mut chunks = Chunks::new(bytes);
        let mut batch = Batch::default();
        while chunks.next_batch(&mut batch).unwrap() {
            decode(&batch, |item| match item {
                Item::Record(id, json) => self.record(json, id),
                Item::Damage(_) => self.malformed += 1,
            });
        }
    }

    fn stream(&mut self, bytes: &[u8], framing: Framing) {
        let mut frames = Frames::new(bytes, framing);
        let mut block = Block::default();
        while frames.next_block(&mut block).unwrap() {
            self.text.headers(block.headers());
            for record in block.records() {
                self.record(record.bytes, record.position);
            }
        }
    }

    /// Reads one record: JSON, or a line of text.
    pub(crate) fn record(&mut self, record: &[u8], position: u64) {
        let Self { worker, json, text, found, malformed } = self;
        let decoder: &mut dyn Decode = match record.trim_ascii_start().first() {
            None => return,
            Some(b'{') => json,
            Some(_) => text,
        };
        let result = worker.record(decoder, record, position, &mut |_, finding, _| {
            found.push((finding.head.id.clone(), finding.position));
        });
        *malformed += usize::from(result.is_err());
    }
}

/// The lines of an archive of lines, each with its 1-based number.
pub(crate) fn lines(archive: &str) -> Option<Vec<(u64, Vec<u8>)>> {
    let bytes = khien_testkit::read_zst(archive)?;
    let lines = bytes.split(|&b| b == b'\n').map(<[u8]>::to_vec);
    Some((1..).zip(lines).filter(|(_, line)| !line.is_empty()).collect())
}

/// Every `step`th line: the same on every run.
pub(crate) fn sample(archive: &str, step: usize) -> Option<Vec<(u64, Vec<u8>)>> {
    Some(lines(archive)?.into_iter().step_by(step).collect())
}
