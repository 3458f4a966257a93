//! A PostgREST that is none, as far as the database can tell: `reference/postgrest-contract.md`
//! section 1, statement by statement. One connection, logged in as the authenticator.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;

use bytes::BytesMut;
use postgres::error::DbError;
use postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};
use postgres::{Client, Config, NoTls, Row, Statement};
use serde_json::{Map, Value};

use super::http;
use super::jwt::{self, Claims};
use super::request::{Request, Response};

/// How statements are sent: `db-prepared-statements`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Prepared {
    /// By name, kept as long as the connection.
    Named,
    /// Unnamed, for poolers.
    Unnamed,
}

/// A function as the schema cache has it.
struct Routine {
    schema: String,
    name: String,
    arguments: Vec<(String, String)>,
    required: usize,
    volatile: bool,
    void: bool,
    /// `default_transaction_isolation` of its SET clause.
    isolation: Option<String>,
}

/// One connection of PostgREST's pool, and its configuration.
pub(crate) struct PostgRest {
    client: Client,
    kept: Option<HashMap<String, Statement>>,
    routines: Vec<Routine>,
    role_settings: BTreeMap<String, Vec<(String, String)>>,
    anon: String,
    /// `jwt-secret`, with `jwt-secret-is-base64`.
    pub(crate) secret: String,
    /// `jwt-aud`.
    pub(crate) audience: Option<String>,
    /// `db-pre-request`.
    pub(crate) pre_request: Option<String>,
    /// `app.settings.*`.
    pub(crate) app_settings: Vec<(String, String)>,
}

/// JSON as it came over the wire: a parameter of type json, not normalised.
#[derive(Debug)]
struct Body<'a>(&'a str);

impl ToSql for Body<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
    accepts!(JSON);
    to_sql_checked!();
}

/// A parameter whose type the server is to find out.
fn unknown(value: &String) -> (&(dyn ToSql + Sync), Type) {
    (value, Type::UNKNOWN)
}

impl PostgRest {
    /// Logs in and loads the schema cache and the role settings.
    pub(crate) fn connect(config: &Config, anon: &str, prepared: Prepared) -> PostgRest {
        let mut client = config.connect(NoTls).unwrap();
        client.batch_execute("set client_min_messages to warning").unwrap();
        let mut rest = PostgRest {
            client,
            kept: (prepared == Prepared::Named).then(HashMap::new),
            routines: Vec::new(),
            role_settings: BTreeMap::new(),
            anon: anon.to_owned(),
            secret: jwt::SECRET.to_owned(),
            audience: None,
            pre_request: None,
            app_settings: Vec::new(),
        };
        rest.reload();
        rest
    }

    /// `notify pgrst, 'reload schema'`, but for the flush of the pool.
    pub(crate) fn reload(&mut self) {
        let routines = "
            select n.nspname::text, p.proname::text, p.proargnames, p.provolatile = 'v',
                   array(select format_type(t, null) from unnest(p.proargtypes) with ordinality as a (t, n) order by n),
                   p.pronargs::int - p.pronargdefaults, p.prorettype = 'void'::regtype,
                   (select split_part(s, '=', 2) from unnest(p.proconfig) as s
                     where s like 'default_transaction_isolation=%')
              from pg_proc as p
              join pg_namespace as n on n.oid = p.pronamespace
             where n.nspname in ('api', 'auth') and p.prokind = 'f'";
        let rows = self.client.query(routines, &[]).unwrap();
        self.routines = rows
            .iter()
            .map(|row| {
                let names: Vec<String> = row.get::<_, Option<_>>(2).unwrap_or_default();
                let types: Vec<String> = row.get(4);
                Routine {
                    schema: row.get(0),
                    name: row.get(1),
                    arguments: names.into_iter().zip(types).collect(),
                    required: usize::try_from(row.get::<_, i32>(5)).unwrap(),
                    volatile: row.get(3),
                    void: row.get(6),
                    isolation: row.get(7),
                }
            })
            .collect();
        let settings = "
            select r.rolname::text, split_part(s, '=', 1), substr(s, strpos(s, '=') + 1)
              from pg_roles as r, unnest(r.rolconfig) as s
             where pg_has_role(current_user, r.oid, 'member')";
        self.role_settings.clear();
        for row in self.client.query(settings, &[]).unwrap() {
            self.role_settings.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
        }
    }

