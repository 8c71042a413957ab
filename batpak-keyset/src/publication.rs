//! Publications: what must be written, synced and removed so that an image becomes durable, as a value.
//!
//! One copy is written and synced, which is the durable point; only then the other. Never both in one sync, so that a
//! crash at any step leaves one whole copy.

use core::fmt;
use core::ops::Deref;
use std::sync::Arc;

use batpak_format::KeyId;
use zeroize::Zeroizing;

use crate::extent::ExtentWrite;
use crate::mint::Grant;

/// Names one of the two files that hold the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a keyset has two copies, for ever")]
pub enum Copy {
    /// `keyset.a`
    A,
    /// `keyset.b`
    B,
}

impl Copy {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// Returns the name of the file in the store's directory.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::A => "keyset.a",
            Self::B => "keyset.b",
        }
    }

    /// Returns the other copy.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// The bytes of an encoded image, padded with zeros to whole 4 KiB. A clone is one reference count; they are wiped on
/// the last drop, since a `Local` image holds its own root secret.
#[derive(Clone)]
pub struct Image(Arc<Zeroizing<Vec<u8>>>);

impl Image {
    pub(crate) fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(Arc::new(bytes))
    }
}

impl Deref for Image {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({} bytes)", self.len())
    }
}

/// One thing to do, in order. A failed step ends the publication: the rest is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The publication's first copy is on disk: [`Keyset::durable`](crate::Keyset::durable).
    Durable,
    /// Remove an extent that neither copy names any longer; one that is not there is as good.
    RemoveExtent {
        /// The extent's number.
        number: u64,
    },
    /// Sync the copy just written. Success of the second one is [`Keyset::copy_good`](crate::Keyset::copy_good).
    Sync(Copy),
    /// Sync the extent just written.
    SyncExtent {
        /// The extent's number.
        number: u64,
    },
    /// Sync the directory of the extents.
    SyncExtentsDir,
    /// Write the image at offset 0 of this copy, and zeros behind it up to the publication's `file_len` where the
    /// file is shorter.
    Write(Copy),
    /// Create the extent exclusively and write its bytes.
    WriteExtent {
        /// The extent's number.
        number: u64,
    },
}

/// An encoded image and the order in which it becomes durable.
#[derive(Debug)]
pub struct Publication {
    /// The epoch of the image. It was never given to other bytes, and never will be, whatever becomes of this one.
    pub epoch: u64,
    /// The copy to be written first.
    pub first: Copy,
    /// The bytes of either file.
    pub image: Image,
    /// Every leaf that this process took or takes below this is reserved, once the image is durable.
    pub covers_below: KeyId,
    /// An extent that the image names and that is not on disk yet.
    pub extent: Option<ExtentWrite>,
    /// The length in bytes that both files should have after it, so that the next image needs no space.
    pub file_len: u64,
    pub(crate) grant: Grant,
    /// Bytes of the image before its padding.
    pub(crate) used: usize,
    pub(crate) removed: Vec<u64>,
}

impl Publication {
    /// Returns what to do, in order. When a write or sync of the first copy fails, call
    /// [`Keyset::copy_failed`](crate::Keyset::copy_failed) with it and stop: nothing was published. When one of the
    /// second fails, call it with that one and stop: the image is durable all the same.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(8 + self.removed.len());
        if let Some(extent) = &self.extent {
            steps.extend(extent.steps());
        }
        let second = self.first.other();
        steps.extend([Step::Write(self.first), Step::Sync(self.first), Step::Durable]);
        steps.extend([Step::Write(second), Step::Sync(second)]);
        steps.extend(self.removed.iter().map(|&number| Step::RemoveExtent { number }));
        steps
    }
}

/// The winning image written again over both copies, its own first, as a writer's open does before it decides
/// anything: what was read may have been the page cache's and not the disk's.
#[derive(Debug)]
pub struct Rewrite {
    /// The epoch of the image, unchanged.
    pub epoch: u64,
    /// The copy that won.
    pub winner: Copy,
    /// The bytes of either file.
    pub image: Image,
    /// The length in bytes that both files should have after it.
    pub file_len: u64,
}

impl Rewrite {
    /// Returns what to do, in order; after each sync [`Keyset::copy_good`](crate::Keyset::copy_good) with this epoch.
    #[must_use]
    pub fn steps(&self) -> [Step; 4] {
        let other = self.winner.other();
        [Step::Write(self.winner), Step::Sync(self.winner), Step::Write(other), Step::Sync(other)]
    }
}

/// What is known of one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CopyState {
    /// Holds a whole image, synced.
    Good,
    /// Behind, damaged, missing, or being written.
    NotKnown,
    /// A write or sync of it failed.
    Failed,
}

/// What is known of one file.
#[derive(Debug)]
struct CopyNote {
    state: CopyState,
    /// Bytes of the file that may hold anything but zeros.
    used: usize,
}

/// Which copies are known to be good, and with it where the next image is written first, and how long it must be so
/// that nothing of an older one stays behind it.
#[derive(Debug)]
pub(crate) struct Copies {
    a: CopyNote,
    b: CopyNote,
}

impl Copies {
    /// Neither is known to be good, and of each so many bytes may hold anything but zeros.
    pub(crate) const fn unknown(a_used: usize, b_used: usize) -> Self {
        Self {
            a: CopyNote { state: CopyState::NotKnown, used: a_used },
            b: CopyNote { state: CopyState::NotKnown, used: b_used },
        }
    }

    /// Says which copy comes first: the one that failed, else `a` unless only `b` is not known to be good.
    pub(crate) const fn first(&self) -> Copy {
        match (self.a.state, self.b.state) {
            (CopyState::Failed, _) => Copy::A,
            (_, CopyState::Failed) | (CopyState::Good, CopyState::NotKnown) => Copy::B,
            _ => Copy::A,
        }
    }

    /// Notes that a copy holds an image of so many bytes, synced, and zeros behind it.
    pub(crate) const fn good(&mut self, copy: Copy, used: usize) {
        *self.note_mut(copy) = CopyNote { state: CopyState::Good, used };
    }

    pub(crate) const fn failed(&mut self, copy: Copy) {
        self.note_mut(copy).state = CopyState::Failed;
    }

    /// Notes that a write of so many bytes to this copy begins. One that failed stays failed until a sync succeeds.
    pub(crate) fn begun(&mut self, copy: Copy, used: usize) {
        let note = self.note_mut(copy);
        note.used = note.used.max(used);
        if note.state == CopyState::Good {
            note.state = CopyState::NotKnown;
        }
    }

    pub(crate) fn both_good(&self) -> bool {
        self.a.state == CopyState::Good && self.b.state == CopyState::Good
    }

    /// The length that an image needs to cover all that stands in either file.
    pub(crate) fn used_max(&self) -> usize {
        self.a.used.max(self.b.used)
    }

    const fn note_mut(&mut self, copy: Copy) -> &mut CopyNote {
        match copy {
            Copy::A => &mut self.a,
            Copy::B => &mut self.b,
        }
    }
}
