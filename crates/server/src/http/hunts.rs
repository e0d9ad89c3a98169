//! Retro-hunts over HTTP.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use khien_detect::indicators::IndicatorSet;
use khien_detect::rule::load::RuleSet;
use khien_detections::{Reach, read_pack};
use serde::Deserialize;
use serde_json::json;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::Shared;
use super::auth::By;
use super::detections::{in_background, in_json, in_path};
use super::error::Refused;
use crate::hunt::{HuntError, Period};
use crate::pipeline::chain;
use crate::rules::{Pack, RuleBook};

/// All addresses of this part.
pub(super) fn router() -> Router<Arc<super::State>> {
    Router::new()
        .route("/v1/hunts", get(list).post(begin))
        .route("/v1/hunts/{id}", get(show).delete(cancel))
        .route("/v1/hunts/{id}/findings", get(findings))
        .route("/v1/packs/{name}/test", post(test_pack))
}

impl From<HuntError> for Refused {
    fn from(error: HuntError) -> Self {
        match &error {
            HuntError::Period => Self::bad_request("invalid", error.to_string()),
            HuntError::Busy => Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", error.to_string()).retry_after(30_000),
            HuntError::Io(_) => {
                tracing::error!(error = %chain(&error), "a hunt cannot be stored");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage_failed", error.to_string()).retry_after(5_000)
            }
        }
    }
}

/// Longest title, in characters.
const TITLE: usize = 200;

/// What is looked for, and where.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default)]
    title: String,
    /// Sigma rules as YAML.
    #[serde(default)]
    rules: String,
    /// Indicators, one on each line.
    #[serde(default)]
    indicators: String,
    from_ms: i64,
    to_ms: i64,
    #[serde(default)]
    organisation: Option<String>,
}

async fn list(State(state): Shared, By(caller): By) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    Ok(Json(json!({"hunts": state.hunts.list(&actor.reach)})))
}

/// Rules made ready for a hunt.
fn ready(name: String, rules: RuleSet, indicators: &str) -> Result<RuleBook, Refused> {
    let mut set = IndicatorSet::new();
    if !indicators.trim().is_empty() {
        let report = set.load("indicators", indicators.as_bytes());
        let report = report.map_err(|error| Refused::bad_request("indicators", error.to_string()))?;
        if report.added == 0 {
            let reason = report.problems.first().map(|problem| format!("line {}: {}", problem.line, problem.reason));
            let message = format!("there is no indicator that can be used: {}", reason.unwrap_or_default());
            return Err(Refused::bad_request("indicators", message));
        }
    }
    let set = (!set.is_empty()).then(|| Arc::new(set));
    Ok(RuleBook::new(vec![Pack { name, rules, organisations: None }], set, Vec::new()))
}

/// An organisation that is out of reach has no events for whoever asks.
fn within_reach(reach: &Reach, organisation: Option<&str>) -> Result<(), Refused> {
    match organisation {
        Some(name) if !reach.covers(Some(name)) => {
            Err(Refused::new(StatusCode::FORBIDDEN, "forbidden", "this needs the rights of the centre"))
        }
        _ => Ok(()),
    }
}

async fn begin(
    State(state): Shared,
    By(caller): By,
    body: Result<Json<Request>, JsonRejection>,
) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    let Request { title, rules, indicators, from_ms, to_ms, organisation } = in_json(body)?;
    within_reach(&actor.reach, organisation.as_deref())?;
    if title.chars().count() > TITLE {
        return Err(Refused::bad_request("invalid", format!("a title has at most {TITLE} characters")));
    }
    if rules.trim().is_empty() && indicators.trim().is_empty() {
        return Err(Refused::bad_request("invalid", "send rules or indicators"));
    }
    let book = in_background(move || {
        let set = if rules.trim().is_empty() { RuleSet::default() } else { read_pack(rules.as_bytes())? };
        ready("hunt@0".to_owned(), set, &indicators)
    });
    let period = Period { from_ms, to_ms, organisation };
    let hunt = state.hunts.begin(&title, book.await??, period, &actor)?;
    Ok((StatusCode::ACCEPTED, Json(json!({"hunt": hunt}))))
}

/// What a pack is tried on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    version: Option<i32>,
    from_ms: i64,
    to_ms: i64,
    #[serde(default)]
    organisation: Option<String>,
}

async fn test_pack(
    State(state): Shared,
    By(caller): By,
    name: Result<Path<String>, axum::extract::rejection::PathRejection>,
    body: Result<Json<Test>, JsonRejection>,
) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    let (name, Test { version, from_ms, to_ms, organisation }) = (in_path(name)?, in_json(body)?);
    let (pack, content) = state.detections.pack(&name, version, &actor).await?;
    let title = format!("{}@{}", pack.name, pack.version);
    let named = title.clone();
    let book = in_background(move || ready(named, read_pack(&content)?, ""));
    let period = Period { from_ms, to_ms, organisation };
    let hunt = state.hunts.begin(&title, book.await??, period, &actor)?;
    Ok((StatusCode::ACCEPTED, Json(json!({"hunt": hunt}))))
}

fn unknown(id: Uuid) -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "unknown", format!("there is no hunt `{id}`"))
}

type InPath = Result<Path<Uuid>, axum::extract::rejection::PathRejection>;

async fn show(State(state): Shared, By(caller): By, id: InPath) -> Result<impl IntoResponse, Refused> {
    let actor = caller.actor();
    let id = in_path(id)?;
    let hunt = state.hunts.get(id, &actor.reach).ok_or_else(|| unknown(id))?;
    Ok(Json(json!({"hunt": hunt})))
}

async fn cancel(State(state): Shared, By(caller): By, id: InPath) -> Result<StatusCode, Refused> {
    let actor = caller.actor();
    let id = in_path(id)?;
    if state.hunts.cancel(id, &actor.reach) { Ok(StatusCode::NO_CONTENT) } else { Err(unknown(id)) }
}

async fn findings(State(state): Shared, By(caller): By, id: InPath) -> Result<Response, Refused> {
    let actor = caller.actor();
    let id = in_path(id)?;
    state.hunts.get(id, &actor.reach).ok_or_else(|| unknown(id))?;
    let file = match tokio::fs::File::open(state.hunts.findings(id)).await {
        Ok(file) => Body::from_stream(ReaderStream::new(file)),
        // It has not begun.
        Err(_) => Body::empty(),
    };
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], file).into_response())
}
