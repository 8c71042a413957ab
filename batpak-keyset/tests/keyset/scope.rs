//! Granularities and key scopes from outside.

use batpak_format::{Coordinate, EventId, EventKind};
use batpak_keyset::{Granularity, KEY_SCOPE_BYTES_MAX, KeyScope, ScopeError, encode_scope, scope_for};
use proptest::prelude::*;

fn coordinate(entity: &str, scope: &str) -> Coordinate {
    Coordinate::new(entity, scope).unwrap()
}

/// An event as far as a key scope looks at it.
type Event = (String, String, u16, [u8; 16]);

/// Few names, so that two events often agree in a part, with the lengths that would confuse a plain join.
fn events() -> impl Strategy<Value = Event> {
    ("[ab@]{1,3}", "[ab@]{1,3}", prop_oneof![0x1000_u16..0x1003, 0x2000_u16..0x2003], prop::array::uniform16(0_u8..2))
}

fn scope(granularity: Granularity, event: &Event) -> KeyScope {
    let (entity, scope, kind, id) = event;
    scope_for(granularity, &coordinate(entity, scope), EventKind::from_u16(*kind), EventId::from_bytes(*id))
}

/// What the granularity looks at, to be compared part by part.
fn parts(granularity: Granularity, event: &Event) -> Vec<Vec<u8>> {
    let (entity, scope, kind, id) = event;
    match granularity {
        Granularity::Entity => vec![entity.clone().into()],
        Granularity::Coordinate => vec![entity.clone().into(), scope.clone().into()],
        Granularity::Scope => vec![scope.clone().into()],
        Granularity::Category => vec![(kind >> 12).to_le_bytes().into()],
        Granularity::Kind => vec![kind.to_le_bytes().into()],
        Granularity::Event => vec![id.to_vec()],
        other => panic!("a granularity without a test: {other}"),
    }
}

proptest! {
    #[test]
    fn scopes_are_equal_exactly_when_their_parts_are(
        left in events(),
        right in events(),
        granularities in (prop::sample::select(&Granularity::ALL), prop::sample::select(&Granularity::ALL)),
    ) {
        let (one, other) = granularities;
        let expected = one == other && parts(one, &left) == parts(other, &right);
        prop_assert_eq!(scope(one, &left) == scope(other, &right), expected);
    }

    #[test]
    fn scope_round_trips_and_no_truncation_does(event in events(), granularity in prop::sample::select(&Granularity::ALL)) {
        let scope = scope(granularity, &event);
        prop_assert_eq!(&KeyScope::from_bytes(scope.as_bytes()).unwrap(), &scope);
        prop_assert_eq!(scope.granularity(), granularity);
        for len in 0..scope.as_bytes().len() {
            prop_assert_eq!(KeyScope::from_bytes(&scope.as_bytes()[..len]), Err(ScopeError::NotCanonical));
        }
    }

    #[test]
    fn scope_bytes_that_decode_are_canonical(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(scope) = KeyScope::from_bytes(&bytes) {
            prop_assert_eq!(scope.as_bytes(), &bytes[..]);
            prop_assert!(!scope.to_string().is_empty());
        }
    }
}

#[test]
fn scope_bytes_are_pinned() {
    let (coordinate, kind, id) = (coordinate("ab", "c"), EventKind::from_u16(0x1234), EventId::from_bytes([7; 16]));
    let bytes = |granularity| scope_for(granularity, &coordinate, kind, id).as_bytes().to_vec();
    assert_eq!(bytes(Granularity::Entity), b"\x01\x02\x00ab");
    assert_eq!(bytes(Granularity::Coordinate), b"\x02\x02\x00ab\x01\x00c");
    assert_eq!(bytes(Granularity::Scope), b"\x03\x01\x00c");
    assert_eq!(bytes(Granularity::Category), b"\x04\x01\x00\x01");
    assert_eq!(bytes(Granularity::Kind), b"\x05\x02\x00\x34\x12");
    assert_eq!(bytes(Granularity::Event), [&b"\x06\x10\x00"[..], &[7; 16]].concat());
}

#[test]
fn longest_scope_has_the_length_that_is_promised() {
    let name = "n".repeat(1024);
    let mut bytes = Vec::new();
    let coordinate = coordinate(&name, &name);
    encode_scope(
        Granularity::Coordinate,
        &coordinate,
        EventKind::from_u16(1),
        EventId::from_bytes([0; 16]),
        &mut bytes,
    );
    assert_eq!(bytes.len(), KEY_SCOPE_BYTES_MAX);
    assert!(KeyScope::from_bytes(&bytes).is_ok());
    bytes[1] = 1;
    assert_eq!(KeyScope::from_bytes(&bytes), Err(ScopeError::NotCanonical));
}

#[test]
fn scope_bytes_of_no_event_are_refused() {
    let hostile: [&[u8]; 8] = [
        b"",
        b"\x01\x00\x00",
        b"\x01\x01\x00\x07",
        b"\x01\x01\x00\xFF",
        b"\x03\x01\x00cc",
        b"\x04\x01\x00\x10",
        b"\x05\x01\x00\x10",
        b"\x06\x10\x00\x01",
    ];
    for bytes in hostile {
        assert_eq!(KeyScope::from_bytes(bytes), Err(ScopeError::NotCanonical), "{bytes:?}");
    }
    assert_eq!(KeyScope::from_bytes(b"\x00"), Err(ScopeError::UnknownGranularity { code: 0 }));
    assert_eq!(KeyScope::from_bytes(b"\x07\x00\x00"), Err(ScopeError::UnknownGranularity { code: 7 }));
}

#[test]
fn granularity_codes_and_names_round_trip() {
    for (at, granularity) in Granularity::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(granularity.code()), at + 1);
        assert_eq!(Granularity::from_code(granularity.code()), Ok(granularity));
        assert_eq!(granularity.to_string().parse(), Ok(granularity));
    }
    assert_eq!("Entity".parse::<Granularity>(), Err(ScopeError::UnknownName));
}

#[test]
fn granularity_covers_only_what_lies_within_it() {
    use Granularity::{Category, Coordinate, Entity, Event, Kind, Scope};
    let strict = [(Entity, Coordinate), (Scope, Coordinate), (Category, Kind)];
    for coarse in Granularity::ALL {
        for fine in Granularity::ALL {
            let expected = coarse == fine || fine == Event || strict.contains(&(coarse, fine));
            assert_eq!(coarse.covers(fine), expected, "{coarse} over {fine}");
        }
    }
}

#[test]
fn scope_is_shown_to_people_without_its_lengths() {
    let event = ("author-1".to_owned(), "repository".to_owned(), 0x1005, [0; 16]);
    let shown = |granularity| scope(granularity, &event).to_string();
    assert_eq!(shown(Granularity::Entity), "entity author-1");
    assert_eq!(shown(Granularity::Coordinate), "coordinate author-1@repository");
    assert_eq!(shown(Granularity::Scope), "scope repository");
    assert_eq!(shown(Granularity::Category), "category 0x1");
    assert_eq!(shown(Granularity::Kind), "kind 1:5");
    assert_eq!(shown(Granularity::Event), "event 00000000-0000-0000-0000-000000000000");
}
