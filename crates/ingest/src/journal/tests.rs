use std::collections::HashMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::batch::{Extras, Key, Origin, Span};

fn batch(text: &str, key: Option<u8>) -> Batch {
    Batch {
        origin: Origin {
            organisation: "soc".into(),
            source: "s".into(),
            protocol: "ndjson".into(),
            received_ms: 7,
            peer: Some([192, 0, 2, 1].into()),
            key: key.map(|k| Key([k; 16])),
        },
        spans: vec![Span { start: 0, len: text.len() as u32 }],
        extras: Extras { times_ms: vec![Some(5)], envelopes: Vec::new() },
        body: Bytes::copy_from_slice(text.as_bytes()),
    }
}

fn small() -> Options {
    Options { segment_bytes: 300, reserve_bytes: 0, ..Options::default() }
}

fn open(folder: &Path, options: Options) -> (Journal, Running, Recovered) {
    Journal::open(folder, 0, options, Box::new(RealDisk)).unwrap()
}

/// Appends and waits for the answer.
fn append(journal: &Journal, batch: Batch) -> Result<Receipt, Refusal> {
    let (answer, wait) = sync_channel(1);
    journal.append(batch, move |result| answer.send(result).unwrap())?;
    wait.recv().unwrap()
}

fn text(stored: &Stored) -> String {
    String::from_utf8(stored.batch.body.to_vec()).unwrap()
}

/// Everything behind `after`, as sequence number and text.
fn all(journal: &Journal, after: u64) -> Vec<(u64, String)> {
    let mut cursor = journal.cursor(after);
    std::iter::from_fn(|| cursor.next(Duration::ZERO).unwrap()).map(|s| (s.sequence, text(&s))).collect()
}

fn close(journal: Journal, running: Running) {
    drop(journal);
    running.join();
}

#[test]
fn what_was_appended_is_read_in_order_from_memory_and_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let wanted: Vec<(u64, String)> = (1..=40).map(|i| (i, format!("record {i}"))).collect();
    for tail_bytes in [0, 1 << 20] {
        let (journal, running, _) = open(folder.path(), Options { tail_bytes, ..small() });
        if tail_bytes == 0 {
            for (sequence, text) in &wanted {
                let receipt = append(&journal, batch(text, None)).unwrap();
                assert_eq!(receipt, Receipt { sequence: *sequence, duplicate: false });
            }
        }
        assert_eq!(all(&journal, 0), wanted);
        assert_eq!(all(&journal, 17), wanted[17..]);
        close(journal, running);
    }
}

#[test]
fn a_key_is_accepted_once_also_after_trimming_and_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, running, _) = open(folder.path(), small());
    for i in 0..20 {
        append(&journal, batch("x", Some(i))).unwrap();
    }
    assert_eq!(append(&journal, batch("x", Some(3))), Ok(Receipt { sequence: 4, duplicate: true }));
    journal.trimmer().trim(20).unwrap();
    assert!(journal.backlog_bytes() < 600, "{}", journal.backlog_bytes());
    close(journal, running);
    let (journal, running, found) = open(folder.path(), small());
    assert_eq!(found, Recovered { last: 20, ..Recovered::default() });
    assert_eq!(append(&journal, batch("x", Some(0))), Ok(Receipt { sequence: 1, duplicate: true }));
    assert_eq!(append(&journal, batch("x", Some(19))), Ok(Receipt { sequence: 20, duplicate: true }));
    assert_eq!(append(&journal, batch("x", Some(20))), Ok(Receipt { sequence: 21, duplicate: false }));
    close(journal, running);
}

#[test]
fn numbers_go_on_behind_what_was_committed_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, running, _) = Journal::open(folder.path(), 41, small(), Box::new(RealDisk)).unwrap();
    assert_eq!(append(&journal, batch("x", None)).unwrap().sequence, 42);
    assert_eq!(all(&journal, 41), [(42, "x".to_owned())]);
    close(journal, running);
    let (journal, running, _) = open(folder.path(), small());
    assert_eq!(append(&journal, batch("y", None)).unwrap().sequence, 43);
    assert_eq!(all(&journal, 41), [(42, "x".to_owned()), (43, "y".to_owned())]);
    close(journal, running);
}

#[test]
fn a_second_process_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, running, _) = open(folder.path(), small());
    let second = Journal::open(folder.path(), 0, small(), Box::new(RealDisk)).map(|_| ());
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    close(journal, running);
    let (journal, running, _) = open(folder.path(), small());
    close(journal, running);
}

#[test]
fn damage_in_the_middle_costs_that_segment_and_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, running, _) = open(folder.path(), small());
    for i in 1..=12 {
        append(&journal, batch(&format!("record {i} {}", "x".repeat(60)), None)).unwrap();
    }
    close(journal, running);
    let path = segment_path(folder.path(), 1);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xFF;
    std::fs::write(&path, bytes).unwrap();
    let (journal, running, _) = open(folder.path(), small());
    let mut cursor = journal.cursor(0);
    let (mut read, mut lost) = (Vec::new(), Vec::new());
    loop {
        match cursor.next(Duration::ZERO) {
            Ok(Some(stored)) => read.push(stored.sequence),
            Ok(None) => break,
            Err(ReadError::Lost { from, to }) => lost.extend(from..=to),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(!lost.is_empty());
    let mut both = [read, lost].concat();
    both.sort_unstable();
    assert_eq!(both, (1..=12).collect::<Vec<_>>());
    close(journal, running);
}

#[test]
fn bounds_refuse_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, running, _) = open(folder.path(), Options { backlog_bytes: 200, ..small() });
    let mut taken = 0;
    while append(&journal, batch(&"x".repeat(50), None)).is_ok() {
        taken += 1;
    }
    assert!((1..4).contains(&taken), "{taken}");
    assert_eq!(append(&journal, batch("x", None)), Err(Refusal::Backlog));
    close(journal, running);
}

