//! The body of Splunk's HTTP Event Collector: JSON objects one after the other, each with an `event` and what is known
//! about it. The event is the record; the rest is its envelope.
//! <https://help.splunk.com/en/splunk-enterprise/get-started/get-data-in/10.0/get-data-with-http-event-collector/format-events-for-http-event-collector>

use bytes::Bytes;
use khien_base::limits::RECORD_BYTES;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::{Records, span};

/// Why a body is refused; `event` counts from 0.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HecError {
    /// Nothing is in it.
    #[error("no data")]
    NoData,
    /// It is no JSON object, or has members of other types.
    #[error("invalid data format")]
    Invalid {
        /// Which one.
        event: usize,
    },
    /// There is no `event`.
    #[error("event field is required")]
    NoEvent {
        /// Which one.
        event: usize,
    },
    /// The `event` is empty.
    #[error("event field cannot be blank")]
    Blank {
        /// Which one.
        event: usize,
    },
}

impl HecError {
    /// The number that Splunk gives it.
    pub fn code(&self) -> u8 {
        match self {
            Self::NoData => 5,
            Self::Invalid { .. } => 6,
            Self::NoEvent { .. } => 12,
            Self::Blank { .. } => 13,
        }
    }

    /// Which event is at fault.
    pub fn event(&self) -> Option<usize> {
        match self {
            Self::NoData => None,
            Self::Invalid { event } | Self::NoEvent { event } | Self::Blank { event } => Some(*event),
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    #[serde(borrow)]
    host: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    sourcetype: Option<&'a RawValue>,
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    fields: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
}

impl Envelope<'_> {
    /// When the sender says it happened, in milliseconds since 1970: seconds as a number or as text.
    fn time_ms(&self) -> Option<i64> {
        let text = self.time?.get().trim_matches('"');
        let seconds: f64 = text.parse().ok()?;
        let ms = seconds * 1_000.0;
        (ms.is_finite() && ms.abs() < 1e16).then_some(ms.round() as i64)
    }

    /// What it says beside the event, as a JSON object; nothing when it says nothing.
    fn write(&self, out: &mut Vec<u8>) {
        let members = [
            ("time", self.time),
            ("host", self.host),
            ("source", self.source),
            ("sourcetype", self.sourcetype),
            ("index", self.index),
            ("fields", self.fields),
        ];
        let mut separator = b'{';
        for (name, value) in members.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            out.push(separator);
            out.push(b'"');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            out.extend_from_slice(value.get().as_bytes());
            separator = b',';
        }
        if separator == b',' {
            out.push(b'}');
        }
    }
}

/// Reads a body. An event that is an object stays as it is written; one that is text is the text.
///
/// # Errors
/// When an event cannot be taken; nothing of the body may be taken then.
pub fn parse(body: &Bytes) -> Result<Records, HecError> {
    let mut found = Records::default();
    let mut out = Vec::with_capacity(body.len() + 64);
    for (event, envelope) in serde_json::Deserializer::from_slice(body).into_iter::<Envelope<'_>>().enumerate() {
        let envelope = envelope.map_err(|_| HecError::Invalid { event })?;
        let raw = envelope.event.map(RawValue::get).ok_or(HecError::NoEvent { event })?;
        let start = out.len();
        match raw.as_bytes().first() {
            Some(b'"') => {
                let text: String = serde_json::from_str(raw).map_err(|_| HecError::Invalid { event })?;
                out.extend_from_slice(text.as_bytes());
            }
            Some(b'n') => return Err(HecError::NoEvent { event }),
            _ => out.extend_from_slice(raw.as_bytes()),
        }
        if out[start..].iter().all(u8::is_ascii_whitespace) {
            return Err(HecError::Blank { event });
        }
        if out.len() - start >= RECORD_BYTES {
            out.truncate(start);
            found.rejected += 1;
            continue;
        }
        found.spans.push(span(start, out.len() - start));
        let start = out.len();
        envelope.write(&mut out);
        found.extras.envelopes.push(span(start, out.len() - start));
        found.extras.times_ms.push(envelope.time_ms());
    }
    if found.spans.is_empty() && found.rejected == 0 {
        return Err(HecError::NoData);
    }
    found.body = out.into();
    Ok(found)
}

/// The lines of a raw body (`/services/collector/raw`), each a record.
pub fn raw(body: Bytes) -> Result<Records, HecError> {
    let found = super::lines::records(body);
    if found.spans.is_empty() && found.rejected == 0 { Err(HecError::NoData) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Result<Vec<(String, String, Option<i64>)>, HecError> {
        let found = parse(&Bytes::copy_from_slice(text.as_bytes()))?;
        let text = |s: &crate::batch::Span| {
            String::from_utf8(found.body[s.start as usize..(s.start + s.len) as usize].to_vec()).unwrap()
        };
        let Records { spans, extras, .. } = &found;
        let all = spans.iter().zip(&extras.envelopes).zip(&extras.times_ms);
        Ok(all.map(|((record, envelope), time)| (text(record), text(envelope), *time)).collect())
    }

    #[test]
    fn events_stand_one_after_the_other() {
        let text = r#"{"time": 1700000000.25, "host":"h", "event":{"a": "\u0041"}}{"event":"line\n\"one\""}
            {"time":"1700000001","event":[1]}"#;
        let wanted = [
            (r#"{"a": "\u0041"}"#, r#"{"time":1700000000.25,"host":"h"}"#, Some(1_700_000_000_250)),
            ("line\n\"one\"", "", None),
            ("[1]", r#"{"time":"1700000001"}"#, Some(1_700_000_001_000)),
        ];
        let wanted = wanted.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c));
        assert_eq!(parse_text(text), Ok(wanted.into()));
    }

    #[test]
    fn faults_say_which_event() {
        assert_eq!(parse_text("  "), Err(HecError::NoData));
        assert_eq!(parse_text(r#"{"event":1}{"host":"h"}"#), Err(HecError::NoEvent { event: 1 }));
        assert_eq!(parse_text(r#"{"event":null}"#), Err(HecError::NoEvent { event: 0 }));
        assert_eq!(parse_text(r#"{"event":""}"#), Err(HecError::Blank { event: 0 }));
        assert_eq!(parse_text(r#"{"event":1} nonsense"#), Err(HecError::Invalid { event: 1 }));
        assert_eq!(parse_text(r#"{"event":1}{"event":"#), Err(HecError::Invalid { event: 1 }));
    }
}
