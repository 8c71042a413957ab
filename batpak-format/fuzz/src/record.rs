//! Any bytes as a record of any kind: refused, or the one encoding of what they say.

use batpak_format::{EventKind, Record};

use crate::{Seeds, bounded, samples::records};

/// The first two bytes are the kind.
pub fn look(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first_chunk::<2>() else { return };
    let kind = EventKind::from_u16(u16::from_le_bytes(*kind));
    let Ok(record) = bounded(bytes.len(), || Record::decode(kind, bytes)) else { return };
    assert_eq!(record.kind(), kind);
    match record.encode() {
        Ok(again) => assert_eq!(again, bytes, "{record:?}"),
        Err(why) => panic!("what decodes can be encoded: {why}"),
    }
}

/// The samples.
pub fn seeds() -> Seeds {
    let seed = |(name, record): (&str, Record)| {
        let bytes = record.encode().unwrap_or_default();
        (name.to_owned(), [&record.kind().as_u16().to_le_bytes(), &bytes[..]].concat())
    };
    records().into_iter().map(seed).collect()
}
