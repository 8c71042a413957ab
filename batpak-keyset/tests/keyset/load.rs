//! Which copy wins, what is refused, and what is reported.

use batpak_format::StoreId;
use batpak_keyset::{
    Copy, CopyBytes, Finding, IMAGE_CHECK_LEN, ImageHeader, KeyMissing, Keyset, LoadError, LoadInput, LogSeen,
    candidates,
};

use crate::disk::Files;
use crate::fixed::{FixedEntropy, STORE, commitments, key_id, keyset, root};

/// A store of three pages, published twice.
fn published() -> (Files, Keyset, FixedEntropy) {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    for _ in 0..2 {
        for _ in 0..5_000 {
            keyset.take(&entropy).unwrap();
        }
        let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
        files.publish(&mut keyset, &publication);
    }
    (files, keyset, entropy)
}

/// The image of a store without a page: one 4 KiB block, of which the first bytes count.
fn small() -> Files {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    keyset.take(&entropy).unwrap();
    let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    files.publish(&mut keyset, &publication);
    for copy in Copy::BOTH {
        files.copy(copy).as_mut().unwrap().truncate(4096);
    }
    files
}

/// Changes a header and makes the check hold again, as whoever has no root secret can.
fn forge(file: &mut [u8], change: impl FnOnce(&mut [u8])) {
    change(file);
    let lens = [8, 12].map(|at| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize);
    let covered = lens[0] + lens[1];
    let check = *blake3::hash(&file[..covered]).as_bytes();
    file[covered..covered + IMAGE_CHECK_LEN].copy_from_slice(&check);
}

#[test]
fn image_round_trips() {
    let (files, keyset, _) = published();
    let loaded = files.load().unwrap();
    assert_eq!(loaded.findings, []);
    assert_eq!(loaded.winner, Copy::A);
    let ids: Vec<_> = [(1, 0), (1, 4095), (2, 17), (3, 1808)].map(|(page, leaf)| key_id(page, leaf)).into();
    assert!(commitments(&keyset, &ids).iter().all(Option::is_some));
    assert_eq!(commitments(&loaded.keyset, &ids), commitments(&keyset, &ids));
    assert!(loaded.keyset.pages().eq(keyset.pages()));
    assert_eq!((loaded.keyset.epoch(), loaded.keyset.store()), (2, STORE));
    assert_eq!(loaded.keyset.granularity(), keyset.granularity());
    assert!(matches!(loaded.keyset.key(key_id(9, 0)), Err(KeyMissing::UnknownPage)));
    assert!(matches!(loaded.keyset.key(key_id(1, 4096)), Err(KeyMissing::UnknownPage)));
}

#[test]
fn image_costs_48_bytes_a_page() {
    let (entropy, mut lens) = (FixedEntropy::default(), Vec::new());
    let mut keyset = keyset(&entropy);
    for _ in 0..2 {
        for _ in 0..1_000 {
            keyset.take(&entropy).unwrap();
            keyset.retire_page();
        }
        let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
        lens.push(publication.image.iter().rposition(|byte| *byte != 0).unwrap());
        keyset.durable(&publication);
    }
    assert!(lens[1].abs_diff(lens[0] + 48_000) <= 2, "{lens:?}");
}

