//! A line that nothing else reads: one field, `message`, so that keyword rules still see it.

use super::out::Out;
use crate::time;

/// Longest time at the beginning of a line that is looked for, in bytes.
const TIME: usize = 40;

/// Takes the whole line.
pub(crate) fn decode(line: &str, out: &mut Out<'_>) {
    out.shape("text");
    out.text("message", line);
    out.time(leading_time(line));
}

/// The time that begins the line, bare or in brackets.
fn leading_time(line: &str) -> Option<i64> {
    let line = line.trim_start();
    if let Some(inner) = line.strip_prefix('[') {
        let end = inner.bytes().take(TIME).position(|b| b == b']')?;
        return time::parse(inner.get(..end)?);
    }
    time::iso(line.as_bytes()).map(|(time, _)| time)
}
