//! The table and all queries on it.

use khien_store::StoreError;
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, DatabaseConnection, QueryOrder as _};

use crate::model::Operator;

mod operator {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "operator")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) id: Uuid,
        pub(super) name: String,
        pub(super) hash: Vec<u8>,
        pub(super) created_ms: i64,
        pub(super) revoked_ms: Option<i64>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl From<operator::Model> for Operator {
    fn from(row: operator::Model) -> Self {
        Self { id: row.id, name: row.name, created_ms: row.created_ms, revoked_ms: row.revoked_ms }
    }
}

/// Adds an operator.
pub(crate) async fn add(db: &DatabaseConnection, operator: &Operator, hash: Vec<u8>) -> Result<(), StoreError> {
    let row = operator::ActiveModel {
        id: Set(operator.id),
        name: Set(operator.name.clone()),
        hash: Set(hash),
        created_ms: Set(operator.created_ms),
        revoked_ms: Set(operator.revoked_ms),
    };
    operator::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// Revokes the token of the operator with this name, if it is not revoked yet; how many there were.
pub(crate) async fn revoke(db: &DatabaseConnection, name: &str, now_ms: i64) -> Result<u64, StoreError> {
    let revoked = operator::Entity::update_many()
        .col_expr(operator::Column::RevokedMs, Expr::value(now_ms))
        .filter(operator::Column::Name.eq(name))
        .filter(operator::Column::RevokedMs.is_null())
        .exec(db)
        .await?;
    Ok(revoked.rows_affected)
}

/// The operator whose valid token has this hash.
pub(crate) async fn with_token(db: &DatabaseConnection, hash: Vec<u8>) -> Result<Option<Operator>, StoreError> {
    let found = operator::Entity::find()
        .filter(operator::Column::Hash.eq(hash))
        .filter(operator::Column::RevokedMs.is_null())
        .one(db)
        .await?;
    Ok(found.map(Operator::from))
}

/// All operators by name.
pub(crate) async fn list(db: &DatabaseConnection) -> Result<Vec<Operator>, StoreError> {
    let rows = operator::Entity::find().order_by_asc(operator::Column::Name).all(db).await?;
    Ok(rows.into_iter().map(Operator::from).collect())
}
