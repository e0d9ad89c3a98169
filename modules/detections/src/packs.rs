//! Packs of rules: reading them, and keeping their versions.

use std::io::Cursor;

use khien_base::hex::hex;
use khien_base::message::Message;
use khien_detect::pack::{self, MAGIC};
use khien_detect::rule::load::{Loader, Placeholders, Problem, RuleSet, Severity};
use khien_store::StoreError;
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, QueryOrder as _};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::model::{Pack, PackState};
use crate::reasons;

/// Why nothing can be made of what was uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ContentError {
    /// It is too large.
    #[error("{0}")]
    TooLarge(Message),
    /// It is a pack or archive that cannot be read.
    #[error("{0}")]
    Broken(Message),
    /// It has no rule that can be used.
    #[error("{0}")]
    Empty(Message),
}

impl ContentError {
    /// The same for people.
    pub fn message(&self) -> &Message {
        match self {
            Self::TooLarge(message) | Self::Broken(message) | Self::Empty(message) => message,
        }
    }
}

/// Largest pack, in bytes.
const BYTES: usize = 64 << 20;

/// What a zip archive begins with.
const ZIP: &[u8] = b"PK\x03\x04";

/// The rules in a zip archive of Sigma files, a compiled pack, or YAML.
///
/// # Errors
/// When nothing in it can be used.
pub fn read_pack(content: &[u8]) -> Result<RuleSet, ContentError> {
    if content.len() > BYTES {
        return Err(ContentError::TooLarge(reasons::pack_large(BYTES >> 20)));
    }
    let broken = |error: pack::PackError| ContentError::Broken(reasons::pack_broken(error));
    let set = if content.starts_with(&MAGIC) {
        pack::read(content).map_err(broken)?
    } else {
        let mut loader = Loader::new(Placeholders::default());
        if content.starts_with(ZIP) {
            pack::import_zip(Cursor::new(content), &mut loader).map_err(broken)?;
        } else {
            let text = std::str::from_utf8(content)
                .map_err(|_| ContentError::Broken(reasons::pack_broken(reasons::pack_not_text())))?;
            loader.add_file("rules.yml", text);
        }
        loader.finish()
    };
    if set.rules.is_empty() {
        let first = set.problems.iter().find(|problem| problem.severity == Severity::Error);
        let why = |problem: &Problem| reasons::pack_unusable(problem.line, &problem.reason);
        return Err(ContentError::Empty(first.map_or_else(reasons::pack_empty, why)));
    }
    Ok(set)
}

/// How many rules of a set cannot be used.
pub(crate) fn unusable(set: &RuleSet) -> i32 {
    set.problems.iter().filter(|problem| problem.severity == Severity::Error).count() as i32
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

mod table {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "pack")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) id: Uuid,
        pub(super) name: String,
        pub(super) version: i32,
        pub(super) state: String,
        pub(super) organisations: Option<Json>,
        pub(super) sha256: String,
        pub(super) bytes: i64,
        pub(super) rules: i32,
        pub(super) correlations: i32,
        pub(super) unusable: i32,
        pub(super) created_ms: i64,
        pub(super) changed_ms: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod content {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "pack_content")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(super) pack_id: Uuid,
        pub(super) content: Vec<u8>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<table::Model> for Pack {
    type Error = StoreError;

    fn try_from(row: table::Model) -> Result<Self, StoreError> {
        let state = PackState::named(&row.state)
            .ok_or_else(|| StoreError::Database(DbErr::Type(format!("unknown state `{}`", row.state))))?;
        let organisations = row.organisations.map(serde_json::from_value).transpose();
        Ok(Self {
            id: row.id,
            name: row.name,
            version: row.version,
            state,
            organisations: organisations
                .map_err(|error| StoreError::Database(DbErr::Type(format!("organisations of a pack: {error}"))))?,
            sha256: row.sha256,
            bytes: row.bytes,
            rules: row.rules,
            correlations: row.correlations,
            unusable: row.unusable,
            created_ms: row.created_ms,
            changed_ms: row.changed_ms,
        })
    }
}

/// Adds a version.
pub(crate) async fn add(db: &impl ConnectionTrait, pack: &Pack, content: &[u8]) -> Result<(), StoreError> {
    let row = table::ActiveModel {
        id: Set(pack.id),
        name: Set(pack.name.clone()),
        version: Set(pack.version),
        state: Set(pack.state.name().to_owned()),
        organisations: Set(None),
        sha256: Set(pack.sha256.clone()),
        bytes: Set(pack.bytes),
        rules: Set(pack.rules),
        correlations: Set(pack.correlations),
        unusable: Set(pack.unusable),
        created_ms: Set(pack.created_ms),
        changed_ms: Set(pack.changed_ms),
    };
    table::Entity::insert(row).exec_without_returning(db).await?;
    let content = content::ActiveModel { pack_id: Set(pack.id), content: Set(content.to_vec()) };
    content::Entity::insert(content).exec_without_returning(db).await?;
    Ok(())
}

/// All versions of all packs, or of those called `name`: by name, the newest version first.
pub(crate) async fn list(db: &impl ConnectionTrait, name: Option<&str>) -> Result<Vec<Pack>, StoreError> {
    let mut all = table::Entity::find().order_by_asc(table::Column::Name).order_by_desc(table::Column::Version);
    if let Some(name) = name {
        all = all.filter(table::Column::Name.eq(name));
    }
    all.all(db).await?.into_iter().map(Pack::try_from).collect()
}

/// What was uploaded as this version.
pub(crate) async fn content(db: &impl ConnectionTrait, id: Uuid) -> Result<Vec<u8>, StoreError> {
    let row = content::Entity::find_by_id(id).one(db).await?;
    Ok(row.map(|row| row.content).unwrap_or_default())
}

/// Gives a version another state.
pub(crate) async fn set_state(
    db: &impl ConnectionTrait,
    id: Uuid,
    state: PackState,
    organisations: Option<&[String]>,
    now_ms: i64,
) -> Result<(), StoreError> {
    let organisations: Option<Json> = organisations.map(Into::into);
    table::Entity::update_many()
        .col_expr(table::Column::State, Expr::value(state.name()))
        .col_expr(table::Column::Organisations, Expr::value(organisations))
        .col_expr(table::Column::ChangedMs, Expr::value(now_ms))
        .filter(table::Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}
