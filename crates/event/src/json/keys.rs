//! What is known about the keys of records: their canonical names, and which key follows which.

use std::sync::Arc;

use hashbrown::HashTable;

use super::unescape_into;
use crate::names::{FieldId, Names};
use crate::taxonomy::{PairPart, Taxonomy};

/// A key at its place in the structure; an index into the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(u32);

impl NodeId {
    /// The record itself.
    pub(super) const ROOT: Self = Self(0);
}

/// Nodes after which the tree is emptied before the next record: hostile keys cost time, never memory.
const NODES: usize = 65_536;

/// Bytes of a key that are compared at once, the closing quote and colon included.
const WINDOW: usize = 32;

/// A key below its parent.
pub(super) struct Node {
    /// The key's bytes as they stand in the record, with `":` behind them.
    raw: Box<[u8]>,
    window: [u64; WINDOW / 8],
    mask: [u64; WINDOW / 8],
    parent: NodeId,
    /// The canonical name, if anybody asked for it.
    pub(super) name: FieldId,
    /// The canonical name, kept only while labels are wanted.
    pub(super) label: Box<str>,
    /// What this key says about the record's shape.
    pub(super) marks: u64,
    /// What its value is to a list of pairs.
    pub(super) pair: Option<PairPart>,
    /// The two keys that followed this one last, latest first.
    next: [NodeId; 2],
    /// The keys that came first inside this one's object.
    first: [NodeId; 2],
}

/// Where a prediction is kept: behind a key, or inside an object.
#[derive(Clone, Copy)]
pub(super) enum After {
    /// The key that stood before in the same object.
    Key(NodeId),
    /// Nothing: this is the first key of the object under that key.
    Open(NodeId),
}

/// All keys seen so far.
pub(super) struct KeyTree {
    nodes: Vec<Node>,
    index: HashTable<NodeId>,
    names: Arc<Names>,
    taxonomy: &'static Taxonomy,
}

impl KeyTree {
    pub(super) fn new(names: Arc<Names>, taxonomy: &'static Taxonomy) -> Self {
        let mut tree = Self { nodes: Vec::new(), index: HashTable::new(), names, taxonomy };
        tree.clear();
        tree
    }

    fn clear(&mut self) {
        self.index.clear();
        self.nodes.clear();
        self.nodes.push(Node {
            raw: Box::default(),
            window: [0; 4],
            mask: [0; 4],
            parent: NodeId::ROOT,
            name: FieldId::OTHER,
            label: Box::default(),
            marks: 0,
            pair: None,
            next: [NodeId::ROOT; 2],
            first: [NodeId::ROOT; 2],
        });
    }

    /// Called before each record.
    pub(super) fn make_room(&mut self) {
        if self.nodes.len() > NODES {
            self.clear();
        }
    }

    #[inline]
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The key that stands at `at` of `record` (behind its opening quote) if it is one of those expected `after` what
    /// came before, and the position behind its colon.
    #[inline]
    pub(super) fn predicted(&mut self, after: After, record: &[u8], at: usize) -> Option<(NodeId, usize)> {
        let [first, second] = *self.expected(after);
        if first != NodeId::ROOT && self.node(first).stands_at(record, at) {
            return Some((first, at + self.node(first).raw.len()));
        }
        if second != NodeId::ROOT && self.node(second).stands_at(record, at) {
            *self.expected(after) = [second, first];
            return Some((second, at + self.node(second).raw.len()));
        }
        None
    }

    #[inline]
    fn expected(&mut self, after: After) -> &mut [NodeId; 2] {
        match after {
            After::Key(id) => &mut self.nodes[id.0 as usize].next,
            After::Open(id) => &mut self.nodes[id.0 as usize].first,
        }
    }

    /// The node of the key whose raw bytes, `":` included, are `raw`, below `parent`; remembers it for prediction.
    #[cold]
    pub(super) fn find(&mut self, parent: NodeId, after: After, raw: &[u8]) -> NodeId {
        let id = self.known(parent, raw);
        let expected = self.expected(after);
        *expected = [id, expected[0]];
        id
    }

