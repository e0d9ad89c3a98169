//! From text to terms.

use khien_base::message::Message;

use super::{SearchFault, reasons};

/// Longest search, in characters.
const LENGTH: usize = 8_192;

/// Deepest nesting.
const DEPTH: usize = 32;

/// Most terms.
const TERMS: usize = 512;

/// A search as it is put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Term(Term),
}

/// One question to a field, or to the raw record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) field: Option<String>,
    pub(crate) test: Test,
    /// Where it stands, counted from 1.
    pub(crate) at: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Like(Vec<Piece>),
    Compare(Comparison, String),
    /// From and to, each with whether it belongs to it; `None` for no end.
    Range(Option<(String, bool)>, Option<(String, bool)>),
}

/// A part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    /// Any characters.
    Any,
    /// Any one character.
    One,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    AtMost,
    More,
    AtLeast,
}

/// Reads a search; `None` when it asks for nothing in particular.
pub(crate) fn parse(query: &str) -> Result<Option<Node>, SearchFault> {
    let text: Vec<char> = query.chars().take(LENGTH + 1).collect();
    if text.len() > LENGTH {
        return Err(SearchFault { at: LENGTH + 1, what: reasons::too_long(LENGTH) });
    }
    let mut parser = Parser { text, at: 0, terms: 0 };
    parser.blanks();
    if parser.peek().is_none() || parser.text.iter().collect::<String>().trim() == "*" {
        return Ok(None);
    }
    let node = parser.any_of(None, 0)?;
    match parser.peek() {
        None => Ok(Some(node)),
        Some(_) => Err(parser.fault(reasons::closes_nothing())),
    }
}

struct Parser {
    text: Vec<char>,
    at: usize,
    terms: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn fault(&self, what: Message) -> SearchFault {
        SearchFault { at: self.at + 1, what }
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn takes(&mut self, wanted: char) -> bool {
        let is = self.peek() == Some(wanted);
        self.at += usize::from(is);
        is
    }

    /// Takes a word that stands alone.
    fn takes_word(&mut self, word: &str) -> bool {
        let end = self.at + word.len();
        let is = self.text.get(self.at..end).is_some_and(|text| text.iter().copied().eq(word.chars()))
            && self.text.get(end).is_none_or(|next| next.is_whitespace() || "()".contains(*next));
        if is {
            self.at = end;
        }
        is
    }

    /// Terms with `OR` between them. `field` is the one before an opening parenthesis.
    fn any_of(&mut self, field: Option<&str>, depth: usize) -> Result<Node, SearchFault> {
        if depth > DEPTH {
            return Err(self.fault(reasons::too_deep(DEPTH)));
        }
        let mut list = vec![self.all_of(field, depth)?];
        loop {
            self.blanks();
            if !self.takes_word("OR") {
                break;
            }
            list.push(self.all_of(field, depth)?);
        }
        Ok(if list.len() == 1 { list.remove(0) } else { Node::Or(list) })
    }

    /// Terms with `AND` or a blank between them.
    fn all_of(&mut self, field: Option<&str>, depth: usize) -> Result<Node, SearchFault> {
        let mut list = vec![self.one(field, depth)?];
        loop {
            self.blanks();
            let before = self.at;
            if self.takes_word("OR") {
                self.at = before;
                break;
            }
            let wanted = self.takes_word("AND");
            self.blanks();
            if !wanted && matches!(self.peek(), None | Some(')')) {
                break;
            }
            list.push(self.one(field, depth)?);
        }
        Ok(if list.len() == 1 { list.remove(0) } else { Node::And(list) })
    }

    fn one(&mut self, field: Option<&str>, depth: usize) -> Result<Node, SearchFault> {
        self.blanks();
        if self.takes_word("NOT") || self.takes('-') {
            if depth >= DEPTH {
                return Err(self.fault(reasons::too_many_nots(DEPTH)));
            }
            return Ok(Node::Not(Box::new(self.one(field, depth + 1)?)));
        }
        if self.takes('(') {
            let inner = self.any_of(field, depth + 1)?;
            self.blanks();
            if !self.takes(')') {
                return Err(self.fault(reasons::not_closed()));
            }
            return Ok(inner);
        }
        for word in ["AND", "OR"] {
            if self.takes_word(word) {
                self.at -= word.len();
                return Err(self.fault(reasons::nothing_before(word)));
            }
        }
        self.term(field, depth)
    }

    fn term(&mut self, field: Option<&str>, depth: usize) -> Result<Node, SearchFault> {
        self.terms += 1;
        if self.terms > TERMS {
            return Err(self.fault(reasons::too_many_terms(TERMS)));
        }
        let at = self.at + 1;
        let own = if field.is_none() { self.field() } else { None };
        let named = own.as_deref().or(field);
        if own.is_some() && self.takes('(') {
            let inner = self.any_of(named, depth + 1)?;
            self.blanks();
            if !self.takes(')') {
                return Err(self.fault(reasons::not_closed()));
            }
            return Ok(inner);
        }
        let test = self.test(named.is_some())?;
        Ok(Node::Term(Term { field: named.map(str::to_owned), test, at }))
    }

    /// Takes the name of a field and its colon.
    fn field(&mut self) -> Option<String> {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|c| !(c.is_ascii_alphanumeric() || "._@-".contains(*c)))?;
        if length == 0 || rest[length] != ':' {
            return None;
        }
        let name = rest[..length].iter().collect();
        self.at += length + 1;
        Some(name)
    }

