//! The shreds that the keyset had applied when the store was opened, and the readmissions among them: they stay in index files and are
//! looked up.
//!
//! A key that such an intent names is gone from the keyset, and whoever asks for it learns that first. So nothing is asked here for a key
//! that is there, and what is asked for one that is not tells a shredded key from a lost one.
//!
//! Invariants: a look-up leads to a record of the log, which is read before it counts. Below the bound no record is known from memory, and
//! behind it none from here. Memory: the intents that were read last ([`SettledIntents`]).

use std::sync::{Arc, OnceLock};

use batpak_format::{KeyId, Record};
use batpak_keyset::KeyScope;

use crate::{
    ReadError,
    settled_intents::{ReadIntent, SettledIntents},
    shreds::Standing,
    sync::{Mutex, lock},
    view::View,
};

/// Where records of shreds are left to index files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SettledBelow {
    /// Those below this position.
    pub(crate) position: u64,
    /// Whether there are any.
    pub(crate) any: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Settled {
    below: SettledBelow,
    /// Put in place when the store wakes.
    view: OnceLock<Arc<View>>,
    intents: Mutex<SettledIntents>,
}

/// What a record is to a key scope.
enum Found {
    Intent(Arc<ReadIntent>),
    Readmission(Box<[u8]>),
}

impl Settled {
    pub(crate) fn new(below: SettledBelow) -> Self {
        Self { below, view: OnceLock::new(), intents: Mutex::new(SettledIntents::default()) }
    }

    /// Says where the index is that is asked.
    pub(crate) fn look_in(&self, view: &Arc<View>) {
        self.view.get_or_init(|| Arc::clone(view));
    }

    /// The index, when there is something to ask it.
    fn view(&self) -> Option<&View> {
        self.view.get().filter(|_| self.below.any).map(|view| &**view)
    }

    /// Returns the position of the first intent that names a key of a key scope.
    pub(crate) fn intent(&self, scope: &KeyScope, key_id: KeyId) -> Result<Option<u64>, ReadError> {
        let Some(view) = self.view() else { return Ok(None) };
        for position in view.naming(scope, self.below.position)? {
            if let Some(Found::Intent(intent)) = self.read(view, position)?
                && intent.names(scope, key_id)
            {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    /// What the last record that names a key scope says of it.
    pub(crate) fn standing(&self, scope: &KeyScope) -> Result<Option<Standing>, ReadError> {
        let Some(view) = self.view() else { return Ok(None) };
        for position in view.naming(scope, self.below.position)?.into_iter().rev() {
            match self.read(view, position)? {
                Some(Found::Intent(intent)) if intent.names_scope(scope) => return Ok(Some(Standing::Refused)),
                Some(Found::Readmission(readmitted)) if *readmitted == *scope.as_bytes() => {
                    return Ok(Some(Standing::Readmitted));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Reads the record at a position; none when it is none of a shred.
    fn read(&self, view: &View, position: u64) -> Result<Option<Found>, ReadError> {
        if let Some(intent) = lock(&self.intents).get(position) {
            return Ok(Some(Found::Intent(intent)));
        }
        match view.record_at(position)? {
            Some(Record::ShredIntent(intent)) => {
                let intent = Arc::new(ReadIntent::new(position, intent.targets));
                lock(&self.intents).keep(Arc::clone(&intent));
                Ok(Some(Found::Intent(intent)))
            }
            Some(Record::ScopeReadmitted(readmitted)) => Ok(Some(Found::Readmission(readmitted.key_scope))),
            _ => Ok(None),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use batpak_segment::MemoryDisk;

    use super::{Settled, SettledBelow};
    use crate::{Config, Coordinate, Encryption, EventKind, Local, NewEvent, Payload, Selector, Store};

    fn config(disk: &MemoryDisk) -> Config {
        Config::new(Encryption::sealed(Local::new())).disk(Arc::new(disk.clone())).segment_bytes(4096)
    }

    #[test]
    fn settled_shreds_take_no_memory_and_are_found_by_looking_them_up() {
        let disk = MemoryDisk::new();
        let append = |store: &Store, entity: &str| {
            let coordinate = Coordinate::new(entity, "s").unwrap();
            store.append(&NewEvent::new(coordinate, EventKind::new(1, 1).unwrap(), &[1; 500])).unwrap();
        };
        let store = Store::create("/store", config(&disk)).unwrap();
        (0..30).for_each(|_| append(&store, "victim"));
        let intent = store.shred(&[Selector::Entity("victim".into())], 1, "").unwrap().intent;
        (0..30).for_each(|_| append(&store, "other"));
        store.close().unwrap();
        let mut reader = Store::open_read_only("/store", config(&disk)).unwrap();
        let payload = |reader: &Store| reader.latest("victim").unwrap().unwrap().payload;
        let keys = reader.keys().unwrap();
        assert!(
            crate::sync::read(&keys.shreds).runs_after(None).is_empty(),
            "the keyset has applied it, and its segment has a file"
        );
        assert!(matches!(payload(&reader), Payload::Shredded(proof) if proof.intent == intent));
        // The control: where nothing is looked up, its key is lost.
        Arc::get_mut(reader.keys.as_mut().unwrap()).unwrap().settled = Settled::new(SettledBelow::default());
        assert!(matches!(payload(&reader), Payload::KeyLost(_)));
    }
}
