//! Which ids a walk through the log has met.
//!
//! Invariant: every id that was noted is found, whatever the ids are. Ids that follow the clock, as those that the store makes do, cost
//! a look at those of the last millisecond, and 16 bytes each; any other costs an entry of a hash table as large as all of them.

use std::collections::HashSet;

use batpak_format::EventId;

/// The bytes of a time-ordered id that tell its millisecond.
const TIME_BYTES: usize = 6;

type Time = [u8; TIME_BYTES];

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct IdsSeen {
    /// Those of earlier times than `now`, in order.
    before: Vec<EventId>,
    /// The latest time that was met, and the ids that have it.
    now: Time,
    at_now: HashSet<EventId>,
    /// Those that came when a later time had been met.
    late: HashSet<EventId>,
}

impl IdsSeen {
    /// Notes an id; false when it was noted before.
    pub(crate) fn insert(&mut self, id: EventId) -> bool {
        let time = time_of(&id);
        if time > self.now {
            self.now = time;
            let start = self.before.len();
            self.before.extend(self.at_now.drain());
            self.before.get_mut(start..).unwrap_or_default().sort_unstable();
        }
        if time == self.now {
            return self.at_now.insert(id);
        }
        self.before.binary_search(&id).is_err() && self.late.insert(id)
    }

    /// Tells whether an id was noted.
    pub(crate) fn contains(&self, id: &EventId) -> bool {
        self.at_now.contains(id) || self.late.contains(id) || self.before.binary_search(id).is_ok()
    }
}

fn time_of(id: &EventId) -> Time {
    id.as_bytes().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_and_refused_a_second_time_in_whatever_order_they_came() {
        let timed = |millis: u64, n: u8| EventId::time_ordered(millis, [n; 10]);
        let orders: [&[EventId]; 4] = [
            &[timed(1, 1), timed(1, 0), timed(2, 5), timed(4, 0), timed(4, 9)],
            &[timed(9, 1), timed(1, 0), timed(9, 0), timed(1, 1)],
            &[EventId::from_bytes([0; 16]), EventId::from_key(b"a"), timed(3, 3), EventId::from_key(b"b")],
            &[EventId::from_bytes([0xFF; 16]), EventId::from_bytes([0; 16]), timed(7, 7)],
        ];
        for ids in orders {
            let mut seen = IdsSeen::default();
            for (n, id) in ids.iter().enumerate() {
                assert!(!seen.contains(id));
                assert!(seen.insert(*id), "{id}");
                for earlier in ids.iter().take(n + 1) {
                    assert!(seen.contains(earlier), "{earlier} after {id}");
                    assert!(!seen.insert(*earlier), "{earlier} after {id}");
                }
            }
            assert!(!seen.contains(&timed(5, 5)));
        }
    }
}
