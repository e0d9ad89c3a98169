//! Answers as bytes.

use std::mem;

use arrow::array::RecordBatch;
use arrow::csv;
use arrow::ipc::writer::StreamWriter;
use arrow::json::{LineDelimitedWriter, WriterBuilder};

use super::{Answer, QueryError};

/// A format of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A JSON array with an object for each row, one row a line.
    Json,
    /// An object for each row, one a line.
    Ndjson,
    /// Comma-separated values with a heading.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

impl Output {
    /// What HTTP calls it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// An answer that is being written.
pub struct Written {
    answer: Answer,
    output: Output,
    arrow: Option<StreamWriter<Vec<u8>>>,
    /// What stands before all rows was written.
    begun: bool,
    /// Some row was written.
    has_rows: bool,
    over: bool,
}

impl Answer {
    /// The same as bytes.
    ///
    /// # Errors
    /// When the columns cannot be written in this format.
    pub fn write(self, output: Output) -> Result<Written, QueryError> {
        let arrow = (output == Output::Arrow).then(|| StreamWriter::try_new(Vec::new(), &self.schema()));
        let arrow = arrow.transpose().map_err(QueryError::Output)?;
        Ok(Written { answer: self, output, arrow, begun: false, has_rows: false, over: false })
    }
}

impl Written {
    /// The next bytes, `None` at the end.
    ///
    /// # Errors
    /// See [`Answer::next`].
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, QueryError> {
        if self.over {
            return Ok(None);
        }
        let bytes = if let Some(batch) = self.answer.next().await? {
            self.rows(&batch)
        } else {
            self.over = true;
            self.end()
        };
        self.begun = true;
        bytes.map(Some).map_err(QueryError::Output)
    }

    fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, arrow::error::ArrowError> {
        match self.output {
            Output::Json => {
                let mut out = if self.begun { Vec::new() } else { b"[".to_vec() };
                for line in lines(batch)?.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
                    out.extend_from_slice(if self.has_rows { b",\n" } else { b"\n" });
                    out.extend_from_slice(line);
                    self.has_rows = true;
                }
                Ok(out)
            }
            Output::Ndjson => lines(batch),
            Output::Csv => self.csv(batch),
            Output::Arrow => {
                let Some(writer) = &mut self.arrow else { return Ok(Vec::new()) };
                writer.write(batch)?;
                Ok(mem::take(writer.get_mut()))
            }
        }
    }

    /// What stands behind the rows.
    fn end(&mut self) -> Result<Vec<u8>, arrow::error::ArrowError> {
        match self.output {
            Output::Json if self.has_rows => Ok(b"\n]\n".to_vec()),
            Output::Json if self.begun => Ok(b"]\n".to_vec()),
            Output::Json => Ok(b"[]\n".to_vec()),
            Output::Csv if !self.begun => self.csv(&RecordBatch::new_empty(self.answer.schema())),
            Output::Ndjson | Output::Csv => Ok(Vec::new()),
            Output::Arrow => self.arrow.take().map_or(Ok(Vec::new()), StreamWriter::into_inner),
        }
    }

    fn csv(&self, batch: &RecordBatch) -> Result<Vec<u8>, arrow::error::ArrowError> {
        let mut out = Vec::new();
        csv::WriterBuilder::new().with_header(!self.begun).build(&mut out).write(batch)?;
        Ok(out)
    }
}

/// A JSON object for each row. Columns without a value stand there as null, so that all rows have the same members.
fn lines(batch: &RecordBatch) -> Result<Vec<u8>, arrow::error::ArrowError> {
    let mut out = Vec::new();
    let mut writer: LineDelimitedWriter<_> = WriterBuilder::new().with_explicit_nulls(true).build(&mut out);
    writer.write(batch)?;
    writer.finish()?;
    Ok(out)
}
