//! What the floor under the store costs: writing frames, scanning them, and reading them through a map.
//!
//! `cargo bench -p batpak-segment`

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench stops at the first thing that is wrong")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use batpak_format::{
    Causes, ChainHash, ContentType, Coordinate, EventId, EventKind, FooterBuilder, FrameBuf, FrameSeed, Placement,
    SECTION_SUMMARY, SEGMENT_HEADER_LEN, SUMMARY_VERSION, SegmentEnd, SegmentHeader, SegmentSummary, Statement,
    StoreId, Tags, Timestamp,
};
use batpak_segment::{Access, Disk, RealDisk, ScanItem, Scanner, SegmentReader, SegmentWriter, segment_path};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const HEADER: u64 = SEGMENT_HEADER_LEN as u64;
const FRAMES: u64 = 20_000;

fn store() -> StoreId {
    StoreId::from_bytes([1; 16])
}

fn header() -> SegmentHeader {
    SegmentHeader {
        store: store(),
        number: 1,
        first_position: 0,
        previous_chain_hash: ChainHash::from_bytes([0; 32]),
        keyset_epoch: 0,
        required_flags: 0,
        optional_flags: 0,
    }
}

fn frame(position: u64, offset: u64, payload: &[u8]) -> Vec<u8> {
    let coordinate = Coordinate::new("entity-000001", "scope-0000001").unwrap();
    let (causes, tags) = (Causes::default(), Tags::default());
    let statement = Statement {
        id: EventId::time_ordered(position, [0; 10]),
        kind: EventKind::new(1, 1).unwrap(),
        payload_version: 0,
        content_type: ContentType::BYTES,
        coordinate: &coordinate,
        correlation: None,
        causes: &causes,
        tags: &tags,
        batch: None,
        encryption: None,
        key_commitment: None,
    };
    let chain_hash = ChainHash::from_bytes([0; 32]);
    let time = Timestamp::from_micros(0);
    let placement = Placement { position, revision: position, time, chain_hash, durable_mark: 0 };
    let hashed = FrameBuf::new(&statement, payload).unwrap().seal_finished();
    hashed.place(&placement, &FrameSeed { store: store(), segment: 1, offset })
}

/// A rolled segment of many frames, and where each begins.
fn segment(dir: &Path, payload: &[u8]) -> Vec<u64> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut writer = SegmentWriter::create(disk, dir, &header(), true).unwrap();
    let mut offsets = Vec::new();
    for position in 0..FRAMES {
        let offset = writer.end();
        writer.write(offset, &frame(position, offset, payload)).unwrap();
        offsets.push(offset);
    }
    let summary = SegmentSummary {
        end: SegmentEnd::Rolled,
        log_len: writer.end(),
        first_position: 0,
        next_position: FRAMES,
        chain_hash: ChainHash::from_bytes([0; 32]),
        keyset_epoch: 0,
        key_id_max: None,
        intent_position_last: None,
        epoch_max: 0,
    };
    let footer = FooterBuilder::new().section(SECTION_SUMMARY, SUMMARY_VERSION, &summary.encode()).finish(writer.end());
    writer.finish(&footer).unwrap();
    offsets
}

fn write(c: &mut Criterion) {
    let mut group = c.benchmark_group("write");
    for len in [256usize, 4_096] {
        let temporary = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let mut writer = SegmentWriter::create(disk, temporary.path(), &header(), true).unwrap();
        let bytes = frame(0, HEADER, &vec![7; len]);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("{len} bytes, written ahead, not synced"), |b| {
            b.iter(|| {
                // The file is used again so that it does not fill the disk.
                let offset = if writer.end() > 64 << 20 { HEADER } else { writer.end() };
                if offset == HEADER {
                    writer.cut(HEADER).unwrap();
                }
                writer.write(offset, black_box(&bytes)).unwrap();
            });
        });
    }
    group.finish();
}

fn scan(c: &mut Criterion) {
    let mut group = c.benchmark_group("scan");
    for len in [256usize, 4_096] {
        let temporary = tempfile::tempdir().unwrap();
        segment(temporary.path(), &vec![7; len]);
        let file = RealDisk.open(&segment_path(temporary.path(), 1), Access::Read).unwrap();
        group.throughput(Throughput::Elements(FRAMES));
        group.bench_function(format!("{len} bytes, frame check"), |b| {
            b.iter(|| {
                let mut scanner = Scanner::new(Arc::clone(&file), store(), 1, HEADER, u64::MAX).unwrap();
                let mut frames = 0;
                while let ScanItem::Frame { frame, .. } = scanner.next().unwrap() {
                    black_box(frame.header().position());
                    frames += 1;
                }
                assert_eq!(frames, FRAMES);
            });
        });
    }
    group.finish();
}

fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    for len in [256usize, 4_096] {
        let temporary = tempfile::tempdir().unwrap();
        let offsets = segment(temporary.path(), &vec![7; len]);
        for (name, rolled) in [("map", true), ("position", false)] {
            let reader = SegmentReader::open(&RealDisk, temporary.path(), 1, rolled).unwrap();
            let mut buffer = Vec::new();
            let mut at = 0;
            group.throughput(Throughput::Elements(1));
            group.bench_function(format!("{len} bytes by {name}"), |b| {
                b.iter(|| {
                    // A stride that is no divisor: every frame, in no order.
                    at = (at + 7_919) % offsets.len();
                    reader
                        .with_frame(offsets[at], store(), &mut buffer, |frame| frame.payload().map(<[u8]>::len))
                        .unwrap()
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, write, scan, read);
criterion_main!(benches);
