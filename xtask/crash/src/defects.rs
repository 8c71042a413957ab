//! The table of seeded defects: the engine broken on purpose, each break to be found by the oracle.
//!
//! Invariant: a defect that no state shows fails the run: an oracle that cannot fail proves nothing. It counts as shown only when the
//! run that shows it holds without it.

use std::time::{Duration, Instant};

use batpak_store::{Defect, format, keyset, segment};

use crate::campaign;
use crate::explore::{Breadth, Seen};
use crate::random::Count;
use crate::sim::fault::Kind;
use crate::violation::Violation;
use crate::workload::{Class, Run};

/// In which crate the break is.
#[derive(Clone, Copy, Debug)]
enum Break {
    Format(format::Defect),
    Keyset(keyset::Defect),
    Segment(segment::Defect),
    Store(Defect),
}

impl Break {
    /// Seeds it on this thread and takes every other one out.
    fn seed(self) {
        clear();
        match self {
            Self::Format(defect) => format::seed(Some(defect)),
            Self::Keyset(defect) => keyset::seed(Some(defect)),
            Self::Segment(defect) => segment::seed(Some(defect)),
            Self::Store(defect) => batpak_store::seed(Some(defect)),
        }
    }
}

fn clear() {
    format::seed(None);
    keyset::seed(None);
    segment::seed(None);
    batpak_store::seed(None);
}

/// Where a break is looked for.
#[derive(Clone, Copy, Debug)]
enum Where {
    /// In the runs of a class, in turn.
    Class(Class),
    /// Where a fault strikes one of the workloads.
    Fault { kind: Kind, lasts: u64, workload: u32 },
}

impl Where {
    fn run(self, campaign: u32, turn: u32) -> Run {
        let (class, index) = match self {
            // Setups take turns of thousands of sequences.
            Self::Class(Class::Sequences) => (Class::Sequences, Run::sequence_of(turn)),
            Self::Class(class) => (class, turn),
            Self::Fault { kind, lasts, workload } => (Class::Faults, Run::fault_index(kind, lasts, workload, turn)),
        };
        Run { class, campaign, index }
    }

    /// How much of each run is visited: where many runs are needed, little of each.
    const fn breadth(self) -> Breadth {
        match self {
            Self::Class(Class::Extents) => Breadth { shots: 400, states: 6, ..NARROW },
            Self::Class(_) => NARROW,
            Self::Fault { .. } => Breadth { shots: 3, states: 2, ..NARROW },
        }
    }
}

/// Of each crash point a few states: a defect that hides from them is looked for in more runs.
const NARROW: Breadth = Breadth { shots: 24, states: 10, inside: 5, rounds: 7, depth: 2 };
const SEQUENCES: Where = Where::Class(Class::Sequences);
const FAILED_PUBLICATION: Where = Where::Fault { kind: Kind::Broken, lasts: 2, workload: 2 };
const FAILED_SYNC: Where = Where::Fault { kind: Kind::Broken, lasts: 1, workload: 0 };
const DISK_FULL: Where = Where::Fault { kind: Kind::Full, lasts: u64::MAX, workload: 0 };
/// The workload that begins with a shred.
const SHRED_ON_FULL: Where = Where::Fault { kind: Kind::Full, lasts: u64::MAX, workload: 3 };

/// The breaks, each with where it is looked for.
const TABLE: [(&str, Break, Where); 22] = [
    ("skip the keyset sync", Break::Store(Defect::KeysetUnsynced), SEQUENCES),
    ("sync the keyset after the write", Break::Store(Defect::SyncAfterWrite), SEQUENCES),
    ("fence on \"did I mint\" only", Break::Store(Defect::FenceOnMint), FAILED_PUBLICATION),
    ("accept a failed publication", Break::Store(Defect::FailedPublicationAccepted), FAILED_PUBLICATION),
    ("skip a directory sync", Break::Segment(segment::Defect::DirectoryUnsynced), SEQUENCES),
    ("write both keyset copies in one sync", Break::Store(Defect::CopiesInOneSync), SEQUENCES),
    ("take leaves reserved by a crashed process", Break::Keyset(keyset::Defect::LeavesTakenAgain), SEQUENCES),
    ("skip redoing a shred at open", Break::Store(Defect::ShredUnfinished), SEQUENCES),
    ("intent after the puncture", Break::Store(Defect::IntentAfterPuncture), SEQUENCES),
    ("ack before sync", Break::Store(Defect::AckBeforeSync), SEQUENCES),
    ("trust the page cache after a failed sync", Break::Store(Defect::FailedSyncRetried), FAILED_SYNC),
    ("check of the last frame skipped", Break::Format(format::Defect::CheckSkipped), SEQUENCES),
    ("batch end unchecked", Break::Segment(segment::Defect::BatchEndUnchecked), SEQUENCES),
    ("ENOSPC taken as retry", Break::Store(Defect::FullRetried), DISK_FULL),
    ("page number = image's maximum + 1", Break::Keyset(keyset::Defect::PageReused), Where::Class(Class::OldCopies)),
    ("reads Shredded at the mark", Break::Store(Defect::ShreddedAtMark), SEQUENCES),
    ("old nodes wiped before the publication", Break::Store(Defect::NodesWipedEarly), SEQUENCES),
    (
        "extents swept before both copies are healed",
        Break::Store(Defect::ExtentsSweptEarly),
        Where::Class(Class::Extents),
    ),
    ("page cache trusted at open", Break::Store(Defect::PageCacheTrusted), SEQUENCES),
    ("second copy not written", Break::Store(Defect::SecondCopyUnwritten), SEQUENCES),
    ("copy taken for the original", Break::Store(Defect::CopyTakenForOriginal), Where::Class(Class::Copies)),
    ("no room kept for a shred's completion", Break::Store(Defect::CompletionHasNoRoom), SHRED_ON_FULL),
];

/// Looks for each defect on two threads; false when one survives.
pub(crate) fn table(campaign: u32, most: Duration) -> bool {
    let next = Count::default();
    let caught = Count::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, defect, place)) = TABLE.get(usize::try_from(next.add(1)).unwrap_or(usize::MAX)) {
                    defect.seed();
                    caught.add(hunt(name, *place, campaign, most).into());
                    clear();
                }
            });
        }
    });
    println!("seeded defects: {} of {} caught", caught.get(), TABLE.len());
    caught.get() == TABLE.len() as u64
}

/// Looks for a defect until something is found.
fn hunt(name: &str, place: Where, campaign: u32, most: Duration) -> bool {
    let (seen, end) = (Seen::default(), Instant::now() + most);
    let go_on = || Instant::now() < end;
    for turn in 0.. {
        if !go_on() {
            break;
        }
        let run = place.run(campaign, turn);
        let (found, _) = campaign::run(run, place.breadth(), &seen, &go_on, false);
        let Some(found) = found.first() else { continue };
        let (states, seed) = (seen.checked.get(), run.seed());
        let Violation { invariant, what } = &found.violation;
        // The control: without the defect the same run holds.
        clear();
        let (without, _) = campaign::run(run, place.breadth(), &Seen::default(), &|| true, false);
        if !without.is_empty() {
            println!("  {name:44} NOT SHOWN: seed {seed:#x} fails without it too: {what}");
            return false;
        }
        println!("  {name:44} caught by {invariant:4} after {states:6} states, seed {seed:#x}: {what}");
        return true;
    }
    println!("  {name:44} SURVIVES {} states", seen.checked.get());
    false
}
