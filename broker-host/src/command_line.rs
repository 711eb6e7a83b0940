//! The command line: what the flags are, and what was typed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory, FromArgMatches, Parser};

use crate::Backend;
use crate::choices::{Choices, LoopChoices};

const AFTER_HELP: &str = "\
Config file:
  A TOML file with the same keys, dashes as underscores: listen = [\"localhost:8080\"],
  log_level = \"info\", and so on; the limits stand in a table [limits]. A flag overrides
  the file. Unknown keys are errors.
  Tables [[topics]], which have no flags, choose for topics by a pattern of their names
  (* is any characters, ? any one): pattern = \"metrics/*\"; then any of storage = \"memory\"
  or \"disk\", durability, and retention = { bytes = \"1GiB\", messages = 1000, age_ms = 60000 }.
  The first that matches counts; what CREATE says of the topic goes before it.

Standard output:
  One line when connections are taken, with the addresses as they came to be:
  tandem ready backend=NAME version=X.Y.Z listen=HOST:PORT,HOST:PORT

Signals:
  SIGTERM, SIGINT  stop: let what is in flight leave, then exit with code 0
  a second one     end at once, with exit code 143 (SIGTERM) or 130 (SIGINT)

Exit codes:
  0         stopped as asked
  1         failed while serving, or could not store at the end what was to be stored
  2         could not start: bad flag, bad config, an address that cannot be listened on, or a
            data directory that is in use, cannot be read or written, or is damaged
  130, 143  ended at once by a second SIGINT or SIGTERM";

/// What was typed.
#[derive(Debug, Parser)]
#[command(name = "tandem", after_help = AFTER_HELP)]
pub(crate) struct CommandLine {
    /// Read settings from this TOML file; flags override it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) choices: Choices,
}

/// Reads the command line of a broker on `backend`; the first of `arguments` is
/// the program's name.
///
/// # Errors
/// A flag that is unknown or has a bad value; also `--help` and `--version`,
/// which clap treats as errors with exit code 0.
pub(crate) fn parse(
    backend: &Backend,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<CommandLine, clap::Error> {
    let matches = command(backend).try_get_matches_from(arguments)?;
    let mut line = CommandLine::from_arg_matches(&matches)?;
    if backend.takes_loops {
        line.choices.loops = LoopChoices::from_arg_matches(&matches)?.loops;
    }
    Ok(line)
}

fn command(backend: &Backend) -> Command {
    let command = CommandLine::command();
    let command = if backend.takes_loops { LoopChoices::augment_args(command) } else { command };
    let version = format!("{} ({} backend)", backend.version, backend.name);
    // After the flags: each struct of flags brings its own documentation as `about`.
    command.version(version).about(backend.summary).long_about(None)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use clap::error::ErrorKind;

    use super::*;
    use crate::logging::{LogFormat, LogLevel};
    use crate::storage_choices::{DurabilityChoice, Recover};

    const THREADED: Backend =
        Backend { name: "threaded", summary: "Sums up.", version: "0.1.0", takes_loops: false };
    const MIO: Backend = Backend { name: "mio", takes_loops: true, ..THREADED };

    fn typed(backend: &Backend, flags: &str) -> Result<CommandLine, clap::Error> {
        let arguments = format!("tandem-test {flags}");
        parse(backend, arguments.split_whitespace().map(OsString::from))
    }

    fn choices(flags: &str) -> Choices {
        typed(&MIO, flags).expect("good flags").choices
    }

    #[track_caller]
    fn check_refused(flags: &str, parts: &[&str]) {
        let error = typed(&MIO, flags).expect_err("bad flags");
        let text = error.to_string();
        assert_eq!(error.exit_code(), 2, "{text}");
        for part in parts {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
    }

    #[test]
    fn the_flags_fit_together() {
        command(&THREADED).debug_assert();
        command(&MIO).debug_assert();
    }

    #[test]
    fn nothing_typed_is_no_choice() {
        let line = typed(&MIO, "").expect("no flags");
        assert_eq!(line.choices, Choices::default());
        assert_eq!(line.config, None);
    }

    #[test]
    fn every_flag_becomes_a_choice() {
        let choices = choices(
            "--listen localhost:0 --listen [::1]:8080 --memory --loops 3 \
             --log-level debug --log-format json --topic-bytes-max 64MiB --linger-ms-max 7",
        );
        let listen: Vec<String> =
            choices.listen.iter().flatten().map(ToString::to_string).collect();
        assert_eq!(listen, ["localhost:0", "[::1]:8080"]);
        assert_eq!(choices.memory, Some(true));
        assert_eq!(choices.data, None);
        assert_eq!((choices.durability, choices.recover, &choices.topics), (None, None, &None));
        assert_eq!(choices.loops, NonZeroUsize::new(3));
        assert_eq!(choices.log_level, Some(LogLevel::Debug));
        assert_eq!(choices.log_format, Some(LogFormat::Json));
        let limits = choices.limits.limits();
        assert_eq!((limits.topic_bytes_max, limits.linger_ms_max), (64 << 20, 7));
    }

    #[test]
    fn every_flag_of_storage_on_disk_becomes_a_choice() {
        let choices = choices("--data d --durability os --recover quarantine");
        assert_eq!((choices.memory, choices.data), (None, Some("d".into())));
        assert_eq!(choices.durability, Some(DurabilityChoice::Os));
        assert_eq!(choices.recover, Some(Recover::Quarantine));
    }

    #[test]
    fn only_a_backend_with_event_loops_takes_loops() {
        let error = typed(&THREADED, "--loops 2").expect_err("unknown there");
        assert_eq!(error.kind(), ErrorKind::UnknownArgument);
        assert!(!command(&THREADED).render_help().to_string().contains("--loops"));
        assert!(command(&MIO).render_help().to_string().contains("--loops"));
    }

    #[test]
    fn bad_flags_are_named_with_what_was_expected() {
        check_refused("--loud", &["--loud"]);
        check_refused("--listen localhost", &["--listen", "without a port; write localhost:8080"]);
        check_refused("--topic-bytes-max 64MB", &["--topic-bytes-max", "found \"64MB\""]);
        check_refused("--linger-ms-max 1s", &["--linger-ms-max", "1s"]);
        check_refused("--loops 0", &["--loops"]);
        check_refused("--log-level loud", &["--log-level", "error, warn, info, debug, trace"]);
        check_refused("--memory --data d", &["--memory", "--data", "cannot be used with"]);
        check_refused("--memory --durability os", &["--durability", "cannot be used with"]);
        check_refused("--memory --recover refuse", &["--recover", "cannot be used with"]);
        check_refused("--durability never", &["--durability", "sync, os"]);
        check_refused("--recover maybe", &["--recover", "refuse, quarantine"]);
        check_refused("stray", &["stray"]);
    }

    #[test]
    fn the_version_names_the_program_the_version_and_the_backend() {
        let version = typed(&MIO, "--version").expect_err("printed as an error");
        assert_eq!(version.to_string(), "tandem 0.1.0 (mio backend)\n");
        assert_eq!(version.exit_code(), 0);
    }

    #[test]
    fn the_help_tells_defaults_exit_codes_and_signals() {
        let help = typed(&MIO, "--help").expect_err("printed as an error").to_string();
        let words: Vec<&str> = help.split_whitespace().collect();
        let help = words.join(" ");
        for part in [
            "Sums up.",
            "[default: 127.0.0.1:8080 and 127.0.0.1:1883]",
            "[default: info]",
            "[default: text]",
            "[default: as many as there are cores]",
            "[default: 64MiB]",
            "[default: sync]",
            "[default: refuse]",
            "it survives a loss of power",
            "copy each damaged segment into DIR/quarantine",
            "2 could not start",
            "SIGTERM, SIGINT stop",
        ] {
            assert!(help.contains(part), "{part:?} is not in: {help}");
        }
    }
}
