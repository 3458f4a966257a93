//! `objects` and `grants`: the live catalog is what the manifest says, and nobody may
//! do more than it says.

use std::collections::BTreeSet;

use super::words;
use crate::manifest::{Facts, Object, Properties};
use crate::message::{Rows, bare, column};
use crate::parameters;
use crate::report::{Check, CheckName, Severity};

/// The question: [`live`] reads its result sets.
pub const SQL: &str =
    bare!(concat!(include_str!("../sql/names.sql"), "\n", include_str!("../sql/facts.sql")));

/// The install parameters as SQL writes them: placeholder, name, literal.
pub type Names = Vec<(String, String, String)>;

/// What the server has.
#[derive(Debug, Default)]
pub struct Live {
    /// Facts about objects and rights.
    pub facts: Facts,
    /// The install parameters as the server quotes them.
    pub names: Names,
    /// The schemas and extensions that authmig created, as opposed to found.
    pub created: BTreeSet<String>,
    /// Whether a superuser asks.
    pub superuser: bool,
}

impl Live {
    /// The name that this placeholder stands for, as SQL writes it.
    pub fn name(&self, placeholder: &str) -> &str {
        self.names.iter().find(|(known, ..)| known == placeholder).map_or("", |(_, name, _)| name)
    }

    /// Whether it is one of the roles that this was installed with.
    pub fn is_role_of_ours(&self, role: &str) -> bool {
        let is_role = |placeholder: &str| parameters::is_role(placeholder.trim_matches(['{', '}']));
        self.names.iter().any(|(placeholder, name, _)| name == role && is_role(placeholder))
    }
}

/// Reads the result sets of [`SQL`]; `None` if they are not there.
pub fn live(answers: Vec<Rows>) -> Option<Live> {
    let mut answers = answers.into_iter();
    let (names, created) = (answers.next()?, answers.next()?);
    let mut live = Live {
        names: names.iter().map(|row| (column(row, 0), column(row, 1), column(row, 2))).collect(),
        created: created.iter().map(|row| column(row, 0)).chain(["authmig".to_owned()]).collect(),
        superuser: names.iter().any(|row| column(row, 3) == "on"),
        ..Live::default()
    };
    for row in answers.flatten() {
        let mut columns = row.into_iter();
        // Rows of one column come from statements that prepare the next ones.
        let (Some(Some(kind)), Some(Some(name))) = (columns.next(), columns.next()) else { continue };
        let object = live.facts.entry((kind, name)).or_default();
        while let (Some(property), Some(value)) = (columns.next(), columns.next()) {
            if let (Some(property), Some(mut value)) = (property, value) {
                if property.starts_with("lost by ") {
                    value = listed_once(&value);
                }
                object.insert(property, value);
            }
        }
    }
    // Where nothing is recorded, somebody has emptied the table.
    if created.is_empty() {
        let owner = live.name("{owner_role}").to_owned();
        let schemas = live
            .facts
            .iter()
            .filter(|((kind, _), schema)| kind == "schema" && schema.get("owner") == Some(&owner));
        live.created.extend(schemas.map(|((_, name), _)| name.clone()).collect::<Vec<_>>());
    }
    Some(live)
}

/// What is in a list no more than once.
fn listed_once(list: &str) -> String {
    let all: Vec<_> = list.split(", ").collect();
    let once = |word: &&&str| all.iter().filter(|other| other == word).count() == 1;
    all.iter().filter(once).copied().collect::<Vec<_>>().join(", ")
}

fn expand(facts: Facts, names: &Names) -> Facts {
    let show = |text: String| {
        let mut shown = String::new();
        let mut rest = &*text;
        // In one pass: a name may look like a placeholder.
        while let Some(start) = rest.find('{') {
            let known = names.iter().find(|(placeholder, ..)| rest[start..].starts_with(&**placeholder));
            let Some((placeholder, name, literal)) = known else {
                shown.push_str(&rest[..=start]);
                rest = &rest[start + 1..];
                continue;
            };
            let (before, after) = (&rest[..start], &rest[start + placeholder.len()..]);
            let quoted = before.strip_suffix('\'').zip(after.strip_prefix('\''));
            let (before, value, after) = match quoted {
                Some((before, after)) => (before, literal, after),
                None => (before, name, after),
            };
            shown.extend([before, value]);
            rest = after;
        }
        // Most texts name nobody.
        if shown.is_empty() {
            return text;
        }
        shown.push_str(rest);
        shown
    };
    facts
        .into_iter()
        .map(|((kind, name), properties)| {
            let properties = properties.into_iter().map(|(property, value)| (show(property), show(value)));
            ((kind, show(name)), properties.collect())
        })
        .collect()
}

