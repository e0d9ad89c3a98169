//! Who works at the centre: operators, and what tokens of people and machines are.
//!
//! An operator is a person or a program of the centre. It has a token, of which only a hash is kept, and may see what all
//! organisations send. What it is not: SOCs and their credentials are in `khien-sources`. Invariants: a token is shown
//! once, when it is made; a revoked one never works again.

mod migrations;
mod model;
mod reasons;
mod service;
mod store;

pub use migrations::migrations;
pub use model::{Bearer, Moment, Operator, Token, name_fault};
pub use service::{Identity, IdentityError};
