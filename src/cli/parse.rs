//! From a command line to a [`Cli`], or to a complaint that quotes no secret.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::{BoolishValueParser, EnumValueParser, Resettable, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, CommandFactory as _, FromArgMatches as _, ValueEnum as _};

use super::{Cli, Command};
use crate::export::Layout;
use crate::migration::Version;
use crate::output::{Format, LogFormat};
use crate::report::CheckName;
use crate::secret;

impl Cli {
    /// Takes a command line apart. A variable that stands for all commands means nothing to one
    /// that has no use for it, where the option is refused: `AUTHMIG_FORMAT` to what has no such
    /// format, `AUTHMIG_WAIT_FOR_DATABASE` to what does not wait.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Complaint> {
        let arguments: Vec<_> = arguments.into_iter().collect();
        Cli::taken_apart(&arguments).map_err(|error| Complaint::new(error, &arguments))
    }

    fn taken_apart(arguments: &[OsString]) -> Result<Cli, clap::Error> {
        let mut definition = without_silent_variables(Cli::command());
        let matches = definition.try_get_matches_from_mut(arguments);
        let mut matches = matches.map_err(|error| match error.kind() {
            // Help names every variable, whatever it says.
            ErrorKind::DisplayHelp => Cli::command().try_get_matches_from(arguments).err().unwrap_or(error),
            _ => error,
        })?;
        let is_variable = |option: &str| {
            let source = matches.subcommand().and_then(|(_, matches)| matches.value_source(option));
            source == Some(ValueSource::EnvVariable)
        };
        let (format, wait_for_database) = (is_variable("format"), is_variable("wait_for_database"));
        let mut cli =
            Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut definition))?;
        if format && !cli.command.takes(cli.format()) {
            cli.common.format = FormatOption::Results(Format::Human);
        }
        if !cli.waits() && wait_for_database {
            cli.common.wait_for_database = false;
        }
        let objection = cli.objection().map(|(kind, message)| (kind, message.to_owned()));
        match objection.or_else(|| Some((ErrorKind::UnknownArgument, misspelled_variable(&definition)?))) {
            Some((kind, message)) => Err(definition.error(kind, message)),
            None => Ok(cli),
        }
    }

    fn waits(&self) -> bool {
        self.common.wait.is_some() || matches!(self.command, Command::Install(_))
    }

    /// What is wrong with it beyond each option by itself.
    fn objection(&self) -> Option<(ErrorKind, &'static str)> {
        if self.common.wait_for_database && !self.waits() {
            return Some((
                ErrorKind::MissingRequiredArgument,
                "--wait-for-database (AUTHMIG_WAIT_FOR_DATABASE) needs --wait DURATION",
            ));
        }
        if let Command::Verify(args) = &self.command
            && !CheckName::ALL.into_iter().any(|check| args.takes(check))
        {
            return Some((ErrorKind::ArgumentConflict, "--only and --skip leave no check to be made"));
        }
        None
    }
}

/// What `--format` says. To clap it is one option of all commands, and so of one type, though
/// export means another thing by it.
#[derive(Clone, Copy, Debug)]
pub(super) enum FormatOption {
    Results(Format),
    Files(Layout),
}

impl FormatOption {
    pub(super) fn results() -> impl TypedValueParser<Value = FormatOption> {
        EnumValueParser::new().map(FormatOption::Results)
    }

    pub(super) fn layouts() -> impl TypedValueParser<Value = FormatOption> {
        EnumValueParser::new().map(FormatOption::Files)
    }

    pub(super) fn of_results(self) -> Format {
        match self {
            FormatOption::Results(format) => format,
            FormatOption::Files(_) => Format::Human,
        }
    }

    pub(super) fn of_files(self) -> Layout {
        match self {
            FormatOption::Files(layout) => layout,
            // AUTHMIG_FORMAT speaks of results, and no layout was chosen.
            FormatOption::Results(_) => Layout::Plain,
        }
    }
}

/// Why a command line cannot be taken apart, or what it asks to be told of itself.
pub struct Complaint {
    /// What is said. It quotes no secret.
    pub error: clap::Error,
    /// How results were to be written, as far as that can be told.
    pub format: Format,
    /// How errors were to be written, as far as that can be told.
    pub log: LogFormat,
}

