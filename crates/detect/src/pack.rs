//! A compiled pack: rules, correlations and problems in one file that loads in an instant.
//!
//! Layout: 8 bytes magic, format version (u32), length (u64) and FNV-1a hash (u64) of the content, little endian, then
//! the content: zstd over postcard. Trees are stored as lists, children before parents, so that no file can exhaust the
//! stack; every length is checked before memory is taken.
//!
//! A change of what is stored needs a new [`VERSION`]; the golden file of the tests must stay readable.

use std::io::{Read, Seek, Write};

use khien_event::taxonomy::LogSource;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::correlate::Correlation;
use crate::rule::load::{Loader, Problem, RuleSet};
use crate::rule::{Expr, Item, Level, Origin, Rule};

/// What a pack begins with.
pub const MAGIC: [u8; 8] = *b"KHIENPCK";

/// The format this version writes.
pub const VERSION: u32 = 3;

/// Most bytes of content.
const CONTENT_BYTES: u64 = 256 << 20;

/// Deepest tree.
const DEPTH: usize = 512;

/// Most entries of a zip, and most bytes of one entry and of all of them.
const ZIP_ENTRIES: usize = 200_000;
const ZIP_ENTRY_BYTES: u64 = 4 << 20;
const ZIP_BYTES: u64 = 256 << 20;

/// Folders of the `SigmaHQ` repository that hold no rules in use.
const OTHER_FOLDERS: [&str; 6] = ["deprecated", "unsupported", "tests", "regression_data", "documentation", "images"];

