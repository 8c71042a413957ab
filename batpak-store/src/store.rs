//! The store: one directory, one writer process, any number of readers.
//!
//! Invariant: `Store` is `Send + Sync` and all its methods take `&self`; dropping it closes it.

use std::{fmt, path::PathBuf, sync::Arc};

use batpak_format::{StoreId, Timestamp};
use batpak_keyset::{Granularity, ProviderKind};
use bytes::Bytes;

use crate::{
    AppendError, Config, OpenReport, ReadError, gate::is_inside, index::Address, keys::Keys, log_read::LogRead,
    refresh::Refresh, view::View, writer::Writer,
};

/// An open store. See the [crate's front page](crate).
pub struct Store {
    pub(crate) dir: PathBuf,
    pub(crate) config: Config,
    pub(crate) info: StoreInfo,
    pub(crate) report: OpenReport,
    pub(crate) view: Arc<View>,
    pub(crate) segments: LogRead,
    pub(crate) keys: Option<Arc<Keys>>,
    pub(crate) side: Side,
}

/// Which side of the log this process is on.
#[derive(Debug)]
pub(crate) enum Side {
    Writer(Box<Writer>),
    Reader(Box<Refresh>),
}

/// What the genesis event says of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreInfo {
    /// The store's id.
    pub store: StoreId,
    /// When it was created.
    pub created: Timestamp,
    /// Whether payloads are sealed.
    pub encrypted: bool,
    /// Which events share a key; none in a plaintext store.
    pub granularity: Option<Granularity>,
    /// Who keeps the root secret; none in a plaintext store.
    pub provider: Option<ProviderKind>,
    /// The creator's note of where the root secret is kept.
    pub provider_hint: String,
    /// The largest plaintext that an append takes, in bytes.
    pub plaintext_bytes_max: u32,
    /// The size at which a segment is rolled, in bytes.
    pub segment_bytes: u64,
}

impl Store {
    /// Returns what the genesis event says of the store.
    pub fn info(&self) -> &StoreInfo {
        &self.info
    }

    /// Returns what opening the store found and mended.
    pub fn open_report(&self) -> &OpenReport {
        &self.report
    }

    /// Writes and syncs everything that was appended so far, deferred appends too.
    ///
    /// # Errors
    /// [`AppendError::NotWritten`], [`AppendError::Poisoned`] or [`AppendError::ReadOnly`].
    pub fn sync(&self) -> Result<(), AppendError> {
        let writer = self.writer()?;
        writer.pipeline.sync_all()?;
        if writer.check_process().is_ok() {
            writer.index_rolled();
        }
        Ok(())
    }

    /// Closes the store: writes and syncs what is left, and ends the log with a footer that vouches for it.
    ///
    /// # Errors
    /// As [`Store::sync`]; the store is closed all the same, and the next open recovers it.
    pub fn close(self) -> Result<(), AppendError> {
        self.shut()
    }

    fn shut(&self) -> Result<(), AppendError> {
        match &self.side {
            Side::Writer(writer) => writer.close(),
            Side::Reader(_) => Ok(()),
        }
    }

    pub(crate) fn writer(&self) -> Result<&Writer, AppendError> {
        if is_inside() {
            return Err(AppendError::InsideGate);
        }
        match &self.side {
            Side::Writer(writer) => Ok(writer),
            Side::Reader(_) => Err(AppendError::ReadOnly),
        }
    }

    /// Whether this process writes the log.
    pub(crate) fn is_writer(&self) -> bool {
        matches!(self.side, Side::Writer(_))
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    pub(crate) fn keys(&self) -> Option<&Keys> {
        self.keys.as_deref()
    }

    /// A gate runs under the commit lock: from there only its view answers.
    pub(crate) fn refuse_inside_gate(&self) -> Result<(), ReadError> {
        if is_inside() { Err(ReadError::InsideGate) } else { Ok(()) }
    }

    /// Looks at how the log and the keyset changed, in a read-only store; a writer knows.
    pub(crate) fn refresh(&self) -> Result<(), ReadError> {
        self.refuse_inside_gate()?;
        match &self.side {
            Side::Writer(_) => Ok(()),
            Side::Reader(refresh) => refresh.look(self),
        }
    }

    /// Looks whether the keyset changed, in a read-only store; a writer knows.
    pub(crate) fn refresh_keys(&self) -> Result<(), ReadError> {
        match &self.side {
            Side::Writer(_) => Ok(()),
            Side::Reader(refresh) => refresh.look_at_keys(self),
        }
    }

    /// One past the last position that is with the operating system.
    pub(crate) fn written_mark(&self) -> u64 {
        match &self.side {
            Side::Writer(_) => self.view.written(),
            Side::Reader(_) => self.view.visible(),
        }
    }

    /// Frames that are only in the write buffer so far, from the one at an address on. The commit lock is not touched for what is with
    /// the operating system.
    pub(crate) fn unwritten(&self, position: u64, address: Address) -> Option<Bytes> {
        match &self.side {
            Side::Writer(writer) if position >= self.view.written() => writer.pipeline.unwritten(position, address),
            _ => None,
        }
    }
}

impl Drop for Store {
    /// Closes the store as [`Store::close`] does; who wants to know of a failure calls that.
    fn drop(&mut self) {
        drop(self.shut());
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir).field("info", &self.info).finish_non_exhaustive()
    }
}
