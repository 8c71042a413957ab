//! Minting is flat: the first key costs what the millionth does. And what a publication of many pages costs to encode.

use std::hint::black_box;

use batpak_crypto::{OsEntropy, RootSecret, SecretId};
use batpak_format::{KeyId, StoreId};
use batpak_keyset::{CreateKeyset, Granularity, Keyset, LogSeen, ProviderRecord};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn keyset() -> Keyset {
    let create = CreateKeyset {
        store: StoreId::from_bytes([1; 16]),
        granularity: Granularity::Entity,
        provider: ProviderRecord::key_file(),
        secret_id: SecretId::from_bytes([1; 16]),
    };
    Keyset::create(create, &OsEntropy).expect("the operating system has random bytes")
}

fn take(keyset: &mut Keyset) -> KeyId {
    keyset.take(&OsEntropy).expect("the operating system has random bytes")
}

fn mint(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mint");
    group.throughput(Throughput::Elements(1));
    for before in [0_u32, 1_000, 1_000_000] {
        let mut keyset = keyset();
        for _ in 0..before {
            take(&mut keyset);
        }
        group.bench_function(BenchmarkId::new("take_and_derive", before), |bencher| {
            bencher.iter(|| black_box(keyset.mint(&OsEntropy)));
        });
    }
    group.finish();
}

fn derive(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("derive");
    group.throughput(Throughput::Elements(1));
    let mut keyset = keyset();
    let ids: Vec<KeyId> = (0..100_000).map(|_| take(&mut keyset)).collect();
    let mut scattered = ids.iter().step_by(1 + 4_099 % ids.len()).cycle();
    group.bench_function("cold", |bencher| {
        bencher.iter(|| black_box(scattered.next().map(|id| keyset.key(*id))));
    });
    group.bench_function("cached", |bencher| bencher.iter(|| black_box(keyset.key_cached(ids[7]))));
    group.finish();
}

fn publication(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publication");
    let root = RootSecret::generate(&OsEntropy).expect("the operating system has random bytes");
    for pages in [1_usize, 245, 2_500] {
        let mut keyset = keyset();
        for _ in 0..pages {
            keyset.retire_page();
            take(&mut keyset);
        }
        let encode = |keyset: &mut Keyset| keyset.publication(&root, LogSeen::NOTHING, &OsEntropy);
        let bytes = encode(&mut keyset).expect("nothing here can fail").image.len();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("encode", pages), |bencher| {
            bencher.iter(|| black_box(encode(&mut keyset)));
        });
    }
    group.finish();
}

criterion_group!(benches, mint, derive, publication);
criterion_main!(benches);