#[test]
fn every_bit_flip_of_an_image_is_judged_torn() {
    let files = small();
    let mut copy = files.a.clone().unwrap();
    for bit in 0..copy.len() * 8 {
        copy[bit / 8] ^= 1 << (bit % 8);
        let alone = LoadInput { store: Some(STORE), a: CopyBytes::Bytes(&copy), b: CopyBytes::Absent };
        assert!(matches!(candidates(&alone), Err(LoadError::KeysetCorrupt)), "bit {bit}");
        copy[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn every_truncation_of_an_image_is_judged_torn() {
    let files = small();
    let copy = files.a.as_ref().unwrap();
    for len in 0..copy.len() {
        let input = LoadInput { a: CopyBytes::Bytes(&copy[..len]), ..files.input() };
        let judged = candidates(&input).unwrap();
        assert_eq!((judged.winner(), judged.findings()), (Copy::B, &[Finding::CopyDamaged(Copy::A)][..]), "at {len}");
        let alone = LoadInput { b: CopyBytes::Absent, ..input };
        assert!(matches!(candidates(&alone), Err(LoadError::KeysetCorrupt)), "at {len}");
    }
}

#[test]
fn one_copy_at_fault_is_healed_from_the_other() {
    let (files, keyset, _) = published();
    let ids = [key_id(1, 0), key_id(3, 1000)];
    for lost in Copy::BOTH {
        let ways: [(Option<Vec<u8>>, Finding); 4] = [
            (None, Finding::CopyMissing(lost)),
            (Some(vec![0; 16384]), Finding::CopyDamaged(lost)),
            (Some(Vec::new()), Finding::CopyDamaged(lost)),
            (Some(vec![0xFF; 9000]), Finding::CopyDamaged(lost)),
        ];
        for (bytes, finding) in ways {
            let mut damaged = files.clone();
            *damaged.copy(lost) = bytes;
            let mut loaded = damaged.load().unwrap();
            assert_eq!((loaded.winner, &loaded.findings[..]), (lost.other(), &[finding][..]));
            assert_eq!(commitments(&loaded.keyset, &ids), commitments(&keyset, &ids));
            damaged.rewrite(&mut loaded.keyset, &loaded.rewrite);
            assert!(loaded.keyset.copies_good());
            assert_eq!(damaged.load().unwrap().findings, []);
            assert_eq!(damaged.a, damaged.b);
        }
    }
}

/// A file may be cut in the middle of growing: its length is none of ours, and the rewrite must not hand it on to the whole copy.
#[test]
fn copy_that_was_cut_while_it_grew_is_healed_and_leaves_the_other_whole() {
    let (whole, ..) = published();
    for copy in Copy::BOTH {
        for grown in [1, 74, 4095, 4097, 20_000] {
            let mut files = whole.clone();
            let file = files.copy(copy).as_mut().unwrap();
            file.resize(file.len() + grown, 0);
            let mut loaded = files.load().unwrap();
            assert_eq!(loaded.findings, [Finding::CopyDamaged(copy)]);
            files.rewrite(&mut loaded.keyset, &loaded.rewrite);
            assert_eq!(files.load().unwrap().findings, [], "{copy:?}, {grown}");
            assert_eq!(files.a, files.b);
        }
    }
}

#[test]
fn unreadable_copy_is_reported_as_such() {
    let (files, ..) = published();
    let input = LoadInput { b: CopyBytes::Unreadable, ..files.input() };
    assert_eq!(candidates(&input).unwrap().findings(), [Finding::CopyUnreadable(Copy::B)]);
    let both = LoadInput { a: CopyBytes::Unreadable, ..input };
    assert!(matches!(candidates(&both), Err(LoadError::KeysetCorrupt)));
}

#[test]
fn both_copies_damaged_are_never_an_empty_keyset() {
    let (mut files, ..) = published();
    for copy in Copy::BOTH {
        files.copy(copy).as_mut().unwrap()[300] ^= 1;
    }
    assert!(matches!(files.load(), Err(LoadError::KeysetCorrupt)));
    files.a = None;
    assert!(matches!(files.load(), Err(LoadError::KeysetCorrupt)));
    files.b = None;
    assert!(matches!(files.load(), Err(LoadError::KeysetMissing)));
}

#[test]
fn higher_epoch_wins_and_the_difference_is_reported() {
    let (mut files, mut keyset, entropy) = published();
    let old = files.a.clone();
    let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    files.publish(&mut keyset, &publication);
    for copy in Copy::BOTH {
        let mut behind = files.clone();
        *behind.copy(copy) = old.clone();
        let mut loaded = behind.load().unwrap();
        let (a, b) = if copy == Copy::A { (2, 3) } else { (3, 2) };
        assert_eq!(loaded.findings, [Finding::EpochsDiffer { a, b }]);
        assert_eq!((loaded.winner, loaded.keyset.epoch()), (copy.other(), 3));
        let next = loaded.keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
        assert_eq!((next.epoch, next.first), (4, copy));
    }
}

#[test]
fn equal_epochs_with_different_bytes_are_corrupt() {
    let entropy = FixedEntropy::default();
    let mut keyset = keyset(&entropy);
    let a = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    let mut twin = crate::fixed::keyset(&entropy);
    let b = twin.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    let files = Files { a: Some(a.image.to_vec()), b: Some(b.image.to_vec()), ..Files::default() };
    assert!(matches!(files.load(), Err(LoadError::KeysetCorrupt)));
}

#[test]
fn wrong_root_secret_is_told_from_a_torn_image() {
    let (files, ..) = published();
    let judged = candidates(&files.input()).unwrap();
    assert!(matches!(judged.open(&root(2)), Err(LoadError::RootSecretWrong)));
    assert!(judged.open(&root(1)).is_ok());
}

#[test]
fn changed_header_with_a_good_check_does_not_open() {
    let (mut files, ..) = published();
    for copy in Copy::BOTH {
        forge(files.copy(copy).as_mut().unwrap(), |file| file[72] = 9);
    }
    assert!(matches!(files.load(), Err(LoadError::RootSecretWrong)));
}

#[test]
fn keyset_of_another_store_is_refused() {
    let (files, ..) = published();
    let other = StoreId::from_bytes([9; 16]);
    let input = LoadInput { store: Some(other), ..files.input() };
    assert!(matches!(candidates(&input), Err(LoadError::ForeignKeyset { copy: Copy::A, found: STORE })));
    let mut mixed = files;
    forge(mixed.b.as_mut().unwrap(), |file| file[32..48].fill(9));
    for store in [None, Some(STORE)] {
        let input = LoadInput { store, ..mixed.input() };
        let refused = candidates(&input);
        assert!(matches!(refused, Err(LoadError::ForeignKeyset { copy: Copy::B, found }) if found == other));
    }
}

#[test]
fn unknown_version_and_flags_are_refused_and_not_healed_away() {
    let (files, ..) = published();
    let mut newer = files.clone();
    forge(newer.b.as_mut().unwrap(), |file| file[16] = 2);
    assert!(matches!(newer.load(), Err(LoadError::UnknownVersion { copy: Copy::B, version: 2 })));
    let mut flagged = files.clone();
    forge(flagged.a.as_mut().unwrap(), |file| file[20] = 4);
    assert!(matches!(flagged.load(), Err(LoadError::RequiredFlags { copy: Copy::A, flags: 4 })));
}

#[test]
fn header_of_another_version_may_be_as_short_as_what_no_version_changes() {
    let (files, ..) = published();
    // Magic and lengths are this version's; the version and whatever is behind it are not.
    let short = |header_len: u8, version: u8, flags: u8| {
        let mut other = files.clone();
        let mut image = vec![0; 4096];
        image[..8].copy_from_slice(&files.b.as_ref().unwrap()[..8]);
        forge(&mut image, |file| {
            (file[8], file[16], file[20]) = (header_len, version, flags);
        });
        other.b = Some(image);
        other.load()
    };
    assert!(matches!(short(18, 2, 0), Err(LoadError::UnknownVersion { copy: Copy::B, version: 2 })));
    assert!(matches!(short(24, 1, 4), Err(LoadError::RequiredFlags { copy: Copy::B, flags: 4 })));
    // Below that nothing says that it is a header: the copy counts as damaged.
    assert_eq!(short(17, 0, 0).unwrap().findings, [Finding::CopyDamaged(Copy::B)]);
}

#[test]
fn torn_copy_whose_epoch_shows_is_skipped_over() {
    let (mut files, mut keyset, entropy) = published();
    let lost = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    files.fail_first(&mut keyset, &lost, crate::disk::Leaves::Prefix(400));
    let mut loaded = files.load().unwrap().keyset;
    assert_eq!((loaded.epoch(), lost.epoch), (2, 3));
    assert_eq!(loaded.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap().epoch, 4);
    let torn = files.copy(lost.first).as_mut().unwrap();
    torn[48..56].fill(0xFF);
    let mut loaded = files.load().unwrap().keyset;
    assert_eq!(loaded.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap().epoch, 3);
}

#[test]
fn header_decodes_alone_and_every_truncation_is_refused() {
    let (files, keyset, _) = published();
    let file = files.a.as_ref().unwrap();
    let header = ImageHeader::decode(&file[..224]).unwrap();
    assert_eq!((header.epoch, header.store, header.secret_id), (2, STORE, keyset.secret_id()));
    for len in 0..224 {
        assert!(ImageHeader::decode(&file[..len]).is_err(), "at {len}");
    }
}

#[test]
fn hostile_lengths_are_refused_without_an_allocation() {
    let files = small();
    for at in [8, 12] {
        for value in [0, 1, 17, 4096, u32::MAX - 1, u32::MAX] {
            let mut copy = files.a.clone().unwrap();
            copy[at..at + 4].copy_from_slice(&value.to_le_bytes());
            let alone = LoadInput { store: None, a: CopyBytes::Bytes(&copy), b: CopyBytes::Absent };
            assert!(matches!(candidates(&alone), Err(LoadError::KeysetCorrupt)), "{value} at {at}");
        }
    }
}
