//! Which words stand in which rows: an index inside the files of events.
//!
//! A file's rows lie in stretches of [`ROWS`]. For each stretch there is a filter of the words in the records as they came
//! and in all text columns, and of those columns' values as wholes. A query that needs a word skips the stretches that
//! cannot have it, whichever column it asks for; what it skips, it never unpacks. The filters are split block Bloom
//! filters as Parquet's, of one size in a file, and lie side by side, so that looking a word up is one short read a file.
//! Other engines see bytes between the row groups and the footer, to which nothing of theirs points. They are found by an
//! entry of the footer's metadata.
//!
//! A word is a run of ASCII letters and digits and of anything beyond ASCII, without regard to case, of at least
//! [`LEAST`] bytes. Four numbers with dots between them, as IPv4 addresses have them, are a word too. Records are JSON
//! more often than not: where a run follows a backslash as `\n` or `\u0000` do, what stands behind them is a word as well.
//!
//! Sources: Parquet's `BloomFilter.md`; the idea of an index in the file from "Embedding User-Defined Indexes in Apache
//! Parquet Files", DataFusion's blog of 14 July 2025.

mod filters;
mod need;

use std::borrow::Cow;

use twox_hash::XxHash3_64;

pub use filters::Words;
pub(crate) use filters::{Builder, Filters};
pub(crate) use need::{Need, needs};

/// Rows of a stretch.
pub(crate) const ROWS: usize = 8_192;

/// Bytes that a word has at least; shorter ones are nearly everywhere.
const LEAST: usize = 3;

/// Seeds that keep a word and a value that is the same text apart.
const WORD: u64 = 0;
const VALUE: u64 = 1;

fn word_hash(folded: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(WORD, folded)
}

fn value_hash(folded: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(VALUE, folded)
}

/// `text` as it is when case does not count: texts that differ only in case are the same then.
fn fold(text: &str) -> Cow<'_, [u8]> {
    if text.is_ascii() {
        if !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Borrowed(text.as_bytes());
        }
        return Cow::Owned(text.as_bytes().to_ascii_lowercase());
    }
    // Most of any text is ASCII all the same, which needs no look at each letter.
    let mut folded = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        let plain = rest.bytes().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
        let (plain, behind) = rest.split_at(plain);
        let from = folded.len();
        folded.extend_from_slice(plain.as_bytes());
        folded[from..].make_ascii_lowercase();
        let mut letters = behind.chars();
        let Some(letter) = letters.next() else { return Cow::Owned(folded) };
        folded.extend_from_slice(fold_char(letter).encode_utf8(&mut [0; 4]).as_bytes());
        rest = letters.as_str();
    }
}

/// By way of its capital, because some letters share one: `s` and `ſ`, `σ` and `ς`.
fn fold_char(letter: char) -> char {
    fn only(mut letters: impl Iterator<Item = char>) -> Option<char> {
        letters.next().filter(|_| letters.next().is_none())
    }
    let capital = only(letter.to_uppercase()).unwrap_or(letter);
    only(capital.to_lowercase()).unwrap_or(capital)
}

/// Whether a byte belongs to words.
pub(crate) const fn is_inside(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// How many bytes at the beginning of a run behind a backslash are an escape of JSON: `n`, `u000a`.
fn escape(run: &[u8]) -> usize {
    match run {
        [b'n' | b'r' | b't' | b'b' | b'f', _, ..] => 1,
        [b'u', code @ ..] if code.len() > 4 && code[..4].iter().all(u8::is_ascii_hexdigit) => 5,
        _ => 0,
    }
}

/// Whether a run of at most three digits is what addresses are made of.
fn is_octet(run: &[u8]) -> bool {
    matches!(run.len(), 1..=3) && run.iter().all(u8::is_ascii_digit)
}

/// Calls `found` with the beginning and the end of each word of `folded`.
fn each_word(folded: &[u8], found: &mut impl FnMut(usize, usize)) {
    let mut at = 0;
    // Beginnings of the numbers before this run that have dots between them, the last one first.
    let mut numbers: [usize; 3] = [0; 3];
    let (mut known, mut end_of_last) = (0_usize, usize::MAX);
    while at < folded.len() {
        if !is_inside(folded[at]) {
            at += 1;
            continue;
        }
        let mut start = at;
        while at < folded.len() && is_inside(folded[at]) {
            at += 1;
        }
        if at - start >= LEAST {
            found(start, at);
        }
        if start > 0 && folded[start - 1] == b'\\' {
            let skipped = escape(&folded[start..at]);
            if skipped > 0 && at - start - skipped >= LEAST {
                found(start + skipped, at);
            }
            start += skipped;
        }
        if !is_octet(&folded[start..at]) {
            known = 0;
            continue;
        }
        let follows = known > 0 && start == end_of_last.wrapping_add(1) && folded[end_of_last] == b'.';
        if !follows {
            known = 0;
        } else if known == 3 {
            found(numbers[2], at);
        }
        numbers = [start, numbers[0], numbers[1]];
        known = (known + 1).min(3);
        end_of_last = at;
    }
}

/// Calls `found` with each word that any text must have in which `folded` stands; at an end that is `open` it may go on.
fn each_sure_word(folded: &[u8], open: (bool, bool), found: &mut impl FnMut(&[u8])) {
    each_word(folded, &mut |start, end| {
        if !(open.0 && start == 0 || open.1 && end == folded.len()) {
            found(&folded[start..end]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let folded = fold(text);
        let mut words = Vec::new();
        each_word(&folded, &mut |start, end| words.push(String::from_utf8_lossy(&folded[start..end]).into_owned()));
        words
    }

    proptest::proptest! {
        #[test]
        fn texts_are_folded_letter_by_letter(text in "([a-zA-Z0-9 \\\\]{0,9}[\\PC\u{130}\u{131}\u{17f}\u{212a}ßẞΣςĐđẮ]?){0,6}") {
            let wanted: String = text.chars().map(fold_char).collect();
            let folded = fold(&text);
            proptest::prop_assert_eq!(folded.as_ref(), wanted.as_bytes());
        }
    }

    #[test]
    fn texts_fall_into_words() {
        for (text, wanted) in [
            (r#"{"Image":"C:\\Windows\\cmd.EXE"}"#, &["image", "windows", "cmd", "exe"][..]),
            (r#""x\nMimikatz\u000aABC""#, &["nmimikatz", "mimikatz", "u000aabc", "abc"]),
            ("10.1.2.30:443", &["10.1.2.30", "443"]),
            ("v1.10.1.2.3", &["10.1.2.3"]),
            ("9.10.1.2.3", &["9.10.1.2", "10.1.2.3"]),
            (r"\n10.1.2.3 1.2.3 1.2..3.4", &["n10", "10.1.2.3"]),
            ("1000.1.2.3", &["1000"]),
            ("Lỗi-Đăng_nhập", &["lỗi", "đăng", "nhập"]),
            ("a bb", &[]),
            ("", &[]),
        ] {
            assert_eq!(words(text), wanted, "{text}");
        }
    }

    #[test]
    fn case_does_not_count() {
        for (a, b) in [("Straße", "sTRAßE"), ("ſ", "S"), ("\u{212a}", "k"), ("ΟΔΟΣ", "οδος"), ("ĐẶNG", "đặng")]
        {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
    }
}
