//! How text is compared when case does not matter.
//!
//! Sigma says that values are compared without regard to case and leaves the alphabet open. Here every character is
//! lower-cased by itself, with one restriction: an ASCII character only ever equals an ASCII character. (Unicode would
//! also map the Kelvin sign to `k`.) Searches can therefore look at bytes and never miss or invent a match.

/// The folded form of one character.
pub fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(l), None) if !l.is_ascii() => l,
        _ => c,
    }
}

/// The folded form of a text.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().map(fold_char).collect()
}

/// The number a text is: a decimal number with optional sign, fraction and exponent, nothing around it. Words (`inf`,
/// `nan`), hexadecimal and digit groups are not numbers.
pub fn number(text: &str) -> Option<f64> {
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    if text.is_empty() || !text.bytes().all(plain) {
        return None;
    }
    text.parse::<f64>().ok().filter(|n| n.is_finite())
}
