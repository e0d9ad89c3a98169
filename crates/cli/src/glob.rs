//! Which files the input arguments mean.
//!
//! Patterns are expanded here too, because Windows shells do not, and because a quoted pattern reaches deeper than the
//! longest command line. The order is the order of the arguments, and by name inside a folder or pattern, so that the
//! same call always reads the same files in the same order.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use walkdir::WalkDir;

use crate::text::Text;

/// Most files of one call.
pub const FILES: usize = 1_000_000;

/// Deepest folder that is entered.
const DEPTH: usize = 64;

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Standard input.
    Standard,
    /// A file.
    File(PathBuf),
}

impl Input {
    /// Its name in findings: the path as it was found, `-` for standard input.
    pub fn name(&self) -> String {
        match self {
            Self::Standard => "-".to_owned(),
            Self::File(path) => path.to_string_lossy().into_owned(),
        }
    }

    /// Bytes of the file, when that is known.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Standard => None,
            Self::File(path) => path.metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len()),
        }
    }
}

/// What the arguments mean.
#[derive(Debug, Default)]
pub struct Inputs {
    /// What to read, each once.
    pub list: Vec<Input>,
    /// What could not be found, in words.
    pub problems: Vec<String>,
}

/// Expands `arguments`.
pub fn expand(arguments: &[OsString], text: Text) -> Inputs {
    let mut found = Found { inputs: Inputs::default(), seen: HashSet::new(), text };
    for argument in arguments {
        found.argument(argument);
    }
    found.inputs
}

/// Expands arguments that name files only, such as `--rules` and `--indicators`: a pattern becomes its files, anything
/// else stays as it is.
///
/// # Errors
/// In words, when a pattern is wrong or nothing matches it.
pub fn expand_paths(paths: &[PathBuf], text: Text) -> Result<Vec<PathBuf>, String> {
    let mut out = Vec::new();
    for path in paths {
        if path.exists() || !is_pattern(path) {
            out.push(path.clone());
            continue;
        }
        let mut found = Found { inputs: Inputs::default(), seen: HashSet::new(), text };
        found.pattern(path);
        if let Some(problem) = found.inputs.problems.into_iter().next() {
            return Err(problem);
        }
        out.extend(found.inputs.list.into_iter().filter_map(|input| match input {
            Input::File(path) => Some(path),
            Input::Standard => None,
        }));
    }
    Ok(out)
}

struct Found {
    inputs: Inputs,
    seen: HashSet<Input>,
    text: Text,
}

impl Found {
    fn argument(&mut self, argument: &OsString) {
        let path = Path::new(argument);
        if argument == "-" {
            if self.seen.contains(&Input::Standard) {
                self.inputs.problems.push(self.text.standard_input_twice().to_owned());
            }
            self.add(Input::Standard);
        } else if path.is_dir() {
            self.folder(path, None);
        } else if path.exists() || !is_pattern(path) {
            // A file that is not there is reported by whoever opens it, with the reason of the system.
            self.add(Input::File(path.to_owned()));
        } else {
            self.pattern(path);
        }
    }

    /// Adds the files below `folder` that match `wanted`, by name.
    fn folder(&mut self, folder: &Path, wanted: Option<&GlobMatcher>) -> usize {
        let before = self.inputs.list.len();
        let walk = WalkDir::new(folder).follow_links(true).max_depth(DEPTH).sort_by_file_name();
        for entry in walk {
            match entry {
                Ok(entry) if entry.file_type().is_file() => {
                    let path = without_dot(entry.path());
                    if wanted.is_none_or(|w| w.is_match(path)) && !self.add(Input::File(path.to_owned())) {
                        break;
                    }
                }
                Ok(_) => {}
                Err(error) => self.unreadable(folder, &error),
            }
        }
        self.inputs.list.len() - before
    }

    fn unreadable(&mut self, folder: &Path, error: &walkdir::Error) {
        let path = error.path().unwrap_or(folder).to_string_lossy().into_owned();
        let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
        self.inputs.problems.push(self.text.cannot_read(&path, &reason));
    }

