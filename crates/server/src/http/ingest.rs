//! `POST /v1/ingest`, and the way that all protocols take to the journal.

use std::net::IpAddr;

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode};
use khien_ingest::batch::{Batch, Key, Origin, RECORDS};
use khien_ingest::body::{self, Records, lines};
use khien_ingest::journal::{Journal, Receipt, Refusal};
use khien_sources::Soc;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::Shared;
use super::error::Refused;
use crate::system::now_ms;
use crate::tls::Peer;

/// Appends to the journal and waits until it is durable.
#[derive(Clone)]
pub(crate) struct Intake {
    journal: Journal,
}

/// Records on their way to the journal, with what their sender said about them.
pub(crate) struct Delivery<'a> {
    pub(crate) soc: &'a Soc,
    pub(crate) source: &'a str,
    pub(crate) protocol: &'static str,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) key: Option<Key>,
    pub(crate) records: Records,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let busy = |code, message: &str| Self::new(StatusCode::TOO_MANY_REQUESTS, code, message).retry_after(1_000);
        match refusal {
            Refusal::Busy => busy("busy", "too much is under way, send it again a little later"),
            Refusal::Backlog => {
                busy("backlog", "what came before is not processed yet, send it again later").retry_after(5_000)
            }
            Refusal::Full => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage_full", "the disk is full").retry_after(30_000)
            }
            Refusal::Failed(_) | Refusal::Closed => {
                let message = "nothing can be stored now, send it again later";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage_failed", message).retry_after(5_000)
            }
            Refusal::TooLarge => {
                let message = format!("a request may hold {RECORDS} records; send smaller batches");
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
            }
        }
    }
}

impl Intake {
    pub(crate) fn new(journal: Journal) -> Self {
        Self { journal }
    }

    /// The journal.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Takes records, after which they are durable. Nothing is to be done for none.
    pub(crate) async fn take(&self, delivery: Delivery<'_>) -> Result<Option<Receipt>, Refusal> {
        let Records { body, spans, extras, .. } = delivery.records;
        if spans.is_empty() {
            return Ok(None);
        }
        let origin = Origin {
            organisation: delivery.soc.name.clone(),
            source: delivery.source.to_owned(),
            protocol: delivery.protocol.to_owned(),
            received_ms: now_ms(),
            peer: delivery.peer,
            key: delivery.key,
        };
        let (answer, wait) = oneshot::channel();
        let done = move |result| {
            // Who has gone away needs no answer.
            answer.send(result).ok();
        };
        self.journal.append(Batch { origin, spans, extras, body }, done)?;
        wait.await.unwrap_or(Err(Refusal::Closed)).map(Some)
    }
}

/// Longest name of a source, in bytes.
const SOURCE_BYTES: usize = 200;

/// The name of a source, `default` when the sender gives none.
pub(crate) fn source_name(given: Option<&str>) -> Result<&str, Refused> {
    match given.map(str::trim) {
        None | Some("") => Ok("default"),
        Some(name) if name.len() > SOURCE_BYTES || name.chars().any(char::is_control) => {
            let message = format!("the name of a source has at most {SOURCE_BYTES} bytes and no control characters");
            Err(Refused::bad_request("source_name", message))
        }
        Some(name) => Ok(name),
    }
}

/// Takes records from the quota of their sender.
pub(crate) fn within_quota(state: &super::State, soc: &Soc, records: usize, bytes: usize) -> Result<(), Refused> {
    state.senders.take(soc, records as u64, bytes as u64).map_err(|exceeded| {
        let message = format!("the quota `{}` of {} is used up", exceeded.limit, soc.name);
        Refused::new(StatusCode::TOO_MANY_REQUESTS, "quota", message).retry_after(exceeded.retry_ms)
    })
}

/// What every protocol takes in the address.
#[derive(Deserialize)]
pub(crate) struct Parameters {
    pub(crate) source: Option<String>,
}

/// What became of a request.
#[derive(Serialize)]
pub(crate) struct Accepted {
    accepted: u64,
    rejected: u64,
}

/// Longest `Idempotency-Key`, in bytes.
const KEY_BYTES: usize = 255;

/// The key that a sender gave a request.
pub(crate) fn given_key(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=KEY_BYTES).contains(&key.len()) => Ok(Some(key)),
        _ => Err(Refused::bad_request("idempotency_key", "Idempotency-Key is 1 to 255 visible ASCII characters")),
    }
}

pub(crate) async fn ingest(
    State(state): Shared,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Accepted>, Refused> {
    let soc = state.senders.of(&headers, peer.certificate).await?;
    let source = source_name(parameters.source.as_deref())?;
    let given = given_key(&headers)?;
    let body = state.bodies.read(&headers, body).await?;
    let bytes = body.bytes.clone();
    let key = body::key(&soc.name, source, given, &bytes);
    let records = lines::records(bytes);
    let (accepted, rejected) = (records.spans.len() as u64, records.rejected);
    within_quota(&state, &soc, records.spans.len(), records.body.len())?;
    let peer = Some(peer.address.ip());
    let delivery = Delivery { soc: &soc, source, protocol: "ndjson", peer, key: Some(key), records };
    state.intake.take(delivery).await?;
    Ok(Json(Accepted { accepted, rejected }))
}
