//! Root secrets from a passphrase, with argon2id (RFC 9106).
//!
//! The parameters are checked against a floor and a cap before any memory is taken, so a hostile header costs
//! nothing; memory and intermediate values are wiped.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::{Zeroizing, zeroize_stack};

use crate::secret::Secret;
use crate::{PassphraseError, RootSecret};

/// The version of argon2 that is used, as a header states it.
pub const ARGON2_VERSION: u32 = 0x13;

/// Bytes of the salt.
pub const SALT_LEN: usize = 16;

/// The longest passphrase, in bytes.
pub const PASSPHRASE_BYTES_MAX: usize = 4096;

/// Bytes of stack that argon2id leaves behind at most.
const STACK_BYTES: usize = 128 << 10;

const M_KIB_MIN: u32 = 8 << 10;
const M_KIB_MAX: u32 = 4 << 20;
const T_MAX: u32 = 64;
const P_MAX: u32 = 16;

/// What argon2id costs. Public values: they stand in clear in the header of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Params {
    /// Memory in KiB: 8 MiB to 4 GiB.
    pub m_kib: u32,
    /// Passes over the memory: 1 to 64.
    pub t: u32,
    /// Parallelism: 1 to 16. It changes the secret; the work is done by one thread.
    pub p: u32,
}

impl Default for Argon2Params {
    /// 64 MiB, three passes, no parallelism.
    fn default() -> Self {
        Self { m_kib: 64 << 10, t: 3, p: 1 }
    }
}

impl Argon2Params {
    /// Checks the floors and the caps.
    ///
    /// # Errors
    /// [`PassphraseError::MemoryOutOfRange`], [`PassphraseError::PassesOutOfRange`] or
    /// [`PassphraseError::ParallelismOutOfRange`], the first that applies.
    pub fn check(&self) -> Result<(), PassphraseError> {
        let Self { m_kib, t, p } = *self;
        if !(M_KIB_MIN..=M_KIB_MAX).contains(&m_kib) {
            return Err(PassphraseError::MemoryOutOfRange { m_kib });
        }
        if !(1..=T_MAX).contains(&t) {
            return Err(PassphraseError::PassesOutOfRange { t });
        }
        if !(1..=P_MAX).contains(&p) {
            return Err(PassphraseError::ParallelismOutOfRange { p });
        }
        Ok(())
    }
}

/// Derives a root secret from a passphrase: argon2id, version 0x13, 32 bytes. It takes `m_kib` of memory and, with the
/// default parameters, some tenths of a second.
///
/// # Errors
/// The errors of [`Argon2Params::check`]; [`PassphraseError::Length`] for a passphrase that is empty or too long;
/// [`PassphraseError::MemoryUnavailable`] when the memory cannot be had; [`PassphraseError::Refused`] when the backend
/// fails.
pub fn derive(passphrase: &[u8], salt: &[u8; SALT_LEN], params: &Argon2Params) -> Result<RootSecret, PassphraseError> {
    params.check()?;
    if !(1..=PASSPHRASE_BYTES_MAX).contains(&passphrase.len()) {
        return Err(PassphraseError::Length { bytes: passphrase.len() });
    }
    let secret = run(passphrase, salt, params);
    zeroize_stack::<STACK_BYTES>();
    secret.map(RootSecret::from_secret)
}

/// Kept out of its caller, so that all of its stack lies below: the backend leaves copies of the result there.
#[inline(never)]
fn run(passphrase: &[u8], salt: &[u8; SALT_LEN], params: &Argon2Params) -> Result<Secret, PassphraseError> {
    let Argon2Params { m_kib, t, p } = *params;
    let argon2_params = Params::new(m_kib, t, p, Some(32)).map_err(|_| PassphraseError::Refused)?;
    let mut memory = Zeroizing::new(Vec::new());
    memory.try_reserve_exact(argon2_params.block_count()).map_err(|_| PassphraseError::MemoryUnavailable { m_kib })?;
    memory.resize(argon2_params.block_count(), Block::default());
    let mut secret = Secret::zeroed();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, argon2_params)
        .hash_password_into_with_memory(passphrase, salt, secret.bytes_mut(), memory.as_mut_slice())
        .map_err(|_| PassphraseError::Refused)?;
    Ok(secret)
}
