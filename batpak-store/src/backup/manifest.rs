//! The manifest of a backup folder: which files it holds, how long each is, and its BLAKE3.
//!
//! Invariants: it is written last and renamed into its place, so what it names was whole and synced before. It covers the first
//! bytes of each file, as many as it says, so that a segment which grew since is still covered. Reading it allocates no more
//! than its own length.
//!
//! Little-endian, one form only:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 8 | `BATPAKBU` |
//! | 8 | 2 | version, 1 |
//! | 10 | 1 | what the folder holds: 1 a log, 2 a keyset |
//! | 11 | 1 | 1 begun, with no file named; 2 whole |
//! | 12 | 4 | how many files it names |
//! | 16 | 16 | store id |
//! | 32 | 8 | when the backup was taken, microseconds since 1970 UTC |
//! | 40 | 8 | the position behind the last event of the log |
//! | 48 | 8 | epoch of the keyset at that moment; 0 without one |
//! | 56 | 16 | id of the root secret that the keyset is sealed under; zeros without one |
//! | 72 | 56 each | kind (1 segment, 2 image, 3 extent), 1 for a rolled segment, 6 zeros, number, length, BLAKE3 of so many bytes |
//! | end | 32 | BLAKE3 of everything before |

use batpak_crypto::SecretId;
use batpak_format::{
    StoreId, Timestamp,
    codec::{Reader, put_bytes, put_i64, put_u8, put_u16, put_u32, put_u64},
};
use batpak_segment::{SEGMENTS_DIR, segment_file_name};

const MAGIC: [u8; 8] = *b"BATPAKBU";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 72;
const ENTRY_LEN: usize = 56;
const CHECK_LEN: usize = 32;
/// The directory of a keyset backup that holds its files.
pub(crate) const KEYSET_DIR: &str = "keyset";

/// What a backup folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Log,
    Keyset,
}

impl Part {
    const fn code(self) -> u8 {
        match self {
            Self::Log => 1,
            Self::Keyset => 2,
        }
    }

    /// The name of the manifest.
    pub(crate) const fn manifest(self) -> &'static str {
        match self {
            Self::Log => "log.manifest",
            Self::Keyset => "keyset.manifest",
        }
    }

    /// The directory of the files.
    pub(crate) const fn dir(self) -> &'static str {
        match self {
            Self::Log => SEGMENTS_DIR,
            Self::Keyset => KEYSET_DIR,
        }
    }

    /// Names it for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Log => "a log",
            Self::Keyset => "a keyset",
        }
    }
}

/// What a file of a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Segment { rolled: bool },
    Image,
    Extent,
}

/// One file of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileEntry {
    pub(crate) kind: FileKind,
    /// The segment's or the extent's number, or the image's epoch.
    pub(crate) number: u64,
    pub(crate) len: u64,
    pub(crate) hash: [u8; 32],
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) part: Part,
    pub(crate) whole: bool,
    pub(crate) store: StoreId,
    pub(crate) time: Timestamp,
    pub(crate) next_position: u64,
    pub(crate) epoch: u64,
    pub(crate) secret_id: SecretId,
    pub(crate) files: Vec<FileEntry>,
}

impl Manifest {
    /// What stands in a folder before anything else does.
    pub(crate) fn begun(&self) -> Self {
        Self { whole: false, files: Vec::new(), ..self.clone() }
    }

    /// The name of a file, in the folder's directory. Those of a keyset carry its epoch, so that a newer one never takes the
    /// place of one that a manifest still names.
    pub(crate) fn file_name(&self, file: &FileEntry) -> String {
        match file.kind {
            FileKind::Segment { .. } => segment_file_name(file.number),
            FileKind::Image => format!("image.{:020}", file.number),
            FileKind::Extent => format!("extent.{:020}.{:020}", self.epoch, file.number),
        }
    }

    pub(crate) fn bytes_total(&self) -> u64 {
        self.files.iter().map(|file| file.len).sum()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN + ENTRY_LEN * self.files.len() + CHECK_LEN);
        put_bytes(&mut out, &MAGIC);
        put_u16(&mut out, VERSION);
        put_u8(&mut out, self.part.code());
        put_u8(&mut out, if self.whole { 2 } else { 1 });
        put_u32(&mut out, u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        put_bytes(&mut out, self.store.as_bytes());
        put_i64(&mut out, self.time.as_micros());
        put_u64(&mut out, self.next_position);
        put_u64(&mut out, self.epoch);
        put_bytes(&mut out, self.secret_id.as_bytes());
        for file in &self.files {
            let (kind, flag) = match file.kind {
                FileKind::Segment { rolled } => (1, u8::from(rolled)),
                FileKind::Image => (2, 0),
                FileKind::Extent => (3, 0),
            };
            put_bytes(&mut out, &[kind, flag, 0, 0, 0, 0, 0, 0]);
            put_u64(&mut out, file.number);
            put_u64(&mut out, file.len);
            put_bytes(&mut out, &file.hash);
        }
        let check = blake3::hash(&out);
        put_bytes(&mut out, check.as_bytes());
        out
    }