impl Complaint {
    fn new(error: clap::Error, arguments: &[OsString]) -> Complaint {
        let about_secret = arguments.iter().any(|argument| argument == "secret");
        let mut error = without_secrets(error, about_secret);
        if let Some(variable) = variable_of(&error, arguments) {
            let tip = format!("it comes from the variable {variable}");
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        if let Some(tip) = meant(&error, arguments) {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        let (format, log) = formats_of(arguments);
        Complaint { error, format, log }
    }
}

/// What was probably meant by an argument that does not exist, from what other tools take.
fn meant(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else { return None };
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    match given.as_str() {
        _ if error.kind() != ErrorKind::UnknownArgument => None,
        "--json" => Some("--format json".to_owned()),
        version if version.parse::<Version>().is_ok() && (has("migrate") || has("rollback")) => {
            Some(format!("--to {version}"))
        }
        _ if has("set") => Some("a secret is read from standard input, or from --file FILE".to_owned()),
        _ => None,
    }
}

/// How results, and how errors were to be written, in a command line that cannot be taken apart.
fn formats_of(arguments: &[OsString]) -> (Format, LogFormat) {
    let words = arguments.iter().map(|argument| argument.to_string_lossy());
    let words: Vec<_> = words.take_while(|word| word != "--").collect();
    let has = |word: &&str| words.iter().any(|other| other == word);
    let value = |option: &str, variable: &str| {
        let mut value = std::env::var(variable).unwrap_or_default();
        for (index, word) in words.iter().enumerate() {
            match word.strip_prefix(option) {
                Some("") => value = words.get(index + 1).map(ToString::to_string).unwrap_or_default(),
                Some(given) if given.starts_with('=') => given[1..].clone_into(&mut value),
                _ => {}
            }
        }
        value
    };
    let log =
        LogFormat::from_str(&value("--log-format", "AUTHMIG_LOG_FORMAT"), false).unwrap_or(LogFormat::Text);
    // What a variable says for a whole stack is not for these, which print text.
    let variable = if ["completions", "man", "exit-codes"].iter().any(has) { "" } else { "AUTHMIG_FORMAT" };
    let format = if has(&"--json") { "json".to_owned() } else { value("--format", variable) };
    // Of install, standard output may be that of another program.
    let format = Format::from_str(&format, false).ok().filter(|_| !has(&"install"));
    (format.unwrap_or(Format::Human), log)
}

/// What is wrong with a variable that is nearly one of ours: unheard, `AUTHMIG_DRYRUN` would
/// migrate. Others are left alone; Kubernetes makes some for a service of this name.
fn misspelled_variable(definition: &clap::Command) -> Option<String> {
    let no_options = ["DATABASE_URL", "DATABASE_URL_FILE", "JWT_SECRET", "JWT_SECRET_FILE"];
    let own = |name: &String| {
        name.strip_prefix("AUTHMIG_")
            .is_some_and(|rest| !no_options.contains(&rest) && !rest.starts_with("TEST_"))
    };
    let mut given: Vec<_> =
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(own).collect();
    // In this one those that say nothing are missing. To make another takes longer than all else here.
    let known = variables(definition);
    given.retain(|name| !known.contains(name));
    if given.is_empty() {
        return None;
    }
    let mut known = variables(&Cli::command());
    given.retain(|name| !known.contains(name));
    known.extend(no_options.map(|name| format!("AUTHMIG_{name}")));
    given.iter().find_map(|name| {
        // Two letters that were swapped are one mistake.
        let distance = |other: &&String| strsim::osa_distance(other, name);
        let meant = known.iter().min_by_key(distance)?;
        // Of a short name, one letter is much.
        let far = if meant.len() > "AUTHMIG_FORMAT".len() { 3 } else { 2 };
        (distance(&meant) < far).then(|| format!("{name} is no variable of authmig: is {meant} meant?"))
    })
}

/// The options of this definition and of its commands.
fn options(definition: &clap::Command) -> impl Iterator<Item = &Arg> {
    let of_commands = definition.get_subcommands().flat_map(clap::Command::get_arguments);
    of_commands.chain(definition.get_arguments())
}

/// Their variables.
fn variables(definition: &clap::Command) -> Vec<String> {
    options(definition).filter_map(|option| Some(option.get_env()?.to_str()?.to_owned())).collect()
}

/// The variable that a bad value comes from, if it was not given on the command line.
fn variable_of(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let definition = Cli::command();
    let mut set = options(&definition).filter_map(|argument| {
        let name = argument.get_env()?;
        Some((argument, name, std::env::var_os(name)?))
    });
    let (_, variable, _) = match error.kind() {
        // It does not say which option; a path may be anything.
        ErrorKind::InvalidUtf8 if arguments.iter().all(|argument| argument.to_str().is_some()) => {
            set.find(|(argument, _, value)| {
                value.to_str().is_none() && argument.get_value_parser().type_id() != TypeId::of::<PathBuf>()
            })
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return None };
            let name = option.split(' ').next()?;
            let is_given = arguments.iter().any(|argument| argument.to_string_lossy().starts_with(name));
            set.find(|(argument, ..)| !is_given && argument.get_long() == name.strip_prefix("--"))
        }
        _ => None,
    }?;
    Some(variable.to_string_lossy().into_owned())
}

/// The definition, to which a variable that says nothing is an absent one: an empty one, as
/// Compose makes of `${NAME:-}`, and a flag's that says no.
fn without_silent_variables(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| {
            let value = argument.get_env().and_then(std::env::var_os);
            if value.is_some_and(|value| says_nothing(&argument, &value)) {
                argument.env(Resettable::Reset)
            } else {
                argument
            }
        })
        .mut_subcommands(without_silent_variables)
}

