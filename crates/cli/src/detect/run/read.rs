//! Inputs as tasks: blocks of records that a worker can handle by itself.
//!
//! Whoever wants a task reads it, because what a processor has just read it also works on fastest.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// Buffers of a task that is done, for the next one. Whoever works keeps its own, so that what is read next comes into
/// memory that its processor still has at hand.
#[derive(Default)]
pub(super) struct Spare {
    block: Option<Block>,
    batch: Option<Batch>,
}

/// Largest block that is kept: one enormous record makes a buffer that nobody needs again.
const SPARE_BYTES: usize = 4 << 20;

impl Spare {
    /// Keeps a buffer that is not needed any more.
    pub(super) fn keep(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Records(block) if block.bytes().len() > SPARE_BYTES => {}
            Chunk::Records(block) => self.block = Some(block),
            Chunk::Evtx(batch) => self.batch = Some(batch),
        }
    }
}

/// An input that is being read.
pub(super) struct Reading {
    index: u32,
    reference_ns: i64,
    counter: Arc<AtomicU64>,
    told: u64,
    live: bool,
    content: Content,
}

type Rest = io::Chain<io::Cursor<Vec<u8>>, Box<dyn Read + Send>>;

/// What is left to read.
enum Content {
    Records(Frames<Rest>, LineFormat),
    Evtx(Chunks<Rest>),
    Nothing,
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

impl Reading {
    /// Opens an input and finds out what it is.
    ///
    /// # Errors
    /// What opening it or reading its beginning failed with.
    pub(super) fn open(index: u32, input: &Input, format: Format, stop: &Stop) -> io::Result<Self> {
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
        let rest = io::Cursor::new(head).chain(rest);
        let (framing, lines) = match recognised {
            input::Format::Evtx => (None, LineFormat::Any),
            input::Format::JsonLines => (Some(Framing::Lines), LineFormat::Any),
            input::Format::JsonDocument => (Some(Framing::Documents), LineFormat::Any),
            input::Format::OctetCounted => (Some(Framing::OctetCounted), LineFormat::Any),
            input::Format::Lines(lines) => (Some(Framing::Lines), lines),
        };
        let content = match framing {
            Some(framing) => Content::Records(Frames::new(rest, framing), lines),
            None => Content::Evtx(Chunks::new(rest)),
        };
        let (reference_ns, live) = (reference(input), *input == Input::Standard);
        Ok(Self { index, reference_ns, counter: bytes, told: 0, live, content })
    }

    /// The next task, in buffers of `spare` if there are any; `None` at the end.
    ///
    /// # Errors
    /// What reading failed with; the tasks before hold what could be read.
    pub(super) fn next(&mut self, spare: &mut Spare) -> io::Result<Option<Task>> {
        match &mut self.content {
            Content::Records(frames, lines) => {
                let lines = *lines;
                let mut block = spare.block.take().unwrap_or_default();
                let more = frames.next_block(&mut block)?;
                let skipped = frames.take_skipped();
                if !more {
                    self.content = Content::Nothing;
                }
                if !more && skipped.is_empty() {
                    spare.keep(Chunk::Records(block));
                    return Ok(None);
                }
                Ok(Some(self.task(Chunk::Records(block), lines, skipped)))
            }
            Content::Evtx(chunks) => {
                let mut batch = spare.batch.take().unwrap_or_default();
                if !chunks.next_batch(&mut batch)? {
                    self.content = Content::Nothing;
                    spare.keep(Chunk::Evtx(batch));
                    return Ok(None);
                }
                Ok(Some(self.task(Chunk::Evtx(batch), LineFormat::Any, Vec::new())))
            }
            Content::Nothing => Ok(None),
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
