//! Starting and stopping a server.

use std::future::IntoFuture as _;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use khien_detect::indicators::IndicatorSet;
use khien_detect::rule::load::RuleSet;
use khien_detections::{Detections, DetectionsError};
use khien_identity::Identity;
use khien_ingest::journal::{Journal, OpenError, Options, RealDisk, Running};
use khien_lake::{LakeError, Writer};
use khien_sources::{Keeping, Sources, SourcesError};
use khien_store::StoreError;
use thiserror::Error;
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::alerting::Alerting;
use crate::http::{self, Authenticator, Intake, State};
use crate::hunt::Hunts;
use crate::keeper::Keeper;
use crate::ledger::Ledger;
use crate::paths::Paths;
use crate::pipeline::{Committer, Correlating, Pipeline, Progress};
use crate::rules::InForce;
use crate::{modules, syslog};

/// What a server is started with.
pub struct Setup {
    /// The data folder.
    pub data: PathBuf,
    /// Address of the state database, when it is not in the data folder: `postgres://...`.
    pub state: Option<String>,
    /// Where HTTP is spoken.
    pub listen: SocketAddr,
    /// Where syslog is.
    pub syslog: Syslog,
    /// The rules that all events are matched against, whatever packs there are.
    pub rules: RuleSet,
    /// Indicators that are looked for in all events.
    pub indicators: Option<IndicatorSet>,
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
    /// Certificate chain and private key, as PEM files.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Name of the SOC whose messages these are.
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
    /// Syslog listeners need to know whose messages come in.
    #[error("syslog listeners need --syslog-source: the SOC whose messages these are")]
    NoSyslogSource,
    /// TLS needs a certificate.
    #[error("--syslog-tls needs --tls-cert and --tls-key")]
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
    /// Where syslog is spoken.
    pub syslog: Vec<(&'static str, SocketAddr)>,
    stop: watch::Sender<bool>,
    listeners: JoinSet<()>,
    http: JoinHandle<io::Result<()>>,
    hunts: Hunts,
    pipeline: Pipeline,
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
    let sinks = syslog_sink(&setup.syslog, &sources, &intake, &stopping).await?;

    let http = TcpListener::bind(setup.listen).await;
    let http = http.map_err(|source| ServeError::Listen { address: setup.listen, source })?;
    let address = http.local_addr().map_err(|source| ServeError::Listen { address: setup.listen, source })?;
    let mut listeners = JoinSet::new();
    let syslog = match sinks {
        Some(sink) => listen_syslog(&setup.syslog, &sink, &mut listeners).await?,
        None => Vec::new(),
    };

    let detections = Detections::new(db.clone());
    let progress = Arc::new(Progress::default());
    let mut keeper = Keeper::new(detections.clone(), setup.rules, setup.indicators, progress.clone());
    let rules = InForce::new(keeper.rules().await?);
    let correlating = Correlating::open(rules.get(), paths.correlations(), committed.events);
    let queries = Queries::start(workers(setup.threads)).map_err(ServeError::Thread)?;
    let reader = queries.handle().into_iter().fold(writer.reader(), khien_lake::Reader::on);
    let commit = Committer::new(
        journal.trimmer(),
        Some(paths.lake_folder()),
        correlating,
        Keeping::new(db.clone()),
        progress.clone(),
    );
    let pipeline = Pipeline::start(&journal, &rules, writer, commit, workers(setup.threads));
    listeners.spawn(keeper.run(rules, stopping.clone()));
    let alerting = Alerting { detections: detections.clone(), reader: reader.clone(), progress: progress.clone() };
    listeners.spawn(alerting.run(stopping.clone()));
    let ledger = Ledger { detections: detections.clone(), reader: reader.clone(), progress: progress.clone() };
    listeners.spawn(ledger.run(stopping.clone()));
    let hunts = Hunts::open(reader.clone(), paths.hunts(), workers(setup.threads)).map_err(failed)?;
    let authenticator = Authenticator { sources, identity: Identity::new(db) };
    let state = Arc::new(State::new(journal, authenticator, reader, progress, detections, hunts.clone()));
    let service = http::router(state).into_make_service_with_connect_info::<SocketAddr>();
    let mut stopped = stopping.clone();
    let serve = axum::serve(http, service).with_graceful_shutdown(async move {
        // An error means that the server is gone.
        drop(stopped.wait_for(|stop| *stop).await);
    });
    Ok(Server {
        address,
        syslog,
        stop,
        listeners,
        http: tokio::spawn(serve.into_future()),
        hunts,
        pipeline: pipeline.map_err(ServeError::Thread)?,
        journal: running,
        _queries: queries,
    })
}

impl Server {
    /// Stops in order: nothing more is taken in, and everything taken in is committed.
    pub async fn stop(mut self) {
        // Listeners that have ended already do not hear it.
        self.stop.send(true).ok();
        while self.listeners.join_next().await.is_some() {}
        self.hunts.stop().await;
        match self.http.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the HTTP server failed"),
            Err(error) => tracing::error!(%error, "the HTTP server did not end in order"),
        }
        // Now nobody has the journal any more, so that it closes and the pipeline ends.
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

/// Where syslog goes, when some listener is wanted.
async fn syslog_sink(
    setup: &Syslog,
    sources: &Sources,
    intake: &Intake,
    stop: &watch::Receiver<bool>,
) -> Result<Option<syslog::Sink>, ServeError> {
    if setup.udp.or(setup.tcp).or(setup.tls).is_none() {
        return Ok(None);
    }
    let name = setup.soc.as_deref().ok_or(ServeError::NoSyslogSource)?;
    let soc = Arc::new(sources.named(name).await?);
    Ok(Some(syslog::Sink { intake: intake.clone(), soc, stop: stop.clone() }))
}

/// Starts the listeners for syslog; where they are.
async fn listen_syslog(
    setup: &Syslog,
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
        Some(_) => Some(acceptor(setup)?),
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

/// What greets TLS clients.
fn acceptor(setup: &Syslog) -> Result<TlsAcceptor, ServeError> {
    let (certificate, key) = setup.identity.as_ref().ok_or(ServeError::NoCertificate)?;
    let failed = |path: &PathBuf, reason: String| ServeError::Certificate { path: path.clone(), reason };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| failed(certificate, error.to_string()))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        // Version 1.2 too: rsyslog as Debian 12 has it speaks nothing newer.
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| failed(certificate, error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
