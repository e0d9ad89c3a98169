//! Step two: the structure of the record, from quote to quote.

use super::Emit;
use super::keys::{After, KeyTree, NodeId};
use super::scan::Scan;
use crate::decode::Malformed;
use crate::fields::{Fields, Kind};
use crate::names::FieldId;
use crate::reasons;
use crate::taxonomy::PairPart;
use khien_base::limits::{EVENT_FIELDS, JSON_DEPTH};

/// Walks a record, fills `fields`, and returns what its keys say about its shape.
pub(super) fn record(
    record: &[u8],
    scan: &Scan,
    keys: &mut KeyTree,
    emit: Emit,
    fields: &mut Fields,
) -> Result<u64, Malformed> {
    let mut walk = Walk {
        record,
        scan,
        keys,
        emit,
        labels: fields.keeps_labels(),
        fields,
        marks: 0,
        seen: 0,
        pair: Pair::default(),
    };
    let start = walk.skip_space(0);
    if walk.byte(start) != b'{' {
        return Err(Malformed::new(reasons::NOT_AN_OBJECT, start));
    }
    let end = walk.object(NodeId::ROOT, start, 1)?;
    let end = walk.skip_space(end);
    if end < record.len() {
        return Err(Malformed::new(reasons::MORE_BEHIND, end));
    }
    Ok(walk.marks)
}

struct Walk<'a> {
    record: &'a [u8],
    scan: &'a Scan,
    keys: &'a mut KeyTree,
    emit: Emit,
    labels: bool,
    fields: &'a mut Fields,
    marks: u64,
    seen: usize,
    pair: Pair,
}

/// The parts of the pair that is being read, as spans.
#[derive(Clone, Copy, Default)]
struct Pair {
    name: Option<(usize, usize)>,
    value: Option<(Kind, usize, usize)>,
}

