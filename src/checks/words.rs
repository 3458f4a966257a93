//! What a difference between manifest and catalog means: how bad it is, and why.

use super::facts::{Live, about};
use super::mend;
use crate::manifest::{Facts, Object};
use crate::report::{Finding, Severity};

/// An object that is missing, or not authmig's.
pub(super) fn whole(object: &Object, missing: bool, live: &Live, expected: &Facts) -> Finding {
    if object.0 == "dependent" {
        return if missing { lost_dependent(object) } else { dependent(object, live) };
    }
    if object.0 == "event trigger" {
        return event_trigger(object, live);
    }
    // What stood in a schema before authmig came is worth a look, and no error; what is part of
    // one of authmig's tables, or converts its types, did not.
    let schema = object.1.split('.').next().unwrap_or_default();
    let part =
        ["schema", "column", "constraint", "index", "trigger", "policy", "rule", "cast", "statistics object"];
    let foreign =
        !missing && !part.contains(&&*object.0) && schema == "auth" && !live.created.contains(schema);
    // As one of the table of sessions, see below.
    let sent = object.0 == "publication namespace" && object.1.starts_with("auth in ");
    let severity = if foreign || sent { Severity::Advice } else { Severity::Error };
    let message = if missing { "is missing" } else { "is not authmig's" };
    Finding {
        why: Some(
            match (missing, &*object.0) {
                (true, "index") => "requests that used it read the whole table",
                (true, "constraint") => "rows that it kept out can be stored",
                (true, "extension") => {
                    "authmig created it for the rest of the stack, and itself needs nothing of it"
                }
                (true, "trigger") => "settings are not checked, and PostgREST is not told of a change",
                (true, _) => "requests that need it fail",
                (false, "function" | "procedure") if schema == "auth" => {
                    "PostgREST makes an endpoint of every function in an exposed schema"
                }
                (false, "trigger" | "rule") => "it runs with every change of the table, as whoever makes it",
                (false, _) => "it can stand in the way of what was installed, or read it",
            }
            .to_owned(),
        ),
        // Nothing that others made, and may need, is dropped.
        mend: mend::whole(object, missing, expected).filter(|_| !foreign),
        hint: match (missing, &*object.0) {
            (false, "table" | "foreign table") => {
                Some("look at what is in it, then drop it, or move it where no request looks".to_owned())
            }
            (false, "function" | "procedure") if foreign => {
                Some("look whether requests may call it: they may use the schema".to_owned())
            }
            (true, "schema") => {
                Some(format!("if it was renamed: alter schema NEW_NAME rename to {};", object.1))
            }
            _ => None,
        },
        told_after_commit: foreign && matches!(&*object.0, "function" | "procedure"),
        ..Finding::new(severity, format!("{} {}", object.0, object.1), message)
    }
}

/// One that was there before, or came later: the server runs it with every command of its kind.
fn event_trigger(object: &Object, live: &Live) -> Finding {
    let owner = live.facts.get(object).and_then(|facts| facts.get("function of")).map_or("", String::as_str);
    // Where no superuser can be had, the administrators of a platform have their own.
    let severity = if live.superuser { Severity::Error } else { Severity::Advice };
    Finding {
        why: Some("it runs with what comes, as whoever migrates or verifies".to_owned()),
        hint: Some("look at what it does, and give its function to a superuser, or disable it".to_owned()),
        ..Finding::new(
            severity,
            format!("{} {}", object.0, object.1),
            format!("runs a function that {owner} can replace"),
        )
    }
}

/// What a migration has made elsewhere, which the owner role has owned.
fn lost_dependent(object: &Object) -> Finding {
    Finding {
        why: Some("requests that need it fail".to_owned()),
        ..Finding::new(Severity::Error, object.1.clone(), "is missing, or belongs to another role")
    }
}

/// What is bound to the installation and no part of it.
fn dependent(object: &Object, live: &Live) -> Finding {
    let of = live.facts.get(object).and_then(|facts| facts.get("of")).map_or("", String::as_str);
    // To look at the sessions can be meant; to look at the secret cannot.
    let kinds = ["view ", "materialized view ", "function ", "procedure ", "publication relation "];
    let looks = kinds.iter().any(|kind| object.1.starts_with(kind)) && of.starts_with("auth.")
        // Of all tables: that is meant for others as well.
        || object.1.starts_with("publication ") && of == "all tables";
    let severity = if looks && !of.contains("auth_private.") { Severity::Advice } else { Severity::Error };
    Finding {
        why: Some(
            "who may use it may do or see what nobody is granted, or it stops what is granted".to_owned(),
        ),
        hint: Some("look at what it is for, and drop it if it is not needed".to_owned()),
        ..Finding::new(severity, object.1.clone(), format!("is bound to {of}, and not authmig's"))
    }
}

