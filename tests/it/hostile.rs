//! A database whose owner has everything found in a schema of his before the server's own: nothing
//! of it runs as whoever uses authmig.

use crate::support::{TestDb, own_roles, with_options};

/// Each function and operator of the server's that can be written anew, as one that tells of itself.
const EVIL: &str = "
    create schema evil;
    grant usage on schema evil to public;
    do $do$
    declare
        named record;
    begin
        for named in
            select p.proname as name, pg_get_function_arguments(p.oid) as arguments,
                   pg_get_function_result(p.oid) as result
              from pg_proc as p
             where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f'
        loop
            begin
                execute format('create function evil.%I(%s) returns %s language plpgsql as %L',
                    named.name, named.arguments, named.result,
                    format('begin raise exception using message = %L; end', 'evil ran: ' || named.name));
            exception
                when others then
                    null;
            end;
        end loop;
        for named in
            select o.oprname as name, o.oprleft::regtype as left, o.oprright::regtype as right, p.proname as function
              from pg_operator as o
              join pg_proc as p on p.oid = o.oprcode
             where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprleft <> 0
        loop
            begin
                execute format('create operator evil.%s (leftarg = %s, rightarg = %s, function = evil.%I)',
                    named.name, named.left, named.right, named.function);
            exception
                when others then
                    null;
            end;
        end loop;
    end $do$;";

/// A database of that kind.
fn hostile() -> TestDb {
    let db = TestDb::new();
    db.sql(EVIL);
    db.sql(&format!("alter database {} set search_path = evil, pg_catalog, public", db.name));
    // It is in force, and there.
    let error = db.client().batch_execute("select current_database()").unwrap_err();
    assert!(error.as_db_error().unwrap().message().starts_with("evil ran"), "{error:?}");
    db
}

/// Runs it, with nothing of the other schema, and ends like that.
#[track_caller]
fn runs(db: &TestDb, arguments: &[&str], code: i32) {
    let run = db.authmig(arguments);
    assert!(!run.stderr.contains("evil ran") && !run.stdout.contains("evil ran"), "{arguments:?}: {run:?}");
    run.exits(code);
}

#[test]
fn no_command_runs_what_is_found_before_the_servers_own() {
    let db = hostile();
    let own = own_roles();
    for (arguments, code) in [
        (&["status"][..], 0),
        (&["verify"], 4),
        (&["grants"], 0),
        (&["secret", "status"], 1),
        (&["rollback"], 0),
    ] {
        runs(&db, arguments, code);
    }
    runs(&db, &with_options(&["migrate", "--to", "3"], &own), 0);
    runs(&db, &["migrate", "--dry-run"], 0);
    runs(&db, &["migrate"], 0);
    for (arguments, code) in [
        (&["status"][..], 0),
        (&["secret", "generate"], 0),
        (&["secret", "status"], 0),
        (&["verify", "--strict"], 0),
        (&["grants"], 0),
        (&["rollback", "--dry-run"], 0),
        (&["install"], 0),
    ] {
        runs(&db, arguments, code);
    }

    // Whoever holds the lock is asked for outside of any transaction.
    let mut other = db.client();
    other.batch_execute("begin; select pg_catalog.pg_advisory_xact_lock(1635087464, 7170407)").unwrap();
    runs(&db, &["rollback", "--yes", "--lock-wait", "0s"], 6);
    runs(&db, &["secret", "generate", "--replace", "--lock-wait", "0s"], 6);
    other.batch_execute("rollback").unwrap();

    runs(&db, &["rollback", "--all", "--dry-run"], 0);
    runs(&db, &["rollback", "--all", "--yes", "--discard-data"], 0);
    runs(&db, &["migrate"], 0);
    runs(&db, &["rollback", "--all", "--purge", "--yes", "--discard-data"], 0);
}

#[test]
fn no_exported_file_does() {
    let db = hostile();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    db.authmig(&with_options(&["export", path, "--format", "sqitch"], &own_roles())).exits(0);
    let mut names: Vec<_> = std::fs::read_dir(folder.path().join("deploy"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let plan = std::fs::read_to_string(folder.path().join("sqitch.plan")).unwrap();
    names.sort_by_key(|name| plan.find(&format!("\n{} ", name.trim_end_matches(".sql"))));
    let run = |part: &str, name: &String| {
        let sql = std::fs::read_to_string(folder.path().join(part).join(name)).unwrap();
        db.client().batch_execute(&sql).unwrap_or_else(|error| panic!("{part}/{name}: {error:?}"));
    };
    for name in &names {
        run("deploy", name);
        run("verify", name);
    }
    runs(&db, &["verify"], 0);
    names.iter().rev().for_each(|name| run("revert", name));
}
