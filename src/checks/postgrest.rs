//! `postgrest`: what PostgREST needs to use the installation, as far as the database
//! tells. Its environment and its files are out of sight.

use crate::failure::Failure;
use crate::message::{Rows, bare, literal};
use crate::report::{Check, CheckName, Finding, SecretSource, Severity};
use crate::secret::{KEPT, SHORTEST};

/// The question; one result set.
pub const SQL: &str = bare!(include_str!("../sql/postgrest.sql"));

/// Settings that [`SQL`] finds only if they are not what the installation needs.
const TOLD: [(&str, Severity, &str, &str); 11] = [
    (
        "pgrst.db_anon_role",
        Severity::Error,
        "requests without a token run as another role",
        "it may do what nobody granted to everybody, or may not refresh",
    ),
    (
        "pgrst.jwt_role_claim_key",
        Severity::Error,
        "the role is read from another claim",
        "requests run as the role that this claim names, whoever wrote it",
    ),
    (
        "pgrst.jwt_secret_is_base64",
        Severity::Error,
        "the secret is taken for the key itself",
        "PostgREST refuses every token, or takes those of whoever knows the other key",
    ),
    (
        "pgrst.db_pre_config",
        Severity::Advice,
        "the secret does not come from auth_private.postgrest_config",
        "what another function says goes before the environment",
    ),
    (
        ANOTHER_PRE_CONFIG,
        Severity::Error,
        "the secret comes from a function that is not there, or that somebody else could replace",
        "it chooses the key that PostgREST trusts: whose function it is can issue tokens for any role",
    ),
    (
        "pgrst.jwt_aud",
        Severity::Error,
        "another audience is wanted than auth_private.config gives to tokens",
        "PostgREST refuses every token: what a role is set to goes before its pre-config",
    ),
    (
        "pgrst.db_tx_end",
        Severity::Error,
        "what a request did may be taken back",
        "a client keeps the new tokens, and the database forgets that it gave them",
    ),
    (
        "pgrst.db_pre_request",
        Severity::Advice,
        "a function runs before each request",
        "it may become another role, and what it raises stops the request",
    ),
    (
        "pgrst.db_hoisted_tx_settings",
        Severity::Advice,
        "default_transaction_isolation is not among the settings that PostgREST takes from a function",
        "where a role has a stricter one, refreshes can fail with 40001, which PostgREST up to 14 repeats without end",
    ),
    (
        "role",
        Severity::Error,
        "PostgREST begins as another role",
        "it reads the schema, and what it is told, as that role",
    ),
    (
        "session_replication_role",
        Severity::Error,
        "triggers do not run in requests",
        "neither settings nor foreign keys are checked",
    ),
];

/// How [`SQL`] calls a pre-config that is not ours, and not that of somebody who may do all of this
/// anyway.
const ANOTHER_PRE_CONFIG: &str = "another pgrst.db_pre_config";

/// A setting of a database, or of all roles, may take a superuser.
const BY_WHOM: &str = "where that is refused, a superuser has to do it";

/// The check, from the settings that [`SQL`] found and the sources of the secret. Before the
/// commit, PostgREST is not to be told of a schema yet: while one is missing, it refuses every
/// request. What is not about its role alone stops no commit either, nor does a secret: the one that
/// is given to this run, or to the next, can take its place.
pub fn run(settings: &Rows, secrets: &[SecretSource], before_commit: bool) -> Check {
    // Its value, how a statement begins that changes it, and whether it holds for everybody.
    let setting = |name: &str| {
        settings.iter().find_map(|row| match &row[..] {
            [Some(found), Some(value), Some(alter), of_everybody] if found == name => {
                Some((&**value, &**alter, of_everybody.as_deref() == Some("t")))
            }
            _ => None,
        })
    };
    let error = if before_commit { Severity::Advice } else { Severity::Error };
    let mut findings = Vec::new();
    if let Some((schemas, alter, _)) = setting("pgrst.db_schemas") {
        let schemas: Vec<_> = schemas.split(',').map(str::trim).collect();
        if !schemas.contains(&"auth") {
            let found = schemas.join(", ");
            findings.push(Finding {
                expected: Some("auth among them".to_owned()),
                why: Some("requests for refresh_tokens and logout are answered with 406".to_owned()),
                mend: Some(format!("{alter} set pgrst.db_schemas = {};", literal(&format!("{found}, auth")))),
                hint: Some(BY_WHOM.to_owned()),
                found: Some(found),
                told_after_commit: true,
                ..Finding::new(error, "pgrst.db_schemas", "the schema auth is not exposed")
            });
        }
        exposed(&mut findings, "pgrst.db_schemas", &schemas);
    }
    if let Some((path, ..)) = setting("pgrst.db_extra_search_path") {
        exposed(
            &mut findings,
            "pgrst.db_extra_search_path",
            &path.split(',').map(str::trim).collect::<Vec<_>>(),
        );
    }
    for (name, severity, message, why) in TOLD {
        if let Some((value, alter, of_everybody)) = setting(name) {
            let name = name.trim_start_matches("another ");
            // What holds for everybody may be meant for others, as where rows are replicated: it is
            // told, and stops no run.
            let told_after_commit = of_everybody && severity == Severity::Error;
            let severity = if told_after_commit { error } else { severity };
            findings.push(Finding {
                found: Some(if value.is_empty() { "nothing" } else { value }.to_owned()),
                why: Some(why.to_owned()),
                mend: Some(format!("{alter} reset {name};")),
                hint: Some(BY_WHOM.to_owned()),
                told_after_commit,
                ..Finding::new(severity, name, message)
            });
        }
    }
    secret(&mut findings, secrets, error);
    super::check(CheckName::Postgrest, findings)
}

