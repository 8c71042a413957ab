//! The first event of every store.
//!
//! Invariant: a store without a whole genesis record is no store.

use super::{RECORD_TEXT_BYTES_MAX, put_text, read_text};
use crate::codec::{Reader, put_bytes, put_i64, put_u8, put_u32, put_u64};
use crate::error::RecordError;
use crate::id::StoreId;
use crate::layout::PLAINTEXT_BYTES_LIMIT;
use crate::time::Timestamp;

/// What a store is: fixed when it was created.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a store cannot be made in part: a new field must break its makers")]
pub struct Genesis {
    /// The store's id.
    pub store: StoreId,
    /// When it was created.
    pub created: Timestamp,
    /// Whether payloads are sealed.
    pub encrypted: bool,
    /// Which events share a key, as the code of batpak-keyset; 0 in a plaintext store.
    pub granularity: u8,
    /// Who keeps the root secret, as the code of batpak-keyset; 0 in a plaintext store.
    pub provider_kind: u8,
    /// The creator's note of where the root secret is kept; never a secret. At most 1,024 bytes.
    pub provider_hint: String,
    /// The largest plaintext that an append takes, in bytes; at most [`PLAINTEXT_BYTES_LIMIT`].
    pub plaintext_bytes_max: u32,
    /// The size at which a segment is rolled, in bytes.
    pub segment_bytes: u64,
}

impl Genesis {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        self.check()?;
        put_bytes(out, self.store.as_bytes());
        put_i64(out, self.created.as_micros());
        put_u8(out, u8::from(self.encrypted));
        put_u8(out, self.granularity);
        put_u8(out, self.provider_kind);
        put_u32(out, self.plaintext_bytes_max);
        put_u64(out, self.segment_bytes);
        put_text(out, &self.provider_hint, RECORD_TEXT_BYTES_MAX)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let (store, created) = (StoreId::from_bytes(reader.array()?), Timestamp::from_micros(reader.i64()?));
        let encrypted = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(RecordError::NotCanonical),
        };
        let genesis = Self {
            store,
            created,
            encrypted,
            granularity: reader.u8()?,
            provider_kind: reader.u8()?,
            plaintext_bytes_max: reader.u32()?,
            segment_bytes: reader.u64()?,
            provider_hint: read_text(reader, RECORD_TEXT_BYTES_MAX)?,
        };
        genesis.check()?;
        Ok(genesis)
    }

    /// A sealed store has a granularity and a provider, a plaintext store has neither; the cap on plaintexts has its
    /// own.
    const fn check(&self) -> Result<(), RecordError> {
        let keys = (self.granularity != 0) == self.encrypted && (self.provider_kind != 0) == self.encrypted;
        let capped = self.plaintext_bytes_max <= PLAINTEXT_BYTES_LIMIT;
        if keys && capped { Ok(()) } else { Err(RecordError::NotCanonical) }
    }
}
