//! What is known of addresses and names in events from outside of them: who owns them, and where they are.
//!
//! Owners come from a file of networks and domains with their organisations, places and networks' numbers from files in
//! `MaxMind`'s format. They are read again when they change. Nothing is asked of anybody over the network. What is added says
//! how things were known when the event came in; the record as it came stays what it is.

mod reasons;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use khien_base::message::Message;
use khien_event::ocsf::flat::{COLUMNS, Flat, Scalar};
use maxminddb::{PathElement, Reader};
use prefix_trie::PrefixMap;
use thiserror::Error;
use tokio::sync::watch;

use crate::pipeline::chain;
use crate::watched;

/// Where what is known comes from.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// Lines of a network, address or domain, and the organisation that owns it, as CSV.
    pub owners: Option<PathBuf>,
    /// Databases in `MaxMind`'s format, of countries or of autonomous systems.
    pub geoip: Vec<PathBuf>,
}

/// Why it cannot be used.
#[derive(Debug, Error)]
pub enum KnowledgeError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A line of the owners is wrong.
    #[error("{path}, line {line}: {reason}")]
    Owner {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: u64,
        /// What is wrong and what to do.
        reason: Message,
    },
    /// A database cannot be read.
    #[error("cannot use the GeoIP database {path}: {reason}")]
    Geoip {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What is known at one time.
#[derive(Default)]
pub(crate) struct Known {
    organisations: Vec<String>,
    /// Networks and the places of their owners in `organisations`.
    v4: PrefixMap<Ipv4Net, u32>,
    v6: PrefixMap<Ipv6Net, u32>,
    /// Domains in lower case.
    domains: HashMap<String, u32>,
    geoip: Vec<Reader<Vec<u8>>>,
}

impl Known {
    fn read(knowledge: &Knowledge) -> Result<Self, KnowledgeError> {
        let mut known = Self::default();
        if let Some(path) = &knowledge.owners {
            let text = std::fs::read(path).map_err(|source| KnowledgeError::File { path: path.clone(), source })?;
            known.owners(&text).map_err(|(line, reason)| KnowledgeError::Owner { path: path.clone(), line, reason })?;
        }
        for path in &knowledge.geoip {
            let bytes = std::fs::read(path).map_err(|source| KnowledgeError::File { path: path.clone(), source })?;
            let failed = |error: maxminddb::MaxMindDbError| KnowledgeError::Geoip {
                path: path.clone(),
                reason: error.to_string(),
            };
            known.geoip.push(Reader::from_source(bytes).map_err(failed)?);
        }
        Ok(known)
    }

    /// Reads the owners; the line that is wrong and why.
    fn owners(&mut self, text: &[u8]) -> Result<(), (u64, Message)> {
        let mut places: HashMap<String, u32> = HashMap::new();
        let mut lines =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text);
        for line in lines.records() {
            let line = line
                .map_err(|error| (error.position().map_or(0, csv::Position::line), reasons::owner_unreadable(error)))?;
            let number = line.position().map_or(0, csv::Position::line);
            // The reader's own comments are no lines to it.
            if line.get(0).is_some_and(|target| target.starts_with('#')) {
                continue;
            }
            let (Some(target), Some(name), None) = (line.get(0), line.get(1), line.get(2)) else {
                return Err((number, reasons::owner_columns()));
            };
            if name.is_empty() {
                return Err((number, reasons::owner_missing()));
            }
            let place = *places.entry(name.to_owned()).or_insert_with(|| {
                self.organisations.push(name.to_owned());
                self.organisations.len() as u32 - 1
            });
            let network = target.parse::<IpNet>().ok().or_else(|| target.parse::<IpAddr>().ok().map(IpNet::from));
            let before = match network {
                Some(IpNet::V4(network)) => self.v4.insert(network.trunc(), place),
                Some(IpNet::V6(network)) => self.v6.insert(network.trunc(), place),
                None => {
                    let domain = domain(target).ok_or_else(|| (number, reasons::owner_target(target)))?;
                    self.domains.insert(domain, place)
                }
            };
            if let Some(other) = before.filter(|other| *other != place) {
                let other = &self.organisations[other as usize];
                return Err((number, reasons::owner_taken(target, other)));
            }
        }
        Ok(())
    }

    /// Who owns an address: the owner of the smallest network with it.
    fn owner(&self, address: IpAddr) -> Option<&str> {
        let place = match address {
            IpAddr::V4(address) => self.v4.get_lpm(&v4(address))?.1,
            IpAddr::V6(address) => self.v6.get_lpm(&v6(address))?.1,
        };
        Some(&self.organisations[*place as usize])
    }

    /// Who owns a name: the owner of it, or of the closest domain above it.
    fn owner_of_name(&self, name: &str) -> Option<&str> {
        if self.domains.is_empty() {
            return None;
        }
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let mut rest = name.as_str();
        loop {
            if let Some(place) = self.domains.get(rest) {
                return Some(&self.organisations[*place as usize]);
            }
            rest = rest.split_once('.')?.1;
        }
    }

    /// What a database says of an address at `path`, from the first one that says it.
    fn place<'a, T: serde::Deserialize<'a>>(&'a self, address: IpAddr, path: &[PathElement<'_>]) -> Option<T> {
        self.geoip.iter().find_map(|reader| reader.lookup(address).ok()?.decode_path(path).ok()?)
    }

    /// Adds what is known to an event.
    pub(crate) fn add(&self, flat: &mut Flat) {
        if self.organisations.is_empty() && self.geoip.is_empty() {
            return;
        }
        let before = flat.values.len();
        for side in &*SIDES {
            let text = |column: usize| {
                let value = flat.values[..before].iter().find(|(index, _)| *index == column);
                value.and_then(|(_, value)| match value {
                    Scalar::Text(text) => Some(text.as_str()),
                    Scalar::Number(_) => None,
                })
            };
            let address: Option<IpAddr> = text(side.ip).and_then(|text| text.parse().ok());
            let owner = address.and_then(|address| self.owner(address));
            let owner = owner.or_else(|| text(side.hostname).and_then(|name| self.owner_of_name(name)));
            let owner = owner.map(str::to_owned);
            let country = address.and_then(|address| self.place::<String>(address, &COUNTRY));
            let system = address.and_then(|address| self.place::<u32>(address, &SYSTEM));
            let system = system.and_then(|number| i32::try_from(number).ok());
            flat.values.extend(owner.map(|name| (side.owner, Scalar::Text(name))));
            flat.values.extend(country.map(|code| (side.country, Scalar::Text(code))));
            flat.values.extend(system.map(|number| (side.system, Scalar::Number(number))));
        }
        if flat.values.len() > before {
            flat.values.sort_unstable_by_key(|(column, _)| *column);
        }
    }
}

