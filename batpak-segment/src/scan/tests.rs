//! What the window holds, what it costs, and what stands before the limit without being a whole frame.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::memory::{DiskOp, MemoryDisk};
use crate::{Access, Disk};

/// A scanner over these bytes, and the count of reads.
fn scanner(bytes: &[u8]) -> (Scanner, Arc<AtomicU64>) {
    let (disk, path) = (MemoryDisk::new(), Path::new("/file"));
    let file = disk.create_new(path, 0o600).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    let reads = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&reads);
    disk.observe(Box::new(move |call| {
        if matches!(call.op, DiskOp::Read) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let file = disk.open(path, Access::Read).unwrap();
    (Scanner::new(file, StoreId::from_bytes([1; 16]), 1, 0, u64::MAX).unwrap(), reads)
}

#[test]
fn window_grows_for_a_long_frame_and_gives_back_what_is_more_than_four_of_it() {
    let (mut scanner, _) = scanner(&vec![0; 12 * WINDOW_BYTES]);
    let mut len_after = |need: usize| {
        scanner.bytes(0, need).unwrap();
        // Elsewhere, so that it is read anew.
        scanner.bytes(6 * WINDOW_BYTES as u64, 1).unwrap();
        scanner.window.bytes.len()
    };
    assert_eq!(len_after(1), WINDOW_BYTES);
    assert_eq!(len_after(2 * WINDOW_BYTES), 2 * WINDOW_BYTES, "kept: the next may be as long");
    assert_eq!(len_after(4 * WINDOW_BYTES), 4 * WINDOW_BYTES);
    assert_eq!(len_after(4 * WINDOW_BYTES + 1), WINDOW_BYTES);
}

#[test]
fn window_is_read_again_only_for_what_it_has_not() {
    let (mut scanner, reads) = scanner(&vec![0; 3 * WINDOW_BYTES]);
    let mut reads_for = |offset: usize, need: usize| {
        scanner.seek(offset as u64);
        scanner.hold();
        let before = reads.swap(0, Ordering::Relaxed);
        assert!(scanner.bytes(offset as u64, need).unwrap().len() >= need, "{before}");
        reads.load(Ordering::Relaxed)
    };
    assert_eq!(reads_for(0, 1), 1);
    assert_eq!(reads_for(0, WINDOW_BYTES), 0, "all that there is, and no more");
    assert_eq!(reads_for(WINDOW_BYTES - 10, 10), 0);
    assert_eq!(reads_for(WINDOW_BYTES - 10, 11), 1, "the control");
}

#[test]
fn scanner_that_holds_a_place_goes_back_to_it_without_a_read() {
    let (mut scanner, reads) = scanner(&vec![0; 3 * WINDOW_BYTES]);
    let (place, len) = (WINDOW_BYTES as u64 - 100, 1000);
    let mut back = |held: u64| {
        scanner.bytes(0, 1).unwrap();
        scanner.seek(held);
        scanner.hold();
        scanner.bytes(place + 50, len).unwrap();
        let before = reads.load(Ordering::Relaxed);
        scanner.bytes(place, 50).unwrap();
        reads.load(Ordering::Relaxed) - before
    };
    assert_eq!(back(place), 0);
    assert_eq!(back(place + 50), 1, "the control: it was not held");
}

#[test]
fn place_too_short_for_a_frame_is_empty_when_it_is_zeros_and_else_cut_short() {
    for found in [1, 3, 4, 10, FIXED_LEN - 1] {
        let mut bytes = vec![0; found];
        let first = scanner(&bytes).0.next().map(|item| matches!(item, ScanItem::End { .. }));
        assert!(first.unwrap(), "{found} zeros");
        bytes[0] = 1;
        match scanner(&bytes).0.next().unwrap() {
            ScanItem::Bad { offset: 0, error: FrameError::Truncated { needed, found: there } } => {
                assert_eq!((needed, there), (FIXED_LEN as u64, found as u64));
            }
            _ => panic!("{found} bytes are no frame, and not nothing"),
        }
    }
}
