//! The read side of the segments.
//!
//! Invariants: rolled segments are read through maps, the active one by position. A reader is opened once and shared; the lock
//! around them is not held while bytes are read.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use batpak_format::StoreId;
use batpak_segment::{Disk, ReadError as SegmentError, SegmentReader, segment_path};
use bytes::Bytes;

use crate::{
    ReadError,
    index::Address,
    sync::{RwLock, read, write},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct LogRead {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    store: StoreId,
    /// By segment; and whether it was opened as a rolled one.
    readers: RwLock<HashMap<u64, (bool, Arc<SegmentReader>)>>,
}

/// A read that failed, before it is known for which position.
#[derive(Debug)]
pub(crate) struct Defect {
    path: PathBuf,
    why: SegmentError,
}

impl Defect {
    pub(crate) fn at(self, position: u64) -> ReadError {
        match self.why {
            SegmentError::Frame { source, .. } => ReadError::Damaged { position, source },
            SegmentError::Io(source) => ReadError::Disk { path: self.path, source },
            _ => ReadError::Misplaced { position },
        }
    }
}

impl LogRead {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf, store: StoreId) -> Self {
        Self { disk, dir, store, readers: RwLock::new(HashMap::new()) }
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Reads the frame at an address, checked.
    pub(crate) fn frame(&self, address: Address, active: bool) -> Result<Bytes, Defect> {
        let defect = |why| Defect { path: segment_path(&self.dir, address.segment), why };
        let reader = self.reader(address.segment, active).map_err(defect)?;
        let frame = reader.read_frame_at(address.offset, self.store).map_err(defect)?;
        Ok(frame.bytes().clone())
    }

    fn reader(&self, segment: u64, active: bool) -> Result<Arc<SegmentReader>, SegmentError> {
        let open = read(&self.readers).get(&segment).cloned();
        if let Some((as_rolled, reader)) = open
            && (active || as_rolled)
        {
            return Ok(reader);
        }
        let reader = Arc::new(SegmentReader::open(&*self.disk, &self.dir, segment, !active)?);
        write(&self.readers).insert(segment, (!active, Arc::clone(&reader)));
        Ok(reader)
    }
}
