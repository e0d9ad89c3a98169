//! The corpora, made from the recordings that `KHIEN_CORPUS` names.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::vary::{KEPT, Varier, is_constant};
use crate::windows::{self, Kind};
use crate::{indicators, limits, rules};

/// Largest window the recordings were compressed with, as a power of two.
const ZSTD_WINDOW_LOG: u32 = 27;
const BLOCK: usize = 1 << 20;
/// Bound of what is unpacked, bytes.
const UNPACKED_LIMIT: u64 = 8 << 30;
/// Original events of a category that are kept to be varied.
const SAMPLES: usize = 3_000;
/// Events of a category from which on it is also measured as recorded.
const LEAST_RECORDED: u64 = 2_000;
/// Lines of a file of the mixed corpus.
const MIXED_CHUNK: u64 = 2_000;
const WINDOWS: &str = "windows";
/// One in so many events of the telemetry goes into the mixed corpus.
const MIXED_TELEMETRY_STEP: u64 = 4;

/// How much is made.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Varied process creations.
    pub processes: u64,
    /// Varied events of a category that has fewer than a third of them.
    pub category: u64,
    /// Varied copies of the other products' logs.
    pub mixed_copies: u64,
    /// Indicators.
    pub indicators: u64,
    /// Logon failures for the correlations.
    pub logons: u64,
    /// Repetitions of the telemetry for the memory figure.
    pub repetitions: u64,
}

impl Sizes {
    /// For figures that are published.
    pub const FULL: Self = Self {
        processes: 120_000,
        category: 40_000,
        mixed_copies: 12,
        indicators: 5_000_000,
        logons: 200_000,
        repetitions: 4,
    };
    /// For a look in between.
    pub const QUICK: Self = Self {
        processes: 20_000,
        category: 8_000,
        mixed_copies: 2,
        indicators: 500_000,
        logons: 40_000,
        repetitions: 4,
    };
}

/// Makes everything below `out` and the list `manifest.json` of what there is.
///
/// # Errors
/// When a recording is missing or a file cannot be written.
pub fn make(data: &Path, out: &Path, sizes: Sizes) -> Result<()> {
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("cannot clear {}", out.display()))?;
    }
    fs::create_dir_all(out)?;
    let maker = Maker { data, out, sizes };
    let mut manifest = BTreeMap::new();
    let sources = maker.unpack()?;
    let recorded = maker.recordings(&mut manifest)?;
    maker.processes(&recorded, &mut manifest)?;
    maker.categories(&recorded, &mut manifest)?;
    maker.mixed(&sources, &mut manifest)?;
    maker.repeated(&mut manifest)?;
    maker.logons(&mut manifest)?;
    binary_logs(&sources, &mut manifest)?;
    indicators::write(&out.join("indicators.txt"), sizes.indicators)?;
    File::create(out.join("empty.jsonl"))?;
    fs::create_dir_all(out.join("empty-folder"))?;
    let rules = rules::write_sets(&sources, &out.join("rules"))?;
    let manifest = json!({ "corpora": manifest, "rules": rules, "indicators": sizes.indicators });
    // Written last: its presence says that everything else is complete.
    fs::write(out.join("manifest.json"), serde_json::to_string_pretty(&manifest)?)?;
    Ok(())
}

type Manifest = BTreeMap<String, Value>;

/// The samples of a category and how many events it had.
#[derive(Debug, Default)]
struct Samples {
    events: u64,
    kept: Vec<Value>,
}

struct Maker<'a> {
    data: &'a Path,
    out: &'a Path,
    sizes: Sizes,
}

