//! The tables and all queries on them.

use ipnet::IpNet;
use khien_store::StoreError;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, Condition, DatabaseConnection, FromJsonQueryResult, QueryOrder as _};
use serde::{Deserialize, Serialize};

use crate::model::{Credential, DeclaredSource, Kind, Network, Quota, Soc};

mod soc {
    use sea_orm::entity::prelude::*;

    use super::StoredQuota;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "soc")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) id: Uuid,
        pub(super) name: String,
        pub(super) kind: String,
        pub(super) quota: StoredQuota,
        pub(super) created_ms: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
struct StoredQuota(Quota);

mod credential {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "soc_credential")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) id: Uuid,
        pub(super) soc_id: Uuid,
        pub(super) hash: Vec<u8>,
        pub(super) created_ms: i64,
        pub(super) revoked_ms: Option<i64>,
        pub(super) certificate: Option<String>,
        pub(super) expires_ms: Option<i64>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod network {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "soc_network")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) id: Uuid,
        pub(super) soc_id: Uuid,
        pub(super) network: String,
        pub(super) created_ms: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {
        #[sea_orm(belongs_to = "super::soc::Entity", from = "Column::SocId", to = "super::soc::Column::Id")]
        Soc,
    }

    impl Related<super::soc::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Soc.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod source {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "soc_source")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) id: Uuid,
        pub(super) soc_id: Uuid,
        pub(super) name: String,
        pub(super) silence_ms: Option<i64>,
        pub(super) created_ms: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {
        #[sea_orm(belongs_to = "super::soc::Entity", from = "Column::SocId", to = "super::soc::Column::Id")]
        Soc,
    }

    impl Related<super::soc::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Soc.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<soc::Model> for Soc {
    type Error = StoreError;

    fn try_from(row: soc::Model) -> Result<Self, StoreError> {
        let kind = row.kind.parse::<Kind>();
        let kind = kind.map_err(|()| StoreError::Database(DbErr::Type(format!("unknown kind `{}`", row.kind))))?;
        Ok(Self { id: row.id, name: row.name, kind, quota: row.quota.0, created_ms: row.created_ms })
    }
}

impl From<credential::Model> for Credential {
    fn from(row: credential::Model) -> Self {
        let credential::Model { id, soc_id: soc, created_ms, revoked_ms, certificate, expires_ms, .. } = row;
        Self { id, soc, created_ms, revoked_ms, certificate, expires_ms }
    }
}

fn new_credential(credential: &Credential, hash: Vec<u8>) -> credential::ActiveModel {
    credential::ActiveModel {
        id: Set(credential.id),
        soc_id: Set(credential.soc),
        hash: Set(hash),
        created_ms: Set(credential.created_ms),
        revoked_ms: Set(credential.revoked_ms),
        certificate: Set(credential.certificate.clone()),
        expires_ms: Set(credential.expires_ms),
    }
}

/// Adds a SOC and its first credential.
pub(crate) async fn add(
    db: &DatabaseConnection,
    soc: &Soc,
    credential: &Credential,
    hash: Vec<u8>,
) -> Result<(), StoreError> {
    let transaction = khien_store::begin(db).await?;
    let row = soc::ActiveModel {
        id: Set(soc.id),
        name: Set(soc.name.clone()),
        kind: Set(soc.kind.name().to_owned()),
        quota: Set(StoredQuota(soc.quota)),
        created_ms: Set(soc.created_ms),
    };
    soc::Entity::insert(row).exec_without_returning(&transaction).await?;
    credential::Entity::insert(new_credential(credential, hash)).exec_without_returning(&transaction).await?;
    Ok(transaction.commit().await?)
}

/// Adds a credential to a SOC.
pub(crate) async fn add_credential(
    db: &DatabaseConnection,
    credential: &Credential,
    hash: Vec<u8>,
) -> Result<(), StoreError> {
    credential::Entity::insert(new_credential(credential, hash)).exec_without_returning(db).await?;
    Ok(())
}

/// Revokes all credentials of a SOC that are not revoked yet; how many.
pub(crate) async fn revoke(db: &DatabaseConnection, soc: Uuid, now_ms: i64) -> Result<u64, StoreError> {
    let revoked = credential::Entity::update_many()
        .col_expr(credential::Column::RevokedMs, Expr::value(now_ms))
        .filter(credential::Column::SocId.eq(soc))
        .filter(credential::Column::RevokedMs.is_null())
        .exec(db)
        .await?;
    Ok(revoked.rows_affected)
}

