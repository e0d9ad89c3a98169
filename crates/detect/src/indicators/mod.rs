//! Indicators of compromise: addresses, networks, domains, URLs, hashes and e-mail addresses.
//!
//! [`IndicatorSet::load`] reads plain lists, CSV and STIX 2.1; [`IndicatorSet::matches`] says which indicators a field value
//! fulfils. It is called on every value of every event, so it rejects a value that is none of these at its first
//! telling bytes, then asks a compact filter, and compares exactly in the end: a hit is never a collision.
//!
//! # What matches
//!
//! - **Addresses and networks**: a value that is an IPv4 or IPv6 address, also as `[address]`, with port or zone, inside
//!   the indicator. IPv4 mapped into IPv6 (`::ffff:192.0.2.1`) is IPv4. The narrowest network is reported.
//! - **Domains**: a value that is the domain or any name below it, without regard to case and a final dot; also the host
//!   of a URL and the domain of an e-mail address. Names are compared as written (punycode stays punycode). A name of one
//!   label is no indicator.
//! - **URLs**: scheme and host without regard to case, `http` and `https` are the same, default ports and fragments do
//!   not count. An indicator without a query also matches with any query. One without a scheme (`example.com/path`)
//!   means http(s). URLs inside command lines are not looked for.
//! - **Hashes**: 32, 40, 64 or 128 hexadecimal digits (MD5 and import hash, SHA-1, SHA-256, SHA-512), alone or in a list as
//!   Sysmon writes it (`SHA1=...,MD5=...`).
//! - **E-mail addresses** without regard to case, also as `Name <address>`.
//!
//! Values that are lists, divided by comma or semicolon, are looked at item by item.

mod key;
mod read;
mod search;
mod set;
mod stix;
#[cfg(test)]
mod tests;

pub use key::Kind;
pub use read::{Problem, Report};
pub use search::IndicatorSearch;
pub use set::{Indicator, IndicatorId, IndicatorSet};
