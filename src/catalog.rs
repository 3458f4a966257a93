//! The migrations that this binary carries: ordered, complete, unique, and free of
//! what may not stand in a script.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use include_dir::{Dir, include_dir};

use crate::manifest::{self, Facts};
use crate::migration::{FileName, Migration, Part, Script, Version, parse_file_name, sha256};
use crate::scanner;

/// The file that says what the migrations create.
pub const MANIFEST: &str = "manifest.txt";

static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/migrations");

/// SHA-256 over the embedded files: that of the lines of `sha256sum`.
pub fn embedded_digest() -> String {
    // They were sorted when they were embedded.
    let lines: Vec<_> = EMBEDDED
        .files()
        .map(|file| format!("{}  {}", sha256(file.contents()), file.path().display()))
        .collect();
    sha256(format!("{}\n", lines.join("\n")).as_bytes())
}

/// All migrations, in the order of their versions, each with its three scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    migrations: Vec<Migration>,
    /// As it stands in the file: most commands never look into it.
    manifest: Option<Cow<'static, str>>,
}

impl Catalog {
    /// The migrations compiled into this binary.
    pub fn embedded() -> Result<Catalog, CatalogError> {
        Catalog::from_files(EMBEDDED.files().filter_map(|file| {
            let name = file.path().file_name()?.to_str()?;
            Some((name.to_owned(), file.contents().into()))
        }))
    }

