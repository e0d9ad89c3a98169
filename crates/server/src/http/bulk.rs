//! Elasticsearch's `_bulk`, and what its clients ask before they send.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use khien_ingest::batch::Span;
use khien_ingest::body::{self, Records, bulk};
use serde_json::{Value, json};

use super::error::Refused;
use super::ingest::{Delivery, Parameters, given_key, source_name, within_quota};
use super::{Shared, body as http_body};

/// Clients talk only to what says this of itself.
const PRODUCT: (HeaderName, &str) = (HeaderName::from_static("x-elastic-product"), "Elasticsearch");

/// The version whose protocol is spoken.
const VERSION: &str = "8.19.0";

/// An error as the protocol writes it.
struct Failure(Refused);

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self(refused)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let cause = json!({"type": self.0.code, "reason": self.0.message});
        let body = json!({
            "error": {"root_cause": [cause], "type": self.0.code, "reason": self.0.message},
            "status": self.0.status.as_u16(),
        });
        self.0.mark(([PRODUCT], Json(body)).into_response())
    }
}

/// `GET /`
pub(crate) async fn welcome() -> impl IntoResponse {
    let body = json!({
        "name": "khien",
        "cluster_name": "khien",
        "cluster_uuid": "_na_",
        "version": {
            "number": VERSION,
            "build_flavor": "default",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    });
    ([PRODUCT], Json(body))
}

/// `GET /_license`
pub(crate) async fn license() -> impl IntoResponse {
    ([PRODUCT], Json(json!({"license": {"status": "active", "type": "basic", "mode": "basic"}})))
}

/// `POST /_bulk`
pub(crate) async fn bulk(
    state: Shared,
    peer: ConnectInfo<SocketAddr>,
    parameters: Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let done = take(state, peer, parameters, None, headers, body).await;
    done.map_or_else(IntoResponse::into_response, |body| ([PRODUCT], Json(body)).into_response())
}

/// `POST /INDEX/_bulk`
pub(crate) async fn bulk_of(
    state: Shared,
    peer: ConnectInfo<SocketAddr>,
    parameters: Query<Parameters>,
    Path(index): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let done = take(state, peer, parameters, Some(index), headers, body).await;
    done.map_or_else(IntoResponse::into_response, |body| ([PRODUCT], Json(body)).into_response())
}

/// Takes all documents, those of each source as a batch of their own, and answers for each action.
async fn take(
    State(state): Shared,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Query(parameters): Query<Parameters>,
    index: Option<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Value, Failure> {
    let soc = state.senders.of(&headers).await?;
    let given = given_key(&headers)?;
    let bytes = http_body::read(&headers, body).await?;
    let parsed =
        bulk::parse(&bytes).map_err(|error| Refused::bad_request("illegal_argument_exception", error.to_string()))?;
    let mut sources: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    for item in &parsed.items {
        if let Ok(span) = item.document {
            let name = parameters.source.as_deref().or(item.index.as_deref()).or(index.as_deref());
            sources.entry(source_name(name)?).or_default().push(span);
        }
    }
    let count = sources.values().map(Vec::len).sum();
    within_quota(&state, &soc, count, bytes.len())?;
    for (source, spans) in sources {
        let key = Some(body::key(&soc.name, source, given, &bytes));
        let records = Records { body: bytes.clone(), spans, ..Records::default() };
        let delivery = Delivery { soc: &soc, source, protocol: "bulk", peer: Some(peer.ip()), key, records };
        state.intake.take(delivery).await.map_err(Refused::from)?;
    }
    Ok(answer(&parsed, index.as_deref(), &bytes))
}

/// What the protocol says of each action.
fn answer(bulk: &bulk::Bulk, index: Option<&str>, body: &Bytes) -> Value {
    let digest = body::key("", "", None, body).0;
    let generated = u64::from_le_bytes(digest[..8].try_into().unwrap_or_default());
    let items: Vec<Value> = (bulk.items.iter().enumerate())
        .map(|(number, item)| {
            let id = item.id.clone().unwrap_or_else(|| format!("{generated:016x}-{number}"));
            let index = item.index.as_deref().or(index).unwrap_or("default");
            let result = match &item.document {
                Ok(_) => json!({
                    "_index": index, "_id": id, "_version": 1, "result": "created", "_seq_no": number,
                    "_primary_term": 1, "status": StatusCode::CREATED.as_u16(),
                    "_shards": {"total": 1, "successful": 1, "failed": 0},
                }),
                Err(why) => json!({
                    "_index": index, "_id": id, "status": StatusCode::BAD_REQUEST.as_u16(),
                    "error": {"type": "illegal_argument_exception", "reason": why.to_string()},
                }),
            };
            json!({item.action: result})
        })
        .collect();
    json!({"took": 0, "errors": bulk.items.iter().any(|item| item.document.is_err()), "items": items})
}
