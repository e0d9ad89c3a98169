//! The tables of this module.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, boolean, integer, json, json_null, string, string_null, text, uuid, uuid_null,
};

use crate::model::{AlertState, PackState};

/// All migrations of this module.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(Tables), Box::new(Declared)]
}

/// All tables.
struct Tables;

impl MigrationName for Tables {
    fn name(&self) -> &'static str {
        "m20261128_000002_detections_tables"
    }
}

/// What SOCs declared, beside what is known of a source.
struct Declared;

impl MigrationName for Declared {
    fn name(&self) -> &'static str {
        "m20261128_000006_detections_declared"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Declared {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One at a time: SQLite knows no more.
        for column in [
            big_integer_null("declared_ms"),
            big_integer_null("silence_ms"),
            boolean("was_heard").default(true).to_owned(),
            boolean("is_unexpected").default(false).to_owned(),
        ] {
            manager.alter_table(Table::alter().table("source_pulse").add_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

/// A text that is one of `words`.
fn word(name: &'static str, words: impl IntoIterator<Item = &'static str>) -> ColumnDef {
    string(name).check(Expr::col(name).is_in(words)).to_owned()
}

fn key(name: &'static str) -> ColumnDef {
    uuid(name).primary_key().to_owned()
}

fn index(name: &str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}

fn packs() -> [TableCreateStatement; 2] {
    let pack = Table::create()
        .table("pack")
        .col(key("id"))
        .col(string("name"))
        .col(integer("version"))
        .col(word("state", PackState::ALL.iter().map(|state| state.name())))
        .col(json_null("organisations"))
        .col(string("sha256"))
        .col(big_integer("bytes"))
        .col(integer("rules"))
        .col(integer("correlations"))
        .col(integer("unusable"))
        .col(big_integer("created_ms"))
        .col(big_integer("changed_ms"))
        .index(Index::create().unique().name("pack_name_version").col("name").col("version"))
        .to_owned();
    let content = Table::create()
        .table("pack_content")
        .col(key("pack_id"))
        .col(ColumnDef::new("content").blob().not_null())
        .foreign_key(ForeignKey::create().from("pack_content", "pack_id").to("pack", "id"))
        .to_owned();
    [pack, content]
}

fn exceptions() -> [TableCreateStatement; 2] {
    let list = Table::create()
        .table("exception_list")
        .col(key("id"))
        .col(string("name").unique_key())
        .col(string("description"))
        .col(json("entries"))
        .col(big_integer("created_ms"))
        .to_owned();
    let exception = Table::create()
        .table("exception")
        .col(key("id"))
        .col(json("what"))
        .col(string_null("organisation"))
        .col(string("list"))
        .col(big_integer("created_ms"))
        .col(big_integer_null("removed_ms"))
        .to_owned();
    [list, exception]
}

fn alerts() -> [TableCreateStatement; 2] {
    let alert = Table::create()
        .table("alert")
        .col(key("id"))
        .col(text("rule_id"))
        .col(text("title"))
        .col(string("level"))
        .col(integer("severity_id"))
        .col(text("pack"))
        .col(string("organisation"))
        .col(text("entity"))
        .col(big_integer("first_ms"))
        .col(big_integer("last_ms"))
        .col(big_integer("findings"))
        .col(big_integer("event_id"))
        .col(word("state", AlertState::ALL.iter().map(|state| state.name())))
        .col(string_null("assignee"))
        .col(boolean("is_suppressed"))
        .col(uuid_null("suppressed"))
        .col(big_integer("created_ms"))
        .col(big_integer("changed_ms"))
        .to_owned();
    let suppression = Table::create()
        .table("suppression")
        .col(key("id"))
        .col(json("what"))
        .col(string_null("organisation"))
        .col(big_integer("until_ms"))
        .col(big_integer("created_ms"))
        .col(big_integer_null("removed_ms"))
        .to_owned();
    [alert, suppression]
}

fn ledger() -> [TableCreateStatement; 2] {
    let cover = Table::create()
        .table("coverage")
        .col(string("organisation"))
        .col(string("source"))
        .col(big_integer("hour"))
        .col(string("pack"))
        .col(big_integer("events"))
        .col(big_integer("late"))
        .col(big_integer("undecoded"))
        .col(big_integer("untimed"))
        .col(big_integer("unhosted"))
        .primary_key(Index::create().col("organisation").col("source").col("hour").col("pack"))
        .to_owned();
    let pulse = Table::create()
        .table("source_pulse")
        .col(string("organisation"))
        .col(string("source"))
        .col(big_integer("first_ms"))
        .col(big_integer("last_ms"))
        .col(big_integer("pause_ms"))
        .col(boolean("is_silent"))
        .primary_key(Index::create().col("organisation").col("source"))
        .to_owned();
    [cover, pulse]
}

fn others() -> [TableCreateStatement; 2] {
    let history = Table::create()
        .table("detection_history")
        .col(key("id"))
        .col(string("subject"))
        .col(big_integer("at_ms"))
        .col(string("actor"))
        .col(string("action"))
        .col(json("detail"))
        .to_owned();
    let mark =
        Table::create().table("detection_mark").col(string("name").primary_key()).col(big_integer("value")).to_owned();
    [history, mark]
}

#[async_trait::async_trait]
impl MigrationTrait for Tables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in packs().into_iter().chain(exceptions()).chain(alerts()).chain(ledger()).chain(others()) {
            manager.create_table(table).await?;
        }
        // Findings look for the alert they belong to, lists show the newest first, histories are of one subject.
        for index in [
            index("alert_key", "alert", &["rule_id", "organisation", "entity", "last_ms"]),
            index("alert_organisation", "alert", &["organisation", "id"]),
            index("alert_state", "alert", &["state", "id"]),
            index("coverage_hour", "coverage", &["hour"]),
            index("history_subject", "detection_history", &["subject", "id"]),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
