//! Which crate may use which: the arrows of ARCHITECTURE.md, read from each `Cargo.toml`.

use toml::{Table, Value};

use super::SourceFile;

/// What a room may use of ours.
enum Uses {
    /// These rooms.
    Only(&'static [&'static str]),
    /// Every room but the tools.
    Everything,
}

/// Every room by its folder. Rooms that do not exist yet stand here too, so that they start inside the rules.
const ROOMS: &[(&str, Uses)] = &[
    ("crates/base", Uses::Only(&[])),
    ("crates/event", Uses::Only(&["base"])),
    ("crates/detect", Uses::Only(&["base", "event"])),
    ("crates/ingest", Uses::Only(&["base", "event"])),
    ("crates/lake", Uses::Only(&["base", "event"])),
    ("crates/store", Uses::Only(&["base"])),
    ("crates/web", Uses::Only(&["base"])),
    ("crates/server", Uses::Everything),
    ("crates/cli", Uses::Everything),
    ("crates/testkit", Uses::Everything),
    ("xtask", Uses::Only(&[])),
    ("fuzz", Uses::Everything),
    ("bench", Uses::Everything),
];

/// Business areas in the order of their arrows: each sees those of lower rank.
const MODULES: &[(&str, u32)] = &[
    ("identity", 0),
    ("assets", 1),
    ("sources", 2),
    ("detections", 3),
    ("intel", 3),
    ("warnings", 4),
    ("incidents", 5),
    ("assessments", 6),
    ("strategy", 7),
    ("portal", 8),
];

/// What every module may use, and what some may use besides.
const MODULE_USES: &[&str] = &["base", "event", "store", "web"];
const MODULES_THAT_DETECT: &[&str] = &["detections", "intel"];

/// Packages that nothing may use except in tests.
const TOOLS: &[&str] = &["testkit", "fuzz", "bench", "xtask", "cli"];

/// Foreign crates that belong to some rooms only. A name that ends in `*` is a prefix.
const FOREIGN: &[(&str, &[&str])] = &[
    ("anyhow", &["crates/cli", "crates/server", "crates/testkit", "xtask", "fuzz", "bench"]),
    ("clap", &["crates/cli", "crates/server", "xtask", "bench"]),
    ("indicatif", &["crates/cli", "bench"]),
    ("datafusion*", &["crates/lake", "crates/server"]),
    ("deltalake*", &["crates/lake", "crates/server"]),
    ("arrow*", &["crates/lake", "crates/server"]),
    ("parquet*", &["crates/lake", "crates/server"]),
    ("async-nats", &["crates/ingest", "crates/server"]),
    ("rand", &["crates/cli", "crates/server", "crates/testkit", "bench"]),
    ("reqwest", &["crates/cli", "crates/server", "crates/ingest"]),
];

pub(super) fn check(tree: &[SourceFile]) -> Vec<String> {
    tree.iter()
        .filter(|file| file.path.ends_with("/Cargo.toml") && file.path != "fuzz/cargo-fuzz/Cargo.toml")
        .flat_map(check_manifest)
        .collect()
}

fn check_manifest(file: &SourceFile) -> Vec<String> {
    let folder = file.path.trim_end_matches("/Cargo.toml");
    let manifest: Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("{}: not readable as TOML: {error}", file.path)],
    };
    if !is_known(folder) {
        return vec![format!(
            "{}: the room '{folder}' is not in the table of xtask/src/tidy/arrows.rs; a new room needs an ADR",
            file.path
        )];
    }
    dependencies(&manifest)
        .iter()
        .filter_map(|(name, kind)| problem(folder, name, *kind))
        .map(|problem| format!("{}: {problem}", file.path))
        .collect()
}

/// Why `folder` may not depend on the package `name`, if so.
fn problem(folder: &str, name: &str, kind: DependencyKind) -> Option<String> {
    let Some(room) = own_room(name) else {
        return foreign_problem(folder, name, kind);
    };
    if kind == DependencyKind::Test {
        return None;
    }
    if TOOLS.contains(&room) {
        return Some(format!("'{name}' is for tests only, it belongs under [dev-dependencies]"));
    }
    (!may_use(folder, room)).then(|| format!("'{folder}' may not use '{name}'; see the arrows in ARCHITECTURE.md"))
}