impl Maker<'_> {
    /// Unpacks the archives, or names the folder where somebody did.
    fn unpack(&self) -> Result<PathBuf> {
        if self.data.join("rules").is_dir() {
            return Ok(self.data.to_path_buf());
        }
        let target = self.out.join("unpacked");
        let mut archives = 0;
        for entry in fs::read_dir(self.data)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let wanted = ["sigmahq-", "evtx_raw", "zeek_", "crowdsec_", "syslog_", "otrf_"];
            if name.ends_with(".tar.zst") && wanted.iter().any(|start| name.starts_with(start)) {
                tar::Archive::new(decompress(&path)?.take(UNPACKED_LIMIT)).unpack(&target)?;
                archives += 1;
            }
        }
        ensure!(archives > 0, "{} holds neither rules/ nor archives", self.data.display());
        Ok(target)
    }

    /// The Windows recordings as they are, split by category; keeps samples to vary.
    fn recordings(&self, manifest: &mut Manifest) -> Result<BTreeMap<&'static str, Samples>> {
        let mut by_category: BTreeMap<&'static str, (Windows, Samples)> = BTreeMap::new();
        let mut primer = Output::create(self.out.join("primer.jsonl"))?;
        let mut kinds: BTreeSet<Kind> = BTreeSet::new();
        for (name, file) in [("otrf", "windows_otrf_flat_dev.jsonl"), ("dev", "windows_evtx_dev.jsonl")] {
            let mut whole = Windows::create(self.out, name)?;
            for line in self.lines(file)? {
                let line = line?;
                let event: Value = serde_json::from_str(&line)?;
                whole.event(&line, &event)?;
                let kind = windows::kind(&event).unwrap_or_default();
                let category = windows::category(&kind);
                if !by_category.contains_key(category) {
                    let output = Windows::create(self.out, &format!("category/{category}"))?;
                    by_category.insert(category, (output, Samples::default()));
                }
                if let Some((output, samples)) = by_category.get_mut(category) {
                    output.event(&line, &event)?;
                    samples.take(&event);
                }
                if kinds.insert(kind) {
                    primer.line(&line)?;
                }
            }
            whole.finish(manifest, name, "as recorded")?;
        }
        primer.finish(manifest, "primer", "the first event of each kind")?;
        let finished = by_category.into_iter().map(|(category, (output, samples))| {
            output.finish(manifest, &format!("category/{category}"), "as recorded")?;
            Ok((category, samples))
        });
        finished.collect()
    }

    /// Process creations of which no value repeats.
    fn processes(&self, recorded: &BTreeMap<&'static str, Samples>, manifest: &mut Manifest) -> Result<()> {
        let samples = &recorded.get("process_creation").context("no process creation was recorded")?.kept;
        self.varied(samples, self.sizes.processes, "procs-unique", "varied: no value repeats", manifest)
    }

    /// Brings small categories to a size that can be measured; those that can be as recorded get a second corpus.
    fn categories(&self, recorded: &BTreeMap<&'static str, Samples>, manifest: &mut Manifest) -> Result<()> {
        for (category, samples) in recorded.iter().filter(|(_, samples)| samples.events < self.sizes.category / 3) {
            let measurable = samples.events >= LEAST_RECORDED;
            let name = format!("category/{category}{}", if measurable { " varied" } else { "" });
            self.varied(&samples.kept, self.sizes.category, &name, "varied: no value repeats", manifest)?;
        }
        Ok(())
    }

    fn varied(&self, samples: &[Value], count: u64, name: &str, how: &str, manifest: &mut Manifest) -> Result<()> {
        let mut texts = Vec::new();
        samples.iter().take(500).for_each(|event| command_lines(event, &mut texts));
        let varier = Varier::new(texts);
        let mut unique = Uniqueness::default();
        let mut output = Windows::create(self.out, name)?;
        for (number, sample) in (0..count).zip(samples.iter().cycle()) {
            let event = varier.event(sample, number);
            unique.check("", &event).with_context(|| format!("{name}, event {}", number + 1))?;
            output.event(&serde_json::to_string(&event)?, &event)?;
        }
        output.finish(manifest, name, how)
    }

    /// Logs of many products, in files that take turns.
    fn mixed(&self, sources: &Path, manifest: &mut Manifest) -> Result<()> {
        let mut mixed = Mixed::new(self.out)?;
        for (number, line) in (0..).zip(self.lines("windows_otrf_flat_dev.jsonl")?) {
            if number % MIXED_TELEMETRY_STEP == 0 {
                mixed.line(WINDOWS, &line?)?;
            }
        }
        for line in self.lines("windows_evtx_dev.jsonl")? {
            mixed.line(WINDOWS, &line?)?;
        }
        self.cloud(&mut mixed)?;
        for copy in 0..self.sizes.mixed_copies {
            mixed.folder(&sources.join("syslog"), copy, &|_| Some("syslog"))?;
            mixed.folder(&sources.join("crowdsec_logs"), copy, &product_of)?;
            if copy < 3 {
                mixed.folder(&sources.join("zeek"), copy, &|_| Some("zeek"))?;
            }
            mixed.folder(&sources.join("other"), copy, &|_| Some("auditd"))?;
        }
        mixed.finish(manifest)
    }

    /// Cloud audit events with exactly one known log type.
    fn cloud(&self, mixed: &mut Mixed) -> Result<()> {
        let lines: Vec<String> = self.lines("cloud_saas_events_panther.jsonl")?.collect::<Result<_>>()?;
        for copy in 0..self.sizes.mixed_copies {
            for (number, line) in (0..).zip(&lines) {
                let value: Value = serde_json::from_str(line)?;
                let types = value.get("log_types").and_then(Value::as_array);
                let [Value::String(log_type)] = types.map(Vec::as_slice).unwrap_or_default() else { continue };
                let product = match log_type.split('.').next() {
                    Some("AWS") => "aws",
                    Some("Azure") => "azure",
                    Some("GCP") => "gcp",
                    Some("Okta") => "okta",
                    Some("Microsoft365") => "m365",
                    Some("GitHub") => "github",
                    _ => continue,
                };
                let event = serde_json::to_string(&value["event"])?;
                mixed.line(product, &vary_copy(&event, copy, number))?;
            }
        }
        Ok(())
    }

    /// The telemetry several times over: flatters caches, and is used for the memory figure only.
    fn repeated(&self, manifest: &mut Manifest) -> Result<()> {
        let mut output = Output::create(self.out.join("otrf-repeated.jsonl"))?;
        for _ in 0..self.sizes.repetitions {
            for line in self.lines("windows_otrf_flat_dev.jsonl")? {
                output.line(&line?)?;
            }
        }
        output.finish(manifest, "otrf-repeated", "repeated: flatters caches")
    }

    /// Failed logons of many users from many addresses, in the order of time.
    fn logons(&self, manifest: &mut Manifest) -> Result<()> {
        let mut output = Output::create(self.out.join("logons.jsonl"))?;
        for number in 0..self.sizes.logons {
            output.line(&logon(number)?)?;
        }
        output.finish(manifest, "logons", "synthetic: failed logons")
    }

    /// Lines of a recording, compressed or not.
    fn lines(&self, name: &str) -> Result<impl Iterator<Item = Result<String>>> {
        let plain = self.data.join(name);
        let reader: Box<dyn Read> = if plain.is_file() {
            Box::new(File::open(&plain)?)
        } else {
            Box::new(decompress(&self.data.join(format!("{name}.zst")))?)
        };
        Ok(BufReader::with_capacity(BLOCK, reader).lines().map(|line| Ok(line?)))
    }
}