/// The check, if the questions could not be asked; what is not the server's word is given back.
pub fn raised(failure: Failure) -> Result<Check, Failure> {
    let Some(server) = failure.server.as_ref().filter(|_| !failure.is_limit()) else {
        return Err(failure);
    };
    let message = format!("cannot be looked at: {} ({})", server.message, server.sqlstate);
    Ok(super::check(CheckName::Postgrest, vec![Finding::new(Severity::Error, "JWT secret", message)]))
}

fn exposed(findings: &mut Vec<Finding>, setting: &str, schemas: &[&str]) {
    for private in ["auth_private", "authmig"].iter().filter(|private| schemas.contains(private)) {
        findings.push(Finding {
            why: Some("what is in it is not meant for requests".to_owned()),
            hint: Some(format!("take {private} out of {setting}")),
            ..Finding::new(Severity::Error, setting, format!("the schema {private} is exposed"))
        });
    }
}

/// What is wrong with the secrets. `error` is how much it matters if tokens are refused.
fn secret(findings: &mut Vec<Finding>, secrets: &[SecretSource], error: Severity) {
    let Some(used) = secrets.first() else {
        findings.push(Finding {
            why: Some("no token can be issued".to_owned()),
            hint: Some("`authmig secret generate` makes one, `authmig secret set` stores yours".to_owned()),
            ..Finding::new(Severity::Advice, "JWT secret", "none is set")
        });
        return;
    };
    if used.is_too_short() {
        let replace = if used.source == KEPT { " --replace" } else { "" };
        findings.push(Finding {
            expected: Some(format!("base64 of {SHORTEST} bytes or more")),
            found: Some(if used.bytes == 0 {
                "no base64".to_owned()
            } else {
                format!("{} bytes", used.bytes)
            }),
            why: Some("no token can be issued, and PostgREST does not start with it".to_owned()),
            mend: used.reset.clone(),
            hint: Some(format!("`authmig secret generate{replace}` makes a good one")),
            told_after_commit: true,
            ..Finding::new(error, &*used.source, "the JWT secret cannot be used")
        });
    } else if used.source != KEPT {
        findings.push(Finding {
            why: Some(READABLE.to_owned()),
            hint: Some("`authmig secret set` keeps it where only the owner reads".to_owned()),
            ..Finding::new(Severity::Advice, &*used.source, "the JWT secret comes from a setting")
        });
    }
    for (index, other) in secrets.iter().enumerate().skip(1) {
        if other.fingerprint == used.fingerprint {
            if used.source == KEPT && other.reset.is_some() {
                findings.push(Finding {
                    why: Some(READABLE.to_owned()),
                    mend: other.reset.clone(),
                    ..Finding::new(
                        Severity::Advice,
                        &*other.source,
                        "the JWT secret stands in a setting, too",
                    )
                });
            }
            continue;
        }
        // A session has what one of the settings says.
        if other.reset.is_none() && secrets[..index].iter().any(|told| told.fingerprint == other.fingerprint)
        {
            continue;
        }
        findings.push(Finding {
            expected: Some(format!("{} as in {}", used.fingerprint, used.source)),
            found: Some(if other.bytes == 0 { "no base64" } else { &other.fingerprint }.to_owned()),
            why: Some("if PostgREST uses this one, it refuses every token".to_owned()),
            mend: other.reset.clone(),
            hint: Some("make them equal, or remove the one that is not used".to_owned()),
            told_after_commit: other.goes_first,
            ..Finding::new(
                if other.goes_first { error } else { Severity::Advice },
                &*other.source,
                "another JWT secret is set here",
            )
        });
    }
}

/// Why a secret should be in no setting.
const READABLE: &str = "every role that can run SQL can read a setting";
