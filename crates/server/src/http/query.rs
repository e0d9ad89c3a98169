//! `POST /v1/query`: SQL over what the asker may see.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use futures::stream;
use khien_lake::{Output, QueryError};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
use super::auth::By;
use super::error::Refused;
use crate::pipeline::chain;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    sql: String,
    /// `json`, `ndjson`, `csv` or `arrow`; otherwise what the header `Accept` asks for, and JSON in the end.
    format: Option<String>,
}

impl From<QueryError> for Refused {
    fn from(error: QueryError) -> Self {
        let (status, code) = match &error {
            QueryError::Sql(_) | QueryError::OnlyQueries => (StatusCode::BAD_REQUEST, "sql"),
            QueryError::Search(_) | QueryError::Invalid(_) => (StatusCode::BAD_REQUEST, "search"),
            QueryError::Time(_) => (StatusCode::UNPROCESSABLE_ENTITY, "query_time"),
            QueryError::Memory(_) => (StatusCode::UNPROCESSABLE_ENTITY, "query_memory"),
            QueryError::Rows(_) => (StatusCode::UNPROCESSABLE_ENTITY, "query_rows"),
            QueryError::Lake(_) | QueryError::Output(_) | QueryError::Missing(_) => {
                tracing::error!(error = %chain(&error), "a query failed");
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, "lake", "the lake cannot be read now");
            }
        };
        Self::new(status, code, error.to_string())
    }
}

fn output(format: Option<&str>, headers: &HeaderMap) -> Result<Output, Refused> {
    let named = |name: &str| match name {
        "json" => Some(Output::Json),
        "ndjson" => Some(Output::Ndjson),
        "csv" => Some(Output::Csv),
        "arrow" => Some(Output::Arrow),
        _ => None,
    };
    if let Some(format) = format {
        let message = || format!("format `{format}` is not known; json, ndjson, csv and arrow are");
        return named(format).ok_or_else(|| Refused::bad_request("format", message()));
    }
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wanted = accept.split(',').filter_map(|item| match item.split(';').next().unwrap_or_default().trim() {
        "application/json" => Some(Output::Json),
        "application/x-ndjson" => Some(Output::Ndjson),
        "text/csv" => Some(Output::Csv),
        "application/vnd.apache.arrow.stream" => Some(Output::Arrow),
        _ => None,
    });
    Ok(wanted.into_iter().next().unwrap_or(Output::Json))
}

/// Room for one more query.
pub(super) fn room(state: &super::State) -> Result<OwnedSemaphorePermit, Refused> {
    state.queries.clone().try_acquire_owned().map_err(|_| {
        let message = "other queries are being answered, ask again a little later";
        Refused::new(StatusCode::TOO_MANY_REQUESTS, "busy", message).retry_after(2_000)
    })
}

pub(crate) async fn query(
    State(state): Shared,
    By(caller): By,
    headers: HeaderMap,
    question: Result<Json<Question>, JsonRejection>,
) -> Result<Response, Refused> {
    let Json(question) = question.map_err(|error| Refused::bad_request("question", error.body_text()))?;
    let output = output(question.format.as_deref(), &headers)?;
    let scope = caller.scope();
    let room = room(&state)?;
    let mut written = state.reader.query(&question.sql, &scope, state.limits).await?.write(output)?;
    // What fails before the first rows is still an error of the request; later the answer ends early.
    let first = written.next().await?;
    let rest = stream::try_unfold((written, room), |(mut written, room)| async {
        let bytes = written.next().await.inspect_err(|error| tracing::warn!(%error, "an answer ended early"))?;
        Ok::<_, QueryError>(bytes.map(|bytes| (Bytes::from(bytes), (written, room))))
    });
    let all = futures::StreamExt::chain(stream::iter(first.map(|bytes| Ok(Bytes::from(bytes)))), rest);
    let response = Response::builder().header(header::CONTENT_TYPE, output.media_type());
    response
        .body(Body::from_stream(all))
        .map_err(|_| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the answer cannot be sent"))
}
