//! Decoding allocates nothing for a frame, and no more than the input is worth for the rest, whatever its counts claim;
//! a plaintext that was to be sealed is not in the memory that is given back.
//!
//! Invariant: allocations are counted for each thread alone, so tests beside this one do not disturb it.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait; it forwards to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use batpak_format::layout::{FLAG_CAUSES, FLAG_TAGS, FLAGS_AT, FRAME_LEN_AT};
use batpak_format::{
    EventKind, Footer, Frame, FrameBuf, KEY_RUNS_MAX, KeyId, KeyLossAccepted, KeyRun, Record, RecordError,
    SHRED_TARGETS_MAX, SegmentHeader,
};

use crate::samples::{LOG_LEN, SEED, encode, footers, frames, full, plain, recheck, records, segment_header};

/// What a decoder may allocate beside its input: the parts of its result that have no bytes of their own.
const CONSTANT: usize = 1024;

/// What stands for a plaintext.
const CANARY: [u8; 64] = [0xE7; 64];

struct Counting;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
    /// Allocations of this size are looked into when they are given back.
    static WATCHED: Cell<usize> = const { Cell::new(0) };
    /// How many of these held the canary.
    static CANARIES: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(bytes: usize) {
    // A thread that ends may allocate after its counter is gone.
    let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + bytes));
}

// SAFETY: every call goes to the system's allocator with the arguments it was given.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.saturating_sub(layout.size()));
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(ptr, layout, size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if WATCHED.try_with(Cell::get) == Ok(layout.size()) {
            // SAFETY: the memory is still the caller's, and what a test watches is a frame, written to its end.
            let freed = unsafe { std::slice::from_raw_parts(ptr, layout.size()) };
            let found = usize::from(freed.windows(CANARY.len()).any(|window| window == CANARY));
            let _ = CANARIES.try_with(|canaries| canaries.set(canaries.get() + found));
        }
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// Runs something and returns how many bytes this thread allocated in it, freed ones included.
pub fn allocated_by<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATED.get();
    let value = run();
    (value, ALLOCATED.get() - before)
}

#[test]
fn allocations_are_counted() {
    let (bytes, allocated) = allocated_by(|| std::hint::black_box(vec![1u8; 1000]));
    assert_eq!((bytes.len(), allocated), (1000, 1000));
}

#[test]
fn frames_decode_without_allocation() {
    for (name, bytes) in frames() {
        let (frame, allocated) = allocated_by(|| Frame::decode(&bytes, &SEED).unwrap());
        assert_eq!(allocated, 0, "{name}");
        let read = || (frame.header().causes().count(), frame.header().tags().count(), frame.digest());
        assert_eq!(allocated_by(read).1, 0, "{name}");
    }
}

#[test]
fn frames_with_hostile_counts_decode_without_allocation() {
    for flag in [FLAG_CAUSES, FLAG_TAGS] {
        let mut bytes = encode(&plain("e", "s"), b"");
        bytes.extend_from_slice(&[0xFF; 8]);
        let frame_len = bytes.len() as u32;
        bytes[FRAME_LEN_AT..][..4].copy_from_slice(&frame_len.to_le_bytes());
        bytes[FLAGS_AT..][..2].copy_from_slice(&flag.to_le_bytes());
        recheck(&mut bytes, &SEED);
        let (refused, allocated) = allocated_by(|| Frame::decode(&bytes, &SEED).is_err());
        assert_eq!((refused, allocated), (true, 0));
    }
}

#[test]
fn frames_are_encoded_in_one_allocation() {
    let header = plain("order-1042", "shop");
    let (bytes, allocated) = allocated_by(|| {
        let hashed = FrameBuf::new(&header.statement(), &[7; 5000]).unwrap().seal_finished();
        hashed.place(&header.placement(), &SEED)
    });
    assert_eq!(allocated, bytes.len());
}

/// Drops a frame in the making and returns how often its memory still held the canary.
fn canaries_in_dropped(buf: FrameBuf, frame_bytes: usize) -> usize {
    let before = CANARIES.get();
    WATCHED.set(frame_bytes);
    drop(buf);
    WATCHED.set(0);
    CANARIES.get() - before
}

#[test]
fn plaintext_that_was_not_sealed_is_wiped_on_drop() {
    let header = full();
    let frame_bytes = encode(&header, &CANARY).len();
    let unsealed = FrameBuf::new(&header.statement(), &CANARY).unwrap();
    assert_eq!(canaries_in_dropped(unsealed, frame_bytes), 0);
    // The control: with a tag it counts as sealed, and a ciphertext need not be wiped.
    let mut sealed = FrameBuf::new(&header.statement(), &CANARY).unwrap();
    sealed.set_tag(&[9; 16]);
    assert_eq!(canaries_in_dropped(sealed, frame_bytes), 1);
}

