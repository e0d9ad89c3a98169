//! An agent on a SOC's site: reads files and syslog, keeps what it read on disk, and sends it to a server.
//!
//! What was read goes into a journal like the server's, so that it survives whatever happens to the process, the machine or
//! the line. It is sent in that order, packed, with a key for each batch; a batch that was sent before an answer was lost
//! adds nothing twice. Where files were read up to stands in the keys of the batches, so that after a crash nothing is left
//! out or read twice.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use khien_base::hex::hex;
use khien_ingest::batch::{Batch, Key, Origin};
use khien_ingest::follow::{Follower, Piece};
use khien_ingest::journal::{
    Cursor, Journal, OpenError, Options, ReadError, RealDisk, Refusal, Running, Stored, Trimmer,
};
use khien_sources::{Kind, Quota, Soc};
use reqwest::header::RETRY_AFTER;
use reqwest::{Certificate, Client, StatusCode};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use url::Url;

use crate::http::Intake;
use crate::owners::Owners;
use crate::paths::{Paths, replace};
use crate::pipeline::chain;
use crate::serve::Syslog;
use crate::syslog;
use crate::system::{now_ms, random};

/// What an agent is started with.
pub struct Setup {
    /// Where it keeps what was not sent yet.
    pub data: PathBuf,
    /// Address of the server.
    pub url: Url,
    /// Token of the SOC.
    pub token: String,
    /// Files and folders that are followed.
    pub follow: Vec<PathBuf>,
    /// What events of files give as their source; the name of the file when not said.
    pub source: Option<String>,
    /// Where syslog is taken; without TLS.
    pub syslog: Syslog,
    /// A certificate authority that is trusted besides those of the system, as PEM.
    pub authority: Option<Vec<u8>>,
}

/// Why an agent cannot be started.
#[derive(Debug, Error)]
pub enum ForwardError {
    /// The data folder cannot be used.
    #[error("cannot use the data folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// An address cannot be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The client cannot be made.
    #[error("cannot send over HTTP")]
    Http(#[from] reqwest::Error),
    /// The address of the server cannot be used.
    #[error("`{0}` is no address of a server; write http://HOST:PORT or https://HOST")]
    Address(String),
}

/// What an agent counts.
#[derive(Debug, Default)]
pub struct Counts {
    /// Events that were read.
    pub read: AtomicU64,
    /// Events that the server has acknowledged.
    pub sent: AtomicU64,
    /// Lines that are too long.
    pub rejected: AtomicU64,
    /// Attempts that failed.
    pub failures: AtomicU64,
}

/// An agent that runs.
pub struct Forwarder {
    /// What it counts.
    pub counts: Arc<Counts>,
    /// Where syslog is taken.
    pub syslog: Vec<(&'static str, std::net::SocketAddr)>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    threads: Vec<JoinHandle<()>>,
    journal: Running,
}

/// What is remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// The last batch that the server has.
    acknowledged: u64,
    /// Where each file was read up to, by what it is known by.
    positions: BTreeMap<u64, u64>,
}

/// How often files are looked for, and how long to wait when none has grown.
const SCANNING: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(200);

/// How often what is remembered is written.
const SAVING: Duration = Duration::from_secs(1);

/// How long a request may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long to go on sending after being told to stop.
const FAREWELL: Duration = Duration::from_secs(10);

/// Bytes on disk that wait to be sent; then reading waits too.
const BACKLOG: u64 = 4 << 30;

/// Starts an agent.
///
/// # Errors
/// When something it needs cannot be used.
pub async fn start(setup: Setup) -> Result<Forwarder, ForwardError> {
    let failed = |source| ForwardError::Folder { path: setup.data.clone(), source };
    let paths = Paths::create(&setup.data).map_err(failed)?;
    let state_path = paths.forwarder();
    let mut state = load(&state_path).map_err(failed)?;
    let options = Options { backlog_bytes: BACKLOG, tail_bytes: 16 << 20, keys: 100_000, ..Options::default() };
    let (journal, running, _) = Journal::open(&paths.journal(), state.acknowledged, options, Box::new(RealDisk))?;
    let mut follower = Follower::new(setup.follow.clone(), std::mem::take(&mut state.positions));
    recall(&journal, state.acknowledged, &mut follower).map_err(failed)?;

    let (stop, stopping) = watch::channel(false);
    let counts = Arc::new(Counts::default());
    let mut tasks = JoinSet::new();
    let syslog = listen(&setup.syslog, &journal, &stopping, &mut tasks).await?;
    let sender = Sender::new(&setup)?;
    let (batches, inbox) = mpsc::channel(2);
    let cursor = journal.cursor(state.acknowledged);
    let acknowledged = Arc::new(AtomicU64::new(state.acknowledged));
    let memory = Memory { path: state_path, acknowledged, is_over: Arc::default(), trimmer: journal.trimmer() };
    let mut threads = vec![std::thread::spawn(move || hand_over(cursor, &batches))];
    let reading = Reading { follower, journal, source: setup.source, counts: counts.clone(), stop: stopping.clone() };
    let kept = memory.clone();
    threads.push(std::thread::spawn(move || reading.run(&kept)));
    tasks.spawn(send(inbox, sender, memory, counts.clone(), stopping));
    Ok(Forwarder { counts, syslog, stop, tasks, threads, journal: running })
}

impl Forwarder {
    /// Stops in order: what was read is on disk, and is sent the next time if the server does not take it now.
    pub async fn stop(mut self) {
        self.stop.send(true).ok();
        while self.tasks.join_next().await.is_some() {}
        let (threads, journal) = (self.threads, self.journal);
        let ended = tokio::task::spawn_blocking(move || {
            journal.join();
            threads.into_iter().all(|thread| thread.join().is_ok())
        });
        if !ended.await.unwrap_or(false) {
            tracing::error!("the agent did not end in order");
        }
    }
}

fn load(path: &Path) -> io::Result<State> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::default()),
        Err(error) => Err(error),
    }
}

