//! The register of SOCs: who may send events, with which credentials, and how much; and how long events are kept.
//!
//! A SOC (security operations centre) is an organisation that sends events. It has credentials, of which only a hash is
//! kept: tokens and client certificates; networks, from which it sends what carries no credential; sources that it declared;
//! and a quota. What it is not: it takes in no event; see `khien-ingest`. Invariants: a token is shown once, when it is made;
//! a revoked credential never works again; names are unique and never change.

mod certificate;
mod migrations;
mod model;
mod reasons;
mod retention;
mod service;
mod store;

pub use khien_identity::{Moment, Token};
pub use migrations::migrations;
pub use model::{Credential, DeclaredSource, Kind, Network, NewSoc, Quota, Soc, owner_of};
pub use retention::{DefaultKeeping, KeepRule, Keeping, KeepingError, LegalHold, default_keeping};
pub use service::{Sources, SourcesError};
