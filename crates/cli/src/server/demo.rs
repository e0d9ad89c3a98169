//! `khien demo`: a server and simulated SOCs in one process, and what an operator would look at every second.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use khien_lake::{Limits, Output};
use khien_server::admin;
use khien_server::enrich::Knowledge;
use khien_server::serve::{self as server, Setup, Syslog};
use serde_json::Value;

use super::{about_rules, lines, log, more, open, runtime, simulate, state};
use crate::args::Demo;
use crate::detect::run::Linked;
use crate::engine::{Engine as _, LoadRequest};
use crate::exit::Exit;
use crate::safe;
use crate::terminal::Console;
use crate::text::Text;

/// Runs the demonstration.
///
/// # Errors
/// When something it needs is not there.
pub fn demo(args: &Demo, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    log::start_quietly();
    let temporary = tempfile::tempdir()?;
    let data = args.data.as_deref().unwrap_or(temporary.path());
    let sample = Arc::new(lines::Sample::read(&args.events)?);
    let request = LoadRequest { paths: args.rules.clone(), placeholders: None, level: None };
    let loaded = Linked.load(&request)?;
    let text = console.text;
    writeln!(console.err, "{}", about_rules(&loaded, text))?;
    let setup = Setup {
        data: data.to_owned(),
        state: state(),
        listen: args.listen,
        https: None,
        identity: None,
        query_memory_bytes: khien_lake::Limits::default().memory_bytes,
        syslog: Syslog::default(),
        rules: loaded.rules,
        indicators: None,
        knowledge: Knowledge::default(),
        threads: 0,
    };
    runtime()?.block_on(async {
        let server = server::start(setup).await?;
        writeln!(console.err, "{}", text.serve_ready(&server.address.to_string()))?;
        let tally = Arc::new(simulate::Tally::default());
        let plan = simulate::Plan {
            url: format!("http://{}", server.address),
            tokens: simulate::enter_socs(data, args.socs.into()).await?,
            rate: args.rate,
            sample,
        };
        let admin = open(data).await?;
        let sending = tokio::spawn(simulate::run(plan, tally.clone()));
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.tick().await;
        for second in 1..=args.seconds {
            ticks.tick().await;
            let alerts = admin.undecided_alerts().await?;
            show(data, second, tally.events.load(Ordering::Relaxed), alerts, console).await?;
        }
        tally.stop.store(true, Ordering::Relaxed);
        sending.await??;
        writeln!(console.err, "{}", text.serve_stopping())?;
        server.stop().await;
        writeln!(console.out, "{}", more(&tally, text))?;
        conclude(data, tally.events.load(Ordering::Relaxed), console).await?;
        Ok(Exit::Done)
    })
}

/// What an operator wants to see.
async fn show(data: &Path, second: u64, sent: u64, alerts: u64, console: &mut Console<'_>) -> anyhow::Result<()> {
    let text = console.text;
    let kept = number(&ask(data, "SELECT count(*) AS n FROM events").await?, "n");
    let sql = "SELECT count(*) AS n, count(*) FILTER (WHERE severity_id >= 4) AS severe FROM findings";
    let findings = ask(data, sql).await?;
    let count = |number: u64| text.count(number);
    let (all, severe) = (number(&findings, "n"), number(&findings, "severe"));
    let (second, sent, kept) = (count(second), count(sent), count(kept));
    let line = text.demo_second(&second, &sent, &kept, &count(all), &count(severe), &count(alerts));
    writeln!(console.out, "{line}")?;
    let sql = "SELECT level, time, organisation, rule_title FROM findings WHERE severity_id >= 4 ORDER BY event_id DESC LIMIT 1";
    let newest = ask(data, sql).await?;
    if let Some(row) = newest.get(0) {
        let part = |name: &str| safe::line(row[name].as_str().unwrap_or_default()).into_owned();
        let level = level(&part("level"), text);
        let line = text.demo_newest(&level, &part("time"), &part("organisation"), &part("rule_title"));
        writeln!(console.out, "{line}")?;
    }
    console.out.flush()?;
    Ok(())
}

/// Compares what was sent with what is there, and says what was found.
async fn conclude(data: &Path, sent: u64, console: &mut Console<'_>) -> anyhow::Result<()> {
    let text = console.text;
    let kept = number(&ask(data, "SELECT count(*) AS n FROM events").await?, "n");
    writeln!(console.out, "{}", text.demo_end(&text.count(sent), &text.count(kept)))?;
    let sql = "SELECT count(*) AS n, level, rule_title FROM findings GROUP BY level, rule_title, severity_id \
               ORDER BY severity_id DESC, n DESC LIMIT 10";
    for row in ask(data, sql).await?.as_array().into_iter().flatten() {
        let part = |name: &str| safe::line(row[name].as_str().unwrap_or_default()).into_owned();
        let count = format!("{:>9}", text.count(row["n"].as_u64().unwrap_or_default()));
        writeln!(console.out, "{}", text.demo_rule(&count, &level(&part("level"), text), &part("rule_title")))?;
    }
    Ok(())
}

/// A level as people call it.
fn level(name: &str, text: Text) -> String {
    use khien_detect::rule::Level::{Critical, High, Informational, Low, Medium};
    let known = [Informational, Low, Medium, High, Critical].into_iter().find(|level| level.name() == name);
    known.map_or_else(|| name.to_owned(), |level| text.level(level).to_owned())
}

fn number(rows: &Value, name: &str) -> u64 {
    rows[0][name].as_u64().unwrap_or_default()
}

async fn ask(data: &Path, sql: &str) -> anyhow::Result<Value> {
    let mut written = admin::query(data, sql, Limits::default()).await?.write(Output::Json)?;
    let mut out = Vec::new();
    while let Some(bytes) = written.next().await? {
        out.extend_from_slice(&bytes);
    }
    Ok(serde_json::from_slice(&out)?)
}
