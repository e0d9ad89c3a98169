//! `POST /v1/search`: the search language of analysts, over what the asker may see.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::IntoResponse;
use khien_lake::{Found, Search};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Shared;
use super::auth::By;
use super::detections::in_json;
use super::error::Refused;
use super::query::room;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// In the search language; everything when empty.
    #[serde(default)]
    query: String,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    #[serde(default = "usual_limit")]
    limit: usize,
    /// `next` of the page before.
    after: Option<String>,
    #[serde(default)]
    facets: Vec<String>,
    #[serde(default)]
    buckets: usize,
}

/// Hits on a page when nothing is said.
fn usual_limit() -> usize {
    100
}

#[derive(Serialize)]
struct Answer {
    total: u64,
    events: Vec<Box<RawValue>>,
    next: Option<String>,
    bucket_ms: i64,
    histogram: Vec<Bucket>,
    facets: Vec<Facet>,
}

#[derive(Serialize)]
struct Bucket {
    from_ms: i64,
    count: u64,
}

#[derive(Serialize)]
struct Facet {
    field: String,
    values: Vec<Value>,
}

#[derive(Serialize)]
struct Value {
    value: String,
    count: u64,
}

impl From<Found> for Answer {
    fn from(found: Found) -> Self {
        let values = |values: Vec<(String, u64)>| values.into_iter().map(|(value, count)| Value { value, count });
        Self {
            total: found.total,
            events: found.events,
            next: found.next.map(|(us, id)| format!("{us}:{id}")),
            bucket_ms: found.bucket_us / 1_000,
            histogram: (found.histogram.into_iter())
                .map(|(us, count)| Bucket { from_ms: us.div_euclid(1_000), count })
                .collect(),
            facets: (found.facets.into_iter())
                .map(|facet| Facet { field: facet.field, values: values(facet.values).collect() })
                .collect(),
        }
    }
}

/// A cursor as [`Answer`] writes it.
fn cursor(text: &str) -> Result<(i64, i64), Refused> {
    let parts = text.split_once(':').and_then(|(us, id)| Some((us.parse().ok()?, id.parse().ok()?)));
    parts.ok_or_else(|| Refused::bad_request("after", "`after` is `next` of the page before"))
}

pub(crate) async fn search(
    State(state): Shared,
    By(caller): By,
    body: Result<Json<Request>, JsonRejection>,
) -> Result<impl IntoResponse, Refused> {
    let request = in_json(body)?;
    let search = Search {
        query: request.query,
        from_us: request.from_ms.map(|ms| ms.saturating_mul(1_000)),
        to_us: request.to_ms.map(|ms| ms.saturating_mul(1_000)),
        limit: request.limit,
        after: request.after.as_deref().map(cursor).transpose()?,
        facets: request.facets,
        buckets: request.buckets,
    };
    let _room = room(&state)?;
    let found = state.reader.search(search, &caller.scope(), state.limits).await?;
    Ok(Json(Answer::from(found)))
}
