//! A store held against a model that says the truth, and against ones that do not.

use batpak_store::{EventId, Selector};

use super::*;
use crate::line::{Ended, Line};
use crate::model::{Failures, Known, Survives};
use crate::script::{Operation, Script};
use crate::worker::append;

const SCRIPT: Script = Script { seed: 5, round: 0, threads: 2, operations: 40, deferred: false, patient: false };

/// A store of one thread's operations, closed, and what is known of it.
fn stored() -> (tempfile::TempDir, Model) {
    let place = tempfile::tempdir().unwrap();
    let store = Store::create(place.path().join("store"), config(place.path())).unwrap();
    let mut lines = vec![Line::Open { end: 1 }];
    for at in 0..SCRIPT.operations {
        let ended = match SCRIPT.operation(0, at) {
            Operation::Append { events, durability } => append(&store, &events, durability).unwrap(),
            Operation::Shred { entity } => {
                let shredding = store.shred(&[Selector::Entity(entity)], 1, "torture").unwrap();
                Ended::Acknowledged { positions: vec![shredding.intent, shredding.completion] }
            }
            Operation::Readmit { entity } => {
                store.readmit(&Selector::Entity(entity)).unwrap();
                Ended::Acknowledged { positions: Vec::new() }
            }
            _ => Ended::Acknowledged { positions: Vec::new() },
        };
        lines.push(Line::Done { thread: 0, at, ended });
    }
    // The second thread never came to its first operation.
    store.close().unwrap();
    let mut model = Model::new(Survives::Buffered, Failures::None);
    model.hear(SCRIPT, &lines).unwrap();
    (place, model)
}

fn any(model: &Model, fate: Fate) -> EventId {
    let mut known = model.events.iter().filter(|(_, known)| known.position.is_some() && known.fate == fate);
    *known.next().unwrap().0
}

fn known<'a>(model: &'a mut Model, id: &EventId) -> &'a mut Known {
    model.events.get_mut(id).unwrap()
}

#[test]
fn store_is_held_against_what_is_known_of_it_and_every_lie_is_found() {
    type Lie = (&'static str, fn(&mut Model));
    let lies: [Lie; 11] = [
        ("the truth", |_| {}),
        ("an event never submitted", |model| {
            let id = any(model, Fate::Open);
            model.events.remove(&id);
        }),
        ("another position", |model| {
            let id = any(model, Fate::Open);
            known(model, &id).position = Some(900);
        }),
        ("another entity", |model| {
            let id = any(model, Fate::Open);
            known(model, &id).submitted.entity.push('x');
        }),
        ("another payload", |model| {
            let id = any(model, Fate::Open);
            known(model, &id).submitted.bytes += 1;
        }),
        ("a shred that was lost", |model| {
            let id = any(model, Fate::Open);
            known(model, &id).fate = Fate::Shredded;
        }),
        ("a shred that nobody made", |model| {
            let id = any(model, Fate::Shredded);
            known(model, &id).fate = Fate::Open;
        }),
        ("an event that is lost", |model| {
            let id = any(model, Fate::Open);
            let lost = known(model, &id).clone();
            model.events.insert(EventId::from_bytes([7; 16]), Known { batch: usize::MAX, ..lost });
        }),
        ("a batch that was cut", |model| {
            let id = any(model, Fate::Open);
            let lost = known(model, &id).clone();
            model.events.insert(EventId::from_bytes([7; 16]), Known { position: None, ..lost });
        }),
        ("a log that is too short", |model| model.end_min += 1_000),
        ("an event of the store's own that is not there", |model| model.system.push(0x0fff_ffff)),
    ];
    for (lie, tell) in lies {
        let ((place, mut model), told) = (stored(), lie == "the truth");
        tell(&mut model);
        let checked = check(place.path(), &mut model);
        assert_eq!(checked.is_ok(), told, "{lie}: {:?}", checked.err().map(|why| why.to_string()));
    }
}

#[test]
fn key_of_two_entities_is_found() {
    let (place, mut model) = stored();
    check(place.path(), &mut model).unwrap();
    let owner = model.owners.values_mut().next().unwrap();
    owner.push('x');
    assert!(check(place.path(), &mut model).is_err());
}

#[test]
fn file_that_a_second_look_changes_is_named() {
    let (place, _) = stored();
    let before = files(place.path()).unwrap();
    unchanged(&before, &files(place.path()).unwrap(), "nobody").unwrap();
    fs::write(place.path().join("store").join("left"), b"x").unwrap();
    let why = unchanged(&before, &files(place.path()).unwrap(), "a test").unwrap_err().to_string();
    assert!(why.ends_with("left was changed by a test"), "{why}");
}
