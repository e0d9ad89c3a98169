//! OpenTelemetry's logs (OTLP): the body of a log record is the record; time, severity, attributes, resource and scope are
//! its envelope. A body of text stays the text, any other becomes JSON; without one, the envelope is the record.
//! <https://opentelemetry.io/docs/specs/otlp/>

use khien_base::hex::hex;
use khien_base::limits::RECORD_BYTES;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use serde_json::{Map, Value, json};
use thiserror::Error;

pub use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest as Request;

use super::{Records, span};
use crate::batch::BYTES;

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OtlpError {
    /// It is no message of this kind.
    #[error("the body is no ExportLogsServiceRequest in {0}")]
    Invalid(&'static str),
    /// Its records, spelled out, are more than a batch may hold.
    #[error("the records are more than {BYTES} bytes; send smaller batches")]
    TooLarge,
}

/// Reads a body in protobuf.
///
/// # Errors
/// When it is none.
pub fn from_protobuf(body: &[u8]) -> Result<Request, OtlpError> {
    Request::decode(body).map_err(|_| OtlpError::Invalid("protobuf"))
}

/// Reads a body in JSON.
///
/// # Errors
/// When it is none.
pub fn from_json(body: &[u8]) -> Result<Request, OtlpError> {
    serde_json::from_slice(body).map_err(|_| OtlpError::Invalid("JSON"))
}

/// The records of a request.
///
/// # Errors
/// When they are too much.
pub fn records(request: &Request) -> Result<Records, OtlpError> {
    let mut found = Records::default();
    let mut out = Vec::new();
    for resource in &request.resource_logs {
        let about_resource = resource.resource.as_ref().map(about_resource);
        for scope in &resource.scope_logs {
            let about_scope = scope.scope.as_ref().and_then(about_scope);
            for record in &scope.log_records {
                let envelope = envelope(record, about_resource.as_ref(), about_scope.as_ref());
                add(record, &envelope, &mut out, &mut found);
                if out.len() > BYTES {
                    return Err(OtlpError::TooLarge);
                }
            }
        }
    }
    found.body = out.into();
    Ok(found)
}

fn add(record: &LogRecord, envelope: &str, out: &mut Vec<u8>, found: &mut Records) {
    let start = out.len();
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Any::StringValue(text)) if !text.trim().is_empty() => out.extend_from_slice(text.as_bytes()),
        None | Some(Any::StringValue(_)) => out.extend_from_slice(envelope.as_bytes()),
        Some(value) => out.extend_from_slice(plain(value).to_string().as_bytes()),
    }
    if out.len() - start >= RECORD_BYTES {
        out.truncate(start);
        found.rejected += 1;
        return;
    }
    found.spans.push(span(start, out.len() - start));
    let start = out.len();
    out.extend_from_slice(envelope.as_bytes());
    found.extras.envelopes.push(span(start, out.len() - start));
    let time = if record.time_unix_nano == 0 { record.observed_time_unix_nano } else { record.time_unix_nano };
    found.extras.times_ms.push((time > 0).then(|| i64::try_from(time / 1_000_000).unwrap_or(i64::MAX)));
}

/// What is said about a record, as JSON.
fn envelope(record: &LogRecord, resource: Option<&Value>, scope: Option<&Value>) -> String {
    let mut about = Map::new();
    let mut put = |name: &str, value: Value| {
        about.insert(name.to_owned(), value);
    };
    if record.time_unix_nano > 0 {
        put("time_unix_nano", record.time_unix_nano.into());
    }
    if record.observed_time_unix_nano > 0 {
        put("observed_time_unix_nano", record.observed_time_unix_nano.into());
    }
    if record.severity_number != 0 {
        put("severity_number", record.severity_number.into());
    }
    for (name, text) in [("severity_text", &record.severity_text), ("event_name", &record.event_name)] {
        if !text.is_empty() {
            put(name, text.as_str().into());
        }
    }
    for (name, id) in [("trace_id", &record.trace_id), ("span_id", &record.span_id)] {
        if !id.is_empty() {
            put(name, hex(id).into());
        }
    }
    if !record.attributes.is_empty() {
        put("attributes", object(&record.attributes));
    }
    for (name, value) in [("resource", resource), ("scope", scope)] {
        if let Some(value) = value {
            put(name, value.clone());
        }
    }
    Value::Object(about).to_string()
}

