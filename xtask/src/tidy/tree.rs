//! The tree that the rules look at: every text file of the work tree, read once.
//!
//! Build results, the repository's own folder and files that are not UTF-8 are left out.

use std::fs;
use std::io;
use std::path::Path;

use crate::tidy::shipped;
use crate::tidy::tokens::{self, Token};

const LEFT_OUT: [&str; 2] = [".git", "target"];

/// All files, sorted by path.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

/// One text file.
#[derive(Debug)]
pub(crate) struct File {
    /// From the root of the workspace, with `/` between names.
    pub(crate) path: String,
    pub(crate) text: String,
    /// All its tokens; empty when it is not Rust.
    pub(crate) tokens: Vec<Token>,
    /// Its tokens without test code; empty when only tests compile it.
    pub(crate) shipped: Vec<Token>,
}

impl File {
    fn new(path: String, text: String) -> (File, Vec<String>) {
        let mut file = File { path, text, tokens: Vec::new(), shipped: Vec::new() };
        let mut test_modules = Vec::new();
        if file.is_rust() {
            // A file that does not lex does not compile either, and then cargo says it better.
            file.tokens = tokens::tokens(&file.text).unwrap_or_default();
            let shipped = shipped::shipped(&file.tokens);
            file.shipped = shipped.tokens;
            let base = file.module_dir();
            test_modules = shipped.test_modules.iter().map(|name| format!("{base}/{name}")).collect();
        }
        (file, test_modules)
    }

    /// Whether the file is a Rust source.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the file is a Rust source of a crate's `src`.
    pub(crate) fn is_module(&self) -> bool {
        self.is_rust() && self.path.split('/').nth(1) == Some("src")
    }

    /// The folder of the crate it belongs to, or the file itself at the top level.
    pub(crate) fn package(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// The last part of its path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Where its child modules' files stand.
    fn module_dir(&self) -> &str {
        match self.path.rsplit_once('/') {
            Some((dir, "lib.rs" | "main.rs")) => dir,
            _ => self.path.trim_end_matches(".rs"),
        }
    }
}

impl Tree {
    /// Reads the tree under `root`.
    ///
    /// # Errors
    ///
    /// When a folder or a file cannot be read.
    pub(crate) fn read(root: &Path) -> io::Result<Tree> {
        let mut files = Vec::new();
        walk(root, "", &mut files)?;
        Ok(Tree::new(files))
    }

    fn new(mut sources: Vec<(String, String)>) -> Tree {
        sources.sort();
        let mut test_modules = Vec::new();
        let mut files = Vec::new();
        for (path, text) in sources {
            let (file, modules) = File::new(path, text);
            files.push(file);
            test_modules.extend(modules);
        }
        for file in &mut files {
            let is_test = test_modules.iter().any(|module| {
                file.path.strip_prefix(module.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            });
            if is_test {
                file.shipped.clear();
            }
        }
        Tree { files }
    }

    /// Returns the file at `path`.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Returns a tree of these files.
    #[cfg(test)]
    pub(crate) fn planted(files: &[(&str, &str)]) -> Tree {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Tree::new(files.iter().map(owned).collect())
    }
}

fn walk(dir: &Path, prefix: &str, files: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() && !LEFT_OUT.contains(&name.as_str()) {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file()
            && let Ok(text) = String::from_utf8(fs::read(entry.path())?)
        {
            files.push((path, text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_leaves_out_build_results_and_bytes_that_are_no_text() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["a/src", "target", ".git"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("a/src/lib.rs"), "fn a() {}").unwrap();
        fs::write(dir.path().join("target/b.rs"), "fn b() {}").unwrap();
        fs::write(dir.path().join(".git/c.rs"), "fn c() {}").unwrap();
        fs::write(dir.path().join("d.bin"), [0xff, 0xfe]).unwrap();
        let tree = Tree::read(dir.path()).unwrap();
        let paths: Vec<&str> = tree.files.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, ["a/src/lib.rs"]);
    }

    #[test]
    fn tree_knows_the_files_that_only_tests_compile() {
        let tree = Tree::planted(&[
            ("a/src/lib.rs", "#[cfg(test)] mod models; mod b;"),
            ("a/src/b.rs", "#[cfg(test)] mod tests;"),
            ("a/src/b/tests.rs", "use std::fs;"),
            ("a/src/models.rs", "mod one;"),
            ("a/src/models/one.rs", "use std::fs;"),
            ("a/src/tests.rs", "use std::fs;"),
        ]);
        let shipped: Vec<&str> =
            tree.files.iter().filter(|file| !file.shipped.is_empty()).map(|file| file.path.as_str()).collect();
        assert_eq!(shipped, ["a/src/lib.rs", "a/src/tests.rs"]);
    }
}
