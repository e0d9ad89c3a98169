//! The search language of analysts.
//!
//! ```text
//! host:ws-01 cmd:*mimikatz* NOT user:admin
//! src_endpoint.ip:10.0.0.0/8 AND dst_endpoint.port:(22 OR 3389)
//! severity_id:>=4 time:[2026-11-20 TO 2026-11-21} "failed login"
//! ```
//!
//! - `field:value` compares a column, by its name or by its OCSF path with dots; the case of letters does not matter, except
//!   in `organisation` and `source`. `*` stands for any characters, `?` for one; `field:*` asks whether there is a value.
//!   Quotes hold blanks and take wildcards as they are written.
//! - `field:>5`, `>=`, `<`, `<=`, `field:[a TO b]` with both ends, `{a TO b}` without; `*` for an open end.
//! - `field:10.0.0.0/8` looks for addresses of a network.
//! - A word or phrase without a field is looked for in the raw record, as a whole word: no letter or digit stands before or
//!   behind it. With wildcards it is looked for anywhere: `*katz*`. Whole words are found fast, see [`crate::words`].
//! - `AND` (also by a blank), `OR`, `NOT` (also `-`), parentheses, also behind a field.
//! - Short names look in several columns: `ip`, `port`, `host`, `user`, `process`, `cmd`, `domain`, `file`, `url`.
//!
//! A search becomes the same plan as SQL would, over the same guarded tables.

mod compile;
mod network;
mod parse;
pub(crate) mod reasons;
#[cfg(test)]
mod tests;
mod word;

use khien_base::lang::Lang;
use khien_base::message::Message;
use thiserror::Error;

pub(crate) use compile::{column, filter};
pub(crate) use network::in_network;
pub(crate) use parse::parse;
#[cfg(test)]
pub(crate) use word::is_word_in;
pub(crate) use word::{HAS_WORD, MAY_HAVE_WORDS, has_word, may_have_words};

/// What is wrong with a search.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("character {at}: {what}")]
pub struct SearchFault {
    /// Where, counted from 1.
    pub at: usize,
    /// What, and what to do.
    pub what: Message,
}

impl SearchFault {
    /// The whole in the language `lang`.
    pub fn text(&self, lang: Lang) -> String {
        reasons::at_character(self.at, self.what.text(lang)).text(lang)
    }
}

/// Whether a text is a search.
///
/// # Errors
/// What is wrong with it.
pub fn check(query: &str) -> Result<(), SearchFault> {
    parse(query)?.map(|node| filter(&node)).transpose().map(drop)
}
