//! Scanning, searching and recovering hold no more memory than the file and 1 MiB, whatever lengths its bytes claim.

use std::sync::Arc;

use batpak_format::layout::{FRAME_LEN_AT, PAYLOAD_LEN_AT};
use batpak_segment::{Access, RecoveryMode, ResyncBudget, ScanItem, Scanner, read_footer, segment_path};

use crate::{
    log::{HEADER, store, try_open, two_segments},
    meter::metered,
    place::Place,
};

const ROOM: usize = 1 << 20;
const CLAIMS: [u32; 5] = [u32::MAX, 1 << 30, 1 << 24, 1 << 16, 4096];

fn files(place: &Place) -> usize {
    (1..=2).map(|number| place.read(number).len()).sum()
}

/// Reads a whole segment, searching behind what is bad.
fn scan(place: &Place, number: u64) {
    let file = place.disk.open(&segment_path(&place.dir, number), Access::Read).unwrap();
    let len = file.len().unwrap();
    drop(read_footer(&*file));
    let mut budget = ResyncBudget::for_bytes(len);
    let mut scanner = Scanner::new(Arc::clone(&file), store(), number, HEADER, u64::MAX).unwrap();
    loop {
        let bad = match scanner.next().unwrap() {
            ScanItem::Frame { .. } => continue,
            ScanItem::Bad { offset, .. } => offset,
            _ => return,
        };
        if scanner.resync(bad + 1, &mut budget).unwrap().is_none() {
            return;
        }
    }
}

fn looked_at(place: &Place) {
    let files = files(place);
    for number in 1..=2 {
        let ((), allocated) = metered(|| scan(place, number));
        assert!(allocated.peak <= (files + ROOM) as isize, "{allocated:?} for {files}");
    }
    for mode in [RecoveryMode::ReadOnly, RecoveryMode::Repair] {
        let (_, allocated) = metered(|| drop(try_open(place, mode)));
        assert!(allocated.peak <= (files + ROOM) as isize, "{allocated:?} for {files}");
    }
}

#[test]
fn segments_with_hostile_lengths_hold_no_more_than_their_bytes() {
    let place = Place::memory();
    let written = two_segments(&place).written;
    looked_at(&place);
    for frame in written {
        let whole = place.read(frame.segment);
        for field in [FRAME_LEN_AT, PAYLOAD_LEN_AT] {
            for claimed in CLAIMS {
                let mut bytes = whole.clone();
                let at = frame.offset as usize + field;
                bytes[at..at + 4].copy_from_slice(&claimed.to_le_bytes());
                place.put(frame.segment, &bytes);
                looked_at(&place);
            }
        }
        place.put(frame.segment, &whole);
    }
}

#[test]
fn footers_with_hostile_lengths_hold_no_more_than_their_bytes() {
    let place = Place::memory();
    two_segments(&place);
    let whole = place.read(1);
    let footer = whole.len() - 200;
    for at in footer..whole.len() {
        for claimed in CLAIMS {
            let mut bytes = whole.clone();
            let end = (at + 4).min(bytes.len());
            bytes[at..end].copy_from_slice(&claimed.to_le_bytes()[..end - at]);
            place.put(1, &bytes);
            looked_at(&place);
        }
    }
}

/// The control: work that holds what a length claims is seen.
#[test]
fn memory_that_a_length_claims_is_counted() {
    let (bytes, allocated) = metered(|| vec![0_u8; 4 << 20]);
    assert_eq!((allocated.peak, allocated.largest), (bytes.len() as isize, bytes.len()));
}
