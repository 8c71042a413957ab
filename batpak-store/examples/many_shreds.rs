//! Shreds one by one, each of another key scope: what the keyset takes and how long it and an open take, as their number grows.
//!
//! `cargo run --release -p batpak-store --example many_shreds -- [SHREDS]`; `cargo xtask shreds` runs it with a hundred thousand. Then
//! ten thousand scattered key scopes in one call. The disk is the one in memory: its syncs are counted, and take no time. Ends with an
//! error when a bound does not hold.

use std::{
    error::Error,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use batpak_store::{
    Config, Coordinate, Durability, Encryption, EventKind, Local, NewEvent, Selector, Store, VerifyOptions,
    keyset::Copy,
    segment::{Access, Disk, DiskOp, MemoryDisk},
};

const DIR: &str = "/store";
/// The disk in memory copies a file whole when it is synced: small segments keep that out of the figures of many shreds.
const SMALL_SEGMENT_BYTES: u64 = 1 << 20;
/// Syncs of a shred with a new extent, under a root secret in the image: extent, its directory, both copies grown, intent, both copies,
/// completion. A new segment would be four more.
const SYNCS_MAX: u64 = 8;
/// Victims are this far apart, so that what is left of the key trees is as scattered as it gets.
const STRIDE: usize = 7_919;
/// The frontiers that stand in the image take at most 64 KiB, or the size of the page table; each file is as long as the longest image
/// so far, with room for the next.
const IMAGE_BYTES_MAX: u64 = 256 << 10;
/// The bytes of all extents together, beside what the frontiers need at most: twice 36 bytes a leaf that is left.
const EXTENT_BYTES_SLACK: u64 = 4 << 20;

/// What a disk was asked to do.
#[derive(Clone, Default)]
struct Counted {
    bytes: Arc<AtomicU64>,
    syncs: Arc<AtomicU64>,
}

impl Counted {
    fn on(disk: &MemoryDisk) -> Self {
        let counted = Self::default();
        let told = counted.clone();
        disk.observe(Box::new(move |call| match call.op {
            DiskOp::Write { bytes, .. } => _ = told.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed),
            DiskOp::SyncAll | DiskOp::SyncData | DiskOp::SyncDir => _ = told.syncs.fetch_add(1, Ordering::Relaxed),
            _ => {}
        }));
        counted
    }

    fn take(&self) -> (u64, u64) {
        (self.bytes.swap(0, Ordering::Relaxed), self.syncs.swap(0, Ordering::Relaxed))
    }
}

fn config(disk: &MemoryDisk) -> Config {
    Config::new(Encryption::sealed(Local::new())).disk(Arc::new(disk.clone()))
}

fn entity(n: usize) -> String {
    format!("entity-{n:07}")
}

/// Appends an event to each of so many entities.
fn fill(store: &Store, count: usize) -> Result<(), Box<dyn Error>> {
    let kind = EventKind::new(1, 1)?;
    for first in (0..count).step_by(1_000) {
        let events = (first..count.min(first + 1_000)).map(|n| {
            let coordinate = Coordinate::new(&entity(n), "s")?;
            Ok(NewEvent::new(coordinate, kind, b"payload").durability(Durability::Buffered))
        });
        store.append_batch(&events.collect::<Result<Vec<_>, Box<dyn Error>>>()?)?;
    }
    store.sync()?;
    Ok(())
}

fn image_bytes(disk: &MemoryDisk) -> Result<u64, Box<dyn Error>> {
    Ok(disk.open(&Path::new(DIR).join(Copy::A.file_name()), Access::Read)?.len()?)
}

/// How many extents there are, and their bytes.
fn extents(disk: &MemoryDisk) -> Result<(usize, u64), Box<dyn Error>> {
    let dir = Path::new(DIR).join("extents");
    let mut bytes = 0;
    let entries = disk.list(&dir)?;
    for entry in &entries {
        bytes += disk.open(&dir.join(&entry.name), Access::Read)?.len()?;
    }
    Ok((entries.len(), bytes))
}

/// Closes the store and opens it again.
fn reopened(store: Store, disk: &MemoryDisk) -> Result<(Store, Duration), Box<dyn Error>> {
    store.close()?;
    let begun = Instant::now();
    let store = Store::open(DIR, config(disk))?;
    Ok((store, begun.elapsed()))
}

fn one_by_one(shreds: usize) -> Result<(), Box<dyn Error>> {
    let disk = MemoryDisk::new();
    let mut store = Store::create(DIR, config(&disk).segment_bytes(SMALL_SEGMENT_BYTES))?;
    let scopes = shreds + shreds / 4 + 1;
    fill(&store, scopes)?;
    let counted = Counted::on(&disk);
    println!("{scopes} key scopes, {shreds} of them shredded one by one");
    println!("     shreds  a shred    bytes each  syncs each  image bytes  extents     bytes      open");
    let step = (shreds / 10).max(1);
    let (mut image_max, mut extent_bytes_max) = (0, 0);
    let mut begun = Instant::now();
    counted.take();
    for n in 1..=shreds {
        store.shred(&[Selector::Entity(entity(n * STRIDE % scopes))], 0, "")?;
        if n % step != 0 {
            continue;
        }
        let each = begun.elapsed() / u32::try_from(step)?;
        let (bytes, syncs) = counted.take();
        let (image, (number, extent_bytes)) = (image_bytes(&disk)?, extents(&disk)?);
        (image_max, extent_bytes_max) = (image.max(image_max), extent_bytes.max(extent_bytes_max));
        let open;
        (store, open) = reopened(store, &disk)?;
        let (bytes, syncs) = (bytes / step as u64, syncs as f64 / step as f64);
        println!(
            "{n:11}  {each:8.1?}  {bytes:11}  {syncs:10.2}  {image:11}  {number:7}  {extent_bytes:8}  {open:8.1?}"
        );
        counted.take();
        begun = Instant::now();
    }
    let report = store.verify(VerifyOptions::full(), &mut |_| {})?;
    println!("verified: sound {}, {} shredded, {} open", report.is_sound(), report.shredded, report.opened);
    let bound = 72 * scopes as u64 + EXTENT_BYTES_SLACK;
    println!("bounds: image {image_max} <= {IMAGE_BYTES_MAX}, extents {extent_bytes_max} <= {bound}");
    let sound = report.is_sound() && report.shredded == shreds as u64;
    if sound && image_max <= IMAGE_BYTES_MAX && extent_bytes_max <= bound {
        Ok(())
    } else {
        Err("a bound does not hold".into())
    }
}

fn ten_thousand_at_once() -> Result<(), Box<dyn Error>> {
    let disk = MemoryDisk::new();
    let store = Store::create(DIR, config(&disk))?;
    let scopes = 1_000_000;
    fill(&store, scopes)?;
    let counted = Counted::on(&disk);
    let victims: Vec<_> = (0..scopes).step_by(scopes / 10_000).map(|n| Selector::Entity(entity(n))).collect();
    let begun = Instant::now();
    let shredding = store.shred(&victims, 0, "")?;
    let took = begun.elapsed();
    let (bytes, syncs) = counted.take();
    println!("{} of {scopes} key scopes in one call: {took:.1?}, {syncs} syncs, {bytes} bytes", shredding.keys);
    if shredding.keys == 10_000 && syncs <= SYNCS_MAX { Ok(()) } else { Err("a bound does not hold".into()) }
}

fn main() -> Result<(), Box<dyn Error>> {
    let shreds = std::env::args().nth(1).map_or(Ok(1_000), |text| text.parse())?;
    one_by_one(shreds)?;
    ten_thousand_at_once()
}