/// The binary event logs as they are.
fn binary_logs(sources: &Path, manifest: &mut Manifest) -> Result<()> {
    let folder = sources.join("hayabusa-sample-evtx");
    let once = limits::evtx(&folder, Duration::ZERO)?;
    let entry = json!({ "path": folder, "events": once.events, "bytes": once.bytes, "how": "as recorded" });
    manifest.insert("evtx".to_owned(), entry);
    Ok(())
}

impl Samples {
    fn take(&mut self, event: &Value) {
        self.events += 1;
        if self.kept.len() < SAMPLES {
            self.kept.push(event.clone());
        }
    }
}

fn decompress(path: &Path) -> Result<impl Read + use<>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut decoder = zstd::Decoder::new(file)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}

/// The texts of command lines and paths below `event`.
fn command_lines<'a>(event: &'a Value, texts: &mut Vec<&'a str>) {
    match event {
        Value::Object(members) => members.values().for_each(|value| command_lines(value, texts)),
        Value::String(text) if text.contains('\\') && text.len() < 1_000 => texts.push(text),
        _ => {}
    }
}

/// The copy `copy` of a line; the first is the line itself.
fn vary_copy(line: &str, copy: u64, number: u64) -> String {
    match copy {
        0 => line.to_owned(),
        _ => Varier::line(line, (copy << 32) | number),
    }
}

