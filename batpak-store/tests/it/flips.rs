//! One bit flipped in each region of a log: exactly the answer of the durable-mark rule.

use std::ops::Range;

use batpak_store::{
    Config, Durability, Encryption, OpenError, ReadError, Store, VerifyOptions,
    format::{SEGMENT_HEADER_LEN, SegmentHeader},
    segment::{Disk, MemoryDisk, RecoveryError, TornReason},
};

use crate::{
    kit::{Place, append, event, is_index_file, payloads, sound},
    spots::{Spot, flipped, in_segment, segment_file, spots},
};

const HEADER: u64 = SEGMENT_HEADER_LEN as u64;
const VERSION: Range<u64> = 8..10;

/// A log of four segments as it stands on the disk while its writer is at work.
struct Live {
    disk: MemoryDisk,
    spots: Vec<Spot>,
}

impl Live {
    /// Appends synced events until so many stand in the fourth segment, and then buffered ones.
    fn new(synced: usize, buffered: usize) -> Self {
        let place = Place::memory();
        let config = config(&place).segment_bytes(4096);
        let store = Store::create(place.dir(), config).unwrap();
        let payload = [7; 200];
        while in_segment(&spots(&place), 4).len() < synced {
            store.append(&event("a", &payload).durability(Durability::Synced)).unwrap();
        }
        for _ in 0..buffered {
            append(&store, "a", &payload);
        }
        let disk = place.memory.clone().unwrap().copy();
        // With them an open reads no frame of a rolled segment.
        for (path, _) in Place::on(disk.clone()).files().iter().filter(|(path, _)| is_index_file(path)) {
            disk.remove(path).unwrap();
        }
        let spots = spots(&place);
        assert_eq!(spots.last().unwrap().segment, 4, "the buffered events must not roll");
        Self { disk, spots }
    }

    fn closed() -> Self {
        let live = Self::new(3, 0);
        open(&Place::on(live.disk.clone())).close().unwrap();
        live
    }

    fn segment(&self, segment: u64) -> Vec<Spot> {
        in_segment(&self.spots, segment)
    }

    /// Flips a bit of each byte of a range, every byte another bit, and looks at what an open answers.
    fn each(&self, segment: u64, bytes: Range<u64>, look: impl Fn(u64, &Place)) {
        assert!(!bytes.is_empty());
        // Every byte of a fixed part; of what follows every seventh.
        let start = bytes.start;
        for byte in bytes.filter(|byte| byte - start < HEADER || byte % 7 == 0) {
            look(byte, &flipped(&self.disk, segment, byte));
        }
    }

    /// Every flip in a range is refused with this place, by writers and readers, and nothing is changed.
    fn corrupt(&self, bytes: Range<u64>, segment: u64, offset: u64, position: u64) {
        self.each(segment, bytes, |byte, place| {
            let why = Store::open(place.dir(), config(place)).unwrap_err();
            assert!(is_corrupt(&why, segment, offset, position), "byte {byte}: {why:?}");
            if byte.is_multiple_of(16) {
                let files = place.files();
                let why = Store::open_read_only(place.dir(), config(place)).unwrap_err();
                assert!(is_corrupt(&why, segment, offset, position), "byte {byte}: {why:?}");
                drop(Store::open(place.dir(), config(place)).unwrap_err());
                assert_eq!(place.files(), files, "a refusal changes nothing");
            }
        });
    }

    /// Every flip in a range cuts this range of bytes off, and the log goes on from there.
    fn torn(&self, bytes: Range<u64>, cut: (u64, Range<u64>), reason: impl Fn(&TornReason) -> bool, events: u64) {
        let (segment, dropped) = cut;
        self.each(segment, bytes, |byte, place| {
            if byte.is_multiple_of(16) {
                assert_eq!(payloads(&reader(place)).len() as u64 + 1, events, "a reader sees as much");
            }
            let store = open(place);
            let torn = store.open_report().torn.unwrap();
            let expected = (segment, dropped.start, dropped.end - dropped.start);
            assert_eq!((torn.segment, torn.offset, torn.bytes), expected);
            assert!(reason(&torn.reason), "byte {byte}: {torn:?}");
            assert_eq!(store.stats().events, events);
            assert_eq!(append(&store, "a", b"on").position, events);
            if byte.is_multiple_of(16) {
                sound(&store);
                drop(store);
                assert_eq!(open(place).open_report().torn, None);
            }
        });
    }
}

