//! Entropy sources for tests, and what follows when one fails.

use std::sync::atomic::{AtomicUsize, Ordering};

use batpak_crypto::{Entropy, EntropyError, Kek, Nonce, OsEntropy, RootSecret, SecretId, Tree, TreeError};

/// Gives bytes that never repeat within a test, for as many calls as it is allowed.
#[derive(Debug)]
pub struct Counting {
    calls: AtomicUsize,
    calls_max: usize,
    bytes: AtomicUsize,
}

impl Counting {
    pub fn new() -> Self {
        Self::failing_after(usize::MAX)
    }

    pub fn failing_after(calls_max: usize) -> Self {
        Self { calls: AtomicUsize::new(0), calls_max, bytes: AtomicUsize::new(0) }
    }

    /// Calls so far, refused ones too.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Bytes given so far.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Entropy for Counting {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        for (at, byte) in out.iter_mut().enumerate() {
            *byte = blake3::hash(&(call * 1_000_000 + at).to_le_bytes()).as_bytes()[0];
        }
        // A source that fails may have written before.
        if call >= self.calls_max {
            return Err(EntropyError::new(Some(5)));
        }
        self.bytes.fetch_add(out.len(), Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn failing_entropy_makes_no_secret_and_no_nonce() {
    let error = EntropyError::new(Some(5));
    let dead = Counting::failing_after(0);
    assert!(matches!(Tree::generate(4, &dead), Err(TreeError::Entropy(e)) if e == error));
    assert!(matches!(RootSecret::generate(&dead), Err(e) if e == error));
    assert!(matches!(Kek::generate(&dead), Err(e) if e == error));
    assert!(matches!(SecretId::generate(&dead), Err(e) if e == error));
    assert!(matches!(Nonce::generate(&dead), Err(e) if e == error));
    assert_eq!(dead.calls(), 5);
}

#[test]
fn entropy_error_keeps_the_code_of_the_operating_system() {
    assert_eq!(EntropyError::new(Some(5)).os_code(), Some(5));
    assert_eq!(EntropyError::default().os_code(), None);
    assert_eq!(EntropyError::new(Some(5)).to_string(), "the entropy source failed");
}

#[test]
fn secrets_are_drawn_in_one_call_of_their_size() {
    let source = Counting::new();
    let root = RootSecret::generate(&source).unwrap();
    let kek = Kek::generate(&source).unwrap();
    assert_ne!(root.expose(), kek.expose());
    assert_eq!((source.calls(), source.bytes()), (2, 64));
    SecretId::generate(&source).unwrap();
    Tree::generate(6, &source).unwrap();
    assert_eq!((source.calls(), source.bytes()), (4, 64 + 16 + 32));
}

#[test]
fn os_entropy_fills_every_byte() {
    // A byte that is never written stays zero in all 64 rounds; a random one does with probability 2^-512.
    let mut seen = [0; 384];
    for _ in 0..64 {
        let mut out = [0; 384];
        OsEntropy.fill(&mut out).unwrap();
        for (seen, byte) in seen.iter_mut().zip(out) {
            *seen |= byte;
        }
    }
    assert!(seen.iter().all(|byte| *byte != 0));
}
