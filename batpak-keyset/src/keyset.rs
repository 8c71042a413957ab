//! The keyset: pages of keys, what of them is reserved, and which image says so.
//!
//! It changes in memory only. What it hands out to be written is a [`Publication`], and it counts as durable only what
//! the store reports back.

use core::fmt;

use batpak_crypto::{Entropy, KeyCommitment, KeyRoom, PayloadKey, SecretId, Tree, TreeCursor, TreeError};
use batpak_format::{KeyId, StoreId};

use crate::body::{Body, ExtentRow};
use crate::error::{KeyMissing, KeysetError};
use crate::extent::ExtentWrite;
use crate::frontiers::{SecretChange, Staged};
use crate::header::{CopyIdentity, ImageHeader, LogSeen, READ_COMPATIBLE_FLAGS_KNOWN};
use crate::mint::Minter;
use crate::page::{Home, Nodes, Page, PageSummary};
use crate::provider::ProviderRecord;
use crate::publication::Copies;
use crate::scope::Granularity;
use crate::table::{PageTable, Row};

/// What a new keyset is made from.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a constructor's arguments, by name")]
pub struct CreateKeyset {
    /// The store that it belongs to.
    pub store: StoreId,
    /// Which events share a key.
    pub granularity: Granularity,
    /// Where the root secret comes from.
    pub provider: ProviderRecord,
    /// The id of the root secret.
    pub secret_id: SecretId,
}

/// The keys of one store.
pub struct Keyset {
    pub(crate) store: StoreId,
    pub(crate) granularity: Granularity,
    pub(crate) provider: ProviderRecord,
    pub(crate) secret_id: SecretId,
    pub(crate) identity: CopyIdentity,
    /// The epoch of the newest durable image.
    pub(crate) epoch: u64,
    /// The highest epoch that was ever handed out to be written.
    pub(crate) epoch_used: u64,
    pub(crate) applied: Option<u64>,
    pub(crate) log_seen: LogSeen,
    pub(crate) read_only_flags: u32,
    pub(crate) table: PageTable,
    pub(crate) minter: Minter,
    pub(crate) extents: Vec<ExtentRow>,
    pub(crate) extents_above: u64,
    /// Extents that no image names any longer, until they are removed.
    pub(crate) extents_retired: Vec<u64>,
    /// An extent that images name and that is not known to be on disk.
    pub(crate) extent_unwritten: Option<ExtentWrite>,
    pub(crate) copies: Copies,
    /// Bytes of the newest image that was handed out, before its padding.
    pub(crate) image_used: usize,
    pub(crate) staged: Option<Staged>,
    /// Counts the changes of pages, so that frontiers computed beside older ones are known.
    pub(crate) generation: u64,
    pub(crate) cursor: TreeCursor,
}

impl Keyset {
    /// Makes the keyset of a new store, with epoch 0 and no page: its first publication has epoch 1, its first take
    /// makes a page. A few random bytes are drawn and dropped, so that no store is made where none can be had.
    ///
    /// # Errors
    /// [`KeysetError::Entropy`].
    pub fn create(create: CreateKeyset, entropy: &dyn Entropy) -> Result<Self, KeysetError> {
        entropy.fill(&mut [0; 16])?;
        let CreateKeyset { store, granularity, provider, secret_id } = create;
        let table = PageTable::default();
        Ok(Self {
            store,
            granularity,
            provider,
            secret_id,
            identity: CopyIdentity::default(),
            epoch: 0,
            epoch_used: 0,
            applied: None,
            log_seen: LogSeen::NOTHING,
            read_only_flags: 0,
            minter: Minter::after(&table, 0),
            table,
            extents: Vec::new(),
            extents_above: 0,
            extents_retired: Vec::new(),
            extent_unwritten: None,
            copies: Copies::unknown(0, 0),
            image_used: 0,
            staged: None,
            generation: 0,
            cursor: TreeCursor::new(),
        })
    }

