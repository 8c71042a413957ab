//! The runs there are, by class, each named by one number.
//!
//! Invariant: a run's seed says everything about it: class, campaign and index. The same seed is the same run.

use std::fmt;

use batpak_store::Durability;
use batpak_store::keyset::Granularity;

use crate::life::Op;
use crate::place::{Sealing, Setup};
use crate::random::{Random, mix};
use crate::sim::fault::{Fault, Kind, LASTS};

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The creation of a store.
    Creation,
    /// Every sequence of up to four operations.
    Sequences,
    /// Forty operations at random.
    Long,
    /// A fault at the N-th call, once and for good.
    Faults,
    /// Shreds so large that frontiers go into an extent.
    Extents,
    /// An older keyset, log or key file beside the newer others.
    OldCopies,
    /// A directory that was copied and is opened as a second store, with the key file as it was or shared with the first.
    Copies,
    /// Shreds under a passphrase and a key file, with crashes inside every recovery.
    Passphrase,
}

impl Class {
    pub(crate) const ALL: [Self; 8] = [
        Self::Creation,
        Self::Sequences,
        Self::Long,
        Self::Faults,
        Self::Extents,
        Self::OldCopies,
        Self::Copies,
        Self::Passphrase,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Creation => "creation",
            Self::Sequences => "sequences",
            Self::Long => "long",
            Self::Faults => "faults",
            Self::Extents => "extents",
            Self::OldCopies => "old copies",
            Self::Copies => "copies",
            Self::Passphrase => "passphrase",
        }
    }

    fn code(self) -> u64 {
        Self::ALL.iter().position(|class| *class == self).map_or(0, |at| at as u64)
    }
}

/// The operations whose sequences are all run.
pub(crate) const IN_SEQUENCES: [Op; 7] = [Op::Old, Op::New, Op::Batch, Op::Shred, Op::Roll, Op::Reopen, Op::Turnover];
/// Faults strike one of so many calls; few runs of theirs make more.
const CALLS: u64 = 128;
/// The longest of them.
const LENGTH_MAX: u32 = 4;
const IN_LONG: [Op; 10] =
    [Op::Old, Op::New, Op::Batch, Op::Shred, Op::Roll, Op::Reopen, Op::Sync, Op::Rekey, Op::Readmit, Op::Old];

/// How the stores of the runs are set up, in turn.
const SETUPS: [Setup; 6] = [
    setup(Sealing::KeyFile, Durability::Synced),
    setup(Sealing::Local, Durability::Buffered),
    setup(Sealing::Plain, Durability::Synced),
    setup(Sealing::KeyFile, Durability::Buffered),
    setup(Sealing::Local, Durability::Synced),
    setup(Sealing::KeyFile, Durability::Deferred),
];

/// Which of them have keys.
const SEALED: [usize; 4] = [0, 1, 3, 4];

const fn setup(sealing: Sealing, durability: Durability) -> Setup {
    Setup { sealing, durability, granularity: Granularity::Entity }
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) class: Class,
    pub(crate) campaign: u32,
    pub(crate) index: u32,
}

impl Run {
    /// The index at which a walk through the sequences has one of another setup each time, the long sequences later.
    pub(crate) fn sequence_of(index: u32) -> u32 {
        let (setups, all) = (SETUPS.len() as u32, sequences() as u32);
        index % setups * all + index / setups % all
    }

    /// The number that names it.
    pub(crate) fn seed(&self) -> u64 {
        self.class.code() << 56 | u64::from(self.campaign & 0xff_ffff) << 32 | u64::from(self.index)
    }

    pub(crate) fn of(seed: u64) -> Option<Self> {
        let class = *Class::ALL.get((seed >> 56) as usize)?;
        Some(Self { class, campaign: (seed >> 32) as u32 & 0xff_ffff, index: seed as u32 })
    }

    pub(crate) fn setup(&self) -> Setup {
        match self.class {
            Class::Sequences => SETUPS[(self.index as usize / sequences()) % SETUPS.len()],
            Class::Passphrase => {
                let modes = [Durability::Synced, Durability::Buffered];
                setup(Sealing::PassphraseKeyFile, modes[self.index as usize % modes.len()])
            }
            Class::Extents | Class::OldCopies | Class::Copies => SETUPS[SEALED[self.index as usize % SEALED.len()]],
            Class::Faults => SETUPS[self.fault_plan().0 % SETUPS.len()],
            _ => SETUPS[self.index as usize % SETUPS.len()],
        }
    }

    /// What keys, nonces and choices are drawn from: runs of a class that begin alike are alike as far as that goes.
    pub(crate) fn stream(&self) -> u64 {
        let setup = self.setup();
        mix(&[self.campaign.into(), setup.sealing as u64, setup.durability as u64])
    }

