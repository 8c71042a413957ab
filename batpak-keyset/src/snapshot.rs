//! Encoding the keyset of this moment, and what becomes durable of it.
//!
//! Every image has an epoch of its own: one that was handed out is never given to other bytes, because the copy that
//! failed may hold them whole.

use std::collections::BTreeSet;

use batpak_crypto::{Entropy, Nonce, RootSecret, TAG_LEN};
use zeroize::Zeroizing;

use crate::body::{BODY_HEADER_LEN, BodyFields, EXTENT_ROW_LEN, ExtentRow, encode_body};
use crate::error::KeysetError;
use crate::frontiers::{Changes, Frontiers};
use crate::header::{HeaderFields, IMAGE_HEADER_LEN, LogSeen};
use crate::image::{IMAGE_CHECK_LEN, IMAGE_PAD, seal_image};
use crate::keyset::Keyset;
use crate::publication::{Copy, Image, Publication};
use crate::rows::{RowView, inline_bytes, rows, table_bytes};

/// Room that both files keep behind an image, in bytes.
const FILE_ROOM: usize = 4 * IMAGE_PAD;

/// An image, and what is known of it beside its bytes.
struct Encoded {
    image: Zeroizing<Vec<u8>>,
    used: usize,
    extents: Vec<ExtentRow>,
}

impl Keyset {
    /// Encodes the keyset as it is now: with the next epoch, with a reservation that reaches at least over every leaf
    /// taken (and by a step further when half of the last one is taken: 64 leaves, 256, 1,024, the rest of the page, a
    /// page opened ahead), and with staged frontiers. The root secret is the one that [`secret_id`](Self::secret_id)
    /// names. One publication at a time.
    ///
    /// The epoch is spent, whatever becomes of the publication; a failed one reserves nothing.
    ///
    /// # Errors
    /// [`KeysetError::Entropy`], [`KeysetError::Seal`], [`KeysetError::PagesExhausted`],
    /// [`KeysetError::EpochsExhausted`], [`KeysetError::ImageTooLarge`], and [`KeysetError::ReadOnly`] for an image that
    /// this version may not write.
    pub fn publication(
        &mut self,
        root: &RootSecret,
        log_seen: LogSeen,
        entropy: &dyn Entropy,
    ) -> Result<Publication, KeysetError> {
        if self.read_only_flags != 0 {
            return Err(KeysetError::ReadOnly { flags: self.read_only_flags });
        }
        let epoch = self.epoch_used.checked_add(1).ok_or(KeysetError::EpochsExhausted)?;
        let grant = self.minter.extend(&mut self.table, entropy)?;
        let nonce = Nonce::generate(entropy)?;
        let Encoded { image, used, extents } = self.encode(epoch, root, log_seen, &nonce)?;
        self.epoch_used = epoch;
        self.log_seen = log_seen;
        self.image_used = used;
        let first = self.copies.first();
        self.copies.begun(first, used);
        Ok(Publication {
            epoch,
            first,
            file_len: file_len(image.len()),
            image: Image::new(image),
            covers_below: grant.end,
            extent: self.extent_unwritten.clone(),
            grant,
            used,
            removed: self.removed(&extents),
        })
    }

    fn encode(&self, epoch: u64, root: &RootSecret, log_seen: LogSeen, nonce: &Nonce) -> Result<Encoded, KeysetError> {
        let staged = self.staged.as_ref();
        let rows = rows(&self.table, staged.map(|staged| &staged.changes));
        let extents = self.extents_named(&rows, staged.and_then(|staged| staged.extent_row));
        let body = encode_body(
            &BodyFields {
                pages_above: self.minter.pages_above(),
                extents_above: self.extents_above,
                extents: &extents,
            },
            &rows,
        )?;
        let body_len = u32::try_from(body.len() + TAG_LEN).map_err(|_| KeysetError::ImageTooLarge)?;
        let header = HeaderFields {
            store: self.store,
            granularity: self.granularity,
            epoch,
            provider: self.provider(),
            secret_id: self.secret_id(),
            applied: self.applied(),
            log_seen,
            identity: self.identity,
            nonce,
            body_len,
        };
        let used = header.image_used();
        Ok(Encoded { image: seal_image(&header, body, root, self.copies.used_max())?, used, extents })
    }