/// Why a pack or zip cannot be read or written.
#[derive(Debug, Error)]
pub enum PackError {
    /// Reading or writing failed.
    #[error("cannot transfer the pack")]
    Io(#[from] std::io::Error),
    /// The file is something else.
    #[error("this is no compiled rule pack")]
    NotAPack,
    /// Another version of the program wrote it.
    #[error("the pack has format {found}, this program reads {VERSION}; import the rules again")]
    OtherVersion {
        /// Format of the file.
        found: u32,
    },
    /// It is longer than any real pack.
    #[error("the pack holds {bytes} bytes, more than {CONTENT_BYTES}")]
    TooLarge {
        /// Length of its content.
        bytes: u64,
    },
    /// Its content is not what its header says.
    #[error("the pack is damaged: {reason}")]
    Damaged {
        /// What does not fit.
        reason: &'static str,
    },
    /// The content cannot be stored.
    #[error("the rules cannot be stored")]
    Unstorable(#[source] postcard::Error),
    /// The zip archive is wrong.
    #[error("the zip archive cannot be read")]
    Zip(#[from] zip::result::ZipError),
    /// The zip archive is larger than any real one.
    #[error("the zip archive has more than {ZIP_ENTRIES} entries or {ZIP_BYTES} bytes of rules")]
    ZipTooLarge,
}

/// What is stored.
#[derive(Serialize, Deserialize)]
struct Content {
    rules: Vec<StoredRule>,
    correlations: Vec<Correlation>,
    problems: Vec<Problem>,
}

/// A rule with its tree as a list.
#[derive(Serialize, Deserialize)]
struct StoredRule {
    id: String,
    name: Option<String>,
    title: String,
    level: Level,
    status: Option<String>,
    tags: Vec<String>,
    description: Option<String>,
    author: Option<String>,
    references: Vec<String>,
    falsepositives: Vec<String>,
    fields: Vec<String>,
    related: Vec<(String, String)>,
    logsource: LogSource,
    origin: Origin,
    reports: bool,
    condition: Vec<Step>,
}

/// A node; the number is how many finished nodes before it are its children.
#[derive(Serialize, Deserialize)]
enum Step {
    And(u32),
    Or(u32),
    AtLeast(u32, u32),
    Not,
    Named(String),
    Item(Item),
}

/// Writes a pack.
///
/// # Errors
/// When the target cannot be written.
pub fn write(set: &RuleSet, mut to: impl Write) -> Result<(), PackError> {
    let content = Content {
        rules: set.rules.iter().map(store).collect(),
        correlations: set.correlations.clone(),
        problems: set.problems.clone(),
    };
    let bytes = postcard::to_stdvec(&content).map_err(PackError::Unstorable)?;
    seal(&bytes, &mut to)?;
    to.flush()?;
    Ok(())
}

/// Writes the header that fits `content`, and it, compressed.
fn seal(content: &[u8], to: &mut impl Write) -> std::io::Result<()> {
    to.write_all(&MAGIC)?;
    to.write_all(&VERSION.to_le_bytes())?;
    to.write_all(&(content.len() as u64).to_le_bytes())?;
    to.write_all(&hash(content).to_le_bytes())?;
    zstd::stream::copy_encode(content, to, 9)
}

/// A pack with any content under a header that fits, for fuzzing: what is behind the hash is hostile too.
#[cfg(feature = "testgen")]
pub fn sealed(content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    seal(content, &mut bytes).expect("memory can be written");
    bytes
}

/// Reads a pack.
///
/// # Errors
/// What is wrong with it; memory stays bounded whatever the file claims.
pub fn read(mut from: impl Read) -> Result<RuleSet, PackError> {
    let mut header = [0; 28];
    from.read_exact(&mut header).map_err(|_| PackError::NotAPack)?;
    let (magic, rest) = header.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(PackError::NotAPack);
    }
    let number = |range: std::ops::Range<usize>| rest[range].iter().rev().fold(0_u64, |n, b| n << 8 | u64::from(*b));
    let found = number(0..4) as u32;
    if found != VERSION {
        return Err(PackError::OtherVersion { found });
    }
    let bytes = number(4..12);
    if bytes > CONTENT_BYTES {
        return Err(PackError::TooLarge { bytes });
    }
    let content = decompress(from, bytes)?;
    if hash(&content) != number(12..20) {
        return Err(PackError::Damaged { reason: "its hash differs" });
    }
    decode(&content)
}

/// Room that is made before it is known whether a pack holds as much as it says.
const EXPECTED_BYTES: u64 = 16 << 20;

fn decompress(from: impl Read, bytes: u64) -> Result<Vec<u8>, PackError> {
    let damaged = |reason| PackError::Damaged { reason };
    let decoder = zstd::stream::read::Decoder::new(from)?;
    let mut content = Vec::with_capacity(bytes.min(EXPECTED_BYTES) as usize);
    decoder.take(bytes + 1).read_to_end(&mut content).map_err(|_| damaged("it ends early or is not compressed"))?;
    match content.len() as u64 {
        n if n == bytes => Ok(content),
        n if n < bytes => Err(damaged("it is shorter than it says")),
        _ => Err(damaged("it is longer than it says")),
    }
}

fn decode(bytes: &[u8]) -> Result<RuleSet, PackError> {
    let damaged = |reason| PackError::Damaged { reason };
    let (content, rest): (Content, _) =
        postcard::take_from_bytes(bytes).map_err(|_| damaged("its content is not a rule set"))?;
    if !rest.is_empty() {
        return Err(damaged("something follows its content"));
    }
    let rules = content.rules.into_iter().map(restore).collect::<Option<_>>();
    Ok(RuleSet {
        rules: rules.ok_or_else(|| damaged("a condition is no tree"))?,
        correlations: content.correlations,
        problems: content.problems,
    })
}

fn store(rule: &Rule) -> StoredRule {
    let mut condition = Vec::new();
    steps(&rule.condition, &mut condition);
    let rule = rule.clone();
    StoredRule {
        id: rule.id,
        name: rule.name,
        title: rule.title,
        level: rule.level,
        status: rule.status,
        tags: rule.tags,
        description: rule.description,
        author: rule.author,
        references: rule.references,
        falsepositives: rule.falsepositives,
        fields: rule.fields,
        related: rule.related,
        logsource: rule.logsource,
        origin: rule.origin,
        reports: rule.reports,
        condition,
    }
}

fn restore(rule: StoredRule) -> Option<Rule> {
    Some(Rule {
        condition: tree(rule.condition)?,
        id: rule.id,
        name: rule.name,
        title: rule.title,
        level: rule.level,
        status: rule.status,
        tags: rule.tags,
        description: rule.description,
        author: rule.author,
        references: rule.references,
        falsepositives: rule.falsepositives,
        fields: rule.fields,
        related: rule.related,
        logsource: rule.logsource,
        origin: rule.origin,
        reports: rule.reports,
    })
}

fn steps(expr: &Expr, out: &mut Vec<Step>) {
    let children = |list: &[Expr], out: &mut Vec<Step>| {
        for child in list {
            steps(child, out);
        }
        list.len() as u32
    };
    let step = match expr {
        Expr::And(list) => Step::And(children(list, out)),
        Expr::Or(list) => Step::Or(children(list, out)),
        Expr::AtLeast(n, list) => Step::AtLeast(*n, children(list, out)),
        Expr::Not(inner) => {
            steps(inner, out);
            Step::Not
        }
        Expr::Named(name, inner) => {
            steps(inner, out);
            Step::Named(name.clone())
        }
        Expr::Item(item) => Step::Item(item.clone()),
    };
    out.push(step);
}

/// The tree of these steps, `None` when they are no tree or one that is too deep.
fn tree(steps: Vec<Step>) -> Option<Expr> {
    let mut done: Vec<(Expr, usize)> = Vec::new();
    for step in steps {
        let node = match step {
            Step::Item(item) => (Expr::Item(item), 1),
            Step::Not => {
                let (inner, depth) = done.pop()?;
                (Expr::Not(Box::new(inner)), depth + 1)
            }
            Step::Named(name) => {
                let (inner, depth) = done.pop()?;
                (Expr::Named(name, Box::new(inner)), depth + 1)
            }
            Step::And(n) => children(&mut done, n, Expr::And)?,
            Step::Or(n) => children(&mut done, n, Expr::Or)?,
            Step::AtLeast(k, n) => children(&mut done, n, |list| Expr::AtLeast(k, list))?,
        };
        if node.1 > DEPTH {
            return None;
        }
        done.push(node);
    }
    let (root, _) = done.pop()?;
    done.is_empty().then_some(root)
}

fn children(done: &mut Vec<(Expr, usize)>, count: u32, kind: impl FnOnce(Vec<Expr>) -> Expr) -> Option<(Expr, usize)> {
    let at = done.len().checked_sub(count as usize)?;
    let list = done.split_off(at);
    let depth = list.iter().map(|(_, d)| *d).max().unwrap_or(0) + 1;
    Some((kind(list.into_iter().map(|(e, _)| e).collect()), depth))
}

/// FNV-1a over 8 bytes at a time: guards against damage, not against forgery.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let word = chunk.iter().rev().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    }
    hash
}

/// What [`import_zip`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Rule files given to the loader.
    pub files: usize,
    /// Other files, and rule files that are too long, not UTF-8 or oddly named.
    pub skipped: usize,
}

