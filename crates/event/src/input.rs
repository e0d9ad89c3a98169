//! What a file is: its compression, its encoding of characters, and its format.
//!
//! Pure over [`Read`]; opening files and choosing them is the caller's. Compressed input is read through a cap on its
//! total, and no decoder here holds more than its window (32 KiB for gzip, 128 MiB at most for zstd), so that expansion
//! bombs cost time but never memory. A stream that is cut off gives what can be read and then an error of kind
//! [`io::ErrorKind::UnexpectedEof`].

use std::io::{self, Cursor, Read};

use thiserror::Error;

use crate::text::LineFormat;

mod transcode;

/// How many bytes of a file [`recognise`] wants to see; fewer are fine.
pub const SNIFF_BYTES: usize = 64 << 10;

/// The largest zstd window that is accepted, as a power of two (what `zstd --long=27` writes).
const ZSTD_WINDOW_LOG: u32 = 27;

/// Why an input cannot be read. Inside [`io::Error`] where it happens while reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InputError {
    /// An archive or a compression that is not read.
    #[error("input is {0}, which is not read; unpack it first (plain, gzip and zstd files are read)")]
    Unsupported(&'static str),
    /// Decompression reached the cap.
    #[error("input decompresses to more than {0} bytes, the rest is not read")]
    TooLarge(u64),
}

/// Whether and how a file is compressed, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Opens `reader`: removes gzip (several members too) or zstd (several frames too), turns UTF-16 into UTF-8 and removes
/// a byte order mark.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] with an [`InputError::Unsupported`] inside for archives and other compressions, and
/// errors of `reader`. Reading fails with [`io::ErrorKind::InvalidData`] and [`InputError::TooLarge`] inside once
/// compressed input has given `most_bytes`.
pub fn open<'a>(mut reader: impl Read + Send + 'a, most_bytes: u64) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut head = Vec::with_capacity(8);
    reader.by_ref().take(8).read_to_end(&mut head)?;
    let compression = compression(&head).map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error))?;
    let whole = Cursor::new(head).chain(reader);
    let plain: Box<dyn Read + Send + 'a> = match compression {
        Compression::None => Box::new(whole),
        Compression::Gzip => {
            let gzip = flate2::bufread::MultiGzDecoder::new(io::BufReader::with_capacity(128 << 10, whole));
            Box::new(Capped::new(gzip, most_bytes))
        }
        Compression::Zstd => {
            let mut zstd = zstd::stream::read::Decoder::new(whole)?;
            zstd.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(Capped::new(zstd, most_bytes))
        }
    };
    Ok(transcode::utf8(plain))
}

fn compression(head: &[u8]) -> Result<Compression, InputError> {
    let unsupported: [(&[u8], &str); 7] = [
        (b"PK\x03\x04", "a zip archive"),
        (b"PK\x05\x06", "a zip archive"),
        (b"BZh", "compressed with bzip2"),
        (b"\xfd7zXZ\0", "compressed with xz"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!\x1a\x07", "a rar archive"),
        (b"\x04\x22\x4d\x18", "compressed with lz4"),
    ];
    if let Some((_, name)) = unsupported.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(InputError::Unsupported(name));
    }
    let skippable = head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == [0x2a, 0x4d, 0x18];
    Ok(if head.starts_with(&[0x1f, 0x8b]) {
        Compression::Gzip
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || skippable {
        Compression::Zstd
    } else {
        Compression::None
    })
}

/// Gives at most so many bytes and then an error.
struct Capped<R> {
    inner: R,
    most: u64,
    left: u64,
}

impl<R> Capped<R> {
    fn new(inner: R, most: u64) -> Self {
        Self { inner, most, left: most }
    }
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 && !buffer.is_empty() {
            // Only an input that ends exactly here is whole.
            return match self.inner.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(io::Error::new(io::ErrorKind::InvalidData, InputError::TooLarge(self.most))),
            };
        }
        let count = self.inner.read(&mut buffer[..wanted])?;
        self.left -= count as u64;
        Ok(count)
    }
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// A binary Windows event log.
    Evtx,
    /// One JSON object on each line; other lines are recognised one by one.
    JsonLines,
    /// JSON in any other form: pretty-printed, arrays, values one after the other, envelopes.
    JsonDocument,
    /// Syslog messages that are each preceded by their length (RFC 6587).
    OctetCounted,
    /// Lines of text.
    Lines(LineFormat),
}

/// Recognises a file by the first bytes that [`open`]'s reader gives ([`SNIFF_BYTES`] are enough), and by its name
/// where the bytes say nothing.
pub fn recognise(first_bytes: &[u8], file_name: Option<&str>) -> Format {
    if first_bytes.starts_with(b"ElfFile\0") {
        return Format::Evtx;
    }
    let text = first_bytes.trim_ascii_start();
    match text.first() {
        Some(b'{') if crate::frame::is_document(text) => Format::JsonDocument,
        Some(b'{') => Format::JsonLines,
        Some(b'[') if is_array(text) => Format::JsonDocument,
        Some(b'0'..=b'9') if is_counted(text) => Format::OctetCounted,
        None if has_extension(file_name, "evtx") => Format::Evtx,
        None if has_extension(file_name, "json") => Format::JsonDocument,
        _ => Format::Lines(LineFormat::Any),
    }
}

