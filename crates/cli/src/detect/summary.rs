//! The closing summary, for people on standard error and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::{MalformedSample, Stats};
use crate::output::{Counts, LEVELS};
use crate::safe;
use crate::terminal::Look;
use crate::text::{Text, append};

/// Columns of the labels.
const LABEL_COLUMNS: usize = 20;

/// What a run read and found.
#[derive(Clone, Debug)]
pub struct Summary {
    /// What was read.
    pub stats: Stats,
    /// Rules and correlations that ran.
    pub rules_used: u64,
    /// Rules that could not.
    pub rules_unusable: u64,
    /// Findings by level.
    pub findings: Counts,
    /// Inputs that were not found, in words.
    pub input_problems: Vec<String>,
    /// Wall time, rules loaded and output written.
    pub seconds: f64,
    /// CPU time of the process at its end, where that can be said.
    pub cpu: Option<Duration>,
}

impl Summary {
    /// Whether something that was asked for was not looked at.
    pub fn is_incomplete(&self) -> bool {
        !self.stats.files_failed.is_empty()
            || !self.input_problems.is_empty()
            || self.stats.malformed > 0
            || self.rules_unusable > 0
            || self.stats.indicators_unusable > 0
            || self.stats.stopped
    }

    /// Events a second.
    fn rate(&self) -> u64 {
        (self.stats.events as f64 / self.seconds.max(0.001)) as u64
    }

    /// For people.
    pub fn render(&self, look: Look, text: Text) -> String {
        let mut out = format!("{}\n", look.strong(text.summary_title()));
        let mut row = |label: &str, value: &str| {
            append(&mut out, format_args!("  {} {value}\n", safe::pad(label, LABEL_COLUMNS)));
        };
        let stats = &self.stats;
        row(text.summary_files(), &self.files(text));
        row(text.summary_events(), &text.count(stats.events));
        if stats.malformed > 0 {
            row(text.summary_malformed(), &look.bad(&text.count(stats.malformed)));
            for line in self.malformed(text) {
                row("", &look.faint(&safe::fit(&line, look.columns.saturating_sub(LABEL_COLUMNS + 3))));
            }
        }
        if stats.unrecognised > 0 {
            row(text.summary_unrecognised(), &text.count(stats.unrecognised));
        }
        if self.rules_used + self.rules_unusable > 0 {
            row(text.summary_rules(), &self.rules(look, text));
        }
        if stats.indicators > 0 {
            row(text.summary_indicators(), &self.indicators(look, text));
        }
        row(text.summary_findings(), &self.findings(look, text));
        if let Some(c) = stats.correlation {
            let value =
                text.summary_correlation_value(&text.count(c.active), &text.count(c.evicted), &text.count(c.late));
            row(text.summary_correlation(), &value);
        }
        let time = text.summary_time_value(&text.decimal(self.seconds, 2), &text.count(self.rate()));
        row(text.summary_time(), &time);
        if stats.stopped {
            append(&mut out, format_args!("{}\n", look.bad(text.stopped())));
        }
        if self.rules_unusable > 0 {
            append(
                &mut out,
                format_args!("{} {}\n", text.hint(), text.unusable_rules(&text.count(self.rules_unusable))),
            );
        }
        out
    }

    fn files(&self, text: Text) -> String {
        let failed = (self.stats.files_failed.len() + self.input_problems.len()) as u64;
        text.summary_files_value(&text.count(self.stats.files_read), &text.count(failed), &text.size(self.stats.bytes))
    }

    fn rules(&self, look: Look, text: Text) -> String {
        let value = text.summary_rules_value(&text.count(self.rules_used), &text.count(self.rules_unusable));
        if self.rules_unusable > 0 { look.bad(&value) } else { value }
    }

    fn indicators(&self, look: Look, text: Text) -> String {
        let Stats { indicators, indicators_unusable: unusable, .. } = self.stats;
        let value = text.summary_rules_value(&text.count(indicators), &text.count(unusable));
        if unusable > 0 { look.bad(&value) } else { value }
    }

    /// The total, and how it divides among the levels.
    fn findings(&self, look: Look, text: Text) -> String {
        let total = text.count(self.findings.total());
        let parts: Vec<String> = LEVELS
            .iter()
            .rev()
            .filter(|level| self.findings.of(**level) > 0)
            .map(|level| {
                look.level(*level, &format!("{} {}", text.count(self.findings.of(*level)), text.level(*level)))
            })
            .collect();
        if parts.is_empty() { total } else { format!("{total} ({})", parts.join(", ")) }
    }

