//! Packs, exceptions, alerts and suppressions over HTTP.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use khien_detections::{
    AlertChange, AlertFilter, ContentError, CoverageFilter, DetectionsError, Entry, NewException, NewSuppression,
    read_pack,
};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::Shared;
use super::auth::By;
use super::error::Refused;
use crate::pipeline::chain;

/// All addresses of this part.
pub(super) fn router() -> Router<Arc<super::State>> {
    Router::new()
        .route("/v1/packs", get(packs))
        .route("/v1/packs/{name}", put(add_pack).get(pack))
        .route("/v1/packs/{name}/content", get(pack_content))
        .route("/v1/packs/{name}/live", post(go_live).delete(retire))
        .route("/v1/exception-lists", get(lists))
        .route("/v1/exception-lists/{name}", put(put_list).delete(remove_list))
        .route("/v1/exceptions", get(exceptions).post(add_exception))
        .route("/v1/exceptions/{id}", delete(remove_exception))
        .route("/v1/alerts", get(alerts))
        .route("/v1/alerts/{id}", get(alert).patch(change_alert))
        .route("/v1/coverage", get(coverage))
        .route("/v1/suppressions", get(suppressions).post(suppress))
        .route("/v1/suppressions/{id}", delete(end_suppression))
}

impl From<DetectionsError> for Refused {
    fn from(error: DetectionsError) -> Self {
        let (status, code) = match &error {
            DetectionsError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid"),
            DetectionsError::Unknown(_) => (StatusCode::NOT_FOUND, "unknown"),
            DetectionsError::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            DetectionsError::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            DetectionsError::Store(_) => {
                tracing::error!(error = %chain(&error), "the state database failed");
                let message = "the state database does not answer";
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, "state_unavailable", message).retry_after(1_000);
            }
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<ContentError> for Refused {
    fn from(error: ContentError) -> Self {
        let status = match error {
            ContentError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            ContentError::Broken(_) | ContentError::Empty(_) => StatusCode::BAD_REQUEST,
        };
        Self::new(status, "pack", error.to_string())
    }
}

/// What is in a body that should be JSON.
pub(super) fn in_json<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Refused> {
    body.map(|Json(value)| value).map_err(|error| Refused::bad_request("body", error.body_text()))
}

/// What an address says.
pub(super) fn in_path<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Refused> {
    path.map(|Path(value)| value).map_err(|error| Refused::bad_request("path", error.body_text()))
}

/// What stands behind the question mark.
pub(super) fn in_query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Refused> {
    query.map(|Query(value)| value).map_err(|error| Refused::bad_request("query", error.body_text()))
}

type InPath<T> = Result<Path<T>, PathRejection>;
type InQuery<T> = Result<Query<T>, QueryRejection>;
type InJson<T> = Result<Json<T>, JsonRejection>;

async fn packs(State(state): Shared, By(caller): By) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    Ok(Json(json!({"packs": state.detections.packs(&actor).await?})))
}

/// Which version is meant; the newest when none is said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Version {
    version: Option<i32>,
}

async fn pack(
    State(state): Shared,
    By(caller): By,
    name: InPath<String>,
    version: InQuery<Version>,
) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    let name = in_path(name)?;
    let (pack, content) = state.detections.pack(&name, in_query(version)?.version, &actor).await?;
    let history = state.detections.pack_history(&name, &actor).await?;
    let problems = in_background(move || read_pack(&content)).await?.map(|set| set.problems).unwrap_or_default();
    let problems: Vec<_> = (problems.iter())
        .map(|problem| {
            json!({
                "file": problem.file, "line": problem.line, "rule": problem.rule, "title": problem.title,
                "severity": problem.severity, "reason": problem.reason.to_string(),
                "hint": problem.hint.as_ref().map(ToString::to_string),
            })
        })
        .collect();
    Ok(Json(json!({"pack": pack, "problems": problems, "history": history})))
}

async fn pack_content(
    State(state): Shared,
    By(caller): By,
    name: InPath<String>,
    version: InQuery<Version>,
) -> Result<Response, Refused> {
    let actor = caller.actor();
    let (_, content) = state.detections.pack(&in_path(name)?, in_query(version)?.version, &actor).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], content).into_response())
}

/// Runs what takes long on a thread of its own.
pub(super) async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this could not be worked on"))
}

