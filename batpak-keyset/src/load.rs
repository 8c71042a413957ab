//! Loading: which of the two copies wins, and what is to be reported of the other.
//!
//! The judgement needs no secret: a whole copy is one whose BLAKE3 holds. Nothing here ever makes an empty keyset of
//! damaged copies.

use batpak_crypto::{Nonce, RootSecret, open_body};
use batpak_format::{StoreId, content_len};
use zeroize::Zeroizing;

use crate::body::decode_body;
use crate::check::image_check;
use crate::error::{ImageError, LoadError};
use crate::header::{
    BODY_LEN_AT, HEADER_LEN_AT, IMAGE_MAGIC, IMAGE_VERSION, INCOMPATIBLE_AT, INCOMPATIBLE_FLAGS_KNOWN, ImageHeader,
    VERSION_AT, is_zero, u16_at, u32_at,
};
use crate::image::{IMAGE_CHECK_LEN, IMAGE_PAD};
use crate::keyset::Keyset;
use crate::publication::{Copies, Copy, Image, Rewrite};
use crate::snapshot::file_len;

/// Bytes of a header whose place no version changes: magic, lengths, version.
const PREFIX_LEN: usize = VERSION_AT + 2;

/// How far above the winner a torn copy's epoch is believed: the next image skips it, so that no epoch is given to two
/// images. A flipped bit must not use the epochs up.
const EPOCH_SKIP_MAX: u64 = 1 << 20;

/// What was found where a copy should be.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a file is there and readable, or it is not")]
pub enum CopyBytes<'a> {
    /// There is no such file.
    Absent,
    /// The whole file.
    Bytes(&'a [u8]),
    /// Reading failed.
    Unreadable,
}

/// What a keyset is loaded from.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the caller fills every field")]
pub struct LoadInput<'a> {
    /// The store that it must belong to, once that is known.
    pub store: Option<StoreId>,
    /// What `keyset.a` holds.
    pub a: CopyBytes<'a>,
    /// What `keyset.b` holds.
    pub b: CopyBytes<'a>,
}

/// What an open reports, and what keeps a writer from minting on the pages there are:
/// [`Keyset::retire_page`] for each of those about a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// One of the two blobs of a page is damaged; the other was read.
    BlobDamaged {
        /// The extent.
        extent: u64,
        /// The page.
        page: u32,
    },
    /// A copy is torn, short or damaged.
    CopyDamaged(Copy),
    /// A copy is not there.
    CopyMissing(Copy),
    /// A copy could not be read.
    CopyUnreadable(Copy),
    /// Both copies are whole and one is older: a publication did not reach its second copy.
    EpochsDiffer {
        /// The epoch of `keyset.a`.
        a: u64,
        /// The epoch of `keyset.b`.
        b: u64,
    },
    /// The header of an extent is damaged or the extent is not there; its blobs are judged each on its own.
    ExtentHeaderDamaged {
        /// The extent.
        extent: u64,
    },
    /// Both blobs of a page are damaged: its keys are lost.
    PageLost {
        /// The extent.
        extent: u64,
        /// The page.
        page: u32,
    },
}

/// The copies, judged: one of them won.
#[derive(Debug)]
pub struct Candidates {
    winner: Copy,
    image: Image,
    header: ImageHeader,
    identical: bool,
    findings: Vec<Finding>,
    /// Bytes that may hold anything but zeros, of `a` and of `b`.
    used: (usize, usize),
    image_used: usize,
    file_len: u64,
    epoch_used: u64,
}

/// A keyset that opened.
#[derive(Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The keyset; it goes on minting on its last page unless [`Keyset::retire_page`] is called.
    pub keyset: Keyset,
    /// The copy that won.
    pub winner: Copy,
    /// What is to be reported of the copies.
    pub findings: Vec<Finding>,
    /// What makes both copies the winner's.
    pub rewrite: Rewrite,
}

