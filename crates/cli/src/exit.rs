//! How a command ends.

use std::io::{self, Write as _};
use std::process::ExitCode;

use khien_base::message::Message;

use crate::text::Text;

/// The exit codes of every command; a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: done, and there are findings of the level `--fail-on` names.
    Findings,
    /// 2: the command was not understood.
    Usage,
    /// 3: nothing could be read, or something could not and `--strict` was given.
    Data,
    /// 130: stopped by Ctrl-C or a request to end, as shells count it; what was found until then was written.
    Stopped,
}

impl Exit {
    /// The number that the system is told.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Data => 3,
            Self::Stopped => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Reports an error, if there is one, to standard error and gives the exit code.
pub fn conclude(result: anyhow::Result<Exit>, text: Text) -> Exit {
    match result {
        Ok(exit) => exit,
        Err(error) if is_broken_pipe(&error) => Exit::Done,
        Err(error) => {
            let said = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref::<Message>() {
                Some(message) => text.message(message),
                None => crate::server::said(cause, text).unwrap_or_else(|| cause.to_string()),
            };
            let causes: Vec<String> = error.chain().map(said).collect();
            let line = format!("{} {}\n", text.error(), crate::safe::line(&causes.join(": ")));
            complain(&line);
            Exit::Data
        }
    }
}

/// Writes to standard error. When even that fails nobody is left to tell.
pub fn complain(line: &str) {
    drop(io::stderr().lock().write_all(line.as_bytes()));
}

/// Whether somebody closed the other end of our output, as `head` does: an ordinary end.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe))
}

#[cfg(test)]
mod tests {
    use super::*;
    use khien_base::lang::Lang;

    #[test]
    fn a_closed_pipe_is_an_ordinary_end() {
        let closed = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe)).context("write");
        assert_eq!(conclude(Err(closed), Text(Lang::En)), Exit::Done);
        let full = anyhow::Error::new(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(conclude(Err(full), Text(Lang::En)), Exit::Data);
    }
}
