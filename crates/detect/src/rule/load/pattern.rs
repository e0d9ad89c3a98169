//! Text values of rules: wildcards with escapes, placeholders, dashes, encodings.

use khien_base::message::Message;

use super::Placeholders;
use super::item::TESTS_PER_VALUE;
use crate::reasons;
use crate::rule::Part;

/// The dashes that `windash` takes for each other (modifiers appendix 2.1, "String Modifiers").
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// Alternatives of one value while modifiers change it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Patterns {
    /// Text with wildcards.
    Text(Vec<Vec<Part>>),
    /// Bytes that an encoding made.
    Bytes(Vec<Vec<u8>>),
}

/// A piece of a value before placeholders are replaced.
enum Piece {
    Part(Part),
    Placeholder(String),
}

/// Adds a part, joining neighbouring literals and neighbouring `*`.
pub(super) fn push(parts: &mut Vec<Part>, part: Part) {
    match (parts.last_mut(), part) {
        (Some(Part::Literal(last)), Part::Literal(more)) => last.push_str(&more),
        (Some(Part::Any), Part::Any) => {}
        (_, Part::Literal(empty)) if empty.is_empty() => {}
        (_, part) => parts.push(part),
    }
}

/// The parts of a value (rules specification, "Escaping"): a backslash before `*`, `?` or a backslash makes it plain,
/// any other backslash is one itself.
pub(super) fn parse(value: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for piece in pieces(value, false) {
        if let Piece::Part(part) = piece {
            push(&mut parts, part);
        }
    }
    parts
}

fn pieces(value: &str, placeholders: bool) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut literal = String::new();
    let mut rest = value.chars().peekable();
    while let Some(c) = rest.next() {
        let special = match c {
            '\\' => {
                let escaped = rest.next_if(|n| matches!(n, '*' | '?' | '\\') || (placeholders && *n == '%'));
                literal.push(escaped.unwrap_or('\\'));
                None
            }
            '*' => Some(Piece::Part(Part::Any)),
            '?' => Some(Piece::Part(Part::One)),
            '%' if placeholders => {
                let name: String = rest.clone().take_while(|c| *c != '%').collect();
                let length = name.chars().count();
                let closed = rest.clone().nth(length) == Some('%');
                if closed && !name.is_empty() && !name.contains(char::is_whitespace) {
                    rest.nth(length);
                    Some(Piece::Placeholder(name))
                } else {
                    literal.push('%');
                    None
                }
            }
            c => {
                literal.push(c);
                None
            }
        };
        if let Some(special) = special {
            out.push(Piece::Part(Part::Literal(std::mem::take(&mut literal))));
            out.push(special);
        }
    }
    out.push(Piece::Part(Part::Literal(literal)));
    out
}

fn too_many() -> Message {
    reasons::too_many_values(TESTS_PER_VALUE)
}

impl Patterns {
    /// A value without placeholders.
    pub(super) fn parse(value: &str) -> Self {
        Self::Text(vec![parse(value)])
    }

    /// A value in which `%name%` stands for the values of a table (rules specification, "Placeholders").
    ///
    /// # Errors
    /// A placeholder nobody gave values for; too many values.
    pub(super) fn expand(value: &str, table: &Placeholders) -> Result<Self, Message> {
        let mut alternatives: Vec<Vec<Part>> = vec![Vec::new()];
        for piece in pieces(value, true) {
            match piece {
                Piece::Part(part) => alternatives.iter_mut().for_each(|a| push(a, part.clone())),
                Piece::Placeholder(name) => {
                    let values = table
                        .get(&name)
                        .filter(|v| !v.is_empty())
                        .ok_or_else(|| reasons::no_placeholder_values(&name))?;
                    alternatives = product(&alternatives, values)?;
                }
            }
        }
        Ok(Self::Text(alternatives))
    }

    /// Every dash replaced by every dash.
    ///
    /// # Errors
    /// More than [`TESTS_PER_VALUE`] combinations.
    pub(super) fn windash(self) -> Result<Self, Message> {
        let Self::Text(list) = self else {
            return Err(reasons::windash_needs_text());
        };
        let mut out = Vec::new();
        for parts in list {
            out.extend(dashed(&parts)?);
            if out.len() > TESTS_PER_VALUE {
                return Err(too_many());
            }
        }
        Ok(Self::Text(out))
    }

