//! `authmig secret`: the key that tokens are signed with, set and looked at without
//! ever being shown.

use super::Context;
use crate::checks;
use crate::cli::{SecretArgs, SecretCommand};
use crate::database::{Database, Lock, Stored, Work, changed};
use crate::failure::Failure;
use crate::history::History;
use crate::message::settings;
use crate::migration::AUTH_SCHEMA;
use crate::report::{Event, Exit, Report, SecretOutcome, SecretReport, SecretSource, VERSION, Weight};
use crate::secret::{self, Secret};

/// Runs the command. Returns what is to be written; nothing where the secret itself was to be:
/// that is written before it is stored, lest one that nobody has seen takes the place of another.
pub fn run(context: &Context<'_>, args: &SecretArgs) -> Result<Option<SecretReport>, Failure> {
    if args.dry_run && !matches!(args.command, SecretCommand::Status) {
        let message = "secret has no dry run (AUTHMIG_DRY_RUN); nothing was changed";
        return Err(Failure::new(Exit::Usage, message));
    }
    // Standard input may let one wait.
    context.interrupt.listen();
    // Read before connecting: what is no secret needs no database to be refused.
    match &args.command {
        SecretCommand::Status => Ok(Some(open_installed(context)?.2)),
        SecretCommand::Set { file, replace } => {
            store(context, &given(context, file.as_deref())?, *replace, false)
        }
        SecretCommand::Generate { replace, print } => store(context, &Secret::generate()?, *replace, *print),
    }
}

/// Connects to what is installed, and looks what there is.
fn open_installed(context: &Context<'_>) -> Result<(Database, History, SecretReport), Failure> {
    // Nothing else says whose the schema auth_private is.
    let questions = checks::questions_of_fact();
    let (mut database, mut history, mut answers) = context.open(&questions)?;
    database.check_without_history(&mut history, &mut answers, &questions)?;
    if !history.has(AUTH_SCHEMA) {
        return Err(not_installed());
    }
    history.refuse_stranger("run authmig")?;
    context.parameters(&history)?;
    // What is there can only be compared if this binary knows all of it.
    context.up(&database, &history, None)?;
    checks::refuse_foreign_code(context.catalog, &history, &mut answers)
        .map_err(|failure| database.unless_changed(&history, failure))?;
    let report = SecretReport {
        database: database.name().to_owned(),
        authmig: VERSION,
        outcome: SecretOutcome::Shown,
        sources: sources(&mut database)?,
        secret: None,
        exit: Exit::Success,
    };
    Ok((database, history, report))
}

/// Stores this one, and writes it if `print`.
fn store(
    context: &Context<'_>,
    secret: &Secret,
    replace: bool,
    print: bool,
) -> Result<Option<SecretReport>, Failure> {
    let (mut database, history, mut report) = open_installed(context)?;
    let Lock::Taken(mut locked) = database.lock(&history, Work::default())? else {
        return Err(changed());
    };
    report.outcome = stored_or_refused(locked.store_secret(secret, replace)?)?;
    let kept = secret.source();
    report.sources.retain(|source| source.source != kept.source);
    let goes_first = |source: &&SecretSource| source.goes_first && source.fingerprint != kept.fingerprint;
    // Of several, PostgREST takes the first one.
    if let Some(SecretSource { source, reset: Some(reset), .. }) = report.sources.iter().find(goes_first) {
        let text = format!(
            "PostgREST goes on with {source}, and refuses what is signed with the one that is stored, until: {reset}"
        );
        (context.tell)(Event::Notice { weight: Weight::Warning, text, hint: None });
    }
    report.sources.insert(0, kept);
    if report.outcome == SecretOutcome::Unchanged {
        return Ok(Some(report));
    }
    locked.journal_secret()?;
    if print {
        // What is written cannot be taken back, so that hardly anything is left to fail.
        locked.check_constraints()?;
        report.secret = Some(secret.reveal().to_owned());
        (context.hand_out)(&Report::Secret(report))?;
        locked.commit()?;
        return Ok(None);
    }
    locked.commit()?;
    Ok(Some(report))
}

