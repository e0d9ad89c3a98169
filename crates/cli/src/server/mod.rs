//! The commands around the server: `serve`, `query`, `admin`.

mod admin;
mod demo;
mod forward;
mod lines;
mod log;
mod said;
mod search;
mod simulate;

pub use admin::admin;
pub use demo::demo;
pub use forward::forward;
pub use said::said;
pub use search::search;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use khien_detect::rule::load::RuleSet;
use khien_lake::{Limits, Output};
use khien_server::admin::{Admin, AdminError};
use khien_server::enrich::Knowledge;
use khien_server::serve::{self as server, Setup, Syslog};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::args::{Query, QueryOutput, Serve, Simulate};
use crate::detect::run::{self, Linked};
use crate::engine::{Engine as _, LoadRequest, Loaded, Severity};
use crate::exit::Exit;
use crate::terminal::Console;
use crate::text::Text;

/// Threads for what blocks: files that are read and written, rows that are packed. Each keeps some memory that it has freed,
/// so a few that are busy are better than the hundreds that may be; what finds none waits.
const BLOCKING_THREADS: usize = 12;

fn runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_multi_thread().max_blocking_threads(BLOCKING_THREADS).enable_all().build()?)
}

/// Address of the state database when it is not in the data folder. It holds a password, so it stands in no argument.
fn state() -> Option<String> {
    std::env::var("KHIEN_STATE").ok().filter(|address| !address.is_empty())
}

/// The state of a data folder.
async fn open(data: &Path) -> Result<Admin, AdminError> {
    Admin::open(data, state().as_deref()).await
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// When it cannot be started.
pub fn serve(args: &Serve, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    log::start(console.err_is_terminal);
    let text = console.text;
    let request = LoadRequest { paths: args.rules.clone(), placeholders: args.placeholders.clone(), level: None };
    let loaded = Linked.load(&request)?;
    writeln!(console.err, "{}", about_rules(&loaded, text))?;
    let (indicators, unusable) = run::indicators(&args.indicators, 0, text)?;
    if let Some(indicators) = &indicators {
        let count = |number: u64| text.count(number);
        writeln!(console.err, "{}", text.serve_indicators(&count(indicators.len() as u64), &count(unusable.count)))?;
    }
    let setup = Setup {
        data: args.data.clone(),
        state: state(),
        listen: args.listen,
        https: args.https,
        identity: args.tls_cert.clone().zip(args.tls_key.clone()),
        query_memory_bytes: (args.query_memory as usize) << 20,
        syslog: Syslog {
            udp: args.syslog_udp,
            tcp: args.syslog_tcp,
            tls: args.syslog_tls,
            soc: args.syslog_source.clone(),
        },
        rules: loaded.rules,
        indicators,
        knowledge: Knowledge { owners: args.owners.clone(), geoip: args.geoip.clone() },
        threads: args.threads,
    };
    runtime()?.block_on(async {
        let server = server::start(setup).await?;
        writeln!(console.err, "{}", text.serve_ready(&server.address.to_string()))?;
        if let Some(address) = server.https {
            writeln!(console.err, "{}", text.serve_https(&address.to_string()))?;
        }
        for (protocol, address) in &server.syslog {
            writeln!(console.err, "{}", text.serve_syslog(protocol, &address.to_string()))?;
        }
        told_to_stop().await.context("signals")?;
        writeln!(console.err, "{}", text.serve_stopping())?;
        server.stop().await;
        Ok(Exit::Done)
    })
}

/// How many rules are used, and how many cannot be.
fn about_rules(loaded: &Loaded<RuleSet>, text: Text) -> String {
    let unusable = loaded.problems.iter().filter(|problem| matches!(problem.severity, Severity::Error)).count();
    text.serve_rules(&text.count(loaded.usable), &text.count(unusable as u64))
}

/// Waits for Ctrl-C or a request to end.
async fn told_to_stop() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// Lets many SOCs send events.
///
/// # Errors
/// When there is nothing to send or nobody to send it as.
pub fn simulate(args: &Simulate, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    let sample = Arc::new(lines::Sample::read(&args.events)?);
    let text = console.text;
    runtime()?.block_on(async {
        let tokens = match (&args.data, &args.tokens) {
            (Some(data), _) => simulate::enter_socs(data, args.socs.into()).await?,
            (None, Some(file)) => simulate::read_tokens(file)?,
            (None, None) => Vec::new(),
        };
        let tally = Arc::new(simulate::Tally::default());
        let plan = simulate::Plan { url: args.to.clone(), tokens, rate: args.rate, sample };
        let mut sending = tokio::spawn(simulate::run(plan, tally.clone()));
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        let mut stop = std::pin::pin!(told_to_stop());
        let (mut seconds, mut before) = (0, 0);
        loop {
            tokio::select! {
                done = &mut sending => { done??; break }
                told = &mut stop, if !tally.stop.load(Ordering::Relaxed) => {
                    told?;
                    tally.stop.store(true, Ordering::Relaxed);
                }
                _ = ticks.tick() => {
                    let events = tally.events.load(Ordering::Relaxed);
                    let slowest = tally.slowest_ms.swap(0, Ordering::Relaxed);
                    let count = |number| text.count(number);
                    let line = text.simulated(&count(seconds), &count(events), &count(events - before), &count(slowest));
                    writeln!(console.err, "{line}")?;
                    (seconds, before) = (seconds + 1, events);
                    if args.seconds.is_some_and(|most| seconds > most) {
                        tally.stop.store(true, Ordering::Relaxed);
                    }
                }
            }
        }
        writeln!(console.err, "{}", more(&tally, text))?;
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let summary = json!({
            "events": count(&tally.events), "batches": count(&tally.batches), "repeated": count(&tally.repeated),
            "late": count(&tally.late), "slowed": count(&tally.slowed), "failed": count(&tally.failed),
        });
        writeln!(console.out, "{summary}")?;
        Ok(Exit::Done)
    })
}

/// What went otherwise than straight on.
fn more(tally: &simulate::Tally, text: Text) -> String {
    let count = |counter: &std::sync::atomic::AtomicU64| text.count(counter.load(Ordering::Relaxed));
    text.simulated_more(&count(&tally.repeated), &count(&tally.late), &count(&tally.slowed), &count(&tally.failed))
}

/// Asks the lake of a data folder.
///
/// # Errors
/// When the question cannot be answered.
pub fn query(args: &Query, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    let usual = if console.out_is_terminal { QueryOutput::Csv } else { QueryOutput::Json };
    let output = match args.output.unwrap_or(usual) {
        QueryOutput::Json => Output::Json,
        QueryOutput::Ndjson => Output::Ndjson,
        QueryOutput::Csv => Output::Csv,
        QueryOutput::Arrow => Output::Arrow,
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let limits =
        Limits { time: Duration::from_secs(args.timeout), rows: usize::MAX, memory_bytes: MEMORY_BYTES, threads };
    runtime()?.block_on(async {
        let answer = khien_server::admin::query(&args.data, &args.sql, limits).await?;
        let mut written = answer.write(output)?;
        while let Some(bytes) = written.next().await? {
            console.out.write_all(&bytes)?;
        }
        Ok(Exit::Done)
    })
}

/// Memory that a query on the command line may take.
const MEMORY_BYTES: usize = 2 << 30;