/// The part of the mixed corpus a file of `crowdsec_logs` belongs to.
fn product_of(name: &str) -> Option<&'static str> {
    let known = [
        ("suricata", "suricata"),
        ("auditd", "auditd"),
        ("forti", "fortinet"),
        ("palo", "paloalto"),
        ("cef", "cef"),
        ("nginx", "web"),
        ("apache", "web"),
        ("sshd", "sshd"),
        ("cloudtrail", "aws"),
    ];
    known.into_iter().find(|(part, _)| name.contains(part)).map(|(_, product)| product)
}

fn logon(number: u64) -> Result<String> {
    let mut rng = crate::rng::Rng::new(number);
    let time = jiff::Timestamp::from_millisecond(1_767_571_200_000 + i64::try_from(number)? * 50)?;
    let event = json!({
        "Channel": "Security", "EventID": 4625, "Provider": "Microsoft-Windows-Security-Auditing",
        "TimeCreated": time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
        "Computer": format!("HOST{:03}", rng.below(200)),
        "TargetUserName": format!("user{:04}", rng.below(1_000)), "TargetDomainName": "CORP",
        "IpAddress": format!("10.{}.{}.{}", rng.below(4), rng.below(50), rng.below(250)),
        "IpPort": 1024 + rng.below(60_000), "LogonType": 3, "Status": "0xc000006d", "SubStatus": "0xc000006a",
        "WorkstationName": format!("WS{:03}", rng.below(300)), "ProcessId": 4 * rng.below(5_000),
    });
    Ok(serde_json::to_string(&event)?)
}

/// A file of lines that counts itself.
struct Output {
    path: PathBuf,
    file: BufWriter<File>,
    events: u64,
    bytes: u64,
}

impl Output {
    fn create(path: PathBuf) -> Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path, file: BufWriter::with_capacity(BLOCK, file), events: 0, bytes: 0 })
    }

    fn line(&mut self, line: &str) -> Result<()> {
        self.file.write_all(line.as_bytes())?;
        self.file.write_all(b"\n")?;
        self.events += 1;
        self.bytes += line.len() as u64 + 1;
        Ok(())
    }

    fn finish(mut self, manifest: &mut Manifest, name: &str, how: &str) -> Result<()> {
        self.file.flush()?;
        let entry = json!({ "path": self.path, "events": self.events, "bytes": self.bytes, "how": how });
        manifest.insert(name.to_owned(), entry);
        Ok(())
    }
}

/// A corpus of Windows events, and the same events as the peers are given them.
struct Windows {
    recorded: Output,
    prepared: Output,
}

impl Windows {
    fn create(out: &Path, name: &str) -> Result<Self> {
        let recorded = Output::create(out.join(format!("{name}.jsonl")))?;
        let prepared = Output::create(out.join(format!("prepared/{name}.jsonl")))?;
        Ok(Self { recorded, prepared })
    }

    fn event(&mut self, line: &str, event: &Value) -> Result<()> {
        self.recorded.line(line)?;
        self.prepared.line(&serde_json::to_string(&windows::prepared(event))?)
    }

    fn finish(mut self, manifest: &mut Manifest, name: &str, how: &str) -> Result<()> {
        self.prepared.file.flush()?;
        self.recorded.finish(manifest, name, how)?;
        if let Some(Value::Object(entry)) = manifest.get_mut(name) {
            entry.insert("prepared".to_owned(), json!(self.prepared.path));
        }
        Ok(())
    }
}

/// The mixed corpus: a queue of files for each product, numbered so that in the order of names they take turns.
struct Mixed {
    folder: PathBuf,
    /// For each product the file being written and its turn.
    open: BTreeMap<&'static str, (Output, u64)>,
    /// All lines of JSON, and those of Windows among them, once more in one file each.
    json: Output,
    windows: Output,
    files: u64,
    events: u64,
    bytes: u64,
}

impl Mixed {
    fn new(out: &Path) -> Result<Self> {
        let json = Output::create(out.join("mixed-json.jsonl"))?;
        let windows = Output::create(out.join("mixed-windows.jsonl"))?;
        Ok(Self { folder: out.join("mixed"), open: BTreeMap::new(), json, windows, files: 0, events: 0, bytes: 0 })
    }

