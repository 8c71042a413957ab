//! One file of the simulated disk: what reads see, what is durable, and what was written since.
//!
//! Invariant: the durable side changes only by a sync, or by a sync that fails; every value a sector had since the last sync is
//! remembered, for a crash may leave any of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use batpak_store::format::content_len;

use crate::random::Random;
use crate::sim::Handle;

/// What a disk writes whole or not at all.
pub(crate) const SECTOR: usize = 512;

/// The bytes of one sector; nothing stands for zeros.
pub(crate) type Sector = Option<Arc<[u8; SECTOR]>>;

/// Bytes and their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) sectors: Vec<Sector>,
    pub(crate) len: u64,
}

impl Content {
    pub(crate) fn sector(&self, index: usize) -> Sector {
        self.sectors.get(index).cloned().flatten()
    }

    pub(crate) fn put(&mut self, index: usize, sector: Sector) {
        if self.sectors.len() <= index {
            if sector.is_none() {
                return;
            }
            self.sectors.resize(index + 1, None);
        }
        self.sectors[index] = sector;
    }

    /// Cuts at a length, or extends to it with zeros.
    pub(crate) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let whole = (len as usize).div_ceil(SECTOR);
            self.sectors.truncate(whole);
            let rest = len as usize % SECTOR;
            if rest > 0
                && let Some(Some(last)) = self.sectors.get_mut(whole - 1)
            {
                Arc::make_mut(last)[rest..].fill(0);
            }
            normalise(&mut self.sectors);
        }
        self.len = len;
    }

    pub(crate) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let room = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = buf.len().min(room);
        let mut done = 0;
        while done < count {
            let at = offset as usize + done;
            let (index, within) = (at / SECTOR, at % SECTOR);
            let piece = (SECTOR - within).min(count - done);
            match self.sectors.get(index) {
                Some(Some(sector)) => buf[done..done + piece].copy_from_slice(&sector[within..within + piece]),
                _ => buf[done..done + piece].fill(0),
            }
            done += piece;
        }
        count
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len as usize];
        self.read(&mut bytes, 0);
        bytes
    }

    /// Takes the content into a hash, without looking at zeros.
    pub(crate) fn hash(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&self.len.to_le_bytes());
        for (index, sector) in self.sectors.iter().enumerate() {
            if let Some(sector) = sector {
                hasher.update(&(index as u64).to_le_bytes()).update(&sector[..]);
            }
        }
        hasher.update(&u64::MAX.to_le_bytes());
    }
}

fn normalise(sectors: &mut Vec<Sector>) {
    while sectors.last().is_some_and(|last| last.as_ref().is_none_or(|bytes| content_len(&bytes[..]) == 0)) {
        sectors.pop();
    }
}

/// A value and when it was written, in calls of the disk.
#[derive(Clone, Debug)]
pub(crate) struct Dated<T> {
    pub(crate) call: u64,
    pub(crate) value: T,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    /// What reads see.
    pub(crate) now: Content,
    /// What is durable for sure.
    pub(crate) base: Content,
    /// The values of each sector since the last sync, oldest first.
    pub(crate) pending: BTreeMap<usize, Vec<Dated<Sector>>>,
    /// The lengths since the last sync, oldest first.
    pub(crate) lengths: Vec<Dated<u64>>,
    pub(crate) mode: u32,
    pub(crate) identity: u64,
    /// Grows whenever the durable side changes.
    pub(crate) version: u64,
    pub(crate) locked_by: Option<Handle>,
}

impl File {
    pub(crate) fn write(&mut self, buf: &[u8], offset: u64, call: u64) {
        let end = offset + buf.len() as u64;
        let mut done = 0;
        while done < buf.len() {
            let at = offset as usize + done;
            let (index, within) = (at / SECTOR, at % SECTOR);
            let piece = (SECTOR - within).min(buf.len() - done);
            let mut bytes = self.now.sector(index).map_or([0; SECTOR], |sector| *sector);
            bytes[within..within + piece].copy_from_slice(&buf[done..done + piece]);
            let sector = bytes.iter().any(|byte| *byte != 0).then(|| Arc::new(bytes));
            self.set_sector(index, sector, call);
            done += piece;
        }
        self.now.len = self.now.len.max(end);
        // After a failed sync the durable length may lag behind what reads see; what is written again has its length again.
        if !buf.is_empty() && end > self.length() {
            self.lengths.push(Dated { call, value: end });
        }
    }

    /// The length that the next sync makes durable.
    fn length(&self) -> u64 {
        self.lengths.last().map_or(self.base.len, |length| length.value)
    }

    fn set_sector(&mut self, index: usize, sector: Sector, call: u64) {
        let last = match self.pending.get(&index).and_then(|versions| versions.last()) {
            Some(last) => last.value.clone(),
            None => self.base.sector(index),
        };
        if last != sector {
            self.pending.entry(index).or_default().push(Dated { call, value: sector.clone() });
        }
        self.now.put(index, sector);
    }

    pub(crate) fn set_len(&mut self, len: u64, call: u64) {
        if len == self.now.len && len == self.length() {
            return;
        }
        if len < self.now.len {
            let mut cut = self.now.clone();
            cut.set_len(len);
            for index in len as usize / SECTOR..self.now.sectors.len() {
                self.set_sector(index, cut.sector(index), call);
            }
        }
        self.now.set_len(len);
        self.lengths.push(Dated { call, value: len });
    }

    /// Whether something was written that is not synced.
    pub(crate) fn is_steady(&self) -> bool {
        self.pending.is_empty() && self.lengths.is_empty()
    }

    pub(crate) fn sync(&mut self) {
        for (index, versions) in std::mem::take(&mut self.pending) {
            if let Some(last) = versions.last() {
                self.base.put(index, last.value.clone());
            }
        }
        if let Some(length) = self.lengths.last() {
            self.base.set_len(length.value);
        }
        self.lengths.clear();
        self.version += 1;
    }

    /// A sync that fails: of each sector any value is durable now, reads go on seeing the last, and the next sync has nothing to do.
    pub(crate) fn fail_sync(&mut self, random: &mut Random) {
        for (index, versions) in std::mem::take(&mut self.pending) {
            if let Some(kept) = random.below(versions.len() + 1).checked_sub(1) {
                self.base.put(index, versions[kept].value.clone());
            }
        }
        if let Some(kept) = random.below(self.lengths.len() + 1).checked_sub(1) {
            self.base.set_len(self.lengths[kept].value);
        }
        self.lengths.clear();
        self.version += 1;
    }
}
