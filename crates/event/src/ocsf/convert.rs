//! From the text of a field to attributes of OCSF.

use std::net::IpAddr;

use serde_json::{Value as Json, json};

/// How the text of a field becomes one attribute or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Convert {
    /// As it is.
    Text,
    /// In lower case.
    Lower,
    /// A whole number, decimal or `0x` and hexadecimal.
    Int,
    /// A number up to 65,535.
    Port,
    /// An IP address; an IPv4 address inside IPv6 becomes itself.
    Ip,
    /// An IP address, or a host name.
    Endpoint,
    /// A path: path, name and type of a file.
    File,
    /// The name of a pipe.
    Pipe,
    /// `DOMAIN\name`
    User,
    /// A GUID without braces.
    Guid,
    /// Sysmon's `SHA1=...,MD5=...`, or one hash alone.
    Hashes,
    /// The path of a registry value with its name at the end.
    RegValue,
    /// Whether a connection goes out (2) or comes in (1).
    Direction,
    /// Windows' types of logon, most of which OCSF numbers alike.
    LogonType,
    /// An HTTP method that OCSF knows.
    Method,
}

/// Attributes and their values, each under a path below the field's own; an empty path is the field itself.
pub(super) type Attributes = Vec<(&'static str, Json)>;

impl Convert {
    /// The conversion called `name` in the table.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "text" => Self::Text,
            "lower" => Self::Lower,
            "int" => Self::Int,
            "port" => Self::Port,
            "ip" => Self::Ip,
            "endpoint" => Self::Endpoint,
            "file" => Self::File,
            "pipe" => Self::Pipe,
            "user" => Self::User,
            "guid" => Self::Guid,
            "hashes" => Self::Hashes,
            "reg_value" => Self::RegValue,
            "direction" => Self::Direction,
            "logon_type" => Self::LogonType,
            "method" => Self::Method,
            _ => return None,
        })
    }

    /// Every path that [`Convert::apply`] may give.
    pub(super) fn paths(self) -> &'static [&'static str] {
        match self {
            Self::Endpoint => &["ip", "hostname"],
            Self::File | Self::Pipe => &["path", "name", "type_id"],
            Self::User => &["name", "domain"],
            Self::RegValue => &["path", "name"],
            Self::Text
            | Self::Lower
            | Self::Int
            | Self::Port
            | Self::Ip
            | Self::Guid
            | Self::Hashes
            | Self::Direction
            | Self::LogonType
            | Self::Method => &[""],
        }
    }

    /// The attributes of `text`, `None` when it is not what the attribute wants.
    pub(super) fn apply(self, text: &str) -> Option<Attributes> {
        let one = |json: Json| Some(vec![("", json)]);
        match self {
            Self::Text => one(text.into()),
            Self::Lower => one(text.to_lowercase().into()),
            Self::Int => one(int(text)?.into()),
            Self::Port => one(u16::try_from(int(text)?).ok()?.into()),
            Self::Ip => one(ip(text)?.to_string().into()),
            Self::Endpoint => Some(match ip(text) {
                Some(ip) => vec![("ip", ip.to_string().into())],
                None => vec![("hostname", text.into())],
            }),
            Self::File => Some(file(text, 0)),
            Self::Pipe => Some(file(text, 6)),
            Self::User => Some(user(text)),
            Self::Guid => one(text.trim_matches(['{', '}']).into()),
            Self::Hashes => one(hashes(text)?),
            Self::RegValue => {
                let (path, name) = text.rsplit_once('\\')?;
                Some(vec![("path", path.into()), ("name", name.into())])
            }
            Self::Direction => one(direction(text).into()),
            Self::LogonType => one(logon_type(text).into()),
            Self::Method => one(method(text)?.into()),
        }
    }
}

fn int(text: &str) -> Option<i32> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => i32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn ip(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    // Brackets and a zone do not belong to the address.
    let text = text.trim_matches(['[', ']']);
    let text = text.split('%').next().unwrap_or(text);
    Some(text.parse::<IpAddr>().ok()?.to_canonical())
}

