//! A search of bytes for the store's own secrets, and for texts of the caller.
//!
//! Invariants: secrets are lent to the search and come out of it as a kind, a place and a length. They are wiped when it is
//! dropped. A search that would not find what it looks for is not handed out.

use std::io::{self, Read};

use batpak_crypto::{Found, SecretKind, SecretSearch, SecretSet};
use batpak_format::KeyId;
use batpak_keyset::{IMAGE_LOCAL_SECRET_AT, IMAGE_MAGIC, ProviderKind};
use zeroize::Zeroizing;

use crate::{Query, ReadError, Store, keys::Keys, sync::lock};

/// Bytes that are read at once.
const BLOCK_BYTES: usize = 1 << 20;

/// The longest text that is searched for, in bytes.
pub const CANARY_BYTES_MAX: usize = 64 * 1024;

/// How many secrets are searched for, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeakSecrets {
    /// Root secrets: one, or none without keys.
    pub root_secrets: u64,
    /// Keys of blobs in extents.
    pub keks: u64,
    /// Nodes of key trees, down to the leaf of each key in use.
    pub nodes: u64,
    /// Payload keys that an event of the log names and the keyset derives.
    pub payload_keys: u64,
    /// Texts of the caller.
    pub texts: u64,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeakHit {
    /// Of which kind; a text by its number among those given, the control by [`LeakSearch::CONTROL`].
    pub kind: SecretKind,
    /// Where it begins, in bytes from the first of the input.
    pub offset: u64,
    /// Its bytes; a part of a longer one has 16 at least.
    pub bytes: usize,
    /// Whether it is whole.
    pub whole: bool,
    /// It is the root secret where `Local` keeps it, in an image of the keyset: what that provider does, and no leak.
    pub expected: bool,
}

/// Why a search could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeakError {
    /// A text is too long.
    #[error("a canary has {bytes} bytes, at most {CANARY_BYTES_MAX} are searched for: take a piece of it")]
    CanaryTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A text is too short, or one byte over and over: anything may hold it.
    #[error(
        "a canary needs at least 8 bytes in a row that are not all the same: take one that stands nowhere by chance"
    )]
    CanaryTooPlain,
    /// The source of randomness failed.
    #[error(transparent)]
    Entropy(#[from] batpak_crypto::EntropyError),
    /// The keys in use could not be listed.
    #[error("the events could not be read")]
    Read(#[from] ReadError),
    /// The search misses something that it was given.
    #[error("the search does not find a planted secret, so what it does not find says nothing")]
    Blind,
}

/// Searches bytes; see [`Store::leak_search`].
#[derive(Debug)]
pub struct LeakSearch {
    search: SecretSearch,
    secrets: LeakSecrets,
    control: [u8; 32],
    local: bool,
}

impl Store {
    /// Makes a search for these texts and for every secret of the store that this process can derive: the root secret, the keys of
    /// extents, all nodes, and the payload key of every event whose key is not destroyed. In a plaintext store, or without keys, for
    /// the texts alone.
    ///
    /// Secrets are found as the bytes that they are; texts in every form in which the caller gives them.
    ///
    /// # Errors
    /// [`LeakError`].
    pub fn leak_search(&self, texts: &[&[u8]]) -> Result<LeakSearch, LeakError> {
        let mut set = SecretSet::new();
        for (text, number) in texts.iter().zip(0..) {
            if text.len() > CANARY_BYTES_MAX {
                return Err(LeakError::CanaryTooLong { bytes: text.len() });
            }
            if !set.add_text(number, text) {
                return Err(LeakError::CanaryTooPlain);
            }
        }
        if let Some(keys) = self.keys() {
            self.add_secrets(keys, &mut set)?;
        }
        let mut control = [0; 32];
        self.config.entropy.fill(&mut control)?;
        let secrets = LeakSecrets {
            root_secrets: set.count(SecretKind::RootSecret),
            keks: set.count(SecretKind::Kek),
            nodes: set.count(SecretKind::Node),
            payload_keys: set.count(SecretKind::PayloadKey),
            texts: texts.len() as u64,
        };
        set.add_text(LeakSearch::CONTROL_NUMBER, &control);
        let search = set.search();
        if search.missed().is_some() {
            return Err(LeakError::Blind);
        }
        Ok(LeakSearch { search, secrets, control, local: self.info.provider == Some(ProviderKind::Local) })
    }

    fn add_secrets(&self, keys: &Keys, set: &mut SecretSet) -> Result<(), ReadError> {
        let in_use = self.keys_named()?;
        let state = lock(&keys.state);
        set.add_root_secret(&state.root);
        state.keyset.add_secrets(set);
        state.keyset.add_keys(&in_use, set);
        Ok(())
    }

    /// The ids of all keys that events name, sorted, each once.
    pub(crate) fn keys_named(&self) -> Result<Vec<KeyId>, ReadError> {
        let mut ids: Vec<KeyId> = Vec::new();
        for event in self.read(&Query::all().headers_only(true))? {
            ids.extend(event?.header.encryption.map(|encryption| encryption.key_id));
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

impl LeakSearch {
    const CONTROL_NUMBER: u32 = u32::MAX;
    /// The kind of the control.
    pub const CONTROL: SecretKind = SecretKind::Text(Self::CONTROL_NUMBER);

    /// Returns how many secrets are searched for.
    #[must_use]
    pub const fn secrets(&self) -> LeakSecrets {
        self.secrets
    }

    /// Returns random bytes that are searched for as well and are worth nothing: planted somewhere, they show that a search reaches
    /// there.
    #[must_use]
    pub const fn control(&self) -> &[u8; 32] {
        &self.control
    }

    /// Searches an input from its first byte to its last, and returns how many bytes it had.
    ///
    /// # Errors
    /// What the input says.
    pub fn search(&self, input: &mut dyn Read, found: &mut dyn FnMut(LeakHit)) -> io::Result<u64> {
        let (before, behind) = (SecretSearch::BEFORE, self.search.behind());
        let mut window = Zeroizing::new(vec![0; before + BLOCK_BYTES + behind]);
        // The window holds `filled` bytes, the first of which stands at `base` of the input; from `next` on they are not searched yet.
        let (mut base, mut filled, mut next) = (0_u64, 0, 0);
        let mut is_image = false;
        loop {
            let ended = fill(input, &mut window, &mut filled)?;
            if base == 0 {
                is_image = window[..filled].starts_with(&IMAGE_MAGIC);
            }
            let end = if ended { filled } else { filled - behind };
            self.search.find(&window[..filled], next..end, &mut |hit| found(self.hit(hit, base, is_image)));
            if ended {
                return Ok(base + filled as u64);
            }
            let start = end.saturating_sub(before);
            window.copy_within(start..filled, 0);
            (base, filled, next) = (base + start as u64, filled - start, end - start);
        }
    }

    fn hit(&self, found: Found, base: u64, is_image: bool) -> LeakHit {
        let offset = base + found.at as u64;
        let is_kept = self.local && is_image && found.kind == SecretKind::RootSecret;
        let expected = is_kept && found.whole && offset == IMAGE_LOCAL_SECRET_AT as u64;
        LeakHit { kind: found.kind, offset, bytes: found.len, whole: found.whole, expected }
    }
}

/// Fills the window as far as the input goes; says whether it has ended.
fn fill(input: &mut dyn Read, window: &mut [u8], filled: &mut usize) -> io::Result<bool> {
    while *filled < window.len() {
        match input.read(&mut window[*filled..]) {
            Ok(0) => return Ok(true),
            Ok(read) => *filled += read,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(false)
}

#[cfg(all(test, not(loom)))]
mod tests;
