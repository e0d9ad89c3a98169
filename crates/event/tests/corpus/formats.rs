//! Real logs, where `KHIEN_CORPUS` names their folder: how many lines are more to the decoders than plain text.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use khien_event::decode::{Decode, Decoded};
use khien_event::evtx;
use khien_event::fields::Fields;
use khien_event::frame::{Block, Frames, Framing};
use khien_event::input::{self, Format};
use khien_event::names::Names;
use khien_event::text::{LineFormat, TextDecoder};
use khien_testkit::{read_tar_zst, read_zst};

/// 2026-11-21T12:00:00Z
const REFERENCE: i64 = 1_795_262_400_000_000_000;

/// What became of the records of some files.
#[derive(Debug, Default)]
struct Count {
    events: usize,
    with_time: usize,
    malformed: usize,
    /// By the first field that is telling.
    kinds: BTreeMap<&'static str, usize>,
}

impl Count {
    fn text(&self) -> usize {
        self.kinds.get("text").copied().unwrap_or(0)
    }

    fn files(&mut self, bytes: &[u8], name: &str) {
        let mut reader = input::open(bytes, u64::MAX).unwrap();
        let mut plain = Vec::new();
        reader.read_to_end(&mut plain).unwrap();
        let format = input::recognise(&plain[..plain.len().min(input::SNIFF_BYTES)], Some(name));
        let framing = match format {
            Format::JsonDocument => Framing::Documents,
            Format::OctetCounted => Framing::OctetCounted,
            _ => Framing::Lines,
        };
        let mut frames = Frames::new(plain.as_slice(), framing);
        let mut decoder = TextDecoder::new(LineFormat::Any, REFERENCE);
        let mut fields = Fields::with_labels(Arc::new(Names::new()));
        let mut block = Block::default();
        while frames.next_block(&mut block).unwrap() {
            decoder.headers(block.headers());
            for record in block.records() {
                fields.clear();
                match decoder.decode(record.bytes, &mut fields) {
                    Ok(Decoded::Event) => self.event(&fields, record.bytes, name),
                    Ok(Decoded::Nothing) => {}
                    Err(_) => self.malformed += 1,
                }
            }
        }
        assert_eq!(frames.take_skipped(), []);
    }

    fn event(&mut self, fields: &Fields, line: &[u8], name: &str) {
        self.events += 1;
        self.with_time += usize::from(fields.time_ns.is_some());
        let kind = kind(fields);
        if kind == "text" && std::env::var_os("KHIEN_SHOW").is_some() {
            let line = String::from_utf8_lossy(line);
            println!("{name}: {}", line.chars().take(150).collect::<String>());
        }
        *self.kinds.entry(kind).or_default() += 1;
    }
}

/// A kind of line by the fields that only it has.
fn kind(fields: &Fields) -> &'static str {
    let has = |name: &str| (0..fields.list().len()).any(|at| fields.label(at) == name);
    match () {
        () if has("cefVersion") => "cef",
        () if has("leefVersion") => "leef",
        () if has("audit_id") => "auditd",
        () if has("_path") => "zeek",
        () if has("sc-status") => "access",
        () if has("message") && fields.list().len() == 1 => "text",
        () if has("message") && (has("hostname") || has("program") || has("priority")) => "syslog",
        () => "pairs or json",
    }
}

fn count(archive: &str, wanted: impl Fn(&str) -> bool) -> Option<Count> {
    let mut count = Count::default();
    for (name, bytes) in read_tar_zst(archive)? {
        if wanted(&name) && !name.contains("LICENSE") {
            count.files(&bytes, &name);
        }
    }
    println!("{archive}: {count:?}");
    Some(count)
}

#[test]
fn syslog_cef_and_leef() {
    let archive = "syslog_cef_leef_dev.tar.zst";
    let Some(syslog) = count(archive, |name| name.contains("syslog.log")) else { return };
    assert!(syslog.text() * 50 < syslog.events, "{} of {} syslog lines are only text", syslog.text(), syslog.events);
    let Some(cef) = count(archive, |name| name.contains("cef.log")) else { return };
    assert_eq!(cef.kinds.get("cef"), Some(&cef.events));
    let Some(leef) = count(archive, |name| name.contains("leef.log")) else { return };
    // Three lines of that file are searches, not events.
    assert_eq!(leef.kinds.get("leef"), Some(&(leef.events - 3)));
}

