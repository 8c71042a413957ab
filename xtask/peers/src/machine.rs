//! What the machine does without any log: the hashes of an event, opening a sealed payload, a write and a flush.
//!
//! Invariant: the data are as large and as incompressible as those of the workloads, and as warm.

use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use crate::Outcome;
use crate::adapters::{Aead, RingAead, Seal};
use crate::events::Events;
use crate::report::{Latencies, Report};
use crate::request::Request;

/// Bytes of this repository's statement of an event without causes and tags, names of 13 bytes: its header from byte 72, and the hash of
/// its payload.
const STATEMENT: usize = 90;
/// Bytes of a placed digest.
const PLACED: usize = 56;

/// Measures the four hashes that this repository's format asks for of each event: payload, statement, and the link of the chain, which is
/// keyed by the link before.
///
/// # Errors
///
/// Never.
pub(crate) fn hash(request: &Request) -> Outcome<Report> {
    let events = Events::new(request);
    let (mut chain, mut statement, mut placed) = ([0; 32], [0; STATEMENT], [0; PLACED]);
    let begun = Instant::now();
    for n in 0..request.events {
        let payload = blake3::hash(events.item(n).1);
        statement[STATEMENT - 32..].copy_from_slice(payload.as_bytes());
        placed[..32].copy_from_slice(blake3::hash(&statement).as_bytes());
        chain = *blake3::keyed_hash(&chain, &placed).as_bytes();
    }
    let took = begun.elapsed();
    black_box(chain);
    let mut report = Report::default();
    report.rate(request.events, took);
    Ok(report)
}

/// Measures opening a sealed payload by `ring` under HChaCha20's subkey, the copy out of the log included.
///
/// # Errors
///
/// When a payload does not open.
pub(crate) fn aead(request: &Request) -> Outcome<Report> {
    let sealing: Box<dyn Seal> = match request.adapter.as_str() {
        "chacha" => Aead::Portable.sealing(),
        _ => Box::new(RingAead),
    };
    let events = Events::new(request);
    let (key, nonce, data) = ([7; 32], [9; 24], [0; 8]);
    let mut sealed = events.item(0).1.to_vec();
    let tag = sealing.seal(&key, &nonce, &data, &mut sealed)?;
    sealed.extend_from_slice(&tag);
    let mut opened = Vec::with_capacity(sealed.len());
    let begun = Instant::now();
    for _ in 0..request.events {
        opened.clear();
        opened.extend_from_slice(&sealed);
        sealing.open(&key, &nonce, &data, &mut opened)?;
        black_box(&opened);
    }
    let took = begun.elapsed();
    let mut report = Report::default();
    report.rate(request.events, took);
    Ok(report)
}

/// Measures a write and its flush: the adapter's name says over what.
///
/// # Errors
///
/// When the disk fails, or the name is not known.
pub(crate) fn disk(request: &Request) -> Outcome<Report> {
    fs::create_dir_all(&request.dir)?;
    let file = File::options().create(true).write(true).truncate(true).open(request.dir.join("file"))?;
    match request.adapter.as_str() {
        "growing" => {}
        "written" => {
            let zeros = vec![0; 1 << 20];
            for piece in 0..=(request.events * request.payload as u64) >> 20 {
                file.write_all_at(&zeros, piece << 20)?;
            }
        }
        unknown => return Err(format!("{unknown} is no way of writing").into()),
    }
    file.sync_all()?;
    let events = Events::new(request);
    let mut latencies = Latencies::new()?;
    let start = Instant::now();
    for n in 0..request.events {
        let begun = Instant::now();
        file.write_all_at(events.item(n).1, n * request.payload as u64)?;
        file.sync_data()?;
        latencies.add(begun.elapsed());
    }
    let took = start.elapsed();
    fs::remove_dir_all(&request.dir)?;
    let mut report = Report::default();
    report.rate(request.events, took);
    report.latencies(&latencies);
    Ok(report)
}
