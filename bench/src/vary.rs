//! Variation of recorded events, so that values do not repeat and yet look like what was recorded.
//!
//! [`Varier::event`] is for the honest worst case: words, programs and the form of a value stay, but numbers, identifiers,
//! hashes, times and directory names change and every value gets a token that occurs nowhere else. Only what names the
//! kind of event ([`KEPT`]), enumerations and empty values repeat. [`Varier::line`] is for text of unknown form and
//! changes long numbers and identifiers only.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::rng::{Rng, token};

/// Names whose values stay: the kind of the event and closed enumerations, which no system varies.
pub const KEPT: &[&str] = &[
    "@version",
    "AccessList",
    "AccessMask",
    "AccountType",
    "Category",
    "Channel",
    "DestinationIsIpv6",
    "EventCode",
    "EventID",
    "EventType",
    "GrantedAccess",
    "Initiated",
    "IntegrityLevel",
    "Keywords",
    "Level",
    "LogonType",
    "MandatoryLabel",
    "ObjectType",
    "Opcode",
    "OpcodeValue",
    "Protocol",
    "Provider",
    "ProviderGuid",
    "Qualifiers",
    "QueryStatus",
    "Severity",
    "SeverityValue",
    "Signed",
    "SignatureStatus",
    "SourceIsIpv6",
    "SourceModuleName",
    "SourceModuleType",
    "SourceName",
    "Status",
    "SubStatus",
    "Task",
    "TerminalSessionId",
    "TokenElevationType",
    "Version",
    "tags",
    "type",
    "xmlns",
];

/// Distinct tokens an event may use; far more than any needs.
const TOKENS_AN_EVENT: u64 = 1 << 10;
/// A text of more bytes than this is prose (a script, a context) rather than a name.
const PROSE_BYTES: usize = 400;
/// Prose gets a token after about this many bytes.
const PROSE_STEP: usize = 160;
/// Shortest value that is looked for in the rendered message.
const LEAST_IN_MESSAGE: usize = 4;
/// 2026-01-05T00:00:00Z, when the first varied event happens.
const FIRST_SECOND: i64 = 1_767_571_200;
/// Milliseconds between two events.
const STEP_MILLISECONDS: i64 = 137;

/// Whether `value` says nothing and may therefore repeat.
pub fn is_constant(value: &str) -> bool {
    value.chars().nth(1).is_none()
        || value.starts_with("%%")
        || matches!(value, "0x0" | "S-1-0-0" | "true" | "false" | "N/A")
        || is_well_known_sid(value)
        || is_zero_guid(value)
}

/// `S-1-5-18` and the like, which are the same on every machine.
fn is_well_known_sid(value: &str) -> bool {
    value.starts_with("S-1-") && value.split('-').count() < 6
}

fn is_zero_guid(value: &str) -> bool {
    is_guid(value) && value.chars().all(|c| matches!(c, '0' | '-' | '{' | '}'))
}

/// Makes variations out of the words of the recordings.
#[derive(Clone, Debug)]
pub struct Varier {
    words: Vec<String>,
}

impl Varier {
    /// Takes the words of `texts` that are only letters, four to ten of them.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words: Vec<String> = texts
            .into_iter()
            .flat_map(|text| text.split(|c: char| !c.is_ascii_alphabetic()))
            .filter(|word| (4..=10).contains(&word.len()))
            .map(str::to_owned)
            .collect();
        words.sort_unstable();
        words.dedup();
        if words.is_empty() {
            words.push("value".to_owned());
        }
        Self { words }
    }

    /// The variation `number` of `event`: no two numbers share a value outside [`KEPT`] and [`is_constant`].
    pub fn event(&self, event: &Value, number: u64) -> Value {
        let mut variation = Variation::new(&self.words, number);
        variation.rendered = event.get("Message").is_some();
        let varied = variation.value("", event);
        variation.message(varied)
    }

    /// The variation `number` of a line of any text format. Lines that start with `#` stay.
    pub fn line(line: &str, number: u64) -> String {
        if line.starts_with('#') {
            return line.to_owned();
        }
        let mut rng = Rng::new(number);
        // The priority in front of a syslog line is a number with a meaning.
        let priority = if line.starts_with('<') { line.find('>').unwrap_or(0) } else { 0 };
        let mut out = String::with_capacity(line.len() + 8);
        let mut run = String::new();
        let mut before = ' ';
        for (at, c) in line.char_indices().chain([(line.len(), '\n')]) {
            if c.is_ascii_alphanumeric() && at >= priority {
                run.push(c);
                continue;
            }
            if !run.is_empty() {
                out.push_str(&vary_run(&run, before, c, &mut rng));
                run.clear();
            }
            if c != '\n' {
                out.push(c);
            }
            before = c;
        }
        out
    }
}