fn about_resource(resource: &Resource) -> Value {
    object(&resource.attributes)
}

fn about_scope(scope: &InstrumentationScope) -> Option<Value> {
    let named = !scope.name.is_empty() || !scope.version.is_empty();
    named.then(|| json!({"name": scope.name, "version": scope.version}))
}

fn object(attributes: &[KeyValue]) -> Value {
    let member = |pair: &KeyValue| (pair.key.clone(), pair.value.as_ref().map_or(Value::Null, any));
    Value::Object(attributes.iter().map(member).collect())
}

fn any(value: &AnyValue) -> Value {
    value.value.as_ref().map_or(Value::Null, plain)
}

/// A value as plain JSON. It is as deep as the readers let it be.
fn plain(value: &Any) -> Value {
    match value {
        Any::StringValue(text) => text.as_str().into(),
        Any::BoolValue(truth) => (*truth).into(),
        Any::IntValue(number) => (*number).into(),
        Any::DoubleValue(number) => (*number).into(),
        Any::ArrayValue(list) => list.values.iter().map(any).collect(),
        Any::KvlistValue(list) => object(&list.values),
        Any::BytesValue(bytes) => hex(bytes).into(),
        // It belongs to another signal and has no meaning here.
        Any::StringValueStrindex(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"resourceLogs": [{
        "resource": {"attributes": [{"key": "host.name", "value": {"stringValue": "h1"}}]},
        "scopeLogs": [{"scope": {"name": "app"}, "logRecords": [
            {"timeUnixNano": "1700000000250000000", "severityNumber": 9, "severityText": "INFO",
             "body": {"stringValue": "sshd[1]: hello"}, "attributes": [{"key": "n", "value": {"intValue": "5"}}],
             "traceId": "0102030405060708090a0b0c0d0e0f10"},
            {"observedTimeUnixNano": "1700000001000000000", "body": {"kvlistValue": {"values": [
                {"key": "a", "value": {"arrayValue": {"values": [{"boolValue": true}, {"doubleValue": 1.5}]}}}]}}},
            {"eventName": "started"}
        ]}]}]}"#;

    fn texts(found: &Records) -> Vec<(String, String, Option<i64>)> {
        let text = |s: &crate::batch::Span| {
            String::from_utf8(found.body[s.start as usize..(s.start + s.len) as usize].to_vec()).unwrap()
        };
        let all = found.spans.iter().zip(&found.extras.envelopes).zip(&found.extras.times_ms);
        all.map(|((record, envelope), time)| (text(record), text(envelope), *time)).collect()
    }

    #[test]
    fn bodies_are_records_and_the_rest_is_their_envelope() {
        let request = from_json(JSON.as_bytes()).unwrap();
        let found = texts(&records(&request).unwrap());
        let about = r#""resource":{"host.name":"h1"},"scope":{"name":"app","version":""}}"#;
        let first = r#"{"time_unix_nano":1700000000250000000,"severity_number":9,"severity_text":"INFO","trace_id":"0102030405060708090a0b0c0d0e0f10","attributes":{"n":5},"#;
        assert_eq!(found[0], ("sshd[1]: hello".into(), format!("{first}{about}"), Some(1_700_000_000_250)));
        assert_eq!(found[1].0, r#"{"a":[true,1.5]}"#);
        assert_eq!(found[1].2, Some(1_700_000_001_000));
        assert_eq!(found[2].0, format!(r#"{{"event_name":"started",{about}"#));
        assert_eq!(found[2].2, None);
        // Both encodings say the same.
        assert_eq!(from_protobuf(&request.encode_to_vec()), Ok(request));
    }

    #[test]
    fn other_bodies_are_refused() {
        assert_eq!(from_json(b"5"), Err(OtlpError::Invalid("JSON")));
        assert_eq!(from_protobuf(b"\xff\xff"), Err(OtlpError::Invalid("protobuf")));
        assert_eq!(records(&from_protobuf(b"").unwrap()), Ok(Records::default()));
    }
}
