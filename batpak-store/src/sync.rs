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
    thread::{JoinHandle, spawn},
    thread_local,
};

use std::{sync::TryLockError, time::Duration};

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

/// A condition variable that knows whether anybody waits: telling nobody costs no system call.
///
/// Invariant: whoever waits is counted while it holds the lock under which it looked, and whoever notifies has changed the state
/// under the same lock before; so a count of zero means that everybody who looks from now on sees the change. The count itself is
/// ordered by that lock, and is no step of a model.
#[derive(Debug)]
pub(crate) struct Signal {
    condvar: Condvar,
    waiting: std::sync::atomic::AtomicU32,
}

impl Signal {
    pub(crate) fn new() -> Self {
        Self { condvar: Condvar::new(), waiting: std::sync::atomic::AtomicU32::new(0) }
    }

    /// Waits for a notification.
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.waiting.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let guard = wait(&self.condvar, guard);
        self.waiting.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        guard
    }

    /// Waits for a notification or for the time to pass; no correctness rests on the time.
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        mutex: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> MutexGuard<'a, T> {
        self.waiting.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let guard = wait_timeout(&self.condvar, mutex, guard, timeout);
        self.waiting.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        guard
    }

    /// Wakes everybody who waits; under the lock or after it.
    pub(crate) fn notify_all(&self) {
        if self.waiting.load(std::sync::atomic::Ordering::Relaxed) > 0 {
            self.condvar.notify_all();
        }
    }
}

/// A count that whoever is about to sleep looks at for a moment first; no correctness rests on it.
#[derive(Debug, Default)]
pub(crate) struct Beat(std::sync::atomic::AtomicU64);

/// About two microseconds: as long as a short write takes, and less than a sleep and a wake cost.
#[cfg(not(all(test, loom)))]
const LOOKS: u32 = 64;

impl Beat {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Acquire)
    }

    pub(crate) fn next(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Release);
    }

    /// Returns whether the count went on from `seen` within a moment.
    #[cfg(not(all(test, loom)))]
    pub(crate) fn went_on(&self, seen: u64) -> bool {
        (0..LOOKS).any(|_| {
            std::hint::spin_loop();
            self.count() != seen
        })
    }

    /// A model has no moments.
    #[cfg(all(test, loom))]
    pub(crate) fn went_on(&self, seen: u64) -> bool {
        self.count() != seen
    }
}

#[cfg(not(all(test, loom)))]
fn cores() -> usize {
    static CORES: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Does two pieces of work at the same time, where the machine has more than one core.
#[cfg(not(all(test, loom)))]
pub(crate) fn both<A: Send, B: Send>(first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B) -> (A, B) {
    if cores() == 1 {
        return (first(), second());
    }
    std::thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        match first.join() {
            Ok(first) => (first, second),
            Err(panicked) => std::panic::resume_unwind(panicked),
        }
    })
}

/// Does one piece of work after the other: what they share is locked by the shim, which the models explore by threads of their own.
#[cfg(all(test, loom))]
pub(crate) fn both<A, B>(first: impl FnOnce() -> A, second: impl FnOnce() -> B) -> (A, B) {
    (first(), second())
}

/// Makes things one after the other on a thread of their own, where the machine has more than one core, ahead of the caller, who takes
/// them in order until something comes of one. What was taken is given back, to be made anew; there are as many as `spares`.
///
/// Returns none only without spares.
#[cfg(not(all(test, loom)))]
pub(crate) fn ahead<T: Send, R>(
    spares: Vec<T>,
    mut make: impl FnMut(T) -> T + Send,
    mut take: impl FnMut(&mut T) -> Option<R>,
) -> Option<R> {
    if cores() == 1 {
        return one_by_one(spares, make, take);
    }
    let (give, spare) = std::sync::mpsc::channel();
    let (made, ready) = std::sync::mpsc::channel();
    spares.into_iter().for_each(|spare| drop(give.send(spare)));
    std::thread::scope(|scope| {
        let maker = scope.spawn(move || {
            while let Ok(spare) = spare.recv()
                && made.send(make(spare)).is_ok()
            {}
        });
        let mut came = None;
        while came.is_none()
            && let Ok(mut one) = ready.recv()
        {
            came = take(&mut one);
            drop(give.send(one));
        }
        drop((give, ready));
        match maker.join() {
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
