//! Starting and stopping a server.

use std::future::IntoFuture as _;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener as _;
use khien_detect::indicators::IndicatorSet;
use khien_detect::rule::load::RuleSet;
use khien_detections::{Detections, DetectionsError};
use khien_identity::Identity;
use khien_ingest::journal::{Journal, OpenError, Options, RealDisk, Running};
use khien_lake::{LakeError, Limits, Writer};
use khien_sources::{Keeping, Sources, SourcesError};
use khien_store::StoreError;
use thiserror::Error;
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::alerting::Alerting;
use crate::enrich::{Enriching, Knowledge, KnowledgeError};
use crate::http::{self, Authenticator, Intake, State};
use crate::hunt::Hunts;
use crate::keeper::Keeper;
use crate::ledger::Ledger;
use crate::owners::Owners;
use crate::paths::Paths;
use crate::pipeline::{Committer, Correlating, Pipeline, Progress};
use crate::rules::InForce;
use crate::tls::{Peer, TlsListener};
use crate::{modules, syslog, tls};

/// What a server is started with.
pub struct Setup {
    /// The data folder.
    pub data: PathBuf,
    /// Address of the state database, when it is not in the data folder: `postgres://...`.
    pub state: Option<String>,
    /// Where HTTP is spoken.
    pub listen: SocketAddr,
    /// Where HTTP is spoken over TLS.
    pub https: Option<SocketAddr>,
    /// Certificate chain and private key, as PEM files.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Memory that one query may take, in bytes; beyond that it uses the disk.
    pub query_memory_bytes: usize,
    /// Where syslog is.
    pub syslog: Syslog,
    /// The rules that all events are matched against, whatever packs there are.
    pub rules: RuleSet,
    /// Indicators that are looked for in all events.
    pub indicators: Option<IndicatorSet>,
    /// What is known of addresses and names.
    pub knowledge: Knowledge,
    /// Threads that decode and match; 0 for one a processor.
    pub threads: usize,
}

/// Listeners for syslog.
#[derive(Clone, Debug, Default)]
pub struct Syslog {
    /// Datagrams.
    pub udp: Option<SocketAddr>,
    /// Plain streams.
    pub tcp: Option<SocketAddr>,
    /// Streams in TLS 1.2 or 1.3.
    pub tls: Option<SocketAddr>,
    /// Name of the SOC whose messages these are, when neither certificate nor address says another one.
    pub soc: Option<String>,
}

