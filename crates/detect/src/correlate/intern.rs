//! Byte strings as numbers: each different one is kept once.

use hashbrown::HashTable;

/// Longest value kept as it is. A longer one is kept as its beginning, its length and a hash of the whole.
const MAX_VALUE: usize = 4096;

/// Different byte strings, numbered from 0.
#[derive(Default)]
pub(super) struct Interner {
    arena: Vec<u8>,
    ends: Vec<u32>,
    table: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
}

impl Interner {
    /// The number of `value`; `None` when there is no room for another four gigabytes.
    pub(super) fn intern(&mut self, value: &[u8]) -> Option<u32> {
        if value.len() > MAX_VALUE {
            return self.intern_short(&shortened(value));
        }
        self.intern_short(value)
    }

    fn intern_short(&mut self, value: &[u8]) -> Option<u32> {
        use std::hash::BuildHasher;
        let hash = self.hasher.hash_one(value);
        if let Some(&id) = self.table.find(hash, |&id| bytes(&self.arena, &self.ends, id) == value) {
            return Some(id);
        }
        let end = u32::try_from(self.arena.len() + value.len()).ok()?;
        let id = u32::try_from(self.ends.len()).ok().filter(|i| *i < NONE)?;
        self.arena.extend_from_slice(value);
        self.ends.push(end);
        let (arena, ends, hasher) = (&self.arena, &self.ends, &self.hasher);
        self.table.insert_unique(hash, id, |&id| hasher.hash_one(bytes(arena, ends, id)));
        Some(id)
    }

    /// All byte strings, in the order of their numbers.
    pub(super) fn all(&self) -> Vec<&[u8]> {
        (0..self.ends.len()).map(|id| self.get(id as u32)).collect()
    }

    /// Byte strings by their numbers, as [`Self::all`] gave them; `None` when they are not all different, or too long.
    pub(super) fn of(all: &[&[u8]]) -> Option<Self> {
        let mut interner = Self::default();
        for (number, bytes) in all.iter().enumerate() {
            if interner.intern_short(bytes)? as usize != number {
                return None;
            }
        }
        Some(interner)
    }

    /// The bytes of number `id`.
    pub(super) fn get(&self, id: u32) -> &[u8] {
        bytes(&self.arena, &self.ends, id)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Memory it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.arena.capacity() + self.ends.capacity() * 4 + self.table.capacity() * 5
    }
}

/// Number of no value.
pub(super) const NONE: u32 = u32::MAX;

fn bytes<'a>(arena: &'a [u8], ends: &[u32], id: u32) -> &'a [u8] {
    let end = ends[id as usize] as usize;
    let start = match id {
        0 => 0,
        _ => ends[id as usize - 1] as usize,
    };
    &arena[start..end]
}

/// Two long values that differ stay different; the beginning stays readable.
fn shortened(value: &[u8]) -> Vec<u8> {
    use std::hash::BuildHasher;
    let fixed = foldhash::quality::FixedState::with_seed(0x6b68);
    let start = String::from_utf8_lossy(&value[..MAX_VALUE / 2]);
    format!("{start}… {} {:016x}", value.len(), fixed.hash_one(value)).into_bytes()
}
