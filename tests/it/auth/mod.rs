//! The schema auth, asked as PostgREST asks it; beside it the published SQL, to show that what is
//! tested for is there and not imagined.

mod clock;
mod contract;
mod contract_answers;
mod defects_definer;
mod defects_migration;
mod defects_requests;
mod defects_secret;
mod defects_sessions;
mod defects_takeover;
mod defects_use;
mod environments;
mod http;
mod isolation;
mod jwt;
mod login;
mod postgrest;
mod published;
mod request;
mod rotation;
mod settings;
mod signature;

use postgres::Config;

use self::jwt::SECRET;
use self::postgrest::{PostgRest, Prepared};
use self::published::Sql;
use self::request::{Request, Response};
use crate::support::TestDb;

/// A database with an installation, and the names of its roles.
pub(crate) struct Stack {
    pub(crate) db: TestDb,
    pub(crate) roles: Roles,
}

/// The roles that a stack was installed with.
#[derive(Clone)]
pub(crate) struct Roles {
    pub(crate) anon: String,
    pub(crate) authenticated: String,
    pub(crate) service: String,
    pub(crate) authenticator: String,
    pub(crate) owner: String,
}

impl Default for Roles {
    fn default() -> Roles {
        Roles::prefixed("", "auth_owner")
    }
}

impl Roles {
    fn prefixed(prefix: &str, owner: &str) -> Roles {
        Roles {
            anon: format!("{prefix}anon"),
            authenticated: format!("{prefix}authenticated"),
            service: format!("{prefix}service"),
            authenticator: format!("{prefix}authenticator"),
            owner: owner.to_owned(),
        }
    }

    /// Roles that no other test has, so that this one may alter them.
    pub(crate) fn own() -> Roles {
        let prefix = crate::support::unique("a") + "_";
        Roles::prefixed(&prefix, &format!("{prefix}owner"))
    }

    /// The options that install with these.
    pub(crate) fn options(&self) -> Vec<String> {
        [
            ("anon", &self.anon),
            ("authenticated", &self.authenticated),
            ("service", &self.service),
            ("authenticator", &self.authenticator),
            ("owner", &self.owner),
        ]
        .map(|(name, role)| format!("--{name}-role={role}"))
        .to_vec()
    }
}

impl Stack {
    /// Ours in a new database, with a hostile schema public behind it.
    pub(crate) fn ours() -> Stack {
        Stack::ours_in(TestDb::new())
    }

    /// Ours in this database.
    pub(crate) fn ours_in(db: TestDb) -> Stack {
        Stack::ours_with(db, Roles::default())
    }

    /// Ours with these roles.
    pub(crate) fn ours_with(db: TestDb, roles: Roles) -> Stack {
        let db = db.with("AUTHMIG_JWT_SECRET", SECRET);
        db.authmig(&crate::support::with_options(&["migrate"], &roles.options())).exits(0);
        db.sql(include_str!("hostile_public.sql"));
        Stack { db, roles }
    }

    /// This SQL in a new database.
    pub(crate) fn of(sql: Sql) -> Stack {
        match sql {
            Sql::Ours => Stack::ours(),
            _ => Stack { db: sql.install(TestDb::new()), roles: Roles::default() },
        }
    }

    /// How PostgREST logs in.
    pub(crate) fn login_config(&self) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.db.port()).dbname(&self.db.name).user(&self.roles.authenticator);
        config
    }

    /// A new connection of PostgREST.
    pub(crate) fn postgrest(&self) -> PostgRest {
        PostgRest::connect(&self.login_config(), &self.roles.anon, Prepared::Named)
    }

    /// The same without named statements.
    pub(crate) fn unnamed(&self) -> PostgRest {
        PostgRest::connect(&self.login_config(), &self.roles.anon, Prepared::Unnamed)
    }

    /// One request on a connection of its own.
    pub(crate) fn send(&self, request: &Request) -> Response {
        self.postgrest().send(request)
    }

    /// Stores a secret that no other test has, so that it can be looked for.
    pub(crate) fn unique_secret(&self) -> String {
        let secret = format!("{:A<43}=", self.db.name.replace('_', "/"));
        self.db.sql(&format!("update auth_private.config set jwt_secret = '{secret}'"));
        secret
    }

    /// What the service gets when it logs this subject in.
    pub(crate) fn login(&self, subject: &str, role: &str) -> Response {
        self.send(&self.issue(serde_json::json!({"subject": subject, "role": role})))
    }

    /// The service's request for tokens, with this body.
    pub(crate) fn issue(&self, body: impl ToString) -> Request {
        Request::post("auth", "issue_tokens").role(&self.roles.service).body(body)
    }

    /// What the holder of this cookie gets for it.
    pub(crate) fn refresh(&self, cookie: &str) -> Response {
        self.send(&refresh(cookie))
    }

    /// How many sessions there are, and how many of them live.
    pub(crate) fn sessions(&self) -> String {
        self.db.ask(
            "select format('%s sessions, %s live', count(*), count(*) filter (where revoked_at is null \
             and expires_at > clock_timestamp())) from auth.refresh_token",
        )
    }

    /// All that is stored, to see whether something has changed.
    pub(crate) fn rows(&self) -> String {
        self.db.ask("select coalesce(json_agg(t order by t.selector), '[]') from auth.refresh_token as t")
    }
}

/// A call of this function of the schema auth.
pub(crate) fn post(function: &str) -> Request {
    Request::post("auth", function)
}

/// The request of a browser with this cookie header.
pub(crate) fn refresh(cookie: &str) -> Request {
    Request::post("auth", "refresh_tokens").cookie(cookie)
}
