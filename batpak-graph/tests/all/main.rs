//! What the causal graph promises, subject by subject.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod bad_input;
mod cuts;
mod drawings;
mod growth;
mod hostile_names;
mod laws;
mod scale;
mod world;