/// Finds in the journal up to where files were read after the state was written.
fn recall(journal: &Journal, acknowledged: u64, follower: &mut Follower) -> io::Result<()> {
    let mut cursor = journal.cursor(acknowledged);
    while cursor.position() <= journal.durable() {
        match cursor.next(Duration::ZERO) {
            Ok(Some(stored)) if stored.batch.origin.protocol == FILE => {
                if let Some(key) = stored.batch.origin.key {
                    follower.confirm(key);
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(ReadError::Io(error)) => return Err(error),
            Err(error @ ReadError::Lost { .. }) => tracing::error!(%error, "part of what waits to be sent is lost"),
        }
    }
    Ok(())
}

/// Longest name of a source that is made of the name of a file, in characters.
const SOURCE: usize = 50;

/// What batches of files give as their protocol in the journal.
const FILE: &str = "file";

async fn listen(
    setup: &Syslog,
    journal: &Journal,
    stop: &watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) -> Result<Vec<(&'static str, std::net::SocketAddr)>, ForwardError> {
    // Whose it is the server knows by the token.
    let soc = Soc {
        id: uuid::Uuid::nil(),
        name: String::new(),
        kind: Kind::Ministry,
        quota: Quota::default(),
        created_ms: 0,
    };
    let sink = syslog::Sink { intake: Intake::new(journal.clone()), owners: Owners::only(soc), stop: stop.clone() };
    let mut bound = Vec::new();
    if let Some(address) = setup.udp {
        let failed = |source| ForwardError::Listen { address, source };
        let socket = UdpSocket::bind(address).await.map_err(failed)?;
        bound.push(("udp", socket.local_addr().map_err(failed)?));
        tasks.spawn(syslog::udp(socket, sink.clone()));
    }
    if let Some(address) = setup.tcp {
        let failed = |source| ForwardError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        bound.push(("tcp", listener.local_addr().map_err(failed)?));
        tasks.spawn(syslog::tcp(listener, None, sink));
    }
    Ok(bound)
}

/// What is written from time to time.
#[derive(Clone)]
struct Memory {
    path: PathBuf,
    acknowledged: Arc<AtomicU64>,
    /// Nothing more will be sent.
    is_over: Arc<AtomicBool>,
    trimmer: Trimmer,
}

impl Memory {
    /// Writes what is remembered, and gives up what need not be sent any more.
    fn save(&self, positions: &BTreeMap<u64, u64>) -> io::Result<()> {
        let acknowledged = self.acknowledged.load(Ordering::Acquire);
        let state = State { acknowledged, positions: positions.clone() };
        replace(&self.path, &serde_json::to_vec(&state)?)?;
        if self.trimmer.can_trim(acknowledged) {
            self.trimmer.trim(acknowledged)?;
        }
        Ok(())
    }
}

/// Reads files into the journal, and writes what is remembered.
struct Reading {
    follower: Follower,
    journal: Journal,
    source: Option<String>,
    counts: Arc<Counts>,
    stop: watch::Receiver<bool>,
}

impl Reading {
    fn run(mut self, memory: &Memory) {
        let (mut scanned, mut saved) = (None, std::time::Instant::now());
        while !*self.stop.borrow() {
            if scanned.is_none_or(|at: std::time::Instant| at.elapsed() >= SCANNING) {
                scanned = Some(std::time::Instant::now());
                for trouble in self.follower.scan() {
                    tracing::warn!(path = %trouble.path.display(), error = %trouble.error, "cannot be followed");
                }
            }
            match self.follower.read() {
                Ok(Some(piece)) => self.take(piece),
                Ok(None) => std::thread::sleep(PAUSE),
                Err(trouble) => {
                    tracing::warn!(path = %trouble.path.display(), error = %trouble.error, "cannot be read");
                }
            }
            if saved.elapsed() >= SAVING {
                saved = std::time::Instant::now();
                self.save(memory);
            }
        }
        // What the server still takes is remembered too.
        while !memory.is_over.load(Ordering::Acquire) {
            std::thread::sleep(PAUSE);
        }
        self.save(memory);
    }

    fn save(&self, memory: &Memory) {
        if let Err(error) = memory.save(self.follower.positions()) {
            tracing::error!(%error, "what was sent and read cannot be remembered");
        }
    }

    /// Puts a piece on disk, however long it takes.
    fn take(&mut self, piece: Piece) {
        let Piece { path, key, records } = piece;
        self.counts.rejected.fetch_add(records.rejected, Ordering::Relaxed);
        let name = || {
            // A server takes no other names.
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.chars().filter(|c| !c.is_control()).take(SOURCE).collect::<String>()
        };
        let origin = Origin {
            organisation: String::new(),
            source: self.source.clone().unwrap_or_else(name),
            protocol: FILE.to_owned(),
            received_ms: now_ms(),
            peer: None,
            key: Some(key),
        };
        let events = records.spans.len() as u64;
        if events > 0 {
            let batch = Batch { origin, spans: records.spans, extras: records.extras, body: records.body };
            if !self.append(&batch) {
                return;
            }
        }
        self.counts.read.fetch_add(events, Ordering::Relaxed);
        self.follower.confirm(key);
    }

    /// Whether the batch is durable; it is not when the agent ends before.
    fn append(&self, batch: &Batch) -> bool {
        let mut told = false;
        loop {
            let (answer, wait) = sync_channel(1);
            let done = move |result: Result<_, Refusal>| {
                // Somebody waits below.
                answer.send(result.map(drop)).ok();
            };
            let result = self.journal.append(batch.clone(), done);
            match result.and_then(|()| wait.recv().unwrap_or(Err(Refusal::Closed))) {
                Ok(()) => return true,
                Err(refusal) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%refusal, "reading waits for room on the disk");
                    }
                }
            }
            if *self.stop.borrow() {
                return false;
            }
            std::thread::sleep(PAUSE * 5);
        }
    }
}

