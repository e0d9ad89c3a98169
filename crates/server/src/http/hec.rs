//! Splunk's HTTP Event Collector.

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use khien_ingest::body::hec::{self, HecError};
use khien_ingest::body::{self, Records};
use serde_json::{Value, json};

use super::Shared;
use super::error::Refused;
use super::ingest::{Delivery, Parameters, given_key, source_name, within_quota};
use crate::tls::Peer;

/// An error as the protocol writes it.
enum Failure {
    Ours(Refused),
    Body(HecError),
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Ours(refused)
    }
}

/// Splunk's numbers for what we say.
fn code(refused: &Refused) -> u8 {
    match refused.code {
        "no_token" => 2,
        "wrong_token" => 4,
        "broken_body" | "too_large" => 6,
        _ if refused.status.is_server_error() || refused.status == StatusCode::TOO_MANY_REQUESTS => 9,
        _ => 6,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Ours(mut refused) => {
                if refused.code == "wrong_token" {
                    refused.status = StatusCode::FORBIDDEN;
                }
                let body = json!({"text": refused.message, "code": code(&refused)});
                refused.mark(Json(body).into_response())
            }
            Self::Body(error) => {
                let mut body = json!({"text": error.to_string(), "code": error.code()});
                if let Some(event) = error.event() {
                    body["invalid-event-number"] = event.into();
                }
                (StatusCode::BAD_REQUEST, Json(body)).into_response()
            }
        }
    }
}

/// `POST /services/collector/event`
pub(crate) async fn event(
    state: Shared,
    peer: ConnectInfo<Peer>,
    parameters: Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    take(state, peer, parameters, headers, body, hec::parse).await.into_response()
}

/// `POST /services/collector/raw`
pub(crate) async fn raw(
    state: Shared,
    peer: ConnectInfo<Peer>,
    parameters: Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    take(state, peer, parameters, headers, body, |bytes| hec::raw(bytes.clone())).await.into_response()
}

async fn take(
    State(state): Shared,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Body,
    parse: fn(&Bytes) -> Result<Records, HecError>,
) -> Result<Json<Value>, Failure> {
    let soc = state.senders.of(&headers, peer.certificate).await?;
    let source = source_name(parameters.source.as_deref())?;
    let given = given_key(&headers)?;
    let body = state.bodies.read(&headers, body).await?;
    let bytes = body.bytes.clone();
    let key = Some(body::key(&soc.name, source, given, &bytes));
    let records = parse(&bytes).map_err(Failure::Body)?;
    within_quota(&state, &soc, records.spans.len(), bytes.len())?;
    let delivery = Delivery { soc: &soc, source, protocol: "hec", peer: Some(peer.address.ip()), key, records };
    state.intake.take(delivery).await.map_err(Refused::from)?;
    Ok(Json(json!({"text": "Success", "code": 0})))
}

/// `GET /services/collector/health`
pub(crate) async fn health() -> Json<Value> {
    Json(json!({"text": "HEC is healthy", "code": 17}))
}
