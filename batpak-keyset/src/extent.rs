//! Extents: frontiers that are too many for the image, each blob twice under a key of its own.
//!
//! A blob is dead with its KEK, which stands in its page's row and nowhere else; an extent is written once and never
//! changed.

use batpak_crypto::{Entropy, Kek, NONCE_LEN, Nonce, TAG_LEN, Tree, open_body, seal_body};
use batpak_format::StoreId;
use batpak_format::codec::{put_bytes, put_u16, put_u32, put_u64};
use zeroize::Zeroizing;

use crate::check::{CHECK_LEN, image_check};
use crate::error::KeysetError;
use crate::page::Blob;
use crate::publication::Step;

/// The first 8 bytes of an extent.
pub const EXTENT_MAGIC: [u8; 8] = *b"BATPAKEX";
/// The version of the extent that this crate writes.
pub const EXTENT_VERSION: u16 = 1;

pub(crate) const MAGIC_AT: usize = 0;
pub(crate) const VERSION_AT: usize = MAGIC_AT + 8;
pub(crate) const HEADER_LEN_AT: usize = VERSION_AT + 2;
pub(crate) const FLAGS_AT: usize = HEADER_LEN_AT + 2;
pub(crate) const STORE_AT: usize = FLAGS_AT + 4;
pub(crate) const NUMBER_AT: usize = STORE_AT + 16;
pub(crate) const REGION_LEN_AT: usize = NUMBER_AT + 8;
pub(crate) const CHECK_AT: usize = REGION_LEN_AT + 8;
/// Bytes before the first region.
pub const EXTENT_HEADER_LEN: usize = CHECK_AT + CHECK_LEN;

const _: () = assert!(EXTENT_HEADER_LEN == 80);

/// Bytes of a blob besides its frontier: the nonce before it and the tag behind it.
pub(crate) const BLOB_OVERHEAD: usize = NONCE_LEN + TAG_LEN;

/// An extent to be written: its number and its bytes, which are sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtentWrite {
    /// The number, which is the name of the file: above every extent named or present.
    pub number: u64,
    /// The whole file.
    pub bytes: Vec<u8>,
}

impl ExtentWrite {
    /// Returns what to do, in order: one write, one sync, one sync of the directory.
    #[must_use]
    pub fn steps(&self) -> [Step; 3] {
        let number = self.number;
        [Step::WriteExtent { number }, Step::SyncExtent { number }, Step::SyncExtentsDir]
    }
}

/// What was found where an extent should be.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a file is there and readable, or it is not")]
pub enum ExtentBytes<'a> {
    /// There is no such file.
    Absent,
    /// The whole file.
    Bytes(&'a [u8]),
    /// Reading failed.
    Unreadable,
}

impl<'a> ExtentBytes<'a> {
    pub(crate) const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Absent | Self::Unreadable => &[],
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Collects the blobs of a new extent.
pub(crate) struct ExtentBuilder<'a> {
    store: StoreId,
    number: u64,
    region: Vec<u8>,
    entropy: &'a dyn Entropy,
}

impl<'a> ExtentBuilder<'a> {
    pub(crate) const fn new(store: StoreId, number: u64, entropy: &'a dyn Entropy) -> Self {
        Self { store, number, region: Vec::new(), entropy }
    }

    /// Seals the frontier of a page under a fresh KEK, for the page's row.
    pub(crate) fn add(&mut self, page: u32, tree: &Tree) -> Result<Blob, KeysetError> {
        let kek = Kek::generate(self.entropy)?;
        let nonce = Nonce::generate(self.entropy)?;
        let mut frontier = Zeroizing::new(Vec::with_capacity(tree.frontier_bytes()));
        tree.encode_frontier(&mut frontier);
        let frontier_len = u32::try_from(frontier.len()).map_err(|_| KeysetError::ImageTooLarge)?;
        let sealed = seal_body(&kek, &nonce, &aad(self.store, page, self.number), frontier)?;
        let offset = self.region.len() as u64;
        self.region.extend_from_slice(nonce.as_bytes());
        self.region.extend_from_slice(&sealed);
        Ok(Blob { extent: self.number, offset, frontier_len, kek, one_copy: false })
    }

    pub(crate) fn region_len(&self) -> u64 {
        self.region.len() as u64
    }

    pub(crate) fn finish(self) -> ExtentWrite {
        let mut bytes = Vec::with_capacity(EXTENT_HEADER_LEN + 2 * self.region.len());
        encode_header(self.store, self.number, self.region_len(), &mut bytes);
        bytes.extend_from_slice(&self.region);
        bytes.extend_from_slice(&self.region);
        ExtentWrite { number: self.number, bytes }
    }
}

fn encode_header(store: StoreId, number: u64, region_len: u64, bytes: &mut Vec<u8>) {
    put_bytes(bytes, &EXTENT_MAGIC);
    put_u16(bytes, EXTENT_VERSION);
    put_u16(bytes, EXTENT_HEADER_LEN as u16);
    put_u32(bytes, 0);
    put_bytes(bytes, store.as_bytes());
    put_u64(bytes, number);
    put_u64(bytes, region_len);
    let check = image_check(bytes);
    put_bytes(bytes, &check);
}

/// Tells whether the bytes begin with the header that this extent was written with. Blobs are read without it: their
/// rows say where they stand.
pub(crate) fn header_is_whole(store: StoreId, number: u64, region_len: u64, bytes: &[u8]) -> bool {
    let mut header = Vec::with_capacity(EXTENT_HEADER_LEN);
    encode_header(store, number, region_len, &mut header);
    bytes.starts_with(&header)
}

/// Opens one of the two blobs of a page, if it is whole.
pub(crate) fn open_blob(
    store: StoreId,
    page: u32,
    depth: u8,
    blob: &Blob,
    region_start: u64,
    bytes: &[u8],
) -> Option<Tree> {
    let start = usize::try_from(region_start.checked_add(blob.offset)?).ok()?;
    let end = start.checked_add(blob.frontier_len as usize + BLOB_OVERHEAD)?;
    let (nonce, sealed) = bytes.get(start..end)?.split_first_chunk::<NONCE_LEN>()?;
    let aad = aad(store, page, blob.extent);
    let frontier = open_body(&blob.kek, &Nonce::from_bytes(*nonce), &aad, sealed).ok()?;
    Tree::decode_frontier(depth, &frontier).ok().filter(|tree| !tree.is_empty())
}

/// The AAD of a blob: store id, page, and the number of the extent.
fn aad(store: StoreId, page: u32, number: u64) -> [u8; 28] {
    let mut aad = [0; 28];
    let (name, rest) = aad.split_at_mut(16);
    let (page_bytes, number_bytes) = rest.split_at_mut(4);
    name.copy_from_slice(store.as_bytes());
    page_bytes.copy_from_slice(&page.to_le_bytes());
    number_bytes.copy_from_slice(&number.to_le_bytes());
    aad
}

#[cfg(test)]
mod tests;