/// Whether an array of objects (or an empty one) begins the text; a log line may begin with `[` too.
fn is_array(text: &[u8]) -> bool {
    let inner = text.get(1..).unwrap_or_default().trim_ascii_start();
    match inner.first() {
        Some(b'{') => true,
        Some(b'[') => inner.get(1..).unwrap_or_default().trim_ascii_start().first() == Some(&b'{'),
        Some(b']') => inner.get(1..).unwrap_or_default().trim_ascii().is_empty(),
        _ => false,
    }
}

/// `123 <34>...`
pub(crate) fn is_counted(text: &[u8]) -> bool {
    let digits = text.iter().take(9).take_while(|b| b.is_ascii_digit()).count();
    (1..=8).contains(&digits)
        && text.get(digits..digits + 2) == Some(b" <")
        && text.get(digits + 2).is_some_and(u8::is_ascii_digit)
}

fn has_extension(file_name: Option<&str>, extension: &str) -> bool {
    file_name.and_then(|name| name.rsplit_once('.')).is_some_and(|(_, found)| found.eq_ignore_ascii_case(extension))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8], most: u64) -> (Vec<u8>, Option<io::Error>) {
        let mut read = Vec::new();
        let error = match open(bytes, most) {
            Ok(mut reader) => reader.read_to_end(&mut read).err(),
            Err(error) => Some(error),
        };
        (read, error)
    }

    #[test]
    fn opens_plain_gzip_and_zstd() {
        let twice = [gzip(b"one\n"), gzip(b"two\n")].concat();
        let frames =
            [zstd::encode_all(&b"one\n"[..], 1).unwrap(), zstd::encode_all(&b"two\n"[..], 1).unwrap()].concat();
        for bytes in [b"one\ntwo\n".as_slice(), &twice, &frames] {
            let (text, error) = read(bytes, 8);
            assert_eq!(text, b"one\ntwo\n");
            assert!(error.is_none());
        }
        assert_eq!(read(b"", 8).0, b"");
        assert_eq!(read(b"a", 8).0, b"a");
    }

    #[test]
    fn a_cut_stream_gives_its_beginning_and_an_error() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        for whole in [gzip(&text), zstd::encode_all(&text[..], 1).unwrap()] {
            let (got, error) = read(&whole[..whole.len() / 2], u64::MAX);
            assert!(!got.is_empty() && text.starts_with(&got));
            assert_eq!(error.unwrap().kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_bomb_stops_at_the_cap() {
        let bomb = gzip(&vec![b'a'; 10 << 20]);
        let (got, error) = read(&bomb, 1_000);
        assert_eq!(got.len(), 1_000);
        let error = error.unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(error.get_ref().unwrap().downcast_ref(), Some(&InputError::TooLarge(1_000)));
    }

    #[test]
    fn says_what_it_does_not_read() {
        for bytes in [b"PK\x03\x04....".as_slice(), b"BZh91AY", b"\xfd7zXZ\0\0\0"] {
            assert_eq!(read(bytes, 10).1.unwrap().kind(), io::ErrorKind::Unsupported);
        }
    }

    #[test]
    fn recognises_files() {
        let any = Format::Lines(LineFormat::Any);
        for (bytes, want) in [
            (b"ElfFile\0\0\0".as_slice(), Format::Evtx),
            (b"{\"a\":1}\n{\"a\":2}\n", Format::JsonLines),
            (b"  {\"a\":{\"b\":[1,2]}}", Format::JsonLines),
            (b"{\n  \"a\": 1\n}\n", Format::JsonDocument),
            (b"{\"Records\":[{\"a\":1}]}", Format::JsonDocument),
            (b"{\"nextLink\":\"x\",\"value\":[{\"a\":1},", Format::JsonDocument),
            (b"{\"a\":1}{\"a\":2}", Format::JsonDocument),
            (b"[{\"a\":1}]", Format::JsonDocument),
            (b"[\n\n {\"a\":1}]", Format::JsonDocument),
            (b"[2026-01-01 10:00:00] x", any),
            (b"[Fri Oct 08 17:08:41.203277 2021] [core:error]", any),
            (b"17 <34>1 - - - - - -\n", Format::OctetCounted),
            (b"17 <x", any),
            (b"Nov 21 10:00:00 host sshd: x", any),
            (b"", any),
        ] {
            assert_eq!(recognise(bytes, None), want, "{}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(recognise(b"", Some("Security.EVTX")), Format::Evtx);
    }
}
