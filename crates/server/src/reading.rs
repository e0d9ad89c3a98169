//! Questions that the server itself asks of the lake.

use khien_lake::{Limits, Output, QueryError, Reader, Scope};
use serde::de::DeserializeOwned;

/// The rows of an answer.
pub(crate) async fn rows<T: DeserializeOwned>(
    reader: &Reader,
    sql: &str,
    scope: &Scope,
    limits: Limits,
) -> Result<Vec<T>, QueryError> {
    let mut written = reader.query(sql, scope, limits).await?.write(Output::Ndjson)?;
    let mut text = Vec::new();
    while let Some(bytes) = written.next().await? {
        text.extend(bytes);
    }
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let rows: Result<_, _> = lines.map(serde_json::from_slice).collect();
    rows.map_err(|error| QueryError::Sql(format!("rows are not as expected: {error}")))
}
