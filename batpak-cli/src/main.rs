//! `batpak`: makes, fills, reads, verifies and shreds stores from the command line.
//!
//! Invariant: what was asked for goes to standard output and everything else to standard error, and the exit code alone says
//! whether it was done (0), the answer is no (1), the command was wrong (2), or the store or the disk refused (3).

mod accept;
mod append;
mod backup;
mod certificate;
mod command;
mod demo;
mod drill;
mod durability;
mod error;
mod event;
mod get;
mod graph;
mod hold;
mod import;
mod init;
mod keys;
mod leakcheck;
mod open;
mod output;
mod progress;
mod read;
mod readmit;
mod receipt;
mod rekey;
mod restore;
mod resume;
mod rules;
mod selection;
mod shred;
mod size;
mod stats;
mod time;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use crate::command::{Cli, Verb};
use crate::error::{CliError, Exit};
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(wrong) => return refuse_command(&wrong),
    };
    let mut output = Output::new(cli.json);
    let done = run(&cli, &mut output).and_then(|()| output.flush());
    match done {
        Ok(()) => Exit::Done.code(),
        // Whoever read our output has seen enough.
        Err(error) if error.is_broken_pipe() => Exit::Done.code(),
        Err(error) => {
            // What was asked for up to the error stands before the error, on terminals that show both.
            let _ = output.flush();
            output::report(&error, cli.json);
            error.exit().code()
        }
    }
}

/// Carries out the verb.
fn run(cli: &Cli, output: &mut Output) -> Result<(), CliError> {
    match &cli.verb {
        Verb::Init(verb) => verb.run(&cli.keys, output),
        Verb::Append(verb) => verb.run(&cli.keys, output),
        Verb::Import(verb) => verb.run(&cli.keys, output),
        Verb::Get(verb) => verb.run(&cli.keys, output),
        Verb::Read(verb) => verb.run(&cli.keys, output),
        Verb::Verify(verb) => verb.run(&cli.keys, output),
        Verb::Stats(verb) => verb.run(&cli.keys, output),
        Verb::Graph(verb) => verb.run(&cli.keys, output),
        Verb::Shred(verb) => verb.run(&cli.keys, output),
        Verb::Certificate(verb) => verb.run(output),
        Verb::Readmit(verb) => verb.run(&cli.keys, output),
        Verb::Hold(verb) => verb.run(&cli.keys, output),
        Verb::Release(verb) => verb.run(&cli.keys, output),
        Verb::Holds(verb) => verb.run(output),
        Verb::Rekey(verb) => verb.run(&cli.keys, output),
        Verb::Resume(verb) => verb.run(&cli.keys, output),
        Verb::Accept(verb) => verb.run(&cli.keys, output),
        Verb::Keys(verb) => verb.run(&cli.keys, output),
        Verb::Backup(verb) => verb.run(output),
        Verb::Restore(verb) => verb.run(output),
        Verb::Drill(verb) => verb.run(&cli.keys, output),
        Verb::Leakcheck(verb) => verb.run(&cli.keys, output),
        Verb::Demo(verb) => verb.run(&cli.keys, output),
    }
}

/// Answers a command line that could not be read; help and version are answers too.
fn refuse_command(wrong: &clap::Error) -> ExitCode {
    let json = std::env::args_os().skip(1).any(|arg| arg == "--json");
    if wrong.use_stderr() && json {
        output::report(&CliError::Command(wrong.to_string().trim_end().to_owned()), true);
    } else {
        // Nobody is left to tell when the terminal refuses.
        let _ = wrong.print();
    }
    if wrong.use_stderr() { Exit::Usage.code() } else { Exit::Done.code() }
}
