//! The findings of an open about the keyset: one copy damaged, both, an older one, none, another store's, a copied directory.

use std::path::PathBuf;

use batpak_store::{
    Durability, Granularity, OpenError, Store,
    keyset::{Copy, Finding},
    segment::DiskOp,
};

use crate::kit::{Place, append, both, event, payloads, sound, unchanged};

const COPIES: [Copy; 2] = Copy::BOTH;

fn path(place: &Place, copy: Copy) -> PathBuf {
    place.dir().join(copy.file_name())
}

fn copies(place: &Place) -> [Vec<u8>; 2] {
    COPIES.map(|copy| place.read(&path(place, copy)))
}

fn put_copies(place: &Place, bytes: &[Vec<u8>; 2]) {
    for (copy, bytes) in COPIES.iter().zip(bytes) {
        place.put(&path(place, *copy), bytes);
    }
}

/// Damages a copy in one of several ways, and says what an open finds.
fn damage(place: &Place, copy: Copy, way: usize) -> Finding {
    let path = path(place, copy);
    let mut bytes = place.read(&path);
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let end = bytes.len() - 1;
    match way % 8 {
        0 => bytes[0] ^= 1,
        1 => bytes[40] ^= 0x80,
        2 => bytes[used / 2] ^= 4,
        3 => bytes[used] ^= 1,
        4 => bytes[end] ^= 1,
        5 => bytes.truncate(100),
        6 => bytes.fill(0),
        _ => {
            place.disk.remove(&path).unwrap();
            place.disk.sync_dir(&place.dir()).unwrap();
            return Finding::CopyMissing(copy);
        }
    }
    place.put(&path, &bytes);
    Finding::CopyDamaged(copy)
}

/// All ways on the disk in memory, and on the real one, whose syncs take their time, two.
fn ways(place: &Place) -> Vec<usize> {
    if place.memory.is_some() { (0..8).collect() } else { vec![2, 7] }
}

/// A store that made `count` publications and is closed, with the payloads it holds.
fn publish(place: &Place, count: u64, expected: &mut Vec<Vec<u8>>) {
    let store = place.open();
    while store.stats().keyset.unwrap().publications < count {
        let payload = expected.len().to_le_bytes().to_vec();
        append(&store, "a", &payload);
        expected.push(payload);
    }
    store.close().unwrap();
}

#[test]
fn either_copy_heals_the_other_after_every_publication() {
    both(|place| {
        drop(place.create_per(Granularity::Event));
        let mut expected = Vec::new();
        for way in ways(place) {
            publish(place, 1 + way as u64 % 3, &mut expected);
            let order = if way % 2 == 0 { [Copy::A, Copy::B] } else { [Copy::B, Copy::A] };
            for copy in order {
                {
                    let finding = damage(place, copy, way);
                    let files = place.files();
                    let reader = place.reader();
                    assert_eq!(reader.open_report().keyset, [finding]);
                    assert_eq!(payloads(&reader), expected, "a reader heals nothing and reads all");
                    assert_eq!(place.files(), files);
                    let store = place.open();
                    assert_eq!(store.open_report().keyset, [finding]);
                    assert!(!store.open_report().clean);
                    assert_eq!(payloads(&store), expected);
                    sound(&store);
                    drop(store);
                    let [a, b] = copies(place);
                    assert_eq!(a, b, "both copies are the winner's");
                    assert_eq!(
                        place.open().open_report().keyset,
                        [],
                        "the control: what was healed is not found again"
                    );
                }
            }
        }
    });
}

#[test]
fn after_a_damaged_copy_keys_come_from_a_fresh_page() {
    both(|place| {
        let page = |store: &Store, entity: &str| {
            let id = append(store, entity, b"x").id;
            store.header(id).unwrap().unwrap().encryption.unwrap().key_id.page()
        };
        let store = place.create();
        assert_eq!(page(&store, "a"), 1);
        store.close().unwrap();
        // The control: a clean open goes on in the page.
        let store = place.open();
        assert_eq!(page(&store, "b"), 1);
        store.close().unwrap();
        damage(place, Copy::B, 2);
        let store = place.open();
        assert_eq!(page(&store, "a"), 1, "an existing key scope goes on under its key");
        assert_eq!(page(&store, "c"), 2);
    });
}

