//! The command line. The help texts are the manual.
#![expect(clippy::doc_markdown, reason = "the doc comments are help texts")]

mod parse;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::builder::{BoolishValueParser, PossibleValue};
use clap::{Arg, Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::{LevelFilter, Targets};

pub use parse::Complaint;
use parse::FormatOption;

use crate::database::{Limits, Patience};
use crate::export::Layout;
use crate::migration::Version;
use crate::output::{Format, LogFormat};
use crate::report::CheckName;

/// Token management for PostgREST, in your database.
///
/// Installs, proves, upgrades and removes JWT access tokens and rotating refresh
/// tokens: SQL functions in the schema auth that PostgREST calls. Every command
/// changes everything it set out to change, or nothing.
#[derive(Debug, Parser)]
#[command(name = "authmig", version, after_help = AFTER_HELP, max_term_width = 80)]
#[command(mut_args(without_value), mut_subcommands(without_values))]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Options of every command.
    #[command(flatten)]
    pub common: Common,
}

/// The option, in whose help the variable is named and not quoted: a secret may stand in the
/// wrong one.
fn without_value(option: Arg) -> Arg {
    option.hide_env_values(true)
}

fn without_values(command: clap::Command) -> clap::Command {
    command.mut_args(without_value).mut_subcommands(without_values)
}

const AFTER_HELP: &str = "\
First steps, with DATABASE_URL set:
  authmig migrate --dry-run   try it on this database, change nothing
  authmig migrate             install, or upgrade
  authmig secret generate     make the key that tokens are signed with
  authmig verify              prove that everything is as it should be

Exit codes:
  0  as wished, nothing to do included
  1  an error that has no code of its own
  2  wrong usage, or a target that cannot be parsed
  3  migrations are pending
  4  drift, or a failed check
  5  the database cannot be reached, or refuses the login
  6  another run held the lock past the limit, or lock_timeout struck
  7  refused: it would lose or replace something, or the answer was no
  8  a script failed, or the check of what it did; everything was rolled back
  9  the database is newer than this binary
  126, 127  the command of install is not executable, or not there
  130, 143  interrupted by SIGINT, SIGTERM; rolled back, unless the message says otherwise

