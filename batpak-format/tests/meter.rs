//! An allocator that counts: the most bytes that a piece of work has live at once, and its largest allocation. The tests of all
//! crates and the fuzz targets take it in by its path.
//!
//! Invariant: each thread is counted alone, so that what runs beside a measurement does not disturb it.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait; it forwards to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Meter;

thread_local! {
    static COUNTED: Cell<Allocated> = const { Cell::new(Allocated { live: 0, peak: 0, largest: 0, count: 0 }) };
}

#[global_allocator]
static METER: Meter = Meter;

/// What a piece of work allocated, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocated {
    /// What is not freed; work that frees what others allocated goes below 0.
    pub live: isize,
    /// The most that was live at once.
    pub peak: isize,
    /// The largest single allocation.
    pub largest: usize,
    /// How many allocations were made, or grew.
    pub count: usize,
}

fn count(change: impl FnOnce(&mut Allocated)) {
    // A thread that ends may allocate after its counter is gone.
    let _ = COUNTED.try_with(|counted| {
        let mut now = counted.get();
        change(&mut now);
        now.peak = now.peak.max(now.live);
        counted.set(now);
    });
}

fn grown(bytes: usize, size: usize) {
    count(|now| {
        now.live += bytes as isize;
        now.largest = now.largest.max(size);
        now.count += 1;
    });
}

// SAFETY: every call goes to the system's allocator with the arguments it was given.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size(), layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size(), layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grown(size.saturating_sub(layout.size()), size);
        count(|now| now.live -= layout.size().saturating_sub(size) as isize);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(ptr, layout, size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(|now| now.live -= layout.size() as isize);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// Does some work, and says what this thread allocated in it.
pub fn metered<T>(work: impl FnOnce() -> T) -> (T, Allocated) {
    COUNTED.set(Allocated { live: 0, peak: 0, largest: 0, count: 0 });
    let value = work();
    (value, COUNTED.get())
}
