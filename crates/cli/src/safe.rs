//! Text of strangers, made safe to show.
//!
//! Logs are written by attackers too. A log line may hold escape sequences that rewrite the screen or the window title,
//! and bidirectional controls that make `gpj.exe` read as `exe.jpg` (<https://trojansource.codes>). Every such character
//! is shown as a visible escape.

use std::borrow::Cow;

use crate::text::append;
use unicode_width::UnicodeWidthChar as _;

/// `text` on one line: control, bidirectional and invisible characters become visible escapes.
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, |c| c.is_control() || is_invisible(c))
}

/// `text` that may keep its line breaks and tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| (c.is_control() && c != '\n' && c != '\t') || is_invisible(c))
}

fn escape(text: &str, unsafe_char: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&unsafe_char) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            _ if !unsafe_char(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if c.is_ascii() => append(&mut out, format_args!("\\x{:02x}", c as u32)),
            _ => append(&mut out, format_args!("\\u{{{:x}}}", c as u32)),
        }
    }
    Cow::Owned(out)
}

/// Characters that change how others are shown without being seen: bidirectional controls, line and paragraph
/// separators, zero-width spaces and joiners of words, byte order mark, tag characters. Zero-width joiners stay, as
/// scripts need them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Columns that `text` takes in a terminal.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The start of `text` that fits into `columns`, with `…` in the place of what was cut.
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    // A text of so many bytes cannot be wider, which spares looking at most texts twice.
    if text.len() <= columns || width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > columns {
            break;
        }
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    Cow::Owned(out)
}

/// `text` filled with spaces to `columns`.
pub fn pad(text: &str, columns: usize) -> String {
    let mut out = text.to_owned();
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(text))));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_shown_and_never_sent() {
        assert_eq!(line("a\x1b[31mb"), "a\\x1b[31mb");
        assert_eq!(line("a\r\nb\tc\0"), "a\\r\\nb\\tc\\x00");
        assert_eq!(line("c1 \u{9b}31m"), "c1 \\u{9b}31m");
        assert_eq!(line("anh\u{202e}gpj.exe"), "anh\\u{202e}gpj.exe");
        assert_eq!(line("tệp đính kèm"), "tệp đính kèm");
        assert_eq!(lines("a\nb\x07"), "a\nb\\x07");
    }

    #[test]
    fn width_counts_columns_not_bytes() {
        assert_eq!(width("nghiêm trọng"), 12);
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(width("漢字"), 4);
        assert_eq!(pad("cao", 5), "cao  ");
        assert_eq!(pad("漢字", 5), "漢字 ");
    }

    #[test]
    fn what_does_not_fit_is_cut_at_a_character() {
        assert_eq!(fit("trung bình", 10), "trung bình");
        assert_eq!(fit("trung bình", 9), "trung bì…");
        assert_eq!(fit("漢字漢字", 5), "漢字…");
        assert_eq!(fit("漢字漢字", 4), "漢…");
        assert_eq!(fit("abc", 0), "");
    }
}
