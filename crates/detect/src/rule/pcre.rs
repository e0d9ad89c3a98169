//! Regular expressions as Sigma rules write them, for crate `regex`.
//!
//! The specification names PCRE (appendix "Modifiers", "Regular Expression"). Where both languages mean the same the
//! pattern stays as it is; where an exact rewrite exists it is made; what has none (look-around, back-references,
//! possessive quantifiers, atomic groups, recursion) is refused with the reason. Matching is linear in the text, so no
//! pattern can be catastrophic; what a pattern may cost in memory is bounded by [`REGEX_BYTES`].

use std::iter::Peekable;
use std::str::Chars;

use khien_base::message::Message;
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::reasons;

/// Most bytes a compiled pattern may take.
pub const REGEX_BYTES: usize = 4 << 20;

/// Deepest nesting of groups.
const NESTING: u32 = 64;

/// Weight below which a pattern cannot come near [`REGEX_BYTES`], so that it need not be compiled to know.
const LIGHT: u64 = 4_000;

/// Longest pattern in bytes.
const PATTERN_BYTES: usize = 16 << 10;

/// White space of `\h`.
const BLANKS: &str = r"\t\x20\u{a0}\u{1680}\u{180e}\u{2000}-\u{200a}\u{202f}\u{205f}\u{3000}";

/// Line ends of `\v` and `\R`.
const BREAKS: &str = r"\n\x0b\f\r\u{85}\u{2028}\u{2029}";

/// The sub-modifiers of `re`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `i`
    pub ignore_case: bool,
    /// `m`
    pub multi_line: bool,
    /// `s`
    pub dot_all: bool,
}

/// Compiles a pattern that [`translate`] made, within the bounds of this module.
///
/// # Errors
/// Those of crate `regex`; none for a pattern that [`translate`] returned.
pub fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(REGEX_BYTES).nest_limit(NESTING).build()
}

/// What a pattern that [`translate`] made means.
///
/// # Errors
/// Those of crate `regex-syntax`; none for a pattern that [`translate`] returned.
pub fn parse(pattern: &str) -> Result<Hir, Box<regex_syntax::Error>> {
    Ok(regex_syntax::ParserBuilder::new().nest_limit(NESTING).build().parse(pattern)?)
}

/// The pattern in the language of crate `regex`, flags written in front.
///
/// # Errors
/// Why the pattern cannot be used.
pub fn translate(pattern: &str, flags: Flags) -> Result<String, Message> {
    if pattern.len() > PATTERN_BYTES {
        return Err(reasons::regex_too_long(pattern.len(), PATTERN_BYTES));
    }
    let mut out = prefix(flags);
    Translator::new(pattern, &mut out).run()?;
    check(&out)?;
    Ok(out)
}

fn prefix(flags: Flags) -> String {
    let mut letters = String::new();
    for (on, letter) in [(flags.ignore_case, 'i'), (flags.multi_line, 'm'), (flags.dot_all, 's')] {
        if on {
            letters.push(letter);
        }
    }
    if letters.is_empty() { letters } else { format!("(?{letters})") }
}

fn check(pattern: &str) -> Result<(), Message> {
    let hir = parse(pattern).map_err(|e| syntax_reason(&e))?;
    if weight(&hir) <= LIGHT {
        return Ok(());
    }
    match build(pattern) {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(limit)) => Err(reasons::regex_too_big(limit)),
        Err(e) => Err(reasons::regex_wrong(last_line(&e.to_string()))),
    }
}

fn syntax_reason(error: &regex_syntax::Error) -> Message {
    let what = match error {
        regex_syntax::Error::Parse(e) => e.kind().to_string(),
        regex_syntax::Error::Translate(e) => e.kind().to_string(),
        other => last_line(&other.to_string()).to_owned(),
    };
    reasons::regex_wrong(what)
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ")
}

/// How much a pattern costs, roughly in states of its automaton.
fn weight(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(l) => l.0.len() as u64,
        HirKind::Class(Class::Unicode(c)) => 1 + c.ranges().len() as u64,
        HirKind::Class(Class::Bytes(c)) => 1 + c.ranges().len() as u64,
        HirKind::Capture(c) => weight(&c.sub).saturating_add(2),
        HirKind::Repetition(r) => {
            let times = u64::from(r.max.unwrap_or(r.min.saturating_add(1)).max(1));
            weight(&r.sub).saturating_add(1).saturating_mul(times)
        }
        HirKind::Concat(list) | HirKind::Alternation(list) => list.iter().map(weight).fold(1, u64::saturating_add),
    }
}

/// Rewrites a pattern character by character.
struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    out: &'a mut String,
    /// Whether something stands before that a quantifier can repeat.
    atom: bool,
    /// Whether the last thing was a quantifier.
    quantified: bool,
}

impl<'a> Translator<'a> {
    fn new(pattern: &'a str, out: &'a mut String) -> Self {
        Self { rest: pattern.chars().peekable(), out, atom: false, quantified: false }
    }

