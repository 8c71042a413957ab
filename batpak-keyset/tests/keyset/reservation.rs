//! Which leaves are taken, how far they are reserved, and what a process burns.

use batpak_crypto::Entropy;
use batpak_format::KeyId;
use batpak_keyset::{Keyset, KeysetError, LogSeen};

use crate::disk::{Files, Leaves};
use crate::fixed::{FixedEntropy, NoEntropy, key_id, keyset, root};

fn publish(files: &mut Files, keyset: &mut Keyset, entropy: &dyn Entropy) -> KeyId {
    let publication = keyset.publication(&root(1), LogSeen::NOTHING, entropy).unwrap();
    files.publish(keyset, &publication);
    publication.covers_below
}

/// Takes so many leaves, and publishes whenever half of the reservation is crossed; returns how often.
fn take_many(files: &mut Files, keyset: &mut Keyset, entropy: &dyn Entropy, takes: usize) -> usize {
    let mut publications = 0;
    for _ in 0..takes {
        let id = keyset.take(entropy).unwrap();
        if keyset.wants_publication() {
            publish(files, keyset, entropy);
            publications += 1;
        }
        assert!(id < keyset.covered_below());
    }
    publications
}

#[test]
fn take_makes_no_page_before_it_is_asked() {
    let entropy = FixedEntropy::default();
    let mut keyset = keyset(&entropy);
    assert_eq!(keyset.pages().count(), 0);
    assert_eq!(keyset.covered_below(), key_id(1, 0));
    assert!(!keyset.wants_publication());
    assert_eq!(keyset.take(&entropy).unwrap(), key_id(1, 0));
    assert_eq!(keyset.take(&entropy).unwrap(), key_id(1, 1));
    assert_eq!(keyset.pages().count(), 1);
}

#[test]
fn publication_of_an_unused_keyset_reserves_nothing() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    assert_eq!(publish(&mut files, &mut keyset, &entropy), key_id(1, 0));
    assert_eq!(publish(&mut files, &mut keyset, &entropy), key_id(1, 0));
    assert_eq!(keyset.pages().count(), 0);
    assert_eq!(keyset.epoch(), 2);
}

#[test]
fn reservation_grows_by_64_256_1024_and_the_rest_of_the_page() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    let mut bounds = vec![keyset.covered_below()];
    for _ in 0..2 * 4096 + 2048 {
        keyset.take(&entropy).unwrap();
        if keyset.wants_publication() {
            bounds.push(publish(&mut files, &mut keyset, &entropy));
            assert_eq!(Some(&keyset.covered_below()), bounds.last());
        }
    }
    let expected = [(1, 0), (1, 64), (1, 320), (1, 1344), (1, 4096), (2, 4096), (3, 4096)];
    assert_eq!(bounds, expected.map(|(page, leaf)| key_id(page, leaf)));
}

#[test]
fn reservation_half_is_where_the_next_publication_is_wanted() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    keyset.take(&entropy).unwrap();
    assert!(keyset.wants_publication());
    publish(&mut files, &mut keyset, &entropy);
    for leaf in 1..32 {
        assert!(!keyset.wants_publication(), "before leaf {leaf}");
        keyset.take(&entropy).unwrap();
    }
    assert_eq!(keyset.take(&entropy).unwrap(), key_id(1, 32));
    assert!(keyset.wants_publication());
}

#[test]
fn ten_thousand_takes_need_six_publications() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    assert_eq!(take_many(&mut files, &mut keyset, &entropy, 10_000), 6);
    assert_eq!(keyset.epoch(), 6);
}

#[test]
fn a_page_costs_one_publication_once_reservations_have_grown() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    take_many(&mut files, &mut keyset, &entropy, 10_000);
    assert_eq!(take_many(&mut files, &mut keyset, &entropy, 20 * 4096), 20);
}