#[test]
fn segment_headers_decode_without_allocation() {
    let bytes = segment_header().encode();
    assert_eq!(allocated_by(|| SegmentHeader::decode(&bytes).is_ok()), (true, 0));
}

#[test]
fn footers_allocate_no_more_than_their_bytes() {
    for (name, bytes) in footers() {
        let file_len = LOG_LEN + bytes.len() as u64;
        let (footer, allocated) = allocated_by(|| Footer::decode_tail(&bytes, file_len));
        assert!(footer.is_ok_and(|footer| footer.is_some()), "{name}");
        assert!(allocated <= bytes.len() + CONSTANT, "{name}: {allocated} bytes");
    }
}

/// Every place of every record holds the largest count once: whatever field stands there, it claims the most.
#[test]
fn records_with_hostile_counts_allocate_no_more_than_their_bytes() {
    for (name, record) in records() {
        let bytes = record.encode().unwrap();
        for at in 1..bytes.len() {
            for claimed in [u32::MAX, 1 << 20, 1 << 16, 64, 1024] {
                let mut hostile = bytes.clone();
                let end = (at + 4).min(hostile.len());
                hostile[at..end].copy_from_slice(&claimed.to_le_bytes()[..end - at]);
                let (_, allocated) = allocated_by(|| Record::decode(record.kind(), &hostile));
                assert!(allocated <= bytes.len() + CONSTANT, "{name}: {allocated} bytes for a count at {at}");
            }
        }
    }
}

/// What a decoder of records may hold beside its input: an element of a list has no more bytes on disk than it likes.
const ROOM: usize = 1 << 20;

/// An intent of so many targets and withheld key scopes, all of them empty: the widest gap between bytes read and memory used.
fn intent_of(targets: usize, claimed: usize, withheld: usize) -> Vec<u8> {
    let mut bytes = vec![1, 1, 0];
    bytes.extend_from_slice(&[0; 8 + 8 + 2 + 2]);
    bytes.extend_from_slice(&(claimed as u32).to_le_bytes());
    bytes.resize(bytes.len() + targets * 6, 0);
    bytes.extend_from_slice(&(withheld as u32).to_le_bytes());
    bytes.resize(bytes.len() + withheld * 2, 0);
    bytes
}

#[test]
fn shred_intents_of_nothing_take_their_bytes_and_less_than_a_mebibyte() {
    let whole = intent_of(SHRED_TARGETS_MAX, SHRED_TARGETS_MAX, SHRED_TARGETS_MAX);
    let (decoded, allocated) = allocated_by(|| Record::decode(EventKind::SHRED_INTENT, &whole));
    let Record::ShredIntent(intent) = decoded.unwrap() else { panic!("it is an intent") };
    assert_eq!((intent.targets.len(), intent.withheld.len()), (SHRED_TARGETS_MAX, SHRED_TARGETS_MAX));
    assert!(allocated <= whole.len() + ROOM, "{allocated} bytes for {}", whole.len());
    // None is reserved before the bytes of all are known to be there.
    let short = intent_of(SHRED_TARGETS_MAX - 2, SHRED_TARGETS_MAX, 0);
    let (refused, allocated) = allocated_by(|| Record::decode(EventKind::SHRED_INTENT, &short));
    assert!(matches!(refused, Err(RecordError::Codec(_))));
    assert_eq!(allocated, 0);
    let more = intent_of(SHRED_TARGETS_MAX + 1, SHRED_TARGETS_MAX + 1, 0);
    assert!(Record::decode(EventKind::SHRED_INTENT, &more).is_err());
}

#[test]
fn runs_of_keys_take_no_more_memory_than_bytes() {
    let run = |page| KeyRun { first: KeyId::new(0, page, 1), count: 2 };
    let runs: Vec<KeyRun> = (0..KEY_RUNS_MAX as u32).map(run).collect();
    let lost = Record::KeyLossAccepted(KeyLossAccepted { first_position: 1, next_position: 2, runs });
    let bytes = lost.encode().unwrap();
    let (decoded, allocated) = allocated_by(|| Record::decode(lost.kind(), &bytes));
    assert_eq!(decoded.as_ref(), Ok(&lost));
    assert!(allocated <= bytes.len(), "{allocated} bytes for {}", bytes.len());
}
