//! Root secrets from a passphrase. Memory is at the floor, 8 MiB, so that the tests take milliseconds.

use batpak_crypto::PassphraseError;
use batpak_crypto::passphrase::{ARGON2_VERSION, Argon2Params, PASSPHRASE_BYTES_MAX, derive};

const FLOOR: Argon2Params = Argon2Params { m_kib: 8192, t: 1, p: 1 };
const PASSPHRASE: &[u8] = b"correct horse battery staple";
const SALT: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn passphrase_gives_what_the_reference_implementation_gives() {
    // From the reference implementation in C, version 1.3, type id.
    let secret = derive(PASSPHRASE, &SALT, &FLOOR).unwrap();
    assert_eq!(hex(secret.expose()), "9aeef75313e585f492c33c5e12d82e9ad253b7dd78632d537e899cd4eddd789c");
    let secret = derive(PASSPHRASE, &SALT, &Argon2Params { m_kib: 8192, t: 2, p: 4 }).unwrap();
    assert_eq!(hex(secret.expose()), "29ead5d551bc9883906f34911b6c722e68816c5551ef7d08d00cd35925419d79");
    assert_eq!(ARGON2_VERSION, 0x13);
}

#[test]
fn passphrase_salt_and_each_parameter_change_the_secret() {
    let secret = derive(PASSPHRASE, &SALT, &FLOOR).unwrap();
    let others = [
        derive(b"correct horse battery stapl", &SALT, &FLOOR),
        derive(PASSPHRASE, &[0; 16], &FLOOR),
        derive(PASSPHRASE, &SALT, &Argon2Params { m_kib: 8200, ..FLOOR }),
        derive(PASSPHRASE, &SALT, &Argon2Params { t: 2, ..FLOOR }),
        derive(PASSPHRASE, &SALT, &Argon2Params { p: 2, ..FLOOR }),
    ];
    for other in others {
        assert_ne!(other.unwrap().expose(), secret.expose());
    }
}

#[test]
fn argon2_params_default_to_64_mib_three_passes_and_p_of_one() {
    assert_eq!(Argon2Params::default(), Argon2Params { m_kib: 65_536, t: 3, p: 1 });
    assert_eq!(Argon2Params::default().check(), Ok(()));
}

#[test]
fn argon2_params_are_held_between_floors_and_caps() {
    for params in [FLOOR, Argon2Params { m_kib: 4 << 20, t: 64, p: 16 }] {
        assert_eq!(params.check(), Ok(()));
    }
    for m_kib in [0, 8, 8191, (4 << 20) + 1, u32::MAX] {
        let params = Argon2Params { m_kib, ..FLOOR };
        assert_eq!(params.check(), Err(PassphraseError::MemoryOutOfRange { m_kib }));
        assert!(matches!(derive(PASSPHRASE, &SALT, &params), Err(e) if Err(e) == params.check()));
    }
    for t in [0, 65, u32::MAX] {
        let params = Argon2Params { t, ..FLOOR };
        assert_eq!(params.check(), Err(PassphraseError::PassesOutOfRange { t }));
        assert!(matches!(derive(PASSPHRASE, &SALT, &params), Err(e) if Err(e) == params.check()));
    }
    for p in [0, 17, u32::MAX] {
        let params = Argon2Params { p, ..FLOOR };
        assert_eq!(params.check(), Err(PassphraseError::ParallelismOutOfRange { p }));
        assert!(matches!(derive(PASSPHRASE, &SALT, &params), Err(e) if Err(e) == params.check()));
    }
}

#[test]
fn passphrase_is_one_to_4096_bytes_long() {
    assert!(derive(&[b'x'; PASSPHRASE_BYTES_MAX], &SALT, &FLOOR).is_ok());
    for bytes in [0, PASSPHRASE_BYTES_MAX + 1] {
        let refused = derive(&vec![b'x'; bytes], &SALT, &FLOOR);
        assert!(matches!(refused, Err(PassphraseError::Length { bytes: n }) if n == bytes));
    }
}

#[test]
fn passphrase_alone_does_not_open_what_needs_the_key_file() {
    let alone = derive(PASSPHRASE, &SALT, &FLOOR).unwrap();
    let with_file = alone.mix(&[9; 32]);
    assert_ne!(alone.expose(), with_file.expose());
    assert_ne!(with_file.expose(), alone.mix(&[8; 32]).expose());
}
