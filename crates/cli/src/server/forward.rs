//! `khien forward`: the agent on a SOC's site.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use khien_server::forward::{self as agent, ForwardError, Setup};
use khien_server::serve::Syslog;

use super::{log, runtime, told_to_stop};
use crate::args::Forward;
use crate::exit::Exit;
use crate::terminal::Console;

/// How often a line is printed while something happens.
const TELLING: Duration = Duration::from_secs(10);

/// Reads and sends until it is told to stop.
///
/// # Errors
/// When it cannot be started.
pub fn forward(args: &Forward, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    log::start(console.err_is_terminal);
    let text = console.text;
    if args.follow.is_empty() && args.syslog_udp.or(args.syslog_tcp).is_none() {
        anyhow::bail!(text.nothing_to_forward());
    }
    let named = |path: &std::path::Path| path.display().to_string();
    let token = std::fs::read_to_string(&args.token_file).with_context(|| named(&args.token_file))?;
    let authority = args.ca.as_ref().map(|path| std::fs::read(path).with_context(|| named(path))).transpose()?;
    let setup = Setup {
        data: args.data.clone(),
        url: args.to.parse().map_err(|_| ForwardError::Address(args.to.clone()))?,
        token: token.trim().to_owned(),
        follow: args.follow.clone(),
        source: args.source.clone(),
        syslog: Syslog { udp: args.syslog_udp, tcp: args.syslog_tcp, ..Syslog::default() },
        authority,
    };
    runtime()?.block_on(async {
        let running = agent::start(setup).await?;
        for (protocol, address) in &running.syslog {
            writeln!(console.err, "{}", text.serve_syslog(protocol, &address.to_string()))?;
        }
        writeln!(console.err, "{}", text.forwarding(&args.to))?;
        let counts = running.counts.clone();
        let count = |counter: &AtomicU64| text.count(counter.load(Ordering::Relaxed));
        let said = || text.forwarded(&count(&counts.read), &count(&counts.sent), &count(&counts.failures));
        let mut ticks = tokio::time::interval(TELLING);
        let mut stop = std::pin::pin!(told_to_stop());
        let mut before = String::new();
        loop {
            tokio::select! {
                told = &mut stop => { told.context("signals")?; break }
                _ = ticks.tick() => {
                    let line = said();
                    if line != before {
                        writeln!(console.err, "{line}")?;
                        before = line;
                    }
                }
            }
        }
        running.stop().await;
        writeln!(console.err, "{}", said())?;
        Ok(Exit::Done)
    })
}
