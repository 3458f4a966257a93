//! The published SQL, and what it is with its two blocking bugs mended by hand: `reference/
//! postgrest-jwt-management.txt`, and `published/repaired.sql`.

use super::jwt::SECRET;
use crate::support::TestDb;

pub(crate) const EXTENSIONS: &str = concat!(include_str!("../published/01-extensions.sql"), "\n");
pub(crate) const AUTH_SCHEMA: &str = include_str!("../published/02-auth_schema.sql");
pub(crate) const GRANTS: &str = include_str!("../published/05-grants.sql");
pub(crate) const PREREQUISITES: &str = include_str!("published/prerequisites.sql");
pub(crate) const REPAIRED: &str = include_str!("published/repaired.sql");

/// Which SQL a stack has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sql {
    /// Of this repository.
    Ours,
    /// Of the page, as printed, after the prerequisites that SuperStack gives it, where functions
    /// are not open to everybody.
    Published,
    /// Of the page, with D1 and D2 mended, on a server as it is by default.
    Repaired,
}

impl Sql {
    /// The same SQL in that database, run by a superuser as by psql.
    pub(crate) fn install(self, db: TestDb) -> TestDb {
        db.sql(PREREQUISITES);
        if self == Sql::Published {
            db.sql("alter default privileges revoke execute on functions from public");
        }
        db.sql(EXTENSIONS);
        db.sql(AUTH_SCHEMA);
        grants(&db);
        if self == Sql::Repaired {
            db.sql(&format!("set search_path = auth; {REPAIRED}"));
        }
        db.sql(&format!("alter database {} set pgrst.jwt_secret = '{SECRET}'", db.name));
        db
    }
}

/// Runs 05-grants a statement at a time and says what failed, as psql does.
pub(crate) fn grants(db: &TestDb) -> Vec<String> {
    let mut client = db.client();
    let run = |statement: &str| client.batch_execute(statement).err();
    let failures = GRANTS.split_inclusive(';').filter_map(run);
    failures.filter_map(|error| Some(error.as_db_error()?.message().to_owned())).collect()
}
