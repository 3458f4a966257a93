//! `authmig grants`: who may do what.

use std::collections::BTreeMap;

use super::Context;
use crate::checks;
use crate::failure::Failure;
use crate::message::{MAKERS, Message, Sections, bare};
use crate::migration::AUTH_SCHEMA;
use crate::parameters::is_role;
use crate::report::{Exit, GrantsReport, ObjectRights, VERSION};

/// Runs the command.
pub fn run(context: &Context<'_>) -> Result<GrantsReport, Failure> {
    let nothing = Message::default();
    let (mut database, mut history, mut answers) = context.open(&nothing)?;
    database.check_without_history(&mut history, &mut answers, &nothing)?;
    let parameters = context.parameters(&history)?;
    // What stands in these schemas otherwise is not authmig's.
    let answers = if history.has(AUTH_SCHEMA) {
        let mut message = checks::begin("begin read only;", &database, &parameters);
        message.push(MAKERS);
        message.push_section("grants", bare!(include_str!("../sql/grants.sql")));
        Sections::new(database.send(&message)?)
    } else {
        Sections::default()
    };

    let owner = parameters.iter().find(|(name, _)| *name == "owner_role").map(|(_, value)| value.clone());
    let roles = parameters.iter().filter(|(name, _)| is_role(name)).map(|(_, value)| value.clone());
    let mut objects: Vec<ObjectRights> = Vec::new();
    for row in answers.get("grants").iter().flatten() {
        let [Some(kind), Some(name), Some(role), Some(privilege), Some(all), others] = &row[..] else {
            continue;
        };
        if objects.last().is_none_or(|last| last.name != *name) {
            objects.push(ObjectRights {
                kind: kind.clone(),
                name: name.clone(),
                privileges: BTreeMap::new(),
                others: BTreeMap::new(),
                all: all.parse().unwrap_or_default(),
            });
        }
        if let Some(last) = objects.last_mut() {
            let whose = if others.is_some() { &mut last.others } else { &mut last.privileges };
            whose.entry(role.clone()).or_default().push(privilege.clone());
        }
    }
    Ok(GrantsReport {
        database: database.name().to_owned(),
        authmig: VERSION,
        roles: roles.chain(["public".to_owned()]).collect(),
        owner: owner.unwrap_or_default(),
        objects,
        exit: Exit::Success,
    })
}
