//! Rules every file keeps.

use std::path::Path;

use super::SourceFile;

/// A file with more lines is reported: it may be one idea, or two that should part.
const LONG_FILE_LINES: usize = 1_000;

pub(super) fn check_trailing_newline(tree: &[SourceFile]) -> Vec<String> {
    tree.iter()
        .filter(|file| !is_sample(&file.path))
        .filter(|file| !file.text.is_empty() && !file.text.ends_with('\n'))
        .map(|file| format!("{}: no line break at the end of the file", file.path))
        .collect()
}

/// Each crate begins by saying what it is.
pub(super) fn check_crate_docs(tree: &[SourceFile]) -> Vec<String> {
    tree.iter()
        .filter(|file| file.path.ends_with("/src/lib.rs") || file.path.ends_with("/src/main.rs"))
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| format!("{}: begins without '//!' that says what the crate is", file.path))
        .collect()
}

/// What is left for later names its issue, as in `(#12)`.
pub(super) fn check_todo(tree: &[SourceFile]) -> Vec<String> {
    let word = concat!("TO", "DO");
    let mut problems = Vec::new();
    for file in tree.iter().filter(|file| file.is_rust()) {
        for (index, line) in file.text.lines().enumerate() {
            let named =
                |rest: &str| rest.strip_prefix("(#").is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()));
            let bare = line.split(word).skip(1).any(|rest| !named(rest));
            if bare {
                problems.push(format!("{}:{}: a {word} without its issue, write {word}(#12)", file.path, index + 1));
            }
        }
    }
    problems
}

/// The folders of the machine that runs the check have no place in the repository.
pub(super) fn check_machine_paths(tree: &[SourceFile], root: &Path) -> Vec<String> {
    let Some(folder) = machine_folder(root) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for file in tree.iter().filter(|file| !is_sample(&file.path)) {
        for (index, line) in file.text.lines().enumerate() {
            if is_named(line, &folder) {
                problems.push(format!("{}:{}: names '{folder}', a folder of this machine", file.path, index + 1));
            }
        }
    }
    problems
}

/// The part of `root` that tells one machine from another: its first folder, or two where the first is on every machine.
fn machine_folder(root: &Path) -> Option<String> {
    const EVERYWHERE: &[&str] =
        &["home", "Users", "tmp", "root", "var", "mnt", "opt", "usr", "srv", "private", "builds", "src"];
    let text = root.to_str()?.strip_prefix('/')?;
    let mut folders = text.split('/').filter(|folder| !folder.is_empty());
    let first = folders.next()?;
    if !EVERYWHERE.contains(&first) {
        return Some(format!("/{first}/"));
    }
    Some(format!("/{first}/{}/", folders.next()?))
}

/// Whether `line` has `folder` as the start of a path, not as the tail of a longer one.
fn is_named(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '*' | '}'))
    })
}

/// Files that hold what foreign systems wrote.
fn is_sample(path: &str) -> bool {
    path.starts_with("content/") || path.starts_with("fuzz/seeds/") || path == "Cargo.lock"
}

pub(super) fn long_files(tree: &[SourceFile]) -> Vec<String> {
    tree.iter()
        .filter(|file| file.is_rust())
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > LONG_FILE_LINES)
        .map(|(file, lines)| format!("{}: {lines} lines; is it one idea?", file.path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn a_missing_line_break_is_found() {
        let tree = [file("a.md", "text"), file("b.md", "text\n"), file("content/events/a.log", "text")];
        assert_eq!(check_trailing_newline(&tree), ["a.md: no line break at the end of the file"]);
    }

    #[test]
    fn a_crate_without_introduction_is_found() {
        let tree = [file("crates/a/src/lib.rs", "mod x;\n"), file("crates/b/src/lib.rs", "//! B.\n")];
        assert_eq!(check_crate_docs(&tree).len(), 1);
    }

    #[test]
    fn a_todo_without_issue_is_found() {
        let word = concat!("TO", "DO");
        let text = format!("// {word}: later\n// {word}(#7): later\n// {word}(me): later\n");
        let found = check_todo(&[file("a.rs", &text)]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("a.rs:1:"));
        assert!(found[1].starts_with("a.rs:3:"));
    }

    #[test]
    fn a_folder_of_this_machine_is_found() {
        let root = Path::new("/home/anna/khien");
        let tree = [file("a.md", "see /home/anna/logs\nsee /home/binh/logs\nsee x/home/anna/logs\n")];
        let found = check_machine_paths(&tree, root);
        assert_eq!(found, ["a.md:1: names '/home/anna/', a folder of this machine"]);
        assert_eq!(machine_folder(Path::new("/khien/x")), Some("/khien/".into()));
        assert_eq!(machine_folder(Path::new("/tmp")), None);
    }

    #[test]
    fn long_files_are_reported() {
        let long = "x\n".repeat(LONG_FILE_LINES + 1);
        assert_eq!(long_files(&[file("a.rs", &long), file("b.rs", "x\n")]).len(), 1);
    }
}
