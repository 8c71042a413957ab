//! Certificates of shreds whose intents are a batch: one certificate, whichever of them it is asked by.

use batpak_store::{
    CertificateError, CertificateField as Field, CertificateFinding as Finding, CertifiedWorth, ContentType,
    Coordinate, EventId, Query, Timestamp,
    format::{
        BatchPart, Causes, CertifiedTarget, FrameBuf, FrameSeed, KeyRun, Placement, PositionRun, Record, SYSTEM_ENTITY,
        ShredCompleted, ShredIntent, ShredTarget, Statement, Tags, chain_hash,
    },
    keyset::{KeyScope, scope_for},
};

use crate::{
    certificate::{issued, keyless},
    kit::{Place, append, at, kind},
    spots::{segment_file, spots},
};

/// Puts records behind the last event of a log, as the store itself would: whole by every check.
fn forge(place: &Place, records: &[(Record, Option<BatchPart>)]) {
    let store = keyless(place);
    let own = Query::all().entity(SYSTEM_ENTITY).include_system(true).reverse().limit(1);
    let last = store.read(&own).unwrap().next().unwrap().unwrap().header;
    let (mut revision, mut chain) = (last.revision, last.chain_hash);
    let end = *spots(place).last().unwrap();
    let path = segment_file(place, end.segment);
    let mut file = place.read(&path);
    file.truncate(usize::try_from(end.end()).unwrap());
    for (at, (record, batch)) in records.iter().enumerate() {
        let position = end.position + 1 + at as u64;
        let (coordinate, causes, tags) = (Coordinate::system(), Causes::default(), Tags::default());
        let statement = Statement {
            id: EventId::from_key(&position.to_le_bytes()),
            kind: record.kind(),
            payload_version: 0,
            content_type: ContentType::SYSTEM,
            coordinate: &coordinate,
            correlation: None,
            causes: &causes,
            tags: &tags,
            batch: *batch,
            encryption: None,
            key_commitment: None,
        };
        let frame = FrameBuf::new(&statement, &record.encode().unwrap()).unwrap().seal_finished();
        let time = Timestamp::from_micros(i64::try_from(position).unwrap());
        revision += 1;
        chain = chain_hash(&chain, frame.digest(), position, revision, time);
        let placement = Placement { position, revision, time, chain_hash: chain, durable_mark: 0 };
        let seed = FrameSeed { store: store.info().store, segment: end.segment, offset: file.len() as u64 };
        file.extend_from_slice(&frame.place(&placement, &seed));
    }
    place.put(&path, &file);
}

/// The key scope of an entity and the key that its first event was sealed under.
fn target(place: &Place, entity: &str) -> ShredTarget {
    let header = keyless(place).latest(entity).unwrap().unwrap().header;
    let key_scope = scope_for(batpak_store::Granularity::Entity, &at(entity), kind(), header.id);
    let runs = vec![KeyRun { first: header.encryption.unwrap().key_id, count: 1 }];
    ShredTarget { key_scope: key_scope.as_bytes().into(), runs }
}

fn intent(targets: Vec<ShredTarget>, withheld: &[&[u8]]) -> Record {
    Record::ShredIntent(ShredIntent {
        granularity: 1,
        previous_intent: None,
        epoch: 1,
        reason: 7,
        reference: "many".into(),
        targets,
        withheld: withheld.iter().map(|key_scope| (*key_scope).into()).collect(),
    })
}

fn completed(intent: u64) -> Record {
    Record::ShredCompleted(ShredCompleted {
        intent,
        epoch: 9,
        provider_kind: 2,
        destruction: 2,
        effective_at: None,
        unreachable: 3,
    })
}

/// A log of `a`, `b`, `c`, `b` at positions 1 to 4.
fn filled() -> Place {
    let place = Place::memory();
    let store = place.create();
    ["a", "b", "c", "b"].iter().for_each(|entity| assert!(append(&store, entity, b"x").position > 0));
    drop(store);
    place
}

