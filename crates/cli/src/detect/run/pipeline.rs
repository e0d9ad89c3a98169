//! Reading, working and writing side by side.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use khien_detect::correlate::{CorrelationHit, Correlator, Limits};
use khien_detect::finding::{Finding, Head, Matched, Source};
use khien_event::taxonomy::KindId;

use super::read::{self, Spare, Task};
use super::work::{Hand, Outcome, Shared};
use crate::engine::{CorrelationStats, FileFailure, Job, MalformedSample, NewRender, Sink, Stats};
use crate::output::{Block, Form, Place, Render};

/// Tasks under way for each worker.
const DEPTH: usize = 3;

/// What the reader sends: a task, or why an input could not be read further.
enum Message {
    Task(Task),
    Failed { file: u32, reason: String, begun: bool },
    Read,
}

/// Runs everything; see the module text of [`super`].
pub(super) fn run(shared: Shared, job: &Job, output: &dyn NewRender, sink: &mut dyn Sink) -> anyhow::Result<Stats> {
    let shared = Arc::new(shared);
    let mut taker = Taker::new(&shared, job, output.render(), sink);
    let result = if job.threads <= 1 {
        alone(&shared, job, output, &mut taker)
    } else {
        together(&shared, job, output, &mut taker)
    };
    result?;
    let stats = taker.finish();
    left_to_the_system(shared);
    stats.map(|stats| Stats { stopped: job.stop.was_heeded(), ..stats })
}

/// Everything on this thread.
fn alone(shared: &Arc<Shared>, job: &Job, output: &dyn NewRender, taker: &mut Taker<'_>) -> anyhow::Result<()> {
    let mut hand = Hand::new(shared.clone(), output.render());
    let mut result = Ok(());
    let spare = Spare::default();
    inputs(job, &spare, &mut |message| {
        match message {
            Message::Task(task) => {
                let block = std::mem::take(&mut taker.spare);
                result = taker.outcome(hand.work(&task, block));
                spare.keep(task.chunk);
            }
            other => taker.news(&other),
        }
        result.is_ok()
    });
    left_to_the_system(hand);
    result.map_err(Into::into)
}

/// Gives up rules, and what workers learned, without freeing them piece by piece: the program is about to end.
fn left_to_the_system<T>(what: T) {
    std::mem::forget(what);
}

/// Reads all inputs one after the other, until `give` wants no more or somebody asks to stop.
fn inputs(job: &Job, spare: &Spare, give: &mut dyn FnMut(Message) -> bool) {
    for (index, input) in job.inputs.iter().enumerate() {
        let index = index as u32;
        let (mut begun, mut wanted) = (false, true);
        let result = read::input(index, input, job.format, &job.stop, spare, &mut |task| {
            begun = true;
            wanted = give(Message::Task(task)) && !job.stop.is_asked();
            wanted
        });
        if !wanted && !job.stop.is_asked() {
            return;
        }
        let message = match result {
            Ok(()) => Message::Read,
            Err(error) => Message::Failed { file: index, reason: error.to_string(), begun },
        };
        let wanted = give(message);
        if job.stop.is_asked() {
            return job.stop.heed();
        }
        if !wanted {
            return;
        }
    }
}

/// A reader, `job.threads` workers, and this thread to take the outcomes in order.
fn together(shared: &Arc<Shared>, job: &Job, output: &dyn NewRender, taker: &mut Taker<'_>) -> anyhow::Result<()> {
    let (to_workers, tasks) = sync_channel::<(u64, Message)>(job.threads * DEPTH);
    let (to_taker, outcomes) = channel::<(u64, Done)>();
    let (give_back, spare) = channel::<()>();
    for _ in 0..job.threads * DEPTH * 2 {
        give_back.send(()).map_err(|_| anyhow::anyhow!("the run ended early"))?;
    }
    let tasks = Mutex::new(tasks);
    let buffers = Spare::default();
    thread::scope(|scope| {
        let buffers = &buffers;
        scope.spawn(move || read_ahead(job, buffers, &to_workers, &spare));
        for _ in 0..job.threads {
            let (tasks, to_taker, hand) = (&tasks, to_taker.clone(), Hand::new(shared.clone(), output.render()));
            scope.spawn(move || work(hand, buffers, tasks, &to_taker));
        }
        drop(to_taker);
        in_order(&outcomes, &give_back, taker)
    })
}

/// What a worker made of a message.
enum Done {
    Outcome(Outcome),
    News(Message),
}

/// Numbers the messages; `permits` bounds how many are under way, also those that wait for an earlier one.
fn read_ahead(job: &Job, buffers: &Spare, to_workers: &SyncSender<(u64, Message)>, permits: &Receiver<()>) {
    let mut number = 0;
    inputs(job, buffers, &mut |message| {
        let sent = permits.recv().is_ok() && to_workers.send((number, message)).is_ok();
        number += 1;
        sent
    });
}

fn work(mut hand: Hand, buffers: &Spare, tasks: &Mutex<Receiver<(u64, Message)>>, to_taker: &Sender<(u64, Done)>) {
    loop {
        let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, message)) = next else { return left_to_the_system(hand) };
        let done = match message {
            Message::Task(task) => {
                let outcome = hand.work(&task, Block::default());
                buffers.keep(task.chunk);
                Done::Outcome(outcome)
            }
            news => Done::News(news),
        };
        if to_taker.send((number, done)).is_err() {
            return left_to_the_system(hand);
        }
    }
}

