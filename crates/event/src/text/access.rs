//! Access logs of web servers: Apache and nginx, common and combined, with or without the virtual host before them.
//!
//! Fields are named as the W3C's extended log format and Sigma's web server rules name them.

use std::borrow::Cow;

use super::out::Out;
use crate::time;

/// How far from the start of a line its `[time]` is looked for, in bytes.
const HEAD: usize = 400;

/// Decodes a line of an access log; whether it was one.
pub(crate) fn decode(line: &str, out: &mut Out<'_>) -> bool {
    let Some((head, stamp, rest)) = split(line) else {
        return false;
    };
    let Some(time) = time::parse(stamp) else {
        return false;
    };
    let Some((request, rest)) = quoted(rest.trim_start()) else {
        return false;
    };
    out.shape("webserver");
    out.better_time(Some(time));
    out.text("time", stamp);
    client(head, out);
    self::request(request, out);
    let mut words = rest.split_ascii_whitespace();
    out.known("sc-status", words.next().unwrap_or("").trim_matches('"'));
    out.known("sc-bytes", words.next().filter(|w| !w.starts_with('"')).unwrap_or(""));
    referer_and_agent(rest, out);
    true
}

/// What stands before the time, the time, and what follows it.
fn split(line: &str) -> Option<(&str, &str, &str)> {
    let bytes = line.as_bytes();
    let open = memchr::memchr(b'[', bytes.get(..bytes.len().min(HEAD))?)?;
    let rest = line.get(open + 1..)?;
    let close = memchr::memchr(b']', rest.as_bytes().get(..rest.len().min(40))?)?;
    let stamp = rest.get(..close)?;
    // 10/Oct/2000:13:55:36 -0700
    let dated = stamp.as_bytes().get(2) == Some(&b'/') || stamp.as_bytes().get(1) == Some(&b'/');
    dated.then_some(())?;
    Some((line.get(..open)?, stamp, rest.get(close + 1..)?))
}

/// `[host[:port] ]client identity user`: the client is the first that looks like an address, else the first of the
/// last three words.
fn client(head: &str, out: &mut Out<'_>) {
    let words: Vec<&str> = head.split_ascii_whitespace().take(8).collect();
    let address = words.iter().position(|word| word.trim_end_matches(',').parse::<std::net::IpAddr>().is_ok());
    let at = address.unwrap_or(words.len().saturating_sub(3));
    if let Some(host) = words.first().filter(|_| at > 0) {
        out.known("cs-host", host);
    }
    if let Some(client) = words.get(at) {
        out.known("c-ip", client.trim_end_matches(','));
    }
    if let Some(user) = words.get(at + 1..).and_then(<[_]>::last) {
        out.known("cs-username", user);
    }
}

/// `GET /path?query HTTP/1.1`, or whatever a scanner sent instead.
fn request(text: &str, out: &mut Out<'_>) {
    let text = unescaped(text);
    let (method, rest) = text.split_once(' ').unwrap_or(("", &text));
    let (target, version) = match rest.rsplit_once(' ') {
        Some((target, version)) if version.starts_with("HTTP/") => (target, version),
        _ => (rest, ""),
    };
    let is_method = !method.is_empty() && method.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_' || b == b'-');
    if !is_method {
        out.known("cs-uri", &text);
        return;
    }
    out.text("cs-method", method);
    out.known("cs-uri", target);
    let (stem, query) = target.split_once('?').unwrap_or((target, ""));
    out.known("cs-uri-stem", stem);
    out.known("cs-uri-query", query);
    out.known("cs-version", version);
}

/// The quoted texts after status and size: referer, then user agent; a third one is the forwarded address.
fn referer_and_agent(rest: &str, out: &mut Out<'_>) {
    let names = ["cs-referer", "cs-user-agent", "x-forwarded-for"];
    let mut names = names.iter();
    let mut rest = rest;
    // A status in quotes would shift the names; it is short, so take the text after two words instead.
    for _ in 0..2 {
        rest = rest.trim_start();
        if let Some(end) = rest.bytes().position(|b| b == b' ') {
            rest = rest.get(end..).unwrap_or("");
        }
    }
    while let Some(at) = memchr::memchr(b'"', rest.as_bytes()) {
        let Some((value, after)) = rest.get(at..).and_then(quoted) else {
            return;
        };
        let Some(name) = names.next() else {
            return;
        };
        let value = unescaped(value);
        if !value.is_empty() && value != "-" {
            out.text(name, &value);
            if *name == "cs-user-agent" {
                out.text("c-useragent", &value);
            }
        }
        rest = after;
    }
}

/// The inside of the quotes that `text` begins with (a backslash keeps the next character inside), and the rest.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let bytes = inner.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..)?) {
        at += found;
        if bytes[at] == b'"' {
            return Some((inner.get(..at)?, inner.get(at + 1..)?));
        }
        at += 2;
    }
    None
}

/// Apache's and nginx's escapes: `\"`, `\\`, `\xHH`; other backslashes stay.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'\\', Some(&next @ (b'"' | b'\\'))) => {
                plain.push(next);
                at += 2;
            }
            (b'\\', Some(b'x')) if hex_byte(bytes, at + 2).is_some() => {
                plain.extend(hex_byte(bytes, at + 2));
                at += 4;
            }
            (byte, _) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

/// The byte whose two hexadecimal digits stand at `at`.
pub(super) fn hex_byte(bytes: &[u8], at: usize) -> Option<u8> {
    let high = char::from(*bytes.get(at)?).to_digit(16)?;
    let low = char::from(*bytes.get(at + 1)?).to_digit(16)?;
    u8::try_from(high << 4 | low).ok()
}
