//! Certificates that a log does not bear out: what was changed is named, and where the log says otherwise.

use batpak_store::{
    Certificate, CertificateField as Field, CertificateFinding as Finding, CertifiedWorth, Encryption, Selector, Store,
    StoreId, Timestamp,
    format::{
        CertificateSection, CertifiedEvent, CertifiedTarget, ChainHash, KeyCommitment, KeyId, KeyRun, PositionRun,
    },
    keyset::KeyScope,
};

use crate::{
    certificate::{filled, issued, keyless},
    forged::forge,
    kit::{Place, append},
    spots::{segment_file, spots},
};

/// Where the shred of [`shredded`] stands.
const INTENT: u64 = 6;
const COMPLETION: u64 = 7;

/// A store whose entity `a` was shredded, and its certificate.
fn shredded() -> (Place, Store, Certificate) {
    let place = Place::memory();
    let (store, _) = filled(&place, place.config());
    let shredding = store.shred(&[Selector::Entity("a".into())], 7, "ticket 12").unwrap();
    assert_eq!((shredding.intent, shredding.completion), (INTENT, COMPLETION));
    let certificate = issued(&store, INTENT);
    (place, store, certificate)
}

fn findings(store: &Store, certificate: &Certificate) -> Vec<Finding> {
    store.verify_certificate(certificate, &mut |_| {}).unwrap().findings
}

fn differs(field: Field, position: u64) -> Finding {
    Finding::Differs { field, position }
}

fn of_scope(field: Field, key_scope: &[u8], position: u64) -> Finding {
    Finding::ScopeDiffers { field, key_scope: KeyScope::from_bytes(key_scope).ok(), position }
}

fn later(event: &mut CertifiedEvent) {
    event.time = Timestamp::from_micros(event.time.as_micros() + 1);
}

fn other_chain(event: &mut CertifiedEvent) {
    event.chain_hash = ChainHash::from_bytes([9; 32]);
}

/// Changes one field.
type Change = fn(&mut Certificate);

#[test]
fn each_field_that_is_changed_is_named_with_the_place_where_the_log_says_otherwise() {
    let (place, store, certificate) = shredded();
    let changes: [(Change, Finding); 15] = [
        (|it| it.created = Timestamp::from_micros(5), differs(Field::Created, 0)),
        (|it| it.genesis_chain_hash = ChainHash::from_bytes([9; 32]), differs(Field::GenesisChainHash, 0)),
        (|it| it.granularity += 1, differs(Field::Granularity, INTENT)),
        (|it| it.reason += 1, differs(Field::Reason, INTENT)),
        (|it| it.reference.push('0'), differs(Field::Reference, INTENT)),
        (|it| it.provider_kind += 1, differs(Field::Provider, COMPLETION)),
        (|it| it.worth = CertifiedWorth::LiveFilesOnly, differs(Field::Worth, COMPLETION)),
        (
            |it| it.worth = CertifiedWorth::OldCopiesDeadFrom(Timestamp::from_micros(5)),
            differs(Field::Worth, COMPLETION),
        ),
        (|it| it.unreachable += 1, differs(Field::Unreachable, COMPLETION)),
        (|it| it.epoch += 1, differs(Field::Epoch, COMPLETION)),
        (|it| it.events_hash[31] ^= 1, differs(Field::EventsHash, INTENT)),
        (|it| later(&mut it.completion), differs(Field::CompletionTime, COMPLETION)),
        (|it| other_chain(&mut it.completion), differs(Field::CompletionChainHash, COMPLETION)),
        (|it| later(&mut it.intents[0]), differs(Field::IntentTime, INTENT)),
        (|it| other_chain(&mut it.intents[0]), differs(Field::IntentChainHash, INTENT)),
    ];
    for (change, expected) in changes {
        let mut changed = certificate.clone();
        change(&mut changed);
        assert!(changed.encode().is_ok());
        for store in [&store, &keyless(&place)] {
            assert_eq!(findings(store, &changed), std::slice::from_ref(&expected));
        }
        assert!(expected.to_string().contains("in the log, at position"), "{expected}");
    }
}

