//! `key=value` texts, as auditd and firewalls write them.

use std::borrow::Cow;

/// How a value was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quote {
    /// As it is, up to the next separator.
    None,
    /// Between `"`.
    Double,
    /// Between `'`.
    Single,
    /// Between `{` and `}`.
    Braces,
}

/// A part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// A word without `=`.
    Word(&'a str),
    /// A pair; the value stands without its quotes, still escaped.
    Pair { key: &'a str, value: &'a str, quote: Quote },
}

/// Where a `"` ends a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// At the first one: what contains one is encoded in another way. Only blanks divide pairs (auditd).
    First,
    /// At the first one that no backslash precedes and that the end or another pair follows, so that careless quotes
    /// inside do no harm; else at the first one before a separator. Commas and semicolons may divide pairs too.
    BeforeSeparator,
}

/// Reads pairs from left to right.
#[derive(Clone, Debug)]
pub(crate) struct Pairs<'a> {
    rest: &'a str,
    closing: Closing,
    /// No `'` and no `}` closes a value from here on, so that a line of open ones is not searched again and again.
    no_single: bool,
    no_brace: bool,
}

impl<'a> Pairs<'a> {
    pub(crate) fn new(text: &'a str, closing: Closing) -> Self {
        Self { rest: text, closing, no_single: false, no_brace: false }
    }

    /// Where the `"` that ends the value stands in `text`, which begins after the opening one.
    fn closing(&self, text: &str) -> Option<usize> {
        let bytes = text.as_bytes();
        match self.closing {
            Closing::First => memchr::memchr(b'"', bytes),
            Closing::BeforeSeparator => closing_before_separator(bytes),
        }
    }

    /// Takes the value that begins the rest.
    fn value(&mut self) -> (&'a str, Quote) {
        let text = self.rest;
        if let Some(inner) = text.strip_prefix('"') {
            let end = self.closing(inner).unwrap_or(inner.len());
            return self.take(inner, end, 1, Quote::Double);
        }
        if let Some(inner) = text.strip_prefix('\'')
            && !self.no_single
        {
            let end = memchr::memchr_iter(b'\'', inner.as_bytes())
                .find(|&at| inner.as_bytes().get(at + 1).is_none_or(|&b| is_separator(b)));
            if let Some(end) = end {
                return self.take(inner, end, 1, Quote::Single);
            }
            self.no_single = true;
        }
        if let Some(inner) = text.strip_prefix("{ ")
            && !self.no_brace
        {
            if let Some(end) = memchr::memchr(b'}', inner.as_bytes()) {
                return self.take(inner, end, 1, Quote::Braces);
            }
            self.no_brace = true;
        }
        let end = self.end_of_bare(text.as_bytes());
        self.take(text, end, 0, Quote::None)
    }

    /// Where a value without quotes ends: at a blank, or at a comma that divides (`a=1,b=2` but not `a=1,2`).
    fn end_of_bare(&self, text: &[u8]) -> usize {
        let blank = text.iter().position(|&b| is_blank(b)).unwrap_or(text.len());
        if self.closing == Closing::First {
            return blank;
        }
        let divides = |at: usize| {
            let rest = &text[at + 1..];
            rest.first().is_none_or(|&b| is_blank(b)) || starts_with_key(rest)
        };
        memchr::memchr2_iter(b',', b';', &text[..blank]).find(|&at| divides(at)).unwrap_or(blank)
    }

