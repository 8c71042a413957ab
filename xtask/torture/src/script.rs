//! What a worker does: operations made from a seed alone, so that the oracle knows each of them without being told.
//!
//! Invariant: an operation does not depend on how an earlier one ended; what may happen to it is the oracle's to say.

use std::fmt::Write as _;

use batpak_store::{Durability, EventId};

use crate::random::Random;

/// Key scopes that live through all rounds, of each thread.
const OLD_SCOPES: usize = 6;
/// In every payload, and in no file of a sealed store.
pub(crate) const CANARY: &[u8; 16] = b"canary in clear.";

/// Which script: the same values make the same operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    /// Counts the workers of one store.
    pub(crate) round: u32,
    pub(crate) threads: u16,
    /// Of each thread.
    pub(crate) operations: u32,
    /// Whether appends are acknowledged from the write buffer too, which a thread of the store drains.
    pub(crate) deferred: bool,
    /// Whether the worker, after some calls that failed, waits for a word from outside that times are better.
    pub(crate) patient: bool,
}

/// One event that an operation submits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Submitted {
    pub(crate) id: EventId,
    pub(crate) entity: String,
    pub(crate) bytes: usize,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// One event, or a batch of more.
    Append {
        events: Vec<Submitted>,
        durability: Durability,
    },
    Readmit {
        entity: String,
    },
    Rekey,
    /// Close and open in the same process; only in scripts of one thread.
    Reopen,
    Shred {
        entity: String,
    },
    Sync,
}

impl Operation {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Operation::Append { events, .. } if events.len() > 1 => "batch",
            Operation::Append { .. } => "append",
            Operation::Readmit { .. } => "readmit",
            Operation::Rekey => "rekey",
            Operation::Reopen => "reopen",
            Operation::Shred { .. } => "shred",
            Operation::Sync => "sync",
        }
    }
}

impl Script {
    /// The operation that a thread does at this place of the script.
    pub(crate) fn operation(&self, thread: u16, at: u32) -> Operation {
        let place = u64::from(self.round) << 48 | u64::from(thread) << 32 | u64::from(at);
        let mut random = Random::new(self.seed ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        match random.below(100) {
            0..72 => self.append(&mut random, thread, at, 1),
            72..84 => {
                let events = 2 + random.below(5);
                self.append(&mut random, thread, at, events)
            }
            84..89 => Operation::Shred { entity: old_entity(&mut random, thread) },
            89..95 => Operation::Readmit { entity: old_entity(&mut random, thread) },
            95..98 => Operation::Sync,
            98 => Operation::Rekey,
            _ if self.threads == 1 => Operation::Reopen,
            _ => Operation::Sync,
        }
    }

    fn append(&self, random: &mut Random, thread: u16, at: u32, events: usize) -> Operation {
        let durability = match random.below(10) {
            0..5 => Durability::Synced,
            5..8 => Durability::Buffered,
            _ if self.deferred => Durability::Deferred,
            _ => Durability::Buffered,
        };
        let events = (0..events)
            .map(|number| {
                let entity = match random.below(3) {
                    0 => format!("new-{}-{thread}-{at}-{number}", self.round),
                    _ => old_entity(random, thread),
                };
                // Now and then one that fills segments fast.
                let bytes = if random.below(20) == 0 { 3_000 + random.below(3_000) } else { random.below(500) };
                Submitted { id: self.id(thread, at, number), entity, bytes: CANARY.len() + bytes }
            })
            .collect();
        Operation::Append { events, durability }
    }

    fn id(&self, thread: u16, at: u32, number: usize) -> EventId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.seed.to_be_bytes()[4..]);
        bytes[4..8].copy_from_slice(&self.round.to_be_bytes());
        bytes[8..10].copy_from_slice(&thread.to_be_bytes());
        bytes[10..14].copy_from_slice(&at.to_be_bytes());
        bytes[14] = u8::try_from(number).unwrap_or(u8::MAX);
        bytes[15] = 1;
        EventId::from_bytes(bytes)
    }
}

/// The payload that belongs to an id.
pub(crate) fn payload(id: EventId, bytes: usize) -> Vec<u8> {
    let mut payload = CANARY.to_vec();
    let mut text = String::new();
    let _ = write!(text, " {id}");
    payload.extend(text.bytes().cycle().take(bytes.saturating_sub(CANARY.len())));
    payload
}

fn old_entity(random: &mut Random, thread: u16) -> String {
    format!("old-{thread}-{}", random.below(OLD_SCOPES))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SCRIPT: Script = Script { seed: 7, round: 2, threads: 2, operations: 400, deferred: true, patient: false };

    #[test]
    fn script_repeats_with_its_seed_and_has_every_operation() {
        let operations = |script: Script| (0..400).map(|at| script.operation(1, at)).collect::<Vec<_>>();
        assert_eq!(operations(SCRIPT), operations(SCRIPT));
        assert_ne!(operations(SCRIPT), operations(Script { seed: 8, ..SCRIPT }));
        let single = Script { threads: 1, ..SCRIPT };
        let names: BTreeSet<_> = operations(single).iter().map(Operation::name).collect();
        assert_eq!(Vec::from_iter(names), ["append", "batch", "readmit", "rekey", "reopen", "shred", "sync"]);
        assert!(operations(SCRIPT).iter().all(|it| *it != Operation::Reopen), "other threads use the store");
    }

    #[test]
    fn payload_has_its_length_and_belongs_to_its_id() {
        let [one, two] = [0, 1].map(|number| SCRIPT.id(0, 0, number));
        assert_eq!(payload(one, 300).len(), 300);
        assert_eq!(payload(one, 16), CANARY);
        assert_ne!(payload(one, 300), payload(two, 300));
    }
}
