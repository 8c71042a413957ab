//! Extents: when frontiers go there, what is read back, and that a lost page is lost and not shredded.

use batpak_format::KeyRun;
use batpak_keyset::{
    Copy, EXTENT_HEADER_LEN, ExtentBytes, ExtentRewrite, Finding, Frontiers, KeyMissing, Keyset, KeysetError, LogSeen,
    PageState, SecretChange, Step, candidates,
};

use crate::disk::Files;
use crate::fixed::{FixedEntropy, commitments, key_id, keyset, root};

fn published(pages: usize) -> (Files, Keyset, FixedEntropy) {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    for _ in 0..pages {
        keyset.retire_page();
        keyset.take(&entropy).unwrap();
    }
    publish(&mut files, &mut keyset, &entropy);
    (files, keyset, entropy)
}

fn publish(files: &mut Files, keyset: &mut Keyset, entropy: &FixedEntropy) -> Vec<Step> {
    let publication = keyset.publication(&root(1), LogSeen::NOTHING, entropy).unwrap();
    files.publish(keyset, &publication);
    publication.steps()
}

/// Every second leaf of these: the frontier of a whole page so punctured is 2,048 nodes, 73,728 bytes.
fn every_second(page: u32, leaves: std::ops::Range<u32>) -> Vec<KeyRun> {
    leaves.step_by(2).map(|leaf| KeyRun { first: key_id(page, leaf), count: 1 }).collect()
}

fn shred(files: &mut Files, keyset: &mut Keyset, entropy: &FixedEntropy, runs: &[KeyRun]) -> Vec<Step> {
    let frontiers = keyset.beside(runs, ExtentRewrite::WithNext, entropy).unwrap();
    keyset.adopt(frontiers, Some(1), SecretChange::Keep).unwrap();
    publish(files, keyset, entropy)
}

/// A store of two pages, each with every second leaf destroyed, in extent 1.
fn in_extent() -> (Files, Keyset, FixedEntropy) {
    let (mut files, mut keyset, entropy) = published(2);
    let runs = [every_second(1, 0..4096), every_second(2, 0..4096)].concat();
    shred(&mut files, &mut keyset, &entropy, &runs);
    (files, keyset, entropy)
}

fn states(keyset: &Keyset) -> Vec<PageState> {
    keyset.pages().map(|page| page.state).collect()
}

const LOADED: fn(u64) -> PageState = |number| PageState::Extent { number, loaded: true };

#[test]
fn frontiers_stay_in_the_image_up_to_64_kib() {
    let (mut files, mut keyset, entropy) = published(1);
    // 1,820 nodes of 36 bytes are the last that fit in 65,536 bytes; this is 1,819, the next step 1,822.
    let runs = every_second(1, 0..3_616);
    let frontiers = keyset.beside(&runs, ExtentRewrite::WithNext, &entropy).unwrap();
    assert!(frontiers.extent().is_none());
    shred(&mut files, &mut keyset, &entropy, &runs);
    assert_eq!(states(&files.load().unwrap().keyset)[0], PageState::Punctured);
    let more = keyset.beside(&every_second(1, 3_616..3_624), ExtentRewrite::WithNext, &entropy).unwrap();
    assert_eq!(more.extent().unwrap().number, 1);
}

#[test]
fn frontiers_stay_in_the_image_up_to_the_size_of_the_page_table() {
    let entropy = FixedEntropy::default();
    let mut keyset = keyset(&entropy);
    for _ in 0..3_072 {
        keyset.take(&entropy).unwrap();
        keyset.retire_page();
    }
    // The table has 3,071 whole pages of 48 bytes and one punctured of 16.
    let one = keyset.beside(&every_second(1, 0..4096), ExtentRewrite::WithNext, &entropy).unwrap();
    assert!(one.extent().is_none());
    let two = [every_second(1, 0..4096), every_second(2, 0..4096)].concat();
    assert!(keyset.beside(&two, ExtentRewrite::WithNext, &entropy).unwrap().extent().is_some());
}

