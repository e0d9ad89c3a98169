//! SQL over the tables, for one asker at a time.
//!
//! A session holds two views, `events` and `findings`, that already leave out what the asker may not see; the tables
//! behind them have no name that SQL could say. Statements other than queries are refused, and no function reads files.

mod engine;
mod hits;
mod output;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::{SessionConfig, SessionContext, col, lit};
use deltalake::DeltaTable;
use futures::StreamExt as _;
use khien_base::message::Message;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Sleep;
use url::Url;

pub use hits::{Facet, Found, Search};
pub use output::Output;

use crate::scan::{Remembered, Scan};
use crate::search::SearchFault;
use crate::table::{self, LakeError};
use crate::writer::Latest;

/// Whose rows a query may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's.
    All,
    /// Those of the organisations with these names.
    Organisations(Vec<String>),
}

/// What a query may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until its last row.
    pub time: Duration,
    /// While it runs.
    pub memory_bytes: usize,
    /// In its answer.
    pub rows: usize,
    /// Threads it works with.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_mins(1), memory_bytes: 512 << 20, rows: 1_000_000, threads: 2 }
    }
}

/// Why a query has no answer, or not all of it.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The SQL is wrong, or asks for something that is not there or not allowed.
    #[error("{0}")]
    Sql(String),
    /// It would change something.
    #[error("only queries are allowed: SELECT, WITH, EXPLAIN")]
    OnlyQueries,
    /// There is no lake.
    #[error("there is no lake in {0}")]
    Missing(String),
    /// A search is wrong.
    #[error(transparent)]
    Search(#[from] SearchFault),
    /// What else a search says is wrong.
    #[error("{0}")]
    Invalid(Message),
    /// It takes too long.
    #[error("the query took longer than {} seconds", .0.as_secs())]
    Time(Duration),
    /// It needs too much memory.
    #[error("the query needs more than {} MiB of memory", .0 >> 20)]
    Memory(usize),
    /// Its answer is too long.
    #[error("the answer has more than {0} rows; add a LIMIT, or ask for less")]
    Rows(usize),
    /// The lake cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The answer cannot be written in the format asked for.
    #[error("the answer cannot be written")]
    Output(#[source] arrow::error::ArrowError),
}

/// Asks questions; see the module text.
#[derive(Clone)]
pub struct Reader {
    source: Source,
    remembered: Arc<Remembered>,
    /// Where the work is done, if not where the question is asked.
    runtime: Option<Handle>,
    /// Where queries put what memory has no room for.
    spill: Option<PathBuf>,
}

#[derive(Clone)]
enum Source {
    /// What a writer of this process committed last.
    Latest(Latest),
    /// Whatever is in the lake.
    At(Url),
}

impl Reader {
    pub(crate) fn following(latest: Latest) -> Self {
        Self { source: Source::Latest(latest), remembered: Arc::default(), runtime: None, spill: None }
    }

    /// Reads the lake at `lake`, whoever writes it.
    pub fn at(lake: Url) -> Self {
        Self { source: Source::At(lake), remembered: Arc::default(), runtime: None, spill: None }
    }

    /// The same, but queries are worked on by `runtime`, so that they delay nothing else.
    #[must_use]
    pub fn on(self, runtime: Handle) -> Self {
        Self { runtime: Some(runtime), ..self }
    }

    /// The same, but queries whose sorting or grouping has no room in memory use the folder `spill` for it.
    #[must_use]
    pub fn spilling_to(self, spill: PathBuf) -> Self {
        Self { spill: Some(spill), ..self }
    }

    /// The same for whoever looks at what came last and at nothing twice: it keeps few footers, and takes no room from those
    /// that others ask for again.
    #[must_use]
    pub fn forgetful(self) -> Self {
        Self { remembered: Arc::new(Remembered::forgetful()), ..self }
    }

    async fn tables(&self) -> Result<(DeltaTable, DeltaTable), LakeError> {
        match &self.source {
            Source::Latest(latest) => Ok(latest.get()),
            Source::At(lake) => {
                let events = deltalake::open_table(table::address(lake, table::events().name)?).await?;
                Ok((events, deltalake::open_table(table::address(lake, table::findings().name)?).await?))
            }
        }
    }

    /// Starts a query. Dropping the answer ends it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn query(&self, sql: &str, scope: &Scope, limits: Limits) -> Result<Answer, QueryError> {
        let mut deadline = Box::pin(tokio::time::sleep(limits.time));
        let (this, sql, scope) = (self.clone(), sql.to_owned(), scope.clone());
        let (answers, mut inbox) = mpsc::channel(WAITING);
        let work = async move {
            let mut stream = match this.start(&sql, &scope, limits).await {
                Ok(stream) => stream,
                Err(error) => return drop(answers.send(Err(error)).await),
            };
            if answers.send(Ok(Part::Columns(stream.schema()))).await.is_err() {
                return;
            }
            while let Some(batch) = stream.next().await {
                let part = batch.map(Part::Rows).map_err(|error| failure(&error, limits));
                if answers.send(part).await.is_err() {
                    return;
                }
            }
        };
        let runtime = self.runtime.clone().unwrap_or_else(Handle::current);
        let task = Task(runtime.spawn(work).abort_handle());
        match receive(&mut inbox, &mut deadline, limits).await? {
            Some(Part::Columns(schema)) => Ok(Answer { schema, inbox, limits, deadline, rows: 0, _task: task }),
            Some(Part::Rows(_)) | None => Err(QueryError::Lake(LakeError::Ended)),
        }
    }

    /// A session with what `scope` may see.
    async fn session(&self, scope: &Scope, limits: Limits) -> Result<SessionContext, QueryError> {
        let (events, findings) = self.tables().await?;
        let session = session(limits, self.spill.clone()).map_err(|error| failure(&error, limits))?;
        session.register_udf(crate::search::in_network());
        session.register_udf(crate::search::has_word());
        session.register_udf(crate::search::may_have_words());
        for (shape, table) in [(table::events(), events), (table::findings(), findings)] {
            let scan = Scan::new(&table, &shape, &self.remembered)?;
            add_view(&session, shape.name, scan, scope).map_err(|error| failure(&error, limits))?;
        }
        Ok(session)
    }

    async fn start(&self, sql: &str, scope: &Scope, limits: Limits) -> Result<SendableRecordBatchStream, QueryError> {
        let session = self.session(scope, limits).await?;
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let frame = session.sql_with_options(sql, options).await.map_err(|error| failure(&error, limits))?;
        frame.execute_stream().await.map_err(|error| failure(&error, limits))
    }
}

