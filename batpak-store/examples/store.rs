//! The whole of a store on one page: create, append with causes, read, follow, verify, close, open again.
//!
//! `cargo run -p batpak-store --example store`

use std::time::Duration;

use batpak_store::{
    Config, ContentType, Coordinate, Encryption, EventKind, Granularity, KeyFile, NewEvent, Payload, Query, Store,
    VerifyOptions,
};

const PLACED: u16 = 1;
const PAID: u16 = 2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scratch = tempfile::tempdir()?;
    let dir = scratch.path().join("shop");
    // The root secret stands outside the store's directory, best on another medium.
    let key_file = scratch.path().join("shop.key");
    let config = || Config::new(Encryption::sealed(KeyFile::new(&key_file)));

    let store = Store::create(&dir, config().granularity(Granularity::Entity))?;
    let order = Coordinate::new("order-1042", "shop")?;

    let placed = store.append(
        &NewEvent::new(order.clone(), EventKind::new(1, PLACED)?, br#"{"lamps":2}"#)
            .content_type(ContentType::JSON)
            .key(b"order-1042/placed")
            .tag("web"),
    )?;
    let paid = NewEvent::new(order, EventKind::new(1, PAID)?, br#"{"eur":119}"#).cause(placed.id);
    let paid = store.append(&paid)?;
    println!("placed at position {}, paid at {}", placed.position, paid.position);

    for event in store.stream("order-1042", 0)? {
        let event = event?;
        match &event.payload {
            Payload::Open(bytes) => println!("{}: {}", event.header.revision, String::from_utf8_lossy(bytes)),
            gone => println!("{}: {gone:?}", event.header.revision),
        }
    }

    let mut follow = store.follow(&Query::all().from(paid.position));
    println!("followed to {:?}", follow.next_timeout(Duration::from_millis(10))?.map(|event| event.header.position));

    let report = store.verify(VerifyOptions::full(), &mut |_| {})?;
    println!("verified {} events, sound: {}", report.events, report.is_sound());
    store.close()?;

    let store = Store::open(&dir, config())?;
    println!("opened again, clean: {}, {} events", store.open_report().clean, store.stats().events);
    Ok(())
}
