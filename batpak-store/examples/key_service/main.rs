//! A root secret kept by another process, as a key management service would: `cargo run --example key_service`.
//!
//! Called with `serve SOCKET FOLDER` it is the service; called without words it starts one, and shows a store that speaks to it: what a
//! shred destroys, and what an open says when nobody answers. The service trusts whoever may write to its socket, which is its owner;
//! one that is reached over a network has to know its callers.

use std::{
    env,
    error::Error,
    path::Path,
    process::{Child, Command},
    sync::Arc,
    time::Duration,
};

use batpak_store::{Config, Coordinate, Encryption, EventKind, NewEvent, Payload, Selector, Store, segment::RealDisk};

mod provider;
mod socket;
mod vault;
mod wire;

use provider::KeyService;
use socket::Socket;
use vault::Vault;

const DEADLINE: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", socket, folder] => {
            let vault = Vault::open(Arc::new(RealDisk), Path::new(folder))?;
            Ok(socket::serve(Path::new(socket), &vault)?)
        }
        [] => show(),
        _ => Err("usage: key_service [serve SOCKET FOLDER]".into()),
    }
}

fn show() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let (socket, dir) = (scratch.path().join("keys.sock"), scratch.path().join("store"));
    let config =
        || Config::new(Encryption::sealed(KeyService::new(Socket::new(&socket, DEADLINE), scratch.path().to_owned())));
    let mut service = start(&socket, &scratch.path().join("vault"))?;
    let store = Store::create(&dir, config())?;
    let event =
        store.append(&NewEvent::new(Coordinate::new("anna", "shop")?, EventKind::new(1, 1)?, b"her address"))?;
    let shredding = store.shred(&[Selector::Entity("anna".into())], 1, "")?;
    println!("the old root secret: {:?}", shredding.destruction);
    if let Some(event) = store.get(event.id)? {
        println!("the payload: {}", if matches!(event.payload, Payload::Shredded(_)) { "shredded" } else { "there" });
    }
    store.close()?;
    service.kill()?;
    service.wait()?;
    if let Err(why) = Store::open(&dir, config()) {
        println!("without the service: {why}: {}", why.source().map(ToString::to_string).unwrap_or_default());
    }
    Ok(())
}

/// Starts this program as the service, and waits until its socket is there.
fn start(socket: &Path, folder: &Path) -> Result<Child, Box<dyn Error>> {
    let child = Command::new(env::current_exe()?).arg("serve").arg(socket).arg(folder).spawn()?;
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(child)
}
