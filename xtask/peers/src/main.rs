//! One measurement of one adapter: `xtask-peers REQUEST`, a request in JSON, prints one line of JSON.
//!
//! `cargo xtask peers` builds this program, calls it in turn for each adapter, and keeps the lines. Invariant: a process measures one
//! thing, so that nothing that an adapter leaves in memory is seen by the next one.

mod adapters;
mod append;
mod events;
mod fill;
mod flushes;
mod get;
mod grow;
mod log;
mod machine;
mod open;
mod replay;
mod report;
mod request;
mod shred;
mod usage;

use std::error::Error;
use std::process::ExitCode;

use request::{Request, Workload};

/// What a step returns: a value, or a sentence for the person who ran it.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let Some(words) = std::env::args().nth(1) else {
        eprintln!("usage: xtask-peers REQUEST, as `cargo xtask peers` calls it");
        return ExitCode::FAILURE;
    };
    match measure(&words) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("xtask-peers: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(words: &str) -> Outcome<String> {
    let request: Request = serde_json::from_str(words)?;
    let report = match request.workload {
        Workload::Append => append::measure(&request)?,
        Workload::Fill => fill::measure(&request)?,
        Workload::Grow => grow::measure(&request)?,
        Workload::Get => get::measure(&request)?,
        Workload::Replay => replay::whole(&request)?,
        Workload::Stream => replay::stream(&request)?,
        Workload::Verify => replay::verify(&request)?,
        Workload::Open => open::measure(&request)?,
        Workload::Shred => shred::measure(&request)?,
        Workload::Hash => machine::hash(&request)?,
        Workload::Aead => machine::aead(&request)?,
        Workload::Disk => machine::disk(&request)?,
    };
    Ok(serde_json::to_string(&report)?)
}
