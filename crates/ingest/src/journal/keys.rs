//! Which keys were accepted, and under which sequence number.
//!
//! Held in memory, in the order they came, up to a bound; written beside each segment when that is full, so that the keys
//! outlive the segments.

use std::collections::{HashMap, VecDeque};

use crate::batch::Key;

/// See the module text.
pub(super) struct Keys {
    sequences: HashMap<Key, u64>,
    order: VecDeque<Key>,
    most: usize,
}

impl Keys {
    /// Remembers at most `most` keys; older ones are forgotten.
    pub(super) fn new(most: usize) -> Self {
        Self { sequences: HashMap::new(), order: VecDeque::new(), most }
    }

    /// The sequence number of a batch with this key.
    pub(super) fn get(&self, key: &Key) -> Option<u64> {
        self.sequences.get(key).copied()
    }

    /// Notes that a batch with this key was accepted.
    pub(super) fn add(&mut self, key: Key, sequence: u64) {
        if self.sequences.insert(key, sequence).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > self.most {
            if let Some(oldest) = self.order.pop_front() {
                self.sequences.remove(&oldest);
            }
        }
    }
}

/// Bytes of one key in a file.
const ENTRY: usize = 24;

/// The keys of a segment as they stand beside it.
pub(super) fn to_bytes(keys: &[(Key, u64)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(keys.len() * ENTRY + 4);
    for (key, sequence) in keys {
        out.extend_from_slice(&key.0);
        out.extend_from_slice(&sequence.to_le_bytes());
    }
    out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
    out
}

/// The same read back; `None` when the file is damaged.
pub(super) fn from_bytes(bytes: &[u8]) -> Option<Vec<(Key, u64)>> {
    let (entries, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(entries).to_le_bytes() != *crc {
        return None;
    }
    let (entries, rest) = entries.as_chunks::<ENTRY>();
    let entry = |entry: &[u8; ENTRY]| {
        let (key, sequence) = entry.split_first_chunk::<16>()?;
        Some((Key(*key), u64::from_le_bytes(sequence.try_into().ok()?)))
    };
    rest.is_empty().then(|| entries.iter().map_while(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_keys_are_forgotten_first() {
        let mut keys = Keys::new(2);
        for i in 0..3 {
            keys.add(Key([i; 16]), u64::from(i));
        }
        keys.add(Key([2; 16]), 9);
        assert_eq!([0, 1, 2].map(|i| keys.get(&Key([i; 16]))), [None, Some(1), Some(9)]);
    }

    #[test]
    fn files_of_keys_are_checked() {
        let keys = vec![(Key([7; 16]), 5), (Key([8; 16]), u64::MAX)];
        let mut bytes = to_bytes(&keys);
        assert_eq!(from_bytes(&bytes), Some(keys));
        bytes[3] ^= 1;
        assert_eq!(from_bytes(&bytes), None);
        assert_eq!(from_bytes(&[]), None);
        assert_eq!(from_bytes(&to_bytes(&[])), Some(Vec::new()));
    }
}
