//! What administrators do on the machine itself, whether the server runs or not.

use std::path::Path;

pub use ipnet::IpNet;
use khien_detections::{Actor, Detections, Reach, read_pack};
pub use khien_detections::{ContentError, DetectionsError, Pack, PackState};
pub use khien_identity::IdentityError;
use khien_identity::{Identity, Operator};
use khien_lake::{Answer, Found, Limits, QueryError, Reader, Scope, Search};
pub use khien_sources::{
    Credential, DeclaredSource, KeepRule, KeepingError, Kind, LegalHold, Network, NewSoc, Quota, Soc, SourcesError,
    Token, default_keeping,
};
use khien_sources::{Keeping, Moment, Sources};
use khien_store::StoreError;
use thiserror::Error;

use crate::paths::Paths;
use crate::{modules, system};

/// Why something was not done.
#[derive(Debug, Error)]
pub enum AdminError {
    /// The data folder cannot be used.
    #[error("cannot use the data folder")]
    Folder(#[from] std::io::Error),
    /// The state database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The register of SOCs says no.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// The register of operators says no.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The register of packs says no.
    #[error(transparent)]
    Detections(#[from] DetectionsError),
    /// The register of retention says no.
    #[error(transparent)]
    Keeping(#[from] KeepingError),
    /// A pack cannot be used.
    #[error(transparent)]
    Content(#[from] ContentError),
}

/// The state of a data folder.
pub struct Admin {
    sources: Sources,
    identity: Identity,
    detections: Detections,
    keeping: Keeping,
}

/// Who acts on the machine itself.
const ACTOR: &str = "khien admin";

impl Admin {
    /// Opens the data folder at `data`, or makes it. `state` is the address of the state database if that is elsewhere.
    ///
    /// # Errors
    /// When it cannot be used.
    pub async fn open(data: &Path, state: Option<&str>) -> Result<Self, AdminError> {
        let own = Paths::create(data)?.state();
        let db = khien_store::connect(state.unwrap_or(&own)).await?;
        modules::migrate(&db).await?;
        Ok(Self {
            sources: Sources::new(db.clone()),
            identity: Identity::new(db.clone()),
            detections: Detections::new(db.clone()),
            keeping: Keeping::new(db),
        })
    }

    /// Enters a SOC.
    ///
    /// # Errors
    /// When its name cannot be used or is taken.
    pub async fn add_soc(&self, new: NewSoc) -> Result<(Soc, Token), AdminError> {
        Ok(self.sources.add(new, moment()?).await?)
    }

    /// Gives a SOC one more token.
    ///
    /// # Errors
    /// When there is no such SOC.
    pub async fn add_token(&self, name: &str) -> Result<Token, AdminError> {
        Ok(self.sources.add_token(name, moment()?).await?)
    }

    /// Lets a SOC send with a client certificate, given as PEM.
    ///
    /// # Errors
    /// When there is no such SOC, or the certificate cannot be used.
    pub async fn add_certificate(&self, name: &str, text: &[u8]) -> Result<Credential, AdminError> {
        Ok(self.sources.add_certificate(name, text, system::now_ms()).await?)
    }

    /// Takes syslog from these addresses as sent by a SOC.
    ///
    /// # Errors
    /// When there is no such SOC, or the network is somebody's already.
    pub async fn add_network(&self, name: &str, network: IpNet) -> Result<Network, AdminError> {
        Ok(self.sources.add_network(name, network, system::now_ms()).await?)
    }

    /// Takes syslog from these addresses no longer.
    ///
    /// # Errors
    /// When the network is none of the SOC.
    pub async fn remove_network(&self, name: &str, network: IpNet) -> Result<(), AdminError> {
        Ok(self.sources.remove_network(name, network).await?)
    }

    /// The networks of all SOCs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn networks(&self) -> Result<Vec<Network>, AdminError> {
        Ok(self.sources.networks().await?)
    }

    /// Says that a SOC sends a source, and how long it may be silent.
    ///
    /// # Errors
    /// When there is no such SOC or the name of the source cannot be used.
    pub async fn declare_source(&self, name: &str, source: &str, silence_ms: Option<i64>) -> Result<(), AdminError> {
        Ok(self.sources.declare(name, source, silence_ms, system::now_ms()).await?)
    }

    /// Takes such a declaration back.
    ///
    /// # Errors
    /// When the SOC has not declared it.
    pub async fn withdraw_source(&self, name: &str, source: &str) -> Result<(), AdminError> {
        Ok(self.sources.withdraw(name, source).await?)
    }

    /// What all SOCs have declared.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sources(&self) -> Result<Vec<DeclaredSource>, AdminError> {
        Ok(self.sources.declared().await?)
    }

    /// Revokes all tokens and certificates of a SOC; how many.
    ///
    /// # Errors
    /// When there is no such SOC.
    pub async fn revoke(&self, name: &str) -> Result<u64, AdminError> {
        Ok(self.sources.revoke(name, system::now_ms()).await?)
    }

    /// All SOCs with their credentials.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_socs(&self) -> Result<Vec<(Soc, Vec<Credential>)>, AdminError> {
        Ok(self.sources.list().await?)
    }

    /// Enters an operator of the centre.
    ///
    /// # Errors
    /// When the name cannot be used or is taken.
    pub async fn add_operator(&self, name: &str) -> Result<Token, AdminError> {
        Ok(self.identity.add(name, moment()?).await?.1)
    }

    /// Revokes the token of an operator.
    ///
    /// # Errors
    /// When there is no such operator.
    pub async fn revoke_operator(&self, name: &str) -> Result<(), AdminError> {
        Ok(self.identity.revoke(name, system::now_ms()).await?)
    }

    /// All operators.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_operators(&self) -> Result<Vec<Operator>, AdminError> {
        Ok(self.identity.list().await?)
    }

