//! Regular expressions, compiled when a value first needs them and shared by all workers.
//!
//! Most values are ASCII, and compiling what `\w` or `.` mean beyond it is the dearest part of a pattern. So each pattern
//! has two programs: one over its ASCII part for ASCII values, where it says exactly the same, and the full one for
//! others.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hashbrown::HashMap;
use memchr::memmem;
use regex_automata::meta::{Config, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look, Repetition};

use crate::rule::RegexPattern;
use crate::rule::pcre::{REGEX_BYTES, parse};

/// The patterns of a detector.
#[derive(Default)]
pub(super) struct Regexes {
    list: Mutex<HashMap<RegexPattern, Arc<LazyRegex>, foldhash::fast::FixedState>>,
}

impl Regexes {
    /// The program of `pattern`.
    pub(super) fn get(&self, pattern: &RegexPattern) -> Arc<LazyRegex> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.entry(pattern.clone()).or_insert_with_key(|pattern| Arc::new(LazyRegex::new(pattern.clone()))).clone()
    }
}

/// See the module text.
pub(super) struct LazyRegex {
    pattern: RegexPattern,
    ascii: OnceLock<Option<Regex>>,
    full: OnceLock<Option<Regex>>,
}

impl LazyRegex {
    fn new(pattern: RegexPattern) -> Self {
        Self { pattern, ascii: OnceLock::new(), full: OnceLock::new() }
    }

    /// Whether the expression matches `plain`, whose folded form is `folded`. Texts without a required literal are
    /// dismissed before the expression is ever compiled.
    pub(super) fn holds(&self, plain: &[u8], folded: &[u8]) -> bool {
        let required = &self.pattern.required;
        if !required.is_empty() && !required.iter().any(|literal| memmem::find(folded, literal.as_bytes()).is_some()) {
            return false;
        }
        // Only a pattern that the rule loader should have refused does not compile.
        let regex = if plain.is_ascii() {
            self.ascii.get_or_init(|| compile(&ascii_part(&parse(&self.pattern.text).ok()?)))
        } else if std::str::from_utf8(plain).is_ok() {
            self.full.get_or_init(|| compile(&parse(&self.pattern.text).ok()?))
        } else {
            return false;
        };
        regex.as_ref().is_some_and(|regex| regex.is_match(plain))
    }
}

fn compile(hir: &Hir) -> Option<Regex> {
    // Only "does it match" is asked, a few times for most patterns: nothing is prepared that pays later.
    let config = Config::new()
        .nfa_size_limit(Some(REGEX_BYTES))
        .which_captures(WhichCaptures::None)
        .onepass(false)
        .dfa(false);
    Regex::builder().configure(config).build_from_hir(hir).ok()
}

/// What `hir` says of ASCII texts: every class without its other characters.
fn ascii_part(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0.clone()),
        HirKind::Class(Class::Unicode(class)) => {
            let mut class = class.clone();
            class.intersect(&ClassUnicode::new([ClassUnicodeRange::new('\0', '\x7F')]));
            Hir::class(Class::Unicode(class))
        }
        HirKind::Class(class) => Hir::class(class.clone()),
        HirKind::Look(look) => Hir::look(ascii_look(*look)),
        HirKind::Capture(capture) => ascii_part(&capture.sub),
        HirKind::Repetition(repetition) => {
            Hir::repetition(Repetition { sub: Box::new(ascii_part(&repetition.sub)), ..repetition.clone() })
        }
        HirKind::Concat(list) => Hir::concat(list.iter().map(ascii_part).collect()),
        HirKind::Alternation(list) => Hir::alternation(list.iter().map(ascii_part).collect()),
    }
}

/// The same assertion, decided by ASCII alone.
fn ascii_look(look: Look) -> Look {
    match look {
        Look::WordUnicode => Look::WordAscii,
        Look::WordUnicodeNegate => Look::WordAsciiNegate,
        Look::WordStartUnicode => Look::WordStartAscii,
        Look::WordEndUnicode => Look::WordEndAscii,
        Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
        Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATTERNS: [&str; 16] = [
        r"(?i)k\w+s", r"\bfoo\b", r"\Bo\B", r"^\S+\s\S+$", r"[^a-z]{2,5}", r"(?s)a.c", r"a.c", r"\d+(\.\d+)*",
        r"(?i)[^\x00-\x7F]", r"é|e", r"(?m)^x$", r"\W\w", r"(a|b)*c", r"\p{Lu}\p{Ll}+", r"[[:punct:]]", r"(?i)ſ",
    ];

    proptest! {
        #[test]
        fn both_programs_say_what_the_crate_regex_says(
            text in prop_oneof!["[a-cfkoxsKSE .,\n0-9]{0,12}", "[a-ckséſK .\n]{0,8}"],
        ) {
            for pattern in PATTERNS {
                let expected = crate::rule::pcre::build(pattern).unwrap().is_match(&text);
                let regex = LazyRegex::new(RegexPattern { text: pattern.into(), required: Vec::new() });
                let folded = crate::text::fold(&text);
                prop_assert_eq!(regex.holds(text.as_bytes(), folded.as_bytes()), expected, "{} on {:?}", pattern, text);
            }
        }
    }
}