/// A property that is another one.
pub(super) fn property(
    object: &Object,
    property: &str,
    wanted: Option<&str>,
    found: Option<&str>,
    live: &Live,
    expected: &Facts,
) -> Finding {
    // Where the message says it all, it is not said twice.
    let all_said = is_told_whole(property) || wanted == Some("yes") || found == Some("yes");
    let told = |value: Option<&str>| {
        let value = value.map_or_else(|| "nothing".to_owned(), |value| shown(property, value));
        (!all_said).then_some(value)
    };
    let mend = mend::mend(object, property, wanted, found, expected);
    // Whoever made a role may join it, and what that one has granted goes with it.
    let (mend, hint) = match about(property).0 {
        "may join " if !live.is_role_of_ours(&object.1) => {
            let of = &object.1;
            let too_much = |mend| {
                format!("if that is too much: have a superuser grant what {of} granted of it, then {mend}")
            };
            (None, mend.map(too_much))
        }
        "exists" => (mend, Some(format!("if it was renamed: alter role NEW_NAME rename to {};", object.1))),
        _ => (mend, None),
    };
    Finding {
        expected: told(wanted),
        found: told(found),
        why: Some(why(object, property, wanted, found, live).to_owned()),
        mend,
        hint,
        ..Finding::new(
            severity(object, property, found, live),
            format!("{} {}", object.0, object.1),
            match &*object.0 {
                "default privileges" => format!("open {property}"),
                _ => property_message(property, wanted, found, live),
            },
        )
    }
}

fn is_told_whole(property: &str) -> bool {
    matches!(
        about(property).0,
        "may not connect to"
            | "connection limit"
            | "connection limit of"
            | "owns database"
            | "lacks "
            | "uses "
            | "creates "
            | "rights over "
    )
}

fn severity(object: &Object, property: &str, found: Option<&str>, live: &Live) -> Severity {
    let others = !live.is_role_of_ours(&object.1);
    let is_advice = match (&*object.0, about(property)) {
        // It serves as well in another schema, to whoever looks for it there.
        ("extension", _)
        // That is not ours to grant where the role is made, and would stop `migrate`.
        | ("role", ("creates " | "may not connect to" | "connection limit" | "connection limit of" | "valid until", _)) => true,
        ("role", ("uses ", used)) => !opens(used),
        // On some platforms, who created a role cannot be kept from joining it.
        ("role", ("may join " | "owner through " | "rights over ", _)) => others,
        // A migration closes what it makes, whatever the default is.
        ("default privileges", _) => object.1 == format!("for role {}", live.name("{owner_role}")),
        // An application may log in as another role and issue tokens.
        ("role", ("member of ", group)) => {
            others
                && group == live.name("{service_role}")
                && found.is_some_and(|found| !found.starts_with("in requests"))
        }
        _ => false,
    };
    if is_advice { Severity::Advice } else { Severity::Error }
}

/// Whether what a role was given use of leads out of its bounds: functions and parameters do, and
/// of the server's tables those that everybody else is kept from.
fn opens(used: &str) -> bool {
    let kept = ["authid", "shadow", "statistic", "statistic_ext_data", "user_mapping", "subscription"];
    let relation = ["table ", "view "].iter().find_map(|kind| used.strip_prefix(kind));
    relation.is_none_or(|name| name.strip_prefix("pg_catalog.pg_").is_some_and(|name| kept.contains(&name)))
}