/// What the comparison found.
pub struct Compared {
    /// `objects` and `grants`.
    pub checks: [Check; 2],
    /// Whether there is code that was not installed.
    pub foreign_code: ForeignCode,
}

/// Whether there is code that was not installed, or somebody who could put it there between a look
/// and the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct ForeignCode {
    /// It could run with what verifies.
    pub runs: bool,
    /// It could run as soon as a table is read.
    pub runs_on_read: bool,
}

/// Compares what there is with what the manifest says.
pub fn run(expected: Facts, live: &Live) -> Compared {
    let expected = &expand(expected, &live.names);
    let (mut objects, mut grants, mut foreign_code) = (Vec::new(), Vec::new(), ForeignCode::default());
    let everything: BTreeSet<_> =
        expected.keys().chain(live.facts.keys()).map(|object| (rank(object, expected), object)).collect();
    for (_, object) in everything {
        // Where it was there before, or could not be had, it is nothing of ours.
        if object.0 == "extension" && !live.created.contains(&object.1) {
            continue;
        }
        let (wanted, found) = (expected.get(object), live.facts.get(object));
        // Whole objects, so that a missing function is one finding and not five.
        if wanted.is_some() != found.is_some() && !matches!(&*object.0, "role" | "default privileges") {
            if !part_of_another(object, expected, live) {
                let finding = words::whole(object, wanted.is_some(), live, expected);
                // Whatever it is: triggers, rules, defaults, casts run functions.
                let runs = found.is_some() && finding.severity == Severity::Error && !is_replication(object);
                foreign_code.runs |= runs;
                foreign_code.runs_on_read |= runs && !is_beside(object);
                objects.push(finding);
            }
            continue;
        }
        let properties = wanted.into_iter().chain(found).flat_map(Properties::keys);
        for property in properties.collect::<BTreeSet<_>>() {
            let [wanted, found] = [wanted, found].map(|facts| facts?.get(property).map(String::as_str));
            if wanted == found {
                continue;
            }
            // Something there could be taken for what was installed, whoever made the schema.
            foreign_code.runs |= property == "foreign makers";
            if belongs_to_somebody_else(object, property, live, expected) {
                continue;
            }
            let runs = is_foreign_code(property, wanted, found, live);
            foreign_code.runs |= runs;
            foreign_code.runs_on_read |= runs;
            let findings = if is_grant(&object.0, property) { &mut grants } else { &mut objects };
            findings.push(words::property(object, property, wanted, found, live, expected));
        }
    }
    Compared {
        checks: [super::check(CheckName::Objects, objects), super::check(CheckName::Grants, grants)],
        foreign_code,
    }
}

/// The place of an object in the order in which findings can be mended: what the others stand in
/// comes first.
fn rank(object: &Object, expected: &Facts) -> u8 {
    let wanted = expected.get(object);
    let fact = |property| wanted.and_then(|facts| facts.get(property));
    match &*object.0 {
        "role" if wanted.is_some() => 0,
        "role" => 1,
        "schema" => 2,
        // A table comes with its triggers.
        "function" if fact("definition").is_some_and(|text| text.contains("\n RETURNS trigger\n")) => 3,
        "table" => 4,
        "column" if fact("generated").is_none() => 5,
        // It is made of the other columns.
        "column" => 6,
        _ => 7,
    }
}

fn is_grant(kind: &str, property: &str) -> bool {
    is_right(property)
        || kind == "default privileges"
        // A role that is not there is no question of rights: what belongs to it comes after it.
        || kind == "role" && !matches!(about(property).0, "exists" | "lacks ")
}