#[test]
fn extent_is_written_and_synced_before_the_image_that_names_it() {
    let (_, mut keyset, entropy) = published(1);
    let frontiers = keyset.beside(&every_second(1, 0..4096), ExtentRewrite::WithNext, &entropy).unwrap();
    keyset.stage(frontiers, Some(1), SecretChange::Keep).unwrap();
    let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    let (first, second) = (publication.first, publication.first.other());
    let steps = [
        Step::WriteExtent { number: 1 },
        Step::SyncExtent { number: 1 },
        Step::SyncExtentsDir,
        Step::Write(first),
        Step::Sync(first),
        Step::Durable,
        Step::Write(second),
        Step::Sync(second),
    ];
    assert_eq!(publication.steps(), steps);
}

#[test]
fn extent_written_before_the_intent_is_left_out_of_the_publication() {
    let (mut files, mut keyset, entropy) = published(1);
    let mut frontiers = keyset.beside(&every_second(1, 0..4096), ExtentRewrite::WithNext, &entropy).unwrap();
    let extent = frontiers.extent().unwrap().clone();
    assert_eq!(extent.steps().len(), 3);
    files.extents.insert(extent.number, extent.bytes);
    frontiers.extent_written();
    keyset.stage(frontiers, Some(1), SecretChange::Keep).unwrap();
    assert_eq!(publish(&mut files, &mut keyset, &entropy).len(), 5);
    assert_eq!(states(&files.load().unwrap().keyset), [LOADED(1)]);
}

#[test]
fn extent_not_known_to_be_written_is_in_every_publication_until_it_is() {
    let (mut files, mut keyset, entropy) = published(1);
    let frontiers = keyset.beside(&every_second(1, 0..4096), ExtentRewrite::WithNext, &entropy).unwrap();
    keyset.adopt(frontiers, Some(1), SecretChange::Keep).unwrap();
    let failed = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    assert!(failed.extent.is_some());
    keyset.copy_failed(failed.first);
    assert_eq!(publish(&mut files, &mut keyset, &entropy).len(), 8);
    assert_eq!(publish(&mut files, &mut keyset, &entropy).len(), 5);
}

#[test]
fn extent_round_trips() {
    let (files, keyset, _) = in_extent();
    assert_eq!(files.extents[&1].len(), EXTENT_HEADER_LEN + 2 * 2 * (73_728 + 40));
    let loaded = files.load().unwrap();
    assert_eq!(loaded.findings, []);
    assert_eq!(states(&loaded.keyset), [LOADED(1), LOADED(1)]);
    let ids: Vec<_> = (1..3).flat_map(|page| (0..4096).map(move |leaf| key_id(page, leaf))).collect();
    let expected = commitments(&keyset, &ids);
    assert_eq!(expected.iter().filter(|commitment| commitment.is_some()).count(), 4096);
    assert_eq!(commitments(&loaded.keyset, &ids), expected);
}

#[test]
fn page_in_an_extent_waits_until_it_is_loaded() {
    let (files, keyset, entropy) = in_extent();
    let mut loaded = candidates(&files.input()).unwrap().open(&root(1)).unwrap().keyset;
    assert!(matches!(loaded.key(key_id(1, 1)), Err(KeyMissing::NotLoaded { extent: 1 })));
    let run = KeyRun { first: key_id(1, 1), count: 1 };
    let refused = loaded.beside(&[run], ExtentRewrite::WithNext, &entropy);
    assert!(matches!(refused, Err(KeysetError::ExtentNotLoaded { number: 1 })));
    assert_eq!(loaded.extents().collect::<Vec<_>>(), [1]);
    assert_eq!(loaded.load_extent(1, ExtentBytes::Bytes(&files.extents[&1])), []);
    assert_eq!(loaded.load_extent(2, ExtentBytes::Absent), []);
    assert_eq!(commitments(&loaded, &[key_id(1, 1)]), commitments(&keyset, &[key_id(1, 1)]));
}

#[test]
fn image_with_an_extent_that_is_not_loaded_is_published_as_it_was() {
    let (mut files, _, entropy) = in_extent();
    let mut loaded = candidates(&files.input()).unwrap().open(&root(1)).unwrap().keyset;
    assert_eq!(loaded.take(&entropy).unwrap(), key_id(3, 0));
    publish(&mut files, &mut loaded, &entropy);
    assert_eq!(states(&files.load().unwrap().keyset), [LOADED(1), LOADED(1), PageState::Whole]);
}

