//! A run: frames that are contiguous in one segment and go to the disk in one write.
//!
//! Invariants: units join a run in position order, and no unit lies in two runs; a run that is being written takes no more of them.
//! Runs are used again, with their buffers, so that an append allocates nothing once there are enough of them.

use std::sync::Arc;

use batpak_format::{ChainHash, KeyId};
use batpak_segment::Place;

use crate::segments::Roll;

/// A run takes units up to so many bytes.
pub(crate) const RUN_BYTES: usize = 256 * 1024;
/// Frames up to this length are copied behind others, under the commit lock: about 0.1 us. Longer ones begin a run, which takes their
/// buffer as it is.
pub(crate) const COPIED_BYTES_MAX: usize = 8 * 1024;
/// A buffer that grew beyond this is not kept.
const KEPT_BYTES_MAX: usize = 2 * RUN_BYTES;
/// A run's buffer up to this size is given in exchange for one that is full.
const EXCHANGED_BYTES_MAX: usize = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) first: u64,
    pub(crate) place: Place,
    /// Set when the run opens a new segment.
    pub(crate) roll: Option<Roll>,
    /// Shared with the one who writes it, while it is written.
    bytes: Arc<Vec<u8>>,
    /// Chain hash of the log's last event, before the run and after it.
    pub(crate) chain_before: ChainHash,
    pub(crate) chain_after: ChainHash,
    /// For each of its events the chain hash that the entity had before.
    pub(crate) undo: Vec<ChainHash>,
    pub(crate) facts: RunFacts,
}

/// What the footer of the run's segment will say of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunFacts {
    pub(crate) key_id_max: Option<KeyId>,
    pub(crate) intent: Option<u64>,
    /// Whether it completes a shred.
    pub(crate) completes: bool,
}

/// Where a run begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    pub(crate) first: u64,
    pub(crate) place: Place,
    pub(crate) roll: Option<Roll>,
    /// Chain hash of the log's last event before it.
    pub(crate) chain: ChainHash,
}

impl Run {
    pub(crate) fn new(at: Beginning) -> Self {
        let Beginning { first, place, roll, chain } = at;
        Self {
            first,
            place,
            roll,
            bytes: Arc::default(),
            chain_before: chain,
            chain_after: chain,
            undo: Vec::new(),
            facts: RunFacts::default(),
        }
    }

    /// Begins again, empty, with the buffers of before.
    pub(crate) fn begin(&mut self, at: Beginning) {
        let Beginning { first, place, roll, chain } = at;
        (self.first, self.place, self.roll) = (first, place, roll);
        (self.chain_before, self.chain_after, self.facts) = (chain, chain, RunFacts::default());
        self.undo.clear();
        self.buffer().clear();
    }

    /// One past its last position.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.undo.len() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn bytes(&self) -> &Arc<Vec<u8>> {
        &self.bytes
    }

    /// Takes whole frames: the first ones in exchange for its empty buffer, if that is `handy` or they are long, others as a copy behind
    /// those that it holds. A run that many frames join keeps its own buffer, which has grown for them.
    pub(crate) fn take(&mut self, frames: &mut Vec<u8>, handy: bool) {
        let exchanges = frames.len() > COPIED_BYTES_MAX || (handy && self.bytes.capacity() <= EXCHANGED_BYTES_MAX);
        let own = self.buffer();
        if own.is_empty() && exchanges {
            std::mem::swap(own, frames);
        } else {
            if own.capacity() - own.len() < frames.len() {
                own.reserve_exact(RUN_BYTES);
            }
            own.extend_from_slice(frames);
        }
    }

    /// Whether it is worth keeping for later.
    pub(crate) fn is_kept(&self) -> bool {
        self.bytes.capacity() <= KEPT_BYTES_MAX
    }

    /// Nobody writes it: whoever did has let go of it before the run left the queue.
    fn buffer(&mut self) -> &mut Vec<u8> {
        Arc::make_mut(&mut self.bytes)
    }
}