const COUNTRY: [PathElement<'static>; 2] = [PathElement::Key("country"), PathElement::Key("iso_code")];
const SYSTEM: [PathElement<'static>; 1] = [PathElement::Key("autonomous_system_number")];

fn v4(address: Ipv4Addr) -> Ipv4Net {
    Ipv4Net::from(address)
}

fn v6(address: Ipv6Addr) -> Ipv6Net {
    Ipv6Net::from(address)
}

/// A domain as it compares; `None` when it is none.
fn domain(text: &str) -> Option<String> {
    let text = text.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    };
    (text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)).then_some(text)
}

/// The columns of one end of a connection.
struct Side {
    ip: usize,
    hostname: usize,
    owner: usize,
    country: usize,
    system: usize,
}

static SIDES: std::sync::LazyLock<[Side; 2]> = std::sync::LazyLock::new(|| {
    ["src", "dst"].map(|side| {
        let column = |rest: &str| {
            let path = format!("{side}_endpoint.{rest}");
            COLUMNS.iter().position(|column| column.path == path).expect("the attribute has a column")
        };
        Side {
            ip: column("ip"),
            hostname: column("hostname"),
            owner: column("owner.org.name"),
            country: column("location.country"),
            system: column("autonomous_system.number"),
        }
    })
});

/// What is known now, for all who need it.
#[derive(Clone, Default)]
pub(crate) struct Enriching(Arc<Shared>);

#[derive(Default)]
struct Shared {
    knowledge: Knowledge,
    now: Mutex<Arc<Known>>,
}

impl Enriching {
    /// By the files as they are.
    pub(crate) fn open(knowledge: Knowledge) -> Result<Self, KnowledgeError> {
        let now = Mutex::new(Arc::new(Known::read(&knowledge)?));
        Ok(Self(Arc::new(Shared { knowledge, now })))
    }

    /// What is known now.
    pub(crate) fn known(&self) -> Arc<Known> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files again when they change, until it is told to stop.
    pub(crate) async fn run(self, stop: watch::Receiver<bool>) {
        let Knowledge { owners, geoip } = &self.0.knowledge;
        let paths = owners.iter().chain(geoip).cloned().collect();
        let read = move || match Known::read(&self.0.knowledge) {
            Ok(known) => {
                *self.0.now.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
                tracing::info!("what is known of addresses was read again");
            }
            Err(error) => tracing::error!(error = %chain(&error), "what is known of addresses stays as it was"),
        };
        watched::each_change(paths, stop, read).await;
    }
}

#[cfg(test)]
mod tests;
