//! Who may import whom: each crate's dependencies against the table of floors.
//!
//! The table is the whole truth: a crate that it does not name, or a dependency it does not give
//! that crate, is a violation.

use crate::tidy::Violation;
use crate::tidy::tree::Tree;
use crate::workspace::Package;

const RULE: &str = "floors";

/// One crate's row in the table.
struct Floor {
    name: &'static str,
    /// Crates of the workspace that it may build on.
    layers: &'static [&'static str],
    /// Crates of the workspace that its tests and examples may use besides.
    dev_layers: &'static [&'static str],
    /// Crates from elsewhere. Tests, examples and benches may use any.
    foreign: &'static [&'static str],
}

const FLOORS: [Floor; 10] = [
    Floor {
        name: "batpak-format",
        layers: &[],
        dev_layers: &[],
        foreign: &["blake3", "bytes", "crc32fast", "thiserror"],
    },
    Floor {
        name: "batpak-crypto",
        layers: &[],
        dev_layers: &[],
        foreign: &["argon2", "blake3", "chacha20poly1305", "getrandom", "ring", "thiserror", "zeroize"],
    },
    Floor {
        name: "batpak-keyset",
        layers: &["batpak-format", "batpak-crypto"],
        dev_layers: &[],
        // The check of a key file runs over key bytes, which must not reach batpak-format.
        foreign: &["blake3", "thiserror", "zeroize"],
    },
    Floor {
        name: "batpak-segment",
        layers: &["batpak-format"],
        dev_layers: &[],
        foreign: &["bytes", "libc", "memmap2", "thiserror"],
    },
    Floor {
        name: "batpak-store",
        layers: &["batpak-format", "batpak-crypto", "batpak-keyset", "batpak-segment"],
        dev_layers: &[],
        foreign: &[
            "blake3",
            "bytes",
            "hashbrown",
            "rmp-serde",
            "serde",
            "serde_json",
            "siphasher",
            "smallvec",
            "thiserror",
            "zeroize",
        ],
    },
    Floor { name: "batpak-graph", layers: &["batpak-format"], dev_layers: &["batpak-store"], foreign: &["thiserror"] },
    Floor {
        name: "batpak-cli",
        layers: &["batpak-store", "batpak-graph"],
        dev_layers: &[],
        foreign: &["base64", "clap", "indicatif", "jiff", "serde", "serde_json", "tempfile", "thiserror", "zeroize"],
    },
    Floor {
        name: "xtask",
        layers: &[],
        dev_layers: &[],
        foreign: &["base64", "proc-macro2", "public-api", "serde", "serde_json", "spdx"],
    },
    Floor { name: "xtask-crash", layers: &["batpak-store"], dev_layers: &[], foreign: &["blake3", "bytes"] },
    Floor {
        name: "xtask-torture",
        layers: &["batpak-store"],
        dev_layers: &[],
        foreign: &["bytes", "rustix", "tempfile"],
    },
];

/// The crates that are published for others to build on, lower floors first.
pub(crate) const LIBRARIES: [&str; 6] =
    ["batpak-format", "batpak-crypto", "batpak-keyset", "batpak-segment", "batpak-store", "batpak-graph"];

/// Each crate depends only on what its row of the table gives it.
pub(super) fn imports(tree: &Tree, packages: &[Package]) -> Vec<Violation> {
    packages
        .iter()
        .flat_map(|package| match floor(&package.name) {
            Some(floor) => excess(tree, floor, package),
            None => vec![Violation::new(RULE, &manifest(package), 1, "the crate has no row in the table of floors")],
        })
        .collect()
}

/// Returns the libraries that this one and its examples stand on, lower floors first.
pub(crate) fn layers(name: &str) -> Vec<&'static str> {
    let stands_on = |library: &str| {
        floor(name).is_some_and(|floor| {
            let mut above = floor.dev_layers.iter().filter_map(|dev| self::floor(dev));
            floor.layers.contains(&library)
                || floor.dev_layers.contains(&library)
                || above.any(|floor| floor.layers.contains(&library))
        })
    };
    LIBRARIES.into_iter().filter(|library| stands_on(library)).collect()
}