    fn pattern(&mut self, pattern: &Path) {
        let shown = pattern.to_string_lossy();
        // `*` stays inside a folder and `**` crosses folders, as in shells.
        let glob = GlobBuilder::new(without_dot(Path::new(shown.as_ref())).to_string_lossy().as_ref())
            .literal_separator(true)
            .build();
        match glob {
            Ok(glob) => {
                let root = fixed_part(pattern);
                if !root.exists() || self.folder(&root, Some(&glob.compile_matcher())) == 0 {
                    self.inputs.problems.push(self.text.no_match(&shown));
                }
            }
            Err(error) => {
                let reason = error.kind().to_string();
                self.inputs.problems.push(self.text.bad_pattern(&shown, &reason));
            }
        }
    }

    /// Adds an input unless it is there already; false when there are too many.
    fn add(&mut self, input: Input) -> bool {
        if self.inputs.list.len() >= FILES {
            let limit = self.text.count(FILES as u64);
            self.inputs.problems.push(self.text.too_many_files(&limit));
            return false;
        }
        if self.seen.insert(input.clone()) {
            self.inputs.list.push(input);
        }
        true
    }
}

/// Whether `path` has characters that stand for others.
fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '[', '{'])
}

/// The folder above the first component that is a pattern.
fn fixed_part(pattern: &Path) -> PathBuf {
    let fixed: PathBuf = pattern.components().take_while(|c| !is_pattern(Path::new(c.as_os_str()))).collect();
    if fixed.as_os_str().is_empty() { PathBuf::from(".") } else { fixed }
}

/// `path` without a leading `./`, which walking adds and nobody wrote.
fn without_dot(path: &Path) -> &Path {
    let mut components = path.components();
    match components.next() {
        Some(Component::CurDir) if components.clone().next().is_some() => components.as_path(),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use khien_base::lang::Lang;

    use super::*;

    /// A folder with a few files, and the names found in it for arguments relative to it.
    fn found(arguments: &[&str]) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.evtx", "a.evtx", "a.json", "sub/c.evtx", "sub/deep/d.evtx", "x[1].log"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let arguments: Vec<OsString> = arguments
            .iter()
            .map(|a| if *a == "-" { "-".into() } else { folder.path().join(a).into_os_string() })
            .collect();
        let inputs = expand(&arguments, Text(Lang::En));
        let root = folder.path().to_string_lossy().into_owned();
        let relative = |s: &str| s.replace(&format!("{root}/"), "").replace(&root, "");
        (
            inputs.list.iter().map(|i| relative(&i.name())).collect(),
            inputs.problems.iter().map(|p| relative(p)).collect(),
        )
    }

    #[test]
    fn folders_are_read_in_the_order_of_names() {
        let (files, problems) = found(&[""]);
        assert_eq!(files, ["a.evtx", "a.json", "b.evtx", "sub/c.evtx", "sub/deep/d.evtx", "x[1].log"]);
        assert!(problems.is_empty());
    }

    #[test]
    fn patterns_are_expanded_and_stay_in_their_folder() {
        assert_eq!(found(&["*.evtx"]).0, ["a.evtx", "b.evtx"]);
        assert_eq!(found(&["**/*.evtx"]).0, ["a.evtx", "b.evtx", "sub/c.evtx", "sub/deep/d.evtx"]);
        assert_eq!(found(&["*/*.evtx"]).0, ["sub/c.evtx"]);
        assert_eq!(found(&["?.{json,evtx}"]).0, ["a.evtx", "a.json", "b.evtx"]);
    }

    #[test]
    fn a_file_whose_name_looks_like_a_pattern_is_a_file() {
        assert_eq!(found(&["x[1].log"]).0, ["x[1].log"]);
    }

    #[test]
    fn every_file_is_read_once_in_the_order_of_arguments() {
        assert_eq!(found(&["b.evtx", "*.evtx", "b.evtx"]).0, ["b.evtx", "a.evtx"]);
        let (files, problems) = found(&["-", "-"]);
        assert_eq!((files.len(), problems.len()), (1, 1));
    }

    #[test]
    fn what_is_not_there_is_said() {
        assert_eq!(found(&["*.zip"]), (vec![], vec!["no file matches *.zip".to_owned()]));
        assert_eq!(found(&["[.log"]).1.len(), 1);
        assert_eq!(found(&["none/*.log"]).1, ["no file matches none/*.log"]);
        // Opening it says why.
        assert_eq!(found(&["missing.log"]).0, ["missing.log"]);
    }
}
