//! `khien rules list`: what rules there are.

use khien_detect::rule::Level;
use khien_event::taxonomy::LogSource;

use crate::args::{List, TextOrJson};
use crate::attack;
use crate::engine::{Engine, RuleRow};
use crate::exit::Exit;
use crate::safe;
use crate::terminal::{Console, Look};
use crate::text::Text;

/// Runs the command.
///
/// # Errors
/// When a path cannot be read.
pub fn command<E: Engine>(engine: &E, list: &List, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    let loaded = super::load(engine, &list.path, None, console)?;
    let all = engine.list(&loaded.rules);
    let rows: Vec<&RuleRow> = all.iter().filter(|row| wanted(row, list)).collect();
    let result = match list.output {
        TextOrJson::Text => table(&rows, console.out_look, console.text),
        TextOrJson::Json => json(&rows)?,
    };
    console.out.write_all(result.as_bytes())?;
    let text = console.text;
    console.tell(&text.list_summary(&text.count(rows.len() as u64), &text.count(all.len() as u64)));
    Ok(if loaded.usable == 0 { Exit::Data } else { Exit::Done })
}

/// Whether the filters let a rule through.
fn wanted(row: &RuleRow, list: &List) -> bool {
    let is_same = |have: &Option<String>, want: &str| have.as_deref().is_some_and(|h| h.eq_ignore_ascii_case(want));
    list.level.is_none_or(|level| row.level >= Level::from(level))
        && list.logsource.as_ref().is_none_or(|source| within(&row.logsource, source))
        && list.tag.as_ref().is_none_or(|tag| row.tags.iter().any(|t| is_below(t, tag)))
        && list.status.as_ref().is_none_or(|status| is_same(&row.status, status))
        && list.search.as_ref().is_none_or(|words| contains_words(row, words))
}

/// Whether the rule's log source has every part that is asked for.
fn within(have: &LogSource, want: &LogSource) -> bool {
    let part = |have: &Option<String>, want: &Option<String>| {
        want.as_deref().is_none_or(|w| have.as_deref().is_some_and(|h| h.eq_ignore_ascii_case(w)))
    };
    part(&have.product, &want.product) && part(&have.category, &want.category) && part(&have.service, &want.service)
}

/// Whether `tag` is `wanted` or a part of it, as `attack.t1059.001` is of `attack.t1059`.
fn is_below(tag: &str, wanted: &str) -> bool {
    let (tag, wanted) = (tag.to_lowercase(), wanted.to_lowercase());
    tag.strip_prefix(&wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn contains_words(row: &RuleRow, words: &str) -> bool {
    let text = format!("{} {}", row.id, row.title).to_lowercase();
    words.to_lowercase().split_whitespace().all(|word| text.contains(word))
}

fn json(rows: &[&RuleRow]) -> anyhow::Result<String> {
    let mut list = Vec::with_capacity(rows.len());
    for row in rows {
        let mut value = serde_json::to_value(row)?;
        if let Some(object) = value.as_object_mut() {
            let attacks = attack::of_tags(&row.tags);
            object.insert("attack".to_owned(), serde_json::to_value(attacks)?);
        }
        list.push(value);
    }
    Ok(format!("{}\n", serde_json::to_string_pretty(&list)?))
}

/// `product/category/service`, without the parts that are not given.
pub fn logsource(source: &LogSource, text: Text) -> String {
    let parts = [&source.product, &source.category, &source.service];
    let parts: Vec<&str> = parts.into_iter().filter_map(|p| p.as_deref()).collect();
    if parts.is_empty() { text.any_log_source().to_owned() } else { parts.join("/") }
}

/// The technique ids of a rule, or its tactics when it has none.
fn attack(row: &RuleRow) -> String {
    let all = attack::of_tags(&row.tags);
    let of = |kind: attack::Kind| -> Vec<&str> {
        all.iter().filter(|a| a.kind == kind).filter_map(|a| a.id.as_deref()).collect()
    };
    let techniques = of(attack::Kind::Technique);
    if techniques.is_empty() { of(attack::Kind::Tactic).join(",") } else { techniques.join(",") }
}

fn table(rows: &[&RuleRow], look: Look, text: Text) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = [text.column_id(), text.column_level(), text.column_logsource(), text.column_attack()];
    let cells: Vec<[String; 4]> = rows
        .iter()
        .map(|row| {
            let level = text.level(row.level).to_owned();
            [row.id.clone(), level, logsource(&row.logsource, text), attack(row)].map(|c| safe::line(&c).into_owned())
        })
        .collect();
    let widths = [0, 1, 2, 3].map(|i| {
        let widest = cells.iter().map(|c| safe::width(&c[i])).max().unwrap_or(0);
        widest.max(safe::width(head[i])).min(40)
    });
    let line = |cells: [&str; 4], title: &str| {
        let padded: Vec<String> = cells.iter().zip(widths).map(|(c, w)| safe::pad(&safe::fit(c, w), w)).collect();
        format!("{}  {title}", padded.join("  "))
    };
    let mut out = format!("{}\n", look.strong(&line(head, text.column_title())));
    for (row, cells) in rows.iter().zip(&cells) {
        let plain = line([&cells[0], &cells[1], &cells[2], &cells[3]], &safe::line(&row.title));
        out.push_str(&look.level(shade(row.level), &plain));
        out.push('\n');
    }
    out
}

/// Whole lines in the colour of critical findings would be hard to read.
fn shade(level: Level) -> Level {
    level.min(Level::High)
}