    fn run(mut self) -> Result<(), Message> {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                '{' => self.brace(),
                '*' | '+' | '?' => self.quantifier(c)?,
                '|' => self.push(c, false),
                _ => self.push(c, true),
            }
        }
        Ok(())
    }

    fn push(&mut self, c: char, atom: bool) {
        self.out.push(c);
        self.atom = atom;
        self.quantified = false;
    }

    fn push_text(&mut self, text: &str) {
        self.out.push_str(text);
        self.atom = true;
        self.quantified = false;
    }

    fn push_literal(&mut self, c: char) {
        if c.is_ascii_punctuation() && c != '<' && c != '>' {
            self.out.push('\\');
        }
        self.push(c, true);
    }

    fn escape(&mut self) -> Result<(), Message> {
        let Some(c) = self.rest.next() else {
            return Err(reasons::regex_ends_with_backslash());
        };
        match c {
            'Q' => self.quoted(),
            'E' => {}
            'h' => self.push_text(&format!("[{BLANKS}]")),
            'H' => self.push_text(&format!("[^{BLANKS}]")),
            'v' => self.push_text(&format!("[{BREAKS}]")),
            'V' => self.push_text(&format!("[^{BREAKS}]")),
            'R' => self.push_text(&format!(r"(?:\r\n|[{BREAKS}])")),
            'N' => self.push_text(r"[^\n]"),
            'e' => self.push_text(r"\x1b"),
            'Z' => self.push_text(r"(?:\n?\z)"),
            'G' | 'K' | 'X' | 'C' => return Err(unsupported(&format!("`\\{c}`"))),
            'g' | 'k' | '1'..='9' => return Err(unsupported("back-references")),
            '0' => return Err(unsupported("octal escapes")),
            c if c.is_alphabetic() => {
                self.out.push('\\');
                self.push(c, true);
            }
            c => self.push_literal(c),
        }
        Ok(())
    }

    /// What stands between `\Q` and `\E`.
    fn quoted(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.peek() == Some(&'E') {
                self.rest.next();
                return;
            }
            self.push_literal(c);
        }
    }

    fn quantifier(&mut self, c: char) -> Result<(), Message> {
        match (self.quantified, c) {
            (true, '+') => return Err(unsupported("possessive quantifiers")),
            (true, '*') => return Err(reasons::regex_double_repetition()),
            (true, _) => self.push(c, true),
            (false, _) if self.atom => {
                self.push(c, true);
                self.quantified = true;
            }
            (false, _) => return Err(reasons::regex_repeats_nothing()),
        }
        Ok(())
    }

    /// `{`: a quantifier only where PCRE takes it for one.
    fn brace(&mut self) {
        let ahead: String = self.rest.clone().take_while(|c| *c != '}').take(24).collect();
        let closed = self.rest.clone().nth(ahead.chars().count()) == Some('}');
        let bounds: Vec<&str> = ahead.split(',').collect();
        let digits = |s: &&str| s.chars().all(|c| c.is_ascii_digit());
        let numbers = bounds.len() <= 2 && bounds.iter().all(digits) && ahead.len() > bounds.len() - 1;
        if !(closed && numbers && self.atom) {
            self.push_text(r"\{");
            return;
        }
        for _ in 0..=ahead.chars().count() {
            self.rest.next();
        }
        self.out.push('{');
        self.out.push_str(&ahead);
        self.push('}', true);
        self.quantified = true;
    }

    fn group(&mut self) -> Result<(), Message> {
        let ahead: String = self.rest.clone().take(3).collect();
        if ahead.starts_with('*') {
            return Err(unsupported("verbs such as `(*SKIP)`"));
        }
        if !ahead.starts_with('?') {
            self.push('(', false);
            return Ok(());
        }
        match ahead.get(1..).unwrap_or_default() {
            "<=" | "<!" => Err(unsupported("look-behind")),
            a if a.starts_with(['=', '!']) => Err(unsupported("look-ahead")),
            a if a.starts_with('>') => Err(unsupported("atomic groups")),
            a if a.starts_with('#') => {
                self.rest.by_ref().find(|c| *c == ')');
                Ok(())
            }
            a if a.starts_with(['|', '(', 'R', '&', '+', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) => {
                Err(unsupported("conditions, branch resets and recursion"))
            }
            "P=" | "P>" => Err(unsupported("back-references and recursion")),
            _ => self.group_head(),
        }
    }

    /// Flags or a name after `(?`.
    fn group_head(&mut self) -> Result<(), Message> {
        self.out.push('(');
        let mut name = false;
        while let Some(c) = self.rest.next() {
            match c {
                '\'' => {
                    self.out.push(if name { '>' } else { '<' });
                    if name {
                        break;
                    }
                    name = true;
                }
                '<' => {
                    name = true;
                    self.out.push(c);
                }
                'x' if !name => return Err(unsupported("the flag `x`")),
                '>' | ':' => {
                    self.out.push(c);
                    break;
                }
                ')' => {
                    self.push(c, false);
                    return Ok(());
                }
                _ => self.out.push(c),
            }
        }
        self.atom = false;
        self.quantified = false;
        Ok(())
    }

    /// A bracketed class; `[`, `&&`, `~~` and `--` inside are plain characters in PCRE.
    fn class(&mut self) -> Result<(), Message> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        if self.rest.next_if_eq(&']').is_some() {
            self.out.push_str(r"\]");
        } else if self.rest.next_if_eq(&'-').is_some() {
            self.out.push_str(r"\-");
        }
        let mut dash = false;
        while let Some(c) = self.rest.next() {
            match c {
                ']' => {
                    self.push(c, true);
                    return Ok(());
                }
                '[' => self.class_bracket(),
                '\\' => self.class_escape()?,
                '&' | '~' => {
                    self.out.push('\\');
                    self.out.push(c);
                }
                '-' if dash => self.out.push_str(r"\-"),
                _ => self.out.push(c),
            }
            dash = c == '-' && !dash;
        }
        Err(reasons::regex_open_class())
    }

    fn class_bracket(&mut self) {
        let ahead: String = self.rest.clone().take(16).collect();
        let posix = ahead
            .strip_prefix(':')
            .and_then(|a| a.split_once(":]"))
            .map(|(name, _)| name)
            .filter(|n| n.chars().all(|c| c.is_ascii_alphabetic() || c == '^'));
        let Some(name) = posix else {
            self.out.push_str(r"\[");
            return;
        };
        let length = name.chars().count() + 3;
        self.out.push('[');
        for _ in 0..length {
            if let Some(c) = self.rest.next() {
                self.out.push(c);
            }
        }
    }

    fn class_escape(&mut self) -> Result<(), Message> {
        let Some(c) = self.rest.next() else {
            return Err(reasons::regex_ends_with_backslash());
        };
        match c {
            'b' => self.out.push_str(r"\x08"),
            'e' => self.out.push_str(r"\x1b"),
            'h' => self.out.push_str(BLANKS),
            'v' => self.out.push_str(BREAKS),
            '0'..='9' => return Err(unsupported("octal escapes")),
            c if c.is_alphabetic() => {
                self.out.push('\\');
                self.out.push(c);
            }
            c => self.push_literal(c),
        }
        Ok(())
    }
}