authmig help exit-codes says what to do about each.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Apply what is pending: all of it, or nothing
    ///
    /// Everything pending is applied, verified and committed in one transaction. A
    /// script that fails, a verification that fails, a signal, a lost connection: the
    /// database is as it was. Runs that start at once wait for each other, and only
    /// one applies. Nothing pending: one question to the server, no lock.
    Migrate(MigrateArgs),
    /// Show what is applied and what is pending
    ///
    /// Reads only. A line for each migration:
    ///
    ///   applied       when, and by whom
    ///   pending       in this binary, and not applied
    ///   changed       applied, with another script than this binary's
    ///   missing       applied, and not in this binary
    ///   out of order  pending, though a newer one is applied
    ///   newer         applied by a newer authmig
    #[command(verbatim_doc_comment)]
    Status(StatusArgs),
    /// Revert migrations: the newest one, unless told otherwise
    ///
    /// Rehearses the rollback first, and says what it would drop and how many logged-in
    /// sessions would end. Then asks, on a terminal; elsewhere it wants --yes. Only
    /// what authmig created is dropped. Roles stay: they belong to the whole server.
    Rollback(RollbackArgs),
    /// Prove that the installation is whole, closed and works
    ///
    ///   history    every script is applied, and no other
    ///   scripts    each verify script finds what it looks for
    ///   objects    schemas, tables, functions and all that belongs to them are
    ///              what was installed, and nothing else stands there
    ///   grants     nobody may do more, or less, than was granted
    ///   self-test  tokens are issued, refreshed, ended and refused as they
    ///              should be, in a transaction that is rolled back
    ///   postgrest  what PostgREST is told in the database fits
    ///
    /// What is wrong is shown with the statement that mends it, if one does. Exit
    /// code 4 if a check fails; advice alone does not fail one.
    #[command(verbatim_doc_comment)]
    Verify(VerifyArgs),
    /// Wait for the server, migrate, verify, then become another command
    ///
    /// For the entrypoint of a container: authmig install -- postgrest. Waits for the
    /// server (--wait, 60 seconds unless told otherwise), does what migrate and verify do,
    /// and then runs the command behind -- in its own place: same process, so signals and
    /// exit code are the command's. Of many copies that start at once, one migrates. If
    /// anything fails, the command is not started. With a command, what authmig says goes
    /// to standard error. Its own variables, those that may hold a secret among them, do
    /// not reach the command: AUTHMIG_*, DATABASE_URL, DATABASE_URL_FILE, PGPASSWORD.
    Install(InstallArgs),
    /// Show who may do what: roles against functions, tables and schemas
    ///
    /// Reads only. What a role really may do, by a grant of its own, through a role that
    /// it is a member of, or because everybody may; and what other roles were granted.
    /// `authmig verify --only grants` says whether they should.
    Grants,
    /// Set, make or look at the key that tokens are signed with
    ///
    /// It is kept in auth_private.config, which no request role may read, and reaches it
    /// without standing in a statement or in the server's log. PostgREST gets it from
    /// there with db-pre-config = "auth_private.postgrest_config", or is given the same
    /// one with jwt-secret-is-base64.
    Secret(SecretArgs),
    /// Write the SQL as files for another tool, or for reading
    ///
    /// For those who must run SQL by other means: psql, SuperStack's script, dbmate,
    /// Sqitch, refinery. Needs no database. The files take the same lock, record the same
    /// history and verify the same as `authmig migrate`, so `authmig status` and `authmig
    /// verify` accept the result. The names of roles and schemas are those that are given
    /// here. The folder must be new or empty.
    Export(ExportArgs),
    /// Print the completions for a shell
    ///
    /// bash: authmig completions bash > /etc/bash_completion.d/authmig
    /// zsh: authmig completions zsh > /usr/local/share/zsh/site-functions/_authmig
    /// fish: authmig completions fish > ~/.config/fish/completions/authmig.fish
    /// PowerShell: authmig completions powershell >> $PROFILE
    #[command(verbatim_doc_comment, help_template = TEXT_ONLY)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    ///
    /// Into a folder, one for each command: authmig.1, authmig-migrate.1, … Without one,
    /// the page of authmig itself goes to standard output: authmig man | man -l -
    #[command(help_template = TEXT_ONLY)]
    Man {
        /// The folder; made if it is missing
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// What each exit code means, and what to do
    #[command(long_about = crate::report::EXIT_CODES, help_template = "{about-with-newline}")]
    ExitCodes,
}

/// Help of what takes no options.
const TEXT_ONLY: &str = "{about-with-newline}\n{usage-heading} {usage}\n\nArguments:\n{positionals}\n";

/// Options of `install`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct InstallArgs {
    /// Upgrade the auth schema of SuperStack's guide in place, as migrate --adopt does
    #[arg(long, env = "AUTHMIG_ADOPT", value_parser = BoolishValueParser::new())]
    pub adopt: bool,
    /// Read a JWT secret from this file, and keep it in the database if none is kept there
    /// yet, nor used from a setting; AUTHMIG_JWT_SECRET can hold the secret itself
    #[arg(long, value_name = "FILE", env = "AUTHMIG_JWT_SECRET_FILE")]
    pub jwt_secret_file: Option<PathBuf>,
    /// Do not start the command if verify has advice
    #[arg(long, env = "AUTHMIG_STRICT", value_parser = BoolishValueParser::new())]
    pub strict: bool,
    /// Give the command authmig's own variables as well
    #[arg(long, env = "AUTHMIG_KEEP_ENV", value_parser = BoolishValueParser::new())]
    pub keep_env: bool,
    /// Refused: what is started next counts on what is installed
    #[arg(long, hide = true, env = "AUTHMIG_DRY_RUN", value_parser = BoolishValueParser::new())]
    pub dry_run: bool,
    /// Refused, for the same reason
    #[arg(long, hide = true, value_name = "VERSION", env = "AUTHMIG_TO")]
    pub to: Option<Version>,
    /// What to run when the database is ready, and its arguments
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<std::ffi::OsString>,
}

/// How long `install` waits for the server unless it is told.
const INSTALL_WAIT: Duration = Duration::from_secs(60);

/// Options of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The folder to write to; made if it is missing
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The tool that the files are for
    #[arg(long, value_name = "TOOL", default_value = "plain", value_parser = FormatOption::layouts())]
    format: FormatOption,
    /// Write the result as one JSON object, as --format json does elsewhere
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

