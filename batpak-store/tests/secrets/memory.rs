//! No key, node or root secret stays in a process that has done with it: the memory of a child process that runs a store is searched.
//!
//! The child draws its secrets from a seed that this process gives it, so this one knows every secret byte and the child keeps no list.
//! What the child's source of randomness leaves behind is masked. Each stage is searched while the child stands still, and in each there
//! is something that must be found: a search that finds nothing proves nothing.

use std::io;

use crate::{
    needles::Needles,
    search::Child,
    subject::{Keeper, run},
};

/// Runs the store when it is asked to; else there is nothing to test here.
#[test]
fn subject() {
    run();
}

/// What of the secrets is in the child now, by name; none when this system does not let a parent look.
fn found(child: &Child, needles: &Needles) -> Option<Vec<String>> {
    match child.search(needles) {
        Ok(found) => Some(found),
        Err(why) if why.kind() == io::ErrorKind::PermissionDenied => {
            assert!(!crate::required(), "the memory of a child cannot be read: {why}");
            eprintln!("SKIPPED: the memory of a child cannot be read: {why}");
            None
        }
        Err(why) => panic!("{why}"),
    }
}

/// Goes through all stages with one way to keep the root secret.
fn searched(keeper: Keeper) {
    let mut child = Child::start(keeper);
    let mut searches = 0;
    while let Some(stage) = child.next_stage() {
        let needles = Needles::of(keeper, &stage);
        let Some(found) = found(&child, &needles) else { return };
        let has = |name: &str| found.iter().any(|found| found == name);
        let is = |names: &[&str]| assert_eq!(found, names, "{keeper:?}, {}", stage.name);
        match stage.name.as_str() {
            // The control: what an open store needs is there, and no payload key outlives its use.
            "open" => {
                assert!(has("root secret 1") && has("page 1"), "{keeper:?}: {found:?}");
                assert!(
                    !found.iter().any(|name| name.ends_with(" key") || name.starts_with("cipher's")),
                    "{keeper:?}: {found:?}"
                );
            }
            // The second root secret and what is left of the page, and nothing of the victim.
            "shredded" => {
                assert!(has("root secret 2") && has("a sibling of the victim"), "{keeper:?}: {found:?}");
                let dead: Vec<_> = found.iter().filter(|name| needles.dies_in_the_shred(name)).collect();
                assert!(dead.is_empty(), "{keeper:?}: {dead:?}");
            }
            "dropped" | "opened and dropped" | "refused" => is(&[]),
            // The control: one forgotten copy is found.
            "kept" if keeper == Keeper::PassphraseKeyFile => is(&["rotating part of secret 2"]),
            "kept" => is(&["root secret 2"]),
            other => panic!("{other}"),
        }
        searches += 1;
        child.go_on();
    }
    assert_eq!(searches, 6, "{keeper:?}");
    println!("{keeper:?}: {searches} searches");
}

#[test]
fn secrets_of_a_key_file_leave_memory() {
    searched(Keeper::KeyFile);
}

#[test]
fn secrets_of_a_passphrase_and_a_key_file_leave_memory() {
    searched(Keeper::PassphraseKeyFile);
}

#[test]
fn secrets_that_stand_in_the_image_leave_memory() {
    searched(Keeper::Local);
}
