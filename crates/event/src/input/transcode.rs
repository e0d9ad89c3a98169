//! UTF-16 files, as Windows exports them, read as UTF-8; byte order marks removed.

use std::io::{self, Cursor, Read};

/// Bytes that are transcoded at once.
const BLOCK: usize = 64 << 10;

/// Wraps `reader` according to its first bytes.
pub(super) fn utf8<'a>(mut reader: Box<dyn Read + Send + 'a>) -> Box<dyn Read + Send + 'a> {
    let mut head = Vec::with_capacity(4);
    // What cannot be read here is met again by whoever reads on.
    let error = reader.by_ref().take(4).read_to_end(&mut head).err();
    let (order, mark) = match head.as_slice() {
        [0xef, 0xbb, 0xbf, ..] => (None, 3),
        [0xff, 0xfe, ..] => (Some(Order::Little), 2),
        [0xfe, 0xff, ..] => (Some(Order::Big), 2),
        [1..=127, 0, 1..=127, 0] => (Some(Order::Little), 0),
        [0, 1..=127, 0, 1..=127] => (Some(Order::Big), 0),
        _ => (None, 0),
    };
    head.drain(..mark);
    let rest: Box<dyn Read + Send + 'a> = match error {
        None => reader,
        Some(error) => Box::new(Failing(Some(error))),
    };
    let whole = Cursor::new(head).chain(rest);
    match order {
        None => Box::new(whole),
        Some(order) => Box::new(Utf16::new(whole, order)),
    }
}

/// Fails once.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Which byte of a unit comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

/// Reads UTF-16 as UTF-8; what is not UTF-16 becomes `U+FFFD`.
struct Utf16<R> {
    inner: R,
    order: Order,
    raw: Vec<u8>,
    /// Bytes of `raw` that were read before and not yet used: half a unit, or the first half of a pair.
    kept: usize,
    text: String,
    given: usize,
}

impl<R: Read> Utf16<R> {
    fn new(inner: R, order: Order) -> Self {
        Self { inner, order, raw: vec![0; BLOCK], kept: 0, text: String::new(), given: 0 }
    }

    /// Reads and transcodes the next block; whether there was one.
    fn fill(&mut self) -> io::Result<bool> {
        self.text.clear();
        self.given = 0;
        let count = self.inner.read(&mut self.raw[self.kept..])?;
        let have = self.kept + count;
        if have == 0 {
            return Ok(false);
        }
        let last = count == 0;
        let mut used = have - have % 2;
        if !last && used >= 2 && (0xd800..0xdc00).contains(&self.unit(used - 2)) {
            used -= 2;
        }
        let units: Vec<u16> = (0..used).step_by(2).map(|at| self.unit(at)).collect();
        let decoded = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
        self.text.extend(decoded);
        if last && have > used {
            self.text.push(char::REPLACEMENT_CHARACTER);
            used = have;
        }
        self.raw.copy_within(used..have, 0);
        self.kept = have - used;
        Ok(true)
    }

    fn unit(&self, at: usize) -> u16 {
        let bytes = [self.raw[at], self.raw[at + 1]];
        match self.order {
            Order::Little => u16::from_le_bytes(bytes),
            Order::Big => u16::from_be_bytes(bytes),
        }
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() {
            if !self.fill()? {
                return Ok(0);
            }
        }
        let left = &self.text.as_bytes()[self.given..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> String {
        let mut text = String::new();
        utf8(Box::new(Cursor::new(bytes.to_vec()))).read_to_string(&mut text).unwrap();
        text
    }

    fn encode(text: &str, unit: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn reads_with_and_without_marks() {
        let text = "{\"a\":\"Việt 🙂\"}\r\n";
        assert_eq!(read(text.as_bytes()), text);
        assert_eq!(read(format!("\u{feff}{text}").as_bytes()), text);
        assert_eq!(read(&encode(text, u16::to_le_bytes)), text);
        assert_eq!(read(&encode(text, u16::to_be_bytes)), text);
        assert_eq!(read(&encode(&format!("\u{feff}{text}"), u16::to_le_bytes)), text);
        assert_eq!(read(&encode(&format!("\u{feff}{text}"), u16::to_be_bytes)), text);
    }

    #[test]
    fn repairs_what_is_cut() {
        assert_eq!(read(b"\xff\xfea\0b"), "a\u{fffd}");
        assert_eq!(read(b"\xff\xfe\x3d\xd8"), "\u{fffd}");
    }

    proptest! {
        #[test]
        fn any_text_survives(text in "\\PC{0,200}") {
            let bytes = encode(&format!("\u{feff}{text}"), u16::to_le_bytes);
            prop_assert_eq!(read(&bytes), text);
        }
    }
}
