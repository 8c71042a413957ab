//! Many questions to one graph: a line each on standard input, an answer each on standard output.
//!
//! Invariant: each question has one answer, in order, and one that is no, or typed wrongly, does not end the rest.

use std::{
    io::{self, BufRead, Write, stdin},
    path::PathBuf,
    time::Instant,
};

use batpak_graph::Graph;
use clap::{Args, Parser};
use serde::{Serialize, Serializer, ser::SerializeSeq};

use crate::{
    error::{CliError, Exit},
    graph::{
        answer::{Answer, Part},
        line::Told,
        question::Question,
    },
    output::{Output, Shown},
};

const ABOUT: &str = "\
Answer questions from standard input, a line each, with one reading of the store

A line holds the words of a question as they would be typed after STORE, or a JSON list of them.
With --json each answer is one object: exit (what the exit code would be), seconds (the time that
the graph took), answer (the list of what the question alone would print) and, unless exit is 0,
error. Without it each answer ends with an empty line.";

/// Answer questions from standard input, a line each, with one reading of the store
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct Ask {}

/// A line of standard input.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(subcommand)]
    question: Question,
}

impl Ask {
    /// Answers until the input ends.
    pub fn run(&self, graph: &Graph, told: Told, output: &mut Output) -> Result<(), CliError> {
        for line in stdin().lock().lines() {
            let line = line.map_err(|source| CliError::Input { path: PathBuf::from("standard input"), source })?;
            if line.trim().is_empty() {
                continue;
            }
            let question = parsed(&line);
            let started = Instant::now();
            let answer = question.and_then(|question| question.answer(graph));
            let seconds = started.elapsed().as_secs_f64();
            output.show(&Answered { graph, told, answer, seconds })?;
            output.flush()?;
        }
        Ok(())
    }
}

fn parsed(line: &str) -> Result<Question, CliError> {
    let words: Vec<String> = if line.trim_start().starts_with('[') {
        serde_json::from_str(line).map_err(|_| CliError::Flags("the question is no JSON list of words"))?
    } else {
        line.split_whitespace().map(str::to_owned).collect()
    };
    let line = Line::try_parse_from(words);
    line.map(|line| line.question).map_err(|wrong| CliError::Command(wrong.to_string().trim_end().to_owned()))
}

/// What is printed for one question.
struct Answered<'a> {
    graph: &'a Graph,
    told: Told,
    answer: Result<Answer, CliError>,
    seconds: f64,
}

impl Answered<'_> {
    fn error(&self) -> Option<&CliError> {
        match &self.answer {
            Ok(answer) => answer.no.as_ref(),
            Err(error) => Some(error),
        }
    }

    fn parts(&self) -> impl ExactSizeIterator<Item = Part<'_>> {
        let items = self.answer.as_ref().map_or(&[][..], |answer| &answer.items);
        items.iter().map(|item| Part { graph: self.graph, item, told: self.told })
    }
}

impl Serialize for Answered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Object<'a> {
            exit: u8,
            seconds: f64,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<String>,
            answer: List<'a>,
        }
        let error = self.error();
        let exit = error.map_or(Exit::Done, CliError::exit).number();
        let object = Object { exit, seconds: self.seconds, error: error.map(CliError::message), answer: List(self) };
        object.serialize(serializer)
    }
}

/// The parts of an answer, each made when it is written.
struct List<'a>(&'a Answered<'a>);

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = self.0.parts();
        let mut list = serializer.serialize_seq(Some(parts.len()))?;
        for part in parts {
            list.serialize_element(&part)?;
        }
        list.end()
    }
}

impl Shown for Answered<'_> {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        for part in self.parts() {
            part.human(out)?;
        }
        if let Some(error) = self.error() {
            writeln!(out, "no: {}", error.message())?;
        }
        writeln!(out)
    }
}
