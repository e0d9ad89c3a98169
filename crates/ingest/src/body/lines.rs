//! One record on each line: newline-delimited JSON, or any other lines.

use bytes::Bytes;
use khien_base::limits::RECORD_BYTES;

use super::{Records, span};

/// The records of `body`. Empty lines are none.
pub fn records(body: Bytes) -> Records {
    let mut found = Records::default();
    let mut start = 0;
    while start < body.len() {
        let end = memchr::memchr(b'\n', &body[start..]).map_or(body.len(), |at| start + at);
        let line = &body[start..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.len() {
            RECORD_BYTES.. => found.rejected += 1,
            _ if line.iter().all(u8::is_ascii_whitespace) => {}
            len => found.spans.push(span(start, len)),
        }
        start = end + 1;
    }
    found.body = body;
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_records() {
        let found = records(Bytes::from_static(b"one\r\n\n  \ntwo\nthree"));
        let lines: Vec<&[u8]> = found.spans.iter().map(|s| &found.body[s.start as usize..][..s.len as usize]).collect();
        assert_eq!(lines, [b"one".as_slice(), b"two", b"three"]);
        assert_eq!(records(Bytes::new()).spans, []);
    }

    #[test]
    fn a_line_that_is_too_long_is_rejected_alone() {
        let mut body = vec![b'x'; RECORD_BYTES];
        body.extend_from_slice(b"\nshort\n");
        let found = records(body.into());
        assert_eq!((found.spans.len(), found.rejected), (1, 1));
    }
}
