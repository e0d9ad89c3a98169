//! Reading lists: plain and CSV line by line; STIX is next door.

use std::io::{BufRead, BufReader, Read};

use khien_base::message::Message;

use super::key::{self, Kind, recognise, shown};
use super::set::{IndicatorSet, Note, Refusal};
use super::stix;
use crate::reasons;

/// Longest line of a list, in bytes.
const MAX_LINE: usize = 65_536;
/// How many problems are kept in words.
const MAX_PROBLEMS: usize = 100;
/// How much of a list its format is guessed from.
const SAMPLE: usize = 65_536;

/// Something in a list that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// 1-based line.
    pub line: u32,
    /// Why.
    pub reason: Message,
}

/// What came of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Indicators added.
    pub added: u64,
    /// Indicators that were in the set already.
    pub duplicates: u64,
    /// Entries that cannot be used.
    pub unusable: u64,
    /// The first of these in words.
    pub problems: Vec<Problem>,
}

/// Adds to a set and keeps the report.
pub(super) struct Loader<'a> {
    pub(super) set: &'a mut IndicatorSet,
    pub(super) list: u16,
    pub(super) report: Report,
}

impl Loader<'_> {
    pub(super) fn problem(&mut self, line: u32, reason: Message) {
        self.report.unusable += 1;
        if self.report.problems.len() < MAX_PROBLEMS {
            self.report.problems.push(Problem { line, reason });
        }
    }

    pub(super) fn add(&mut self, line: u32, text: &str, kind: Option<Kind>, note: Option<Note>) {
        let key = match recognise(text, kind) {
            Ok(key) => key,
            Err(reason) => return self.problem(line, reason),
        };
        match self.set.add(&key, self.list, line, note) {
            Ok(()) => self.report.added += 1,
            Err(Refusal::Duplicate) => self.report.duplicates += 1,
            Err(Refusal::Full) => self.problem(line, reasons::indicators_full()),
        }
    }
}

impl IndicatorSet {
    /// Adds the list that `reader` yields: plain, CSV or STIX 2.1, whichever it is. What cannot be used is reported and
    /// does not stop the rest; the error is one of reading.
    pub fn load(&mut self, name: &str, reader: impl Read) -> std::io::Result<Report> {
        let mut start = Vec::with_capacity(SAMPLE);
        let mut reader = reader;
        reader.by_ref().take(SAMPLE as u64).read_to_end(&mut start)?;
        let bom = start.starts_with(b"\xef\xbb\xbf");
        let start = start.split_off(if bom { 3 } else { 0 });
        let format = Format::guess(&start);
        let mut reader = BufReader::with_capacity(1 << 16, std::io::Cursor::new(start).chain(reader));
        let Some(list) = self.begin_list(name) else {
            return Err(std::io::Error::other("there are too many lists"));
        };
        let mut loader = Loader { set: self, list, report: Report::default() };
        let result = match format {
            Format::Stix => stix::read(&mut loader, reader),
            Format::Plain => lines(&mut reader, &mut loader, plain),
            Format::Csv(columns) => lines(&mut reader, &mut loader, |loader, line, text| {
                columns.row(loader, line, text);
            }),
        };
        let report = loader.report;
        self.finish_list();
        result.map(|()| report)
    }
}

/// How a list is written.
enum Format {
    Plain,
    Csv(Columns),
    Stix,
}

impl Format {
    fn guess(start: &[u8]) -> Self {
        let mut visible = start.iter().filter(|b| !b.is_ascii_whitespace());
        match (visible.next(), visible.next()) {
            (Some(b'{'), _) | (Some(b'['), Some(b'{' | b'[' | b']')) => return Self::Stix,
            _ => {}
        }
        let text = String::from_utf8_lossy(start);
        let mut data = text.lines().filter(|l| !is_comment(l));
        // Some lists have their header in a comment.
        let header = data.next().unwrap_or("");
        match Columns::from_header(header) {
            Some(columns) => Self::Csv(columns),
            None => Self::Plain,
        }
    }
}

