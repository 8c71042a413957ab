//! Whether a history can be put into one order that obeys the clock and the rules of a key scope.
//!
//! The search for such an order is hopeless in general and easy here, because the store tells the order of its writes:
//! a position for each append, shred and readmission. What is left to decide is between which two writes each other call
//! took place. Linearizability is local (M. Herlihy, J. Wing, 1990), so each key scope is checked for itself.
//!
//! The states of a scope are numbered: state n is what the first n writes make. A call that only looks has the states that
//! would answer as it was answered: they are neighbours, since an event is first absent, then open, then shredded, for good.
//! The clock bounds them further: at least the writes that had returned before the call was invoked are in its state, and
//! none that was invoked after it returned, and it comes at no earlier state than a look that had returned before it was
//! invoked. Each look is given the first state that all this allows, in the order of invocation; no other choice would leave
//! more to the later ones, so if a look has none, no order exists. Looks of one state are ordered by the clock alone, which
//! always can be. The writes themselves must not have changed places against the clock.
//!
//! Invariant: it accepts nothing that has no such order; whatever it rejects has none with the writes in the order of their
//! positions, which the store promises.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Call, Seen, What};

/// Checks a history of any number of key scopes; returns how many calls it has.
///
/// # Errors
///
/// With the first call that fits in no order.
pub(crate) fn check(history: &[Call]) -> Result<u64, String> {
    let mut positions = BTreeSet::new();
    let mut scopes: BTreeMap<usize, Vec<Call>> = BTreeMap::new();
    for call in history {
        if let Some(position) = call.what.position()
            && !positions.insert(position)
        {
            return Err(format!("position {position} was given twice: {call:?}"));
        }
        scopes.entry(call.scope).or_default().push(*call);
    }
    scopes.values().try_for_each(|calls| Scope::new(calls)?.place_looks(calls))?;
    Ok(history.len() as u64)
}

/// The writes of one key scope, in the order of their positions.
struct Scope {
    writes: Vec<Call>,
    /// Of each event, how many writes came before its append.
    appends: BTreeMap<u64, usize>,
    /// Which writes are appends, and which shreds.
    appended: Vec<usize>,
    shredded: Vec<usize>,
    /// The runs of states in which appends are refused.
    refusing: Vec<(usize, usize)>,
    /// Latest moment at which one of the first n writes was invoked.
    invoked: Vec<u64>,
    /// Earliest moment at which one of the writes from n on had returned.
    returned: Vec<u64>,
}

impl Scope {
    fn new(calls: &[Call]) -> Result<Scope, String> {
        let mut writes: Vec<Call> = calls.iter().filter(|call| call.what.position().is_some()).copied().collect();
        writes.sort_by_key(|call| call.what.position());
        let mut appends = BTreeMap::new();
        let (mut refuses, mut latest) = (false, 0);
        let mut invoked = vec![0];
        for (at, write) in writes.iter().enumerate() {
            if write.returned < latest {
                return Err(format!("it returned before another was invoked that has an earlier position: {write:?}"));
            }
            latest = latest.max(write.invoked);
            invoked.push(latest);
            match write.what {
                What::Appended { .. } if refuses => return Err(format!("the scope is shredded: {write:?}")),
                What::Appended { event, .. } if appends.insert(event, at).is_some() => {
                    return Err(format!("the event was appended twice: {write:?}"));
                }
                What::Shredded { .. } => refuses = true,
                What::Readmitted { .. } => refuses = false,
                What::Appended { .. } | What::Got { .. } | What::Latest { .. } | What::Refused => {}
            }
        }
        let mut returned = vec![u64::MAX; writes.len() + 1];
        for at in (0..writes.len()).rev() {
            returned[at] = returned[at + 1].min(writes[at].returned);
        }
        let such = |is_such: fn(&What) -> bool| {
            let found = writes.iter().enumerate().filter(|(_, write)| is_such(&write.what));
            found.map(|(at, _)| at).collect::<Vec<_>>()
        };
        let shredded = such(|what| matches!(what, What::Shredded { .. }));
        let readmitted = such(|what| matches!(what, What::Readmitted { .. }));
        let end = writes.len();
        let mut refusing: Vec<(usize, usize)> =
            shredded.iter().map(|shred| (shred + 1, next(&readmitted, *shred).unwrap_or(end))).collect();
        refusing.dedup_by_key(|run| run.1);
        Ok(Scope { appended: such(is_append), shredded, refusing, writes, appends, invoked, returned })
    }