const fn part(index: u32) -> Option<BatchPart> {
    Some(BatchPart { index, count: 2 })
}

#[test]
fn intents_of_a_batch_have_one_certificate_whichever_is_asked_for() {
    let place = filled();
    let (a, b) = (target(&place, "a"), target(&place, "b"));
    // Sorted over both intents, and the completion names the last of them.
    let records =
        [(intent(vec![b], &[b"z"]), part(0)), (intent(vec![a], &[b"y", b"z"]), part(1)), (completed(6), None)];
    forge(&place, &records);
    let store = keyless(&place);
    let certificate = issued(&store, 5);
    assert_eq!(issued(&store, 6), certificate);
    let intents: Vec<_> = certificate.intents.iter().map(|intent| intent.position).collect();
    assert_eq!((intents, certificate.completion.position), (vec![5, 6], 7));
    let named = |target: &CertifiedTarget| {
        (KeyScope::from_bytes(&target.key_scope).unwrap().to_string(), target.events.clone())
    };
    let run = |first| PositionRun { first, count: 1 };
    let expected = [("entity a".to_owned(), vec![run(1)]), ("entity b".to_owned(), vec![run(2), run(4)])];
    assert_eq!(certificate.targets.iter().map(named).collect::<Vec<_>>(), expected);
    assert_eq!((certificate.reason, certificate.unreachable, certificate.epoch), (7, 3, 9));
    assert_eq!(certificate.worth, CertifiedWorth::OldCopiesNotCovered);
    assert_eq!(certificate.withheld, [Box::from(*b"y"), Box::from(*b"z")]);
    assert!(store.verify_certificate(&certificate, &mut |_| {}).unwrap().holds());
    let mut fewer = certificate;
    fewer.intents.remove(0);
    let findings = store.verify_certificate(&fewer, &mut |_| {}).unwrap().findings;
    let differs = |field, position| Finding::Differs { field, position };
    let fields = [Field::IntentPosition, Field::IntentTime, Field::IntentChainHash].map(|field| differs(field, 5));
    assert_eq!(findings, [&fields[..], &[differs(Field::IntentPosition, 6)]].concat());
}

#[test]
fn key_scope_in_two_intents_of_a_batch_is_one_target() {
    let place = filled();
    let mut b = target(&place, "b");
    let mut more = b.clone();
    more.runs[0].first = batpak_store::KeyId::from_u64(b.runs[0].first.as_u64() + 1);
    b.runs[0].count = 2;
    forge(&place, &[(intent(vec![more], &[]), part(0)), (intent(vec![b.clone()], &[]), part(1)), (completed(6), None)]);
    let certificate = issued(&keyless(&place), 6);
    let [target] = certificate.targets.as_slice() else { panic!("{:?}", certificate.targets) };
    assert_eq!((&target.key_scope, &target.runs, certificate.events()), (&b.key_scope, &b.runs, 2));
}

#[test]
fn intents_that_are_no_batch_are_two_shreds() {
    let place = filled();
    let (a, b) = (target(&place, "a"), target(&place, "b"));
    let records = [(intent(vec![b], &[]), None), (intent(vec![a], &[]), None), (completed(6), None)];
    forge(&place, &records);
    let store = keyless(&place);
    let why = store.certificate(5, &mut |_| {}).unwrap_err();
    assert!(matches!(why, CertificateError::Pending { intent: 5 }), "{why:?}");
    assert_eq!((issued(&store, 6).events(), issued(&store, 6).intents.len()), (1, 1));
}

#[test]
fn completion_that_says_nothing_known_gives_no_certificate() {
    let place = filled();
    let Record::ShredCompleted(mut unknown) = completed(5) else { panic!("it is a completion") };
    unknown.destruction = 9;
    forge(&place, &[(intent(vec![target(&place, "a")], &[]), None), (Record::ShredCompleted(unknown), None)]);
    let why = keyless(&place).certificate(5, &mut |_| {}).unwrap_err();
    assert!(matches!(why, CertificateError::Format(_)), "{why:?}");
}