#[test]
fn each_change_of_a_key_scope_is_named_with_its_name() {
    let (_, store, certificate) = shredded();
    let [original] = certificate.targets.as_slice() else { panic!("{:?}", certificate.targets) };
    let next = KeyId::from_u64(original.runs[0].first.as_u64() + 1);
    let two = KeyRun { count: 2, ..original.runs[0] };
    let more = KeyCommitment { key_id: next, commitment: [0; 32] };
    let (runs, events) = (|| original.runs.clone(), || original.events.clone());
    let mut other = original.commitments.clone();
    other[0].commitment[0] ^= 1;
    let run = |first, count| PositionRun { first, count };
    let check = |runs, events, commitments, expected: &[(Field, u64)]| {
        let mut changed = certificate.clone();
        changed.targets[0] = CertifiedTarget { key_scope: original.key_scope.clone(), runs, events, commitments };
        assert!(changed.encode().is_ok());
        let found = findings(&store, &changed);
        let named = expected.iter().map(|(field, position)| of_scope(*field, &original.key_scope, *position));
        assert_eq!(found, named.collect::<Vec<_>>());
        assert!(found[0].to_string().starts_with("entity a: the "), "{}", found[0]);
    };
    let same = || original.commitments.clone();
    check(vec![two], events(), same(), &[(Field::KeyIds, INTENT)]);
    let far = KeyRun { first: KeyId::new(0, 900, 0), count: 1 };
    check([runs(), vec![far]].concat(), events(), same(), &[(Field::KeyIds, INTENT)]);
    check(runs(), vec![run(1, 1), run(5, 1)], same(), &[(Field::Events, 2)]);
    check(runs(), vec![run(1, 2)], same(), &[(Field::Events, 5)]);
    check(runs(), vec![run(1, 5)], same(), &[(Field::Events, 3)]);
    check(runs(), vec![run(0, 3), run(5, 1)], same(), &[(Field::Events, 0)]);
    check(runs(), events(), other, &[(Field::Commitments, 1)]);
    check(runs(), events(), Vec::new(), &[(Field::Commitments, 1)]);
    let both = [(Field::KeyIds, INTENT), (Field::Commitments, 1)];
    check(vec![two], events(), [same(), vec![more]].concat(), &both);
}

#[test]
fn key_scope_that_is_left_out_or_added_is_named() {
    let (_, store, certificate) = shredded();
    let (mine, other) = (certificate.targets[0].key_scope.clone(), Box::from(*b"\x01\x01\x00z"));
    let mut fewer = certificate.clone();
    fewer.targets.clear();
    assert_eq!(findings(&store, &fewer), [of_scope(Field::KeyScope, &mine, INTENT)]);
    let mut more = certificate.clone();
    more.targets.push(CertifiedTarget::new(other, Vec::new()));
    assert_eq!(findings(&store, &more), [of_scope(Field::KeyScope, b"\x01\x01\x00z", INTENT)]);
    let mut reserved = certificate.clone();
    reserved.targets.insert(0, CertifiedTarget::new(Box::default(), Vec::new()));
    let found = findings(&store, &reserved);
    assert_eq!(found, [of_scope(Field::KeyScope, b"", INTENT)]);
    assert!(found[0].to_string().starts_with("keys without a key scope: the key scope"), "{}", found[0]);
    let mut withheld = certificate;
    withheld.withheld.push(mine.clone());
    assert_eq!(findings(&store, &withheld), [of_scope(Field::Withheld, &mine, INTENT)]);
}

#[test]
fn intents_that_the_log_does_not_have_are_named() {
    let (_, store, certificate) = shredded();
    let mut moved = certificate.clone();
    moved.intents[0].position = 5;
    assert_eq!(findings(&store, &moved), [Finding::NotAnIntent { position: 5 }]);
    let mut ahead = certificate.clone();
    ahead.completion.position = 100;
    assert_eq!(findings(&store, &ahead), [differs(Field::CompletionPosition, COMPLETION)]);
    let mut more = certificate.clone();
    more.intents.insert(0, CertifiedEvent { position: 5, ..certificate.intents[0] });
    let expected = [differs(Field::IntentPosition, INTENT), differs(Field::IntentPosition, INTENT)];
    assert_eq!(findings(&store, &more), expected);
    let mut none = certificate;
    none.intents.clear();
    assert_eq!(findings(&store, &none), [Finding::NotAnIntent { position: COMPLETION }]);
}

#[test]
fn certificate_of_another_shred_of_the_store_is_told_apart() {
    let (_, store, certificate) = shredded();
    let second = store.shred(&[Selector::Entity("b".into())], 7, "ticket 12").unwrap();
    let mut swapped = issued(&store, second.intent);
    assert!(findings(&store, &swapped).is_empty());
    swapped.targets.clone_from(&certificate.targets);
    swapped.events_hash = certificate.events_hash;
    let found = findings(&store, &swapped);
    let scopes = [&certificate.targets[0].key_scope, &issued(&store, second.intent).targets[0].key_scope];
    let mut expected = vec![differs(Field::EventsHash, second.intent)];
    expected.extend(scopes.map(|scope| of_scope(Field::KeyScope, scope, second.intent)));
    assert_eq!(found, expected);
}

#[test]
fn certificate_of_another_store_is_refused_by_its_name() {
    let (_, store, certificate) = shredded();
    let (_, other, _) = shredded();
    let (named, found) = (store.info().store, other.info().store);
    assert_eq!(findings(&other, &certificate), [Finding::OtherStore { named, found }]);
    // Told to be of the other store, it is of another chain.
    let renamed = Certificate { store: found, ..certificate };
    let fields: Vec<_> = findings(&other, &renamed)
        .into_iter()
        .map(|finding| match finding {
            Finding::Differs { field, .. } | Finding::ScopeDiffers { field, .. } => field,
            other => panic!("{other:?}"),
        })
        .collect();
    for field in [Field::GenesisChainHash, Field::IntentChainHash, Field::CompletionChainHash, Field::EventsHash] {
        assert!(fields.contains(&field), "{fields:?}");
    }
}