#[test]
fn both_copies_damaged_is_corrupt_and_never_an_empty_keyset() {
    both(|place| {
        drop(place.create());
        let mut expected = Vec::new();
        for way in ways(place) {
            publish(place, 0, &mut expected);
            let whole = copies(place);
            damage(place, Copy::A, way);
            damage(place, Copy::B, if way == 7 { 0 } else { way });
            let files = place.files();
            assert!(matches!(Store::open(place.dir(), place.config()), Err(OpenError::KeysetCorrupt(_))));
            assert!(matches!(Store::open_read_only(place.dir(), place.config()), Err(OpenError::KeysetCorrupt(_))));
            assert_eq!(place.files(), files, "a refusal changes nothing");
            put_copies(place, &whole);
            assert_eq!(payloads(&place.open()), expected);
        }
    });
}

/// Cuts the power at the n-th call that changes the keyset, for each n of one publication.
#[test]
fn power_cut_at_every_call_of_a_publication_leaves_a_keyset_that_opens() {
    let mut cut_at = 0;
    loop {
        let place = Place::memory();
        let memory = place.memory.clone().unwrap();
        let store = place.create_per(Granularity::Event);
        append(&store, "a", b"acked");
        drop(store);
        let store = place.open();
        let mut calls = 0;
        memory.fail(Box::new(move |call| {
            let keyset = call.path.file_stem().is_some_and(|stem| stem == "keyset");
            let changes = matches!(call.op, DiskOp::Write { .. } | DiskOp::SyncData | DiskOp::SyncAll | DiskOp::SetLen);
            calls += u32::from(keyset && changes);
            (calls > cut_at && changes).then(|| std::io::ErrorKind::Other.into())
        }));
        let acked = store.append(&event("a", b"cut")).is_ok();
        memory.crash();
        memory.clear_hooks();
        drop(store);
        let store = place.open();
        assert!(matches!(store.open_report().keyset[..], [] | [Finding::EpochsDiffer { .. }]));
        let expected = if acked { vec![b"acked".to_vec(), b"cut".to_vec()] } else { vec![b"acked".to_vec()] };
        assert_eq!(payloads(&store), expected);
        drop(store);
        for copy in COPIES {
            damage(&place, copy, 2);
            assert_eq!(payloads(&place.open()), expected, "rot of either copy loses nothing once an open has returned");
        }
        if acked {
            assert_eq!(cut_at, 4, "a publication writes and syncs each copy");
            break;
        }
        cut_at += 1;
    }
}

#[test]
fn older_keyset_put_back_is_refused_and_the_newer_one_opens() {
    both(|place| {
        let store = place.create();
        append(&store, "a", b"one");
        store.close().unwrap();
        let old = copies(place);
        let store = place.open();
        let epoch = store.stats().keyset.unwrap().epoch;
        append(&store, "b", b"two");
        store.close().unwrap();
        let new = copies(place);
        put_copies(place, &old);
        let files = place.files();
        let refused = Store::open(place.dir(), place.config()).unwrap_err();
        assert!(matches!(refused, OpenError::KeysetRolledBack { epoch: found } if found == epoch), "{refused:?}");
        let reader = place.reader();
        assert!(reader.open_report().keyset_rolled_back, "a reader is served, and told");
        assert_eq!(payloads(&reader), [b"one".to_vec(), b"two".to_vec()]);
        assert_eq!(place.files(), files, "neither changes anything");
        // One older copy is what a cut publication leaves: the newer one wins.
        place.put(&path(place, Copy::B), &new[1]);
        let store = place.open();
        let [Finding::EpochsDiffer { a, b }] = store.open_report().keyset[..] else {
            panic!("{:?}", store.open_report());
        };
        assert_eq!(a, epoch);
        assert!(b > a);
        assert_eq!(payloads(&store), [b"one".to_vec(), b"two".to_vec()]);
    });
}