fn floor(name: &str) -> Option<&'static Floor> {
    FLOORS.iter().find(|floor| floor.name == name)
}

fn excess(tree: &Tree, floor: &Floor, package: &Package) -> Vec<Violation> {
    let mut violations = Vec::new();
    for dependency in &package.dependencies {
        let name = dependency.name.as_str();
        let is_ours = dependency.path.is_some();
        let allowed = match (is_ours, dependency.is_dev()) {
            (true, false) => floor.layers.contains(&name),
            // Itself: so its tests turn on its own features.
            (true, true) => name == package.name || floor.layers.contains(&name) || floor.dev_layers.contains(&name),
            (false, false) => floor.foreign.contains(&name),
            (false, true) => true,
        };
        if !allowed {
            let file = manifest(package);
            let line = line_of(tree, &file, name);
            let message = format!("{} may not depend on {name}", package.name);
            violations.push(Violation::new(RULE, &file, line, message));
        }
    }
    violations
}

fn manifest(package: &Package) -> String {
    // A package of the tasks' own stands in their folder.
    format!("{}/Cargo.toml", package.name.replacen("xtask-", "xtask/", 1))
}

/// Returns the first line of the manifest that gives the dependency, or 1.
fn line_of(tree: &Tree, manifest: &str, dependency: &str) -> usize {
    let gives = |line: &str| {
        line.trim_start_matches(['"', '\''])
            .strip_prefix(dependency)
            .is_some_and(|rest| rest.starts_with([' ', '.', '=', '"', '\'']))
    };
    tree.file(manifest).and_then(|file| file.text.lines().position(gives)).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    fn found(packages: &[Package]) -> Vec<String> {
        let tree = Tree::planted(&[(
            "batpak-format/Cargo.toml",
            "[dependencies]\nblake3.workspace = true\nbatpak-crypto = { path = \"x\" }\nlibc = \"1\"\n",
        )]);
        places(&imports(&tree, packages))
    }

    #[test]
    fn floors_find_an_import_of_a_layer_that_is_not_below() {
        let package = Package::planted("batpak-format", &["blake3", "path:batpak-crypto"]);
        assert_eq!(found(&[package]), ["batpak-format/Cargo.toml:3"]);
    }

    #[test]
    fn floors_find_a_foreign_crate_that_the_table_does_not_give() {
        let package = Package::planted("batpak-format", &["libc", "dev:libc"]);
        assert_eq!(found(&[package]), ["batpak-format/Cargo.toml:4"]);
    }

    #[test]
    fn floors_let_the_tests_of_graph_use_the_store_and_not_its_library() {
        let tests = Package::planted("batpak-graph", &["dev:path:batpak-store"]);
        assert_eq!(found(&[tests]), [""; 0]);
        let library = Package::planted("batpak-graph", &["path:batpak-store"]);
        assert_eq!(found(&[library]), ["batpak-graph/Cargo.toml:1"]);
    }

    #[test]
    fn floors_find_a_crate_without_a_row() {
        let package = Package::planted("batpak-common", &[]);
        assert_eq!(found(&[package]), ["batpak-common/Cargo.toml:1"]);
    }

    #[test]
    fn layers_are_those_of_the_examples_too() {
        assert_eq!(layers("batpak-segment"), ["batpak-format"]);
        assert_eq!(layers("batpak-graph"), &LIBRARIES[..5]);
    }

    #[test]
    fn floors_hold_a_row_for_each_library_and_layers_stand_below() {
        for (index, name) in LIBRARIES.iter().enumerate() {
            let floor = floor(name).unwrap();
            let below = &LIBRARIES[..index];
            assert!(floor.layers.iter().all(|layer| below.contains(layer)));
        }
    }
}
