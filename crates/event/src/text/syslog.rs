//! Syslog, RFC 3164 as it is really sent and RFC 5424, and what it carries.
//!
//! A message that is an event of its own (CEF, LEEF, auditd, a JSON object, firewall pairs) is decoded as that, and the
//! header's fields stand beside it under names that begin with `syslog.`.

use std::borrow::Cow;

use super::out::Out;
use super::{access, auditd, cef, embedded, keyvalue, leef};
use crate::time;

/// Longest host name and tag, in bytes. RFC 5424 allows 255 and 48; some relays do not care.
const NAME: usize = 255;

/// Most elements of structured data.
const ELEMENTS: usize = 64;

/// What stands before the message.
#[derive(Debug, Default)]
struct Header<'a> {
    priority: Option<&'a str>,
    time_ns: Option<i64>,
    host: &'a str,
    program: &'a str,
    process: &'a str,
    message_id: &'a str,
    data: &'a str,
    message: &'a str,
}

/// How sure a line must look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// It was declared to be syslog: anything with a priority or a time is.
    Declared,
    /// It may be something else: without a priority it needs a tag.
    Guessed,
}

/// Decodes a line of syslog; whether it was one.
pub(crate) fn decode(line: &str, reference_ns: i64, strictness: Strictness, out: &mut Out<'_>) -> bool {
    let Some(header) = parse(line, reference_ns) else {
        return false;
    };
    let sure = strictness == Strictness::Declared || header.is_sure(line);
    out.time(header.time_ns);
    if payload(&header, sure, reference_ns, out) {
        out.set_prefix("syslog.");
        header.put(out);
        out.set_prefix("");
        return true;
    }
    if !sure {
        return false;
    }
    out.shape("syslog");
    header.put(out);
    out.text("message", header.message);
    true
}

/// Decodes the message where it is an event of its own.
fn payload(header: &Header<'_>, sure: bool, reference_ns: i64, out: &mut Out<'_>) -> bool {
    let message = header.message.trim_start();
    // A tag `CEF` and its colon belong to the message.
    if header.program == "CEF" && message.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return cef::decode(&format!("CEF:{message}"), reference_ns, out);
    }
    if let Some(text) = cef::find(message).and_then(|at| message.get(at..)) {
        return cef::decode(text, reference_ns, out);
    }
    if let Some(text) = leef::find(message).and_then(|at| message.get(at..)) {
        return leef::decode(text, reference_ns, out);
    }
    if message.starts_with('{') {
        return embedded::decode(message, out);
    }
    if let Some(json) = message.strip_prefix("@cee:") {
        return embedded::decode(json.trim_start(), out);
    }
    let kernel = without_uptime(message);
    auditd::decode(message, out)
        || auditd::decode(kernel.strip_prefix("audit: ").unwrap_or(kernel), out)
        || access::decode(message, out)
        || (sure && keyvalue::decode(kernel, out))
}

/// The kernel's `[12345.678901] ` removed.
fn without_uptime(message: &str) -> &str {
    message
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .filter(|(uptime, _)| uptime.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b' ')))
        .map_or(message, |(_, rest)| rest)
}

/// Reads the header.
fn parse(line: &str, reference_ns: i64) -> Option<Header<'_>> {
    let line = line.trim_end_matches(['\r', '\n', '\0']);
    let (priority, rest) = match priority(line) {
        Some((priority, rest)) => (Some(priority), rest),
        None => (None, line),
    };
    let mut header = Header { priority, ..Header::default() };
    if priority.is_some()
        && let Some(rest) = rest.strip_prefix("1 ")
        && structured(rest, &mut header)
    {
        return Some(header);
    }
    let rest = rest.strip_prefix("1 ").unwrap_or(rest).trim_start();
    let (time_ns, rest) = match leading_time(rest, reference_ns) {
        Some((time_ns, rest)) => (Some(time_ns), rest),
        None => (None, without_sequence(rest, reference_ns, &mut header)),
    };
    header.time_ns = header.time_ns.or(time_ns);
    if header.priority.is_none() && header.time_ns.is_none() {
        return None;
    }
    host_and_tag(rest, &mut header);
    Some(header)
}

/// `<134>`
fn priority(line: &str) -> Option<(&str, &str)> {
    let (digits, rest) = line.strip_prefix('<')?.split_once('>')?;
    let value: u8 = digits.parse().ok()?;
    (digits.len() <= 3 && value <= 191).then_some((digits, rest))
}

