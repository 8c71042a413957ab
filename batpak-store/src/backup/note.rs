//! The note of the last backup: a small file in the store's directory, `backup.note`.
//!
//! Invariant: it is advice. No open, read or append depends on it, a damaged one counts as none, and it may be deleted at any time.
//! Nothing in it is secret.
//!
//! Little-endian: `BATPAKBN`; version 1 as u16; 6 zeros; store id; the time of the backup, microseconds since 1970 UTC; the position
//! behind its last event; the keyset's epoch and the id of its root secret, zeros in a plaintext store; BLAKE3 of everything before.

use batpak_crypto::SecretId;
use batpak_format::{
    Timestamp,
    codec::{Reader, put_bytes, put_i64, put_u16, put_u64},
};

use super::{Manifest, folder::put_whole, read_whole};
use crate::{Store, keyset_load::headers, layout::BACKUP_NOTE};

const MAGIC: [u8; 8] = *b"BATPAKBN";
const VERSION: u16 = 1;

/// The last backup of a store, as a note in its directory says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastBackup {
    /// When it was taken.
    pub time: Timestamp,
    /// The position behind its last event.
    pub next_position: u64,
    /// The epoch of the keyset that was backed up; none in a plaintext store.
    pub epoch: Option<u64>,
    /// The root secret has moved since, by a shred or a rekey: the keyset that was backed up is not the one to be restored, and with
    /// an outside root secret it opens no more. Back up again.
    pub keyset_stale: bool,
}

impl Store {
    /// Returns what is noted of the store's last backup; none when there was none, or the note is gone or damaged.
    #[must_use]
    pub fn last_backup(&self) -> Option<LastBackup> {
        let (disk, path) = (&*self.config.disk, self.dir.join(BACKUP_NOTE));
        let (note, secret_id) = decode(&read_whole(disk, &path).ok()?, self)?;
        if note.epoch.is_none() {
            return Some(note);
        }
        let newest = headers(disk, &self.dir).into_iter().flatten().max_by_key(|header| header.epoch);
        let keyset_stale = newest.is_none_or(|newest| newest.secret_id != secret_id);
        Some(LastBackup { keyset_stale, ..note })
    }

    /// Notes a backup; whether that worked.
    pub(super) fn note_backup(&self, log: &Manifest) -> bool {
        let mut out = Vec::new();
        put_bytes(&mut out, &MAGIC);
        put_u16(&mut out, VERSION);
        put_bytes(&mut out, &[0; 6]);
        put_bytes(&mut out, log.store.as_bytes());
        put_i64(&mut out, log.time.as_micros());
        put_u64(&mut out, log.next_position);
        put_u64(&mut out, log.epoch);
        put_bytes(&mut out, log.secret_id.as_bytes());
        let check = blake3::hash(&out);
        put_bytes(&mut out, check.as_bytes());
        put_whole(&*self.config.disk, &self.dir, BACKUP_NOTE, &out).is_ok()
    }
}

fn decode(bytes: &[u8], store: &Store) -> Option<(LastBackup, SecretId)> {
    let (body, check) = bytes.split_last_chunk::<32>()?;
    if blake3::hash(body) != *check {
        return None;
    }
    let mut reader = Reader::new(body);
    let known = reader.array().ok()? == MAGIC && reader.u16().ok()? == VERSION && reader.array().ok()? == [0; 6];
    if !known || reader.array().ok()? != *store.info.store.as_bytes() {
        return None;
    }
    let time = Timestamp::from_micros(reader.i64().ok()?);
    let (next_position, epoch) = (reader.u64().ok()?, reader.u64().ok()?);
    let secret_id = SecretId::from_bytes(reader.array().ok()?);
    let epoch = store.info.encrypted.then_some(epoch);
    (reader.remaining() == 0).then_some((LastBackup { time, next_position, epoch, keyset_stale: false }, secret_id))
}
