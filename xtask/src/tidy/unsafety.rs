//! Where unsafe code may stand: in the listed files, and nowhere else in the workspace.
//!
//! A library without a listed file forbids it in its own `lib.rs`, so that the compiler holds it.

use crate::tidy::Violation;
use crate::tidy::floors::LIBRARIES;
use crate::tidy::tree::Tree;

/// Memory maps of rolled segments; the page that the kernel wipes in a forked child, which is one call of advice; the power cut of a file
/// system, which is one ioctl; the map and the count of flushes of the program that measures the peers.
const LISTED: [&str; 5] = [
    "batpak-segment/src/fork.rs",
    "batpak-segment/src/map.rs",
    "xtask/peers/src/adapters/floor/frames.rs",
    "xtask/peers/src/flushes.rs",
    "xtask/torture/src/shutdown.rs",
];
/// Tests that count allocations, which takes an allocator of their own.
const LISTED_TESTS: [&str; 2] = ["batpak-format/tests/allocation.rs", "batpak-format/tests/meter.rs"];

/// No file but the listed ones says `unsafe`.
pub(super) fn listed_files_only(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in &tree.files {
        if LISTED.iter().chain(&LISTED_TESTS).any(|listed| *listed == file.path) {
            continue;
        }
        for token in file.tokens.iter().filter(|token| token.text == "unsafe") {
            let message = "the file is not listed for unsafe code";
            let rule = "unsafe-in-listed-files-only";
            violations.push(Violation::new(rule, &file.path, token.line, message));
        }
    }
    violations
}

/// Each library without a listed file says `#![forbid(unsafe_code)]`.
pub(super) fn other_libraries_forbid_it(tree: &Tree) -> Vec<Violation> {
    const FORBID: [&str; 7] = ["#", "!", "[", "forbid", "(", "unsafe_code", ")"];
    LIBRARIES
        .iter()
        .filter(|library| !LISTED.iter().any(|file| file.starts_with(*library)))
        .map(|library| format!("{library}/src/lib.rs"))
        .filter(|path| {
            let tokens = tree.file(path).map_or(&[][..], |file| &file.tokens);
            !tokens.windows(FORBID.len()).any(|window| window.iter().zip(FORBID).all(|(a, b)| a.text == b))
        })
        .map(|path| {
            let message = "#![forbid(unsafe_code)] is not here";
            Violation::new("other-libraries-forbid-unsafe", &path, 1, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    #[test]
    fn listed_files_only_finds_unsafe_code_elsewhere() {
        let tree = Tree::planted(&[
            ("batpak-segment/src/map.rs", "unsafe { map() }"),
            ("batpak-segment/tests/a.rs", "fn a() {\n unsafe { map() }\n}"),
            ("batpak-store/src/a.rs", "#![forbid(unsafe_code)] // unsafe\n"),
        ]);
        assert_eq!(places(&listed_files_only(&tree)), ["batpak-segment/tests/a.rs:2"]);
    }

    #[test]
    fn other_libraries_forbid_it_finds_one_that_does_not() {
        let forbids = "//! Docs.\n#![forbid(unsafe_code)]\n";
        let tree = Tree::planted(&[
            ("batpak-format/src/lib.rs", forbids),
            ("batpak-crypto/src/lib.rs", forbids),
            ("batpak-keyset/src/lib.rs", "#![deny(unsafe_code)]"),
            ("batpak-segment/src/lib.rs", ""),
            ("batpak-store/src/lib.rs", "// #![forbid(unsafe_code)]"),
            ("batpak-graph/src/lib.rs", forbids),
        ]);
        assert_eq!(
            places(&other_libraries_forbid_it(&tree)),
            ["batpak-keyset/src/lib.rs:1", "batpak-store/src/lib.rs:1"]
        );
    }
}
