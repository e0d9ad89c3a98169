//! What was found in values seen before.
//!
//! Most values come again and again: the same image paths, users, registry keys. Which bodies a value makes candidates
//! depends on the field and its raw bytes alone, so it is remembered under exactly these. The table has a fixed size; a
//! new value takes the place of an older one. Fields whose values never repeat stop asking.

use std::hash::{BuildHasher, Hasher};

/// Places in the table.
const PLACES: usize = 1 << 13;

/// Longest value that is remembered.
const VALUE_BYTES: usize = 2_048;

/// Remembered values; see the module text.
pub(super) struct ValueCache {
    places: Vec<Place>,
    state: foldhash::fast::FixedState,
}

#[derive(Default)]
struct Place {
    key: u64,
    owner: u64,
    value: Vec<u8>,
    bodies: Vec<u32>,
}

/// How often the values of one field were found.
#[derive(Clone, Copy, Default)]
pub(super) struct Record {
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

impl ValueCache {
    pub(super) fn new() -> Self {
        let mut places = Vec::with_capacity(PLACES);
        places.resize_with(PLACES, Place::default);
        Self { places, state: foldhash::fast::FixedState::with_seed(0x6b68_6965_6e21) }
    }

    /// The bodies that `value` makes candidates; `find` says them when they are not known. `owner` stands for the field
    /// and for how its filter was built.
    #[inline]
    pub(super) fn bodies(
        &mut self,
        owner: u64,
        value: &[u8],
        record: &mut Record,
        find: impl FnOnce(&[u8], &mut Vec<u32>),
        out: &mut Vec<u32>,
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
            place.bodies.clear();
            find(value, &mut place.bodies);
        }
        out.extend_from_slice(&place.bodies);
    }
}
