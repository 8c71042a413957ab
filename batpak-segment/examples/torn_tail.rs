//! One page of this floor: a log is written, the machine loses power in the middle, and the log is opened again.
//!
//! `cargo run -p batpak-segment --example torn_tail`

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use batpak_format::{
    Causes, ChainHash, ContentType, Coordinate, EventId, EventKind, FrameBuf, FrameSeed, Placement, SegmentHeader,
    Statement, StoreId, Tags, Timestamp, chain_hash, entity_root,
};
use batpak_segment::{Disk, MemoryDisk, RecoveryMode, SegmentWriter, make_durable, recover};

const STORE: StoreId = StoreId::from_bytes([7; 16]);
const ENTITY: &str = "order-1042";

fn main() -> Result<(), Box<dyn Error>> {
    let memory = MemoryDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let dir = Path::new("/segments");
    disk.create_dir(dir, 0o700)?;
    disk.sync_dir(Path::new("/"))?;

    let none = ChainHash::from_bytes([0; 32]);
    let header = SegmentHeader {
        store: STORE,
        number: 1,
        first_position: 0,
        previous_chain_hash: none,
        keyset_epoch: 0,
        required_flags: 0,
        optional_flags: 0,
    };
    let mut writer = SegmentWriter::create(Arc::clone(&disk), dir, &header, true)?;
    let mut chain = entity_root(STORE, ENTITY);
    for (position, payload) in (0..).zip(["placed", "paid", "packed"]) {
        let offset = writer.end();
        let (frame, link) = frame(position, offset, chain, payload)?;
        writer.write(offset, &frame)?;
        if payload == "paid" {
            writer.file().sync_data()?;
        }
        chain = link;
    }

    // Power is lost: "packed" was not synced.
    memory.crash();
    let mut payloads = Vec::new();
    let recovered =
        recover::<std::str::Utf8Error>(disk.as_ref(), dir, Some(STORE), RecoveryMode::Repair, &mut |event| {
            let payload = event.frame.payload().unwrap_or_default();
            payloads.push((event.frame.header().position(), std::str::from_utf8(payload)?.to_owned()));
            Ok(())
        })?;
    make_durable(disk.as_ref(), dir, &recovered)?;
    println!("kept: {payloads:?}");
    println!("the next event takes position {} at byte {}", recovered.next_position, recovered.end_offset);
    assert_eq!(recovered.next_position, 2);
    Ok(())
}

/// Encodes one event and links it to the one before.
fn frame(
    position: u64,
    offset: u64,
    previous: ChainHash,
    payload: &str,
) -> Result<(Vec<u8>, ChainHash), Box<dyn Error>> {
    let coordinate = Coordinate::new(ENTITY, "shop")?;
    let statement = Statement {
        id: EventId::time_ordered(position, [0; 10]),
        kind: EventKind::new(1, 1)?,
        payload_version: 0,
        content_type: ContentType::TEXT,
        coordinate: &coordinate,
        correlation: None,
        causes: &Causes::default(),
        tags: &Tags::default(),
        batch: None,
        encryption: None,
        key_commitment: None,
    };
    let hashed = FrameBuf::new(&statement, payload.as_bytes())?.seal_finished();
    let time = Timestamp::from_micros(0);
    let chain_hash = chain_hash(&previous, hashed.digest(), position, position, time);
    let placement = Placement { position, revision: position, time, chain_hash, durable_mark: 0 };
    Ok((hashed.place(&placement, &FrameSeed { store: STORE, segment: 1, offset }), chain_hash))
}
