//! Regular expressions, compiled when a value first needs them and shared by all workers.
//!
//! Most values are ASCII, and compiling what `\w` or `.` mean beyond it is the dearest part of a pattern. So each pattern
//! is compiled from its ASCII part for ASCII values, where that says exactly the same, and in full for others.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hashbrown::HashMap;
use memchr::memmem::Finder;
use regex_automata::hybrid::dfa::{Cache, Config, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::pool::Pool;
use regex_automata::util::prefilter::Prefilter;
use regex_automata::{Input, MatchKind, meta};
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
        list.entry(pattern.clone()).or_insert_with_key(|pattern| Arc::new(LazyRegex::new(pattern))).clone()
    }
}

/// See the module text.
pub(super) struct LazyRegex {
    text: String,
    /// See [`RegexPattern::required`].
    required: Vec<AnyOf>,
    /// Every text that matches is at least so long, in bytes.
    least: usize,
    /// What it means; `None` only for a pattern that the rule loader should have refused.
    hir: OnceLock<Option<Hir>>,
    /// What every ASCII text that matches has in a row.
    stretch: OnceLock<Option<Stretch>>,
    ascii: OnceLock<Option<AsciiProgram>>,
    full: OnceLock<Option<meta::Regex>>,
}

/// Literals of which one is enough.
struct AnyOf {
    ascii: Vec<Finder<'static>>,
    /// Those with characters that no ASCII text has.
    beyond: Vec<Finder<'static>>,
}

impl AnyOf {
    fn new(literals: &[String]) -> Self {
        let (ascii, beyond): (Vec<&String>, Vec<&String>) = literals.iter().partition(|literal| literal.is_ascii());
        let finders = |list: Vec<&String>| list.into_iter().map(|l| Finder::new(l).into_owned()).collect();
        Self { ascii: finders(ascii), beyond: finders(beyond) }
    }

    fn is_in(&self, folded: &[u8], is_ascii: bool) -> bool {
        let any = |list: &[Finder<'_>]| list.iter().any(|literal| literal.find(folded).is_some());
        any(&self.ascii) || (!is_ascii && any(&self.beyond))
    }
}

impl LazyRegex {
    fn new(pattern: &RegexPattern) -> Self {
        let required = pattern.required.iter().map(|list| AnyOf::new(list)).collect();
        Self {
            text: pattern.text.clone(),
            required,
            least: pattern.least,
            hir: OnceLock::new(),
            stretch: OnceLock::new(),
            ascii: OnceLock::new(),
            full: OnceLock::new(),
        }
    }

    /// Whether the expression matches `plain`, whose folded form is `folded`. Texts that are too short or without a
    /// required literal are dismissed before the expression is ever compiled.
    pub(super) fn holds(&self, plain: &[u8], folded: &[u8]) -> bool {
        if plain.len() < self.least {
            return false;
        }
        let is_ascii = plain.is_ascii();
        if !self.required.iter().all(|list| list.is_in(folded, is_ascii)) {
            return false;
        }
        let Some(hir) = self.hir.get_or_init(|| parse(&self.text).ok()) else { return false };
        if let Some(run) = Run::of(hir) {
            return std::str::from_utf8(plain).is_ok_and(|text| run.is_in(text));
        }
        let stretch = || self.stretch.get_or_init(|| Stretch::of(hir)).as_ref();
        if is_ascii && stretch().is_some_and(|stretch| !stretch.is_in(plain)) {
            return false;
        }
        if is_ascii
            && let Some(program) = self.ascii.get_or_init(|| AsciiProgram::new(&ascii_part(hir)))
            && let Some(found) = program.is_match(plain)
        {
            return found;
        }
        let full = self.full.get_or_init(|| compile(hir));
        full.as_ref().is_some_and(|regex| std::str::from_utf8(plain).is_ok() && regex.is_match(plain))
    }
}

fn compile(hir: &Hir) -> Option<meta::Regex> {
    let config = meta::Config::new()
        .nfa_size_limit(Some(REGEX_BYTES))
        .which_captures(WhichCaptures::None)
        .onepass(false)
        .dfa(false);
    meta::Regex::builder().configure(config).build_from_hir(hir).ok()
}

/// So many characters of a class in a row (`.{1000,}`, a way to ask for long values). An automaton would count from
/// every character on at once.
struct Run<'a> {
    class: &'a ClassUnicode,
    least: u32,
}

impl<'a> Run<'a> {
    /// The run that is all an expression asks for.
    fn of(hir: &'a Hir) -> Option<Self> {
        let HirKind::Repetition(Repetition { min, sub, .. }) = hir.kind() else { return None };
        let HirKind::Class(Class::Unicode(class)) = sub.kind() else { return None };
        Some(Self { class, least: *min })
    }

