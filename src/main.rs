//! The binary: log, run, exit.

use std::process::ExitCode;

use authmig::catalog::Catalog;
use authmig::interrupt::Interrupt;
use authmig::output::Streams;

fn main() -> ExitCode {
    let streams = Streams::standard();
    let interrupt = match Interrupt::install() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            let _ =
                authmig::output::write(&streams.err, &format!("error: cannot listen for signals: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let exit = authmig::run(std::env::args_os(), Catalog::embedded, &streams, &interrupt);
    ExitCode::from(exit.code())
}
