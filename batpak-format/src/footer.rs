//! The footer at the end of a segment file: a versioned table of sections.
//!
//! Invariant: a [`Footer`] that was decoded has whole sections, all required ones of them known, and no byte that
//! none of its checks covers. Sections of an unknown tag are skipped unless they are required.

use crate::codec::{Reader, put_bytes, put_u16, put_u32, put_u64};
use crate::error::{CodecError, FooterError};

/// The last 8 bytes of a footer.
pub const FOOTER_MAGIC: [u8; 8] = *b"BATPAKFT";
/// The version that is written.
pub const FOOTER_VERSION: u16 = 1;
/// Bytes of the trailer that ends a footer.
pub const FOOTER_TRAILER_LEN: usize = 4 + 4 + 8 + 4 + 2 + 2 + 8;
/// Bytes of one row of the section table.
pub const FOOTER_ROW_LEN: usize = 2 + 2 + 4 + 4 + 4 + 4;
/// The most sections that a footer can have.
pub const FOOTER_SECTIONS_MAX: usize = 64;
/// Tag of the summary section.
pub const SECTION_SUMMARY: u16 = 1;
/// Row flag: who does not know the section must not use the footer.
pub const SECTION_REQUIRED: u32 = 1;

const _: () = assert!(FOOTER_TRAILER_LEN == 32 && FOOTER_ROW_LEN == 20);

/// Makes a footer.
#[derive(Debug, Default)]
pub struct FooterBuilder {
    stream: FooterStream,
    bytes: Vec<u8>,
}

/// Makes a footer whose sections its caller writes elsewhere, one behind the other, and which need not be in memory.
#[derive(Debug, Default)]
pub struct FooterStream {
    rows: Vec<FooterRow>,
    /// The check of the last section so far.
    check: crc32fast::Hasher,
    len: u32,
}

/// One row of the section table: what a section holds, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FooterRow {
    tag: u16,
    version: u16,
    flags: u32,
    /// Counted from the footer's first byte.
    offset: u32,
    len: u32,
    check: u32,
}

/// The section table of a footer, checked, without its sections: those are checked one by one when they are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FooterTable {
    log_len: u64,
    len: u32,
    rows: Vec<FooterRow>,
}

impl FooterBuilder {
    /// Makes an empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a section that may be skipped by who does not know it.
    ///
    /// # Panics
    /// When the sections pass 4 GiB, or a tag is added twice, or more than [`FOOTER_SECTIONS_MAX`] are.
    #[must_use]
    pub fn section(self, tag: u16, version: u16, bytes: &[u8]) -> Self {
        self.add(tag, version, 0, bytes)
    }

    /// Adds a section without which the footer must not be used.
    ///
    /// # Panics
    /// As [`FooterBuilder::section`].
    #[must_use]
    pub fn required_section(self, tag: u16, version: u16, bytes: &[u8]) -> Self {
        self.add(tag, version, SECTION_REQUIRED, bytes)
    }

    fn add(mut self, tag: u16, version: u16, flags: u32, bytes: &[u8]) -> Self {
        self.stream.begin(tag, version, flags);
        self.stream.feed(bytes);
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Ends the footer of a segment whose frames end at `log_len`, where the footer will stand.
    ///
    /// # Panics
    /// When the footer passes 4 GiB.
    #[must_use]
    pub fn finish(self, log_len: u64) -> Vec<u8> {
        let mut out = self.bytes;
        out.extend_from_slice(&self.stream.finish(log_len));
        out
    }
}

impl FooterStream {
    /// Makes an empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a section that may be skipped by who does not know it; the one before ends.
    ///
    /// # Panics
    /// When a tag is added twice, or more than [`FOOTER_SECTIONS_MAX`] are.
    pub fn section(&mut self, tag: u16, version: u16) {
        self.begin(tag, version, 0);
    }

    fn begin(&mut self, tag: u16, version: u16, flags: u32) {
        assert!(self.rows.len() < FOOTER_SECTIONS_MAX, "a footer has at most {FOOTER_SECTIONS_MAX} sections");
        assert!(self.rows.iter().all(|row| row.tag != tag), "each section stands once");
        self.end();
        self.rows.push(FooterRow { tag, version, flags, offset: self.len, len: 0, check: 0 });
    }

    /// Takes the next bytes of the section that was begun last.
    ///
    /// # Panics
    /// When the sections pass 4 GiB, or none was begun.
    pub fn feed(&mut self, bytes: &[u8]) {
        let row = self.rows.last_mut().expect("bytes belong to a section");
        let end = u32::try_from(bytes.len()).ok().and_then(|len| self.len.checked_add(len));
        self.len = end.expect("the sections of a footer are below 4 GiB");
        row.len = self.len - row.offset;
        self.check.update(bytes);
    }

