//! How long events are kept, and what is on legal hold.

use khien_base::lang::Lang;
use khien_base::message::Message;
use khien_store::StoreError;
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, DatabaseConnection, QueryOrder as _};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::reasons;

/// The content file with what holds where nobody has said anything.
const DEFAULT: &str = include_str!("../../../content/retention.toml");

/// What holds where nobody has said anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultKeeping {
    /// Days after the day on which it happened.
    pub days: u32,
    /// Why.
    pub legal_reference: String,
    /// From when on, as a date; `None` where that is not verified.
    pub valid_from: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    default: DefaultKeeping,
}

/// How long events are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeepRule {
    /// Its number.
    pub id: Uuid,
    /// For events of this SOC, `null` for all.
    pub organisation: Option<String>,
    /// For events of this OCSF class, `null` for all.
    pub class_uid: Option<i32>,
    /// Days after the day on which it happened.
    pub days: i32,
    /// Why: the legal basis.
    pub reason: String,
    /// Who said so.
    pub actor: String,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
}

/// Events that are kept whatever the rules say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegalHold {
    /// Its number.
    pub id: Uuid,
    /// Of this SOC, `null` for all.
    pub organisation: Option<String>,
    /// That happened from here on, in milliseconds since 1970; whole days are held.
    pub from_ms: i64,
    /// Up to here.
    pub to_ms: i64,
    /// Why: the order or case.
    pub reason: String,
    /// Who said so.
    pub actor: String,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was lifted.
    pub lifted_ms: Option<i64>,
    /// By whom and why.
    pub lifted: Option<String>,
}

/// Why something was not done.
#[derive(Debug, Error)]
pub enum KeepingError {
    /// Something said is wrong.
    #[error("{0}")]
    Invalid(Message),
    /// It is not there.
    #[error("{0}")]
    Unknown(Message),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbErr> for KeepingError {
    fn from(error: DbErr) -> Self {
        Self::Store(error.into())
    }
}

impl KeepingError {
    /// The same for people, when it is not the database.
    pub fn said(&self, lang: Lang) -> Option<String> {
        match self {
            Self::Invalid(message) | Self::Unknown(message) => Some(message.text(lang)),
            Self::Store(_) => None,
        }
    }
}

mod rule {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "keep_rule")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) id: Uuid,
        pub(super) organisation: Option<String>,
        pub(super) class_uid: Option<i32>,
        pub(super) days: i32,
        pub(super) reason: String,
        pub(super) actor: String,
        pub(super) created_ms: i64,
        pub(super) removed_ms: Option<i64>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod removal {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "keep_removal")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) id: Uuid,
        pub(super) begun_ms: i64,
        pub(super) as_of_ms: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod hold {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "legal_hold")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) id: Uuid,
        pub(super) organisation: Option<String>,
        pub(super) from_ms: i64,
        pub(super) to_ms: i64,
        pub(super) reason: String,
        pub(super) actor: String,
        pub(super) created_ms: i64,
        pub(super) lifted_ms: Option<i64>,
        pub(super) lifted: Option<String>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Rules and holds.
#[derive(Clone, Debug)]
pub struct Keeping {
    db: DatabaseConnection,
}

/// What holds where nobody has said anything.
///
/// # Panics
/// Never: the content is compiled in, and a test reads it.
pub fn default_keeping() -> DefaultKeeping {
    toml::from_str::<Content>(DEFAULT).expect("the content is right").default
}

fn need_reason(reason: &str) -> Result<(), KeepingError> {
    if reason.trim().is_empty() { Err(KeepingError::Invalid(reasons::no_reason())) } else { Ok(()) }
}

/// Most by which one removal goes beyond those before, in milliseconds.
const AHEAD_MS: i64 = 7 * 86_400_000;

impl Keeping {
    /// Those in `db`.
    pub fn new(db: DatabaseConnection) -> Self {
        Self { db }
    }

