//! The floors: one file of frames, and nothing but the system calls that a log cannot do without.
//!
//! A frame is its body's length (4 bytes), the body's CRC-32 (4), and the body: the payload; sealed, a chain hash (32), the nonce (24), the
//! ciphertext, the tag (16) and the entity (8). Synced appends share a flush: the first who finds none under way makes it. Invariant: no
//! index, no head, no order beyond the file's; a sealed floor's key is flushed in a file of its own before its first ciphertext is written.

mod frames;
mod keys;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Condvar, Mutex, MutexGuard};

use super::sealing::{Aead, KEY, NONCE, Seal, TAG};
use crate::Outcome;
use crate::log::{EventLog, EventRef, Item, Options, Visit};
use crate::request::{Durability, Keys};
use frames::{HEAD, checked, walk};
use keys::KeyLog;

const HASH: usize = 32;
const ENTITY: usize = 8;
/// Bytes that the buffering floor gathers before it writes.
const BUFFER: usize = 64 << 10;

/// What a floor does beside writing and flushing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The file grows with each write.
    Growing,
    /// The file's blocks were written with zeros before.
    Written,
    /// The file grows; buffered appends are gathered.
    Buffer,
    /// The file grows; payloads are sealed, frames are chained.
    Sealed(Aead),
}

struct Tail {
    /// Where the next frame begins, and how much of the file is handed to the system.
    end: u64,
    written: u64,
    pending: Vec<u8>,
    chain: [u8; HASH],
    nonce: [u8; NONCE],
    keys: Option<KeyLog>,
}

struct Flush {
    below: u64,
    running: bool,
}

/// One floor.
pub(crate) struct Floor {
    file: File,
    durability: Durability,
    buffer: usize,
    sealing: Option<Box<dyn Seal>>,
    one_key: bool,
    tail: Mutex<Tail>,
    flush: Mutex<Flush>,
    flushed: Condvar,
}

