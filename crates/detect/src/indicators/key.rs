//! The one form in which an indicator of each kind is kept and looked up.

use std::net::{IpAddr, Ipv6Addr};

use khien_base::hex::hex;
use khien_base::message::Message;

use crate::reasons;

/// Fewest digits of a hash.
pub(super) const SHORTEST_HASH: usize = 32;
/// Longest URL, in bytes.
pub(super) const MAX_URL: usize = 4096;
/// Longest domain name (RFC 1035) and, with the local part, e-mail address (RFC 5321).
pub(super) const MAX_NAME: usize = 253;
const MAX_EMAIL: usize = 320;

/// What an indicator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// IP address or network.
    Ip,
    /// Domain name.
    Domain,
    /// URL.
    Url,
    /// Hash of a file.
    Hash,
    /// E-mail address.
    Email,
}

impl Kind {
    /// Its name as findings show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Domain => "domain",
            Self::Url => "url",
            Self::Hash => "hash",
            Self::Email => "email",
        }
    }

    /// The kind that a column header, a MISP type or a STIX object type names.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let has = |part: &str| name.contains(part);
        if has("mail") {
            Some(Self::Email)
        } else if has("md5") || has("sha") || has("hash") {
            Some(Self::Hash)
        } else if has("url") || has("uri") || has("link") {
            Some(Self::Url)
        } else if has("domain") || has("host") || has("fqdn") {
            Some(Self::Domain)
        } else if has("cidr") || has("subnet") || has("netblock") || is_ip_name(&name) {
            Some(Self::Ip)
        } else {
            None
        }
    }
}

/// `ip`, `ip-dst`, `src_ip`, `ipv4-addr`, but not `description`.
fn is_ip_name(name: &str) -> bool {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| matches!(word, "ip" | "ipv4" | "ipv6" | "ip4" | "ip6" | "address" | "ipaddress"))
}

/// An indicator as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) bytes: Vec<u8>,
}

/// Reads an indicator as people write it. `kind` is what the list says it is.
pub(super) fn recognise(text: &str, kind: Option<Kind>) -> Result<Key, Message> {
    let text = refang(text.trim().trim_matches(['"', '\'', ',']));
    let text = text.as_str();
    let key = |kind, bytes: Option<Vec<u8>>| bytes.map(|bytes| Key { kind, bytes });
    let found = match kind {
        Some(Kind::Ip) => key(Kind::Ip, network(text)?),
        Some(Kind::Domain) => key(Kind::Domain, domain(text)),
        Some(Kind::Url) => key(Kind::Url, url(text)),
        Some(Kind::Hash) => key(Kind::Hash, hash(text)),
        Some(Kind::Email) => key(Kind::Email, email(text)),
        None => key(Kind::Ip, network(text)?)
            .or_else(|| key(Kind::Hash, hash(text)))
            .or_else(|| key(Kind::Email, email(text)))
            .or_else(|| key(Kind::Domain, domain(text)))
            .or_else(|| key(Kind::Url, url(text))),
    };
    // Lists mix names and addresses under one heading.
    let found = found.or_else(|| match kind {
        Some(Kind::Domain | Kind::Url) => network(text).ok().flatten().map(|bytes| Key { kind: Kind::Ip, bytes }),
        _ => None,
    });
    match (found, kind) {
        (Some(key), _) => Ok(key),
        (None, Some(kind)) => Err(reasons::not_of_kind(shown(text), kind.name())),
        (None, None) => Err(reasons::unknown_indicator(shown(text))),
    }
}

