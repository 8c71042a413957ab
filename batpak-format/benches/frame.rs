//! How fast a frame is encoded, placed, decoded and chained.
//!
//! Invariant: `place` and `chain_hash` are what the commit lock pays for; their cost does not grow with the payload.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on stops, and its macros document nothing"
)]

use std::hint::black_box;

use batpak_format::{
    Causes, ChainHash, ContentType, Coordinate, EventId, EventKind, Frame, FrameBuf, FrameSeed, HashedFrame, Placement,
    Statement, StoreId, Tags, Timestamp, chain_hash, entity_root,
};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const PAYLOAD_BYTES: [usize; 4] = [64, 256, 4 << 10, 64 << 10];
const SEED: FrameSeed = FrameSeed { store: StoreId::from_bytes([7; 16]), segment: 1, offset: 128 };
const PLACEMENT: Placement = Placement {
    position: 1,
    revision: 1,
    time: Timestamp::from_micros(1),
    chain_hash: ChainHash::from_bytes([9; 32]),
    durable_mark: 0,
};

/// Encodes an event of two names of 13 bytes, without optional parts, up to what the commit adds.
fn hashed(coordinate: &Coordinate, payload: &[u8]) -> HashedFrame {
    let statement = Statement {
        id: EventId::from_bytes([1; 16]),
        kind: EventKind::from_u16(0x1001),
        payload_version: 0,
        content_type: ContentType::BYTES,
        coordinate,
        correlation: None,
        causes: &Causes::default(),
        tags: &Tags::default(),
        batch: None,
        encryption: None,
        key_commitment: None,
    };
    FrameBuf::new(&statement, payload).unwrap().seal_finished()
}

fn frames(criterion: &mut Criterion) {
    let coordinate = Coordinate::new("order-0001042", "shop-europe-1").unwrap();
    let mut group = criterion.benchmark_group("frame");
    for payload_bytes in PAYLOAD_BYTES {
        let payload = vec![0x5A; payload_bytes];
        let bytes = hashed(&coordinate, &payload).place(&PLACEMENT, &SEED);
        let digest = *hashed(&coordinate, &payload).digest();
        let root = entity_root(SEED.store, coordinate.entity());
        group.throughput(Throughput::Bytes(payload_bytes as u64));
        group.bench_function(BenchmarkId::new("encode", payload_bytes), |bencher| {
            bencher.iter(|| hashed(&coordinate, black_box(&payload)));
        });
        group.bench_function(BenchmarkId::new("place", payload_bytes), |bencher| {
            let setup = || hashed(&coordinate, &payload);
            bencher.iter_batched(setup, |frame| frame.place(black_box(&PLACEMENT), &SEED), BatchSize::SmallInput);
        });
        group.bench_function(BenchmarkId::new("decode", payload_bytes), |bencher| {
            bencher.iter(|| Frame::decode(black_box(&bytes), &SEED).map(|frame| frame.len()));
        });
        group.bench_function(BenchmarkId::new("chain_hash", payload_bytes), |bencher| {
            bencher.iter(|| chain_hash(&root, black_box(&digest), 1, 1, Timestamp::from_micros(1)));
        });
    }
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
