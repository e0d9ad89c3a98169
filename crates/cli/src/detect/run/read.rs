//! Inputs as tasks: blocks of records that a worker can handle by itself.

use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use khien_event::evtx::{Batch, Chunks};
use khien_event::frame::{Block, Frames, Framing, Skipped};
use khien_event::input::{self, SNIFF_BYTES};
use khien_event::text::LineFormat;

use super::live::{Live, Pauses};
use crate::args::Format;
use crate::glob::Input;
use crate::stop::Stop;

/// Most bytes that one compressed input may become.
const EXPANDED_BYTES: u64 = 1 << 40;

/// Some records of one input.
pub(super) struct Task {
    /// Index of the input.
    pub(super) file: u32,
    /// What they are.
    pub(super) chunk: Chunk,
    /// How lines are decoded.
    pub(super) lines: LineFormat,
    /// For times without a year; see [`khien_event::text::TextDecoder::new`].
    pub(super) reference_ns: i64,
    /// Bytes of the input that were read for it, before decompression.
    pub(super) bytes: u64,
    /// Records that were too long to be read.
    pub(super) skipped: Vec<Skipped>,
    /// Somebody may be waiting for what comes of it.
    pub(super) live: bool,
}

/// Records, or chunks of an event log.
pub(super) enum Chunk {
    Records(Block),
    Evtx(Batch),
}

/// Buffers of tasks that are done, for the next ones.
#[derive(Default)]
pub(super) struct Spare {
    chunks: Mutex<Vec<Chunk>>,
}

/// Most buffers that are kept, and the largest block among them: one enormous record makes a buffer that nobody needs
/// again.
const SPARE: usize = 16;
const SPARE_BYTES: usize = 4 << 20;

impl Spare {
    /// Keeps a buffer that is not needed any more.
    pub(super) fn keep(&self, chunk: Chunk) {
        if matches!(&chunk, Chunk::Records(block) if block.bytes().len() > SPARE_BYTES) {
            return;
        }
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        if chunks.len() < SPARE {
            chunks.push(chunk);
        }
    }

    fn block(&self) -> Block {
        match self.take(|chunk| matches!(chunk, Chunk::Records(_))) {
            Some(Chunk::Records(block)) => block,
            _ => Block::default(),
        }
    }

    fn batch(&self) -> Batch {
        match self.take(|chunk| matches!(chunk, Chunk::Evtx(_))) {
            Some(Chunk::Evtx(batch)) => batch,
            _ => Batch::default(),
        }
    }

    fn take(&self, fits: impl Fn(&Chunk) -> bool) -> Option<Chunk> {
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        let at = chunks.iter().position(fits)?;
        Some(chunks.swap_remove(at))
    }
}

/// Takes tasks; whether it wants more.
pub(super) type Give<'a> = dyn FnMut(Task) -> bool + 'a;

/// Reads one input to its end, or until somebody asks to stop, and hands out its tasks, in buffers of `spare` if there
/// are any.
///
/// # Errors
/// What opening or reading failed with; the tasks handed out before hold what could be read.
pub(super) fn input(
    index: u32,
    input: &Input,
    format: Format,
    stop: &Stop,
    spare: &Spare,
    give: &mut Give<'_>,
) -> io::Result<()> {
    let bytes = Arc::new(AtomicU64::new(0));
    let pauses = Pauses::default();
    let reader: Box<dyn Read + Send> = match input {
        Input::Standard => Box::new(Live::new(io::stdin(), pauses.clone(), stop.clone())?),
        Input::File(path) => Box::new(File::open(path)?),
    };
    let counted = Counted { inner: reader, bytes: bytes.clone() };
    let mut plain = input::open(counted, EXPANDED_BYTES)?;
    pauses.allow(true);
    let mut head = Vec::with_capacity(SNIFF_BYTES);
    let broken = sniff(&mut plain, &mut head, &pauses).err();
    let recognised = recognise(&head, &input.name(), format);
    // Chunks of an event log are read whole.
    pauses.allow(recognised != input::Format::Evtx);
    let rest: Box<dyn Read + Send> = match broken {
        // What was read before the fault is still worth reading.
        Some(error) => Box::new(Failing(Some(error))),
        None => plain,
    };
    let live = *input == Input::Standard;
    let source = Reading { index, reference_ns: reference(input), counter: bytes, told: 0, live, spare };
    let reader = io::Cursor::new(head).chain(rest);
    match recognised {
        input::Format::Evtx => source.evtx(reader, give),
        input::Format::JsonLines => source.records(reader, Framing::Lines, LineFormat::Any, give),
        input::Format::JsonDocument => source.records(reader, Framing::Documents, LineFormat::Any, give),
        input::Format::OctetCounted => source.records(reader, Framing::OctetCounted, LineFormat::Any, give),
        input::Format::Lines(lines) => source.records(reader, Framing::Lines, lines, give),
    }
}

