//! A payload key against the portable backend.

use super::*;

#[test]
fn payload_key_is_the_portable_backend_under_its_bytes() {
    let nonce = Nonce::from_bytes([9; 24]);
    let mut through_key = *b"payload";
    let mut through_backend = through_key;
    assert_eq!(
        PayloadKey::copied_to(KeyRoom::new(), &[7; 32]).seal(&nonce, b"aad", &mut through_key),
        crate::Portable::seal_in_place(&[7; 32], &nonce, b"aad", &mut through_backend)
    );
    assert_eq!(through_key, through_backend);
}

#[test]
fn key_room_holds_nothing_of_the_key_that_was_there() {
    let KeyRoom(room) = PayloadKey::copied_to(KeyRoom::new(), &[7; 32]).into_room();
    assert_eq!(room.bytes(), &[0; 32]);
    let place = std::ptr::from_ref(room.bytes());
    let key = PayloadKey::copied_to(KeyRoom(room), &[9; 32]);
    assert_eq!((std::ptr::from_ref(key.bytes()), key.bytes()), (place, &[9; 32]));
}
