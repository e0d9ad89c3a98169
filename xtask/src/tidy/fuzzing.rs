//! Every fuzz target is complete: in the table, with seeds, and with its libFuzzer entry.

use super::SourceFile;

const TABLE: &str = "fuzz/src/lib.rs";
const ENTRIES: &str = "fuzz/cargo-fuzz/fuzz_targets/";
const MANIFEST: &str = "fuzz/cargo-fuzz/Cargo.toml";

pub(super) fn check(tree: &[SourceFile]) -> Vec<String> {
    let text_of = |path: &str| tree.iter().find(|f| f.path == path).map_or("", |f| f.text.as_str());
    let listed = listed_targets(text_of(TABLE));
    let manifest = text_of(MANIFEST);
    let mut problems: Vec<String> = listed.iter().flat_map(|target| missing_parts(tree, manifest, target)).collect();
    for target in entries(tree) {
        if !listed.contains(&target) {
            problems.push(format!("{ENTRIES}{target}.rs: the target is not in TARGETS of {TABLE}"));
        }
    }
    problems
}

fn missing_parts(tree: &[SourceFile], manifest: &str, target: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let seeds = format!("fuzz/seeds/{target}/");
    if !tree.iter().any(|file| file.path.starts_with(&seeds)) {
        problems.push(format!("{TABLE}: the target '{target}' has no seed in {seeds}"));
    }
    let entry = format!("{ENTRIES}{target}.rs");
    if !tree.iter().any(|file| file.path == entry) {
        problems.push(format!("{TABLE}: the target '{target}' has no {entry}"));
    }
    if !manifest.contains(&format!("name = \"{target}\"")) {
        problems.push(format!("{MANIFEST}: the target '{target}' has no [[bin]]"));
    }
    problems
}

/// The names in lines like `    ("name", name),` between `TARGETS` and the closing bracket.
fn listed_targets(table: &str) -> Vec<String> {
    table
        .lines()
        .skip_while(|line| !line.contains("TARGETS:"))
        .take_while(|line| line.trim() != "];")
        .filter_map(|line| line.trim().strip_prefix("(\"")?.split('"').next())
        .map(str::to_owned)
        .collect()
}

fn entries(tree: &[SourceFile]) -> Vec<String> {
    tree.iter().filter_map(|file| file.path.strip_prefix(ENTRIES)?.strip_suffix(".rs")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn table() -> SourceFile {
        file(TABLE, "pub const TARGETS: &[(&str, Target)] = &[\n    (\"one\", one),\n];\n")
    }

    #[test]
    fn a_complete_target_passes() {
        let tree = [
            table(),
            file(MANIFEST, "[[bin]]\nname = \"one\"\n"),
            file("fuzz/cargo-fuzz/fuzz_targets/one.rs", ""),
            file("fuzz/seeds/one/a", "x"),
        ];
        assert_eq!(check(&tree), Vec::<String>::new());
    }

    #[test]
    fn missing_parts_are_found() {
        assert_eq!(check(&[table()]).len(), 3);
    }

    #[test]
    fn an_unlisted_entry_is_found() {
        let tree = [file(TABLE, ""), file("fuzz/cargo-fuzz/fuzz_targets/two.rs", "")];
        assert!(check(&tree)[0].contains("not in TARGETS"));
    }
}