    /// The migrations of these files, given as name and content.
    ///
    /// Files that do not end in `.sql` are passed over, but for the manifest. Everything
    /// else that is not as it should be is an error that names the file and the reason.
    pub fn from_files(
        files: impl IntoIterator<Item = (String, Cow<'static, [u8]>)>,
    ) -> Result<Catalog, CatalogError> {
        let mut drafts: BTreeMap<Version, Draft> = BTreeMap::new();
        let mut manifest = None;
        for (file, bytes) in files {
            if file == MANIFEST {
                manifest = Some(text(&file, bytes)?);
                continue;
            }
            if !Path::new(&file).extension().is_some_and(|end| end.eq_ignore_ascii_case("sql")) {
                continue;
            }
            let FileName { version, name, part } =
                parse_file_name(&file).map_err(|reason| CatalogError::new(&file, reason))?;
            let draft = drafts
                .entry(version)
                .or_insert_with(|| Draft { name: name.to_owned(), scripts: BTreeMap::new() });
            if draft.name != name {
                let reason = format!("version {version} is already {version}-{}", draft.name);
                return Err(CatalogError::new(&file, &reason));
            }
            let script = script(file.clone(), bytes)?;
            draft.scripts.insert(part, script);
        }
        let migrations =
            drafts.into_iter().map(|(version, draft)| draft.complete(version)).collect::<Result<_, _>>()?;
        Ok(Catalog { migrations, manifest })
    }

    /// Every migration, oldest first.
    pub fn migrations(&self) -> &[Migration] {
        &self.migrations
    }

    /// The migration of this version.
    pub fn get(&self, version: Version) -> Option<&Migration> {
        let index = self.migrations.binary_search_by_key(&version, |migration| migration.version).ok()?;
        Some(&self.migrations[index])
    }

    /// Whether it is written down what is there when this version is the newest one applied.
    pub fn describes(&self, version: Version) -> bool {
        self.manifest.as_ref().is_some_and(|manifest| manifest::has(manifest, version.number()))
    }

    /// What is there when this version is the newest one applied, if that is written
    /// down. The error names the line.
    pub fn facts_at(&self, version: Version) -> Result<Option<Facts>, CatalogError> {
        let Some(manifest) = &self.manifest else { return Ok(None) };
        manifest::facts_at(manifest, version.number()).map_err(|reason| CatalogError::new(MANIFEST, &reason))
    }

    /// The newest version, or `None` for an empty catalog.
    pub fn newest(&self) -> Option<Version> {
        Some(self.migrations.last()?.version)
    }
}

struct Draft {
    name: String,
    scripts: BTreeMap<Part, Script>,
}

impl Draft {
    fn complete(mut self, version: Version) -> Result<Migration, CatalogError> {
        let label = crate::migration::label(version.number(), &self.name);
        let mut take = |part: Part| {
            self.scripts
                .remove(&part)
                .ok_or_else(|| CatalogError::new(&format!("{label}.{}.sql", part.word()), "is missing"))
        };
        Ok(Migration {
            up: take(Part::Up)?,
            down: take(Part::Down)?,
            verify: take(Part::Verify)?,
            version,
            name: self.name,
        })
    }
}

/// The text of a file, the same on every platform: git may have checked out other
/// line ends.
fn text(file: &str, bytes: Cow<'static, [u8]>) -> Result<Cow<'static, str>, CatalogError> {
    let text = match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    };
    let text = text.ok_or_else(|| CatalogError::new(file, "is not UTF-8"))?;
    if text.contains('\0') {
        return Err(CatalogError::new(file, "holds a NUL character"));
    }
    if !text.starts_with('\u{feff}') && !text.contains('\r') {
        return Ok(text);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(text.replace("\r\n", "\n").replace('\r', "\n").into())
}

fn script(file: String, bytes: Cow<'static, [u8]>) -> Result<Script, CatalogError> {
    let sql = text(&file, bytes)?;
    // What is compiled in need not be looked at in each run: a test does.
    let finding = match sql {
        Cow::Borrowed(_) => None,
        Cow::Owned(_) => scanner::first_objection(&sql),
    };
    if let Some(finding) = finding {
        let before = &sql[..finding.offset];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        return Err(CatalogError::new(&format!("{file}:{line}:{column}"), &finding.what));
    }
    Ok(Script { file, sql })
}

/// A file that is not as it should be, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct CatalogError {
    place: String,
    reason: String,
}

impl CatalogError {
    fn new(place: &str, reason: &str) -> CatalogError {
        CatalogError { place: place.to_owned(), reason: reason.to_owned() }
    }
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

impl std::error::Error for CatalogError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(files: &[(&str, &str)]) -> Result<Catalog, String> {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec().into()));
        Catalog::from_files(files).map_err(|error| error.to_string())
    }

    fn three<'a>(label: &'a str, up: &'a str) -> Vec<(String, &'a str)> {
        Part::ALL
            .map(|part| (format!("{label}.{}.sql", part.word()), if part == Part::Up { up } else { "" }))
            .to_vec()
    }

    #[test]
    fn the_embedded_catalog_is_sound() {
        let copies = EMBEDDED
            .files()
            .map(|file| (file.path().to_str().unwrap().to_owned(), Cow::Owned(file.contents().to_vec())));
        let catalog = Catalog::from_files(copies).unwrap();
        assert_eq!(catalog, Catalog::embedded().unwrap());
        // What was released stays, and the next ones come behind it without a gap.
        let names: Vec<_> = catalog.migrations().iter().map(ToString::to_string).collect();
        assert_eq!(names[..5], ["01-extensions", "02-auth_schema", "03-api_schema", "04-roles", "05-grants"]);
        let numbers = catalog.migrations().iter().map(|migration| migration.version.number());
        assert!((1..).zip(numbers).all(|(expected, number)| number == expected), "{names:?}");
        // Without a description, verify has nothing to compare with.
        assert!(catalog.describes(catalog.newest().unwrap()), "bin/new-manifest is due");
    }

    #[test]
    fn versions_come_in_order_whatever_the_order_of_files() {
        let mut files = three("10-b", "select 10");
        files.extend(three("02-a", "select 2"));
        files.extend(three("100-c", "select 100"));
        let files: Vec<_> = files.iter().map(|(name, text)| (&**name, *text)).collect();
        let catalog = catalog(&files).unwrap();
        let numbers: Vec<_> = catalog.migrations().iter().map(|m| m.version.number()).collect();
        assert_eq!(numbers, [2, 10, 100]);
        assert_eq!(catalog.newest(), Version::new(100));
        assert_eq!(catalog.get(Version::new(10).unwrap()).unwrap().up.sql, "select 10");
    }

    #[test]
    fn a_missing_part_is_named() {
        assert_eq!(
            catalog(&[("01-a.up.sql", ""), ("01-a.verify.sql", "")]),
            Err("01-a.down.sql: is missing".to_owned())
        );
    }

    #[test]
    fn a_repeated_version_is_named() {
        let mut files = three("01-a", "");
        files.extend(three("01-b", ""));
        let files: Vec<_> = files.iter().map(|(name, text)| (&**name, *text)).collect();
        assert_eq!(catalog(&files), Err("01-b.up.sql: version 01 is already 01-a".to_owned()));
    }

    #[test]
    fn a_bad_name_is_named() {
        assert!(catalog(&[("01-a-b.up.sql", "")]).unwrap_err().starts_with("01-a-b.up.sql: "));
        assert!(catalog(&[("notes.sql", "")]).unwrap_err().starts_with("notes.sql: "));
        assert!(catalog(&[("01-a.up.SQL", "")]).unwrap_err().starts_with("01-a.up.SQL: "));
        assert!(catalog(&[("README.md", "begin;")]).unwrap().migrations().is_empty());
    }

    #[test]
    fn what_may_not_stand_in_a_script_is_shown_with_its_place() {
        assert_eq!(
            catalog(&[("01-a.up.sql", "select 1;\n  'ü'; commit;")]),
            Err("01-a.up.sql:2:8: commit is transaction control, and the transaction is authmig's".to_owned())
        );
    }

    #[test]
    fn line_ends_and_byte_order_mark_do_not_count() {
        let sum = |up: &str| {
            let files = three("01-a", up);
            let files: Vec<_> = files.iter().map(|(name, text)| (&**name, *text)).collect();
            catalog(&files).unwrap().migrations()[0].sha256()
        };
        assert_eq!(sum("select 1;\r\nselect 2;\r"), sum("select 1;\nselect 2;\n"));
        assert_eq!(sum("\u{feff}select 1;"), sum("select 1;"));
        assert_ne!(sum("select 1;"), sum("select 1; "));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let error = Catalog::from_files([("01-a.up.sql".to_owned(), vec![0xff].into())]).unwrap_err();
        assert_eq!(error.to_string(), "01-a.up.sql: is not UTF-8");
    }

    #[test]
    fn a_manifest_that_is_none_is_named_with_its_line() {
        let version = Version::new(5).unwrap();
        let error = catalog(&[("manifest.txt", "# 01-a\nnonsense")]).unwrap().facts_at(version).unwrap_err();
        assert_eq!(error.to_string(), "manifest.txt: line 2: an object is `kind: name`");
        assert!(Catalog::embedded().unwrap().facts_at(version).unwrap().is_some());
    }
}
