//! Shredding in two steps: the plan, its hash, and that nothing but what was planned is destroyed.

use batpak_store::{
    AppendError, Durability, Encryption, EventKind, Granularity, PlanHash, Query, Selector, ShredError, Store,
};

use crate::{
    cuts::{Cut, everywhere},
    kit::{Place, append, at, both, event, kind, sound},
    shred::fate,
};

fn entity(name: &str) -> Selector {
    Selector::Entity(name.into())
}

/// What happens between a plan and its shred.
type Change<'a> = (&'a str, &'a dyn Fn(&Store));

fn intents(store: &Store) -> usize {
    store.read(&Query::all().kind(EventKind::SHRED_INTENT).include_system(true)).unwrap().count()
}

#[test]
fn plan_says_what_a_shred_destroys_and_apply_destroys_exactly_that() {
    both(|place| {
        let store = place.create();
        append(&store, "a", b"1");
        let (other, last) = (append(&store, "b", b"2"), append(&store, "a", b"3"));
        append(&store, "held", b"4");
        store.hold(&entity("held"), "").unwrap();
        let selectors = [entity("a"), entity("held"), entity("nobody")];
        let plan = store.plan_shred(&selectors).unwrap();
        let scopes: Vec<_> = plan
            .key_scopes
            .iter()
            .map(|scope| (scope.key_scope.to_string(), scope.keys.len(), scope.events, scope.last_position))
            .collect();
        assert_eq!(scopes, [("entity a".into(), 1, 2, Some(last.position)), ("entity nobody".into(), 0, 0, None)]);
        assert_eq!((plan.keys, plan.events, plan.withheld.len()), (1, 2, 1));
        // Whoever plans it, and in whatever order: it is the same plan. Asked for otherwise, it is another.
        assert_eq!(place.reader().plan_shred(&selectors).unwrap(), plan);
        let [a, b, c] = selectors.clone();
        assert_eq!(store.plan_shred(&[c, a.clone(), b, a]).unwrap().hash, plan.hash);
        assert_ne!(store.plan_shred(&selectors[..2]).unwrap().hash, plan.hash);
        assert_eq!(plan.hash.to_string().parse::<PlanHash>().unwrap(), plan.hash);
        assert!("0123".parse::<PlanHash>().is_err());
        assert_eq!(intents(&store), 0);
        // What is not of the plan may change.
        append(&store, "b", b"5");
        let shredding = store.shred_planned(&selectors, &plan.hash, 3, "r").unwrap();
        assert_eq!((shredding.keys, shredding.key_scopes.len(), shredding.withheld.len()), (1, 2, 1));
        assert_eq!((fate(&store, last.id), fate(&store, other.id)), ("shredded", "open"));
        let again = store.shred_planned(&selectors, &plan.hash, 3, "r").unwrap_err();
        assert!(
            matches!(again, ShredError::PlanChanged { planned, found } if planned == plan.hash && found != planned)
        );
        sound(&store);
    });
}

#[test]
fn plan_that_no_longer_holds_is_refused_and_nothing_changes() {
    let changes: [Change; 5] = [
        ("an event more", &|store| assert_eq!(append(store, "a", b"more").revision, 1)),
        ("an event of a key scope that had none", &|store| assert_eq!(append(store, "none", b"first").revision, 0)),
        ("a hold", &|store| assert!(store.hold(&entity("a"), "").is_ok())),
        ("a release", &|store| assert!(store.release(&entity("held"), "").is_ok())),
        ("a shred of a part", &|store| assert!(store.shred(&[entity("b")], 0, "").is_ok())),
    ];
    for granularity in [Granularity::Entity, Granularity::Event] {
        for (what, change) in &changes {
            let place = Place::memory();
            let store = place.create_per(granularity);
            let ids = ["a", "b", "held"].map(|name| append(&store, name, b"x").id);
            store.hold(&entity("held"), "").unwrap();
            let selectors = ["a", "b", "held", "none"].map(entity);
            let plan = store.plan_shred(&selectors).unwrap();
            change(&store);
            let (before, intents_before) = (ids.map(|id| fate(&store, id)), intents(&store));
            let why = store.shred_planned(&selectors, &plan.hash, 0, "").unwrap_err();
            assert!(matches!(why, ShredError::PlanChanged { .. }), "{what}: {why:?}");
            assert_eq!((ids.map(|id| fate(&store, id)), intents(&store)), (before, intents_before), "{what}");
            // The control: planned again, it goes through.
            let plan = store.plan_shred(&selectors).unwrap();
            store.shred_planned(&selectors, &plan.hash, 0, "").unwrap();
            sound(&store);
        }
    }
}

