//! What can be done with the register.

use ipnet::IpNet;
use khien_base::lang::Lang;
use khien_base::message::Message;
use khien_identity::{Bearer, Moment, Token, name_fault};
use khien_store::StoreError;
use sea_orm::DatabaseConnection;
use thiserror::Error;
use uuid::Uuid;

use crate::certificate::Certificate;
use crate::model::{Credential, DeclaredSource, Network, NewSoc, Soc};
use crate::{reasons, store};

/// Why something was not done.
#[derive(Debug, Error)]
pub enum SourcesError {
    /// The name cannot be used.
    #[error("the name `{name}` cannot be used: {fault}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong.
        fault: Message,
    },
    /// Another SOC has this name.
    #[error("there is a SOC called `{0}` already")]
    Exists(String),
    /// No SOC has this name.
    #[error("there is no SOC called `{0}`")]
    Unknown(String),
    /// A certificate cannot be used.
    #[error("the certificate cannot be used: {0}")]
    Certificate(Message),
    /// A network is somebody's already.
    #[error("the network {0} belongs to a SOC already")]
    NetworkExists(IpNet),
    /// A network is not of this SOC.
    #[error("the network {0} is none of the SOC `{1}`")]
    NoNetwork(IpNet, String),
    /// A source was not declared by this SOC.
    #[error("the SOC `{1}` has not declared a source `{0}`")]
    NoSource(String, String),
    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for SourcesError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl SourcesError {
    /// The same for people, when it is not the database.
    pub fn said(&self, lang: Lang) -> Option<String> {
        let message = match self {
            Self::Name { name, fault } => reasons::name(name, fault.text(lang)),
            Self::Exists(name) => reasons::soc_exists(name),
            Self::Unknown(name) => reasons::no_soc(name),
            Self::Certificate(fault) => reasons::certificate(fault.text(lang)),
            Self::NetworkExists(network) => reasons::network_exists(network),
            Self::NoNetwork(network, name) => reasons::no_network(network, name),
            Self::NoSource(source, name) => reasons::no_source(source, name),
            Self::Store(_) => return None,
        };
        Some(message.text(lang))
    }
}

/// The register.
#[derive(Clone, Debug)]
pub struct Sources {
    db: DatabaseConnection,
}

impl Sources {
    /// The register in `db`.
    pub fn new(db: DatabaseConnection) -> Self {
        Self { db }
    }

    /// Enters a SOC; its token, which nobody will see again.
    ///
    /// # Errors
    /// When the name cannot be used or is taken.
    pub async fn add(&self, new: NewSoc, moment: Moment) -> Result<(Soc, Token), SourcesError> {
        if let Some(fault) = name_fault(&new.name) {
            return Err(SourcesError::Name { name: new.name, fault });
        }
        let soc =
            Soc { id: Uuid::now_v7(), name: new.name, kind: new.kind, quota: new.quota, created_ms: moment.now_ms };
        let (credential, token) = credential(soc.id, moment);
        match store::add(&self.db, &soc, &credential, Token::hash(token.reveal())).await {
            Err(StoreError::Exists) => Err(SourcesError::Exists(soc.name)),
            done => Ok(done.map(|()| (soc, token))?),
        }
    }

    /// Gives a SOC one more token.
    ///
    /// # Errors
    /// When there is no such SOC.
    pub async fn add_token(&self, name: &str, moment: Moment) -> Result<Token, SourcesError> {
        let soc = self.named(name).await?;
        let (credential, token) = credential(soc.id, moment);
        store::add_credential(&self.db, &credential, Token::hash(token.reveal())).await?;
        Ok(token)
    }

    /// Revokes all tokens and certificates of a SOC; how many.
    ///
    /// # Errors
    /// When there is no such SOC.
    pub async fn revoke(&self, name: &str, now_ms: i64) -> Result<u64, SourcesError> {
        let soc = self.named(name).await?;
        Ok(store::revoke(&self.db, soc.id, now_ms).await?)
    }

    /// Lets a SOC send with a client certificate; `text` is the certificate as PEM, without its key.
    ///
    /// # Errors
    /// When there is no such SOC, the text is no certificate, or it is registered already, has ended or belongs to a CA.
    pub async fn add_certificate(&self, name: &str, text: &[u8], now_ms: i64) -> Result<Credential, SourcesError> {
        let soc = self.named(name).await?;
        let certificate = Certificate::read(text, now_ms).map_err(SourcesError::Certificate)?;
        let credential = Credential {
            id: Uuid::now_v7(),
            soc: soc.id,
            created_ms: now_ms,
            revoked_ms: None,
            certificate: Some(certificate.subject),
            expires_ms: Some(certificate.expires_ms),
        };
        match store::add_credential(&self.db, &credential, certificate.fingerprint.to_vec()).await {
            Err(StoreError::Exists) => Err(SourcesError::Certificate(reasons::certificate_exists())),
            done => Ok(done.map(|()| credential)?),
        }
    }