/// What became of a secret that was to be stored, or why it was not.
fn stored_or_refused(stored: Stored) -> Result<SecretOutcome, Failure> {
    let (message, hint) = match stored {
        Stored::Yes => return Ok(SecretOutcome::Stored),
        Stored::WasThere => return Ok(SecretOutcome::Unchanged),
        Stored::AnotherIsThere => (
            "another secret is stored already; nothing was changed".to_owned(),
            "--replace puts the new one in its place; access tokens signed with the old one end at once".to_owned(),
        ),
        Stored::AnotherIsUsed(used) => (
            format!("another secret is in use, {}; nothing was changed", used.source),
            match used.reset {
                Some(reset) if used.goes_first => format!(
                    "--replace stores the new one, and PostgREST goes on with the old one until: {reset}"
                ),
                _ => "--replace stores the new one, which is used from then on; access tokens signed with the old one end at once".to_owned(),
            },
        ),
    };
    Err(Failure::new(Exit::Refused, message).hint(hint))
}

/// The secret of the file, of the variable, or of standard input.
fn given(context: &Context<'_>, file: Option<&std::path::Path>) -> Result<Secret, Failure> {
    if let Some(secret) = Secret::given(file, "--file")? {
        return Ok(secret);
    }
    match (context.ask_secret)()? {
        Some(line) => Secret::parse(&line, "that line"),
        None => Secret::read_standard_input(),
    }
}

/// Stores the secret that was given to a run with nothing else to do, unless one is kept, or
/// another one used. Whether it did, or would have.
pub(super) fn keep(
    context: &Context<'_>,
    database: &mut Database,
    history: &History,
    secret: &Secret,
    dry_run: bool,
) -> Result<Lock<bool>, Failure> {
    if !history.has(AUTH_SCHEMA) {
        return Ok(Lock::Taken(outcome(context, None)));
    }
    history.refuse_stranger("run authmig")?;
    let new = secret.source();
    // One question, and no lock, wherever one is kept, or another one used.
    let used = sources(database)?.into_iter().next();
    if let Some(stored) = used.and_then(|used| Stored::beside(used, &new)) {
        return Ok(Lock::Taken(outcome(context, Some(stored))));
    }
    let mut locked = match database.lock(history, Work::default())? {
        Lock::Taken(locked) => locked,
        Lock::Changed(history) => return Ok(Lock::Changed(history)),
    };
    let stored = locked.store_secret(secret, false)?;
    if stored == Stored::Yes {
        locked.journal_secret()?;
        if dry_run { locked.rollback()? } else { locked.commit()? }
    }
    Ok(Lock::Taken(outcome(context, Some(stored))))
}

/// Whether a secret that was given is stored now; if not, says why. `None`: there was
/// nowhere to keep it.
pub(super) fn outcome(context: &Context<'_>, stored: Option<Stored>) -> bool {
    let another = |how: &str| {
        format!(
            "another JWT secret is {how}, and the one that was given was not stored; `authmig secret set --replace` does that"
        )
    };
    let why = match stored {
        Some(Stored::Yes) => return true,
        Some(Stored::WasThere) => return false,
        Some(Stored::AnotherIsThere) => another("kept"),
        Some(Stored::AnotherIsUsed(SecretSource { source, .. })) => another(&format!("in use, {source}")),
        None => {
            format!(
                "the JWT secret that was given was not stored: {AUTH_SCHEMA}, which keeps it, is not applied"
            )
        }
    };
    (context.tell)(Event::notice(why));
    false
}

fn sources(database: &mut Database) -> Result<Vec<SecretSource>, Failure> {
    let question = settings(&[("row_security", "off")]) + secret::SOURCES;
    let answer = database.ask(&question).map_err(|failure| match failure.sqlstate() {
        Some("42P01") => Failure::new(Exit::Drift, "the table auth_private.config is missing")
            .hint("`authmig verify` shows the statement that makes it again"),
        _ => failure,
    })?;
    Ok(answer.first().map(secret::sources).unwrap_or_default())
}

fn not_installed() -> Failure {
    Failure::new(Exit::Failure, "authmig is not installed in this database: there is no place for a secret")
        .hint("run `authmig migrate` first; with AUTHMIG_JWT_SECRET set, it stores the secret, too")
}
