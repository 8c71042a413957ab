//! The fence beside a caller who leads: who waits is answered by the publication that it waited for, and by no other.
//!
//! Invariant: what decides a case is whether the second caller waited, never how long: rounds go on until it did.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use super::*;

const LEAF: KeyId = KeyId::new(0, 1, 7);
const BEHIND: KeyId = KeyId::new(0, 1, 8);

/// How a publication ends.
#[derive(Clone, Copy, Debug)]
enum Ends {
    Well,
    Fails,
    /// Its first copy is durable, and its second cannot be written.
    FailsLate,
}

/// A publication that is counted, and held up until it is let go.
struct Scripted<'a> {
    ends: Ends,
    calls: &'a AtomicU64,
    hold: Option<(&'a Barrier, &'a AtomicBool)>,
    due: bool,
}

impl Publish for Scripted<'_> {
    fn publish(&self, durable: &mut dyn FnMut(KeyId)) -> Result<(), PublishError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if let Some((entered, go)) = self.hold {
            entered.wait();
            while !go.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
        if !matches!(self.ends, Ends::Fails) {
            durable(BEHIND);
        }
        if matches!(self.ends, Ends::Well) { Ok(()) } else { Err(PublishError::Abandoned) }
    }

    fn is_due(&self) -> bool {
        self.due
    }
}

fn scripted(ends: Ends, calls: &AtomicU64) -> Scripted<'_> {
    Scripted { ends, calls, hold: None, due: true }
}

/// What leader and second caller are answered, and how often the second one published itself.
fn beside(fence: &Fence, ends: Ends, yields: u64) -> [Result<(), Arc<PublishError>>; 2] {
    let (entered, go, started) = (Barrier::new(2), AtomicBool::new(false), AtomicBool::new(false));
    let calls = AtomicU64::new(0);
    thread::scope(|scope| {
        let held = Scripted { ends, calls: &calls, hold: Some((&entered, &go)), due: true };
        let leader = scope.spawn(move || fence.cover(LEAF, &held));
        entered.wait();
        let second = scope.spawn(|| {
            started.store(true, Ordering::SeqCst);
            fence.cover(LEAF, &scripted(Ends::Well, &AtomicU64::new(0)))
        });
        while !started.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        (0..yields).for_each(|_| thread::yield_now());
        go.store(true, Ordering::SeqCst);
        [leader, second].map(|thread| thread.join().expect("no publication panics"))
    })
}

fn begun() -> Fence {
    Fence::new(LEAF)
}

#[test]
fn leaf_that_is_covered_asks_for_no_publication() {
    let (fence, calls) = (begun(), AtomicU64::new(0));
    fence.cover(LEAF, &scripted(Ends::Well, &calls)).unwrap();
    fence.cover(LEAF, &scripted(Ends::Fails, &calls)).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(fence.cover(BEHIND, &scripted(Ends::Fails, &calls)).is_err(), "the mark is the first that is not covered");
}

#[test]
fn publication_that_fails_behind_its_durable_point_covers() {
    let (fence, calls) = (begun(), AtomicU64::new(0));
    assert!(fence.cover(LEAF, &scripted(Ends::Fails, &calls)).is_err());
    fence.cover(LEAF, &scripted(Ends::FailsLate, &calls)).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn who_waits_is_told_of_the_failure_that_it_waited_for() {
    // The second publication would go well: whoever leads it has not waited.
    let waited = (0..).map(|round| beside(&begun(), Ends::Fails, 500 * round)).find_map(|answers| match answers {
        [Err(led), Err(waited)] => Some((led, waited)),
        [Err(_), Ok(())] => None,
        other => panic!("{other:?}"),
    });
    let (led, waited) = waited.unwrap();
    assert!(Arc::ptr_eq(&led, &waited));
}

#[test]
fn who_waits_is_not_told_of_a_failure_of_before() {
    for round in 0..6 {
        let (fence, calls) = (begun(), AtomicU64::new(0));
        assert!(fence.cover(LEAF, &scripted(Ends::Fails, &calls)).is_err());
        for ends in [Ends::Well, Ends::FailsLate] {
            let answers = beside(&fence, ends, 50 * round);
            assert!(matches!(answers, [Ok(()), Ok(())]), "{answers:?}");
            fence.covered_below.store(0, Ordering::SeqCst);
        }
    }
}

#[test]
fn publication_ahead_of_need_is_one_that_is_due_while_nobody_leads() {
    let (fence, calls) = (begun(), AtomicU64::new(0));
    fence.ahead(&Scripted { due: false, ..scripted(Ends::Well, &calls) });
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    fence.ahead(&scripted(Ends::Fails, &calls));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    fence.exclusive(|_| fence.ahead(&scripted(Ends::Well, &calls)));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    fence.ahead(&scripted(Ends::Well, &calls));
    assert!(fence.is_covered(LEAF) && !fence.is_covered(BEHIND));
}

#[test]
fn turn_is_given_back_by_work_that_panics_and_marks_what_it_made_durable() {
    let (fence, calls) = (begun(), AtomicU64::new(0));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        fence.exclusive(|durable| {
            durable(BEHIND);
            panic!("the work fails");
        })
    }));
    assert!(panicked.is_err() && fence.is_covered(LEAF));
    assert!(fence.cover(BEHIND, &scripted(Ends::Fails, &calls)).is_err());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
