//! What sealing and opening cost, from 64 bytes to 64 KiB, and what a nonce costs.
//!
//! `cargo bench -p batpak-crypto --bench seal`

use std::hint::black_box;

use batpak_crypto::{Nonce, NonceBuffer, NonceMode, OsEntropy, PayloadKey, Tree};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const PAYLOAD_BYTES: [usize; 5] = [64, 256, 1 << 10, 4 << 10, 64 << 10];

/// As long as the AAD of an event with two names of 13 bytes.
const AAD: [u8; 55] = [0xAD; 55];

const NONCE: Nonce = Nonce::from_bytes([0x24; 24]);

fn key() -> PayloadKey {
    let page = Tree::generate(Tree::DEPTH, &OsEntropy);
    let page = page.expect("the operating system has random bytes");
    page.leaf(0).expect("the page is whole").derive(&[0; 16], 0).0
}

fn seal(criterion: &mut Criterion) {
    let key = key();
    let mut group = criterion.benchmark_group("seal");
    for bytes in PAYLOAD_BYTES {
        let mut buffer = vec![0x5A; bytes];
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::from_parameter(bytes), |bencher| {
            bencher.iter(|| key.seal(black_box(&NONCE), &AAD, &mut buffer));
        });
    }
    group.finish();
}

fn open(criterion: &mut Criterion) {
    let key = key();
    let mut group = criterion.benchmark_group("open");
    for bytes in PAYLOAD_BYTES {
        let mut sealed = vec![0x5A; bytes];
        let tag = key.seal(&NONCE, &AAD, &mut sealed).expect("the payload is short");
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::from_parameter(bytes), |bencher| {
            bencher.iter_batched_ref(
                || sealed.clone(),
                |buffer| key.open(black_box(&NONCE), &AAD, buffer, &tag).expect("it was sealed so"),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn nonce(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("nonce");
    group.throughput(Throughput::Elements(1));
    for mode in [NonceMode::Buffered, NonceMode::PerCall] {
        let mut nonces = NonceBuffer::new(mode);
        group.bench_function(format!("{mode:?}"), |bencher| {
            bencher.iter(|| nonces.next(&OsEntropy, 1));
        });
    }
    group.finish();
}

criterion_group!(benches, seal, open, nonce);
criterion_main!(benches);
