//! How much room a store takes on the disk.
//!
//! Invariant: a file that goes away while it is measured counts nothing, so a store can be measured beside its writer.

use std::{fs, io, path::Path};

use batpak_store::segment::SEGMENTS_DIR;

use crate::error::CliError;

/// The bytes of a store's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The segments, with what a writer wrote ahead.
    pub log_bytes: u64,
    /// Both copies of the keyset, and its extents.
    pub keyset_bytes: u64,
}

impl Sizes {
    /// Measures the store in a directory.
    ///
    /// # Errors
    /// [`CliError::Folder`] when the directory cannot be read.
    pub fn measure(dir: &Path) -> Result<Self, CliError> {
        let bytes =
            |part: &Path| bytes_under(part).map_err(|source| CliError::Folder { path: part.to_owned(), source });
        let log_bytes = bytes(&dir.join(SEGMENTS_DIR))?;
        Ok(Self { log_bytes, keyset_bytes: bytes(dir)?.saturating_sub(log_bytes) })
    }
}

/// Returns the bytes of all files under a directory.
fn bytes_under(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let inner = match entry.metadata() {
            Ok(data) if data.is_dir() => bytes_under(&entry.path()),
            measured => measured.map(|data| data.len()),
        };
        bytes += match inner {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => 0,
            inner => inner?,
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_tell_the_log_from_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(SEGMENTS_DIR)).unwrap();
        fs::create_dir(dir.path().join("extents")).unwrap();
        fs::write(dir.path().join(SEGMENTS_DIR).join("one"), [0; 7]).unwrap();
        fs::write(dir.path().join("extents/1"), [0; 3]).unwrap();
        fs::write(dir.path().join("keyset.a"), [0; 2]).unwrap();
        assert_eq!(Sizes::measure(dir.path()).unwrap(), Sizes { log_bytes: 7, keyset_bytes: 5 });
    }
}
