//! What every decoder is.

use khien_base::message::{Message, Phrase};
use thiserror::Error;

use crate::fields::Fields;

/// Why a record could not be decoded. The record is counted and its raw bytes are kept by the caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", self.message())]
pub struct Malformed {
    /// What is wrong: one of [`crate::reasons`].
    pub reason: &'static Phrase,
    /// Where in the record, 0-based.
    pub offset: usize,
}

impl Malformed {
    /// A record that is wrong at `offset`.
    pub fn new(reason: &'static Phrase, offset: usize) -> Self {
        Self { reason, offset }
    }

    /// The same for people.
    pub fn message(&self) -> Message {
        Message::new(self.reason, vec![self.offset.to_string()])
    }
}

/// What a record turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// An event; its fields are filled.
    Event,
    /// Not an event: an empty line, a comment, a header that the decoder remembered.
    Nothing,
}

/// A decoder of one format. It may remember what earlier records of the same file said (Zeek's `#fields`).
pub trait Decode: Send {
    /// Decodes one record into `fields`, which the caller has cleared.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes are not a record of this format.
    fn decode(&mut self, record: &[u8], fields: &mut Fields) -> Result<Decoded, Malformed>;
}
