//! The turn of a page: two first appends take the last leaf of one page and the first of the next.

use std::path::Path;

use batpak_crypto::OsEntropy;
use batpak_format::KeyId;
use batpak_keyset::{CopyBytes, Keyset};
use batpak_segment::{Access, Disk, MemoryDisk};

use super::{
    fence::{durable_keyset, reserves},
    rig::{DIR, Rig, explore, explore_twin},
};
use crate::{
    Durability, EventId,
    defect::Defect,
    sync::{lock, spawn},
};

const TWICE: &str = "a leaf was framed that a crash gives out again";
/// Leaves of a page.
const LEAVES: u32 = 4096;

/// Takes every leaf of the first page but one, as key scopes do whose appends were never framed.
fn at_the_end_of_a_page() -> Rig {
    let rig = Rig::new(|config| config);
    let keys = rig.store.keys().expect("the store is sealed");
    let mut state = lock(&keys.state);
    for _ in 1..LEAVES {
        state.keyset.take(&OsEntropy).expect("a page has so many leaves");
    }
    drop(state);
    rig
}

fn key_of(rig: &Rig, id: EventId) -> KeyId {
    let event = rig.store.get(id).expect("it reads").expect("it is there");
    event.header.encryption.expect("it is sealed").key_id
}

/// The keyset that a crash left.
fn keyset_left(left: &MemoryDisk) -> Keyset {
    let copy = |name: &str| {
        let file = left.open(&Path::new(DIR).join(name), Access::Read).expect("it was made with the store");
        let mut bytes = vec![0; usize::try_from(file.len().expect("it has a length")).expect("it is small")];
        file.read_exact_at(&mut bytes, 0).expect("it reads");
        bytes
    };
    let (a, b) = (copy("keyset.a"), copy("keyset.b"));
    durable_keyset(CopyBytes::Bytes(&a), CopyBytes::Bytes(&b)).expect("a whole copy is durable at every moment")
}

fn two_appends_turn_the_page() {
    let rig = at_the_end_of_a_page();
    let other = rig.clone();
    let thread = spawn(move || other.append("a", Durability::Buffered).expect("nothing fails").id);
    let own = rig.append("b", Durability::Synced).expect("nothing fails").id;
    let left = rig.memory.copy();
    let taken = [own, thread.join().expect("no panic")].map(|id| key_of(&rig, id));
    assert!(taken[0] != taken[1] && taken.iter().any(|key_id| key_id.page() == 2), "the page was not turned");
    left.crash();
    // A later process mints above what the image reserves, and only there.
    assert!(reserves(&keyset_left(&left), taken[0]), "{TWICE}");
    rig.done();
}

#[test]
fn page_turnover_takes_no_leaf_twice() {
    explore("page_turnover_takes_no_leaf_twice", two_appends_turn_the_page);
}

#[test]
#[should_panic(expected = "a leaf was framed that a crash gives out again")]
fn page_turnover_takes_no_leaf_twice_twin() {
    explore_twin(Defect::CoversWhatCameLater, "", two_appends_turn_the_page);
}