fn is_comment(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with(['#', ';']) || line.starts_with("//") || line.starts_with('!')
}

/// Calls `each` with every line that says something.
fn lines(
    reader: &mut impl BufRead,
    loader: &mut Loader,
    mut each: impl FnMut(&mut Loader, u32, &str),
) -> std::io::Result<()> {
    let mut line = Vec::new();
    let mut number: u32 = 0;
    loop {
        line.clear();
        let read = reader.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        number = number.saturating_add(1);
        if read > MAX_LINE && line.last() != Some(&b'\n') {
            loader.problem(number, reasons::line_too_long(MAX_LINE));
            reader.skip_until(b'\n')?;
            continue;
        }
        match std::str::from_utf8(&line) {
            Ok(text) if is_comment(text) => {}
            Ok(text) => each(loader, number, text.trim()),
            Err(_) => loader.problem(number, reasons::line_not_utf8()),
        }
    }
}

/// A line of a plain list: the indicator, perhaps a comment behind it, or a line of a hosts file.
fn plain(loader: &mut Loader, line: u32, text: &str) {
    let text = [" #", "\t#", " ;", "\t;", " //"]
        .iter()
        .fold(text, |t, mark| t.split_once(mark).map_or(t, |(before, _)| before));
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or("");
    match (first, words.next()) {
        ("0.0.0.0" | "127.0.0.1" | "::" | "::1", Some(host)) => loader.add(line, host, None, None),
        (_, None) => loader.add(line, first, None, None),
        (_, Some(_)) if recognise(first, None).is_ok() => loader.add(line, first, None, None),
        _ => loader.problem(line, reasons::unknown_indicator(shown(text))),
    }
}

/// The columns of a CSV list that say something.
struct Columns {
    delimiter: char,
    /// Columns with indicators; the kind that their header says.
    values: Vec<(usize, Option<Kind>)>,
    kind: Option<usize>,
    id: Option<usize>,
    name: Option<usize>,
    /// Without a header every cell is looked at and the first that is an indicator counts.
    header: Header,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    Present,
    Absent,
}

const VALUE_NAMES: [&str; 10] = [
    "value",
    "indicator",
    "indicator_value",
    "ioc",
    "ioc_value",
    "observable",
    "observable_value",
    "artifact",
    "data",
    "pattern",
];
const KIND_NAMES: [&str; 6] = ["type", "indicator_type", "ioc_type", "observable_type", "kind", "data_type"];
const NAME_NAMES: [&str; 9] = [
    "name",
    "title",
    "description",
    "comment",
    "malware",
    "malware_printable",
    "threat",
    "signature",
    "attribute_comment",
];
const ID_NAMES: [&str; 5] = ["id", "uuid", "indicator_id", "ioc_id", "attribute_id"];

impl Columns {
    /// `None` when the first line of data is not one of a CSV list.
    fn from_header(line: &str) -> Option<Self> {
        let delimiter = [',', '\t', ';', '|']
            .into_iter()
            .filter(|d| cells(line, *d).len() > 1)
            .max_by_key(|d| cells(line, *d).len())
            .or_else(|| is_lone_header(line).then_some(','))?;
        let names: Vec<String> = cells(line, delimiter)
            .iter()
            .map(|c| c.trim().trim_matches('"').to_lowercase().replace([' ', '-'], "_"))
            .collect();
        let position = |list: &[&str]| names.iter().position(|n| list.contains(&n.as_str()));
        let mut values: Vec<(usize, Option<Kind>)> = position(&VALUE_NAMES).map(|i| (i, None)).into_iter().collect();
        if values.is_empty() {
            values = names
                .iter()
                .enumerate()
                .filter(|(_, n)| recognise(n, None).is_err() && n.len() < 40)
                .filter_map(|(i, n)| Kind::from_name(n).map(|k| (i, Some(k))))
                .collect();
        }
        let first_is_data = cells(line, delimiter).iter().any(|c| recognise(c, None).is_ok());
        if values.is_empty() || first_is_data {
            // A comment behind an address (`192.0.2.0/24 ; text`) is no table.
            let table = first_is_data && !cells(line, delimiter)[0].ends_with(' ');
            return table.then_some(Self {
                delimiter,
                values: Vec::new(),
                kind: None,
                id: None,
                name: None,
                header: Header::Absent,
            });
        }
        Some(Self {
            delimiter,
            values,
            kind: position(&KIND_NAMES),
            id: position(&ID_NAMES),
            name: position(&NAME_NAMES),
            header: Header::Present,
        })
    }

