//! What an append and an open refuse, by variant, and that a refusal changes nothing.

use batpak_store::{
    AppendError, Coordinate, EventId, EventKind, NewEvent, OpenError, Store,
    format::{CausesError, TagsError},
    segment::{RecoveryError, SEGMENTS_DIR},
};

use crate::kit::{Place, append, at, both, event, kind, payloads, unchanged};

/// Asks for an append, alone and in a batch, that must be refused so and change nothing.
fn refused(store: &Store, place: &Place, new: &NewEvent<'_>, so: impl Fn(&AppendError) -> bool) {
    let (files, events) = (place.files(), store.stats().events);
    let alone = store.append(new).unwrap_err();
    assert!(so(&alone), "{alone:?}");
    let batched = store.append_batch(&[event("a", b"well"), new.clone()]).unwrap_err();
    assert!(so(&batched), "{batched:?}");
    unchanged(place, &files);
    assert_eq!(store.stats().events, events);
}

#[test]
fn reserved_kinds_and_the_stores_own_entity_are_refused() {
    both(|place| {
        let store = place.create();
        for kind in [
            EventKind::GENESIS,
            EventKind::CHECKPOINT,
            EventKind::new(0, 4095).unwrap(),
            EventKind::new(13, 1).unwrap(),
        ] {
            let new = NewEvent::new(at("a"), kind, b"x");
            refused(
                &store,
                place,
                &new,
                |why| matches!(why, AppendError::ReservedKind { kind: named } if *named == kind),
            );
        }
        let new = NewEvent::new(Coordinate::system(), kind(), b"x");
        refused(&store, place, &new, |why| matches!(why, AppendError::ReservedEntity));
        for category in [1, 12, 14, 15] {
            store.append(&NewEvent::new(at("a"), EventKind::new(category, 1).unwrap(), b"x")).unwrap();
        }
    });
}

#[test]
fn tags_that_are_not_valid_are_refused() {
    both(|place| {
        let store = place.create();
        let tagged = |tags: &[String]| tags.iter().fold(event("a", b"x"), |new, tag| new.tag(tag));
        let many: Vec<String> = (0..17).map(|n| format!("{n:0>128}")).collect();
        let bad = [
            vec![String::new()],
            vec!["x".repeat(129)],
            vec!["a\nb".into()],
            vec!["t".into(), "t".into()],
            many.clone(),
        ];
        for tags in bad {
            refused(&store, place, &tagged(&tags), |why| matches!(why, AppendError::InvalidTags(_)));
        }
        refused(&store, place, &tagged(&many), |why| {
            matches!(why, AppendError::InvalidTags(TagsError::TooMany { .. }))
        });
        store.append(&tagged(&many[..16])).unwrap();
    });
}

#[test]
fn causes_that_are_too_many_or_twice_are_refused() {
    both(|place| {
        let store = place.create();
        let ids: Vec<EventId> = (0..65_u8).map(|n| EventId::from_key(&[n])).collect();
        let caused = |ids: &[EventId]| ids.iter().fold(event("a", b"x"), |new, id| new.external_cause(*id));
        refused(&store, place, &caused(&ids), |why| {
            matches!(why, AppendError::InvalidCauses(CausesError::TooMany { .. }))
        });
        let twice = event("a", b"x").external_cause(ids[0]).cause(ids[0]);
        refused(&store, place, &twice, |why| matches!(why, AppendError::InvalidCauses(CausesError::Duplicate { .. })));
        store.append(&caused(&ids[..64])).unwrap();
    });
}