/// A time at the beginning, as RFC 3164, Cisco and rsyslog write it, and what follows it.
fn leading_time(text: &str, reference_ns: i64) -> Option<(i64, &str)> {
    // Cisco marks clocks it does not trust.
    let text = text.strip_prefix(['*', '.']).unwrap_or(text);
    if let Some((time_ns, used)) = time::iso(text.as_bytes()) {
        let rest = text.get(used..)?;
        // Some relays put a second zone behind the first.
        let rest = rest.strip_prefix('Z').unwrap_or(rest);
        let ends = rest.is_empty() || rest.starts_with([' ', ':', '\t']);
        return ends.then(|| (time_ns, rest.strip_prefix(':').unwrap_or(rest).trim_start()));
    }
    named_month(text, reference_ns)
}

/// `Nov 21 10:00:00`, `Nov  1 2020 10:00:00.123 UTC:` and the like. The longest form that reads wins.
fn named_month(text: &str, reference_ns: i64) -> Option<(i64, &str)> {
    let month = text.as_bytes().get(..3)?;
    if !month.iter().all(u8::is_ascii_alphabetic) || text.as_bytes().get(3) != Some(&b' ') {
        return None;
    }
    let mut best = None;
    for end in word_ends(text, 6).filter(|&(words, _)| words >= 3).map(|(_, end)| end) {
        let candidate = text.get(..end)?;
        if let Some(time_ns) = time::parse_near(candidate.trim_end_matches(':'), reference_ns) {
            best = Some((time_ns, text.get(end..)?.trim_start()));
        }
    }
    best
}

/// Numbers and ends of the first `count` words of `text`.
fn word_ends(text: &str, count: usize) -> impl Iterator<Item = (usize, usize)> {
    let bytes = text.as_bytes();
    let mut words = 0;
    (1..=bytes.len().min(64)).filter_map(move |end| {
        let ends = bytes[end - 1] != b' ' && bytes.get(end).is_none_or(|&b| b == b' ');
        words += usize::from(ends);
        (ends && words <= count).then_some((words, end))
    })
}

/// Cisco's `29: host: *Nov 21 10:00:00.123: ` before the message: a number, perhaps a host, and then the time.
fn without_sequence<'a>(text: &'a str, reference_ns: i64, header: &mut Header<'a>) -> &'a str {
    let Some((number, mut rest)) = text.split_once(": ") else {
        return text;
    };
    if number.is_empty() || number.len() > 12 || !number.bytes().all(|b| b.is_ascii_digit()) {
        return text;
    }
    rest = rest.trim_start();
    let mut host = "";
    if leading_time(rest, reference_ns).is_none()
        && let Some((name, after)) = rest.split_once(": ")
        && name.len() <= NAME
        && !name.contains(' ')
        && leading_time(after.trim_start(), reference_ns).is_some()
    {
        host = name;
        rest = after.trim_start();
    }
    match leading_time(rest, reference_ns) {
        Some((time_ns, after)) => {
            header.time_ns = Some(time_ns);
            header.host = host;
            after
        }
        None => text,
    }
}

/// Reads host, tag and process id of RFC 3164; what is left is the message.
fn host_and_tag<'a>(text: &'a str, header: &mut Header<'a>) {
    let text = text.trim_start();
    header.message = text;
    if header.host.is_empty()
        && let Some((first, rest)) = text.split_once(' ')
    {
        let rest = rest.trim_start();
        let bare = first.strip_suffix(':').unwrap_or(first);
        let is_host = if first.ends_with(':') {
            // `host:` before CEF, or a tag such as `sshd:`
            cef::find(rest) == Some(0) || leef::find(rest) == Some(0)
        } else {
            is_name(first) && !first.contains(['[', '=', '{', '"'])
        };
        let is_payload = bare == "CEF" || first.starts_with("CEF:") || first.starts_with("LEEF:");
        if is_host && !is_payload {
            header.host = bare;
            header.message = rest;
        }
    }
    tag(header);
}

/// Reads `program[123]: ` off the message.
fn tag(header: &mut Header<'_>) {
    let text = header.message;
    if text.starts_with("CEF:") || text.starts_with("LEEF:") {
        return;
    }
    let end = text.bytes().take(NAME).position(|b| matches!(b, b'[' | b':' | b' ' | b'{' | b'=' | b'"'));
    let Some((name, rest)) = end.and_then(|end| text.split_at_checked(end)) else {
        return;
    };
    let (process, after) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((process, after)) if process.len() <= 64 => (process, after),
        _ => ("", rest),
    };
    let after_colon = after.strip_prefix(':');
    // `HH:MM` and `a::b` are no tags, and neither is a word without colon or process.
    let ends = after_colon.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', ':']));
    let bracketed = !process.is_empty() && (after.is_empty() || after.starts_with(' '));
    if name.is_empty() && process.is_empty() || !(ends || bracketed) {
        return;
    }
    header.program = name;
    header.process = process;
    header.message = after_colon.unwrap_or(after).trim_start();
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.len() <= NAME
}

