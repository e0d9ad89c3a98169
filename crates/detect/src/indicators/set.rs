//! The set of indicators and the search in it.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use hashbrown::HashTable;

use super::key::{self, Key, Kind};
use crate::finding::{Head, Source};
use crate::rule::Level;

/// Most indicators in one set.
const MAX_INDICATORS: usize = 16_000_000;
/// Most bytes of their keys.
const MAX_ARENA: usize = 1 << 30;
/// Most memory for ids, names and labels; beyond it only kind, value, list and line are kept.
const MAX_NOTES: usize = 128 << 20;
/// Most items of a value that is a list.
const MAX_ITEMS: usize = 256;
/// Longest value that is looked at.
const MAX_VALUE: usize = 65_536;

/// Number of an indicator in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndicatorId(u32);

/// What is known of one indicator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indicator<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its value in canonical form.
    pub value: String,
    /// Name of the list it came from.
    pub list: &'a str,
    /// 1-based line in the list.
    pub line: u32,
    /// Its id in the list, if it has one.
    pub id: Option<&'a str>,
    /// Its name.
    pub name: Option<&'a str>,
    /// Labels and marking (`tlp:amber`).
    pub labels: Vec<&'a str>,
    /// Valid from, nanoseconds since 1970.
    pub valid_from_ns: Option<i64>,
    /// Valid until.
    pub valid_until_ns: Option<i64>,
}

impl Indicator<'_> {
    /// Whether it was valid at this time. Without a time, and outside of what the list says, it is.
    pub fn is_valid_at(&self, time_ns: Option<i64>) -> bool {
        let Some(time) = time_ns else { return true };
        self.valid_from_ns.is_none_or(|from| time >= from) && self.valid_until_ns.is_none_or(|until| time < until)
    }

    /// What a finding says of it.
    pub fn head(&self) -> Head {
        let title = match self.name {
            Some(name) => format!("{name}: {}", self.value),
            None => format!("{} {} ({}:{})", self.kind.name(), self.value, self.list, self.line),
        };
        Head {
            id: self.id.map_or_else(|| format!("indicator:{}", self.value), str::to_owned),
            title,
            level: Level::High,
            tags: self.labels.iter().map(|l| (*l).to_owned()).collect(),
            author: None,
            source: Source::Indicator,
        }
    }
}

/// What a list says beside the value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) id: Option<Box<str>>,
    pub(super) name: Option<Box<str>>,
    pub(super) labels: Box<[Box<str>]>,
    pub(super) valid_from_ns: Option<i64>,
    pub(super) valid_until_ns: Option<i64>,
}

impl Note {
    fn bytes(&self) -> usize {
        let text = |t: &Option<Box<str>>| t.as_ref().map_or(0, |t| t.len() + 16);
        let labels: usize = self.labels.iter().map(|l| l.len() + 32).sum();
        size_of::<Self>() + text(&self.id) + text(&self.name) + labels
    }
}

/// Where an indicator is kept.
#[derive(Clone, Copy)]
struct Entry {
    start: u32,
    line: u32,
    /// Index of its note, `u32::MAX` for none.
    note: u32,
    len: u16,
    list: u16,
    kind: Kind,
}

const NO_NOTE: u32 = u32::MAX;

/// Why an indicator was not added.
pub(super) enum Refusal {
    /// It is there already.
    Duplicate,
    /// The set is full.
    Full,
}

/// Indicators and the search in them.
#[derive(Default)]
pub struct IndicatorSet {
    lists: Vec<String>,
    entries: Vec<Entry>,
    arena: Vec<u8>,
    notes: Vec<Note>,
    notes_bytes: usize,
    table: HashTable<u32>,
    filter: Filter,
    hasher: foldhash::fast::RandomState,
    counts: [usize; 5],
    lengths_v4: u64,
    lengths_v6: [u64; 3],
}

impl std::fmt::Debug for IndicatorSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndicatorSet").field("indicators", &self.len()).finish_non_exhaustive()
    }
}

