//! Destroyed keys: missing afterwards, and every other key as before.

use batpak_format::{KeyId, KeyRun};
use batpak_keyset::{
    ExtentRewrite, KeyMissing, Keyset, KeysetError, LoadError, LogSeen, PageState, ProviderRecord, SecretChange,
};
use proptest::prelude::*;

use crate::disk::{Files, Leaves};
use crate::fixed::{FixedEntropy, commitments, key_id, keyset, root, secret_id};

const fn run(page: u32, leaf: u32, count: u32) -> KeyRun {
    KeyRun { first: key_id(page, leaf), count }
}

fn published(takes: usize) -> (Files, Keyset, FixedEntropy) {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    for _ in 0..takes {
        keyset.take(&entropy).unwrap();
    }
    publish(&mut files, &mut keyset, 1, &entropy);
    (files, keyset, entropy)
}

fn publish(files: &mut Files, keyset: &mut Keyset, secret: u8, entropy: &FixedEntropy) {
    let publication = keyset.publication(&root(secret), LogSeen::NOTHING, entropy).unwrap();
    files.publish(keyset, &publication);
}

fn move_to(secret: u8) -> SecretChange {
    SecretChange::Move { secret_id: secret_id(secret), provider: ProviderRecord::key_file() }
}

fn page_ids(page: u32) -> Vec<KeyId> {
    (0..4096).map(|leaf| key_id(page, leaf)).collect()
}

#[test]
fn destroyed_keys_are_missing_and_all_others_are_as_before() {
    let (mut files, mut keyset, entropy) = published(5_000);
    let ids: Vec<KeyId> = [page_ids(1), page_ids(2)].concat();
    let before = commitments(&keyset, &ids);
    let runs = [run(1, 0, 1), run(1, 63, 3), run(1, 4095, 1), run(2, 8, 8)];
    let frontiers = keyset.beside(&runs, ExtentRewrite::WithNext, &entropy).unwrap();
    assert_eq!((frontiers.destroyed(), frontiers.unreachable()), (13, 0));
    assert_eq!(commitments(&keyset, &ids), before);
    keyset.adopt(frontiers, Some(77), SecretChange::Keep).unwrap();
    publish(&mut files, &mut keyset, 1, &entropy);
    let loaded = files.load().unwrap().keyset;
    assert_eq!(loaded.applied(), Some(77));
    for keyset in [&keyset, &loaded] {
        for (id, (after, before)) in ids.iter().zip(commitments(keyset, &ids).iter().zip(&before)) {
            let hit =
                runs.iter().any(|run| run.first <= *id && id.as_u64() < run.first.as_u64() + u64::from(run.count));
            assert_eq!(after, if hit { &None } else { before }, "{id}");
            assert_eq!(matches!(keyset.key(*id), Err(KeyMissing::Destroyed)), hit);
        }
    }
}

#[test]
fn keys_are_destroyed_twice_without_a_difference() {
    let (_, mut keyset, entropy) = published(10);
    let runs = [run(1, 3, 2), run(1, 4, 3), run(1, 3, 1)];
    let frontiers = keyset.beside(&runs, ExtentRewrite::WithNext, &entropy).unwrap();
    assert_eq!(frontiers.destroyed(), 4);
    keyset.adopt(frontiers, Some(1), SecretChange::Keep).unwrap();
    let again = keyset.beside(&runs, ExtentRewrite::WithNext, &entropy).unwrap();
    assert_eq!(again.destroyed(), 0);
}

#[test]
fn staged_frontiers_are_in_every_image_and_old_keys_still_derive() {
    let (mut files, mut keyset, entropy) = published(10);
    let victim = key_id(1, 5);
    let frontiers = keyset.beside(&[run(1, 5, 1)], ExtentRewrite::WithNext, &entropy).unwrap();
    keyset.stage(frontiers, Some(9), move_to(2)).unwrap();
    assert_eq!((keyset.secret_id(), keyset.applied()), (secret_id(2), Some(9)));
    let failed = keyset.publication(&root(2), LogSeen::NOTHING, &entropy).unwrap();
    files.fail_first(&mut keyset, &failed, Leaves::Prefix(300));
    publish(&mut files, &mut keyset, 2, &entropy);
    assert!(keyset.key(victim).is_ok() && keyset.is_staged());
    let loaded = files.load_under(2).unwrap().keyset;
    assert!(matches!(loaded.key(victim), Err(KeyMissing::Destroyed)));
    assert_eq!((loaded.secret_id(), loaded.applied()), (secret_id(2), Some(9)));
    assert!(matches!(files.load_under(1), Err(LoadError::RootSecretWrong)));
    keyset.adopt_staged().unwrap();
    assert!(matches!(keyset.key(victim), Err(KeyMissing::Destroyed)));
    assert!(matches!(keyset.key_cached(victim), Err(KeyMissing::Destroyed)));
    assert_eq!((keyset.secret_id(), keyset.applied(), keyset.is_staged()), (secret_id(2), Some(9), false));
}