fn property_message(property: &str, wanted: Option<&str>, found: Option<&str>, live: &Live) -> String {
    let rights = |rights: &str| rights.replace("usage", "use");
    let (kind, name) = about(property);
    match (kind, wanted, found) {
        ("grant to ", None, Some(found)) => format!("{name} may {}", rights(found)),
        ("grant to ", Some(wanted), None) => format!("{name} may not {}", rights(wanted)),
        ("grant to ", ..) => format!("{name} has other rights"),
        ("member of ", None, _) => format!("is a member of {name}"),
        ("member of ", Some(_), None) => format!("is not a member of {name}"),
        ("member of ", ..) => format!("has the rights of {name} without becoming it"),
        ("may join ", ..) => format!("may make itself a member of {name}"),
        ("creates ", ..) => format!("may create {name}"),
        ("lost by ", _, Some(found)) => format!("{name} may not {}", rights(found)),
        ("owner through ", ..) => {
            format!("may act as {}, as a member of {name}", live.name("{owner_role}"))
        }
        ("rights over ", _, Some(found)) => {
            format!("may read or write what {name} owns, row level security or not: {found}")
        }
        ("lacks ", ..) => format!("does not have the rights of {name}"),
        ("uses ", ..) => format!("may use {name}"),
        ("may not connect to", _, Some(found)) => format!("may not connect to {found}"),
        ("connection limit", ..) => "may have no connection".to_owned(),
        ("connection limit of", _, Some(found)) => format!("may have no connection to {found}"),
        ("valid until", ..) => "its password is not valid any more".to_owned(),
        ("owns database", ..) => "owns the database".to_owned(),
        ("foreign owner", ..) => "belongs to somebody else".to_owned(),
        ("foreign makers", ..) => "others may create in it".to_owned(),
        ("exists", ..) => "does not exist".to_owned(),
        (attribute, None, Some("yes")) => format!("has {attribute}"),
        (attribute, Some("yes"), None) => format!("does not have {attribute}"),
        _ => format!("its {property} is another one"),
    }
}

/// One line of a value, or the whole of a short one.
fn shown(property: &str, value: &str) -> String {
    if property == "definition" && value.contains('\n') { value.to_owned() } else { value.replace('\n', " ") }
}

fn why(
    object: &Object,
    property: &str,
    wanted: Option<&str>,
    found: Option<&str>,
    live: &Live,
) -> &'static str {
    let missing = wanted.is_some();
    let kind = &*object.0;
    let ours = live.is_role_of_ours(&object.1);
    let (property, name) = about(property);
    match (kind, property) {
        (_, "grant to ") if missing => "requests that need it are refused",
        (_, "grant to ") if name == "public" => "anybody who can connect may do this",
        (_, "grant to ") => "this role may do more than it needs",
        (_, "lost by ") => "what runs as its owner is refused",
        // A table or a function is one of an extension.
        ("table" | "function", "member of " | "goes with extension") => {
            "it goes when the extension is dropped"
        }
        ("schema", "foreign owner" | "foreign makers") => {
            "what is in it can be replaced, or something put in its way"
        }
        (_, "owner") => "whoever owns it can change it, and a security definer function runs as its owner",
        ("function", "definition") => "what runs is not what was installed",
        ("index", "definition") => "requests may read the whole table",
        ("constraint", _) => "rows that it kept out can be stored",
        (_, "row security") => "should somebody be granted this table by mistake, its rows are open",
        (_, "options") => "refreshes find no room in the page and the table grows",
        (_, "comment") => "nothing breaks; who reads it is told something else",
        ("column", _) => "what is stored, or accepted, is not what the functions expect",
        ("extension", _) => "who names its functions with the schema does not find them",
        ("trigger", _) => "settings are not checked, and PostgREST is not told of a change",
        ("role", "superuser" | "bypassrls" | "createrole" | "createdb" | "replication") => {
            "a role of requests must not be able to do this"
        }
        ("role", "login") if missing => "PostgREST cannot log in",
        ("role", "login") => "one can log in as a role that is only to be switched to",
        ("role", "inherit") => "PostgREST's own role has the rights of every role of requests at once",
        ("role", "exists") => "requests and grants need it",
        ("role", _) if missing && found.is_some() => {
            "it has them in every request, whatever role that runs as"
        }
        ("role", _) if missing => "PostgREST cannot switch to it",
        ("role", "creates ") => "PostgREST makes an endpoint of every function in an exposed schema",
        ("role", "may not connect to" | "connection limit" | "connection limit of") => {
            "PostgREST cannot log in"
        }
        ("role", "valid until") => "PostgREST cannot log in with a password",
        ("role", "owns database") => "it may drop it, and create schemas and extensions in it",
        ("role", "uses ") if object.1 == "public" => "anybody who can connect may do this",
        ("role", "uses ") => "it was given what is kept from everybody else",
        ("role", "rights over ") => {
            "to it, neither the secret nor the sessions are closed; on some platforms its administrators have that"
        }
        ("role", "lacks ") => "it cannot change what it has installed, nor verify it",
        ("role", "owner through ") => {
            "it reads the secret; roles are of the whole server, and another database may need this"
        }
        ("role", "may join ") => "then it has the rights of that role",
        ("role", _) if !ours => {
            "it has the rights of that role, and may become it; roles are of the whole server, and another database may need this"
        }
        ("role", _) => "it has the rights of that role, and may become it",
        ("table", "parent") => "who may use the other table may use the rows of this one",
        ("default privileges", _) => "what is created there later is granted at once",
        _ => "what needs it may fail, or do something else",
    }
}