/// Where the blob of a page begins in a region.
const fn blob_at(region: usize, page: usize) -> usize {
    EXTENT_HEADER_LEN + (2 * region + page - 1) * (73_728 + 40)
}

#[test]
fn blob_damaged_once_is_read_from_the_other_region_and_moves_with_the_next_extent() {
    for region in 0..2 {
        let (mut files, keyset, entropy) = in_extent();
        files.extents.get_mut(&1).unwrap()[blob_at(region, 2) + 500] ^= 1;
        let mut loaded = files.load().unwrap();
        assert_eq!(loaded.findings, [Finding::BlobDamaged { extent: 1, page: 2 }]);
        assert_eq!(commitments(&loaded.keyset, &[key_id(2, 1)]), commitments(&keyset, &[key_id(2, 1)]));
        let rewritten = loaded.keyset.beside(&[], ExtentRewrite::Always, &entropy).unwrap();
        loaded.keyset.adopt(rewritten, None, SecretChange::Keep).unwrap();
        publish(&mut files, &mut loaded.keyset, &entropy);
        let healed = files.load().unwrap();
        assert_eq!((healed.findings, states(&healed.keyset)), (vec![], vec![LOADED(1), LOADED(2)]));
    }
}

#[test]
fn page_damaged_twice_is_lost_and_not_shredded() {
    let (mut files, keyset, entropy) = in_extent();
    let whole = files.extents[&1].clone();
    let extent = files.extents.get_mut(&1).unwrap();
    extent[blob_at(0, 1)] ^= 1;
    extent[blob_at(1, 1) + 73_767] ^= 1;
    let mut loaded = files.load().unwrap();
    assert_eq!(loaded.findings, [Finding::PageLost { extent: 1, page: 1 }]);
    assert!(matches!(loaded.keyset.key(key_id(1, 1)), Err(KeyMissing::Unreadable { extent: 1 })));
    assert!(matches!(loaded.keyset.key(key_id(1, 0)), Err(KeyMissing::Unreadable { extent: 1 })));
    assert_eq!(commitments(&loaded.keyset, &[key_id(2, 1)]), commitments(&keyset, &[key_id(2, 1)]));
    let run = KeyRun { first: key_id(1, 1), count: 2 };
    let shred = loaded.keyset.beside(&[run], ExtentRewrite::WithNext, &entropy).unwrap();
    assert_eq!((shred.destroyed(), shred.unreachable()), (0, 2));
    publish(&mut files, &mut loaded.keyset, &entropy);
    files.extents.insert(1, whole);
    let restored = files.load().unwrap();
    assert_eq!(commitments(&restored.keyset, &[key_id(1, 1)]), commitments(&keyset, &[key_id(1, 1)]));
}

#[test]
fn extent_that_is_missing_or_unreadable_loses_its_pages_and_no_other() {
    let (mut files, ..) = in_extent();
    files.extents.clear();
    let loaded = files.load().unwrap();
    let lost = [1, 2].map(|page| Finding::PageLost { extent: 1, page });
    assert_eq!(loaded.findings, [&[Finding::ExtentHeaderDamaged { extent: 1 }][..], &lost].concat());
    assert_eq!(states(&loaded.keyset), [PageState::Unreadable { number: 1 }; 2]);
    let mut again = candidates(&files.input()).unwrap().open(&root(1)).unwrap().keyset;
    assert_eq!(again.load_extent(1, ExtentBytes::Unreadable).len(), 3);
}

#[test]
fn extent_header_damaged_costs_no_page() {
    let (mut files, ..) = in_extent();
    let whole = files.extents[&1].clone();
    // One byte of each field.
    for byte in [0, 8, 10, 12, 16, 32, 40, 48, EXTENT_HEADER_LEN - 1] {
        let mut extent = whole.clone();
        extent[byte] ^= 0x80;
        files.extents.insert(1, extent);
        let loaded = files.load().unwrap();
        assert_eq!(loaded.findings, [Finding::ExtentHeaderDamaged { extent: 1 }]);
        assert_eq!(states(&loaded.keyset), [LOADED(1); 2]);
    }
}

