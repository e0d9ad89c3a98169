use std::path::Path;

use super::super::{Normalised, Place, Record};
use super::*;
use crate::decode::{Decode, Decoded};
use crate::json::{Emit, JsonDecoder};
use crate::json_slow::kind_of_event;
use crate::text::{LineFormat, TextDecoder};
use crate::whole::Whole;

/// Both ways to a row.
struct Both {
    flattener: Flattener,
    json: JsonDecoder,
    text: TextDecoder,
    fields: Fields,
    whole: Whole,
    rows: u64,
    classes: std::collections::BTreeSet<u32>,
}

impl Both {
    fn new() -> Self {
        let taxonomy = Taxonomy::embedded();
        let mut names = Names::new();
        for field in super::fields() {
            taxonomy.all_sources(&field).iter().for_each(|name| {
                names.add(name);
            });
        }
        let names = Arc::new(names);
        Self {
            flattener: Flattener::new(names.clone(), taxonomy),
            json: JsonDecoder::new(names.clone(), taxonomy, Emit::Named),
            text: TextDecoder::new(LineFormat::Any, 0),
            fields: Fields::new(names),
            whole: Whole::new(),
            rows: 0,
            classes: std::collections::BTreeSet::new(),
        }
    }

    fn compare(&mut self, raw: &[u8]) -> Option<Flat> {
        let is_json = raw.trim_ascii_start().first() == Some(&b'{');
        self.fields.clear();
        let decoded =
            if is_json { self.json.decode(raw, &mut self.fields) } else { self.text.decode(raw, &mut self.fields) };
        if decoded != Ok(Decoded::Event) {
            return None;
        }
        self.whole.decode((!is_json).then_some(&mut self.text), raw).unwrap();
        let (event, kind) = self.whole.event(raw);
        assert_eq!(kind, kind_of_event(&event, self.fields.shape, Taxonomy::embedded()));
        let place = Place { time_ns: None, file: "", position: 0 };
        let slow = Normalised::new(Record { event: &event, kind, raw, place }, Taxonomy::embedded()).flat();
        let fast = self.flattener.flat(kind, &self.fields, raw);
        let name = Taxonomy::embedded().kind_name(kind);
        assert_eq!(fast, slow, "{name}: {}", String::from_utf8_lossy(raw));
        self.rows += 1;
        self.classes.insert(fast.class_uid);
        Some(fast)
    }

    fn lines(&mut self, bytes: &[u8]) {
        bytes.split(|b| *b == b'\n').for_each(|line| drop(self.compare(line)));
    }
}

#[test]
fn severity_is_what_the_sender_says() {
    let windows = |more: &str| format!(r#"{{"Channel":"System","EventID":7045,"Computer":"pc1",{more}}}"#);
    let fortigate = |level: &str| {
        let start = "<189>date=2026-11-16 time=00:58:00 devname=\"fg\" devid=\"FGVM1\" logid=\"0100032001\"";
        format!("{start} type=\"event\" subtype=\"system\" level=\"{level}\" vd=\"root\"")
    };
    for (raw, severity) in [
        (windows(r#""Level":1"#), 5),
        (windows(r#""Level":"2""#), 4),
        (windows(r#""Level":3"#), 3),
        (windows(r#""Level":4"#), 1),
        (windows(r#""Level":"Warning""#), 3),
        (windows(r#""log":{"level":"error"}"#), 4),
        (windows(r#""SeverityValue":4,"Severity":"ERROR""#), 4),
        (windows(r#""Level":77"#), 1),
        (windows(r#""Task":0"#), 1),
        ("<0>Nov 16 01:08:01 h1 kernel: panic".to_owned(), 6),
        ("<35>Nov 16 01:08:01 h1 sshd[4]: error: x".to_owned(), 4),
        ("<14>Nov 16 01:08:01 h1 app: all well".to_owned(), 1),
        ("Nov 16 01:08:01 h1 sshd[4]: no priority".to_owned(), 1),
        ("<134>Nov 16 01:08:01 fw CEF:0|V|F|1|1|Denied|8|src=10.0.0.1".to_owned(), 4),
        ("<134>Nov 16 01:08:01 fw CEF:0|V|F|1|1|Denied|Very-High|src=10.0.0.1".to_owned(), 5),
        ("LEEF:1.0|V|P|1|login|sev=9\tsrc=10.0.0.1".to_owned(), 5),
        (fortigate("information"), 1),
        (fortigate("critical"), 5),
        (r#"{"event_type":"alert","timestamp":"2026-11-16T01:07:00Z","flow_id":1,"src_ip":"10.0.0.1","alert":{"severity":1,"signature":"x"}}"#.to_owned(), 4),
        (r#"{"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog"},"logName":"x","insertId":"1","severity":"NOTICE"}"#.to_owned(), 2),
    ] {
        let found = Both::new().compare(raw.as_bytes()).map(|flat| flat.severity_id);
        assert_eq!(found, Some(severity), "{raw}");
    }
}

#[test]
fn rows_are_those_of_the_tree_for_the_shipped_events() {
    let mut both = Both::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/events");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "gz") {
            continue;
        }
        both.lines(&std::fs::read(path).unwrap());
    }
    assert!(both.rows > 80, "{}", both.rows);
    assert!(both.classes.len() > 5, "{:?}", both.classes);
}

#[test]
fn rows_are_those_of_the_tree_for_the_corpora() {
    let Some(corpus) = khien_testkit::corpus() else { return };
    let mut both = Both::new();
    for name in ["windows_evtx_dev.jsonl.zst", "windows_otrf_flat_dev.jsonl.zst", "cloud_saas_events_panther.jsonl.zst"]
    {
        let file = std::fs::File::open(corpus.join(name)).unwrap();
        let mut bytes = Vec::new();
        let decoder = zstd::stream::read::Decoder::new(file).unwrap();
        std::io::Read::read_to_end(&mut std::io::Read::take(decoder, 64 << 20), &mut bytes).unwrap();
        both.lines(&bytes);
    }
    assert!(both.rows > 10_000, "{}", both.rows);
}