/// Gives the rule files of a zip archive (a `SigmaHQ` release, or what a code host packs) to `loader`, in the order of their
/// names. Folders with deprecated and unsupported rules and with tests are left out.
///
/// # Errors
/// When the archive cannot be read or is larger than any real one.
pub fn import_zip(from: impl Read + Seek, loader: &mut Loader) -> Result<Imported, PackError> {
    let mut archive = zip::ZipArchive::new(from)?;
    if archive.len() > ZIP_ENTRIES {
        return Err(PackError::ZipTooLarge);
    }
    let mut imported = Imported::default();
    let mut names: Vec<String> = Vec::new();
    for name in archive.file_names() {
        match name {
            Ok(name) if is_rule_file(&name) => names.push(name.into_owned()),
            _ => imported.skipped += 1,
        }
    }
    names.sort();
    let mut total = 0;
    for name in names {
        let mut text = Vec::new();
        archive.by_name(&name)?.take(ZIP_ENTRY_BYTES + 1).read_to_end(&mut text)?;
        total += text.len() as u64;
        if total > ZIP_BYTES {
            return Err(PackError::ZipTooLarge);
        }
        match String::from_utf8(text) {
            Ok(text) if text.len() as u64 <= ZIP_ENTRY_BYTES && is_sigma(&text) => {
                loader.add_file(&name, &text);
                imported.files += 1;
            }
            _ => imported.skipped += 1,
        }
    }
    Ok(imported)
}

/// Whether an entry may be a rule file: YAML, inside the archive, in no folder of other things.
fn is_rule_file(name: &str) -> bool {
    let path = std::path::Path::new(name);
    let yaml = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("yml") || e.eq_ignore_ascii_case("yaml"));
    let inside = !name.contains(['\\', '\0', ':'])
        && path.components().all(|c| match c {
            std::path::Component::Normal(part) => {
                part.to_str().is_some_and(|p| !p.starts_with('.') && !OTHER_FOLDERS.contains(&p))
            }
            _ => false,
        });
    yaml && inside
}

