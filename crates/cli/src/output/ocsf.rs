//! Findings in OCSF 1.8: each event once, as an event of its own class, then a Detection Finding for each finding on it.
//!
//! What they say is `khien_event`'s ([`khien_event::ocsf`]); here they become lines.

use khien_detect::finding::{Evidence, Finding, Source};
use khien_event::event::Event;
use khien_event::ocsf::{Analytic, FindingInput, Normalised, Record, correlation};
use khien_event::taxonomy::{KindId, Taxonomy};
use serde_json::Value;

use super::ndjson;
use super::{Block, Place, Render, Shared};

/// See the module text.
pub struct Ocsf {
    shared: Shared,
    /// The event that the next findings are about, and whether it was written.
    event: Event,
    kind: KindId,
    written: bool,
    /// What matched, as JSON.
    matched: Vec<u8>,
}

impl Ocsf {
    /// A renderer.
    pub fn new(shared: &Shared) -> Self {
        Self {
            shared: shared.clone(),
            event: Event::default(),
            kind: KindId::default(),
            written: true,
            matched: Vec::new(),
        }
    }

    fn place(&self, file: u32, position: u64, time_ns: Option<i64>) -> khien_event::ocsf::Place<'_> {
        khien_event::ocsf::Place { time_ns, file: self.shared.file(file), position }
    }

    /// The finding on one event, and the event before it unless it was written.
    fn single(&self, place: Place, finding: &Finding<'_>, input: &FindingInput<'_>, out: &mut Vec<u8>) {
        let record = Record {
            event: &self.event,
            kind: self.kind,
            raw: finding.raw,
            place: self.place(place.file, finding.position, finding.time_ns),
        };
        let normalised = Normalised::new(record, Taxonomy::embedded());
        if !self.written {
            line(&normalised.event(), out);
        }
        line(&normalised.finding(input), out);
    }

    fn several(&self, place: Place, finding: &Finding<'_>, input: &FindingInput<'_>, out: &mut Vec<u8>) {
        let of = |e: &Evidence| self.place(e.file, e.position, e.time_ns);
        let evidence: Vec<_> = finding.evidence.iter().map(of).collect();
        let completing = self.place(place.file, finding.position, finding.time_ns);
        line(&correlation(input, &completing, &evidence), out);
    }
}

impl Render for Ocsf {
    fn wants_event(&self) -> bool {
        true
    }

    fn event(&mut self, event: Event, kind: KindId) {
        (self.event, self.kind, self.written) = (event, kind, false);
    }

    fn finding(&mut self, place: Place, finding: &Finding<'_>, block: &mut Block) {
        let head = finding.head;
        block.counts.add(head.level);
        self.matched.clear();
        ndjson::matched(finding.matched, &mut self.matched);
        let matched = serde_json::from_slice(&self.matched).unwrap_or_default();
        let input = FindingInput {
            analytic: match head.source {
                Source::Rule => Analytic::Rule,
                Source::Correlation => Analytic::Correlation,
                Source::Indicator => Analytic::Indicator,
            },
            rule_id: &head.id,
            title: &head.title,
            description: None,
            author: head.author.as_deref(),
            level: head.level.name(),
            tags: &head.tags,
            matched: &matched,
        };
        if head.source == Source::Correlation {
            self.several(place, finding, &input, &mut block.bytes);
        } else {
            self.single(place, finding, &input, &mut block.bytes);
            self.written = true;
        }
    }
}

/// Appends `json` as a line.
fn line(json: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(json.to_string().as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use khien_detect::rule::Level;

    use super::*;
    use crate::args::Output;
    use crate::output::{Form, sample};

    #[test]
    fn findings_are_ocsf() {
        let text = String::from_utf8(sample::rendered(Output::Ocsf).bytes).unwrap();
        let version = format!("\"version\":\"{}\"}}", env!("CARGO_PKG_VERSION"));
        insta::assert_snapshot!("ocsf", text.replace(&version, "\"version\":\"…\"}"));
        if let Some(python) = khien_testkit::ocsf::python() {
            khien_testkit::ocsf::judge(&python, &text);
        }
    }

    #[test]
    fn an_event_with_several_findings_is_written_once() {
        let mut render = Ocsf::new(&sample::shared());
        let mut block = Block::default();
        let place = Place { file: 0, form: Form::Json };
        render.event(Event::default(), KindId::default());
        for id in ["a", "b"] {
            let head = sample::head(id, Level::Low, &[]);
            render.finding(place, &sample::finding(&head, b"{}", &[], &[]), &mut block);
        }
        let text = String::from_utf8(block.bytes).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert_eq!(text.matches("\"class_uid\":0").count(), 1);
    }
}
