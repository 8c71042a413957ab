//! What the libraries may name of the standard library.
//!
//! Files, threads, locks and atomics are each reached through one module, so that a test can put
//! another disk or another scheduler in its place. Test code is free.

use crate::tidy::Violation;
use crate::tidy::floors::LIBRARIES;
use crate::tidy::path::{self, Path};
use crate::tidy::tree::{File, Tree};

const DISK: &str = "batpak-segment/src/disk.rs";
const SYNC: &str = "batpak-store/src/sync.rs";
/// What stands behind the disks, and the names each may take besides [`SHARED`].
const DISKS: [(&str, &[&str]); 2] = [
    ("batpak-segment/src/memory.rs", &["Mutex", "MutexGuard", "PoisonError"]),
    ("batpak-segment/src/growth.rs", &["atomic"]),
];

/// Names of `std::sync` that every library may use: they share, and never wait.
const SHARED: [&str; 3] = ["Arc", "OnceLock", "Weak"];

/// Libraries of values only.
const PURE: [&str; 4] = ["batpak-format", "batpak-crypto", "batpak-keyset", "batpak-graph"];
const OUTSIDE: [&str; 6] = ["env", "io", "net", "os", "path", "process"];

const ROOTS: [&str; 3] = ["alloc", "core", "std"];

/// Of the libraries, only the disk module names `std::fs`, under whatever name.
pub(super) fn files_in_disk_only(tree: &Tree) -> Vec<Violation> {
    let names_files = |path: &Path| is_whole_std(path) || has_segment(path, "fs");
    violations(tree, "files-in-disk-only", &LIBRARIES, |file, path| {
        (file.path != DISK && names_files(path)).then(|| format!("only {DISK} may name it"))
    })
}

/// Of the libraries, only the shim names threads, locks and atomics; sharing is free.
pub(super) fn locks_in_sync_only(tree: &Tree) -> Vec<Violation> {
    violations(tree, "locks-in-sync-only", &LIBRARIES, |file, path| {
        let allowed = match path.segments.get(2).map(String::as_str) {
            Some(name) => {
                SHARED.contains(&name) || DISKS.iter().any(|(path, names)| file.path == *path && names.contains(&name))
            }
            None => false,
        };
        let names_locks = is_whole_std(path)
            || path.begins(&["loom"]) && path.segments.len() > 1
            || has_segment(path, "thread") && path.segments.len() > 1
            || is_std(path, "sync") && !allowed;
        (file.path != SYNC && names_locks).then(|| format!("only {SYNC} may name it"))
    })
}

/// The libraries of values name nothing that reaches out of the process.
pub(super) fn pure_crates_reach_nothing(tree: &Tree) -> Vec<Violation> {
    violations(tree, "pure-crates-reach-nothing", &PURE, |file, path| {
        OUTSIDE.iter().any(|name| is_std(path, name)).then(|| format!("{} does no I/O", file.package()))
    })
}

fn violations(
    tree: &Tree,
    rule: &'static str,
    packages: &[&str],
    refuse: impl Fn(&File, &Path) -> Option<String>,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in &tree.files {
        if !file.is_module() || !packages.contains(&file.package()) {
            continue;
        }
        for path in path::paths(&file.shipped) {
            if let Some(reason) = refuse(file, &path) {
                let message = format!("{}: {reason}", path.shown());
                violations.push(Violation::new(rule, &file.path, path.line, message));
            }
        }
    }
    violations
}

/// Whether the path is the standard library as a whole, under which anything may be named.
fn is_whole_std(path: &Path) -> bool {
    path.segments == ["std"] || path.segments == ["std", "*"]
}

fn is_std(path: &Path, module: &str) -> bool {
    ROOTS.iter().any(|root| path.begins(&[root, module]))
}

fn has_segment(path: &Path, segment: &str) -> bool {
    ROOTS.iter().any(|root| path.begins(&[root])) && path.segments.iter().any(|it| it == segment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    #[test]
    fn files_in_disk_only_finds_every_way_to_name_them() {
        let tree = Tree::planted(&[
            (
                "batpak-store/src/a.rs",
                "use std::fs;\nuse std::{io, fs::File};\nfn f() { std::fs::read(p) }\nuse std::*;\n\
                 use std::os::unix::fs::FileExt;",
            ),
            ("batpak-segment/src/disk.rs", "use std::fs;"),
            ("batpak-store/tests/a.rs", "use std::fs;"),
            ("batpak-cli/src/main.rs", "use std::fs;"),
            ("batpak-store/src/b.rs", "#[cfg(test)]\nmod tests { use std::fs; }"),
        ]);
        assert_eq!(
            places(&files_in_disk_only(&tree)),
            [1, 2, 3, 4, 5].map(|line| format!("batpak-store/src/a.rs:{line}"))
        );
    }

    #[test]
    fn locks_in_sync_only_finds_threads_locks_and_atomics() {
        let tree = Tree::planted(&[
            (
                "batpak-keyset/src/a.rs",
                "use std::sync::{Arc,\nMutex};\nuse std::thread;\nuse core::sync::atomic::AtomicU64;\n\
                 use std::sync;\nuse loom::sync::Mutex;\nuse std::sync::OnceLock;",
            ),
            ("batpak-segment/src/memory.rs", "use std::sync::{Mutex, MutexGuard};\nuse std::sync::RwLock;"),
            ("batpak-segment/src/growth.rs", "use std::sync::atomic::AtomicU64;\nuse std::sync::Mutex;"),
            ("batpak-store/src/sync.rs", "use std::sync::*; use std::thread;"),
        ]);
        assert_eq!(
            places(&locks_in_sync_only(&tree)),
            [
                "batpak-keyset/src/a.rs:2",
                "batpak-keyset/src/a.rs:3",
                "batpak-keyset/src/a.rs:4",
                "batpak-keyset/src/a.rs:5",
                "batpak-keyset/src/a.rs:6",
                "batpak-segment/src/growth.rs:2",
                "batpak-segment/src/memory.rs:2",
            ]
        );
    }

    #[test]
    fn pure_crates_reach_nothing_finds_paths_and_io() {
        let tree = Tree::planted(&[
            ("batpak-crypto/src/a.rs", "use std::path::Path;\nuse std::fmt;\nfn f() -> std::io::Error {}"),
            ("batpak-segment/src/a.rs", "use std::path::Path;"),
        ]);
        assert_eq!(places(&pure_crates_reach_nothing(&tree)), ["batpak-crypto/src/a.rs:1", "batpak-crypto/src/a.rs:3"]);
    }
}
