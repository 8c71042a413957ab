//! Any sequence of takes, publications, failures and crashes: no key id is given out twice once it could have been
//! framed, and none counts as covered that the disk does not hold.

use std::collections::BTreeSet;

use batpak_format::KeyId;
use batpak_keyset::{Keyset, LogSeen, Publication, candidates};
use proptest::prelude::*;

use crate::disk::{Files, Leaves};
use crate::fixed::{FixedEntropy, keyset, root};

#[derive(Clone, Debug)]
enum Op {
    Take(usize),
    Publish { taken_meanwhile: usize },
    FailFirst(Leaves),
    FailSecond(Leaves),
    Crash { heal: bool },
    Retire,
    RaisePages(u32),
}

fn leaves() -> impl Strategy<Value = Leaves> {
    prop_oneof![Just(Leaves::Nothing), (0_usize..5000).prop_map(Leaves::Prefix), Just(Leaves::All)]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (1_usize..200).prop_map(Op::Take),
        1 => (2000_usize..6000).prop_map(Op::Take),
        6 => (0_usize..100).prop_map(|taken_meanwhile| Op::Publish { taken_meanwhile }),
        2 => leaves().prop_map(Op::FailFirst),
        2 => leaves().prop_map(Op::FailSecond),
        3 => any::<bool>().prop_map(|heal| Op::Crash { heal }),
        1 => Just(Op::Retire),
        1 => (0_u32..8).prop_map(Op::RaisePages),
    ];
    prop::collection::vec(op, 1..40)
}

struct Model {
    keyset: Keyset,
    files: Files,
    entropy: FixedEntropy,
    /// Taken by this process.
    taken: BTreeSet<KeyId>,
    /// Reported as covered to some process, so that frames may name them.
    framed: BTreeSet<KeyId>,
}

impl Model {
    fn new() -> Self {
        let entropy = FixedEntropy::default();
        let mut model = Self {
            keyset: keyset(&entropy),
            files: Files::default(),
            entropy,
            taken: BTreeSet::new(),
            framed: BTreeSet::new(),
        };
        model.publish(0);
        model
    }

    fn take(&mut self, count: usize) {
        for _ in 0..count {
            let id = self.keyset.take(&self.entropy).unwrap();
            assert!(self.taken.last().is_none_or(|last| *last < id), "{id} is not above what was taken");
            assert!(!self.framed.contains(&id), "{id} was framed before");
            self.taken.insert(id);
        }
    }

    fn encode(&mut self) -> Publication {
        self.keyset.publication(&root(1), LogSeen::NOTHING, &self.entropy).unwrap()
    }

    fn publish(&mut self, taken_meanwhile: usize) {
        let publication = self.encode();
        let before: Vec<KeyId> = self.taken.iter().copied().collect();
        self.take(taken_meanwhile);
        self.files.publish(&mut self.keyset, &publication);
        assert!(before.iter().all(|id| *id < self.keyset.covered_below()), "a taken leaf is not covered");
    }

    fn crash(&mut self, heal: bool) {
        let mut loaded = self.files.load().unwrap();
        assert!(loaded.keyset.epoch() >= self.keyset.epoch(), "a durable epoch is gone");
        if heal {
            self.files.rewrite(&mut loaded.keyset, &loaded.rewrite);
        }
        if !loaded.findings.is_empty() {
            loaded.keyset.retire_page();
        }
        self.keyset = loaded.keyset;
        self.taken.clear();
    }

    /// What the process calls covered, the disk holds: in each copy that is whole, were the other one lost.
    fn check(&mut self) {
        let covered = self.keyset.covered_below();
        let bound = self.framed.last().copied();
        assert!(bound.is_none_or(|last| last < covered), "what earlier processes framed is not below the bound");
        self.framed.extend(self.taken.iter().filter(|id| **id < covered));
        let durable = candidates(&self.files.input()).unwrap().open(&root(1)).unwrap().keyset;
        let reserved: Vec<(u32, u32)> = durable.pages().map(|page| (page.first, page.reserved)).collect();
        for id in &self.framed {
            let at = reserved.binary_search_by_key(&id.page(), |(page, _)| *page).expect("the page is in the image");
            assert!(id.leaf() < reserved[at].1, "{id} is covered and not reserved on disk");
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Take(count) => self.take(*count),
            Op::Publish { taken_meanwhile } => self.publish(*taken_meanwhile),
            Op::FailFirst(leaves) => {
                let (publication, covered) = (self.encode(), self.keyset.covered_below());
                self.files.fail_first(&mut self.keyset, &publication, *leaves);
                assert_eq!(self.keyset.covered_below(), covered, "a failed publication reserves nothing");
            }
            Op::FailSecond(leaves) => {
                let publication = self.encode();
                self.files.fail_second(&mut self.keyset, &publication, *leaves);
            }
            Op::Crash { heal } => self.crash(*heal),
            Op::Retire => self.keyset.retire_page(),
            Op::RaisePages(page) => self.keyset.raise_pages_above(*page),
        }
        self.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_key_id_is_framed_twice_and_none_is_framed_uncovered(ops in ops()) {
        let mut model = Model::new();
        for op in &ops {
            model.apply(op);
        }
        model.crash(true);
        model.take(3);
        model.publish(0);
        model.check();
    }
}
