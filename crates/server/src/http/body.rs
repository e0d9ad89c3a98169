//! Bodies: read within bounds, and unpacked.
//!
//! All bodies together may take [`ROOM`] bytes; who comes when that is used up is told to come again. So memory is bounded
//! whatever arrives, however slowly.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use khien_ingest::batch::BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::error::Refused;

/// Bodies from this length on are unpacked on a thread of their own.
const LARGE: usize = 64 << 10;

/// Bytes of all bodies together.
const ROOM: usize = 384 << 20;

/// Bytes of the room that are taken at once.
const UNIT: usize = 4 << 10;

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_mins(2);

/// Room for bodies.
#[derive(Clone)]
pub(crate) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM / UNIT)))
    }
}

/// A body, and the room that it takes until it is dropped.
pub(crate) struct Taken {
    pub(crate) bytes: Bytes,
    _place: Place,
}

/// Room that was taken.
struct Place {
    room: Room,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Place {
    fn new(room: &Room) -> Self {
        Self { room: room.clone(), permit: None, bytes: 0 }
    }

    /// Takes more.
    fn grow(&mut self, more: usize) -> Result<(), Refused> {
        let units = |bytes: usize| bytes.div_ceil(UNIT);
        let wanted = units(self.bytes + more) - units(self.bytes);
        self.bytes += more;
        if wanted == 0 {
            return Ok(());
        }
        let permit = self.room.0.clone().try_acquire_many_owned(wanted as u32).map_err(|_| {
            let message = "too much is being sent at once, send it again a little later";
            Refused::new(StatusCode::TOO_MANY_REQUESTS, "busy", message).retry_after(1_000)
        })?;
        match &mut self.permit {
            Some(own) => own.merge(permit),
            None => self.permit = Some(permit),
        }
        Ok(())
    }
}

impl Room {
    /// Reads a body to its end and unpacks it.
    pub(crate) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Taken, Refused> {
        let mut place = Place::new(self);
        let late = |_| Refused::new(StatusCode::REQUEST_TIMEOUT, "slow", "the body took too long to arrive");
        let packed = timeout(PATIENCE, packed(body, &mut place)).await.map_err(late)??;
        let Some(encoding) = encoding(headers)? else { return Ok(Taken { bytes: packed, _place: place }) };
        let is_small = packed.len() < LARGE;
        let unpack = move || {
            let bytes = unpack(&packed, encoding, &mut place)?;
            Ok(Taken { bytes, _place: place })
        };
        if is_small {
            return unpack();
        }
        let unpacked = tokio::task::spawn_blocking(unpack).await;
        unpacked
            .unwrap_or_else(|_| Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "unpacking failed")))
    }
}

/// The bytes as they come.
async fn packed(mut body: Body, place: &mut Place) -> Result<Bytes, Refused> {
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refused::bad_request("broken_body", "the body was cut off"))?;
        let Ok(data) = frame.into_data() else { continue };
        place.grow(data.len())?;
        if place.bytes > BYTES {
            return Err(too_large());
        }
        // Most bodies are one frame, which is not copied.
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, Refused> {
    let encoding = headers.get(header::CONTENT_ENCODING).map_or(Ok("identity"), |value| value.to_str());
    match encoding.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "identity" => Ok(None),
        "gzip" | "x-gzip" => Ok(Some(Encoding::Gzip)),
        "deflate" => Ok(Some(Encoding::Deflate)),
        "zstd" => Ok(Some(Encoding::Zstd)),
        other => {
            let message = format!("Content-Encoding `{other}` is not known; gzip, deflate and zstd are");
            Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unknown_encoding", message))
        }
    }
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

/// Bytes that are unpacked at once.
const STEP: u64 = 1 << 20;

fn unpack(packed: &[u8], encoding: Encoding, place: &mut Place) -> Result<Bytes, Refused> {
    let broken = |_| Refused::bad_request("broken_body", "the body cannot be unpacked");
    let mut reader: Box<dyn Read + '_> = match encoding {
        Encoding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
        Encoding::Deflate => Box::new(flate2::read::ZlibDecoder::new(packed)),
        Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(packed).map_err(broken)?),
    };
    let mut out = Vec::with_capacity(packed.len().saturating_mul(4).min(STEP as usize));
    loop {
        let read = reader.by_ref().take(STEP).read_to_end(&mut out).map_err(broken)?;
        place.grow(read)?;
        if out.len() > BYTES {
            return Err(too_large());
        }
        if (read as u64) < STEP {
            return Ok(out.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    async fn read(room: &Room, encoding: &str, body: Vec<u8>) -> Result<Taken, Refused> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, encoding.parse().unwrap());
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        room.read(&headers, Body::from(body)).await
    }

    #[tokio::test]
    async fn bodies_take_room_until_they_are_dropped() {
        let room = Room(Arc::new(Semaphore::new(10)));
        let first = read(&room, "identity", vec![b'x'; 6 * UNIT]).await.unwrap();
        assert_eq!(first.bytes.len(), 6 * UNIT);
        let refused = read(&room, "identity", vec![b'x'; 5 * UNIT]).await.err().unwrap();
        assert_eq!((refused.status, refused.retry_after), (StatusCode::TOO_MANY_REQUESTS, Some(1)));
        drop(first);
        assert!(read(&room, "identity", vec![b'x'; 5 * UNIT]).await.is_ok());
        assert_eq!(room.0.available_permits(), 10);
    }

    #[tokio::test]
    async fn what_is_unpacked_takes_room_too() {
        let room = Room(Arc::new(Semaphore::new(2 * (1 << 20) / UNIT)));
        let packed = |bytes: usize| {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&vec![b'x'; bytes]).unwrap();
            gzip.finish().unwrap()
        };
        let fits = read(&room, "gzip", packed(3 << 19)).await.unwrap();
        assert_eq!(fits.bytes.len(), 3 << 19);
        drop(fits);
        assert_eq!(read(&room, "gzip", packed(3 << 20)).await.err().unwrap().code, "busy");
        let large = Room::default();
        assert_eq!(read(&large, "gzip", packed(BYTES + 1)).await.err().unwrap().code, "too_large");
        assert_eq!(read(&large, "gzip", packed(BYTES)).await.unwrap().bytes.len(), BYTES);
        assert_eq!(read(&large, "zip", Vec::new()).await.err().unwrap().code, "unknown_encoding");
        assert_eq!(large.0.available_permits(), ROOM / UNIT);
    }
}
