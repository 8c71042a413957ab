//! How a read-only store follows a log that another process writes.
//!
//! Invariants: it takes no lock and changes nothing. It goes on from where it was, frame by frame; bytes that are not a whole frame
//! yet are the end for now. A batch shows when its last event is there. Before plaintext is handed out, the epochs of the keyset's
//! copies are compared, and the keyset is loaded again when they changed.

use batpak_format::{Frame, Record, SEGMENT_HEADER_LEN, SegmentHeader};
use batpak_segment::{Access, SEGMENTS_DIR, ScanError, ScanItem, Scanner, segment_path};

use crate::{
    Config, ReadError, Store,
    index::Address,
    keys::Keys,
    keyset_load::{claimed_epochs, load},
    log_scan::{LogScan, index_frame},
    secret::ProviderContext,
    sync::{Mutex, lock, write},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Refresh {
    config: Config,
    cursor: Mutex<Cursor>,
}

/// Where the next frame will stand.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    segment: u64,
    offset: u64,
    next_position: u64,
}

/// How a look at one segment ended.
enum Looked {
    /// Nothing more is there for now.
    End,
    /// A frame was taken in, or a batch.
    More,
}

impl Refresh {
    pub(crate) fn after(scan: &LogScan, config: &Config) -> Self {
        let recovered = &scan.recovered;
        let (segment, offset) = (recovered.active, recovered.end_offset);
        let cursor = Cursor { segment, offset, next_position: recovered.next_position };
        Self { config: config.clone(), cursor: Mutex::new(cursor) }
    }

    /// Takes in what was written since the last look.
    pub(crate) fn look(&self, store: &Store) -> Result<(), ReadError> {
        let mut cursor = lock(&self.cursor);
        self.look_at_log(store, &mut cursor)?;
        // Whoever sees an event finds its key; and whoever misses a key that was shredded finds the intent, which was synced before the
        // keyset without that key was.
        while self.reload_keys(store)? {
            self.look_at_log(store, &mut cursor)?;
        }
        store.view.set_visible(cursor.next_position);
        Ok(())
    }

    /// Looks at the log and the keyset if the keyset changed since the last look.
    pub(crate) fn look_at_keys(&self, store: &Store) -> Result<(), ReadError> {
        if self.keys_changed(store) { self.look(store) } else { Ok(()) }
    }

    fn look_at_log(&self, store: &Store, cursor: &mut Cursor) -> Result<(), ReadError> {
        loop {
            self.look_at_segment(store, cursor)?;
            if !self.next_segment(store, cursor)? {
                return Ok(());
            }
        }
    }

    fn look_at_segment(&self, store: &Store, cursor: &mut Cursor) -> Result<(), ReadError> {
        let path = segment_path(&store.dir.join(SEGMENTS_DIR), cursor.segment);
        let refused = |source| ReadError::Disk { path: path.clone(), source };
        let file = self.config.disk.open(&path, Access::Read).map_err(refused)?;
        let mut scanner = Scanner::new(file, store.info.store, cursor.segment, cursor.offset, u64::MAX)
            .map_err(|why| scan_refused(why, &path))?;
        while let Looked::More = take(&mut scanner, store, cursor).map_err(|why| scan_refused(why, &path))? {}
        Ok(())
    }

    /// Goes to the next segment if the log goes on there.
    fn next_segment(&self, store: &Store, cursor: &mut Cursor) -> Result<bool, ReadError> {
        let path = segment_path(&store.dir.join(SEGMENTS_DIR), cursor.segment + 1);
        let Ok(file) = self.config.disk.open(&path, Access::Read) else { return Ok(false) };
        let mut header = [0; SEGMENT_HEADER_LEN];
        let read = file.read_full_at(&mut header, 0).map_err(|source| ReadError::Disk { path, source })?;
        let Ok(header) = SegmentHeader::decode(header.get(..read).unwrap_or_default()) else { return Ok(false) };
        if header.store != store.info.store || header.first_position != cursor.next_position {
            return Ok(false);
        }
        (cursor.segment, cursor.offset) = (cursor.segment + 1, SEGMENT_HEADER_LEN as u64);
        Ok(true)
    }

