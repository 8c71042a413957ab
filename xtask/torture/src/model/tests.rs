//! Histories that a worker may tell, and ones that cannot be true.
//!
//! Invariant: each lie is one change of a history that is believed.

use std::collections::BTreeSet;

use super::*;

const SCRIPT: Script = Script { seed: 11, round: 0, threads: 1, operations: 200, deferred: false, patient: false };

/// What a store that keeps its promises says of the whole script.
fn told() -> Vec<Line> {
    let mut refused: BTreeSet<String> = BTreeSet::new();
    let mut end = 1;
    let mut lines = vec![Line::Open { end }];
    for at in 0..SCRIPT.operations {
        let taken = match SCRIPT.operation(0, at) {
            Operation::Append { events, .. } if events.iter().any(|it| refused.contains(&it.entity)) => None,
            Operation::Append { events, .. } => Some(events.len() as u64),
            Operation::Shred { entity } => {
                refused.insert(entity);
                Some(2)
            }
            Operation::Readmit { entity } => {
                refused.remove(&entity);
                end += 1;
                Some(0)
            }
            Operation::Rekey | Operation::Reopen | Operation::Sync => Some(0),
        };
        let positions = |taken: u64| Ended::Acknowledged { positions: (end..end + taken).collect() };
        lines.push(Line::Done { thread: 0, at, ended: taken.map_or(Ended::Refused, positions) });
        end += taken.unwrap_or(0);
    }
    lines
}

fn hear(lines: &[Line], failures: Failures) -> Result<Model, String> {
    let mut model = Model::new(Survives::Buffered, failures);
    model.hear(SCRIPT, lines).map(|()| model).map_err(|why| why.to_string())
}

/// The line of the first operation that is as asked.
fn first(lines: &[Line], wanted: impl Fn(&Operation, &Ended) -> bool) -> usize {
    let is = |line: &Line| match line {
        Line::Done { at, ended, .. } => wanted(&SCRIPT.operation(0, *at), ended),
        _ => false,
    };
    lines.iter().position(is).unwrap()
}

fn set(lines: &mut [Line], at: usize, ended: Ended) {
    match &mut lines[at] {
        Line::Done { ended: said, .. } => *said = ended,
        other => panic!("{other} is no operation's"),
    }
}

fn why() -> String {
    "a reason".to_owned()
}

#[test]
fn history_of_a_store_that_keeps_its_promises_is_believed() {
    let lines = told();
    let model = hear(&lines, Failures::None).unwrap();
    let acknowledged = lines.iter().filter(|line| matches!(line, Line::Done { ended: Ended::Acknowledged { .. }, .. }));
    assert!(acknowledged.count() > 100 && model.events.len() > 50 && model.system.len() > 3);
    assert!(model.events.values().any(|known| known.fate == Fate::Shredded));
    assert!(model.events.values().all(|known| known.position.is_some()));
}

#[test]
fn history_that_cannot_be_is_rejected() {
    let nothing = || Ended::Acknowledged { positions: Vec::new() };
    let appended = |operation: &Operation, ended: &Ended| {
        matches!((operation, ended), (Operation::Append { .. }, Ended::Acknowledged { .. }))
    };
    type Lie<'a> = (&'a str, &'a dyn Fn(&mut Vec<Line>));
    let lies: [Lie<'_>; 8] = [
        ("an operation left out", &|lines| drop(lines.remove(9))),
        ("an append to a shredded key scope", &|lines| {
            let at = first(lines, |_, ended| *ended == Ended::Refused);
            let Line::Done { at: number, .. } = lines[at] else { panic!("it is an operation's") };
            let Operation::Append { events, .. } = SCRIPT.operation(0, number) else { panic!("it is an append") };
            set(lines, at, Ended::Acknowledged { positions: (900..900 + events.len() as u64).collect() });
        }),
        ("a refusal without a shred", &|lines| {
            let at = first(lines, |operation, ended| {
                let new = |entity: &str| entity.starts_with("new-");
                let Operation::Append { events, .. } = operation else { return false };
                appended(operation, ended) && events.iter().all(|it| new(&it.entity))
            });
            set(lines, at, Ended::Refused);
        }),
        ("a refusal of a sync", &|lines| {
            let at = first(lines, |operation, _| *operation == Operation::Sync);
            set(lines, at, Ended::Refused);
        }),
        ("a position less", &|lines| {
            let at = first(lines, appended);
            set(lines, at, nothing());
        }),
        ("a failure without a fault", &|lines| {
            let at = first(lines, appended);
            set(lines, at, Ended::Failed { why: why() });
        }),
        ("a log that ends before what was acknowledged", &|lines| lines.push(Line::Open { end: 3 })),
        ("a store that does not open", &|lines| lines.push(Line::NotOpen { why: why() })),
    ];
    for (lie, tell) in lies {
        let mut lines = told();
        tell(&mut lines);
        assert!(hear(&lines, Failures::None).is_err(), "{lie} is believed");
    }
}