#[test]
fn pages_and_reservations_made_meanwhile_are_in_the_image() {
    let (mut files, mut keyset, entropy) = published(10);
    let frontiers = keyset.beside(&[run(1, 5, 1)], ExtentRewrite::WithNext, &entropy).unwrap();
    for _ in 0..5_000 {
        keyset.take(&entropy).unwrap();
    }
    keyset.stage(frontiers, Some(9), SecretChange::Keep).unwrap();
    publish(&mut files, &mut keyset, 1, &entropy);
    let loaded = files.load().unwrap().keyset;
    let pages: Vec<_> = loaded.pages().map(|page| (page.first, page.reserved, page.state)).collect();
    assert_eq!(pages, [(1, 4096, PageState::Punctured), (2, 914, PageState::Whole)]);
    assert!(matches!(loaded.key(key_id(1, 5)), Err(KeyMissing::Destroyed)));
}

#[test]
fn shreds_take_turns() {
    let (_, mut keyset, entropy) = published(10);
    let first = keyset.beside(&[run(1, 1, 1)], ExtentRewrite::WithNext, &entropy).unwrap();
    let second = keyset.beside(&[run(1, 2, 1)], ExtentRewrite::WithNext, &entropy).unwrap();
    let third = keyset.beside(&[run(1, 3, 1)], ExtentRewrite::WithNext, &entropy).unwrap();
    assert_eq!(keyset.adopt_staged(), Err(KeysetError::NothingStaged));
    keyset.stage(first, Some(1), SecretChange::Keep).unwrap();
    assert_eq!(keyset.stage(second, Some(2), SecretChange::Keep), Err(KeysetError::AlreadyStaged));
    let refused = keyset.beside(&[run(1, 2, 1)], ExtentRewrite::WithNext, &entropy);
    assert!(matches!(refused, Err(KeysetError::AlreadyStaged)));
    keyset.adopt_staged().unwrap();
    assert_eq!(keyset.stage(third, Some(2), SecretChange::Keep), Err(KeysetError::StaleFrontiers));
    assert!(keyset.key(key_id(1, 3)).is_ok());
}

#[test]
fn page_without_a_leaf_is_gone_and_runs_of_them_are_one_row() {
    let (mut files, mut keyset, entropy) = published(5 * 4096);
    for pages in [&[2, 3][..], &[5], &[4]] {
        let runs: Vec<KeyRun> = pages.iter().map(|page| run(*page, 0, 4096)).collect();
        let frontiers = keyset.beside(&runs, ExtentRewrite::WithNext, &entropy).unwrap();
        keyset.adopt(frontiers, Some(1), SecretChange::Keep).unwrap();
        publish(&mut files, &mut keyset, 1, &entropy);
    }
    let mut loaded = files.load().unwrap().keyset;
    let rows: Vec<_> = loaded.pages().map(|page| (page.first, page.count, page.state)).collect();
    assert_eq!(rows[..2], [(1, 1, PageState::Whole), (2, 4, PageState::Gone)]);
    assert!(keyset.pages().eq(loaded.pages()));
    assert!(matches!(loaded.key(key_id(4, 17)), Err(KeyMissing::Destroyed)));
    let fresh = loaded.take(&entropy).unwrap();
    assert!(fresh.page() > 5 && loaded.key(fresh).is_ok());
}

#[test]
fn take_goes_around_leaves_that_are_destroyed_or_about_to_be() {
    let (_, mut keyset, entropy) = published(10);
    let frontiers = keyset.beside(&[run(1, 10, 5)], ExtentRewrite::WithNext, &entropy).unwrap();
    keyset.stage(frontiers, Some(1), SecretChange::Keep).unwrap();
    assert_eq!(keyset.take(&entropy).unwrap(), key_id(1, 15));
    keyset.adopt_staged().unwrap();
    let rest = keyset.beside(&[run(1, 17, 4079)], ExtentRewrite::WithNext, &entropy).unwrap();
    keyset.adopt(rest, Some(2), SecretChange::Keep).unwrap();
    assert_eq!(keyset.take(&entropy).unwrap(), key_id(1, 16));
    assert_eq!(keyset.take(&entropy).unwrap(), key_id(2, 0));
}

