//! The plain header of an image: what may be known of a keyset without its root secret.
//!
//! Magic, lengths and version stand where every version has them, so that a torn image is told from an unknown one.
//! The header is the AAD of the body: no field of it can be changed without the root secret.

use batpak_crypto::{NONCE_LEN, Nonce, RootSecret, SecretId};
use batpak_format::{ChainHash, StoreId, content_len};
use zeroize::Zeroizing;

use crate::check::CHECK_LEN;
use crate::error::ImageError;
use crate::provider::{Argon2Record, PROVIDER_PARAMS_BYTES_MAX, ProviderKind, ProviderRecord, Source};
use crate::scope::Granularity;

/// The first 8 bytes of both copies.
pub const IMAGE_MAGIC: [u8; 8] = *b"BATPAKKS";
/// The version of the image that this crate writes.
pub const IMAGE_VERSION: u16 = 1;
/// Features without which an image cannot be understood; none so far.
pub const INCOMPATIBLE_FLAGS_KNOWN: u32 = 0;
/// Features without which an image can be read and not written; none so far.
pub const READ_COMPATIBLE_FLAGS_KNOWN: u32 = 0;

pub(crate) const MAGIC_AT: usize = 0;
pub(crate) const HEADER_LEN_AT: usize = MAGIC_AT + 8;
pub(crate) const BODY_LEN_AT: usize = HEADER_LEN_AT + 4;
pub(crate) const VERSION_AT: usize = BODY_LEN_AT + 4;
pub(crate) const PROVIDER_AT: usize = VERSION_AT + 2;
pub(crate) const GRANULARITY_AT: usize = PROVIDER_AT + 1;
pub(crate) const INCOMPATIBLE_AT: usize = GRANULARITY_AT + 1;
pub(crate) const READ_COMPATIBLE_AT: usize = INCOMPATIBLE_AT + 4;
pub(crate) const PARAMS_LEN_AT: usize = READ_COMPATIBLE_AT + 4;
pub(crate) const RESERVED_AT: usize = PARAMS_LEN_AT + 2;
pub(crate) const STORE_AT: usize = RESERVED_AT + 2;
pub(crate) const EPOCH_AT: usize = STORE_AT + 16;
pub(crate) const SECRET_ID_AT: usize = EPOCH_AT + 8;
pub(crate) const APPLIED_AT: usize = SECRET_ID_AT + 16;
pub(crate) const SEEN_POSITION_AT: usize = APPLIED_AT + 8;
pub(crate) const SEEN_CHAIN_HASH_AT: usize = SEEN_POSITION_AT + 8;
pub(crate) const INODE_AT: usize = SEEN_CHAIN_HASH_AT + 32;
pub(crate) const BIRTH_AT: usize = INODE_AT + 8;
pub(crate) const ARGON2_VERSION_AT: usize = BIRTH_AT + 8;
pub(crate) const ARGON2_M_AT: usize = ARGON2_VERSION_AT + 4;
pub(crate) const ARGON2_T_AT: usize = ARGON2_M_AT + 4;
pub(crate) const ARGON2_P_AT: usize = ARGON2_T_AT + 4;
pub(crate) const ARGON2_SALT_AT: usize = ARGON2_P_AT + 4;
pub(crate) const LOCAL_SECRET_AT: usize = ARGON2_SALT_AT + 16;
pub(crate) const NONCE_AT: usize = LOCAL_SECRET_AT + 32;
/// Bytes of the fixed part of the header; parameters of an outside provider follow.
pub const IMAGE_HEADER_LEN: usize = NONCE_AT + NONCE_LEN;

/// Where the root secret stands in an image under `Local`; zeros stand there under every other provider.
pub const IMAGE_LOCAL_SECRET_AT: usize = LOCAL_SECRET_AT;

const _: () = assert!(IMAGE_HEADER_LEN == 224);

/// How far the log was known durable when an image was encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the two fields are the format")]
pub struct LogSeen {
    /// Every event below this position was durable.
    pub position: u64,
    /// The chain hash of the last of them, the event at `position - 1`; zeros when the log held none.
    pub chain_hash: ChainHash,
}

impl LogSeen {
    /// An empty log.
    pub const NOTHING: Self = Self { position: 0, chain_hash: ChainHash::from_bytes([0; 32]) };
}

/// What tells a file from a copy of it: both 0 while that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the two fields are the format")]
pub struct CopyIdentity {
    /// The inode of `keyset.a`.
    pub inode: u64,
    /// The birth time of `keyset.a`, in nanoseconds since 1970.
    pub birth_ns: u64,
}