    fn keys_changed(&self, store: &Store) -> bool {
        let newer = |keys: &Keys| {
            let epochs = claimed_epochs(&*self.config.disk, &store.dir);
            epochs.into_iter().flatten().any(|epoch| epoch > keys.epoch())
        };
        store.keys().is_some_and(newer)
    }

    /// Loads the keyset again if it changed, and says whether it is newer; the cursor is locked meanwhile, so that no older one replaces a newer.
    fn reload_keys(&self, store: &Store) -> Result<bool, ReadError> {
        if !self.keys_changed(store) {
            return Ok(false);
        }
        let (Some(keys), Some(provider)) = (store.keys(), self.config.encryption.provider()) else { return Ok(false) };
        let disk = &self.config.disk;
        let context =
            ProviderContext { store: store.info.store, dir: &store.dir, disk: &**disk, entropy: &*self.config.entropy };
        let loaded = load(&context, provider, disk, Access::Read).map_err(|why| ReadError::Keyset(Box::new(why)))?;
        let (keyset, root) = loaded.into_parts();
        // A torn copy may claim an epoch that cannot be loaded.
        let newer = keyset.epoch() > keys.epoch();
        keys.replace(keyset, root);
        Ok(newer)
    }
}

/// Takes in the next frame, or the next batch when all of it is there.
fn take(scanner: &mut Scanner, store: &Store, cursor: &mut Cursor) -> Result<Looked, ScanError> {
    let start = scanner.offset();
    let count = match scanner.next()? {
        ScanItem::Frame { frame, .. } if frame.header().position() == cursor.next_position => {
            frame.header().batch().map_or(1, |batch| batch.count)
        }
        _ => return Ok(Looked::End),
    };
    for _ in 1..count {
        if !matches!(scanner.next()?, ScanItem::Frame { .. }) {
            return Ok(Looked::End);
        }
    }
    scanner.seek(start);
    for _ in 0..count {
        let ScanItem::Frame { offset, frame } = scanner.next()? else { return Ok(Looked::End) };
        take_frame(store, Address { segment: cursor.segment, offset }, &frame);
        cursor.next_position += 1;
    }
    cursor.offset = scanner.offset();
    Ok(Looked::More)
}

fn take_frame(store: &Store, address: Address, frame: &Frame<'_>) {
    let mut index = write(&store.view.index);
    debug_assert_eq!(index.len(), frame.header().position(), "frames are taken in order");
    index_frame(&mut index, &store.view.source, frame, address);
    drop(index);
    let header = frame.header();
    if header.kind().is_reserved()
        && let Some(Ok(record)) = frame.payload().map(|payload| Record::decode(header.kind(), payload))
    {
        take_record(store, header.position(), record);
    }
}

/// Takes in what the store itself wrote.
fn take_record(store: &Store, position: u64, record: Record) {
    let shreds = store.keys().map(|keys| &keys.shreds);
    match (record, shreds) {
        (Record::ScopeHeld(held), _) => write(&store.view.holds).hold(position, &held.key_scope, held.reference),
        (Record::ScopeReleased(released), _) => write(&store.view.holds).release(&released.key_scope),
        (Record::ShredIntent(intent), Some(shreds)) => write(shreds).add(position, &intent),
        (Record::ShredCompleted(completed), Some(shreds)) => write(shreds).complete(completed.intent),
        (Record::ScopeReadmitted(readmitted), Some(shreds)) => write(shreds).readmit(&readmitted.key_scope),
        _ => {}
    }
}

fn scan_refused(why: ScanError, path: &std::path::Path) -> ReadError {
    let source = match why {
        ScanError::Io(source) => source,
        _ => std::io::ErrorKind::InvalidData.into(),
    };
    ReadError::Disk { path: path.to_owned(), source }
}
