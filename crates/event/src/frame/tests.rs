use std::io::Cursor;

use proptest::prelude::{prop_assert_eq, proptest};

use super::*;

/// Gives its bytes in pieces of at most so many bytes.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.len().min(self.1).min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

/// All records, what was skipped, and the error.
type Seen = (Vec<(u64, String)>, Vec<Skipped>, Option<io::Error>);

fn frame(reader: impl Read, framing: Framing) -> Seen {
    let mut frames = Frames::new(reader, framing);
    let mut block = Block::default();
    let mut records = Vec::new();
    loop {
        match frames.next_block(&mut block) {
            Ok(true) => records.extend(
                block.records().map(|record| (record.position, String::from_utf8_lossy(record.bytes).into_owned())),
            ),
            Ok(false) => return (records, frames.take_skipped(), None),
            Err(error) => return (records, frames.take_skipped(), Some(error)),
        }
    }
}

#[track_caller]
fn check(text: &str, framing: Framing, expected: &[(u64, &str)]) {
    for piece in [1, 3, 1_000] {
        let (records, skipped, error) = frame(Pieces(text.as_bytes(), piece), framing);
        let records: Vec<(u64, &str)> = records.iter().map(|(at, text)| (*at, text.as_str())).collect();
        assert_eq!(records, expected, "{text:?} in pieces of {piece}");
        assert!(skipped.is_empty() && error.is_none());
    }
}

#[test]
fn lines_are_numbered() {
    check("a\r\n\nb", Framing::Lines, &[(1, "a"), (2, ""), (3, "b")]);
    check("", Framing::Lines, &[]);
    check("\n", Framing::Lines, &[(1, "")]);
}

#[test]
fn counted_messages_and_lines_between() {
    check(
        "5 <1>ab 7 <1>a\nbc<2>x\n4 <3>y",
        Framing::OctetCounted,
        &[(1, "<1>ab"), (2, "<1>a\nbc"), (3, "<2>x"), (4, "<3>y")],
    );
    check("9 <1>cut", Framing::OctetCounted, &[(1, "<1>cut")]);
    check("99999999999 <1>x\n5 <1>ab", Framing::OctetCounted, &[(1, "99999999999 <1>x"), (2, "<1>ab")]);
}

#[test]
fn documents_of_any_layout() {
    check(
        "{\n \"a\": {}\n}\n{\"b\":2}{\"c\":3}",
        Framing::Documents,
        &[(1, "{\n \"a\": {}\n}"), (2, "{\"b\":2}"), (3, "{\"c\":3}")],
    );
    check(
        "[\n{\"a\":\"]}\\\"\"},\n\n{\"b\":[1]}]\n{}",
        Framing::Documents,
        &[(1, "{\"a\":\"]}\\\"\"}"), (2, "{\"b\":[1]}"), (3, "{}")],
    );
    check("[1, \"a\"]", Framing::Documents, &[(1, "1"), (2, "\"a\"")]);
    check("no json\n{}\n", Framing::Documents, &[(1, "no json"), (2, "{}")]);
}

#[test]
fn envelopes_are_opened() {
    for text in [
        "{\"Records\":[{\"a\":1},{\"b\":[{}]}]}",
        "{\"nextLink\":\"x\",\"value\":[{\"a\":1},{\"b\":[{}]}],\"x\":{\"y\":[]}}",
        "{ \"messageType\" : \"D\", \"subscriptionFilters\":[\"f\"], \"logEvents\" : [ {\"a\":1}, {\"b\":[{}]} ] }",
        "{\"kind\":\"k\",\"items\":[{\"a\":1},{\"b\":[{}]}],\"etag\":\"e\"}\n",
        "{\"Records\":[]}{\"events\":[{\"a\":1}]}{\"events\":[{\"b\":[{}]}]}",
    ] {
        check(text, Framing::Documents, &[(1, "{\"a\":1}"), (2, "{\"b\":[{}]}")]);
        assert!(is_document(text.as_bytes()), "{text}");
    }
}

#[test]
fn events_that_look_like_envelopes_are_not_opened() {
    for text in [
        "{\"id\":{\"t\":1},\"events\":[{\"a\":1}]}",
        "{\"value\":[1,2]}",
        "{\"value\":\"[{\"}",
        "{\"a\":{\"Records\":[{\"a\":1}]}}",
        "{\"actor\":\"x\",\"records\":[{\"a\":1}]}",
    ] {
        check(text, Framing::Documents, &[(1, text)]);
        assert!(!is_document(text.as_bytes()), "{text}");
    }
}

#[test]
fn broken_records_do_not_swallow_the_next() {
    check("{\"a\":\"x\n{\"b\":1}\n", Framing::Documents, &[(1, "{\"a\":\"x"), (2, "{\"b\":1}")]);
    check("{\"a\":1\n{\"b\":1}\n", Framing::Documents, &[(1, "{\"a\":1"), (2, "{\"b\":1}")]);
    check("}]\n{\"b\":1}", Framing::Documents, &[(1, "}]"), (2, "{\"b\":1}")]);
    check("{\"b\":1", Framing::Documents, &[(1, "{\"b\":1")]);
}

