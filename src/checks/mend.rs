//! The statement that mends a finding, ready to be pasted into psql.

use std::fmt::Write as _;

use super::facts::table_and_column;
use crate::manifest::{Facts, Object, Properties};

/// Sets one property right.
pub(super) fn mend(
    object: &Object,
    property: &str,
    wanted: Option<&str>,
    found: Option<&str>,
    expected: &Facts,
) -> Option<String> {
    let (kind, name) = (&*object.0, &*object.1);
    if let Some(role) = property.strip_prefix("grant to ") {
        return Some(grant(kind, name, role, wanted, found));
    }
    if let Some(owner) = property.strip_prefix("lost by ") {
        return Some(grant(kind, name, owner, found, None));
    }
    Some(match (kind, property, wanted) {
        // Only PostgREST's own role logs in, and then it inherits nothing.
        ("role", "exists", _) if expected.get(object)?.contains_key("login") => {
            format!("create role {name} login noinherit;")
        }
        ("role", ..) => return role(name, property, wanted, found),
        ("default privileges", ..) => {
            let (what, role) = property.split_once(" to ")?;
            format!("alter default privileges {name} revoke all on {what} from {role};")
        }
        (_, "owner", Some(wanted)) => format!("alter {} {name} owner to {wanted};", sql_kind(kind)),
        (_, "comment", _) => comment(kind, name, wanted)?,
        ("table", "options", _) => options(name, wanted, found),
        ("table", "row security", Some(wanted)) => match wanted {
            "enabled" => format!(
                "alter table {name} enable row level security;\nalter table {name} no force row level security;"
            ),
            "forced" => format!(
                "alter table {name} enable row level security;\nalter table {name} force row level security;"
            ),
            _ => format!("alter table {name} disable row level security;"),
        },
        ("schema", "foreign makers", None) => format!("revoke create on schema {name} from {};", found?),
        ("table", "parent", None) => format!("alter table {name} no inherit {};", found?),
        (_, "member of extension", None) => format!("alter extension {} drop {kind} {name};", found?),
        (_, "goes with extension", None) => {
            format!("alter {kind} {name} no depends on extension {};", found?)
        }
        ("table", "persistence", None) => format!("alter table {name} set logged;"),
        // Others may refer to it.
        ("constraint", "definition", Some(wanted))
            if found.and_then(|found| found.strip_suffix(" (invalid)")) == Some(wanted) =>
        {
            let (constraint, table) = name.rsplit_once(" on ")?;
            let (schema, _) = table_and_column(table)?;
            format!("reindex index {schema}.{constraint};")
        }
        // What a generated column holds follows from the others.
        ("constraint" | "index", _, Some(_))
        | ("trigger", "definition", Some(_))
        | ("column", "generated", Some(_)) => {
            format!("{}\n{}", drop(kind, name)?, create(object, expected)?)
        }
        ("column", ..) => column(name, property, wanted)?,
        ("function", "definition", Some(wanted)) => function(name, wanted, found, expected),
        ("extension", "schema", Some(wanted)) => format!("alter extension {name} set schema {wanted};"),
        ("trigger", "enabled", Some(_)) => {
            let (trigger, table) = name.rsplit_once(" on ")?;
            format!("alter table {table} enable trigger {trigger};")
        }
        _ => return None,
    })
}

/// Creates what is missing, or drops what is too much.
pub(super) fn whole(object: &Object, missing: bool, expected: &Facts) -> Option<String> {
    if missing { create(object, expected) } else { drop(&object.0, &object.1) }
}