    /// `notify pgrst, 'reload config'`: calls the pre-config function as PostgREST does and
    /// takes what it set.
    pub(crate) fn load_config(&mut self, pre_config: &str) -> Result<(), DbError> {
        self.run("begin isolation level read committed read only", &[]).unwrap();
        let sql = format!(
            "with call as materialized (select {pre_config}()::text as done)
             select nullif(current_setting('pgrst.jwt_secret', true), ''),
                    nullif(current_setting('pgrst.jwt_aud', true), ''),
                    nullif(current_setting('pgrst.jwt_secret_is_base64', true), '')
               from (select count(done) from call) as called"
        );
        let outcome = self.run(&sql, &[]);
        self.run(if outcome.is_ok() { "commit" } else { "abort" }, &[]).unwrap();
        let row = &outcome?[0];
        if let Some(secret) = row.get(0) {
            assert_eq!(row.get::<_, Option<&str>>(2), Some("true"));
            self.secret = secret;
        }
        self.audience = row.get(1);
        Ok(())
    }

    /// What any later request on this connection finds in a setting, as this role.
    pub(crate) fn setting_seen_by(&mut self, role: &str, name: &str) -> Option<String> {
        let mut transaction = self.client.transaction().unwrap();
        transaction.execute("select set_config('role', $1, true)", &[&role]).unwrap();
        transaction.query_one("select current_setting($1, true)", &[&name]).unwrap().get(0)
    }

    /// The connection itself, for what else may have happened on it.
    pub(crate) fn session(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Answers one request.
    pub(crate) fn send(&mut self, request: &Request) -> Response {
        let (role, claims) = match self.identity(request) {
            Ok(identity) => identity,
            Err(why) => return Response::refused(401, "PGRST301", &why),
        };
        let keys = request.keys();
        let fitting: Vec<_> = self.routines.iter().filter(|routine| routine.takes(request, &keys)).collect();
        let routine = match fitting[..] {
            [routine] => routine,
            [] => return Response::refused(404, "PGRST202", "no such function"),
            _ => return Response::refused(300, "PGRST203", "more than one such function"),
        };
        let read_only = request.method != "POST" || !routine.volatile;
        let (void, call) = (routine.void, routine.call(request, &keys));
        let settings = self.settings(request, &role, &claims);

        // The function's own goes before the role's.
        let of_role = self.role_settings.get(&role).into_iter().flatten();
        let mut of_role = of_role.filter(|(name, _)| name == "default_transaction_isolation");
        let isolation = routine.isolation.as_deref().or(of_role.next().map(|(_, value)| &**value));
        let begin = format!(
            "begin isolation level {} {}",
            isolation.unwrap_or("read committed"),
            if read_only { "read only" } else { "read write" }
        );
        self.run(&begin, &[]).unwrap();
        std::thread::sleep(request.pause);
        let outcome = self.transaction(request, &settings, &call);
        self.run(if outcome.is_ok() { "commit" } else { "abort" }, &[]).unwrap();
        match outcome {
            Err(error) => Response::failed(http::status_of(&error, role == self.anon), &error),
            Ok(row) => Response::answered(void, row.get(0), row.get(1), row.get(2)),
        }
    }

    fn transaction(&mut self, request: &Request, settings: &Settings, call: &str) -> Result<Row, DbError> {
        let parameters: Vec<_> = settings.parameters.iter().map(unknown).collect();
        self.run(&settings.sql, &parameters)?;
        if let Some(function) = self.pre_request.clone() {
            self.run(&format!("select {function}()::text"), &[])?;
        }
        let body = Body(request.body.as_deref().unwrap_or("{}"));
        let query: Vec<_> = request.query.iter().map(|(_, value)| unknown(value)).collect();
        let parameters = match () {
            () if !query.is_empty() => query,
            () if call.contains("$1") => vec![(&body as &(dyn ToSql + Sync), Type::JSON)],
            () => Vec::new(),
        };
        Ok(self.run(call, &parameters)?.remove(0))
    }

    /// The role of the request and `request.jwt.claims`.
    fn identity(&self, request: &Request) -> Result<(String, String), String> {
        let mut members = Map::new();
        let mut role = self.anon.clone();
        if let Some(token) = request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")) {
            let Claims(claims) = jwt::verified(token, &self.secret, self.audience.as_deref())?;
            members.extend(claims);
            match members.get("role") {
                None => {}
                Some(Value::String(name)) => role.clone_from(name),
                Some(other) => role = other.to_string(),
            }
        }
        members.insert("role".to_owned(), Value::String(role.clone()));
        Ok((role, Value::Object(members).to_string()))
    }

