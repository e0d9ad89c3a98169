//! What a SOC is.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
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
    /// The subject of a client certificate; a token has none.
    pub certificate: Option<String>,
    /// When it ends by itself.
    pub expires_ms: Option<i64>,
}

/// Addresses from which a SOC sends what carries no credential: syslog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its number.
    pub id: Uuid,
    /// The SOC.
    pub soc: Soc,
    /// The addresses.
    pub network: IpNet,
    /// When it was entered.
    pub created_ms: i64,
}

/// A source that a SOC said it sends. What comes from others is taken in all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredSource {
    /// Its number.
    pub id: Uuid,
    /// The SOC.
    pub soc: Soc,
    /// What its sender calls it.
    pub name: String,
    /// How long it may be silent, in milliseconds; `None` where that is learned from its pauses.
    pub silence_ms: Option<i64>,
    /// When it was declared.
    pub created_ms: i64,
}

/// The SOC of an address: that of the smallest network which it is in.
pub fn owner_of(networks: &[Network], address: IpAddr) -> Option<&Soc> {
    let address = address.to_canonical();
    let around = networks.iter().filter(|network| network.network.contains(&address));
    around.max_by_key(|network| network.network.prefix_len()).map(|network| &network.soc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_network_says_whose_an_address_is() {
        let soc = |name: &str| Soc {
            id: Uuid::nil(),
            name: name.to_owned(),
            kind: Kind::Ministry,
            quota: Quota::default(),
            created_ms: 0,
        };
        let network = |name: &str, network: &str| Network {
            id: Uuid::nil(),
            soc: soc(name),
            network: network.parse().unwrap(),
            created_ms: 0,
        };
        let networks = [network("a", "10.0.0.0/8"), network("b", "10.1.0.0/16"), network("c", "2001:db8::/32")];
        for (address, owner) in [
            ("10.2.0.1", Some("a")),
            ("10.1.0.1", Some("b")),
            ("::ffff:10.1.0.1", Some("b")),
            ("2001:db8::1", Some("c")),
            ("192.0.2.1", None),
        ] {
            let found = owner_of(&networks, address.parse().unwrap()).map(|soc| soc.name.as_str());
            assert_eq!(found, owner, "{address}");
        }
    }
}
