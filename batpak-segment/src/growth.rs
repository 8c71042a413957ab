//! Which syncs of a file must be confirmed: those of bytes that the file system has to enter in its own books.
//!
//! Invariant: a sync that covers a byte for which no room was on the books at the last confirmed sync asks for a
//! confirmation, however many writers and syncs there are.
//!
//! A write over bytes that are on the books is durable by its data alone, and its sync fails when the data cannot be
//! written. One that needs new room is durable only with the file system's journal, and there a sync can report success
//! that was none: on ext4 (seen at Linux 6.18) one that still waits for its data while the journal fails under the sync
//! of another file finds its transaction gone, and takes that for done. So what grew is asked after once more.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is known of one open file's bytes.
#[derive(Debug)]
pub(crate) struct Growth {
    /// Bytes from the file's beginning that were written without a gap.
    written: AtomicU64,
    /// Bytes from the file's beginning that are on the books.
    confirmed: AtomicU64,
    /// Whether a byte was written above those since the last sync that was confirmed.
    is_grown: AtomicBool,
}

impl Growth {
    /// A file that was opened with so many bytes: who wrote them may not have synced them.
    pub(crate) fn new(len: u64) -> Growth {
        Growth { written: AtomicU64::new(len), confirmed: AtomicU64::new(0), is_grown: AtomicBool::new(true) }
    }

    /// Bytes were written.
    pub(crate) fn wrote(&self, from: u64, to: u64) {
        if to <= self.confirmed.load(Ordering::SeqCst) {
            return;
        }
        // Behind a gap nothing counts as confirmed: the gap has no room yet.
        if from <= self.written.load(Ordering::SeqCst) {
            self.written.fetch_max(to, Ordering::SeqCst);
        }
        if !self.is_grown.load(Ordering::SeqCst) {
            self.is_grown.store(true, Ordering::SeqCst);
        }
    }

    /// The file was cut to, or extended without room to, so many bytes.
    pub(crate) fn cut(&self, len: u64) {
        self.written.fetch_min(len, Ordering::SeqCst);
        self.confirmed.fetch_min(len, Ordering::SeqCst);
        self.is_grown.store(true, Ordering::SeqCst);
    }

    /// Syncs by `sync`, and by `confirm` where the file has grown.
    ///
    /// # Errors
    ///
    /// What either says; the next sync is confirmed then too.
    pub(crate) fn synced<E>(
        &self,
        sync: impl FnOnce() -> Result<(), E>,
        confirm: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let grown = self.is_grown.swap(false, Ordering::SeqCst);
        let written = self.written.load(Ordering::SeqCst);
        let ended = sync().and_then(|()| if grown { confirm() } else { Ok(()) });
        match &ended {
            Ok(()) if grown => _ = self.confirmed.fetch_max(written, Ordering::SeqCst),
            Ok(()) => {}
            Err(_) => self.is_grown.store(true, Ordering::SeqCst),
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a sync asked to be confirmed.
    fn confirms(growth: &Growth) -> bool {
        let mut asked = false;
        growth
            .synced::<()>(
                || Ok(()),
                || {
                    asked = true;
                    Ok(())
                },
            )
            .unwrap();
        asked
    }

    #[test]
    fn synced_confirms_what_grew_and_nothing_else() {
        let growth = Growth::new(0);
        growth.wrote(0, 4096);
        assert!(confirms(&growth));
        assert!(!confirms(&growth), "nothing was written");
        growth.wrote(100, 200);
        growth.wrote(4000, 4096);
        assert!(!confirms(&growth), "room was there");
        growth.wrote(4000, 4097);
        assert!(confirms(&growth));
        growth.wrote(4096, 4097);
        assert!(!confirms(&growth));
    }

    #[test]
    fn synced_confirms_the_first_sync_of_a_file_that_was_there() {
        let growth = Growth::new(4096);
        growth.wrote(0, 10);
        assert!(confirms(&growth), "an earlier process may have left it unsynced");
        growth.wrote(0, 4096);
        assert!(!confirms(&growth));
        growth.wrote(4096, 4100);
        assert!(confirms(&growth));
    }

    #[test]
    fn synced_confirms_whatever_stands_behind_a_gap() {
        let growth = Growth::new(0);
        growth.wrote(0, 10);
        growth.wrote(20, 30);
        assert!(confirms(&growth));
        growth.wrote(12, 14);
        assert!(confirms(&growth), "the gap had no room");
        growth.wrote(0, 10);
        assert!(!confirms(&growth));
    }

    #[test]
    fn cut_makes_the_room_behind_it_new() {
        let growth = Growth::new(0);
        growth.wrote(0, 4096);
        assert!(confirms(&growth));
        growth.cut(100);
        assert!(confirms(&growth), "the length changed");
        growth.wrote(90, 100);
        assert!(!confirms(&growth));
        growth.wrote(100, 101);
        assert!(confirms(&growth));
    }

    #[test]
    fn synced_confirms_again_what_was_not() {
        let growth = Growth::new(0);
        growth.wrote(0, 10);
        assert_eq!(growth.synced(|| Err("sync"), || Ok(())), Err("sync"));
        assert_eq!(growth.synced(|| Ok(()), || Err("confirm")), Err("confirm"));
        assert!(confirms(&growth));
        assert!(!confirms(&growth));
        // A write that comes while a sync runs is not of it.
        let during = growth.synced::<()>(
            || {
                growth.wrote(10, 20);
                Ok(())
            },
            || panic!("nothing had grown"),
        );
        assert_eq!(during, Ok(()));
        assert!(confirms(&growth));
    }
}