/// The plain header, decoded. It is not trusted until the body opened under it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ImageHeader {
    /// The store.
    pub store: StoreId,
    /// Which events share a key.
    pub granularity: Granularity,
    /// The epoch of this image.
    pub epoch: u64,
    /// Where the root secret comes from.
    pub provider: ProviderRecord,
    /// The id of the root secret that the body is sealed under.
    pub secret_id: SecretId,
    /// The position of the last shred intent that this image reflects.
    pub applied: Option<u64>,
    /// How far the log was durable then.
    pub log_seen: LogSeen,
    /// Which file `keyset.a` was.
    pub identity: CopyIdentity,
    /// Flags of features that a writer must know, and a reader need not.
    pub read_compatible_flags: u32,
    pub(crate) nonce: Nonce,
    pub(crate) header_len: usize,
    pub(crate) body_len: usize,
}

impl ImageHeader {
    /// Reads the header at the start of an image, of which the rest is not looked at and nothing was checked: for a
    /// reader that asks whether the epoch has changed. What it says holds once the body was opened.
    ///
    /// # Errors
    /// [`ImageError::Truncated`] for fewer bytes than the header has, [`ImageError::InvalidField`] for a value that no
    /// image of this version has.
    pub fn decode(bytes: &[u8]) -> Result<Self, ImageError> {
        let fixed = bytes.get(..IMAGE_HEADER_LEN).ok_or(ImageError::Truncated)?;
        check(fixed.starts_with(&IMAGE_MAGIC), MAGIC_AT)?;
        check(u16_at(fixed, VERSION_AT) == IMAGE_VERSION, VERSION_AT)?;
        check(u32_at(fixed, INCOMPATIBLE_AT) & !INCOMPATIBLE_FLAGS_KNOWN == 0, INCOMPATIBLE_AT)?;
        check(u16_at(fixed, RESERVED_AT) == 0, RESERVED_AT)?;
        let params_len = usize::from(u16_at(fixed, PARAMS_LEN_AT));
        check(params_len <= PROVIDER_PARAMS_BYTES_MAX, PARAMS_LEN_AT)?;
        let header_len = IMAGE_HEADER_LEN + params_len;
        check(u32_at(fixed, HEADER_LEN_AT) as usize == header_len, HEADER_LEN_AT)?;
        let params = bytes.get(IMAGE_HEADER_LEN..header_len).ok_or(ImageError::Truncated)?;
        let granularity = Granularity::from_code(fixed[GRANULARITY_AT]);
        Ok(Self {
            store: StoreId::from_bytes(array_at(fixed, STORE_AT)),
            granularity: granularity.map_err(|_| ImageError::InvalidField { at: GRANULARITY_AT })?,
            epoch: u64_at(fixed, EPOCH_AT),
            provider: provider(fixed, params)?,
            secret_id: SecretId::from_bytes(array_at(fixed, SECRET_ID_AT)),
            applied: u64_at(fixed, APPLIED_AT).checked_sub(1),
            log_seen: LogSeen {
                position: u64_at(fixed, SEEN_POSITION_AT),
                chain_hash: ChainHash::from_bytes(array_at(fixed, SEEN_CHAIN_HASH_AT)),
            },
            identity: CopyIdentity { inode: u64_at(fixed, INODE_AT), birth_ns: u64_at(fixed, BIRTH_AT) },
            read_compatible_flags: u32_at(fixed, READ_COMPATIBLE_AT),
            nonce: Nonce::from_bytes(array_at(fixed, NONCE_AT)),
            header_len,
            body_len: u32_at(fixed, BODY_LEN_AT) as usize,
        })
    }
}

/// What a header is encoded from.
pub(crate) struct HeaderFields<'a> {
    pub(crate) store: StoreId,
    pub(crate) granularity: Granularity,
    pub(crate) epoch: u64,
    pub(crate) provider: &'a ProviderRecord,
    pub(crate) secret_id: SecretId,
    pub(crate) applied: Option<u64>,
    pub(crate) log_seen: LogSeen,
    pub(crate) identity: CopyIdentity,
    pub(crate) nonce: &'a Nonce,
    pub(crate) body_len: u32,
}