#[test]
fn publication_reaches_over_every_leaf_taken_on_new_pages_too() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    for _ in 0..9_000 {
        keyset.take(&entropy).unwrap();
    }
    let last = keyset.take(&entropy).unwrap();
    assert_eq!(last, key_id(3, 808));
    assert_eq!(keyset.covered_below(), key_id(1, 0));
    publish(&mut files, &mut keyset, &entropy);
    assert!(last < keyset.covered_below());
    let loaded = files.load().unwrap().keyset;
    let reserved: Vec<(u32, u32)> = loaded.pages().map(|page| (page.first, page.reserved)).collect();
    assert_eq!(reserved, [(1, 4096), (2, 4096), (3, 809)]);
}

#[test]
fn durable_advances_to_what_the_encoded_image_held() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    keyset.take(&entropy).unwrap();
    let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    let meanwhile: Vec<KeyId> = (0..100).map(|_| keyset.take(&entropy).unwrap()).collect();
    assert_eq!(keyset.covered_below(), key_id(1, 0));
    files.publish(&mut keyset, &publication);
    assert_eq!(keyset.covered_below(), key_id(1, 64));
    assert!(keyset.wants_publication());
    assert_eq!(meanwhile.iter().filter(|id| **id < keyset.covered_below()).count(), 63);
}

#[test]
fn durable_of_an_older_image_advances_no_further_than_it() {
    let entropy = FixedEntropy::default();
    let mut keyset = keyset(&entropy);
    keyset.take(&entropy).unwrap();
    let older = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    for _ in 0..40 {
        keyset.take(&entropy).unwrap();
    }
    let newer = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    keyset.durable(&older);
    assert_eq!((keyset.epoch(), keyset.covered_below()), (1, key_id(1, 64)));
    keyset.durable(&newer);
    assert_eq!((keyset.epoch(), keyset.covered_below()), (2, key_id(1, 320)));
    keyset.durable(&older);
    assert_eq!((keyset.epoch(), keyset.covered_below()), (2, key_id(1, 320)));
}

#[test]
fn failed_publication_reserves_nothing_and_spends_its_epoch() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    let id = keyset.take(&entropy).unwrap();
    let failed = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    files.fail_first(&mut keyset, &failed, Leaves::All);
    assert!(id >= keyset.covered_below());
    assert!(keyset.wants_publication());
    assert_eq!((keyset.epoch(), failed.epoch), (0, 1));
    let next = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    assert_eq!((next.epoch, next.covers_below, next.first), (2, failed.covers_below, failed.first));
    files.publish(&mut keyset, &next);
    assert!(id < keyset.covered_below());
}

#[test]
fn process_burns_what_an_earlier_one_reserved_and_did_not_take() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut first = keyset(&entropy);
    let framed = first.take(&entropy).unwrap();
    publish(&mut files, &mut first, &entropy);
    let mut second = files.load().unwrap().keyset;
    assert_eq!(second.covered_below(), key_id(1, 64));
    assert!(framed < second.covered_below());
    assert!(!second.wants_publication());
    assert_eq!(second.take(&entropy).unwrap(), key_id(1, 64));
    assert!(second.wants_publication());
    assert_eq!(publish(&mut files, &mut second, &entropy), key_id(1, 128));
}

#[test]
fn sixty_four_short_processes_share_a_page() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut first = keyset(&entropy);
    first.take(&entropy).unwrap();
    publish(&mut files, &mut first, &entropy);
    for process in 1..64 {
        let mut keyset = files.load().unwrap().keyset;
        assert_eq!(keyset.take(&entropy).unwrap(), key_id(1, 64 * process));
        publish(&mut files, &mut keyset, &entropy);
    }
    let mut last = files.load().unwrap().keyset;
    assert_eq!(last.covered_below(), key_id(2, 0));
    assert_eq!(last.take(&entropy).unwrap(), key_id(2, 0));
}

#[test]
fn retired_pages_keep_what_was_taken_and_a_fresh_page_stands_above() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    let last = (0..70).map(|_| keyset.take(&entropy).unwrap()).last().unwrap();
    keyset.retire_page();
    assert!(last >= keyset.covered_below());
    assert_eq!(publish(&mut files, &mut keyset, &entropy), key_id(1, 70));
    assert_eq!(keyset.take(&entropy).unwrap(), key_id(2, 0));
    let reserved: Vec<u32> = files.load().unwrap().keyset.pages().map(|page| page.reserved).collect();
    assert_eq!(reserved, [70]);
}