fn says_nothing(argument: &Arg, value: &OsStr) -> bool {
    let no = || BoolishValueParser::new().parse_ref(&clap::Command::new("authmig"), None, value);
    value.is_empty() || matches!(argument.get_action(), ArgAction::SetTrue) && no().is_ok_and(|yes| !yes)
}

/// The complaint without what may be a secret that was given in the wrong place. Of `secret`,
/// whatever is not expected may be one.
fn without_secrets(mut error: clap::Error, about_secret: bool) -> clap::Error {
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand, ContextKind::InvalidValue] {
        // Elsewhere these are the option, as it is defined, and the command that lacks another.
        let is_given = match kind {
            ContextKind::InvalidArg => error.kind() == ErrorKind::UnknownArgument,
            ContextKind::InvalidSubcommand => error.kind() != ErrorKind::MissingSubcommand,
            _ => true,
        };
        let Some(ContextValue::String(text)) = error.get(kind).filter(|_| is_given) else { continue };
        if secret::may_be_in(text) || about_secret && !is_option(text) {
            error.insert(kind, ContextValue::String(secret::HIDDEN.to_owned()));
            // `use '-- TEXT'`
            error.remove(ContextKind::Suggested);
        }
    }
    error
}

/// Whether it looks like the name of an option, misspelled as it may be.
fn is_option(text: &str) -> bool {
    let name = text.strip_prefix("--").unwrap_or_default();
    (1..=20).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(line: &str) -> String {
        let arguments = ["authmig"].into_iter().chain(line.split(' ')).map(OsString::from);
        Cli::parse(arguments).unwrap_err().error.render().to_string()
    }

    #[test]
    fn a_complaint_quotes_nothing_that_may_be_a_secret() {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        for line in [
            "secret set hunter2",
            "secret hunter2",
            "secret set --hunter2 --replace",
            "secret generate --print hunter2",
            "postgres://u:hunter2@h/db",
            "status postgres://u:hunter2@h/db",
            "status --password=hunter2",
            "status --postgres://u:hunter2@h/db",
            "status --wait postgres://u:hunter2@h/db",
            "status --format password=hunter2",
            "migrate --to host=h,password=hunter2",
            "migrate password=hunter2",
            "completions postgres://u:hunter2@h/db",
            &format!("migrate {key}"),
            &format!("migrate --to {}", key.trim_end_matches('=')),
            key,
        ] {
            let said = complaint(line);
            assert!(!said.contains("hunter2") && !said.contains("AAEC"), "{line}: {said}");
            assert!(said.contains('…') || said.contains("'--password'"), "{line}: {said}");
        }
    }

    #[test]
    fn a_verification_of_nothing_is_refused() {
        let all = CheckName::ALL.map(CheckName::word).join(",");
        for line in ["verify --only grants --skip grants", &format!("verify --skip {all}")] {
            let said = complaint(line);
            assert!(said.starts_with("error: --only and --skip leave no check to be made\n"), "{said}");
        }
    }

    #[test]
    fn a_complaint_quotes_what_is_misspelled() {
        for (line, quoted) in [
            ("migrat", "'migrat'"),
            ("status --chek", "'--chek'"),
            ("secret set --replac", "'--replac'"),
            ("status now", "'now'"),
            ("status --wait 90", "'90'"),
            ("migrate --to x", "'x'"),
            ("secret status --format yaml", "'…'"),
            ("secret --format json", "'authmig secret' requires a subcommand"),
            ("migrate --json", "tip: --format json\n"),
            ("rollback 03", "tip: --to 03\n"),
            ("secret set hunter2", "tip: a secret is read from standard input, or from --file FILE\n"),
        ] {
            assert!(complaint(line).contains(quoted), "{}", complaint(line));
        }
    }

    #[test]
    fn what_is_no_version_was_not_meant_as_one() {
        for line in ["migrate --lock-timeout -1s", "migrate -1", "rollback 0"] {
            let said = complaint(line);
            assert!(said.contains("unexpected argument '") && !said.contains("--to"), "{said}");
        }
    }
}
