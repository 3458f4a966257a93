//! `authmig completions` and `authmig man`: what packagers want, made from the command
//! line's own definition.

use std::io;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::report::Exit;

/// The completions for this shell.
pub fn completions(shell: Shell) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "authmig", &mut bytes);
    text(bytes)
}

/// The pages of all commands into this folder, or the first one as text.
pub fn pages(folder: Option<&Path>) -> Result<String, Failure> {
    let unwritable = |error: &io::Error| {
        let place = folder.map_or_else(String::new, |folder| format!(" into {}", folder.display()));
        Failure::new(Exit::Failure, format!("the manual pages cannot be written{place}: {error}"))
    };
    let Some(folder) = folder else {
        let mut bytes = Vec::new();
        let command = Cli::command().disable_help_subcommand(true);
        Man::new(command).render(&mut bytes).map_err(|error| unwritable(&error))?;
        return text(bytes);
    };
    std::fs::create_dir_all(folder).map_err(|error| unwritable(&error))?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(|error| unwritable(&error))?;
    Ok(format!("{}\n", folder.display()))
}

fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| Failure::new(Exit::Failure, error.to_string()))
}