/// Options of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// The last version to apply, such as 03 [default: the newest]
    #[arg(long, value_name = "VERSION", env = "AUTHMIG_TO")]
    pub to: Option<Version>,
    /// Do it all for real, verification included, then roll it back
    #[arg(long, env = "AUTHMIG_DRY_RUN", value_parser = BoolishValueParser::new())]
    pub dry_run: bool,
    /// With --dry-run, print the scripts that were run, without verification and journal
    #[arg(long, requires = "dry_run")]
    pub show_sql: bool,
    /// Upgrade the auth schema of SuperStack's guide in place, whoever installed it: sessions
    /// are kept, functions replaced. What is not as it was published is named and refused
    #[arg(long, env = "AUTHMIG_ADOPT", value_parser = BoolishValueParser::new())]
    pub adopt: bool,
    /// Read a JWT secret from this file, and keep it in the database if none is kept there
    /// yet, nor used from a setting; AUTHMIG_JWT_SECRET can hold the secret itself
    #[arg(long, value_name = "FILE", env = "AUTHMIG_JWT_SECRET_FILE")]
    pub jwt_secret_file: Option<PathBuf>,
}

/// Options of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Exit with 3 if migrations are pending, 4 on drift, 9 if the database is newer
    #[arg(long, env = "AUTHMIG_CHECK", value_parser = BoolishValueParser::new())]
    pub check: bool,
}

/// Options of `rollback`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct RollbackArgs {
    /// Revert everything above this version, which stays
    #[arg(long, value_name = "VERSION", conflicts_with = "all")]
    pub to: Option<Version>,
    /// Revert everything
    #[arg(long)]
    pub all: bool,
    /// With --all, drop the schema authmig with its journal as well
    #[arg(long, requires = "all")]
    pub purge: bool,
    /// Say what it would do, having tried it, and change nothing
    #[arg(long, env = "AUTHMIG_DRY_RUN", value_parser = BoolishValueParser::new())]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// Go on even where rows are lost or an exposed schema is dropped
    #[arg(long)]
    pub discard_data: bool,
}

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Make these checks only
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    pub only: Vec<CheckName>,
    /// Leave these checks out
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    pub skip: Vec<CheckName>,
    /// Let advice count as failure, too
    #[arg(long, env = "AUTHMIG_STRICT", value_parser = BoolishValueParser::new())]
    pub strict: bool,
}

/// Options of `secret`.
#[derive(Debug, Args)]
pub struct SecretArgs {
    /// Refused where it would change something: there is nothing to try
    #[arg(long, hide = true, global = true, env = "AUTHMIG_DRY_RUN", value_parser = BoolishValueParser::new())]
    pub dry_run: bool,
    /// What to do with it.
    #[command(subcommand)]
    pub command: SecretCommand,
}

