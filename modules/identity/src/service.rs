//! What can be done with operators.

use khien_base::lang::Lang;
use khien_base::message::Message;
use khien_store::StoreError;
use sea_orm::DatabaseConnection;
use thiserror::Error;
use uuid::Uuid;

use crate::model::{Bearer, Moment, Operator, Token, name_fault};
use crate::{reasons, store};

/// Why something was not done.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The name cannot be used.
    #[error("the name `{name}` cannot be used: {fault}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong.
        fault: Message,
    },
    /// Another operator has or had this name.
    #[error("there is an operator called `{0}` already")]
    Exists(String),
    /// No operator has this name.
    #[error("there is no operator called `{0}`")]
    Unknown(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IdentityError {
    /// The same for people, when it is not the database.
    pub fn said(&self, lang: Lang) -> Option<String> {
        let message = match self {
            Self::Name { name, fault } => reasons::name(name, fault.text(lang)),
            Self::Exists(name) => reasons::operator_exists(name),
            Self::Unknown(name) => reasons::no_operator(name),
            Self::Store(_) => return None,
        };
        Some(message.text(lang))
    }
}

/// The operators.
#[derive(Clone, Debug)]
pub struct Identity {
    db: DatabaseConnection,
}

impl Identity {
    /// The operators in `db`.
    pub fn new(db: DatabaseConnection) -> Self {
        Self { db }
    }

    /// Enters an operator; its token, which nobody will see again.
    ///
    /// # Errors
    /// When the name cannot be used or is taken.
    pub async fn add(&self, name: &str, moment: Moment) -> Result<(Operator, Token), IdentityError> {
        if let Some(fault) = name_fault(name) {
            return Err(IdentityError::Name { name: name.to_owned(), fault });
        }
        let token = Token::of(Bearer::Operator, moment.random);
        let operator =
            Operator { id: Uuid::now_v7(), name: name.to_owned(), created_ms: moment.now_ms, revoked_ms: None };
        match store::add(&self.db, &operator, Token::hash(token.reveal())).await {
            Err(StoreError::Exists) => Err(IdentityError::Exists(operator.name)),
            done => Ok(done.map(|()| (operator, token))?),
        }
    }

    /// Revokes the token of an operator.
    ///
    /// # Errors
    /// When there is no such operator, or its token was revoked before.
    pub async fn revoke(&self, name: &str, now_ms: i64) -> Result<(), IdentityError> {
        match store::revoke(&self.db, name, now_ms).await? {
            0 => Err(IdentityError::Unknown(name.to_owned())),
            _ => Ok(()),
        }
    }

    /// The operator that this token belongs to, unless it was revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Operator>, IdentityError> {
        Ok(store::with_token(&self.db, Token::hash(token)).await?)
    }

    /// All operators by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self) -> Result<Vec<Operator>, IdentityError> {
        Ok(store::list(&self.db).await?)
    }
}