/// RFC 5424 after `<PRI>1 `; whether it was that.
fn structured<'a>(text: &'a str, header: &mut Header<'a>) -> bool {
    let mut parts = text.splitn(6, ' ');
    let mut next = || parts.next().filter(|part| !part.is_empty());
    let (Some(stamp), Some(host), Some(program), Some(process), Some(message_id), Some(rest)) =
        (next(), next(), next(), next(), next(), next())
    else {
        return false;
    };
    let Some((data, message)) = structured_data(rest) else {
        return false;
    };
    let time_ns = time::iso(stamp.as_bytes()).map(|(time_ns, _)| time_ns);
    if time_ns.is_none() && stamp != "-" && cef::find(text).or_else(|| leef::find(text)).is_some() {
        return false;
    }
    header.time_ns = time_ns;
    header.host = host;
    header.program = program;
    header.process = process;
    header.message_id = message_id;
    header.data = data;
    let message = message.strip_prefix(' ').unwrap_or(message);
    header.message = message.strip_prefix('\u{feff}').unwrap_or(message);
    true
}

/// Divides structured data (`-` or elements) from the message.
fn structured_data(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('-') {
        return (rest.is_empty() || rest.starts_with(' ')).then_some(("", rest));
    }
    let mut end = 0;
    for _ in 0..ELEMENTS {
        let Some(length) = text.get(end..).and_then(element) else {
            break;
        };
        end += length;
    }
    (end > 0).then(|| text.split_at_checked(end))?
}

/// The length of the element `[id name="value" ...]` that `text` begins with, in bytes.
fn element(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'[') || bytes.get(1).is_none_or(|&b| matches!(b, b' ' | b']')) {
        return None;
    }
    let mut at = 1;
    let mut inside = false;
    while let Some(found) = memchr::memchr3(b'"', b']', b'\\', bytes.get(at..)?) {
        at += found;
        match bytes[at] {
            b'\\' if inside => at += 2,
            b'"' => {
                inside = !inside;
                at += 1;
            }
            b']' if !inside => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

impl Header<'_> {
    /// Whether nothing but syslog looks like this: a line that begins with digits and has neither priority nor tag may
    /// be the log of any program.
    fn is_sure(&self, line: &str) -> bool {
        let begins_with_digit = line.as_bytes().first().is_some_and(u8::is_ascii_digit);
        self.priority.is_some() || !self.program.is_empty() || !begins_with_digit
    }

    fn put(&self, out: &mut Out<'_>) {
        if let Some(priority) = self.priority
            && let Ok(value) = priority.parse::<usize>()
        {
            out.text("priority", priority);
            out.text("facility", FACILITIES.get(value >> 3).unwrap_or(&"unknown"));
            out.text("severity", SEVERITIES[value & 7]);
        }
        out.known("hostname", self.host);
        out.known("program", self.program);
        out.known("appname", self.program);
        out.known("pid", self.process);
        out.known("procid", self.process);
        out.known("msgid", self.message_id);
        self.put_data(out);
    }

    /// Adds the parameters of the structured data as `id.name` and as `name`.
    fn put_data(&self, out: &mut Out<'_>) {
        let mut rest = self.data;
        while let Some(length) = element(rest) {
            let inner = rest.get(1..length - 1).unwrap_or("");
            let (id, mut parameters) = inner.split_once(' ').unwrap_or((inner, ""));
            while let Some((name, value, after)) = parameter(parameters) {
                let value = unescaped(value);
                out.joined(id, name, &value);
                out.text(name, &value);
                parameters = after;
            }
            rest = rest.get(length..).unwrap_or("");
        }
    }
}

/// The first `name="value"` of `text` and what follows it.
fn parameter(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.trim_start().split_once("=\"")?;
    let bytes = rest.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..)?) {
        at += found;
        if bytes[at] == b'"' {
            return Some((name, rest.get(..at)?, rest.get(at + 1..)?));
        }
        at += 2;
    }
    None
}

/// RFC 5424 escapes only `"`, `\` and `]`; any other backslash is one.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escapes = c == '\\' && matches!(chars.peek(), Some('"' | '\\' | ']'));
        match chars.next_if(|_| escapes) {
            Some(special) => plain.push(special),
            None => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

/// RFC 5424, table 1, with the names of `syslog.conf`.
const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

/// RFC 5424, table 2.
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
