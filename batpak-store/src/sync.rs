//! The one place where the store gets its locks, atomics and threads: std, or loom while a model is explored.
//!
//! Invariant: nothing else in the library names `std::sync::{Mutex, Condvar, RwLock, atomic}` or `std::thread`, so the models
//! of the fence, the group sync and the pipeline drive the code that is shipped.

#[cfg(all(test, loom))]
pub(crate) use loom::{
    sync::{
        Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{JoinHandle, spawn},
    thread_local,
};
#[cfg(not(all(test, loom)))]
pub(crate) use std::{
    sync::{
        Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{Builder, JoinHandle},
    thread_local,
};

use std::{io, sync::TryLockError, time::Duration};

/// Takes a lock whether or not a thread panicked while it held it: every state behind one is valid between two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.lock() {
        Ok(guard) => guard,
        Err(panicked) => panicked.into_inner(),
    }
}

/// Takes a shared lock, as [`lock`] does.
pub(crate) fn read<T>(rw: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    match rw.read() {
        Ok(guard) => guard,
        Err(panicked) => panicked.into_inner(),
    }
}

/// Takes an exclusive lock, as [`lock`] does.
pub(crate) fn write<T>(rw: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    match rw.write() {
        Ok(guard) => guard,
        Err(panicked) => panicked.into_inner(),
    }
}

/// A condition variable that knows whether anybody waits: telling nobody, or those who were told and did not run yet, costs no system call.
///
/// Invariant: whoever waits says so while it holds the lock under which it looked, and whoever notifies changes the state and takes back
/// what was said under the same lock; so when nobody has said so, everybody who looks from now on sees the change. What was said is
/// ordered by that lock, and is no step of a model.
#[derive(Debug)]
pub(crate) struct Signal {
    condvar: Condvar,
    waited_for: std::sync::atomic::AtomicBool,
}

impl Signal {
    pub(crate) fn new() -> Self {
        Self { condvar: Condvar::new(), waited_for: std::sync::atomic::AtomicBool::new(false) }
    }

    /// Waits for a notification.
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.waited_for.store(true, std::sync::atomic::Ordering::Relaxed);
        wait(&self.condvar, guard)
    }

    /// Waits for a notification or for the time to pass; no correctness rests on the time.
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        mutex: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> MutexGuard<'a, T> {
        self.waited_for.store(true, std::sync::atomic::Ordering::Relaxed);
        wait_timeout(&self.condvar, mutex, guard, timeout)
    }

    /// Wakes everybody who waits. The caller holds the lock under which it changed what they wait for.
    pub(crate) fn notify_all(&self) {
        self.waiters().wake();
    }

    /// Everybody who waits now, to be woken when the lock is given up; the caller holds it.
    pub(crate) fn waiters(&self) -> Waiters<'_> {
        let waited_for = self.waited_for.load(std::sync::atomic::Ordering::Relaxed);
        if waited_for {
            self.waited_for.store(false, std::sync::atomic::Ordering::Relaxed);
        }
        Waiters(waited_for.then_some(&self.condvar))
    }
}

/// Those who wait for a signal, if anybody does.
#[must_use]
pub(crate) struct Waiters<'s>(Option<&'s Condvar>);

impl Waiters<'_> {
    pub(crate) fn wake(self) {
        if let Some(condvar) = self.0 {
            condvar.notify_all();
        }
    }
}

/// A count that whoever is about to sleep looks at for a moment first; no correctness rests on it.
#[derive(Debug)]
pub(crate) struct Beat {
    count: std::sync::atomic::AtomicU64,
    /// Whether somebody looks for the longer moment.
    #[cfg(not(all(test, loom)))]
    looking: std::sync::atomic::AtomicBool,
}

/// About two microseconds: as long as a short write takes, and less than a sleep and a wake cost.
#[cfg(not(all(test, loom)))]
const LOOKS: u32 = 64;

/// Some ten microseconds, for one at a time: a sleep and a wake cost more than most writes, and a second one who looked as long would take
/// the core that the writer needs.
#[cfg(not(all(test, loom)))]
const LONGER_LOOKS: u32 = 512;