/// What `secret` does.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Store a secret: from a file, from AUTHMIG_JWT_SECRET, or else from standard input
    ///
    /// Base64 of 32 bytes or more, in either alphabet. It cannot be given as an argument:
    /// those are visible to everybody on the machine. On a terminal it is asked for, and
    /// not shown while it is typed.
    Set {
        /// Read it from this file
        #[arg(long, value_name = "FILE", env = "AUTHMIG_JWT_SECRET_FILE")]
        file: Option<PathBuf>,
        /// Also if another one is stored already: access tokens signed with that end
        #[arg(long)]
        replace: bool,
    },
    /// Make a secret of 256 bits and store it
    Generate {
        /// Also if one is stored already: access tokens signed with that end
        #[arg(long)]
        replace: bool,
        /// Print it on standard output, for PostgREST's configuration; if that cannot be
        /// done, it is not stored
        #[arg(long)]
        print: bool,
    },
    /// Say where the secret comes from, how long it is, and its fingerprint
    Status,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct Common {
    /// The database: a URL or key=value, as psql takes it. Before AUTHMIG_DATABASE_URL,
    /// DATABASE_URL (both also with _FILE, for the name of a file) and psql's variables,
    /// PGHOST and so on. A password on the command line is visible to others
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// How long each address of a host may take, TLS and login included; 0s: for ever
    /// [default: connect_timeout of the URL, or else 10s]
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration, env = "AUTHMIG_CONNECT_TIMEOUT")]
    pub connect_timeout: Option<Duration>,
    /// Wait up to this long (30s, 5m) for what can come by itself: a server that is
    /// starting, a name that does not resolve yet; in status, also for the migrations of
    /// another run (exit code 3 if they do not come)
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration, env = "AUTHMIG_WAIT")]
    pub wait: Option<Duration>,
    /// With --wait, or in install, also for a database that does not exist yet
    #[arg(long, global = true, env = "AUTHMIG_WAIT_FOR_DATABASE", value_parser = BoolishValueParser::new())]
    pub wait_for_database: bool,
    /// How long to wait while another authmig is at work; 0s: not at all
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration, default_value = "60s", env = "AUTHMIG_LOCK_WAIT")]
    pub lock_wait: Duration,
    /// How long a statement may wait for a lock on a table; 0s: for ever
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration, default_value = "10s", env = "AUTHMIG_LOCK_TIMEOUT")]
    pub lock_timeout: Duration,
    /// How long each statement may take; 0s: for ever
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration, default_value = "0s", env = "AUTHMIG_STATEMENT_TIMEOUT")]
    pub statement_timeout: Duration,

    /// Who is called what.
    #[command(flatten)]
    pub parameters: Parameters,

    /// How results are written on standard output
    #[arg(long, global = true, default_value = "human", value_parser = FormatOption::results(), env = "AUTHMIG_FORMAT", help_heading = "Output")]
    format: FormatOption,
    /// More on standard error: -v what happens and where each setting of the connection
    /// comes from, -vv how many bytes each message to the server has
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
    /// What is logged, in place of -v: a level (debug), or levels by module
    /// (authmig::database=debug)
    #[arg(long, global = true, value_name = "FILTER", value_parser = log_filter, env = "AUTHMIG_LOG", help_heading = "Output")]
    pub log: Option<Targets>,
    /// How logs, progress and errors are written on standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "AUTHMIG_LOG_FORMAT", help_heading = "Output")]
    pub log_format: LogFormat,
}

/// Install parameters; see [`crate::parameters`].
#[derive(Debug, Args)]
#[command(next_help_heading = "Names, kept in the database by the first migration")]
pub struct Parameters {
    /// Role of requests without a token [default: anon]
    #[arg(long, global = true, value_name = "NAME", env = "AUTHMIG_ANON_ROLE")]
    pub anon_role: Option<String>,
    /// Role of logged-in users [default: authenticated]
    #[arg(long, global = true, value_name = "NAME", env = "AUTHMIG_AUTHENTICATED_ROLE")]
    pub authenticated_role: Option<String>,
    /// Role of the services that may issue tokens [default: service]
    #[arg(long, global = true, value_name = "NAME", env = "AUTHMIG_SERVICE_ROLE")]
    pub service_role: Option<String>,
    /// Role that PostgREST logs in as [default: authenticator]
    #[arg(long, global = true, value_name = "NAME", env = "AUTHMIG_AUTHENTICATOR_ROLE")]
    pub authenticator_role: Option<String>,
    /// Role that owns tables and functions, and can do nothing else [default: auth_owner]
    #[arg(long, global = true, value_name = "NAME", env = "AUTHMIG_OWNER_ROLE")]
    pub owner_role: Option<String>,
    /// Schema of your API [default: api]
    #[arg(long, global = true, value_name = "NAME", env = "AUTHMIG_API_SCHEMA")]
    pub api_schema: Option<String>,
}

impl Cli {
    /// How long to try to connect, from now on. install waits without being told.
    pub fn patience(&self) -> Patience {
        let default = matches!(self.command, Command::Install(_)).then_some(INSTALL_WAIT);
        Patience {
            attempt: self.common.connect_timeout,
            until: self.common.wait.or(default).and_then(|wait| Instant::now().checked_add(wait)),
            missing_database: self.common.wait_for_database,
        }
    }

    /// How the result is written. export takes its layout from `--format`, and says
    /// `--json` for this.
    pub fn format(&self) -> Format {
        match &self.command {
            Command::Export(args) if args.json => Format::Json,
            Command::Export(_) => Format::Human,
            _ => self.common.format.of_results(),
        }
    }
}

impl Command {
    /// Whether another command takes the place of this one in the end.
    pub fn hands_over(&self) -> bool {
        matches!(self, Command::Install(args) if !args.command.is_empty())
    }

