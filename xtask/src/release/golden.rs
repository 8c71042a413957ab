//! Golden files are never edited: a new version of a format adds some, and the old ones stay.

use std::path::Path;

use crate::Outcome;
use crate::command::{self, call};
use crate::workspace::Workspace;

/// Golden files stand in folders of this name.
const FOLDERS: &str = ":(glob)**/golden/**";

/// Checks that no golden file of the last tag was changed or removed since.
///
/// # Errors
///
/// When one was, or the tree has none at all.
pub(super) fn unchanged(workspace: &Workspace) -> Outcome {
    let root = &workspace.workspace_root;
    let found = git(root, ["ls-files", "--cached", "--others", "--exclude-standard", "--", FOLDERS])?;
    if found.is_empty() {
        return Err("golden files: none found".into());
    }
    let tags = git(root, ["tag", "--list", "--sort=creatordate", "--merged"])?;
    let Some(tag) = tags.lines().last() else {
        println!("golden files: no tag yet, nothing to compare with");
        return Ok(());
    };
    let names = git(root, ["diff", "--name-status", "--no-renames", tag, "--", FOLDERS])?;
    let changed = changed(&names);
    if changed.is_empty() {
        println!("golden files: unchanged since {tag}");
        Ok(())
    } else {
        Err(format!("golden files changed since {tag}: {}", changed.join(", ")).into())
    }
}

fn git<'a>(root: &Path, words: impl IntoIterator<Item = &'a str>) -> Outcome<String> {
    let mut git = call("git", words);
    git.current_dir(root);
    command::output(git)
}

/// Returns the files that are not new, out of the lines of `git diff --name-status`.
fn changed(names: &str) -> Vec<&str> {
    names
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter(|(status, _)| *status != "A")
        .map(|(_, file)| file)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_spares_new_files_only() {
        assert_eq!(
            changed("A\tx/golden/2.bin\nM\tx/golden/1.bin\nD\tx/golden/0.bin\n"),
            ["x/golden/1.bin", "x/golden/0.bin"]
        );
    }
}
