//! Findings for people at a terminal: one entry for each rule, the most severe first.

use khien_detect::finding::{Finding, Source};

use super::groups::{Group, Groups, Sample};
use super::{Block, Place, Render, Shared, json};
use crate::attack;
use crate::safe;
use crate::terminal::Look;
use crate::text::{Text, append};

/// Columns of the level, which the longest name in either language fits.
const LEVEL_COLUMNS: usize = 13;

/// Columns of the count.
const COUNT_COLUMNS: usize = 9;

/// Rules that are shown in full; the others get one line each.
const DETAILED: usize = 200;

/// Collects findings; the table is written when all are known.
#[derive(Clone, Copy, Debug)]
pub struct Collect {
    /// For input that may be live: how to write a line for each finding at once.
    pub live: Option<(Look, Text)>,
}

impl Render for Collect {
    fn finding(&mut self, place: Place, finding: &Finding<'_>, block: &mut Block) {
        block.counts.add(finding.head.level);
        block.groups.add(place.file, finding);
        if let Some((look, text)) = self.live {
            block.bytes.extend_from_slice(live_line(finding, look, text).as_bytes());
        }
    }
}

/// Time, level, title and position of a finding.
fn live_line(finding: &Finding<'_>, look: Look, text: Text) -> String {
    let level = text.level(finding.head.level);
    let space = " ".repeat(LEVEL_COLUMNS.saturating_sub(safe::width(level)));
    let time = finding.time_ns.map_or_else(|| text.time_unknown().to_owned(), time);
    let title = safe::line(&finding.head.title);
    let place = format!(":{}", finding.position);
    format!("{} {}{space} {} {}\n", look.faint(&time), look.level(finding.head.level, level), title, look.faint(&place))
}

/// The table of everything that was collected.
pub fn render(groups: &Groups, shared: &Shared, look: Look, text: Text) -> String {
    let table = Table { shared, look, text };
    let mut sorted: Vec<&Group> = groups.list().iter().collect();
    sorted.sort_by(|a, b| {
        let key = |g: &Group| (std::cmp::Reverse(g.head.level), std::cmp::Reverse(g.count));
        key(a).cmp(&key(b)).then_with(|| a.head.title.cmp(&b.head.title)).then_with(|| a.head.id.cmp(&b.head.id))
    });
    if sorted.is_empty() {
        return format!("{}\n", look.good(text.no_findings()));
    }
    let mut out = table.header();
    for (i, group) in sorted.iter().enumerate() {
        if i > 0 && i <= DETAILED {
            out.push('\n');
        }
        out.push_str(&table.title(group));
        if i < DETAILED {
            out.push_str(&table.details(group));
        }
    }
    let beyond = groups.beyond.total();
    if beyond > 0 {
        let line = text.beyond_table(&text.count(beyond));
        append(&mut out, format_args!("{}\n", look.faint(&line)));
    }
    out
}

struct Table<'a> {
    shared: &'a Shared,
    look: Look,
    text: Text,
}

impl Table<'_> {
    fn header(&self) -> String {
        let line = format!(
            "{} {:>COUNT_COLUMNS$}  {}",
            safe::pad(self.text.column_level(), LEVEL_COLUMNS),
            self.text.column_count(),
            self.text.column_rule()
        );
        format!("{}\n", self.look.strong(&line))
    }

    /// Level, count and title.
    fn title(&self, group: &Group) -> String {
        let level = self.text.level(group.head.level);
        let space = " ".repeat(LEVEL_COLUMNS.saturating_sub(safe::width(level)));
        let title = safe::line(&group.head.title);
        let room = self.look.columns.saturating_sub(LEVEL_COLUMNS + COUNT_COLUMNS + 3);
        format!(
            "{}{space} {:>COUNT_COLUMNS$}  {}\n",
            self.look.level(group.head.level, level),
            self.text.count(group.count),
            self.look.strong(&safe::fit(&title, room))
        )
    }

    /// Id and ATT&CK, times, sample events.
    fn details(&self, group: &Group) -> String {
        let mut out = String::new();
        let attack = attack::words(&group.head.tags);
        let source = match group.head.source {
            Source::Rule => None,
            Source::Correlation => Some(self.text.from_correlation()),
            Source::Indicator => Some(self.text.from_indicator()),
        };
        // The id first: it is what people copy, and must not be cut.
        let parts = [Some(group.head.id.as_str()), source, Some(attack.as_str())];
        let parts: Vec<&str> = parts.into_iter().flatten().filter(|p| !p.is_empty()).collect();
        self.indented(&parts.join(" · "), 2, &mut out);
        self.indented(&self.times(group), 2, &mut out);
        for sample in &group.samples {
            self.sample(sample, &mut out);
        }
        let more = group.count.saturating_sub(group.samples.len() as u64);
        if more > 0 {
            self.indented(&self.text.and_more(&self.text.count(more)), 2, &mut out);
        }
        out
    }

    fn times(&self, group: &Group) -> String {
        match (group.first_ns, group.last_ns) {
            (Some(first), Some(last)) if first == last => time(first),
            (Some(first), Some(last)) => format!("{} → {}", time(first), time(last)),
            _ => self.text.time_unknown().to_owned(),
        }
    }

    fn sample(&self, sample: &Sample, out: &mut String) {
        let place = self.place(sample.file, sample.position);
        // The end of a path tells more than its beginning.
        let room = self.look.columns.saturating_sub(2);
        let place = fit_end(&place, room);
        append(out, format_args!("  {place}\n"));
        for (name, value) in &sample.fields {
            let line = if name.is_empty() { value.clone() } else { format!("{name}: {value}") };
            self.indented(&line, 4, out);
        }
        if !sample.evidence.is_empty() {
            self.indented(&self.evidence(sample), 4, out);
        }
    }

    /// The events that led to a correlation; those of the same file by their position alone.
    fn evidence(&self, sample: &Sample) -> String {
        let mut places: Vec<String> = Vec::new();
        for (index, &(file, position)) in sample.evidence.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|i| sample.evidence.get(i)).map_or(sample.file, |e| e.0);
            places.push(if before == file { format!(":{position}") } else { self.place(file, position) });
        }
        if sample.more_evidence > 0 {
            places.push(self.text.and_more(&self.text.count(sample.more_evidence)));
        }
        self.text.evidence(&places.join(", "))
    }

    fn place(&self, file: u32, position: u64) -> String {
        let file = match self.shared.file(file) {
            "-" => self.text.standard_input().into(),
            name => safe::line(name),
        };
        self.text.at_position(&file, &position.to_string())
    }

    /// Appends one faint line, cut where the terminal ends.
    fn indented(&self, line: &str, columns: usize, out: &mut String) {
        let line = safe::line(line);
        let line = safe::fit(&line, self.look.columns.saturating_sub(columns));
        out.push_str(&" ".repeat(columns));
        out.push_str(&self.look.faint(&line));
        out.push('\n');
    }
}

