//! Any bytes as a frame: refused, or the one encoding of what they say.

use batpak_format::{Frame, FrameBuf, FrameError, FrameLen, SEAL_TAG_LEN, SegmentHeader, hollow};

use crate::{
    Seeds, bounded, chosen,
    samples::{SEED, frames, recheck, segment_header},
};

/// The first byte says whether the check is made to hold.
pub fn look(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if choice & 1 == 1 {
        // What the frame says it is long, so that bytes behind it may follow.
        match Frame::peek_len(&bytes) {
            Ok(FrameLen::Len(len)) if len as usize <= bytes.len() => recheck(&mut bytes[..len as usize], &SEED),
            _ => {}
        }
    }
    bounded(bytes.len(), || frame(&bytes));
    bounded(bytes.len(), || {
        if let Ok(header) = SegmentHeader::decode(&bytes) {
            assert!(bytes.starts_with(&header.encode()));
        }
    });
}

fn frame(bytes: &[u8]) {
    let Ok(frame) = Frame::decode(bytes, &SEED) else { return };
    let own = &bytes[..frame.len()];
    let header = frame.header().to_owned();
    assert_eq!(frame.header().causes().count(), header.causes.as_slice().len());
    let Some(stored) = frame.payload() else {
        assert_eq!(hollow(own, &SEED), Err(FrameError::AlreadyHollow));
        return;
    };
    let sealed = header.encryption.is_some();
    let (plaintext, tag) = if sealed { stored.split_at(stored.len() - SEAL_TAG_LEN) } else { (stored, &[][..]) };
    let Ok(mut again) = FrameBuf::new(&header.statement(), plaintext) else {
        panic!("what decodes can be encoded: {header:?}");
    };
    if let Ok(tag) = tag.try_into() {
        again.set_tag(tag);
    }
    let again = again.seal_finished().place(&header.placement(), &SEED);
    assert_eq!(again, own, "one encoding for what it says");
    assert!(hollow(own, &SEED).is_ok());
}

/// The samples, with their checks as they are and made to hold.
pub fn seeds() -> Seeds {
    let mut seeds = chosen(0, frames());
    seeds.extend(chosen(1, frames()));
    seeds.extend(chosen(0, vec![("segment-header", segment_header().encode().to_vec())]));
    seeds
}
