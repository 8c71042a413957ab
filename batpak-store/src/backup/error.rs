//! Why a backup, a restore or a drill was not carried out.
//!
//! Invariant: no message carries a key, a payload or a piece of one.

use std::{io, path::PathBuf};

use batpak_format::StoreId;

use crate::{AppendError, OpenError, ReadError};

/// Why a backup, a restore or a drill was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The log could not be made durable before it was copied.
    #[error("the log could not be written to the end before its backup")]
    Append(#[from] AppendError),
    /// A file of the backup is not what its manifest says.
    #[error("{} is damaged: its bytes are not those that were backed up; use another backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("cannot {what} {}", path.display())]
    Disk {
        /// What was tried.
        what: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The folder holds a longer or another history of this store.
    #[error(
        "{} holds a log of this store that this one does not go on from: keep it, and back up into another folder",
        dir.display()
    )]
    Diverged {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder holds the backup of another store.
    #[error("{} holds a backup of store {found}: choose another folder", dir.display())]
    ForeignBackup {
        /// The folder.
        dir: PathBuf,
        /// The store it belongs to.
        found: StoreId,
    },
    /// A file is not there that the manifest names, or is shorter than it says.
    #[error("{} is missing or cut short: use another backup", path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
    },
    /// The folder lies inside a store.
    #[error("{} is a store: choose a folder outside of it", outer.display())]
    InsideStore {
        /// The store around it.
        outer: PathBuf,
    },
    /// An encrypted store needs a folder for its keyset, and a plaintext store has none.
    #[error("the store is encrypted: name a folder for its keyset, apart from the log's")]
    KeysetFolderNeeded,
    /// The manifest is damaged, or of a version that is not known.
    #[error("{} is no manifest that this version understands: use another backup", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
    },
    /// There is no backup in the folder.
    #[error("{} holds no backup of {part}", dir.display())]
    NoBackup {
        /// The folder.
        dir: PathBuf,
        /// What was looked for: the log, or the keyset.
        part: &'static str,
    },
    /// The folder holds something else.
    #[error("{} holds {name}: choose an empty folder, or one that does not exist", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
        /// What was found in it.
        name: String,
    },
    /// The store could not be looked at.
    #[error(transparent)]
    Open(#[from] Box<OpenError>),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Log and keyset would stand in one folder, and that was not asked for.
    #[error(
        "{} would hold the log and the keyset: whoever has that copy needs only the root secret; choose a folder for the \
         keyset that lies apart, or ask for one folder",
        dir.display()
    )]
    SameFolder {
        /// The folder.
        dir: PathBuf,
    },
    /// The keyset changed each time that it was copied.
    #[error("the keyset is published without a pause: back up again, or from the process that writes")]
    Unsettled,
    /// A backup into the folder was begun and not finished, and none was whole before.
    #[error("a backup into {} was begun and not finished: back up into it again", dir.display())]
    Unfinished {
        /// The folder.
        dir: PathBuf,
    },
}

/// Names what the disk refused.
pub(crate) fn refused(what: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Disk { what, path, source }
}
