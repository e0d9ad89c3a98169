//! Reading, working and writing side by side.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;

use khien_detect::correlate::{CorrelationHit, Correlator, Limits};
use khien_detect::finding::{Finding, Head, Matched, Source};
use khien_event::taxonomy::KindId;

use super::read::{Reading, Spare, Task};
use super::work::{Hand, Outcome, Shared};
use crate::engine::{CorrelationStats, FileFailure, Job, MalformedSample, NewRender, Sink, Stats};
use crate::output::{Block, Form, Place, Render};

/// Tasks under way for each worker.
const DEPTH: usize = 6;

/// What reading gives: a task, or how the reading of an input ended.
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
    let (mut inputs, mut spare) = (Inputs::new(job), Spare::default());
    while let Some(message) = inputs.next(&mut spare) {
        match message {
            Message::Task(task) => {
                let block = std::mem::take(&mut taker.spare);
                taker.outcome(hand.work(&task, block))?;
                spare.keep(task.chunk);
            }
            news => taker.news(&news),
        }
    }
    left_to_the_system(hand);
    Ok(())
}

/// Gives up rules, and what workers learned, without freeing them piece by piece: the program is about to end.
fn left_to_the_system<T>(what: T) {
    std::mem::forget(what);
}

/// All inputs, one after the other, until somebody asks to stop.
struct Inputs<'a> {
    job: &'a Job,
    /// The input that is being read, and whether something of it could be.
    open: Option<(Reading, bool)>,
    /// Index of the next one.
    next: usize,
    stopped: bool,
}

impl<'a> Inputs<'a> {
    fn new(job: &'a Job) -> Self {
        Self { job, open: None, next: 0, stopped: false }
    }

    /// The next task or news.
    fn next(&mut self, spare: &mut Spare) -> Option<Message> {
        if self.stopped {
            return None;
        }
        let file = self.next.saturating_sub(1) as u32;
        let failed = |file, error: &std::io::Error, begun| Message::Failed { file, reason: error.to_string(), begun };
        let Some((reading, begun)) = &mut self.open else {
            let input = self.job.inputs.get(self.next)?;
            let index = self.next as u32;
            self.next += 1;
            return match Reading::open(index, input, self.job.format, &self.job.stop) {
                Ok(reading) => {
                    self.open = Some((reading, false));
                    self.next(spare)
                }
                Err(error) => Some(self.end(failed(index, &error, false))),
            };
        };
        if *begun && self.job.stop.is_asked() {
            return Some(self.end(Message::Read));
        }
        match reading.next(spare) {
            Ok(Some(task)) => {
                *begun = true;
                Some(Message::Task(task))
            }
            Ok(None) => Some(self.end(Message::Read)),
            Err(error) => {
                let begun = *begun;
                Some(self.end(failed(file, &error, begun)))
            }
        }
    }

    /// Ends an input, and all of them when somebody has asked to stop.
    fn end(&mut self, news: Message) -> Message {
        self.open = None;
        if self.job.stop.is_asked() {
            self.job.stop.heed();
            self.stopped = true;
        }
        news
    }
}

/// What workers read from: all inputs, and the number of the next message.
struct Queue<'a> {
    inputs: Inputs<'a>,
    next: u64,
}

/// `job.threads` workers, this thread among them, that read their tasks one after the other.
fn together(shared: &Arc<Shared>, job: &Job, output: &dyn NewRender, taker: &mut Taker<'_>) -> anyhow::Result<()> {
    let queue = Mutex::new(Queue { inputs: Inputs::new(job), next: 0 });
    let order = Order::new(taker, job.threads * DEPTH);
    let work = || work(Hand::new(shared.clone(), output.render()), &queue, &order);
    thread::scope(|scope| {
        for _ in 1..job.threads {
            scope.spawn(work);
        }
        work();
    });
    order.finish()
}

/// What a worker made of a message.
enum Done {
    Outcome(Outcome),
    News(Message),
}