fn is_corrupt(why: &OpenError, segment: u64, offset: u64, position: u64) -> bool {
    let OpenError::Recovery(why) = why else { return false };
    matches!(**why, RecoveryError::Corrupt { segment: s, offset: o, position: p } if (s, o, p) == (segment, offset, position))
}

/// In plaintext, and without zeros written ahead: the rule knows neither, and the tests open some thousand times.
fn config(place: &Place) -> Config {
    place.with(Encryption::none()).durability(Durability::Buffered)
}

fn open(place: &Place) -> Store {
    Store::open(place.dir(), config(place)).unwrap()
}

fn reader(place: &Place) -> Store {
    Store::open_read_only(place.dir(), config(place)).unwrap()
}

fn range(spot: &Spot) -> Range<u64> {
    spot.offset..spot.end()
}

#[test]
fn a_log_that_is_not_touched_opens_whole() {
    let live = Live::new(3, 3);
    let store = open(&Place::on(live.disk.copy()));
    assert_eq!(store.open_report().torn, None);
    assert_eq!(store.stats().events, live.spots.len() as u64);
    sound(&store);
    assert!(live.spots.iter().all(|spot| spot.mark <= spot.position));
}

#[test]
fn flip_in_a_frame_of_a_rolled_segment_is_corrupt() {
    let live = Live::new(3, 3);
    let second = live.segment(2);
    for spot in [second[0], second[second.len() / 2], second[second.len() - 1]] {
        live.corrupt(range(&spot), 2, spot.offset, spot.position);
    }
}

/// With index files an open reads no frame of a rolled segment: a flip there is found when the event is read, or the log verified, and
/// the event of a chain that goes on from it cannot be appended.
#[test]
fn flip_in_a_frame_of_a_segment_with_its_index_file_is_found_when_it_is_read() {
    let place = Place::memory();
    let store = Store::create(place.dir(), config(&place).segment_bytes(4096)).unwrap();
    for n in 0..30 {
        store.append(&event(["a", "b"][n % 2], &[7; 200])).unwrap();
    }
    assert_eq!(append(&store, "a", b"then a new segment, at the latest").position, 31);
    drop(store);
    let all = spots(&place);
    let spot = all.iter().rfind(|spot| spot.segment == 2).unwrap();
    let damaged = flipped(place.memory.as_ref().unwrap(), 2, spot.offset + 100);
    let store = open(&damaged);
    assert_eq!((store.open_report().torn, store.open_report().clean), (None, true));
    let damage = |why| matches!(why, ReadError::Damaged { position, .. } if position == spot.position);
    assert!(damage(store.at(spot.position).unwrap_err()));
    assert_eq!(store.at(spot.position - 1).unwrap().unwrap().header.position, spot.position - 1);
    let report = store.verify(VerifyOptions::full(), &mut |_| {}).unwrap();
    assert_eq!((report.problems_total > 0, report.problems[0].position), (true, spot.position));
    drop(store);
    let files = damaged.files();
    for (path, _) in files.iter().filter(|(path, _)| is_index_file(path)) {
        damaged.disk.remove(path).unwrap();
    }
    let why = Store::open(damaged.dir(), config(&damaged)).unwrap_err();
    assert!(is_corrupt(&why, 2, spot.offset, spot.position), "{why:?}");
}

#[test]
fn flip_in_a_footer_before_the_last_one_is_corrupt() {
    let live = Live::new(3, 3);
    let last = *live.segment(1).last().unwrap();
    let len = Place::on(live.disk.copy()).read(&segment_file(&Place::on(live.disk.copy()), 1)).len() as u64;
    live.corrupt(last.end()..len, 1, last.end(), last.position + 1);
}

#[test]
fn flip_in_a_segment_header_is_corrupt() {
    let live = Live::new(3, 3);
    for segment in [2, 3, 4] {
        let first = live.segment(segment)[0].position;
        live.corrupt(0..VERSION.start, segment, 0, first);
        live.corrupt(VERSION.end..HEADER, segment, 0, first);
        live.each(segment, VERSION, |_, place| {
            let OpenError::Recovery(why) = Store::open(place.dir(), config(place)).unwrap_err() else { panic!() };
            assert!(matches!(*why, RecoveryError::UnknownVersion { segment: s, .. } if s == segment), "{why:?}");
        });
    }
}