fn create(object: &Object, expected: &Facts) -> Option<String> {
    let (kind, name) = (&*object.0, &*object.1);
    let facts = expected.get(object)?;
    let fact = |property: &str| facts.get(property).map(String::as_str);
    Some(match kind {
        "function" => {
            let mut text = format!("{};\nrevoke all on function {name} from public;", fact("definition")?);
            push_grants(&mut text, kind, name, facts);
            push_comment(&mut text, kind, name, fact("comment"));
            made_by(fact("owner"), &text)
        }
        "schema" => {
            let mut text = format!("create schema {name} authorization {};", fact("owner")?);
            push_comment(&mut text, kind, name, fact("comment"));
            push_grants(&mut text, kind, name, facts);
            text
        }
        "table" => table(name, facts, expected)?,
        "extension" => format!("create extension {name} with schema {};", fact("schema")?),
        "index" | "trigger" => format!("{};", fact("definition")?),
        "constraint" => {
            let (constraint, table) = name.rsplit_once(" on ")?;
            format!("alter table {table} add constraint {constraint} {};", fact("definition")?)
        }
        "column" => {
            let (table, column) = table_and_column(name)?;
            let mut text = format!("alter table {table} add column {column} {};", column_type(facts)?);
            match fact("default") {
                // Each run sets it, and rows that are there take it at once.
                Some(default) if default.starts_with("current_setting('authmig.") => {
                    let setting = default.split('\'').nth(1)?;
                    text = format!("set {setting} = 'lost';\n{text}\nreset {setting};");
                }
                None if facts.contains_key("null") && !facts.contains_key("generated") => {
                    text.insert_str(0, "-- Fails where there are rows, whose values are lost: add it without \"not null\", fill it, set that.\n");
                }
                _ => {}
            }
            push_comment(&mut text, kind, name, fact("comment"));
            text
        }
        _ => return None,
    })
}

/// An empty table with its columns, constraints and triggers. Its indexes have findings
/// of their own; its rows are lost.
fn table(name: &str, facts: &Properties, expected: &Facts) -> Option<String> {
    let of_kind = |kind: &'static str| expected.iter().filter(move |(object, _)| object.0 == kind);
    let columns: Vec<_> = of_kind("column")
        .filter_map(|((_, column), facts)| Some((table_and_column(column)?, facts)))
        .filter(|((table, _), _)| *table == name)
        .map(|((_, column), facts)| Some(format!("    {column} {}", column_type(facts)?)))
        .collect::<Option<_>>()?;
    let options = facts.get("options").map_or_else(String::new, |options| format!(" with ({options})"));
    let mut text = format!("create table {name} (\n{}\n){options};", columns.join(",\n"));
    if let Some(wanted) = facts.get("row security") {
        let object = ("table".to_owned(), name.to_owned());
        let _ = write!(text, "\n{}", mend(&object, "row security", Some(wanted), None, expected)?);
    }
    push_comment(&mut text, "table", name, facts.get("comment").map(String::as_str));
    push_grants(&mut text, "table", name, facts);
    for ((_, column), facts) in of_kind("column") {
        if table_and_column(column).is_some_and(|(table, _)| table == name) {
            push_comment(&mut text, "column", column, facts.get("comment").map(String::as_str));
        }
    }
    for (object, _) in of_kind("constraint").chain(of_kind("trigger")) {
        if object.1.rsplit_once(" on ").is_some_and(|(_, table)| table == name) {
            let _ = write!(text, "\n{}", create(object, expected)?);
        }
    }
    // A table of the ledger belongs to whoever creates it.
    Some(made_by(facts.get("owner").map(String::as_str), &text))
}

/// These statements in one transaction, as the owner: what is granted by default to what others make is
/// not granted then, and nobody sees it half closed.
fn made_by(owner: Option<&str>, statements: &str) -> String {
    let role = owner.map_or_else(String::new, |owner| format!("set local role {owner};\n"));
    format!("begin;\n{role}{statements}\ncommit;")
}

/// A column's type and what follows it.
fn column_type(facts: &Properties) -> Option<String> {
    let mut text = facts.get("type")?.clone();
    if let Some(default) = facts.get("default") {
        let _ = write!(text, " default {default}");
    }
    if let Some(expression) = facts.get("generated") {
        let _ = write!(text, " generated always as ({expression}) stored");
    }
    if facts.contains_key("null") {
        text.push_str(" not null");
    }
    Some(text)
}

