//! Thirty-two secret bytes at one place on the heap.
//!
//! Moving the owner moves a pointer, so no copy is left behind on a stack, and the one copy there is gets wiped on
//! drop.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The bytes of a secret; never cloned, compared or printed.
pub(crate) struct Secret(Box<[u8; 32]>);

impl Secret {
    /// Makes a secret of zeros, to be filled in place.
    pub(crate) fn zeroed() -> Self {
        Self(Box::new([0; 32]))
    }

    /// Copies the 32 bytes in; the caller wipes its own copy.
    pub(crate) fn copied(bytes: &[u8]) -> Self {
        let mut secret = Self::zeroed();
        secret.0.copy_from_slice(bytes);
        secret
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }
}

impl Default for Secret {
    fn default() -> Self {
        Self::zeroed()
    }
}

impl Zeroize for Secret {
    fn zeroize(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_zeroizes_its_bytes() {
        let mut secret = Secret::copied(&[0xA5; 32]);
        assert_eq!(secret.bytes(), &[0xA5; 32]);
        secret.zeroize();
        assert_eq!(secret.bytes(), &[0; 32]);
    }
}
