//! One field of every event, as an array of its own.
//!
//! Invariant: at most a thirty-second part of what it holds, and 64 elements, is room not yet used.

/// An array that grows by a thirty-second part, so that memory is known to within that.
///
/// The growth stays amortised: each element moves 32 times on average where the allocator cannot grow in
/// place, and not at all where it can remap pages.
#[derive(Debug, Clone)]
pub(crate) struct Column<T> {
    items: Vec<T>,
}

impl<T: Copy> Column<T> {
    pub(crate) const fn new() -> Column<T> {
        Column { items: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn push(&mut self, item: T) {
        if self.items.len() == self.items.capacity() {
            self.items.reserve_exact(self.items.len() / 32 + 64);
        }
        self.items.push(item);
    }

    /// The element of `at`.
    ///
    /// # Panics
    ///
    /// When `at` is not below the length.
    pub(crate) fn at(&self, at: u32) -> T {
        self.items[at as usize]
    }

    pub(crate) fn at_mut(&mut self, at: u32) -> &mut T {
        &mut self.items[at as usize]
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &self.items
    }

    /// Heap bytes held, used or not.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.items.capacity() * size_of::<T>()
    }
}
