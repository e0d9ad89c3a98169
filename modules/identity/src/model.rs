//! What operators and tokens are.

use std::fmt;

use khien_base::hex::hex;
use khien_base::message::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::reasons;

/// Where and when something new is made: its identifiers and secrets come from here, so that tests decide them.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub now_ms: i64,
    /// Random bytes for a token.
    pub random: [u8; 32],
}

/// Whose token it is. It shows in the token, so that one is recognised where it should not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// A SOC that sends events.
    Soc,
    /// An operator of the centre.
    Operator,
}

impl Bearer {
    fn prefix(self) -> &'static str {
        match self {
            Self::Soc => "khien_soc_",
            Self::Operator => "khien_op_",
        }
    }

    /// Whose a token says it is; `None` for what is no token.
    pub fn of(token: &str) -> Option<Self> {
        [Self::Soc, Self::Operator].into_iter().find(|bearer| token.starts_with(bearer.prefix()))
    }
}

/// The secret that somebody sends with each request.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token of 32 random bytes.
    pub fn of(bearer: Bearer, random: [u8; 32]) -> Self {
        Self(format!("{}{}", bearer.prefix(), hex(&random)))
    }

    /// The text to be shown, once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of a token.
    pub fn hash(text: &str) -> Vec<u8> {
        Sha256::digest(text.as_bytes()).to_vec()
    }
}

/// Does not show the secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Longest name, in characters.
const NAME: usize = 100;

/// What is wrong with a name that people give to something.
pub fn name_fault(name: &str) -> Option<Message> {
    if name.trim().is_empty() {
        Some(reasons::name_empty())
    } else if name.trim() != name {
        Some(reasons::name_blank())
    } else if name.chars().count() > NAME {
        Some(reasons::name_long(NAME))
    } else if name.chars().any(char::is_control) {
        Some(reasons::name_control())
    } else {
        None
    }
}

/// A person or a program of the centre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Its number.
    pub id: Uuid,
    /// Unique, and the same for ever: histories carry it.
    pub name: String,
    /// When it was entered, in milliseconds since 1970.
    pub created_ms: i64,
    /// When its token was revoked.
    pub revoked_ms: Option<i64>,
}