/// Enough of a text to find it again.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Undoes what people do to keep links from being clicked.
fn refang(text: &str) -> String {
    let mut text = text.to_owned();
    if text.contains(['[', '(', '{']) {
        for (from, to) in [
            ("[.]", "."),
            ("(.)", "."),
            ("{.}", "."),
            ("[dot]", "."),
            ("(dot)", "."),
            ("[://]", "://"),
            ("[:]", ":"),
            ("[@]", "@"),
            ("(@)", "@"),
            ("[at]", "@"),
            ("(at)", "@"),
            ("[/]", "/"),
        ] {
            if text.contains(from) {
                text = text.replace(from, to);
            }
        }
    }
    let scheme = text.get(..4).map(str::to_ascii_lowercase);
    match (scheme.as_deref(), text.get(4..)) {
        (Some("hxxp"), Some(rest)) => format!("http{rest}"),
        (Some("fxp:"), Some(rest)) => format!("ftp:{rest}"),
        _ => text,
    }
}

/// An address or network: its prefix length and its network bytes. The error is for networks that mean everything.
fn network(text: &str) -> Result<Option<Vec<u8>>, Message> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => match length.parse::<u8>() {
            Ok(length) => (address, Some(length)),
            Err(_) => return Ok(None),
        },
        None => (text, None),
    };
    let Some(ip) = address_with_port(address) else {
        return Ok(None);
    };
    let (ip, mapped) = canonical(ip);
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => most,
        Some(n) if mapped => n.saturating_sub(96),
        Some(n) => n,
    };
    if length > most {
        return Ok(None);
    }
    if length == 0 {
        return Err(reasons::every_address(shown(text)));
    }
    Ok(Some(network_bytes(ip, length)))
}

/// The key of the network of this length that holds `ip`.
pub(super) fn network_bytes(ip: IpAddr, length: u8) -> Vec<u8> {
    let (buffer, size) = network_key(ip, length);
    buffer[..size].to_vec()
}

/// The same without allocating: the first `usize` bytes.
pub(super) fn network_key(ip: IpAddr, length: u8) -> ([u8; 17], usize) {
    let mut key = [0; 17];
    key[0] = length;
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            key[1..5].copy_from_slice(&(ip.to_bits() & mask).to_be_bytes());
            (key, 5)
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            key[1..].copy_from_slice(&(ip.to_bits() & mask).to_be_bytes());
            (key, 17)
        }
    }
}

/// IPv4 that is mapped into IPv6 becomes IPv4; also says whether it was.
pub(super) fn canonical(ip: IpAddr) -> (IpAddr, bool) {
    match ip {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => (IpAddr::V4(v4), true),
            None => (ip, false),
        },
        IpAddr::V4(_) => (ip, false),
    }
}

/// An address, alone, in brackets, with port, with zone.
pub(super) fn address_with_port(text: &str) -> Option<IpAddr> {
    if let Some(inside) = text.strip_prefix('[') {
        let (address, rest) = inside.split_once(']')?;
        let port = rest.strip_prefix(':').unwrap_or(rest);
        return port.bytes().all(|b| b.is_ascii_digit()).then(|| v6(address).map(IpAddr::V6))?;
    }
    if let Ok(ip) = text.parse::<std::net::Ipv4Addr>() {
        return Some(IpAddr::V4(ip));
    }
    if let Some((address, port)) = text.split_once(':')
        && !port.is_empty()
        && port.bytes().all(|b| b.is_ascii_digit())
        && let Ok(ip) = address.parse::<std::net::Ipv4Addr>()
    {
        return Some(IpAddr::V4(ip));
    }
    v6(text).map(IpAddr::V6)
}

fn v6(text: &str) -> Option<Ipv6Addr> {
    text.split('%').next()?.parse().ok()
}

/// A domain name in lower case without wildcard or final dot.
pub(super) fn domain(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix("||").unwrap_or(text);
    let text = text.strip_suffix('^').unwrap_or(text);
    let text = text.strip_prefix("*.").unwrap_or(text);
    let text = text.strip_prefix('.').unwrap_or(text);
    let text = text.strip_suffix('.').unwrap_or(text);
    is_domain(text.as_bytes()).then(|| text.to_lowercase().into_bytes())
}

