//! Exceptions, the lists they share, and suppressions.

use khien_store::StoreError;
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, QueryOrder as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{Exception, ExceptionList, Suppression};

mod list {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "exception_list")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) id: Uuid,
        pub(super) name: String,
        pub(super) description: String,
        pub(super) entries: Json,
        pub(super) created_ms: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod exception {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "exception")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) id: Uuid,
        pub(super) what: Json,
        pub(super) organisation: Option<String>,
        pub(super) list: String,
        pub(super) created_ms: i64,
        pub(super) removed_ms: Option<i64>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod suppression {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "suppression")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) id: Uuid,
        pub(super) what: Json,
        pub(super) organisation: Option<String>,
        pub(super) until_ms: i64,
        pub(super) created_ms: i64,
        pub(super) removed_ms: Option<i64>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn from_json<T: DeserializeOwned>(json: Json) -> Result<T, StoreError> {
    serde_json::from_value(json).map_err(|error| StoreError::Database(DbErr::Json(error.to_string())))
}

fn to_json(value: &impl Serialize) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}

/// All lists by name.
pub(crate) async fn lists(db: &impl ConnectionTrait) -> Result<Vec<ExceptionList>, StoreError> {
    let rows = list::Entity::find().order_by_asc(list::Column::Name).all(db).await?;
    let list = |row: list::Model| {
        let list::Model { id, name, description, entries, created_ms } = row;
        Ok(ExceptionList { id, name, description, entries: from_json(entries)?, created_ms })
    };
    rows.into_iter().map(list).collect()
}

/// Adds a list, or puts it in the place of the one with its number.
pub(crate) async fn put_list(db: &impl ConnectionTrait, list: &ExceptionList, is_new: bool) -> Result<(), StoreError> {
    let row = list::ActiveModel {
        id: Set(list.id),
        name: Set(list.name.clone()),
        description: Set(list.description.clone()),
        entries: Set(to_json(&list.entries)),
        created_ms: Set(list.created_ms),
    };
    if is_new {
        list::Entity::insert(row).exec_without_returning(db).await?;
    } else {
        list::Entity::update(row).exec(db).await?;
    }
    Ok(())
}

/// Removes a list.
pub(crate) async fn remove_list(db: &impl ConnectionTrait, id: Uuid) -> Result<(), StoreError> {
    list::Entity::delete_by_id(id).exec(db).await?;
    Ok(())
}

/// All exceptions that were not removed, oldest first.
pub(crate) async fn exceptions(db: &impl ConnectionTrait) -> Result<Vec<Exception>, StoreError> {
    let current = exception::Entity::find().filter(exception::Column::RemovedMs.is_null());
    let rows = current.order_by_asc(exception::Column::Id).all(db).await?;
    let exception =
        |row: exception::Model| Ok(Exception { id: row.id, what: from_json(row.what)?, created_ms: row.created_ms });
    rows.into_iter().map(exception).collect()
}

/// Adds an exception.
pub(crate) async fn add_exception(db: &impl ConnectionTrait, exception: &Exception) -> Result<(), StoreError> {
    let row = exception::ActiveModel {
        id: Set(exception.id),
        what: Set(to_json(&exception.what)),
        organisation: Set(exception.what.organisation.clone()),
        list: Set(exception.what.list.clone()),
        created_ms: Set(exception.created_ms),
        removed_ms: Set(None),
    };
    exception::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// Removes an exception; it stays in the table for those who ask later what silenced a finding.
pub(crate) async fn remove_exception(db: &impl ConnectionTrait, id: Uuid, now_ms: i64) -> Result<(), StoreError> {
    exception::Entity::update_many()
        .col_expr(exception::Column::RemovedMs, Expr::value(now_ms))
        .filter(exception::Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}

/// All suppressions that were not removed, oldest first.
pub(crate) async fn suppressions(db: &impl ConnectionTrait) -> Result<Vec<Suppression>, StoreError> {
    let current = suppression::Entity::find().filter(suppression::Column::RemovedMs.is_null());
    let rows = current.order_by_asc(suppression::Column::Id).all(db).await?;
    let suppression = |row: suppression::Model| {
        Ok(Suppression { id: row.id, what: from_json(row.what)?, created_ms: row.created_ms })
    };
    rows.into_iter().map(suppression).collect()
}

/// Adds a suppression.
pub(crate) async fn add_suppression(db: &impl ConnectionTrait, suppression: &Suppression) -> Result<(), StoreError> {
    let row = suppression::ActiveModel {
        id: Set(suppression.id),
        what: Set(to_json(&suppression.what)),
        organisation: Set(suppression.what.organisation.clone()),
        until_ms: Set(suppression.what.until_ms),
        created_ms: Set(suppression.created_ms),
        removed_ms: Set(None),
    };
    suppression::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// Ends a suppression.
pub(crate) async fn remove_suppression(db: &impl ConnectionTrait, id: Uuid, now_ms: i64) -> Result<(), StoreError> {
    suppression::Entity::update_many()
        .col_expr(suppression::Column::RemovedMs, Expr::value(now_ms))
        .filter(suppression::Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}
