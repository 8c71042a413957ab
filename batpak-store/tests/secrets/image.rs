//! Nothing that a shred destroyed stays in the blocks of the disk: the raw image of an ext4 file system is searched, free blocks too.
//!
//! It takes root, and runs only where `cargo xtask residue` asks for it. Old extents stay in free blocks: they are dead with their KEK,
//! which stood in the image that the shred wrote over.

use std::{fs::File, os::unix::fs::FileExt, path::Path, sync::Arc};

use batpak_store::{
    Config, Coordinate, Durability, Encryption, EventKind, Granularity, KeyFile, Local, NewEvent, Selector, Store,
};

use crate::{
    mount::Mount,
    needles::Needles,
    search::{PIECE, Stage, search_piece},
    seeded::Seeded,
    subject::Keeper,
};

/// Set by the command that asks for it.
const ASKED: &str = "BATPAK_TEST_RESIDUE";
/// So many keys that every fifth of them destroyed needs an extent.
const EVENTS: u32 = 2_600;
const CANARY: &[u8; 32] = b"a payload that must not be found";
const CONTROL: &[u8; 32] = b"what a careless program does not";
/// Bytes of a sealed image in which its header has ended.
const SEALED_AT: usize = 256;

/// What is in a raw image, of the secrets named.
fn found(image: &Path, needles: &Needles) -> Vec<String> {
    let file = File::open(image).unwrap();
    let len = file.metadata().unwrap().len();
    let (mut found, mut piece) = (vec![false; needles.0.len()], vec![0; PIECE + 31]);
    for at in (0..len).step_by(PIECE) {
        let part = piece.len().min(usize::try_from(len - at).unwrap());
        file.read_exact_at(&mut piece[..part], at).unwrap();
        // Most of it was never written.
        if piece[..part].iter().any(|byte| *byte != 0) {
            search_piece(&piece[..part], needles, &mut found);
        }
    }
    needles.0.iter().zip(found).filter(|(_, found)| *found).map(|((name, _), _)| name.clone()).collect()
}

fn encryption(keeper: Keeper, dir: &Path) -> Encryption {
    match keeper {
        Keeper::Local => Encryption::sealed(Local::new()),
        _ => Encryption::sealed(KeyFile::new(dir.join("root.key"))),
    }
}

/// The file that holds the root secret in clear.
fn clear_file(keeper: Keeper, dir: &Path) -> std::path::PathBuf {
    match keeper {
        Keeper::Local => dir.join("store/keyset.a"),
        _ => dir.join("root.key"),
    }
}

/// A life of a store with an extent and two shreds. Returns what was drawn, and what of the first image must be gone.
fn live(keeper: Keeper, dir: &Path) -> (Stage, [u8; 32]) {
    let entropy = Arc::new(Seeded::new(7));
    let config = Config::new(encryption(keeper, dir)).granularity(Granularity::Event).entropy(entropy.clone());
    let store = Store::create(dir.join("store"), config).unwrap();
    let at = Coordinate::new("victim", "s").unwrap();
    let kind = EventKind::new(1, 1).unwrap();
    let event = NewEvent::new(at, kind, CANARY).durability(Durability::Buffered);
    let ids: Vec<_> = (0..EVENTS).map(|_| store.append(&event).unwrap().id).collect();
    store.sync().unwrap();
    let old_image = std::fs::read(dir.join("store/keyset.a")).unwrap();
    let old_image = old_image[SEALED_AT..SEALED_AT + 32].try_into().unwrap();
    let victims: Vec<_> = ids.iter().step_by(5).copied().map(Selector::Event).collect();
    store.shred(&victims, 0, "").unwrap();
    assert_eq!(std::fs::read_dir(dir.join("store/extents")).unwrap().count(), 1, "the shred needed an extent");
    store.shred(&[Selector::Event(ids[1])], 0, "").unwrap();
    let id = store.info().store;
    store.close().unwrap();
    (Stage { name: "shredded twice".into(), seed: 7, store: id, draws: entropy.draws() }, old_image)
}

