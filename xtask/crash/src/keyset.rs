//! The keyset that is on a simulated disk, read with the decoder that is shipped.
//!
//! Invariant: of what is not synced the worst is taken: a copy with a write under way counts as torn.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use batpak_store::crypto::RootSecret;
use batpak_store::crypto::passphrase::{Argon2Params, derive};
use batpak_store::keyset::{
    Argon2Record, Candidates, Copy, CopyBytes, ExtentBytes, KeyFile, Keyset, LoadInput, ProviderKind, candidates,
};

use batpak_store::format::{Frame, FrameSeed, KeyId, Record, SEGMENT_HEADER_LEN, SegmentHeader, content_len};
use batpak_store::segment::parse_segment_name;

use crate::lock;
use crate::place::{DIR, KEY_FILE, PASSPHRASE};
use crate::sim::State;
use crate::sim::file::File;

/// How much of the disk is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Belief {
    /// What is durable for sure.
    Durable,
    /// What reads see.
    Visible,
}

/// Which state the files of the keyset are in: the same numbers, the same keyset.
pub(crate) type Version = Vec<Option<(u64, u64, bool)>>;

/// Names the durable state of copies and key file.
pub(crate) fn version(state: &State) -> Version {
    let paths = [copy_path(Copy::A), copy_path(Copy::B), KEY_FILE.to_owned()];
    let of = |file: &File| (file.identity, file.version, file.is_steady());
    paths.iter().map(|path| state.durable(Path::new(path)).map(of)).collect()
}

fn copy_path(copy: Copy) -> String {
    format!("{DIR}/{}", copy.file_name())
}

fn bytes(state: &State, path: &str, belief: Belief) -> Option<Vec<u8>> {
    match belief {
        Belief::Durable => state.durable(Path::new(path)).map(|file| file.base.bytes()),
        Belief::Visible => state.find(Path::new(path)).ok().map(|file| state.file(file).now.bytes()),
    }
}

fn copy(state: &State, copy: Copy, belief: Belief) -> Option<Vec<u8>> {
    let path = copy_path(copy);
    let torn = belief == Belief::Durable && state.durable(Path::new(&path)).is_some_and(|file| !file.is_steady());
    if torn { Some(Vec::new()) } else { bytes(state, &path, belief) }
}

/// Judges both copies.
pub(crate) fn judged(state: &State, belief: Belief) -> Result<Candidates, String> {
    let [a, b] = Copy::BOTH.map(|name| copy(state, name, belief));
    let input = |bytes: &Option<Vec<u8>>| bytes.is_some();
    let (has_a, has_b) = (input(&a), input(&b));
    let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
    let as_input = |has: bool, bytes| if has { CopyBytes::Bytes(bytes) } else { CopyBytes::Absent };
    let input = LoadInput { store: None, a: as_input(has_a, &a), b: as_input(has_b, &b) };
    candidates(&input).map_err(|why| format!("no copy of the keyset is whole: {why}"))
}

/// Loads the keyset, its extents too.
pub(crate) fn load(state: &State, belief: Belief) -> Result<Keyset, String> {
    let candidates = judged(state, belief)?;
    let header = candidates.header();
    let root: RootSecret = match header.provider.kind() {
        ProviderKind::Local => header.provider.local_secret().ok_or("the image holds no root secret")?,
        _ => {
            let slots = bytes(state, KEY_FILE, belief).ok_or("there is no key file")?;
            let slots = KeyFile::decode(&slots, Some(header.store)).map_err(|why| format!("the key file: {why}"))?;
            let secret = slots.find(header.secret_id).ok_or("the key file lacks the image's root secret")?;
            match header.provider.argon2() {
                Some(argon2) => derived(argon2)?.mix(secret.expose()),
                None => RootSecret::from_bytes((*secret.expose()).into()),
            }
        }
    };
    let mut keyset = candidates.open(&root).map_err(|why| format!("the keyset does not open: {why}"))?.keyset;
    let extents: Vec<u64> = keyset.extents().collect();
    for number in extents {
        let found = bytes(state, &format!("{DIR}/extents/{number:020}"), belief);
        keyset.load_extent(number, found.as_deref().map_or(ExtentBytes::Absent, ExtentBytes::Bytes));
    }
    Ok(keyset)
}

/// What the passphrase comes to; kept, since the salts of a run are few.
fn derived(argon2: &Argon2Record) -> Result<RootSecret, String> {
    static KEPT: Mutex<BTreeMap<[u8; 16], [u8; 32]>> = Mutex::new(BTreeMap::new());
    if let Some(kept) = lock(&KEPT).get(&argon2.salt) {
        return Ok(RootSecret::from_bytes((*kept).into()));
    }
    let params = Argon2Params { m_kib: argon2.m_kib, t: argon2.t, p: argon2.p };
    let root = derive(PASSPHRASE, &argon2.salt, &params).map_err(|why| why.to_string())?;
    lock(&KEPT).insert(argon2.salt, *root.expose());
    Ok(root)
}

/// Whether both copies are the same bytes and whole, and the key file, if there is one, holds one secret and no more.
pub(crate) fn old_secrets_are_gone(state: &State) -> Result<(), String> {
    let [a, b] = Copy::BOTH.map(|name| copy(state, name, Belief::Durable).unwrap_or_default());
    let used = content_len(&a);
    if used == 0 || used != content_len(&b) || a[..used] != b[..used] {
        return Err("the two copies of the keyset differ".to_owned());
    }
    match bytes(state, KEY_FILE, Belief::Durable) {
        None => Ok(()),
        Some(slots) => match KeyFile::decode(&slots, None) {
            Ok(slots) if slots.next().is_none() && !slots.is_damaged() => Ok(()),
            Ok(_) => Err("the key file holds more than the current secret".to_owned()),
            Err(why) => Err(format!("the key file: {why}")),
        },
    }
}

/// The keys that the shred intents of the log name, read from the segments as they are.
pub(crate) fn shredded_keys(state: &State) -> Vec<KeyId> {
    let mut keys = Vec::new();
    for (path, file) in state.visible() {
        let Some(segment) = path.file_name().and_then(parse_segment_name) else { continue };
        let bytes = file.now.bytes();
        let Some(Ok(header)) = bytes.get(..SEGMENT_HEADER_LEN).map(SegmentHeader::decode) else { continue };
        let mut at = SEGMENT_HEADER_LEN;
        while let Some(rest) = bytes.get(at..) {
            let seed = FrameSeed { store: header.store, segment, offset: at as u64 };
            let Ok(frame) = Frame::decode(rest, &seed) else { break };
            at += frame.len();
            let record = frame.payload().map(|payload| Record::decode(frame.header().kind(), payload));
            let Some(Ok(Record::ShredIntent(intent))) = record.filter(|_| frame.header().kind().is_reserved()) else {
                continue;
            };
            for run in intent.targets.iter().flat_map(|target| &target.runs) {
                keys.extend((0..run.count).map(|more| KeyId::from_u64(run.first.as_u64() + u64::from(more))));
            }
        }
    }
    keys
}