fn push_grants(text: &mut String, kind: &str, name: &str, facts: &Properties) {
    for (property, rights) in facts {
        if let Some(role) = property.strip_prefix("grant to ") {
            let _ = write!(text, "\ngrant {rights} on {kind} {name} to {role};");
        }
    }
}

fn push_comment(text: &mut String, kind: &str, name: &str, wanted: Option<&str>) {
    if let Some(comment) = wanted.and_then(|wanted| comment(kind, name, Some(wanted))) {
        text.push('\n');
        text.push_str(&comment);
    }
}

fn drop(kind: &str, name: &str) -> Option<String> {
    Some(match kind {
        "constraint" => {
            let (constraint, table) = name.rsplit_once(" on ")?;
            format!("alter table {table} drop constraint if exists {constraint};")
        }
        "column" => {
            let (table, column) = table_and_column(name)?;
            format!("alter table {table} drop column {column};")
        }
        // What is in it may be somebody's, so it is not dropped; and in another schema it may be open.
        "schema" | "table" | "foreign table" => return None,
        "publication namespace" => {
            let (schema, publication) = name.split_once(" in publication ")?;
            format!("alter publication {publication} drop tables in schema {schema};")
        }
        "cast" => format!("drop cast ({name});"),
        "statistics object" => format!("drop statistics {name};"),
        "window function" => format!("drop function {name};"),
        // One that belongs to a column has gone with it.
        "index" | "trigger" | "sequence" => format!("drop {kind} if exists {name};"),
        _ => format!("drop {kind} {name};"),
    })
}

fn grant(kind: &str, name: &str, role: &str, wanted: Option<&str>, found: Option<&str>) -> String {
    let (columns, kind, name) = match (kind, table_and_column(name)) {
        ("column", Some((table, column))) => (format!(" ({column})"), "table", table),
        _ => (String::new(), sql_kind(kind), name),
    };
    let mut statements = Vec::new();
    if let Some(found) = found {
        // Else PostgreSQL refuses, if it was passed on.
        let cascade = if found.contains("with grant option") { " cascade" } else { "" };
        statements.push(format!("revoke all{columns} on {kind} {name} from {role}{cascade};"));
    }
    if let Some(wanted) = wanted {
        statements.push(format!("grant {wanted}{columns} on {kind} {name} to {role};"));
    }
    statements.join("\n")
}

fn role(name: &str, property: &str, wanted: Option<&str>, found: Option<&str>) -> Option<String> {
    let no = if wanted.is_some() { "" } else { "no" };
    if let Some(group) = property.strip_prefix("lacks ") {
        return Some(match found? {
            // A member until PostgreSQL 16, where that is one setting for all memberships.
            "inherit" => format!("alter role {name} inherit;"),
            "yes" => format!("grant {group} to {name};"),
            with => format!("grant {group} to {name} {with};"),
        });
    }
    let mut kinds = ["member of ", "may join ", "owner through "].iter();
    let membership = kinds.find_map(|kind| property.strip_prefix(kind));
    if let Some(group) = membership {
        // Since PostgreSQL 16 each of these is a membership of its own.
        let grantors = found.and_then(|found| Some(names(found.split_once("granted by ")?.1)));
        let by: Vec<_> = match grantors {
            Some(grantors) => grantors.iter().map(|grantor| format!(" granted by {grantor}")).collect(),
            None => vec![String::new()],
        };
        // Else PostgreSQL refuses, if it was passed on.
        let cascade = found.filter(|found| found.contains("with admin option")).map_or("", |_| " cascade");
        let statement = |by: &String| match (wanted, found) {
            (Some(_), Some(_)) => format!("grant {group} to {name} with inherit false{by};"),
            (Some(_), None) => format!("grant {group} to {name};"),
            (None, _) => format!("revoke {group} from {name}{by}{cascade};"),
        };
        return Some(by.iter().map(statement).collect::<Vec<_>>().join("\n"));
    }
    if let Some(used) = property.strip_prefix("uses ") {
        let (kind, used) = used.split_once(' ')?;
        // A view is a table to this statement.
        let kind = if matches!(kind, "function" | "parameter") { kind } else { "table" };
        // That would take from everybody the columns that the server itself has given.
        if name == "public" && used == "pg_catalog.pg_subscription" {
            return None;
        }
        return Some(format!("revoke all on {kind} {used} from {name};"));
    }
    Some(match property {
        "may not connect to" => format!("grant connect on database {} to {name};", found?),
        "connection limit" => format!("alter role {name} connection limit -1;"),
        "connection limit of" => format!("alter database {} connection limit -1;", found?),
        "valid until" => format!("alter role {name} valid until 'infinity';"),
        "owns database" => format!("alter database {} owner to current_user;", found?),
        "exists" => format!("create role {name} nologin;"),
        "superuser" | "bypassrls" | "createrole" | "createdb" | "replication" | "login" | "inherit" => {
            format!("alter role {name} {no}{property};")
        }
        _ => return None,
    })
}