/// What must not be in the image: everything but the last root secret, which seals the living.
fn dead(keeper: Keeper, stage: &Stage, old_image: [u8; 32]) -> Needles {
    let mut needles = Needles::of(keeper, stage);
    let source = Seeded::new(stage.seed);
    let drawn: Vec<[u8; 32]> = (stage.draws.iter().filter(|(_, len)| *len == 32))
        .map(|(draw, len)| source.draw(*draw, *len).try_into().unwrap())
        .collect();
    // Each shred draws the KEK of its extent and then a root secret; the second KEK lives on. The names of root secrets that the
    // needles give are for a life without an extent.
    let [root, page, kek, second, _, living] = drawn[..] else { panic!("{} secrets were drawn", drawn.len()) };
    needles.0.retain(|(name, _)| name.starts_with("victim's") || name == "page 1");
    needles.0.extend(
        [("first root secret", root), ("page", page), ("KEK", kek), ("second root secret", second)]
            .map(|(name, secret)| (name.to_owned(), secret)),
    );
    needles.0.push(("old image".into(), old_image));
    needles.0.push(("plaintext".into(), *CANARY));
    assert!(needles.0.iter().all(|(_, needle)| *needle != living));
    needles
}

/// Replaces a file the way that most programs do: a new one is renamed over it, and the old one's blocks keep what they held.
fn replace_by_rename(path: &Path, with: &[u8]) {
    let temporary = path.with_extension("tmp");
    let file = File::create(&temporary).unwrap();
    file.write_all_at(with, 0).unwrap();
    file.sync_all().unwrap();
    std::fs::rename(&temporary, path).unwrap();
    File::open(path.parent().unwrap()).unwrap().sync_all().unwrap();
}

fn searched(keeper: Keeper, mut mount: Mount) {
    let dir = mount.dir();
    // The living root secret must be found, or nothing is searched.
    let (stage, old_image) = live(keeper, &dir);
    mount.unmount();
    let dead = dead(keeper, &stage, old_image);
    let hits = found(&mount.image(), &dead);
    println!(
        "residue: {keeper:?}: {} secrets searched for in the raw image, {} hits {hits:?}",
        dead.0.len(),
        hits.len()
    );
    assert_eq!(hits, [""; 0], "{keeper:?}");
    let last = stage.draws.iter().rfind(|(_, len)| *len == 32).unwrap();
    let living = Seeded::new(stage.seed).draw(last.0, last.1).try_into().unwrap();
    assert_eq!(found(&mount.image(), &Needles(vec![("living".into(), living)])), ["living"], "{keeper:?}");
}

/// The same file, replaced by rename: the secret that it held is found.
fn control(keeper: Keeper, mut mount: Mount) {
    let dir = mount.dir();
    let entropy = Arc::new(Seeded::new(9));
    let config = Config::new(encryption(keeper, &dir)).entropy(entropy.clone());
    let store = Store::create(dir.join("store"), config).unwrap();
    let path = clear_file(keeper, &dir);
    // What a store would do that renames: the old bytes in one file, the new ones renamed over it.
    let careless = dir.join("careless");
    let old = std::fs::read(&path).unwrap();
    replace_by_rename(&careless, &[&old[..], CONTROL].concat());
    store.rekey().unwrap();
    replace_by_rename(&careless, &std::fs::read(&path).unwrap());
    store.close().unwrap();
    mount.unmount();
    let first = entropy.draws().into_iter().find(|(_, len)| *len == 32).unwrap();
    let secret = Seeded::new(9).draw(first.0, first.1).try_into().unwrap();
    let needles = Needles(vec![("old root secret".into(), secret), ("old file".into(), *CONTROL)]);
    let hits = found(&mount.image(), &needles);
    println!("residue: {keeper:?}: control, replaced by rename: {} hits {hits:?}", hits.len());
    assert_eq!(hits, ["old root secret", "old file"], "{keeper:?}: the control must hit");
}

#[test]
fn raw_image_holds_nothing_that_a_shred_destroyed() {
    if std::env::var_os(ASKED).is_none() {
        return;
    }
    for keeper in [Keeper::KeyFile, Keeper::Local] {
        for search in [searched, control] {
            match Mount::ext4() {
                Ok(mount) => search(keeper, mount),
                Err(why) => {
                    assert!(!crate::required(), "no ext4 image can be mounted: {why}");
                    println!("residue: SKIPPED: no ext4 image can be mounted: {why}");
                    return;
                }
            }
        }
    }
}
