//! authmig with the migrations of the folder in `BENCH_MIGRATIONS`, for `bench/peers`: what
//! the engine costs with the SQL that the other tools apply.

use std::path::Path;
use std::process::ExitCode;

use authmig::catalog::Catalog;
use authmig::interrupt::Interrupt;
use authmig::output::Streams;

fn main() -> ExitCode {
    let folder = std::env::var_os("BENCH_MIGRATIONS").unwrap_or_default();
    let catalog = || Catalog::from_folder(Path::new(&folder));
    let Ok(interrupt) = Interrupt::install() else { return ExitCode::FAILURE };
    let exit = authmig::run(std::env::args_os(), catalog, &Streams::standard(), &interrupt);
    ExitCode::from(exit.code())
}
