//! A growing piece of a stream.

use std::ops::{Deref, Range};

/// Bytes with room behind them that is zeroed once, not before each read.
#[derive(Clone, Debug, Default)]
pub(super) struct Bytes {
    /// The bytes and the room.
    held: Vec<u8>,
    len: usize,
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.held[..self.len]
    }
}

impl Bytes {
    /// Room for `count` bytes behind those that are held; what is written there counts after [`Bytes::grow`].
    pub(super) fn room(&mut self, count: usize) -> &mut [u8] {
        let end = self.len + count;
        if self.held.len() < end {
            self.held.resize(end, 0);
        }
        &mut self.held[self.len..end]
    }

    /// Takes in the first `count` bytes of the room.
    pub(super) fn grow(&mut self, count: usize) {
        self.len = (self.len + count).min(self.held.len());
    }

    pub(super) fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.grow(bytes.len());
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Takes out a part.
    pub(super) fn remove(&mut self, part: Range<usize>) {
        let removed = part.len();
        self.held.copy_within(part.end..self.len, part.start);
        self.len -= removed;
    }

    /// Forgets everything, and gives back what is held beyond `most` bytes.
    pub(super) fn clear(&mut self, most: usize) {
        self.len = 0;
        self.held.truncate(most);
        self.held.shrink_to(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_taken_in() {
        let mut bytes = Bytes::default();
        bytes.extend_from_slice(b"abcdef");
        bytes.room(4)[..2].copy_from_slice(b"gh");
        bytes.grow(2);
        assert_eq!(*bytes, *b"abcdefgh");
        bytes.remove(1..3);
        assert_eq!(*bytes, *b"adefgh");
        bytes.truncate(4);
        bytes.remove(0..1);
        assert_eq!(*bytes, *b"def");
        bytes.extend_from_slice(b"!");
        assert_eq!(*bytes, *b"def!");
        bytes.clear(2);
        assert_eq!((bytes.len(), bytes.held.len()), (0, 2));
    }
}