    /// Makes a keyset of what an image said.
    pub(crate) fn loaded(header: ImageHeader, body: Body, copies: Copies, image_used: usize, epoch_used: u64) -> Self {
        Self {
            store: header.store,
            granularity: header.granularity,
            provider: header.provider,
            secret_id: header.secret_id,
            identity: header.identity,
            epoch: header.epoch,
            epoch_used: epoch_used.max(header.epoch),
            applied: header.applied,
            log_seen: header.log_seen,
            read_only_flags: header.read_compatible_flags & !READ_COMPATIBLE_FLAGS_KNOWN,
            minter: Minter::after(&body.table, body.pages_above),
            table: body.table,
            extents: body.extents,
            extents_above: body.extents_above,
            extents_retired: Vec::new(),
            extent_unwritten: None,
            copies,
            image_used,
            staged: None,
            generation: 0,
            cursor: TreeCursor::new(),
        }
    }

    /// Takes the next leaf of this process's own page, and makes a fresh page in memory when there is none. The leaf
    /// may lie above the durable reservation: nothing sealed under it may be framed before a publication covers it.
    ///
    /// # Errors
    /// [`KeysetError::Entropy`] or [`KeysetError::PagesExhausted`] when a fresh page was needed.
    pub fn take(&mut self, entropy: &dyn Entropy) -> Result<KeyId, KeysetError> {
        let changes = self.staged.as_ref().map(|staged| &staged.changes);
        self.minter.take(&mut self.table, changes, entropy)
    }

    /// Returns the bound below which every leaf that this process takes is durably reserved. The leaves of earlier
    /// processes are always below it; before the first publication none of this process's is. So the question whether a
    /// key id is covered is one comparison, and the bound never falls.
    #[must_use]
    pub const fn covered_below(&self) -> KeyId {
        self.minter.covered_below()
    }

    /// Tells whether half of the durable reservation is taken, so that the next publication is due.
    #[must_use]
    pub fn wants_publication(&self) -> bool {
        self.minter.wants_publication()
    }

    /// Derives a key and the commitment to it; also that of a leaf which was taken and not yet published. It costs one
    /// hash for each level of the page.
    ///
    /// # Errors
    /// [`KeyMissing`], which says nothing about whether the key was shredded.
    pub fn key(&self, id: KeyId) -> Result<(PayloadKey, KeyCommitment), KeyMissing> {
        let tree = tree_of(page_of(&self.table, id)?)?;
        tree.key(id.leaf(), self.store.as_bytes(), id.as_u64()).map_err(missing)
    }

    /// Derives a key as [`key`](Self::key) does, from the path to the one derived last: a key id that follows costs one
    /// step. The path is bounded at seven nodes, and wiped when pages change.
    ///
    /// # Errors
    /// [`KeyMissing`].
    pub fn key_cached(&mut self, id: KeyId) -> Result<(PayloadKey, KeyCommitment), KeyMissing> {
        self.key_cached_in(id, KeyRoom::new())
    }

    /// As [`key_cached`](Self::key_cached), with the key in the place of an earlier one.
    ///
    /// # Errors
    /// [`KeyMissing`]; the place is then given up.
    pub fn key_cached_in(&mut self, id: KeyId, room: KeyRoom) -> Result<(PayloadKey, KeyCommitment), KeyMissing> {
        let tree = tree_of(page_of(&self.table, id)?)?;
        self.cursor.key_in(tree, id.leaf(), self.store.as_bytes(), id.as_u64(), room).map_err(missing)
    }

    /// Takes the next leaf and derives its key: [`take`](Self::take) and [`key_cached`](Self::key_cached) in one.
    ///
    /// # Errors
    /// Those of [`take`](Self::take).
    pub fn mint(&mut self, entropy: &dyn Entropy) -> Result<(KeyId, PayloadKey, KeyCommitment), KeysetError> {
        let id = self.take(entropy)?;
        let tree = self.table.page(id.page()).and_then(Page::tree);
        let tree = tree.ok_or(TreeError::Destroyed { leaf: id.leaf() })?;
        let (key, commitment) = self.cursor.key(tree, id.leaf(), self.store.as_bytes(), id.as_u64())?;
        Ok((id, key, commitment))
    }

