//! What was found in values seen before.
//!
//! Most values come again and again: the same image paths, users, registry keys. What is found in a value depends on
//! what is looked for and on its raw bytes alone, so it is remembered under exactly these. The table has a fixed size; a
//! new value takes the place of an older one. Fields whose values never repeat stop asking.

use std::hash::{BuildHasher, Hasher};

/// Places in the table.
const PLACES: usize = 1 << 13;

/// Longest value that is remembered.
const VALUE_BYTES: usize = 2_048;

/// Remembered values; see the module text.
pub(crate) struct ValueCache<T> {
    places: Vec<Place<T>>,
    state: foldhash::fast::FixedState,
}

struct Place<T> {
    key: u64,
    owner: u64,
    value: Vec<u8>,
    found: Vec<T>,
}

/// How often the values of one field were found.
#[derive(Clone, Copy, Default)]
pub(crate) struct Record {
    asked: u32,
    found: u32,
}

/// Questions after which a field is judged, and after which it gets another chance.
const JUDGED: u32 = 256;
const FORGIVEN: u32 = 65_536;

impl Record {
    /// Whether asking is worth it: at first, and while at least an eighth of the questions are answered.
    #[inline]
    fn pays(&mut self) -> bool {
        if self.asked >= FORGIVEN {
            *self = Self::default();
        }
        self.asked += 1;
        self.asked < JUDGED || self.found >= self.asked / 8 || self.asked.is_multiple_of(64)
    }
}

impl<T: Copy> ValueCache<T> {
    pub(crate) fn new() -> Self {
        let mut places = Vec::with_capacity(PLACES);
        places.resize_with(PLACES, || Place { key: 0, owner: 0, value: Vec::new(), found: Vec::new() });
        Self { places, state: foldhash::fast::FixedState::with_seed(0x6b68_6965_6e21) }
    }

    /// Appends what is found in `value` to `out`; `find` says it when it is not known. `owner` stands for what is looked
    /// for.
    #[inline]
    pub(crate) fn found(
        &mut self,
        owner: u64,
        value: &[u8],
        record: &mut Record,
        find: impl FnOnce(&[u8], &mut Vec<T>),
        out: &mut Vec<T>,
    ) {
        if value.len() > VALUE_BYTES || !record.pays() {
            find(value, out);
            return;
        }
        let mut hasher = self.state.build_hasher();
        hasher.write_u64(owner);
        hasher.write(value);
        let key = hasher.finish();
        let place = &mut self.places[key as usize % PLACES];
        if place.key == key && place.owner == owner && place.value == value {
            record.found += 1;
        } else {
            place.key = key;
            place.owner = owner;
            place.value.clear();
            place.value.extend_from_slice(value);
            place.found.clear();
            find(value, &mut place.found);
        }
        out.extend_from_slice(&place.found);
    }
}