    fn is_in(&self, text: &str) -> bool {
        let mut length = 0;
        self.least == 0
            || text.chars().any(|c| {
                let range = self.class.ranges().partition_point(|range| range.end() < c);
                let belongs = self.class.ranges().get(range).is_some_and(|range| range.start() <= c);
                length = if belongs { length + 1 } else { 0 };
                length >= self.least
            })
    }
}

/// Characters of one class in a row that a text must have (`[a-f0-9]{64}`). Whoever looks for them needs to see only every
/// 64th character, where an automaton reads them all.
struct Stretch {
    /// By ASCII character.
    class: [bool; 128],
    least: usize,
}

/// Shortest stretch for which this pays.
const STRETCH: usize = 8;

impl Stretch {
    /// The longest one that an expression cannot do without.
    fn of(hir: &Hir) -> Option<Self> {
        match hir.kind() {
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Concat(list) => list.iter().filter_map(Self::of).max_by_key(|stretch| stretch.least),
            HirKind::Repetition(Repetition { min, sub, .. }) => match sub.kind() {
                HirKind::Class(Class::Unicode(class)) if *min as usize >= STRETCH => {
                    let has = |c: u8| class.ranges().iter().any(|r| (r.start()..=r.end()).contains(&char::from(c)));
                    Some(Self { class: std::array::from_fn(|c| has(c as u8)), least: *min as usize })
                }
                _ if *min > 0 => Self::of(sub),
                _ => None,
            },
            HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) | HirKind::Alternation(_) => {
                None
            }
        }
    }

    fn is_in(&self, text: &[u8]) -> bool {
        let belongs = |byte: &&u8| self.class.get(usize::from(**byte)).is_some_and(|belongs| *belongs);
        let mut last = self.least - 1;
        while last < text.len() {
            // The stretch that holds this character, backwards and then forwards.
            let before = text[..=last].iter().rev().take_while(belongs).count();
            if before >= self.least {
                return true;
            }
            if before == 0 {
                last += self.least;
                continue;
            }
            let behind = text[last + 1..].iter().take(self.least).take_while(belongs).count();
            if before + behind >= self.least {
                return true;
            }
            last += behind + self.least;
        }
        false
    }
}

/// An automaton whose states are made when a text first leads to them. Of all that crate `regex` prepares for an
/// expression this is the least that answers "does it match", which matters where an expression sees few texts.
struct AsciiProgram {
    dfa: Arc<DFA>,
    caches: Pool<Cache, Box<dyn Fn() -> Cache + Send + Sync>>,
}

impl AsciiProgram {
    fn new(hir: &Hir) -> Option<Self> {
        let config =
            thompson::Config::new().utf8(false).nfa_size_limit(Some(REGEX_BYTES)).which_captures(WhichCaptures::None);
        let nfa = thompson::Compiler::new().configure(config).build_from_hir(hir).ok()?;
        let prefilter = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, hir);
        let config = Config::new().prefilter(prefilter).skip_cache_capacity_check(true);
        let dfa = Arc::new(DFA::builder().configure(config).build_from_nfa(nfa).ok()?);
        let own = dfa.clone();
        Some(Self { dfa, caches: Pool::new(Box::new(move || own.create_cache())) })
    }

    /// Whether it matches; `None` when the automaton gives up.
    fn is_match(&self, text: &[u8]) -> Option<bool> {
        let found = self.dfa.try_search_fwd(&mut self.caches.get(), &Input::new(text).earliest(true));
        found.ok().map(|half| half.is_some())
    }
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

    const PATTERNS: [&str; 22] = [
        r"[a-c]{8}",
        r"\s[a-c]{9,}\s?[0-9a-c]{8}",
        r"(?:x?[ac]{10})+k",
        r".{3,}",
        r"[a-cé]{2,4}",
        r"(?i)\w+",
        r"(?i)k\w+s",
        r"\bfoo\b",
        r"\Bo\B",
        r"^\S+\s\S+$",
        r"[^a-z]{2,5}",
        r"(?s)a.c",
        r"a.c",
        r"\d+(\.\d+)*",
        r"(?i)[^\x00-\x7F]",
        r"é|e",
        r"(?m)^x$",
        r"\W\w",
        r"(a|b)*c",
        r"\p{Lu}\p{Ll}+",
        r"[[:punct:]]",
        r"(?i)ſ",
    ];

    proptest! {
        #[test]
        fn both_programs_say_what_the_crate_regex_says(
            text in prop_oneof![
                "[a-cfkoxsKSE .,\n0-9]{0,12}",
                "[a-ckséſK .\n]{0,8}",
                "([a-c]{7,12}|[ac]{10}|[ kx]){0,5}",
            ],
        ) {
            for pattern in PATTERNS {
                let expected = crate::rule::pcre::build(pattern).unwrap().is_match(&text);
                let regex = LazyRegex::new(&pattern.into());
                let folded = crate::text::fold(&text);
                let found = regex.holds(text.as_bytes(), folded.as_bytes());
                prop_assert_eq!(found, expected, "{} on {:?}", pattern, text);
            }
        }
    }
}
