//! Findings as bytes.
//!
//! Workers render the findings of one block of input into a [`Block`]; the [`Report`] takes the blocks in the order of
//! the input, writes their bytes and adds up what the summary and the table need. So output never depends on the number
//! of threads, and rendering runs on all of them.

use std::io::{self, Write};
use std::sync::Arc;

use khien_detect::finding::Finding;
use khien_detect::rule::Level;
use khien_event::event::Event;
use khien_event::taxonomy::KindId;

use crate::args::Output;
use crate::engine::{NewRender, Sink};
use crate::terminal::Look;
use crate::text::Text;

pub mod csv;
pub mod groups;
pub mod heads;
pub mod json;
pub mod ndjson;
pub mod ocsf;
pub mod table;

/// All levels, least first.
pub const LEVELS: [Level; 5] = [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];

/// Where a finding's event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into the inputs.
    pub file: u32,
    /// Whether the raw record is a JSON value that was checked, and may be copied as it is.
    pub form: Form,
}

/// What a raw record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A valid JSON value in UTF-8.
    Json,
    /// A line of anything else.
    Text,
}

/// Renders findings. Each worker has its own.
pub trait Render: Send {
    /// Whether it wants [`Render::event`] before the findings on an event.
    fn wants_event(&self) -> bool {
        false
    }

    /// Takes all fields of the event that the next findings are about, and its kind.
    fn event(&mut self, _event: Event, _kind: KindId) {}

    /// Adds one finding to `block`. That of a correlation is about several events, and its record is empty.
    fn finding(&mut self, place: Place, finding: &Finding<'_>, block: &mut Block);
}

/// The findings of one block of input.
#[derive(Debug, Default)]
pub struct Block {
    /// What goes to standard output.
    pub bytes: Vec<u8>,
    /// How many there are, by level.
    pub counts: Counts,
    /// By rule, where the output needs it.
    pub groups: groups::Groups,
}

impl Block {
    /// Empties the block and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.counts = Counts::default();
        self.groups.clear();
    }
}

/// Number of findings by level, least level first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub [u64; 5]);

impl Counts {
    /// Counts one finding.
    pub fn add(&mut self, level: Level) {
        self.0[level as usize] += 1;
    }

    /// Adds other counts.
    pub fn merge(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// All findings.
    pub fn total(self) -> u64 {
        self.0.iter().sum()
    }

    /// Findings of at least `level`.
    pub fn at_least(self, level: Level) -> u64 {
        self.0.iter().skip(level as usize).sum()
    }

    /// Findings of `level`.
    pub fn of(self, level: Level) -> u64 {
        self.0[level as usize]
    }
}

/// What all renderers of one run share.
#[derive(Clone)]
pub struct Shared {
    /// Names of the inputs, by their index.
    pub files: Arc<[String]>,
}

impl Shared {
    /// Name of input `file`; `-` when there is none of this number.
    pub fn file(&self, file: u32) -> &str {
        self.files.get(file as usize).map_or("-", |name| name)
    }
}

/// Makes renderers for one kind of output.
pub struct Renders {
    /// The kind.
    pub output: Output,
    /// What they share.
    pub shared: Shared,
    /// For the table over live input: see [`table::Collect`].
    pub live: Option<(Look, Text)>,
}

impl NewRender for Renders {
    fn render(&self) -> Box<dyn Render> {
        match self.output {
            Output::Ndjson => Box::new(ndjson::Ndjson::new(&self.shared)),
            Output::Csv => Box::new(csv::Csv::new(&self.shared)),
            Output::Ocsf => Box::new(ocsf::Ocsf::new(&self.shared)),
            Output::Table => Box::new(table::Collect { live: self.live }),
        }
    }
}

/// Takes the blocks of a run.
pub struct Report<W: Write> {
    out: W,
    /// Findings by level.
    pub counts: Counts,
    /// Findings by rule, if the output collects them.
    pub groups: groups::Groups,
}

impl<W: Write> Report<W> {
    /// Starts a report with whatever stands before the first finding.
    ///
    /// # Errors
    /// When writing fails.
    pub fn start(output: Output, mut out: W) -> io::Result<Self> {
        if output == Output::Csv {
            out.write_all(csv::HEADER.as_bytes())?;
        }
        Ok(Self { out, counts: Counts::default(), groups: groups::Groups::default() })
    }

