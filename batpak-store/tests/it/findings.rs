//! What open and read tell apart (KEYSET.md, section 6): each finding, and the tests that show its answer.
//!
//! | finding | answer | shown by |
//! |---|---|---|
//! | key derivable, tag verifies | Open | `lifecycle::store_survives_close_and_open`, `granularities::shred_readmit_and_rekey_hold_for_every_granularity_and_provider` |
//! | an intent behind the event names its key scope and key id | Shredded, with the intent | `shred::shred_destroys_what_it_names_and_nothing_else_under_every_granularity`, `forged::event_that_is_pointed_at_a_shredded_key_is_not_passed_off_as_shredded` |
//! | key not derivable, no such intent | KeyLost; no append until it is readmitted | `extents::extent_that_is_damaged_once_is_healed_and_twice_has_lost_its_keys`, `accept::an_accepted_key_loss_is_on_record_and_new_keys_stand_above_the_lost_ones` |
//! | key derivable, tag fails; key id of another key scope | Tampered | `forged::a_payload_in_clear_in_an_encrypted_store_is_tampered`, `forged::a_sealed_payload_that_nobody_sealed_is_tampered` |
//! | one copy damaged, missing, short or unreadable | healed from the other, reported | `keyset_findings::either_copy_heals_the_other_after_every_publication`, `findings::copy_that_cannot_be_read_is_healed_from_the_other`, `keyset_findings::missing_copy_is_not_made_by_an_open_that_is_refused` |
//! | both damaged | KeysetCorrupt | `keyset_findings::both_copies_damaged_is_corrupt_and_never_an_empty_keyset` |
//! | keyset absent | KeysetMissing, unless accepted | `mismatches::keyset_that_is_deleted_is_missing_and_never_made_anew`, `accept::an_acceptance_cut_at_any_call_is_finished_by_the_next` |
//! | image behind the log | KeysetRolledBack, unless accepted | `keyset_findings::older_keyset_put_back_is_refused_and_the_newer_one_opens`, `shred::keyset_from_before_a_shred_is_refused_and_accepted_it_opens_nothing_of_the_victim`, `accept::an_accepted_keyset_rollback_is_on_record_and_keeps_what_the_old_keys_open` |
//! | an intent without its completion, not applied yet or applied | ShredPending, finished by a writer's open | `shred::open_that_finishes_a_shred_may_itself_be_cut_anywhere`, `findings::reader_of_a_pending_shred_answers_from_the_intent_and_changes_nothing` |
//! | log behind the image | LogRolledBack, unless accepted | `keyset_findings::older_log_put_back_is_refused`, `accept::an_accepted_log_rollback_is_on_record_and_serves_what_is_there` |
//! | another store's keyset or key file | ForeignKeyset, ForeignKeyFile | `mismatches::keyset_of_another_store_is_foreign`, `providers::key_file_of_another_store_is_foreign` |
//! | root secret missing or wrong | RootSecretMissing, RootSecretWrong | `providers::key_file_with_another_secret_lacks_the_one_of_the_keyset`, `providers::wrong_passphrase_is_refused_alone_and_beside_a_key_file`, `provider_product::slots_and_copies_answer_as_specified_with_an_outside_provider` |
//! | the directory was copied | reported, fresh page | `mismatches::copied_directory_is_reported_and_mints_on_a_fresh_page` |
//! | a writer's open | makes true what it read, both copies apart | `keyset_findings::power_cut_at_every_call_of_a_publication_leaves_a_keyset_that_opens`, `findings::open_after_a_crash_writes_both_copies_again_each_synced_before_the_next` |
//! | extents that no image names | removed after both copies are whole | `extents::extents_are_swept_after_both_copies_are_whole_whatever_cuts_the_open`, `extents::extent_of_a_shred_that_came_to_nothing_is_removed_and_its_number_not_used_again` |
//! | a read-only open | no lock, no change, looks again when the epochs changed | `read_only::reader_makes_no_call_that_changes_the_disk`, `between::reader_that_opens_while_keys_are_published_reads_both_again`, `between::get_of_an_event_that_was_seen_loads_the_newer_keyset_first` |

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use batpak_store::{
    Payload, Selector, ShredError,
    keyset::{Copy, Finding},
    segment::DiskOp,
};

use crate::kit::{Place, append, payloads, sound, unchanged};

#[test]
fn every_test_that_the_table_names_is_there() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut named = 0;
    for line in include_str!("findings.rs").lines().take_while(|line| line.starts_with("//!")) {
        for name in line.split('`').skip(1).step_by(2) {
            let (module, test) = name.split_once("::").unwrap();
            let source = std::fs::read_to_string(tests.join(module).with_extension("rs")).unwrap();
            assert!(source.contains(&format!("#[test]\nfn {test}()")), "{name}");
            named += 1;
        }
    }
    assert!(named > 25, "{named}");
}

