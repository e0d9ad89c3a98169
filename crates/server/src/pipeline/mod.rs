//! From the journal to the lake: every batch is decoded, its events are matched against the rules, and both events and
//! findings are committed together with the number of the batch.
//!
//! One thread reads the journal and hands batches out; as many as there are processors work on them; one task puts the
//! results into the order of the journal and commits them. All hand-overs are bounded, so that whoever is slower makes the
//! one before wait, and in the end the journal grows and senders are told to wait.

mod commit;
mod correlating;
mod finding;
mod spotter;
mod worker;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use khien_ingest::journal::{Cursor, Journal, ReadError, Stored};
use khien_lake::{Committed, Writer};
use tokio::sync::mpsc;

pub(crate) use commit::{Committer, Progress};
pub(crate) use correlating::Correlating;
pub(crate) use finding::{Found, Origin, entity};
use worker::Lot;
pub(crate) use worker::Worker;

use crate::enrich::Enriching;
use crate::rules::{InForce, RuleBook};

/// Batches that wait for each worker.
const WAITING: usize = 2;

/// Results that wait to be committed.
const LOTS: usize = 16;

/// Batches between the reader and the place they get in the order of the journal: one that takes long lets only so many
/// others overtake it.
const UNDER_WAY: usize = 64;

/// How long the reader waits before it looks whether the journal is closed.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long the reader waits after the disk failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// A batch to be worked on.
pub(crate) struct Task {
    /// Number of the batch before. It is not always one less: a damaged journal has gaps.
    pub(crate) previous: u64,
    /// The rules it is worked on under.
    pub(crate) book: Arc<RuleBook>,
    pub(crate) stored: Stored,
}

/// Batches up to these are in the lake, with all that was found on them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) events: u64,
    pub(crate) findings: u64,
}

impl From<Committed> for Done {
    fn from(Committed { events, findings }: Committed) -> Self {
        // Batches whose events are there and that the findings do not mention gave none.
        Self { events, findings: findings.max(events) }
    }
}

/// Everything that works on batches. It ends when the journal is closed and all of it is committed.
pub(crate) struct Pipeline {
    threads: Vec<JoinHandle<()>>,
    commits: tokio::task::JoinHandle<()>,
}

impl Pipeline {
    /// Starts with the batch behind those that both the lake and correlations know.
    pub(crate) fn start(
        journal: &Journal,
        (rules, enriching): (&InForce, &Enriching),
        writer: Writer,
        commit: Committer,
        workers: usize,
    ) -> std::io::Result<Self> {
        let done = Done::from(writer.committed());
        let cursor = journal.cursor(commit.start());
        let (batches, inbox) = sync_channel(workers * WAITING);
        let (lots, outbox) = mpsc::channel(LOTS);
        let (begun, ordered) = sync_channel(UNDER_WAY);
        let inbox = Arc::new(Mutex::new(inbox));
        let in_force = rules.clone();
        let mut threads = vec![spawn("reader", move || read(cursor, &in_force, &batches, &begun))?];
        for _ in 0..workers {
            let worker = Worker::new(rules.get(), done, enriching.clone());
            let (inbox, lots) = (inbox.clone(), lots.clone());
            threads.push(spawn("worker", move || work(worker, &inbox, &lots))?);
        }
        let commits = tokio::spawn(commit.run(writer, outbox, ordered));
        Ok(Self { threads, commits })
    }

    /// Waits until all is committed, which it is some time after the journal was closed.
    pub(crate) async fn join(self) {
        let threads = tokio::task::spawn_blocking(move || {
            for thread in self.threads {
                if thread.join().is_err() {
                    tracing::error!("a thread of the pipeline panicked");
                }
            }
        });
        if threads.await.is_err() || self.commits.await.is_err() {
            tracing::error!("the pipeline did not end in order");
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// Reads the journal to its end.
fn read(mut cursor: Cursor, rules: &InForce, batches: &SyncSender<Task>, begun: &SyncSender<()>) {
    let mut previous = cursor.position() - 1;
    loop {
        match cursor.next(PATIENCE) {
            Ok(Some(stored)) => {
                let sequence = stored.sequence;
                if begun.send(()).is_err() || batches.send(Task { previous, book: rules.get(), stored }).is_err() {
                    return;
                }
                previous = sequence;
            }
            Ok(None) if cursor.is_over() => return,
            Ok(None) => {}
            Err(error @ ReadError::Lost { .. }) => tracing::error!(%error, "part of the journal cannot be read"),
            Err(error) => {
                tracing::error!(error = %chain(&error), "reading the journal failed, trying again");
                std::thread::sleep(AFTER_FAILURE);
            }
        }
    }
}

fn work(mut worker: Worker, inbox: &Mutex<Receiver<Task>>, lots: &mpsc::Sender<Lot>) {
    loop {
        let next = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = next else { return };
        if lots.blocking_send(worker.work(&task)).is_err() {
            return;
        }
    }
}

/// An error with all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