impl IndicatorSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many indicators there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many indicators of this kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.counts[kind as usize]
    }

    /// Memory it holds in bytes, approximately.
    pub fn bytes(&self) -> usize {
        self.arena.capacity()
            + self.entries.capacity() * size_of::<Entry>()
            + self.table.capacity() * 5
            + self.filter.blocks.capacity() * 8
            + self.notes_bytes
    }

    /// What is known of an indicator that [`Self::matches`] named.
    pub fn get(&self, id: IndicatorId) -> Indicator<'_> {
        let entry = &self.entries[id.0 as usize];
        let note = self.notes.get(entry.note as usize);
        Indicator {
            kind: entry.kind,
            value: key::display(entry.kind, bytes_of(&self.arena, entry)),
            list: &self.lists[entry.list as usize],
            line: entry.line,
            id: note.and_then(|n| n.id.as_deref()),
            name: note.and_then(|n| n.name.as_deref()),
            labels: note.map(|n| n.labels.iter().map(|l| &**l).collect()).unwrap_or_default(),
            valid_from_ns: note.and_then(|n| n.valid_from_ns),
            valid_until_ns: note.and_then(|n| n.valid_until_ns),
        }
    }

    /// All of them, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = Indicator<'_>> {
        (0..self.entries.len() as u32).map(|id| self.get(IndicatorId(id)))
    }

    /// Begins a list; `None` when there are too many.
    pub(super) fn begin_list(&mut self, name: &str) -> Option<u16> {
        let list = u16::try_from(self.lists.len()).ok()?;
        self.lists.push(name.to_owned());
        Some(list)
    }

    pub(super) fn add(&mut self, key: &Key, list: u16, line: u32, note: Option<Note>) -> Result<(), Refusal> {
        let hash = hash(&self.hasher, key.kind, &key.bytes);
        let (arena, entries) = (&self.arena, &self.entries);
        let same = |&i: &u32| {
            let entry = &entries[i as usize];
            entry.kind == key.kind && bytes_of(arena, entry) == key.bytes
        };
        if self.table.find(hash, same).is_some() {
            return Err(Refusal::Duplicate);
        }
        let len = u16::try_from(key.bytes.len()).map_err(|_| Refusal::Full)?;
        if entries.len() >= MAX_INDICATORS || arena.len() + key.bytes.len() > MAX_ARENA {
            return Err(Refusal::Full);
        }
        let entry =
            Entry { start: self.arena.len() as u32, line, note: self.keep_note(note), len, list, kind: key.kind };
        self.arena.extend_from_slice(&key.bytes);
        let id = self.entries.len() as u32;
        self.entries.push(entry);
        self.counts[key.kind as usize] += 1;
        self.note_length(key);
        let (arena, entries, hasher) = (&self.arena, &self.entries, &self.hasher);
        self.table.insert_unique(hash, id, |&i| {
            let entry = &entries[i as usize];
            self::hash(hasher, entry.kind, bytes_of(arena, entry))
        });
        Ok(())
    }

    fn keep_note(&mut self, note: Option<Note>) -> u32 {
        let Some(note) = note.filter(|n| *n != Note::default()) else {
            return NO_NOTE;
        };
        if self.notes.last() == Some(&note) {
            return self.notes.len() as u32 - 1;
        }
        if self.notes_bytes + note.bytes() > MAX_NOTES {
            return NO_NOTE;
        }
        self.notes_bytes += note.bytes();
        self.notes.push(note);
        self.notes.len() as u32 - 1
    }

    /// Remembers which prefix lengths there are.
    fn note_length(&mut self, key: &Key) {
        if key.kind != Kind::Ip {
            return;
        }
        let length = key.bytes.first().copied().unwrap_or(0);
        match key.bytes.len() {
            5 => self.lengths_v4 |= 1 << length,
            _ => self.lengths_v6[usize::from(length / 64)] |= 1 << (length % 64),
        }
    }

    /// Builds the filter anew after a list.
    pub(super) fn finish_list(&mut self) {
        let mut filter = Filter::for_keys(self.entries.len());
        for entry in &self.entries {
            filter.add(hash(&self.hasher, entry.kind, bytes_of(&self.arena, entry)));
        }
        self.filter = filter;
    }

    /// Whether a value may hold an indicator, by its first telling bytes; for nearly all values the answer is no. `raw` is
    /// the value as it is written, also with the escapes of JSON.
    pub fn may_match(raw: &[u8]) -> bool {
        let shape = Shape::of(raw);
        let rest = &raw[shape.name..];
        // An escape that may stand for one of the telling characters.
        let escaped = |rest: &[u8]| rest.starts_with(br"\/") || rest.starts_with(br"\u");
        let telling = match rest.first() {
            None => shape.dots > 0 || (shape.hex && raw.len() >= key::SHORTEST_HASH),
            Some(b'\\') => escaped(rest),
            Some(b':') => {
                let next = &rest[1..];
                shape.dots > 0
                    || next.first() == Some(&b'/')
                    || escaped(next)
                    || shape.may_be_v6(raw)
                    || &raw[..shape.name] == b"type"
            }
            Some(b'/' | b'?' | b'#') => shape.dots > 0,
            Some(b',' | b';') => shape.dots > 0 || shape.hex,
            Some(b'[' | b'=') => true,
            Some(b'%' | b'+' | b'@' | b'!' | b'&' | b'\'') => memchr::memchr2(b'@', b'\\', rest).is_some(),
            Some(_) => false,
        };
        telling || matches!(raw.last(), Some(b'>')) || raw.ends_with(br"\u003e") || raw.ends_with(br"\u003E")
    }

    /// Adds to `found` every indicator that the field value `value` (UTF-8, nothing escaped) fulfils, each once.
    pub fn matches(&self, value: &[u8], found: &mut Vec<IndicatorId>) {
        if self.entries.is_empty() || value.len() < 3 || value.len() > MAX_VALUE {
            return;
        }
        if value[value.len() - 1] == b'>'
            && let Some(at) = memchr::memrchr(b'<', value)
        {
            self.item(&value[at + 1..value.len() - 1], found);
            return;
        }
        let shape = Shape::of(value);
        if shape.is_list(value) {
            self.list(value, found);
        } else {
            self.shaped(value, shape, found);
        }
    }

    fn list(&self, value: &[u8], found: &mut Vec<IndicatorId>) {
        let items = value.split(|b| matches!(b, b',' | b';' | b' '));
        for item in items.filter(|i| i.len() >= 3).take(MAX_ITEMS) {
            let after = memchr::memchr(b'=', item).map_or(item, |at| &item[at + 1..]);
            self.item(after, found);
        }
    }

    fn item(&self, item: &[u8], found: &mut Vec<IndicatorId>) {
        if item.len() >= 3 {
            self.shaped(item, Shape::of(item), found);
        }
    }

    fn shaped(&self, value: &[u8], shape: Shape, found: &mut Vec<IndicatorId>) {
        let name = &value[..shape.name];
        match value.get(shape.name) {
            None if shape.dots > 0 => self.host(value, shape, found),
            None if shape.hex => self.hash(value, found),
            Some(b':') if value[shape.name..].starts_with(b"://") => self.url(value, found),
            Some(b':') if shape.may_be_v6(value) => self.address_text(value, found),
            Some(b':') if shape.dots > 0 && is_port(&value[shape.name + 1..]) => {
                self.host(name, shape, found);
            }
            Some(b'[') if shape.name == 0 => self.address_text(value, found),
            Some(b'/') if shape.dots > 0 => {
                self.host(name, shape, found);
                self.whole_url(value, found);
            }
            Some(b'?' | b'#') if shape.dots > 0 => self.whole_url(value, found),
            Some(b'%' | b'+' | b'@' | b'!' | b'&' | b'\'') => self.email(value, found),
            Some(_) | None => {}
        }
    }

    /// A name with dots: an address or a domain.
    fn host(&self, name: &[u8], shape: Shape, found: &mut Vec<IndicatorId>) {
        if shape.digits {
            if self.count(Kind::Ip) > 0 {
                self.address_text(name, found);
            }
        } else if self.count(Kind::Domain) > 0 {
            self.domain(name, found);
        }
    }

    fn address_text(&self, text: &[u8], found: &mut Vec<IndicatorId>) {
        if self.count(Kind::Ip) == 0 || text.len() > 80 {
            return;
        }
        let ip = std::str::from_utf8(text).ok().and_then(key::address_with_port);
        if let Some(ip) = ip {
            self.address(key::canonical(ip).0, found);
        }
    }

    /// The narrowest network that holds the address.
    fn address(&self, ip: IpAddr, found: &mut Vec<IndicatorId>) {
        let try_length = |length: u8| {
            let (buffer, size) = key::network_key(ip, length);
            self.find(Kind::Ip, &buffer[..size])
        };
        let hit = match ip {
            IpAddr::V4(_) => lengths(self.lengths_v4, 0).find_map(try_length),
            IpAddr::V6(_) => (0..3_u8)
                .rev()
                .flat_map(|word| lengths(self.lengths_v6[usize::from(word)], word * 64))
                .find_map(try_length),
        };
        note(hit, found);
    }

    /// The narrowest domain that holds the name.
    fn domain(&self, name: &[u8], found: &mut Vec<IndicatorId>) {
        let name = name.strip_suffix(b".").unwrap_or(name);
        if name.len() > key::MAX_NAME {
            return;
        }
        let mut buffer = [0; key::MAX_NAME];
        let lower = &mut buffer[..name.len()];
        lower.copy_from_slice(name);
        if lower.is_ascii() {
            lower.make_ascii_lowercase();
            self.domain_suffixes(lower, found);
        } else if let Ok(text) = std::str::from_utf8(lower) {
            self.domain_suffixes(text.to_lowercase().as_bytes(), found);
        }
    }

    fn domain_suffixes(&self, name: &[u8], found: &mut Vec<IndicatorId>) {
        let Some(last_dot) = memchr::memrchr(b'.', name) else {
            return;
        };
        let mut start = 0;
        while start < last_dot {
            if let Some(hit) = self.find(Kind::Domain, &name[start..]) {
                note(Some(hit), found);
                return;
            }
            match memchr::memchr(b'.', &name[start..]) {
                Some(dot) => start += dot + 1,
                None => return,
            }
        }
    }

    fn hash(&self, text: &[u8], found: &mut Vec<IndicatorId>) {
        if self.count(Kind::Hash) == 0 {
            return;
        }
        let mut buffer = [0; 64];
        if let Some(size) = key::hash_bytes(text, &mut buffer) {
            note(self.find(Kind::Hash, &buffer[..size]), found);
        }
    }

    /// A value with a scheme: the URL itself, and its host.
    fn url(&self, value: &[u8], found: &mut Vec<IndicatorId>) {
        self.whole_url(value, found);
        let Some(start) = memchr::memmem::find(value, b"://") else {
            return;
        };
        let rest = &value[start + 3..];
        let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let Ok(authority) = std::str::from_utf8(&rest[..end]) else {
            return;
        };
        let host = key::host_of(authority).as_bytes();
        match Shape::of(host) {
            _ if host.first() == Some(&b'[') => self.address_text(host, found),
            shape if shape.name == host.len() && shape.dots > 0 => self.host(host, shape, found),
            _ => {}
        }
    }

    fn whole_url(&self, value: &[u8], found: &mut Vec<IndicatorId>) {
        if self.count(Kind::Url) == 0 || value.len() > key::MAX_URL {
            return;
        }
        let Some(url) = std::str::from_utf8(value).ok().and_then(key::url) else {
            return;
        };
        let hit = self.find(Kind::Url, &url).or_else(|| {
            let query = memchr::memchr(b'?', &url)?;
            self.find(Kind::Url, &url[..query])
        });
        note(hit, found);
    }

    /// An e-mail address, and its domain.
    fn email(&self, value: &[u8], found: &mut Vec<IndicatorId>) {
        if self.count(Kind::Email) + self.count(Kind::Domain) == 0 {
            return;
        }
        let Some(at) = memchr::memrchr(b'@', value) else {
            return;
        };
        let Some(address) = std::str::from_utf8(value).ok().and_then(key::email) else {
            return;
        };
        note(self.find(Kind::Email, &address), found);
        self.domain(&value[at + 1..], found);
    }

    fn find(&self, kind: Kind, key: &[u8]) -> Option<IndicatorId> {
        let hash = hash(&self.hasher, kind, key);
        if !self.filter.may_hold(hash) {
            return None;
        }
        let same = |&i: &u32| {
            let entry = &self.entries[i as usize];
            entry.kind == kind && bytes_of(&self.arena, entry) == key
        };
        self.table.find(hash, same).map(|&i| IndicatorId(i))
    }
}

