//! Each library as others get it: packaged, built alone, and used by a crate of nobody's
//! workspace that compiles and runs the examples of its front page.
//!
//! A consumer finds only the layers that stand below its library; one that needs another, or a
//! file that is not packaged, fails.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::command::{self, call, cargo};
use crate::tidy::{self, LIBRARIES};
use crate::workspace::{Package, Workspace};

/// The library that the README's examples use.
const README_OF: &str = "batpak-store";

/// Packages the libraries and compiles a consumer of each.
///
/// # Errors
///
/// When one cannot be packaged, does not build, has no example, or its example fails.
pub(super) fn compile_all(workspace: &Workspace) -> Outcome {
    let scratch = Scratch::fresh(workspace)?;
    scratch.package()?;
    for library in LIBRARIES {
        let package = workspace
            .packages
            .iter()
            .find(|package| package.name == library)
            .ok_or_else(|| format!("{library} is no package of the workspace"))?;
        scratch.consume(workspace, package)?;
    }
    Ok(())
}

/// The folder under the build results where all this happens.
struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    fn fresh(workspace: &Workspace) -> Outcome<Scratch> {
        let dir = workspace.target_directory.join("xtask-release");
        for part in ["packages", "consumers", "build/package"] {
            let part = dir.join(part);
            if part.exists() {
                fs::remove_dir_all(&part)?;
            }
            fs::create_dir_all(part)?;
        }
        Ok(Scratch { dir })
    }

    fn build(&self) -> PathBuf {
        self.dir.join("build")
    }

    fn packaged(&self, library: &str, version: &str) -> PathBuf {
        self.dir.join("packages").join(format!("{library}-{version}"))
    }

    /// Packages every library and unpacks what would be published.
    fn package(&self) -> Outcome {
        let mut command = cargo(["package", "--quiet", "--no-verify", "--allow-dirty"]);
        command.args(["--exclude-lockfile", "--target-dir"]);
        command.arg(self.build());
        for library in LIBRARIES {
            command.args(["--package", library]);
        }
        command::run(command)?;
        for entry in fs::read_dir(self.build().join("package"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|it| it == "crate") {
                // Packaged files all carry one old date, by which cargo would take them for what
                // it built in an earlier run; --touch gives them this one's.
                let mut tar = call("tar", ["--extract", "--touch", "--gzip", "--file"]);
                tar.arg(&path).arg("--directory");
                tar.arg(self.dir.join("packages"));
                command::run(tar)?;
            }
        }
        Ok(())
    }

    /// Builds the library and its front page's examples outside the workspace.
    fn consume(&self, workspace: &Workspace, package: &Package) -> Outcome {
        let Package { name, version, .. } = package;
        let page = self.front_page(workspace, name, version)?;
        if examples(&page) == 0 {
            return Err(format!("{name}: its front page has no example").into());
        }
        let dir = self.dir.join("consumers").join(name);
        fs::create_dir_all(dir.join("src"))?;
        fs::write(dir.join("src/front_page.md"), &page)?;
        fs::write(dir.join("src/lib.rs"), "#![doc = include_str!(\"front_page.md\")]\n")?;
        fs::write(dir.join("Cargo.toml"), self.manifest(package, &page))?;
        fs::copy(workspace.workspace_root.join("Cargo.lock"), dir.join("Cargo.lock"))?;
        println!("consumer: {name}, {} examples", examples(&page));
        let mut test = cargo(["test", "--quiet", "--doc", "--target-dir"]);
        test.arg(self.build()).current_dir(&dir);
        command::run(test)
    }

    fn front_page(&self, workspace: &Workspace, name: &str, version: &str) -> Outcome<String> {
        let packaged = self.packaged(name, version);
        let mut page = module_docs(&fs::read_to_string(packaged.join("src/lib.rs"))?);
        let mut readmes = vec![packaged.join("README.md")];
        if name == README_OF {
            readmes.push(workspace.workspace_root.join("README.md"));
        }
        for readme in readmes.iter().filter(|readme| readme.exists()) {
            page.push('\n');
            page.push_str(&fs::read_to_string(readme)?);
        }
        Ok(page)
    }

    /// Returns a manifest that knows the library, the layers below it, and what its examples name
    /// of the crates that its own tests use.
    fn manifest(&self, package: &Package, page: &str) -> String {
        let Package { name, version, .. } = package;
        let mut dev = String::new();
        let mut patch = String::new();
        for dependency in package.dependencies.iter().filter(|it| it.is_dev()) {
            if names(page, &dependency.name) {
                let features = dependency.features.join("\", \"");
                let _infallible = writeln!(
                    dev,
                    "{} = {{ version = \"{}\", default-features = {}, features = [\"{features}\"] }}",
                    dependency.name, dependency.req, dependency.uses_default_features,
                );
            }
        }
        let dev = dev.replace("[\"\"]", "[]");
        // Types of a layer below that are in the library's own signatures come from that layer.
        let mut layers = String::new();
        for layer in tidy::layers(name).into_iter().filter(|layer| names(page, layer)) {
            let _infallible = writeln!(layers, "{layer} = \"={version}\"");
        }
        for layer in tidy::layers(name).into_iter().chain([name.as_str()]) {
            let path = toml_text(&self.packaged(layer, version));
            let _infallible = writeln!(patch, "{layer} = {{ path = {path} }}");
        }
        format!(
            "[package]\nname = \"consumer\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [workspace]\n\n\
             [dependencies]\n{name} = \"={version}\"\n{layers}\n\
             [dev-dependencies]\n{dev}\n\
             [patch.crates-io]\n{patch}"
        )
    }
}

