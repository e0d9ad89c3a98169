//! The rule sets that are measured, made from the folders of `SigmaHQ`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

/// Folders whose rules are meant to be used; placeholders need values, compliance rules are no detections.
const ALL_FOLDERS: &[&str] = &["rules", "rules-emerging-threats", "rules-threat-hunting"];
/// Folders of which the rules for Windows count.
const WINDOWS_FOLDERS: &[&str] = &["rules", "rules-compliance", "rules-emerging-threats", "rules-threat-hunting"];
/// How often the Windows rules are repeated in the large set.
const COPIES: usize = 10;
/// Size of the small set.
const SAMPLE: usize = 100;

/// A rule file.
#[derive(Clone, Debug)]
struct RuleFile {
    /// Path below the folder of all rules, with `/`.
    path: String,
    text: String,
    id: String,
}

impl RuleFile {
    fn is_windows(&self) -> bool {
        let mut inside = false;
        for line in self.text.lines() {
            if line.starts_with("logsource:") {
                inside = true;
            } else if inside && line.starts_with(|c: char| !c.is_whitespace() && c != '#') {
                return false;
            } else if inside && line.trim_start().starts_with("product:") {
                return line.contains("windows");
            }
        }
        false
    }

    /// The same rule under another id and title.
    fn copy(&self, copy: usize) -> Self {
        let id = uuid(&format!("{} {copy}", self.id));
        let lines = self.text.lines().map(|line| {
            if line.starts_with("id:") {
                format!("id: {id}")
            } else if line.starts_with("title:") {
                retitle(line, copy)
            } else {
                line.to_owned()
            }
        });
        let text = lines.collect::<Vec<_>>().join("\n") + "\n";
        Self { path: format!("copy{copy}/{}", self.path), text, id }
    }
}

/// Puts the number of the copy before a closing quote or at the end.
fn retitle(line: &str, copy: usize) -> String {
    let line = line.trim_end();
    let quoted = ['\'', '"'].into_iter().find_map(|quote| Some((line.strip_suffix(quote)?, quote)));
    match quoted {
        Some((title, quote)) => format!("{title} copy {copy}{quote}"),
        None => format!("{line} copy {copy}"),
    }
}

/// A UUID of version 4's form, made from `seed`.
fn uuid(seed: &str) -> String {
    let digest = Sha256::digest(seed.as_bytes());
    let number = digest.iter().take(16).fold(0u128, |number, &byte| (number << 8) | u128::from(byte));
    let hex = format!("{number:032x}");
    let part = |from: usize, length: usize| hex.chars().skip(from).take(length).collect::<String>();
    format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 4), part(13, 3), part(17, 3), part(20, 12))
}

/// Writes the sets below `out` and returns how many rules each has.
///
/// `windows`, `all`, `hundred` (a fixed sample of `windows`) and `windows-x10`, with `windows-x10.tsv` that tells the
/// original of each new id.
///
/// # Errors
/// When the folders hold no rules or a file cannot be written.
pub fn write_sets(sigma: &Path, out: &Path) -> Result<BTreeMap<&'static str, usize>> {
    let all = read(sigma, ALL_FOLDERS)?;
    let mut windows = read(sigma, WINDOWS_FOLDERS)?;
    windows.retain(RuleFile::is_windows);
    ensure!(!windows.is_empty(), "there are no rules for Windows below {}", sigma.display());
    write(&all, &out.join("all"))?;
    write(&windows, &out.join("windows"))?;

    let mut hundred = windows.clone();
    hundred.sort_by_cached_key(|rule| Sha256::digest(rule.id.as_bytes()).to_vec());
    hundred.truncate(SAMPLE);
    write(&hundred, &out.join("hundred"))?;

    let mut map = fs::File::create(out.join("windows-x10.tsv"))?;
    for copy in 0..COPIES {
        let copies: Vec<RuleFile> = windows.iter().map(|rule| rule.copy(copy)).collect();
        for (rule, copy) in windows.iter().zip(&copies) {
            writeln!(map, "{}\t{}", copy.id, rule.id)?;
        }
        write(&copies, &out.join("windows-x10"))?;
    }
    Ok(BTreeMap::from([
        ("all", all.len()),
        ("windows", windows.len()),
        ("hundred", hundred.len()),
        ("windows-x10", windows.len() * COPIES),
    ]))
}

fn read(sigma: &Path, folders: &[&str]) -> Result<Vec<RuleFile>> {
    let mut rules = Vec::new();
    for folder in folders.iter().map(|folder| sigma.join(folder)).filter(|folder| folder.is_dir()) {
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let path = entry?.into_path();
            if path.extension().is_some_and(|extension| extension == "yml") {
                rules.push(read_rule(sigma, &path)?);
            }
        }
    }
    Ok(rules)
}

fn read_rule(sigma: &Path, path: &Path) -> Result<RuleFile> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    // A comment may follow the id.
    let id = text.lines().find_map(|line| line.strip_prefix("id:")?.split_whitespace().next()).unwrap_or_default();
    let id = id.trim_matches(['\'', '"']).to_owned();
    let below: PathBuf = path.strip_prefix(sigma)?.into();
    Ok(RuleFile { path: below.to_string_lossy().into_owned(), text, id })
}

fn write(rules: &[RuleFile], folder: &Path) -> Result<()> {
    for rule in rules {
        let path = folder.join(&rule.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, &rule.text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(product: &str) -> RuleFile {
        let text = format!(
            "title: 'A thing'\nid: 1\nlogsource:\n    category: process_creation\n    product: {product}\ndetection:\n    product: windows\n"
        );
        RuleFile { path: "a.yml".to_owned(), text, id: "1".to_owned() }
    }

    #[test]
    fn the_product_is_that_of_the_log_source() {
        assert!(rule("windows").is_windows());
        assert!(!rule("linux").is_windows());
    }

    #[test]
    fn a_copy_differs_in_id_and_title_only() {
        let (original, copy) = (rule("windows"), rule("windows").copy(3));
        let changed: Vec<(&str, &str)> =
            original.text.lines().zip(copy.text.lines()).filter(|(old, new)| old != new).collect();
        let id = format!("id: {}", copy.id);
        assert_eq!(changed, [("title: 'A thing'", "title: 'A thing copy 3'"), ("id: 1", id.as_str())]);
        assert_eq!(copy.id.len(), 36);
        assert_ne!(copy.id, rule("windows").copy(4).id);
    }
}
