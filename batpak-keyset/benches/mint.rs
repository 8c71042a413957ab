//! Minting.
fn main() {}
