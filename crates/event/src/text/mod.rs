//! Decoders of lines of text: auditd, syslog, CEF, LEEF, pairs, Zeek TSV, web server logs, and any other line.
//!
//! [`TextDecoder`] recognises every line by itself, so that a file may mix formats and may be divided anywhere; the only
//! thing that one line says about others are the headers of tables, which go to [`TextDecoder::headers`]. Values that
//! stand in the record are spans of it; a record that is not UTF-8 is repaired first and its values are copies.
//! Nothing that a line says makes the decoder fail: what no format fits is a `message` of shape `text`.

mod access;
mod auditd;
mod cef;
mod embedded;
mod keyvalue;
mod leef;
mod out;
mod pairs;
mod plain;
mod syslog;
mod tables;

use std::borrow::Cow;
use std::sync::Arc;

use khien_base::message::Phrase;

use self::out::Out;
use self::syslog::Strictness;
use self::tables::Tables;

use crate::decode::{Decode, Decoded, Malformed};
use crate::fields::Fields;
use crate::reasons;
use crate::time;

/// A format of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum LineFormat {
    /// Whatever each line is.
    #[default]
    Any,
    /// Linux audit daemon
    Auditd,
    /// RFC 3164 and RFC 5424, and what they carry
    Syslog,
    /// Common Event Format, bare or in syslog
    Cef,
    /// Log Event Extended Format, bare or in syslog
    Leef,
    /// `key=value` pairs, bare or in syslog
    KeyValue,
    /// Zeek's tab-separated logs
    Zeek,
    /// The W3C's extended log format (IIS, Exchange)
    W3c,
    /// Apache and nginx access logs
    Access,
    /// Any line, as a whole
    Text,
}

/// Decodes lines of text; see the module text.
pub struct TextDecoder {
    format: LineFormat,
    reference_ns: i64,
    tables: Tables,
    /// The headers that were given last.
    headers: Option<Arc<[u8]>>,
    json: Option<Box<dyn Decode>>,
}

impl TextDecoder {
    /// A decoder of `format`. Times without a year are taken as the latest not after `reference_ns` (nanoseconds since
    /// 1970) and a day.
    pub fn new(format: LineFormat, reference_ns: i64) -> Self {
        Self { format, reference_ns, tables: Tables::default(), headers: None, json: None }
    }

    /// Lets `json` decode lines that begin with `{`, in place of the slower decoder of embedded JSON.
    #[must_use]
    pub fn with_json(mut self, json: Box<dyn Decode>) -> Self {
        self.json = Some(json);
        self
    }

    /// Forgets the headers of tables and reads `lines` in their place: the headers that stand before a block
    /// ([`crate::frame::Block::headers`]). Costs nothing when they are the same as the last time.
    pub fn headers(&mut self, lines: &Arc<[u8]>) {
        if self.headers.as_ref().is_some_and(|last| Arc::ptr_eq(last, lines)) {
            return;
        }
        self.headers = Some(Arc::clone(lines));
        self.tables = Tables::default();
        for line in lines.split(|&b| b == b'\n') {
            self.tables.header(&String::from_utf8_lossy(line));
        }
    }

    fn line(&mut self, line: &str, out: &mut Out<'_>) -> Result<Decoded, Malformed> {
        let reference_ns = self.reference_ns;
        let fits = match self.format {
            LineFormat::Any => any(line, reference_ns, &self.tables, out),
            LineFormat::Auditd => auditd::decode(line, out),
            LineFormat::Syslog => syslog::decode(line, reference_ns, Strictness::Declared, out),
            LineFormat::Cef => carried(line, cef::find(line), reference_ns, out),
            LineFormat::Leef => carried(line, leef::find(line), reference_ns, out),
            LineFormat::KeyValue => {
                keyvalue::decode(line, out) || syslog::decode(line, reference_ns, Strictness::Declared, out)
            }
            LineFormat::Zeek | LineFormat::W3c => self.tables.decode(line, out),
            LineFormat::Access => access::decode(line, out),
            LineFormat::Text => {
                plain::decode(line, out);
                true
            }
        };
        if fits { Ok(Decoded::Event) } else { Err(Malformed::new(self.format.expectation(), 0)) }
    }
}

