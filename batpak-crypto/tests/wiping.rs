//! After a drop, the bytes of a secret are nowhere in the memory of the process.
//!
//! Each test reads the memory of its own process through `/proc/self/mem`, freed blocks and dead stack frames included,
//! and searches it for secret bytes that it knows only under a mask. Each search has a control: a secret that lives is
//! found, and so is a copy that was freed and not wiped.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail where tests may")]

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use batpak_crypto::{Entropy, EntropyError, Kek, Nonce, RootSecret, Tree, TreeCursor, open_body, seal_body};
use zeroize::Zeroizing;

const VECTORS: &str = include_str!("vectors/tree.txt");
const STORE: [u8; 16] =
    [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf];
const NONCE: Nonce = Nonce::from_bytes([0x24; 24]);

/// HChaCha20 of the first `key` of the vectors and the first 16 bytes of [`NONCE`]: what the cipher itself runs under.
const SUBKEY: &str = "bcf39f1783bbca68b236c6cec18832c53a99daaa04cd08cab7ec57b7f59407f8";

/// Changes every byte, so that a masked secret is not found for itself.
const MASK: u8 = 0xC6;

/// The bytes of a secret that are searched for: the second half, since the allocator writes its own pointers over the
/// beginning of a freed block.
const WINDOW_BYTES: usize = 16;

/// Bytes of memory looked at as one.
const BLOCK_BYTES: usize = 64;

/// Thirty-two bytes that the test never writes in clear but where they are asked for.
#[derive(Clone, Copy)]
struct Masked([u8; 32]);

impl Masked {
    /// The first value of this name in the vectors, which are hex and not the bytes.
    fn vector(name: &str) -> Self {
        Self::hex(VECTORS.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim())
    }

    fn hex(hex: &str) -> Self {
        let digit = |at: usize| (hex.as_bytes()[at] as char).to_digit(16).unwrap() as u8;
        Self(core::array::from_fn(|at| (digit(2 * at) << 4 | digit(2 * at + 1)) ^ MASK))
    }

    /// The halves changed over, to search for the first one.
    fn swapped(self) -> Self {
        Self(core::array::from_fn(|at| self.0[(at + 16) % 32]))
    }

    fn is_at(&self, bytes: &[u8]) -> bool {
        let window = &self.0[32 - WINDOW_BYTES..];
        bytes.len() >= WINDOW_BYTES && bytes.iter().zip(window).all(|(byte, masked)| byte ^ MASK == *masked)
    }

    /// How often the secret stands in these bytes, from an offset below `end` on. A block without its first byte is
    /// passed over.
    fn count_in(&self, bytes: &[u8], end: usize) -> usize {
        let first = self.0[32 - WINDOW_BYTES] ^ MASK;
        let mut count = 0;
        for start in (0..end).step_by(BLOCK_BYTES) {
            let block_end = (start + BLOCK_BYTES).min(end);
            if bytes[start..block_end].contains(&first) {
                count += (start..block_end).filter(|at| self.is_at(&bytes[*at..])).count();
            }
        }
        count
    }
}

/// Searches the memory of this process. It allocates nothing while it does, or it would overwrite the freed blocks that
/// it is to find something in.
struct Search {
    maps: Vec<u8>,
    piece: Vec<u8>,
    _turn: MutexGuard<'static, ()>,
}

impl Search {
    /// Waits for its turn: the tests share their secrets.
    fn new() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Self { maps: vec![0; 256 << 10], piece: vec![0; 1 << 20], _turn: turn }
    }

    /// How often each secret stands in the writable memory of this process.
    fn found<const N: usize>(&mut self, secrets: [Masked; N]) -> [usize; N] {
        let mut counts = [0; N];
        let mut maps = File::open("/proc/self/maps").unwrap();
        let mut len = 0;
        while let read @ 1.. = maps.read(&mut self.maps[len..]).unwrap() {
            len += read;
        }
        assert!(len < self.maps.len());
        let memory = File::open("/proc/self/mem").unwrap();
        for line in std::str::from_utf8(&self.maps[..len]).unwrap().lines() {
            let (range, rest) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            if rest.starts_with("rw") {
                let range = u64::from_str_radix(start, 16).unwrap()..u64::from_str_radix(end, 16).unwrap();
                count_in_range(&memory, range, &mut self.piece, &secrets, &mut counts);
            }
        }
        counts
    }
}

