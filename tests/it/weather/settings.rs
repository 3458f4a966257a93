//! Settings of roles and databases, and objects in public, that get in the way.

use super::{PURGE, Site, Tally, often, same};
use crate::support::{Files, TestDb, major};

/// What somebody may have set for a role or a database, for good reasons or not.
const SETTINGS: &[&str] = &[
    "default_transaction_read_only = on",
    "default_transaction_isolation = serializable",
    "default_transaction_deferrable = on",
    "search_path = 'public, hostile'",
    "search_path = ''",
    "search_path = 'auth, authmig, auth_private, api'",
    "row_security = off",
    "session_preload_libraries = auto_explain",
    "client_min_messages = error",
    "client_min_messages = debug5",
    "client_encoding = latin1",
    "standard_conforming_strings = off",
    "backslash_quote = off",
    "escape_string_warning = off",
    "quote_all_identifiers = on",
    "check_function_bodies = off",
    "bytea_output = escape",
    "datestyle = 'SQL, DMY'",
    "intervalstyle = sql_standard",
    "timezone = 'Asia/Kathmandu'",
    "xmloption = document",
    "extra_float_digits = -15",
    "array_nulls = off",
    "transform_null_equals = on",
    "lo_compat_privileges = on",
    "default_toast_compression = pglz",
    "default_table_access_method = heap",
    "default_statistics_target = 1",
    "plpgsql.variable_conflict = use_column",
    "plpgsql.variable_conflict = use_variable",
    "plpgsql.extra_errors = 'all'",
    "plpgsql.extra_warnings = 'all'",
    "plpgsql.check_asserts = off",
    "plpgsql.print_strict_params = on",
    "enable_seqscan = off",
    "enable_indexscan = off",
    "enable_nestloop = off",
    "from_collapse_limit = 1",
    "geqo_threshold = 2",
    "jit_above_cost = 0",
    "plan_cache_mode = force_generic_plan",
    "work_mem = '64kB'",
    "temp_buffers = 100",
    "max_parallel_workers_per_gather = 0",
    "synchronous_commit = off",
    "idle_in_transaction_session_timeout = '30s'",
    "tcp_keepalives_idle = 1",
    "application_name = 'somebody else'",
    "track_activities = off",
    "log_statement = 'all'",
    "lc_monetary = 'C'",
    "app.settings.jwt_secret = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8='",
    "request.jwt.claims = '{\"role\": \"postgres\"}'",
    "response.headers = 'nonsense'",
    "authmig.anon_role = 'postgres'",
    "authmig.script = 'nonsense'",
    "authmig.adopted = '{}'",
];

/// Those that only a newer server knows.
const NEWER: &[(u32, &str)] = &[
    (16, "createrole_self_grant = 'set, inherit'"),
    (16, "debug_parallel_query = on"),
    (17, "transaction_timeout = '60s'"),
];

#[test]
fn no_setting_of_a_role_or_a_database_makes_a_difference() {
    let mut tally = Tally::of("settings of the role, and of the database");
    let role = crate::support::unique("setter");
    let site = Site::of(TestDb::new());
    site.db.sql(&format!("create role {role} superuser login"));
    let site = Site { db: site.db.run_by(&role), roles: site.roles };
    let elsewhere = TestDb::new();
    let empty = site.state();
    site.db.authmig(&["migrate"]).exits(0);
    let whole = site.state();
    site.db.authmig(&["verify"]).exits(0);
    site.clear();
    let mut objections = Vec::new();
    let newer = NEWER.iter().filter(|(since, _)| major() >= *since).map(|(_, setting)| setting);
    for (index, setting) in SETTINGS.iter().chain(newer).enumerate() {
        let targets = [format!("role {role}"), format!("database {}", site.db.name)];
        // In turn, or in the long form each with both.
        let (first, step) = if often(1, 2) == 2 { (0, 1) } else { (index % 2, 2) };
        for target in targets.iter().skip(first).step_by(step) {
            let context = format!("alter {target} set {setting}");
            elsewhere.sql(&context);
            for command in [&["migrate"][..], &["verify"]] {
                let run = site.db.authmig(command);
                if run.code != 0 {
                    objections.push(format!("{context}, {command:?}\n{}{}", run.stdout, run.stderr));
                }
            }
            // Looked at without it, and taken back with it.
            elsewhere.sql(&format!("alter {target} reset all"));
            if objections.is_empty() {
                same(&site.state(), &whole, &context);
            }
            elsewhere.sql(&context);
            let run = site.db.authmig(PURGE);
            assert_eq!(run.code, 0, "{context}\n{}", run.stderr);
            elsewhere
                .sql(&format!("alter {target} reset all; drop role if exists {}", site.roles.join(", ")));
            same(&site.state(), &empty, &context);
            tally.count("as without");
        }
    }
    assert!(objections.is_empty(), "{}", objections.join("\n"));
    site.db.sql(&format!("reassign owned by {role} to postgres"));
}