    /// The node of the member that a pair in the list `list` stands for; `name` as the record spells it.
    pub(super) fn member(&mut self, list: NodeId, name: &[u8]) -> NodeId {
        let raw = [name, b"\":"].concat();
        self.known(self.node(list).parent, &raw)
    }

    /// The node of a key, new if need be.
    fn known(&mut self, parent: NodeId, raw: &[u8]) -> NodeId {
        let hash = hash(parent, raw);
        let nodes = &self.nodes;
        let found = self.index.find(hash, |id| {
            let node = &nodes[id.0 as usize];
            node.parent == parent && *node.raw == *raw
        });
        match found {
            Some(&id) => id,
            None => self.insert(parent, raw, hash),
        }
    }

    fn insert(&mut self, parent: NodeId, raw: &[u8], hash: u64) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        let path = self.path(parent, raw);
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let label = self.taxonomy.canonical(&segments);
        let mut window = [0; WINDOW];
        let mut mask = [0; WINDOW];
        for (i, &byte) in raw.iter().take(WINDOW).enumerate() {
            window[i] = byte;
            mask[i] = 0xFF;
        }
        self.nodes.push(Node {
            raw: raw.into(),
            window: words(&window),
            mask: words(&mask),
            parent,
            name: self.names.get(&label),
            marks: self.taxonomy.mark(&segments),
            pair: self.taxonomy.pair_part(&segments),
            label: label.into(),
            next: [NodeId::ROOT; 2],
            first: [NodeId::ROOT; 2],
        });
        let nodes = &self.nodes;
        let state = |id: &NodeId| {
            use std::hash::{BuildHasher, Hash, Hasher};
            let node = &nodes[id.0 as usize];
            let mut hasher = foldhash::quality::FixedState::default().build_hasher();
            node.parent.0.hash(&mut hasher);
            hasher.write(&node.raw);
            hasher.finish()
        };
        self.index.insert_unique(hash, id, state);
        id
    }

    /// The unescaped keys from the root down to the key `raw` below `parent`.
    fn path(&self, parent: NodeId, raw: &[u8]) -> Vec<String> {
        let mut path = vec![key_text(raw)];
        let mut at = parent;
        while at != NodeId::ROOT {
            let node = self.node(at);
            path.push(key_text(&node.raw));
            at = node.parent;
        }
        path.reverse();
        path
    }
}

impl Node {
    /// Whether this key, its closing quote and colon stand at `at`.
    #[inline]
    fn stands_at(&self, record: &[u8], at: usize) -> bool {
        let rest = &record[at..];
        if let Some(window) = rest.first_chunk::<WINDOW>() {
            let have = words(window);
            let differs = (have[0] ^ self.window[0]) & self.mask[0]
                | (have[1] ^ self.window[1]) & self.mask[1]
                | (have[2] ^ self.window[2]) & self.mask[2]
                | (have[3] ^ self.window[3]) & self.mask[3];
            return differs == 0 && (self.raw.len() <= WINDOW || rest.starts_with(&self.raw));
        }
        rest.starts_with(&self.raw)
    }
}

#[inline]
fn words(bytes: &[u8; WINDOW]) -> [u64; WINDOW / 8] {
    let (eights, _) = bytes.as_chunks::<8>();
    [eights[0], eights[1], eights[2], eights[3]].map(u64::from_le_bytes)
}

/// The text of a key given by its raw bytes with `":` behind them.
fn key_text(raw: &[u8]) -> String {
    let inside = raw.strip_suffix(b"\":").unwrap_or(raw);
    let mut text = Vec::with_capacity(inside.len());
    unescape_into(inside, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn hash(parent: NodeId, raw: &[u8]) -> u64 {
    use std::hash::{BuildHasher, Hash, Hasher};
    let mut hasher = foldhash::quality::FixedState::default().build_hasher();
    parent.0.hash(&mut hasher);
    hasher.write(raw);
    hasher.finish()
}
