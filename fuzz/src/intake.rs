//! What senders send, what stands in the journal, and what analysts ask.

use khien_ingest::batch::Span;
use khien_ingest::body::{Records, bulk, hec, lines, otlp};
use khien_ingest::journal::batches_in;
use khien_ingest::syslog::{Messages, Splitter};

/// Bodies of requests, by the protocol that the first byte chooses: every record stands in its body.
pub fn requests(data: &[u8]) {
    let Some((protocol, body)) = data.split_first() else { return };
    let body = body.to_vec().into();
    match protocol % 6 {
        0 => whole(&lines::records(body)),
        1 => {
            for item in bulk::parse(&body).map(|bulk| bulk.items).unwrap_or_default() {
                if let Ok(span) = item.document {
                    inside(span, body.len());
                }
            }
        }
        2 => hec::parse(&body).iter().for_each(whole),
        3 => hec::raw(body).iter().for_each(whole),
        4 => otlp::from_json(&body).and_then(|request| otlp::records(&request)).iter().for_each(whole),
        _ => otlp::from_protobuf(&body).and_then(|request| otlp::records(&request)).iter().for_each(whole),
    }
}

fn whole(records: &Records) {
    records.spans.iter().chain(&records.extras.envelopes).for_each(|span| inside(*span, records.body.len()));
    for list in [records.extras.envelopes.len(), records.extras.times_ms.len()] {
        assert!(list == 0 || list == records.spans.len(), "extras are for every record or for none");
    }
}

fn inside(span: Span, len: usize) {
    assert!(span.start as usize + span.len as usize <= len, "a record stands in its body");
}

/// A search, or a fault that stands in it.
pub fn search(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Err(fault) = khien_lake::search::check(&text) {
        assert!((1..=text.chars().count() + 1).contains(&fault.at), "{fault}");
    }
}

/// A stream of syslog: wherever it is cut, the messages are the same.
pub fn syslog_stream(data: &[u8]) {
    let Some((step, stream)) = data.split_first() else { return };
    let all = |step: usize| {
        let mut splitter = Splitter::default();
        let mut found: Vec<Vec<u8>> = stream.chunks(step).flat_map(|chunk| messages(&splitter.read(chunk))).collect();
        found.extend(messages(&splitter.end()));
        found
    };
    assert_eq!(all(usize::from(step % 16) + 1), all(stream.len().max(1)));
}

fn messages(found: &Messages) -> Vec<Vec<u8>> {
    let message = |span: &Span| found.body[span.start as usize..(span.start + span.len) as usize].to_vec();
    found.spans.iter().map(message).collect()
}

/// A segment of the journal: whatever it holds, its batches are whole.
pub fn journal(data: &[u8]) {
    for (_, batch) in batches_in(data) {
        batch.records().for_each(|record| assert!(record.len() <= batch.body.len()));
        for index in 0..=batch.spans.len() {
            assert!(batch.envelope(index).is_none_or(|envelope| envelope.len() <= batch.body.len()));
        }
    }
}
