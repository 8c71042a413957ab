//! A payload key against the portable backend.

use super::*;

#[test]
fn payload_key_is_the_portable_backend_under_its_bytes() {
    let nonce = Nonce::from_bytes([9; 24]);
    let mut through_key = *b"payload";
    let mut through_backend = through_key;
    assert_eq!(
        PayloadKey::copied(&[7; 32]).seal(&nonce, b"aad", &mut through_key),
        crate::Portable::seal_in_place(&[7; 32], &nonce, b"aad", &mut through_backend)
    );
    assert_eq!(through_key, through_backend);
}
