//! What every room of Khiên shares and what depends on nothing of ours.
//!
//! So far: the languages of messages, bytes in hexadecimal, and the limits that keep memory bounded whatever comes in.

pub mod hex;
pub mod lang;
pub mod limits;
pub mod message;
