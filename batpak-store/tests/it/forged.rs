//! Frames that somebody with write access to the files could make: whole by every check that needs no key.

use batpak_store::{
    Coordinate, EventId, Payload, ReadError, Selector, Timestamp, VerifyOptions,
    format::{
        Causes, ChainHash, ContentType, FrameBuf, FrameSeed, PayloadEncryption, Placement, Statement, Tags, chain_hash,
        entity_root,
    },
};

use crate::{
    kit::{Place, append, at, kind},
    spots::{segment_file, spots},
};

/// Puts a frame behind the last one of a store that was not closed; the store's own clear or sealed form is up to the caller.
pub fn forge(place: &Place, encryption: Option<PayloadEncryption>) -> EventId {
    let info = batpak_store::Store::inspect(place.dir(), &*place.disk).unwrap();
    forge_behind(place, "forged", (entity_root(info.store, "forged"), 0), encryption)
}

/// The same, for an entity whose last event has this chain hash and whose next one this revision.
fn forge_behind(
    place: &Place,
    entity: &str,
    (root, revision): (ChainHash, u64),
    encryption: Option<PayloadEncryption>,
) -> EventId {
    let info = batpak_store::Store::inspect(place.dir(), &*place.disk).unwrap();
    let last = *spots(place).last().unwrap();
    let id = EventId::from_key(b"forged");
    let coordinate: Coordinate = at(entity);
    let statement = Statement {
        id,
        kind: kind(),
        payload_version: 0,
        content_type: ContentType::TEXT,
        coordinate: &coordinate,
        correlation: None,
        causes: &Causes::default(),
        tags: &Tags::default(),
        batch: None,
        encryption,
        key_commitment: None,
    };
    let mut frame = FrameBuf::new(&statement, b"planted").unwrap();
    if encryption.is_some() {
        frame.set_tag(&[7; 16]);
    }
    let frame = frame.seal_finished();
    let (position, time) = (last.position + 1, Timestamp::from_micros(1));
    let chain = chain_hash(&root, frame.digest(), position, revision, time);
    let placement = Placement { position, revision, time, chain_hash: chain, durable_mark: 0 };
    let seed = FrameSeed { store: info.store, segment: last.segment, offset: last.end() };
    let bytes = frame.place(&placement, &seed);
    let path = segment_file(place, last.segment);
    let mut file = place.read(&path);
    file.truncate(usize::try_from(last.end()).unwrap());
    file.extend_from_slice(&bytes);
    place.put(&path, &file);
    id
}

/// A store that stopped without being closed.
fn stopped(place: &Place, config: batpak_store::Config) -> Place {
    let store = batpak_store::Store::create(place.dir(), config).unwrap();
    append(&store, "a", b"1");
    Place::on(place.memory.as_ref().unwrap().copy())
}

#[test]
fn a_payload_in_clear_in_an_encrypted_store_is_tampered() {
    let place = Place::memory();
    let place = stopped(&place, place.config());
    let id = forge(&place, None);
    let store = place.open();
    let position = store.position_of(id).unwrap().unwrap();
    assert!(matches!(store.get(id), Err(ReadError::Tampered { position: at }) if at == position));
    for options in [VerifyOptions::full(), VerifyOptions::without_keys()] {
        assert_eq!(store.verify(options, &mut |_| {}).unwrap().problems_total, 1);
    }
}

#[test]
fn a_sealed_payload_that_nobody_sealed_is_tampered() {
    let place = Place::memory();
    let place = stopped(&place, place.config());
    let key_id = batpak_store::KeyId::new(0, 1, 0);
    let id = forge(&place, Some(PayloadEncryption { key_id, nonce: [9; 24] }));
    let store = place.open();
    assert!(matches!(store.get(id), Err(ReadError::Tampered { .. })));
    assert_eq!(store.verify(VerifyOptions::full(), &mut |_| {}).unwrap().problems_total, 1);
}

#[test]
fn a_payload_in_clear_in_a_plaintext_store_is_what_it_is() {
    let place = Place::memory();
    let place = stopped(&place, place.with(batpak_store::Encryption::none()));
    let id = forge(&place, None);
    let config = place.with(batpak_store::Encryption::none());
    let store = batpak_store::Store::open(place.dir(), config).unwrap();
    assert_eq!(store.get(id).unwrap().unwrap().payload.open().unwrap().as_ref(), b"planted");
}

#[test]
fn event_that_is_pointed_at_a_shredded_key_is_not_passed_off_as_shredded() {
    let place = Place::memory();
    let store = place.create();
    let victim = append(&store, "a", b"victim");
    let key_id = store.header(victim.id).unwrap().unwrap().encryption.unwrap().key_id;
    let shredding = store.shred(&[Selector::Entity("a".into())], 0, "").unwrap();
    let stopped = || Place::on(place.memory.as_ref().unwrap().copy());
    let sealed = Some(PayloadEncryption { key_id, nonce: [9; 24] });
    // In another key scope than the intent names, and in its own but later than the intent.
    let (elsewhere, later) = (stopped(), stopped());
    let ids = [
        (forge(&elsewhere, sealed), elsewhere),
        (forge_behind(&later, "a", (victim.chain_hash, victim.revision + 1), sealed), later),
    ];
    for (id, place) in &ids {
        let store = place.open();
        let forged = store.get(*id).unwrap().unwrap();
        assert!(forged.header.position > shredding.completion);
        assert!(matches!(forged.payload, Payload::KeyLost(lost) if lost == key_id), "{:?}", forged.payload);
        assert!(store.verify(VerifyOptions::without_keys(), &mut |_| {}).unwrap().is_sound(), "every hash holds");
        assert_eq!(store.verify(VerifyOptions::full(), &mut |_| {}).unwrap().lost, 1);
        // The control: the event that was shredded.
        let payload = store.get(victim.id).unwrap().unwrap().payload;
        assert!(
            matches!(payload, Payload::Shredded(proof) if (proof.intent, proof.key_id) == (shredding.intent, key_id))
        );
    }
}