fn work(mut hand: Hand, queue: &Mutex<Queue<'_>>, order: &Order<'_, '_>) {
    let _leaving = Leaving(order);
    let mut spare = Spare::default();
    while let Some((number, message)) = take(queue, order, &mut spare) {
        let done = match message {
            Message::Task(task) => {
                let outcome = hand.work(&task, order.emptied());
                spare.keep(task.chunk);
                Done::Outcome(outcome)
            }
            news => Done::News(news),
        };
        order.hand_over(number, done);
    }
    left_to_the_system(hand);
}

/// Reads the next message, when it may be under way; `None` at the end.
fn take(queue: &Mutex<Queue<'_>>, order: &Order<'_, '_>, spare: &mut Spare) -> Option<(u64, Message)> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    if !order.has_room(queue.next) {
        return None;
    }
    let message = queue.inputs.next(spare)?;
    let number = queue.next;
    queue.next += 1;
    Some((number, message))
}

/// Brings what workers have done back into the order of the input. There is no thread for that: whoever has done the
/// message whose turn it is hands over all that have waited for it.
struct Order<'a, 'b> {
    state: Mutex<State>,
    /// Told when there is room for another message.
    room: Condvar,
    /// Most messages that are read and not handed over.
    depth: u64,
    taker: Mutex<&'a mut Taker<'b>>,
}

#[derive(Default)]
struct State {
    /// What is done before its turn.
    waiting: BTreeMap<u64, Done>,
    /// Whose turn it is.
    next: u64,
    /// Nothing more is wanted.
    ended: bool,
    /// Why not.
    failure: Option<std::io::Error>,
    /// Emptied blocks of findings, so that their memory is used again.
    emptied: Vec<Block>,
}

impl<'a, 'b> Order<'a, 'b> {
    fn new(taker: &'a mut Taker<'b>, depth: usize) -> Self {
        Self { state: Mutex::default(), room: Condvar::new(), depth: depth as u64, taker: Mutex::new(taker) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until message `number` may be read; false when the run has ended.
    fn has_room(&self, number: u64) -> bool {
        let full = |state: &mut State| !state.ended && number >= state.next + self.depth;
        let state = self.room.wait_while(self.state(), full).unwrap_or_else(PoisonError::into_inner);
        !state.ended
    }

    /// A block to write findings into.
    fn emptied(&self) -> Block {
        self.state().emptied.pop().unwrap_or_default()
    }

    /// Takes what has been done, and hands over whatever has its turn.
    fn hand_over(&self, number: u64, done: Done) {
        self.state().waiting.insert(number, done);
        while self.state().has_next() {
            let mut taker = match self.taker.try_lock() {
                Ok(taker) => taker,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                // Whoever holds it looks again when it has let it go.
                Err(TryLockError::WouldBlock) => return,
            };
            while let Some(done) = self.next_done() {
                match done {
                    Done::Outcome(outcome) => match taker.outcome(outcome) {
                        Ok(()) => self.state().emptied.push(std::mem::take(&mut taker.spare)),
                        Err(error) => self.end(Some(error)),
                    },
                    Done::News(news) => taker.news(&news),
                }
            }
        }
    }

    /// What has its turn, if it is done.
    fn next_done(&self) -> Option<Done> {
        let mut state = self.state();
        if !state.has_next() {
            return None;
        }
        let next = state.next;
        state.next += 1;
        self.room.notify_one();
        state.waiting.remove(&next)
    }

    /// Ends the run.
    fn end(&self, error: Option<std::io::Error>) {
        let mut state = self.state();
        state.ended = true;
        state.failure = state.failure.take().or(error);
        self.room.notify_all();
    }

    fn finish(self) -> anyhow::Result<()> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.failure.map_or(Ok(()), |error| Err(error.into()))
    }
}

impl State {
    fn has_next(&self) -> bool {
        !self.ended && self.waiting.contains_key(&self.next)
    }
}

/// Ends the run when a worker panics: nobody else would do what it has taken.
struct Leaving<'a, 'b, 'c>(&'c Order<'a, 'b>);

impl Drop for Leaving<'_, '_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end(None);
        }
    }
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
