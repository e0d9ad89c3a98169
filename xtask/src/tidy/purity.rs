//! What library code must not do: ask the clock, draw randomness, read the environment or files, print.

use super::SourceFile;
use super::source::{names, product_lines};

/// Rooms where the outside world begins; everything else gets time, randomness and settings as arguments.
const EDGES: &[&str] = &["crates/cli/", "crates/server/", "crates/testkit/"];

/// Rooms that open no file.
const PURE: &[&str] = &["crates/base/", "crates/event/", "crates/detect/"];

const BANNED: &[(&str, &str)] = &[
    ("SystemTime::now", "take the time from the event or from an injected clock"),
    ("Instant::now", "measure time in the command line or in bench"),
    ("Timestamp::now", "take the time from the event or from an injected clock"),
    ("Zoned::now", "take the time from the event or from an injected clock"),
    ("std::env", "take settings as arguments"),
    ("env::var", "take settings as arguments"),
    ("rand::", "take randomness as an argument"),
    ("getrandom::", "take randomness as an argument"),
    ("RandomState::new", "use a hasher with a seed that the caller gives"),
    ("println!", "return what is to be said"),
    ("print!", "return what is to be said"),
    ("eprintln!", "return what is to be said"),
    ("eprint!", "return what is to be said"),
];

const BANNED_IN_PURE: &[(&str, &str)] = &[
    ("std::fs", "take a reader or bytes as an argument"),
    ("File::open", "take a reader or bytes as an argument"),
    ("std::net::Tcp", "this room speaks no protocol"),
    ("std::process", "this room starts nothing"),
    ("thread::sleep", "nothing waits here"),
];

pub(super) fn check(tree: &[SourceFile]) -> Vec<String> {
    tree.iter().filter(|file| file.is_rust() && is_library_source(&file.path)).flat_map(check_file).collect()
}

fn is_library_source(path: &str) -> bool {
    let in_product = path.starts_with("crates/") || path.starts_with("modules/");
    let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
    in_product && path.contains("/src/") && !is_test && !EDGES.iter().any(|edge| path.starts_with(edge))
}

fn check_file(file: &SourceFile) -> Vec<String> {
    let pure = PURE.iter().any(|room| file.path.starts_with(room));
    let more = if pure { BANNED_IN_PURE } else { &[] };
    let mut problems = Vec::new();
    for (number, line) in product_lines(&file.text) {
        for (needle, instead) in BANNED.iter().chain(more) {
            if names(&line, needle) {
                problems.push(format!("{}:{number}: '{needle}' in a library: {instead}", file.path));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn clock_environment_and_printing_are_found() {
        let text = "fn f() {\n    let now = std::time::Instant::now();\n    println!(\"x\");\n    let v = std::env::var(\"X\");\n}\n";
        let found = check(&[file("crates/detect/src/lib.rs", text)]);
        assert!(found[0].starts_with("crates/detect/src/lib.rs:2: 'Instant::now'"), "{found:?}");
        assert!(found[1].contains("'println!'"), "{found:?}");
        assert!(found[2].contains("'std::env'"), "{found:?}");
    }

    #[test]
    fn files_are_found_in_pure_rooms_only() {
        let text = "use std::fs;\n";
        assert_eq!(check(&[file("crates/event/src/a.rs", text)]).len(), 1);
        assert_eq!(check(&[file("crates/ingest/src/a.rs", text)]).len(), 0);
    }

    #[test]
    fn edges_tests_and_comments_may() {
        let text = "//! println!\nfn f() {}\n#[cfg(test)]\nmod tests { fn g() { println!(); } }\n";
        assert!(check(&[file("crates/event/src/lib.rs", text)]).is_empty());
        let now = "fn f() { std::time::Instant::now(); }\n";
        assert!(check(&[file("crates/cli/src/main.rs", now)]).is_empty());
        assert!(check(&[file("crates/event/tests/a.rs", now)]).is_empty());
    }
}
