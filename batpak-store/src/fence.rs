//! The durability fence: a sealed event goes on to its frame only when the key that opens it is durable.
//!
//! Invariant: nothing but [`Fence::pass`] makes a [`Fenced`], and only a `Fenced` can be placed in the log. A leaf is durable when a
//! publication of the keyset whose encoded snapshot reserves it was synced; until then the append waits, and when that publication
//! fails, the append fails closed with nothing framed. This holds under every durability mode, for batches and for tickets.

use std::sync::Arc;

use batpak_format::KeyId;

use crate::{
    append::{Sealed, SealedUnit},
    defect::{Defect, has_minted, seeded},
    error::PublishError,
    sync::{AtomicU64, Mutex, MutexGuard, Ordering, Signal, lock},
};

/// Sealed events whose keys are durable. There is no other way to make one than through the fence. They stay where they are, and nobody
/// else has them meanwhile.
#[derive(Debug)]
pub(crate) struct Fenced<'u>(&'u mut SealedUnit);

impl<'u> Fenced<'u> {
    /// Lets events through that are sealed under no key, so that there is none to wait for: those of a plaintext store, and the
    /// store's own.
    ///
    /// # Panics
    /// When one of them is sealed.
    pub(crate) fn plain(unit: &'u mut SealedUnit) -> Self {
        assert!(unit.events.iter().all(|event| event.key_id().is_none()), "a sealed event must pass the fence");
        Self(unit)
    }

    pub(crate) fn events(&self) -> &[Sealed] {
        &self.0.events
    }

    /// How many bytes their frames have in all.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes.len()
    }

    pub(crate) fn into_unit(self) -> &'u mut SealedUnit {
        self.0
    }
}

/// What makes the keyset durable. The fence decides when, and for whom.
pub(crate) trait Publish {
    /// Encodes the keyset now, writes it, and calls `durable` with the new mark as soon as its first copy is synced; what is left
    /// to do after that is done before it returns.
    fn publish(&self, durable: &mut dyn FnMut(KeyId)) -> Result<(), PublishError>;

    /// Whether half of the durable reservation is taken, so that the next one is due.
    fn is_due(&self) -> bool;
}

#[derive(Debug, Default)]
struct Turn {
    /// Whether a caller leads a publication now.
    publishing: bool,
    /// How many publications ended, well or not.
    ended: u64,
    /// Why the last one failed, with its number.
    failed: Option<(u64, Arc<PublishError>)>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Fence {
    /// Every leaf below this key id is reserved in the durable keyset.
    covered_below: AtomicU64,
    turn: Mutex<Turn>,
    ended: Signal,
}

impl Fence {
    pub(crate) fn new(covered_below: KeyId) -> Self {
        Self {
            covered_below: AtomicU64::new(covered_below.as_u64()),
            turn: Mutex::new(Turn::default()),
            ended: Signal::new(),
        }
    }

    /// Lets sealed events through when all their leaves are durable; otherwise leads the publication that makes them so, or waits
    /// for the caller who does.
    ///
    /// Events under a leaf that is durable already are not affected when a publication ahead of need fails.
    pub(crate) fn pass<'u>(
        &self,
        unit: &'u mut SealedUnit,
        publish: &dyn Publish,
    ) -> Result<Fenced<'u>, Arc<PublishError>> {
        let events = &unit.events;
        let highest = events.iter().filter_map(Sealed::key_id).max();
        if let Some(highest) = highest.filter(|key_id| !seeded(Defect::FenceOnMint) || has_minted(*key_id)) {
            self.cover(highest, publish)?;
        }
        if events.iter().any(Sealed::wants_publication) {
            self.ahead(publish);
        }
        Ok(Fenced(unit))
    }

    /// Returns when every leaf up to `key_id` is durable.
    fn cover(&self, key_id: KeyId, publish: &dyn Publish) -> Result<(), Arc<PublishError>> {
        if self.is_covered(key_id) || seeded(Defect::FenceOpen) {
            return Ok(());
        }
        let mut turn = lock(&self.turn);
        loop {
            if self.is_covered(key_id) && !seeded(Defect::PublishAlways) {
                return Ok(());
            }
            if !turn.publishing {
                self.lead(turn, publish)?;
                if seeded(Defect::PublishAlways) {
                    return Ok(());
                }
                turn = lock(&self.turn);
                continue;
            }
            let awaited = turn.ended + 1;
            while turn.ended < awaited && (!self.is_covered(key_id) || seeded(Defect::PublishAlways)) {
                turn = self.ended.wait(turn);
            }
            if let Some((number, why)) = &turn.failed
                && *number == awaited
                && !self.is_covered(key_id)
            {
                return Err(Arc::clone(why));
            }
        }
    }

    /// Publishes the next reservation before it is needed, unless another caller publishes now, or has done so since the events were
    /// sealed. A failure is left to those who will need it: they publish again.
    fn ahead(&self, publish: &dyn Publish) {
        let turn = lock(&self.turn);
        if !turn.publishing && publish.is_due() {
            drop(self.lead(turn, publish));
        }
    }

    /// Leads one publication. Whoever waits is woken when it is durable, and again when it has ended; a panic counts as a failure.
    fn lead(&self, mut turn: MutexGuard<'_, Turn>, publish: &dyn Publish) -> Result<(), Arc<PublishError>> {
        turn.publishing = true;
        drop(turn);
        let mut leader = Leader { fence: self, outcome: Err(Arc::new(PublishError::Abandoned)), covered: false };
        let result = publish.publish(&mut |mark| {
            self.covered_below.fetch_max(mark.as_u64(), Ordering::AcqRel);
            leader.covered = true;
            let turn = lock(&self.turn);
            let waiters = self.ended.waiters();
            drop(turn);
            waiters.wake();
        });
        leader.outcome = match result {
            Err(_) if seeded(Defect::FailedPublicationAccepted) => {
                self.covered_below.store(u64::MAX, Ordering::Release);
                Ok(())
            }
            Err(why) if !leader.covered => Err(Arc::new(why)),
            // The second copy failed after the durable point: the next publication writes it whole, and nobody waits for it.
            _ => Ok(()),
        };
        leader.outcome.clone()
    }

    /// Keeps the publication turn for a piece of work that publishes by itself; it is given the call that raises what is durable.
    /// Whoever waits meanwhile looks again afterwards.
    pub(crate) fn exclusive<R>(&self, work: impl FnOnce(&mut dyn FnMut(KeyId)) -> R) -> R {
        let mut turn = lock(&self.turn);
        while turn.publishing {
            turn = self.ended.wait(turn);
        }
        turn.publishing = true;
        drop(turn);
        let leader = Leader { fence: self, outcome: Ok(()), covered: true };
        let result = work(&mut |mark| {
            self.covered_below.fetch_max(mark.as_u64(), Ordering::AcqRel);
        });
        drop(leader);
        result
    }

    fn is_covered(&self, key_id: KeyId) -> bool {
        key_id.as_u64() < self.covered_below.load(Ordering::Acquire)
    }
}

/// Ends a publication on every way out.
struct Leader<'a> {
    fence: &'a Fence,
    outcome: Result<(), Arc<PublishError>>,
    covered: bool,
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let mut turn = lock(&self.fence.turn);
        turn.publishing = false;
        turn.ended += 1;
        if let Err(why) = &self.outcome
            && !self.covered
        {
            turn.failed = Some((turn.ended, Arc::clone(why)));
        }
        if seeded(Defect::PublicationWakesNobody) {
            return;
        }
        let waiters = self.fence.ended.waiters();
        drop(turn);
        waiters.wake();
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
