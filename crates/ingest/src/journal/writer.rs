//! The thread that writes.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use super::cursor::Stored;
use super::disk::{Disk, Segment, write_whole};
use super::format::{MAGIC, head};
use super::keys::{self, Keys};
use super::{Options, Receipt, Refusal, SegmentInfo, Shared, keys_path, segment_path};
use crate::batch::{Batch, Key};

/// A batch that wants to be written.
pub(super) struct Request {
    pub(super) batch: Batch,
    pub(super) done: Box<dyn FnOnce(Result<Receipt, Refusal>) + Send>,
}

/// Most bytes and batches that are made durable together.
const GROUP_BYTES: usize = 16 << 20;
const GROUP: usize = 4_096;

/// See the module text.
pub(super) struct Writer {
    shared: Arc<Shared>,
    options: Options,
    disk: Box<dyn Disk>,
    segment: Option<Open>,
    keys: Keys,
    next: u64,
}

/// The segment that is written.
struct Open {
    file: Box<dyn Segment>,
    first: u64,
    /// Length up to which everything is durable.
    len: u64,
    keys: Vec<(Key, u64)>,
    /// A failed write could not be taken back: nothing may be appended.
    spoilt: bool,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        options: Options,
        disk: Box<dyn Disk>,
        keys: Vec<(Key, u64)>,
        next: u64,
    ) -> Self {
        let mut known = Keys::new(options.keys);
        for (key, sequence) in keys {
            known.add(key, sequence);
        }
        Self { shared, options, disk, segment: None, keys: known, next }
    }

    /// Writes what comes until all senders are gone, or one of them closes it with `None`.
    pub(super) fn run(mut self, inbox: &Receiver<Option<Request>>) {
        let mut closed = false;
        while !closed && let Ok(Some(first)) = inbox.recv() {
            let mut bytes = first.batch.size();
            let mut group = vec![first];
            while bytes < GROUP_BYTES && group.len() < GROUP {
                let Ok(request) = inbox.try_recv() else { break };
                let Some(request) = request else {
                    closed = true;
                    break;
                };
                bytes += request.batch.size();
                group.push(request);
            }
            self.write(group);
            self.shared.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
        // An empty segment stays: its name says how far the numbers are.
        if self.segment.as_ref().is_some_and(|open| open.first < self.next) {
            self.finish_segment();
        }
        self.shared.lock().closed = true;
        self.shared.grown.notify_all();
    }

    /// Writes a group, makes it durable and answers its senders.
    fn write(&mut self, group: Vec<Request>) {
        let next = self.next;
        let written = self.prepare(group.iter().map(|request| request.batch.size() as u64).sum());
        let written = written.and_then(|()| self.append(group.as_slice()));
        match written {
            Ok(heads) => self.settle(group, heads),
            Err(refusal) => {
                self.next = next;
                for request in group {
                    // What is known is durable, whatever becomes of the rest.
                    let known = request.batch.origin.key.and_then(|key| self.keys.get(&key));
                    let same = known.map(|sequence| Receipt { sequence, duplicate: true });
                    (request.done)(same.ok_or(refusal));
                }
            }
        }
    }

    /// Sees to it that there is a segment with room and a disk with room.
    fn prepare(&mut self, bytes: u64) -> Result<(), Refusal> {
        // Of a small disk not everything is kept back.
        let reserve = |all_bytes: u64| self.options.reserve_bytes.min(all_bytes / RESERVED);
        let space = self.disk.space(&self.shared.folder);
        if space.is_some_and(|space| space.free_bytes < reserve(space.all_bytes).saturating_add(bytes)) {
            return Err(Refusal::Full);
        }
        if self.shared.backlog_bytes() > self.options.backlog_bytes {
            return Err(Refusal::Backlog);
        }
        let full = |open: &Open| open.spoilt || open.len >= self.options.segment_bytes;
        if self.segment.as_ref().is_none_or(full) {
            self.finish_segment();
            self.begin_segment().map_err(|error| refusal(&error))?;
        }
        Ok(())
    }

    /// Writes all of a group that is new and makes it durable; the fate of each.
    fn append(&mut self, group: &[Request]) -> Result<Vec<Result<u64, Same>>, Refusal> {
        let Some(open) = &mut self.segment else { return Err(Refusal::Closed) };
        let mut fates = Vec::with_capacity(group.len());
        let mut fresh = std::collections::HashMap::new();
        let (mut len, mut buffer) = (open.len, Vec::new());
        let mut write = || {
            for request in group {
                let key = request.batch.origin.key;
                let known = key.and_then(|key| self.keys.get(&key).or_else(|| fresh.get(&key).copied()));
                if let Some(sequence) = known {
                    fates.push(Err(Same::As(sequence)));
                    continue;
                }
                let Ok(head) = head(&request.batch, self.next) else {
                    fates.push(Err(Same::Unwritable));
                    continue;
                };
                len += (head.len() + request.batch.body.len()) as u64;
                buffer.extend_from_slice(&head);
                if request.batch.body.len() < DIRECT {
                    buffer.extend_from_slice(&request.batch.body);
                } else {
                    open.file.write_all(&buffer)?;
                    buffer.clear();
                    open.file.write_all(&request.batch.body)?;
                }
                fates.push(Ok(self.next));
                key.map(|key| fresh.insert(key, self.next));
                self.next += 1;
            }
            open.file.write_all(&buffer)?;
            if len > open.len { open.file.sync() } else { Ok(()) }
        };
        if let Err(error) = write() {
            open.spoilt = open.file.cut(open.len).is_err();
            return Err(refusal(&error));
        }
        open.len = len;
        Ok(fates)
    }

    /// Tells readers and senders of a durable group.
    fn settle(&mut self, group: Vec<Request>, fates: Vec<Result<u64, Same>>) {
        let mut answers = Vec::with_capacity(group.len());
        let mut new = Vec::with_capacity(group.len());
        for (request, fate) in group.into_iter().zip(fates) {
            let answer = match fate {
                Ok(sequence) => {
                    if let (Some(key), Some(open)) = (request.batch.origin.key, &mut self.segment) {
                        self.keys.add(key, sequence);
                        open.keys.push((key, sequence));
                    }
                    new.push(Stored { sequence, batch: Arc::new(request.batch) });
                    Ok(Receipt { sequence, duplicate: false })
                }
                Err(Same::As(sequence)) => Ok(Receipt { sequence, duplicate: true }),
                Err(Same::Unwritable) => Err(Refusal::TooLarge),
            };
            answers.push((request.done, answer));
        }
        self.publish(new);
        for (done, answer) in answers {
            done(answer);
        }
    }

    /// Lets the reader see new batches.
    fn publish(&self, new: Vec<Stored>) {
        let mut state = self.shared.lock();
        state.durable = self.next - 1;
        if let (Some(open), Some(info)) = (&self.segment, state.segments.back_mut()) {
            (info.last, info.bytes) = (self.next - 1, open.len);
        }
        for stored in new {
            state.tail_bytes += stored.batch.size();
            state.tail.push_back(stored);
        }
        while state.tail_bytes > self.options.tail_bytes {
            let Some(oldest) = state.tail.pop_front() else { break };
            state.tail_bytes -= oldest.batch.size();
        }
        drop(state);
        self.shared.grown.notify_all();
    }

    /// Begins a segment for what comes next.
    pub(super) fn begin_segment(&mut self) -> io::Result<()> {
        let mut file = self.disk.create(&segment_path(&self.shared.folder, self.next))?;
        let begun = file.write_all(&MAGIC).and_then(|()| file.sync());
        if let Err(error) = begun {
            // Nothing is in it; without the file the same name can be tried again.
            drop(std::fs::remove_file(segment_path(&self.shared.folder, self.next)));
            return Err(error);
        }
        let len = MAGIC.len() as u64;
        let info = SegmentInfo { first: self.next, last: self.next - 1, bytes: len };
        self.shared.lock().segments.push_back(info);
        self.segment = Some(Open { file, first: self.next, len, keys: Vec::new(), spoilt: false });
        Ok(())
    }

    /// Leaves the segment that was written so far, and its keys beside it. Without those, its keys are read from itself
    /// as long as it is there.
    fn finish_segment(&mut self) {
        let Some(open) = self.segment.take() else { return };
        if open.first == self.next {
            // It is empty, and its name is wanted again.
            self.shared.lock().segments.retain(|info| info.first != open.first);
            drop(std::fs::remove_file(segment_path(&self.shared.folder, open.first)));
            return;
        }
        drop(write_whole(&keys_path(&self.shared.folder, open.first), &keys::to_bytes(&open.keys)));
    }
}

/// Why a request of a group was not written.
enum Same {
    /// A batch with its key has this number.
    As(u64),
    /// Its origin is too long to be written.
    Unwritable,
}

/// Of how many bytes of the disk one is kept back, if that is less than [`Options::reserve_bytes`].
const RESERVED: u64 = 10;

/// Bodies from this length on are written without being copied.
const DIRECT: usize = 16 << 10;

fn refusal(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Refusal::Full,
        kind => Refusal::Failed(kind),
    }
}
