//! How things are: `/healthz`, `/readyz`, `/metrics`, and what can be asked: `/v1/openapi.json`.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::Shared;

/// The process lives.
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

/// It takes in and answers: it listens only when it does.
pub(crate) async fn ready() -> &'static str {
    "ready\n"
}

/// In the text format of Prometheus.
pub(crate) async fn metrics(State(state): Shared) -> impl IntoResponse {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (progress, journal) = (&state.progress, state.intake.journal());
    let durable = journal.durable();
    let behind = durable.saturating_sub(*progress.committed.borrow());
    let revision = u64::try_from(progress.revision.load(Ordering::Relaxed)).unwrap_or(0);
    let metrics = [
        ("khien_events_total", "counter", "Events processed", read(&progress.events)),
        ("khien_findings_total", "counter", "Findings", read(&progress.findings)),
        ("khien_malformed_total", "counter", "Records that no decoder could read", read(&progress.malformed)),
        ("khien_lake_commits_total", "counter", "Commits to the lake", read(&progress.commits)),
        ("khien_lake_failures_total", "counter", "Commits that failed and were tried again", read(&progress.failures)),
        ("khien_syslog_refused_total", "counter", "Syslog messages and streams of nobody", state.owners.refused()),
        ("khien_rules_revision", "gauge", "Grows with every change of rules in force", revision),
        ("khien_journal_batches", "counter", "Batches accepted since the beginning", durable),
        ("khien_journal_behind_batches", "gauge", "Batches accepted and not yet in the lake", behind),
        ("khien_journal_bytes", "gauge", "Size of the journal", journal.backlog_bytes()),
        ("khien_journal_waiting_bytes", "gauge", "Bytes on their way to the disk", journal.waiting_bytes() as u64),
    ];
    let mut out = String::new();
    for (name, kind, help, value) in metrics {
        writeln!(out, "# HELP {name} {help}.\n# TYPE {name} {kind}\n{name} {value}")
            .expect("a string can be written to");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], out)
}

/// What can be asked of this program, as OpenAPI 3.1.
pub(crate) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("../../openapi.json"))
}
