//! Words that have no right use in the project's sources and pages.
//!
//! This file holds the lists and is the one that is not searched for them.

use crate::tidy::Violation;
use crate::tidy::tree::{File, Tree};

const HERE: &str = "xtask/src/tidy/words.rs";

/// Parts of names, found anywhere; they are older words for what has another name here.
const NAMES: [&str; 6] = ["keyscope", "Keyscope", "KEYSCOPE", "needs_fence", "StoreFs", "encrypt_payload"];

/// Whole words, alone or as a part of a name that `_` or a capital sets apart.
const WORDS: [&str; 1] = ["lane"];

/// Marks of work that is not done, as whole words.
const UNFINISHED: [&str; 2] = ["TODO", "FIXME"];

/// Beginnings of paths that exist on one person's machine only.
const MACHINE: [&str; 5] = ["/home/", "/root/", "/Users/", "/work/", "C:\\Users\\"];

/// Kinds of files that people write; data that tests hold is free.
const ENDINGS: [&str; 6] = [".rs", ".md", ".toml", ".sh", ".yml", ".ci/run"];

/// No line holds a name from the list.
pub(super) fn banned_names(tree: &Tree) -> Vec<Violation> {
    let find = |line: &str| NAMES.into_iter().find(|name| line.contains(name));
    search(tree, "banned-names", find)
}

/// No line holds a word from the list.
pub(super) fn banned_words(tree: &Tree) -> Vec<Violation> {
    let find = |line: &str| {
        let words = words(line);
        WORDS.into_iter().find(|word| words.iter().any(|it| it == word))
    };
    search(tree, "banned-words", find)
}

/// No line speaks of work that is not done.
pub(super) fn unfinished_work(tree: &Tree) -> Vec<Violation> {
    let find = |line: &str| {
        let mut names = line.split(|it: char| !it.is_alphanumeric() && it != '_');
        names.find_map(|name| UNFINISHED.into_iter().find(|mark| *mark == name))
    };
    search(tree, "unfinished-work", find)
}

/// No line holds a path of one machine.
pub(super) fn machine_paths(tree: &Tree) -> Vec<Violation> {
    let stands_alone = |line: &str, at: usize| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|it| it.is_alphanumeric() || "._-~}>)".contains(it))
    };
    let find = |line: &str| {
        MACHINE.into_iter().find(|beginning| line.match_indices(beginning).any(|(at, _)| stands_alone(line, at)))
    };
    search(tree, "machine-paths", find)
}

fn search(tree: &Tree, rule: &'static str, find: impl Fn(&str) -> Option<&'static str>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.files.iter().filter(|file| is_written(file)) {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(word) = find(line) {
                let message = format!("`{word}` has no right use here");
                violations.push(Violation::new(rule, &file.path, index + 1, message));
            }
        }
    }
    violations
}

fn is_written(file: &File) -> bool {
    file.path != HERE && ENDINGS.iter().any(|ending| file.path.ends_with(ending))
}

/// Returns the words of a line in lower case, names taken apart.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in line.chars() {
        if !letter.is_alphabetic() || (letter.is_uppercase() && before.is_lowercase()) {
            words.push(String::new());
        }
        if letter.is_alphabetic()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    #[test]
    fn banned_names_finds_them_inside_identifiers_and_spares_their_heirs() {
        let tree = Tree::planted(&[
            ("a/src/a.rs", "let key_scope: KeyScope;\nlet keyscope_id;\nlet a: StoreFs;"),
            ("README.md", "the keyscope"),
            ("a/tests/golden/a.txt", "keyscope"),
            (HERE, "keyscope"),
        ]);
        assert_eq!(places(&banned_names(&tree)), ["README.md:1", "a/src/a.rs:2", "a/src/a.rs:3"]);
    }

    #[test]
    fn banned_words_finds_whole_words_only() {
        let tree = Tree::planted(&[("a/src/a.rs", "plane planet lanes\na lane.\nlane_id\nLaneId\nLANE\nmy_lane")]);
        assert_eq!(places(&banned_words(&tree)), [2, 3, 4, 5, 6].map(|line| format!("a/src/a.rs:{line}")));
    }

    #[test]
    fn unfinished_work_finds_its_marks() {
        let tree = Tree::planted(&[("a/src/a.rs", "// TODO: later\nlet TODOS = 1;"), (".ci/run", "# FIXME")]);
        assert_eq!(places(&unfinished_work(&tree)), [".ci/run:1", "a/src/a.rs:1"]);
    }

    #[test]
    fn machine_paths_finds_absolute_ones_only() {
        let tree = Tree::planted(&[("README.md", "cd /home/me\n`/work/main`\na/work/b\n~/work/b\n/var/lib/batpak")]);
        assert_eq!(places(&machine_paths(&tree)), ["README.md:1", "README.md:2"]);
    }
}