#[test]
fn older_log_put_back_is_refused() {
    both(|place| {
        let store = place.create();
        append(&store, "a", b"one");
        store.close().unwrap();
        let segment = place.dir().join("segments/00000000000000000001.seg");
        let old = place.read(&segment);
        let store = place.open();
        append(&store, "a", b"two");
        append(&store, "b", b"three");
        store.close().unwrap();
        let new = place.read(&segment);
        place.put(&segment, &old);
        let refused = Store::open(place.dir(), place.config()).unwrap_err();
        assert!(matches!(refused, OpenError::LogRolledBack { found: 2, seen: 3 }), "{refused:?}");
        place.put(&segment, &new);
        assert_eq!(payloads(&place.open()).len(), 3);
    });
}

#[test]
fn one_publication_makes_one_reservation() {
    let place = Place::memory();
    let store = place.create_per(Granularity::Event);
    let publications = || store.stats().keyset.unwrap().publications;
    // 64 leaves, and 256 more when half of those are taken; then 1,024 when half of the second are.
    for (leaf, expected) in (1..=193).map(|leaf| {
        (
            leaf,
            if leaf <= 32 {
                1
            } else if leaf <= 192 {
                2
            } else {
                3
            },
        )
    }) {
        store.append(&event("a", b"x").durability(Durability::Buffered)).unwrap();
        assert_eq!(publications(), expected, "after leaf {leaf}");
    }
}

#[test]
fn a_fresh_page_after_damage_is_kept_to_by_opens_that_mint_nothing() {
    let place = Place::memory();
    let store = place.create();
    append(&store, "a", b"1");
    store.close().unwrap();
    let mut bytes = place.read(&place.dir().join("keyset.a"));
    bytes[300] ^= 1;
    place.put(&place.dir().join("keyset.a"), &bytes);
    place.open().close().unwrap();
    let store = place.open();
    assert!(store.open_report().clean, "{:?}", store.open_report());
    let page = |store: &batpak_store::Store, id| store.header(id).unwrap().unwrap().encryption.unwrap().key_id.page();
    let first = page(&store, store.read(&batpak_store::Query::all()).unwrap().next().unwrap().unwrap().header.id);
    let minted = append(&store, "b", b"2");
    assert_eq!((first, page(&store, minted.id)), (1, 2));
}

#[test]
fn missing_copy_is_not_made_by_an_open_that_is_refused() {
    both(|place| {
        let store = place.create();
        append(&store, "a", b"one");
        store.close().unwrap();
        let old = place.read(&path(place, Copy::B));
        let store = place.open();
        append(&store, "b", b"two");
        store.close().unwrap();
        let new = place.read(&path(place, Copy::B));
        damage(place, Copy::A, 7);
        place.put(&path(place, Copy::B), &old);
        let files = place.files();
        let refused = Store::open(place.dir(), place.config()).unwrap_err();
        assert!(matches!(refused, OpenError::KeysetRolledBack { .. }), "{refused:?}");
        unchanged(place, &files);
        // The control: one that is not refused makes it.
        place.put(&path(place, Copy::B), &new);
        let store = place.open();
        assert_eq!(store.open_report().keyset, [Finding::CopyMissing(Copy::A)]);
        assert_eq!(copies(place)[0], copies(place)[1]);
        assert_eq!(payloads(&store), [b"one".to_vec(), b"two".to_vec()]);
    });
}

#[test]
fn copy_that_was_cut_while_it_grew_is_healed_by_an_open() {
    for copy in COPIES {
        let place = Place::memory();
        append(&place.create(), "a", b"one");
        let mut bytes = place.read(&path(&place, copy));
        bytes.resize(bytes.len() + 74, 0);
        place.put(&path(&place, copy), &bytes);
        assert_eq!(place.open().open_report().keyset, [Finding::CopyDamaged(copy)]);
        let store = place.open();
        assert_eq!(store.open_report().keyset, []);
        assert_eq!(payloads(&store), [b"one".to_vec()]);
        assert!(copies(&place).iter().all(|bytes| bytes.len().is_multiple_of(4096)));
    }
}