    fn place_looks(&self, calls: &[Call]) -> Result<(), String> {
        let mut looks: Vec<&Call> = calls.iter().filter(|call| call.what.position().is_none()).collect();
        looks.sort_by_key(|call| call.invoked);
        // States of the looks so far, by when they returned: later looks that were invoked after that come no earlier.
        let mut placed: BTreeMap<u64, usize> = BTreeMap::new();
        let mut before = 0;
        for look in looks {
            while let Some(first) = placed.first_entry().filter(|first| *first.key() < look.invoked) {
                before = before.max(first.remove());
            }
            let state = self.state(look, before)?;
            let at = placed.entry(look.returned).or_default();
            *at = state.max(*at);
        }
        Ok(())
    }

    /// The first state in which a look may have been made.
    fn state(&self, look: &Call, before: usize) -> Result<usize, String> {
        // All writes that had returned: the last of them, and with it those before it, are in the state.
        let least = self.returned.partition_point(|returned| *returned < look.invoked).max(before);
        let most = self.invoked.partition_point(|invoked| *invoked <= look.returned) - 1;
        let fits = self.answers(look).into_iter().map(|(first, last)| (first.max(least), last.min(most)));
        fits.filter(|(first, last)| first <= last)
            .map(|(first, _)| first)
            .min()
            .ok_or_else(|| format!("no state answers so, of {least} to {most}: {look:?}"))
    }

    /// The runs of states that would answer as the look was answered, both ends within.
    fn answers(&self, look: &Call) -> Vec<(usize, usize)> {
        let end = self.writes.len();
        match look.what {
            What::Got { seen: Seen::Wrong, .. } => Vec::new(),
            What::Got { event, seen } => {
                let Some(append) = self.appends.get(&event).copied() else {
                    return if seen == Seen::Absent { vec![(0, end)] } else { Vec::new() };
                };
                let shred = next(&self.shredded, append).unwrap_or(end);
                match seen {
                    Seen::Absent => vec![(0, append)],
                    Seen::Open => vec![(append + 1, shred)],
                    Seen::Shredded if shred < end => vec![(shred + 1, end)],
                    Seen::Shredded | Seen::Wrong => Vec::new(),
                }
            }
            What::Latest { position: None } => vec![(0, next(&self.appended, 0).unwrap_or(end))],
            What::Latest { position: Some(position) } => {
                let found = self.writes.binary_search_by_key(&Some(position), |write| write.what.position());
                match found {
                    Ok(at) if is_append(&self.writes[at].what) => {
                        vec![(at + 1, next(&self.appended, at + 1).unwrap_or(end))]
                    }
                    Ok(_) | Err(_) => Vec::new(),
                }
            }
            What::Refused => self.refusing.clone(),
            What::Appended { .. } | What::Readmitted { .. } | What::Shredded { .. } => Vec::new(),
        }
    }
}

/// The first of these numbers, which are in order, that is `at` or more.
fn next(numbers: &[usize], at: usize) -> Option<usize> {
    numbers.get(numbers.partition_point(|number| *number < at)).copied()
}

