//! Payload keys, the punctured key tree and the sealing of the batpak event store.
//!
//! You probably want `batpak-store`: it seals every payload for you, keeps the keys durable before anything is
//! sealed under them, and destroys them on request. This crate is the part of it that only a key holder can do. It
//! does no I/O, starts no thread and holds no lock; the one thing it asks of the machine is random bytes, through
//! [`Entropy`].
//!
//! Start from [`Tree`]: a page of 4,096 keys that costs 32 random bytes. [`Tree::key`] derives the [`PayloadKey`] of a
//! leaf, and [`Tree::punctured`] makes a tree that derives every leaf but the ones named. Whoever holds only the
//! punctured tree cannot open what was sealed under a destroyed leaf.
//!
//! ```
//! use batpak_crypto::{Nonce, OsEntropy, Tree, TreeError};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = [7; 16];
//! let page = Tree::generate(Tree::DEPTH, &OsEntropy)?;
//! let (key, _commitment) = page.key(3, &store, 3)?;
//!
//! let nonce = Nonce::generate(&OsEntropy)?;
//! let mut payload = *b"whoever it was";
//! let tag = key.seal(&nonce, b"bound to this", &mut payload)?;
//! key.open(&nonce, b"bound to this", &mut payload, &tag)?;
//! assert_eq!(&payload, b"whoever it was");
//!
//! let after = page.punctured([3])?;
//! assert!(matches!(after.leaf(3), Err(TreeError::Destroyed { leaf: 3 })));
//! assert!(after.leaf(4).is_ok());
//! # Ok(())
//! # }
//! ```
//!
//! Secret types ([`PayloadKey`], [`Leaf`], [`Node`], [`Tree`], [`TreeCursor`], [`RootSecret`], [`Kek`]) cannot be
//! cloned, compared or printed, and wipe themselves when they are dropped; the stack that a derivation used is wiped
//! too. Registers, swap and core dumps are the machine's.
#![forbid(unsafe_code)]

mod aead;
mod cursor;
mod error;
mod expand;
mod frontier;
#[cfg(feature = "ring")]
mod hchacha;
mod hex;
mod key;
mod leaf;
#[cfg(doctest)]
mod misuse;
mod node;
mod nonce;
#[cfg(feature = "passphrase")]
pub mod passphrase;
mod random;
#[cfg(feature = "ring")]
mod ring_backend;
mod secret;
mod secret_search;
mod secret_set;
mod stack;
mod subtree;
mod tree;
mod wrap;

pub use aead::{Aead, DefaultAead, Portable, TAG_LEN, Tag};
pub use cursor::TreeCursor;
#[cfg(feature = "passphrase")]
pub use error::PassphraseError;
pub use error::{EntropyError, FrontierDefect, OpenFailed, SealFailed, TreeError};
pub use frontier::FRONTIER_ENTRY_LEN;
pub use key::{KeyCommitment, KeyRoom, PayloadKey};
pub use leaf::Leaf;
pub use node::Node;
pub use nonce::{NONCE_LEN, NONCES_BUFFERED_MAX, Nonce, NonceBuffer, NonceMode};
pub use random::{Entropy, OsEntropy};
#[cfg(feature = "ring")]
pub use ring_backend::Ring;
pub use secret_search::{Found, SecretSearch};
pub use secret_set::{SecretKind, SecretSet};
pub use subtree::Subtree;
pub use tree::Tree;
pub use wrap::{BodyKey, Kek, RootSecret, SecretId, open_body, seal_body};