    pub(crate) fn operations(&self) -> Vec<Op> {
        match self.class {
            Class::Creation => Vec::new(),
            Class::Sequences => sequence(self.index as usize % sequences()),
            Class::Long => {
                let mut random = Random::new(mix(&[self.seed(), 7]));
                (0..40).map(|_| IN_LONG[random.below(IN_LONG.len())]).collect()
            }
            Class::Faults => self.fault_plan().1.to_vec(),
            Class::Extents => vec![Op::Scatter, Op::Old, Op::Gather, Op::Rekey, Op::New],
            Class::OldCopies => vec![Op::New, Op::Shred, Op::Batch, Op::Rekey, Op::New],
            Class::Copies => {
                const AFTER: [&[Op]; 3] =
                    [&[Op::Batch, Op::Shred, Op::New], &[Op::Old, Op::Rekey, Op::New], &[Op::Turnover, Op::New]];
                // Opened again, the first store takes leaves from where a copy of before would go on.
                [&[Op::New, Op::Reopen, Op::New], AFTER[self.index as usize / SEALED.len() % AFTER.len()]].concat()
            }
            Class::Passphrase => {
                const SHREDS: [&[Op]; 3] = [&[Op::Shred], &[Op::Batch, Op::Shred, Op::New], &[Op::Shred, Op::Rekey]];
                SHREDS[self.index as usize / 2 % SHREDS.len()].to_vec()
            }
        }
    }

    /// The fault of a run, if it has one; the call it strikes is counted from the end of the base.
    pub(crate) fn fault(&self) -> Option<Fault> {
        (self.class == Class::Faults).then(|| self.fault_plan().2)
    }

    /// The index of a fault of this kind at some call; `turn` walks through the calls.
    #[cfg(batpak_defects)]
    pub(crate) fn fault_index(kind: Kind, lasts: u64, workload: u32, turn: u32) -> u32 {
        let kind = Kind::ALL.iter().position(|it| *it == kind).map_or(0, |at| at as u32);
        let lasts = LASTS.iter().position(|it| *it == lasts).map_or(0, |at| at as u32);
        turn * 48 + workload * 12 + lasts * 4 + kind
    }

    /// Kinds, durations, workloads and setups in turn; the calls up to [`CALLS`] in an order of their own, so that early and late ones
    /// are met soon.
    fn fault_plan(&self) -> (usize, &'static [Op], Fault) {
        const WORKLOADS: [&[Op]; 4] = [
            &[Op::New, Op::Old, Op::Roll, Op::New, Op::Old],
            &[Op::New, Op::Shred, Op::New, Op::Old],
            &[Op::Roll, Op::Reopen, Op::New, Op::Batch],
            &[Op::Shred, Op::Readmit, Op::Rekey, Op::New],
        ];
        let index = self.index as usize;
        let turn = index / 48;
        let fault =
            Fault { kind: Kind::ALL[index % 4], lasts: LASTS[index / 4 % 3], call: 1 + (turn as u64 * 37) % CALLS };
        // Once all calls were met they are met again under other setups: else an even call would only ever meet every second one.
        (turn + turn / CALLS as usize + index / 12, WORKLOADS[index / 12 % 4], fault)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {:#x}: {} {:?} {:?}", self.seed(), self.class.name(), self.setup(), self.operations())?;
        match self.fault() {
            Some(fault) => write!(f, " {fault:?}"),
            None => Ok(()),
        }
    }
}

/// How many sequences of up to four operations there are.
pub(crate) fn sequences() -> usize {
    (1..=LENGTH_MAX).map(|length| IN_SEQUENCES.len().pow(length)).sum()
}

fn sequence(index: usize) -> Vec<Op> {
    let mut rest = index;
    let mut length = 1;
    while rest >= IN_SEQUENCES.len().pow(length) {
        rest -= IN_SEQUENCES.len().pow(length);
        length += 1;
    }
    (0..length)
        .map(|_| {
            let op = IN_SEQUENCES[rest % IN_SEQUENCES.len()];
            rest /= IN_SEQUENCES.len();
            op
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn sequences_are_all_there_and_each_once() {
        let all: BTreeSet<Vec<Op>> = (0..sequences()).map(sequence).collect();
        assert_eq!(all.len(), 7 + 49 + 343 + 2401);
    }

    #[test]
    fn run_is_had_again_from_its_seed() {
        for class in Class::ALL {
            let run = Run { class, campaign: 77, index: 123_456 };
            let again = Run::of(run.seed()).unwrap();
            assert_eq!((again.class, again.campaign, again.index), (class, 77, 123_456));
        }
        assert!(Run::of(u64::MAX).is_none());
    }
}