/// A run of letters and digits between `before` and `after`.
fn vary_run(run: &str, before: char, after: char, rng: &mut Rng) -> String {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let year = run.len() == 4 && (run.starts_with("19") || run.starts_with("20"));
    if before == '\\' || year || run.starts_with("0x") {
        return run.to_owned();
    }
    if digits == run.len() {
        return match run.len() {
            3 if before == '.' || after == '.' => format!("1{}", decimal(2, rng)),
            0..=3 => run.to_owned(),
            4..=8 => format!("{}{}", head(run, 1), decimal(run.len() - 1, rng)),
            length => format!("{}{}", head(run, 4), decimal(length - 4, rng)),
        };
    }
    let hexadecimal = run.bytes().all(|b| b.is_ascii_hexdigit());
    match run.len() {
        8.. if digits > 0 && hexadecimal => rng.hex(run.len(), run.bytes().any(|b| b.is_ascii_uppercase())),
        15.. if digits > 0 => format!("{}{}", head(run, run.len() - 6), rng.hex(6, false)),
        _ => run.to_owned(),
    }
}

fn head(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

fn decimal(length: usize, rng: &mut Rng) -> String {
    (0..length).map(|_| char::from(b'0' + rng.below(10) as u8)).collect()
}

/// One event being varied.
struct Variation<'a> {
    words: &'a [String],
    rng: Rng,
    number: u64,
    used: u64,
    /// Whether the event brings its rendered message, which [`Variation::message`] varies after everything else.
    rendered: bool,
    /// Old and new values, for the rendered message.
    replaced: Vec<(String, String)>,
}

impl<'a> Variation<'a> {
    fn new(words: &'a [String], number: u64) -> Self {
        Self { words, rng: Rng::new(number), number, used: 0, rendered: false, replaced: Vec::new() }
    }

    /// A number no other event and no other place of this event gets.
    fn unique(&mut self) -> u64 {
        let place = self.used % TOKENS_AN_EVENT;
        self.used += 1;
        self.number * TOKENS_AN_EVENT + place
    }

    fn token(&mut self) -> String {
        token(self.unique())
    }