/// Judges both copies and chooses the one with the higher epoch.
///
/// # Errors
/// [`LoadError::KeysetMissing`] when there is none, [`LoadError::KeysetCorrupt`] when none is whole or both are with
/// one epoch and different bytes, [`LoadError::ForeignKeyset`], and for a whole copy that this version does not
/// understand [`LoadError::UnknownVersion`], [`LoadError::RequiredFlags`] or [`LoadError::Image`].
pub fn candidates(input: &LoadInput<'_>) -> Result<Candidates, LoadError> {
    let a = judge(Copy::A, input.a, input.store)?;
    let b = judge(Copy::B, input.b, input.store)?;
    let mut findings: Vec<Finding> = a.finding(Copy::A).into_iter().chain(b.finding(Copy::B)).collect();
    let used = (used_len(input.a), used_len(input.b));
    // A length that is none of ours counts as cut, so the longer file is filled up to the next one that is; else the rewrite would
    // make the whole copy as long as the damaged one, and neither would be whole.
    let file_len_found = byte_len(input.a).max(byte_len(input.b)).next_multiple_of(IMAGE_PAD);
    let (winner, bytes, header, loser, identical) = match (a, b) {
        (Judged::Whole { header: a, bytes: a_bytes }, Judged::Whole { header: b, bytes: b_bytes }) => {
            if a.store != b.store {
                return Err(LoadError::ForeignKeyset { copy: Copy::B, found: b.store });
            }
            let identical = a_bytes == b_bytes;
            if a.epoch == b.epoch && !identical {
                return Err(LoadError::KeysetCorrupt);
            }
            if !identical {
                findings.push(Finding::EpochsDiffer { a: a.epoch, b: b.epoch });
            }
            match b.epoch > a.epoch {
                true => (Copy::B, b_bytes, b, None, identical),
                false => (Copy::A, a_bytes, a, None, identical),
            }
        }
        (Judged::Whole { header, bytes }, other) => (Copy::A, bytes, header, other.torn_epoch(), false),
        (other, Judged::Whole { header, bytes }) => (Copy::B, bytes, header, other.torn_epoch(), false),
        (Judged::Absent, Judged::Absent) => return Err(LoadError::KeysetMissing),
        _ => return Err(LoadError::KeysetCorrupt),
    };
    let near = header.epoch..=header.epoch.saturating_add(EPOCH_SKIP_MAX);
    let image_len = used.0.max(used.1).max(bytes.len()).next_multiple_of(IMAGE_PAD);
    let mut image = Zeroizing::new(Vec::with_capacity(image_len));
    image.extend_from_slice(bytes);
    image.resize(image_len, 0);
    Ok(Candidates {
        winner,
        image: Image::new(image),
        epoch_used: loser.filter(|epoch| near.contains(epoch)).unwrap_or(header.epoch),
        header,
        identical,
        findings,
        used,
        image_used: bytes.len(),
        file_len: file_len(image_len).max(file_len_found as u64),
    })
}

impl Candidates {
    /// Returns the plain header of the winner: it says which root secret is needed, and from where.
    #[must_use]
    pub const fn header(&self) -> &ImageHeader {
        &self.header
    }

    /// Returns the copy that won.
    #[must_use]
    pub const fn winner(&self) -> Copy {
        self.winner
    }

    /// Returns what is to be reported of the copies.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Opens the winner.
    ///
    /// # Errors
    /// [`LoadError::RootSecretWrong`] when it does not open under this root secret; [`LoadError::Image`] when it opens
    /// and no keyset encodes to it.
    pub fn open(&self, root: &RootSecret) -> Result<Loaded, LoadError> {
        let header = ImageHeader::decode(&self.image)?;
        let (aad, rest) = self.image.split_at_checked(header.header_len).ok_or(ImageError::Truncated)?;
        let sealed = rest.get(..header.body_len).ok_or(ImageError::Truncated)?;
        let nonce: &Nonce = &header.nonce;
        let body = open_body(root, nonce, aad, sealed).map_err(|_| LoadError::RootSecretWrong)?;
        let body = decode_body(&body)?;
        let mut copies = Copies::unknown(self.used.0, self.used.1);
        copies.good(self.winner, self.image_used);
        if self.identical {
            copies.good(self.winner.other(), self.image_used);
        }
        let epoch = header.epoch;
        Ok(Loaded {
            keyset: Keyset::loaded(header, body, copies, self.image_used, self.epoch_used),
            winner: self.winner,
            findings: self.findings.clone(),
            rewrite: Rewrite { epoch, winner: self.winner, image: self.image.clone(), file_len: self.file_len },
        })
    }
}

