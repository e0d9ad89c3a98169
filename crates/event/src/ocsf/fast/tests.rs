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

    fn compare(&mut self, raw: &[u8]) {
        let is_json = raw.trim_ascii_start().first() == Some(&b'{');
        self.fields.clear();
        let decoded =
            if is_json { self.json.decode(raw, &mut self.fields) } else { self.text.decode(raw, &mut self.fields) };
        if decoded != Ok(Decoded::Event) {
            return;
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
    }

    fn lines(&mut self, bytes: &[u8]) {
        bytes.split(|b| *b == b'\n').for_each(|line| self.compare(line));
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