fn in_order(outcomes: &Receiver<(u64, Done)>, give_back: &Sender<()>, taker: &mut Taker<'_>) -> anyhow::Result<()> {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    for (number, done) in outcomes {
        waiting.insert(number, done);
        while let Some(done) = waiting.remove(&next) {
            next += 1;
            match done {
                Done::Outcome(outcome) => taker.outcome(outcome)?,
                Done::News(news) => taker.news(&news),
            }
            // Nobody waits for permits any more once everything is read.
            give_back.send(()).ok();
        }
    }
    Ok(())
}

/// Takes outcomes in the order of the input.
struct Taker<'a> {
    job: &'a Job,
    sink: &'a mut dyn Sink,
    render: Box<dyn Render>,
    shared: Arc<Shared>,
    correlator: Option<Correlator>,
    heads: Vec<Head>,
    stats: Stats,
    /// A block to use again.
    spare: Block,
}

impl<'a> Taker<'a> {
    fn new(shared: &Arc<Shared>, job: &'a Job, render: Box<dyn Render>, sink: &'a mut dyn Sink) -> Self {
        let correlator = shared
            .correlator
            .as_ref()
            .map(|c| Correlator::new(c.correlations().to_vec(), shared.detector.rules(), Limits::default()).0);
        let heads = correlator.iter().flat_map(Correlator::correlations).map(head).collect();
        let indicators = shared.indicators.as_ref().map_or(0, |set| set.len() as u64);
        let stats = Stats { indicators, ..Stats::default() };
        Self { job, sink, render, shared: shared.clone(), correlator, heads, stats, spare: Block::default() }
    }

    fn outcome(&mut self, outcome: Outcome) -> std::io::Result<()> {
        let Outcome { file, mut block, bytes, events, unrecognised, malformed, samples, observations, live } = outcome;
        self.job.meter.add(bytes, events, block.counts.total());
        self.stats.bytes += bytes;
        self.stats.events += events;
        self.stats.unrecognised += unrecognised;
        self.stats.malformed += malformed;
        let room = self.job.malformed_reported.saturating_sub(self.stats.malformed_samples.len());
        let name = |file: u32| self.job.inputs.get(file as usize).map(crate::glob::Input::name).unwrap_or_default();
        self.stats.malformed_samples.extend(samples.into_iter().take(room).map(|(position, reason)| MalformedSample {
            file: name(file),
            position,
            reason,
        }));
        if let Some(correlator) = &mut self.correlator {
            let mut shows = Shows { shared: &self.shared, heads: &self.heads, correlator_level: self.job.level };
            observations.each(file, &mut |observation| {
                correlator.feed(&observation, &mut |hit| shows.hit(hit, self.render.as_mut(), &mut block));
            });
        }
        self.sink.block(&mut block)?;
        if live {
            self.sink.flush()?;
        }
        block.clear();
        self.spare = block;
        Ok(())
    }

    fn news(&mut self, news: &Message) {
        match news {
            Message::Read | Message::Task(_) => self.stats.files_read += 1,
            Message::Failed { file, reason, begun } => {
                self.stats.files_read += u64::from(*begun);
                let file = self.job.inputs.get(*file as usize).map(crate::glob::Input::name).unwrap_or_default();
                self.stats.files_failed.push(FileFailure { file, reason: reason.clone() });
            }
        }
    }

    /// Reports what correlations found in the end.
    fn finish(mut self) -> anyhow::Result<Stats> {
        if let Some(correlator) = &mut self.correlator {
            let active = correlator.groups() as u64;
            let mut block = Block::default();
            let mut shows = Shows { shared: &self.shared, heads: &self.heads, correlator_level: self.job.level };
            correlator.flush(&mut |hit| shows.hit(hit, self.render.as_mut(), &mut block));
            self.sink.block(&mut block)?;
            let counted = correlator.statistics();
            self.stats.correlation = Some(CorrelationStats {
                active,
                evicted: counted.evicted_groups + counted.evicted_observations,
                late: counted.late,
            });
        }
        Ok(self.stats)
    }
}

fn head(correlation: &khien_detect::correlate::Correlation) -> Head {
    Head {
        id: correlation.id.clone(),
        title: correlation.title.clone(),
        level: correlation.level,
        tags: correlation.tags.clone(),
        author: correlation.author.clone(),
        source: Source::Correlation,
    }
}

/// Renders the hits of correlations.
struct Shows<'a> {
    shared: &'a Shared,
    heads: &'a [Head],
    correlator_level: khien_detect::rule::Level,
}

impl Shows<'_> {
    fn hit(&mut self, hit: &CorrelationHit<'_>, render: &mut dyn Render, block: &mut Block) {
        let head = &self.heads[hit.correlation];
        let reports = self.shared.correlator.as_ref().is_none_or(|c| c.correlations()[hit.correlation].reports);
        if !reports || head.level < self.correlator_level {
            return;
        }
        let json: Vec<(&str, String)> =
            hit.group.iter().map(|(field, value)| (*field, serde_json::Value::from(*value).to_string())).collect();
        let matched: Vec<Matched<'_>> = json.iter().map(|(field, json)| Matched { field, json }).collect();
        let finding = Finding {
            head,
            time_ns: Some(hit.time_ns),
            position: hit.position,
            matched: &matched,
            raw: b"",
            kind: KindId::default(),
            evidence: hit.evidence,
        };
        render.finding(Place { file: hit.file, form: Form::Json }, &finding, block);
    }
}
