//! Sections: what is added behind a certificate without changing what it states, or its hash.
//!
//! Invariant: sections ascend by tag, none twice; one that must be understood and is not is refused, any other is carried as it is.

use crate::codec::{Reader, put_bytes, put_u16, put_u32};
use crate::error::CertificateFormatError;

/// The most sections of a certificate.
pub const CERTIFICATE_SECTIONS_MAX: usize = 64;
/// The longest section of a certificate, in bytes.
pub const CERTIFICATE_SECTION_BYTES_MAX: usize = 1 << 16;
/// Who does not know the section must not use the certificate.
const REQUIRED: u16 = 1 << 0;

/// A section of a later version: this version writes none and knows none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the two fields are the format")]
pub struct CertificateSection {
    /// What it holds; 1 is kept for signatures.
    pub tag: u16,
    /// Its bytes.
    pub bytes: Box<[u8]>,
}

pub(super) fn put_all(out: &mut Vec<u8>, sections: &[CertificateSection]) -> Result<(), CertificateFormatError> {
    check(sections)?;
    for section in sections {
        put_u16(out, section.tag);
        put_u16(out, 0);
        let len = u32::try_from(section.bytes.len()).expect("a checked section has at most 65,536 bytes");
        put_u32(out, len);
        put_bytes(out, &section.bytes);
    }
    Ok(())
}

pub(super) fn read_all(reader: &mut Reader<'_>) -> Result<Vec<CertificateSection>, CertificateFormatError> {
    let mut sections = Vec::new();
    while reader.remaining() > 0 {
        let (tag, flags) = (reader.u16()?, reader.u16()?);
        match flags {
            0 => {}
            REQUIRED => return Err(CertificateFormatError::UnknownRequiredSection { tag }),
            _ => return Err(CertificateFormatError::NotCanonical),
        }
        let len = reader.count(1)?;
        sections.push(CertificateSection { tag, bytes: reader.bytes(len)?.into() });
        check(&sections)?;
    }
    Ok(sections)
}

fn check(sections: &[CertificateSection]) -> Result<(), CertificateFormatError> {
    let too_long = |len: usize, max: usize| (len > max).then_some(CertificateFormatError::TooLong { len, max });
    let longest = sections.iter().map(|section| section.bytes.len()).max().unwrap_or(0);
    let refused =
        too_long(sections.len(), CERTIFICATE_SECTIONS_MAX).or_else(|| too_long(longest, CERTIFICATE_SECTION_BYTES_MAX));
    let sorted = sections.iter().zip(sections.iter().skip(1)).all(|(one, next)| one.tag < next.tag);
    match refused {
        Some(refused) => Err(refused),
        None if sorted => Ok(()),
        None => Err(CertificateFormatError::NotCanonical),
    }
}