    fn test(&mut self, has_field: bool) -> Result<Test, SearchFault> {
        if !has_field {
            return Ok(Test::Like(self.value(")")?));
        }
        for (sign, or_equal) in
            [('<', [Comparison::Less, Comparison::AtMost]), ('>', [Comparison::More, Comparison::AtLeast])]
        {
            if self.takes(sign) {
                let comparison = or_equal[usize::from(self.takes('='))];
                let value = self.plain(")")?;
                return Ok(Test::Compare(comparison, value));
            }
        }
        if matches!(self.peek(), Some('[' | '{')) {
            return self.range();
        }
        Ok(Test::Like(self.value(")")?))
    }

    fn range(&mut self) -> Result<Test, SearchFault> {
        let with_low = self.takes('[');
        self.at += usize::from(!with_low);
        self.blanks();
        let low = self.plain("]}")?;
        self.blanks();
        if !self.takes_word("TO") {
            return Err(self.fault(reasons::range_form()));
        }
        self.blanks();
        let high = self.plain("]}")?;
        self.blanks();
        let with_high = self.takes(']');
        if !with_high && !self.takes('}') {
            return Err(self.fault(reasons::range_end()));
        }
        let end = |value: String, with: bool| (value != "*").then_some((value, with));
        Ok(Test::Range(end(low, with_low), end(high, with_high)))
    }

    /// A value whose wildcards are characters like others.
    fn plain(&mut self, stops: &str) -> Result<String, SearchFault> {
        let pieces = self.value(stops)?;
        let text = pieces.into_iter().map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Any => "*".to_owned(),
            Piece::One => "?".to_owned(),
        });
        Ok(text.collect())
    }

    /// A value in quotes, or up to a blank or one of `stops`.
    fn value(&mut self, stops: &str) -> Result<Vec<Piece>, SearchFault> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let quoted = self.takes('"');
        loop {
            let Some(next) = self.peek() else {
                if quoted {
                    return Err(self.fault(reasons::quote_not_closed()));
                }
                break;
            };
            if quoted && next == '"' {
                self.at += 1;
                break;
            }
            if !quoted && (next.is_whitespace() || stops.contains(next)) {
                break;
            }
            self.at += 1;
            let piece = match next {
                '*' if !quoted => Piece::Any,
                '?' if !quoted => Piece::One,
                // A backslash takes the meaning of a character; others, as in paths of Windows, are themselves.
                '\\' => {
                    let escaped = self.peek().filter(|c| "\"\\*?() []{}:".contains(*c));
                    self.at += usize::from(escaped.is_some());
                    text.push(escaped.unwrap_or('\\'));
                    continue;
                }
                other => {
                    text.push(other);
                    continue;
                }
            };
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            if pieces.last() != Some(&Piece::Any) || piece != Piece::Any {
                pieces.push(piece);
            }
        }
        if !text.is_empty() || quoted && pieces.is_empty() {
            pieces.push(Piece::Text(text));
        }
        if pieces.is_empty() {
            return Err(self.fault(reasons::no_value()));
        }
        Ok(pieces)
    }
}