/// The names in a list of them, each quoted if it has to be.
fn names(list: &str) -> Vec<&str> {
    let mut quoted = false;
    let apart = |character: char| {
        quoted ^= character == '"';
        character == ',' && !quoted
    };
    list.split(apart).map(str::trim_start).collect()
}

fn column(name: &str, property: &str, wanted: Option<&str>) -> Option<String> {
    let (table, column) = table_and_column(name)?;
    let change = match (property, wanted) {
        ("type", Some(wanted)) => format!("type {wanted} using {column}::{wanted}"),
        ("null", Some(_)) => "set not null".to_owned(),
        ("null", None) => "drop not null".to_owned(),
        ("default", Some(wanted)) => format!("set default {wanted}"),
        ("default", None) => "drop default".to_owned(),
        ("identity", None) => "drop identity".to_owned(),
        ("generated", None) => "drop expression".to_owned(),
        _ => return None,
    };
    Some(format!("alter table {table} alter column {column} {change};"))
}

fn options(name: &str, wanted: Option<&str>, found: Option<&str>) -> String {
    let mut statements = Vec::new();
    let keys: Vec<_> = found
        .into_iter()
        .flat_map(|found| found.split(", "))
        .filter_map(|option| Some(option.split_once('=')?.0))
        .collect();
    if !keys.is_empty() {
        statements.push(format!("alter table {name} reset ({});", keys.join(", ")));
    }
    if let Some(wanted) = wanted {
        statements.push(format!("alter table {name} set ({wanted});"));
    }
    statements.join("\n")
}

/// `create or replace` keeps owner and grants, but cannot change names or defaults of
/// arguments, nor the result.
fn function(name: &str, wanted: &str, found: Option<&str>, expected: &Facts) -> String {
    let head = |definition: &str| definition.lines().take(2).map(str::to_owned).collect::<Vec<_>>();
    if found.is_none_or(|found| head(found) == head(wanted)) {
        return format!("{wanted};");
    }
    let object = ("function".to_owned(), name.to_owned());
    let create = create(&object, expected).unwrap_or_else(|| format!("{wanted};"));
    format!("drop function {name};\n{create}")
}

fn comment(kind: &str, name: &str, wanted: Option<&str>) -> Option<String> {
    let text = wanted.map_or_else(|| "null".to_owned(), |text| format!("'{}'", text.replace('\'', "''")));
    let on = match kind {
        "schema" | "table" | "column" | "function" | "view" | "sequence" => kind,
        _ => return None,
    };
    Some(format!("comment on {on} {name} is {text};"))
}

fn sql_kind(kind: &str) -> &str {
    match kind {
        "window function" => "function",
        "materialized view" | "view" | "foreign table" => "table",
        kind => kind,
    }
}