fn note(hit: Option<IndicatorId>, found: &mut Vec<IndicatorId>) {
    if let Some(hit) = hit
        && !found.contains(&hit)
    {
        found.push(hit);
    }
}

fn is_port(text: &[u8]) -> bool {
    (1..=5).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}

/// The set bits of `mask`, highest first, each plus `base`.
fn lengths(mut mask: u64, base: u8) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let bit = mask.checked_ilog2()?;
        mask &= !(1 << bit);
        Some(base + bit as u8)
    })
}

fn bytes_of<'a>(arena: &'a [u8], entry: &Entry) -> &'a [u8] {
    &arena[entry.start as usize..entry.start as usize + usize::from(entry.len)]
}

fn hash(hasher: &foldhash::fast::RandomState, kind: Kind, key: &[u8]) -> u64 {
    let mut state = hasher.build_hasher();
    state.write(key);
    state.write_u8(kind as u8);
    state.finish()
}

/// What the beginning of a value tells.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Length of the leading letters, digits, `.`, `-`, `_` and bytes beyond ASCII.
    name: usize,
    /// Dots in it.
    dots: usize,
    /// Whether it has only hexadecimal digits.
    hex: bool,
    /// Whether it has only digits and dots.
    digits: bool,
}

const DIGIT: u8 = 1;
const HEX_LETTER: u8 = 2;
const DOT: u8 = 4;
const OTHER: u8 = 8;

