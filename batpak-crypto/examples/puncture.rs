//! A page of keys, from its 32 random bytes to the day one of them is destroyed.
//!
//! `cargo run -p batpak-crypto --example puncture`

use std::error::Error;

use batpak_crypto::{Kek, Nonce, NonceBuffer, NonceMode, OsEntropy, RootSecret, Tree, TreeError, open_body, seal_body};
use zeroize::Zeroizing;

const STORE: [u8; 16] = *b"an example store";

fn main() -> Result<(), Box<dyn Error>> {
    // A page is 32 random bytes and gives 4,096 payload keys. To mint is to take the next leaf: nothing is written.
    let page = Tree::generate(Tree::DEPTH, &OsEntropy)?;
    println!("a page of {} keys costs {} bytes", page.leaves(), page.frontier_bytes());

    // Two payloads, each sealed in place under a key of its own, bound to what it belongs to by the AAD.
    let mut nonces = NonceBuffer::new(NonceMode::Buffered);
    let process = std::process::id();
    let mut sealed = Vec::new();
    for (leaf, text) in [(0, "the first author"), (1, "the second author")] {
        let (key, _commitment) = page.key(leaf, &STORE, u64::from(leaf))?;
        let nonce = nonces.next(&OsEntropy, process)?;
        let mut payload = text.as_bytes().to_vec();
        let tag = key.seal(&nonce, b"event of an entity", &mut payload)?;
        sealed.push((leaf, nonce, payload, tag));
    }

    // To destroy the first key is to keep everything of the page but that leaf. The old page is dropped, and wiped.
    let left = page.punctured([0])?;
    drop(page);
    println!("without leaf 0 it costs {} bytes in {} nodes", left.frontier_bytes(), left.frontier().len());
    for (leaf, nonce, mut payload, tag) in sealed {
        match left.key(leaf, &STORE, u64::from(leaf)) {
            Ok((key, _commitment)) => {
                key.open(&nonce, b"event of an entity", &mut payload, &tag)?;
                println!("leaf {leaf} opens: {}", String::from_utf8(payload)?);
            }
            Err(TreeError::Destroyed { leaf }) => println!("leaf {leaf} is destroyed"),
            Err(other) => return Err(other.into()),
        }
    }

    // What is left goes to disk sealed under a root secret. A copy that still holds the destroyed leaf is noise once
    // the root secret it was sealed under is gone.
    let root = RootSecret::generate(&OsEntropy)?;
    let nonce = Nonce::generate(&OsEntropy)?;
    let mut frontier = Zeroizing::new(Vec::new());
    left.encode_frontier(&mut frontier);
    let body = seal_body(&root, &nonce, b"header of the image", frontier)?;
    let opened = open_body(&root, &nonce, b"header of the image", &body)?;
    assert!(Tree::decode_frontier(Tree::DEPTH, &opened)?.is_destroyed(0));

    let another = Kek::generate(&OsEntropy)?;
    assert!(open_body(&another, &nonce, b"header of the image", &body).is_err());
    println!("the body of {} bytes opens under its root secret and under nothing else", body.len());
    Ok(())
}
