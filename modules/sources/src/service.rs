//! What can be done with the register.

use khien_base::lang::Lang;
use khien_base::message::Message;
use khien_identity::{Bearer, Moment, Token, name_fault};
use khien_store::StoreError;
use sea_orm::DatabaseConnection;
use thiserror::Error;
use uuid::Uuid;

use crate::model::{Credential, NewSoc, Soc};
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

    /// Revokes all tokens of a SOC; how many.
    ///
    /// # Errors
    /// When there is no such SOC.
    pub async fn revoke(&self, name: &str, now_ms: i64) -> Result<u64, SourcesError> {
        let soc = self.named(name).await?;
        Ok(store::revoke(&self.db, soc.id, now_ms).await?)
    }

    /// The SOC that this token belongs to, unless it was revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Soc>, SourcesError> {
        Ok(store::with_credential(&self.db, Token::hash(token)).await?)
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
    let credential = Credential { id: Uuid::now_v7(), soc, created_ms: moment.now_ms, revoked_ms: None };
    (credential, Token::of(Bearer::Soc, moment.random))
}
