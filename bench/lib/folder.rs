//! authmig with the migrations of the folder in `BENCH_MIGRATIONS`, for `bench/peers`: what
//! the engine costs with the SQL that the other tools apply.

use std::process::ExitCode;
use std::{env, fs, io};

use authmig::catalog::Catalog;
use authmig::interrupt::Interrupt;
use authmig::output::Streams;

fn main() -> io::Result<ExitCode> {
    let mut files = Vec::new();
    for entry in fs::read_dir(env::var_os("BENCH_MIGRATIONS").unwrap_or_default())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, fs::read(path)?.into()));
    }
    let interrupt = Interrupt::install()?;
    let exit = authmig::run(env::args_os(), || Catalog::from_files(files), &Streams::standard(), &interrupt);
    Ok(ExitCode::from(exit.code()))
}
