//! What a keyset and a log say of each other: which of the two is behind.
//!
//! A verdict accuses nobody of a shred: it tells what is missing where, and a writer refuses until that is accepted.

use batpak_format::{ChainHash, KeyId};

use crate::keyset::Keyset;
use crate::table::Row;

/// What the log says of its last shred intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the caller fills every field")]
pub struct IntentFacts {
    /// The position of the intent.
    pub position: u64,
    /// Whether its completion is in the log.
    pub completed: bool,
    /// The position of the intent before it, which it names.
    pub previous: Option<u64>,
}

/// What the log says, for the comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the caller fills every field")]
pub struct LogFacts {
    /// The highest key id of all frames, intents and footers.
    pub key_id_max: Option<KeyId>,
    /// The last shred intent.
    pub last_intent: Option<IntentFacts>,
    /// The position that the next event gets.
    pub next_position: u64,
    /// The chain hash of the event at `log_seen().position - 1`, when it was looked up and is there.
    pub seen_chain_hash: Option<ChainHash>,
}

/// What the comparison says; when more than one holds, the first of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogVerdict {
    /// The log ends before the end that the image has seen, goes on otherwise than it, or lacks a shred intent that the
    /// image reflects: acknowledged events are missing.
    LogRolledBack {
        /// The position below which the image knows every event to have been durable.
        seen: u64,
        /// The position that the next event would get.
        next_position: u64,
    },
    /// The log names a key that the image has not reserved, or an intent that it does not reflect: the image is older
    /// than the log.
    KeysetRolledBack {
        /// The key id that the image does not know, if that is it.
        unknown_key: Option<KeyId>,
        /// The position of the last intent that the image reflects.
        applied: Option<u64>,
        /// The position of the last intent of the log.
        last_intent: Option<u64>,
    },
    /// The last shred was not finished: its intent is on record, its completion is not.
    ShredPending {
        /// The position of the intent.
        intent: u64,
        /// Whether the image reflects it already, so that only what follows the publication is left to do.
        applied: bool,
    },
    /// Neither is behind.
    Agrees,
}

impl Keyset {
    /// Compares the keyset, as it was loaded, with the log.
    #[must_use]
    pub fn compare_log(&self, log: &LogFacts) -> LogVerdict {
        let last_intent = log.last_intent.map(|intent| intent.position);
        if self.log_is_behind(log, last_intent) {
            return LogVerdict::LogRolledBack { seen: self.log_seen.position, next_position: log.next_position };
        }
        let unknown_key = log.key_id_max.filter(|id| !self.reserves(*id));
        let behind = |applied| LogVerdict::KeysetRolledBack { unknown_key, applied, last_intent };
        match log.last_intent {
            _ if unknown_key.is_some() => behind(self.applied),
            Some(intent) if !intent.completed && self.applied == intent.previous => {
                LogVerdict::ShredPending { intent: intent.position, applied: false }
            }
            Some(intent) if self.applied != Some(intent.position) => behind(self.applied),
            Some(intent) if !intent.completed => LogVerdict::ShredPending { intent: intent.position, applied: true },
            _ => LogVerdict::Agrees,
        }
    }

    fn log_is_behind(&self, log: &LogFacts, last_intent: Option<u64>) -> bool {
        let other_event = log.seen_chain_hash.is_some_and(|found| found != self.log_seen.chain_hash);
        self.log_seen.position > log.next_position
            || (self.log_seen.position > 0 && other_event)
            || self.applied > last_intent
    }

    /// Tells whether a key id was reserved in the image, or stands on a page counted as used and lost.
    fn reserves(&self, id: KeyId) -> bool {
        let above = self.minter.pages_above();
        match self.table.row(id.page()) {
            _ if id.compartment() != 0 => false,
            Some(Row::Gone(_)) => true,
            Some(Row::Page(page)) => id.leaf() < page.reserved,
            None => id.page() <= above,
        }
    }
}
