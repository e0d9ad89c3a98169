//! `khien simulate`: many SOCs that send events, as real ones do: unevenly, twice when an answer is lost, late, and over
//! connections that break.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use fastrand::Rng;
use khien_server::admin::{AdminError, Kind, NewSoc, Quota, SourcesError};
use reqwest::{Client, StatusCode};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::lines::Sample;
use super::open;

/// What is simulated.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Where the server is.
    pub(super) url: String,
    /// One token for each SOC.
    pub(super) tokens: Vec<String>,
    /// Events a second, of all SOCs together.
    pub(super) rate: u64,
    /// Events to be sent again and again, with times of now.
    pub(super) sample: Arc<Sample>,
}

/// What the simulated SOCs have done.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) events: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) repeated: AtomicU64,
    pub(super) late: AtomicU64,
    /// Times that the server asked to wait.
    pub(super) slowed: AtomicU64,
    pub(super) failed: AtomicU64,
    /// Slowest answer since it was last looked at, in milliseconds.
    pub(super) slowest_ms: AtomicU64,
    pub(super) stop: AtomicBool,
}

impl Tally {
    fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Enters `count` SOCs in the data folder, or gives those that are there another token.
pub(super) async fn enter_socs(data: &Path, count: usize) -> anyhow::Result<Vec<String>> {
    let admin = open(data).await?;
    let mut tokens = Vec::with_capacity(count);
    for number in 1..=count {
        let name = format!("simulated-{number:03}");
        let kind = Kind::ALL[number % Kind::ALL.len()];
        let new = NewSoc { name: name.clone(), kind, quota: Quota::default() };
        let token = match admin.add_soc(new).await {
            Ok((_, token)) => token,
            Err(AdminError::Sources(SourcesError::Exists(_))) => admin.add_token(&name).await?,
            Err(error) => return Err(error.into()),
        };
        tokens.push(token.reveal().to_owned());
    }
    Ok(tokens)
}

/// One token a line.
pub(super) fn read_tokens(path: &PathBuf) -> anyhow::Result<Vec<String>> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(name)?;
    let tokens: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    if tokens.is_empty() {
        bail!("{}: no token", name());
    }
    Ok(tokens)
}

/// Lets all SOCs send until they are told to stop.
pub(super) async fn run(plan: Plan, tally: Arc<Tally>) -> anyhow::Result<()> {
    let mut socs = JoinSet::new();
    let share = plan.rate as f64 / plan.tokens.len().max(1) as f64;
    for (number, token) in plan.tokens.iter().enumerate() {
        let soc = Soc {
            url: format!("{}/v1/ingest?source=simulated", plan.url.trim_end_matches('/')),
            token: token.clone(),
            share,
            sample: plan.sample.clone(),
            random: Rng::with_seed(number as u64 + 1),
            number,
            batch: 0,
            held: Vec::new(),
        };
        socs.spawn(soc.run(tally.clone()));
    }
    while let Some(soc) = socs.join_next().await {
        soc??;
    }
    Ok(())
}

/// A SOC that sends events.
struct Soc {
    url: String,
    token: String,
    /// Events a second.
    share: f64,
    sample: Arc<Sample>,
    random: Rng,
    number: usize,
    batch: u64,
    /// Batches that are sent late.
    held: Vec<(Instant, u64, String)>,
}

/// Of how many batches one is sent twice, and one late.
const REPEATED: u64 = 50;
const LATE: u64 = 40;

/// After so many batches the connection is made anew.
const CONNECTION: u64 = 100;

impl Soc {
    async fn run(mut self, tally: Arc<Tally>) -> anyhow::Result<()> {
        let mut client = Client::new();
        // Nobody starts at the same moment.
        let mut next = Instant::now() + Duration::from_secs_f64(self.random.f64());
        let mut owed = 0.0;
        while !tally.stopped() {
            sleep_until(next).await;
            let pause = 0.5 + self.random.f64();
            next += Duration::from_secs_f64(pause);
            owed += pause * self.share;
            let count = owed as usize;
            if count == 0 {
                continue;
            }
            owed -= count as f64;
            self.batch += 1;
            let body = self.sample.batch(count, &mut self.random);
            if self.batch.is_multiple_of(CONNECTION) {
                client = Client::new();
            }
            if self.random.u64(..LATE) == 0 {
                let due = Instant::now() + Duration::from_secs(self.random.u64(2..20));
                self.held.push((due, self.batch, body));
                Tally::add(&tally.late, 1);
                continue;
            }
            self.send(&client, self.batch, &body, &tally).await;
            if self.random.u64(..REPEATED) == 0 {
                Tally::add(&tally.repeated, 1);
                self.send_once(&client, self.batch, &body).await.ok();
            }
            while let Some(at) = self.held.iter().position(|(due, ..)| *due <= Instant::now()) {
                let (_, batch, body) = self.held.swap_remove(at);
                self.send(&client, batch, &body, &tally).await;
            }
        }
        for (_, batch, body) in std::mem::take(&mut self.held) {
            self.send(&client, batch, &body, &tally).await;
        }
        Ok(())
    }

    /// Sends a batch until it is acknowledged.
    async fn send(&self, client: &Client, batch: u64, body: &str, tally: &Tally) {
        let started = Instant::now();
        let mut pause = Duration::from_millis(200);
        loop {
            match self.send_once(client, batch, body).await {
                Ok(StatusCode::OK) => break,
                Ok(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => Tally::add(&tally.slowed, 1),
                Ok(_) | Err(_) => Tally::add(&tally.failed, 1),
            }
            if tally.stopped() && started.elapsed() > Duration::from_secs(10) {
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        Tally::add(&tally.batches, 1);
        Tally::add(&tally.events, body.bytes().filter(|b| *b == b'\n').count() as u64);
        tally.slowest_ms.fetch_max(started.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    async fn send_once(&self, client: &Client, batch: u64, body: &str) -> reqwest::Result<StatusCode> {
        let key = format!("{}-{batch}-{}", self.number, body.len());
        let request = client.post(&self.url).bearer_auth(&self.token).header("idempotency-key", key);
        Ok(request.body(body.to_owned()).send().await?.status())
    }
}
