//! What the caller's rules cost at the commit: gates, an append condition on a large log, a fold.
//!
//! `cargo bench -p batpak-store --features json --bench rules`; the disk is in memory, so that the rule is what is measured. The size of
//! the log for the conditions is set by `BATPAK_BENCH_EVENTS`, 1,000,000 if it is not.
#![allow(clippy::unwrap_used, reason = "a bench that meets what it does not expect has failed")]

use std::{hint::black_box, sync::Arc};

use batpak_store::{
    AppendCondition, Config, Coordinate, Durability, Encryption, EventKind, GateSet, Local, NewEvent, QueryItem,
    ReadError, Store, segment::MemoryDisk,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn store(gates: GateSet) -> Store {
    let config = Config::new(Encryption::sealed(Local::new())).disk(Arc::new(MemoryDisk::new())).gates(gates);
    Store::create("/bench", config).unwrap()
}

fn event(entity: &str) -> NewEvent<'static> {
    let coordinate = Coordinate::new(entity, "bench").unwrap();
    NewEvent::new(coordinate, EventKind::new(1, 1).unwrap(), &[7; 256]).durability(Durability::Buffered)
}

fn gates(c: &mut Criterion) {
    let mut group = c.benchmark_group("append behind gates");
    group.throughput(Throughput::Elements(1));
    for count in [0, 1, 8] {
        let permits = (0..count).fold(GateSet::new(), |set, n| {
            set.closure(format!("gate-{n}"), |proposal, view| {
                black_box(view.revision(proposal.coordinate().entity()));
                Ok(())
            })
        });
        let store = store(permits);
        group.bench_function(format!("{count} gates"), |b| b.iter(|| store.append(&event("a")).unwrap()));
    }
    group.finish();
}

fn conditions(c: &mut Criterion) {
    let events: u64 = std::env::var("BATPAK_BENCH_EVENTS").map_or(1_000_000, |text| text.parse().unwrap());
    let store = store(GateSet::new());
    for n in 0..events / 1000 {
        let tagged = |m: u64| event(&format!("e{}", (n * 1000 + m) % 10_000)).tag(format!("t{}", n * 1000 + m));
        store.append_batch(&(0..1000).map(tagged).collect::<Vec<_>>()).unwrap();
    }
    let kind = EventKind::new(1, 1).unwrap();
    let cases = [
        ("a tag that no event has", QueryItem::any().tag("none")),
        ("the kind of every event", QueryItem::any().kind(kind)),
        ("a kind that no event has", QueryItem::any().kind(EventKind::new(2, 2).unwrap())),
        ("an old tag and its kind", QueryItem::any().tag("t0").kind(kind)),
        ("an entity and another scope", QueryItem::any().entity("e1").scope("elsewhere")),
        ("an entity and a tag of another", QueryItem::any().entity("e1").tag("t2")),
    ];
    let mut group = c.benchmark_group(format!("condition on {events} events"));
    group.throughput(Throughput::Elements(1));
    for (name, item) in cases {
        let condition = AppendCondition::fail_if(item);
        let proposed = event("a").condition(condition);
        let verdict = || batpak_store::Proposal::new(&proposed).evaluate(&store).is_ok();
        group.bench_function(name, |b| b.iter(|| black_box(verdict())));
    }
    group.finish();
}

fn folds(c: &mut Criterion) {
    let store = store(GateSet::new());
    let events: Vec<_> = (0..10_000).map(|_| event("a")).collect();
    store.append_batch(&events).unwrap();
    let mut group = c.benchmark_group("fold of 10,000 events");
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("lengths", |b| {
        b.iter(|| {
            store.fold::<_, ReadError>("a", 0, |sum, event| {
                Ok(sum + event.payload().open().map_or(0, |bytes| bytes.len()))
            })
        });
    });
    group.finish();
}

criterion_group!(rules, gates, conditions, folds);
criterion_main!(rules);
