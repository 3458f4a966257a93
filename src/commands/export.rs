//! `authmig export`: the embedded SQL, for those who must run it by other means.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum as _;

use crate::catalog::Catalog;
use crate::cli::{Cli, ExportArgs};
use crate::export::{self, ExportFile};
use crate::failure::Failure;
use crate::parameters;
use crate::report::{Exit, ExportReport, VERSION};

/// Runs the command.
pub fn run(cli: &Cli, args: &ExportArgs, catalog: &Catalog) -> Result<ExportReport, Failure> {
    let layout = args.layout();
    let parameters = parameters::resolve(&cli.common.parameters.given(), &std::collections::BTreeMap::new())
        .map_err(|message| Failure::new(Exit::Usage, message))?;
    let files = export::files(catalog, &parameters, layout);
    let folder = &args.folder;
    refuse_used(folder)?;
    write(folder, &files).map_err(|(path, error)| {
        Failure::new(Exit::Failure, format!("{} cannot be written: {error}", path.display()))
    })?;
    Ok(ExportReport {
        authmig: VERSION,
        format: layout.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned()),
        folder: folder.display().to_string(),
        files: files.into_iter().map(|file| file.path).collect(),
        exit: Exit::Success,
    })
}

/// A folder with something in it may hold files of the same names, or an older export
/// whose files would be left between the new ones.
fn refuse_used(folder: &Path) -> Result<(), Failure> {
    let name = folder.display();
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Failure::new(Exit::Refused, format!("{name} is not empty; nothing was written"))
                .hint("export to a new folder, and move from there what you want")),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::new(Exit::Failure, format!("{name} cannot be used: {error}"))),
    }
}

/// Writes all files, or takes back what was written, the folders that were made included.
fn write(folder: &Path, files: &[ExportFile]) -> Result<(), (PathBuf, io::Error)> {
    let mut made = Vec::new();
    for file in files {
        let path = folder.join(&file.path);
        if let Err(error) = write_new(&path, &file.text, &mut made) {
            for path in made.iter().rev() {
                // What cannot be removed stays; the error that is told comes first.
                let _ = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
            }
            return Err((path, error));
        }
    }
    Ok(())
}

/// Notes in `made` what was not there before.
fn write_new(path: &Path, text: &str, made: &mut Vec<PathBuf>) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().skip(1).take_while(|folder| !folder.exists()).collect();
    for folder in missing.into_iter().rev().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir(folder)?;
        made.push(folder.to_owned());
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    made.push(path.to_owned());
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_half_way_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = |path: &str| ExportFile { path: path.to_owned(), text: String::new() };
        let there = folder.path().join("there");
        fs::create_dir(&there).unwrap();
        let files = [file("new/deep/x.sql"), file("new/y.sql"), file("new/y.sql/z.sql")];
        for target in [folder.path().join("a/b"), there.clone()] {
            let (path, _) = write(&target, &files).unwrap_err();
            assert_eq!(path, target.join("new/y.sql/z.sql"));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(fs::read_dir(there).unwrap().count(), 0);
    }
}
