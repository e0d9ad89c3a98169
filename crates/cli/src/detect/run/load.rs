//! Rules from files, folders, zip archives and packs.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::Path;

use anyhow::Context as _;
use khien_detect::pack;
use khien_detect::rule::load::{self, Loader, Placeholders, RuleSet};
use walkdir::WalkDir;

use crate::engine::{LoadRequest, Loaded, Problem, Severity};

/// Deepest folder that is entered.
const DEPTH: usize = 64;

/// Longest rule file that is read, in bytes.
const FILE_BYTES: u64 = 16 << 20;

/// What a zip archive begins with.
const ZIP: &[u8] = b"PK\x03\x04";

/// Loads everything a request names.
pub(super) fn rules(request: &LoadRequest) -> anyhow::Result<Loaded<RuleSet>> {
    let mut loader = Loader::new(placeholders(request.placeholders.as_deref())?);
    let mut packs = Vec::new();
    for path in &request.paths {
        if path.is_dir() {
            folder(path, &mut loader)?;
        } else {
            packs.extend(file(path, &mut loader)?);
        }
    }
    let mut set = loader.finish();
    for pack in packs {
        set.rules.extend(pack.rules);
        set.correlations.extend(pack.correlations);
        set.problems.extend(pack.problems);
    }
    let problems = set.problems.iter().map(problem).collect();
    let usable = (set.rules.len() + set.correlations.len()) as u64;
    Ok(Loaded { rules: set, usable, problems })
}

/// Every YAML file below `path`, by name.
fn folder(path: &Path, loader: &mut Loader) -> anyhow::Result<()> {
    for entry in WalkDir::new(path).max_depth(DEPTH).sort_by_file_name() {
        let entry = entry.with_context(|| path.display().to_string())?;
        let extension = entry.path().extension().and_then(|e| e.to_str()).unwrap_or_default();
        if !entry.file_type().is_file() || !matches!(extension.to_ascii_lowercase().as_str(), "yml" | "yaml") {
            continue;
        }
        let text = text(entry.path())?;
        if pack::is_sigma(&text) {
            loader.add_file(&entry.path().to_string_lossy(), &text);
        }
    }
    Ok(())
}

/// One file: a pack, which is returned, a zip archive or YAML.
fn file(path: &Path, loader: &mut Loader) -> anyhow::Result<Option<RuleSet>> {
    let name = || path.display().to_string();
    let mut file = File::open(path).with_context(name)?;
    let mut head = Vec::with_capacity(8);
    file.by_ref().take(8).read_to_end(&mut head).with_context(name)?;
    file.rewind().with_context(name)?;
    if head == pack::MAGIC {
        return Ok(Some(pack::read(file).with_context(name)?));
    }
    if head.starts_with(ZIP) {
        pack::import_zip(file, loader).with_context(name)?;
    } else {
        loader.add_file(&path.to_string_lossy(), &text(path)?);
    }
    Ok(None)
}

/// The text of a rule file; bytes that are not UTF-8 are replaced, so that the loader can say where it went wrong.
fn text(path: &Path) -> anyhow::Result<String> {
    let name = || path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path).with_context(name)?.take(FILE_BYTES).read_to_end(&mut bytes).with_context(name)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// The values of placeholders: a JSON or YAML object from names to a value or a list of values.
fn placeholders(path: Option<&Path>) -> anyhow::Result<Placeholders> {
    let mut found = Placeholders::default();
    let Some(path) = path else { return Ok(found) };
    let name = || path.display().to_string();
    let text = fs::read_to_string(path).with_context(name)?;
    let table = load::placeholder_table(&text).with_context(name)?;
    for (placeholder, values) in table {
        found.add(placeholder, values);
    }
    Ok(found)
}

fn problem(problem: &load::Problem) -> Problem {
    Problem {
        file: problem.file.clone(),
        line: problem.line,
        rule: problem.rule.clone(),
        severity: match problem.severity {
            load::Severity::Error => Severity::Error,
            load::Severity::Warning => Severity::Warning,
        },
        title: problem.title.clone(),
        reason: problem.reason.clone(),
        hint: problem.hint.clone(),
    }
}