#[test]
fn a_limit_on_statements_of_the_role_does_not_end_a_migration() {
    // The limit is the run's own: --statement-timeout.
    let db = TestDb::new();
    db.sql(&format!("alter database {} set statement_timeout = '1s'", db.name));
    db.sql(&format!("alter database {} set lock_timeout = '1ms'", db.name));
    let files = Files::tables(1..=2).append("02-t2.up.sql", "select pg_sleep(1.5);");
    db.authmig_with(&files, &["migrate"]).exits(0);
    assert_eq!(db.history(), [1, 2]);
}

#[test]
fn names_with_quotes_and_backslashes_are_names_whatever_the_settings() {
    for setting in ["standard_conforming_strings = on", "standard_conforming_strings = off"] {
        let db = TestDb::new();
        db.sql(&format!("alter database {} set {setting}", db.name));
        let role = crate::support::unique(r"a'\'b\");
        let options =
            [format!("--anon-role={role}"), r"--api-schema=x\'; create table bitten (); --".to_owned()];
        let run =
            |arguments: &[&str]| db.authmig(&crate::support::with_options(arguments, &options)).exits(0);
        run(&["migrate"]);
        run(&["verify"]);
        assert_eq!(db.ask("select value from authmig.parameter where name = 'anon_role'"), role);
        run(PURGE);
        assert_eq!(db.ask("select count(*) from pg_class where relname = 'bitten'"), "0");
    }
}

/// Each fits a call of ours better than what `pg_catalog` has, and says so.
const HOSTILE: &str = r#"
create function public.bite() returns text language plpgsql as $$
begin
    raise exception 'bitten by schema public' using errcode = 'ZZ998';
end $$;
create table public.schema_history (like pg_catalog.pg_class);
create table public.journal (id int);
create table public.created (kind text);
create table public.parameter (name text, value text);
create table public.config (jwt_secret text);
create table public.refresh_token (selector uuid);
create view public.pg_roles as select public.bite() as rolname;
create view public.pg_namespace as select public.bite() as nspname;
create view public.pg_class as select public.bite() as relname;
create view public.pg_proc as select public.bite() as proname;
create function public.set_config(text, text, bool) returns text language sql as 'select public.bite()';
create function public.set_config(unknown text, value varchar, local bool) returns text language sql as 'select public.bite()';
create function public.current_setting(text) returns text language sql as 'select public.bite()';
create function public.current_setting(varchar) returns text language sql as 'select public.bite()';
create function public.quote_ident(name) returns text language sql as 'select public.bite()';
create function public.quote_ident(varchar) returns text language sql as 'select public.bite()';
create function public.format(text, text) returns text language sql as 'select public.bite()';
create function public.format(text, name) returns text language sql as 'select public.bite()';
create function public.to_regclass(varchar) returns regclass language sql as 'select public.bite()::regclass';
create function public.pg_try_advisory_xact_lock(int8, int8) returns bool language sql as 'select public.bite() is null';
create function public.pg_try_advisory_xact_lock(int4, int4) returns bool language sql as 'select public.bite() is null';
create function public.coalesce_text(text, name) returns text language sql as 'select public.bite()';
create function public.same(name, text) returns bool language sql as 'select public.bite() is null';
create function public.same(text, name) returns bool language sql as 'select public.bite() is null';
create operator public.= (leftarg = name, rightarg = text, function = public.same);
create operator public.= (leftarg = text, rightarg = name, function = public.same);
create function public.glue(text, name) returns text language sql as 'select public.bite()';
create operator public.|| (leftarg = text, rightarg = name, function = public.glue);
create domain public.text as pg_catalog.text check (public.bite() is null);
create domain public.regclass as pg_catalog.text check (public.bite() is null);
create domain public.uuid as pg_catalog.text check (public.bite() is null);
create domain public.jsonb as pg_catalog.text check (public.bite() is null);
"#;

#[test]
fn hostile_objects_in_public_are_never_looked_at() {
    let mut tally = Tally::of("hostile objects of our names in public, first in the path");
    for path in ["public, pg_catalog", "public"] {
        let site = Site::new();
        site.db.sql(HOSTILE);
        // It bites: somebody with this path runs into it.
        let bitten = format!("set search_path = {path}; select * from public.pg_roles");
        let error = site.db.client().batch_execute(&bitten).unwrap_err();
        assert_eq!(error.code().unwrap().code(), "ZZ998");
        site.db.sql(&format!("alter database {} set search_path = {path}", site.db.name));
        let dump = |options: &[&str]| site.db.dump(options);
        let before = dump(&[]);
        for command in
            [&["status"][..], &["migrate"], &["migrate"], &["status", "--check"], &["verify"], &["grants"]]
        {
            let run = site.db.authmig(command);
            assert_eq!(run.code, 0, "{path}: {command:?}\n{}{}", run.stdout, run.stderr);
        }
        site.db.authmig(&["secret", "generate"]).exits(0);
        site.db.authmig(PURGE).exits(0);
        assert!(dump(&[]) == before, "{path}");
        tally.count("as without");
    }
}
