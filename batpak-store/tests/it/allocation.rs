//! Opening a directory, reading all of it and verifying it: no allocation is larger than the files and 1 MiB, whatever they claim.

use batpak_store::{Encryption, Query, Store, VerifyOptions};

use crate::{
    kit::{Place, append},
    meter::{Allocated, metered},
    spots::{segment_file, spots},
};

const ROOM: usize = 1 << 20;
const CLAIMS: [u32; 3] = [u32::MAX, 1 << 28, 1 << 20];

fn config(place: &Place, sealed: bool) -> batpak_store::Config {
    let config = if sealed { place.config() } else { place.with(Encryption::none()) };
    config.durability(batpak_store::Durability::Buffered).segment_bytes(4096)
}

fn stopped(sealed: bool) -> Place {
    let place = Place::memory();
    let store = Store::create(place.dir(), config(&place, sealed)).unwrap();
    for n in 0..12_u8 {
        append(&store, "a", &[n; 500]);
    }
    let stopped = Place::on(place.memory.clone().unwrap().copy());
    drop(store);
    stopped
}

/// What reading everything in a directory allocates.
fn looked_at(place: &Place, sealed: bool, writes: bool) -> Allocated {
    let look = || {
        let open = if writes { Store::open } else { Store::open_read_only };
        let Ok(store) = open(place.dir(), config(place, sealed)) else { return };
        store.read(&Query::all()).unwrap().for_each(drop);
        drop(store.verify(VerifyOptions::full(), &mut |_| {}));
    };
    metered(look).1
}

#[test]
fn directory_with_hostile_lengths_makes_no_allocation_above_its_size() {
    for sealed in [false, true] {
        let place = stopped(sealed);
        let size: usize = place.files().iter().map(|(_, bytes)| bytes.len()).sum();
        let frames = spots(&place);
        for (frame, writes) in frames.iter().zip([false, true].into_iter().cycle()) {
            let whole = place.read(&segment_file(&place, frame.segment));
            // The fixed part holds every length of a frame.
            for at in frame.offset as usize..frame.offset as usize + 60 {
                let place = Place::on(place.memory.clone().unwrap().copy());
                let mut bytes = whole.clone();
                bytes[at..at + 4].copy_from_slice(&CLAIMS[at % CLAIMS.len()].to_le_bytes());
                place.put(&segment_file(&place, frame.segment), &bytes);
                let allocated = looked_at(&place, sealed, writes);
                assert!(allocated.largest <= size + ROOM, "{allocated:?} for {size}, byte {at}");
                assert!(allocated.peak <= (size + 2 * ROOM) as isize, "{allocated:?} for {size}, byte {at}");
            }
        }
    }
}

#[test]
fn keyset_with_hostile_lengths_makes_no_allocation_above_the_directory() {
    let place = stopped(true);
    let size: usize = place.files().iter().map(|(_, bytes)| bytes.len()).sum();
    for at in (0..260).step_by(3) {
        let place = Place::on(place.memory.clone().unwrap().copy());
        for copy in ["keyset.a", "keyset.b"] {
            let mut bytes = place.read(&place.dir().join(copy));
            bytes[at..at + 4].copy_from_slice(&CLAIMS[at % CLAIMS.len()].to_le_bytes());
            place.put(&place.dir().join(copy), &bytes);
        }
        let allocated = looked_at(&place, true, at % 2 == 0);
        assert!(allocated.largest <= size + ROOM, "{allocated:?} for {size}, byte {at}");
    }
}