    /// Writes out what is still held, and gives the writer back.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> io::Result<(Counts, groups::Groups, W)> {
        self.out.flush()?;
        Ok((self.counts, self.groups, self.out))
    }
}

impl<W: Write + Send> Sink for Report<W> {
    fn block(&mut self, block: &mut Block) -> io::Result<()> {
        self.out.write_all(&block.bytes)?;
        self.counts.merge(block.counts);
        self.groups.merge(&mut block.groups);
        block.clear();
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
pub(crate) mod sample {
    //! Findings for tests.

    use khien_detect::finding::{Evidence, Head, Matched, Source};
    use khien_event::event::Value;

    use super::*;

    pub(crate) fn head(id: &str, level: Level, tags: &[&str]) -> Head {
        Head {
            id: id.to_owned(),
            title: format!("Title of {id}, \"quoted\""),
            level,
            tags: tags.iter().map(ToString::to_string).collect(),
            author: Some("Người Viết".to_owned()),
            source: Source::Rule,
        }
    }

    pub(crate) fn finding<'a>(
        head: &'a Head,
        raw: &'a [u8],
        matched: &'a [Matched<'a>],
        evidence: &'a [Evidence],
    ) -> Finding<'a> {
        Finding { head, time_ns: Some(1_700_000_000_120_000_000), position: 7, matched, raw, kind: KindId(0), evidence }
    }

    pub(crate) fn shared() -> Shared {
        Shared { files: ["logs/a.jsonl", "-", "logs/\u{1b}[31m,\"b\".log"].map(str::to_owned).into() }
    }

    /// Renders a JSON event, a hostile text line and a correlation.
    pub(crate) fn rendered(output: Output) -> Block {
        let renders = Renders { output, shared: shared(), live: None };
        let mut render = renders.render();
        let mut block = Block::default();

        let rule = head("r-1", Level::High, &["attack.execution", "attack.t1059.001", "cve.2024-1"]);
        let matched = [
            Matched { field: "Image", json: "\"C:\\\\a.exe\"" },
            Matched { field: "EventID", json: "1" },
            Matched { field: "Image", json: "\"C:\\\\a.exe\"" },
        ];
        let raw = b"{\"Image\":\n \"C:\\\\a.exe\", \"EventID\":1}";
        if render.wants_event() {
            let image = ("Image".to_owned(), Value::Text("C:\\a.exe".to_owned()));
            render.event(Event { fields: vec![image] }, KindId::default());
        }
        render.finding(Place { file: 0, form: Form::Json }, &finding(&rule, raw, &matched, &[]), &mut block);

        let keyword = Head { author: None, ..head("=cmd()", Level::Low, &[]) };
        let matched =
            [Matched { field: "keyword", json: "\"a\"" }, Matched { field: "keyword", json: "[\"b\",\"c\"]" }];
        let mut text = finding(&keyword, b"-1 \x1b[2J \xff \"x\", y\x00", &matched, &[]);
        text.time_ns = None;
        if render.wants_event() {
            render.event(Event::default(), KindId::default());
        }
        render.finding(Place { file: 2, form: Form::Text }, &text, &mut block);

        let correlation = Head { source: Source::Correlation, ..head("c-1", Level::Critical, &["attack.ta0006"]) };
        let evidence = [Evidence { rule: "r-1".into(), file: 1, position: 3, time_ns: Some(-1) }];
        let last = finding(&correlation, b"", &[], &evidence);
        render.finding(Place { file: 1, form: Form::Json }, &last, &mut block);
        block
    }

    #[test]
    fn a_report_adds_up() {
        let mut report = Report::start(Output::Csv, Vec::new()).unwrap();
        report.block(&mut rendered(Output::Csv)).unwrap();
        report.block(&mut rendered(Output::Csv)).unwrap();
        let (counts, _, out) = report.finish().unwrap();
        assert_eq!(counts.0, [0, 2, 0, 2, 2]);
        assert_eq!((counts.total(), counts.at_least(Level::High), counts.of(Level::Low)), (6, 4, 2));
        assert!(out.starts_with(csv::HEADER.as_bytes()));
    }
}