    /// Takes what comes without a credential from these addresses as sent by a SOC.
    ///
    /// # Errors
    /// When there is no such SOC, or the network is somebody's already.
    pub async fn add_network(&self, name: &str, network: IpNet, now_ms: i64) -> Result<Network, SourcesError> {
        let soc = self.named(name).await?;
        let network = Network { id: Uuid::now_v7(), soc, network: network.trunc(), created_ms: now_ms };
        match store::add_network(&self.db, &network).await {
            Err(StoreError::Exists) => Err(SourcesError::NetworkExists(network.network)),
            done => Ok(done.map(|()| network)?),
        }
    }

    /// Takes nothing from these addresses any more.
    ///
    /// # Errors
    /// When there is no such SOC, or the network is not its.
    pub async fn remove_network(&self, name: &str, network: IpNet) -> Result<(), SourcesError> {
        let soc = self.named(name).await?;
        let found = store::remove_network(&self.db, soc.id, network.trunc()).await?;
        if found { Ok(()) } else { Err(SourcesError::NoNetwork(network, soc.name)) }
    }

    /// The addresses of all SOCs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn networks(&self) -> Result<Vec<Network>, SourcesError> {
        Ok(store::networks(&self.db).await?)
    }

    /// Says that a SOC sends a source of this name, and how long it may be silent; said again, it changes the latter.
    ///
    /// # Errors
    /// When there is no such SOC or the name of the source cannot be used.
    pub async fn declare(
        &self,
        name: &str,
        source: &str,
        silence_ms: Option<i64>,
        now_ms: i64,
    ) -> Result<(), SourcesError> {
        if let Some(fault) = name_fault(source) {
            return Err(SourcesError::Name { name: source.to_owned(), fault });
        }
        let soc = self.named(name).await?;
        let name = source.to_owned();
        let declared = DeclaredSource { id: Uuid::now_v7(), soc, name, silence_ms, created_ms: now_ms };
        Ok(store::declare(&self.db, &declared).await?)
    }

    /// Takes a declaration back.
    ///
    /// # Errors
    /// When the SOC has not declared it.
    pub async fn withdraw(&self, name: &str, source: &str) -> Result<(), SourcesError> {
        let soc = self.named(name).await?;
        let found = store::withdraw(&self.db, soc.id, source).await?;
        if found { Ok(()) } else { Err(SourcesError::NoSource(source.to_owned(), soc.name)) }
    }

    /// What all SOCs have declared.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn declared(&self) -> Result<Vec<DeclaredSource>, SourcesError> {
        Ok(store::declared(&self.db).await?)
    }

    /// The SOC that this token belongs to, unless it was revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn authenticate(&self, token: &str, now_ms: i64) -> Result<Option<Soc>, SourcesError> {
        Ok(store::with_credential(&self.db, Token::hash(token), false, now_ms).await?)
    }

    /// The SOC that sends with the certificate which has this SHA-256, unless it has ended or was revoked. Whoever asks has
    /// made sure that the sender has its key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn with_certificate(&self, sha256: &[u8; 32], now_ms: i64) -> Result<Option<Soc>, SourcesError> {
        Ok(store::with_credential(&self.db, sha256.to_vec(), true, now_ms).await?)
    }

    /// The SOC with this name.
    ///
    /// # Errors
    /// When there is none.
    pub async fn named(&self, name: &str) -> Result<Soc, SourcesError> {
        store::named(&self.db, name).await?.ok_or_else(|| SourcesError::Unknown(name.to_owned()))
    }

    /// All SOCs by name, with their credentials.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self) -> Result<Vec<(Soc, Vec<Credential>)>, SourcesError> {
        Ok(store::list(&self.db).await?)
    }
}

fn credential(soc: Uuid, moment: Moment) -> (Credential, Token) {
    let credential = Credential {
        id: Uuid::now_v7(),
        soc,
        created_ms: moment.now_ms,
        revoked_ms: None,
        certificate: None,
        expires_ms: None,
    };
    (credential, Token::of(Bearer::Soc, moment.random))
}
