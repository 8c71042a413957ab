//! The corruption matrix: every byte of every file of a small store damaged, one at a time, and what an open makes of it.
//!
//! Here it runs thinly; `cargo xtask matrix` sets `BATPAK_MATRIX` and prints the table. What must hold of every damage: it is refused
//! with its place, reported, or mended; no event reads other than it was written; nothing panics.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use damage::{Damage, damages};
use judge::{Answer, judge_reader, judge_writer};
use subject::{FileKind, Subject, Target};
use table::Table;

use crate::kit::Place;

mod damage;
mod judge;
mod subject;
mod table;

/// How much of the matrix is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// A damage in so many, in `cargo test`.
    Thin(usize),
    /// Every damage, but for long runs of zeros and for extents, which repeat themselves.
    Most,
    All,
}

impl Effort {
    fn asked() -> Self {
        match std::env::var("BATPAK_MATRIX").as_deref() {
            Ok("long") => Self::All,
            Ok("ci") => Self::Most,
            Ok(other) => panic!("BATPAK_MATRIX is ci or long, not {other}"),
            Err(_) => Self::Thin(401),
        }
    }

    /// The damages that are tried: one in so many, and fewer of those that repeat each other.
    fn choose(self, target: &Target, all: Vec<Damage>) -> Vec<Damage> {
        let (every, every_repeated) = match self {
            Self::All => (1, 1),
            Self::Most => (1, 311),
            Self::Thin(every) => (every, every * 31),
        };
        let chosen = |(n, damage): &(usize, Damage)| {
            n.is_multiple_of(if damage.repeats_itself(target) { every_repeated } else { every })
        };
        all.into_iter().enumerate().filter(chosen).map(|(_, damage)| damage).collect()
    }
}

/// A disk with the subject's store, one file of it damaged.
fn damaged(subject: &Subject, target: &Target, damage: &Damage) -> Place {
    let place = Place::on(subject.disk.copy());
    match damage.apply(&target.bytes) {
        Some(bytes) => place.put(&target.path, &bytes),
        None => place.disk.remove(&target.path).unwrap(),
    }
    place
}

/// What a writer and a reader make of one damage.
fn both_answers(subject: &Subject, target: &Target, damage: &Damage) -> [Answer; 2] {
    let judged = |judge: fn(&Subject, &Target, &Place) -> Answer| {
        let place = damaged(subject, target, damage);
        catch_unwind(AssertUnwindSafe(|| judge(subject, target, &place))).unwrap_or(Answer::Panicked)
    };
    [judged(judge_writer), judged(judge_reader)]
}

/// Runs a subject's damages on all cores.
fn run(subject: &Subject, effort: Effort, table: &Mutex<Table>) {
    for target in &subject.targets {
        let all = damages(target);
        let exist = all.len();
        let chosen = effort.choose(target, all);
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(damage) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                let answers = both_answers(subject, target, damage);
                table.lock().unwrap().add(target, damage, &answers);
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(work);
            }
        });
        table.lock().unwrap().exist(target.kind, exist);
    }
}

#[test]
fn damage_of_any_byte_is_refused_reported_or_mended() {
    let effort = Effort::asked();
    let table = Mutex::new(Table::default());
    for subject in [Subject::closed(), Subject::stopped(), Subject::plain(), Subject::extent()] {
        assert_eq!(judge_writer(&subject, &subject.targets[0], &Place::on(subject.disk.copy())), Answer::Rebuilt);
        run(&subject, effort, &table);
    }
    let table = table.into_inner().unwrap();
    println!("{table}");
    assert_eq!(table.failures(), [""; 0]);
    assert_eq!(table.kinds(), FileKind::ALL, "every kind of file must be there");
}

/// The control: a judge who knows of another payload, of a file that is not mended, or of an event that is not there, says so.
#[test]
fn judge_sees_wrong_data_and_damage_that_nothing_finds() {
    let mut subject = Subject::closed();
    let place = Place::on(subject.disk.copy());
    let path = place.dir().join(".note");
    place.put(&path, b"kept by nobody");
    subject.disk = place.memory.clone().unwrap();
    let note = Target { path, kind: FileKind::KeysetA, bytes: b"kept by nobody".to_vec(), segment: None };
    let answers = both_answers(&subject, &note, &Damage::Flip(3));
    assert!(matches!(&answers[0], Answer::Undetected(_)), "{answers:?}");
    assert_eq!(answers[1], Answer::AsBefore);

    let target = Target { bytes: subject.targets[0].bytes.clone(), path: subject.targets[0].path.clone(), ..note };
    let footer = Damage::Cut(target.bytes.len() - 1);
    subject.events[4].header.revision += 1;
    assert!(both_answers(&subject, &target, &footer).iter().all(|answer| matches!(answer, Answer::Wrong(_))));
    subject.events[4].header.revision -= 1;
    let last = subject.events.last().unwrap().clone();
    subject.events.push(last);
    let answers = both_answers(&subject, &target, &footer);
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Wrong(_))), "{answers:?}");
}
