//! Opens by the size of the log: after a clean close, and as a crash leaves the folder.
//!
//! `cargo bench -p batpak-store --bench recover`; the largest log is set by `BATPAK_BENCH_OPENS`, 100,000 events if it is not. The stores
//! stand on the real disk, in the system's directory for temporary files.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that cannot open measures nothing")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use batpak_store::{Config, Coordinate, Durability, Encryption, EventKind, Local, NewEvent, Store};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const ENTITIES: u64 = 16;

fn config() -> Config {
    Config::new(Encryption::sealed(Local::new())).durability(Durability::Buffered)
}

fn filled(dir: &Path, events: u64) -> Store {
    let store = Store::create(dir, config()).unwrap();
    let kind = EventKind::new(1, 1).unwrap();
    for n in 0..events {
        let coordinate = Coordinate::new(&format!("entity-{:06}", n % ENTITIES), "scope-0000001").unwrap();
        store.append(&NewEvent::new(coordinate, kind, &[7; 256])).unwrap();
    }
    store.sync().unwrap();
    store
}

/// Copies a folder while its store is open: what a crash would leave.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The time of one open; the close behind it is not measured.
fn opened(dir: &Path) -> Duration {
    let begun = Instant::now();
    let store = Store::open(dir, config()).unwrap();
    let took = begun.elapsed();
    store.close().unwrap();
    took
}

fn opens(c: &mut Criterion) {
    let largest = std::env::var("BATPAK_BENCH_OPENS").map_or(100_000, |text| text.parse().unwrap());
    let mut group = c.benchmark_group("open");
    group.sample_size(10).throughput(Throughput::Elements(1));
    for events in [1000, 10_000, largest] {
        let scratch = tempfile::tempdir().unwrap();
        let (dir, crashed) = (scratch.path().join("store"), scratch.path().join("crashed"));
        let store = filled(&dir, events);
        copy(&dir, &crashed);
        store.close().unwrap();
        group.bench_function(BenchmarkId::new("after a clean close", events), |b| {
            b.iter_custom(|opens| (0..opens).map(|_| opened(&dir)).sum());
        });
        group.bench_function(BenchmarkId::new("after a crash", events), |b| {
            b.iter_custom(|opens| {
                let one = |_| {
                    let again = tempfile::tempdir().unwrap();
                    copy(&crashed, again.path());
                    opened(again.path())
                };
                (0..opens).map(one).sum()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, opens);
criterion_main!(benches);
