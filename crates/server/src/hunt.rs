//! Retro-hunts: rules over events that are in the lake already.
//!
//! A hunt gives what the rules would have found had they been in force: it goes through the events hour by hour in the
//! order of time, with the same decoders, rules and correlations. It is a job: one runs at a time, others wait; it says how
//! far it is, can be ended, and its findings stay in a file of their own.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use khien_detect::correlate::{Correlator, Observations};
use khien_detections::Reach;
use khien_event::decode::Decoded;
use khien_event::taxonomy::Taxonomy;
use khien_event::text::{LineFormat, TextDecoder};
use khien_lake::{Limits, QueryError, Reader, Scope};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::enrich::Enriching;
use crate::paths::replace;
use crate::pipeline::{Done, Found, Origin, Worker, chain, entity};
use crate::reading::rows;
use crate::rules::RuleBook;
use crate::sieve;
use crate::system::now_ms;

/// Hunts that wait or run.
const WAITING: usize = 16;

/// Of these, hunts of one SOC.
const WAITING_OWN: usize = 2;

/// Hunts that are remembered; the oldest are forgotten with their findings.
const REMEMBERED: usize = 200;

/// Findings that are kept of one hunt; more are counted only.
const KEPT: u64 = 100_000;

/// Longest time that the events of one hour may take.
const PATIENCE: Duration = Duration::from_hours(1);

/// Memory for reading.
const MEMORY_BYTES: usize = 512 << 20;

const HOUR_US: i64 = 3_600_000_000;

/// Which events a hunt goes through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Period {
    /// Event time, in milliseconds since 1970.
    pub(crate) from_ms: i64,
    /// Behind the last.
    pub(crate) to_ms: i64,
    /// Of this organisation, `None` for all within reach.
    pub(crate) organisation: Option<String>,
}

/// How far a hunt is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// Another one runs.
    Waiting,
    /// It works.
    Running,
    /// All events were gone through.
    Done,
    /// Somebody ended it.
    Cancelled,
    /// It could not go on; why.
    Failed(String),
}

/// A hunt as it is shown and remembered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hunt {
    pub(crate) id: Uuid,
    /// What it looks for, in the words of whoever asked.
    pub(crate) title: String,
    pub(crate) actor: String,
    /// The organisation whose findings these are, `None` for the centre.
    pub(crate) owner: Option<String>,
    pub(crate) period: Period,
    pub(crate) rules: usize,
    pub(crate) created_ms: i64,
    pub(crate) ended_ms: Option<i64>,
    pub(crate) stage: Stage,
    pub(crate) events: u64,
    pub(crate) events_done: u64,
    pub(crate) findings: u64,
    /// Findings by rule id, with its title.
    pub(crate) by_rule: BTreeMap<String, (String, u64)>,
}

/// Why a hunt is not begun.
#[derive(Debug, Error)]
pub(crate) enum HuntError {
    #[error("from_ms must be before to_ms")]
    Period,
    #[error("too many hunts wait already; try again when one is done")]
    Busy,
    #[error("the hunt cannot be stored")]
    Io(#[from] io::Error),
}

/// Why a hunt ended early.
#[derive(Debug, Error)]
enum Failure {
    #[error("events cannot be read")]
    Lake(#[from] QueryError),
    #[error("events are not as expected")]
    Rows(#[from] arrow::error::ArrowError),
    #[error("findings cannot be written")]
    Io(#[from] io::Error),
    #[error("working on events failed")]
    Panicked,
}

struct Job {
    hunt: Mutex<Hunt>,
    cancelled: AtomicBool,
    done: AtomicU64,
}

impl Job {
    fn lock(&self) -> MutexGuard<'_, Hunt> {
        self.hunt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self) -> Hunt {
        Hunt { events_done: self.done.load(Ordering::Relaxed), ..self.lock().clone() }
    }
}

/// All hunts.
#[derive(Clone)]
pub(crate) struct Hunts(Arc<Shared>);

struct Shared {
    reader: Reader,
    folder: PathBuf,
    threads: usize,
    room: Semaphore,
    jobs: Mutex<VecDeque<Arc<Job>>>,
}

impl Hunts {
    /// Hunts in `folder`, where those of before are.
    pub(crate) fn open(reader: Reader, folder: PathBuf, threads: usize) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut jobs: Vec<Arc<Job>> = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match serde_json::from_slice::<Hunt>(&fs::read(&path)?) {
                Ok(mut hunt) => {
                    if matches!(hunt.stage, Stage::Waiting | Stage::Running) {
                        hunt.stage = Stage::Failed("the server was ended; begin it again".into());
                    }
                    let done = AtomicU64::new(hunt.events_done);
                    jobs.push(Arc::new(Job { hunt: Mutex::new(hunt), cancelled: AtomicBool::new(true), done }));
                }
                Err(error) => tracing::warn!(%error, path = %path.display(), "a hunt cannot be read"),
            }
        }
        jobs.sort_by_key(|job| job.lock().id);
        let shared = Shared { reader, folder, threads, room: Semaphore::new(1), jobs: Mutex::new(jobs.into()) };
        Ok(Self(Arc::new(shared)))
    }