#[test]
fn copy_that_cannot_be_read_is_healed_from_the_other() {
    for copy in Copy::BOTH {
        let place = Place::memory();
        let memory = place.memory.clone().unwrap();
        let store = place.create();
        append(&store, "a", b"one");
        store.close().unwrap();
        // An open judges the copies once; what the file is can be asked all the same.
        let unreadable_once = || {
            let path = place.dir().join(copy.file_name());
            let mut failed = false;
            memory.fail(Box::new(move |call| {
                let fails = !failed && call.op == DiskOp::Read && call.path == path;
                failed |= fails;
                fails.then(|| io::ErrorKind::Other.into())
            }));
        };
        unreadable_once();
        let reader = place.reader();
        assert_eq!(
            (reader.open_report().keyset.as_slice(), payloads(&reader)),
            ([Finding::CopyUnreadable(copy)].as_slice(), vec![b"one".to_vec()])
        );
        unreadable_once();
        let store = place.open();
        assert_eq!(store.open_report().keyset, [Finding::CopyUnreadable(copy)]);
        let fresh = store.header(append(&store, "b", b"two").id).unwrap().unwrap().encryption.unwrap();
        assert_eq!(fresh.key_id.page(), 2, "nothing is minted on a page that an unknown image may have reserved");
        store.close().unwrap();
        memory.clear_hooks();
        let store = place.open();
        assert_eq!(store.open_report().keyset, []);
        assert_eq!(payloads(&store), [b"one".to_vec(), b"two".to_vec()]);
    }
}

#[test]
fn reader_of_a_pending_shred_answers_from_the_intent_and_changes_nothing() {
    let place = Place::memory();
    let memory = place.memory.clone().unwrap();
    let store = place.create();
    let (victim, other) = (append(&store, "a", b"victim").id, append(&store, "b", b"other").id);
    memory.fail(Box::new(|call| {
        let keyset = call.path.file_stem().is_some_and(|stem| stem == "keyset");
        (keyset && matches!(call.op, DiskOp::Write { .. })).then(|| io::ErrorKind::StorageFull.into())
    }));
    let pending = store.shred(&[Selector::Entity("a".into())], 0, "").unwrap_err();
    let ShredError::Pending { intent, .. } = pending else { panic!("{pending:?}") };
    memory.crash();
    memory.clear_hooks();
    drop(store);
    let before = place.files();
    let reader = place.reader();
    let of = |id| reader.get(id).unwrap().unwrap().payload;
    assert!(matches!(of(victim), Payload::Shredded(proof) if proof.intent == intent));
    assert!(matches!(of(other), Payload::Open(_)));
    assert!(!reader.open_report().keyset_rolled_back && reader.open_report().shred_finished.is_none());
    drop(reader);
    unchanged(&place, &before);
    let store = place.open();
    assert_eq!(store.open_report().shred_finished, Some(intent));
    sound(&store);
}

#[test]
fn open_after_a_crash_writes_both_copies_again_each_synced_before_the_next() {
    let place = Place::memory();
    let memory = place.memory.clone().unwrap();
    let store = place.create();
    append(&store, "a", b"one");
    memory.crash();
    drop(store);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    memory.observe(Box::new(move |call| {
        let Some(name) = call.path.file_name().and_then(|name| name.to_str()).filter(|name| name.starts_with("keyset"))
        else {
            return;
        };
        match call.op {
            DiskOp::Write { .. } => seen.lock().unwrap().push(format!("write {name}")),
            DiskOp::SyncData | DiskOp::SyncAll => seen.lock().unwrap().push(format!("sync {name}")),
            _ => {}
        }
    }));
    drop(place.open());
    memory.clear_hooks();
    let mut order = calls.lock().unwrap().clone();
    order.dedup();
    assert_eq!(order, ["write keyset.a", "sync keyset.a", "write keyset.b", "sync keyset.b"]);
    // The control: after a clean close there is nothing to make true, but the key file, for which no close vouches.
    place.open().close().unwrap();
    let calls = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&calls);
    memory.observe(Box::new(move |call| {
        let other = !call.path.ends_with("lock") && !call.path.ends_with("root.key");
        *seen.lock().unwrap() += u32::from(matches!(call.op, DiskOp::Write { .. }) && other);
    }));
    let store = place.open();
    assert_eq!(*calls.lock().unwrap(), 0);
    memory.clear_hooks();
    assert!(store.open_report().clean);
}
