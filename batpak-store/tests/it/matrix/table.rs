//! The table: how many damages of each kind of file had which answer.

use std::{collections::BTreeMap, fmt};

use super::{
    damage::Damage,
    judge::Answer,
    subject::{FileKind, Target},
};

/// So many failures are named.
const NAMED: usize = 20;

/// The answers, as the columns name them; the last three may not be.
const COLUMNS: [&str; 11] = [
    "refused",
    "reported",
    "healed",
    "rebuilt",
    "as it is",
    "to there",
    "end gone",
    "unused",
    "undetected",
    "wrong",
    "panics",
];
const ALLOWED: usize = 8;

fn column(answer: &Answer) -> usize {
    match answer {
        Answer::Refused => 0,
        Answer::Reported => 1,
        Answer::Healed => 2,
        Answer::Rebuilt => 3,
        Answer::AsBefore => 4,
        Answer::EndsBefore => 5,
        Answer::EndGone => 6,
        Answer::Unused => 7,
        Answer::Undetected(_) => 8,
        Answer::Wrong(_) => 9,
        Answer::Panicked => 10,
    }
}

/// A row for a writer and one for a reader, for each kind of file.
#[derive(Default)]
pub struct Table {
    rows: BTreeMap<FileKind, [[usize; COLUMNS.len()]; 2]>,
    exist: BTreeMap<FileKind, usize>,
    failures: Vec<String>,
}

impl Table {
    pub fn add(&mut self, target: &Target, damage: &Damage, answers: &[Answer; 2]) {
        let rows = self.rows.entry(target.kind).or_default();
        for ((row, answer), who) in rows.iter_mut().zip(answers).zip(["writer", "reader"]) {
            row[column(answer)] += 1;
            if column(answer) >= ALLOWED && self.failures.len() < NAMED {
                let (file, segment) = (target.kind.name(), target.segment);
                self.failures.push(format!("{file} {segment:?}, {damage:?}, {who}: {answer:?}"));
            }
        }
    }

    /// How many damages of a file there are, tried or not.
    pub fn exist(&mut self, kind: FileKind, damages: usize) {
        *self.exist.entry(kind).or_default() += damages;
    }

    /// The first answers that may not be.
    pub fn failures(&self) -> Vec<&str> {
        self.failures.iter().map(String::as_str).collect()
    }

    pub fn kinds(&self) -> Vec<FileKind> {
        self.rows.keys().copied().collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "matrix: {:26} {:>7} {:>7}", "file", "damages", "tried")?;
        COLUMNS.iter().try_for_each(|name| write!(f, " {name:>10}"))?;
        writeln!(f)?;
        let (mut tried, mut bad) = (0, 0);
        for (kind, rows) in &self.rows {
            for (row, name) in rows.iter().zip([kind.name(), "  to a reader"]) {
                let count: usize = row.iter().sum();
                tried += count;
                bad += row[ALLOWED..].iter().sum::<usize>();
                write!(f, "matrix: {name:26} {:7} {count:7}", self.exist.get(kind).unwrap_or(&0))?;
                row.iter().try_for_each(|count| write!(f, " {count:10}"))?;
                writeln!(f)?;
            }
        }
        write!(f, "matrix: {tried} opens of damaged stores, {bad} not as they must be")
    }
}
