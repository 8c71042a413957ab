//! Where the frames of a log stand, read from the files by the format alone.

use std::path::PathBuf;

use batpak_store::{
    Store,
    format::{Frame, FrameLen, FrameSeed, SEGMENT_HEADER_LEN},
    segment::{MemoryDisk, segment_path},
};

use crate::kit::Place;

/// One frame of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    pub segment: u64,
    pub offset: u64,
    pub len: u64,
    pub position: u64,
    pub mark: u64,
}

impl Spot {
    pub fn end(&self) -> u64 {
        self.offset + self.len
    }
}

pub fn segment_file(place: &Place, segment: u64) -> PathBuf {
    segment_path(&place.dir().join("segments"), segment)
}

/// The frames of all segments, in order.
pub fn spots(place: &Place) -> Vec<Spot> {
    let store = Store::inspect(place.dir(), &*place.disk).unwrap().store;
    let mut spots = Vec::new();
    for segment in (1..).take_while(|segment| place.disk.exists(&segment_file(place, *segment)).unwrap()) {
        let bytes = place.read(&segment_file(place, segment));
        let mut offset = SEGMENT_HEADER_LEN;
        while let Ok(FrameLen::Len(_)) = Frame::peek_len(&bytes[offset..]) {
            let seed = FrameSeed { store, segment, offset: offset as u64 };
            let Ok(frame) = Frame::decode(&bytes[offset..], &seed) else { break };
            let header = frame.header();
            spots.push(Spot {
                segment,
                offset: offset as u64,
                len: frame.len() as u64,
                position: header.position(),
                mark: header.durable_mark(),
            });
            offset += frame.len();
        }
    }
    spots
}

pub fn in_segment(spots: &[Spot], segment: u64) -> Vec<Spot> {
    spots.iter().filter(|spot| spot.segment == segment).copied().collect()
}

/// A place on a disk of its own, where one bit of a segment is flipped.
pub fn flipped(disk: &MemoryDisk, segment: u64, byte: u64) -> Place {
    let place = Place::on(disk.copy());
    let path = segment_file(&place, segment);
    let mut bytes = place.read(&path);
    bytes[usize::try_from(byte).unwrap()] ^= 1 << (byte % 8);
    place.put(&path, &bytes);
    place
}