#[test]
fn flip_in_the_first_header_or_the_genesis_event_leaves_no_store_to_open() {
    let live = Live::new(1, 0);
    let genesis = live.spots[0];
    live.each(1, 0..genesis.end(), |byte, place| match Store::open(place.dir(), config(place)).unwrap_err() {
        OpenError::Genesis(_) => assert!(!VERSION.contains(&byte)),
        OpenError::Recovery(why) => {
            assert!(VERSION.contains(&byte) && matches!(*why, RecoveryError::UnknownVersion { segment: 1, .. }));
        }
        why => panic!("byte {byte}: {why:?}"),
    });
}

#[test]
fn flip_below_the_durable_mark_of_the_active_segment_is_corrupt() {
    let live = Live::new(3, 2);
    let active = live.segment(4);
    for spot in &active[..3] {
        assert!(active.last().unwrap().mark > spot.position, "the mark must cover it");
        live.corrupt(range(spot), 4, spot.offset, spot.position);
    }
}

#[test]
fn flip_above_the_durable_mark_of_the_active_segment_is_torn() {
    let live = Live::new(3, 2);
    let active = live.segment(4);
    let end = active.last().unwrap().end();
    for spot in &active[3..] {
        assert!(active.iter().all(|other| other.mark <= spot.position), "no mark may cover it");
        live.torn(range(spot), (4, spot.offset..end), |reason| matches!(reason, TornReason::Frame(_)), spot.position);
    }
}

#[test]
fn flip_in_the_header_of_a_segment_that_no_mark_covers_takes_it_away() {
    let live = Live::new(1, 0);
    let only = live.segment(4)[0];
    let expected = || (4, 0..only.end());
    let holds = |reason: &TornReason| *reason == TornReason::Creation;
    live.torn(0..VERSION.start, expected(), holds, only.position);
    live.torn(VERSION.end..HEADER, expected(), holds, only.position);
}

#[test]
fn flip_in_a_log_that_was_closed_is_corrupt_up_to_its_last_byte() {
    let live = Live::closed();
    for spot in live.segment(4) {
        live.corrupt(range(&spot), 4, spot.offset, spot.position);
    }
}

#[test]
fn flip_in_the_footer_of_a_closed_log_cuts_the_footer_and_nothing_else() {
    let live = Live::closed();
    let last = *live.spots.last().unwrap();
    let place = Place::on(live.disk.copy());
    let len = place.read(&segment_file(&place, 4)).len() as u64;
    assert!(open(&place).open_report().clean, "the control");
    live.torn(last.end()..len, (4, last.end()..len), |_| true, last.position + 1);
}

#[test]
fn flip_in_the_last_rolled_footer_is_mended() {
    let live = Live::new(3, 3);
    let last = *live.segment(3).last().unwrap();
    let whole = Place::on(live.disk.copy()).read(&segment_file(&Place::on(live.disk.copy()), 3));
    live.each(3, last.end()..whole.len() as u64, |byte, place| {
        let store = open(place);
        assert_eq!(store.open_report().torn, None);
        assert_eq!(store.stats().events, live.spots.len() as u64);
        sound(&store);
        if byte.is_multiple_of(16) {
            // It must hold when it is no longer the last but one.
            while store.stats().segments < 6 {
                append(&store, "a", &[1; 200]);
            }
            drop(store);
            sound(&open(place));
        }
        assert_eq!(place.read(&segment_file(place, 3)), whole, "the footer is as it was");
    });
}

#[test]
fn segment_headers_of_the_log_say_where_they_begin() {
    // The control of the offsets above: a header decodes, and its first position is that of its first frame.
    let live = Live::new(1, 0);
    let place = Place::on(live.disk.copy());
    for segment in 1..=4 {
        let bytes = place.read(&segment_file(&place, segment));
        assert_eq!(SegmentHeader::decode(&bytes).unwrap().first_position, live.segment(segment)[0].position);
    }
}