    fn jobs(&self) -> MutexGuard<'_, VecDeque<Arc<Job>>> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a hunt with `book`.
    pub(crate) fn begin(
        &self,
        title: &str,
        book: RuleBook,
        period: Period,
        actor: &khien_detections::Actor,
    ) -> Result<Hunt, HuntError> {
        if period.from_ms >= period.to_ms {
            return Err(HuntError::Period);
        }
        let owner = match &actor.reach {
            Reach::All => None,
            Reach::Organisation(name) => Some(name.clone()),
        };
        let hunt = Hunt {
            id: Uuid::now_v7(),
            title: title.to_owned(),
            actor: actor.name.clone(),
            owner,
            period,
            rules: book.len(),
            created_ms: actor.now_ms,
            ended_ms: None,
            stage: Stage::Waiting,
            events: 0,
            events_done: 0,
            findings: 0,
            by_rule: BTreeMap::new(),
        };
        let job = Arc::new(Job {
            hunt: Mutex::new(hunt.clone()),
            cancelled: AtomicBool::new(false),
            done: AtomicU64::new(0),
        });
        {
            let mut jobs = self.jobs();
            let mut waiting: Vec<Option<String>> = Vec::new();
            for job in jobs.iter() {
                let other = job.lock();
                if matches!(other.stage, Stage::Waiting | Stage::Running) {
                    waiting.push(other.owner.clone());
                }
            }
            let own = waiting.iter().filter(|owner| **owner == hunt.owner).count();
            if waiting.len() >= WAITING || hunt.owner.is_some() && own >= WAITING_OWN {
                return Err(HuntError::Busy);
            }
            self.remember(&hunt)?;
            jobs.push_back(job.clone());
            while jobs.len() > REMEMBERED {
                if let Some(old) = jobs.pop_front() {
                    self.forget(old.lock().id);
                }
            }
        }
        tokio::spawn(self.clone().run(job, Arc::new(book)));
        Ok(hunt)
    }

    /// Those that `reach` covers, the newest first.
    pub(crate) fn list(&self, reach: &Reach) -> Vec<Hunt> {
        let jobs = self.jobs().clone();
        jobs.iter().rev().map(|job| job.show()).filter(|hunt| reach.covers(hunt.owner.as_deref())).collect()
    }

    fn job(&self, id: Uuid, reach: &Reach) -> Option<Arc<Job>> {
        let found = self.jobs().iter().find(|job| job.lock().id == id).cloned()?;
        let covered = reach.covers(found.lock().owner.as_deref());
        covered.then_some(found)
    }

    /// One hunt, if `reach` covers it.
    pub(crate) fn get(&self, id: Uuid, reach: &Reach) -> Option<Hunt> {
        self.job(id, reach).map(|job| job.show())
    }

    /// Ends a hunt; false when there is none.
    pub(crate) fn cancel(&self, id: Uuid, reach: &Reach) -> bool {
        let job = self.job(id, reach);
        job.map(|job| job.cancelled.store(true, Ordering::Relaxed)).is_some()
    }

    /// Ends all hunts and waits until they have.
    pub(crate) async fn stop(&self) {
        for job in self.jobs().iter() {
            job.cancelled.store(true, Ordering::Relaxed);
        }
        // Whoever waits for the room before this has had it and has seen that it is to end.
        drop(self.0.room.acquire().await);
    }

    /// Where the findings of a hunt are, a JSON object on each line.
    pub(crate) fn findings(&self, id: Uuid) -> PathBuf {
        self.0.folder.join(format!("{id}.ndjson"))
    }

    fn remember(&self, hunt: &Hunt) -> io::Result<()> {
        replace(&self.0.folder.join(format!("{}.json", hunt.id)), &serde_json::to_vec(hunt)?)
    }