    fn malformed(&self, text: Text) -> Vec<String> {
        let samples = &self.stats.malformed_samples;
        let mut lines: Vec<String> = samples
            .iter()
            .map(|s| {
                let line = text.malformed_sample(&s.file, &s.position.to_string(), &text.message(&s.reason));
                safe::line(&line).into_owned()
            })
            .collect();
        let more = self.stats.malformed.saturating_sub(samples.len() as u64);
        if more > 0 && !samples.is_empty() {
            lines.push(text.and_more(&text.count(more)));
        }
        lines
    }

    /// CPU seconds of loading and of everything after it.
    fn cpu_seconds(&self) -> Option<Value> {
        let (loading, all) = (self.stats.loading_cpu?, self.cpu?);
        let detecting = all.saturating_sub(loading);
        Some(json!({ "loading": loading.as_secs_f64(), "detecting": detecting.as_secs_f64() }))
    }

    /// For programs. Members may be added.
    pub fn to_json(&self, text: Text) -> Value {
        let by_level: serde_json::Map<String, Value> =
            LEVELS.iter().map(|level| (level.name().to_owned(), self.findings.of(*level).into())).collect();
        let stats = &self.stats;
        json!({
            "files": { "read": stats.files_read, "failed": stats.files_failed, "not_found": self.input_problems, "bytes": stats.bytes },
            "events": stats.events,
            "malformed": { "count": stats.malformed, "samples": samples(&stats.malformed_samples, text) },
            "not_decoded": stats.unrecognised,
            "rules": { "used": self.rules_used, "unusable": self.rules_unusable },
            "indicators": {
                "used": stats.indicators,
                "unusable": stats.indicators_unusable,
                "samples": samples(&stats.indicator_samples, text),
            },
            "findings": { "total": self.findings.total(), "by_level": by_level },
            "correlation": stats.correlation,
            "stopped": stats.stopped,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds(),
            "events_per_second": self.rate(),
        })
    }
}

/// Records or entries that could not be used, for programs.
fn samples(list: &[MalformedSample], text: Text) -> Vec<Value> {
    let sample = |s: &MalformedSample| json!({ "file": s.file, "position": s.position, "code": s.reason.code(), "reason": text.message(&s.reason) });
    list.iter().map(sample).collect()
}

#[cfg(test)]
mod tests {
    use khien_base::lang::Lang;

    use super::*;
    use khien_base::message::Message;

    use crate::engine::{CorrelationStats, FileFailure, MalformedSample};

    fn summary() -> Summary {
        Summary {
            stats: Stats {
                files_read: 3,
                files_failed: vec![FileFailure { file: "x.evtx".into(), reason: "denied".into() }],
                bytes: 5_000_000,
                events: 1_234_567,
                malformed: 12,
                malformed_samples: vec![MalformedSample {
                    file: "a\u{1b}[2J.log".into(),
                    position: 9,
                    reason: Message::new(khien_event::reasons::VALUE_EXPECTED, vec!["4".into()]),
                }],
                unrecognised: 2,
                indicators: 1_000,
                indicators_unusable: 0,
                indicator_samples: Vec::new(),
                correlation: Some(CorrelationStats { active: 10, evicted: 0, late: 1 }),
                stopped: false,
                loading_cpu: Some(Duration::from_millis(250)),
            },
            rules_used: 2_858,
            rules_unusable: 1,
            findings: Counts([0, 1, 0, 2_000, 3]),
            input_problems: Vec::new(),
            seconds: 1.5,
            cpu: Some(Duration::from_millis(1_250)),
        }
    }

    #[test]
    fn it_tells_people() {
        insta::assert_snapshot!("summary_vi", summary().render(Look::plain(80), Text(Lang::Vi)));
        insta::assert_snapshot!("summary_en", summary().render(Look::plain(80), Text(Lang::En)));
    }

    #[test]
    fn it_tells_only_what_there_is() {
        let quiet = Summary {
            stats: Stats { files_read: 1, events: 5, ..Stats::default() },
            rules_used: 1,
            rules_unusable: 0,
            findings: Counts::default(),
            input_problems: Vec::new(),
            seconds: 0.0,
            cpu: None,
        };
        assert!(!quiet.is_incomplete());
        insta::assert_snapshot!("summary_quiet", quiet.render(Look::plain(80), Text(Lang::Vi)));
    }

    #[test]
    fn it_tells_programs() {
        let json = serde_json::to_string_pretty(&summary().to_json(Text(Lang::En))).unwrap();
        insta::assert_snapshot!("summary_json", json);
    }
}
