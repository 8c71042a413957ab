//! Progress of long work, on standard error and only when that is a terminal.
//!
//! Invariant: nothing of it reaches standard output, a file or a pipe.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar when the amount of work is known, a counter when it is not.
pub struct Progress(ProgressBar);

impl Progress {
    /// Tells whether anybody will see it; what only it needs can be left out else.
    pub fn is_shown() -> bool {
        stderr().is_terminal()
    }

    /// Starts to show `what` is done, of `total` when that is known.
    pub fn start(what: &'static str, total: Option<u64>) -> Self {
        if !Self::is_shown() {
            return Self(ProgressBar::hidden());
        }
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), "{msg} [{bar:30}] {pos}/{len} ({per_sec}, {eta} left)"),
            None => (ProgressBar::new_spinner(), "{msg} {pos} ({per_sec})"),
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(bar.with_style(style.progress_chars("=> ")).with_message(what))
    }

    /// Shows work that says by itself how much of how much is done; a new amount begins a new bar.
    pub fn of(what: &'static str) -> impl FnMut(u64, u64) {
        let mut bar: Option<(u64, Self)> = None;
        move |done, total| {
            if bar.as_ref().is_none_or(|(of, _)| *of != total) {
                bar = Some((total, Self::start(what, Some(total))));
            }
            if let Some((_, bar)) = &bar {
                bar.set(done);
            }
        }
    }

    /// Shows how much is done.
    pub fn set(&self, done: u64) {
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