    fn row(&self, loader: &mut Loader, line: u32, text: &str) {
        let cells = cells(text, self.delimiter);
        if self.header == Header::Absent {
            let found = cells.iter().find(|c| recognise(c, None).is_ok());
            let cell = found.unwrap_or(&cells[0]);
            return loader.add(line, cell, None, None);
        }
        let cell = |i: Option<usize>| i.and_then(|i| cells.get(i)).map(|c| c.trim());
        if self.is_header(&cells) {
            return;
        }
        let note = Note {
            id: cell(self.id).filter(|t| !t.is_empty()).map(Into::into),
            name: cell(self.name).filter(|t| !t.is_empty()).map(Into::into),
            ..Note::default()
        };
        let type_name = cell(self.kind).unwrap_or("");
        let mut any = false;
        for (index, kind) in &self.values {
            let value = cell(Some(*index)).unwrap_or("");
            if !value.is_empty() {
                any = true;
                add_typed(loader, line, value, type_name, *kind, &note);
            }
        }
        if !any {
            loader.problem(line, reasons::row_without_value());
        }
    }

    /// Whether this row is the header itself.
    fn is_header(&self, cells: &[String]) -> bool {
        self.values.iter().all(|(i, _)| {
            cells.get(*i).is_some_and(|c| {
                let name = c.trim().to_lowercase().replace([' ', '-'], "_");
                VALUE_NAMES.contains(&name.as_str())
                    || (Kind::from_name(&name).is_some() && recognise(&name, None).is_err())
            })
        })
    }
}

/// A value whose type is named as MISP does: `sha256`, or `filename|sha256` with a value of the same shape.
fn add_typed(loader: &mut Loader, line: u32, value: &str, type_name: &str, kind: Option<Kind>, note: &Note) {
    if type_name.contains('|') && value.contains('|') {
        for (value, name) in value.split('|').zip(type_name.split('|')) {
            if let Some(kind) = Kind::from_name(name) {
                loader.add(line, value, Some(kind), Some(note.clone()));
            }
        }
        return;
    }
    let named = Kind::from_name(type_name).or(kind);
    // A type that is none of ours (`filename`, `mutex`): its values must not be taken for domains.
    if named.is_none() && !type_name.is_empty() {
        return loader.problem(line, reasons::unmatchable_type(shown(type_name)));
    }
    loader.add(line, value, named, Some(note.clone()));
}

/// Whether a line is the header of a list of one column.
fn is_lone_header(line: &str) -> bool {
    let name = line.trim().trim_matches('"').to_lowercase();
    (VALUE_NAMES.contains(&name.as_str()) || Kind::from_name(&name).is_some())
        && key::domain(&name).is_none()
        && recognise(&name, None).is_err()
        && name.len() < 40
}

/// The cells of a CSV line (RFC 4180 without line breaks inside quotes).
fn cells(line: &str, delimiter: char) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.trim_end_matches(['\r', '\n']).chars().peekable();
    while let Some(c) = chars.next() {
        let Some(cell) = cells.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.trim().is_empty() => {
                cell.clear();
                quoted = true;
            }
            c if c == delimiter && !quoted => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    cells
}
