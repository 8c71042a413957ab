//! Child processes: each is printed before it runs, and one that fails is an error.

use std::env;
use std::ffi::OsStr;
use std::process::Command;

use crate::Outcome;

/// Returns a call of the cargo that runs this task.
pub(crate) fn cargo<'a>(words: impl IntoIterator<Item = &'a str>) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    call(program, words)
}

/// Returns a call of `program`.
pub(crate) fn call<'a>(program: impl AsRef<OsStr>, words: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(program);
    command.args(words);
    command
}

/// Runs `command` with this process's own output.
///
/// # Errors
///
/// When it cannot start or does not end with success.
pub(crate) fn run(mut command: Command) -> Outcome {
    let shown = shown(&command);
    println!("$ {shown}");
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` ended with {status}").into()) }
}

/// Runs `command` and returns what it printed on standard output; standard error passes through.
///
/// # Errors
///
/// As [`run`], and when the output is not UTF-8.
pub(crate) fn output(mut command: Command) -> Outcome<String> {
    let shown = shown(&command);
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        // What it said before it failed says why.
        print!("{}", String::from_utf8_lossy(&output.stdout));
        Err(format!("`{shown}` ended with {}", output.status).into())
    }
}

fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name).chain(command.get_args()).map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_reports_the_command_that_failed() {
        let failure = run(call("false", ["a", "b"])).unwrap_err().to_string();
        assert_eq!(failure, "`false a b` ended with exit status: 1");
    }

    #[test]
    fn output_returns_standard_output() {
        assert!(output(cargo(["--version"])).unwrap().starts_with("cargo "));
    }
}