#[test]
fn extent_cut_short_loses_only_what_both_regions_lack() {
    let (mut files, ..) = in_extent();
    let whole = files.extents[&1].clone();
    let cuts = [
        (blob_at(1, 2) + 100, vec![Finding::BlobDamaged { extent: 1, page: 2 }]),
        (blob_at(1, 1), [1, 2].map(|page| Finding::BlobDamaged { extent: 1, page }).into()),
        (
            blob_at(0, 2) + 100,
            vec![Finding::BlobDamaged { extent: 1, page: 1 }, Finding::PageLost { extent: 1, page: 2 }],
        ),
    ];
    for (len, findings) in cuts {
        files.extents.insert(1, whole[..len].to_vec());
        assert_eq!(files.load().unwrap().findings, findings, "cut at {len}");
    }
}

#[test]
fn extent_of_another_store_or_number_does_not_open() {
    let (mut files, mut keyset, entropy) = in_extent();
    let old = files.extents[&1].clone();
    let frontiers = keyset.beside(&every_second(1, 1..2), ExtentRewrite::WithNext, &entropy).unwrap();
    assert_eq!(frontiers.extent().unwrap().number, 2);
    keyset.adopt(frontiers, Some(2), SecretChange::Keep).unwrap();
    publish(&mut files, &mut keyset, &entropy);
    files.extents.insert(2, old);
    assert!(files.load().unwrap().findings.contains(&Finding::PageLost { extent: 2, page: 1 }));
}

#[test]
fn extent_that_no_image_names_is_removed_behind_the_second_sync() {
    let (mut files, mut keyset, entropy) = in_extent();
    let runs = [1, 2].map(|page| KeyRun { first: key_id(page, 0), count: 4096 });
    let frontiers = keyset.beside(&runs, ExtentRewrite::WithNext, &entropy).unwrap();
    keyset.stage(frontiers, Some(2), SecretChange::Keep).unwrap();
    let publication = keyset.publication(&root(1), LogSeen::NOTHING, &entropy).unwrap();
    assert_eq!(publication.steps()[4..], [Step::Sync(Copy::B), Step::RemoveExtent { number: 1 }]);
    files.fail_second(&mut keyset, &publication, crate::disk::Leaves::Nothing);
    keyset.adopt_staged().unwrap();
    let retry = publish(&mut files, &mut keyset, &entropy);
    assert_eq!(retry.last(), Some(&Step::RemoveExtent { number: 1 }));
    assert!(files.extents.is_empty());
    assert_eq!(publish(&mut files, &mut keyset, &entropy).len(), 5);
}

#[test]
fn extent_half_dead_is_kept_and_more_than_half_dead_is_rewritten() {
    let (mut files, mut keyset, entropy) = published(4);
    let runs: Vec<KeyRun> = (1..5).flat_map(|page| every_second(page, 0..4096)).collect();
    shred(&mut files, &mut keyset, &entropy, &runs);
    let gone = |page| [KeyRun { first: key_id(page, 0), count: 4096 }];
    shred(&mut files, &mut keyset, &entropy, &gone(1));
    shred(&mut files, &mut keyset, &entropy, &gone(2));
    let at_half = keyset.beside(&[], ExtentRewrite::Always, &entropy).unwrap();
    assert!(at_half.extent().is_none());
    shred(&mut files, &mut keyset, &entropy, &gone(3));
    let lazy = keyset.beside(&[], ExtentRewrite::WithNext, &entropy).unwrap();
    assert!(lazy.extent().is_none());
    let rewritten = keyset.beside(&[], ExtentRewrite::Always, &entropy).unwrap();
    assert_eq!(rewritten.extent().unwrap().bytes.len(), EXTENT_HEADER_LEN + 2 * (73_728 + 40));
    let ids: Vec<_> = (0..4096).map(|leaf| key_id(4, leaf)).collect();
    let before = commitments(&keyset, &ids);
    keyset.adopt(rewritten, None, SecretChange::Keep).unwrap();
    publish(&mut files, &mut keyset, &entropy);
    assert_eq!(files.extents.keys().collect::<Vec<_>>(), [&2]);
    assert_eq!(commitments(&files.load().unwrap().keyset, &ids), before);
}