/// Adds what is found in one range of memory, piece by piece.
fn count_in_range(memory: &File, range: Range<u64>, piece: &mut [u8], secrets: &[Masked], counts: &mut [usize]) {
    let own = piece.as_ptr() as u64..piece.as_ptr() as u64 + piece.len() as u64;
    let mut at = range.start;
    while at < range.end {
        let wanted = piece.len().min((range.end - at) as usize);
        let Ok(read @ 1..) = memory.read_at(&mut piece[..wanted], at) else { return };
        // The piece itself holds copies of what it was read from.
        let within = |address: u64| address.saturating_sub(at).min(read as u64) as usize;
        piece[within(own.start)..within(own.end)].fill(0);
        let last = at + read as u64 == range.end;
        // The next piece begins where it can still hold a secret that this one cuts.
        let searched = if last { read } else { read.saturating_sub(WINDOW_BYTES - 1).max(1) };
        for (secret, count) in secrets.iter().zip(counts.iter_mut()) {
            *count += secret.count_in(&piece[..read], searched);
        }
        piece[..read].fill(0);
        at += searched as u64;
    }
}

/// Writes the bytes in clear where they are asked for, and nowhere else.
impl Entropy for Masked {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        for (out, masked) in out.iter_mut().zip(self.0) {
            *out = masked ^ MASK;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Masked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masked")
    }
}

#[test]
fn search_finds_a_copy_that_was_freed_and_not_wiped() {
    let mut search = Search::new();
    // A value of its own: it stays where it was freed while other tests run.
    let secret = Masked::hex("1d6a05c2f97be4308852d3ae9c417fb60ee1582b34c7907dfa13a86e45bc29d0");
    assert_eq!(search.found([secret]), [0]);
    let mut copy = Box::new([0; 32]);
    secret.fill(black_box(&mut *copy)).unwrap();
    assert_eq!(search.found([secret]), [1]);
    drop(copy);
    assert_eq!(search.found([secret]), [1]);
}

#[test]
fn search_finds_a_copy_at_any_offset() {
    let mut search = Search::new();
    let secret = Masked::hex("73d0c81f5eb2a6490d34e7912cfb688a055f93be7a41dc26b80ce9571438f2a6");
    let mut place = vec![0; 4096];
    for at in 1000..1070 {
        secret.fill(black_box(&mut place[at..at + 32])).unwrap();
        assert_eq!(search.found([secret]), [1], "{at}");
        black_box(&mut place).fill(0);
    }
    assert_eq!(search.found([secret]), [0]);
}

#[test]
fn tree_wipes_its_root_and_leaves_no_inner_node() {
    let mut search = Search::new();
    let root = Masked::vector("root ");
    let inner = ["node 1 ", "node 2 ", "node 3 ", "secret "].map(Masked::vector);
    let tree = Tree::generate(Tree::DEPTH, &root).unwrap();
    assert_eq!(search.found([root]), [1]);
    let key = tree.key(0, &STORE, 0).unwrap();
    assert_eq!(search.found(inner), [0; 4]);
    drop(key);
    drop(tree);
    assert_eq!(search.found([root]), [0]);
}

#[test]
fn punctured_tree_holds_what_is_left_and_wipes_it() {
    let mut search = Search::new();
    let root = Masked::vector("root ");
    let inner = ["node 1 ", "node 2 ", "node 3 ", "secret "].map(Masked::vector);
    let tree = Tree::generate(Tree::DEPTH, &root).unwrap();
    // Leaf 7 is a sibling of leaf 0, so that leaf 0 is in the frontier and every node above it is not.
    let punctured = tree.punctured([7]).unwrap();
    drop(tree);
    assert_eq!(search.found([root]), [0]);
    assert_eq!(search.found(inner), [0, 0, 0, 1]);

    let mut encoded = Zeroizing::new(Vec::with_capacity(8));
    let mut behind = Vec::with_capacity(3);
    for count in 1..=3 {
        // The vector grows each time, and what it held before is wiped.
        punctured.encode_frontier(&mut encoded);
        assert_eq!(search.found(inner), [0, 0, 0, 1 + count]);
        // It cannot grow where it stands.
        behind.push(black_box(vec![0_u8; 8 << 10]));
    }
    let decoded = Tree::decode_frontier(Tree::DEPTH, &encoded[..punctured.frontier_bytes()]).unwrap();
    assert_eq!(search.found(inner), [0, 0, 0, 5]);
    drop((encoded, decoded, punctured));
    assert_eq!(search.found(inner), [0; 4]);
}

#[test]
fn leaf_and_payload_key_wipe_themselves() {
    let mut search = Search::new();
    let both = ["secret ", "key "].map(Masked::vector);
    let tree = Tree::generate(Tree::DEPTH, &Masked::vector("root ")).unwrap();
    let leaf = tree.leaf(0).unwrap();
    assert_eq!(search.found(both), [1, 0]);
    let (key, _) = leaf.derive(&STORE, 0);
    assert_eq!(search.found(both), [1, 1]);
    drop(leaf);
    assert_eq!(search.found(both), [0, 1]);

    let mut buffer = [0x5A; 300];
    let tag = key.seal(&NONCE, b"aad", &mut buffer).unwrap();
    key.open(&NONCE, b"aad", &mut buffer, &tag).unwrap();
    assert!(key.open(&NONCE, b"other", &mut buffer, &tag).is_err());
    // Moving a key moves a pointer.
    let moved = vec![Some(key)];
    assert_eq!(search.found(both), [0, 1]);
    drop(moved);
    assert_eq!(search.found(both), [0, 0]);
}

