//! What the key tree costs: deriving a key cold and along a cursor, and puncturing a page.
//!
//! `cargo bench -p batpak-crypto --bench tree`

use std::hint::black_box;

use batpak_crypto::{OsEntropy, Tree, TreeCursor};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const STORE: [u8; 16] = [0x51; 16];

/// Steps over all leaves without an order that a cursor could use: odd, so that each comes once.
const STRIDE: u32 = 1_237;

fn page() -> Tree {
    Tree::generate(Tree::DEPTH, &OsEntropy).expect("the operating system has random bytes")
}

fn derive(criterion: &mut Criterion) {
    let page = page();
    let leaves = page.leaves();
    let mut group = criterion.benchmark_group("derive");
    group.throughput(Throughput::Elements(1));

    let mut leaf = 0;
    group.bench_function("cold", |bencher| {
        bencher.iter(|| {
            leaf = (leaf + STRIDE) % leaves;
            page.key(black_box(leaf), &STORE, u64::from(leaf))
        });
    });

    let mut cursor = TreeCursor::new();
    let mut leaf = 0;
    group.bench_function("cached", |bencher| {
        bencher.iter(|| {
            leaf = (leaf + 1) % leaves;
            cursor.key(&page, black_box(leaf), &STORE, u64::from(leaf))
        });
    });
    group.finish();
}

fn puncture(criterion: &mut Criterion) {
    let page = page();
    let mut group = criterion.benchmark_group("puncture");
    for count in [1u32, 100] {
        let leaves: Vec<u32> = (0..count).map(|i| (i * STRIDE) % page.leaves()).collect();
        group.throughput(Throughput::Elements(u64::from(count)));
        group.bench_function(count.to_string(), |bencher| {
            bencher.iter_batched(
                || leaves.clone(),
                |leaves| page.punctured(black_box(leaves)).expect("all leaves are of the page"),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, derive, puncture);
criterion_main!(benches);
