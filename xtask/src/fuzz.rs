//! `cargo xtask fuzz`: the fuzz targets under the crates' `fuzz` folders: the committed corpora replayed, then so many seconds of new
//! inputs each.
//!
//! The targets are built by cargo itself with the compiler's coverage pass and linked with libFuzzer. An input that crashes, takes ten
//! seconds, or makes a target hold more memory than it allows itself fails the run; it is kept below `target/fuzz/findings` and named.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{self, call, cargo, output};
use crate::{Outcome, workspace};

/// Each crate's targets.
const TARGETS: [(&str, &[&str]); 4] = [
    ("batpak-format", &["footer", "frame", "record"]),
    ("batpak-segment", &["scan"]),
    ("batpak-keyset", &["extent", "image", "key_file"]),
    ("batpak-store", &["directory", "mutated", "operations"]),
];

/// The compiler's coverage pass, as libFuzzer reads it, and the checks of a debug build.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions=on -Coverflow-checks=on -Ccodegen-units=16";

/// An input may take so long.
const SECONDS_MAX: u32 = 10;
/// The largest new input, in bytes.
const INPUT_BYTES_MAX: u32 = 4096;
/// What a corpus may take in the tree.
const CORPUS_BYTES_MAX: u64 = 200 * 1024;

/// What every change has to pass: the corpora, and a little more.
pub(crate) const SECONDS_CI: u32 = 5;

/// Reads the words of the command line.
///
/// # Errors
///
/// When they are not understood, and as [`run`].
pub(crate) fn dispatch(words: &[&str]) -> Outcome {
    match words {
        [] => run(0, None),
        ["--seed-corpora"] => seed(),
        ["--seconds", seconds] => run(seconds.parse()?, None),
        ["--seconds", seconds, "--target", target] => run(seconds.parse()?, Some(target)),
        ["--target", target] => run(0, Some(target)),
        _ => Err("usage: cargo xtask fuzz [--seconds N] [--target T] | --seed-corpora".into()),
    }
}

/// Replays every corpus, or one target's, and fuzzes so many seconds each.
///
/// # Errors
///
/// When a target does not build, does not exist, or finds something.
pub(crate) fn run(seconds: u32, only: Option<&str>) -> Outcome {
    let host = host()?;
    let root = workspace::members()?.workspace_root;
    let built = target_dir(&root).join(&host).join("release");
    let mut done = 0;
    let mut found = Vec::new();
    for (package, targets) in TARGETS {
        let wanted: Vec<&str> =
            targets.iter().copied().filter(|target| only.is_none_or(|only| only == *target)).collect();
        if wanted.is_empty() {
            continue;
        }
        build(&root, package, &wanted, &host)?;
        for target in wanted {
            let corpus = root.join(package).join("fuzz/corpus").join(target);
            small_enough(&corpus)?;
            for seconds in [0, seconds] {
                if let Err(why) = start(&root, &built.join(target), &corpus, target, seconds) {
                    found.push(format!("{target}: {why}; see {}", findings(&root, target).display()));
                    break;
                }
            }
            done += 1;
        }
    }
    match (done, found.as_slice()) {
        (0, _) => Err("there is no such target".into()),
        (_, []) => {
            println!("fuzz: {done} targets, nothing found");
            Ok(())
        }
        _ => Err(found.join("\n").into()),
    }
}

/// Writes the seeds of every corpus.
fn seed() -> Outcome {
    let root = workspace::members()?.workspace_root;
    for (package, _) in TARGETS {
        let manifest = manifest(&root, package);
        let mut command = cargo(["run", "--quiet", "--release", "--bin", "seeds"]);
        command.arg("--manifest-path").arg(&manifest).arg("--").arg(manifest.with_file_name("corpus"));
        command.env("CARGO_TARGET_DIR", target_dir(&root));
        command::run(command)?;
    }
    Ok(())
}

fn build(root: &Path, package: &str, targets: &[&str], host: &str) -> Outcome {
    let mut command = cargo(["build", "--release", "--features", "fuzzing", "--target", host]);
    // The lock files pin what they name; a new dependency of a library is added to them by the build.
    // The program that writes the seeds is not linked with libFuzzer.
    for target in targets {
        command.args(["--bin", target]);
    }
    command.arg("--manifest-path").arg(manifest(root, package));
    command.env("CARGO_TARGET_DIR", target_dir(root)).env("RUSTFLAGS", FLAGS);
    command::run(command)
}

