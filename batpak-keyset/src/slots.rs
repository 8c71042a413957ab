//! The key file: the current root secret and at most one next, each in a sector of its own.
//!
//! No change touches the sector of the other secret, and each is one sector: adding the next secret, and destroying
//! the current one, which promotes the next. So a cut leaves one secret whole at least.

use core::fmt;

use batpak_crypto::{RootSecret, SecretId};
use batpak_format::StoreId;
use zeroize::Zeroizing;

use crate::check::{CHECK_LEN, slot_check};
use crate::error::KeyFileError;
use crate::header::{array_at, is_zero, secret_at, u16_at, u64_at};

/// Bytes of a slot, which is what a disk writes at once.
pub const SECTOR_LEN: usize = 512;
/// Bytes of a key file: two slots.
pub const KEY_FILE_LEN: usize = 2 * SECTOR_LEN;
/// The first 8 bytes of a slot.
pub(crate) const SLOT_MAGIC: [u8; 8] = *b"BATPAKKF";
/// The version of the slot that this crate writes.
pub(crate) const SLOT_VERSION: u16 = 1;

pub(crate) const MAGIC_AT: usize = 0;
pub(crate) const VERSION_AT: usize = MAGIC_AT + 8;
pub(crate) const ZERO_AT: usize = VERSION_AT + 2;
pub(crate) const SEQUENCE_AT: usize = ZERO_AT + 6;
pub(crate) const STORE_AT: usize = SEQUENCE_AT + 8;
pub(crate) const SECRET_ID_AT: usize = STORE_AT + 16;
pub(crate) const SECRET_AT: usize = SECRET_ID_AT + 16;
pub(crate) const PAD_AT: usize = SECRET_AT + 32;
pub(crate) const CHECK_AT: usize = SECTOR_LEN - CHECK_LEN;

const _: () = assert!(PAD_AT == 88 && CHECK_AT == 480);

/// One root secret and its id.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "the two fields are the format")]
pub struct Slot {
    /// The id, which images name.
    pub secret_id: SecretId,
    /// The secret; wiped on drop.
    pub secret: RootSecret,
}

/// One sector to be written, and synced: the whole of a change.
pub struct SectorWrite {
    /// Where it stands in the file.
    pub offset: u64,
    /// Its bytes; wiped on drop.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for SectorWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SectorWrite({} bytes at {})", self.bytes.len(), self.offset)
    }
}

/// A key file, decoded.
#[derive(Debug)]
pub struct KeyFile {
    store: StoreId,
    /// The number of the current secret; the next has one more. Even numbers stand in the first sector.
    sequence: u64,
    current: Slot,
    next: Option<Slot>,
    damaged: bool,
}

impl KeyFile {
    /// Makes the key file of a new store.
    #[must_use]
    pub const fn new(store: StoreId, current: Slot) -> Self {
        Self { store, sequence: 0, current, next: None, damaged: false }
    }

    /// Returns the store that the file belongs to.
    #[must_use]
    pub const fn store(&self) -> StoreId {
        self.store
    }

    /// Returns the current secret.
    #[must_use]
    pub const fn current(&self) -> &Slot {
        &self.current
    }

    /// Returns the next secret, under which an image may be sealed already.
    #[must_use]
    pub const fn next(&self) -> Option<&Slot> {
        self.next.as_ref()
    }

    /// Returns the secret with this id.
    #[must_use]
    pub fn find(&self, secret_id: SecretId) -> Option<&RootSecret> {
        let slots = [Some(&self.current), self.next.as_ref()];
        slots.into_iter().flatten().find(|slot| slot.secret_id == secret_id).map(|slot| &slot.secret)
    }

    /// Tells whether one of the two sectors is neither a whole slot nor empty: a change was cut, or the medium is
    /// failing.
    #[must_use]
    pub const fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// Adds the next secret behind the current one, which must be `current`; one that was there is replaced.
    ///
    /// # Errors
    /// [`KeyFileError::CurrentChanged`], [`KeyFileError::SequenceExhausted`].
    pub fn store_next(&mut self, current: SecretId, next: Slot) -> Result<SectorWrite, KeyFileError> {
        if self.current.secret_id != current {
            return Err(KeyFileError::CurrentChanged);
        }
        let sequence = self.sequence.checked_add(1).ok_or(KeyFileError::SequenceExhausted)?;
        let write = SectorWrite { offset: offset_of(sequence), bytes: encode_slot(self.store, sequence, &next) };
        self.next = Some(next);
        Ok(write)
    }

    /// Destroys the next secret, under which no image was sealed; harmless when there is none.
    pub fn destroy_next(&mut self) -> SectorWrite {
        self.next = None;
        SectorWrite { offset: offset_of(self.sequence.wrapping_add(1)), bytes: empty_sector() }
    }

    /// Destroys the current secret, which must be `current`; the next one is current then.
    ///
    /// # Errors
    /// [`KeyFileError::CurrentChanged`], [`KeyFileError::NoNext`].
    pub fn destroy_current(&mut self, current: SecretId) -> Result<SectorWrite, KeyFileError> {
        if self.current.secret_id != current {
            return Err(KeyFileError::CurrentChanged);
        }
        let next = self.next.take().ok_or(KeyFileError::NoNext)?;
        let write = SectorWrite { offset: offset_of(self.sequence), bytes: empty_sector() };
        self.current = next;
        self.sequence = self.sequence.wrapping_add(1);
        Ok(write)
    }