/// The end of `text` that fits into `columns`.
fn fit_end(text: &str, columns: usize) -> String {
    if safe::width(text) <= columns {
        return text.to_owned();
    }
    let reversed: String = text.chars().rev().collect();
    safe::fit(&reversed, columns).chars().rev().collect()
}

/// A time to the second, which is what eyes compare.
fn time(ns: i64) -> String {
    let mut out = Vec::new();
    json::time(ns - ns.rem_euclid(1_000_000_000), &mut out);
    String::from_utf8_lossy(&out).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use khien_base::lang::Lang;
    use khien_detect::rule::Level;

    use super::*;
    use crate::args::Output;
    use crate::output::sample;

    fn table(lang: Lang, look: Look) -> String {
        let mut block = sample::rendered(Output::Table);
        let head = sample::head("r-2", Level::Medium, &[]);
        for position in 0..1_234_i64 {
            let mut finding = sample::finding(&head, b"{}", &[], &[]);
            finding.position = position as u64;
            finding.time_ns = finding.time_ns.map(|t| t + position * 1_000_000_000);
            Collect { live: None }.finding(Place { file: 0, form: crate::output::Form::Json }, &finding, &mut block);
        }
        render(&block.groups, &sample::shared(), look, Text(lang))
    }

    #[test]
    fn the_worst_comes_first() {
        insta::assert_snapshot!("table_vi", table(Lang::Vi, Look::plain(80)));
        insta::assert_snapshot!("table_en", table(Lang::En, Look::plain(80)));
    }

    #[test]
    fn a_narrow_terminal_is_not_overflowed() {
        let table = table(Lang::Vi, Look::plain(40));
        assert!(table.lines().all(|l| safe::width(l) <= 40), "{table}");
    }

    #[test]
    fn only_our_own_colours_reach_the_terminal() {
        let table = table(Lang::Vi, Look { colors: true, columns: 80 });
        for sequence in table.split('\u{1b}').skip(1) {
            assert!(sequence.starts_with('['), "{sequence}");
            let code: String = sequence.chars().skip(1).take_while(|c| *c != 'm').collect();
            assert!(code.chars().all(|c| c.is_ascii_digit() || c == ';'), "{code}");
        }
        assert!(!table.contains('\0'));
    }

    #[test]
    fn live_input_gets_a_line_for_each_finding() {
        let mut block = Block::default();
        let head = sample::head("r\u{1b}[2J", Level::High, &[]);
        let place = Place { file: 1, form: crate::output::Form::Text };
        let mut collect = Collect { live: Some((Look::plain(80), Text(Lang::En))) };
        collect.finding(place, &sample::finding(&head, b"", &[], &[]), &mut block);
        let line = String::from_utf8(block.bytes).unwrap();
        assert_eq!(line, "2023-11-14 22:13:20Z high          Title of r\\x1b[2J, \"quoted\" :7\n");
    }

    #[test]
    fn nothing_found_is_said() {
        let nothing = render(&Groups::default(), &sample::shared(), Look::plain(80), Text(Lang::Vi));
        assert_eq!(nothing, "Không có phát hiện nào.\n");
    }
}