#[test]
fn poisoned_store_that_acknowledges_is_rejected_and_one_that_fails_is_not() {
    let mut lines = told();
    lines.truncate(20);
    let last = lines.len() - 1;
    set(&mut lines, last - 1, Ended::Undecided { why: why() });
    set(&mut lines, last, Ended::Acknowledged { positions: vec![500] });
    assert!(hear(&lines, Failures::Expected).is_err());
    set(&mut lines, last, Ended::Undecided { why: why() });
    assert!(hear(&lines, Failures::Expected).is_ok());
}

#[test]
fn poisoned_store_that_refuses_is_rejected() {
    let mut lines = told();
    let refused = first(&lines, |_, ended| *ended == Ended::Refused);
    lines.truncate(refused + 1);
    assert!(hear(&lines, Failures::Expected).is_ok());
    set(&mut lines, refused - 1, Ended::Undecided { why: why() });
    assert!(hear(&lines, Failures::Expected).is_err());
    set(&mut lines, refused, Ended::Undecided { why: why() });
    assert!(hear(&lines, Failures::Expected).is_ok());
}

const DURABLE: u64 = 20;

/// What one worker said, of which only the first events are durable, and then what another said about when the power was cut.
fn overtaken(second: &[Line], trusted: usize) -> Model {
    let mut model = Model::new(Survives::Synced, Failures::Expected);
    model.hear(SCRIPT, &told()).unwrap();
    model.end_min = DURABLE;
    model.hear_until(Script { round: 1, ..SCRIPT }, second, trusted).unwrap();
    model
}

fn at_or_beyond(model: &Model, end: u64) -> usize {
    model.events.values().filter(|known| known.position.is_some_and(|it| it >= end)).count()
}

#[test]
fn worker_that_opened_while_the_power_was_cut_tells_where_the_log_ended() {
    let open = Line::Open { end: DURABLE + 1 };
    let said = overtaken(std::slice::from_ref(&open), 0);
    let unsaid = overtaken(&[Line::Open { end: u64::MAX }], 0);
    assert!(at_or_beyond(&unsaid, DURABLE + 1) > 1, "what is beyond is known, unless an open tells that it is lost");
    assert_eq!(at_or_beyond(&said, DURABLE + 1), 0);
    assert_eq!(said.events.len(), unsaid.events.len() - at_or_beyond(&unsaid, DURABLE + 1));
    // Whether what it found is durable, nobody has said.
    assert_eq!((said.end_min, overtaken(&[open], 1).end_min), (DURABLE, DURABLE + 1));
}

#[test]
fn worker_that_said_nothing_may_have_opened_the_store() {
    let heard = overtaken(&[Line::Open { end: u64::MAX }], 0);
    let silent = overtaken(&[], 0);
    let beyond = at_or_beyond(&heard, DURABLE);
    assert!(beyond > 1);
    assert_eq!(at_or_beyond(&silent, DURABLE), 0);
    assert_eq!(silent.events.len(), heard.events.len());
    let known = |model: &Model| model.events.values().filter(|known| known.position.is_some()).count();
    assert_eq!(known(&silent), known(&heard) - beyond, "what is durable is where it was said to be");
}