#[test]
fn logs_of_many_products() {
    let Some(logs) = count("crowdsec_parser_logs_dev.tar.zst", |_| true) else { return };
    assert!(logs.text() * 3 < logs.events);
}

#[test]
fn zeek() {
    let Some(logs) = count("zeek_logs_dev.tar.zst", |name| name.contains("LSASS")) else { return };
    assert_eq!(logs.kinds.get("zeek"), Some(&logs.events));
    assert_eq!(logs.with_time, logs.events);
    let Some(json) = count("zeek_logs_dev.tar.zst", |name| name.contains("apt29")) else { return };
    assert_eq!((json.text(), json.malformed), (0, 0));
}

#[test]
fn cloud_and_linux() {
    let Some(logs) = count("otrf_aws_linux_log4shell_dev.tar.zst", |name| !name.ends_with("csv")) else { return };
    assert_eq!((logs.text(), logs.malformed), (0, 0));
    let Some(lines) = read_zst("cloud_saas_events_panther.jsonl.zst") else { return };
    let mut cloud = Count::default();
    cloud.files(&lines, "cloud.jsonl");
    println!("cloud: {cloud:?}");
    assert_eq!((cloud.events, cloud.text(), cloud.malformed), (3_004, 0, 0));
}

/// The numbers of the records of a log, and how much of it is damaged.
fn records(log: &[u8]) -> (Vec<u64>, usize) {
    let mut chunks = evtx::Chunks::new(log);
    let mut batch = evtx::Batch::default();
    let (mut ids, mut damaged) = (Vec::new(), 0);
    while chunks.next_batch(&mut batch).unwrap() {
        evtx::decode(&batch, |item| match item {
            evtx::Item::Record(id, json) => {
                assert!(json.starts_with(b"{\"Event\":{") && !json.contains(&b'\n'));
                ids.push(id);
            }
            evtx::Item::Damage(damage) => {
                assert!(!damage.message().to_string().is_empty());
                damaged += 1;
            }
        });
    }
    (ids, damaged)
}

/// Reads a log as it is, cut and damaged; the number of its records and of the places the reader complains about.
fn event_log(name: &str, bytes: &[u8]) -> (usize, usize) {
    assert_eq!(input::recognise(bytes, None), Format::Evtx);
    let (ids, damage) = records(bytes);
    // The library itself, record by record.
    let mut parser = ::evtx::EvtxParser::from_buffer(bytes.to_vec()).unwrap();
    let expected: Vec<u64> =
        parser.records_json_bytes().filter_map(|record| Some(record.ok()?.event_record_id)).collect();
    assert_eq!(ids, expected, "{name}");
    // Half of a log gives some of its records, and noise in the middle costs no more than chunks.
    let (half, _) = records(&bytes[..bytes.len() / 2]);
    assert!(half.len() <= ids.len());
    let mut noisy = bytes.to_vec();
    let (start, end) = (noisy.len() / 3, noisy.len() / 2);
    for (at, byte) in noisy[start..end].iter_mut().enumerate() {
        *byte ^= u8::try_from(at % 251).unwrap();
    }
    records(&noisy);
    (ids.len(), damage)
}

#[test]
fn event_logs() {
    let (mut files, mut all, mut damaged) = (0, 0, 0);
    for archive in ["evtx_raw_cc0_dev.tar.zst", "sigmahq-regression-dev.tar.zst"] {
        let Some(entries) = read_tar_zst(archive) else { return };
        for (name, bytes) in entries.iter().filter(|(name, _)| name.to_lowercase().ends_with(".evtx")) {
            let (records, damage) = event_log(name, bytes);
            files += 1;
            all += records;
            damaged += damage;
        }
    }
    println!("event logs: {files} files, {all} records, {damaged} damaged");
    assert!(files > 200);
}