#[test]
fn a_tenth_of_the_disk_stays_free() {
    let folder = tempfile::tempdir().unwrap();
    for (free_bytes, reserve_bytes, wanted) in [
        (1_500, u64::MAX, Ok(Receipt { sequence: 1, duplicate: false })),
        (1_200, u64::MAX, Err(Refusal::Full)),
        (1_200, 0, Ok(Receipt { sequence: 2, duplicate: false })),
    ] {
        let space = Some(Space { all_bytes: 10_000, free_bytes });
        let disk = Box::new(Shaky { plan: Arc::default(), space });
        let options = Options { reserve_bytes, ..small() };
        let (journal, running, _) = Journal::open(folder.path(), 0, options, disk).unwrap();
        assert_eq!(append(&journal, batch("x", None)), wanted);
        close(journal, running);
    }
}

/// A disk that fails when told to.
struct Shaky {
    plan: Arc<Mutex<Plan>>,
    space: Option<Space>,
}

#[derive(Default)]
struct Plan {
    /// What becomes of the next calls; no fault when it is empty.
    faults: Vec<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// Writes half and fails.
    Torn,
    /// Fails with a full disk.
    Full,
    Broken,
}

impl Plan {
    fn next(&mut self) -> Fault {
        self.faults.pop().unwrap_or(Fault::None)
    }
}

struct ShakyFile {
    inner: Box<dyn Segment>,
    plan: Arc<Mutex<Plan>>,
}

impl ShakyFile {
    fn step(&self) -> io::Result<Fault> {
        match self.plan.lock().unwrap().next() {
            Fault::Full => Err(io::ErrorKind::StorageFull.into()),
            Fault::Broken => Err(io::ErrorKind::Other.into()),
            fault => Ok(fault),
        }
    }
}

impl Write for ShakyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.step()? == Fault::Torn {
            self.inner.write_all(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::Other.into());
        }
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Segment for ShakyFile {
    fn sync(&mut self) -> io::Result<()> {
        if self.step()? == Fault::Torn {
            return Err(io::ErrorKind::Other.into());
        }
        self.inner.sync()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        if self.step()? == Fault::Torn {
            return Err(io::ErrorKind::Other.into());
        }
        self.inner.cut(len)
    }
}

impl Disk for Shaky {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn Segment>> {
        let fault = self.plan.lock().unwrap().next();
        if fault == Fault::Broken {
            return Err(io::ErrorKind::Other.into());
        }
        Ok(Box::new(ShakyFile { inner: RealDisk.create(path)?, plan: self.plan.clone() }))
    }

    fn space(&mut self, _: &Path) -> Option<Space> {
        self.space
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![6 => Just(Fault::None), 1 => Just(Fault::Torn), 1 => Just(Fault::Full), 1 => Just(Fault::Broken)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A sender that repeats what was refused has everything exactly once in the end, whatever the disk did and
    /// wherever the process ended.
    #[test]
    fn acknowledged_means_there_exactly_once(
        faults in prop::collection::vec(fault(), 0..60),
        cuts in prop::collection::vec((1_usize..8, 0_usize..400), 1..5),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let plan = Arc::new(Mutex::new(Plan { faults }));
        let mut wanted = HashMap::new();
        let mut unacknowledged = Vec::new();
        let mut key = 0;
        for (count, torn) in cuts {
            let disk = Shaky { plan: plan.clone(), space: None };
            let opened = Journal::open(folder.path(), 0, small(), Box::new(disk));
            let Ok((journal, running, _)) = opened else {
                plan.lock().unwrap().faults.clear();
                continue;
            };
            for again in std::mem::take(&mut unacknowledged) {
                if append(&journal, batch(&format!("{again}"), Some(again))).is_err() {
                    unacknowledged.push(again);
                }
            }
            for _ in 0..count {
                key += 1;
                wanted.insert(key, 0);
                if append(&journal, batch(&format!("{key}"), Some(key))).is_err() {
                    unacknowledged.push(key);
                }
            }
            close(journal, running);
            tear(folder.path(), torn);
        }
        let (journal, running, _) = open(folder.path(), small());
        for again in unacknowledged {
            append(&journal, batch(&format!("{again}"), Some(again))).unwrap();
        }
        for (_, text) in all(&journal, 0) {
            *wanted.get_mut(&text.parse::<u8>().unwrap()).unwrap() += 1;
        }
        prop_assert!(wanted.values().all(|count| *count == 1), "{:?}", wanted);
        close(journal, running);
    }
}

/// What a process leaves that ends while it writes: part of a record at the end of the last segment.
fn tear(folder: &Path, bytes: usize) {
    let last = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let last = last.filter(|p| p.extension().is_some_and(|e| e == "journal")).max();
    if let Some(path) = last {
        let record = format::head(&batch(&"y".repeat(400), Some(255)), 99).unwrap();
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(&record[..bytes.min(record.len())]).unwrap();
    }
}

#[test]
fn the_format_of_today_stays_readable() {
    let bytes = format::head(&batch("one record", Some(9)), 0x0102_0304_0506).unwrap();
    let hex = bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat();
    assert_eq!(
        hex,
        "73837a7a29000000010000000a000000060504030201000003736f630173066e646a736f6e0e0100c0000201\
         010909090909090909090909090909090901010a00000000000a000000"
    );
}
