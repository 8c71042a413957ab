//! The workspace as `cargo metadata` describes it.
//!
//! Only the fields that a task reads are kept; the packages are those of the workspace, or with
//! their dependencies, depending on the call.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::Outcome;
use crate::command;

/// The answer of `cargo metadata`.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_root: PathBuf,
    pub(crate) target_directory: PathBuf,
}

/// One package, of the workspace or of a registry.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    /// Where it comes from; absent for a package of the workspace.
    pub(crate) source: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) targets: Vec<Target>,
}

/// What cargo builds of a package: a library, a program, a test, a bench.
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
    /// Features that it is not built without.
    #[serde(default, rename = "required-features")]
    pub(crate) required_features: Vec<String>,
}

/// One line of a manifest's dependency tables.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) req: String,
    /// `dev` or `build`; absent for a normal dependency.
    pub(crate) kind: Option<String>,
    /// Present for a package of the workspace.
    pub(crate) path: Option<PathBuf>,
    pub(crate) features: Vec<String>,
    pub(crate) uses_default_features: bool,
}

impl Dependency {
    /// Whether only tests, examples and benches see it.
    pub(crate) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

/// Returns the workspace's own packages.
///
/// # Errors
///
/// When cargo cannot read the manifests.
pub(crate) fn members() -> Outcome<Workspace> {
    metadata(&["--no-deps"])
}

/// Returns the workspace's packages and all they depend on, over all features and platforms.
///
/// # Errors
///
/// When cargo cannot resolve the dependencies.
pub(crate) fn with_dependencies() -> Outcome<Workspace> {
    metadata(&["--all-features"])
}

fn metadata(words: &[&str]) -> Outcome<Workspace> {
    let words = ["metadata", "--quiet", "--format-version", "1"].into_iter().chain(words.iter().copied());
    Ok(serde_json::from_str(&command::output(command::cargo(words))?)?)
}

#[cfg(test)]
impl Package {
    /// Returns a package of the workspace with normal dependencies, `dev:` and `path:` before a
    /// name making them others.
    pub(crate) fn planted(name: &str, dependencies: &[&str]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|dependency| {
                let (kind, rest) = match dependency.strip_prefix("dev:") {
                    Some(rest) => (Some("dev".to_owned()), rest),
                    None => (None, *dependency),
                };
                let path = rest.strip_prefix("path:").map(PathBuf::from);
                Dependency {
                    name: rest.strip_prefix("path:").unwrap_or(rest).to_owned(),
                    req: "^0.1.0".to_owned(),
                    kind,
                    path,
                    features: Vec::new(),
                    uses_default_features: true,
                }
            })
            .collect();
        Package {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            license: Some("MIT".to_owned()),
            source: None,
            dependencies,
            features: BTreeMap::new(),
            targets: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_the_packages_of_this_workspace() {
        let workspace = members().unwrap();
        assert!(workspace.packages.iter().any(|it| it.name == "xtask"));
        assert!(workspace.packages.iter().all(|it| it.source.is_none()));
    }
}
