//! Who changed what.

use khien_store::StoreError;
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, QueryOrder as _, QuerySelect as _};
use serde::Serialize;

use crate::model::History;
use crate::reach::Actor;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "detection_history")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) subject: String,
    pub(crate) at_ms: i64,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) detail: Json,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Notes a change of `subject`, in the transaction that makes it.
pub(crate) async fn note(
    db: &impl ConnectionTrait,
    actor: &Actor,
    subject: &str,
    action: &str,
    detail: &impl Serialize,
) -> Result<(), StoreError> {
    let row = ActiveModel {
        id: Set(Uuid::now_v7()),
        subject: Set(subject.to_owned()),
        at_ms: Set(actor.now_ms),
        actor: Set(actor.name.clone()),
        action: Set(action.to_owned()),
        detail: Set(serde_json::to_value(detail).unwrap_or_default()),
    };
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// Longest history that is shown; the newest of it.
const SHOWN: u64 = 1_000;

/// What happened to `subject`, oldest first.
pub(crate) async fn of(db: &DatabaseConnection, subject: &str) -> Result<Vec<History>, StoreError> {
    let newest = Entity::find().filter(Column::Subject.eq(subject)).order_by_desc(Column::Id).limit(SHOWN);
    let rows = newest.all(db).await?.into_iter().rev();
    Ok(rows.map(|row| History { at_ms: row.at_ms, actor: row.actor, action: row.action, detail: row.detail }).collect())
}
