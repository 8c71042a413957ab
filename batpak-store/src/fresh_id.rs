//! Ids for events that were given none: ordered by time, with random bits drawn as nonces are.
//!
//! Invariant: no random bits are used twice, and none are kept where nonces are drawn one by one.

use batpak_crypto::{Entropy, EntropyError, NonceBuffer, NonceMode};
use batpak_format::{EventId, Timestamp};

/// Random bytes of one id.
const RANDOM_BYTES: usize = 10;

/// See the module.
#[derive(Debug)]
pub(crate) struct FreshIds {
    mode: NonceMode,
    drawn: NonceBuffer,
    /// What a draw left: its bytes are enough for two ids.
    left: Option<[u8; RANDOM_BYTES]>,
}

impl FreshIds {
    pub(crate) const fn new(mode: NonceMode) -> Self {
        Self { mode, drawn: NonceBuffer::new(mode), left: None }
    }

    /// Makes an id; the caller has seen that this is the process with that id.
    pub(crate) fn next(
        &mut self,
        entropy: &dyn Entropy,
        process: u32,
        now: Timestamp,
    ) -> Result<EventId, EntropyError> {
        let random = match self.left.take() {
            Some(left) => left,
            None => {
                let drawn = self.drawn.next(entropy, process)?;
                let (first, rest) = drawn.as_bytes().split_at(RANDOM_BYTES);
                self.left = rest.first_chunk().copied().filter(|_| self.mode == NonceMode::Buffered);
                let mut random = [0; RANDOM_BYTES];
                random.copy_from_slice(first);
                random
            }
        };
        let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
        Ok(EventId::time_ordered(millis, random))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{
        collections::HashSet,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[derive(Debug, Default)]
    struct Counted(AtomicUsize);

    impl Entropy for Counted {
        fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
            let from = self.0.fetch_add(out.len(), Ordering::Relaxed);
            // A count of two bytes each, so that no ten bytes stand twice.
            out.iter_mut().zip(from..).for_each(|(byte, at)| *byte = (at / 2).to_le_bytes()[at % 2]);
            Ok(())
        }
    }

    #[test]
    fn fresh_ids_use_no_random_bits_twice() {
        for (mode, drawn) in [(NonceMode::Buffered, 4 * 384), (NonceMode::PerCall, 100 * 24)] {
            let (entropy, mut ids) = (Counted::default(), FreshIds::new(mode));
            let made: HashSet<EventId> =
                (0..100).map(|_| ids.next(&entropy, 1, Timestamp::from_micros(7_000_000)).unwrap()).collect();
            assert_eq!((made.len(), entropy.0.into_inner()), (100, drawn), "{mode:?}");
        }
    }
}