async fn add_pack(
    State(state): Shared,
    By(caller): By,
    headers: HeaderMap,
    name: InPath<String>,
    body: Body,
) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    let name = in_path(name)?;
    let body = state.bodies.read(&headers, body).await?;
    let content = body.bytes.clone();
    let bytes = content.clone();
    let set = in_background(move || read_pack(&bytes)).await??;
    let pack = state.detections.add_pack(&name, &content, &set, &actor).await?;
    Ok((StatusCode::CREATED, Json(json!({"pack": pack}))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Live {
    version: Option<i32>,
    organisations: Option<Vec<String>>,
}

async fn go_live(
    State(state): Shared,
    By(caller): By,
    name: InPath<String>,
    body: InJson<Live>,
) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    let (name, Live { version, organisations }) = (in_path(name)?, in_json(body)?);
    let pack = state.detections.go_live(&name, version, organisations.as_deref(), &actor).await?;
    Ok(Json(json!({"pack": pack})))
}

async fn retire(State(state): Shared, By(caller): By, name: InPath<String>) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    Ok(Json(json!({"pack": state.detections.retire(&in_path(name)?, &actor).await?})))
}

async fn lists(State(state): Shared, By(caller): By) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    Ok(Json(json!({"lists": state.detections.lists(&actor).await?})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    description: String,
    entries: Vec<Entry>,
}

async fn put_list(
    State(state): Shared,
    By(caller): By,
    name: InPath<String>,
    body: InJson<List>,
) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    let (name, List { description, entries }) = (in_path(name)?, in_json(body)?);
    Ok(Json(json!({"list": state.detections.put_list(&name, &description, entries, &actor).await?})))
}

async fn remove_list(State(state): Shared, By(caller): By, name: InPath<String>) -> Result<StatusCode, Refused> {
    let actor = caller.actor();
    state.detections.remove_list(&in_path(name)?, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn exceptions(State(state): Shared, By(caller): By) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    Ok(Json(json!({"exceptions": state.detections.exceptions(&actor).await?})))
}

async fn add_exception(
    State(state): Shared,
    By(caller): By,
    body: InJson<NewException>,
) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    let exception = state.detections.add_exception(in_json(body)?, &actor).await?;
    Ok((StatusCode::CREATED, Json(json!({"exception": exception}))))
}

async fn remove_exception(State(state): Shared, By(caller): By, id: InPath<Uuid>) -> Result<StatusCode, Refused> {
    let actor = caller.actor();
    state.detections.remove_exception(in_path(id)?, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn alerts(
    State(state): Shared,
    By(caller): By,
    filter: InQuery<AlertFilter>,
) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    let filter = in_query(filter)?;
    let (alerts, next) = state.detections.alerts(&filter, &actor).await?;
    Ok(Json(json!({"alerts": alerts, "next": next})))
}

async fn alert(State(state): Shared, By(caller): By, id: InPath<Uuid>) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    let (alert, history) = state.detections.alert(in_path(id)?, &actor).await?;
    Ok(Json(json!({"alert": alert, "history": history})))
}

async fn change_alert(
    State(state): Shared,
    By(caller): By,
    id: InPath<Uuid>,
    body: InJson<AlertChange>,
) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    let (id, change) = (in_path(id)?, in_json(body)?);
    Ok(Json(json!({"alert": state.detections.change_alert(id, change, &actor).await?})))
}

async fn coverage(
    State(state): Shared,
    By(caller): By,
    filter: InQuery<CoverageFilter>,
) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    Ok(Json(json!({"coverage": state.detections.coverage(&in_query(filter)?, &actor).await?})))
}

async fn suppressions(State(state): Shared, By(caller): By) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    Ok(Json(json!({"suppressions": state.detections.suppressions(&actor).await?})))
}

async fn suppress(
    State(state): Shared,
    By(caller): By,
    body: InJson<NewSuppression>,
) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    let suppression = state.detections.suppress(in_json(body)?, &actor).await?;
    Ok((StatusCode::CREATED, Json(json!({"suppression": suppression}))))
}

async fn end_suppression(State(state): Shared, By(caller): By, id: InPath<Uuid>) -> Result<StatusCode, Refused> {
    let actor = caller.actor();
    state.detections.end_suppression(in_path(id)?, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