/// The SOC whose valid credential of this sort has this hash.
pub(crate) async fn with_credential(
    db: &DatabaseConnection,
    hash: Vec<u8>,
    is_certificate: bool,
    now_ms: i64,
) -> Result<Option<Soc>, StoreError> {
    let sort = credential::Column::Certificate;
    let expires = credential::Column::ExpiresMs;
    let credential = credential::Entity::find()
        .filter(credential::Column::Hash.eq(hash))
        .filter(credential::Column::RevokedMs.is_null())
        .filter(if is_certificate { sort.is_not_null() } else { sort.is_null() })
        .filter(Condition::any().add(expires.is_null()).add(expires.gt(now_ms)))
        .one(db)
        .await?;
    let Some(credential) = credential else { return Ok(None) };
    soc::Entity::find_by_id(credential.soc_id).one(db).await?.map(Soc::try_from).transpose()
}

/// The SOC with this name.
pub(crate) async fn named(db: &DatabaseConnection, name: &str) -> Result<Option<Soc>, StoreError> {
    soc::Entity::find().filter(soc::Column::Name.eq(name)).one(db).await?.map(Soc::try_from).transpose()
}

/// All SOCs by name, each with its credentials.
pub(crate) async fn list(db: &DatabaseConnection) -> Result<Vec<(Soc, Vec<Credential>)>, StoreError> {
    let mut credentials: Vec<Credential> = (credential::Entity::find().order_by_asc(credential::Column::CreatedMs))
        .all(db)
        .await?
        .into_iter()
        .map(Credential::from)
        .collect();
    let mut found = Vec::new();
    for row in soc::Entity::find().order_by_asc(soc::Column::Name).all(db).await? {
        let soc = Soc::try_from(row)?;
        let own = credentials.extract_if(.., |credential| credential.soc == soc.id).collect();
        found.push((soc, own));
    }
    Ok(found)
}

/// Adds addresses of a SOC.
pub(crate) async fn add_network(db: &DatabaseConnection, network: &Network) -> Result<(), StoreError> {
    let row = network::ActiveModel {
        id: Set(network.id),
        soc_id: Set(network.soc.id),
        network: Set(network.network.to_string()),
        created_ms: Set(network.created_ms),
    };
    network::Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// Removes addresses of a SOC; whether there were any.
pub(crate) async fn remove_network(db: &DatabaseConnection, soc: Uuid, network: IpNet) -> Result<bool, StoreError> {
    let removed = network::Entity::delete_many()
        .filter(network::Column::SocId.eq(soc))
        .filter(network::Column::Network.eq(network.to_string()))
        .exec(db)
        .await?;
    Ok(removed.rows_affected > 0)
}

/// The addresses of all SOCs.
pub(crate) async fn networks(db: &DatabaseConnection) -> Result<Vec<Network>, StoreError> {
    let rows = network::Entity::find().find_also_related(soc::Entity).order_by_asc(network::Column::Network).all(db);
    let mut networks = Vec::new();
    for (row, soc) in rows.await? {
        let text = row.network;
        let network = text.parse().map_err(|_| StoreError::Database(DbErr::Type(format!("`{text}` is no network"))))?;
        // A network cannot be without its SOC.
        let Some(soc) = soc.map(Soc::try_from).transpose()? else { continue };
        networks.push(Network { id: row.id, soc, network, created_ms: row.created_ms });
    }
    Ok(networks)
}

/// Adds a source of a SOC, or changes how long it may be silent.
pub(crate) async fn declare(db: &DatabaseConnection, declared: &DeclaredSource) -> Result<(), StoreError> {
    let row = source::ActiveModel {
        id: Set(declared.id),
        soc_id: Set(declared.soc.id),
        name: Set(declared.name.clone()),
        silence_ms: Set(declared.silence_ms),
        created_ms: Set(declared.created_ms),
    };
    let mut conflict = OnConflict::columns([source::Column::SocId, source::Column::Name]);
    conflict.update_column(source::Column::SilenceMs);
    source::Entity::insert(row).on_conflict(conflict).exec_without_returning(db).await?;
    Ok(())
}

/// Removes a source of a SOC; whether there was one.
pub(crate) async fn withdraw(db: &DatabaseConnection, soc: Uuid, name: &str) -> Result<bool, StoreError> {
    let removed = source::Entity::delete_many()
        .filter(source::Column::SocId.eq(soc))
        .filter(source::Column::Name.eq(name))
        .exec(db)
        .await?;
    Ok(removed.rows_affected > 0)
}

/// The declared sources of all SOCs.
pub(crate) async fn declared(db: &DatabaseConnection) -> Result<Vec<DeclaredSource>, StoreError> {
    let rows = source::Entity::find().find_also_related(soc::Entity).order_by_asc(source::Column::Name).all(db);
    let mut declared = Vec::new();
    for (row, soc) in rows.await? {
        // A source cannot be without its SOC.
        let Some(soc) = soc.map(Soc::try_from).transpose()? else { continue };
        let source::Model { id, name, silence_ms, created_ms, .. } = row;
        declared.push(DeclaredSource { id, soc, name, silence_ms, created_ms });
    }
    Ok(declared)
}
