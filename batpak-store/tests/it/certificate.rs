//! Certificates: what they state, who issues them, and that the log bears them out.

use batpak_store::{
    Certificate, CertificateError, CertificateField, CertificateFinding, CertifiedWorth, Config, Coordinate,
    Destruction, Encryption, EventId, EventKind, Granularity, KeyFile, Local, NewEvent, NewSecret, Passphrase,
    ProviderContext, ProviderError, ProviderKind, Query, RootSecretProvider, Selector, Shredding, Store, Timestamp,
    crypto::{RootSecret, SecretId, passphrase::Argon2Params},
    format::{CertifiedEvent, EventsHasher, KeyCommitment, KeyRun, PositionRun},
    keyset::{KeyScope, ProviderRecord, scope_for},
    segment::DiskOp,
};

use crate::{
    forged::forge,
    kit::{Place, append, at, both, kind},
};

const GRANULARITIES: [Granularity; 6] = Granularity::ALL;

/// Issues a certificate; what is issued can be written down and read again.
pub fn issued(store: &Store, intent: u64) -> Certificate {
    let certificate = store.certificate(intent, &mut |_| {}).unwrap();
    assert_eq!(Certificate::decode(&certificate.encode().unwrap()).as_ref(), Ok(&certificate));
    certificate
}

/// Opens a place without keys, as whoever has a copy of the log does.
pub fn keyless(place: &Place) -> Store {
    Store::open_read_only(place.dir(), place.with(Encryption::none()).without_keys()).unwrap()
}

fn holds(store: &Store, certificate: &Certificate) {
    let report = store.verify_certificate(certificate, &mut |_| {}).unwrap();
    assert!(report.holds(), "{report:?}");
    assert_eq!(report.events_read, certificate.completion.position + 1);
}

/// Appends an event that shares no key with those of `a`, whatever the granularity.
fn append_other(store: &Store) {
    let (kind, at) = (EventKind::new(2, 9).unwrap(), Coordinate::new("b", "scope-2").unwrap());
    store.append(&NewEvent::new(at, kind, &[7; 900])).unwrap();
}

