//! tandem, the command-line client: makes topics, publishes, follows and pulls.

mod arguments;
mod commands;
mod failure;
mod output;

use arguments::{Arguments, Command};
use clap::Parser;
use failure::Failure;
use output::Output;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut output = Output::new(arguments.format());
    let outcome = run(&arguments, &mut output).and_then(|()| Ok(output.flush()?));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            // Where standard error is closed too there is no one left to tell.
            let _untold = writeln!(std::io::stderr(), "tandem: {failure}");
            failure.exit_code()
        }
    }
}

fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    match &arguments.command {
        Command::Topic(command) => commands::topic(arguments, command, output),
        Command::Pub(publication) => commands::publish(arguments, publication, output),
        Command::Sub(following) => commands::follow(arguments, following, output),
        Command::Pull(pull) => commands::pull(arguments, pull, output),
        Command::Subscribe(subscription) => commands::subscribe(arguments, subscription, output),
        Command::Unsubscribe(subscription) => {
            commands::unsubscribe(arguments, subscription, output)
        }
        Command::Seek(seek) => commands::seek(arguments, seek, output),
        Command::Subscribers { topic } => commands::subscribers(arguments, topic, output),
        Command::Info => commands::info(arguments, output),
        Command::Journal(command) => commands::journal(command, output),
        Command::Ping => commands::ping(arguments, output),
    }
}
