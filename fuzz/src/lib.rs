//! Under construction.

pub mod bytes;