    fn word(&mut self) -> &'a str {
        &self.words[self.rng.below(self.words.len())]
    }

    fn value(&mut self, name: &str, value: &Value) -> Value {
        if KEPT.contains(&name) || (self.rendered && name == "Message") {
            return value.clone();
        }
        match value {
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| (name.clone(), self.value(name, value)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            Value::Array(items) => items.iter().map(|item| self.value(name, item)).collect(),
            Value::Number(number) if number.as_u64().is_some_and(|n| n > 1) => Value::from(1_000 + self.unique()),
            Value::String(text) if !is_constant(text) => {
                let varied = self.text(name, text);
                if text.len() >= LEAST_IN_MESSAGE {
                    self.replaced.push((text.clone(), varied.clone()));
                }
                Value::String(varied)
            }
            constant => constant.clone(),
        }
    }

    /// Puts the new values into the rendered message, as the system that writes both would.
    fn message(mut self, mut event: Value) -> Value {
        let Some(Value::String(message)) = event.get_mut("Message") else { return event };
        self.replaced.sort_by_key(|(old, _)| std::cmp::Reverse(old.len()));
        self.replaced.dedup_by(|a, b| a.0 == b.0);
        for (old, new) in &self.replaced {
            if message.contains(old.as_str()) {
                *message = message.replace(old.as_str(), new);
            }
        }
        let token = token(self.number * TOKENS_AN_EVENT + self.used % TOKENS_AN_EVENT);
        message.push_str("\r\nTrace: ");
        message.push_str(&token);
        event
    }

    fn text(&mut self, name: &str, text: &str) -> String {
        if let Some(time) = self.time(text) {
            time
        } else if let Some(scalar) = self.scalar(text) {
            scalar
        } else if text.len() > PROSE_BYTES || text.contains('\n') {
            self.prose(text)
        } else if name.ends_with("CommandLine") {
            self.command_line(text)
        } else if text.contains("SHA256=") || text.contains("MD5=") {
            self.hashes(text)
        } else if !name.ends_with("User") && separator(text).is_some() {
            self.path(text)
        } else {
            format!("{text}-{}", self.token())
        }
    }

    /// GUIDs, numbers, security identifiers, addresses.
    fn scalar(&mut self, text: &str) -> Option<String> {
        if is_guid(text) {
            return Some(self.guid(text));
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Some((1_000 + self.unique()).to_string());
        }
        if text.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())) {
            return Some(format!("0x{:x}", 0x1_0000 + self.unique()));
        }
        if text.starts_with("S-1-5-21-") {
            return Some(format!("S-1-5-21-{}-{}-{}", self.rng.below(1 << 31), self.unique(), 1_001));
        }
        let address: std::net::IpAddr = text.parse().ok()?;
        // The number of the event makes it unique, the place in the event only tells its addresses apart.
        let [_, a, b, c] = (self.number as u32).to_be_bytes();
        let place = (self.unique() % TOKENS_AN_EVENT) as u8;
        Some(match address {
            std::net::IpAddr::V4(old) => format!("{}.{a}.{b}.{c}", old.octets()[0] ^ (place & 0x7f)),
            std::net::IpAddr::V6(_) => format!("fd00:{place:x}::{a:x}:{b:x}{c:02x}"),
        })
    }

    /// A time in the notation of `text`, later for each event. Notations without fractions step by seconds.
    fn time(&self, text: &str) -> Option<String> {
        let mut characters = text.chars();
        let date_and_time: String = characters.by_ref().take(19).collect();
        let rest: String = characters.collect();
        let separator = date_and_time.chars().nth(10)?;
        let shape: String = date_and_time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        if shape != format!("0000-00-00{separator}00:00:00") {
            return None;
        }
        let number = i64::try_from(self.number).ok()?;
        let digits = rest.strip_prefix('.').map_or(0, |rest| rest.chars().take_while(char::is_ascii_digit).count());
        let step = if digits >= 3 { STEP_MILLISECONDS } else { 1_000 };
        let start = Timestamp::from_second(FIRST_SECOND).ok()?;
        let time = start.checked_add(SignedDuration::from_millis(number * step)).ok()?;
        let whole = time.strftime(&format!("%Y-%m-%d{separator}%H:%M:%S")).to_string();
        if digits == 0 {
            return Some(format!("{whole}{rest}"));
        }
        let fraction: String = format!("{:09}", time.subsec_nanosecond()).chars().take(digits).collect();
        let zone: String = rest.chars().skip(1 + digits).collect();
        Some(format!("{whole}.{fraction}{zone}"))
    }

    /// New digits, the first sixteen of them unique.
    fn guid(&mut self, text: &str) -> String {
        let upper = text.bytes().any(|b| b.is_ascii_uppercase());
        let mut digits = format!("{:016x}{}", crate::rng::mix(self.unique()), self.rng.hex(16, false));
        if upper {
            digits.make_ascii_uppercase();
        }
        let mut digits = digits.chars();
        text.chars().map(|c| if c.is_ascii_hexdigit() { digits.next().unwrap_or('0') } else { c }).collect()
    }

    /// `SHA1=...,MD5=...` with other digits.
    fn hashes(&mut self, text: &str) -> String {
        let items = text.split(',').map(|item| match item.split_once('=') {
            Some((kind, hash)) if hash.len() >= 16 => format!("{kind}={}", self.rng.hex(hash.len(), true)),
            _ => item.to_owned(),
        });
        items.collect::<Vec<_>>().join(",")
    }

    /// A path with a new directory, a renamed directory or a renamed file; sometimes directories change places.
    fn path(&mut self, text: &str) -> String {
        let Some(separator) = separator(text) else { return format!("{text}-{}", self.token()) };
        let mut parts: Vec<String> = text.split(separator).map(str::to_owned).collect();
        let last = parts.len() - 1;
        if last >= 4 && self.rng.chance(20) {
            let at = 1 + self.rng.below(last - 2);
            parts.swap(at, at + 1);
        }
        let token = self.token();
        match self.rng.below(100) {
            0..45 => parts.insert(last, format!("{}-{token}", self.word())),
            45..75 if last >= 2 => {
                let at = 1 + self.rng.below(last - 1);
                parts[at] = format!("{}-{token}", parts[at]);
            }
            _ => parts[last] = rename(&parts[last], &token),
        }
        parts.join(&separator.to_string())
    }

    /// A command line with changed and additional arguments, some in another order.
    fn command_line(&mut self, text: &str) -> String {
        let mut arguments = split_arguments(text);
        for (at, argument) in arguments.iter_mut().enumerate() {
            if at > 0 || self.rng.chance(50) {
                *argument = self.argument(argument);
            }
        }
        if arguments.len() > 3 && self.rng.chance(25) {
            let at = 1 + self.rng.below(arguments.len() - 2);
            arguments.swap(at, at + 1);
        }
        for _ in 0..=self.rng.below(3) {
            let at = 1 + self.rng.below(arguments.len());
            let new = self.new_argument();
            arguments.insert(at.min(arguments.len()), new);
        }
        arguments.join(" ")
    }

    fn argument(&mut self, argument: &str) -> String {
        if let Some(inner) = argument.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) {
            return format!("\"{}\"", self.argument(inner));
        }
        if is_constant(argument) {
            return argument.to_owned();
        }
        if argument.len() >= 40 && is_base64(argument) {
            return self.base64(argument);
        }
        if let Some(scalar) = self.scalar(argument) {
            return scalar;
        }
        let is_path = argument.contains('\\') || argument.matches('/').count() > 1;
        if is_path && self.rng.chance(60) { self.path(argument) } else { argument.to_owned() }
    }

    /// The middle third is new; the beginning, by which such texts are recognised, stays.
    fn base64(&mut self, text: &str) -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let middle = text.len() / 3..text.len() * 2 / 3;
        let new = |(at, c)| if middle.contains(&at) { char::from(ALPHABET[self.rng.below(64)]) } else { c };
        text.char_indices().map(new).collect()
    }

    fn new_argument(&mut self) -> String {
        let token = self.token();
        let (word, other) = (self.word(), self.word());
        match self.rng.below(6) {
            0 => format!("--{word}={token}"),
            1 => format!("/{word}:{token}"),
            2 => format!("-{word} {token}"),
            3 => format!("C:\\Users\\{word}\\{other}-{token}.tmp"),
            4 => format!("\"{word} {other} {token}\""),
            _ => format!("{word}_{token}"),
        }
    }

    /// Long text with tokens between its words.
    fn prose(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + text.len() / 8);
        let mut since = PROSE_STEP;
        for c in text.chars() {
            since += c.len_utf8();
            if since > PROSE_STEP && c.is_whitespace() {
                since = 0;
                let token = self.token();
                out.push(' ');
                out.push_str(self.word());
                out.push('_');
                out.push_str(&token);
            }
            out.push(c);
        }
        format!("{out} {}", self.token())
    }
}