    /// The extents that some row names, in order.
    pub(crate) fn extents_named(&self, rows: &[RowView<'_>], added: Option<ExtentRow>) -> Vec<ExtentRow> {
        let named: BTreeSet<u64> = rows.iter().filter_map(RowView::extent).collect();
        let all = self.extents.iter().copied().chain(added);
        all.filter(|extent| named.contains(&extent.number)).collect()
    }

    /// The extents that may go once both copies hold an image that names only these.
    fn removed(&self, named: &[ExtentRow]) -> Vec<u64> {
        let is_named = |number: u64| named.iter().any(|extent| extent.number == number);
        let mut removed = self.extents_retired.clone();
        removed.extend(self.extents.iter().map(|extent| extent.number).filter(|number| !is_named(*number)));
        removed
    }

    /// Notes that the first copy of a publication is synced: its epoch and its reservation are durable, and nothing that
    /// was taken or changed after it was encoded.
    pub fn durable(&mut self, publication: &Publication) {
        self.epoch = self.epoch.max(publication.epoch);
        self.minter.durable(publication.grant);
        self.copies.good(publication.first, publication.used);
        self.copies.begun(publication.first.other(), publication.used);
        let written = publication.extent.as_ref().map(|extent| extent.number);
        if self.extent_unwritten.as_ref().is_some_and(|extent| Some(extent.number) == written) {
            self.extent_unwritten = None;
        }
    }

    /// Notes that a copy holds a whole, synced image of this epoch; one that is older than the newest durable image says
    /// nothing good of the copy.
    pub fn copy_good(&mut self, copy: Copy, epoch: u64) {
        if epoch >= self.epoch {
            self.copies.good(copy, self.image_used);
        }
    }

    /// Notes that a write or a sync of a copy failed: the next publication writes it first, and whole.
    pub fn copy_failed(&mut self, copy: Copy) {
        self.copies.failed(copy);
    }

    /// Tells whether both copies hold the newest durable image, so that what neither names may be removed.
    #[must_use]
    pub fn copies_good(&self) -> bool {
        self.copies.both_good()
    }

    /// Returns the length in bytes that both files need for an image with these frontiers: what a shred grows them to
    /// before its intent.
    #[must_use]
    pub fn file_len_with(&self, frontiers: &Frontiers) -> u64 {
        file_len(self.image_len(&frontiers.changes).max(self.copies.used_max()))
    }

    fn image_len(&self, changes: &Changes) -> usize {
        let rows = rows(&self.table, Some(changes));
        let body =
            BODY_HEADER_LEN + EXTENT_ROW_LEN * (self.extents.len() + 1) + table_bytes(&rows) + inline_bytes(&rows);
        IMAGE_HEADER_LEN + self.provider().params().len() + body + TAG_LEN + IMAGE_CHECK_LEN
    }
}

pub(crate) const fn file_len(image_len: usize) -> u64 {
    (image_len + FILE_ROOM).next_multiple_of(FILE_ROOM) as u64
}

#[cfg(test)]
mod tests {
    use batpak_crypto::{OsEntropy, SecretId};
    use batpak_format::StoreId;

    use super::*;
    use crate::{CreateKeyset, Granularity, ProviderRecord};

    #[test]
    fn image_with_flags_that_may_only_be_read_is_not_published() {
        let create = CreateKeyset {
            store: StoreId::from_bytes([1; 16]),
            granularity: Granularity::Event,
            provider: ProviderRecord::key_file(),
            secret_id: SecretId::from_bytes([2; 16]),
        };
        let root = RootSecret::generate(&OsEntropy).unwrap();
        let mut keyset = Keyset::create(create, &OsEntropy).unwrap();
        keyset.read_only_flags = 8;
        let refused = keyset.publication(&root, LogSeen::NOTHING, &OsEntropy);
        assert!(matches!(refused, Err(KeysetError::ReadOnly { flags: 8 })));
        keyset.read_only_flags = 0;
        keyset.raise_epoch_above(u64::MAX - 1);
        assert_eq!(keyset.publication(&root, LogSeen::NOTHING, &OsEntropy).unwrap().epoch, u64::MAX);
        let refused = keyset.publication(&root, LogSeen::NOTHING, &OsEntropy);
        assert!(matches!(refused, Err(KeysetError::EpochsExhausted)));
    }
}
