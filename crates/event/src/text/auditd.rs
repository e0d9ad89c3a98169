//! The Linux audit daemon's log: `type=SYSCALL msg=audit(1600000000.123:456): arch=... key="x"`.
//!
//! Every line is one event under auditd's own field names. Values that auditd writes in hexadecimal because they
//! contain blanks or quotes are decoded where the field is known to be one of those; numbers that look alike stay.
//! Format: `auparse` of the audit user-space tools.

use std::borrow::Cow;

use super::out::Out;
use super::pairs::{Closing, Pairs, Part, Quote};
use crate::time;

/// Deepest nesting of `msg='...'` and `SADDR={...}` that is followed.
const NESTING: usize = 3;

/// Fields whose unquoted value is upper-case hexadecimal when it holds unusual characters.
const ENCODED: &[&str] = &[
    "acct",
    "cgroup",
    "comm",
    "cwd",
    "device",
    "dir",
    "exe",
    "file",
    "grp",
    "key",
    "name",
    "new-disk",
    "new_group",
    "ocomm",
    "old-disk",
    "path",
    "profile",
    "root_dir",
    "sw",
    "unit",
    "vm",
    "watch",
];

/// Decodes a line of auditd; whether it was one.
pub(crate) fn decode(line: &str, out: &mut Out<'_>) -> bool {
    let Some((head, id, body)) = split(line) else {
        return false;
    };
    out.shape("auditd");
    let mut kind = "";
    for part in Pairs::new(head, Closing::First) {
        if let Part::Pair { key, value, .. } = part {
            out.text(key, value);
            if key == "type" {
                kind = value;
            }
        }
    }
    out.text("audit_id", id);
    if let Some((seconds, _)) = id.rsplit_once(':') {
        out.better_time(time::parse(seconds));
    }
    fields(body, kind == "EXECVE", NESTING, out);
    true
}

/// The parts of a line: what stands before `audit(`, the id inside the brackets, and the fields.
fn split(line: &str) -> Option<(&str, &str, &str)> {
    let (head, rest) = line.split_once("audit(")?;
    let head = head.strip_suffix("msg=").unwrap_or(head);
    let starts = head.trim_start();
    if !(starts.starts_with("type=") || starts.starts_with("node=")) || head.len() > 512 {
        return None;
    }
    let (id, body) = rest.split_once(')')?;
    let plausible = id.len() <= 48 && id.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b':'));
    plausible.then(|| (head, id, body.strip_prefix(':').unwrap_or(body)))
}

/// Adds the pairs of `body`, the nested ones too, and what stands before the first pair as `message`.
fn fields(body: &str, arguments: bool, nesting: usize, out: &mut Out<'_>) {
    let mut first = true;
    for part in Pairs::new(body, Closing::First) {
        match part {
            Part::Word(_) if first => {
                first = false;
                let end = body.find('=').unwrap_or(body.len());
                let lead = body.get(..end).unwrap_or(body);
                let lead = if end == body.len() { lead } else { without_last_word(lead) };
                out.known("message", lead.trim());
            }
            Part::Word(_) => {}
            Part::Pair { key, value, quote } => {
                first = false;
                pair(key, value, quote, arguments, out);
                if matches!(quote, Quote::Single | Quote::Braces) && nesting > 0 {
                    fields(value, arguments, nesting - 1, out);
                }
            }
        }
    }
}

fn without_last_word(text: &str) -> &str {
    text.rsplit_once(' ').map_or("", |(lead, _)| lead)
}

fn pair(key: &str, value: &str, quote: Quote, arguments: bool, out: &mut Out<'_>) {
    // A long argument comes in pieces: a1[0]=... a1[1]=...
    let name = match key.split_once('[') {
        Some((name, index)) if arguments && index.ends_with(']') => name,
        _ => key,
    };
    if quote != Quote::None {
        out.text(name, value);
        return;
    }
    match key {
        "proctitle" => out.text(name, &decoded(value, Case::Any, b' ')),
        "cmd" | "data" => out.text(name, &decoded(value, Case::Any, 0)),
        "saddr" => {
            out.text(name, value);
            socket_address(value, out);
        }
        _ if arguments && is_argument(name) => out.text(name, &decoded(value, Case::Any, 0)),
        _ if ENCODED.contains(&key) => out.text(name, &decoded(value, Case::Upper, 0)),
        _ => out.text(name, value),
    }
}

fn is_argument(name: &str) -> bool {
    name.strip_prefix('a').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Which letters count as hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Any,
    Upper,
}

/// The text that `value` encodes, or `value` itself when it is not hexadecimal. Zero bytes become `zero`.
fn decoded(value: &str, case: Case, zero: u8) -> Cow<'_, str> {
    match hex(value, case) {
        Some(mut bytes) => {
            while bytes.last() == Some(&0) {
                bytes.pop();
            }
            for byte in &mut bytes {
                if *byte == 0 {
                    *byte = zero;
                }
            }
            Cow::Owned(
                String::from_utf8(bytes)
                    .unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned()),
            )
        }
        None => Cow::Borrowed(value),
    }
}

fn hex(value: &str, case: Case) -> Option<Vec<u8>> {
    let digits = value.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks_exact(2).map(|pair| Some(nibble(pair[0], case)? << 4 | nibble(pair[1], case)?)).collect()
}

fn nibble(digit: u8, case: Case) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' if case == Case::Any => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Adds family, address and port of a socket address as the kernel lays it out (family in little endian).
fn socket_address(value: &str, out: &mut Out<'_>) {
    let Some(bytes) = hex(value, Case::Any) else {
        return;
    };
    match bytes.as_slice() {
        [2, 0, high, low, a, b, c, d, ..] => {
            out.text("saddr_fam", "inet");
            out.text("laddr", &std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string());
            out.text("lport", &u16::from_be_bytes([*high, *low]).to_string());
        }
        [10, 0, high, low, _, _, _, _, rest @ ..] if rest.len() >= 16 => {
            let mut address = [0; 16];
            address.copy_from_slice(&rest[..16]);
            out.text("saddr_fam", "inet6");
            out.text("laddr", &std::net::Ipv6Addr::from(address).to_string());
            out.text("lport", &u16::from_be_bytes([*high, *low]).to_string());
        }
        [1, 0, path @ ..] => {
            let end = path.iter().position(|&b| b == 0).unwrap_or(path.len());
            out.text("saddr_fam", "local");
            out.text("path", &String::from_utf8_lossy(&path[..end]));
        }
        _ => {}
    }
}