fn unsupported(what: &str) -> Message {
    reasons::regex_unsupported(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(pattern: &str) -> Result<String, Message> {
        translate(pattern, Flags::default())
    }

    fn matches(pattern: &str, text: &str) -> bool {
        build(&plain(pattern).unwrap()).unwrap().is_match(text)
    }

    #[test]
    fn ordinary_patterns_stay_as_they_are() {
        for p in [r"^a.+b$", r"(?i)x{2,3}?", r"[a-z]\d{1,4}", r"\bfoo\b", r"(?<n>a|b)", r"(?:a)*"] {
            assert_eq!(plain(p).unwrap(), p);
        }
    }

    #[test]
    fn flags_stand_in_front() {
        let flags = Flags { ignore_case: true, multi_line: true, dot_all: true };
        assert_eq!(translate("a", flags).unwrap(), "(?ims)a");
    }

    #[test]
    fn what_pcre_takes_literally_is_escaped() {
        assert!(matches(r"\<a\>", "<a>"));
        assert!(!matches(r"\<a", "a"));
        assert!(matches("{0}", "x{0}"));
        assert!(matches("a{x}", "a{x}"));
        assert!(matches("[[]", "["));
        assert!(matches("[a&&b]", "&"));
        assert!(matches("[+--]", ","));
        assert!(matches("[]a]", "]"));
        assert!(matches("[[:digit:]]", "4"));
        assert!(matches(r"\Qa.b\E", "a.b"));
        assert!(!matches(r"\Qa.b\E", "axb"));
    }

    #[test]
    fn what_has_no_exact_form_is_refused() {
        for (p, word) in [
            ("(?=a)", "look-ahead"),
            ("(?<!a)b", "look-behind"),
            (r"(a)\1", "back-references"),
            ("a++", "possessive"),
            ("(?>a)", "atomic"),
            ("(?R)", "recursion"),
            ("*a", "nothing"),
            ("(a", "unclosed"),
            ("[a", "without its"),
            ("a\\", "backslash"),
        ] {
            let reason = plain(p).unwrap_err().to_string();
            assert!(reason.contains(word), "{p}: {reason}");
        }
    }

    #[test]
    fn size_is_bounded() {
        assert!(plain(r"\w{1,64}").is_ok());
        assert!(plain(r"(?:\w{100}){100}").unwrap_err().to_string().contains("memory"));
        assert!(plain(r"((a{1000}){1000}){1000}").unwrap_err().to_string().contains("memory"));
        assert!(plain(&"(".repeat(10_000)).is_err());
    }
}