/// One copy, judged without a secret.
enum Judged<'a> {
    Absent,
    /// Not whole; with the epoch that its header claims, if it can be read at all.
    Torn {
        epoch: Option<u64>,
    },
    Unreadable,
    Whole {
        header: ImageHeader,
        bytes: &'a [u8],
    },
}

impl Judged<'_> {
    const fn finding(&self, copy: Copy) -> Option<Finding> {
        match self {
            Self::Absent => Some(Finding::CopyMissing(copy)),
            Self::Torn { .. } => Some(Finding::CopyDamaged(copy)),
            Self::Unreadable => Some(Finding::CopyUnreadable(copy)),
            Self::Whole { .. } => None,
        }
    }

    const fn torn_epoch(&self) -> Option<u64> {
        match self {
            Self::Torn { epoch } => *epoch,
            _ => None,
        }
    }
}

fn judge<'a>(copy: Copy, found: CopyBytes<'a>, store: Option<StoreId>) -> Result<Judged<'a>, LoadError> {
    let bytes = match found {
        CopyBytes::Absent => return Ok(Judged::Absent),
        CopyBytes::Unreadable => return Ok(Judged::Unreadable),
        CopyBytes::Bytes(bytes) => bytes,
    };
    let Some(image) = whole(bytes) else {
        let header = ImageHeader::decode(bytes).ok();
        return Ok(Judged::Torn { epoch: header.map(|header| header.epoch) });
    };
    let version = u16_at(image, VERSION_AT);
    if version != IMAGE_VERSION {
        return Err(LoadError::UnknownVersion { copy, version });
    }
    let flags = image.get(INCOMPATIBLE_AT..INCOMPATIBLE_AT + 4).map_or(0, |field| u32_at(field, 0));
    if flags & !INCOMPATIBLE_FLAGS_KNOWN != 0 {
        return Err(LoadError::RequiredFlags { copy, flags: flags & !INCOMPATIBLE_FLAGS_KNOWN });
    }
    let header = ImageHeader::decode(image)?;
    match store {
        Some(store) if header.store != store => Err(LoadError::ForeignKeyset { copy, found: header.store }),
        _ => Ok(Judged::Whole { header, bytes: image }),
    }
}

/// Returns header, ciphertext and check, if the check holds, nothing but zeros follows, and the file was not cut: a
/// writer leaves whole 4 KiB.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let prefix = bytes.get(..PREFIX_LEN)?;
    if !prefix.starts_with(&IMAGE_MAGIC) || !bytes.len().is_multiple_of(IMAGE_PAD) {
        return None;
    }
    let header_len = u32_at(prefix, HEADER_LEN_AT) as usize;
    let covered = header_len.checked_add(u32_at(prefix, BODY_LEN_AT) as usize)?;
    let (image, padding) = bytes.split_at_checked(covered.checked_add(IMAGE_CHECK_LEN)?)?;
    let (covered, check) = image.split_at_checked(covered)?;
    let holds = header_len >= PREFIX_LEN && is_zero(padding) && image_check(covered) == check;
    holds.then_some(image)
}

/// Bytes up to the last one that is not zero.
fn used_len(found: CopyBytes<'_>) -> usize {
    match found {
        CopyBytes::Bytes(bytes) => content_len(bytes),
        CopyBytes::Absent | CopyBytes::Unreadable => 0,
    }
}

const fn byte_len(found: CopyBytes<'_>) -> usize {
    match found {
        CopyBytes::Bytes(bytes) => bytes.len(),
        CopyBytes::Absent | CopyBytes::Unreadable => 0,
    }
}