impl Beat {
    pub(crate) fn new() -> Self {
        Self {
            count: std::sync::atomic::AtomicU64::new(0),
            #[cfg(not(all(test, loom)))]
            looking: std::sync::atomic::AtomicBool::new(false),
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(std::sync::atomic::Ordering::Acquire)
    }

    pub(crate) fn next(&self) {
        self.count.fetch_add(1, std::sync::atomic::Ordering::Release);
    }

    /// Returns whether the count went on from `seen` within a moment.
    #[cfg(not(all(test, loom)))]
    pub(crate) fn went_on(&self, seen: u64) -> bool {
        // With one core, nothing goes on while somebody looks. Asked here first: an open has no need of it.
        if cores() == 1 {
            return self.count() != seen;
        }
        let longer = !self.looking.swap(true, std::sync::atomic::Ordering::Relaxed);
        let ended = (0..if longer { LONGER_LOOKS } else { LOOKS }).any(|_| {
            std::hint::spin_loop();
            self.count() != seen
        });
        if longer {
            self.looking.store(false, std::sync::atomic::Ordering::Relaxed);
        }
        ended
    }

    /// A model has no moments.
    #[cfg(all(test, loom))]
    pub(crate) fn went_on(&self, seen: u64) -> bool {
        self.count() != seen
    }
}

/// The cores of the machine.
#[cfg(not(all(test, loom)))]
fn cores() -> usize {
    static CORES: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Starts a thread of the store's own, unless the operating system has none to give.
#[cfg(not(all(test, loom)))]
pub(crate) fn try_spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    Builder::new().spawn(work)
}

/// A model has threads enough.
#[cfg(all(test, loom))]
pub(crate) fn try_spawn<T: 'static>(work: impl FnOnce() -> T + 'static) -> io::Result<JoinHandle<T>> {
    Ok(spawn(work))
}

/// Does two pieces of work at the same time, where the machine has more than one core and gives a thread.
#[cfg(not(all(test, loom)))]
pub(crate) fn both<A: Send, B: Send>(first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B) -> (A, B) {
    if cores() == 1 {
        return (first(), second());
    }
    both_on(Builder::new(), first, second)
}

#[cfg(not(all(test, loom)))]
fn both_on<A: Send, B>(thread: Builder, first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B) -> (A, B) {
    // Whoever does it takes it out: the caller, when there is no thread.
    let first = Mutex::new(Some(first));
    let take = || {
        let first = lock(&first).take();
        first.expect("one takes it: the thread, or, when none was started, the caller")()
    };
    std::thread::scope(|scope| {
        let started = thread.spawn_scoped(scope, take);
        let second = second();
        match started.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(first)) => (first, second),
            Ok(Err(panicked)) => std::panic::resume_unwind(panicked),
            Err(_) => (take(), second),
        }
    })
}

/// Does one piece of work after the other: what they share is locked by the shim, which the models explore by threads of their own.
#[cfg(all(test, loom))]
pub(crate) fn both<A, B>(first: impl FnOnce() -> A, second: impl FnOnce() -> B) -> (A, B) {
    (first(), second())
}

/// Makes things one after the other on a thread of their own, where the machine has more than one core and gives a thread, ahead of the
/// caller, who takes them in order until something comes of one. What was taken is given back, to be made anew; there are as many as
/// `spares`.
///
/// Returns none only without spares.
#[cfg(not(all(test, loom)))]
pub(crate) fn ahead<T: Send, R>(
    spares: Vec<T>,
    make: impl FnMut(T) -> T + Send,
    take: impl FnMut(&mut T) -> Option<R>,
) -> Option<R> {
    // Without a spare the maker would wait for one for ever.
    if cores() == 1 || spares.is_empty() {
        return one_by_one(spares, make, take);
    }
    ahead_on(Builder::new(), spares, make, take)
}

#[cfg(not(all(test, loom)))]
fn ahead_on<T: Send, R>(
    thread: Builder,
    spares: Vec<T>,
    make: impl FnMut(T) -> T + Send,
    mut take: impl FnMut(&mut T) -> Option<R>,
) -> Option<R> {
    let (give, spare) = std::sync::mpsc::channel();
    let (made, ready) = std::sync::mpsc::channel();
    spares.into_iter().for_each(|spare| drop(give.send(spare)));
    // Whoever makes takes it out: the caller, when there is no thread.
    let maker = Mutex::new(Some((spare, made, make)));
    std::thread::scope(|scope| {
        let started = thread.spawn_scoped(scope, || {
            let Some((spare, made, mut make)) = lock(&maker).take() else { return };
            while let Ok(spare) = spare.recv()
                && made.send(make(spare)).is_ok()
            {}
        });
        let Ok(started) = started else {
            let (spare, _, make) = lock(&maker).take()?;
            return one_by_one(spare.try_iter().collect(), make, take);
        };
        let mut came = None;
        while came.is_none()
            && let Ok(mut one) = ready.recv()
        {
            came = take(&mut one);
            drop(give.send(one));
        }
        drop((give, ready));
        match started.join() {
            Ok(()) => came,
            Err(panicked) => std::panic::resume_unwind(panicked),
        }
    })
}