impl Floor {
    /// Opens the file, finds its end, and writes its blocks before when the kind asks for that.
    pub(crate) fn open(options: &Options<'_>, kind: Kind) -> Outcome<Floor> {
        let path = options.dir.join("log");
        let file = File::options().create(true).read(true).write(true).truncate(false).open(path)?;
        let sealing = if let Kind::Sealed(aead) = kind { Some(aead.sealing()) } else { None };
        let mut chain = [0; HASH];
        let (_, end) = walk(&file, |body| {
            if sealing.is_some() {
                chain.copy_from_slice(&body[..HASH]);
            }
        })?;
        if kind == Kind::Written && end == 0 {
            let zeros = vec![0; 1 << 20];
            for piece in 0..=options.room >> 20 {
                file.write_all_at(&zeros, piece << 20)?;
            }
        }
        file.sync_all()?;
        File::open(options.dir)?.sync_all()?;
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce[8..])?;
        let keys = if sealing.is_some() { Some(KeyLog::open(&options.dir.join("keys"))?) } else { None };
        let gathers = kind == Kind::Buffer && options.durability != Durability::Synced;
        Ok(Floor {
            file,
            durability: options.durability,
            buffer: if gathers { BUFFER } else { 0 },
            sealing,
            one_key: options.keys == Keys::One,
            tail: Mutex::new(Tail { end, written: end, pending: Vec::with_capacity(2 * BUFFER), chain, nonce, keys }),
            flush: Mutex::new(Flush { below: end, running: false }),
            flushed: Condvar::new(),
        })
    }

    fn tail(&self) -> Outcome<MutexGuard<'_, Tail>> {
        self.tail.lock().map_err(|_| "a thread panicked with the lock".into())
    }

    /// Adds a frame to what is pending.
    fn frame(&self, tail: &mut Tail, (entity, payload): Item<'_>) -> Outcome<EventRef> {
        let start = tail.pending.len();
        tail.pending.extend_from_slice(&[0; HEAD]);
        match &self.sealing {
            None => tail.pending.extend_from_slice(payload),
            Some(sealing) => self.sealed_body(&**sealing, tail, entity, payload)?,
        }
        let body = &tail.pending[start + HEAD..];
        let (bytes, check) = (body.len() as u32, crc32fast::hash(body));
        tail.pending[start..start + 4].copy_from_slice(&bytes.to_le_bytes());
        tail.pending[start + 4..start + HEAD].copy_from_slice(&check.to_le_bytes());
        let at = tail.end;
        tail.end += HEAD as u64 + u64::from(bytes);
        Ok(EventRef::from(at) << 32 | EventRef::from(bytes))
    }

    fn sealed_body(&self, sealing: &dyn Seal, tail: &mut Tail, entity: u64, payload: &[u8]) -> Outcome {
        let start = tail.pending.len();
        let key = *self.key(tail, entity)?;
        let (count, _) = tail.nonce.split_first_chunk_mut::<8>().ok_or("a nonce has 24 bytes")?;
        *count = (u64::from_le_bytes(*count) + 1).to_le_bytes();
        let nonce = tail.nonce;
        tail.pending.extend_from_slice(&[0; HASH]);
        tail.pending.extend_from_slice(&nonce);
        let at = tail.pending.len();
        tail.pending.extend_from_slice(payload);
        let tag = sealing.seal(&key, &nonce, &entity.to_le_bytes(), &mut tail.pending[at..])?;
        tail.pending.extend_from_slice(&tag);
        tail.pending.extend_from_slice(&entity.to_le_bytes());
        let hash = blake3::keyed_hash(&tail.chain, &tail.pending[start + HASH..]);
        tail.chain = *hash.as_bytes();
        tail.pending[start..start + HASH].copy_from_slice(hash.as_bytes());
        Ok(())
    }

    fn key<'a>(&self, tail: &'a mut Tail, entity: u64) -> Outcome<&'a [u8; KEY]> {
        let keys = tail.keys.as_mut().ok_or("a sealed floor has keys")?;
        keys.of(if self.one_key { 0 } else { entity })
    }

    fn write(&self, tail: &mut Tail) -> Outcome {
        self.file.write_all_at(&tail.pending, tail.written)?;
        tail.written += tail.pending.len() as u64;
        tail.pending.clear();
        Ok(())
    }

    fn append_all(&self, items: &[Item<'_>], events: &mut impl Extend<EventRef>) -> Outcome {
        let mut tail = self.tail()?;
        for item in items {
            events.extend([self.frame(&mut tail, *item)?]);
        }
        if tail.pending.len() >= self.buffer {
            self.write(&mut tail)?;
        }
        let end = tail.end;
        drop(tail);
        if self.durability == Durability::Synced { self.flush_to(end) } else { Ok(()) }
    }

    fn flush_to(&self, end: u64) -> Outcome {
        let lock = || self.flush.lock().map_err(|_| "a thread panicked with the lock");
        let mut flush = lock()?;
        while flush.below < end {
            if flush.running {
                flush = self.flushed.wait(flush).map_err(|_| "a thread panicked with the lock")?;
                continue;
            }
            flush.running = true;
            drop(flush);
            let below = {
                let mut tail = self.tail()?;
                if !tail.pending.is_empty() {
                    self.write(&mut tail)?;
                }
                tail.written
            };
            self.file.sync_data()?;
            flush = lock()?;
            *flush = Flush { below, running: false };
            self.flushed.notify_all();
        }
        Ok(())
    }

    /// Shows the payload of a body.
    fn show(&self, body: &[u8], opened: &mut Vec<u8>, visit: Visit<'_>) -> Outcome {
        let Some(sealing) = &self.sealing else {
            visit(body);
            return Ok(());
        };
        let (sealed, entity) = body.split_last_chunk::<ENTITY>().ok_or("a sealed body ends with its entity")?;
        let (nonce, sealed) = sealed[HASH..].split_first_chunk::<NONCE>().ok_or("a sealed body has a nonce")?;
        let key = *self.key(&mut *self.tail()?, u64::from_le_bytes(*entity))?;
        opened.clear();
        opened.extend_from_slice(sealed);
        sealing.open(&key, nonce, entity, opened)?;
        visit(&opened[..sealed.len() - TAG]);
        Ok(())
    }
}

impl EventLog for Floor {
    fn append(&self, item: Item<'_>) -> Outcome<EventRef> {
        let mut event = OneRef(0);
        self.append_all(&[item], &mut event)?;
        Ok(event.0)
    }

    fn append_batch(&self, items: &[Item<'_>], events: &mut Vec<EventRef>) -> Outcome {
        self.append_all(items, events)
    }

    fn sync(&self) -> Outcome {
        let end = self.tail()?.end;
        self.flush_to(end)
    }

    fn get(&self, event: EventRef, visit: Visit<'_>) -> Outcome {
        let mut frame = vec![0; HEAD + event as u32 as usize];
        self.file.read_exact_at(&mut frame, (event >> 32) as u64)?;
        let body = checked(&frame).ok_or("a frame does not check")?;
        self.show(body, &mut Vec::new(), visit)
    }

    fn replay(&self, visit: Visit<'_>) -> Outcome<u64> {
        let (mut opened, mut failed) = (Vec::new(), None);
        let (count, _) = walk(&self.file, |body| {
            if let Err(why) = self.show(body, &mut opened, visit) {
                failed = Some(why);
            }
        })?;
        failed.map_or(Ok(count), Err)
    }

    fn close(self: Box<Self>) -> Outcome {
        self.sync()
    }
}

/// Room for the reference of one append.
struct OneRef(EventRef);

impl Extend<EventRef> for OneRef {
    fn extend<T: IntoIterator<Item = EventRef>>(&mut self, events: T) {
        self.0 = events.into_iter().last().unwrap_or(self.0);
    }
}
