//! Seeded defects: breaks of the engine that the proofs must find.
//!
//! Invariant: outside of tests every question is answered `false` at compile time, so nothing of this is in a shipped store. A proof
//! that no seeded defect can fail proves nothing.

/// A break of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Closing does not end the taking of appends.
    AppendAfterClose,
    /// Synced appends are acknowledged when they are written.
    AckBeforeSync,
    /// An append is placed under a key that a durable intent names.
    CondemnedPlaced,
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
#[cfg(not(all(test, loom)))]
pub(crate) const fn seeded(_: Defect) -> bool {
    false
}

/// Says whether a defect is seeded in the model that runs on this thread.
#[cfg(all(test, loom))]
pub(crate) fn seeded(defect: Defect) -> bool {
    SEEDED.with(|seeded| seeded.get() == Some(defect))
}

#[cfg(all(test, loom))]
std::thread_local! {
    /// Models run on one thread of the operating system each, and so do all of a model's threads.
    static SEEDED: std::cell::Cell<Option<Defect>> = const { std::cell::Cell::new(None) };
}

/// Seeds a defect in the models that run on this thread from here on.
#[cfg(all(test, loom))]
pub(crate) fn seed(defect: Option<Defect>) {
    SEEDED.with(|seeded| seeded.set(defect));
}