#[test]
fn sealing_and_opening_leave_neither_key_nor_subkey() {
    let mut search = Search::new();
    let [key, subkey] = [Masked::vector("key "), Masked::hex(SUBKEY)];
    let secrets = [key, key.swapped(), subkey, subkey.swapped()];
    let tree = Tree::generate(Tree::DEPTH, &Masked::vector("root ")).unwrap();
    let (payload_key, _) = tree.leaf(0).unwrap().derive(&STORE, 0);
    let mut buffer = vec![0x5A; 5_000];
    // The cipher takes other ways for other lengths.
    for len in [0, 1, 60, 64, 200, 256, 300, 1_000, 5_000] {
        let tag = payload_key.seal(&NONCE, b"aad", &mut buffer[..len]).unwrap();
        assert_eq!(search.found(secrets), [1, 1, 0, 0], "sealed {len}");
        payload_key.open(&NONCE, b"aad", &mut buffer[..len], &tag).unwrap();
        assert_eq!(search.found(secrets), [1, 1, 0, 0], "opened {len}");
        assert!(payload_key.open(&NONCE, b"other", &mut buffer[..len], &tag).is_err());
        assert_eq!(search.found(secrets), [1, 1, 0, 0], "refused {len}");
    }
    drop(payload_key);
    assert_eq!(search.found(secrets), [0; 4]);
}

#[test]
fn cursor_wipes_its_path() {
    let mut search = Search::new();
    let path = ["node 1 ", "node 2 ", "node 3 ", "secret ", "key "].map(Masked::vector);
    let tree = Tree::generate(Tree::DEPTH, &Masked::vector("root ")).unwrap();
    let mut cursor = TreeCursor::new();
    drop(cursor.key(&tree, 0, &STORE, 0).unwrap());
    assert_eq!(search.found(path), [1, 1, 1, 0, 0]);
    cursor.clear();
    assert_eq!(search.found(path), [0; 5]);

    drop(cursor.leaf(&tree, 0).unwrap());
    assert_eq!(search.found(path), [1, 1, 1, 0, 0]);
    drop(cursor);
    assert_eq!(search.found(path), [0; 5]);
}

#[test]
fn root_secret_wipes_itself_and_the_plaintext_it_sealed() {
    let mut search = Search::new();
    let both = ["root ", "secret "].map(Masked::vector);
    let root = RootSecret::generate(&both[0]).unwrap();
    let mut plaintext = Zeroizing::new(vec![0; 4096]);
    both[1].fill(&mut plaintext[1000..1032]).unwrap();
    assert_eq!(search.found(both), [1, 1]);
    let sealed = seal_body(&root, &NONCE, b"", plaintext).unwrap();
    assert_eq!(search.found(both), [1, 0]);
    let opened = open_body(&root, &NONCE, b"", &sealed).unwrap();
    assert_eq!(search.found(both), [1, 1]);
    drop(opened);
    let mixed = root.mix(&[1; 32]);
    assert_eq!(search.found(both), [1, 0]);
    drop((root, mixed));
    assert_eq!(search.found(both), [0, 0]);
}

#[test]
fn kek_wipes_itself() {
    let mut search = Search::new();
    let bytes = Masked::vector("root ");
    let kek = Kek::generate(&bytes).unwrap();
    let sealed = seal_body(&kek, &NONCE, b"", Zeroizing::new(vec![1; 100])).unwrap();
    assert!(open_body(&kek, &NONCE, b"", &sealed).is_ok());
    assert_eq!(search.found([bytes]), [1]);
    drop(kek);
    assert_eq!(search.found([bytes]), [0]);
}

#[cfg(feature = "passphrase")]
#[test]
fn secret_of_a_passphrase_wipes_itself() {
    use batpak_crypto::passphrase::{Argon2Params, derive};

    let mut search = Search::new();
    let bytes = Masked::hex("9aeef75313e585f492c33c5e12d82e9ad253b7dd78632d537e899cd4eddd789c");
    let salt = core::array::from_fn(|at| at as u8);
    let params = Argon2Params { m_kib: 8192, t: 1, p: 1 };
    let secret = derive(b"correct horse battery staple", &salt, &params).unwrap();
    assert_eq!(search.found([bytes]), [1]);
    drop(secret);
    assert_eq!(search.found([bytes]), [0]);
}
