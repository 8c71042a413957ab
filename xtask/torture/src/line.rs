//! What a worker says, one line each, written after the call that it speaks of has returned.
//!
//! Invariant: a line that was not written whole is no line, so a killed worker has said nothing that is not true.

use std::fmt;
use std::str::FromStr;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The store was closed.
    Closed,
    /// An operation of a thread has returned.
    Done { thread: u16, at: u32, ended: Ended },
    /// The store is open, and its log was found to end here.
    Open { end: u64 },
    /// The store could not be opened; the words are the error's.
    NotOpen { why: String },
    /// The worker's process id, before anything else.
    Process { id: u32 },
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was acknowledged; positions of the events it appended, a shred's intent and completion among them.
    Acknowledged { positions: Vec<u64> },
    /// It was answered that the key scope is shredded.
    Refused,
    /// It failed, and says that nothing of it is in the log.
    Failed { why: String },
    /// It failed, and says that reopening decides.
    Undecided { why: String },
    /// It failed because the shred of this intent is on record and not finished, or else a rekey.
    Pending { intent: Option<u64>, why: String },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Closed => write!(f, "closed;"),
            Line::Done { thread, at, ended } => match ended {
                Ended::Acknowledged { positions } => {
                    write!(f, "done {thread} {at} ok")?;
                    positions.iter().try_for_each(|position| write!(f, " {position}"))?;
                    write!(f, ";")
                }
                Ended::Refused => write!(f, "done {thread} {at} refused;"),
                Ended::Failed { why } => write!(f, "done {thread} {at} failed {why};"),
                Ended::Undecided { why } => write!(f, "done {thread} {at} undecided {why};"),
                Ended::Pending { intent: Some(intent), why } => write!(f, "done {thread} {at} pending {intent} {why};"),
                Ended::Pending { intent: None, why } => write!(f, "done {thread} {at} pending - {why};"),
            },
            Line::Open { end } => write!(f, "open {end};"),
            Line::NotOpen { why } => write!(f, "not-open {why};"),
            Line::Process { id } => write!(f, "process {id};"),
        }
    }
}

/// The line is none of a worker's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoLine;

impl FromStr for Line {
    type Err = NoLine;

    fn from_str(text: &str) -> Result<Line, NoLine> {
        let text = text.strip_suffix(';').ok_or(NoLine)?;
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        match verb {
            "closed" => Ok(Line::Closed),
            "open" => Ok(Line::Open { end: number(rest)? }),
            "not-open" => Ok(Line::NotOpen { why: rest.to_owned() }),
            "process" => Ok(Line::Process { id: number(rest)? }),
            "done" => {
                let mut words = rest.splitn(4, ' ');
                let mut next = || words.next().ok_or(NoLine);
                let (thread, at, how) = (number(next()?)?, number(next()?)?, next()?);
                let rest = next().unwrap_or("");
                Ok(Line::Done { thread, at, ended: ended(how, rest)? })
            }
            _ => Err(NoLine),
        }
    }
}

fn ended(how: &str, rest: &str) -> Result<Ended, NoLine> {
    let why = || rest.to_owned();
    match how {
        "ok" => Ok(Ended::Acknowledged { positions: rest.split_whitespace().map(number).collect::<Result<_, _>>()? }),
        "refused" => Ok(Ended::Refused),
        "failed" => Ok(Ended::Failed { why: why() }),
        "undecided" => Ok(Ended::Undecided { why: why() }),
        "pending" => {
            let (intent, why) = rest.split_once(' ').ok_or(NoLine)?;
            let intent = if intent == "-" { None } else { Some(number(intent)?) };
            Ok(Ended::Pending { intent, why: why.to_owned() })
        }
        _ => Err(NoLine),
    }
}

fn number<T: FromStr>(word: &str) -> Result<T, NoLine> {
    word.parse().map_err(|_| NoLine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_they_were_written() {
        let why = || "the disk (os error 5)".to_owned();
        let endings = [
            Ended::Acknowledged { positions: vec![3, 14] },
            Ended::Acknowledged { positions: vec![] },
            Ended::Refused,
            Ended::Failed { why: why() },
            Ended::Undecided { why: why() },
            Ended::Pending { intent: Some(9), why: why() },
            Ended::Pending { intent: None, why: why() },
        ];
        let done = endings.map(|ended| Line::Done { thread: 1, at: 20, ended });
        let others = [Line::Closed, Line::Open { end: 7 }, Line::NotOpen { why: why() }, Line::Process { id: 9 }];
        for line in done.into_iter().chain(others) {
            assert_eq!(line.to_string().parse(), Ok(line));
        }
    }

    #[test]
    fn line_that_was_cut_is_none() {
        let whole = Line::Done { thread: 0, at: 12, ended: Ended::Acknowledged { positions: vec![15] } }.to_string();
        for cut in 0..whole.len() {
            assert_eq!(whole[..cut].parse::<Line>(), Err(NoLine), "{}", &whole[..cut]);
        }
    }
}
