//! What the index in memory answers.

use batpak_format::Coordinate;
use batpak_keyset::{Granularity, scope_for};

use batpak_format::Timestamp;

use super::*;
use crate::index::Entry;

fn chain(byte: u8) -> ChainHash {
    ChainHash::from_bytes([byte; 32])
}

fn new() -> MemoryPart {
    MemoryPart::new(3, 0, Room::default())
}

fn push(index: &mut MemoryPart, entity: &str, n: u64, key_id: KeyId) {
    let id = EventId::from_key(&n.to_le_bytes());
    let coordinate = Coordinate::new(entity, "s").unwrap();
    let kind = batpak_format::EventKind::new(1, 1).unwrap();
    let scope = scope_for(Granularity::Entity, &coordinate, kind, id);
    index.push(&Entry {
        position: n,
        revision: 0,
        len: 1,
        id,
        address: Address { segment: 3, offset: 128 + n },
        entity,
        scope: "s",
        kind,
        correlation: None,
        causes: &[],
        tags: &[],
        time: Timestamp::default(),
        chain_hash: chain(n as u8),
        key_id: Some(key_id),
        key_scope: Some(&scope),
    });
}

#[test]
fn memory_index_answers_what_was_pushed() {
    let mut index = new();
    push(&mut index, "a", 0, KeyId::new(0, 1, 0));
    push(&mut index, "b", 1, KeyId::new(0, 1, 1));
    push(&mut index, "a", 2, KeyId::new(0, 1, 0));
    assert_eq!(index.head("a"), Some(Head { revision: 1, position: 2, chain_hash: chain(2) }));
    assert_eq!(index.position_at("a", 0), Some(0));
    assert_eq!(index.position_at("b", 1), None);
    assert_eq!(index.position_of(&EventId::from_key(&1u64.to_le_bytes())), Some(1));
    assert_eq!(index.address(2), Some(Address { segment: 3, offset: 130 }));
}

#[test]
fn memory_index_pop_restores_head_ids_and_keys() {
    let mut index = new();
    push(&mut index, "a", 0, KeyId::new(0, 1, 0));
    let coordinate = Coordinate::new("a", "s").unwrap();
    let kind = batpak_format::EventKind::new(1, 1).unwrap();
    let scope = scope_for(Granularity::Entity, &coordinate, kind, EventId::from_key(b"x"));
    push(&mut index, "a", 1, KeyId::new(0, 1, 9));
    assert_eq!(index.key_of(&scope), Some(KeyId::new(0, 1, 9)));
    index.pop(chain(0));
    assert_eq!(index.key_of(&scope), Some(KeyId::new(0, 1, 0)));
    assert_eq!(index.head("a"), Some(Head { revision: 0, position: 0, chain_hash: chain(0) }));
    assert_eq!(index.position_of(&EventId::from_key(&1u64.to_le_bytes())), None);
    assert_eq!(index.next(), 1);
}

#[test]
fn part_denies_what_its_segment_has_not_and_nothing_of_another() {
    let (mut index, hash) = (new(), |name: &str| KeyHash::of(name.as_bytes()));
    assert_eq!(index.without_entity(hash("a")), None, "it has noted nothing");
    index.note_seen();
    assert_eq!((index.without_entity(hash("a")), index.without_scope(hash("a"))), (Some(3), Some(3)), "the control");
    index.move_to(2);
    assert_eq!((index.without_entity(hash("a")), index.without_scope(hash("a"))), (None, None));
}

#[test]
fn memory_index_knows_causes_both_ways_and_forgets_with_pop() {
    let mut index = new();
    push(&mut index, "a", 0, KeyId::new(0, 1, 0));
    let [root, effect, outside] = [0_u64, 9, 77].map(|n| EventId::from_key(&n.to_le_bytes()));
    let causes = [Cause { id: root, external: false }, Cause { id: outside, external: true }];
    let entry = Entry {
        position: 1,
        revision: 0,
        len: 1,
        id: effect,
        address: Address { segment: 3, offset: 500 },
        entity: "b",
        scope: "s",
        kind: EventKind::from_u16(0x1001),
        correlation: Some(root),
        causes: &causes,
        tags: &[],
        time: Timestamp::default(),
        chain_hash: chain(1),
        key_id: None,
        key_scope: None,
    };
    index.push(&entry);
    assert_eq!((index.caused_by(&root), index.caused_by(&outside)), (vec![1], vec![1]));
    assert_eq!(index.correlated(&root), [1]);
    let edges = index.edges(1).unwrap();
    assert_eq!((edges.causes.as_slice(), edges.correlation), (&causes[..], Some(root)));
    assert_eq!((&*edges.entity, &*edges.scope, edges.id), ("b", "s", effect));
    index.pop(chain(0));
    assert_eq!((index.caused_by(&root), index.correlated(&root)), (vec![], vec![]));
    assert!(index.edges(0).unwrap().causes.is_empty());
}

#[test]
fn memory_index_stays_under_64_bytes_an_event() {
    let mut index = new();
    let names: Vec<String> = (0..16).map(|n| format!("entity-{n:06}")).collect();
    // Just past a doubling of the id table: its worst fill.
    let events = 120_000;
    for n in 0..events {
        push(&mut index, &names[n as usize % 16], n, KeyId::new(0, 1, n as u32 % 16));
    }
    let per_event = index.bytes() as f64 / events as f64;
    assert!(per_event < 64.0, "{per_event} bytes an event");
    assert!(per_event > 36.0, "the count must cover the columns: {per_event}");
}
