//! The workspace's own tasks: `cargo xtask <command>`, one file a command.
//!
//! No task reaches the network by itself; what cargo fetches is what the lock file names.

mod api;
mod bench;
mod ci;
mod command;
mod crash;
mod fuzz;
mod graph_oracle;
mod graph_page;
mod licences;
mod loom;
mod matrix;
mod mutants;
mod peers;
mod property;
mod random;
mod release;
mod reliability;
mod residue;
mod shreds;
mod tidy;
mod torture;
mod workspace;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

/// What a task returns: nothing, or a sentence for the person who ran it.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const USAGE: &str = "\
usage: cargo xtask <command>

  tidy                      the rules that hold for the tree: floors, imports, files, names
  licences                  the licences of all dependencies against the list of accepted ones
  loom                      the models of fence, group sync and pipeline, each with its broken twin
  crash [--minutes N] [--long] [--seed CAMPAIGN] [--defects] | --seed RUN --replay
                            the store on a disk that loses, tears and reorders; and seeded defects
  matrix [--long]           every byte of every kind of file damaged, and what an open makes of it
  bench [--quick]           every bench of every library; with --quick in minutes
  peers [--goals] [--quick] [--rounds N] [--only CASE,..] [--adapters NAME,..] [--out FILE] | --from FILE | --check
                            the store and its peers side by side, interleaved, and PERFORMANCE.md from that;
                            --goals measures only what the goals need, --from FILE nothing; --check lints
  property [CASES]          the store against a plain list, over random operations; 5,000 cases unless told
  fuzz [--seconds N] [--target T]
                            the fuzz targets: the committed corpora, and N seconds of new inputs each
  fuzz --seed-corpora       writes the seeds of the corpora
  mutants [PATH...]         mutation testing of the modules that the promises rest on, or of these files
  ci [--tests-took SECONDS] all that a change must pass; with --tests-took the tests are not run
                            again, and the seconds they took just before count into their tier
  api [--bless]             the public items of each library against xtask/api/, or write them there
  graph-oracle [REPO] [--queries N]
                            the causal graph of imported git histories against git's own answers
  graph-page [--require]    a page of 20,000 events in headless Chromium: size, first paint, search,
                            screenshots; without Chromium it is skipped, or fails with --require
  residue                   the raw image of a file system after a shred, searched for what it destroyed;
                            takes root, else it is skipped, or fails with BATPAK_TORTURE=require
  reliability [TIER]... | --log FILE
                            runs the tiers of proof, or those named, and writes their counts into
                            RELIABILITY.md, or takes them from what `ci` printed
  shreds [COUNT]            so many shreds one by one (100,000), and 10,000 key scopes at once: figures
                            and bounds
  torture [--long] [--seed S] [--only TIER]
                            the store on the real kernel: kills, failing calls, power cuts, full disks,
                            threads; as root all of it, else what can be run
  release                   ci, and all that a release must pass";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[&str]) -> Outcome {
    match words {
        ["tidy"] => tidy::run(),
        ["licences"] => licences::run(),
        ["loom"] => loom::run(),
        ["crash", words @ ..] => crash::run(words),
        ["matrix"] => matrix::run(matrix::Effort::Ci),
        ["matrix", "--long"] => matrix::run(matrix::Effort::Long),
        ["peers", words @ ..] => peers::run(words),
        ["property"] => property::run(property::CASES_CI),
        ["property", cases] => property::run(cases),
        ["fuzz", words @ ..] => fuzz::dispatch(words),
        ["mutants", files @ ..] => mutants::run(files),
        ["ci"] => ci::run(&ci::Tests::Run),
        ["ci", "--tests-took", seconds] => {
            let took = Duration::from_secs(seconds.parse()?);
            ci::run(&ci::Tests::JustRun { took })
        }
        ["api"] => api::compare(),
        ["api", "--bless"] => api::bless(),
        ["bench"] => bench::run(bench::Effort::Whole),
        ["bench", "--quick"] => bench::run(bench::Effort::Quick),
        ["graph-oracle", words @ ..] => graph_oracle::run(words),
        ["graph-page"] => graph_page::run(graph_page::Absent::Skip),
        ["graph-page", "--require"] => graph_page::run(graph_page::Absent::Fail),
        ["reliability", "--log", log] => reliability::from_log(log),
        ["reliability", tiers @ ..] => reliability::run(tiers),
        ["torture", words @ ..] => torture::run(words),
        ["release"] => release::run(),
        ["residue"] => residue::run(),
        ["shreds"] => shreds::run(None),
        ["shreds", count] => shreds::run(Some(count)),
        _ => Err(USAGE.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dispatch_refuses_unknown_words_with_the_usage() {
        let failure = dispatch(&["tidy", "--quick"]).unwrap_err();
        assert_eq!(failure.to_string(), USAGE);
    }

    #[test]
    fn dispatch_refuses_seconds_that_are_no_number() {
        assert!(dispatch(&["ci", "--tests-took", "soon"]).is_err());
    }
}
