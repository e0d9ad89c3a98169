//! Sentences for people in every language, with a code for machines.
//!
//! A [`Phrase`] is written once with its languages side by side; [`phrases!`](crate::phrases) makes a function of each,
//! so that a missing value does not compile and a missing language cannot be written. The [`Message`] it returns becomes
//! text only where somebody reads it, in the language of that person.

use std::fmt::{self, Display};

use crate::lang::Lang;

/// What a message says, with places for its values.
#[derive(Debug, PartialEq, Eq)]
pub struct Phrase {
    /// What machines know it by; never changes.
    pub code: &'static str,
    /// The names of its values, which stand as `{name}` in the texts.
    pub values: &'static [&'static str],
    /// Tiếng Việt: lower case, without a full stop.
    pub vi: &'static str,
    /// English, likewise.
    pub en: &'static str,
}

/// A phrase with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    phrase: &'static Phrase,
    values: Vec<String>,
    place: Option<String>,
}

impl Message {
    /// A message with the values of `phrase` in their order.
    pub fn new(phrase: &'static Phrase, values: Vec<String>) -> Self {
        Self { phrase, values, place: None }
    }

    /// The same of one place inside what it speaks about: `selection.Image`.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// The place it speaks about, which stands before the sentence.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// What machines know it by.
    pub fn code(&self) -> &'static str {
        self.phrase.code
    }

    /// The values in their order.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// The sentence.
    pub fn text(&self, lang: Lang) -> String {
        let mut rest = lang.pick(self.phrase.vi, self.phrase.en);
        let mut out = String::with_capacity(rest.len() + 32);
        if let Some(place) = &self.place {
            out.push_str(place);
            out.push_str(": ");
        }
        while let Some((before, behind)) = rest.split_once('{') {
            out.push_str(before);
            let (name, after) = behind.split_once('}').unwrap_or((behind, ""));
            let at = self.phrase.values.iter().position(|value| *value == name);
            out.push_str(at.and_then(|at| self.values.get(at)).map_or("?", String::as_str));
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

/// In English.
impl Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Lang::En))
    }
}

impl std::error::Error for Message {}

/// Defines phrases: a function for each, and a list of all for look-up by code and for tests.
///
/// ```
/// khien_base::phrases! {
///     /// What can be said here.
///     pub static ALL;
///     too_long(bytes) { vi: "dài hơn {bytes} byte", en: "longer than {bytes} bytes" }
/// }
/// let message = too_long(5);
/// assert_eq!((message.code(), message.to_string().as_str()), ("too_long", "longer than 5 bytes"));
/// assert_eq!(message.text(khien_base::lang::Lang::Vi), "dài hơn 5 byte");
/// # assert_eq!(ALL.len(), 1);
/// ```
#[macro_export]
macro_rules! phrases {
    (
        $(#[$about:meta])*
        $list_vis:vis static $list:ident;
        $($name:ident($($value:ident),*) { vi: $vi:literal, en: $en:literal })*
    ) => {
        $(#[$about])*
        $list_vis static $list: &[&$crate::message::Phrase] = {
            &[$({
                static PHRASE: $crate::message::Phrase = $crate::message::Phrase {
                    code: stringify!($name),
                    values: &[$(stringify!($value)),*],
                    vi: $vi,
                    en: $en,
                };
                &PHRASE
            }),*]
        };
        $(
            #[doc = concat!("“", $en, "”")]
            $list_vis fn $name($($value: impl ::std::fmt::Display),*) -> $crate::message::Message {
                static PHRASE: $crate::message::Phrase = $crate::message::Phrase {
                    code: stringify!($name),
                    values: &[$(stringify!($value)),*],
                    vi: $vi,
                    en: $en,
                };
                $crate::message::Message::new(&PHRASE, vec![$($value.to_string()),*])
            }
        )*
    };
}

/// What is wrong with a list of phrases: an empty text, a value that one language leaves out, a code that stands twice,
/// Vietnamese in the English text. For the tests of those who write phrases.
pub fn faults(phrases: &[&Phrase]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut codes = std::collections::BTreeSet::new();
    for phrase in phrases {
        let mut say = |what: &str| faults.push(format!("{}: {what}", phrase.code));
        if !codes.insert(phrase.code) {
            say("the code stands twice");
        }
        for (name, text) in [("vi", phrase.vi), ("en", phrase.en)] {
            if text.trim().is_empty() || text.ends_with('.') {
                say(&format!("{name} is empty or ends with a full stop"));
            }
            let mut used: Vec<&str> = text.split('{').skip(1).filter_map(|t| Some(t.split_once('}')?.0)).collect();
            used.sort_unstable();
            used.dedup();
            let mut given = phrase.values.to_vec();
            given.sort_unstable();
            if used != given {
                say(&format!("{name} uses {used:?} of {given:?}"));
            }
        }
        if phrase.en.chars().any(|c| "ăâđêôơưạảáàã".contains(c)) {
            say("Vietnamese in English");
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    phrases! {
        static GOOD;
        pair(first, second) { vi: "{second} rồi {first}", en: "{first}, then {second} {first}" }
        nothing() { vi: "không có gì", en: "nothing" }
    }

    #[test]
    fn values_stand_where_each_language_wants_them() {
        let message = pair("a{b}", 2);
        assert_eq!(message.text(Lang::Vi), "2 rồi a{b}");
        assert_eq!(message.text(Lang::En), "a{b}, then 2 a{b}");
        assert_eq!(nothing().to_string(), "nothing");
        assert_eq!(nothing().at("a.b").text(Lang::Vi), "a.b: không có gì");
        assert_eq!(faults(GOOD), Vec::<String>::new());
    }

    #[test]
    fn faults_are_found() {
        let bad = Phrase { code: "x", values: &["a"], vi: "đúng {a}", en: "đúng." };
        let found = faults(&[&bad, &bad]);
        for word in ["full stop", "uses []", "twice", "Vietnamese"] {
            assert!(found.iter().any(|fault| fault.contains(word)), "{word}: {found:?}");
        }
    }
}
