//! What was ever framed in a world, whether or not a crash left it: the checks that are made at the write.
//!
//! Invariant: entries are never taken out. A leaf that was framed under stays used, also when the frame was lost.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use batpak_store::crypto::Nonce;
use batpak_store::format::{
    EventHash, Frame, FrameSeed, KeyId, SEAL_TAG_LEN, SEGMENT_HEADER_LEN, StoreId, aad, content_len,
};
use batpak_store::keyset::{Granularity, KeyScope, Keyset, scope_for};
use batpak_store::segment::parse_segment_name;

use crate::keyset::{self, Belief, Version};
use crate::sim::State;
use crate::violation::Violation;

/// What stands in every payload.
pub(crate) const CANARY: &[u8] = b"canary in clear";

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    leaves: HashMap<(KeyId, [u8; 32]), KeyScope>,
    /// Whether frames of a store and of its copy are in it: pages that each of them made may have one number, and then have other keys.
    of_copies: bool,
    nonces: HashMap<(KeyId, [u8; 24]), EventHash>,
    epoch: u64,
    reserved: HashMap<u32, u32>,
    loaded: Option<(Version, Arc<Keyset>)>,
}

/// A frame that is being handed to the disk.
pub(crate) struct Handed {
    pub(crate) is_intent: bool,
}

impl Ledger {
    /// An empty one, for a store alone or for one and its copies.
    pub(crate) fn new(of_copies: bool) -> Self {
        Self { of_copies, ..Self::default() }
    }

    /// Looks at a write to a segment: every sealed frame in it is under a leaf that is reserved and derivable on the disk as it is
    /// durable now, and no leaf or nonce was used before for anything else.
    pub(crate) fn segment_write(
        &mut self,
        state: &State,
        path: &Path,
        offset: u64,
        bytes: &[u8],
        store: StoreId,
        granularity: Granularity,
    ) -> Result<Handed, Violation> {
        let mut handed = Handed { is_intent: false };
        let Some(segment) = path.file_name().and_then(parse_segment_name) else { return Ok(handed) };
        let mut at = if offset == 0 { SEGMENT_HEADER_LEN } else { 0 };
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let seed = FrameSeed { store, segment, offset: offset + at as u64 };
            let Ok(frame) = Frame::decode(rest, &seed) else { break };
            handed.is_intent |= frame.header().kind() == batpak_store::EventKind::SHRED_INTENT;
            self.frame(state, &frame, granularity)?;
            at += frame.len();
        }
        Ok(handed)
    }

    fn frame(&mut self, state: &State, frame: &Frame<'_>, granularity: Granularity) -> Result<(), Violation> {
        let header = frame.header();
        let Some(encryption) = header.encryption() else { return Ok(()) };
        let key_id = encryption.key_id;
        let hash = frame.event_hash();
        match self.nonces.insert((key_id, encryption.nonce), hash) {
            // The same frame, written again.
            Some(before) if before == hash => return Ok(()),
            Some(_) => return Err(Violation::new("I7", format!("a nonce of key {key_id} is used twice"))),
            None => {}
        }
        let scope = scope_for(granularity, &header.coordinate(), header.kind(), header.id());
        let keyset = self.durable(state)?;
        let commitment = keyset.key(key_id).map(|(_, commitment)| *commitment.as_bytes());
        let leaf = (key_id, commitment.ok().filter(|_| self.of_copies).unwrap_or_default());
        if self.leaves.get(&leaf).is_some_and(|before| *before != scope) {
            return Err(Violation::new("I7", format!("leaf {key_id} is framed under by two key scopes")));
        }
        self.leaves.insert(leaf, scope);
        let reserved = keyset.pages().any(|page| {
            (page.first..page.first + page.count).contains(&key_id.page()) && key_id.leaf() < page.reserved
        });
        if !reserved {
            return Err(Violation::new(
                "I1",
                format!("a frame under {key_id} is written and the leaf is not reserved"),
            ));
        }
        let Ok((key, _)) = keyset.key(key_id) else {
            return Err(Violation::new("I1", format!("a frame under {key_id} is written and the key is not there")));
        };
        let mut associated = Vec::new();
        aad(header.entity(), header.scope(), header.kind(), header.id(), &mut associated);
        let sealed = frame.payload().unwrap_or_default();
        let opens = sealed.split_last_chunk::<SEAL_TAG_LEN>().is_some_and(|(ciphertext, tag)| {
            key.open(&Nonce::from_bytes(encryption.nonce), &associated, &mut ciphertext.to_vec(), tag).is_ok()
        });
        if opens {
            Ok(())
        } else {
            Err(Violation::new("I1", format!("the durable key {key_id} does not open its frame")))
        }
    }

    /// The ledger of a world in which older files were put back: what was framed stays framed, and nothing else is known.
    pub(crate) fn rolled_back(self) -> Self {
        Self { epoch: 0, reserved: HashMap::new(), loaded: None, ..self }
    }

    /// The keyset that is durable now; epochs and reservations have not fallen.
    pub(crate) fn durable(&mut self, state: &State) -> Result<Arc<Keyset>, Violation> {
        let version = keyset::version(state);
        if let Some((loaded, keyset)) = &self.loaded
            && *loaded == version
        {
            return Ok(Arc::clone(keyset));
        }
        let keyset = keyset::load(state, Belief::Durable).map_err(|why| Violation::new("I15", why))?;
        if keyset.epoch() < self.epoch {
            let what = format!("the epoch fell from {} to {}", self.epoch, keyset.epoch());
            return Err(Violation::new("I7", what));
        }
        self.epoch = keyset.epoch();
        for page in keyset.pages().filter(|page| page.count == 1) {
            let before = self.reserved.entry(page.first).or_default();
            if page.reserved < *before {
                let what = format!("the reservation of page {} fell from {before} to {}", page.first, page.reserved);
                return Err(Violation::new("I7", what));
            }
            *before = page.reserved;
        }
        let keyset = Arc::new(keyset);
        self.loaded = Some((version, Arc::clone(&keyset)));
        Ok(keyset)
    }
}

/// Whether plaintext, or an unkeyed hash of it, is among bytes that are being written.
pub(crate) fn has_plaintext(bytes: &[u8], payloads: &[Arc<[u8]>]) -> bool {
    if content_len(bytes) == 0 {
        return false;
    }
    contains(bytes, CANARY) || payloads.iter().any(|payload| contains(bytes, blake3::hash(payload).as_bytes()))
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let Some((first, _)) = needle.split_first() else { return false };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = &rest[at..];
        if rest.starts_with(needle) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_plaintext_finds_the_payload_and_its_hash_and_nothing_else() {
        let payload: Arc<[u8]> = (*b"say canary in clear").into();
        let payloads = [Arc::clone(&payload)];
        assert!(has_plaintext(&[b"..", &payload[..], b".."].concat(), &payloads));
        assert!(has_plaintext(&[b"..", &blake3::hash(&payload).as_bytes()[..]].concat(), &payloads));
        assert!(!has_plaintext(&[7; 5000], &payloads));
        assert!(!has_plaintext(&[0; 5000], &payloads));
    }
}