    /// Whether what it prints is text, whoever reads it.
    fn prints_text(&self) -> bool {
        matches!(self, Command::Completions { .. } | Command::Man { .. } | Command::ExitCodes)
    }

    /// Whether the results of this command can be written like that.
    pub fn takes(&self, format: Format) -> bool {
        match format {
            Format::Human => true,
            Format::Json => !self.prints_text(),
            Format::Github => matches!(self, Command::Migrate(_) | Command::Status(_) | Command::Verify(_)),
            Format::Junit | Format::Sarif => matches!(self, Command::Verify(_)),
        }
    }
}

impl ExportArgs {
    /// What the files are for.
    pub fn layout(&self) -> Layout {
        self.format.of_files()
    }
}

impl ValueEnum for CheckName {
    fn value_variants<'a>() -> &'a [CheckName] {
        &CheckName::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.word()))
    }
}

impl VerifyArgs {
    /// Whether this check is among those that are asked for.
    pub fn takes(&self, check: CheckName) -> bool {
        (self.only.is_empty() || self.only.contains(&check)) && !self.skip.contains(&check)
    }
}

impl Common {
    /// The limits of a run.
    pub fn limits(&self) -> Limits {
        Limits {
            lock_wait: self.lock_wait,
            lock_timeout: self.lock_timeout,
            statement_timeout: self.statement_timeout,
        }
    }
}

impl Parameters {
    /// Those that were given, by the name of their setting.
    pub fn given(&self) -> BTreeMap<&'static str, String> {
        [
            ("anon_role", &self.anon_role),
            ("authenticated_role", &self.authenticated_role),
            ("service_role", &self.service_role),
            ("authenticator_role", &self.authenticator_role),
            ("owner_role", &self.owner_role),
            ("api_schema", &self.api_schema),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)))
        .collect()
    }
}

fn log_filter(text: &str) -> Result<Targets, String> {
    // A word that is no level would be the name of a module: with a misspelled level, nothing of
    // ours would be logged.
    let is_level = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
    let filter = text.split(',').all(|part| part.contains('=') || is_level(part)).then(|| text.parse().ok());
    filter.flatten().ok_or_else(|| {
        "a filter looks like debug, or authmig::database=debug,info; \
         levels are off, error, warn, info, debug and trace"
            .to_owned()
    })
}

/// As long as for ever, and not too long to be added to the time of day.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A duration that PostgreSQL can be told, too: it counts milliseconds, and takes none for
/// "for ever".
fn duration(text: &str) -> Result<Duration, String> {
    // A bare number would leave the unit to guess.
    let duration =
        humantime::parse_duration(text).map_err(|_| "a duration looks like 500ms, 30s or 5m".to_owned())?;
    Ok(if duration.is_zero() { duration } else { duration.clamp(Duration::from_millis(1), LONGEST) })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_parameter_has_its_option() {
        let cli = Cli::try_parse_from(
            ["authmig", "status"].into_iter().map(str::to_owned).chain(
                crate::parameters::ALL
                    .iter()
                    .map(|parameter| format!("--{}=x_{}", parameter.name.replace('_', "-"), parameter.name)),
            ),
        )
        .unwrap();
        let given = cli.common.parameters.given();
        for parameter in &crate::parameters::ALL {
            assert_eq!(given[parameter.name], format!("x_{}", parameter.name));
            let help = Cli::command().render_long_help().to_string();
            let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(help.contains(&format!("[default: {}]", parameter.default)), "{}", parameter.name);
        }
    }

    #[test]
    fn a_filter_is_a_level_or_levels_of_modules() {
        for filter in ["debug", "OFF", "authmig::database=debug", "authmig=trace,info", "a=warn,b=off"] {
            assert!(log_filter(filter).is_ok(), "{filter}");
        }
        for filter in
            ["dbug", "", "debug,", "debug, info", "authmig", "a=dbug", "a=warn,b", "postgres://u:p@h/d"]
        {
            assert!(log_filter(filter).is_err(), "{filter}");
        }
    }

    #[test]
    fn a_duration_needs_its_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("500us"), Ok(Duration::from_millis(1)));
        assert_eq!(duration("400000000000y"), Ok(LONGEST));
        assert!(Instant::now().checked_add(LONGEST).is_some());
        assert!(duration("90").is_err());
        assert!(duration("").is_err());
        assert!(duration("-1s").is_err());
    }
}
