//! What may be told of a store's keys: numbers, and never a secret.
//!
//! Invariant: it is made of plain values; no byte of a key, of a node or of a root secret is in it.

use batpak_crypto::SecretId;
use batpak_format::KeyId;
use batpak_keyset::{Granularity, PageState, ProviderKind};

use crate::{LastBackup, Pending, ReadError, Store, keyset_load::headers};

/// The keys of a store, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyReport {
    /// Which events share a key.
    pub granularity: Granularity,
    /// Who keeps the root secret.
    pub provider: ProviderKind,
    /// The epoch of the keyset that is loaded.
    pub epoch: u64,
    /// Position of the last shred intent that the keyset reflects.
    pub applied: Option<u64>,
    /// What `keyset.a` and `keyset.b` say of themselves; none for one that is missing or no image.
    pub copies: [Option<CopyReport>; 2],
    /// Pages, by number.
    pub pages: Vec<PageReport>,
    /// Extents that the keyset names.
    pub extents: Vec<ExtentReport>,
    /// What is begun and not finished; a reader sees a shred that is pending, and a rekey in the copies alone.
    pub pending: Option<Pending>,
    /// The copies are sealed under different root secrets: a shred or a rekey is under way, or was cut short, and the next open for
    /// writing finishes it.
    pub secret_moving: bool,
    /// The last backup.
    pub last_backup: Option<LastBackup>,
}

/// One copy of the keyset, as its plain header claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyReport {
    /// Its epoch.
    pub epoch: u64,
    /// The id of the root secret that it is sealed under; random, and no secret.
    pub secret_id: SecretId,
}

/// A page of keys, or a run of pages of which nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageReport {
    /// Its number, or that of the first of a run.
    pub number: u32,
    /// How many pages this is: 1, unless nothing is left of them.
    pub pages: u32,
    /// Keys of each page.
    pub keys: u32,
    /// Keys reserved so far.
    pub reserved: u32,
    /// Keys that events of the log name.
    pub named: u64,
    /// Keys destroyed, those never used too; none when the page cannot be read.
    pub destroyed: Option<u64>,
    /// Nodes of what is left; none when the page cannot be read.
    pub nodes: Option<u32>,
    /// Where they stand.
    pub state: PageState,
}

/// An extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtentReport {
    /// Its number.
    pub number: u64,
    /// Pages that stand in it.
    pub pages: u64,
}

impl Store {
    /// Returns what may be told of the store's keys; none in a plaintext store, or without keys. It reads the header of every event.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn key_report(&self) -> Result<Option<KeyReport>, ReadError> {
        let (Some(keys), Some(provider)) = (self.keys(), self.info.provider) else { return Ok(None) };
        let (pending, named) = (self.stats().pending, self.keys_named()?);
        let last_backup = self.last_backup();
        let copies = headers(&*self.config.disk, &self.dir)
            .map(|header| header.map(|header| CopyReport { epoch: header.epoch, secret_id: header.secret_id }));
        Ok(Some(keys.with_keyset(|keyset| {
            let pages: Vec<PageReport> = keyset
                .pages()
                .map(|page| PageReport {
                    number: page.first,
                    pages: page.count,
                    keys: page.leaves,
                    reserved: page.reserved,
                    named: named_within(&named, page.first, page.first + (page.count - 1)),
                    destroyed: page.leaves_left.map(|left| u64::from(page.leaves - left) * u64::from(page.count)),
                    nodes: page.nodes,
                    state: page.state,
                })
                .collect();
            let extents = keyset
                .extents()
                .map(|number| ExtentReport {
                    number,
                    pages: pages.iter().filter(|page| extent_of(page.state) == Some(number)).count() as u64,
                })
                .collect();
            KeyReport {
                granularity: keyset.granularity(),
                provider,
                epoch: keyset.epoch(),
                applied: keyset.applied(),
                copies,
                pages,
                extents,
                pending,
                secret_moving: matches!(copies, [Some(a), Some(b)] if a.secret_id != b.secret_id),
                last_backup,
            }
        })))
    }
}

/// How many of these keys, sorted, stand on pages in a range.
fn named_within(named: &[KeyId], first: u32, last: u32) -> u64 {
    let start = named.partition_point(|id| id.page() < first);
    let end = named.partition_point(|id| id.page() <= last);
    end.saturating_sub(start) as u64
}

const fn extent_of(state: PageState) -> Option<u64> {
    match state {
        PageState::Extent { number, .. } | PageState::Unreadable { number } => Some(number),
        _ => None,
    }
}
