//! Ids for events that were given none: ordered by time, with random bits drawn as nonces are, from the same buffer.
//!
//! Invariant: no random bits are used twice, and none are kept where nonces are drawn one by one.

use batpak_crypto::{Entropy, EntropyError, NonceBuffer};
use batpak_format::{EventId, Timestamp};

/// Makes an id; the caller has seen that this is the process with that id.
pub(crate) fn fresh_id(
    nonces: &mut NonceBuffer,
    entropy: &dyn Entropy,
    process: u32,
    now: Timestamp,
) -> Result<EventId, EntropyError> {
    let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
    Ok(EventId::time_ordered(millis, nonces.draw(entropy, process)?))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{
        collections::HashSet,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use batpak_crypto::NonceMode;

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
        for (mode, drawn) in [(NonceMode::Buffered, 2 * 1024), (NonceMode::PerCall, 200 * 10)] {
            let (entropy, mut nonces) = (Counted::default(), NonceBuffer::new(mode));
            let now = Timestamp::from_micros(7_000_000);
            let made: HashSet<EventId> = (0..200).map(|_| fresh_id(&mut nonces, &entropy, 1, now).unwrap()).collect();
            assert_eq!((made.len(), entropy.0.into_inner()), (200, drawn), "{mode:?}");
        }
    }
}
