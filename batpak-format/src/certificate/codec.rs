//! The bytes of a certificate's statement.
//!
//! Invariant: lists are sorted without repeats, intents stand before the completion, events before the first intent; anything else is
//! refused in both directions.

use crate::certificate::{
    CERTIFICATE_LIST_MAX, CERTIFICATE_MAGIC, CERTIFICATE_VERSION, Certificate, CertifiedEvent, CertifiedTarget,
    CertifiedWorth, PositionRun, target::TARGET_BYTES_MIN,
};
use crate::codec::{Reader, put_bytes, put_i64, put_u8, put_u16, put_u32, put_u64};
use crate::error::CertificateFormatError;
use crate::hash::ChainHash;
use crate::id::StoreId;
use crate::record::{
    KEY_SCOPE_BYTES_LIMIT, REFERENCE_BYTES_MAX, put_count, put_optional, put_short, put_text, read_count,
    read_optional, read_scope, read_text,
};
use crate::time::Timestamp;

const EVENT_LEN: usize = 8 + 8 + 32;
/// The least bytes of a withheld key scope: its length.
const WITHHELD_BYTES_MIN: usize = 2;

pub(super) fn put(certificate: &Certificate, out: &mut Vec<u8>) -> Result<(), CertificateFormatError> {
    check(certificate)?;
    put_bytes(out, &CERTIFICATE_MAGIC);
    put_u16(out, CERTIFICATE_VERSION);
    put_bytes(out, certificate.store.as_bytes());
    put_i64(out, certificate.created.as_micros());
    put_bytes(out, certificate.genesis_chain_hash.as_bytes());
    put_u8(out, certificate.granularity);
    put_u16(out, certificate.reason);
    put_u8(out, certificate.provider_kind);
    put_worth(out, certificate.worth);
    put_u32(out, certificate.unreachable);
    put_u64(out, certificate.epoch);
    put_event(out, &certificate.completion);
    put_bytes(out, &certificate.events_hash);
    put_text(out, &certificate.reference, REFERENCE_BYTES_MAX)?;
    put_count(out, certificate.intents.len(), CERTIFICATE_LIST_MAX)?;
    certificate.intents.iter().for_each(|intent| put_event(out, intent));
    put_count(out, certificate.targets.len(), CERTIFICATE_LIST_MAX)?;
    certificate.targets.iter().try_for_each(|target| target.put(out))?;
    put_count(out, certificate.withheld.len(), CERTIFICATE_LIST_MAX)?;
    for key_scope in &certificate.withheld {
        put_short(out, key_scope, KEY_SCOPE_BYTES_LIMIT)?;
    }
    Ok(())
}

/// Reads a statement; the sections behind it are the caller's to read.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Certificate, CertificateFormatError> {
    if reader.array()? != CERTIFICATE_MAGIC {
        return Err(CertificateFormatError::BadMagic);
    }
    let version = reader.u16()?;
    if version != CERTIFICATE_VERSION {
        return Err(CertificateFormatError::UnknownVersion { version });
    }
    let certificate = Certificate {
        store: StoreId::from_bytes(reader.array()?),
        created: Timestamp::from_micros(reader.i64()?),
        genesis_chain_hash: ChainHash::from_bytes(reader.array()?),
        granularity: reader.u8()?,
        reason: reader.u16()?,
        provider_kind: reader.u8()?,
        worth: read_worth(reader)?,
        unreachable: reader.u32()?,
        epoch: reader.u64()?,
        completion: read_event(reader)?,
        events_hash: reader.array()?,
        reference: read_text(reader, REFERENCE_BYTES_MAX)?,
        intents: read_list(reader, EVENT_LEN, read_event)?,
        targets: read_list(reader, TARGET_BYTES_MIN, CertifiedTarget::read)?,
        withheld: read_list(reader, WITHHELD_BYTES_MIN, |reader| Ok(read_scope(reader)?))?,
        sections: Vec::new(),
    };
    check(&certificate)?;
    Ok(certificate)
}

fn read_list<T>(
    reader: &mut Reader<'_>,
    element_len: usize,
    read: impl Fn(&mut Reader<'_>) -> Result<T, CertificateFormatError>,
) -> Result<Vec<T>, CertificateFormatError> {
    let count = read_count(reader, element_len, CERTIFICATE_LIST_MAX)?;
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        list.push(read(reader)?);
    }
    Ok(list)
}

fn put_event(out: &mut Vec<u8>, event: &CertifiedEvent) {
    put_u64(out, event.position);
    put_i64(out, event.time.as_micros());
    put_bytes(out, event.chain_hash.as_bytes());
}

fn read_event(reader: &mut Reader<'_>) -> Result<CertifiedEvent, CertificateFormatError> {
    Ok(CertifiedEvent {
        position: reader.u64()?,
        time: Timestamp::from_micros(reader.i64()?),
        chain_hash: ChainHash::from_bytes(reader.array()?),
    })
}

fn put_worth(out: &mut Vec<u8>, worth: CertifiedWorth) {
    put_u8(out, worth.code());
    put_optional(out, worth.effective_at().map(|time| u64::from_le_bytes(time.as_micros().to_le_bytes())));
}

fn read_worth(reader: &mut Reader<'_>) -> Result<CertifiedWorth, CertificateFormatError> {
    let code = reader.u8()?;
    let time = read_optional(reader)?.map(|micros| Timestamp::from_micros(i64::from_le_bytes(micros.to_le_bytes())));
    CertifiedWorth::from_code(code, time).ok_or(CertificateFormatError::NotCanonical)
}

impl CertifiedWorth {
    /// Reads what a completion states; none for a code that is not known, or with a moment where none belongs.
    #[must_use]
    pub const fn from_code(code: u8, effective_at: Option<Timestamp>) -> Option<Self> {
        match (code, effective_at) {
            (1, None) => Some(Self::LiveFilesOnly),
            (2, None) => Some(Self::OldCopiesNotCovered),
            (3, Some(time)) => Some(Self::OldCopiesDeadFrom(time)),
            _ => None,
        }
    }

    /// Returns the code on disk: 1 to 3.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::LiveFilesOnly => 1,
            Self::OldCopiesNotCovered => 2,
            Self::OldCopiesDeadFrom(_) => 3,
        }
    }

    /// Returns since when old copies are dead, where they are.
    #[must_use]
    pub const fn effective_at(self) -> Option<Timestamp> {
        match self {
            Self::OldCopiesDeadFrom(time) => Some(time),
            Self::LiveFilesOnly | Self::OldCopiesNotCovered => None,
        }
    }
}

fn check(certificate: &Certificate) -> Result<(), CertificateFormatError> {
    let intents = &certificate.intents;
    let (Some(first), Some(last)) = (intents.first(), intents.last()) else {
        return Err(CertificateFormatError::NotCanonical);
    };
    let coded = certificate.granularity != 0 && certificate.provider_kind != 0;
    let sorted = ascend(intents.iter().map(|intent| intent.position))
        && ascend(certificate.targets.iter().map(|target| &target.key_scope))
        && ascend(certificate.withheld.iter());
    // An end that no u64 holds is refused with the runs themselves.
    let mut ends = certificate.targets.iter().filter_map(|target| target.events.last()).map(PositionRun::end);
    let before = ends.all(|end| end.is_none_or(|end| end <= first.position));
    let holds = coded && sorted && before && last.position < certificate.completion.position;
    if holds { Ok(()) } else { Err(CertificateFormatError::NotCanonical) }
}

fn ascend<T: Ord>(items: impl Iterator<Item = T> + Clone) -> bool {
    items.clone().zip(items.skip(1)).all(|(one, next)| one < next)
}
