//! A folder for one test, and the binary run in it.

use std::{
    ffi::OsStr,
    io::Write,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with room for a store, a key file and whatever a test needs.
pub struct Home {
    folder: TempDir,
}

/// How a run ended.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Home {
    /// Makes an empty folder.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("the temporary folder is writable") }
    }

    /// Makes a folder with a store `s` that is sealed per entity under the key file `k`.
    pub fn sealed() -> Self {
        let home = Self::new();
        home.ok(["init", "s", "--granularity", "entity", "--key-file", "k"]);
        home
    }

    /// Returns the path of a name in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).expect("the folder is writable");
    }

    /// Returns the command, standing in the folder, with an environment of its own.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_batpak"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        quiet_git(&mut command);
        command
    }

    /// Runs to the end.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        finished(&mut self.command(args))
    }

    /// Runs to the end with something to read.
    pub fn run_with_input<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>, input: &[u8]) -> Run {
        let mut child = self.piped(args);
        let mut stdin = child.stdin.take().expect("it is piped");
        // The command may have refused, and closed its end, before it read everything.
        let _ = stdin.write_all(input);
        drop(stdin);
        Run::from(child.wait_with_output().expect("it was started"))
    }

    /// Starts with all three streams piped.
    pub fn piped<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Child {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the binary was built")
    }

    /// Runs what must go well, and returns its output.
    #[track_caller]
    pub fn ok<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        let run = self.run(args);
        assert_eq!(run.code, 0, "{}", run.stderr);
        run.stdout
    }

    /// Runs what must go well with `--json`, and returns the objects.
    #[track_caller]
    pub fn json<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Vec<Value> {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).chain([OsStr::new("--json").to_owned()]);
        let text = self.ok(args);
        text.lines().map(|line| serde_json::from_str(line).expect("each line is an object")).collect()
    }

    /// As [`Home::json`], for what prints one object.
    #[track_caller]
    pub fn object<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Value {
        let mut objects = self.json(args);
        assert_eq!(objects.len(), 1);
        objects.remove(0)
    }

    /// Runs what must fail with this code and a message that holds `says`, twice: for people and with `--json`.
    #[track_caller]
    pub fn fails(&self, code: i32, says: &str, args: &[&str]) {
        let run = self.run(args);
        assert_eq!(run.code, code, "{}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains(says), "{says:?} is not in: {}", run.stderr);
        let run = self.run(args.iter().chain(&["--json"]));
        let error: Value = serde_json::from_str(run.stderr.lines().last().expect("there is a message"))
            .expect("the message is an object");
        assert_eq!((run.code, error["exit"].as_i64()), (code, Some(i64::from(code))));
        assert!(error["error"].as_str().is_some_and(|text| text.contains(says)), "{says:?} is not in: {error}");
    }
}

impl From<std::process::Output> for Run {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().expect("no signal ended it"),
            stdout: String::from_utf8(output.stdout).expect("the output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("the messages are UTF-8"),
        }
    }
}

/// Runs a command to its end.
pub fn finished(command: &mut Command) -> Run {
    Run::from(command.output().expect("the program can be started"))
}

/// Keeps git away from the configuration of the machine.
pub fn quiet_git(command: &mut Command) {
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_CEILING_DIRECTORIES", std::env::temp_dir())
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE");
}