/// `name.ext` becomes `name-token.ext`.
fn rename(name: &str, token: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}-{token}.{extension}"),
        None => format!("{name}-{token}"),
    }
}

fn separator(text: &str) -> Option<char> {
    ['\\', '/'].into_iter().find(|&separator| text.contains(separator))
}

fn is_base64(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
}

/// With or without braces.
fn is_guid(text: &str) -> bool {
    let bare = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let lengths = bare.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && bare.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// At white space outside double quotes.
fn split_arguments(text: &str) -> Vec<String> {
    let mut arguments = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        match arguments.last_mut() {
            Some(last) if quoted || !c.is_whitespace() => last.push(c),
            Some(last) if last.is_empty() => {}
            _ => arguments.push(String::new()),
        }
    }
    if arguments.len() > 1 && arguments.last().is_some_and(String::is_empty) {
        arguments.pop();
    }
    arguments
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::*;

    fn recorded() -> Value {
        json!({
            "Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "IntegrityLevel": "High", "RuleName": "-",
            "UtcTime": "2024-03-02 01:02:03.456", "ReceivedTime": "2024-03-02 01:02:03", "ProcessId": 4711,
            "ProcessGuid": "{01234567-89ab-cdef-0123-456789abcdef}", "LogonId": "0x3e7", "Computer": "PC01",
            "Image": "C:\\Program Files\\Tool\\bin\\tool.exe", "User": "CORP\\anna", "Empty": "",
            "CommandLine": "\"C:\\Program Files\\Tool\\bin\\tool.exe\" --level 1234 C:\\Users\\anna\\report.txt",
            "Hashes": "MD5=0123456789ABCDEF0123456789ABCDEF", "UserSid": "S-1-5-21-1-2-3-500", "System": "S-1-5-18",
            "SourceIp": "192.0.2.1", "Message": "Process Create:\r\nComputer: PC01\r\nUser: CORP\\anna",
            "Script": "Get-Date |\n  Format-Table\n",
        })
    }

    fn varied(count: u64) -> Vec<Value> {
        let varier = Varier::new(["start report update window"]);
        (0..count).map(|number| varier.event(&recorded(), number)).collect()
    }

    #[test]
    fn no_value_repeats_but_the_kind_stays() {
        let mut seen: HashMap<(String, String), u64> = HashMap::new();
        for event in varied(3_000) {
            assert_eq!(event["Channel"], "Microsoft-Windows-Sysmon/Operational");
            assert_eq!(event["EventID"], 1);
            for (name, value) in event.as_object().unwrap() {
                *seen.entry((name.clone(), value.to_string())).or_default() += 1;
            }
        }
        let constant = ["Channel", "EventID", "IntegrityLevel", "RuleName", "Empty", "System"];
        let repeated: Vec<_> =
            seen.iter().filter(|((name, _), count)| **count > 1 && !constant.contains(&name.as_str())).collect();
        assert!(repeated.is_empty(), "{repeated:?}");
    }

    #[test]
    fn a_message_inside_the_data_is_a_value_like_others() {
        let event = json!({"Event": {"EventData": {"Message": "disconnected"}}});
        let varier = Varier::new([]);
        assert_ne!(varier.event(&event, 1), varier.event(&event, 2));
    }

    #[test]
    fn addresses_stay_unique_in_large_corpora() {
        let addresses = |number| {
            let mut variation = Variation::new(&[], number);
            [variation.scalar("192.0.2.1").unwrap(), variation.scalar("2001:db8::1").unwrap()]
        };
        let all: std::collections::HashSet<[String; 2]> = (0..300_000).map(addresses).collect();
        let distinct = |at: usize| all.iter().map(|pair| &pair[at]).collect::<std::collections::HashSet<_>>().len();
        assert_eq!((distinct(0), distinct(1)), (300_000, 300_000));
    }

    #[test]
    fn values_keep_their_form() {
        for event in varied(50) {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            assert!(is_guid(&text("ProcessGuid")));
            assert!(text("UtcTime").starts_with("2026-01-05 00:00:"), "{}", text("UtcTime"));
            assert_eq!(text("UtcTime").len(), 23);
            assert!(text("Image").starts_with("C:\\") && text("Image").rsplit('.').next() == Some("exe"));
            assert!(text("CommandLine").contains("--level"));
            assert!(text("SourceIp").parse::<std::net::IpAddr>().is_ok());
            assert_eq!(text("Hashes").len(), 36);
            assert!(text("Message").contains(&text("Computer")) && text("Message").contains(&text("User")));
            assert!(event["ProcessId"].is_u64());
        }
        assert_eq!(varied(3), varied(3));
    }

    #[test]
    fn lines_keep_their_form() {
        let line = "<134>Mar  2 01:02:03 fw01 id=20240302 src=192.168.100.7 code=\"\\u003c\" sid=0a1b2c3d4e5f";
        let varied = Varier::line(line, 7);
        assert_ne!(varied, line);
        assert_eq!(varied.len(), line.len());
        for kept in ["<134>Mar  2 01:02:03 fw01 id=2024", "\\u003c"] {
            assert!(varied.contains(kept) || kept.starts_with("<134>"), "{varied}");
        }
        assert!(varied.starts_with("<134>Mar  2 01:02:03 fw01 id=2"));
        assert_eq!(Varier::line("#fields\tts\t123456", 7), "#fields\tts\t123456");
        assert_eq!(Varier::line("Grüße 2024 ü", 1), "Grüße 2024 ü");
    }

    #[test]
    fn arguments_are_split_at_white_space() {
        assert_eq!(split_arguments("a  \"b c\" d "), ["a", "\"b c\"", "d"]);
        assert_eq!(split_arguments(""), [""]);
    }
}
