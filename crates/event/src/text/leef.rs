//! The Log Event Extended Format: `LEEF:1.0|vendor|product|version|event id|key=value<tab>...`, and 2.0 with
//! its own delimiter.
//!
//! Specification: "`QRadar` LEEF, version 2" (IBM). A delimiter is one character or `x` and two to four hexadecimal
//! digits, with or without a leading `0`; tab when nothing is said.

use super::out::Out;
use crate::time;

/// Where LEEF starts in `line`.
pub(crate) fn find(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    memchr::memmem::find_iter(bytes, b"LEEF:").take(4).find(|&at| {
        let before = at == 0 || matches!(bytes[at - 1], b' ' | b':' | b'\t' | b'"' | b'>');
        before && bytes.get(at + 5).is_some_and(u8::is_ascii_digit)
    })
}

/// Decodes text that begins with `LEEF:`; whether it was a LEEF event.
pub(crate) fn decode(text: &str, reference_ns: i64, out: &mut Out<'_>) -> bool {
    let Some((header, attributes)) = header(text) else {
        return false;
    };
    let (delimiter, attributes) =
        if header[0].starts_with('2') { delimiter(attributes) } else { (old_delimiter(attributes), attributes) };
    out.shape("leef");
    let names = ["leefVersion", "deviceVendor", "deviceProduct", "deviceVersion", "EventID"];
    for (name, value) in names.iter().zip(header) {
        out.text(name, value);
    }
    for attribute in attributes.split(delimiter) {
        let Some((key, value)) = attribute.split_once('=') else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() {
            continue;
        }
        out.text(key, value);
        if key == "devTime" {
            out.better_time(time::parse_near(value, reference_ns));
        }
    }
    true
}

/// Whether `text` begins with a whole LEEF header.
pub(crate) fn decodes(text: &str) -> bool {
    header(text).is_some()
}

/// The parts of the header and what follows.
fn header(text: &str) -> Option<([&str; 5], &str)> {
    let mut parts = text.strip_prefix("LEEF:")?.splitn(6, '|');
    let mut header = [""; 5];
    for part in &mut header {
        *part = parts.next()?.trim();
    }
    Some((header, parts.next().unwrap_or("")))
}

/// The delimiter that LEEF 2.0 states, and the attributes after it. Some devices say 2.0 and leave it out.
fn delimiter(text: &str) -> (char, &str) {
    let Some((stated, rest)) = text.split_once('|') else {
        return ('\t', text);
    };
    if stated.is_empty() {
        return ('\t', rest);
    }
    let mut chars = stated.chars();
    if let (Some(only), None) = (chars.next(), chars.next()) {
        return (only, rest);
    }
    let digits =
        stated.strip_prefix("0x").or_else(|| stated.strip_prefix(['x', 'X'])).or_else(|| stated.strip_prefix("\\x"));
    let code = digits.filter(|d| d.len() <= 4).and_then(|d| u32::from_str_radix(d, 16).ok()).and_then(char::from_u32);
    match (code, stated) {
        (Some(code), _) => (code, rest),
        (None, "\\t") => ('\t', rest),
        (None, _) => ('\t', text),
    }
}

/// LEEF 1.0 is delimited by tabs; some devices write bars all the same.
fn old_delimiter(text: &str) -> char {
    if text.contains('\t') || !text.contains('|') { '\t' } else { '|' }
}
