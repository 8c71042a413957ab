//! User names that are unique without a table of them: the append is conditional on a query.
//!
//! `cargo run -p batpak-store --example user_name`
//!
//! Each user is a stream of its own, so no stream's revision can tell whether a name is free. The condition can: no event with the
//! name's tag stands in the log. Tags are in clear and are not shredded, so the tag is not the name but a keyed hash of it; whoever does
//! not have the pepper cannot try names against the log.

use std::thread;

use batpak_store::{
    AppendCondition, AppendError, Config, Coordinate, Encryption, EventId, EventKind, KeyFile, NewEvent, QueryItem,
    Store,
};

/// The tag of a name, hashed under a pepper that stands outside the store.
fn tag(pepper: &str, name: &str) -> String {
    format!("name:{}", EventId::from_key(format!("{pepper}/{name}").as_bytes()))
}

/// Registers a user, or says at which position the name was taken.
fn register(
    store: &Store,
    user: &str,
    name: &str,
) -> Result<Result<u64, u64>, Box<dyn std::error::Error + Send + Sync>> {
    let registered = EventKind::new(1, 1)?;
    let tag = tag("kept in the vault", name);
    let free = AppendCondition::fail_if(QueryItem::any().kind(registered).tag(&tag));
    let event = NewEvent::new(Coordinate::new(user, "users")?, registered, name.as_bytes()).tag(tag).condition(free);
    match store.append(&event) {
        Ok(receipt) => Ok(Ok(receipt.position)),
        Err(AppendError::ConditionFailed { position }) => Ok(Err(position)),
        Err(why) => Err(why.into()),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let scratch = tempfile::tempdir()?;
    let config = Config::new(Encryption::sealed(KeyFile::new(scratch.path().join("root.key"))));
    let store = Store::create(scratch.path().join("users"), config)?;

    let results: Vec<_> = thread::scope(|threads| {
        let store = &store;
        let racing = (0..8).map(|n| threads.spawn(move || register(store, &format!("user-{n}"), "ada")));
        let racing: Vec<_> = racing.collect();
        racing.into_iter().map(|thread| thread.join().expect("a thread that panics has shown a defect")).collect()
    });
    let mut won = 0;
    for (user, result) in results.into_iter().enumerate() {
        match result? {
            Ok(position) => {
                won += 1;
                println!("user-{user} is ada, at position {position}");
            }
            Err(position) => println!("user-{user}: taken at position {position}"),
        }
    }
    assert_eq!(won, 1);
    Ok(())
}