/// Tells whether the examples of a page name a crate.
fn names(page: &str, krate: &str) -> bool {
    page.contains(&format!("{}::", krate.replace('-', "_")))
}

fn toml_text(path: &Path) -> String {
    format!("'{}'", path.display())
}

/// Returns the text of a file's `//!` lines.
fn module_docs(source: &str) -> String {
    source
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect()
}

/// Counts the code blocks that rustdoc would compile.
fn examples(page: &str) -> usize {
    const RUST: [&str; 5] = ["", "rust", "no_run", "should_panic", "edition2024"];
    let mut inside = false;
    let mut count = 0;
    for fence in page.lines().filter_map(|line| line.trim().strip_prefix("```")) {
        if !inside && fence.split(',').all(|word| RUST.contains(&word.trim())) {
            count += 1;
        }
        inside = !inside;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_count_only_what_rustdoc_compiles() {
        let page = "```\na\n```\n```rust,no_run\nb\n```\n```text\nc\n```\n```rust,ignore\nd\n```\n";
        assert_eq!(examples(page), 2);
        assert_eq!(examples("no code"), 0);
    }

    #[test]
    fn module_docs_are_the_text_without_its_marks() {
        assert_eq!(
            module_docs("//! A noun.\n//!\n//! ```\n//!   a\n//! ```\nfn b() {}\n"),
            "A noun.\n\n```\n  a\n```\n"
        );
    }

    #[test]
    fn manifest_knows_the_layers_below_and_no_other() {
        let scratch = Scratch { dir: PathBuf::from("s") };
        let package = Package::planted("batpak-keyset", &["dev:tempfile", "dev:proptest"]);
        let manifest = scratch.manifest(&package, "let dir = tempfile::tempdir();");
        assert_eq!(
            manifest,
            "[package]\nname = \"consumer\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [workspace]\n\n\
             [dependencies]\nbatpak-keyset = \"=0.1.0\"\n\n\
             [dev-dependencies]\n\
             tempfile = { version = \"^0.1.0\", default-features = true, features = [] }\n\n\
             [patch.crates-io]\n\
             batpak-format = { path = 's/packages/batpak-format-0.1.0' }\n\
             batpak-crypto = { path = 's/packages/batpak-crypto-0.1.0' }\n\
             batpak-keyset = { path = 's/packages/batpak-keyset-0.1.0' }\n"
        );
        let manifest = scratch.manifest(&package, "use batpak_crypto::Tree;");
        assert!(
            manifest.contains("[dependencies]\nbatpak-keyset = \"=0.1.0\"\nbatpak-crypto = \"=0.1.0\"\n\n"),
            "{manifest}"
        );
    }
}