/// Hands batches to the task that sends.
fn hand_over(mut cursor: Cursor, batches: &mpsc::Sender<Stored>) {
    loop {
        match cursor.next(Duration::from_millis(500)) {
            Ok(Some(stored)) => {
                if batches.blocking_send(stored).is_err() {
                    return;
                }
            }
            Ok(None) if cursor.is_over() || batches.is_closed() => return,
            Ok(None) => {}
            Err(error) => {
                tracing::error!(error = %chain(&error), "part of what waits to be sent cannot be read");
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// Sends one batch after the other until it is told to stop.
async fn send(
    mut inbox: mpsc::Receiver<Stored>,
    sender: Sender,
    memory: Memory,
    counts: Arc<Counts>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let stored = tokio::select! {
            stored = inbox.recv() => stored,
            () = told(&mut stop) => timeout(PAUSE, inbox.recv()).await.unwrap_or(None),
        };
        let Some(stored) = stored else { break };
        let events = stored.batch.spans.len() as u64;
        let sending = sender.send(&stored, &counts);
        let done = tokio::select! {
            () = sending => true,
            () = farewell(stop.clone()) => false,
        };
        if !done {
            break;
        }
        counts.sent.fetch_add(events, Ordering::Relaxed);
        memory.acknowledged.store(stored.sequence, Ordering::Release);
    }
    memory.is_over.store(true, Ordering::Release);
}

/// Ends when it is told to stop.
async fn told(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Ends some time after it is told to stop.
async fn farewell(mut stop: watch::Receiver<bool>) {
    told(&mut stop).await;
    sleep(FAREWELL).await;
}

/// Sends batches.
struct Sender {
    client: Client,
    lines: Url,
    messages: Url,
    token: String,
    /// Keys of this agent are unlike those of others.
    agent: String,
}

impl Sender {
    fn new(setup: &Setup) -> Result<Self, ForwardError> {
        let wrong = || ForwardError::Address(setup.url.to_string());
        if !matches!(setup.url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        let mut client = Client::builder().timeout(PATIENCE);
        if let Some(authority) = &setup.authority {
            client = client.add_root_certificate(Certificate::from_pem(authority)?);
        }
        let failed = |source| ForwardError::Folder { path: setup.data.clone(), source };
        Ok(Self {
            client: client.build()?,
            lines: setup.url.join("/v1/ingest").map_err(|_| wrong())?,
            messages: setup.url.join("/services/collector/event").map_err(|_| wrong())?,
            token: setup.token.clone(),
            agent: agent(&setup.data.join("agent")).map_err(failed)?,
        })
    }

    /// Sends a batch until the server has it.
    async fn send(&self, stored: &Stored, counts: &Counts) {
        let mut pause = Duration::from_millis(250);
        loop {
            let wait = match self.try_send(stored).await {
                Ok(None) => return,
                Ok(Some(wait)) => wait,
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "the server does not answer, trying again");
                    None
                }
            };
            counts.failures.fetch_add(1, Ordering::Relaxed);
            sleep(wait.unwrap_or(pause).min(LONGEST_PAUSE)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// `None` when the server has it, otherwise how long it asks to wait.
    async fn try_send(&self, stored: &Stored) -> reqwest::Result<Option<Option<Duration>>> {
        let batch = &stored.batch;
        let key = match batch.origin.key {
            Some(Key(bytes)) => format!("{}-{}", self.agent, hex(&bytes)),
            None => format!("{}-{}", self.agent, stored.sequence),
        };
        let source = batch.origin.source.as_str();
        let one_line = batch.records().all(|record| !record.contains(&b'\n'));
        let (url, body) = if one_line {
            let mut url = self.lines.clone();
            url.query_pairs_mut().append_pair("source", source);
            (url, joined(batch))
        } else {
            (self.messages.clone(), wrapped(batch, source))
        };
        let packed = zstd::bulk::compress(&body, 1).unwrap_or_default();
        let request = self.client.post(url).bearer_auth(&self.token).header("idempotency-key", key);
        let answer = request.header("content-encoding", "zstd").body(packed).send().await?;
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(None);
        }
        let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let said = answer.text().await.unwrap_or_default();
        let said: String = said.chars().take(300).collect();
        tracing::warn!(%status, said, "the server takes nothing now, trying again");
        Ok(Some(seconds.map(Duration::from_secs)))
    }
}

/// Records, one on each line.
fn joined(batch: &Batch) -> Vec<u8> {
    let mut body = Vec::with_capacity(batch.body.len() + batch.spans.len());
    for record in batch.records() {
        body.extend_from_slice(record);
        body.push(b'\n');
    }
    body
}

/// Records with more than one line, as events of HEC.
fn wrapped(batch: &Batch, source: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(batch.body.len() * 2);
    for record in batch.records() {
        let event = serde_json::json!({"event": String::from_utf8_lossy(record), "source": source});
        body.extend_from_slice(event.to_string().as_bytes());
        body.push(b'\n');
    }
    body
}

/// What this agent is called in keys; made on its first start.
fn agent(path: &Path) -> io::Result<String> {
    match std::fs::read_to_string(path) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let name = hex(&random()?[..8]);
    std::fs::write(path, &name)?;
    Ok(name)
}
