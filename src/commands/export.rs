//! `authmig export`: the embedded SQL, for those who must run it by other means.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::catalog::Catalog;
use crate::cli::{Cli, ExportArgs, Format, Layout};
use crate::export::{self, ExportFile};
use crate::failure::Failure;
use crate::parameters;
use crate::report::{Exit, ExportReport, VERSION};

/// Runs the command.
pub fn run(cli: &Cli, args: &ExportArgs, catalog: &Catalog) -> Result<ExportReport, Failure> {
    let layout = match args.layout {
        Format::Files(layout) => layout,
        // AUTHMIG_FORMAT speaks of results, and the layout was not chosen.
        _ => Layout::Plain,
    };
    let parameters = parameters::resolve(&cli.common.parameters.given(), &std::collections::BTreeMap::new())
        .map_err(|message| Failure::new(Exit::Usage, message))?;
    let files = export::files(catalog, &parameters, layout);
    let folder = &args.folder;
    refuse_used(folder)?;
    write(folder, &files).map_err(|(path, error)| {
        Failure::new(Exit::Failure, format!("{} cannot be written: {error}", path.display()))
    })?;
    Ok(ExportReport {
        schema: "authmig.export/1",
        authmig: VERSION,
        format: format!("{layout:?}").to_lowercase(),
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

/// Writes all files, or takes back those that were written.
fn write(folder: &Path, files: &[ExportFile]) -> Result<(), (PathBuf, io::Error)> {
    let mut written = Vec::new();
    for file in files {
        let path = folder.join(&file.path);
        if let Err(error) = write_new(&path, &file.text, &mut written) {
            for path in written {
                // What cannot be removed stays; the error that is told comes first.
                let _ = fs::remove_file(path);
            }
            return Err((path, error));
        }
    }
    Ok(())
}

fn write_new(path: &Path, text: &str, written: &mut Vec<PathBuf>) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    written.push(path.to_owned());
    file.write_all(text.as_bytes())
}
