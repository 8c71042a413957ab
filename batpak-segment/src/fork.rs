//! Telling a fork from the process that it came from, without a system call.
//!
//! A writer must ask at every append, and the process id is a system call of its own. So the kernel is asked once to wipe a page in every
//! child (`MADV_WIPEONFORK`, Linux 4.14), however it was forked; what stands in the page then answers. Where there is no such page, the
//! process id is compared.
//!
//! Invariant: the mark stands in memory of the process that made it and of no other; threads of that process all see it.
#![cfg_attr(target_os = "linux", expect(unsafe_code, reason = "advice on memory is a foreign call"))]

use std::hint::black_box;

use memmap2::MmapMut;

/// What stands in the page of the process that made it.
const MARK: u8 = 0xb7;
/// Any length is rounded up to whole pages.
const PAGE_BYTES: usize = 4096;

/// Tells whether this process is the one that made it.
#[derive(Debug)]
pub struct ForkMark {
    page: Option<MmapMut>,
    process: u32,
}

impl ForkMark {
    /// Marks this process.
    #[must_use]
    pub fn new() -> Self {
        Self { page: marked_page(), process: std::process::id() }
    }

    /// Marks a process by its id alone.
    #[must_use]
    pub const fn of_process(process: u32) -> Self {
        Self { page: None, process }
    }

    /// Returns the id of the process that is marked.
    #[must_use]
    pub const fn process(&self) -> u32 {
        self.process
    }

    /// Tells whether this is another process: a child of a fork, or its child.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        match &self.page {
            // The compiler must not remember what stood there before a fork.
            Some(page) => black_box(&**page).first() != Some(&MARK),
            None => std::process::id() != self.process,
        }
    }
}

impl Default for ForkMark {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(target_os = "linux")]
fn marked_page() -> Option<MmapMut> {
    let mut page = MmapMut::map_anon(PAGE_BYTES).ok()?;
    // SAFETY: the range is that of a private anonymous map which lives at least as long as the page does. The advice changes nothing in
    // this process, and in a child only what its own copy of these bytes holds, which any value may.
    let advised = unsafe { libc::madvise(page.as_mut_ptr().cast(), page.len(), libc::MADV_WIPEONFORK) };
    if advised != 0 {
        return None;
    }
    *page.first_mut()? = MARK;
    Some(page)
}

#[cfg(not(target_os = "linux"))]
const fn marked_page() -> Option<MmapMut> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// What a forked child sees, and what it says of its own mark.
    fn in_a_child(work: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child calls nothing but the work, which takes no lock and allocates nothing, and ends itself.
        match unsafe { libc::fork() } {
            // SAFETY: it ends the child at once, without running anything of the parent's.
            0 => unsafe { libc::_exit(i32::from(work())) },
            child => {
                let mut status = 0;
                // SAFETY: the status is written to a variable of this frame.
                let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
                assert_eq!(waited, child, "the child was waited for");
                assert!(libc::WIFEXITED(status), "the child ended by itself");
                libc::WEXITSTATUS(status) == 1
            }
        }
    }

    #[test]
    fn fork_mark_tells_a_child_from_the_process_that_made_it() {
        let mark = ForkMark::new();
        assert!(mark.page.is_some(), "this kernel wipes pages");
        assert!(!mark.is_forked());
        assert!(std::thread::scope(|scope| scope.spawn(|| !mark.is_forked()).join().unwrap()));
        assert!(in_a_child(|| mark.is_forked()));
        assert!(!mark.is_forked(), "the parent keeps its mark");
    }

    #[test]
    fn fork_mark_by_process_id_tells_the_same() {
        let mark = ForkMark::of_process(std::process::id());
        assert!(!mark.is_forked());
        assert!(in_a_child(|| mark.is_forked()));
    }
}
