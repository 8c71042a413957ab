//! Any bytes as the image of a keyset: refused, or a keyset that publishes itself as one that loads the same.

use batpak_crypto::{Nonce, open_body, seal_body};
use batpak_format::{ChainHash, KeyId};
use batpak_format_fuzz::{Seeds, bounded};
use batpak_keyset::{
    CopyBytes, ExtentBytes, ExtentRewrite, IMAGE_CHECK_LEN, IMAGE_HEADER_LEN, IMAGE_PAD, IntentFacts, Keyset,
    LoadInput, LogFacts, LogSeen, SecretChange, candidates,
};
use zeroize::Zeroizing;

use crate::sample::{FixedEntropy, STORE, keyset, root};

const HEADER_LEN_AT: usize = 8;
const BODY_LEN_AT: usize = 12;
const NONCE_AT: usize = IMAGE_HEADER_LEN - 24;

/// The first byte says what the rest is: a file as it stands, with its check made to hold, or header and body in clear, which are
/// sealed here under the root secret that is known.
pub fn look(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let image = match choice % 3 {
        0 => rest.to_vec(),
        1 => checked(rest.to_vec()),
        _ => sealed(rest),
    };
    let other = if choice & 0x40 == 0 { CopyBytes::Absent } else { CopyBytes::Bytes(&image) };
    let input = LoadInput { store: (choice & 0x80 == 0).then_some(STORE), a: CopyBytes::Bytes(&image), b: other };
    bounded(8 * image.len(), || load(&input));
}

fn load(input: &LoadInput<'_>) {
    let Ok(judged) = candidates(input) else { return };
    let Ok(loaded) = judged.open(&root()) else { return };
    let mut keyset = loaded.keyset;
    let ids = [(1, 0), (1, 1), (2, 0), (u32::MAX, 0), (0, 0)].map(|(page, leaf)| KeyId::new(0, page, leaf));
    ids.iter().for_each(|id| drop(keyset.key(*id)));
    let last_intent = Some(IntentFacts { position: 4, completed: false, previous: None });
    let facts = LogFacts { key_id_max: Some(ids[2]), last_intent, next_position: 9, seen_chain_hash: None };
    let _ = keyset.compare_log(&facts);
    for number in keyset.extents().collect::<Vec<_>>() {
        drop(keyset.load_extent(number, ExtentBytes::Absent));
    }
    let pages: Vec<_> = keyset.pages().collect();
    again(&mut keyset, &pages);
}

/// What was loaded can be published, and what was published loads.
fn again(keyset: &mut Keyset, pages: &[batpak_keyset::PageSummary]) {
    let entropy = FixedEntropy::default();
    let seen = LogSeen { position: 9, chain_hash: ChainHash::from_bytes([3; 32]) };
    let Ok(publication) = keyset.publication(&root(), seen, &entropy) else { return };
    let image = CopyBytes::Bytes(&publication.image);
    let reloaded = candidates(&LoadInput { store: None, a: image, b: image }).and_then(|judged| judged.open(&root()));
    match reloaded {
        Ok(reloaded) => {
            let found: Vec<_> = reloaded.keyset.pages().collect();
            assert!(found.len() >= pages.len(), "{pages:?}, then {found:?}");
            assert_eq!(reloaded.findings, []);
        }
        Err(why) => panic!("what was published does not load: {why:?}"),
    }
    keyset.durable(&publication);
    if let Ok(frontiers) = keyset.beside(&[], ExtentRewrite::Always, &entropy) {
        let _ = keyset.adopt(frontiers, Some(9), SecretChange::Keep);
    }
    drop(keyset.mint(&entropy));
}

/// Makes the BLAKE3 hold, where the lengths of the header leave room for it.
fn checked(mut image: Vec<u8>) -> Vec<u8> {
    let field = |at: usize| image.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes);
    let (Some(header), Some(body)) = (field(HEADER_LEN_AT), field(BODY_LEN_AT)) else { return image };
    let Some(covered) = (header as usize).checked_add(body as usize) else { return image };
    if image.len() < covered.saturating_add(IMAGE_CHECK_LEN) {
        return image;
    }
    let check = blake3::hash(&image[..covered]);
    image[covered..covered + IMAGE_CHECK_LEN].copy_from_slice(check.as_bytes());
    image.resize(image.len().next_multiple_of(IMAGE_PAD), 0);
    image
}

/// Header and body as an image whose seal and check hold.
fn sealed(clear: &[u8]) -> Vec<u8> {
    let Some((header, body)) = clear.split_at_checked(IMAGE_HEADER_LEN) else { return clear.to_vec() };
    let mut image = header.to_vec();
    image[HEADER_LEN_AT..HEADER_LEN_AT + 4].copy_from_slice(&(IMAGE_HEADER_LEN as u32).to_le_bytes());
    image[BODY_LEN_AT..BODY_LEN_AT + 4].copy_from_slice(&(body.len() as u32 + 16).to_le_bytes());
    let nonce: [u8; 24] = header[NONCE_AT..].try_into().unwrap_or([0; 24]);
    let body = seal_body(&root(), &Nonce::from_bytes(nonce), &image, Zeroizing::new(body.to_vec()));
    image.extend_from_slice(&body.unwrap_or_default());
    image.resize(image.len() + IMAGE_CHECK_LEN, 0);
    checked(image)
}

/// Images with whole pages, punctured ones and one in an extent, each in the three forms.
pub fn seeds() -> Seeds {
    let mut seeds = Seeds::new();
    for (name, pages, with_extent) in [("new", 0, false), ("pages", 3, false), ("extent", 2, true)] {
        let image = keyset(pages, with_extent).1;
        let body_len = u32::from_le_bytes(image[BODY_LEN_AT..BODY_LEN_AT + 4].try_into().unwrap_or_default());
        let (header, rest) = image.split_at(IMAGE_HEADER_LEN);
        let nonce: [u8; 24] = header[NONCE_AT..].try_into().unwrap_or([0; 24]);
        let body = open_body(&root(), &Nonce::from_bytes(nonce), header, &rest[..body_len as usize]);
        let body = body.map(|body| body.to_vec()).unwrap_or_default();
        seeds.push((format!("{name}-clear"), [&[2], header, &body[..]].concat()));
        seeds.push((format!("{name}-both"), [&[0x42], header, &body[..]].concat()));
        if name == "new" {
            seeds.push((format!("{name}-file"), [&[0], &image[..]].concat()));
            seeds.push((format!("{name}-checked"), [&[1], &image[..]].concat()));
        }
    }
    seeds
}
