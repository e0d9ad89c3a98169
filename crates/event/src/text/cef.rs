//! The Common Event Format: `CEF:0|vendor|product|version|class|name|severity|key=value ...`.
//!
//! Specification: "`ArcSight` Common Event Format (CEF) Implementation Standard", version 26. Values may contain blanks
//! and, against the specification but seen daily, unescaped `=`; a key is therefore a run of key characters after a
//! blank.

use std::borrow::Cow;

use super::out::Out;
use super::pairs::unescaped;
use crate::time;

/// Names of the parts of the header.
const HEADER: [&str; 7] =
    ["cefVersion", "deviceVendor", "deviceProduct", "deviceVersion", "deviceEventClassId", "name", "severity"];

/// Longest key and longest label that is read as a name, in bytes.
const NAME: usize = 256;

/// Most `csNLabel` and the like that are looked up in one event.
const LABELS: usize = 64;

/// Where CEF starts in `line`: at its beginning, or after a header that ends in a blank or a colon.
pub(crate) fn find(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    memchr::memmem::find_iter(bytes, b"CEF:").take(4).find(|&at| {
        let before = at == 0 || matches!(bytes[at - 1], b' ' | b':' | b'\t' | b'"' | b'>');
        let version = bytes.get(at + 4..).unwrap_or_default().trim_ascii_start();
        before && version.first().is_some_and(u8::is_ascii_digit)
    })
}

/// Decodes text that begins with `CEF:`; whether it was a CEF event.
pub(crate) fn decode(text: &str, reference_ns: i64, out: &mut Out<'_>) -> bool {
    let Some((header, rest)) = header(text) else {
        return false;
    };
    out.shape("cef");
    for (name, value) in HEADER.iter().zip(header) {
        let value = unescaped_header(value);
        out.text(name, &value);
        if *name == "deviceEventClassId" {
            out.text("signatureId", &value);
        }
    }
    extension(rest, reference_ns, out);
    true
}

/// Whether `text` begins with a whole CEF header.
pub(crate) fn decodes(text: &str) -> bool {
    header(text).is_some()
}

/// The parts of the header, still escaped, and the extension.
fn header(text: &str) -> Option<([&str; 7], &str)> {
    let mut header = [""; 7];
    let mut rest = text.strip_prefix("CEF:")?.trim_start();
    for (index, part) in header.iter_mut().enumerate() {
        // Some devices leave out the last bar when there is no extension.
        (*part, rest) = until_bar(rest, index == 6)?;
    }
    let version = header[0];
    (!version.is_empty() && version.len() <= 8).then_some((header, rest))
}

/// The text up to the next bar that no backslash precedes, and what follows it.
fn until_bar(text: &str, last: bool) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'|', b'\\', bytes.get(at..)?) {
        at += found;
        if bytes[at] == b'|' {
            return Some((text.get(..at)?, text.get(at + 1..)?));
        }
        at += 2;
    }
    last.then_some((text, ""))
}

fn unescaped_header(text: &str) -> Cow<'_, str> {
    unescaped(text.trim())
}

fn extension(text: &str, reference_ns: i64, out: &mut Out<'_>) {
    let mut labels: Vec<(&str, Cow<'_, str>)> = Vec::new();
    let mut labelled: Vec<(&str, Cow<'_, str>)> = Vec::new();
    let (mut receipt, mut end, mut start) = (None, None, None);
    for (key, value) in Extension::new(text) {
        let value = unescaped(value.trim());
        out.text(key, &value);
        match key {
            "rt" | "deviceReceiptTime" => receipt = time::parse_near(&value, reference_ns),
            "end" | "endTime" => end = time::parse_near(&value, reference_ns),
            "start" | "startTime" => start = time::parse_near(&value, reference_ns),
            _ => {}
        }
        if let Some(base) = key.strip_suffix("Label") {
            if labels.len() < LABELS {
                labels.push((base, value));
            }
        } else if may_be_labelled(key) && labelled.len() < LABELS {
            labelled.push((key, value));
        }
    }
    out.better_time(receipt.or(end).or(start));
    for (base, label) in &labels {
        if label.is_empty() || label.len() > NAME {
            continue;
        }
        for (_, value) in labelled.iter().filter(|(key, _)| key == base) {
            out.text(label, value);
        }
    }
}

/// Whether `key` is one of the custom fields that have a label: `cs1`, `cn2`, `flexString1`, `deviceCustomDate1`...
fn may_be_labelled(key: &str) -> bool {
    let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
    base.len() < key.len()
        && matches!(
            base,
            "cs" | "cn"
                | "cfp"
                | "c6a"
                | "flexString"
                | "flexNumber"
                | "flexDate"
                | "deviceCustomDate"
                | "deviceCustomString"
                | "deviceCustomNumber"
                | "deviceCustomFloatingPoint"
                | "deviceCustomIPv6Address"
        )
}

/// Reads the pairs of an extension.
struct Extension<'a> {
    text: &'a str,
    /// Key of the next pair and where its value starts.
    next: Option<(&'a str, usize)>,
}

impl<'a> Extension<'a> {
    fn new(text: &'a str) -> Self {
        let next = find_key(text, 0, KeyPlace::Start).map(|(_, key, value)| (key, value));
        Self { text, next }
    }
}

impl<'a> Iterator for Extension<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, start) = self.next.take()?;
        let mut end = self.text.len();
        if let Some((at, next, value)) = find_key(self.text, start, KeyPlace::AfterBlank) {
            end = at;
            self.next = Some((next, value));
        }
        Some((key, self.text.get(start..end)?))
    }
}

/// Where a key may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyPlace {
    /// Also right where the search starts.
    Start,
    /// Only after a blank.
    AfterBlank,
}

/// The first key at or after `from`: where it begins, its text, and where its value begins.
fn find_key(text: &str, from: usize, place: KeyPlace) -> Option<(usize, &str, usize)> {
    let bytes = text.as_bytes();
    for at in memchr::memchr_iter(b'=', bytes.get(from..)?).map(|at| at + from) {
        let run = bytes[from..at].iter().rev().take(NAME).take_while(|&&b| is_key_byte(b)).count();
        let start = at - run;
        let placed =
            if start == from { place == KeyPlace::Start } else { matches!(bytes[start - 1], b' ' | b'\t' | b'|') };
        if run > 0 && placed {
            return Some((start, text.get(start..at)?, at + 1));
        }
    }
    None
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']') || byte >= 0x80
}