    /// The one statement that says who asks for what.
    fn settings(&self, request: &Request, role: &str, claims: &str) -> Settings {
        let mut settings = Settings::default();
        settings.fixed("search_path", &format!("\"{}\", \"public\"", request.schema));
        for (name, value) in self.role_settings.get(role).into_iter().flatten() {
            settings.named(name, value);
        }
        settings.fixed("role", role);
        settings.fixed("request.jwt.claims", claims);
        settings.fixed("request.method", request.method);
        settings.fixed("request.path", &format!("/rpc/{}", request.function));
        settings.fixed("request.headers", &request.headers_json());
        settings.fixed("request.cookies", &request.cookies_json());
        for (name, value) in &self.app_settings {
            settings.named(&format!("app.settings.{name}"), value);
        }
        settings.sql = format!("select {}", settings.calls.join(", "));
        settings
    }

    fn run(&mut self, sql: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, DbError> {
        let outcome = match &mut self.kept {
            None => self.client.query_typed(sql, parameters),
            Some(kept) => {
                let values: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
                if let Some(statement) = kept.get(sql) {
                    self.client.query(statement, &values)
                } else {
                    let types: Vec<_> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
                    self.client.prepare_typed(sql, &types).and_then(|statement| {
                        let rows = self.client.query(&statement, &values);
                        kept.insert(sql.to_owned(), statement);
                        rows
                    })
                }
            }
        };
        outcome.map_err(|error| error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}")).clone())
    }
}

#[derive(Default)]
struct Settings {
    calls: Vec<String>,
    parameters: Vec<String>,
    sql: String,
}

impl Settings {
    fn fixed(&mut self, name: &str, value: &str) {
        self.parameters.push(value.to_owned());
        self.calls.push(format!("set_config('{name}', ${}, true)", self.parameters.len()));
    }

    fn named(&mut self, name: &str, value: &str) {
        self.parameters.extend([name.to_owned(), value.to_owned()]);
        let count = self.parameters.len();
        self.calls.push(format!("set_config(${}, ${count}, true)", count - 1));
    }
}

impl Routine {
    /// By names alone: all that are required, and none but those declared.
    fn takes(&self, request: &Request, keys: &[String]) -> bool {
        self.schema == request.schema
            && self.name == request.function
            && keys.iter().all(|key| self.arguments.iter().any(|(name, _)| name == key))
            && self.arguments[..self.required].iter().all(|(name, _)| keys.contains(name))
    }

    /// The main query.
    fn call(&self, request: &Request, keys: &[String]) -> String {
        let function = format!("\"{}\".\"{}\"", self.schema, self.name);
        let given: Vec<_> = self.arguments.iter().filter(|(name, _)| keys.contains(name)).collect();
        let list = |part: &dyn Fn(usize, &str, &str) -> String| {
            let parts = given.iter().enumerate().map(|(at, (name, kind))| part(at + 1, name, kind));
            parts.collect::<Vec<_>>().join(", ")
        };
        let source = if given.is_empty() {
            format!("select c.v from (select {function}() as v) c")
        } else if request.method == "POST" {
            let record = if request.body_is_array() { "json_to_recordset" } else { "json_to_record" };
            format!(
                "select c.v from (select $1 as j) body,
                    lateral (select {} from {record}(body.j) as x({}) limit 1) a,
                    lateral (select {function}({}) as v) c",
                list(&|_, name, _| format!("\"{name}\"")),
                list(&|_, name, kind| format!("\"{name}\" {kind}")),
                list(&|_, name, _| format!("\"{name}\" := a.\"{name}\"")),
            )
        } else {
            let arguments = list(&|_, name, kind| {
                let at = request.query.iter().position(|(key, _)| key == name).unwrap() + 1;
                format!("\"{name}\" := ${at}::text::{kind}")
            });
            format!("select c.v from (select {function}({arguments}) as v) c")
        };
        // HEAD wants no body, and the function is called all the same.
        let body = if request.method == "HEAD" { "''" } else { "coalesce(json_agg(t.v) -> 0, 'null')::text" };
        format!(
            "with src as ({source})
             select {body} as body,
                    nullif(current_setting('response.headers', true), '') as headers,
                    nullif(current_setting('response.status', true), '') as status,
                    null::bigint as total, count(t.v) as page, '' as inserted
               from (select s.* from src s) t"
        )
    }
}
