//! Encodes an event, reads it back, verifies its link of the chain, and drops its payload.
//!
//! Invariant: nothing here needs a key or a disk. Run it with `cargo run -p batpak-format --example frame`.

use batpak_format::{
    Cause, Causes, ContentType, Coordinate, EventId, EventKind, Frame, FrameBuf, FrameError, FrameSeed, Placement,
    Statement, StoreId, Tags, Timestamp, chain_hash, entity_root, hollow,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = StoreId::random([7; 16]);
    let coordinate = Coordinate::new("order-1042", "shop")?;
    let cart = EventId::from_key(b"cart-77/checked-out");

    // What is known before the commit: the header from the id on, and the payload.
    let statement = Statement {
        id: EventId::from_key(b"order-1042/placed"),
        kind: EventKind::new(1, 1)?,
        payload_version: 1,
        content_type: ContentType::TEXT,
        coordinate: &coordinate,
        correlation: None,
        causes: &Causes::new(vec![Cause { id: cart, external: true }])?,
        tags: &Tags::new(["eu", "new"])?,
        batch: None,
        encryption: None,
        key_commitment: None,
    };
    let hashed = FrameBuf::new(&statement, b"two lamps")?.seal_finished();

    // What the commit adds: a place in the log, and the link of the entity's chain.
    let root = entity_root(store, coordinate.entity());
    let (position, revision, time) = (1, 0, Timestamp::from_micros(1_700_000_000_000_000));
    let link = chain_hash(&root, hashed.digest(), position, revision, time);
    let seed = FrameSeed { store, segment: 1, offset: 128 };
    let bytes = hashed.place(&Placement { position, revision, time, chain_hash: link, durable_mark: 1 }, &seed);
    println!("{} bytes of frame for a payload of 9", bytes.len());

    // Who reads: the frame's check first, then the chain, from the root of the entity.
    let frame = Frame::decode(&bytes, &seed)?;
    let header = frame.header();
    println!("event {} of {} has kind {}", header.id(), header.coordinate(), header.kind());
    for cause in header.causes() {
        println!("  follows from {}{}", cause.id, if cause.external { ", which is not in this store" } else { "" });
    }
    let verified = chain_hash(&root, &frame.digest(), header.position(), header.revision(), header.time());
    println!("chain hash {verified}: {}", if verified == header.chain_hash() { "holds" } else { "is broken" });

    // Without its payload the event is the same link of the same chain.
    let hollowed = hollow(&bytes, &seed)?;
    let hollowed = Frame::decode(&hollowed, &seed)?;
    println!("hollow: {} bytes, same digest: {}", hollowed.len(), hollowed.digest() == frame.digest());

    // One changed bit, or another place, and the check says so.
    let mut damaged = bytes.clone();
    if let Some(last) = damaged.last_mut() {
        *last ^= 1;
    }
    println!(
        "damaged: {}",
        Frame::decode(&damaged, &seed).map_or_else(|error: FrameError| error.to_string(), |_| "read".into())
    );
    Ok(())
}
