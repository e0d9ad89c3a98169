//! Bodies: read within bounds, and unpacked.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use khien_ingest::batch::BYTES;

use super::error::Refused;

/// Bodies from this length on are unpacked on a thread of their own.
const LARGE: usize = 64 << 10;

/// Reads a body to its end and unpacks it.
pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Refused> {
    let packed = axum::body::to_bytes(body, BYTES).await.map_err(|error| {
        let is_length = std::error::Error::source(&error)
            .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>);
        if is_length { too_large() } else { Refused::bad_request("broken_body", "the body was cut off") }
    })?;
    let encoding = headers.get(header::CONTENT_ENCODING).map_or(Ok("identity"), |value| value.to_str());
    let encoding = match encoding.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "identity" => return Ok(packed),
        "gzip" | "x-gzip" => Encoding::Gzip,
        "deflate" => Encoding::Deflate,
        "zstd" => Encoding::Zstd,
        other => {
            let message = format!("Content-Encoding `{other}` is not known; gzip, deflate and zstd are");
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unknown_encoding", message));
        }
    };
    if packed.len() < LARGE {
        return unpack(&packed, encoding);
    }
    let unpacked = tokio::task::spawn_blocking(move || unpack(&packed, encoding)).await;
    unpacked.unwrap_or_else(|_| Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "unpacking failed")))
}

fn too_large() -> Refused {
    let message = format!("a request may hold {} MiB, also when it is unpacked; send smaller batches", BYTES >> 20);
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}

#[derive(Clone, Copy)]
enum Encoding {
    Gzip,
    Deflate,
    Zstd,
}

fn unpack(packed: &[u8], encoding: Encoding) -> Result<Bytes, Refused> {
    let broken = |_| Refused::bad_request("broken_body", "the body cannot be unpacked");
    let reader: Box<dyn Read + '_> = match encoding {
        Encoding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
        Encoding::Deflate => Box::new(flate2::read::ZlibDecoder::new(packed)),
        Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(packed).map_err(broken)?),
    };
    let mut out = Vec::with_capacity(packed.len().saturating_mul(4).min(BYTES));
    reader.take(BYTES as u64 + 1).read_to_end(&mut out).map_err(broken)?;
    if out.len() > BYTES { Err(too_large()) } else { Ok(out.into()) }
}
