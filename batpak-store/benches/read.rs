//! Reads of a log whose pages are warm: get by id, replay, one entity's stream, the events of a rare tag, verification.
//!
//! `cargo bench -p batpak-store --bench read`; the number of events is set by `BATPAK_BENCH_READS`, 100,000 if it is not. The stores stand
//! on the real disk, in the system's directory for temporary files.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that cannot read measures nothing")]

use std::hint::black_box;

use batpak_store::{
    Config, Coordinate, Durability, Encryption, EventId, EventKind, Events, Local, NewEvent, Query, Store,
    VerifyOptions,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;

const ENTITIES: u64 = 16;
const SIZES: [usize; 2] = [256, 4 << 10];
/// A stride that no number of events here is a multiple of: every id, in no order.
const STRIDE: usize = 7_919;

/// One event of so many has a tag.
const RARE: u64 = 1000;

struct Filled {
    store: Store,
    ids: Vec<EventId>,
    _dir: TempDir,
}

fn events() -> u64 {
    std::env::var("BATPAK_BENCH_READS").map_or(100_000, |text| text.parse().unwrap())
}

/// A store that was filled, closed and opened again.
fn filled(seal: &str, size: usize) -> Filled {
    let dir = tempfile::tempdir().unwrap();
    let encryption = || if seal == "sealed" { Encryption::sealed(Local::new()) } else { Encryption::none() };
    let config = || Config::new(encryption()).durability(Durability::Buffered);
    let store = Store::create(dir.path().join("store"), config()).unwrap();
    let (kind, payload) = (EventKind::new(1, 1).unwrap(), vec![7; size]);
    let coordinates: Vec<_> =
        (0..ENTITIES).map(|entity| Coordinate::new(&format!("entity-{entity:06}"), "scope-0000001").unwrap()).collect();
    let append = |n: u64| {
        let coordinate = coordinates[(n % ENTITIES) as usize].clone();
        let event = NewEvent::new(coordinate, kind, &payload);
        store.append(&if n.is_multiple_of(RARE) { event.tag("rare") } else { event }).unwrap().id
    };
    let ids = (0..events()).map(append).collect();
    store.close().unwrap();
    Filled { store: Store::open(dir.path().join("store"), config()).unwrap(), ids, _dir: dir }
}

/// How many events there are, each payload looked at.
fn counted(events: Events<'_>) -> u64 {
    events.map(|event| black_box(u64::from(event.unwrap().payload.open().is_some()))).sum()
}

fn reads(c: &mut Criterion) {
    for seal in ["sealed", "plain"] {
        for size in SIZES {
            let filled = filled(seal, size);
            get(c, seal, size, &filled);
            in_order(c, seal, size, &filled);
        }
    }
}

fn get(c: &mut Criterion, seal: &str, size: usize, Filled { store, ids, .. }: &Filled) {
    let mut group = c.benchmark_group(format!("get/{seal}"));
    group.throughput(Throughput::Elements(1));
    let mut at = 0;
    group.bench_function(BenchmarkId::from_parameter(size), |b| {
        b.iter(|| {
            at = (at + STRIDE) % ids.len();
            black_box(store.get(ids[at]).unwrap().unwrap())
        });
    });
    group.finish();
}

fn in_order(c: &mut Criterion, seal: &str, size: usize, Filled { store, ids, .. }: &Filled) {
    let (all, of_one) = (ids.len() as u64, ids.len() as u64 / ENTITIES);
    let mut group = c.benchmark_group(format!("in_order/{seal}/{size}"));
    group.sample_size(10).throughput(Throughput::Elements(all));
    group.bench_function("replay", |b| b.iter(|| assert_eq!(counted(store.read(&Query::all()).unwrap()), all)));
    group.bench_function("verify", |b| {
        b.iter(|| assert_eq!(store.verify(VerifyOptions::full(), &mut |_| {}).unwrap().events, all));
    });
    group.bench_function("verify without keys", |b| {
        b.iter(|| assert_eq!(store.verify(VerifyOptions::without_keys(), &mut |_| {}).unwrap().events, all));
    });
    group.throughput(Throughput::Elements(of_one));
    group.bench_function("stream", |b| {
        b.iter(|| assert_eq!(counted(store.stream("entity-000003", 0).unwrap()), of_one));
    });
    let rare = all.div_ceil(RARE);
    group.throughput(Throughput::Elements(rare));
    group.bench_function("by a rare tag", |b| {
        b.iter(|| assert_eq!(counted(store.read(&Query::all().tag("rare")).unwrap()), rare));
    });
    group.finish();
}

criterion_group!(benches, reads);
criterion_main!(benches);
