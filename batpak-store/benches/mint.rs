//! What the append costs that mints a key, as the number of keys grows, beside the same append under one key.
//!
//! `cargo bench -p batpak-store --bench mint`; the number of key scopes of the large store is set by `BATPAK_BENCH_SCOPES`, 1,000,000 if
//! it is not. The stores stand on the real disk, in the system's directory for temporary files.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that cannot append measures nothing")]

use std::cell::Cell;

use batpak_store::{Config, Coordinate, Durability, Encryption, EventKind, Granularity, Local, NewEvent, Store};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Entities of one batch.
const BATCH: u64 = 1000;

fn scopes() -> u64 {
    std::env::var("BATPAK_BENCH_SCOPES").map_or(1_000_000, |text| text.parse().unwrap())
}

fn event(entity: u64) -> NewEvent<'static> {
    let coordinate = Coordinate::new(&format!("entity-{entity:06}"), "scope-0000001").unwrap();
    NewEvent::new(coordinate, EventKind::new(1, 1).unwrap(), &[7; 256])
}

/// Appends to a new entity each: with a key of its own, or under the one of the scope.
fn mints(c: &mut Criterion) {
    for (durability, name) in [(Durability::Buffered, "buffered"), (Durability::Synced, "synced")] {
        for (granularity, keys) in [(Granularity::Entity, "a key each"), (Granularity::Scope, "one key")] {
            let dir = tempfile::tempdir().unwrap();
            let config = Config::new(Encryption::sealed(Local::new())).granularity(granularity).durability(durability);
            let store = Store::create(dir.path().join("store"), config).unwrap();
            let next = Cell::new(0);
            let mut group = c.benchmark_group(format!("mint/{name}/{keys}"));
            group.throughput(Throughput::Elements(1));
            for before in [0, 1000, scopes()] {
                while next.get() < before {
                    let start = next.replace(before.min(next.get() + BATCH));
                    store.append_batch(&(start..next.get()).map(event).collect::<Vec<_>>()).unwrap();
                }
                group.bench_function(BenchmarkId::new("entities before", before), |b| {
                    b.iter(|| store.append(&event(next.replace(next.get() + 1))).unwrap());
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, mints);
criterion_main!(benches);
