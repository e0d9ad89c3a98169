//! The command line of Khiên: arguments, messages in Vietnamese and English, findings as NDJSON, OCSF, CSV or a table.
//!
//! What it is not: it decodes no log and matches no rule; that is behind the trait [`engine::Engine`], which
//! `detect/run.rs` connects. Invariants: findings go to standard output and everything else to standard error; text that
//! comes from logs or rules never reaches a terminal with its control characters; the exit code is one of
//! [`exit::Exit`].

use std::ffi::OsString;
use std::io::{BufWriter, Write as _};
use std::process::ExitCode;

pub mod args;
pub mod attack;
pub mod clock;
pub mod detect;
pub mod engine;
pub mod exit;
pub mod glob;
pub mod locale;
pub mod output;
pub mod rules;
pub mod safe;
pub mod server;
pub mod stop;
pub mod terminal;
pub mod text;

/// Runs the command given by `argv` (the program's name first) and says how it ended.
pub fn main(argv: impl IntoIterator<Item = OsString>, environment: &locale::Environment) -> ExitCode {
    let argv: Vec<OsString> = argv.into_iter().collect();
    let text = text::Text(locale::choose(&argv, environment));
    let cli = match args::parse(&argv, text) {
        Ok(cli) => cli,
        Err(refused) => return refused.report(text).into(),
    };
    exit::conclude(run(&cli, text), text).into()
}

/// Bytes that are gathered before they are written.
const OUTPUT_BYTES: usize = 256 << 10;

fn run(cli: &args::Cli, text: text::Text) -> anyhow::Result<exit::Exit> {
    let engine = detect::run::Linked;
    let mut out = BufWriter::with_capacity(OUTPUT_BYTES, std::io::stdout());
    let mut err = std::io::stderr();
    let mut console = terminal::Console {
        out: &mut out,
        err: &mut err,
        out_look: terminal::Look::of_stdout(cli.color),
        err_look: terminal::Look::of_stderr(cli.color),
        out_is_terminal: terminal::stdout_is_terminal(),
        err_is_terminal: terminal::stderr_is_terminal(),
        text,
    };
    let exit = match &cli.command {
        args::Command::Detect(detect) => detect::command(&engine, detect, &mut console)?,
        args::Command::Rules(rules) => rules::command(&engine, &rules.command, &mut console)?,
        args::Command::Serve(serve) => server::serve(serve, &mut console)?,
        args::Command::Demo(demo) => server::demo(demo, &mut console)?,
        args::Command::Simulate(simulate) => server::simulate(simulate, &mut console)?,
        args::Command::Query(query) => server::query(query, &mut console)?,
        args::Command::Forward(forward) => server::forward(forward, &mut console)?,
        args::Command::Search(search) => server::search(search, &mut console)?,
        args::Command::Admin(admin) => server::admin(&admin.command, &mut console)?,
    };
    out.flush()?;
    Ok(exit)
}