fn file(path: &str, type_id: u8) -> Attributes {
    let name = path.rsplit(['\\', '/']).find(|n| !n.is_empty()).unwrap_or(path);
    vec![("path", path.into()), ("name", name.into()), ("type_id", type_id.into())]
}

fn user(text: &str) -> Attributes {
    match text.split_once('\\') {
        Some((domain, name)) if !name.is_empty() => {
            vec![("name", name.into()), ("domain", domain.into())]
        }
        _ => vec![("name", text.into())],
    }
}

fn hashes(text: &str) -> Option<Json> {
    let list: Vec<_> = text.split(',').filter_map(|part| hash(part.trim())).collect();
    (!list.is_empty()).then(|| list.into())
}

/// `ALGORITHM=value`, or a value whose length tells the algorithm.
fn hash(text: &str) -> Option<Json> {
    let (algorithm, value) = text.split_once('=').unwrap_or(("", text));
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let (id, caption) = match (algorithm.to_ascii_uppercase().as_str(), value.len()) {
        ("MD5", _) | ("", 32) => (1, "MD5"),
        ("SHA1", _) | ("", 40) => (2, "SHA-1"),
        ("SHA256", _) | ("", 64) => (3, "SHA-256"),
        ("IMPHASH", _) => (18, "Imphash"),
        _ => return None,
    };
    Some(json!({"algorithm_id": id, "algorithm": caption, "value": value}))
}

fn direction(text: &str) -> u8 {
    match text.to_ascii_lowercase().as_str() {
        // Sysmon's `Initiated`, the message numbers of the Windows firewall, ECS.
        "true" | "%%14593" | "outbound" | "egress" | "outgoing" => 2,
        "false" | "%%14592" | "inbound" | "ingress" | "incoming" => 1,
        _ => 0,
    }
}

fn logon_type(text: &str) -> u8 {
    match text.trim().parse::<u8>() {
        Ok(0) => 1,
        Ok(same @ (2..=5 | 7..=13)) => same,
        _ => 99,
    }
}

fn method(text: &str) -> Option<String> {
    let upper = text.to_ascii_uppercase();
    let known = ["OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT", "PATCH"];
    known.contains(&upper.as_str()).then_some(upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(name: &str, text: &str) -> Option<Attributes> {
        Convert::named(name).expect("a conversion").apply(text)
    }

    fn single(name: &str, text: &str) -> Option<Json> {
        attributes(name, text).map(|mut a| a.remove(0).1)
    }

    #[test]
    fn numbers_and_addresses() {
        assert_eq!(single("int", "0x1A4"), Some(json!(420)));
        assert_eq!(single("int", " 420 "), Some(json!(420)));
        assert_eq!(single("int", "99999999999"), None);
        assert_eq!(single("port", "443"), Some(json!(443)));
        assert_eq!(single("port", "65536"), None);
        assert_eq!(single("ip", "::ffff:192.0.2.1"), Some(json!("192.0.2.1")));
        assert_eq!(single("ip", "fe80::1%eth0"), Some(json!("fe80::1")));
        assert_eq!(single("ip", "LOCAL"), None);
    }

    #[test]
    fn paths_users_and_hashes() {
        let file = attributes("file", r"C:\Windows\Lỗi.exe").unwrap();
        assert_eq!(file[1], ("name", json!("Lỗi.exe")));
        let user = attributes("user", r"NT AUTHORITY\SYSTEM").unwrap();
        assert_eq!(user[0], ("name", json!("SYSTEM")));
        let hashes = single("hashes", "SHA1=0A,IMPHASH=FF,BOGUS=1,MD5=zz").unwrap();
        assert_eq!(hashes.as_array().unwrap().len(), 2);
        assert_eq!(single("hashes", "nothing"), None);
        let value = attributes("reg_value", r"HKLM\Key\Name").unwrap();
        assert_eq!(value[0], ("path", json!(r"HKLM\Key")));
        assert_eq!(single("reg_value", "alone"), None);
    }
}