/// Makes and takes in turn: the two share nothing, so there is nothing to explore.
#[cfg(all(test, loom))]
pub(crate) fn ahead<T, R>(
    spares: Vec<T>,
    make: impl FnMut(T) -> T,
    take: impl FnMut(&mut T) -> Option<R>,
) -> Option<R> {
    one_by_one(spares, make, take)
}

fn one_by_one<T, R>(
    mut spares: Vec<T>,
    mut make: impl FnMut(T) -> T,
    mut take: impl FnMut(&mut T) -> Option<R>,
) -> Option<R> {
    let mut one = spares.pop()?;
    loop {
        one = make(one);
        if let Some(came) = take(&mut one) {
            return Some(came);
        }
    }
}

/// Takes a lock if nobody holds it.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(panicked)) => Some(panicked.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Takes a shared lock if nobody keeps it from being taken.
pub(crate) fn try_read<T>(rw: &RwLock<T>) -> Option<RwLockReadGuard<'_, T>> {
    match rw.try_read() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(panicked)) => Some(panicked.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Takes an exclusive lock if nobody keeps it from being taken.
pub(crate) fn try_write<T>(rw: &RwLock<T>) -> Option<RwLockWriteGuard<'_, T>> {
    match rw.try_write() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(panicked)) => Some(panicked.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Waits for a notification.
fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    match condvar.wait(guard) {
        Ok(guard) => guard,
        Err(panicked) => panicked.into_inner(),
    }
}

/// Waits for a notification or for the time to pass; no correctness rests on the time.
#[cfg(not(all(test, loom)))]
fn wait_timeout<'a, T>(
    condvar: &Condvar,
    _mutex: &'a Mutex<T>,
    guard: MutexGuard<'a, T>,
    timeout: Duration,
) -> MutexGuard<'a, T> {
    match condvar.wait_timeout(guard, timeout) {
        Ok((guard, _)) => guard,
        Err(panicked) => panicked.into_inner().0,
    }
}

/// Lets other threads run: in a model the time may pass at any moment.
#[cfg(all(test, loom))]
fn wait_timeout<'a, T>(
    _condvar: &Condvar,
    mutex: &'a Mutex<T>,
    guard: MutexGuard<'a, T>,
    _timeout: Duration,
) -> MutexGuard<'a, T> {
    drop(guard);
    loom::thread::yield_now();
    lock(mutex)
}

/// Lets the time pass; a model lets the other threads run.
pub(crate) fn sleep(time: Duration) {
    #[cfg(not(all(test, loom)))]
    std::thread::sleep(time);
    #[cfg(all(test, loom))]
    {
        let _ = time;
        loom::thread::yield_now();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn signal_is_for_those_who_wait_and_for_each_once() {
        let (signal, told) = (Signal::new(), Mutex::new(false));
        assert!(signal.waiters().0.is_none(), "nobody waits yet");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut told = lock(&told);
                while !*told {
                    told = signal.wait(told);
                }
            });
            loop {
                let mut told = lock(&told);
                let waiters = signal.waiters();
                if waiters.0.is_some() {
                    *told = true;
                    assert!(signal.waiters().0.is_none(), "whoever waits is told once");
                    drop(told);
                    return waiters.wake();
                }
                drop(told);
                std::thread::yield_now();
            }
        });
        assert!(signal.waiters().0.is_none(), "nobody waits any more");
    }

    /// A thread with a stack larger than any address space.
    fn no_thread() -> Builder {
        let thread = Builder::new().stack_size(1 << (usize::BITS - 2));
        assert!(thread.spawn(|| ()).is_err(), "the control");
        Builder::new().stack_size(1 << (usize::BITS - 2))
    }

    #[test]
    fn work_is_done_by_the_caller_when_there_is_no_thread() {
        for thread in [Builder::new, no_thread] {
            assert_eq!(both_on(thread(), || 1, || 2), (1, 2));
            let (mut made, mut seen) = (0, Vec::new());
            let make = |_| {
                made += 1;
                made
            };
            let came = ahead_on(thread(), vec![0; 3], make, |one| {
                seen.push(*one);
                (*one == 7).then_some("seven")
            });
            assert_eq!((came, seen), (Some("seven"), (1..=7).collect()));
        }
        assert_eq!(ahead(Vec::<u8>::new(), |spare| spare, |_| Some("nothing is made")), None);
    }

    #[test]
    fn beat_goes_on_only_when_it_did() {
        let beat = Beat::new();
        let seen = beat.count();
        assert!(!beat.went_on(seen));
        beat.next();
        assert!(beat.went_on(seen));
        assert!(!beat.went_on(beat.count()));
    }
}
