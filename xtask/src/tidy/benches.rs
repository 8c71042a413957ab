//! What every bench says: how much it works on, so that its figure is a rate.
//!
//! Benches with a `main` of their own print rates of their own and have no groups.

use crate::tidy::Violation;
use crate::tidy::floors::LIBRARIES;
use crate::tidy::tree::{File, Tree};

/// Each group of a bench sets its throughput.
pub(super) fn groups_set_throughput(tree: &Tree) -> Vec<Violation> {
    let count = |file: &File, name: &str| file.tokens.iter().filter(|token| token.text == name).count();
    let of_benches = tree.files.iter().filter(|file| is_bench(&file.path));
    let lacking = of_benches.filter(|file| count(file, "throughput") < count(file, "benchmark_group"));
    lacking.map(|file| Violation::new("groups-set-throughput", &file.path, 1, "a group sets no `throughput`")).collect()
}

/// Each library has a bench.
pub(super) fn libraries_have_benches(tree: &Tree) -> Vec<Violation> {
    let has = |library: &&&str| tree.files.iter().any(|file| file.package() == **library && is_bench(&file.path));
    let lacking = LIBRARIES.iter().filter(|library| !has(library));
    let manifest = |library: &&str| format!("{library}/Cargo.toml");
    lacking.map(|library| Violation::new("libraries-have-benches", &manifest(library), 1, "no bench is here")).collect()
}

fn is_bench(path: &str) -> bool {
    path.split('/').nth(1) == Some("benches")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    #[test]
    fn groups_set_throughput_finds_one_that_does_not() {
        let tree = Tree::planted(&[
            ("a/benches/a.rs", "c.benchmark_group(\"g\"); group.throughput(t); c.benchmark_group(\"h\");"),
            ("a/benches/b.rs", "c.benchmark_group(\"g\"); group.throughput(t);"),
            ("a/src/c.rs", "c.benchmark_group(\"g\");"),
        ]);
        assert_eq!(places(&groups_set_throughput(&tree)), ["a/benches/a.rs:1"]);
    }

    #[test]
    fn libraries_have_benches_finds_one_without() {
        let benches: Vec<String> = LIBRARIES.iter().skip(1).map(|library| format!("{library}/benches/a.rs")).collect();
        let files: Vec<(&str, &str)> = benches.iter().map(|path| (path.as_str(), "")).collect();
        assert_eq!(places(&libraries_have_benches(&Tree::planted(&files))), ["batpak-format/Cargo.toml:1"]);
    }
}