impl Walk<'_> {
    /// The byte at `at`; 0, which JSON has no use for, behind the end.
    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.record.get(at).copied().unwrap_or(0)
    }

    #[inline]
    fn skip_space(&self, mut at: usize) -> usize {
        while matches!(self.byte(at), b' ' | b'\t' | b'\n' | b'\r') {
            at += 1;
        }
        at
    }

    /// Reads the object that opens at `at`; returns the position behind it.
    fn object(&mut self, node: NodeId, at: usize, depth: usize) -> Result<usize, Malformed> {
        if depth > JSON_DEPTH {
            return Err(Malformed::new(reasons::TOO_DEEP, at));
        }
        let mut at = self.skip_space(at + 1);
        if self.byte(at) == b'}' {
            return Ok(at + 1);
        }
        let mut after = After::Open(node);
        loop {
            if self.byte(at) != b'"' {
                return Err(Malformed::new(reasons::KEY_EXPECTED, at));
            }
            let (key, value) = self.key(node, after, at + 1)?;
            self.seen += 1;
            if self.seen > EVENT_FIELDS {
                return Err(Malformed::new(reasons::TOO_MANY_FIELDS, at));
            }
            self.marks |= self.keys.node(key).marks;
            let end = self.value(key, self.skip_space(value), depth)?;
            at = self.skip_space(end);
            match self.byte(at) {
                b',' => at = self.skip_space(at + 1),
                b'}' => return Ok(at + 1),
                _ => return Err(Malformed::new(reasons::OBJECT_GOES_ON, at)),
            }
            after = After::Key(key);
        }
    }

    /// Recognises the key whose first character is at `at`; returns it and the position behind its colon.
    #[inline]
    fn key(&mut self, parent: NodeId, after: After, at: usize) -> Result<(NodeId, usize), Malformed> {
        if let Some(found) = self.keys.predicted(after, self.record, at) {
            return Ok(found);
        }
        self.unexpected_key(parent, after, at)
    }

    #[cold]
    fn unexpected_key(&mut self, parent: NodeId, after: After, at: usize) -> Result<(NodeId, usize), Malformed> {
        let quote = self.scan.next_quote(at).ok_or(Malformed::new(reasons::OPEN_STRING, at))?;
        self.check_control(at, quote)?;
        if self.byte(quote + 1) == b':' {
            let end = quote + 2;
            return Ok((self.keys.find(parent, after, &self.record[at..end]), end));
        }
        let colon = self.skip_space(quote + 1);
        if self.byte(colon) != b':' {
            return Err(Malformed::new(reasons::COLON_EXPECTED, colon));
        }
        let mut raw = self.record[at..=quote].to_vec();
        raw.push(b':');
        Ok((self.keys.find(parent, after, &raw), colon + 1))
    }

    /// Reads the value of `key` that starts at `at`; returns the position behind it.
    #[inline]
    fn value(&mut self, key: NodeId, at: usize, depth: usize) -> Result<usize, Malformed> {
        match self.byte(at) {
            b'"' => self.string(key, at + 1),
            b'{' => {
                self.emit_object(key, at);
                match self.keys.node(key).pair {
                    Some(PairPart::List) => self.pair(key, at, depth + 1),
                    _ => self.object(key, at, depth + 1),
                }
            }
            b'[' => self.array(key, at, depth + 1),
            b't' => self.literal(key, at, b"true", Kind::True),
            b'f' => self.literal(key, at, b"false", Kind::False),
            b'n' => self.literal(key, at, b"null", Kind::Null),
            b'-' | b'0'..=b'9' => self.number(key, at),
            _ => Err(Malformed::new(reasons::VALUE_EXPECTED, at)),
        }
    }

    #[inline]
    fn string(&mut self, key: NodeId, at: usize) -> Result<usize, Malformed> {
        let quote = self.scan.next_quote(at).ok_or(Malformed::new(reasons::OPEN_STRING, at))?;
        self.check_control(at, quote)?;
        self.emit(key, Kind::Escaped, at, quote - at);
        Ok(quote + 1)
    }

    /// Control characters inside strings must be escaped (RFC 8259 section 7).
    #[inline]
    fn check_control(&self, from: usize, to: usize) -> Result<(), Malformed> {
        if !self.scan.control {
            return Ok(());
        }
        match self.record[from..to].iter().position(|&b| b < 0x20) {
            Some(i) => Err(Malformed::new(reasons::CONTROL_CHARACTER, from + i)),
            None => Ok(()),
        }
    }

    fn array(&mut self, key: NodeId, at: usize, depth: usize) -> Result<usize, Malformed> {
        if depth > JSON_DEPTH {
            return Err(Malformed::new(reasons::TOO_DEEP, at));
        }
        let mut at = self.skip_space(at + 1);
        if self.byte(at) == b']' {
            self.emit(key, Kind::EmptyArray, at, 0);
            return Ok(at + 1);
        }
        loop {
            self.seen += 1;
            if self.seen > EVENT_FIELDS {
                return Err(Malformed::new(reasons::TOO_MANY_FIELDS, at));
            }
            let end = self.value(key, at, depth)?;
            at = self.skip_space(end);
            match self.byte(at) {
                b',' => at = self.skip_space(at + 1),
                b']' => return Ok(at + 1),
                _ => return Err(Malformed::new(reasons::ARRAY_GOES_ON, at)),
            }
        }
    }

    fn literal(&mut self, key: NodeId, at: usize, text: &[u8], kind: Kind) -> Result<usize, Malformed> {
        if !self.record[at..].starts_with(text) {
            return Err(Malformed::new(reasons::LITERAL_EXPECTED, at));
        }
        self.emit(key, kind, at, text.len());
        Ok(at + text.len())
    }

    /// A number by the grammar of RFC 8259 section 6.
    fn number(&mut self, key: NodeId, start: usize) -> Result<usize, Malformed> {
        let mut at = start + usize::from(self.byte(start) == b'-');
        at = match self.byte(at) {
            b'0' => at + 1,
            b'1'..=b'9' => self.digits(at),
            _ => return Err(Malformed::new(reasons::DIGIT_EXPECTED, at)),
        };
        if self.byte(at) == b'.' {
            at = self.some_digits(at + 1)?;
        }
        if matches!(self.byte(at), b'e' | b'E') {
            at += 1 + usize::from(matches!(self.byte(at + 1), b'+' | b'-'));
            at = self.some_digits(at)?;
        }
        self.emit(key, Kind::Number, start, at - start);
        Ok(at)
    }

    #[inline]
    fn digits(&self, mut at: usize) -> usize {
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        at
    }

    fn some_digits(&self, at: usize) -> Result<usize, Malformed> {
        let end = self.digits(at);
        if end == at { Err(Malformed::new(reasons::DIGIT_EXPECTED, at)) } else { Ok(end) }
    }

    #[inline]
    fn emit(&mut self, key: NodeId, kind: Kind, start: usize, len: usize) {
        let node = self.keys.node(key);
        if let Some(part) = node.pair {
            self.pair_part(part, kind, start, len);
        }
        let node = self.keys.node(key);
        if node.name != FieldId::OTHER || self.emit == Emit::All {
            self.fields.push_span(node.name, kind, start, len);
            if self.labels {
                self.fields.push_label(&node.label);
            }
        }
    }

    /// Reads an object of a list of pairs, and hands its value out once more under the name it gives.
    #[cold]
    fn pair(&mut self, list: NodeId, at: usize, depth: usize) -> Result<usize, Malformed> {
        let outer = std::mem::take(&mut self.pair);
        let end = self.object(list, at, depth)?;
        let pair = std::mem::replace(&mut self.pair, outer);
        if let Some((start, len)) = pair.name {
            let member = self.keys.member(list, &self.record[start..start + len]);
            self.marks |= self.keys.node(member).marks;
            let (kind, start, len) = pair.value.unwrap_or((Kind::Null, at, 0));
            self.emit(member, kind, start, len);
        }
        Ok(end)
    }

    /// Notes a value that is part of a pair.
    #[cold]
    fn pair_part(&mut self, part: PairPart, kind: Kind, start: usize, len: usize) {
        match part {
            PairPart::Name if kind == Kind::Escaped => self.pair.name = self.pair.name.or(Some((start, len))),
            PairPart::Value if !matches!(kind, Kind::Object | Kind::EmptyArray) => {
                self.pair.value = self.pair.value.or(Some((kind, start, len)));
            }
            PairPart::Name | PairPart::Value | PairPart::List => {}
        }
    }

    /// Objects are only worth a field when somebody asks for them by name. The span is the opening brace.
    #[inline]
    fn emit_object(&mut self, key: NodeId, at: usize) {
        if self.keys.node(key).name != FieldId::OTHER {
            self.emit(key, Kind::Object, at, 1);
        }
    }
}