#[test]
fn extent_number_is_above_every_one_named_present_or_abandoned() {
    let (mut files, mut keyset, entropy) = published(1);
    keyset.raise_extents_above(6);
    let runs = every_second(1, 0..4096);
    let number = |frontiers: &Frontiers| frontiers.extent().unwrap().number;
    let failed = keyset.beside(&runs, ExtentRewrite::WithNext, &entropy).unwrap();
    assert_eq!(number(&failed), 7);
    keyset.abandon(&failed);
    let frontiers = keyset.beside(&runs, ExtentRewrite::WithNext, &entropy).unwrap();
    assert_eq!(number(&frontiers), 8);
    keyset.adopt(frontiers, Some(1), SecretChange::Keep).unwrap();
    publish(&mut files, &mut keyset, &entropy);
    let loaded = files.load().unwrap().keyset;
    let next = loaded.beside(&every_second(1, 1..2), ExtentRewrite::WithNext, &entropy).unwrap();
    assert_eq!(number(&next), 9);
    keyset.raise_extents_above(u64::MAX);
    let refused = keyset.beside(&every_second(1, 1..2), ExtentRewrite::WithNext, &entropy);
    assert!(matches!(refused, Err(KeysetError::ExtentsExhausted)));
}

#[test]
fn ten_thousand_scattered_keys_are_one_extent_of_about_7_mb() {
    let (mut files, mut keyset, entropy) = published(245);
    let scattered = |at: u32| u32::from_le_bytes(*blake3::hash(&at.to_le_bytes()).as_bytes().first_chunk().unwrap());
    let leaves: std::collections::BTreeSet<u32> = (0..).map(|at| scattered(at) % 1_000_000).take(10_050).collect();
    let runs: Vec<KeyRun> = leaves
        .into_iter()
        .take(10_000)
        .map(|leaf| KeyRun { first: key_id(1 + leaf / 4096, leaf % 4096), count: 1 })
        .collect();
    let frontiers = keyset.beside(&runs, ExtentRewrite::WithNext, &entropy).unwrap();
    assert_eq!(frontiers.destroyed(), 10_000);
    let len = frontiers.extent().unwrap().bytes.len();
    assert!((6_000_000..10_000_000).contains(&len), "{len} bytes");
    keyset.adopt(frontiers, Some(1), SecretChange::Keep).unwrap();
    publish(&mut files, &mut keyset, &entropy);
    assert_eq!(files.extents.len(), 1);
    assert!(files.a.as_ref().unwrap().len() <= 32 * 1024);
    assert!(runs.iter().all(|run| matches!(keyset.key(run.first), Err(KeyMissing::Destroyed))));
}

/// What is in memory is not given up for what is on disk: it is written anew with the next extent.
#[test]
fn extent_that_is_damaged_beside_a_keyset_that_has_it_loaded_loses_nothing() {
    let (files, _, _) = in_extent();
    let mut keyset = files.load().unwrap().keyset;
    let whole = &files.extents[&1];
    assert_eq!(keyset.load_extent(1, ExtentBytes::Bytes(whole)), []);
    let mut damaged = whole.clone();
    damaged[EXTENT_HEADER_LEN..].fill(0xa5);
    let found = keyset.load_extent(1, ExtentBytes::Bytes(&damaged));
    assert_eq!(found, [1, 2].map(|page| Finding::BlobDamaged { extent: 1, page }));
    assert_eq!(states(&keyset), [LOADED(1), LOADED(1)]);
    assert!(keyset.key(key_id(1, 1)).is_ok());
    // The control: what is not in memory is lost.
    let mut without = candidates(&files.input()).unwrap().open(&root(1)).unwrap().keyset;
    let found = without.load_extent(1, ExtentBytes::Bytes(&damaged));
    assert_eq!(found, [1, 2].map(|page| Finding::PageLost { extent: 1, page }));
}
