//! From bytes to records and from lines to fields: every function takes any bytes and must return.

use std::io::Read;
use std::sync::Arc;

use khien_event::decode::Decode;
use khien_event::evtx::{Batch, Chunks, decode};
use khien_event::fields::Fields;
use khien_event::frame::{Block, Frames, Framing};
use khien_event::input;
use khien_event::names::Names;
use khien_event::text::{LineFormat, TextDecoder};

/// Most bytes that a compressed input may become here.
const EXPANDED: u64 = 64 << 20;

/// Decodes the lines of `bytes` as each format; the values of every field must be readable, and UTF-8.
pub fn text(bytes: &[u8]) {
    use LineFormat::{Access, Any, Auditd, Cef, KeyValue, Leef, Syslog, Text, W3c, Zeek};
    let mut fields = Fields::with_labels(Arc::new(Names::new()));
    for format in [Any, Auditd, Syslog, Cef, Leef, KeyValue, Zeek, W3c, Access, Text] {
        let mut decoder = TextDecoder::new(format, 1_795_262_400_000_000_000);
        for line in bytes.split(|&b| b == b'\n') {
            fields.clear();
            let outcome = decoder.decode(line, &mut fields);
            assert!(format != Any || outcome.is_ok(), "a line that is recognised by itself always decodes");
            for field in fields.list() {
                let value = fields.bytes(line, field);
                assert!(std::str::from_utf8(value).is_ok(), "values are UTF-8");
            }
        }
    }
}

/// Frames `bytes` in each way; however the stream comes in pieces, the records are the same.
pub fn frames(bytes: &[u8]) {
    for framing in [Framing::Lines, Framing::OctetCounted, Framing::Documents] {
        let whole = records(bytes, framing);
        let (left, right) = bytes.split_at(bytes.len() / 3);
        assert_eq!(whole, records(left.chain(right), framing), "pieces do not matter");
    }
}

fn records(reader: impl Read, framing: Framing) -> Vec<(u64, Vec<u8>)> {
    let mut frames = Frames::new(reader, framing);
    let mut block = Block::default();
    let mut records = Vec::new();
    while frames.next_block(&mut block).unwrap_or(false) {
        records.extend(block.records().map(|record| (record.position, record.bytes.to_vec())));
    }
    records
}

/// Opens `bytes` as a file, decompresses and recognises it.
pub fn input(bytes: &[u8]) {
    let Ok(mut reader) = input::open(bytes, EXPANDED) else {
        return;
    };
    let mut first = Vec::new();
    let read = reader.by_ref().take(input::SNIFF_BYTES as u64).read_to_end(&mut first);
    input::recognise(&first, None);
    let rest = std::io::copy(&mut reader, &mut std::io::sink());
    assert!(read.is_err() || rest.is_err() || first.len() as u64 <= EXPANDED);
}

/// Decodes `bytes` as a Windows event log.
pub fn evtx(bytes: &[u8]) {
    let mut chunks = Chunks::new(bytes);
    let mut batch = Batch::default();
    while chunks.next_batch(&mut batch).unwrap_or(false) {
        decode(&batch, |_| {});
    }
}

/// Reads `bytes` as a time.
pub fn time(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let time = khien_event::time::parse(&text);
    let near = khien_event::time::parse_near(&text, 0);
    assert!(time.is_none() || time == near, "a stated year is never replaced");
}
