//! The attributes of OCSF that a table has a column for.
//!
//! A table of events has one row for an event of any class, so a column is an attribute by its path, with `_` for the
//! dots. What has no column is still in the raw record. The list may grow; a name never changes its meaning.

use serde_json::Value as Json;

use super::Normalised;
use super::table::{self, Table};
use crate::taxonomy::{KindId, Taxonomy};

/// What values a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Text.
    Text,
    /// Whole numbers of 32 bits.
    Number,
}

/// An attribute with a column of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name of the column.
    pub name: &'static str,
    /// Path of the attribute.
    pub path: &'static str,
    /// Its values.
    pub holds: Holds,
}

/// Columns that have a value only when the field has one and no other: what a rule says of the field can then be asked of
/// the column.
const ONE_VALUE: &[&str] = &[
    "actor.process.file.path",
    "actor.process.cmd_line",
    "process.file.path",
    "process.cmd_line",
    "process.parent_process.file.path",
    "process.parent_process.cmd_line",
    "query.hostname",
    "http_request.url.url_string",
    "http_request.user_agent",
    "file.path",
    "module.file.path",
    "reg_key.path",
    "win_service.name",
];

impl Column {
    /// Whether the attribute at `path` is in its column only when its field has no other value.
    pub(super) fn is_one_value(path: &str) -> bool {
        ONE_VALUE.contains(&path)
    }
}

const fn text(name: &'static str, path: &'static str) -> Column {
    Column { name, path, holds: Holds::Text }
}

const fn number(name: &'static str, path: &'static str) -> Column {
    Column { name, path, holds: Holds::Number }
}

/// All columns, in their order.
pub const COLUMNS: &[Column] = &[
    text("device_hostname", "device.hostname"),
    text("user_name", "user.name"),
    text("user_domain", "user.domain"),
    text("actor_user_name", "actor.user.name"),
    text("actor_user_domain", "actor.user.domain"),
    text("actor_process_file_path", "actor.process.file.path"),
    text("actor_process_cmd_line", "actor.process.cmd_line"),
    number("actor_process_pid", "actor.process.pid"),
    text("process_file_path", "process.file.path"),
    text("process_cmd_line", "process.cmd_line"),
    number("process_pid", "process.pid"),
    text("process_parent_process_file_path", "process.parent_process.file.path"),
    text("process_parent_process_cmd_line", "process.parent_process.cmd_line"),
    text("src_endpoint_ip", "src_endpoint.ip"),
    text("src_endpoint_hostname", "src_endpoint.hostname"),
    number("src_endpoint_port", "src_endpoint.port"),
    text("dst_endpoint_ip", "dst_endpoint.ip"),
    text("dst_endpoint_hostname", "dst_endpoint.hostname"),
    number("dst_endpoint_port", "dst_endpoint.port"),
    text("connection_info_protocol_name", "connection_info.protocol_name"),
    text("query_hostname", "query.hostname"),
    text("http_request_http_method", "http_request.http_method"),
    text("http_request_url_url_string", "http_request.url.url_string"),
    text("http_request_user_agent", "http_request.user_agent"),
    number("http_response_code", "http_response.code"),
    text("file_path", "file.path"),
    text("module_file_path", "module.file.path"),
    text("reg_key_path", "reg_key.path"),
    text("reg_value_path", "reg_value.path"),
    text("reg_value_name", "reg_value.name"),
    text("win_service_name", "win_service.name"),
    text("job_name", "job.name"),
    text("group_name", "group.name"),
    text("api_operation", "api.operation"),
    text("session_uid", "session.uid"),
    text("metadata_event_code", "metadata.event_code"),
    text("metadata_log_name", "metadata.log_name"),
    text("message", "message"),
    // What is known from elsewhere when an event comes in.
    text("src_endpoint_owner_org_name", "src_endpoint.owner.org.name"),
    text("dst_endpoint_owner_org_name", "dst_endpoint.owner.org.name"),
    text("src_endpoint_location_country", "src_endpoint.location.country"),
    text("dst_endpoint_location_country", "dst_endpoint.location.country"),
    number("src_endpoint_autonomous_system_number", "src_endpoint.autonomous_system.number"),
    number("dst_endpoint_autonomous_system_number", "dst_endpoint.autonomous_system.number"),
];

/// The value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Of a [`Holds::Text`] column.
    Text(String),
    /// Of a [`Holds::Number`] column.
    Number(i32),
}

/// An event as a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flat {
    /// The class, 0 for a Base Event.
    pub class_uid: u32,
    /// Its category.
    pub category_uid: u8,
    /// What happened.
    pub activity_id: u32,
    /// How severe the sender says it is; 1 (informational) when it says nothing.
    pub severity_id: u8,
    /// Column and value, in the order of [`COLUMNS`]; what is not there stands not here.
    pub values: Vec<(usize, Scalar)>,
}

/// A value for a column, `None` when it is none of what the column holds.
pub(super) fn scalar(column: &Column, json: Json) -> Option<Scalar> {
    match (column.holds, json) {
        (Holds::Text, Json::String(text)) => Some(Scalar::Text(text)),
        (Holds::Text, Json::Number(number)) => Some(Scalar::Text(number.to_string())),
        (Holds::Number, Json::Number(number)) => Some(Scalar::Number(i32::try_from(number.as_i64()?).ok()?)),
        _ => None,
    }
}

impl Normalised<'_> {
    /// The event as a row.
    pub fn flat(&self) -> Flat {
        let Self { mapped, .. } = self;
        let is_whole = |column: &Column| {
            !Column::is_one_value(column.path) || !mapped.several.iter().any(|path| path == column.path)
        };
        let value = |(index, column): (usize, &Column)| {
            let json = table::get(&mapped.tree, column.path).filter(|_| is_whole(column))?;
            Some((index, scalar(column, json.clone())?))
        };
        Flat {
            class_uid: mapped.class.uid as u32,
            category_uid: mapped.class.category,
            activity_id: mapped.activity as u32,
            severity_id: mapped.severity,
            values: COLUMNS.iter().enumerate().filter_map(value).collect(),
        }
    }
}

/// The column that holds the field which rules call `field`, in events of all of `kinds`: whenever the column has a value
/// there, it is the field's only one. `None` when there is none for all of them.
pub fn column_of(field: &str, kinds: &[KindId], taxonomy: &Taxonomy) -> Option<&'static Column> {
    let table = Table::embedded();
    COLUMNS.iter().filter(|column| Column::is_one_value(column.path)).find(|column| {
        let mut anywhere = false;
        let fits = kinds.iter().all(|kind| {
            table.entries_for(taxonomy.kind_name(*kind)).all(|entry| {
                let Some(first) = table.fields(entry).find(|own| own.outputs().any(|path| path == column.path)) else {
                    return true;
                };
                anywhere = true;
                let is_same = |source: &String| taxonomy.sources(*kind, source) == taxonomy.sources(*kind, field);
                first.keeps_text(column.path) && first.sources.first().is_some_and(is_same)
            })
        });
        fits && anywhere
    })
}
