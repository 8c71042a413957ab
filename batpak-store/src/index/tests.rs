//! What the index is after events were taken back: what it was before them, whichever parts and segments they had begun.

use batpak_format::{Coordinate, EventKind};
use batpak_keyset::{Granularity, scope_for};
use proptest::prelude::*;

use super::*;

const ENTITIES: u8 = 5;
const SEGMENT: u64 = 1;

/// What stands before an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Event,
    End,
    Roll,
}

fn step() -> impl Strategy<Value = (u8, Before)> {
    let before = prop_oneof![4 => Just(Before::Event), 2 => Just(Before::End), 1 => Just(Before::Roll)];
    (0..ENTITIES, before)
}

fn name(entity: u8) -> String {
    format!("e{entity}")
}

fn key_scope(entity: u8) -> KeyScope {
    let coordinate = Coordinate::new(&name(entity), "s").unwrap();
    let kind = EventKind::new(1, 1).unwrap();
    scope_for(Granularity::Entity, &coordinate, kind, EventId::from_bytes([0; 16]))
}

/// Adds an event as a commit does, and returns what it needs to be taken back.
fn push(index: &mut LogIndex, segment: u64, (entity, before): (u8, Before)) -> ChainHash {
    let entity_name = name(entity);
    index.load_head(&entity_name).unwrap();
    if before == Before::End && segment == index.active.segment() {
        index.cut(1);
    }
    let head = index.loaded_head(&entity_name);
    let (position, revision) = (index.len(), head.map_or(0, |head| head.revision + 1));
    let mut chain = [entity; 32];
    chain[..8].copy_from_slice(&position.to_le_bytes());
    let scope = key_scope(entity);
    index.push(&Entry {
        position,
        revision,
        id: EventId::from_key(&position.to_le_bytes()),
        address: Address { segment, offset: 128 + position },
        len: 1,
        entity: &entity_name,
        scope: "s",
        kind: EventKind::new(1, 1).unwrap(),
        correlation: None,
        causes: &[],
        tags: &[],
        time: Timestamp::default(),
        chain_hash: ChainHash::from_bytes(chain),
        key_id: Some(KeyId::new(0, 1, u32::from(entity))),
        key_scope: Some(&scope),
    });
    head.map_or(ChainHash::from_bytes([0; 32]), |head| head.chain_hash)
}

/// The parts, and what the index says when it is asked as a commit asks.
fn said(index: &mut LogIndex) -> impl PartialEq + std::fmt::Debug + use<> {
    let ended: Vec<(u64, u64)> = index.ended.parts().iter().map(|part| (part.first(), part.next())).collect();
    let active = (index.active.segment(), index.active.first(), index.active.next(), index.active.frame_bytes());
    let of = |entity: u8| {
        let (entity_name, scope) = (name(entity), key_scope(entity));
        index.load_head(&entity_name).unwrap();
        let key = match index.active.key_of(&scope) {
            None => index.ended.key_of(&scope, index.without_scope(&scope)).unwrap(),
            found => found,
        };
        (index.loaded_head(&entity_name), key)
    };
    let of_each: Vec<_> = (0..ENTITIES).map(of).collect();
    (ended, active, of_each, index.pieces().len(), index.entities())
}

proptest! {
    #[test]
    fn events_that_are_taken_back_leave_the_index_as_it_was(
        kept in proptest::collection::vec(step(), 1..30),
        rounds in proptest::collection::vec(proptest::collection::vec(step(), 1..6), 1..4),
    ) {
        let mut index = LogIndex::new(StoreId::from_bytes([1; 16]), SEGMENT);
        let (mut segment, mut events) = (SEGMENT, [0_u64; ENTITIES as usize]);
        let mut keep = |index: &mut LogIndex, segment: u64, step: (u8, Before)| {
            push(index, segment, step);
            events[usize::from(step.0)] += 1;
            index.load_head(&name(step.0)).unwrap();
            (index.loaded_head(&name(step.0)).unwrap().revision + 1, events[usize::from(step.0)])
        };
        for step in kept {
            segment += u64::from(step.1 == Before::Roll);
            let (revisions, expected) = keep(&mut index, segment, step);
            prop_assert_eq!(revisions, expected);
        }
        for failed in rounds {
            let before = said(&mut index);
            let (mut to, mut undo) = (segment, Vec::new());
            for step in &failed {
                to += u64::from(step.1 == Before::Roll);
                undo.push(push(&mut index, to, *step));
            }
            undo.iter().rev().for_each(|previous| index.pop(*previous));
            prop_assert_eq!(said(&mut index), before);
            // The log goes on where it was, with an event of each entity.
            for entity in 0..ENTITIES {
                let (revisions, expected) = keep(&mut index, segment, (entity, Before::End));
                prop_assert_eq!(revisions, expected);
            }
        }
    }
}
