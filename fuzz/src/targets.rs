//! The targets. Each says what must hold for all bytes.

use khien_base::lang::Lang;
use khien_detect::text::{fold, fold_char};
use khien_event::taxonomy::Taxonomy;

/// Any locale name has a language or none.
pub fn locale(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(lang) = Lang::of_locale(&text) {
        assert!(["vi", "en"].contains(&lang.pick("vi", "en")));
    }
}

/// Any path of JSON keys has a canonical name, and a rule may write that name.
pub fn taxonomy_path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let path: Vec<&str> = text.split('\n').collect();
    let taxonomy = Taxonomy::embedded();
    let name = taxonomy.canonical(&path);
    let marks = taxonomy.mark(&path);
    let shape = taxonomy.shape_of(marks);
    let values: Vec<Option<&str>> = taxonomy.discriminators(shape).iter().map(|_| Some(text.as_ref())).collect();
    let kind = taxonomy.kind(shape, &values);
    assert!(usize::from(kind.0) < taxonomy.kind_count());
    assert!(!taxonomy.sources(kind, &name).is_empty());
}

/// Folding keeps the number of characters, is stable, and never turns other letters into ASCII.
pub fn text_fold(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let folded = fold(&text);
    assert_eq!(folded.chars().count(), text.chars().count());
    assert_eq!(fold(&folded), folded);
    for (before, after) in text.chars().zip(folded.chars()) {
        assert_eq!(before.is_ascii(), after.is_ascii());
        assert_eq!(fold_char(before), after);
    }
}