#[test]
fn cause_that_is_not_in_the_log_is_refused_unless_it_is_external() {
    both(|place| {
        let store = place.create();
        append(&store, "a", b"the entity has its key");
        let unknown = EventId::from_key(b"unknown");
        let new = event("a", b"x").cause(unknown);
        refused(&store, place, &new, |why| matches!(why, AppendError::UnknownCause { cause } if *cause == unknown));
        // Of a batch an earlier event may be a cause, a later one and the event itself may not.
        let (effect, cause) = (event("a", b"x").cause(unknown), event("b", b"y").key(b"unknown"));
        let wrong = store.append_batch(&[effect.clone(), cause.clone()]);
        assert!(matches!(wrong, Err(AppendError::UnknownCause { cause }) if cause == unknown), "{wrong:?}");
        let own = store.append(&cause.clone().cause(unknown));
        assert!(matches!(own, Err(AppendError::UnknownCause { cause }) if cause == unknown), "{own:?}");
        let external = store.append(&event("a", b"x").external_cause(unknown)).unwrap();
        let header = store.header(external.id).unwrap().unwrap();
        assert_eq!(header.causes.iter().map(|cause| (cause.id, cause.external)).collect::<Vec<_>>(), [(unknown, true)]);
        assert_eq!(store.append_batch(&[cause, effect]).unwrap().len(), 2, "the control: in order they go in");
    });
}

#[test]
fn directory_without_a_store_is_no_store() {
    both(|place| {
        let no_store = |what: &str| {
            for opened in [Store::open(place.dir(), place.config()), Store::open_read_only(place.dir(), place.config())]
            {
                let refused = opened.unwrap_err();
                assert!(matches!(&refused, OpenError::NotAStore { dir } if *dir == place.dir()), "{what}: {refused:?}");
            }
            let refused = Store::inspect(place.dir(), &*place.disk).unwrap_err();
            assert!(matches!(refused, OpenError::NotAStore { .. }), "{what}: {refused:?}");
        };
        no_store("no directory");
        place.disk.create_dir(&place.dir(), 0o700).unwrap();
        no_store("an empty one");
        place.put(&place.dir().join("letter.txt"), b"dear");
        no_store("one of somebody else");
        let refused = Store::create(place.dir(), place.config()).unwrap_err();
        assert!(matches!(&refused, OpenError::ForeignFile { name } if name == "letter.txt"), "{refused:?}");
        place.disk.remove(&place.dir().join("letter.txt")).unwrap();
        place.create();
    });
}

#[test]
fn create_refuses_a_directory_that_holds_a_store() {
    both(|place| {
        let store = place.create();
        append(&store, "a", b"1");
        for open in [true, false] {
            let refused = Store::create(place.dir(), place.config()).unwrap_err();
            assert!(
                matches!(&refused, OpenError::AlreadyExists { dir, .. } if *dir == place.dir()),
                "{open}: {refused:?}"
            );
        }
        store.close().unwrap();
        let files = place.files();
        let refused = Store::create(place.dir(), place.config()).unwrap_err();
        assert!(matches!(refused, OpenError::AlreadyExists { .. }), "{refused:?}");
        unchanged(place, &files);
        assert_eq!(payloads(&place.open()), [b"1".to_vec()]);
    });
}

#[test]
fn foreign_file_is_refused_by_name_and_hidden_ones_are_left_alone() {
    both(|place| {
        place.create().close().unwrap();
        let [hidden, foreign] = [".nfs0001", "notes.txt"].map(|name| place.dir().join(name));
        place.put(&hidden, b"x");
        place.disk.create_dir(&place.dir().join("lost+found"), 0o700).unwrap();
        place.open();
        place.put(&foreign, b"x");
        for opened in [Store::open(place.dir(), place.config()), Store::open_read_only(place.dir(), place.config())] {
            let refused = opened.unwrap_err();
            assert!(matches!(&refused, OpenError::ForeignFile { name } if name == "notes.txt"), "{refused:?}");
        }
        place.disk.remove(&foreign).unwrap();
        let among_segments = place.dir().join(SEGMENTS_DIR).join("1.seg");
        place.put(&among_segments, b"x");
        let refused = Store::open(place.dir(), place.config()).unwrap_err();
        let OpenError::Recovery(why) = &refused else { panic!("{refused:?}") };
        assert!(matches!(&**why, RecoveryError::ForeignFile { name } if name == "1.seg"), "{why:?}");
        place.disk.remove(&among_segments).unwrap();
        place.open();
    });
}
