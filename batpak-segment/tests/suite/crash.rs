//! Crashes: inside the repair, and round after round of writing, tearing and opening again.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use batpak_segment::{DiskOp, MemoryDisk, make_durable};

use crate::log::{Log, open, open_twice, shown, two_segments};
use crate::place::Place;

/// Logs whose end is torn, each another way.
fn torn_logs() -> Vec<(&'static str, Place, MemoryDisk)> {
    let fresh = || {
        let disk = MemoryDisk::new();
        (Place::on(Arc::new(disk.clone())), disk)
    };
    let mut logs = Vec::new();

    let (place, disk) = fresh();
    two_segments(&place);
    let second = place.read(2);
    place.put(2, &second[..second.len() - 5]);
    logs.push(("a frame cut short", place, disk));

    let (place, disk) = fresh();
    let mut log = two_segments(&place);
    log.finish(batpak_format::SegmentEnd::Rolled);
    place.put(3, &[0; 128]);
    logs.push(("a segment without a header", place, disk));

    let (place, disk) = fresh();
    let mut log = Log::create(&place, 1 << 20, true);
    log.append(b"stays");
    log.append_batch(&[b"lost", b"with it"]);
    log.append(b"after it");
    let lost = log.written[2];
    log.create_next(2);
    log.append(b"in the next segment");
    let mut first = place.read(1);
    first[usize::try_from(lost.offset).unwrap()] ^= 1;
    place.put(1, &first);
    let second = place.read(2);
    place.put(2, &second);
    logs.push(("a batch with a hole, and a later segment", place, disk));
    logs
}

#[test]
fn repair_that_stops_anywhere_is_done_by_the_next_one() {
    for power_lost in [false, true] {
        for (what, _, disk) in torn_logs() {
            let place = |disk: MemoryDisk| Place::again(Arc::new(disk));
            let (expected, frames) = open_twice(&place(disk.copy()));
            let mut stops = 0;
            loop {
                let disk = disk.copy();
                let place = place(disk.clone());
                let (recovered, _) = open(&place);
                let mut left = stops;
                disk.fail(Box::new(move |call| {
                    if matches!(call.op, DiskOp::Read | DiskOp::Open) {
                        return None;
                    }
                    if left == 0 {
                        return Some(ErrorKind::Other.into());
                    }
                    left -= 1;
                    None
                }));
                let done = make_durable(place.disk.as_ref(), &place.dir, &recovered).is_ok();
                disk.clear_hooks();
                if power_lost {
                    disk.crash();
                }
                let (again, shown_again) = open_twice(&place);
                assert_eq!(shown_again, frames, "{what}, stopped after {stops}");
                assert_eq!((again.active, again.end_offset), (expected.active, expected.end_offset));
                if done {
                    assert!(stops >= 3, "{what}: nothing was done");
                    assert_eq!(again.torn, None, "{what}");
                    break;
                }
                stops += 1;
            }
        }
    }
}

/// A small generator of numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What a crash may leave of a file: each sector as it was synced or as it is now, and either size.
fn tear(synced: &[u8], now: &[u8], random: &mut Random) -> Vec<u8> {
    let len = if random.below(2) == 0 { synced.len() } else { now.len() };
    let mut bytes = vec![0; len];
    for (index, sector) in bytes.chunks_mut(512).enumerate() {
        let from = if random.below(2) == 0 { synced } else { now };
        for (at, byte) in (index * 512..).zip(sector) {
            *byte = from.get(at).copied().unwrap_or(0);
        }
    }
    bytes
}

/// Replaces the disk's content by a crash state of it.
fn crash(disk: &MemoryDisk, place: &Place, random: &mut Random) {
    let now = place.snapshot();
    disk.crash();
    let synced: BTreeMap<_, _> = place.snapshot();
    for (name, synced) in synced {
        let torn = tear(&synced, &now[&name], random);
        place.put_named(&place.dir.join(name), &torn);
    }
}

/// Recovers, stops in the middle of the repair, and loses power again.
fn stop_inside_the_repair(disk: &MemoryDisk, place: &Place, random: &mut Random) {
    let (recovered, _) = open(place);
    let mut left = random.below(8);
    disk.fail(Box::new(move |call| {
        left = left.saturating_sub(u64::from(!matches!(call.op, DiskOp::Read | DiskOp::Open)));
        (left == 0).then(|| ErrorKind::Other.into())
    }));
    let _ = make_durable(place.disk.as_ref(), &place.dir, &recovered);
    disk.clear_hooks();
    crash(disk, place, random);
}

#[test]
fn ten_rounds_of_crash_and_recovery_lose_nothing_synced() {
    let mut torn = 0;
    for seed in 0..24 {
        let mut random = Random(seed);
        let disk = MemoryDisk::new();
        let place = Place::on(Arc::new(disk.clone()));
        let mut log = Log::create(&place, 3_000, seed % 2 == 0);
        let mut kept = Vec::new();
        for round in 0..10 {
            let mut synced = kept.len();
            for _ in 0..random.below(12) {
                let payload = vec![7; usize::try_from(random.below(700)).unwrap()];
                let count = 1 + usize::try_from(random.below(3)).unwrap();
                log.append_batch(&vec![payload.as_slice(); count]);
                if random.below(3) == 0 {
                    log.sync();
                }
                synced = synced.max(usize::try_from(log.mark).unwrap());
            }
            kept.append(&mut log.written);
            crash(&disk, &place, &mut random);
            if random.below(2) == 0 {
                stop_inside_the_repair(&disk, &place, &mut random);
            }
            let (recovered, frames) = open_twice(&place);
            assert!(frames.len() >= synced, "seed {seed} round {round}: {} of {synced}", frames.len());
            kept.truncate(frames.len());
            assert_eq!(frames, shown(&kept), "seed {seed} round {round}");
            torn += usize::from(recovered.torn.is_some());
            log = Log::resume(&place, &recovered, 3_000);
            log.writer.set_ahead(seed % 2 == 0);
        }
    }
    assert!(torn > 30, "only {torn} crashes tore anything");
}

#[test]
fn repaired_tail_survives_the_next_crash() {
    let disk = MemoryDisk::new();
    let place = Place::on(Arc::new(disk.clone()));
    let mut log = Log::create(&place, 1 << 20, false);
    log.append(b"synced");
    log.sync();
    log.append(b"in the page cache only");
    // The process dies, the machine does not.
    let (recovered, frames) = open(&place);
    assert_eq!(frames.len(), 2);
    make_durable(place.disk.as_ref(), &place.dir, &recovered).unwrap();
    disk.crash();
    assert_eq!(open(&place).1, frames);
}