/// Reads the first bytes, by which an input is recognised: [`SNIFF_BYTES`], or what a live one gives before it pauses.
fn sniff(reader: &mut impl Read, head: &mut Vec<u8>, pauses: &Pauses) -> io::Result<()> {
    loop {
        let missing = SNIFF_BYTES.saturating_sub(head.len()) as u64;
        match reader.by_ref().take(missing).read_to_end(head) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !head.contains(&b'\n') => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                pauses.ask();
                return Ok(());
            }
            other => return other.map(drop),
        }
    }
}

/// What the input is: what the user said, else what it looks like.
fn recognise(head: &[u8], name: &str, format: Format) -> input::Format {
    let looks = || input::recognise(head, Some(name));
    let lines = |lines| input::Format::Lines(lines);
    match format {
        Format::Auto => looks(),
        Format::Evtx => input::Format::Evtx,
        Format::Jsonl => input::Format::JsonLines,
        Format::Json => input::Format::JsonDocument,
        // These come as JSON too, in any layout.
        Format::Eve => looks_like_json(looks(), LineFormat::Any),
        Format::Zeek => looks_like_json(looks(), LineFormat::Zeek),
        Format::Syslog if matches!(looks(), input::Format::OctetCounted) => input::Format::OctetCounted,
        Format::Syslog => lines(LineFormat::Syslog),
        Format::Auditd => lines(LineFormat::Auditd),
        Format::Cef => lines(LineFormat::Cef),
        Format::Leef => lines(LineFormat::Leef),
        Format::Kv => lines(LineFormat::KeyValue),
        Format::Webserver => lines(LineFormat::Access),
        Format::W3c => lines(LineFormat::W3c),
    }
}

fn looks_like_json(looks: input::Format, otherwise: LineFormat) -> input::Format {
    match looks {
        input::Format::JsonLines | input::Format::JsonDocument => looks,
        _ => input::Format::Lines(otherwise),
    }
}

/// The time near which times without a year lie: when the file was last written, or now.
fn reference(input: &Input) -> i64 {
    let written = match input {
        Input::Standard => None,
        Input::File(path) => path.metadata().and_then(|m| m.modified()).ok(),
    };
    let time = written.unwrap_or_else(SystemTime::now);
    time.duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}

/// The input being read.
struct Reading<'a> {
    spare: &'a Spare,
    index: u32,
    reference_ns: i64,
    counter: Arc<AtomicU64>,
    told: u64,
    live: bool,
}

impl Reading<'_> {
    fn records(
        mut self,
        reader: impl Read,
        framing: Framing,
        lines: LineFormat,
        give: &mut Give<'_>,
    ) -> io::Result<()> {
        let mut frames = Frames::new(reader, framing);
        loop {
            let mut block = self.spare.block();
            let more = frames.next_block(&mut block)?;
            let skipped = frames.take_skipped();
            if !more && skipped.is_empty() {
                self.spare.keep(Chunk::Records(block));
                return Ok(());
            }
            let task = self.task(Chunk::Records(block), lines, skipped);
            if !give(task) || !more {
                return Ok(());
            }
        }
    }

    fn evtx(mut self, reader: impl Read, give: &mut Give<'_>) -> io::Result<()> {
        let mut chunks = Chunks::new(reader);
        loop {
            let mut batch = self.spare.batch();
            if !chunks.next_batch(&mut batch)? {
                self.spare.keep(Chunk::Evtx(batch));
                return Ok(());
            }
            let task = self.task(Chunk::Evtx(batch), LineFormat::Any, Vec::new());
            if !give(task) {
                return Ok(());
            }
        }
    }

    fn task(&mut self, chunk: Chunk, lines: LineFormat, skipped: Vec<Skipped>) -> Task {
        let read = self.counter.load(Ordering::Relaxed);
        let bytes = read - self.told;
        self.told = read;
        Task { file: self.index, chunk, lines, reference_ns: self.reference_ns, bytes, skipped, live: self.live }
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Gives the error that ended a stream once more, where its reader meets it.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
