//! What a SOC is.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
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
