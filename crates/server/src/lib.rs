//! Wires the rooms together: a process that takes events in, detects, keeps and answers.
//!
//! [`serve::start`] builds everything from small parts and returns a handle; [`admin`] does what administrators do on the
//! machine itself. What it is not: it holds no rule of business; those are in the modules and rooms below.
//! Invariants: what a sender was told is durable is; every request is answered under the rights of whoever sent it;
//! every task that is started here is ended here, in order.

pub mod admin;
mod alerting;
pub mod enrich;
pub mod forward;
mod http;
mod hunt;
mod keeper;
mod keeping;
mod ledger;
mod modules;
mod owners;
mod paths;
mod pipeline;
mod reading;
mod rules;
pub mod serve;
mod sieve;
mod syslog;
mod system;
mod tls;
mod watched;
