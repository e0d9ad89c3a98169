//! What a SOC is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Whose SOC it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Of a ministry or another central body.
    Ministry,
    /// Of a province.
    Province,
    /// Of an operator of infrastructure.
    Infrastructure,
    /// Of a foreign partner.
    Foreign,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ministry, Self::Province, Self::Infrastructure, Self::Foreign];

    /// What it is called everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ministry => "ministry",
            Self::Province => "province",
            Self::Infrastructure => "infrastructure",
            Self::Foreign => "foreign",
        }
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(())
    }
}

/// How much a SOC may send; `None` where there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Events a second.
    pub events_per_second: Option<u64>,
    /// Bytes a second.
    pub bytes_per_second: Option<u64>,
    /// Events on a day, in UTC.
    pub events_per_day: Option<u64>,
}

/// A SOC that is to be entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSoc {
    /// See [`Soc::name`].
    pub name: String,
    /// Whose it is.
    pub kind: Kind,
    /// How much it may send.
    pub quota: Quota,
}

/// Longest name, in characters.
pub(crate) const NAME: usize = 100;

impl NewSoc {
    /// What is wrong with the name.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let name = &self.name;
        if name.trim().is_empty() {
            Some("it is empty")
        } else if name.trim() != name {
            Some("it begins or ends with a blank")
        } else if name.chars().count() > NAME {
            Some("it is longer than 100 characters")
        } else if name.chars().any(char::is_control) {
            Some("it has control characters")
        } else {
            None
        }
    }
}

/// A SOC in the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soc {
    /// Its number.
    pub id: Uuid,
    /// Unique, and the same for ever: events carry it.
    pub name: String,
    /// Whose it is.
    pub kind: Kind,
    /// How much it may send.
    pub quota: Quota,
    /// When it was entered, in milliseconds since 1970.
    pub created_ms: i64,
}

/// A credential of a SOC, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its number.
    pub id: Uuid,
    /// The SOC.
    pub soc: Uuid,
    /// When it was made.
    pub created_ms: i64,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
}

/// The secret that a SOC sends with its events.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// What tokens begin with, so that they are recognised where they should not be.
const PREFIX: &str = "khien_soc_";

impl Token {
    /// The token of 32 random bytes.
    pub fn of(random: [u8; 32]) -> Self {
        use fmt::Write as _;
        let mut text = PREFIX.to_owned();
        for byte in random {
            write!(text, "{byte:02x}").expect("a string can be written to");
        }
        Self(text)
    }

    /// The text to be shown, once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of a token.
    pub(crate) fn hash(text: &str) -> Vec<u8> {
        Sha256::digest(text.as_bytes()).to_vec()
    }
}

/// Does not show the secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}