    fn forget(&self, id: Uuid) {
        for path in [self.0.folder.join(format!("{id}.json")), self.findings(id)] {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, path = %path.display(), "an old hunt cannot be removed");
            }
        }
    }

    async fn run(self, job: Arc<Job>, book: Arc<RuleBook>) {
        // The room is never closed.
        let _room = self.0.room.acquire().await;
        job.lock().stage = Stage::Running;
        let result = self.work(&job, &book).await;
        let hunt = {
            let mut hunt = job.lock();
            hunt.events_done = job.done.load(Ordering::Relaxed);
            hunt.ended_ms = Some(now_ms());
            hunt.stage = match result {
                Ok(()) if job.cancelled.load(Ordering::Relaxed) => Stage::Cancelled,
                Ok(()) => Stage::Done,
                Err(error) => {
                    tracing::error!(error = %chain(&error), hunt = %hunt.id, "a hunt failed");
                    Stage::Failed(chain(&error))
                }
            };
            hunt.clone()
        };
        if let Err(error) = self.remember(&hunt) {
            tracing::error!(%error, hunt = %hunt.id, "what became of a hunt cannot be stored");
        }
    }

    async fn work(&self, job: &Arc<Job>, book: &Arc<RuleBook>) -> Result<(), Failure> {
        let (id, period, scope) = {
            let hunt = job.lock();
            let names = hunt.owner.clone().or_else(|| hunt.period.organisation.clone());
            let scope = names.map_or(Scope::All, |name| Scope::Organisations(vec![name]));
            (hunt.id, hunt.period.clone(), scope)
        };
        if job.cancelled.load(Ordering::Relaxed) {
            return Ok(());
        }
        let hours = self.hours(&period, &scope).await?;
        job.lock().events = hours.iter().map(|hour| hour.events).sum();
        let sieve = sieve::condition(book.detector.rules(), book.indicators.as_deref(), Taxonomy::embedded());
        let mut file = BufWriter::new(File::create(self.findings(id))?);
        let mut correlator = book.correlator_at_once();
        let mut hands: Vec<Hand> = (0..self.0.threads).map(|_| Hand::new(book)).collect();
        for hour in hours {
            let start = hour.hour * HOUR_US;
            let (from, to) = (
                start.max(period.from_ms.saturating_mul(1_000)),
                (start + HOUR_US).min(period.to_ms.saturating_mul(1_000)),
            );
            let sql = events_between(from, to, period.organisation.as_deref(), sieve.as_deref());
            let before = job.done.load(Ordering::Relaxed);
            let limits =
                Limits { time: PATIENCE, memory_bytes: MEMORY_BYTES, rows: usize::MAX, threads: self.0.threads };
            let mut answer = self.0.reader.query(&sql, &scope, limits).await?;
            loop {
                // As many batches as there are hands, which keep their order.
                let mut under_way = Vec::new();
                while let Some(hand) = hands.pop() {
                    let Some(batch) = answer.next().await? else {
                        hands.push(hand);
                        break;
                    };
                    under_way.push(tokio::task::spawn_blocking(move || hand.work(&batch)));
                }
                if under_way.is_empty() {
                    break;
                }
                for work in under_way {
                    let (hand, lot) = work.await.map_err(|_| Failure::Panicked)??;
                    hands.push(hand);
                    job.done.fetch_add(lot.events, Ordering::Relaxed);
                    keep(job, &mut file, lot.findings)?;
                    lot.observations.each(0, &mut |observation| correlator.feed(&observation, &mut |_| {}));
                }
                if job.cancelled.load(Ordering::Relaxed) {
                    return Ok(file.flush()?);
                }
            }
            // Those that the sieve kept back are done too.
            job.done.store(before + hour.events, Ordering::Relaxed);
            settle(&mut correlator, to.saturating_mul(1_000), job, book, &mut file)?;
        }
        settle(&mut correlator, i64::MAX, job, book, &mut file)?;
        Ok(file.flush()?)
    }

    /// The hours that have events.
    async fn hours(&self, period: &Period, scope: &Scope) -> Result<Vec<Hour>, Failure> {
        let sql = format!(
            "SELECT arrow_cast(time, 'Int64') / {HOUR_US} AS hour, count(*) AS events FROM events \
             WHERE {} GROUP BY hour ORDER BY hour",
            condition(
                period.from_ms.saturating_mul(1_000),
                period.to_ms.saturating_mul(1_000),
                period.organisation.as_deref()
            )
        );
        let limits = Limits { time: PATIENCE, rows: usize::MAX, ..Limits::default() };
        Ok(rows(&self.0.reader, &sql, scope, limits).await?)
    }
}

#[derive(Deserialize)]
struct Hour {
    /// Hours since 1970.
    hour: i64,
    events: u64,
}