/// Batches of rows that wait to be taken.
const WAITING: usize = 4;

/// What a query says.
enum Part {
    Columns(SchemaRef),
    Rows(RecordBatch),
}

/// Ends the work of a query when nobody waits for its answer any more.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What comes next, `None` when nothing does.
async fn receive(
    inbox: &mut mpsc::Receiver<Result<Part, QueryError>>,
    deadline: &mut Pin<Box<Sleep>>,
    limits: Limits,
) -> Result<Option<Part>, QueryError> {
    tokio::select! {
        next = inbox.recv() => next.transpose(),
        () = deadline.as_mut() => Err(QueryError::Time(limits.time)),
    }
}

/// Most bytes that one query puts on the disk.
const SPILLED_BYTES: u64 = 8 << 30;

fn session(limits: Limits, spill: Option<PathBuf>) -> Result<SessionContext, DataFusionError> {
    let mut config = SessionConfig::new().with_target_partitions(limits.threads).with_information_schema(false);
    // The tables decide it for each query.
    config.options_mut().execution.parquet.pushdown_filters = false;
    config.options_mut().execution.parquet.reorder_filters = true;
    let mode = spill.map_or(DiskManagerMode::Disabled, |folder| DiskManagerMode::Directories(vec![folder]));
    let disk = DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(SPILLED_BYTES);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_limit(limits.memory_bytes, 1.0)
        .with_disk_manager_builder(disk)
        .build_arc()?;
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_physical_optimizer_rules(engine::physical_rules())
        .build();
    let session = SessionContext::new_with_state(state);
    session.register_udf(engine::quick_date_trunc());
    Ok(session)
}

/// Adds a table as a view of what `scope` may see.
fn add_view(session: &SessionContext, name: &str, scan: Scan, scope: &Scope) -> Result<(), DataFusionError> {
    let (url, store) = scan.store();
    session.runtime_env().register_object_store(url.as_ref(), store.clone());
    let mut plan = LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(scan)), None)?;
    if let Scope::Organisations(names) = scope {
        plan = plan.filter(col("organisation").in_list(names.iter().map(lit).collect(), false))?;
    }
    session.register_table(name, Arc::new(ViewTable::new(plan.build()?, None)))?;
    Ok(())
}

/// What people are told of an error of the engine.
fn failure(error: &DataFusionError, limits: Limits) -> QueryError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => QueryError::Memory(limits.memory_bytes),
        DataFusionError::Plan(text) if text.starts_with("DDL") || text.starts_with("DML") => QueryError::OnlyQueries,
        root => QueryError::Sql(root.strip_backtrace()),
    }
}

/// The rows of an answer as they come.
pub struct Answer {
    schema: SchemaRef,
    inbox: mpsc::Receiver<Result<Part, QueryError>>,
    limits: Limits,
    /// Ends when the time is up.
    deadline: Pin<Box<Sleep>>,
    rows: usize,
    _task: Task,
}

impl Answer {
    /// Its columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The next rows, `None` at the end.
    ///
    /// # Errors
    /// When the query fails or meets a limit; nothing follows.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        let Some(Part::Rows(batch)) = receive(&mut self.inbox, &mut self.deadline, self.limits).await? else {
            return Ok(None);
        };
        self.rows += batch.num_rows();
        if self.rows > self.limits.rows {
            return Err(QueryError::Rows(self.limits.rows));
        }
        Ok(Some(batch))
    }
}
