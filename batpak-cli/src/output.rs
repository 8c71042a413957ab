//! What goes to standard output, as JSON lines or for people, and the report of an error on standard error.
//!
//! Invariant: with `--json` each line is one object, and text that came from a payload cannot steer a terminal.

use std::io::{self, BufWriter, Stdout, Write};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::CliError;

/// What a verb prints: an object for programs, lines for people.
pub trait Shown: Serialize {
    /// Writes the lines for people.
    fn human(&self, out: &mut dyn Write) -> io::Result<()>;
}

/// Standard output.
pub struct Output {
    json: bool,
    out: BufWriter<Stdout>,
}

impl Output {
    /// Takes standard output.
    pub fn new(json: bool) -> Self {
        Self { json, out: BufWriter::new(io::stdout()) }
    }

    /// Tells whether objects are printed.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints one thing.
    pub fn show(&mut self, shown: &impl Shown) -> Result<(), CliError> {
        let written = if self.json {
            serde_json::to_writer(&mut self.out, shown)
                .map_err(io::Error::from)
                .and_then(|()| self.out.write_all(b"\n"))
        } else {
            shown.human(&mut self.out)
        };
        written.map_err(CliError::Output)
    }

    /// Writes a line for people that is not part of the answer; nothing with `--json`.
    pub fn remark(&mut self, line: &str) -> Result<(), CliError> {
        if self.json {
            return Ok(());
        }
        writeln!(self.out, "{line}").map_err(CliError::Output)
    }

    /// Writes what is neither an object nor lines for people: a drawing.
    pub fn write(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), CliError> {
        write(&mut self.out).map_err(CliError::Output)
    }

    /// Hands everything to the operating system.
    pub fn flush(&mut self) -> Result<(), CliError> {
        self.out.flush().map_err(CliError::Output)
    }
}

/// Says on standard error what went wrong.
pub fn report(error: &CliError, json: bool) {
    let line = if json {
        let mut object = Map::new();
        object.insert("error".into(), error.message().into());
        object.insert("exit".into(), error.exit().number().into());
        object.extend(error.details());
        Value::Object(object).to_string()
    } else {
        format!("batpak: {}", error.message())
    };
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Warns on standard error.
pub fn warn(line: &str) {
    let _ = writeln!(io::stderr(), "batpak: warning: {line}");
}

/// Makes text from a payload safe for a terminal: control characters other than line ends and tabs are written as escapes.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() && !matches!(char, '\n' | '\t') {
            safe.extend(char.escape_default());
        } else {
            safe.push(char);
        }
    }
    safe
}

/// Writes a count with what is counted, in the right number.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Writes a count of bytes for people.
pub fn bytes_human(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = "KiB";
    for next in &units[1..] {
        if amount < 1024.0 {
            break;
        }
        amount /= 1024.0;
        unit = next;
    }
    format!("{amount:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_escapes_what_steers_a_terminal() {
        assert_eq!(printable("a\u{1b}[2J\tb\n"), "a\\u{1b}[2J\tb\n");
    }

    #[test]
    fn counted_picks_the_number() {
        assert_eq!(
            (counted(1, "cause", "causes"), counted(0, "cause", "causes")),
            ("1 cause".into(), "0 causes".into())
        );
    }

    #[test]
    fn bytes_human_picks_the_unit() {
        assert_eq!(bytes_human(1023), "1023 B");
        assert_eq!(bytes_human(1536), "1.5 KiB");
        assert_eq!(bytes_human(3 * 1024 * 1024), "3.0 MiB");
    }
}
