//! The append hot path: `cargo bench -p batpak-store --bench append`. The stores stand on the real disk, in the system's directory for
//! temporary files; set `TMPDIR` to measure another one.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that cannot append measures nothing")]

use std::hint::black_box;

use batpak_store::{Config, Coordinate, Durability, Encryption, EventKind, Granularity, Local, NewEvent, Store};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;

const SIZES: [usize; 4] = [64, 256, 4 << 10, 64 << 10];
const BATCH: usize = 100;

struct Fixture {
    store: Store,
    _dir: TempDir,
}

fn fixture(encryption: Encryption, granularity: Granularity, durability: Durability) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::new(encryption).granularity(granularity).durability(durability);
    Fixture { store: Store::create(dir.path().join("store"), config).unwrap(), _dir: dir }
}

fn kind() -> EventKind {
    EventKind::new(1, 1).unwrap()
}

fn one_key(c: &mut Criterion) {
    for (durability, name) in [(Durability::Buffered, "buffered"), (Durability::Synced, "synced")] {
        for (sealed, seal) in [(true, "sealed"), (false, "plain")] {
            let mut group = c.benchmark_group(format!("append/one_key/{name}/{seal}"));
            for size in SIZES {
                let encryption = if sealed { Encryption::sealed(Local::new()) } else { Encryption::none() };
                let fixture = fixture(encryption, Granularity::Scope, durability);
                let (coordinate, payload) = (Coordinate::new("entity-000001", "scope-0000001").unwrap(), vec![7; size]);
                group.throughput(Throughput::Bytes(size as u64));
                group.bench_function(BenchmarkId::from_parameter(size), |b| {
                    b.iter(|| {
                        let event = NewEvent::new(coordinate.clone(), kind(), &payload);
                        black_box(fixture.store.append(&event).unwrap())
                    });
                });
            }
            group.finish();
        }
    }
}

fn new_key_each(c: &mut Criterion) {
    for (durability, name) in [(Durability::Buffered, "buffered"), (Durability::Synced, "synced")] {
        let mut group = c.benchmark_group(format!("append/new_key_each/{name}"));
        let fixture = fixture(Encryption::sealed(Local::new()), Granularity::Event, durability);
        let (coordinate, payload) = (Coordinate::new("entity-000001", "scope-0000001").unwrap(), vec![7; 256]);
        group.throughput(Throughput::Elements(1));
        group.bench_function("256", |b| {
            b.iter(|| black_box(fixture.store.append(&NewEvent::new(coordinate.clone(), kind(), &payload)).unwrap()));
        });
        group.finish();
    }
}

fn batch(c: &mut Criterion) {
    for (durability, name) in [(Durability::Buffered, "buffered"), (Durability::Synced, "synced")] {
        let mut group = c.benchmark_group(format!("append/batch_of_{BATCH}/{name}"));
        let fixture = fixture(Encryption::sealed(Local::new()), Granularity::Scope, durability);
        let (coordinate, payload) = (Coordinate::new("entity-000001", "scope-0000001").unwrap(), vec![7; 256]);
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function("256", |b| {
            b.iter(|| {
                let events = vec![NewEvent::new(coordinate.clone(), kind(), &payload); BATCH];
                black_box(fixture.store.append_batch(&events).unwrap())
            });
        });
        group.finish();
    }
}

fn threads(c: &mut Criterion) {
    for (durability, name) in [(Durability::Buffered, "buffered"), (Durability::Synced, "synced")] {
        let mut group = c.benchmark_group(format!("append/threads/{name}"));
        for threads in [1_u64, 2, 4, 8] {
            let fixture = fixture(Encryption::sealed(Local::new()), Granularity::Scope, durability);
            let payload = vec![7; 256];
            group.throughput(Throughput::Elements(1));
            group.bench_function(BenchmarkId::from_parameter(threads), |b| {
                b.iter_custom(|appends| {
                    let start = std::time::Instant::now();
                    std::thread::scope(|scope| {
                        for thread in 0..threads {
                            let (store, payload) = (&fixture.store, &payload);
                            scope.spawn(move || {
                                let entity = format!("entity-{thread:06}");
                                let coordinate = Coordinate::new(&entity, "scope-0000001").unwrap();
                                for _ in 0..appends.div_ceil(threads) {
                                    store.append(&NewEvent::new(coordinate.clone(), kind(), payload)).unwrap();
                                }
                            });
                        }
                    });
                    start.elapsed()
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, one_key, new_key_each, batch, threads);
criterion_main!(benches);
