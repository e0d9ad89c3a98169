//! Elasticsearch's `_bulk`, and what its clients ask before they send.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use khien_ingest::batch::{Key, Span};
use khien_ingest::body::{self, Records, bulk};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::json;

use super::Shared;
use super::error::Refused;
use super::ingest::{Delivery, Parameters, given_key, source_name, within_quota};
use crate::tls::Peer;

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
    peer: ConnectInfo<Peer>,
    parameters: Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let done = take(state, peer, parameters, None, headers, body).await;
    done.unwrap_or_else(IntoResponse::into_response)
}

/// `POST /INDEX/_bulk`
pub(crate) async fn bulk_of(
    state: Shared,
    peer: ConnectInfo<Peer>,
    parameters: Query<Parameters>,
    Path(index): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let done = take(state, peer, parameters, Some(index), headers, body).await;
    done.unwrap_or_else(IntoResponse::into_response)
}

/// Takes all documents, those of each source as a batch of their own, and answers for each action.
async fn take(
    State(state): Shared,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(parameters): Query<Parameters>,
    index: Option<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let soc = state.senders.of(&headers, peer.certificate).await?;
    let given = given_key(&headers)?;
    let body = state.bodies.read(&headers, body).await?;
    let bytes = body.bytes.clone();
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
    let mut batch = None;
    for (source, spans) in sources {
        let key = Some(body::key(&soc.name, source, given, &bytes));
        batch = batch.or(key);
        let records = Records { body: bytes.clone(), spans, ..Records::default() };
        let delivery = Delivery { soc: &soc, source, protocol: "bulk", peer: Some(peer.address.ip()), key, records };
        state.intake.take(delivery).await.map_err(Refused::from)?;
    }
    Ok(answer(&parsed, index.as_deref(), batch))
}

/// What the protocol says of all actions.
#[derive(Serialize)]
struct Answer<'a> {
    took: u8,
    errors: bool,
    items: Vec<Done<'a>>,
}

/// What it says of one: an object under the name of the action.
struct Done<'a> {
    action: &'static str,
    said: Said<'a>,
}

impl Serialize for Done<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.action, &self.said)?;
        map.end()
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Said<'a> {
    Created {
        #[serde(rename = "_index")]
        index: &'a str,
        #[serde(rename = "_id")]
        id: Cow<'a, str>,
        #[serde(rename = "_version")]
        version: u8,
        result: &'static str,
        #[serde(rename = "_seq_no")]
        seq_no: usize,
        #[serde(rename = "_primary_term")]
        primary_term: u8,
        status: u16,
        #[serde(rename = "_shards")]
        shards: Shards,
    },
    Refused {
        #[serde(rename = "_index")]
        index: &'a str,
        #[serde(rename = "_id")]
        id: Cow<'a, str>,
        status: u16,
        error: Reason,
    },
}

#[derive(Serialize)]
struct Shards {
    total: u8,
    successful: u8,
    failed: u8,
}

#[derive(Serialize)]
struct Reason {
    r#type: &'static str,
    reason: String,
}

/// What the protocol says of each action. Documents without an id are named after the batch.
fn answer(bulk: &bulk::Bulk, index: Option<&str>, batch: Option<Key>) -> Response {
    let batch = batch.map_or(0, |Key(digest)| u64::from_le_bytes(digest[..8].try_into().unwrap_or_default()));
    let items = bulk.items.iter().enumerate().map(|(number, item)| {
        let id = match &item.id {
            Some(id) => Cow::Borrowed(id.as_str()),
            None => Cow::Owned(format!("{batch:016x}-{number}")),
        };
        let index = item.index.as_deref().or(index).unwrap_or("default");
        let said = match &item.document {
            Ok(_) => Said::Created {
                index,
                id,
                version: 1,
                result: "created",
                seq_no: number,
                primary_term: 1,
                status: StatusCode::CREATED.as_u16(),
                shards: Shards { total: 1, successful: 1, failed: 0 },
            },
            Err(why) => Said::Refused {
                index,
                id,
                status: StatusCode::BAD_REQUEST.as_u16(),
                error: Reason { r#type: "illegal_argument_exception", reason: why.to_string() },
            },
        };
        Done { action: item.action, said }
    });
    let errors = bulk.items.iter().any(|item| item.document.is_err());
    ([PRODUCT], Json(Answer { took: 0, errors, items: items.collect() })).into_response()
}