    fn end(&mut self) {
        let check = std::mem::take(&mut self.check).finalize();
        if let Some(row) = self.rows.last_mut() {
            row.check = check;
        }
    }

    /// Ends the footer of a segment whose frames end at `log_len`: what stands behind the sections.
    ///
    /// # Panics
    /// When the footer passes 4 GiB.
    #[must_use]
    pub fn finish(mut self, log_len: u64) -> Vec<u8> {
        self.end();
        let table_len = self.rows.len() * FOOTER_ROW_LEN;
        let footer_len = self.len as usize + table_len + FOOTER_TRAILER_LEN;
        let footer_len = u32::try_from(footer_len).expect("a footer is below 4 GiB");
        let mut out = Vec::with_capacity(table_len + FOOTER_TRAILER_LEN);
        for row in &self.rows {
            put_u16(&mut out, row.tag);
            put_u16(&mut out, row.version);
            put_u32(&mut out, row.flags);
            put_u32(&mut out, row.offset);
            put_u32(&mut out, row.len);
            put_u32(&mut out, row.check);
        }
        put_u32(&mut out, footer_len);
        put_u32(&mut out, self.rows.len() as u32);
        put_u64(&mut out, log_len);
        let mut tail = Vec::with_capacity(12);
        put_u16(&mut tail, FOOTER_VERSION);
        put_u16(&mut tail, 0);
        put_bytes(&mut tail, &FOOTER_MAGIC);
        let check = table_check(&out, &tail);
        put_u32(&mut out, check);
        put_bytes(&mut out, &tail);
        out
    }
}

/// The check of table and trailer, the check itself left out.
fn table_check(before: &[u8], after: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(before);
    hasher.update(after);
    hasher.finalize()
}

/// One whole section.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Section {
    /// What it holds.
    pub tag: u16,
    /// The version of its layout.
    pub version: u16,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A whole footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    log_len: u64,
    len: u32,
    sections: Vec<Section>,
}

/// The fixed end of a footer.
struct Trailer {
    footer_len: u32,
    sections: usize,
    log_len: u64,
    check: u32,
    version: u16,
    zero: u16,
}

impl FooterTable {
    /// Finds the footer in the last bytes of a file of `file_len` bytes; none when no trailer stands there.
    ///
    /// Only the table and the trailer are looked at: [`FooterRow::is_whole`] checks a section.
    ///
    /// # Errors
    /// As [`Footer::decode_tail`].
    pub fn decode_tail(file_tail: &[u8], file_len: u64) -> Result<Option<Self>, FooterError> {
        let Some(trailer) = file_tail.last_chunk::<FOOTER_TRAILER_LEN>() else {
            let needed = FOOTER_TRAILER_LEN as u64;
            return if file_len >= needed { Err(FooterError::TailTooShort { needed }) } else { Ok(None) };
        };
        if trailer.last_chunk() != Some(&FOOTER_MAGIC) {
            return Ok(None);
        }
        let trailer = Trailer::read(trailer).map_err(|_| FooterError::Length)?;
        if trailer.version != FOOTER_VERSION {
            return Err(FooterError::UnknownVersion { version: trailer.version });
        }
        let ends = trailer.log_len.checked_add(u64::from(trailer.footer_len));
        let table_len = trailer.sections.checked_mul(FOOTER_ROW_LEN).map(|len| len + FOOTER_TRAILER_LEN);
        let fits = table_len.is_some_and(|len| len <= trailer.footer_len as usize);
        if ends != Some(file_len) || trailer.sections > FOOTER_SECTIONS_MAX || !fits {
            return Err(FooterError::Length);
        }
        let Some(start) = file_tail.len().checked_sub(trailer.footer_len as usize) else {
            return Err(FooterError::TailTooShort { needed: u64::from(trailer.footer_len) });
        };
        Self::read(file_tail.get(start..).unwrap_or_default(), &trailer).map(Some)
    }