#[test]
fn retire_at_open_burns_the_rest_of_the_page() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut first = keyset(&entropy);
    first.take(&entropy).unwrap();
    publish(&mut files, &mut first, &entropy);
    let mut second = files.load().unwrap().keyset;
    second.retire_page();
    assert_eq!(second.covered_below(), key_id(2, 0));
    assert_eq!(second.take(&entropy).unwrap(), key_id(2, 0));
}

#[test]
fn page_numbers_rise_above_what_the_log_names_and_the_image_keeps_it() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    keyset.take(&entropy).unwrap();
    publish(&mut files, &mut keyset, &entropy);
    let mut loaded = files.load().unwrap().keyset;
    loaded.raise_pages_above(41);
    assert_eq!(loaded.covered_below(), key_id(42, 0));
    publish(&mut files, &mut loaded, &entropy);
    let mut again = files.load().unwrap().keyset;
    assert_eq!(again.covered_below(), key_id(42, 0));
    assert_eq!(again.take(&entropy).unwrap(), key_id(42, 0));
}

#[test]
fn skip_pages_leaves_a_gap_of_1_to_65536() {
    for seed in 0..32 {
        let entropy = FixedEntropy::seeded(seed);
        let mut keyset = keyset(&entropy);
        keyset.raise_pages_above(10);
        keyset.skip_pages(&entropy).unwrap();
        let page = keyset.take(&entropy).unwrap().page();
        assert!((12..=10 + 65_536 + 1).contains(&page), "page {page}");
    }
}

#[test]
fn raise_above_reserves_the_key_id_of_a_known_page() {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    keyset.take(&entropy).unwrap();
    publish(&mut files, &mut keyset, &entropy);
    let mut loaded = files.load().unwrap().keyset;
    loaded.raise_above(key_id(1, 500));
    publish(&mut files, &mut loaded, &entropy);
    let again = files.load().unwrap().keyset;
    assert_eq!(again.pages().map(|page| page.reserved).collect::<Vec<_>>(), [501]);
    assert_eq!(loaded.take(&entropy).unwrap(), key_id(2, 0));
}

#[test]
fn pages_end_with_an_error_and_not_with_a_number_used_before() {
    let entropy = FixedEntropy::default();
    let mut keyset = keyset(&entropy);
    keyset.raise_pages_above(u32::MAX);
    assert!(matches!(keyset.take(&entropy), Err(KeysetError::PagesExhausted)));
    assert!(matches!(keyset.skip_pages(&entropy), Err(KeysetError::PagesExhausted)));
}

#[test]
fn entropy_that_fails_takes_no_leaf_and_publishes_nothing() {
    let entropy = FixedEntropy::default();
    let mut keyset = keyset(&entropy);
    assert!(matches!(keyset.take(&NoEntropy), Err(KeysetError::Entropy(_))));
    assert_eq!(keyset.pages().count(), 0);
    keyset.take(&entropy).unwrap();
    let refused = keyset.publication(&root(1), LogSeen::NOTHING, &NoEntropy);
    assert!(matches!(refused, Err(KeysetError::Entropy(_))));
    assert_eq!(keyset.epoch_used(), 0);
    assert_eq!(keyset.take(&entropy).unwrap(), key_id(1, 1));
}

#[test]
fn mint_gives_the_key_of_the_leaf_it_took() {
    let entropy = FixedEntropy::default();
    let mut keyset = keyset(&entropy);
    for _ in 0..600 {
        let (id, _, minted) = keyset.mint(&entropy).unwrap();
        let (_, cold) = keyset.key(id).unwrap();
        let (_, cached) = keyset.key_cached(id).unwrap();
        assert_eq!((minted.as_bytes(), cached.as_bytes()), (cold.as_bytes(), cold.as_bytes()));
    }
}
