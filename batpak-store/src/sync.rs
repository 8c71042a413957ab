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

use std::time::Duration;

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

/// Waits for a notification.
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    match condvar.wait(guard) {
        Ok(guard) => guard,
        Err(panicked) => panicked.into_inner(),
    }
}

/// Waits for a notification or for the time to pass; no correctness rests on the time.
#[cfg(not(all(test, loom)))]
pub(crate) fn wait_timeout<'a, T>(
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
pub(crate) fn wait_timeout<'a, T>(
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