/// The class of each byte that can be part of a name, 0 for the others.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' | b'A'..=b'F' => HEX_LETTER,
            b'.' => DOT,
            b'g'..=b'z' | b'G'..=b'Z' | b'-' | b'_' | 0x80.. => OTHER,
            _ => 0,
        };
        byte += 1;
    }
    table
}

impl Shape {
    fn of(value: &[u8]) -> Self {
        let (mut seen, mut dots, mut name) = (0, 0, 0);
        for &byte in value {
            let class = CLASSES[byte as usize];
            if class == 0 {
                break;
            }
            seen |= class;
            dots += usize::from(class == DOT);
            name += 1;
        }
        Self { name, dots, hex: seen & (DOT | OTHER) == 0, digits: seen & (HEX_LETTER | OTHER) == 0 }
    }

    /// Whether it may be an IPv6 address; a path (`C:\\`) is not.
    fn may_be_v6(self, value: &[u8]) -> bool {
        let next = value.get(self.name + 1);
        self.hex && self.name <= 4 && next.is_some_and(|b| *b == b':' || b.is_ascii_hexdigit())
    }

    /// Whether it may be a host with a port.
    fn may_have_port(self, value: &[u8]) -> bool {
        self.dots > 0 && value.get(self.name + 1).is_some_and(u8::is_ascii_digit)
    }

