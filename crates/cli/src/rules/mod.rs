//! `khien rules`: work on rules without logs.

use std::path::PathBuf;

use crate::args::{Import, RulesCommand};
use crate::engine::{Engine, LoadRequest, Loaded};
use crate::exit::Exit;
use crate::glob;
use crate::terminal::Console;

pub mod check;
pub mod correlation;
pub mod explain;
pub mod list;
pub mod tree;

/// Runs the command.
///
/// # Errors
/// When a path cannot be read or written.
pub fn command<E: Engine>(engine: &E, command: &RulesCommand, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    match command {
        RulesCommand::Check(check) => check::command(engine, check, console),
        RulesCommand::List(list) => list::command(engine, list, console),
        RulesCommand::Import(import) => pack(engine, import, console),
        RulesCommand::Explain(explain) => explain::command(engine, explain, console),
    }
}

/// Loads all rules of `paths`.
fn load<E: Engine>(
    engine: &E,
    paths: &[PathBuf],
    placeholders: Option<&PathBuf>,
    console: &Console<'_>,
) -> anyhow::Result<Loaded<E::Rules>> {
    let paths = glob::expand_paths(paths, console.text).map_err(anyhow::Error::msg)?;
    engine.load(&LoadRequest { paths, placeholders: placeholders.cloned(), level: None })
}

/// `khien rules import`
fn pack<E: Engine>(engine: &E, import: &Import, console: &mut Console<'_>) -> anyhow::Result<Exit> {
    let loaded = load(engine, &import.path, import.placeholders.as_ref(), console)?;
    check::tell(&loaded.problems, console);
    if loaded.usable == 0 {
        anyhow::bail!(console.text.no_rules());
    }
    if import.strict && loaded.unusable() > 0 {
        return Ok(Exit::Data);
    }
    engine.save_pack(&loaded.rules, &import.output)?;
    let size = import.output.metadata().map_or(0, |m| m.len());
    let text = console.text;
    let path = import.output.to_string_lossy();
    let done = text.imported(&text.count(loaded.usable), &path, &text.size(size));
    console.tell(&console.err_look.good(&crate::safe::line(&done)));
    Ok(Exit::Done)
}
