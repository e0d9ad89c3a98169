//! Findings for spreadsheets: RFC 4180, UTF-8, one header line.
//!
//! A cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return gets a `'` before it, as spreadsheets would run
//! it as a formula (<https://owasp.org/www-community/attacks/CSV_Injection>): logs are written by attackers too. Control
//! characters other than line breaks become visible escapes. For exact values use NDJSON.

use khien_detect::finding::{Evidence, Finding, Head};

use super::heads::Heads;
use super::{Block, Place, Render, Shared, json, ndjson};
use crate::attack;
use crate::safe;

/// The first line.
pub const HEADER: &str = "time,level,rule_id,title,source,tags,attack,author,file,position,matched,record,evidence\r\n";

/// See the module text.
pub struct Csv {
    heads: Heads,
    shared: Shared,
    scratch: Vec<u8>,
}

impl Csv {
    /// A renderer with empty caches.
    pub fn new(shared: &Shared) -> Self {
        Self { heads: Heads::new(head_cells), shared: shared.clone(), scratch: Vec::new() }
    }
}

impl Csv {
    /// The events that led to a correlation: `file:position` and the rule, divided by semicolons.
    fn evidence(&self, finding: &Finding<'_>) -> String {
        let of = |e: &Evidence| format!("{}:{} {}", self.shared.file(e.file), e.position, e.rule);
        finding.evidence.iter().map(of).collect::<Vec<_>>().join("; ")
    }
}

impl Render for Csv {
    fn finding(&mut self, place: Place, finding: &Finding<'_>, block: &mut Block) {
        block.counts.add(finding.head.level);
        let out = &mut block.bytes;
        if let Some(ns) = finding.time_ns {
            json::time(ns, out);
        }
        out.push(b',');
        out.extend_from_slice(self.heads.get(finding.head));
        out.push(b',');
        cell(self.shared.file(place.file), out);
        out.push(b',');
        json::number(finding.position, out);
        out.push(b',');
        self.scratch.clear();
        ndjson::matched(finding.matched, &mut self.scratch);
        cell(&String::from_utf8_lossy(&self.scratch), out);
        out.push(b',');
        cell(&String::from_utf8_lossy(finding.raw), out);
        out.push(b',');
        cell(&self.evidence(finding), out);
        out.extend_from_slice(b"\r\n");
    }
}

fn head_cells(head: &Head, out: &mut Vec<u8>) {
    let cells = [
        head.level.name(),
        &head.id,
        &head.title,
        ndjson::source(head.source),
        &head.tags.join(" "),
        &attack::words(&head.tags),
        head.author.as_deref().unwrap_or_default(),
    ];
    for (i, text) in cells.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        cell(text, out);
    }
}

/// Appends one cell.
fn cell(text: &str, out: &mut Vec<u8>) {
    // A lone `-` is standard input and no formula.
    let is_formula = text != "-" && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = safe::lines(text);
    if !is_formula && !text.contains([',', '"', '\n']) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    if is_formula {
        out.push(b'\'');
    }
    for part in text.split_inclusive('"') {
        out.extend_from_slice(part.as_bytes());
        if part.ends_with('"') {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Output;
    use crate::output::sample;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        cell(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(written("plain"), "plain");
        assert_eq!(written(""), "");
        assert_eq!(written("a,b"), "\"a,b\"");
        assert_eq!(written("say \"hi\"\""), "\"say \"\"hi\"\"\"\"\"");
        assert_eq!(written("two\nlines"), "\"two\nlines\"");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert!(written(text).starts_with("\"'"), "{text}");
        }
    }

    #[test]
    fn every_line_has_the_columns_of_the_header() {
        let block = sample::rendered(Output::Csv);
        let text = String::from_utf8(block.bytes).unwrap();
        assert!(!text.contains(|c: char| c.is_control() && c != '\r' && c != '\n'));
        insta::assert_snapshot!("csv", format!("{HEADER}{text}").replace("\r\n", "␍␊\n"));
    }
}