    /// Takes `inner[..end]` and continues `skip` bytes after it.
    fn take(&mut self, inner: &'a str, end: usize, skip: usize, quote: Quote) -> (&'a str, Quote) {
        self.rest = inner.get(end + skip..).unwrap_or("");
        (inner.get(..end).unwrap_or(inner), quote)
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let divides = if self.closing == Closing::First { is_blank } else { is_separator };
        self.rest = self.rest.trim_start_matches(|c: char| u8::try_from(c).is_ok_and(divides));
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.bytes().position(|b| b == b'=' || divides(b)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        match rest.strip_prefix('=') {
            Some(rest) if !word.is_empty() => {
                self.rest = rest;
                let (value, quote) = self.value();
                Some(Part::Pair { key: word, value, quote })
            }
            Some(rest) => {
                self.rest = rest;
                Some(Part::Word("="))
            }
            None => {
                self.rest = rest;
                Some(Part::Word(word))
            }
        }
    }
}

/// See [`Closing::BeforeSeparator`].
fn closing_before_separator(bytes: &[u8]) -> Option<usize> {
    let mut first = None;
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'\\' {
            at += 2;
            continue;
        }
        let rest = &bytes[at + 1..];
        let blanks = rest.iter().take_while(|&&b| is_separator(b)).count();
        if rest.is_empty() || (blanks > 0 && (blanks == rest.len() || starts_with_key(&rest[blanks..]))) {
            return Some(at);
        }
        if first.is_some() && at > 0 && bytes[at - 1] == b'=' {
            // The value of another pair begins here.
            return first;
        }
        if blanks > 0 {
            first = first.or(Some(at));
        }
        at += 1;
    }
    first
}

/// What stands between pairs; 0x1d divides auditd's own fields from the ones it resolved.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x1d)
}

fn is_separator(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b',' | b';')
}

/// Whether a name of at most 64 bytes and `=` begin `text`.
pub(crate) fn starts_with_key(text: &[u8]) -> bool {
    let name =
        text.iter().take(64).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')).count();
    name > 0 && text.get(name) == Some(&b'=')
}

/// Removes backslash escapes: `\n`, `\r`, `\t` become what they mean, any other escaped character becomes itself.
pub(crate) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            Some(other) => plain.push(other),
            None => plain.push('\\'),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str, closing: Closing) -> Vec<Part<'_>> {
        Pairs::new(text, closing).collect()
    }

    fn pair<'a>(key: &'a str, value: &'a str, quote: Quote) -> Part<'a> {
        Part::Pair { key, value, quote }
    }

    #[test]
    fn reads_all_quotes() {
        assert_eq!(
            parts(r#"a=1 b="x \"y\" z" word c='op=1 d=2' e={ f=g } h="#, Closing::BeforeSeparator),
            [
                pair("a", "1", Quote::None),
                pair("b", r#"x \"y\" z"#, Quote::Double),
                Part::Word("word"),
                pair("c", "op=1 d=2", Quote::Single),
                pair("e", "f=g ", Quote::Braces),
                pair("h", "", Quote::None),
            ]
        );
    }

    #[test]
    fn commas_divide_pairs_but_not_values() {
        assert_eq!(
            parts("a=1,b=2, c=3,4;d=5", Closing::BeforeSeparator),
            [
                pair("a", "1", Quote::None),
                pair("b", "2", Quote::None),
                pair("c", "3,4", Quote::None),
                pair("d", "5", Quote::None),
            ]
        );
        assert_eq!(parts("a=1,b=2", Closing::First), [pair("a", "1,b=2", Quote::None)]);
    }

    #[test]
    fn an_open_quote_ends_with_the_text() {
        assert_eq!(parts("a=\"b c", Closing::First), [pair("a", "b c", Quote::Double)]);
        assert_eq!(parts("a='b c", Closing::First), [pair("a", "'b", Quote::None), Part::Word("c")]);
    }

    #[test]
    fn quotes_inside_values_do_not_end_them() {
        assert_eq!(parts(r#"msg="User "joe" left" n=2"#, Closing::BeforeSeparator)[1..], [pair("n", "2", Quote::None)]);
        assert_eq!(
            parts(r#"a="1" word b="2" c="3""#, Closing::BeforeSeparator),
            [
                pair("a", "1", Quote::Double),
                Part::Word("word"),
                pair("b", "2", Quote::Double),
                pair("c", "3", Quote::Double),
            ]
        );
    }

    proptest! {
        #[test]
        fn ends_for_every_text(text in "[ab=\"'{} \\\\,é]{0,60}") {
            for closing in [Closing::First, Closing::BeforeSeparator] {
                prop_assert!(parts(&text, closing).len() <= text.len());
            }
        }
    }
}
