//! The HTTP interface: taking in, asking, and saying how things are.

mod auth;
mod body;
mod bulk;
mod detections;
mod error;
mod hec;
mod hunts;
mod ingest;
mod otlp;
mod query;
mod search;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::connect_info::Connected;
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use khien_detections::Detections;
use khien_ingest::journal::Journal;
use khien_lake::{Limits, Reader};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::hunt::Hunts;
use crate::owners::Owners;
use crate::pipeline::Progress;
use crate::tls::{Peer, TlsListener};
use auth::Senders;

pub(crate) use auth::Authenticator;
pub(crate) use ingest::{Delivery, Intake};

/// Queries at once.
const QUERIES: usize = 4;

/// Longest body that is JSON and no events.
const JSON_BYTES: usize = 32 << 20;

/// What requests are answered from.
pub(crate) struct State {
    pub(crate) intake: Intake,
    pub(crate) senders: Senders,
    pub(crate) reader: Reader,
    /// What a query may cost.
    pub(crate) limits: Limits,
    /// Whose syslog comes in.
    pub(crate) owners: Owners,
    /// Room for queries; each may take as much memory as its limit says.
    pub(crate) queries: Arc<Semaphore>,
    pub(crate) progress: Arc<Progress>,
    /// Room for bodies.
    pub(crate) bodies: body::Room,
    pub(crate) detections: Detections,
    pub(crate) hunts: Hunts,
}

impl State {
    pub(crate) fn new(
        journal: Journal,
        authenticator: Authenticator,
        owners: Owners,
        (reader, limits): (Reader, Limits),
        progress: Arc<Progress>,
        detections: Detections,
        hunts: Hunts,
    ) -> Self {
        Self {
            intake: Intake::new(journal),
            senders: Senders::new(authenticator),
            reader,
            limits,
            owners,
            queries: Arc::new(Semaphore::new(QUERIES)),
            progress,
            bodies: body::Room::default(),
            detections,
            hunts,
        }
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self { address: *stream.remote_addr(), certificate: None }
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        *stream.remote_addr()
    }
}

type Shared = axum::extract::State<Arc<State>>;

/// All addresses.
pub(crate) fn router(state: Arc<State>) -> Router {
    let grpc = otlp::grpc(state.clone());
    Router::new()
        .route("/", get(bulk::welcome))
        .route("/_license", get(bulk::license))
        .route("/_bulk", post(bulk::bulk).put(bulk::bulk))
        .route("/{index}/_bulk", post(bulk::bulk_of).put(bulk::bulk_of))
        .route("/v1/ingest", post(ingest::ingest))
        .route("/v1/logs", post(otlp::logs))
        .route("/v1/query", post(query::query))
        .route("/v1/search", post(search::search))
        .route("/services/collector", post(hec::event))
        .route("/services/collector/event", post(hec::event))
        .route("/services/collector/event/1.0", post(hec::event))
        .route("/services/collector/raw", post(hec::raw))
        .route("/services/collector/health", get(hec::health))
        .merge(detections::router())
        .merge(hunts::router())
        .route("/v1/openapi.json", get(status::openapi))
        .route("/healthz", get(status::health))
        .route("/readyz", get(status::ready))
        .route("/metrics", get(status::metrics))
        .fallback(error::not_found)
        // Events are read with bounds of their own.
        .layer(DefaultBodyLimit::max(JSON_BYTES))
        .with_state(state)
        .route_service(otlp::GRPC, grpc)
}