/// Why a server cannot be started.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The data folder cannot be used.
    #[error("cannot use the data folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// An address cannot be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The lake cannot be opened.
    #[error("cannot open the lake")]
    Lake(#[from] LakeError),
    /// The state database cannot be opened.
    #[error("cannot open the state database")]
    Store(#[from] StoreError),
    /// The SOC of the syslog listeners is not there.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// The packs in force cannot be read.
    #[error(transparent)]
    Detections(#[from] DetectionsError),
    /// What is known of addresses cannot be read.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    /// TLS needs a certificate.
    #[error("TLS needs --tls-cert and --tls-key")]
    NoCertificate,
    /// Certificate or key cannot be used.
    #[error("cannot use the certificate {path}: {reason}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// A server that runs.
pub struct Server {
    /// Where HTTP is spoken.
    pub address: SocketAddr,
    /// Where HTTP is spoken over TLS.
    pub https: Option<SocketAddr>,
    /// Where syslog is spoken.
    pub syslog: Vec<(&'static str, SocketAddr)>,
    stop: watch::Sender<bool>,
    listeners: JoinSet<()>,
    http: JoinSet<io::Result<()>>,
    hunts: Hunts,
    pipeline: Pipeline,
    /// To be closed; others may have it still.
    intake: Journal,
    journal: Running,
    _queries: Queries,
}

/// Threads for queries, so that these delay neither senders nor each other's beginning.
struct Queries(Option<Runtime>);

impl Queries {
    fn start(threads: usize) -> io::Result<Self> {
        let builder = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("query")
            .enable_all()
            .build();
        builder.map(|runtime| Self(Some(runtime)))
    }

    fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }
}

impl Drop for Queries {
    fn drop(&mut self) {
        // Whoever waits for an answer has gone; queries that still run end where they are.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Starts a server. It answers as soon as this returns.
///
/// # Errors
/// When something it needs cannot be used.
pub async fn start(setup: Setup) -> Result<Server, ServeError> {
    let failed = |source| ServeError::Folder { path: setup.data.clone(), source };
    let paths = Paths::create(&setup.data).map_err(failed)?;
    let own = paths.state();
    let db = khien_store::connect(setup.state.as_deref().unwrap_or(&own)).await?;
    modules::migrate(&db).await?;
    let sources = Sources::new(db.clone());
    let writer = Writer::open(&paths.lake().map_err(failed)?).await?;
    let committed = writer.committed();
    let (journal, running) = open_journal(&paths, committed.events)?;
    let intake = Intake::new(journal.clone());
    let (stop, stopping) = watch::channel(false);
    let owners = owners(&setup.syslog, &sources).await?;
    let enriching = Enriching::open(setup.knowledge.clone())?;

    let shown = setup.identity.clone().map(tls::Identity::open).transpose()?;
    let greeter = match setup.https {
        Some(address) => Some(listen_https(address, shown.as_ref()).await?),
        None => None,
    };
    let http = TcpListener::bind(setup.listen).await;
    let http = http.map_err(|source| ServeError::Listen { address: setup.listen, source })?;
    let address = http.local_addr().map_err(|source| ServeError::Listen { address: setup.listen, source })?;
    let mut listeners = JoinSet::new();
    let sink = syslog::Sink { intake: intake.clone(), owners: owners.clone(), stop: stopping.clone() };
    let syslog = listen_syslog((&setup.syslog, shown.as_ref()), &sink, &mut listeners).await?;
    listeners.spawn(owners.clone().run(stopping.clone()));

    let detections = Detections::new(db.clone());
    let progress = Arc::new(Progress::default());
    let mut keeper = Keeper::new(detections.clone(), setup.rules, setup.indicators, progress.clone());
    let rules = InForce::new(keeper.rules().await?);
    let correlating = Correlating::open(rules.get(), paths.correlations(), committed.events);
    let queries = Queries::start(workers(setup.threads)).map_err(ServeError::Thread)?;
    let reader = writer.reader().spilling_to(paths.spilled().map_err(failed)?);
    let reader = queries.handle().into_iter().fold(reader, khien_lake::Reader::on);
    let commit = Committer::new(
        journal.trimmer(),
        Some(paths.lake_folder()),
        correlating,
        Keeping::new(db.clone()),
        progress.clone(),
    );
    let pipeline = Pipeline::start(&journal, (&rules, &enriching), writer, commit, workers(setup.threads));
    listeners.spawn(enriching.run(stopping.clone()));
    if let Some(shown) = shown {
        listeners.spawn(shown.run(stopping.clone()));
    }
    listeners.spawn(keeper.run(rules, stopping.clone()));
    let newest = reader.clone().forgetful();
    let alerting = Alerting { detections: detections.clone(), reader: newest.clone(), progress: progress.clone() };
    listeners.spawn(alerting.run(stopping.clone()));
    let ledger =
        Ledger { detections: detections.clone(), sources: sources.clone(), reader: newest, progress: progress.clone() };
    listeners.spawn(ledger.run(stopping.clone()));
    let hunts = Hunts::open(reader.clone(), paths.hunts(), workers(setup.threads)).map_err(failed)?;
    let authenticator = Authenticator { sources, identity: Identity::new(db) };
    let limits = Limits { memory_bytes: setup.query_memory_bytes, ..Limits::default() };
    let intake = journal.clone();
    let state =
        State::new(journal, authenticator, owners.clone(), (reader, limits), progress, detections, hunts.clone());
    let router = http::router(Arc::new(state));
    let mut serving = JoinSet::new();
    let service = router.clone().into_make_service_with_connect_info::<Peer>();
    let serve = axum::serve(http, service).with_graceful_shutdown(until(stopping.clone()));
    serving.spawn(serve.into_future());
    let mut https = None;
    if let Some(listener) = greeter {
        https = listener.local_addr().ok().map(|peer| peer.address);
        let service = router.into_make_service_with_connect_info::<Peer>();
        let serve = axum::serve(listener, service).with_graceful_shutdown(until(stopping.clone()));
        serving.spawn(serve.into_future());
    }
    Ok(Server {
        address,
        https,
        syslog,
        stop,
        listeners,
        http: serving,
        hunts,
        pipeline: pipeline.map_err(ServeError::Thread)?,
        intake,
        journal: running,
        _queries: queries,
    })
}

/// How long clients may take to let go of their connections when the server stops.
const GRACE: Duration = Duration::from_secs(10);

impl Server {
    /// Stops in order: nothing more is taken in, and everything taken in is committed.
    pub async fn stop(mut self) {
        // Listeners that have ended already do not hear it.
        self.stop.send(true).ok();
        while self.listeners.join_next().await.is_some() {}
        self.hunts.stop().await;
        let ended = async {
            while let Some(ended) = self.http.join_next().await {
                match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!(%error, "the HTTP server failed"),
                    Err(error) => tracing::error!(%error, "the HTTP server did not end in order"),
                }
            }
        };
        if timeout(GRACE, ended).await.is_err() {
            tracing::warn!("connections that clients do not let go are cut");
        }
        // Then the pipeline ends behind what was taken in.
        self.intake.close();
        let journal = self.journal;
        if tokio::task::spawn_blocking(move || journal.join()).await.is_err() {
            tracing::error!("the journal did not end in order");
        }
        self.pipeline.join().await;
    }
}

fn workers(threads: usize) -> usize {
    match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

fn open_journal(paths: &Paths, committed: u64) -> Result<(Journal, Running), OpenError> {
    let (journal, running, found) = Journal::open(&paths.journal(), committed, Options::default(), Box::new(RealDisk))?;
    if found.cut_bytes > 0 {
        tracing::info!(bytes = found.cut_bytes, "a write that was never acknowledged was cut off the journal");
    }
    for path in &found.damaged {
        tracing::error!(path = %path.display(), "a file of the journal is damaged; it is kept as it is");
    }
    Ok((journal, running))
}

/// Who says whose syslog comes in.
async fn owners(setup: &Syslog, sources: &Sources) -> Result<Owners, ServeError> {
    let otherwise = match &setup.soc {
        Some(name) => Some(Arc::new(sources.named(name).await?)),
        None => None,
    };
    Ok(Owners::new(sources.clone(), otherwise).await?)
}

/// Ends when the server is to stop.
async fn until(mut stopping: watch::Receiver<bool>) {
    // An error means that the server is gone.
    drop(stopping.wait_for(|stop| *stop).await);
}

/// Listens for HTTP over TLS.
async fn listen_https(address: SocketAddr, identity: Option<&Arc<tls::Identity>>) -> Result<TlsListener, ServeError> {
    let acceptor = tls::acceptor(identity, &[b"h2", b"http/1.1"])?;
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    TlsListener::new(listener, acceptor).map_err(failed)
}

/// Starts the listeners for syslog; where they are.
async fn listen_syslog(
    (setup, identity): (&Syslog, Option<&Arc<tls::Identity>>),
    sink: &syslog::Sink,
    listeners: &mut JoinSet<()>,
) -> Result<Vec<(&'static str, SocketAddr)>, ServeError> {
    let mut bound = Vec::new();
    if let Some(address) = setup.udp {
        let failed = |source| ServeError::Listen { address, source };
        let socket = UdpSocket::bind(address).await.map_err(failed)?;
        bound.push(("udp", socket.local_addr().map_err(failed)?));
        listeners.spawn(syslog::udp(socket, sink.clone()));
    }
    let tls = match setup.tls {
        Some(_) => Some(tls::acceptor(identity, &[])?),
        None => None,
    };
    for (name, address, tls) in [("tcp", setup.tcp, None), ("tls", setup.tls, tls)] {
        let Some(address) = address else { continue };
        let failed = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        bound.push((name, listener.local_addr().map_err(failed)?));
        listeners.spawn(syslog::tcp(listener, tls, sink.clone()));
    }
    Ok(bound)
}
