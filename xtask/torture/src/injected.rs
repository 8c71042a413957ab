//! Kills and errors at single calls of a script, made by strace.
//!
//! Invariant: after a kill all that the operating system had is there; after an error what failed says so, nothing is
//! acknowledged that is lost, and the store opens again without the error.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::breakage::Breakage;
use crate::child::{End, Worker};
use crate::control::caught_after;
use crate::kills::begin_again;
use crate::model::{Failures, Model, Survives};
use crate::oracle::check;
use crate::script::Script;
use crate::sites::{Call, listed};
use crate::tally::Counted;
use crate::{Outcome, crew, evidence};

const OPERATIONS: u32 = 200;
/// Of the calls in order, unless all are asked for.
const EVERY: usize = 5;
/// Calls at which a control is tried.
const CONTROL_CALLS: usize = 40;

/// What strace does at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The call is not made, and fails; this once, or from now on.
    Error {
        name: &'static str,
        for_good: bool,
    },
    Kill,
}

const ERRORS: [Fault; 5] = [
    Fault::Error { name: "EIO", for_good: false },
    Fault::Error { name: "ENOSPC", for_good: false },
    Fault::Error { name: "EINTR", for_good: false },
    Fault::Error { name: "EIO", for_good: true },
    Fault::Error { name: "ENOSPC", for_good: true },
];

impl Fault {
    fn options(self, call: &Call) -> Vec<String> {
        let Call { name, number, .. } = call;
        let what = match self {
            Fault::Error { name: error, for_good: false } => format!("error={error}:when={number}"),
            Fault::Error { name: error, for_good: true } => format!("error={error}:when={number}+"),
            Fault::Kill => format!("signal=KILL:when={number}"),
        };
        let trace = format!("trace={name}");
        let inject = format!("inject={name}:{what}");
        let words = ["-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        // Only the one call is stopped at, so that the others run at their speed; strace then makes no signals.
        let quick = (self != Fault::Kill).then_some("--seccomp-bpf");
        quick.into_iter().chain(words).map(str::to_owned).collect()
    }

    fn shown(self) -> String {
        match self {
            Fault::Error { name, for_good: false } => name.to_owned(),
            Fault::Error { name, for_good: true } => format!("{name} for good"),
            Fault::Kill => "KILL".to_owned(),
        }
    }
}

fn script(seed: u64) -> Script {
    Script { seed, round: 0, threads: 1, operations: OPERATIONS, deferred: false, patient: false }
}

/// Kills a worker at calls of the script: at each distinct site and every fifth call, or at every call.
///
/// # Errors
///
/// At the first violation.
pub(crate) fn kills(ground: &Path, seed: u64, is_long: bool) -> Outcome<Counted> {
    let calls = listed(&ground.join("listed"), script(seed))?;
    let writes: Vec<&Call> = calls.iter().filter(|call| call.is_write()).collect();
    let chosen: Vec<(&Call, Fault)> = chosen(&writes, is_long).map(|(_, call)| (call, Fault::Kill)).collect();
    counted(ground, seed, &chosen, Breakage::Early, writes.len())
}

/// Lets calls of the script fail: each distinct site in every way, and every fifth call in one way; or every call in every way.
///
/// # Errors
///
/// At the first violation.
pub(crate) fn errors(ground: &Path, seed: u64, is_long: bool) -> Outcome<Counted> {
    let calls = listed(&ground.join("listed"), script(seed))?;
    let calls: Vec<&Call> = calls.iter().collect();
    let mut cases = Vec::new();
    for (at, call) in chosen(&calls, is_long) {
        if is_long || call.is_distinct {
            cases.extend(ERRORS.map(|fault| (call, fault)));
        } else {
            cases.push((call, ERRORS[at / EVERY % ERRORS.len()]));
        }
    }
    counted(ground, seed, &cases, Breakage::Swallow, calls.len())
}

fn chosen<'a>(calls: &'a [&'a Call], is_long: bool) -> impl Iterator<Item = (usize, &'a Call)> {
    let calls = calls.iter().enumerate().map(|(at, call)| (at, *call));
    calls.filter(move |(at, call)| is_long || call.is_distinct || at % EVERY == 0)
}

fn counted(ground: &Path, seed: u64, cases: &[(&Call, Fault)], breakage: Breakage, calls: usize) -> Outcome<Counted> {
    let total = cases.len() as u64;
    let count = crew::run(total, u64::MAX, |number| {
        let (call, fault) = cases[usize::try_from(number)?];
        let place = ground.join(format!("injected-{number}"));
        one(&place, seed, call, fault, Breakage::None).map(u64::from).map_err(|why| {
            let violation = format!("seed {seed}, {} at {call:?}: {why}", fault.shown());
            evidence::report(&place, Breakage::None, &violation).into()
        })
    })?;
    let is_append = |call: &Call| call.name == "pwrite64" && call.site.contains(".seg in append");
    let control: Vec<_> = cases.iter().filter(|(call, _)| is_append(call)).take(CONTROL_CALLS).collect();
    let caught_after = caught_after(ground, breakage, control.len() as u64, |run| {
        let place = ground.join(format!("control-{run}"));
        let (call, fault) = control[run as usize - 1];
        let is_caught = one(&place, seed, call, *fault, breakage).is_err();
        evidence::discard(&place);
        is_caught
    })?;
    let sites: BTreeSet<&str> = cases.iter().map(|(call, _)| call.site.as_str()).collect();
    let note = format!("{} sites, {calls} calls, {total} runs", sites.len());
    Ok(Counted { count, note, caught_after })
}

/// Whether the fault was met.
fn one(place: &Path, seed: u64, call: &Call, fault: Fault, breakage: Breakage) -> Outcome<bool> {
    fs::create_dir_all(place)?;
    let script = script(seed);
    let End { lines, was_killed, .. } = Worker::traced(place, script, breakage, &fault.options(call))?.end()?;
    evidence::note(place, &lines, lines.len())?;
    let failures = if fault == Fault::Kill { Failures::None } else { Failures::Expected };
    let mut model = Model::new(Survives::Buffered, failures);
    model.hear(script, &lines)?;
    if !check(place, &mut model)?.is_store {
        begin_again(place)?;
    }
    evidence::discard(place);
    Ok(fault != Fault::Kill || was_killed)
}