impl HeaderFields<'_> {
    pub(crate) fn header_len(&self) -> usize {
        IMAGE_HEADER_LEN + self.provider.params().len()
    }

    /// Bytes of the image before its padding.
    pub(crate) fn image_used(&self) -> usize {
        self.header_len() + self.body_len as usize + CHECK_LEN
    }

    /// Encodes the header, with room for an image of `image_len` bytes, so that it is never moved: a `Local` header
    /// holds a secret.
    pub(crate) fn encode(&self, image_len: usize) -> Zeroizing<Vec<u8>> {
        let params = self.provider.params();
        let header_len = self.header_len();
        let params_len = u16::try_from(params.len()).expect("the constructor allows 1,024 bytes");
        let header_len_field = u32::try_from(header_len).expect("fixed part and 1,024 bytes");
        let mut bytes = Zeroizing::new(Vec::with_capacity(image_len.max(header_len)));
        bytes.resize(IMAGE_HEADER_LEN, 0);
        put(&mut bytes, MAGIC_AT, &IMAGE_MAGIC);
        put(&mut bytes, HEADER_LEN_AT, &header_len_field.to_le_bytes());
        put(&mut bytes, BODY_LEN_AT, &self.body_len.to_le_bytes());
        put(&mut bytes, VERSION_AT, &IMAGE_VERSION.to_le_bytes());
        put(&mut bytes, PROVIDER_AT, &[self.provider.kind().code()]);
        put(&mut bytes, GRANULARITY_AT, &[self.granularity.code()]);
        put(&mut bytes, PARAMS_LEN_AT, &params_len.to_le_bytes());
        put(&mut bytes, STORE_AT, self.store.as_bytes());
        put(&mut bytes, EPOCH_AT, &self.epoch.to_le_bytes());
        put(&mut bytes, SECRET_ID_AT, self.secret_id.as_bytes());
        put(&mut bytes, APPLIED_AT, &self.applied.map_or(0, |applied| applied.saturating_add(1)).to_le_bytes());
        put(&mut bytes, SEEN_POSITION_AT, &self.log_seen.position.to_le_bytes());
        put(&mut bytes, SEEN_CHAIN_HASH_AT, self.log_seen.chain_hash.as_bytes());
        put(&mut bytes, INODE_AT, &self.identity.inode.to_le_bytes());
        put(&mut bytes, BIRTH_AT, &self.identity.birth_ns.to_le_bytes());
        if let Some(argon2) = self.provider.argon2() {
            put(&mut bytes, ARGON2_VERSION_AT, &argon2.version.to_le_bytes());
            put(&mut bytes, ARGON2_M_AT, &argon2.m_kib.to_le_bytes());
            put(&mut bytes, ARGON2_T_AT, &argon2.t.to_le_bytes());
            put(&mut bytes, ARGON2_P_AT, &argon2.p.to_le_bytes());
            put(&mut bytes, ARGON2_SALT_AT, &argon2.salt);
        }
        if let Source::Local(secret) = &self.provider.source {
            put(&mut bytes, LOCAL_SECRET_AT, secret.expose());
        }
        put(&mut bytes, NONCE_AT, self.nonce.as_bytes());
        bytes.extend_from_slice(params);
        bytes
    }
}

/// Reads the provider; fields of other kinds than the one named must be zeros.
fn provider(fixed: &[u8], params: &[u8]) -> Result<ProviderRecord, ImageError> {
    let kind = ProviderKind::from_code(fixed[PROVIDER_AT]);
    let kind = kind.ok_or(ImageError::InvalidField { at: PROVIDER_AT })?;
    let argon2_bytes = &fixed[ARGON2_VERSION_AT..LOCAL_SECRET_AT];
    let local_bytes = &fixed[LOCAL_SECRET_AT..NONCE_AT];
    let argon2 = Argon2Record {
        version: u32_at(fixed, ARGON2_VERSION_AT),
        m_kib: u32_at(fixed, ARGON2_M_AT),
        t: u32_at(fixed, ARGON2_T_AT),
        p: u32_at(fixed, ARGON2_P_AT),
        salt: array_at(fixed, ARGON2_SALT_AT),
    };
    check(kind == ProviderKind::External || params.is_empty(), PARAMS_LEN_AT)?;
    check(kind == ProviderKind::Local || is_zero(local_bytes), LOCAL_SECRET_AT)?;
    let passphrase = matches!(kind, ProviderKind::Passphrase | ProviderKind::PassphraseKeyFile);
    check(passphrase || is_zero(argon2_bytes), ARGON2_VERSION_AT)?;
    let source = match kind {
        ProviderKind::External => Source::External(Box::from(params)),
        ProviderKind::KeyFile => Source::KeyFile,
        ProviderKind::Local => Source::Local(RootSecret::from_bytes(secret_at(fixed, LOCAL_SECRET_AT))),
        ProviderKind::Passphrase => Source::Passphrase(argon2),
        ProviderKind::PassphraseKeyFile => Source::PassphraseKeyFile(argon2),
    };
    Ok(ProviderRecord { source })
}

fn check(holds: bool, at: usize) -> Result<(), ImageError> {
    if holds { Ok(()) } else { Err(ImageError::InvalidField { at }) }
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    content_len(bytes) == 0
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// Copies a secret of a part whose length was checked, to where it is wiped.
pub(crate) fn secret_at(bytes: &[u8], at: usize) -> Zeroizing<[u8; 32]> {
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(&bytes[at..at + 32]);
    secret
}

/// Reads a field of a part whose length was checked.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("the caller checked that the part is whole")
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}
