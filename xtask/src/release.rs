//! `cargo xtask release`: all that a release must pass. It changes nothing and publishes nothing.

mod consumer;
mod golden;

use std::fs;

use crate::Outcome;
use crate::workspace::{self, Workspace};
use crate::{api, ci, peers};

/// Runs `ci` and then the checks of a release.
///
/// # Errors
///
/// At the first check that fails.
pub(crate) fn run() -> Outcome {
    let workspace = workspace::members()?;
    versions(&workspace)?;
    changelog(&workspace)?;
    golden::unchanged(&workspace)?;
    ci::run(&ci::Tests::Run)?;
    api::compare()?;
    peers::check()?;
    consumer::compile_all(&workspace)
}

fn versions(workspace: &Workspace) -> Outcome {
    let faults = out_of_step(workspace);
    if faults.is_empty() {
        println!("versions: all {}", version(workspace));
        Ok(())
    } else {
        Err(faults.join("\n").into())
    }
}

fn version(workspace: &Workspace) -> &str {
    workspace.packages.first().map_or("", |package| &package.version)
}

/// Returns a sentence for each package, and each dependency on one, with another version than the
/// first package.
fn out_of_step(workspace: &Workspace) -> Vec<String> {
    let version = version(workspace);
    let required = format!("^{version}");
    let mut faults = Vec::new();
    for package in &workspace.packages {
        let name = &package.name;
        if package.version != version {
            faults.push(format!("{name} is {}, not {version}", package.version));
        }
        for dependency in package.dependencies.iter().filter(|it| it.path.is_some()) {
            let dev_without_version = dependency.is_dev() && dependency.req == "*";
            if dependency.req != required && !dev_without_version {
                let on = &dependency.name;
                let req = &dependency.req;
                faults.push(format!("{name} asks for {on} {req}, not {required}"));
            }
        }
    }
    faults
}

fn changelog(workspace: &Workspace) -> Outcome {
    let version = version(workspace);
    let text = fs::read_to_string(workspace.workspace_root.join("CHANGELOG.md"))?;
    match entry(&text, version) {
        Some(entry) if !entry.trim().is_empty() => {
            println!("changelog: {version} has an entry");
            Ok(())
        }
        Some(_) => Err(format!("CHANGELOG.md: the entry of {version} is empty").into()),
        None => Err(format!("CHANGELOG.md: no entry for {version}").into()),
    }
}

/// Returns what stands under the version's heading, `## [version]` and anything behind it.
fn entry<'a>(text: &'a str, version: &str) -> Option<&'a str> {
    let heading = format!("## [{version}]");
    let at = text.match_indices(&heading).map(|(at, _)| at).find(|at| *at == 0 || text[..*at].ends_with('\n'))?;
    let (_, rest) = text[at..].split_once('\n')?;
    Some(rest.split("\n## ").next().unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::workspace::Package;

    #[test]
    fn entry_is_the_text_under_its_own_heading() {
        let text = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2030-01-01\n\n- New.\n\n## [0.1.0]\n\n- Old.\n";
        assert_eq!(entry(text, "0.2.0"), Some("\n- New.\n"));
        assert_eq!(entry(text, "0.1.0"), Some("\n- Old.\n"));
        assert_eq!(entry(text, "0.3.0"), None);
    }

    #[test]
    fn out_of_step_names_the_package_and_the_dependency() {
        let mut late = Package::planted("late", &["path:first"]);
        late.version = "0.0.9".to_owned();
        late.dependencies[0].req = "^0.0.9".to_owned();
        let workspace = Workspace {
            packages: vec![Package::planted("first", &[]), late],
            workspace_root: PathBuf::new(),
            target_directory: PathBuf::new(),
        };
        assert_eq!(out_of_step(&workspace), ["late is 0.0.9, not 0.1.0", "late asks for first ^0.0.9, not ^0.1.0"]);
    }
}
