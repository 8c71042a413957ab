//! Every granularity under every provider: shredded, refused, readmitted, written again, rekeyed, opened again.

use batpak_store::{
    AppendError, Coordinate, Destruction, EventId, EventKind, Granularity, NewEvent, OpenError, Payload, ProviderError,
    Selector, Store, VerifyOptions,
};

use crate::{
    keepers::Keeper,
    kit::{Place, append, at, event, kind, sound},
};

const GRANULARITIES: [Granularity; 6] = [
    Granularity::Entity,
    Granularity::Coordinate,
    Granularity::Scope,
    Granularity::Category,
    Granularity::Kind,
    Granularity::Event,
];

/// What became of a payload.
fn fate(store: &Store, id: EventId) -> &'static str {
    match store.get(id).unwrap().unwrap().payload {
        Payload::Open(_) => "open",
        Payload::Shredded(_) => "shredded",
        Payload::KeyLost(_) => "lost",
        _ => "unread",
    }
}

fn selector(granularity: Granularity, victim: EventId) -> Selector {
    match granularity {
        Granularity::Entity => Selector::Entity("a".into()),
        Granularity::Coordinate => Selector::Coordinate(at("a")),
        Granularity::Scope => Selector::Scope("scope-1".into()),
        Granularity::Category => Selector::Category(1),
        Granularity::Kind => Selector::Kind(kind()),
        _ => Selector::Event(victim),
    }
}

fn is_worth(keeper: Keeper, destruction: Destruction) -> bool {
    match keeper {
        Keeper::Local => destruction == Destruction::LiveFilesOnly,
        Keeper::Passphrase => destruction == Destruction::OldCopiesNotCovered,
        _ => matches!(destruction, Destruction::OldCopiesDeadFrom(_)),
    }
}

/// An append to the victim's key scope while it is shredded. With a key for each event none is refused but the event itself, by its id.
fn append_is_refused(store: &Store, granularity: Granularity) -> bool {
    match store.append(&event("a", b"refused")) {
        Err(AppendError::ScopeShredded) => granularity != Granularity::Event,
        Ok(_) => granularity == Granularity::Event,
        Err(why) => panic!("{why:?}"),
    }
}

fn lived_through(keeper: Keeper, granularity: Granularity) {
    let place = Place::memory();
    let store = Store::create(place.dir(), keeper.config(&place).granularity(granularity)).unwrap();
    let victim = append(&store, "a", b"victim").id;
    let apart = Coordinate::new("b", "scope-2").unwrap();
    let other = store.append(&NewEvent::new(apart, EventKind::new(2, 9).unwrap(), b"other")).unwrap().id;
    let before = place.root().join("copy");
    place.copy_dir(&place.dir(), &before);
    let selector = selector(granularity, victim);

    let shredding = store.shred(std::slice::from_ref(&selector), 7, "reference").unwrap();
    assert!(shredding.keys == 1 && is_worth(keeper, shredding.destruction), "{shredding:?}");
    assert_eq!((fate(&store, victim), fate(&store, other)), ("shredded", "open"));
    assert!(append_is_refused(&store, granularity));
    store.readmit(&selector).unwrap();
    let fresh = append(&store, "a", b"fresh").id;
    let fates = |store: &Store| [victim, fresh, other].map(|id| fate(store, id));
    assert_eq!(fates(&store), ["shredded", "open", "open"]);
    assert!(is_worth(keeper, store.rekey().unwrap()));
    assert_eq!(fates(&store), ["shredded", "open", "open"]);
    store.close().unwrap();

    let store = Store::open(place.dir(), keeper.config(&place)).unwrap();
    assert!(store.open_report().clean);
    let more = append(&store, "a", b"more").id;
    assert_eq!((fates(&store), fate(&store, more)), (["shredded", "open", "open"], "open"));
    sound(&store);
    let report = store.verify(VerifyOptions::full(), &mut |_| {}).unwrap();
    assert_eq!((report.shredded, report.lost), (1, 0));
    store.close().unwrap();

    // The copy that was taken before: dead where the provider says so, and else the control.
    let old = Store::open_read_only(&before, keeper.config(&place));
    match (keeper.kills_old_copies(), old) {
        (true, Err(OpenError::Provider(ProviderError::Missing))) => {}
        (false, Ok(store)) => assert_eq!((fate(&store, victim), fate(&store, other)), ("open", "open")),
        (_, old) => panic!("{old:?}"),
    }
}

#[test]
fn shred_readmit_and_rekey_hold_for_every_granularity_and_provider() {
    let mut lives = 0;
    for keeper in Keeper::ALL {
        for granularity in GRANULARITIES {
            lived_through(keeper, granularity);
            lives += 1;
        }
    }
    println!("{lives} combinations of provider and granularity");
    assert_eq!(lives, 30);
}

#[test]
fn copy_from_before_a_shred_opens_nothing_for_a_writer_either() {
    for keeper in Keeper::ALL {
        let place = Place::memory();
        let store = Store::create(place.dir(), keeper.config(&place)).unwrap();
        let victim = append(&store, "a", b"victim").id;
        let before = place.root().join("copy");
        place.copy_dir(&place.dir(), &before);
        store.shred(&[Selector::Entity("a".into())], 0, "").unwrap();
        store.close().unwrap();
        let opened = Store::open(&before, keeper.config(&place));
        match (keeper.kills_old_copies(), opened) {
            (true, Err(OpenError::Provider(ProviderError::Missing))) => {}
            (false, Ok(store)) => assert_eq!(fate(&store, victim), "open"),
            (_, opened) => panic!("{keeper:?}: {opened:?}"),
        }
        // Where the old keyset does open, the log knows better.
        for name in ["keyset.a", "keyset.b"] {
            place.put(&place.dir().join(name), &place.read(&before.join(name)));
        }
        let put_back = Store::open(place.dir(), keeper.config(&place)).unwrap_err();
        match (keeper.kills_old_copies(), &put_back) {
            (true, OpenError::Provider(ProviderError::Missing)) | (false, OpenError::KeysetRolledBack { .. }) => {}
            _ => panic!("{keeper:?}: {put_back:?}"),
        }
    }
}