#[test]
fn page_destroyed_while_it_is_open_is_left() {
    let (mut files, mut keyset, entropy) = published(10);
    let frontiers = keyset.beside(&[run(1, 0, 4096)], ExtentRewrite::WithNext, &entropy).unwrap();
    keyset.adopt(frontiers, Some(1), SecretChange::Keep).unwrap();
    publish(&mut files, &mut keyset, 1, &entropy);
    let id = keyset.take(&entropy).unwrap();
    assert_eq!(id, key_id(2, 0));
    assert!(id >= keyset.covered_below());
    publish(&mut files, &mut keyset, 1, &entropy);
    assert!(id < keyset.covered_below());
    assert_eq!(files.load().unwrap().keyset.take(&entropy).unwrap(), key_id(2, 256));
}

#[test]
fn keys_on_unknown_pages_are_counted_as_unreachable() {
    let (_, keyset, entropy) = published(10);
    let other = KeyRun { first: KeyId::new(1, 1, 0), count: 4 };
    let frontiers = keyset.beside(&[run(9, 0, 3), other, run(1, 0, 1)], ExtentRewrite::WithNext, &entropy).unwrap();
    assert_eq!((frontiers.destroyed(), frontiers.unreachable()), (1, 7));
}

#[test]
fn run_past_the_end_of_its_page_is_refused() {
    let (_, keyset, entropy) = published(10);
    for hostile in [run(1, 4095, 2), run(1, 0, u32::MAX), run(1, 4096, 1), run(1, (1 << 24) - 1, u32::MAX)] {
        let refused = keyset.beside(&[hostile], ExtentRewrite::WithNext, &entropy);
        assert!(matches!(refused, Err(KeysetError::RunOutOfRange { page: 1 })));
    }
}

#[test]
fn one_puncture_costs_at_most_896_bytes() {
    let (mut files, mut keyset, entropy) = published(10);
    let used = |files: &Files| files.a.as_ref().unwrap().iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let before = used(&files);
    let frontiers = keyset.beside(&[run(1, 1234, 1)], ExtentRewrite::WithNext, &entropy).unwrap();
    assert!(keyset.file_len_with(&frontiers) <= files.a.as_ref().unwrap().len() as u64);
    keyset.adopt(frontiers, Some(1), SecretChange::Keep).unwrap();
    publish(&mut files, &mut keyset, 1, &entropy);
    assert!(used(&files) <= before + 28 * 36);
}

#[test]
fn rekey_moves_the_secret_and_destroys_no_key() {
    let (mut files, mut keyset, entropy) = published(10);
    let ids = page_ids(1);
    let before = commitments(&keyset, &ids);
    let frontiers = keyset.beside(&[], ExtentRewrite::Always, &entropy).unwrap();
    assert!(frontiers.extent().is_none());
    keyset.stage(frontiers, None, move_to(2)).unwrap();
    keyset.retire_page();
    publish(&mut files, &mut keyset, 2, &entropy);
    keyset.adopt_staged().unwrap();
    let loaded = files.load_under(2).unwrap().keyset;
    assert_eq!(commitments(&loaded, &ids), before);
    assert_eq!((loaded.applied(), keyset.take(&entropy).unwrap()), (None, key_id(2, 0)));
    assert!(matches!(files.load_under(1), Err(LoadError::RootSecretWrong)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_keys_destroyed_in_any_order_leave_exactly_the_others(
        shreds in prop::collection::vec(prop::collection::vec((1_u32..4, 0_u32..4096, 1_u32..300), 0..6), 1..5),
    ) {
        let (mut files, mut keyset, entropy) = published(3 * 4096 - 100);
        let ids: Vec<KeyId> = (1..4).flat_map(page_ids).step_by(7).collect();
        let before = commitments(&keyset, &ids);
        let mut gone = std::collections::BTreeSet::new();
        for (at, shred) in shreds.iter().enumerate() {
            let runs: Vec<KeyRun> =
                shred.iter().map(|&(page, leaf, count)| run(page, leaf, count.min(4096 - leaf))).collect();
            gone.extend(runs.iter().flat_map(|run| (0..run.count).map(|leaf| run.first.as_u64() + u64::from(leaf))));
            let frontiers = keyset.beside(&runs, ExtentRewrite::WithNext, &entropy).unwrap();
            keyset.stage(frontiers, Some(at as u64), SecretChange::Keep).unwrap();
            publish(&mut files, &mut keyset, 1, &entropy);
            keyset.adopt_staged().unwrap();
            publish(&mut files, &mut keyset, 1, &entropy);
            let loaded = files.load().unwrap();
            prop_assert_eq!(&loaded.findings, &[]);
            for (id, before) in ids.iter().zip(&before) {
                let expected = if gone.contains(&id.as_u64()) { None } else { *before };
                prop_assert_eq!(commitments(&keyset, &[*id]), vec![expected]);
                prop_assert_eq!(commitments(&loaded.keyset, &[*id]), vec![expected]);
            }
        }
    }
}
