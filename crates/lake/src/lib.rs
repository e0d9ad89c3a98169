//! Where events and findings are kept, and how they are asked for.
//!
//! Two Delta Lake tables of Parquet files, `events` and `findings`, on a disk or in an object store. One process writes
//! ([`Writer`]); any number read, with [`Reader`] or with any other engine that reads Delta. A commit says in its own
//! transaction up to which batch of the journal it goes, so that what is replayed after a crash adds nothing twice.
//!
//! What it is not: it decodes and detects nothing, and knows no user: a query is given the organisations that its asker
//! may see. Invariants: a commit is there as a whole or not at all; a query sees one state of a table from its beginning
//! to its end, and no row of an organisation it was not given.

mod columns;
mod compact;
mod files;
mod query;
mod retention;
mod scan;
pub mod search;
mod table;
#[cfg(test)]
mod tests;
mod words;
mod writer;

pub use columns::{EventRow, EventRows, FindingRow, FindingRows, row_time};
pub use query::{Answer, Facet, Found, Limits, Output, QueryError, Reader, Scope, Search};
pub use retention::{Expiry, Hold, Keep, Retention};
pub use table::LakeError;
pub use words::Words;
pub use writer::{Committed, Writer};
