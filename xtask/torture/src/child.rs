//! A worker process, seen from outside: its lines, its end, and a limit on its time.
//!
//! Invariant: it is killed and waited for before the handle is gone, whatever happens in between.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{env, os::unix::process::ExitStatusExt};

use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;
use crate::breakage::Breakage;
use crate::line::Line;
use crate::script::Script;

/// No worker takes so long unless it hangs.
const SECONDS_MAX: u64 = 60;

/// A running worker.
pub(crate) struct Worker {
    child: Child,
    said: BufReader<ChildStdout>,
    lines: Vec<Line>,
    /// Where in the worker's output each line ended.
    ends: Vec<u64>,
    /// How much of the output was read.
    read: u64,
    /// Dropped when the worker has ended in time.
    watched: Option<(Sender<()>, JoinHandle<bool>)>,
}

/// How a worker ended, and what it said.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) lines: Vec<Line>,
    /// Where in the output each line ended.
    ends: Vec<u64>,
    pub(crate) was_killed: bool,
}

impl End {
    /// How many lines were said when so much was written.
    pub(crate) fn lines_within(&self, written: u64) -> usize {
        self.ends.partition_point(|end| *end <= written)
    }
}

/// The words that start a worker on `place`.
fn words(place: &Path, script: Script, breakage: Breakage) -> Vec<String> {
    let Script { seed, round, threads, operations, deferred, patient } = script;
    let numbers = format!("{seed} {round} {threads} {operations} {deferred} {patient}");
    let numbers = numbers.split(' ').map(str::to_owned);
    ["worker".to_owned(), place.display().to_string(), breakage.name().to_owned()].into_iter().chain(numbers).collect()
}

impl Worker {
    /// Starts a worker on `place`.
    ///
    /// # Errors
    ///
    /// When the process cannot be started.
    pub(crate) fn start(place: &Path, script: Script, breakage: Breakage) -> Outcome<Worker> {
        Worker::spawn(Command::new(env::current_exe()?).args(words(place, script, breakage)))
    }

    /// Starts a worker under strace, which is given `options`.
    ///
    /// # Errors
    ///
    /// When the process cannot be started.
    pub(crate) fn traced(place: &Path, script: Script, breakage: Breakage, options: &[String]) -> Outcome<Worker> {
        let mut strace = Command::new("strace");
        strace.arg("-f").args(options).arg(env::current_exe()?).args(words(place, script, breakage));
        Worker::spawn(&mut strace)
    }

    fn spawn(command: &mut Command) -> Outcome<Worker> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let said = child.stdout.take().ok_or("the worker has no output")?;
        let mut worker =
            Worker { child, said: BufReader::new(said), lines: Vec::new(), ends: Vec::new(), read: 0, watched: None };
        worker.until(|line| matches!(line, Line::Process { .. }))?;
        let process = match worker.lines.first() {
            Some(Line::Process { id }) => Pid::from_raw(i32::try_from(*id)?),
            _ => None,
        };
        // A worker that was killed before it could speak needs no watch.
        if let Some(process) = process {
            let (sender, receiver) = mpsc::channel();
            let watch = thread::spawn(move || {
                let hangs = receiver
                    .recv_timeout(Duration::from_secs(SECONDS_MAX))
                    .is_err_and(|it| it == mpsc::RecvTimeoutError::Timeout);
                hangs && kill_process(process, Signal::KILL).is_ok()
            });
            worker.watched = Some((sender, watch));
        }
        Ok(worker)
    }

    /// Reads on until the worker has said a line like this, or has ended.
    ///
    /// # Errors
    ///
    /// When the pipe fails.
    pub(crate) fn until(&mut self, mut is_it: impl FnMut(&Line) -> bool) -> Outcome {
        let mut text = String::new();
        loop {
            text.clear();
            match self.said.read_line(&mut text)? {
                0 => return Ok(()),
                read => self.read += read as u64,
            }
            // A line that was cut by the worker's death is none.
            if let Ok(line) = text.trim_end().parse::<Line>() {
                let is_found = is_it(&line);
                self.lines.push(line);
                self.ends.push(self.read);
                if is_found {
                    return Ok(());
                }
            }
        }
    }

    /// How many lines were heard so far.
    pub(crate) fn said(&self) -> usize {
        self.lines.len()
    }

    /// How much the worker has written by now, read or not.
    ///
    /// # Errors
    ///
    /// When the pipe cannot be asked.
    pub(crate) fn written(&self) -> Outcome<u64> {
        Ok(self.read + self.said.buffer().len() as u64 + rustix::io::ioctl_fionread(self.said.get_ref())?)
    }

    /// Tells a patient worker to go on.
    pub(crate) fn go_on(&mut self) {
        // One that does not wait may have ended.
        drop(self.child.stdin.take());
    }

    /// Kills the worker where it stands, and returns what it said.
    ///
    /// # Errors
    ///
    /// As [`Worker::end`].
    pub(crate) fn kill(mut self) -> Outcome<End> {
        self.child.kill()?;
        self.end()
    }

    /// Waits until the worker ends.
    ///
    /// # Errors
    ///
    /// When it ended in any way but by a signal or with success: a panic, or a promise broken under its own eyes.
    pub(crate) fn end(mut self) -> Outcome<End> {
        self.until(|_| false)?;
        if let Some((sender, watch)) = self.watched.take() {
            drop(sender);
            if watch.join().unwrap_or(true) {
                return Err(format!("the worker hangs after {:?}", self.lines.last()).into());
            }
        }
        let status = self.child.wait()?;
        if !status.success() && !was_killed(status) {
            return Err(format!("the worker ended with {status} after {:?}", self.lines.last()).into());
        }
        let (lines, ends) = (std::mem::take(&mut self.lines), std::mem::take(&mut self.ends));
        Ok(End { lines, ends, was_killed: was_killed(status) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It has ended already, unless something failed here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}