/// A store with events of two owners under every granularity, those of the first at positions 1, 2 and 5.
pub fn filled(place: &Place, config: Config) -> (Store, EventId) {
    let store = Store::create(place.dir(), config).unwrap();
    let victim = append(&store, "a", b"one").id;
    append(&store, "a", b"two");
    append_other(&store);
    append_other(&store);
    append(&store, "a", b"three");
    (store, victim)
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

/// What the log says of an event of the store's own.
fn certified(store: &Store, position: u64) -> CertifiedEvent {
    let header = store.at(position).unwrap().unwrap().header;
    CertifiedEvent { position, time: header.time, chain_hash: header.chain_hash }
}

/// The certificate as a second hand writes it, from headers alone.
fn expected(store: &Store, shredding: &Shredding, key_scope: &KeyScope) -> Certificate {
    let certificate = issued(store, shredding.intent);
    let headers: Vec<_> =
        store.read(&Query::all().headers_only(true)).unwrap().map(|event| event.unwrap().header).collect();
    let of = |header: &&batpak_store::EventHeader| {
        scope_for(key_scope.granularity(), &header.coordinate, header.kind, header.id) == *key_scope
    };
    let victims: Vec<_> = headers.iter().filter(of).collect();
    let key_id = victims[0].encryption.unwrap().key_id;
    assert!(victims.iter().all(|header| header.encryption.unwrap().key_id == key_id));
    let mut events = EventsHasher::default();
    victims.iter().for_each(|header| events.push(&header.chain_hash));
    let committed = victims.iter().find_map(|header| header.key_commitment);
    let mut expected = Certificate {
        store: store.info().store,
        created: store.info().created,
        genesis_chain_hash: certified(store, 0).chain_hash,
        granularity: key_scope.granularity().code(),
        reason: 7,
        reference: "ticket 12".into(),
        provider_kind: store.info().provider.unwrap().code(),
        unreachable: 0,
        completion: certified(store, shredding.completion),
        intents: vec![certified(store, shredding.intent)],
        events_hash: events.finish(),
        withheld: Vec::new(),
        sections: Vec::new(),
        ..certificate
    };
    let [target] = expected.targets.as_mut_slice() else { panic!("{:?}", expected.targets) };
    target.key_scope = key_scope.as_bytes().into();
    target.runs = vec![KeyRun { first: key_id, count: 1 }];
    target.events.clear();
    victims.iter().for_each(|header| target.push_event(header.position));
    target.commitments = committed.map(|commitment| KeyCommitment { key_id, commitment }).into_iter().collect();
    expected
}

#[test]
fn certificate_states_what_the_log_says_under_every_granularity_and_whoever_issues_it() {
    for granularity in GRANULARITIES {
        both(|place| {
            let (store, victim) = filled(place, place.config().granularity(granularity));
            let shredding = store.shred(&[selector(granularity, victim)], 7, "ticket 12").unwrap();
            let certificate = issued(&store, shredding.intent);
            assert_eq!(certificate, expected(&store, &shredding, &shredding.key_scopes[0]), "{granularity}");
            let single = granularity == Granularity::Event;
            assert_eq!((certificate.keys(), certificate.events()), (1, if single { 1 } else { 3 }));
            assert_eq!(certificate.targets[0].commitments.len(), 1, "the first event of a key carries its commitment");
            assert!(matches!(shredding.destruction, Destruction::OldCopiesDeadFrom(from)
                if certificate.worth == CertifiedWorth::OldCopiesDeadFrom(from)));
            append_other(&store);
            holds(&store, &certificate);
            for other in [place.reader(), keyless(place)] {
                assert_eq!(issued(&other, shredding.intent), certificate, "{granularity}");
                holds(&other, &certificate);
            }
            store.close().unwrap();
            let store = place.open();
            assert_eq!(issued(&store, shredding.intent), certificate, "{granularity}");
            holds(&store, &certificate);
        });
    }
}

#[test]
fn copy_of_the_log_without_a_keyset_bears_a_certificate_out() {
    both(|place| {
        let (store, _) = filled(place, place.config());
        let intent = store.shred(&[Selector::Entity("a".into())], 0, "").unwrap().intent;
        let certificate = issued(&store, intent);
        store.close().unwrap();
        let copy = place.root().join("copy");
        place.disk.create_dir(&copy, 0o700).unwrap();
        place.copy_dir(&place.dir().join("segments"), &copy.join("segments"));
        let store = Store::open_read_only(&copy, place.with(Encryption::none()).without_keys()).unwrap();
        holds(&store, &certificate);
        assert_eq!(issued(&store, intent), certificate);
    });
}

#[test]
fn certificate_names_every_key_scope_under_a_coarser_selector_and_those_without_a_key() {
    let place = Place::memory();
    let store = place.create_per(Granularity::Coordinate);
    let scopes = ["s3", "s1", "s2"].map(|scope| Coordinate::new("a", scope).unwrap());
    for round in 0..2_u8 {
        for at in &scopes {
            store.append(&NewEvent::new(at.clone(), kind(), &[round])).unwrap();
        }
    }
    let ahead = Selector::Coordinate(Coordinate::new("nobody", "s").unwrap());
    let shredding = store.shred(&[Selector::Entity("a".into()), ahead], 0, "").unwrap();
    let certificate = issued(&store, shredding.intent);
    let named = certificate.targets.iter().map(|target| {
        (KeyScope::from_bytes(&target.key_scope).unwrap().to_string(), target.events.clone(), target.runs.len())
    });
    let at = |first| [first, first + 3].map(|first| PositionRun { first, count: 1 }).to_vec();
    let expected = [
        ("coordinate a@s1".to_owned(), at(2), 1),
        ("coordinate a@s2".to_owned(), at(3), 1),
        ("coordinate a@s3".to_owned(), at(1), 1),
        ("coordinate nobody@s".to_owned(), Vec::new(), 0),
    ];
    assert_eq!(named.collect::<Vec<_>>(), expected);
    holds(&store, &certificate);
}

#[test]
fn key_scope_that_was_readmitted_and_shredded_again_has_two_certificates_that_hold() {
    let place = Place::memory();
    let (store, _) = filled(&place, place.config());
    let selectors = [Selector::Entity("a".into())];
    let first = store.shred(&selectors, 1, "first").unwrap();
    store.readmit(&selectors[0]).unwrap();
    let again = append(&store, "a", b"again").position;
    let second = store.shred(&selectors, 2, "second").unwrap();
    let certificates = [first.intent, second.intent].map(|intent| issued(&store, intent));
    let events = certificates.each_ref().map(|certificate| certificate.targets[0].events.clone());
    assert_eq!(events[0], [PositionRun { first: 1, count: 2 }, PositionRun { first: 5, count: 1 }]);
    assert_eq!(events[1], [PositionRun { first: again, count: 1 }]);
    assert_ne!(certificates[0].hash(), certificates[1].hash());
    store.close().unwrap();
    for store in [place.open(), keyless(&place)] {
        certificates.iter().for_each(|certificate| holds(&store, certificate));
    }
}

/// An outside provider that keeps nothing: its store is not opened again.
#[derive(Debug)]
struct Outside;

impl RootSecretProvider for Outside {
    fn kind(&self) -> ProviderKind {
        ProviderKind::External
    }

    fn create(&self, context: &ProviderContext<'_>) -> Result<NewSecret, ProviderError> {
        let (root, id) = (RootSecret::generate(context.entropy)?, SecretId::generate(context.entropy)?);
        Ok(NewSecret { id, root, record: ProviderRecord::external(b"outside").unwrap() })
    }

    fn renew(&self, context: &ProviderContext<'_>) -> Result<NewSecret, ProviderError> {
        self.create(context)
    }

    fn unlock(&self, _: &ProviderContext<'_>, _: &ProviderRecord, _: SecretId) -> Result<RootSecret, ProviderError> {
        Err(ProviderError::Missing)
    }

    fn store_next(
        &self,
        context: &ProviderContext<'_>,
        _: &ProviderRecord,
        _: SecretId,
    ) -> Result<NewSecret, ProviderError> {
        self.create(context)
    }

    fn settle(&self, _: &ProviderContext<'_>, _: SecretId, _: Timestamp) -> Result<Destruction, ProviderError> {
        Ok(Destruction::OldCopiesDeadFrom(Timestamp::from_micros(-77)))
    }
}

#[test]
fn certificate_says_what_each_provider_promises() {
    let cheap = Argon2Params { m_kib: 8 << 10, t: 1, p: 1 };
    let secret = || zeroize::Zeroizing::new(b"correct horse".to_vec());
    let of = |make: &dyn Fn(&Place) -> Encryption| {
        let place = Place::memory();
        let (store, _) = filled(&place, place.with(make(&place)));
        let shredding = store.shred(&[Selector::Entity("a".into())], 0, "").unwrap();
        let certificate = issued(&store, shredding.intent);
        holds(&store, &certificate);
        (ProviderKind::from_code(certificate.provider_kind).unwrap(), certificate.worth)
    };
    let dead = |(kind, worth): (ProviderKind, CertifiedWorth)| {
        assert!(worth.effective_at().is_some_and(|from| from.as_micros() > 0), "{kind:?}: {worth:?}");
        kind
    };
    assert_eq!(of(&|_| Encryption::sealed(Local::new())), (ProviderKind::Local, CertifiedWorth::LiveFilesOnly));
    assert_eq!(
        of(&|_| Encryption::sealed(Passphrase::new(secret()).params(cheap))),
        (ProviderKind::Passphrase, CertifiedWorth::OldCopiesNotCovered)
    );
    let key_file = of(&|place| Encryption::sealed(KeyFile::new(place.key_file())));
    assert_eq!(dead(key_file), ProviderKind::KeyFile);
    let both = of(&|place| Encryption::sealed(Passphrase::with_key_file(secret(), place.key_file()).params(cheap)));
    assert_eq!(dead(both), ProviderKind::PassphraseKeyFile);
    let outside = CertifiedWorth::OldCopiesDeadFrom(Timestamp::from_micros(-77));
    assert_eq!(of(&|_| Encryption::sealed(Outside)), (ProviderKind::External, outside));
}

#[test]
fn certificate_of_no_shred_is_refused() {
    let place = Place::memory();
    let (store, _) = filled(&place, place.config());
    let shredding = store.shred(&[Selector::Entity("a".into())], 0, "").unwrap();
    for position in [0, 1, shredding.completion, shredding.completion + 1, u64::MAX] {
        let why = store.certificate(position, &mut |_| {}).unwrap_err();
        assert!(matches!(why, CertificateError::NoIntent { position: at } if at == position), "{why:?}");
    }
    let plain = Place::memory();
    let store = Store::create(plain.dir(), plain.with(Encryption::none())).unwrap();
    assert!(matches!(store.certificate(0, &mut |_| {}), Err(CertificateError::NoIntent { position: 0 })));
}

#[test]
fn pending_shred_has_no_certificate_until_it_is_finished() {
    let place = Place::memory();
    let (store, _) = filled(&place, place.config());
    let memory = place.memory.clone().unwrap();
    // Every call after the intent fails: the shred is pending.
    let mut synced = false;
    memory.fail(Box::new(move |call| {
        let refused = synced && !matches!(call.op, DiskOp::Read | DiskOp::Open);
        synced |= matches!(call.op, DiskOp::SyncData) && call.path.extension().is_some_and(|end| end == "seg");
        refused.then(|| std::io::ErrorKind::StorageFull.into())
    }));
    store.shred(&[Selector::Entity("a".into())], 0, "").unwrap_err();
    let pending = |store: &Store| {
        let why = store.certificate(6, &mut |_| {}).unwrap_err();
        assert!(matches!(why, CertificateError::Pending { intent: 6 }), "{why:?}");
    };
    pending(&store);
    memory.crash();
    memory.clear_hooks();
    drop(store);
    pending(&place.reader());
    pending(&keyless(&place));
    let store = place.open();
    let certificate = issued(&store, 6);
    assert_eq!((certificate.intents[0].position, certificate.completion.position), (6, 7));
    holds(&store, &certificate);
}

#[test]
fn log_that_is_not_sound_gives_no_certificate() {
    let place = Place::memory();
    let (store, _) = filled(&place, place.config());
    drop(store);
    // A payload in clear, whole by every other check.
    forge(&place, None);
    let store = place.open();
    let intent = store.shred(&[Selector::Entity("a".into())], 0, "").unwrap().intent;
    let why = store.certificate(intent, &mut |_| {}).unwrap_err();
    assert!(matches!(why, CertificateError::Unsound { problems: 1, ref first } if first.position == 7), "{why:?}");
}

#[test]
fn progress_of_a_certificate_reaches_the_completion_and_no_further() {
    let place = Place::memory();
    let (store, _) = filled(&place, place.config());
    let shredding = store.shred(&[Selector::Entity("a".into())], 0, "").unwrap();
    (0..50).for_each(|_| append_other(&store));
    assert!(store.stats().segments > 2);
    let (mut last, mut checked) = (0, 0);
    let certificate = store.certificate(shredding.intent, &mut |done| last = done).unwrap();
    store.verify_certificate(&certificate, &mut |done| checked = done).unwrap();
    assert_eq!((last, checked), (shredding.completion + 1, shredding.completion + 1));
}

#[test]
fn certificate_names_what_was_withheld() {
    let place = Place::memory();
    let (store, _) = filled(&place, place.config());
    store.hold(&Selector::Entity("b".into()), "case 3").unwrap();
    let shredding = store.shred(&["a", "b"].map(|entity| Selector::Entity(entity.into())), 7, "").unwrap();
    let certificate = issued(&store, shredding.intent);
    let names = |scopes: &[Box<[u8]>]| {
        scopes.iter().map(|scope| KeyScope::from_bytes(scope).unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&certificate.withheld), ["entity b"]);
    assert_eq!((certificate.targets.len(), certificate.events()), (1, 3));
    holds(&store, &certificate);
    let kept = Certificate { withheld: Vec::new(), ..certificate };
    let report = store.verify_certificate(&kept, &mut |_| {}).unwrap();
    let key_scope = Some(shredding.withheld[0].clone());
    let expected = CertificateFinding::ScopeDiffers { field: CertificateField::Withheld, key_scope, position: 7 };
    assert_eq!(report.findings, [expected]);
}

#[test]
fn certificate_names_reserved_keys_that_no_event_names_apart() {
    let place = Place::memory();
    let (store, _) = filled(&place, place.config());
    drop(store);
    let store = place.open();
    let shredding = store.shred(&[Selector::Entity("a".into())], 7, "").unwrap();
    let certificate = issued(&store, shredding.intent);
    let [reserved, named] = certificate.targets.as_slice() else { panic!("{:?}", certificate.targets) };
    assert!(reserved.key_scope.is_empty() && reserved.keys() > 0 && reserved.events() == 0, "{reserved:?}");
    assert_eq!((named.keys(), named.events(), certificate.keys(), shredding.keys), (1, 3, 1, 1));
    holds(&store, &certificate);
}
