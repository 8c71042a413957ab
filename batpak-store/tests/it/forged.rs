//! Frames that somebody with write access to the files could make: whole by every check that needs no key.

use batpak_store::{
    Coordinate, EventId, ReadError, Timestamp, VerifyOptions,
    format::{
        Causes, ContentType, FrameBuf, FrameSeed, PayloadEncryption, Placement, Statement, Tags, chain_hash,
        entity_root,
    },
};

use crate::{
    kit::{Place, append, at, kind},
    spots::{segment_file, spots},
};

/// Puts a frame behind the last one of a store that was not closed; the store's own clear or sealed form is up to the caller.
fn forge(place: &Place, encryption: Option<PayloadEncryption>) -> EventId {
    let info = batpak_store::Store::inspect(place.dir(), &*place.disk).unwrap();
    let last = *spots(place).last().unwrap();
    let id = EventId::from_key(b"forged");
    let coordinate: Coordinate = at("forged");
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
    let chain = chain_hash(&entity_root(info.store, "forged"), frame.digest(), position, 0, time);
    let placement = Placement { position, revision: 0, time, chain_hash: chain, durable_mark: 0 };
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