/// Whether YAML looks like Sigma, so that other files beside the rules are not reported as broken ones.
pub fn is_sigma(text: &str) -> bool {
    let keys = ["detection:", "correlation:", "filter:", "logsource:"];
    text.lines().any(|l| keys.iter().any(|k| l.starts_with(k)))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::rule::load::Placeholders;

    const RULES: &str = "title: One\nid: 1\nname: one\nlogsource: {product: windows}\nlevel: high\ndetection:\n  sel:\n    F|contains|all: [a, 'b*c']\n    G|re|i: x+\n    H|cidr: 10.0.0.0/8\n  filter: {I: null, J|exists: false, K|hour: 3, L: 5, M: true, N|fieldref: F}\n  words: [x]\n  condition: (1 of sel* and not filter) or words or 2 of them\n---\ntitle: Broken\nlogsource: {product: p}\ndetection: {sel: {F|x: 1}, condition: sel}\n---\ntitle: Many\nid: '2'\ncorrelation: {type: event_count, rules: [one], group-by: [F], timespan: 5m, condition: {gte: 3}}\n";

    fn set() -> RuleSet {
        let mut loader = Loader::new(Placeholders::default());
        loader.add_file("a.yml", RULES);
        loader.finish()
    }

    fn packed() -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&set(), &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_pack_gives_back_what_it_got() {
        let set = set();
        assert_eq!((set.rules.len(), set.problems.len()), (1, 1));
        assert_eq!(read(packed().as_slice()).unwrap(), set);
    }

    #[test]
    fn packs_of_format_3_stay_readable() {
        let golden = include_bytes!("../tests/golden/pack-3.bin");
        assert_eq!(read(&golden[..]).unwrap(), set());
    }

    #[test]
    fn damaged_packs_are_refused() {
        let good = packed();
        assert!(matches!(read(&good[..20]), Err(PackError::NotAPack)));
        assert!(matches!(read(&b"title: a rule that is long enough"[..]), Err(PackError::NotAPack)));
        let changed = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] ^= byte;
            read(bytes.as_slice()).unwrap_err()
        };
        assert!(matches!(changed(8, 1), PackError::OtherVersion { found: 2 }));
        assert!(matches!(changed(19, 1), PackError::TooLarge { .. }));
        for at in [12, 13, 20, 28, 60, good.len() - 1] {
            assert!(matches!(changed(at, 1), PackError::Damaged { .. } | PackError::Io(_)), "{at}");
        }
        for end in 28..good.len() {
            assert!(read(&good[..end]).is_err());
        }
    }

    fn wrapped(content: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((content.len() as u64).to_le_bytes());
        bytes.extend(hash(content).to_le_bytes());
        bytes.extend(zstd::encode_all(content, 1).unwrap());
        bytes
    }

    #[test]
    fn hostile_content_costs_nothing() {
        // A list that claims 2^60 rules.
        let claim = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
        assert!(matches!(read(wrapped(&claim).as_slice()), Err(PackError::Damaged { .. })));
        let mut rule = store(&set().rules[0]);
        rule.condition.extend((0..1_000).map(|_| Step::Not));
        let content = Content { rules: vec![rule], correlations: vec![], problems: vec![] };
        let bytes = postcard::to_stdvec(&content).unwrap();
        assert!(matches!(read(wrapped(&bytes).as_slice()), Err(PackError::Damaged { .. })));
        // Much more than the header says.
        let mut bomb = wrapped(&[]);
        bomb.truncate(28);
        bomb.extend(zstd::encode_all(&vec![0; 50 << 20][..], 1).unwrap());
        assert!(matches!(read(bomb.as_slice()), Err(PackError::Damaged { .. })));
    }

    fn zipped(files: &[(&str, &str)]) -> Cursor<Vec<u8>> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in files {
            let options = zip::write::SimpleFileOptions::default();
            writer.start_file(*name, options).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn zips_give_their_rules() {
        let long = format!("{RULES}# {}", "x".repeat(5 << 20));
        let archive = zipped(&[
            ("sigma-master/rules/b.yml", RULES),
            ("sigma-master/deprecated/c.yml", RULES),
            ("sigma-master/.github/workflow.yml", "on: push"),
            ("../escape.yml", RULES),
            ("sigma-master/readme.md", "words"),
            ("sigma-master/other.yml", "a: 1"),
            ("sigma-master/long.yml", &long),
        ]);
        let mut loader = Loader::new(Placeholders::default());
        let imported = import_zip(archive, &mut loader).unwrap();
        assert_eq!(imported, Imported { files: 1, skipped: 6 });
        assert_eq!(loader.finish().rules[0].origin.file, "sigma-master/rules/b.yml");
        assert!(import_zip(Cursor::new(b"PK nothing"), &mut Loader::default()).is_err());
    }
}