impl LineFormat {
    /// What a line that does not fit is told.
    fn expectation(self) -> &'static Phrase {
        match self {
            Self::Any | Self::Text => reasons::NOT_TEXT,
            Self::Auditd => reasons::NOT_AUDITD,
            Self::Syslog => reasons::NOT_SYSLOG,
            Self::Cef => reasons::NOT_CEF,
            Self::Leef => reasons::NOT_LEEF,
            Self::KeyValue => reasons::NOT_KEY_VALUE,
            Self::Zeek => reasons::NOT_ZEEK,
            Self::W3c => reasons::NOT_W3C,
            Self::Access => reasons::NOT_ACCESS,
        }
    }
}

impl Decode for TextDecoder {
    fn decode(&mut self, record: &[u8], fields: &mut Fields) -> Result<Decoded, Malformed> {
        let start = record.iter().take_while(|b| b.is_ascii_whitespace()).count();
        if start == record.len() {
            return Ok(Decoded::Nothing);
        }
        if record[start] == b'{'
            && self.format == LineFormat::Any
            && let Some(json) = &mut self.json
        {
            return json.decode(record, fields);
        }
        let line = match simdutf8::basic::from_utf8(record) {
            Ok(line) => Cow::Borrowed(line),
            Err(_) => String::from_utf8_lossy(record),
        };
        let line = line.trim_end_matches(['\r', '\n']);
        if record[start] == b'#' && self.tables.header(line.trim_start()) {
            return Ok(Decoded::Nothing);
        }
        let mut out = Out::new(record, fields);
        let decoded = self.line(line, &mut out)?;
        out.finish()?;
        Ok(decoded)
    }
}

/// Decodes what a line is by itself. The order is from the surest sign to the vaguest, and never depends on other
/// lines but the headers of tables.
fn any(line: &str, reference_ns: i64, tables: &Tables, out: &mut Out<'_>) -> bool {
    let text = line.trim_start();
    let known = match text.as_bytes().first() {
        Some(b'{') => embedded::decode(text.trim_end(), out),
        Some(b'<') => syslog::decode(text, reference_ns, Strictness::Guessed, out),
        _ => false,
    };
    let known = known
        || tables.decode(line, out)
        || container(text, out)
        || auditd::decode(text, out)
        || access::decode(text, out)
        || syslog::decode(text, reference_ns, Strictness::Guessed, out)
        || keyvalue::decode(text, out)
        || from(text, cef::find(text), |cef| cef::decode(cef, reference_ns, out))
        || from(text, leef::find(text), |leef| leef::decode(leef, reference_ns, out));
    if !known {
        plain::decode(line, out);
    }
    true
}

/// Decodes a line that a container runtime wrote (`2026-01-01T10:00:00.1Z stdout F message`) as its message is.
fn container(line: &str, out: &mut Out<'_>) -> bool {
    let Some((time_ns, used)) = time::iso(line.as_bytes()) else {
        return false;
    };
    let rest = line.get(used..).unwrap_or("");
    let message = [(" stdout ", "stdout"), (" stderr ", "stderr")]
        .into_iter()
        .find_map(|(mark, stream)| Some((stream, rest.strip_prefix(mark)?)))
        .and_then(|(stream, rest)| {
            let message = rest.strip_prefix("F ").or_else(|| rest.strip_prefix("P "));
            Some((stream, message?))
        });
    let Some((stream, message)) = message else {
        return false;
    };
    out.text("stream", stream);
    let known = (message.starts_with('{') && embedded::decode(message, out))
        || access::decode(message, out)
        || keyvalue::decode(message, out);
    if !known {
        plain::decode(message, out);
    }
    out.time(Some(time_ns));
    true
}

/// Decodes CEF or LEEF that starts at `at`, by itself or behind a header of syslog.
fn carried(line: &str, at: Option<usize>, reference_ns: i64, out: &mut Out<'_>) -> bool {
    let Some(text) = at.and_then(|at| line.get(at..)) else {
        return false;
    };
    let bare = |out: &mut Out<'_>| cef::decode(text, reference_ns, out) || leef::decode(text, reference_ns, out);
    if at == Some(0) || !(cef::decodes(text) || leef::decodes(text)) {
        return bare(out);
    }
    syslog::decode(line, reference_ns, Strictness::Declared, out) || bare(out)
}

/// Decodes the text from `at` on.
fn from(line: &str, at: Option<usize>, decode: impl FnOnce(&str) -> bool) -> bool {
    at.and_then(|at| line.get(at..)).is_some_and(decode)
}

#[cfg(test)]
mod tests;
