//! What the header says of the provider.

use batpak_keyset::{
    Argon2Record, ImageHeader, KeysetError, LoadInput, LogSeen, PROVIDER_PARAMS_BYTES_MAX, ProviderKind,
    ProviderRecord, candidates,
};

use crate::disk::Files;
use crate::fixed::{FixedEntropy, STORE, create, root};

const ARGON2: Argon2Record = Argon2Record { version: 0x13, m_kib: 65_536, t: 3, p: 1, salt: [0x5A; 16] };

fn published(provider: ProviderRecord) -> Files {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = create(provider, &entropy);
    keyset.take(&entropy).unwrap();
    let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    files.publish(&mut keyset, &publication);
    files
}

#[test]
fn provider_of_each_kind_round_trips() {
    let params = vec![0xC3; PROVIDER_PARAMS_BYTES_MAX];
    let providers = [
        (ProviderRecord::local(&root(1)), ProviderKind::Local, None, &[][..]),
        (ProviderRecord::key_file(), ProviderKind::KeyFile, None, &[]),
        (ProviderRecord::passphrase(ARGON2), ProviderKind::Passphrase, Some(&ARGON2), &[]),
        (ProviderRecord::passphrase_key_file(ARGON2), ProviderKind::PassphraseKeyFile, Some(&ARGON2), &[]),
        (ProviderRecord::external(&params).unwrap(), ProviderKind::External, None, &params),
    ];
    for (provider, kind, argon2, params) in providers {
        let files = published(provider);
        let judged = candidates(&files.input()).unwrap();
        let found = &judged.header().provider;
        assert_eq!((found.kind(), found.argon2(), found.params()), (kind, argon2, params));
        let keyset = judged.open(&root(1)).unwrap().keyset;
        assert_eq!(keyset.provider().duplicate().kind(), kind);
        assert_eq!(ProviderKind::from_code(kind.code()), Some(kind));
    }
}

#[test]
fn local_image_holds_its_root_secret_and_others_do_not() {
    let files = published(ProviderRecord::local(&root(1)));
    let judged = candidates(&files.input()).unwrap();
    let secret = judged.header().provider.local_secret().unwrap();
    assert!(judged.open(&secret).is_ok());
    let holds = |files: &Files| files.a.as_ref().unwrap().windows(32).any(|window| window == [1; 32]);
    assert!(holds(&files));
    for provider in [ProviderRecord::key_file(), ProviderRecord::passphrase(ARGON2)] {
        assert!(!holds(&published(provider)));
    }
}

#[test]
fn outside_provider_params_over_the_cap_are_refused() {
    let params = vec![0; PROVIDER_PARAMS_BYTES_MAX + 1];
    let refused = ProviderRecord::external(&params);
    assert!(matches!(refused, Err(KeysetError::ParamsTooLong { bytes: 1025 })));
}

#[test]
fn provider_fields_of_another_kind_are_refused() {
    let files = published(ProviderRecord::key_file());
    let header = &files.a.as_ref().unwrap()[..224];
    for at in [18, 19, 28, 30, 136, 152, 168] {
        let mut changed = header.to_vec();
        changed[at] = 0x77;
        assert!(ImageHeader::decode(&changed).is_err(), "byte {at}");
    }
    let input = LoadInput { store: Some(STORE), ..files.input() };
    assert!(candidates(&input).is_ok());
}

#[test]
fn provider_prints_no_secret() {
    let shown = format!("{:?}", ProviderRecord::local(&root(0xAB)));
    assert_eq!(shown, "ProviderRecord { kind: Local, argon2: None, .. }");
}