    /// The bytes of every alternative changed by `change`.
    ///
    /// # Errors
    /// Wildcards, which have no bytes; those of `change`.
    pub(super) fn encode<F>(self, change: F) -> Result<Self, Message>
    where
        F: Fn(&[u8]) -> Result<Vec<Vec<u8>>, Message>,
    {
        let mut out = Vec::new();
        for bytes in self.bytes()? {
            out.extend(change(&bytes)?);
        }
        Ok(Self::Bytes(out))
    }

    fn bytes(self) -> Result<Vec<Vec<u8>>, Message> {
        match self {
            Self::Bytes(list) => Ok(list),
            Self::Text(list) => list
                .into_iter()
                .map(|parts| match parts.as_slice() {
                    [] => Ok(Vec::new()),
                    [Part::Literal(text)] => Ok(text.clone().into_bytes()),
                    _ => Err(reasons::wildcards_encoded()),
                })
                .collect(),
        }
    }

    /// The alternatives as text.
    ///
    /// # Errors
    /// Encoded bytes that no text can hold.
    pub(super) fn finish(self) -> Result<Vec<Vec<Part>>, Message> {
        match self {
            Self::Text(list) => Ok(list),
            Self::Bytes(list) => list.iter().map(|b| literal(b)).collect(),
        }
    }
}

/// Bytes as they stand in a log: a UTF-16 byte order mark as the character it is.
fn literal(bytes: &[u8]) -> Result<Vec<Part>, Message> {
    let (mark, rest) = match bytes.strip_prefix(&[0xff, 0xfe]) {
        Some(rest) => ("\u{feff}", rest),
        None => ("", bytes),
    };
    let text = std::str::from_utf8(rest).map_err(|_| reasons::encoded_no_text())?;
    let mut parts = Vec::new();
    push(&mut parts, Part::Literal(format!("{mark}{text}")));
    Ok(parts)
}

fn product(alternatives: &[Vec<Part>], values: &[String]) -> Result<Vec<Vec<Part>>, Message> {
    if alternatives.len().saturating_mul(values.len()) > TESTS_PER_VALUE {
        return Err(too_many());
    }
    let mut out = Vec::with_capacity(alternatives.len() * values.len());
    for start in alternatives {
        for value in values {
            let mut parts = start.clone();
            for part in parse(value) {
                push(&mut parts, part);
            }
            out.push(parts);
        }
    }
    Ok(out)
}

/// All ways to write the dashes of `parts`.
fn dashed(parts: &[Part]) -> Result<Vec<Vec<Part>>, Message> {
    let dashes = parts
        .iter()
        .map(|p| match p {
            Part::Literal(text) => text.chars().filter(|c| DASHES.contains(c)).count(),
            Part::One | Part::Any => 0,
        })
        .sum::<usize>();
    let total = u32::try_from(dashes)
        .ok()
        .and_then(|n| DASHES.len().checked_pow(n))
        .filter(|n| *n <= TESTS_PER_VALUE)
        .ok_or_else(too_many)?;
    Ok((0..total).map(|choice| with_dashes(parts, choice)).collect())
}

/// `parts` with the dashes that `choice` selects, read as a number in base five.
fn with_dashes(parts: &[Part], mut choice: usize) -> Vec<Part> {
    let mut replace = |c: char| {
        if !DASHES.contains(&c) {
            return c;
        }
        let dash = DASHES[choice % DASHES.len()];
        choice /= DASHES.len();
        dash
    };
    parts
        .iter()
        .map(|p| match p {
            Part::Literal(text) => Part::Literal(text.chars().map(&mut replace).collect()),
            other => other.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> String {
        parse(value)
            .iter()
            .map(|p| match p {
                Part::Literal(t) => format!("[{t}]"),
                Part::One => "?".into(),
                Part::Any => "*".into(),
            })
            .collect()
    }

    #[test]
    fn escapes_follow_the_specification() {
        assert_eq!(shown(r"C:\Windows"), r"[C:\Windows]");
        assert_eq!(shown(r"a\\b"), r"[a\b]");
        assert_eq!(shown(r"a\*"), "[a*]");
        assert_eq!(shown(r"a\\*"), r"[a\]*");
        assert_eq!(shown(r"a\\\*"), r"[a\*]");
        assert_eq!(shown(r"\\\\"), r"[\\]");
        assert_eq!(shown(r"\\\"), r"[\\]");
        assert_eq!(shown("a?**b"), "[a]?*[b]");
        assert_eq!(shown(""), "");
        assert_eq!(shown(r"100%\%"), r"[100%\%]");
    }
}
