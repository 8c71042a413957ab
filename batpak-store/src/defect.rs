//! Seeded defects: breaks of the engine that the proofs must find.
//!
//! Invariant: outside of tests and of `cfg(batpak_defects)`, which no shipped build has, every question is answered `false` at compile
//! time, so nothing of this is in a shipped store. A proof that no seeded defect can fail proves nothing.

use batpak_format::KeyId;
use batpak_keyset::{Publication, Step};

/// A break of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defect {
    /// Closing does not end the taking of appends.
    AppendAfterClose,
    /// Synced appends are acknowledged when they are written.
    AckBeforeSync,
    /// No room is kept behind an intent for what says that it is done.
    CompletionHasNoRoom,
    /// An append is placed under a key that a durable intent names.
    CondemnedPlaced,
    /// Both copies of the keyset are written before either is synced.
    CopiesInOneSync,
    /// A copied directory is taken for the one that it was copied from.
    CopyTakenForOriginal,
    /// Extents are removed before both copies name only the others.
    ExtentsSweptEarly,
    /// A sync that failed is tried again, and what the second one says is believed.
    FailedSyncRetried,
    /// A full disk is tried again, as an interrupted call is.
    FullRetried,
    /// The intent of a shred is appended after the keys are gone.
    #[cfg(batpak_defects)]
    IntentAfterPuncture,
    /// The copies of the keyset are written and not synced.
    KeysetUnsynced,
    /// The old nodes leave memory before the intent.
    #[cfg(batpak_defects)]
    NodesWipedEarly,
    /// An open decides on what it read, and writes nothing again.
    PageCacheTrusted,
    /// The second copy of the keyset is left as it was.
    SecondCopyUnwritten,
    /// An open leaves a shred as it found it.
    ShredUnfinished,
    /// Events read Shredded as soon as a shred of them begins.
    ShreddedAtMark,
    /// The keyset is synced after the frame is written.
    SyncAfterWrite,
    /// Only the append that mints a leaf waits for it.
    FenceOnMint,
    /// The fence lets events through whose leaf is not durable.
    FenceOpen,
    /// A publication that failed counts as done.
    FailedPublicationAccepted,
    /// A read that finds no key does not look again whether it was shredded meanwhile.
    ProofAskedOnce,
    /// Whoever leads a publication wakes nobody when it fails.
    PublicationWakesNobody,
    /// A failed sync wakes nobody.
    FailedSyncWakesNobody,
    /// A planned shred is not looked at again when its intent is placed.
    PlanUnchecked,
    /// Events are visible when they are placed.
    VisibleWhenPlaced,
    /// A durable image counts for leaves that were taken after it was encoded.
    CoversWhatCameLater,
    /// A shred does not wait for keys that are lent.
    GuardsNotAwaited,
    /// Gates decide before the commit lock under which their event is placed.
    GatesBeforeTheCommit,
    /// Everybody who waits for a leaf publishes, also when the publication just ended covers it.
    PublishAlways,
    /// The first event of a new segment is written without rolling.
    RollSkipped,
}

/// Says whether a defect is seeded.
#[cfg(not(any(all(test, loom), batpak_defects)))]
pub(crate) const fn seeded(_: Defect) -> bool {
    false
}

/// Says whether a defect is seeded on this thread, where a model runs or a simulated store.
#[cfg(any(all(test, loom), batpak_defects))]
pub(crate) fn seeded(defect: Defect) -> bool {
    SEEDED.with(|seeded| seeded.get() == Some(defect))
}

#[cfg(any(all(test, loom), batpak_defects))]
std::thread_local! {
    /// Models run on one thread of the operating system each, and so do all of a model's threads.
    static SEEDED: std::cell::Cell<Option<Defect>> = const { std::cell::Cell::new(None) };
}

/// Seeds a defect on this thread from here on.
#[cfg(any(all(test, loom), batpak_defects))]
pub fn seed(defect: Option<Defect>) {
    SEEDED.with(|seeded| seeded.set(defect));
}

/// The steps of a publication, as a seeded defect has them.
pub(crate) fn steps(publication: &Publication) -> Vec<Step> {
    let mut steps = publication.steps();
    let second = publication.first.other();
    if seeded(Defect::KeysetUnsynced) || seeded(Defect::SyncAfterWrite) {
        steps.retain(|step| !matches!(step, Step::Sync(_)));
    }
    if seeded(Defect::SecondCopyUnwritten) {
        steps.retain(|step| *step != Step::Write(second) && *step != Step::Sync(second));
    }
    if seeded(Defect::CopiesInOneSync) {
        steps.sort_by_key(|step| !matches!(step, Step::Write(_)));
    }
    if seeded(Defect::ExtentsSweptEarly) {
        steps.sort_by_key(|step| !matches!(step, Step::RemoveExtent { .. }));
    }
    steps
}

/// Notes that an append has minted a leaf, for the fence that asks nothing else.
#[cfg(not(batpak_defects))]
pub(crate) const fn note_minted(_: KeyId) {}

/// Tells whether the append under way has minted a leaf itself.
#[cfg(not(batpak_defects))]
pub(crate) const fn has_minted(_: KeyId) -> bool {
    true
}

#[cfg(batpak_defects)]
std::thread_local! {
    static MINTED: std::cell::Cell<Option<KeyId>> = const { std::cell::Cell::new(None) };
}

/// Notes that an append has minted a leaf, for the fence that asks nothing else.
#[cfg(batpak_defects)]
pub(crate) fn note_minted(key_id: KeyId) {
    MINTED.set(Some(key_id));
}

/// Tells whether the append under way has minted a leaf itself.
#[cfg(batpak_defects)]
pub(crate) fn has_minted(key_id: KeyId) -> bool {
    MINTED.take() == Some(key_id)
}
