//! What a keyset and a log say of each other.

use batpak_format::{ChainHash, KeyId};
use batpak_keyset::{ExtentRewrite, IntentFacts, Keyset, LogFacts, LogSeen, LogVerdict, SecretChange};

use crate::disk::Files;
use crate::fixed::{FixedEntropy, key_id, keyset, root};

const SEEN: LogSeen = LogSeen { position: 100, chain_hash: ChainHash::from_bytes([7; 32]) };

/// A keyset that has reserved 64 leaves of page 1, has seen 100 events, and reflects this intent.
fn loaded(applied: Option<u64>) -> Keyset {
    loaded_having_seen(SEEN, applied)
}

fn loaded_having_seen(seen: LogSeen, applied: Option<u64>) -> Keyset {
    let (entropy, mut files) = (FixedEntropy::default(), Files::default());
    let mut keyset = keyset(&entropy);
    keyset.take(&entropy).unwrap();
    let frontiers = keyset.beside(&[], ExtentRewrite::WithNext, &entropy).unwrap();
    keyset.adopt(frontiers, applied, SecretChange::Keep).unwrap();
    let publication = keyset.publication(&root(1), seen, &entropy).unwrap();
    files.publish(&mut keyset, &publication);
    files.load().unwrap().keyset
}

const LOG: LogFacts = LogFacts { key_id_max: None, last_intent: None, next_position: 100, seen_chain_hash: None };

const fn intent(position: u64, completed: bool, previous: Option<u64>) -> LogFacts {
    LogFacts { last_intent: Some(IntentFacts { position, completed, previous }), ..LOG }
}

#[test]
fn log_that_holds_what_the_image_has_seen_agrees() {
    let known = LogFacts { key_id_max: Some(key_id(1, 63)), seen_chain_hash: Some(SEEN.chain_hash), ..LOG };
    assert_eq!(loaded(None).compare_log(&known), LogVerdict::Agrees);
    assert_eq!(loaded(None).compare_log(&LogFacts { next_position: 5000, ..known }), LogVerdict::Agrees);
    assert_eq!(loaded(Some(40)).compare_log(&intent(40, true, None)), LogVerdict::Agrees);
}

#[test]
fn log_shorter_than_seen_is_rolled_back() {
    let short = LogFacts { next_position: 99, ..LOG };
    assert_eq!(loaded(None).compare_log(&short), LogVerdict::LogRolledBack { seen: 100, next_position: 99 });
}

#[test]
fn log_with_another_event_where_the_image_looked_is_rolled_back() {
    let forked = LogFacts { seen_chain_hash: Some(ChainHash::from_bytes([8; 32])), next_position: 300, ..LOG };
    assert_eq!(loaded(None).compare_log(&forked), LogVerdict::LogRolledBack { seen: 100, next_position: 300 });
}

#[test]
fn image_that_has_seen_no_event_takes_no_event_for_another() {
    let any = LogFacts { seen_chain_hash: Some(ChainHash::from_bytes([8; 32])), ..LOG };
    assert_eq!(loaded_having_seen(LogSeen::NOTHING, None).compare_log(&any), LogVerdict::Agrees);
}

#[test]
fn log_without_the_intent_that_the_image_reflects_is_rolled_back() {
    let expected = LogVerdict::LogRolledBack { seen: 100, next_position: 100 };
    assert_eq!(loaded(Some(40)).compare_log(&LOG), expected);
    assert_eq!(loaded(Some(40)).compare_log(&intent(30, true, None)), expected);
}

#[test]
fn key_id_that_the_image_has_not_reserved_is_a_keyset_rolled_back() {
    // The first leaf of the first page is reserved, in the compartment that there is.
    for id in [key_id(1, 64), key_id(2, 0), key_id(0, 0), KeyId::new(1, 1, 0)] {
        let verdict = loaded(None).compare_log(&LogFacts { key_id_max: Some(id), ..LOG });
        let expected = LogVerdict::KeysetRolledBack { unknown_key: Some(id), applied: None, last_intent: None };
        if id.page() == 0 {
            assert_eq!(verdict, LogVerdict::Agrees, "page 0 is below every page");
        } else {
            assert_eq!(verdict, expected);
        }
    }
}

#[test]
fn accepted_key_ids_agree_afterwards() {
    let mut keyset = loaded(None);
    let log = LogFacts { key_id_max: Some(key_id(7, 5)), ..LOG };
    assert!(matches!(keyset.compare_log(&log), LogVerdict::KeysetRolledBack { .. }));
    keyset.raise_above(key_id(7, 5));
    assert_eq!(keyset.compare_log(&log), LogVerdict::Agrees);
    assert_eq!(keyset.take(&FixedEntropy::default()).unwrap(), key_id(8, 0));
}

#[test]
fn intent_completed_and_not_reflected_is_a_keyset_rolled_back() {
    let expected = |applied, last| LogVerdict::KeysetRolledBack { unknown_key: None, applied, last_intent: Some(last) };
    assert_eq!(loaded(None).compare_log(&intent(40, true, None)), expected(None, 40));
    assert_eq!(loaded(Some(40)).compare_log(&intent(60, true, Some(40))), expected(Some(40), 60));
}

#[test]
fn intent_without_completion_is_a_pending_shred_when_only_it_is_missing() {
    let pending = |intent, applied| LogVerdict::ShredPending { intent, applied };
    assert_eq!(loaded(None).compare_log(&intent(40, false, None)), pending(40, false));
    assert_eq!(loaded(Some(40)).compare_log(&intent(60, false, Some(40))), pending(60, false));
    assert_eq!(loaded(Some(60)).compare_log(&intent(60, false, Some(40))), pending(60, true));
}

#[test]
fn intent_without_completion_is_a_keyset_rolled_back_when_more_is_missing() {
    let expected = LogVerdict::KeysetRolledBack { unknown_key: None, applied: Some(20), last_intent: Some(60) };
    assert_eq!(loaded(Some(20)).compare_log(&intent(60, false, Some(40))), expected);
}

#[test]
fn accepted_log_rollback_agrees_afterwards() {
    let mut keyset = loaded(Some(40));
    keyset.rebase_applied(Some(30));
    assert_eq!(keyset.compare_log(&intent(30, true, None)), LogVerdict::Agrees);
}
