//! `khien search`: the search language of analysts on the command line.

use std::time::Duration;

use khien_lake::{Found, Limits, Search};
use serde_json::{Value, json};

use super::{MEMORY_BYTES, runtime};
use crate::args::{SearchArgs, TextOrJson};
use crate::exit::Exit;
use crate::safe;
use crate::terminal::Console;

/// Parts of time in the picture.
const BUCKETS: usize = 60;

/// Longest that a search may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// Searches the lake of a data folder.
///
/// # Errors
/// When the search is wrong, or the lake cannot be read.
pub fn search(args: &SearchArgs, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let limits = Limits { time: PATIENCE, memory_bytes: MEMORY_BYTES, rows: usize::MAX, threads };
    let search = Search {
        query: args.query.clone(),
        limit: args.limit.into(),
        facets: args.facet.clone(),
        buckets: BUCKETS,
        ..Search::default()
    };
    let found = runtime()?.block_on(khien_server::admin::search(&args.data, search, limits))?;
    match args.output {
        TextOrJson::Json => show_json(&found, console)?,
        TextOrJson::Text => show(&found, console)?,
    }
    Ok(Exit::Done)
}

fn show_json(found: &Found, console: &mut Console<'_>) -> anyhow::Result<()> {
    let facets = found.facets.iter().map(|facet| {
        let values = facet.values.iter().map(|(value, count)| json!({"value": value, "count": count}));
        json!({"field": facet.field, "values": values.collect::<Vec<_>>()})
    });
    let histogram = found.histogram.iter().map(|(us, count)| json!({"from_ms": us.div_euclid(1_000), "count": count}));
    let answer = json!({
        "total": found.total,
        "events": found.events,
        "bucket_ms": found.bucket_us / 1_000,
        "histogram": histogram.collect::<Vec<_>>(),
        "facets": facets.collect::<Vec<_>>(),
    });
    writeln!(console.out, "{answer}")?;
    Ok(())
}

fn show(found: &Found, console: &mut Console<'_>) -> anyhow::Result<()> {
    for event in found.events.iter().rev() {
        let event: Value = serde_json::from_str(event.get())?;
        let part = |name: &str| safe::line(event[name].as_str().unwrap_or_default());
        writeln!(console.out, "{}  {}  {}  {}", part("time"), part("organisation"), part("kind"), part("raw"))?;
    }
    let text = console.text;
    writeln!(console.err, "{}", text.search_total(&text.count(found.total)))?;
    if !found.histogram.is_empty() {
        writeln!(console.err, "{}", picture(found))?;
    }
    for facet in &found.facets {
        writeln!(console.err, "{}", safe::line(&facet.field))?;
        for (value, count) in &facet.values {
            writeln!(console.err, "  {:>10}  {}", text.count(*count), safe::line(value))?;
        }
    }
    Ok(())
}

/// How the hits lie in time, a character for each part.
fn picture(found: &Found) -> String {
    const STEPS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = found.histogram.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    let (Some((first, _)), Some((last, _))) = (found.histogram.first(), found.histogram.last()) else {
        return String::new();
    };
    let parts = (last - first) / found.bucket_us.max(1) + 1;
    let count = |part: i64| {
        let at = first + part * found.bucket_us;
        found.histogram.iter().find(|(us, _)| *us == at).map_or(0, |(_, count)| *count)
    };
    (0..parts).map(|part| STEPS[(count(part) * 8).div_ceil(most) as usize]).collect()
}
