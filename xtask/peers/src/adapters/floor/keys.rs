//! The keys of a sealed floor: a file to which each new key is appended, 40 bytes with its entity.
//!
//! Invariant: a key is flushed before it is handed out. To mint costs one write and one flush, however many keys there are.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use crate::Outcome;
use crate::adapters::sealing::KEY;

const ENTRY: usize = 8 + KEY;

/// The keys, in memory and in their file.
#[derive(Debug)]
pub(super) struct KeyLog {
    file: File,
    keys: HashMap<u64, [u8; KEY]>,
}

impl KeyLog {
    /// Reads the file, which may be new.
    pub(super) fn open(path: &Path) -> Outcome<KeyLog> {
        let mut file = File::options().create(true).read(true).append(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut keys = HashMap::new();
        for entry in bytes.as_chunks::<ENTRY>().0 {
            let (entity, key) = entry.split_at(8);
            keys.insert(u64::from_le_bytes(entity.try_into()?), key.try_into()?);
        }
        Ok(KeyLog { file, keys })
    }

    /// Returns an entity's key, and makes it when there is none.
    pub(super) fn of(&mut self, entity: u64) -> Outcome<&[u8; KEY]> {
        if !self.keys.contains_key(&entity) {
            let mut key = [0; KEY];
            getrandom::fill(&mut key)?;
            let mut line = [0; ENTRY];
            line[..8].copy_from_slice(&entity.to_le_bytes());
            line[8..].copy_from_slice(&key);
            self.file.write_all(&line)?;
            self.file.sync_data()?;
            self.keys.insert(entity, key);
        }
        Ok(&self.keys[&entity])
    }
}