fn foreign_problem(folder: &str, name: &str, kind: DependencyKind) -> Option<String> {
    let (_, allowed) = FOREIGN.iter().find(|(pattern, _)| matches(pattern, name))?;
    (kind == DependencyKind::Normal && !allowed.contains(&folder))
        .then(|| format!("the crate '{name}' belongs to {} only", allowed.join(", ")))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

fn may_use(folder: &str, room: &str) -> bool {
    if let Some(module) = folder.strip_prefix("modules/") {
        return module_may_use(module, room);
    }
    ROOMS.iter().find(|(known, _)| *known == folder).is_some_and(|(_, uses)| match uses {
        Uses::Only(rooms) => rooms.contains(&room),
        Uses::Everything => true,
    })
}

fn module_may_use(module: &str, room: &str) -> bool {
    let rank = |name: &str| MODULES.iter().find(|(known, _)| *known == name).map(|(_, rank)| *rank);
    match (rank(module), rank(room)) {
        (Some(own), Some(other)) => other < own,
        _ => MODULE_USES.contains(&room) || (room == "detect" && MODULES_THAT_DETECT.contains(&module)),
    }
}

fn is_known(folder: &str) -> bool {
    let module = folder.strip_prefix("modules/");
    ROOMS.iter().any(|(known, _)| *known == folder)
        || module.is_some_and(|name| MODULES.iter().any(|(known, _)| *known == name))
}

/// The room of one of our own packages.
fn own_room(package: &str) -> Option<&str> {
    match package {
        "khien" => Some("cli"),
        "xtask" => Some("xtask"),
        _ => package.strip_prefix("khien-"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DependencyKind {
    /// Linked into the product, or run to build it.
    Normal,
    /// For tests.
    Test,
}

/// Every dependency by its package name, of all tables and targets.
fn dependencies(manifest: &Table) -> Vec<(String, DependencyKind)> {
    let mut found = dependencies_of(manifest);
    let targets = manifest.get("target").and_then(Value::as_table);
    for target in targets.into_iter().flat_map(Table::values) {
        found.extend(target.as_table().map(dependencies_of).unwrap_or_default());
    }
    found
}

fn dependencies_of(table: &Table) -> Vec<(String, DependencyKind)> {
    let sections = [
        ("dependencies", DependencyKind::Normal),
        ("build-dependencies", DependencyKind::Normal),
        ("dev-dependencies", DependencyKind::Test),
    ];
    let mut found = Vec::new();
    for (section, kind) in sections {
        let Some(list) = table.get(section).and_then(Value::as_table) else {
            continue;
        };
        for (key, value) in list {
            let package = value.get("package").and_then(Value::as_str).unwrap_or(key);
            found.push((package.to_owned(), kind));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<String> {
        check(&[file(path, text)])
    }

    #[test]
    fn allowed_arrows_pass() {
        let text = "[dependencies]\nkhien-base.workspace = true\nkhien-event = { path = \"../event\" }\nserde = \"1\"\n[dev-dependencies]\nkhien-testkit.workspace = true\nanyhow = \"1\"\n";
        assert_eq!(problems("crates/detect/Cargo.toml", text), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_against_the_order_is_found() {
        let found = problems("crates/event/Cargo.toml", "[dependencies]\nkhien-detect.workspace = true\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("'crates/event' may not use 'khien-detect'"), "{}", found[0]);
    }

    #[test]
    fn a_renamed_dependency_does_not_hide() {
        let text = "[target.'cfg(unix)'.dependencies]\nother = { package = \"khien-detect\", path = \"../detect\" }\n";
        assert_eq!(problems("crates/base/Cargo.toml", text).len(), 1);
    }

    #[test]
    fn testkit_is_for_tests() {
        let found = problems("crates/cli/Cargo.toml", "[dependencies]\nkhien-testkit.workspace = true\n");
        assert!(found[0].contains("for tests only"), "{}", found[0]);
    }

    #[test]
    fn foreign_crates_stay_in_their_rooms() {
        let found = problems(
            "crates/detect/Cargo.toml",
            "[dependencies]\nanyhow.workspace = true\ndatafusion-common = \"1\"\n",
        );
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn modules_see_only_lower_modules() {
        let lower = "[dependencies]\nkhien-assets.workspace = true\nkhien-store.workspace = true\n";
        assert!(problems("modules/incidents/Cargo.toml", lower).is_empty());
        let higher = "[dependencies]\nkhien-incidents.workspace = true\n";
        assert_eq!(problems("modules/assets/Cargo.toml", higher).len(), 1);
        let lake = "[dependencies]\nkhien-lake.workspace = true\n";
        assert_eq!(problems("modules/assets/Cargo.toml", lake).len(), 1);
        let detect = "[dependencies]\nkhien-detect.workspace = true\n";
        assert!(problems("modules/intel/Cargo.toml", detect).is_empty());
    }

    #[test]
    fn an_unknown_room_is_found() {
        assert!(problems("crates/utils/Cargo.toml", "[package]\n")[0].contains("needs an ADR"));
        assert_eq!(problems("crates/base/Cargo.toml", "[").len(), 1);
    }
}
