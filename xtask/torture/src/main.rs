//! Torture on the real kernel: worker processes that are killed, and an oracle that holds them to what they acknowledged.
//!
//! Invariant: the store under the worker is the one that is shipped; the oracle opens it as any user does.

mod breakage;
mod child;
mod control;
mod crew;
mod crowd;
mod evidence;
mod full;
mod ground;
mod history;
mod injected;
mod kills;
mod line;
mod linear;
mod lost_sync;
mod model;
mod oracle;
mod power;
#[path = "../../src/random.rs"]
mod random;
mod script;
mod shutdown;
mod sites;
mod tally;
mod worker;

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use script::Script;
use tally::Tally;

/// What a task returns: nothing, or a sentence for the person who ran it.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["worker", place, rest @ ..] => work(place, rest),
        words => run(words),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("torture: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn work(place: &str, words: &[&str]) -> Outcome {
    let [breakage, seed, round, threads, operations, deferred, patient] = words else {
        return Err("a worker is started by torture itself".into());
    };
    let script = Script {
        seed: seed.parse()?,
        round: round.parse()?,
        threads: threads.parse()?,
        operations: operations.parse()?,
        deferred: deferred.parse()?,
        patient: patient.parse()?,
    };
    worker::run(Path::new(place), script, breakage.parse()?)
}

fn run(_words: &[&str]) -> Outcome {
    ground::sweep()?;
    let folder = ground::folder()?;
    let mut tally = Tally::default();
    let memory = ground::Mounted::memory(&folder.path().join("memory"), 2 << 30)?;
    let image = ground::Image::create(&memory.target().join("kills.img"), 1 << 30)?;
    let ext4 = ground::Mounted::ext4(image.device(), &folder.path().join("kills"))?;
    let only = _words.first().copied();
    let mut run = |name, tier: &dyn Fn() -> Outcome<tally::Counted>| {
        if only.is_none_or(|it| it == name) {
            tally.run(name, tier)
        }
    };
    run("kill at random", &|| kills::run(ext4.target(), 1, 20));
    run("power cut", &|| power::run(memory.target(), 1, 100));
    run("sync that fails", &|| lost_sync::run(folder.path(), 1, 10));
    run("disk full and freed", &|| full::run(folder.path(), 1, 20));
    run("eight threads", &|| crowd::run(ext4.target(), 1, std::time::Duration::from_secs(5)));
    run("kill at a call", &|| injected::kills(ext4.target(), 1, false));
    run("error at a call", &|| injected::errors(ext4.target(), 1, false));
    ext4.end()?;
    tally.end(false)
}
