//! Which author of a git history is which entity: `author-1`, `author-2`, ... in order of first appearance.
//!
//! Invariant: a number names one identity for ever; a number that is taken in the store is never given to another identity, also
//! when the payload that says whose it is can no longer be opened.

use std::collections::HashMap;

use batpak_store::{Query, ReadError, Store};
use serde::Deserialize;

/// Who an author is: the e-mail address and the name, as git shows them after its mailmap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub struct Identity {
    pub email: String,
    pub name: String,
}

/// The identities that have an entity.
#[derive(Debug)]
pub struct Authors {
    entities: HashMap<Identity, String>,
    next: u64,
}

/// As much of a commit's payload as says whose it is.
#[derive(Deserialize)]
struct Authored {
    author: Identity,
}

impl Authors {
    /// Learns from the first event of each author's entity, and so which numbers are taken.
    ///
    /// # Errors
    /// [`ReadError`] of the store.
    pub fn learn(store: &Store) -> Result<Self, ReadError> {
        let mut authors = Self { entities: HashMap::new(), next: 1 };
        loop {
            let entity = entity(authors.next);
            let query = Query::all().entity(&entity).limit(1);
            let Some(first) = store.read(&query)?.next().transpose()? else { return Ok(authors) };
            let opened = first.payload.open().and_then(|bytes| serde_json::from_slice::<Authored>(bytes).ok());
            if let Some(Authored { author }) = opened {
                authors.entities.entry(author).or_insert(entity);
            }
            authors.next += 1;
        }
    }

    /// Tells whether an identity has an entity.
    pub fn knows(&self, identity: &Identity) -> bool {
        self.entities.contains_key(identity)
    }

    /// Takes the entity that a commit of this identity has in the store; what was learned first stays.
    pub fn learn_one(&mut self, identity: Identity, entity: &str) {
        self.entities.entry(identity).or_insert_with(|| entity.to_owned());
    }

    /// Returns the entity of an identity; one that was never seen takes the next number.
    pub fn entity_of(&mut self, identity: &Identity) -> &str {
        self.entities.entry(identity.clone()).or_insert_with(|| {
            let taken = entity(self.next);
            self.next += 1;
            taken
        })
    }
}

fn entity(number: u64) -> String {
    format!("author-{number}")
}
