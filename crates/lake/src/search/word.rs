//! `has_word(text, word)`, for SQL too.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray, BooleanBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use datafusion::scalar::ScalarValue;
use regex::{Regex, RegexBuilder};

use crate::words::is_inside;

/// Name of the function.
pub(crate) const HAS_WORD: &str = "has_word";

/// Whether a text has a word, or several with whatever stands between them, without regard to case: what stands before
/// and behind is no letter and no digit. Null for no text.
pub(crate) fn has_word() -> ScalarUDF {
    let arguments = vec![DataType::Utf8View, DataType::Utf8];
    create_udf(HAS_WORD, arguments, DataType::Boolean, Volatility::Immutable, Arc::new(invoke))
}

fn invoke(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let [texts, ColumnarValue::Scalar(ScalarValue::Utf8(Some(word)))] = arguments else {
        return Err(DataFusionError::Plan("has_word takes a text and a word such as 'mimikatz'".into()));
    };
    let word = Word::new(word)?;
    let rows = match texts {
        ColumnarValue::Array(array) => array.len(),
        ColumnarValue::Scalar(_) => 1,
    };
    let texts = cast(&texts.to_array(rows)?, &DataType::Utf8View)?;
    let mut found = BooleanBuilder::with_capacity(rows);
    for text in texts.as_string_view() {
        found.append_option(text.map(|text| word.is_in(text)));
    }
    Ok(ColumnarValue::Array(Arc::new(found.finish()) as ArrayRef))
}

/// Name of the function.
pub(crate) const MAY_HAVE_WORDS: &str = "may_have_words";

/// True, whatever it is asked; it lets the table skip rows that do not have the words of a text, at the ends of which they
/// may go on or not: `may_have_words(event_id, '\\whoami.exe', true, false)`.
pub(crate) fn may_have_words() -> ScalarUDF {
    let arguments = vec![DataType::Int64, DataType::Utf8, DataType::Boolean, DataType::Boolean];
    let always = |arguments: &[ColumnarValue]| {
        let rows = match arguments.first() {
            Some(ColumnarValue::Array(array)) => array.len(),
            _ => 1,
        };
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(vec![true; rows])) as ArrayRef))
    };
    create_udf(MAY_HAVE_WORDS, arguments, DataType::Boolean, Volatility::Immutable, Arc::new(always))
}

struct Word {
    pattern: Regex,
    /// Whether it begins, and ends, with what belongs to words: only there does it matter what stands beside it.
    begins: bool,
    ends: bool,
}

impl Word {
    fn new(word: &str) -> Result<Self> {
        let bytes = word.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return Err(DataFusionError::Plan("has_word needs a word that is not empty".into()));
        };
        let pattern = RegexBuilder::new(&regex::escape(word)).case_insensitive(true).build();
        let pattern = pattern.map_err(|error| DataFusionError::Plan(format!("has_word: {error}")))?;
        Ok(Self { pattern, begins: is_inside(*first), ends: is_inside(*last) })
    }

    fn is_in(&self, text: &str) -> bool {
        let mut from = 0;
        while let Some(found) = self.pattern.find_at(text, from) {
            let (before, behind) = (&text.as_bytes()[..found.start()], &text.as_bytes()[found.end()..]);
            if (!self.begins || ends_before(before)) && (!self.ends || !behind.first().copied().is_some_and(is_inside))
            {
                return true;
            }
            // The next one may begin inside of this one.
            from = text.ceil_char_boundary(found.start() + 1);
        }
        false
    }
}

/// Whether a word may begin behind `before`: at the beginning, behind what belongs to no word, or behind an escape of JSON.
fn ends_before(before: &[u8]) -> bool {
    let Some(last) = before.last() else { return true };
    if !is_inside(*last) {
        return true;
    }
    match before {
        [.., b'\\', b'n' | b'r' | b't' | b'b' | b'f'] => true,
        [.., b'\\', b'u', a, b, c, d] => [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit),
        _ => false,
    }
}

/// Whether a text has a word.
#[cfg(test)]
pub(crate) fn is_word_in(word: &str, text: &str) -> bool {
    Word::new(word).unwrap().is_in(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_as_words() {
        for (word, text, has) in [
            ("mimikatz", "run MIMIKATZ.exe", true),
            ("mimikatz", "mimikatz", true),
            ("mimikatz", "invokemimikatz", false),
            ("mimikatz", "xmimikatz mimikatz", true),
            ("mimikatz", r"a\nmimikatz", true),
            ("mimikatz", r"a\u000aMimikatz", true),
            ("mimikatz", "anmimikatz", false),
            ("10.1.2.3", "10.1.2.30", false),
            ("10.1.2.3", "110.1.2.3", false),
            ("10.1.2.3", "(10.1.2.3:80)", true),
            ("a b", "x a b c", true),
            (".exe", "cmd.exe", true),
            (".exe", "cmd.exes", false),
            ("lỗi", "Một LỖI nặng", true),
            ("aa", "aaa aa", true),
        ] {
            assert_eq!(Word::new(word).unwrap().is_in(text), has, "{word} {text}");
        }
    }
}