    /// A line of JSON.
    fn line(&mut self, product: &'static str, line: &str) -> Result<()> {
        let full = self.open.get(product).is_none_or(|(output, _)| output.events >= MIXED_CHUNK);
        if full {
            let turn = self.open.get(product).map_or(0, |(_, turn)| turn + 1);
            let path = self.folder.join(format!("{turn:04}-{product}.jsonl"));
            if let Some((mut output, _)) = self.open.insert(product, (Output::create(path)?, turn)) {
                output.file.flush()?;
            }
            self.files += 1;
        }
        if let Some((output, _)) = self.open.get_mut(product) {
            output.line(line)?;
        }
        self.json.line(line)?;
        if product == WINDOWS {
            self.windows.line(line)?;
        }
        self.events += 1;
        self.bytes += line.len() as u64 + 1;
        Ok(())
    }

    /// Each file below `source` that belongs to a product, varied. Files with a head (Zeek) stay whole.
    fn folder(&mut self, source: &Path, copy: u64, product: &dyn Fn(&str) -> Option<&'static str>) -> Result<()> {
        if !source.is_dir() {
            bail!("{} is missing", source.display());
        }
        for entry in walkdir::WalkDir::new(source).sort_by_file_name() {
            let path = entry?.into_path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_log = path.extension().is_some_and(|extension| extension == "log");
            let Some(product) = product(&name).filter(|_| path.is_file() && is_log) else { continue };
            let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
            self.whole_file(product, &name, &text, copy)?;
        }
        Ok(())
    }

    fn whole_file(&mut self, product: &'static str, name: &str, text: &str, copy: u64) -> Result<()> {
        let path = self.folder.join(format!("{:04}-{product}-{copy}-{name}", self.files % 40));
        let mut output = Output::create(path)?;
        self.files += 1;
        for (number, line) in (0..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let line = vary_copy(line, copy, number);
            output.line(&line)?;
            if line.starts_with('{') && serde_json::from_str::<Value>(&line).is_ok() {
                self.json.line(&line)?;
            }
            self.events += u64::from(!line.starts_with('#'));
            self.bytes += line.len() as u64 + 1;
        }
        output.file.flush()?;
        Ok(())
    }

    fn finish(self, manifest: &mut Manifest) -> Result<()> {
        for (mut output, _) in self.open.into_values() {
            output.file.flush()?;
        }
        let how = "recorded and varied, many products";
        let entry = json!({
            "path": self.folder, "events": self.events, "bytes": self.bytes, "files": self.files, "how": how,
        });
        manifest.insert("mixed".to_owned(), entry);
        self.windows.finish(manifest, "mixed-windows", "the Windows events of mixed")?;
        self.json.finish(manifest, "mixed-json", "the JSON lines of mixed")
    }
}

/// Proves that a corpus is what it says: no value of a name comes twice.
#[derive(Default)]
struct Uniqueness {
    seen: HashSet<u64>,
    hasher: RandomState,
}

impl Uniqueness {
    fn check(&mut self, name: &str, value: &Value) -> Result<()> {
        match value {
            _ if KEPT.contains(&name) => Ok(()),
            Value::Object(members) => members.iter().try_for_each(|(name, value)| self.check(name, value)),
            Value::Array(items) => items.iter().try_for_each(|item| self.check("", item)),
            Value::String(text) if !is_constant(text) => self.once(name, text),
            _ => Ok(()),
        }
    }

    fn once(&mut self, name: &str, text: &str) -> Result<()> {
        // Texts that stand in lists and times in whole seconds may agree by chance within an event, never between names.
        if name.is_empty() || self.seen.insert(self.hasher.hash_one((name, text))) {
            return Ok(());
        }
        bail!("the value of {name} repeats: {text:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_value_is_found() {
        let mut unique = Uniqueness::default();
        let event = |image: &str| json!({"Channel": "c", "Data": {"Image": image, "RuleName": "-"}});
        assert!(unique.check("", &event("a.exe")).is_ok());
        assert!(unique.check("", &event("b.exe")).is_ok());
        assert!(unique.check("", &event("a.exe")).is_err());
    }

    #[test]
    fn logons_are_ordered_in_time() {
        let time = |number| {
            let event: Value = serde_json::from_str(&logon(number).unwrap()).unwrap();
            event["TimeCreated"].as_str().unwrap().to_owned()
        };
        assert_eq!(time(0), "2026-01-05T00:00:00.000Z");
        assert!(time(1) < time(2));
    }
}