    /// Encodes the whole file: [`KEY_FILE_LEN`] bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(vec![0; KEY_FILE_LEN]);
        put_sector(&mut bytes, self.sequence, &encode_slot(self.store, self.sequence, &self.current));
        if let Some(next) = &self.next {
            let sequence = self.sequence.wrapping_add(1);
            put_sector(&mut bytes, sequence, &encode_slot(self.store, sequence, next));
        }
        bytes
    }

    /// Reads a key file: of two whole slots the one with the lower number is the current secret.
    ///
    /// # Errors
    /// [`KeyFileError::WrongLength`]; [`KeyFileError::UnknownVersion`]; [`KeyFileError::Foreign`] when a slot belongs to
    /// another store than the one expected; [`KeyFileError::Corrupt`] when no slot is whole, or the two do not belong
    /// together.
    pub fn decode(bytes: &[u8], store: Option<StoreId>) -> Result<Self, KeyFileError> {
        if bytes.len() != KEY_FILE_LEN {
            return Err(KeyFileError::WrongLength { bytes: bytes.len() });
        }
        let (even, odd) = bytes.split_at(SECTOR_LEN);
        let (even, odd) = (decode_slot(even, 0, store)?, decode_slot(odd, 1, store)?);
        let damaged = matches!(even, Sector::Damaged) || matches!(odd, Sector::Damaged);
        let (first, second) = match (even, odd) {
            (Sector::Whole(a), Sector::Whole(b)) if a.sequence < b.sequence => (a, Some(b)),
            (Sector::Whole(a), Sector::Whole(b)) => (b, Some(a)),
            (Sector::Whole(one), _) | (_, Sector::Whole(one)) => (one, None),
            _ => return Err(KeyFileError::Corrupt),
        };
        let follows = second
            .as_ref()
            .is_none_or(|second| second.store == first.store && first.sequence.checked_add(1) == Some(second.sequence));
        match follows {
            true => Ok(Self {
                store: first.store,
                sequence: first.sequence,
                current: first.slot,
                next: second.map(|second| second.slot),
                damaged,
            }),
            false => Err(KeyFileError::Corrupt),
        }
    }
}

/// One sector of the file.
enum Sector {
    Damaged,
    Empty,
    Whole(Numbered),
}

struct Numbered {
    sequence: u64,
    store: StoreId,
    slot: Slot,
}

fn decode_slot(sector: &[u8], parity: u64, store: Option<StoreId>) -> Result<Sector, KeyFileError> {
    if is_zero(sector) {
        return Ok(Sector::Empty);
    }
    let (covered, check) = sector.split_at(CHECK_AT);
    if !covered.starts_with(&SLOT_MAGIC) || slot_check(covered) != check {
        return Ok(Sector::Damaged);
    }
    let version = u16_at(covered, VERSION_AT);
    if version != SLOT_VERSION {
        return Err(KeyFileError::UnknownVersion { version });
    }
    let found = StoreId::from_bytes(array_at(covered, STORE_AT));
    if store.is_some_and(|store| store != found) {
        return Err(KeyFileError::Foreign { found });
    }
    let sequence = u64_at(covered, SEQUENCE_AT);
    let padding = is_zero(&covered[ZERO_AT..SEQUENCE_AT]) && is_zero(&covered[PAD_AT..]);
    if sequence % 2 != parity || !padding {
        return Ok(Sector::Damaged);
    }
    let slot = Slot {
        secret_id: SecretId::from_bytes(array_at(covered, SECRET_ID_AT)),
        secret: RootSecret::from_bytes(secret_at(covered, SECRET_AT)),
    };
    Ok(Sector::Whole(Numbered { sequence, store: found, slot }))
}

fn encode_slot(store: StoreId, sequence: u64, slot: &Slot) -> Zeroizing<Vec<u8>> {
    let mut sector = empty_sector();
    put(&mut sector, MAGIC_AT, &SLOT_MAGIC);
    put(&mut sector, VERSION_AT, &SLOT_VERSION.to_le_bytes());
    put(&mut sector, SEQUENCE_AT, &sequence.to_le_bytes());
    put(&mut sector, STORE_AT, store.as_bytes());
    put(&mut sector, SECRET_ID_AT, slot.secret_id.as_bytes());
    put(&mut sector, SECRET_AT, slot.secret.expose());
    let check = slot_check(&sector[..CHECK_AT]);
    put(&mut sector, CHECK_AT, &check);
    sector
}

fn empty_sector() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(vec![0; SECTOR_LEN])
}

fn put_sector(file: &mut [u8], sequence: u64, sector: &[u8]) {
    let at = if sequence.is_multiple_of(2) { 0 } else { SECTOR_LEN };
    put(file, at, sector);
}

const fn offset_of(sequence: u64) -> u64 {
    (sequence % 2) * SECTOR_LEN as u64
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}
