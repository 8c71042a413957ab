//! Loom models: every interleaving, up to a bound, of threads that use a real store on a small disk.
//!
//! Invariant: what runs is what is shipped: `Store`, its fence, group sync and pipeline, with locks and atomics from the shim. Each model
//! has a twin with one seeded defect, which must be found, with the model's own message. `cargo xtask loom` runs them.

mod disk;
mod fence;
mod gate;
mod pages;
mod pipeline;
mod rig;
mod shred;
