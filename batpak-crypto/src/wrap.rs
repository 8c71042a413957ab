//! Sealing under a root secret, and under the key of an extent.
//!
//! A secret never keys the cipher itself: the cipher's key is BLAKE3 `derive_key` of it, under a context of its own for
//! each type, so that no secret is good for two things.

use core::fmt;

use blake3::hazmat::hash_derive_key_context;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::expand::Expand;
use crate::secret::Secret;
use crate::{Aead, DefaultAead, Entropy, EntropyError, Nonce, OpenFailed, SealFailed, TAG_LEN, hex};

const ROOT_CONTEXT: &str = "batpak v1 root secret, key of the body of a keyset image";
const KEK_CONTEXT: &str = "batpak v1 key of an extent, key of its body";

mod sealed {
    /// Keeps [`BodyKey`](super::BodyKey) to the types of this module.
    pub trait Parts {
        const CONTEXT: &'static str;
        fn bytes(&self) -> &[u8; 32];
    }
}

/// What a body is sealed under: a [`RootSecret`] or a [`Kek`].
pub trait BodyKey: sealed::Parts {}

/// The secret that a keyset image is sealed under, from a provider. 32 bytes at one place on the heap, wiped on drop.
pub struct RootSecret(Secret);

/// The key of one extent, which stands in the sealed image. 32 bytes at one place on the heap, wiped on drop.
pub struct Kek(Secret);

macro_rules! secret_type {
    ($name:ident, $context:expr) => {
        impl $name {
            /// Takes the bytes.
            #[must_use]
            pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
                Self(Secret::copied(bytes.as_slice()))
            }

            /// Draws 32 random bytes.
            ///
            /// # Errors
            /// [`EntropyError`] when the source fails.
            pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
                let mut secret = Secret::zeroed();
                entropy.fill(secret.bytes_mut())?;
                Ok(Self(secret))
            }

            /// Shows the secret bytes, for whoever must store them: a provider, or a sealed image. A copy made of them
            /// is the caller's to wipe.
            #[must_use]
            pub fn expose(&self) -> &[u8; 32] {
                self.0.bytes()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl ZeroizeOnDrop for $name {}

        impl sealed::Parts for $name {
            const CONTEXT: &'static str = $context;

            fn bytes(&self) -> &[u8; 32] {
                self.0.bytes()
            }
        }

        impl BodyKey for $name {}
    };
}

secret_type!(RootSecret, ROOT_CONTEXT);
secret_type!(Kek, KEK_CONTEXT);

impl RootSecret {
    /// Makes the root secret of a passphrase with a key file: BLAKE3 keyed by `self`, the output of argon2id, over the
    /// rotating part of the file. Without that part an old image stays closed, whoever knows the passphrase.
    #[must_use]
    pub fn mix(&self, rotating: &[u8; 32]) -> Self {
        Self(Expand::scope(|expand| Secret::copied(&expand.keyed(self.0.bytes(), rotating, 0)[..32])))
    }

    #[cfg(feature = "passphrase")]
    pub(crate) fn from_secret(secret: Secret) -> Self {
        Self(secret)
    }
}

/// Names a root secret; public, random, 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretId([u8; 16]);

impl SecretId {
    /// Draws a fresh id.
    ///
    /// # Errors
    /// [`EntropyError`] when the source fails.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Takes the bytes as they stand in a header.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

/// Seals a body and returns the ciphertext with its 16-byte tag behind it. The plaintext is wiped.
///
/// # Errors
/// [`SealFailed`] when the AEAD refuses the message.
pub fn seal_body<K: BodyKey>(
    key: &K,
    nonce: &Nonce,
    aad: &[u8],
    mut plaintext: Zeroizing<Vec<u8>>,
) -> Result<Vec<u8>, SealFailed> {
    let tag = DefaultAead::seal_in_place(cipher_key(key).bytes(), nonce, aad, &mut plaintext)?;
    let mut sealed = Vec::with_capacity(plaintext.len() + TAG_LEN);
    sealed.extend_from_slice(&plaintext);
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens what [`seal_body`] made.
///
/// # Errors
/// [`OpenFailed`] when the bytes are not what was sealed under this key, nonce and AAD.
pub fn open_body<K: BodyKey>(
    key: &K,
    nonce: &Nonce,
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenFailed> {
    let (body, tag) = ciphertext.split_last_chunk::<TAG_LEN>().ok_or(OpenFailed)?;
    let mut plaintext = Zeroizing::new(body.to_vec());
    DefaultAead::open_in_place(cipher_key(key).bytes(), nonce, aad, &mut plaintext, tag)?;
    Ok(plaintext)
}

fn cipher_key<K: BodyKey>(key: &K) -> Secret {
    let context_key = hash_derive_key_context(K::CONTEXT);
    Expand::scope(|expand| Secret::copied(&expand.derived(&context_key, &[key.bytes()])[..32]))
}
