//! OCSF events against the published schema.
//!
//! The judge is `ocsf_judge.py`, run by the Python that `KHIEN_PYTHON` names, else `python3`.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// A Python that has the packages `ocsf-json-schema` and `jsonschema`; where there is none, says `skipped`.
pub fn python() -> Option<String> {
    let python = std::env::var("KHIEN_PYTHON").unwrap_or_else(|_| "python3".into());
    let found =
        Command::new(&python).args(["-c", "import ocsf_json_schema, jsonschema"]).stderr(Stdio::null()).status();
    if found.is_ok_and(|s| s.success()) {
        return Some(python);
    }
    eprintln!("skipped: {python} does not have ocsf-json-schema and jsonschema");
    None
}

/// Judges OCSF events, one JSON object a line, by the schema of their classes.
///
/// # Panics
/// When one is not valid, with what is wrong.
pub fn judge(python: &str, lines: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ocsf_judge.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the judge starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let text = lines.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("the judge ends");
    writer.join().expect("no panic").expect("the judge reads all");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}