    /// Reads a manifest; none for bytes that none encodes to.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, check) = bytes.split_last_chunk::<CHECK_LEN>()?;
        if blake3::hash(body) != *check {
            return None;
        }
        let mut reader = Reader::new(body);
        if reader.array().ok()? != MAGIC || reader.u16().ok()? != VERSION {
            return None;
        }
        let part = match reader.u8().ok()? {
            1 => Part::Log,
            2 => Part::Keyset,
            _ => return None,
        };
        let state = reader.u8().ok()?;
        let count = reader.u32().ok()? as usize;
        let mut manifest = Self {
            part,
            whole: state == 2,
            store: StoreId::from_bytes(reader.array().ok()?),
            time: Timestamp::from_micros(reader.i64().ok()?),
            next_position: reader.u64().ok()?,
            epoch: reader.u64().ok()?,
            secret_id: SecretId::from_bytes(reader.array().ok()?),
            files: Vec::new(),
        };
        if reader.remaining() != ENTRY_LEN.checked_mul(count)? {
            return None;
        }
        for _ in 0..count {
            manifest.files.push(entry(&mut reader)?);
        }
        // Whatever decodes to something else than it was, a state or a flag that no manifest has, is none.
        (manifest.encode() == bytes && manifest.fits()).then_some(manifest)
    }

    /// Whether the files are those of its part, in order, each once.
    fn fits(&self) -> bool {
        let fits = |file: &FileEntry| match file.kind {
            FileKind::Segment { .. } => self.part == Part::Log && file.number > 0,
            FileKind::Image => self.part == Part::Keyset && file.number == self.epoch,
            FileKind::Extent => self.part == Part::Keyset,
        };
        let ordered = self.files.windows(2).all(|pair| {
            !matches!(pair[1].kind, FileKind::Image)
                && (pair[0].kind == FileKind::Image || pair[0].number < pair[1].number)
        });
        let complete = self.files.first().map(|file| (file.kind, file.number));
        let complete = match self.part {
            Part::Log => matches!(complete, Some((FileKind::Segment { .. }, 1))),
            Part::Keyset => matches!(complete, Some((FileKind::Image, _))),
        };
        self.files.iter().all(fits) && ordered && complete == self.whole
    }
}

fn entry(reader: &mut Reader<'_>) -> Option<FileEntry> {
    let [kind, flag, ..] = reader.array::<8>().ok()?;
    let kind = match kind {
        1 => FileKind::Segment { rolled: flag == 1 },
        2 => FileKind::Image,
        3 => FileKind::Extent,
        _ => return None,
    };
    let (number, len) = (reader.u64().ok()?, reader.u64().ok()?);
    Some(FileEntry { kind, number, len, hash: reader.array().ok()? })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn manifest(part: Part) -> Manifest {
        let file = |kind, number| FileEntry { kind, number, len: 10 * number, hash: [number as u8; 32] };
        let files = match part {
            Part::Log => vec![
                file(FileKind::Segment { rolled: true }, 1),
                file(FileKind::Segment { rolled: true }, 2),
                file(FileKind::Segment { rolled: false }, 3),
            ],
            Part::Keyset => vec![file(FileKind::Image, 9), file(FileKind::Extent, 1), file(FileKind::Extent, 4)],
        };
        let store = StoreId::from_bytes([1; 16]);
        let (time, secret_id) = (Timestamp::from_micros(5), SecretId::from_bytes([2; 16]));
        Manifest { part, whole: true, store, time, next_position: 7, epoch: 9, secret_id, files }
    }

    #[test]
    fn manifest_reads_back_and_no_changed_byte_does() {
        for part in [Part::Log, Part::Keyset] {
            let manifest = manifest(part);
            for manifest in [manifest.begun(), manifest] {
                let bytes = manifest.encode();
                assert_eq!(bytes.len(), HEADER_LEN + ENTRY_LEN * manifest.files.len() + CHECK_LEN);
                assert_eq!(Manifest::decode(&bytes), Some(manifest));
                for at in 0..bytes.len() {
                    let mut other = bytes.clone();
                    other[at] ^= 1;
                    assert_eq!(Manifest::decode(&other), None, "byte {at}");
                    assert_eq!(Manifest::decode(&bytes[..at]), None, "cut at {at}");
                }
            }
        }
    }

    #[test]
    fn manifest_with_a_good_check_over_a_bad_form_is_refused() {
        let refused = |change: &dyn Fn(&mut Manifest)| {
            let mut manifest = manifest(Part::Log);
            change(&mut manifest);
            assert_eq!(Manifest::decode(&manifest.encode()), None);
        };
        refused(&|manifest| manifest.files.swap(0, 1));
        refused(&|manifest| manifest.files[0].number = 2);
        refused(&|manifest| manifest.files[2].kind = FileKind::Extent);
        refused(&|manifest| manifest.files.clear());
        refused(&|manifest| manifest.part = Part::Keyset);
        refused(&|manifest| manifest.whole = false);
        let mut bytes = manifest(Part::Log).encode();
        bytes.truncate(bytes.len() - CHECK_LEN);
        // A count that the bytes do not hold.
        bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        let check = blake3::hash(&bytes);
        bytes.extend_from_slice(check.as_bytes());
        assert_eq!(Manifest::decode(&bytes), None);
    }
}
