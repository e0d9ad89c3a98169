//! What is the same in every finding of a rule, rendered once.

use std::collections::HashMap;

use khien_detect::finding::Head;

/// Most heads that are kept. Rules are far fewer; indicators may be millions.
const KEPT: usize = 65_536;

/// Writes what is the same for every finding of a head.
type Write = Box<dyn Fn(&Head, &mut Vec<u8>) + Send>;

/// Rendered heads of one worker.
///
/// A head is looked up by where it lies in memory and then compared, so an engine may well build heads as it goes and
/// put another one in the same place.
pub struct Heads {
    kept: HashMap<usize, (Head, Box<[u8]>)>,
    render: Write,
}

impl Heads {
    /// A cache of what `render` writes for a head.
    pub fn new(render: impl Fn(&Head, &mut Vec<u8>) + Send + 'static) -> Self {
        Self { kept: HashMap::new(), render: Box::new(render) }
    }

    /// What was rendered for `head`.
    pub fn get(&mut self, head: &Head) -> &[u8] {
        let place = std::ptr::from_ref(head).addr();
        let known = self.kept.get(&place).is_some_and(|(kept, _)| kept == head);
        if !known {
            if self.kept.len() >= KEPT {
                self.kept.clear();
            }
            let mut bytes = Vec::new();
            (self.render)(head, &mut bytes);
            self.kept.insert(place, (head.clone(), bytes.into()));
        }
        self.kept.get(&place).map_or(&[], |(_, bytes)| bytes)
    }
}

#[cfg(test)]
mod tests {

    use khien_detect::rule::Level;

    use super::*;
    use crate::output::sample::head;

    #[test]
    fn a_head_is_rendered_once_until_it_changes() {
        let mut heads = Heads::new(|head, out| out.extend_from_slice(head.id.as_bytes()));
        let mut one = head("a", Level::Low, &[]);
        assert_eq!(heads.get(&one), b"a");
        let kept = heads.get(&one).as_ptr();
        assert_eq!(heads.get(&one).as_ptr(), kept);
        one.id = "b".to_owned();
        assert_eq!(heads.get(&one), b"b");
        assert_eq!(heads.kept.len(), 1);
    }
}