    fn read(footer: &[u8], trailer: &Trailer) -> Result<Self, FooterError> {
        let table_at = footer.len() - FOOTER_TRAILER_LEN - trailer.sections * FOOTER_ROW_LEN;
        let (bytes, rest) = footer.split_at_checked(table_at).ok_or(FooterError::Length)?;
        let check_at = rest.len() - FOOTER_TRAILER_LEN + 16;
        let (covered, after) = rest.split_at_checked(check_at).ok_or(FooterError::Length)?;
        if table_check(covered, after.get(4..).unwrap_or_default()) != trailer.check {
            return Err(FooterError::Check);
        }
        if trailer.zero != 0 {
            return Err(FooterError::NotCanonical);
        }
        let mut reader = Reader::new(covered);
        let mut end = 0_usize;
        let mut rows: Vec<FooterRow> = Vec::with_capacity(trailer.sections);
        for _ in 0..trailer.sections {
            let row = FooterRow::read(&mut reader).map_err(|_| FooterError::Length)?;
            if rows.iter().any(|other| other.tag == row.tag) {
                return Err(FooterError::DuplicateSection { tag: row.tag });
            }
            if row.flags & SECTION_REQUIRED != 0 && row.tag != SECTION_SUMMARY {
                return Err(FooterError::UnknownRequiredSection { tag: row.tag });
            }
            // Sections stand one behind the other, so that together they are never longer than the footer.
            if row.offset as usize != end || row.flags & !SECTION_REQUIRED != 0 {
                return Err(FooterError::NotCanonical);
            }
            end = end.checked_add(row.len as usize).filter(|end| *end <= bytes.len()).ok_or(FooterError::Length)?;
            rows.push(row);
        }
        if end != bytes.len() {
            return Err(FooterError::NotCanonical);
        }
        Ok(Self { log_len: trailer.log_len, len: trailer.footer_len, rows })
    }

    /// Returns where the segment's frames end, which is where the footer begins.
    #[must_use]
    pub const fn log_len(&self) -> u64 {
        self.log_len
    }

    /// Returns the footer's length in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a footer is never empty")]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Returns a section's row by its tag.
    #[must_use]
    pub fn row(&self, tag: u16) -> Option<&FooterRow> {
        self.rows.iter().find(|row| row.tag == tag)
    }
}

impl FooterRow {
    /// Returns the version of the section's layout.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// Returns the section's bytes out of those of its whole footer; empty when they are another's.
    #[must_use]
    pub fn bytes<'f>(&self, footer: &'f [u8]) -> &'f [u8] {
        let start = self.offset as usize;
        start.checked_add(self.len as usize).and_then(|end| footer.get(start..end)).unwrap_or_default()
    }

    /// Says whether the section's bytes are those that were written.
    #[must_use]
    pub fn is_whole(&self, footer: &[u8]) -> bool {
        let bytes = self.bytes(footer);
        bytes.len() == self.len as usize && crc32fast::hash(bytes) == self.check
    }
}

impl Footer {
    /// Finds the footer in the last bytes of a segment file of `file_len` bytes; none when no trailer stands there.
    ///
    /// # Errors
    /// [`FooterError::TailTooShort`] when more of the file's end is needed, at most the footer itself. When a trailer
    /// stands there: [`FooterError::UnknownVersion`] and [`FooterError::UnknownRequiredSection`] for a footer of a
    /// later version, [`FooterError::Length`], [`FooterError::Check`], [`FooterError::DuplicateSection`] and
    /// [`FooterError::NotCanonical`] for one that is not whole.
    pub fn decode_tail(file_tail: &[u8], file_len: u64) -> Result<Option<Self>, FooterError> {
        let Some(table) = FooterTable::decode_tail(file_tail, file_len)? else { return Ok(None) };
        let start = file_tail.len().saturating_sub(table.len as usize);
        let footer = file_tail.get(start..).unwrap_or_default();
        let section = |row: &FooterRow| {
            let whole = row.is_whole(footer).then(|| row.bytes(footer).to_vec());
            Ok(Section { tag: row.tag, version: row.version, bytes: whole.ok_or(FooterError::Check)? })
        };
        let sections = table.rows.iter().map(section).collect::<Result<_, _>>()?;
        Ok(Some(Self { log_len: table.log_len, len: table.len, sections }))
    }

    /// Returns where the segment's frames end, which is where the footer begins.
    #[must_use]
    pub const fn log_len(&self) -> u64 {
        self.log_len
    }

    /// Returns the footer's length in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a footer is never empty")]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Returns a section by its tag.
    #[must_use]
    pub fn section(&self, tag: u16) -> Option<&Section> {
        self.sections.iter().find(|section| section.tag == tag)
    }

    /// Returns all sections, the unknown ones too.
    pub fn sections(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter()
    }
}

impl Trailer {
    fn read(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        Ok(Self {
            footer_len: reader.u32()?,
            sections: reader.u32()? as usize,
            log_len: reader.u64()?,
            check: reader.u32()?,
            version: reader.u16()?,
            zero: reader.u16()?,
        })
    }
}

impl FooterRow {
    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            tag: reader.u16()?,
            version: reader.u16()?,
            flags: reader.u32()?,
            offset: reader.u32()?,
            len: reader.u32()?,
            check: reader.u32()?,
        })
    }
}
