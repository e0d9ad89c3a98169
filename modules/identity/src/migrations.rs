//! The tables of this module.

use sea_orm_migration::prelude::*;

/// All migrations of this module.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(Operators)]
}

/// `operator`
struct Operators;

impl MigrationName for Operators {
    fn name(&self) -> &'static str {
        "m20261128_000001_identity_operators"
    }
}

#[derive(DeriveIden)]
enum Operator {
    Table,
    Id,
    Name,
    Hash,
    CreatedMs,
    RevokedMs,
}

#[async_trait::async_trait]
impl MigrationTrait for Operators {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(Operator::Table)
            .col(ColumnDef::new(Operator::Id).uuid().not_null().primary_key())
            .col(ColumnDef::new(Operator::Name).string().not_null().unique_key())
            .col(ColumnDef::new(Operator::Hash).binary().not_null().unique_key())
            .col(ColumnDef::new(Operator::CreatedMs).big_integer().not_null())
            .col(ColumnDef::new(Operator::RevokedMs).big_integer())
            .to_owned();
        manager.create_table(table).await
    }
}
