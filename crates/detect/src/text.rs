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
