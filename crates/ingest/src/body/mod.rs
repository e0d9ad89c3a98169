//! What the body of a request holds: where its records are, in the protocols that shippers speak.
//!
//! A body is never copied when its records stand in it as they are. Records that are written otherwise (text inside JSON)
//! are spelled out into a new body.

pub mod bulk;
pub mod hec;
pub mod lines;
pub mod otlp;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::batch::{Extras, Key, Span};

/// Records found in a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The body that the spans point into.
    pub body: Bytes,
    /// The records.
    pub spans: Vec<Span>,
    /// What the protocol said about them.
    pub extras: Extras,
    /// Records that are too long to be taken.
    pub rejected: u64,
}

/// The key of a batch of `organisation` and `source`: of the key its sender gave, or else of its content.
pub fn key(organisation: &str, source: &str, given: Option<&str>, content: &[u8]) -> Key {
    let mut hash = Sha256::new();
    let (kind, text) = match given {
        Some(given) => (b"given".as_slice(), given.as_bytes()),
        None => (b"content".as_slice(), content),
    };
    for part in [organisation.as_bytes(), source.as_bytes(), kind, text] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    Key(key)
}

/// A stretch of a body; bodies are shorter than [`crate::batch::BYTES`].
fn span(start: usize, len: usize) -> Span {
    Span { start: start as u32, len: len as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_senders_sources_and_kinds_apart() {
        let keys = [
            key("a", "b", None, b"x"),
            key("a", "bx", None, b""),
            key("ab", "", None, b"x"),
            key("a", "b", Some("x"), b"x"),
            key("a", "b", Some("y"), b"x"),
        ];
        for (i, one) in keys.iter().enumerate() {
            assert!(keys.iter().skip(i + 1).all(|other| other != one));
        }
        assert_eq!(key("a", "b", Some("x"), b"1"), key("a", "b", Some("x"), b"2"));
    }
}
