//! In which order a publication becomes durable, and which copy comes first.

use batpak_keyset::{Copy, LogSeen, Step};

use crate::disk::{Files, Leaves};
use crate::fixed::{FixedEntropy, keyset, root};

#[test]
fn steps_write_and_sync_one_copy_before_the_other() {
    let entropy = FixedEntropy::default();
    let mut keyset = keyset(&entropy);
    let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    assert_eq!((publication.epoch, publication.first), (1, Copy::A));
    let steps = [Step::Write(Copy::A), Step::Sync(Copy::A), Step::Durable, Step::Write(Copy::B), Step::Sync(Copy::B)];
    assert_eq!(publication.steps(), steps);
}

#[test]
fn first_copy_is_a_while_both_are_good() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    for epoch in 1..4 {
        let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
        assert_eq!((publication.epoch, publication.first), (epoch, Copy::A));
        files.publish(&mut keyset, &publication);
        assert!(keyset.copies_good());
    }
}

#[test]
fn first_copy_is_the_one_whose_sync_failed() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    files.fail_second(&mut keyset, &publication, Leaves::Prefix(100));
    assert_eq!(keyset.epoch(), 1);
    let retry = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    assert_eq!((retry.epoch, retry.first), (2, Copy::B));
    files.fail_first(&mut keyset, &retry, Leaves::Prefix(700));
    let again = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    assert_eq!((again.epoch, again.first), (3, Copy::B));
    files.publish(&mut keyset, &again);
    assert_eq!(files.a, files.b);
}

#[test]
fn first_copy_is_the_one_being_written_when_its_leader_never_reported() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    files.publish(&mut keyset, &publication);
    let silent = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    assert_eq!(silent.first, Copy::A);
    keyset.durable(&silent);
    assert!(!keyset.copies_good());
    assert_eq!(keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap().first, Copy::B);
}

#[test]
fn first_copy_after_a_load_is_the_one_that_lost() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    files.publish(&mut keyset, &publication);
    for lost in Copy::BOTH {
        let mut damaged = files.clone();
        *damaged.copy(lost) = None;
        let mut loaded = damaged.load().unwrap();
        assert_eq!(loaded.winner, lost.other());
        let next = loaded.keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
        assert_eq!(next.first, lost);
    }
}

#[test]
fn copy_good_for_an_older_epoch_is_not_believed() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    for _ in 0..2 {
        let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
        files.fail_second(&mut keyset, &publication, Leaves::Nothing);
    }
    let second = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap().first.other();
    keyset.copy_good(second, 1);
    assert!(!keyset.copies_good());
}

#[test]
fn files_have_room_for_the_next_image() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    for _ in 0..300 {
        keyset.take(&entropy).unwrap();
        keyset.retire_page();
        let room = files.a.as_ref().map_or(usize::MAX, Vec::len);
        let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
        assert!(publication.image.len() <= room);
        assert!(publication.file_len >= publication.image.len() as u64 + 16 * 1024);
        files.publish(&mut keyset, &publication);
    }
}

#[test]
fn images_cover_what_an_older_and_longer_one_left() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    files.publish(&mut keyset, &publication);
    files.b = Some(vec![0xEE; 5 * 4096]);
    let mut loaded = files.load().unwrap();
    let next = loaded.keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    assert_eq!(next.image.len(), 5 * 4096);
    files.publish(&mut loaded.keyset, &next);
    assert_eq!(files.load().unwrap().findings, []);
    let short = loaded.keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    assert_eq!(short.image.len(), 4096);
}
