//! Short strings in clear, for conditions and filters.
//!
//! Invariant: a sorted set of at most 16 tags, each of 1 to 128 bytes without control characters.

use crate::codec::Reader;
use crate::coordinate::has_control;
use crate::error::{FrameError, TagsError};

/// The most tags an event can have.
pub const TAGS_MAX: usize = 16;
/// The longest tag, in bytes.
pub const TAG_BYTES_MAX: usize = 128;

/// The tags of an event, in byte order. They are stored in clear.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tags {
    text: Box<str>,
    ends: Box<[u16]>,
}

impl Tags {
    /// Checks the tags and sorts them by their bytes.
    ///
    /// # Errors
    /// [`TagsError`]: too many, a tag empty, too long, with a control character, or given twice.
    pub fn new<T: AsRef<str>>(tags: impl IntoIterator<Item = T>) -> Result<Self, TagsError> {
        let given: Vec<T> = tags.into_iter().take(TAGS_MAX + 1).collect();
        if given.len() > TAGS_MAX {
            return Err(TagsError::TooMany { count: given.len() });
        }
        let mut sorted: Vec<&str> = given.iter().map(AsRef::as_ref).collect();
        sorted.sort_unstable();
        let mut before = None;
        for tag in &sorted {
            check_tag(tag.as_bytes())?;
            if before.replace(tag) == Some(tag) {
                return Err(TagsError::Duplicate);
            }
        }
        Ok(Self::from_checked(sorted.into_iter()))
    }

    /// Joins tags that are checked and sorted.
    fn from_checked<'a>(tags: impl Iterator<Item = &'a str>) -> Self {
        let mut text = String::new();
        let mut ends = Vec::new();
        for tag in tags {
            text.push_str(tag);
            ends.push(u16::try_from(text.len()).expect("16 tags of 128 bytes are 2,048 bytes"));
        }
        Self { text: text.into(), ends: ends.into() }
    }

    /// Returns the tags in byte order.
    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        let mut start = 0;
        self.ends.iter().filter_map(move |end| {
            let from = std::mem::replace(&mut start, usize::from(*end));
            self.text.get(from..usize::from(*end))
        })
    }

    /// Tells whether a tag is there.
    #[must_use]
    pub fn contains(&self, tag: &str) -> bool {
        self.iter().any(|own| own == tag)
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the bytes of the frame's tags part: 0 when empty.
    pub(crate) fn part_len(&self) -> usize {
        match self.len() {
            0 => 0,
            count => 1 + count + self.text.len(),
        }
    }

    /// Appends the frame's tags part; nothing when empty.
    pub(crate) fn put_part(&self, out: &mut Vec<u8>) {
        if self.is_empty() {
            return;
        }
        out.push(u8::try_from(self.len()).expect("there are at most 16 tags"));
        for tag in self.iter() {
            out.push(u8::try_from(tag.len()).expect("a tag has at most 128 bytes"));
            out.extend_from_slice(tag.as_bytes());
        }
    }
}

/// The tags part of a checked frame: each tag's length, then its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TagsPart<'a> {
    tags: &'a [u8],
}

impl<'a> TagsPart<'a> {
    /// Reads and checks the part.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, FrameError> {
        let count = usize::from(reader.u8().map_err(|_| FrameError::NotCanonical)?);
        if count == 0 {
            return Err(FrameError::NotCanonical);
        }
        if count > TAGS_MAX {
            return Err(TagsError::TooMany { count }.into());
        }
        let start = reader.clone();
        let mut before: &[u8] = &[];
        for _ in 0..count {
            let len = usize::from(reader.u8().map_err(|_| FrameError::NotCanonical)?);
            let tag = reader.bytes(len).map_err(|_| FrameError::NotCanonical)?;
            check_tag(tag)?;
            // An empty tag was refused above, so the first tag is above the empty start.
            match before.cmp(tag) {
                std::cmp::Ordering::Less => before = tag,
                std::cmp::Ordering::Equal => return Err(TagsError::Duplicate.into()),
                std::cmp::Ordering::Greater => return Err(TagsError::Unsorted.into()),
            }
        }
        let mut part = start.clone();
        let tags = part.bytes(start.remaining() - reader.remaining()).map_err(|_| FrameError::NotCanonical)?;
        Ok(Self { tags })
    }

    /// Returns the tags in byte order.
    pub(crate) const fn iter(self) -> TagsIter<'a> {
        TagsIter { left: self.tags }
    }

    /// Copies the part.
    pub(crate) fn to_tags(self) -> Tags {
        Tags::from_checked(self.iter())
    }
}

/// The tags of a checked frame, in byte order.
#[derive(Clone, Debug)]
pub(crate) struct TagsIter<'a> {
    left: &'a [u8],
}

impl<'a> Iterator for TagsIter<'a> {
    type Item = &'a str;

    /// The part was checked when the frame was decoded, so only its end ends the iteration.
    fn next(&mut self) -> Option<&'a str> {
        let (len, left) = self.left.split_first()?;
        let (tag, left) = left.split_at_checked(usize::from(*len))?;
        self.left = left;
        std::str::from_utf8(tag).ok()
    }
}

/// Checks one tag as it stands in bytes.
fn check_tag(bytes: &[u8]) -> Result<(), TagsError> {
    if bytes.is_empty() {
        return Err(TagsError::Empty);
    }
    if bytes.len() > TAG_BYTES_MAX {
        return Err(TagsError::TooLong { bytes: bytes.len() });
    }
    let tag = std::str::from_utf8(bytes).map_err(|_| TagsError::NotUtf8)?;
    if has_control(tag) {
        return Err(TagsError::ControlCharacter);
    }
    Ok(())
}
