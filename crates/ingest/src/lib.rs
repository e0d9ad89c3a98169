//! Takes in what sources send: what a request holds, who may send how much, and the journal behind an acknowledgement.
//!
//! A [`batch::Batch`] is the unit of everything: one request, or a handful of datagrams. It is appended to the
//! [`journal::Journal`], and only when it is on disk does its sender hear "accepted". Whoever works on events reads the
//! journal in the order of its sequence numbers and says up to where it may be forgotten.
//!
//! What it is not: it decodes no event, knows no rule and no table; it opens no socket by itself, see `khien-server`.
//! Invariants: nothing acknowledged is ever lost, whatever moment the process ends at; a batch with a key that was
//! accepted before adds nothing; memory is bounded by the bytes under way.

pub mod batch;
pub mod body;
pub mod follow;
pub mod journal;
pub mod quota;
pub mod syslog;