/// Runs one target over its corpus; with seconds, on new inputs too, which are kept outside of the tree.
fn start(root: &Path, program: &Path, corpus: &Path, target: &str, seconds: u32) -> Outcome {
    let findings = findings(root, target);
    let grown = target_dir(root).join("grown").join(target);
    fs::create_dir_all(&findings)?;
    fs::create_dir_all(&grown)?;
    let limit = if seconds == 0 { "-runs=0".to_owned() } else { format!("-max_total_time={seconds}") };
    let mut command = call(program, [limit.as_str()]);
    command.arg(format!("-timeout={SECONDS_MAX}")).arg(format!("-max_len={INPUT_BYTES_MAX}"));
    command.arg("-rss_limit_mb=1024").arg("-print_final_stats=1").arg("-verbosity=0");
    command.arg(format!("-artifact_prefix={}/", findings.display()));
    if seconds > 0 {
        command.arg(&grown);
    }
    carry_out_quietly(command.arg(corpus), target, seconds)
}

/// Shows what libFuzzer said only when it found something, and how many inputs it ran.
fn carry_out_quietly(command: &mut std::process::Command, target: &str, seconds: u32) -> Outcome {
    let said = command.output()?;
    let text = String::from_utf8_lossy(&said.stderr);
    if !said.status.success() {
        eprint!("{text}");
        return Err(format!("ended with {}", said.status).into());
    }
    match (executed(&text), seconds) {
        (None | Some(0), _) => Err("no input was run".into()),
        (Some(inputs), 0) => {
            println!("fuzz: {target}: {inputs} inputs of the corpus");
            Ok(())
        }
        (Some(inputs), seconds) => {
            println!("fuzz: {target}: {inputs} inputs in {seconds} seconds");
            Ok(())
        }
    }
}

/// How many inputs a target says it ran.
fn executed(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    line.trim().parse().ok()
}

fn small_enough(corpus: &Path) -> Outcome {
    let mut bytes = 0;
    for entry in fs::read_dir(corpus).map_err(|why| format!("{}: {why}", corpus.display()))? {
        bytes += entry?.metadata()?.len();
    }
    match bytes {
        0 => Err(format!("{} is empty", corpus.display()).into()),
        bytes if bytes > CORPUS_BYTES_MAX => Err(format!("{} has {bytes} bytes", corpus.display()).into()),
        _ => Ok(()),
    }
}

/// The target triple of this machine: with it named, build scripts are built without coverage.
fn host() -> Outcome<String> {
    let said = output(call("rustc", ["-vV"]))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc does not name its host")?.to_owned())
}

fn manifest(root: &Path, package: &str) -> PathBuf {
    root.join(package).join("fuzz/Cargo.toml")
}

fn target_dir(root: &Path) -> PathBuf {
    root.join("target/fuzz")
}

fn findings(root: &Path, target: &str) -> PathBuf {
    target_dir(root).join("findings").join(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executed_reads_the_number_of_inputs() {
        let said = "Done 3 runs\nstat::number_of_executed_units: 1207\nstat::peak_rss_mb: 40\n";
        assert_eq!(executed(said), Some(1207));
        assert_eq!(executed("no such line"), None);
    }

    #[test]
    fn small_enough_refuses_a_corpus_that_is_empty_or_large() {
        let dir = tempfile::tempdir().unwrap();
        assert!(small_enough(dir.path()).is_err());
        fs::write(dir.path().join("a"), [0; 10]).unwrap();
        assert!(small_enough(dir.path()).is_ok());
        fs::write(dir.path().join("b"), vec![0; 200 * 1024]).unwrap();
        assert!(small_enough(dir.path()).is_err());
    }

    #[test]
    fn dispatch_refuses_words_it_does_not_know() {
        assert!(dispatch(&["--seconds"]).is_err());
        assert!(dispatch(&["--seconds", "soon"]).is_err());
    }
}
