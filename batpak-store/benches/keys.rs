//! What many keys cost: shreds of one and of 10,000 key scopes, and an open.
//!
//! `cargo bench -p batpak-store --bench keys`; the number of key scopes of the large store is set by `BATPAK_BENCH_SCOPES`, 1,000,000 if
//! it is not. The stores stand on the real disk, in the system's directory for temporary files; set `TMPDIR` to measure another one.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that meets what it does not expect measures nothing")]

use std::{
    cell::Cell,
    path::Path,
    time::{Duration, Instant},
};

use batpak_store::{Config, Coordinate, Durability, Encryption, EventKind, KeyFile, NewEvent, Selector, Store};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Key scopes of one batch.
const BATCH: u64 = 1000;

fn scopes() -> u64 {
    std::env::var("BATPAK_BENCH_SCOPES").map_or(1_000_000, |text| text.parse().unwrap())
}

fn config(dir: &Path) -> Config {
    Config::new(Encryption::sealed(KeyFile::new(dir.join("root.key")))).durability(Durability::Buffered)
}

fn entity(n: u64) -> String {
    format!("entity-{n:09}")
}

fn event(entity: &str) -> NewEvent<'static> {
    NewEvent::new(Coordinate::new(entity, "bench").unwrap(), EventKind::new(1, 1).unwrap(), &[7; 256])
}

/// Appends one event to each of so many entities.
fn fill(store: &Store, to: u64) {
    for start in (0..to).step_by(BATCH as usize) {
        let events: Vec<_> = (start..to.min(start + BATCH)).map(|n| event(&entity(n))).collect();
        store.append_batch(&events).unwrap();
    }
}

fn keys(c: &mut Criterion) {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("store");
    let store = Store::create(&dir, config(scratch.path())).unwrap();
    fill(&store, scopes());
    shreds(c, &store);
    store.close().unwrap();
    let mut group = c.benchmark_group("open");
    group.sample_size(10).throughput(Throughput::Elements(1));
    group.bench_function(BenchmarkId::new("after a clean close, key scopes", scopes()), |b| {
        b.iter(|| Store::open_read_only(&dir, config(scratch.path())).unwrap());
    });
    group.finish();
}

/// Each iteration destroys keys of its own, far apart from each other.
fn shreds(c: &mut Criterion, store: &Store) {
    let scopes = scopes();
    let mut group = c.benchmark_group(format!("shred among {scopes} key scopes"));
    group.sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(1));
    let taken = Cell::new(0);
    for count in [1, (scopes / 100).min(10_000)] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter_custom(|iterations| {
                let mut took = Duration::ZERO;
                for _ in 0..iterations {
                    let round = taken.replace(taken.get() + 1);
                    let victims = (0..count).map(|n| (n * (scopes / count) + round) % scopes);
                    let selectors: Vec<_> = victims.map(|n| Selector::Entity(entity(n))).collect();
                    let began = Instant::now();
                    store.shred(&selectors, 1, "").unwrap();
                    took += began.elapsed();
                }
                took
            });
        });
    }
    group.finish();
}

criterion_group!(benches, keys);
criterion_main!(benches);