    /// The rules that hold, oldest first; beside them holds the default.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rules(&self) -> Result<Vec<KeepRule>, KeepingError> {
        let current = rule::Entity::find().filter(rule::Column::RemovedMs.is_null());
        let rows = current.order_by_asc(rule::Column::Id).all(&self.db).await?;
        let rule = |row: rule::Model| {
            let rule::Model { id, organisation, class_uid, days, reason, actor, created_ms, .. } = row;
            KeepRule { id, organisation, class_uid, days, reason, actor, created_ms }
        };
        Ok(rows.into_iter().map(rule).collect())
    }

    /// Notes that the removal of rows begins; the moment, in milliseconds since 1970, as of which it may judge them. That
    /// is now, unless the clock is more than a week ahead of all removals before: then it goes on by a week, so that a
    /// clock which is wrong takes little and not everything.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_removal(&self, now_ms: i64) -> Result<i64, KeepingError> {
        let last = removal::Entity::find().order_by_desc(removal::Column::AsOfMs).one(&self.db).await?;
        let as_of_ms = last.map_or(now_ms, |last| Ord::min(now_ms, last.as_of_ms.saturating_add(AHEAD_MS)));
        let row = removal::ActiveModel { id: Set(Uuid::now_v7()), begun_ms: Set(now_ms), as_of_ms: Set(as_of_ms) };
        removal::Entity::insert(row).exec_without_returning(&self.db).await?;
        Ok(as_of_ms)
    }

    /// Says how long events of a SOC or class are kept, instead of what was said before.
    ///
    /// # Errors
    /// When the days or the reason are missing.
    pub async fn set(
        &self,
        (organisation, class_uid): (Option<String>, Option<i32>),
        days: u32,
        (reason, actor): (String, &str),
        now_ms: i64,
    ) -> Result<KeepRule, KeepingError> {
        need_reason(&reason)?;
        let days = i32::try_from(days).ok().filter(|days| *days > 0);
        let days = days.ok_or_else(|| KeepingError::Invalid(reasons::no_days()))?;
        let transaction = khien_store::begin(&self.db).await?;
        let same = self.rules().await?.into_iter().find(|r| r.organisation == organisation && r.class_uid == class_uid);
        if let Some(same) = same {
            remove_rule(&transaction, same.id, now_ms).await?;
        }
        let (id, actor) = (Uuid::now_v7(), actor.to_owned());
        let rule = KeepRule { id, organisation, class_uid, days, reason, actor, created_ms: now_ms };
        let row = rule::ActiveModel {
            id: Set(rule.id),
            organisation: Set(rule.organisation.clone()),
            class_uid: Set(rule.class_uid),
            days: Set(rule.days),
            reason: Set(rule.reason.clone()),
            actor: Set(rule.actor.clone()),
            created_ms: Set(now_ms),
            removed_ms: Set(None),
        };
        rule::Entity::insert(row).exec_without_returning(&transaction).await?;
        transaction.commit().await?;
        Ok(rule)
    }

    /// Removes a rule; what stood behind it holds again.
    ///
    /// # Errors
    /// When there is none.
    pub async fn remove(&self, id: Uuid, now_ms: i64) -> Result<(), KeepingError> {
        match remove_rule(&self.db, id, now_ms).await? {
            0 => Err(KeepingError::Unknown(reasons::no_keep_rule(id))),
            _ => Ok(()),
        }
    }

    /// All holds, oldest first, those that were lifted too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn holds(&self) -> Result<Vec<LegalHold>, KeepingError> {
        let rows = hold::Entity::find().order_by_asc(hold::Column::Id).all(&self.db).await?;
        let hold = |row: hold::Model| {
            let hold::Model { id, organisation, from_ms, to_ms, reason, actor, created_ms, lifted_ms, lifted } = row;
            LegalHold { id, organisation, from_ms, to_ms, reason, actor, created_ms, lifted_ms, lifted }
        };
        Ok(rows.into_iter().map(hold).collect())
    }

    /// Puts events on hold.
    ///
    /// # Errors
    /// When the reason is missing or the period is none.
    pub async fn hold(
        &self,
        organisation: Option<String>,
        (from_ms, to_ms): (i64, i64),
        (reason, actor): (String, &str),
        now_ms: i64,
    ) -> Result<LegalHold, KeepingError> {
        need_reason(&reason)?;
        if from_ms > to_ms {
            return Err(KeepingError::Invalid(reasons::period_backwards()));
        }
        let hold = LegalHold {
            id: Uuid::now_v7(),
            organisation,
            from_ms,
            to_ms,
            reason,
            actor: actor.to_owned(),
            created_ms: now_ms,
            lifted_ms: None,
            lifted: None,
        };
        let row = hold::ActiveModel {
            id: Set(hold.id),
            organisation: Set(hold.organisation.clone()),
            from_ms: Set(from_ms),
            to_ms: Set(to_ms),
            reason: Set(hold.reason.clone()),
            actor: Set(hold.actor.clone()),
            created_ms: Set(now_ms),
            lifted_ms: Set(None),
            lifted: Set(None),
        };
        hold::Entity::insert(row).exec_without_returning(&self.db).await?;
        Ok(hold)
    }

    /// Lifts a hold.
    ///
    /// # Errors
    /// When there is none, or it was lifted before.
    pub async fn lift(&self, id: Uuid, (reason, actor): (&str, &str), now_ms: i64) -> Result<(), KeepingError> {
        need_reason(reason)?;
        let lifted = hold::Entity::update_many()
            .col_expr(hold::Column::LiftedMs, Expr::value(now_ms))
            .col_expr(hold::Column::Lifted, Expr::value(format!("{actor}: {reason}")))
            .filter(hold::Column::Id.eq(id))
            .filter(hold::Column::LiftedMs.is_null())
            .exec(&self.db)
            .await?;
        match lifted.rows_affected {
            0 => Err(KeepingError::Unknown(reasons::no_hold(id))),
            _ => Ok(()),
        }
    }
}

async fn remove_rule(db: &impl ConnectionTrait, id: Uuid, now_ms: i64) -> Result<u64, StoreError> {
    let removed = rule::Entity::update_many()
        .col_expr(rule::Column::RemovedMs, Expr::value(now_ms))
        .filter(rule::Column::Id.eq(id))
        .filter(rule::Column::RemovedMs.is_null())
        .exec(db)
        .await?;
    Ok(removed.rows_affected)
}