/// Cuts the log before a position.
fn cut(place: &Place, position: u64) -> Place {
    let spot = spots(place).into_iter().find(|spot| spot.position == position).unwrap();
    let copy = Place::on(place.memory.as_ref().unwrap().copy());
    let path = segment_file(&copy, spot.segment);
    let mut bytes = copy.read(&path);
    bytes.truncate(usize::try_from(spot.offset).unwrap());
    copy.put(&path, &bytes);
    copy
}

#[test]
fn log_that_ends_before_the_completion_is_said_to_be_cut() {
    let (place, _store, certificate) = shredded();
    let ends = |position, end| [Finding::LogEnds { position, end }];
    assert_eq!(findings(&keyless(&cut(&place, COMPLETION)), &certificate), ends(COMPLETION, COMPLETION));
    assert_eq!(findings(&keyless(&cut(&place, INTENT)), &certificate), ends(INTENT, INTENT));
    assert_eq!(findings(&keyless(&cut(&place, 1)), &certificate), ends(INTENT, 1));
    // The control.
    assert!(findings(&keyless(&place), &certificate).is_empty());
}

#[test]
fn log_that_went_on_otherwise_from_before_the_completion_is_not_the_same_log() {
    let (place, _store, certificate) = shredded();
    let copy = cut(&place, COMPLETION);
    forge(&copy, None);
    let found = findings(&keyless(&copy), &certificate);
    let [Finding::LogUnsound(problem), Finding::NotCompleted { intent: INTENT }] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(problem.position, COMPLETION + 1);
}

#[test]
fn log_that_is_not_sound_is_named_beside_the_rest() {
    let place = Place::memory();
    let (store, _) = filled(&place, place.config());
    drop(store);
    let whole = Place::on(place.memory.as_ref().unwrap().copy());
    forge(&place, None);
    let shred = |place: &Place| place.open().shred(&[Selector::Entity("a".into())], 0, "").unwrap().intent;
    let (forged, intent) = (shred(&place), shred(&whole));
    assert_eq!((forged, intent), (7, 6));
    let mut certificate = issued(&keyless(&whole), intent);
    certificate.intents[0].position = forged;
    certificate.completion.position = forged + 1;
    let found = findings(&keyless(&place), &certificate);
    assert!(matches!(&found[0], Finding::LogUnsound(problem) if problem.position == 7), "{found:?}");
    assert!(found.contains(&differs(Field::IntentChainHash, forged)), "{found:?}");
}

#[test]
fn section_of_a_later_version_is_counted_and_not_taken_for_checked() {
    let (_, store, certificate) = shredded();
    let section = CertificateSection { tag: 1, bytes: Box::from(*b"signed") };
    let signed = Certificate { sections: vec![section], ..certificate.clone() };
    let report = store.verify_certificate(&signed, &mut |_| {}).unwrap();
    assert_eq!((report.holds(), report.sections_unread), (true, 1));
    assert_eq!(store.verify_certificate(&certificate, &mut |_| {}).unwrap().sections_unread, 0);
}

/// Flips a bit of each byte of the canonical form, every byte another; what still is a certificate must not hold.
#[test]
fn every_flipped_byte_of_a_certificate_is_refused_or_found() {
    let (place, _store, certificate) = shredded();
    let store = keyless(&place);
    let bytes = certificate.encode().unwrap();
    let (mut refused, mut found) = (0, 0);
    for byte in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[byte] ^= 1 << (byte % 8);
        match Certificate::decode(&flipped) {
            Err(_) => refused += 1,
            Ok(changed) => {
                assert!(!findings(&store, &changed).is_empty(), "byte {byte}");
                assert_ne!(changed.hash(), certificate.hash());
                found += 1;
            }
        }
    }
    assert!(refused > 20 && found > 200, "{refused} refused, {found} found");
}

#[test]
fn certificate_of_a_store_without_events_of_the_key_scope_holds_and_its_changes_are_found() {
    let place = Place::memory();
    let store = place.create();
    let intent = store.shred(&[Selector::Entity("nobody".into())], 0, "").unwrap().intent;
    let certificate = issued(&store, intent);
    assert_eq!((certificate.keys(), certificate.events()), (0, 0));
    assert!(findings(&store, &certificate).is_empty());
    append(&store, "b", b"x");
    let mut changed = certificate.clone();
    changed.targets[0].events.push(PositionRun { first: 0, count: 1 });
    assert_eq!(findings(&store, &changed), [of_scope(Field::Events, &certificate.targets[0].key_scope, 0)]);
    let other = Certificate { store: StoreId::from_bytes([1; 16]), ..certificate };
    assert!(matches!(findings(&store, &other)[..], [Finding::OtherStore { .. }]));
    let plain = Place::memory();
    let plain = Store::create(plain.dir(), plain.with(Encryption::none())).unwrap();
    let renamed = Certificate { store: plain.info().store, ..other };
    assert_eq!(findings(&plain, &renamed), [Finding::LogEnds { position: intent, end: 1 }]);
}