fn condition(from_us: i64, to_us: i64, organisation: Option<&str>) -> String {
    let time = |us: i64| format!("arrow_cast({us}, 'Timestamp(Microsecond, Some(\"UTC\"))')");
    let all = format!("time >= {} AND time < {}", time(from_us), time(to_us));
    match organisation {
        Some(name) => format!("{all} AND organisation = '{}'", name.replace('\'', "''")),
        None => all,
    }
}

fn events_between(from_us: i64, to_us: i64, organisation: Option<&str>, sieve: Option<&str>) -> String {
    format!(
        "SELECT event_id, time, time_known, received, organisation, source, raw, raw_bytes FROM events WHERE {}{}{}",
        condition(from_us, to_us, organisation),
        if sieve.is_some() { " AND " } else { "" },
        sieve.unwrap_or_default()
    )
}

/// Reports what correlations say of everything up to `clock_ns`.
fn settle(
    correlator: &mut Correlator,
    clock_ns: i64,
    job: &Job,
    book: &RuleBook,
    file: &mut BufWriter<File>,
) -> io::Result<()> {
    let mut found = Vec::new();
    correlator.settle(clock_ns, &mut |hit| {
        if let Some(pack) = book.correlation_pack(hit.correlation, hit.scope) {
            let received_ms = hit.time_ns / 1_000_000;
            found.push(Found::of_hit(hit, &book.correlations[hit.correlation], received_ms, pack));
        }
    });
    keep(job, file, found)
}

fn keep(job: &Job, file: &mut BufWriter<File>, findings: Vec<Found>) -> io::Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    let mut hunt = job.lock();
    for found in findings {
        hunt.findings += 1;
        hunt.by_rule.entry(found.rule_id.clone()).or_insert_with(|| (found.rule_title.clone(), 0)).1 += 1;
        if hunt.findings <= KEPT {
            serde_json::to_writer(&mut *file, &found)?;
            file.write_all(b"\n")?;
        }
    }
    Ok(())
}

/// What came of some events.
struct Lot {
    events: u64,
    findings: Vec<Found>,
    observations: Observations,
}

/// One thread's worker.
struct Hand(Worker);

impl Hand {
    fn new(book: &Arc<RuleBook>) -> Self {
        Self(Worker::new(book.clone(), Done::default(), Enriching::default()))
    }

    fn work(mut self, batch: &RecordBatch) -> Result<(Self, Lot), Failure> {
        let column = |name: &str, wanted: &DataType| cast(&batch[name], wanted);
        let ids = column("event_id", &DataType::Int64)?;
        let times = column("time", &DataType::Int64)?;
        let known = column("time_known", &DataType::Boolean)?;
        let received = column("received", &DataType::Int64)?;
        let texts = ["organisation", "source", "raw"].map(|name| column(name, &DataType::Utf8));
        let [organisations, sources, raw] = texts;
        let (organisations, sources, raw) = (organisations?, sources?, raw?);
        let bytes = column("raw_bytes", &DataType::Binary)?;
        let (ids, times) = (ids.as_primitive::<Int64Type>(), times.as_primitive::<Int64Type>());
        let (known, received) = (known.as_boolean(), received.as_primitive::<Int64Type>());
        let (organisations, sources) = (organisations.as_string::<i32>(), sources.as_string::<i32>());
        let (raw, bytes) = (raw.as_string::<i32>(), bytes.as_binary::<i32>());
        let mut lot =
            Lot { events: batch.num_rows() as u64, findings: Vec::new(), observations: Observations::default() };
        // A decoder needs to know about when lines were written, since some do not say the year.
        let mut decoders: HashMap<i64, TextDecoder> = HashMap::new();
        for row in 0..batch.num_rows() {
            let record = if bytes.is_null(row) { raw.value(row).as_bytes() } else { bytes.value(row) };
            let origin = Origin {
                event_id: ids.value(row) as u64,
                organisation: organisations.value(row),
                source: sources.value(row),
                received_ms: received.value(row) / 1_000,
                sent_ns: known.value(row).then(|| times.value(row).saturating_mul(1_000)),
            };
            let day = origin.received_ms.div_euclid(86_400_000);
            let reference_ns = origin.received_ms.saturating_mul(1_000_000);
            let text = decoders.entry(day).or_insert_with(|| TextDecoder::new(LineFormat::Any, reference_ns));
            let decoded = self.0.examine(&origin, record, text, true, &mut lot.observations);
            let held: Vec<_> = self.0.held().collect();
            if decoded != Some(Decoded::Event) || held.is_empty() {
                continue;
            }
            let entity = entity(&self.0.flat(record));
            lot.findings.extend(held.into_iter().map(|held| Found::on(&origin, held, entity.as_deref())));
        }
        Ok((self, lot))
    }
}