/// A right that somebody was given, or that the owner has lost.
fn is_right(property: &str) -> bool {
    matches!(about(property).0, "grant to " | "lost by ")
}

/// Some properties end in the name that they are about: what is in front, and the name.
pub(super) fn about(property: &str) -> (&str, &str) {
    let kinds = [
        "grant to ",
        "lost by ",
        "member of ",
        "may join ",
        "owner through ",
        "lacks ",
        "uses ",
        "creates ",
        "rights over ",
    ];
    let name = |kind: &&'static str| Some((*kind, property.strip_prefix(kind)?));
    kinds.iter().find_map(name).unwrap_or((property, ""))
}

/// Whether it sends rows to another server, or takes them from one: they are data, and run nothing.
fn is_replication(object: &Object) -> bool {
    let kinds = ["publication ", "subscription "];
    kinds.iter().any(|kind| object.0.starts_with(kind) || object.1.starts_with(kind))
}

/// Whether it needs one of our tables and is no part of how that is read, as a view or a foreign key.
fn is_beside(object: &Object) -> bool {
    object.0 == "dependent" && !object.1.starts_with("statistics ")
}

/// The properties that say what runs, and who can change it.
const CODE: [&str; 8] =
    ["definition", "default", "generated", "function", "parent", "type", "owner", "foreign owner"];

/// Whether this is code that was not installed, or lets somebody change what a superuser, or
/// anybody, runs here.
fn is_foreign_code(property: &str, wanted: Option<&str>, found: Option<&str>, live: &Live) -> bool {
    let Some(found) = found else { return false };
    // What is the same, but not in force, is nothing new to run.
    let idle = found.strip_suffix(" (invalid)").is_some_and(|found| Some(found) == wanted);
    let (kind, name) = about(property);
    let joins = kind == "member of " || live.superuser && kind == "may join ";
    !idle && (CODE.contains(&property) || joins && name == live.name("{owner_role}"))
}

/// A column of a table that is itself missing or extra says nothing new; nor does an index of
/// one that is extra.
fn part_of_another(object: &Object, expected: &Facts, live: &Live) -> bool {
    let extra = live.facts.get(object);
    let table = match &*object.0 {
        "column" => table_and_column(&object.1).map(|(table, _)| table),
        "constraint" | "trigger" | "policy" | "rule" => object.1.rsplit_once(" on ").map(|(_, table)| table),
        "index" => extra.and_then(|index| index.get("table")).map(String::as_str),
        _ => None,
    };
    let relations = ["table", "view", "materialized view", "foreign table", "type"];
    let facts = if extra.is_some() { expected } else { &live.facts };
    table.is_some_and(|table| {
        !relations.iter().any(|kind| facts.contains_key(&((*kind).to_owned(), table.to_owned())))
    })
}

/// A column's table and its own name, which may have a dot in it.
pub(super) fn table_and_column(name: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let dots = name.char_indices().filter(|(_, character)| {
        quoted ^= *character == '"';
        *character == '.' && !quoted
    });
    let (dot, _) = dots.last()?;
    Some((&name[..dot], &name[dot + 1..]))
}

/// In a schema that was there before authmig, its owner and comment are not ours, and only who
/// could replace what is in it counts. Roles that are not in the manifest are ignored, since other
/// databases may have them, unless they lead to one that is.
fn belongs_to_somebody_else(object: &Object, property: &str, live: &Live, expected: &Facts) -> bool {
    match &*object.0 {
        "schema" => {
            let found = matches!(property, "foreign owner" | "foreign makers");
            let created = matches!(property, "owner" | "comment") || is_right(property);
            if live.created.contains(&object.1) { found } else { created }
        }
        "role" => {
            let wanted = |name: &str| expected.contains_key(&("role".to_owned(), name.to_owned()));
            let joins_wanted = match about(property) {
                ("member of " | "may join " | "lacks " | "rights over ", group) => wanted(group),
                ("owner through ", _) => wanted(live.name("{owner_role}")),
                _ => false,
            };
            // Everybody is no role, and whatever it may do, those of requests may.
            !wanted(&object.1) && !joins_wanted && object.1 != "public"
        }
        _ => false,
    }
}
