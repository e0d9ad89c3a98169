//! The tables of this module.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, integer, integer_null, string, string_null, text, text_null, uuid,
};

/// All migrations of this module.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(Register), Box::new(Keeping), Box::new(Senders), Box::new(Declared), Box::new(Removals)]
}

/// `soc` and `soc_credential`.
struct Register;

impl MigrationName for Register {
    fn name(&self) -> &'static str {
        "m20261125_000001_sources_register"
    }
}

#[derive(DeriveIden)]
enum Soc {
    Table,
    Id,
    Name,
    Kind,
    Quota,
    CreatedMs,
}

#[derive(DeriveIden)]
enum SocCredential {
    Table,
    Id,
    SocId,
    Hash,
    CreatedMs,
    RevokedMs,
}

#[async_trait::async_trait]
impl MigrationTrait for Register {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let kinds = crate::model::Kind::ALL.map(crate::model::Kind::name);
        let soc = Table::create()
            .table(Soc::Table)
            .col(ColumnDef::new(Soc::Id).uuid().not_null().primary_key())
            .col(ColumnDef::new(Soc::Name).string().not_null().unique_key())
            .col(ColumnDef::new(Soc::Kind).string().not_null().check(Expr::col(Soc::Kind).is_in(kinds)))
            .col(ColumnDef::new(Soc::Quota).json().not_null())
            .col(ColumnDef::new(Soc::CreatedMs).big_integer().not_null())
            .to_owned();
        manager.create_table(soc).await?;
        let credential = Table::create()
            .table(SocCredential::Table)
            .col(ColumnDef::new(SocCredential::Id).uuid().not_null().primary_key())
            .col(ColumnDef::new(SocCredential::SocId).uuid().not_null())
            .col(ColumnDef::new(SocCredential::Hash).binary().not_null().unique_key())
            .col(ColumnDef::new(SocCredential::CreatedMs).big_integer().not_null())
            .col(ColumnDef::new(SocCredential::RevokedMs).big_integer())
            .foreign_key(ForeignKey::create().from(SocCredential::Table, SocCredential::SocId).to(Soc::Table, Soc::Id))
            .to_owned();
        manager.create_table(credential).await
    }
}

/// `keep_rule` and `legal_hold`.
struct Keeping;

impl MigrationName for Keeping {
    fn name(&self) -> &'static str {
        "m20261128_000003_sources_keeping"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Keeping {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let rule = Table::create()
            .table("keep_rule")
            .col(uuid("id").primary_key())
            .col(string_null("organisation"))
            .col(integer_null("class_uid"))
            .col(integer("days"))
            .col(text("reason"))
            .col(string("actor"))
            .col(big_integer("created_ms"))
            .col(big_integer_null("removed_ms"))
            .to_owned();
        manager.create_table(rule).await?;
        let hold = Table::create()
            .table("legal_hold")
            .col(uuid("id").primary_key())
            .col(string_null("organisation"))
            .col(big_integer("from_ms"))
            .col(big_integer("to_ms"))
            .col(text("reason"))
            .col(string("actor"))
            .col(big_integer("created_ms"))
            .col(big_integer_null("lifted_ms"))
            .col(text_null("lifted"))
            .to_owned();
        manager.create_table(hold).await
    }
}

/// `keep_removal`.
struct Removals;

impl MigrationName for Removals {
    fn name(&self) -> &'static str {
        "m20261128_000007_sources_removals"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Removals {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let removal = Table::create()
            .table("keep_removal")
            .col(uuid("id").primary_key())
            .col(big_integer("begun_ms"))
            .col(big_integer("as_of_ms"))
            .to_owned();
        manager.create_table(removal).await
    }
}

/// `soc_source`.
struct Declared;

impl MigrationName for Declared {
    fn name(&self) -> &'static str {
        "m20261128_000005_sources_declared"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Declared {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let source = Table::create()
            .table("soc_source")
            .col(uuid("id").primary_key())
            .col(uuid("soc_id"))
            .col(string("name"))
            .col(big_integer_null("silence_ms"))
            .col(big_integer("created_ms"))
            .foreign_key(ForeignKey::create().from("soc_source", "soc_id").to(Soc::Table, Soc::Id))
            .index(Index::create().name("soc_source_once").col("soc_id").col("name").unique())
            .to_owned();
        manager.create_table(source).await
    }
}

/// Client certificates among `soc_credential`, and `soc_network`.
struct Senders;

impl MigrationName for Senders {
    fn name(&self) -> &'static str {
        "m20261128_000004_sources_senders"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Senders {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One at a time: SQLite knows no more.
        for column in [text_null("certificate"), big_integer_null("expires_ms")] {
            manager.alter_table(Table::alter().table(SocCredential::Table).add_column(column).to_owned()).await?;
        }
        let network = Table::create()
            .table("soc_network")
            .col(uuid("id").primary_key())
            .col(uuid("soc_id"))
            .col(string("network"))
            .col(big_integer("created_ms"))
            .foreign_key(ForeignKey::create().from("soc_network", "soc_id").to(Soc::Table, Soc::Id))
            .index(Index::create().name("soc_network_once").col("network").unique())
            .to_owned();
        manager.create_table(network).await
    }
}