#[test]
fn overlong_records_are_skipped_and_counted() {
    let long = RECORD_BYTES as u64 + 10;
    let fill = || Cursor::new(b"{\"a\":\"".as_slice()).chain(io::repeat(b'x').take(long - 6));
    let (records, skipped, _) = frame(fill().chain(b"\n{\"b\":1}\n".as_slice()), Framing::Lines);
    assert_eq!(records, [(2, "{\"b\":1}".to_owned())]);
    assert_eq!(skipped, [Skipped { position: 1, bytes: long }]);

    let (records, skipped, _) = frame(b"\n".chain(fill()).chain(b"\"}\n{\"b\":1}\n".as_slice()), Framing::Documents);
    assert_eq!(records, [(2, "{\"b\":1}".to_owned())]);
    assert_eq!(skipped, [Skipped { position: 1, bytes: long + 2 }]);

    let head = format!("{long} ");
    let (records, skipped, _) = frame(head.as_bytes().chain(fill()).chain(b"4 <1>a".as_slice()), Framing::OctetCounted);
    assert_eq!(records, [(2, "<1>a".to_owned())]);
    assert_eq!(skipped, [Skipped { position: 1, bytes: long }]);

    let (records, skipped, _) = frame(fill(), Framing::Lines);
    assert_eq!((records.len(), skipped.len()), (0, 1));
}

#[test]
fn an_error_comes_after_what_was_read() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
    for framing in [Framing::Lines, Framing::Documents, Framing::OctetCounted] {
        let (records, _, error) = frame(b"{}\n{".chain(Fails), framing);
        assert_eq!(records, [(1, "{}".to_owned()), (2, "{".to_owned())], "{framing:?}");
        assert_eq!(error.unwrap().kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[test]
fn a_pause_gives_away_what_is_whole() {
    /// Gives a piece, then pauses, and so on.
    struct Pausing(Vec<&'static str>, bool);
    impl Read for Pausing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            match (self.1, self.0.is_empty()) {
                (true, false) => self.0.remove(0).as_bytes().read(buffer),
                (true, true) => Ok(0),
                (false, _) => Err(io::ErrorKind::WouldBlock.into()),
            }
        }
    }
    for (framing, pieces) in [
        (Framing::Lines, ["{}\n{", "}", "\n{}"]),
        (Framing::Documents, ["{}\n{", "}", "\n{}"]),
        (Framing::OctetCounted, ["2 {}2 {", "}2", " {}"]),
    ] {
        let mut frames = Frames::new(Pausing(pieces.to_vec(), false), framing);
        let (mut block, mut counts) = (Block::default(), Vec::new());
        while frames.next_block(&mut block).unwrap() {
            counts.push(block.records().map(|record| (record.position, record.bytes.len())).collect::<Vec<_>>());
        }
        assert_eq!(counts, [[(1, 2)], [(2, 2)], [(3, 2)]], "{framing:?}");
    }
}

#[test]
fn headers_are_repeated_before_each_block() {
    let mut text = "#separator \\x09\n#fields\ta\n".to_owned();
    text.push_str(&"x\n".repeat(BLOCK_BYTES));
    text.push_str("#Software: y\n#Fields: b\n");
    text.push_str(&"x\n".repeat(BLOCK_BYTES));
    let mut frames = Frames::new(text.as_bytes(), Framing::Lines);
    let mut block = Block::default();
    let mut headers = Vec::new();
    while frames.next_block(&mut block).unwrap() {
        headers.push(String::from_utf8(block.headers().to_vec()).unwrap());
    }
    headers.dedup();
    assert_eq!(headers, ["", "#separator \\x09\n#fields\ta\n", "#Software: y\n#Fields: b\n"]);
}

proptest! {
    #[test]
    fn pieces_do_not_matter(text in "([{}\\[\\]\",:\\\\a\n 0-9<>]|\"value\":\\[\\{){0,80}", piece in 1usize..20) {
        for framing in [Framing::Lines, Framing::Documents, Framing::OctetCounted] {
            let (whole, _, _) = frame(text.as_bytes(), framing);
            let (pieces, _, _) = frame(Pieces(text.as_bytes(), piece), framing);
            prop_assert_eq!(whole, pieces);
        }
    }

    #[test]
    fn lines_are_what_the_library_says(text in "[a\r\n]{0,80}") {
        let (records, _, _) = frame(text.as_bytes(), Framing::Lines);
        let expected: Vec<(u64, String)> = text
            .lines()
            .enumerate()
            .map(|(at, line)| (at as u64 + 1, line.to_owned()))
            .collect();
        let last_return = text.ends_with('\r');
        let records: Vec<(u64, String)> = records;
        if !last_return {
            prop_assert_eq!(records, expected);
        }
    }
}
