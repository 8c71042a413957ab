//! Any bytes as the files of a store: opened, read and verified with nothing but typed errors, and in bounded memory.

use std::{path::Path, sync::OnceLock};

use batpak_format_fuzz::{ROOM, Seeds, meter::metered, samples::recheck};
use batpak_store::{
    Store, VerifyOptions,
    format::{Frame, FrameLen, FrameSeed, SEGMENT_HEADER_LEN, SegmentHeader},
};

use crate::place::{DIR, Place, event, events, sample};

/// The files that may be replaced, by number.
const FILES: [&str; 6] = [
    "/store/segments/00000000000000000001.seg",
    "/store/segments/00000000000000000002.seg",
    "/store/keyset.a",
    "/store/keyset.b",
    "/store/extents/00000000000000000001",
    "/root.key",
];
/// What is held besides the files: the index, names, the lists of a verification.
const FACTOR: usize = 16;

/// The first byte says whether the store is sealed, and whether the checks of frames are made to hold. Then files: which one, its
/// length, and its bytes.
pub fn look(data: &[u8]) {
    let Some((choice, mut rest)) = data.split_first() else { return };
    static WHOLE: [OnceLock<Place>; 2] = [const { OnceLock::new() }; 2];
    let sealed = choice & 1;
    let place = WHOLE[usize::from(sealed)].get_or_init(|| sample(sealed == 1, true)).copy();
    while let Some(([file, low, high], after)) = rest.split_first_chunk::<3>() {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(after.len());
        let (bytes, left) = after.split_at(len);
        let mut bytes = bytes.to_vec();
        if choice & 2 == 2 {
            recheck_all(&mut bytes);
        }
        let path = FILES[usize::from(*file) % FILES.len()];
        place.put(Path::new(path), Some(&bytes));
        rest = left;
    }
    let size: usize = place.files().iter().map(|(_, bytes)| bytes.len()).sum();
    for writes in [false, true] {
        let (_, allocated) = metered(|| open_all(&place, writes));
        assert!(allocated.largest <= size + ROOM, "{allocated:?} for {size} bytes");
        assert!(allocated.peak <= (FACTOR * size + 2 * ROOM) as isize, "{allocated:?} for {size} bytes");
    }
}

fn open_all(place: &Place, writes: bool) {
    let opened = match writes {
        true => Store::open(DIR, place.config()),
        false => Store::open_read_only(DIR, place.config()),
    };
    let Ok(store) = opened else { return };
    drop(events(&store));
    for position in 0..store.stats().visible_mark {
        drop(store.at(position));
    }
    drop(store.verify(VerifyOptions::full(), &mut |_| {}));
    if writes {
        drop(store.append(&event(0, 99, b"on")));
    }
}

/// Makes the checks of a segment's frames hold, as far as their lengths lead.
fn recheck_all(bytes: &mut [u8]) {
    let Ok(header) = SegmentHeader::decode(bytes) else { return };
    let mut offset = SEGMENT_HEADER_LEN;
    while let Some(Ok(FrameLen::Len(len))) = bytes.get(offset..).map(Frame::peek_len) {
        let seed = FrameSeed { store: header.store, segment: header.number, offset: offset as u64 };
        let Some(frame) = bytes.get_mut(offset..offset.saturating_add(len as usize)) else { return };
        recheck(frame, &seed);
        offset += len as usize;
    }
}

/// Each file of the sample as it is, as far as it is used.
pub fn seeds() -> Seeds {
    let mut seeds: Seeds = vec![("untouched".to_owned(), vec![1])];
    for sealed in [0, 1] {
        for (path, mut bytes) in sample(sealed == 1, true).files() {
            let Some(file) = FILES.iter().position(|name| Path::new(name) == path) else { continue };
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes.truncate(used.next_multiple_of(if (2..4).contains(&file) { 4096 } else { 1 }));
            let [low, high, ..] = bytes.len().to_le_bytes();
            let input = [&[sealed, file as u8, low, high], &bytes[..]].concat();
            seeds.push((format!("file-{file}-{sealed}"), input.clone()));
            if file < 2 {
                seeds.push((format!("file-{file}-{sealed}-checked"), [&[sealed | 2], &input[1..]].concat()));
            }
        }
    }
    seeds
}