/// Whether it is a name of at least two labels whose last one is no number.
pub(super) fn is_domain(text: &[u8]) -> bool {
    if text.len() > MAX_NAME {
        return false;
    }
    let mut labels = 0;
    let mut last: &[u8] = b"";
    for label in text.split(|b| *b == b'.') {
        let good = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_') || *b >= 0x80;
        if label.is_empty() || label.len() > 63 || !label.iter().all(good) {
            return false;
        }
        labels += 1;
        last = label;
    }
    labels >= 2 && !last.iter().all(u8::is_ascii_digit)
}

/// Bytes of a hash of one of the known lengths.
pub(super) fn hash(text: &str) -> Option<Vec<u8>> {
    let mut buffer = [0; 64];
    let size = hash_bytes(text.as_bytes(), &mut buffer)?;
    Some(buffer[..size].to_vec())
}

/// Writes the bytes of a hash into `buffer` and says how many they are.
pub(super) fn hash_bytes(text: &[u8], buffer: &mut [u8; 64]) -> Option<usize> {
    if !matches!(text.len(), 32 | 40 | 64 | 128) {
        return None;
    }
    for (pair, byte) in text.chunks_exact(2).zip(buffer.iter_mut()) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(text.len() / 2)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// An e-mail address in lower case.
pub(super) fn email(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix("mailto:").unwrap_or(text);
    let (local, host) = text.rsplit_once('@')?;
    let local_good = |c: char| !c.is_whitespace() && !matches!(c, '<' | '>' | '/' | ':' | '@');
    let good =
        !local.is_empty() && text.len() <= MAX_EMAIL && local.chars().all(local_good) && is_domain(host.as_bytes());
    good.then(|| text.to_lowercase().into_bytes())
}

/// A URL in the form in which URLs are compared: `//host/path?query` for http and https, `scheme://...` for others.
pub(super) fn url(text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX_URL || text.chars().any(char::is_whitespace) {
        return None;
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => (String::new(), text),
    };
    let scheme_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-');
    if !scheme.chars().all(scheme_good) {
        return None;
    }
    let rest = rest.split('#').next().unwrap_or(rest);
    let (authority, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let default_port = match scheme.as_str() {
        "" | "http" => ":80",
        "https" => ":443",
        "ftp" => ":21",
        _ => "\0",
    };
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    let host = host_of(authority);
    let is_host = is_domain(host.trim_end_matches('.').as_bytes()) || address_with_port(host).is_some();
    if !is_host && (scheme.is_empty() || host.is_empty()) {
        return None;
    }
    let shown_scheme = match scheme.as_str() {
        "" | "http" | "https" => "",
        other => other,
    };
    let colon = if shown_scheme.is_empty() { "" } else { ":" };
    let slash = if path.starts_with('/') { "" } else { "/" };
    let authority = authority.to_lowercase();
    Some(format!("{shown_scheme}{colon}//{authority}{slash}{path}").into_bytes())
}

/// The host of the authority of a URL.
pub(super) fn host_of(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
    if host.starts_with('[') {
        return host;
    }
    host.split_once(':').map_or(host, |(h, _)| h)
}

/// A key in the form people read.
pub(super) fn display(kind: Kind, bytes: &[u8]) -> String {
    match kind {
        Kind::Ip => display_network(bytes),
        Kind::Hash => hex(bytes),
        Kind::Domain | Kind::Url | Kind::Email => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn display_network(bytes: &[u8]) -> String {
    let Some((&length, address)) = bytes.split_first() else {
        return String::new();
    };
    let ip = match (<[u8; 4]>::try_from(address), <[u8; 16]>::try_from(address)) {
        (Ok(v4), _) => IpAddr::from(v4),
        (_, Ok(v6)) => IpAddr::from(v6),
        _ => return String::new(),
    };
    match (ip, length) {
        (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => ip.to_string(),
        _ => format!("{ip}/{length}"),
    }
}