    /// Adds a version of a pack as a draft.
    ///
    /// # Errors
    /// When it has no rule that can be used, or the name cannot be used.
    pub async fn add_pack(&self, name: &str, content: &[u8]) -> Result<Pack, AdminError> {
        let set = read_pack(content)?;
        Ok(self.detections.add_pack(name, content, &set, &actor()).await?)
    }

    /// Puts a version of a pack in force, the newest when none is said.
    ///
    /// # Errors
    /// When there is no such version.
    pub async fn pack_live(
        &self,
        name: &str,
        version: Option<i32>,
        organisations: Option<&[String]>,
    ) -> Result<Pack, AdminError> {
        Ok(self.detections.go_live(name, version, organisations, &actor()).await?)
    }

    /// Takes a pack out of force.
    ///
    /// # Errors
    /// When it is not in force.
    pub async fn retire_pack(&self, name: &str) -> Result<Pack, AdminError> {
        Ok(self.detections.retire(name, &actor()).await?)
    }

    /// Says how long events of a SOC, a class, or both are kept.
    ///
    /// # Errors
    /// When days or reason are missing.
    pub async fn set_keeping(
        &self,
        of: (Option<String>, Option<i32>),
        days: u32,
        reason: &str,
    ) -> Result<KeepRule, AdminError> {
        Ok(self.keeping.set(of, days, (reason.to_owned(), ACTOR), system::now_ms()).await?)
    }

    /// Removes a rule of retention.
    ///
    /// # Errors
    /// When there is none.
    pub async fn remove_keeping(&self, id: uuid::Uuid) -> Result<(), AdminError> {
        Ok(self.keeping.remove(id, system::now_ms()).await?)
    }

    /// The rules of retention.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_keeping(&self) -> Result<Vec<KeepRule>, AdminError> {
        Ok(self.keeping.rules().await?)
    }

    /// Puts events of a period on legal hold.
    ///
    /// # Errors
    /// When the reason is missing or the period is none.
    pub async fn add_hold(
        &self,
        organisation: Option<String>,
        period_ms: (i64, i64),
        reason: &str,
    ) -> Result<LegalHold, AdminError> {
        Ok(self.keeping.hold(organisation, period_ms, (reason.to_owned(), ACTOR), system::now_ms()).await?)
    }

    /// Lifts a hold.
    ///
    /// # Errors
    /// When there is none that is not lifted.
    pub async fn lift_hold(&self, id: uuid::Uuid, reason: &str) -> Result<(), AdminError> {
        Ok(self.keeping.lift(id, (reason, ACTOR), system::now_ms()).await?)
    }

    /// All holds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_holds(&self) -> Result<Vec<LegalHold>, AdminError> {
        Ok(self.keeping.holds().await?)
    }

    /// How many alerts nobody has decided and nothing suppresses.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn undecided_alerts(&self) -> Result<u64, AdminError> {
        Ok(self.detections.undecided(&actor()).await?)
    }

    /// All versions of all packs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_packs(&self) -> Result<Vec<Pack>, AdminError> {
        Ok(self.detections.packs(&actor()).await?)
    }
}

fn actor() -> Actor {
    Actor { name: ACTOR.to_owned(), reach: Reach::All, now_ms: system::now_ms() }
}

fn moment() -> std::io::Result<Moment> {
    Ok(Moment { now_ms: system::now_ms(), random: system::random()? })
}

/// Searches the lake of a data folder, with the rights of whoever may read the folder.
///
/// # Errors
/// When the search is wrong or meets a limit.
pub async fn search(data: &Path, search: Search, limits: Limits) -> Result<Found, QueryError> {
    Reader::at(lake(data)?).search(search, &Scope::All, limits).await
}

/// The address of the lake of a data folder.
fn lake(data: &Path) -> Result<url::Url, QueryError> {
    let missing = || QueryError::Missing(data.display().to_string());
    let lake = data.join("lake").canonicalize().map_err(|_| missing())?;
    url::Url::from_directory_path(lake).map_err(|()| missing())
}

/// Asks the lake of a data folder, with the rights of whoever may read the folder.
///
/// # Errors
/// When the query cannot be started.
pub async fn query(data: &Path, sql: &str, limits: Limits) -> Result<Answer, QueryError> {
    Reader::at(lake(data)?).query(sql, &Scope::All, limits).await
}
