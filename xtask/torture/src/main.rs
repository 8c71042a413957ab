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
mod tiers;
mod worker;

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use script::Script;
use tally::Tally;
use tiers::Asked;

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

fn run(words: &[&str]) -> Outcome {
    let asked = Asked::parse(words)?;
    println!("torture: seed {}, {}", asked.seed, if asked.is_long { "long" } else { "as in CI" });
    let is_required = env::var_os("BATPAK_TORTURE").is_some_and(|it| it == "require");
    ground::sweep()?;
    let folder = ground::folder()?;
    let mut tally = Tally::default();
    tiers::run(&mut tally, folder.path(), &asked)?;
    tally.end(is_required)
}
