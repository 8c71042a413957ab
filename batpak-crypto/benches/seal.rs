//! What sealing and opening cost, from 64 bytes to 64 KiB, and what a nonce costs.
//!
//! `cargo bench -p batpak-crypto --bench seal`

use std::hint::black_box;

use batpak_crypto::{Aead, Nonce, NonceBuffer, NonceMode, OsEntropy, PayloadKey, Portable, Tree};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const PAYLOAD_BYTES: [usize; 5] = [64, 256, 1 << 10, 4 << 10, 64 << 10];

/// As long as the AAD of an event with two names of 13 bytes.
const AAD: [u8; 55] = [0xAD; 55];

const KEY: [u8; 32] = [0x42; 32];
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

/// Both backends on their own; the groups above take the default one, through a payload key.
fn backends(criterion: &mut Criterion) {
    backend::<Portable>(criterion, "portable");
    #[cfg(feature = "ring")]
    backend::<batpak_crypto::Ring>(criterion, "ring");
}

fn backend<A: Aead>(criterion: &mut Criterion, name: &str) {
    let mut group = criterion.benchmark_group(format!("backend/{name}"));
    for bytes in PAYLOAD_BYTES {
        let mut sealed = vec![0x5A; bytes];
        let tag = A::seal_in_place(&KEY, &NONCE, &AAD, &mut sealed).expect("the payload is short");
        let mut buffer = sealed.clone();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("seal", bytes), |bencher| {
            bencher.iter(|| A::seal_in_place(black_box(&KEY), &NONCE, &AAD, &mut buffer));
        });
        group.bench_function(BenchmarkId::new("open", bytes), |bencher| {
            bencher.iter_batched_ref(
                || sealed.clone(),
                |buffer| A::open_in_place(black_box(&KEY), &NONCE, &AAD, buffer, &tag).expect("it was sealed so"),
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

criterion_group!(benches, seal, open, backends, nonce);
criterion_main!(benches);
