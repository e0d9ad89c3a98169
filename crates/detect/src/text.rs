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

/// The number a text is, if it is one: an optional sign, digits, a fraction, an exponent (`4688`, `-1.5e3`). Infinity,
/// NaN, hexadecimal and surrounding space are not numbers.
pub fn number(text: &str) -> Option<f64> {
    let first = text.strip_prefix(['-', '+']).unwrap_or(text).bytes().next()?;
    if !first.is_ascii_digit() && first != b'.' {
        return None;
    }
    text.parse().ok().filter(|n: &f64| n.is_finite())
}
