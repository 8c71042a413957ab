//! The append hot path: `cargo bench -p batpak-store --bench append`. The stores stand on the real disk, in the system's directory for
//! temporary files; set `TMPDIR` to measure another one.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that cannot append measures nothing")]

use std::hint::black_box;
use std::time::Instant;

use batpak_store::{Config, Coordinate, Durability, Encryption, EventKind, Granularity, Local, NewEvent, Store};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;

const SIZES: [usize; 4] = [64, 256, 4 << 10, 64 << 10];
const DURABILITIES: [(Durability, &str); 3] =
    [(Durability::Deferred, "deferred"), (Durability::Buffered, "buffered"), (Durability::Synced, "synced")];
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

fn encryption(seal: &str) -> Encryption {
    if seal == "sealed" { Encryption::sealed(Local::new()) } else { Encryption::none() }
}

fn coordinate(entity: u64) -> Coordinate {
    Coordinate::new(&format!("entity-{entity:06}"), "scope-0000001").unwrap()
}

fn event(coordinate: &Coordinate, payload: &'static [u8]) -> NewEvent<'static> {
    NewEvent::new(coordinate.clone(), EventKind::new(1, 1).unwrap(), payload)
}

/// Bytes that live as long as the benchmark.
fn payload(size: usize) -> &'static [u8] {
    static BYTES: [u8; 64 << 10] = [7; 64 << 10];
    &BYTES[..size]
}

fn one_key(c: &mut Criterion) {
    for (durability, name) in DURABILITIES {
        for seal in ["sealed", "plain"] {
            let mut group = c.benchmark_group(format!("append/one_key/{name}/{seal}"));
            for size in SIZES {
                let (fixture, coordinate) = (fixture(encryption(seal), Granularity::Scope, durability), coordinate(1));
                group.throughput(Throughput::Bytes(size as u64));
                group.bench_function(BenchmarkId::from_parameter(size), |b| {
                    b.iter(|| black_box(fixture.store.append(&event(&coordinate, payload(size))).unwrap()));
                });
            }
            group.finish();
        }
    }
}

fn new_key_each(c: &mut Criterion) {
    for (durability, name) in DURABILITIES {
        let mut group = c.benchmark_group(format!("append/new_key_each/{name}"));
        for size in [256, 4 << 10] {
            let (fixture, coordinate) = (fixture(encryption("sealed"), Granularity::Event, durability), coordinate(1));
            group.throughput(Throughput::Elements(1));
            group.bench_function(BenchmarkId::from_parameter(size), |b| {
                b.iter(|| black_box(fixture.store.append(&event(&coordinate, payload(size))).unwrap()));
            });
        }
        group.finish();
    }
}

fn batch(c: &mut Criterion) {
    for (durability, name) in DURABILITIES {
        for seal in ["sealed", "plain"] {
            let mut group = c.benchmark_group(format!("append/batch_of_{BATCH}/{name}/{seal}"));
            for size in [64, 256, 4 << 10] {
                let fixture = fixture(encryption(seal), Granularity::Scope, durability);
                let events = vec![event(&coordinate(1), payload(size)); BATCH];
                group.throughput(Throughput::Elements(BATCH as u64));
                group.bench_function(BenchmarkId::from_parameter(size), |b| {
                    b.iter(|| black_box(fixture.store.append_batch(&events).unwrap()));
                });
            }
            group.finish();
        }
    }
}

fn threads(c: &mut Criterion) {
    for (durability, name) in DURABILITIES {
        for size in [256, 4 << 10] {
            let mut group = c.benchmark_group(format!("append/threads/{name}/{size}"));
            for threads in [1_u64, 2, 4, 8] {
                let fixture = fixture(encryption("sealed"), Granularity::Scope, durability);
                group.throughput(Throughput::Elements(1));
                group.bench_function(BenchmarkId::from_parameter(threads), |b| {
                    b.iter_custom(|appends| {
                        let start = Instant::now();
                        std::thread::scope(|scope| {
                            for thread in 0..threads {
                                let store = &fixture.store;
                                scope.spawn(move || {
                                    let coordinate = coordinate(thread);
                                    for _ in 0..appends.div_ceil(threads) {
                                        store.append(&event(&coordinate, payload(size))).unwrap();
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
}

criterion_group!(benches, one_key, new_key_each, batch, threads);
criterion_main!(benches);
