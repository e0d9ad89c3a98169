//! The binary `khien`. Everything is in the library beside it, where tests can reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    khien_cli::main(std::env::args_os(), &khien_cli::locale::Environment::of_process())
}