fn is_append(what: &What) -> bool {
    matches!(what, What::Appended { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls of one scope, each at these moments.
    fn history(calls: &[(u64, u64, What)]) -> Vec<Call> {
        calls.iter().map(|&(invoked, returned, what)| Call { scope: 0, invoked, returned, what }).collect()
    }

    fn accepted(calls: &[(u64, u64, What)]) -> bool {
        check(&history(calls)).is_ok()
    }

    const fn appended(event: u64, position: u64) -> What {
        What::Appended { event, position }
    }

    const fn got(event: u64, seen: Seen) -> What {
        What::Got { event, seen }
    }

    const fn shredded(position: u64) -> What {
        What::Shredded { position }
    }

    const fn latest(position: u64) -> What {
        What::Latest { position: Some(position) }
    }

    #[test]
    fn history_of_one_thread_is_accepted() {
        assert!(accepted(&[
            (0, 1, What::Latest { position: None }),
            (2, 3, appended(1, 5)),
            (4, 5, got(1, Seen::Open)),
            (6, 7, shredded(6)),
            (8, 9, got(1, Seen::Shredded)),
            (10, 11, What::Refused),
            (12, 13, What::Readmitted { position: 8 }),
            (14, 15, appended(2, 9)),
            (16, 17, got(2, Seen::Open)),
            (18, 19, latest(9)),
        ]));
    }

    #[test]
    fn looks_beside_a_write_may_see_it_or_not() {
        for seen in [Seen::Absent, Seen::Open] {
            assert!(accepted(&[(0, 10, appended(1, 5)), (2, 3, got(1, seen))]), "{seen:?}");
        }
        for seen in [Seen::Open, Seen::Shredded] {
            assert!(accepted(&[(0, 1, appended(1, 5)), (2, 10, shredded(6)), (3, 4, got(1, seen))]), "{seen:?}");
        }
        assert!(accepted(&[(0, 10, shredded(6)), (2, 3, What::Refused)]));
    }

    #[test]
    fn lost_append_is_rejected() {
        assert!(!accepted(&[(0, 1, appended(1, 5)), (2, 3, got(1, Seen::Absent))]));
        assert!(!accepted(&[(0, 1, appended(1, 5)), (2, 3, What::Latest { position: None })]));
        assert!(!accepted(&[(0, 1, appended(1, 5)), (2, 3, appended(2, 6)), (4, 5, latest(5))]));
    }

    #[test]
    fn stale_read_after_a_shred_is_rejected() {
        assert!(!accepted(&[(0, 1, appended(1, 5)), (2, 3, shredded(6)), (4, 5, got(1, Seen::Open))]));
        let readmitted = What::Readmitted { position: 7 };
        assert!(!accepted(&[
            (0, 1, appended(1, 5)),
            (2, 3, shredded(6)),
            (4, 5, readmitted),
            (6, 7, got(1, Seen::Open))
        ]));
    }

    #[test]
    fn shred_that_nobody_made_is_rejected() {
        assert!(!accepted(&[(0, 1, appended(1, 5)), (2, 3, got(1, Seen::Shredded))]));
        assert!(!accepted(&[(0, 1, appended(1, 5)), (2, 3, got(1, Seen::Shredded)), (4, 5, shredded(6))]));
        assert!(!accepted(&[
            (0, 1, shredded(4)),
            (1, 2, What::Readmitted { position: 5 }),
            (3, 4, appended(1, 6)),
            (5, 6, got(1, Seen::Shredded))
        ]));
    }

    #[test]
    fn position_given_twice_is_rejected() {
        assert!(!accepted(&[(0, 1, appended(1, 5)), (2, 3, appended(2, 5))]));
        let mut two = history(&[(0, 1, appended(1, 5)), (2, 3, shredded(5))]);
        two[1].scope = 1;
        assert!(check(&two).is_err(), "positions are the whole store's");
    }

    #[test]
    fn event_appended_twice_is_rejected() {
        assert!(!accepted(&[(0, 1, appended(1, 5)), (2, 3, appended(1, 6))]));
    }

    #[test]
    fn value_never_appended_is_rejected() {
        assert!(!accepted(&[(0, 1, got(1, Seen::Open))]));
        assert!(!accepted(&[(0, 1, appended(1, 5)), (2, 3, got(1, Seen::Wrong))]));
        assert!(!accepted(&[(0, 1, latest(5))]));
        assert!(!accepted(&[(0, 1, shredded(5)), (2, 3, latest(5))]), "no event of the scope is there");
        assert!(!accepted(&[(2, 3, appended(1, 5)), (0, 1, got(1, Seen::Open))]), "read before it was submitted");
    }

    #[test]
    fn writes_against_the_clock_are_rejected() {
        assert!(!accepted(&[(0, 1, appended(1, 6)), (2, 3, appended(2, 5))]));
        assert!(!accepted(&[(0, 1, shredded(6)), (2, 3, appended(1, 5))]));
    }

    #[test]
    fn looks_that_go_back_in_time_are_rejected() {
        // The second look began after the first had seen the event, while the append was still under way.
        assert!(!accepted(&[(0, 20, appended(1, 5)), (2, 3, got(1, Seen::Open)), (4, 5, got(1, Seen::Absent))]));
        assert!(!accepted(&[
            (0, 1, appended(1, 5)),
            (2, 20, shredded(6)),
            (3, 4, got(1, Seen::Shredded)),
            (5, 6, got(1, Seen::Open)),
        ]));
        assert!(!accepted(&[
            (0, 20, appended(1, 5)),
            (0, 20, appended(2, 6)),
            (2, 3, latest(6)),
            (4, 5, got(1, Seen::Absent)),
        ]));
    }

    #[test]
    fn append_to_a_shredded_scope_is_rejected() {
        assert!(!accepted(&[(0, 1, shredded(5)), (2, 3, appended(1, 6))]));
    }

    #[test]
    fn refusal_without_a_shred_is_rejected() {
        assert!(!accepted(&[(0, 1, What::Refused)]));
        assert!(!accepted(&[(0, 1, shredded(5)), (2, 3, What::Readmitted { position: 6 }), (4, 5, What::Refused)]));
        assert!(!accepted(&[(0, 1, What::Refused), (2, 3, shredded(5))]));
    }
}
