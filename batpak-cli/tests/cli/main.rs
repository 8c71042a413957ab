//! Drives the real binary: each verb's answers, exit codes and JSON, and what it does with bad input.

mod backup;
mod certificate;
mod demo;
mod git;
mod graph;
mod graph_oracle;
mod harness;
mod holds;
mod jsonl;
mod keys;
mod killed;
mod leakcheck;
mod output;
mod rules;
mod shred;
mod verbs;
