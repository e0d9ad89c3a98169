//! Checks of the structure that compiler and linter cannot see.
//!
//! Each check is a function from the files of the tree to problems, so that each is tested with a failing example.

mod arrows;
mod files;
mod fuzzing;
mod purity;
mod source;

use std::path::Path;

use anyhow::{Context, Result};
use walkdir::{DirEntry, WalkDir};

/// A file of the tree.
#[derive(Clone, Debug)]
pub(crate) struct SourceFile {
    /// Path from the root, with `/`.
    pub(crate) path: String,
    /// Its text; empty for a binary file.
    pub(crate) text: String,
}

impl SourceFile {
    /// Whether it is Rust source.
    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }
}

/// What the checks found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// What must be repaired.
    pub(crate) problems: Vec<String>,
    /// What somebody should look at.
    pub(crate) notes: Vec<String>,
}

/// Runs every check over the tree at `root`.
pub(crate) fn check(root: &Path) -> Result<Report> {
    let tree = read_tree(root)?;
    let mut problems = Vec::new();
    problems.extend(arrows::check(&tree));
    problems.extend(purity::check(&tree));
    problems.extend(files::check_trailing_newline(&tree));
    problems.extend(files::check_crate_docs(&tree));
    problems.extend(files::check_todo(&tree));
    problems.extend(files::check_machine_paths(&tree, root));
    problems.extend(fuzzing::check(&tree));
    let notes = files::long_files(&tree);
    Ok(Report { problems, notes })
}

/// All files below `root`, sorted by path, without build folders and the folders of tools.
fn read_tree(root: &Path) -> Result<Vec<SourceFile>> {
    let mut tree = Vec::new();
    let walk = WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_ignored(entry));
    for entry in walk {
        let entry = entry.with_context(|| format!("could not walk {}", root.display()))?;
        if !entry.file_type().is_file() {
            continue;
        }
        let bytes =
            std::fs::read(entry.path()).with_context(|| format!("could not read {}", entry.path().display()))?;
        let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).unwrap_or_default();
        let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let path = path.to_string_lossy().replace('\\', "/");
        tree.push(SourceFile { path, text });
    }
    Ok(tree)
}

/// Cargo marks its build folders with `CACHEDIR.TAG`, wherever they are.
fn is_ignored(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let build_folder = entry.file_type().is_dir() && entry.path().join("CACHEDIR.TAG").is_file();
    build_folder || matches!(&*name, ".git" | ".cache" | "target" | "node_modules" | "__pycache__" | ".venv")
}

#[cfg(test)]
pub(crate) fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.into(), text: text.into() }
}
