//! Codes and ids of a certificate as texts, both ways.
//!
//! Invariant: a code without a name is its number, so that every code has a text.

use batpak_store::{CertifiedWorth, ChainHash, Granularity, KeyId, ProviderKind, Timestamp, keyset::KeyScope};

use super::hex;
use crate::init::provider_name;

/// Returns the name of a granularity's code.
pub fn granularity_name(code: u8) -> String {
    Granularity::from_code(code).map_or_else(|_| code.to_string(), |granularity| granularity.to_string())
}

/// Reads what [`granularity_name`] writes.
pub fn granularity_code(name: &str) -> Option<u8> {
    name.parse::<Granularity>().map(Granularity::code).ok().or_else(|| name.parse().ok())
}

/// Returns the name of a provider's code.
pub fn provider_text(code: u8) -> String {
    ProviderKind::from_code(code).map_or_else(|| code.to_string(), |kind| provider_name(kind).to_owned())
}

/// Reads what [`provider_text`] writes.
pub fn provider_code(name: &str) -> Option<u8> {
    let kind = ProviderKind::ALL.into_iter().find(|kind| provider_name(*kind) == name);
    kind.map(ProviderKind::code).or_else(|| name.parse().ok())
}

/// Returns the name of what a destruction is worth.
pub const fn worth_name(worth: CertifiedWorth) -> &'static str {
    match worth {
        CertifiedWorth::LiveFilesOnly => "live_files_only",
        CertifiedWorth::OldCopiesNotCovered => "old_copies_not_covered",
        CertifiedWorth::OldCopiesDeadFrom(_) => "old_copies_dead",
    }
}

/// Reads what [`worth_name`] writes, with the moment that goes with it.
pub fn worth(name: &str, dead_from_us: Option<i64>) -> Option<CertifiedWorth> {
    match (name, dead_from_us) {
        ("live_files_only", None) => Some(CertifiedWorth::LiveFilesOnly),
        ("old_copies_not_covered", None) => Some(CertifiedWorth::OldCopiesNotCovered),
        ("old_copies_dead", Some(micros)) => Some(CertifiedWorth::OldCopiesDeadFrom(Timestamp::from_micros(micros))),
        _ => None,
    }
}

/// Names a key scope for people; none for keys that no event names, and for bytes that are no key scope.
pub fn scope_name(key_scope: &[u8]) -> Option<String> {
    KeyScope::from_bytes(key_scope).ok().map(|key_scope| key_scope.to_string())
}

/// Reads a key id: `PAGE/LEAF`, with `COMPARTMENT:` before it unless that is 0.
pub fn key_id(text: &str) -> Option<KeyId> {
    let (compartment, rest) = text.split_once(':').unwrap_or(("0", text));
    let (page, leaf) = rest.split_once('/')?;
    let leaf: u32 = leaf.parse().ok().filter(|leaf| *leaf < 1 << 24)?;
    Some(KeyId::new(compartment.parse().ok()?, page.parse().ok()?, leaf))
}

/// Reads a chain hash.
pub fn chain_hash(text: &str) -> Option<ChainHash> {
    hex::read_array(text).map(ChainHash::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_text_that_is_read_again() {
        for code in 0..=u8::MAX {
            assert_eq!(granularity_code(&granularity_name(code)), Some(code));
            assert_eq!(provider_code(&provider_text(code)), Some(code));
        }
        assert_eq!((granularity_name(1), provider_text(2)), ("entity".into(), "key_file".into()));
    }

    #[test]
    fn key_ids_are_read_as_they_are_written() {
        for id in [KeyId::new(0, 0, 0), KeyId::new(0, 7, (1 << 24) - 1), KeyId::new(3, u32::MAX, 5)] {
            assert_eq!(key_id(&id.to_string()), Some(id));
        }
        for wrong in ["", "7", "7/16777216", "7/-1", "256:7/1", "a/1"] {
            assert_eq!(key_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn worth_goes_with_its_moment_only() {
        let all = [
            CertifiedWorth::LiveFilesOnly,
            CertifiedWorth::OldCopiesNotCovered,
            CertifiedWorth::OldCopiesDeadFrom(Timestamp::from_micros(-3)),
        ];
        for one in all {
            let moment = one.effective_at().map(Timestamp::as_micros);
            assert_eq!(worth(worth_name(one), moment), Some(one));
            assert_eq!(worth(worth_name(one), if moment.is_some() { None } else { Some(1) }), None);
        }
        assert_eq!(worth("dead", None), None);
    }
}