    /// Returns the store.
    #[must_use]
    pub const fn store(&self) -> StoreId {
        self.store
    }

    /// Returns which events share a key.
    #[must_use]
    pub const fn granularity(&self) -> Granularity {
        self.granularity
    }

    /// Returns the epoch of the newest image that is known durable; 0 before the first.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the highest epoch that was handed out to be written, or that the log names; the next publication has one
    /// more.
    #[must_use]
    pub const fn epoch_used(&self) -> u64 {
        self.epoch_used
    }

    /// Returns the provider of the root secret that the next image is sealed under.
    #[must_use]
    pub const fn provider(&self) -> &ProviderRecord {
        match &self.staged {
            Some(Staged { secret: SecretChange::Move { provider, .. }, .. }) => provider,
            _ => &self.provider,
        }
    }

    /// Returns the id of the root secret that the next image is sealed under.
    #[must_use]
    pub const fn secret_id(&self) -> SecretId {
        match &self.staged {
            Some(Staged { secret: SecretChange::Move { secret_id, .. }, .. }) => *secret_id,
            _ => self.secret_id,
        }
    }

    /// Returns the position of the last shred intent that the next image reflects.
    #[must_use]
    pub const fn applied(&self) -> Option<u64> {
        match &self.staged {
            Some(staged) => staged.applied,
            None => self.applied,
        }
    }

    /// Returns how far the log was durable when the newest image was encoded.
    #[must_use]
    pub const fn log_seen(&self) -> LogSeen {
        self.log_seen
    }

    /// Returns which file `keyset.a` was when the image was encoded.
    #[must_use]
    pub const fn identity(&self) -> CopyIdentity {
        self.identity
    }

    /// Notes which file `keyset.a` is, for the next image.
    pub const fn set_identity(&mut self, identity: CopyIdentity) {
        self.identity = identity;
    }

    /// Returns what may be told of the pages, in the order of their numbers.
    pub fn pages(&self) -> impl Iterator<Item = PageSummary> {
        self.table.summaries()
    }
}

/// Prints no key and no node.
impl fmt::Debug for Keyset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyset")
            .field("store", &self.store)
            .field("granularity", &self.granularity)
            .field("epoch", &self.epoch)
            .field("secret_id", &self.secret_id)
            .field("covered_below", &self.covered_below())
            .finish_non_exhaustive()
    }
}

fn page_of(table: &PageTable, id: KeyId) -> Result<&Page, KeyMissing> {
    if id.compartment() != 0 {
        return Err(KeyMissing::UnknownPage);
    }
    match table.row(id.page()) {
        None => Err(KeyMissing::UnknownPage),
        Some(Row::Gone(_)) => Err(KeyMissing::Destroyed),
        Some(Row::Page(page)) => Ok(page),
    }
}

const fn tree_of(page: &Page) -> Result<&Tree, KeyMissing> {
    match (&page.nodes, &page.home) {
        (Nodes::Held(tree), _) => Ok(tree),
        (Nodes::NotLoaded, Home::Extent(blob)) => Err(KeyMissing::NotLoaded { extent: blob.extent }),
        (Nodes::Unreadable, Home::Extent(blob)) => Err(KeyMissing::Unreadable { extent: blob.extent }),
        (Nodes::NotLoaded | Nodes::Unreadable, Home::Inline) => Err(KeyMissing::UnknownPage),
    }
}

const fn missing(error: TreeError) -> KeyMissing {
    match error {
        TreeError::Destroyed { .. } => KeyMissing::Destroyed,
        _ => KeyMissing::UnknownPage,
    }
}
