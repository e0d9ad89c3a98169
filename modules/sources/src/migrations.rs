//! The tables of this module.

use sea_orm_migration::prelude::*;

/// All migrations of this module.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(Register)]
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