#[test]
fn plan_of_another_store_is_another_plan() {
    let hashes = [Place::memory(), Place::memory()].map(|place| {
        let store = place.create();
        store.plan_shred(&[entity("a")]).unwrap().hash
    });
    assert_ne!(hashes[0], hashes[1]);
}

#[test]
fn plan_of_nothing_is_a_plan_and_its_shred_is_refused() {
    let place = Place::memory();
    let store = place.create_per(Granularity::Event);
    let nothing = store.plan_shred(&[entity("a")]).unwrap();
    assert_eq!((nothing.events, nothing.key_scopes.len()), (0, 0));
    assert!(matches!(store.shred_planned(&[entity("a")], &nothing.hash, 0, ""), Err(ShredError::Nothing)));
    append(&store, "a", b"x");
    store.hold(&entity("a"), "").unwrap();
    let held = store.plan_shred(&[entity("a")]).unwrap();
    let refused = store.shred_planned(&[entity("a")], &held.hash, 0, "");
    assert!(matches!(refused, Err(ShredError::Withheld { key_scopes }) if key_scopes == held.withheld));
    let plain = Place::memory();
    let store = Store::create(plain.dir(), plain.with(Encryption::none())).unwrap();
    assert!(matches!(store.plan_shred(&[entity("a")]), Err(ShredError::Plaintext)));
}

#[test]
fn plan_counts_events_under_keys_that_are_not_shredded_yet() {
    for granularity in [Granularity::Kind, Granularity::Scope, Granularity::Coordinate, Granularity::Category] {
        let place = Place::memory();
        let store = place.create_per(granularity);
        let selector = match granularity {
            Granularity::Kind => Selector::Kind(kind()),
            Granularity::Scope => Selector::Scope("scope-1".into()),
            Granularity::Coordinate => Selector::Coordinate(at("a")),
            _ => Selector::Category(1),
        };
        append(&store, "a", b"old");
        append(&store, "a", b"old");
        store.shred(std::slice::from_ref(&selector), 0, "").unwrap();
        store.readmit(&selector).unwrap();
        let fresh = append(&store, "a", b"fresh");
        let plan = store.plan_shred(std::slice::from_ref(&selector)).unwrap();
        assert_eq!((plan.keys, plan.events), (1, 1), "{granularity}");
        assert_eq!(plan.key_scopes[0].last_position, Some(fresh.position));
        store.shred_planned(&[selector], &plan.hash, 0, "").unwrap();
    }
}

#[test]
fn planned_shred_beside_appends_destroys_what_was_planned_or_nothing() {
    let (mut applied, mut refused) = (0, 0);
    for round in 0..80_u64 {
        let place = Place::memory();
        let store = place.create();
        append(&store, "a", b"first");
        let plan = store.plan_shred(&[entity("a")]).unwrap();
        let (appended, outcome) = std::thread::scope(|scope| {
            let append = scope.spawn(|| {
                for _ in 0..round * 20 {
                    std::hint::spin_loop();
                }
                store.append(&event("a", b"more").durability(Durability::Buffered))
            });
            let outcome = store.shred_planned(&[entity("a")], &plan.hash, 0, "");
            (append.join().unwrap(), outcome)
        });
        match outcome {
            Ok(_) => {
                applied += 1;
                assert!(matches!(appended, Err(AppendError::ScopeShredded)), "round {round}: {appended:?}");
            }
            Err(ShredError::PlanChanged { .. }) => {
                refused += 1;
                assert_eq!(fate(&store, appended.unwrap().id), "open", "round {round}");
            }
            Err(why) => panic!("{why:?}"),
        }
        sound(&store);
    }
    assert_eq!(applied + refused, 80);
}

#[test]
fn apply_cut_at_any_call_did_nothing_or_is_finished() {
    let start = Place::memory();
    let store = start.create();
    let (victim, kept) = (append(&store, "a", b"x").id, append(&store, "held", b"x").id);
    store.hold(&entity("held"), "").unwrap();
    let selectors = [entity("a"), entity("held")];
    let plan = store.plan_shred(&selectors).unwrap();
    store.close().unwrap();
    for cut in Cut::ALL {
        let act = |store: &Store| store.shred_planned(&selectors, &plan.hash, 0, "").is_ok();
        let cuts = everywhere(start.memory.as_ref().unwrap(), cut, &act, &|store, call, done| {
            let on_record = intents(store) == 1;
            assert!(on_record || !done, "{cut:?} {call}");
            let expected = if on_record { "shredded" } else { "open" };
            assert_eq!((fate(store, victim), fate(store, kept)), (expected, "open"), "{cut:?} {call}");
            assert_eq!(store.plan_shred(&selectors).unwrap().hash == plan.hash, !on_record, "{cut:?} {call}");
            sound(store);
        });
        assert!(cuts > 10, "{cut:?}: {cuts}");
    }
}
