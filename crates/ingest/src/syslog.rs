//! Where one message of a syslog stream ends and the next begins (RFC 6587): each has its length before it, or ends with
//! a line feed. Senders mix the two, so every message decides for itself.

use khien_base::limits::RECORD_BYTES;

use crate::batch::Span;

/// Divides a stream; what is not whole yet is kept until more comes.
#[derive(Clone, Debug, Default)]
pub struct Splitter {
    rest: Vec<u8>,
    /// Bytes of a message that is too long and is left out.
    skip: usize,
    /// The end of a line that is too long is still to come.
    skip_line: bool,
}

/// Whole messages of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// The bytes that the spans point into.
    pub body: Vec<u8>,
    /// The messages.
    pub spans: Vec<Span>,
    /// Messages left out because they are too long.
    pub rejected: u64,
}

/// Most digits of a length.
const DIGITS: usize = 8;

/// What stands at the beginning of some bytes.
enum Head {
    /// A message of so many bytes behind so many of its length.
    Counted { behind: usize, len: usize },
    /// A line.
    Line,
    /// More bytes will tell.
    Unclear,
}

fn head(bytes: &[u8]) -> Head {
    let digits = bytes.iter().take(DIGITS + 1).take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 || bytes[0] == b'0' || digits > DIGITS {
        return Head::Line;
    }
    let rest = &bytes[digits..];
    match rest {
        [] | [b' '] => Head::Unclear,
        // A message begins with its priority; a line that begins with a number does not go on like this.
        [b' ', b'<', ..] => {
            let len = bytes[..digits].iter().fold(0, |len, digit| len * 10 + usize::from(digit - b'0'));
            Head::Counted { behind: digits + 1, len }
        }
        _ => Head::Line,
    }
}

impl Splitter {
    /// Takes what was read; the messages that are whole now.
    pub fn read(&mut self, bytes: &[u8]) -> Messages {
        self.rest.extend_from_slice(bytes);
        let mut found = Messages::default();
        let mut at = 0;
        while let Some(next) = self.message(at, &mut found) {
            at = next;
        }
        self.keep(at, found)
    }

    /// Says that the stream has ended: what is left is a message too.
    pub fn end(&mut self) -> Messages {
        let mut found = Messages::default();
        if !self.skip_line && self.skip == 0 {
            let rest = std::mem::take(&mut self.rest);
            let at = match head(&rest) {
                Head::Counted { behind, .. } => behind,
                Head::Line | Head::Unclear => 0,
            };
            add(&rest, at, rest.len(), &mut found);
            found.body = rest;
        }
        *self = Self::default();
        found
    }

    /// Takes the message at `at`, if it is whole; where the next one begins.
    fn message(&mut self, at: usize, found: &mut Messages) -> Option<usize> {
        let rest = &self.rest[at..];
        if rest.is_empty() {
            return None;
        }
        if self.skip > 0 {
            let skipped = self.skip.min(rest.len());
            self.skip -= skipped;
            return Some(at + skipped);
        }
        let line_end = || memchr::memchr2(b'\n', 0, rest);
        if self.skip_line {
            let end = line_end();
            self.skip_line = end.is_none();
            return Some(at + end.map_or(rest.len(), |end| end + 1));
        }
        match head(rest) {
            Head::Unclear => None,
            Head::Counted { behind, len } if len >= RECORD_BYTES => {
                found.rejected += 1;
                self.skip = len;
                Some(at + behind)
            }
            Head::Counted { behind, len } => {
                let end = behind + len;
                (rest.len() >= end).then(|| add(&self.rest, at + behind, at + end, found))?;
                Some(at + end)
            }
            Head::Line => match line_end() {
                Some(end) => {
                    if end < RECORD_BYTES {
                        add(&self.rest, at, at + end, found);
                    } else {
                        found.rejected += 1;
                    }
                    Some(at + end + 1)
                }
                None if rest.len() >= RECORD_BYTES => {
                    found.rejected += 1;
                    self.skip_line = true;
                    Some(self.rest.len())
                }
                None => None,
            },
        }
    }

    /// Gives what was divided away and keeps the rest.
    fn keep(&mut self, at: usize, mut found: Messages) -> Messages {
        let rest = self.rest.split_off(at);
        found.body = std::mem::replace(&mut self.rest, rest);
        found
    }
}

/// Adds the message from `start` to `end`, unless it is blank.
fn add(bytes: &[u8], start: usize, end: usize, found: &mut Messages) {
    let message = &bytes[start..end];
    let len = message.trim_ascii_end().len();
    if !message.trim_ascii().is_empty() {
        found.spans.push(Span { start: start as u32, len: len as u32 });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(found: &Messages) -> Vec<String> {
        let text = |s: &Span| &found.body[s.start as usize..(s.start + s.len) as usize];
        found.spans.iter().map(|s| String::from_utf8_lossy(text(s)).into_owned()).collect()
    }

    fn all(stream: &[u8], step: usize) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut found: Vec<String> = stream.chunks(step).flat_map(|chunk| texts(&splitter.read(chunk))).collect();
        found.extend(texts(&splitter.end()));
        found
    }

    #[test]
    fn both_framings_may_be_mixed_and_cut_anywhere() {
        let stream = b"<13>one\n12 <13>two\nlines<14>three\r\n\n2026 is no length\n5 <1>ab7 <2>cut";
        for step in 1..stream.len() {
            let wanted = ["<13>one", "<13>two\nline", "s<14>three", "2026 is no length", "<1>ab", "<2>cut"];
            assert_eq!(all(stream, step), wanted, "step {step}");
        }
    }

    #[test]
    fn messages_that_are_too_long_are_left_out_and_the_next_is_read() {
        let mut stream = format!("{RECORD_BYTES} <1>").into_bytes();
        stream.resize(stream.len() + RECORD_BYTES - 3, b'x');
        stream.extend_from_slice(b"<2>next\n");
        stream.resize(stream.len() + RECORD_BYTES + 5, b'y');
        stream.extend_from_slice(b"\n<3>last\n");
        let mut splitter = Splitter::default();
        let (mut found, mut rejected) = (Vec::new(), 0);
        for chunk in stream.chunks(1 << 20) {
            let messages = splitter.read(chunk);
            rejected += messages.rejected;
            found.extend(texts(&messages));
        }
        assert_eq!((found.join(" ").get(..15), found.len(), rejected), (Some("<2>next <3>last"), 2, 2));
    }

    proptest! {
        #[test]
        fn where_a_stream_is_cut_makes_no_difference(
            stream in prop::collection::vec(prop_oneof![
                Just(b"9 <13>hello".to_vec()), Just(b"<5>line\n".to_vec()), Just(b"12".to_vec()), Just(b" <".to_vec()),
                prop::collection::vec(any::<u8>(), 0..6),
            ], 0..20),
            step in 1_usize..9,
        ) {
            let stream = stream.concat();
            prop_assert_eq!(all(&stream, step), all(&stream, stream.len().max(1)));
        }
    }
}