    /// Whether the value is a list: its first item ends in a divider, or is named as a hash or (in Sysmon's DNS answers)
    /// as a record type.
    fn is_list(self, value: &[u8]) -> bool {
        let name = &value[..self.name];
        match value.get(self.name) {
            Some(b',' | b';') => self.dots > 0 || self.hex,
            Some(b'=') => {
                [&b"md5"[..], b"sha1", b"sha256", b"sha512", b"imphash"].iter().any(|n| name.eq_ignore_ascii_case(n))
            }
            // `type:  5 name;::ffff:192.0.2.1;` and `::ffff:192.0.2.1;`
            Some(b':') => {
                (name == b"type" || self.may_be_v6(value) || self.may_have_port(value))
                    && memchr::memchr2(b';', b',', value).is_some()
            }
            _ => false,
        }
    }
}

/// A set of hashes that may say yes by mistake, never no: six bits in one 64-bit block per key, 16 bits a key.
#[derive(Default)]
struct Filter {
    blocks: Vec<u64>,
}

impl Filter {
    fn for_keys(keys: usize) -> Self {
        Self { blocks: vec![0; keys / 4 + 1] }
    }

    /// The block of a hash and the bits in it.
    fn place(&self, hash: u64) -> (usize, u64) {
        let block = (u128::from(hash) * self.blocks.len() as u128) >> 64;
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = (0..6).fold(0, |bits, i| bits | 1 << (mixed >> (i * 6 + 20) & 63));
        (block as usize, bits)
    }

    fn add(&mut self, hash: u64) {
        let (block, bits) = self.place(hash);
        self.blocks[block] |= bits;
    }

    fn may_hold(&self, hash: u64) -> bool {
        let (block, bits) = self.place(hash);
        self.blocks.get(block).is_some_and(|b| b & bits == bits)
    }
}
