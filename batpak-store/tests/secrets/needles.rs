//! The secrets that the child must not keep, by name: derived here from what it drew, and with nothing but BLAKE3 and argon2id.

use batpak_store::{
    crypto::{
        Tree,
        passphrase::{Argon2Params, derive},
    },
    format::StoreId,
};
use zeroize::Zeroizing;

use crate::{search::Stage, seeded::Seeded, subject::Keeper};

/// The cheapest parameters that are allowed.
pub const PARAMS: Argon2Params = Argon2Params { m_kib: 8 << 10, t: 1, p: 1 };
pub const PASSPHRASE: &[u8] = b"correct horse battery staple";

const LEAF_CONTEXT: &str = "batpak v1 payload key and key commitment of a leaf";
const ROOT_CONTEXT: &str = "batpak v1 root secret, key of the body of a keyset image";
const DEPTH: u32 = 4;
/// The key ids of the first page.
const PAGE_1: u64 = 1 << 24;

/// Secrets and their names.
pub struct Needles(pub Vec<(String, [u8; 32])>);

impl Needles {
    /// What is secret by the time of a stage.
    pub fn of(keeper: Keeper, stage: &Stage) -> Self {
        let source = Seeded::new(stage.seed);
        // In order: the first root secret, the root of the first page, the second root secret, and so on.
        let secrets: Vec<(u64, [u8; 32])> = (stage.draws.iter().filter(|(_, len)| *len == 32))
            .map(|(draw, len)| (*draw, source.draw(*draw, *len).try_into().unwrap()))
            .collect();
        let mut needles = Self(Vec::new());
        let (first, page, second) = (secrets[0], secrets[1].1, secrets.get(2));
        for (n, (draw, secret)) in [Some(&first), second].into_iter().flatten().enumerate() {
            // With a passphrase it is the rotating part in the key file; its salt was drawn two draws before it.
            let root = match keeper {
                Keeper::PassphraseKeyFile => needles.add_mixed(n + 1, &source.draw(draw - 2, 16), secret),
                Keeper::KeyFile | Keeper::Local => *secret,
            };
            needles.add(&format!("root secret {}", n + 1), root);
            needles.add(&format!("cipher's key of root secret {}", n + 1), blake3::derive_key(ROOT_CONTEXT, &root));
        }
        needles.add_page(&page, stage.store);
        for (draw, secret) in secrets.iter().skip(3) {
            needles.add(&format!("drawn secret {draw}"), *secret);
        }
        needles
    }

    /// Whether what has this name is above the victim's key, or sealed the image that held it.
    pub fn dies_in_the_shred(&self, name: &str) -> bool {
        name.starts_with("victim's") || name == "page 1" || name.contains("secret 1")
    }

    fn add(&mut self, name: &str, secret: [u8; 32]) {
        self.0.push((name.to_owned(), secret));
    }

    /// Adds the rotating part and the output of argon2id, and returns the root secret that both make.
    fn add_mixed(&mut self, n: usize, salt: &[u8], part: &[u8; 32]) -> [u8; 32] {
        let argon2 = derive(PASSPHRASE, salt.try_into().unwrap(), &PARAMS).unwrap();
        self.add(&format!("rotating part of secret {n}"), *part);
        self.add(&format!("argon2id of secret {n}"), *argon2.expose());
        *blake3::keyed_hash(argon2.expose(), part).as_bytes()
    }

    /// The nodes above the leaves 0, the victim's, and 1, the survivor's.
    fn add_page(&mut self, root: &[u8; 32], store: StoreId) {
        self.add("page 1", *root);
        let mut above = *root;
        for level in 1..=DEPTH {
            let [node, sibling] = children(&above, level);
            if level < DEPTH {
                self.add(&format!("victim's node {level}"), node);
                if level == 1 {
                    self.add("a sibling of the victim", sibling);
                }
            } else {
                let derived =
                    [self.add_leaf("victim's", &node, store, 0), self.add_leaf("survivor's", &sibling, store, 1)];
                // The control of the derivation: what it makes public is what the library makes public.
                let tree = Tree::from_root(Tree::DEPTH, &Zeroizing::new(*root)).unwrap();
                let public = [0, 1]
                    .map(|leaf| *tree.key(leaf, store.as_bytes(), PAGE_1 | u64::from(leaf)).unwrap().1.as_bytes());
                assert_eq!(derived, public);
            }
            above = node;
        }
    }

    /// Adds a leaf and its key, and returns the commitment to it.
    fn add_leaf(&mut self, whose: &str, leaf: &[u8; 32], store: StoreId, number: u64) -> [u8; 32] {
        self.add(&format!("{whose} leaf"), *leaf);
        let mut hasher = blake3::Hasher::new_derive_key(LEAF_CONTEXT);
        hasher.update(leaf).update(store.as_bytes()).update(&(PAGE_1 | number).to_le_bytes());
        let mut block = [0; 64];
        hasher.finalize_xof().fill(&mut block);
        let (key, commitment) = block.split_at(32);
        self.add(&format!("{whose} key"), key.try_into().unwrap());
        commitment.try_into().unwrap()
    }
}

/// The first two children of a node.
fn children(node: &[u8; 32], level: u32) -> [[u8; 32]; 2] {
    let mut block = [0; 64];
    let label = format!("batpak v1 key tree, level {level}");
    blake3::Hasher::new_keyed(node).update(label.as_bytes()).finalize_xof().fill(&mut block);
    let (first, second) = block.split_at(32);
    [first.try_into().unwrap(), second.try_into().unwrap()]
}
