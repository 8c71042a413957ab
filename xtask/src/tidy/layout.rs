//! How files are laid out: their size, their names, their first line, and which must be there.

use crate::tidy::Violation;
use crate::tidy::tree::{File, Tree};

const LINES_MAX: usize = 500;
const README_LINES_MAX: usize = 250;
const README: &str = "README.md";
const README_AS_DOCS: &str = "#![doc = include_str!(\"../README.md\")]";
const FORMAT: &str = "batpak-format/FORMAT.md";

/// Names that say nothing of what is in the file.
const NO_NOUNS: [&str; 6] = ["common.rs", "helpers.rs", "mod.rs", "types.rs", "util.rs", "utils.rs"];

/// Folders at the top level in which things would gather that belong to a crate.
const NO_FOLDERS: [&str; 4] = ["common", "docs", "scripts", "tools"];

/// No Rust file is longer than 500 lines.
pub(super) fn files_are_short(tree: &Tree) -> Vec<Violation> {
    tree.files
        .iter()
        .filter(|file| file.is_rust())
        .filter_map(|file| too_long("files-are-short", file, LINES_MAX))
        .collect()
}

/// The README is there, and no README is longer than 250 lines.
pub(super) fn readmes_are_short(tree: &Tree) -> Vec<Violation> {
    const RULE: &str = "readmes-are-short";
    let absent = match tree.file(README) {
        Some(_) => None,
        None => Some(Violation::new(RULE, README, 1, "is not there")),
    };
    tree.files
        .iter()
        .filter(|file| file.name() == README)
        .filter_map(|file| too_long(RULE, file, README_LINES_MAX))
        .chain(absent)
        .collect()
}

fn too_long(rule: &'static str, file: &File, lines_max: usize) -> Option<Violation> {
    let lines = file.text.lines().count();
    (lines > lines_max).then(|| {
        let message = format!("{lines} lines, {lines_max} at most");
        Violation::new(rule, &file.path, lines_max + 1, message)
    })
}

/// The byte formats are specified beside their code.
pub(super) fn format_is_specified(tree: &Tree) -> Vec<Violation> {
    match tree.file(FORMAT) {
        Some(_) => Vec::new(),
        None => vec![Violation::new("format-is-specified", FORMAT, 1, "is not there")],
    }
}

/// Each module begins with `//!`, or the crate's with its README in that place.
pub(super) fn modules_have_docs(tree: &Tree) -> Vec<Violation> {
    let has_docs = |file: &File| {
        file.text.starts_with("//! ") || file.path.ends_with("/src/lib.rs") && file.text.starts_with(README_AS_DOCS)
    };
    tree.files
        .iter()
        .filter(|file| file.is_module() && !has_docs(file))
        .map(|file| {
            let message = "does not begin with `//!`";
            Violation::new("modules-have-docs", &file.path, 1, message)
        })
        .collect()
}

/// Each module is named for what is in it.
pub(super) fn names_are_nouns(tree: &Tree) -> Vec<Violation> {
    tree.files
        .iter()
        .filter(|file| file.is_module() && NO_NOUNS.contains(&file.name()))
        .map(|file| {
            let message = "the name does not say what is in the file";
            Violation::new("names-are-nouns", &file.path, 1, message)
        })
        .collect()
}

/// No folder at the top level gathers what belongs to a crate.
pub(super) fn folders_are_few(tree: &Tree) -> Vec<Violation> {
    tree.files
        .iter()
        .filter(|file| file.path.contains('/') && NO_FOLDERS.contains(&file.package()))
        .map(|file| {
            let message = "no such folder at the top level";
            Violation::new("folders-are-few", &file.path, 1, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    #[test]
    fn files_are_short_finds_line_501() {
        let tree = Tree::planted(&[
            ("a/tests/a.rs", "\n".repeat(500).as_str()),
            ("a/tests/b.rs", "\n".repeat(501).as_str()),
            ("a/notes.md", "\n".repeat(900).as_str()),
        ]);
        assert_eq!(places(&files_are_short(&tree)), ["a/tests/b.rs:501"]);
    }

    #[test]
    fn readmes_are_short_finds_line_251_and_absence() {
        let (short, long) = ("\n".repeat(250), "\n".repeat(251));
        let tree = Tree::planted(&[("README.md", short.as_str()), ("a/README.md", &long)]);
        assert_eq!(places(&readmes_are_short(&tree)), ["a/README.md:251"]);
        assert_eq!(places(&readmes_are_short(&Tree::planted(&[]))), ["README.md:1"]);
    }

    #[test]
    fn format_is_specified_finds_absence() {
        assert_eq!(places(&format_is_specified(&Tree::planted(&[]))), ["batpak-format/FORMAT.md:1"]);
        let tree = Tree::planted(&[("batpak-format/FORMAT.md", "# Format\n")]);
        assert_eq!(places(&format_is_specified(&tree)), [""; 0]);
    }

    #[test]
    fn modules_have_docs_finds_a_module_that_begins_otherwise() {
        let tree = Tree::planted(&[
            ("a/src/a.rs", "//! A noun.\n"),
            ("a/src/b.rs", "use c;\n//! Late.\n"),
            ("a/src/b/c.rs", README_AS_DOCS),
            ("a/src/lib.rs", README_AS_DOCS),
            ("a/tests/d.rs", ""),
        ]);
        assert_eq!(places(&modules_have_docs(&tree)), ["a/src/b.rs:1", "a/src/b/c.rs:1"]);
    }

    #[test]
    fn names_are_nouns_finds_names_that_say_nothing() {
        let tree = Tree::planted(&[
            ("a/src/b/mod.rs", ""),
            ("a/src/util.rs", ""),
            ("a/tests/common/mod.rs", ""),
            ("a/src/page.rs", ""),
        ]);
        assert_eq!(places(&names_are_nouns(&tree)), ["a/src/b/mod.rs:1", "a/src/util.rs:1"]);
    }

    #[test]
    fn folders_are_few_finds_a_folder_for_everything() {
        let tree = Tree::planted(&[("docs/a.md", ""), ("a/docs/a.md", ""), ("tools", "")]);
        assert_eq!(places(&folders_are_few(&tree)), ["docs/a.md:1"]);
    }
}
