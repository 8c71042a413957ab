//! The stores that are damaged: small, and together with every kind of file that a store has.

use std::{ops::Range, path::PathBuf};

use batpak_store::{
    Config, Durability, Encryption, Event, Query, Selector, Store, VerifyOptions,
    segment::{MemoryDisk, SEGMENTS_DIR},
};

use crate::{
    kit::{Place, append, event, kind},
    spots::{Spot, segment_file, spots},
};

/// What a file is to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// The segment with the genesis event, rolled.
    First,
    /// A rolled segment between the first and the last rolled one.
    Rolled,
    /// The last rolled segment, whose footer may still be made again.
    LastRolled,
    /// The last segment of a log that was closed.
    Closed,
    /// The last segment of a log whose writer was stopped.
    Active,
    /// The last segment of a plaintext log whose writer was stopped.
    ActivePlain,
    KeysetA,
    KeysetB,
    Extent,
    KeyFile,
    /// The index file of a rolled segment.
    Index,
    /// It holds nothing; it can only be missing.
    Lock,
}

impl FileKind {
    pub const ALL: [Self; 12] = [
        Self::First,
        Self::Rolled,
        Self::LastRolled,
        Self::Closed,
        Self::Active,
        Self::ActivePlain,
        Self::KeysetA,
        Self::KeysetB,
        Self::Extent,
        Self::KeyFile,
        Self::Index,
        Self::Lock,
    ];

    pub const fn is_last_segment(self) -> bool {
        matches!(self, Self::Closed | Self::Active | Self::ActivePlain)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "segment, first",
            Self::Rolled => "segment, rolled",
            Self::LastRolled => "segment, last rolled",
            Self::Closed => "segment, closed",
            Self::Active => "segment, active",
            Self::ActivePlain => "segment, active, plaintext",
            Self::KeysetA => "keyset.a",
            Self::KeysetB => "keyset.b",
            Self::Extent => "extent",
            Self::KeyFile => "key file",
            Self::Index => "index file",
            Self::Lock => "lock",
        }
    }
}

/// A file that is damaged.
#[derive(Clone, Debug)]
pub struct Target {
    pub path: PathBuf,
    pub kind: FileKind,
    pub bytes: Vec<u8>,
    /// Its number, when it is a segment.
    pub segment: Option<u64>,
}

/// Bytes that say that every event below a position is durable: a frame by its mark, the footer of a clean close by its being there.
struct Evidence {
    segment: u64,
    bytes: Range<usize>,
    durable: u64,
}

/// A store before it is damaged, and what it said then.
pub struct Subject {
    pub disk: MemoryDisk,
    pub targets: Vec<Target>,
    pub events: Vec<Event>,
    evidence: Vec<Evidence>,
    pub sealed: bool,
}

impl Subject {
    /// A log that was closed: all of it is durable, and says so.
    pub fn closed() -> Self {
        let place = Place::memory();
        fill(&place, sealed(&place)).close().unwrap();
        Self::of(&place, |_, kind| kind != FileKind::Active)
    }

    /// A log whose writer was stopped: the active segment ends without a footer, and in what no mark covers.
    pub fn stopped() -> Self {
        let place = Place::memory();
        let store = fill(&place, sealed(&place));
        store.append(&event("a", &[5; 100]).durability(Durability::Synced)).unwrap();
        store.append_batch(&[event("a", b"one"), event("b", b"two")]).unwrap();
        append(&store, "b", b"not synced");
        let stopped = Place::on(place.memory.clone().unwrap().copy());
        drop(store);
        Self::of(&stopped, |_, kind| kind == FileKind::Active)
    }

    /// The same in plaintext.
    pub fn plain() -> Self {
        let place = Place::memory();
        let store = Store::create(place.dir(), config(&place, Encryption::none())).unwrap();
        for n in 0..9_u8 {
            store.append(&event("a", &[n; 60]).durability(Durability::Synced)).unwrap();
        }
        append(&store, "b", b"not synced");
        let stopped = Place::on(place.memory.clone().unwrap().copy());
        drop(store);
        Self::of(&stopped, |_, kind| kind == FileKind::ActivePlain)
    }

    /// A store whose frontiers have outgrown the image: each of its many pages has one leaf destroyed.
    pub fn extent() -> Self {
        let place = Place::memory();
        let store = Store::create(place.dir(), sealed(&place).segment_bytes(1 << 20)).unwrap();
        let entities: Vec<_> = (0..66).map(|n| format!("e{n}")).collect();
        for entity in &entities {
            append(&store, entity, b"on a page of its own");
            store.rekey().unwrap();
        }
        append(&store, "kept", b"kept");
        let victims: Vec<_> = entities.into_iter().map(Selector::Entity).collect();
        store.shred(&victims, 0, "").unwrap();
        store.close().unwrap();
        let subject = Self::of(&place, |_, kind| kind == FileKind::Extent);
        assert_eq!(subject.targets.len(), 1, "the frontiers must go into an extent");
        subject
    }

    fn of(place: &Place, wanted: impl Fn(&Place, FileKind) -> bool) -> Self {
        let disk = place.memory.clone().unwrap().copy();
        let sealed = disk_holds_key_file(place);
        let mut files = place.files();
        if sealed {
            files.push((place.key_file(), place.read(&place.key_file())));
        }
        let last = files.iter().filter_map(|(path, _)| segment_of(path)).max().unwrap();
        let targets = files.into_iter().map(|(path, bytes)| target(place, path, bytes, last, sealed));
        let targets = targets.filter(|target| wanted(place, target.kind)).collect();
        let mut subject = Self { disk, targets, events: Vec::new(), evidence: Vec::new(), sealed };
        let place = Place::on(subject.disk.copy());
        let frames = spots(&place);
        let store = Store::open(place.dir(), subject.config(&place)).unwrap();
        assert!(store.verify(VerifyOptions::full(), &mut |_| {}).unwrap().is_sound());
        subject.events = store.read(&Query::all().include_system(true)).unwrap().map(Result::unwrap).collect();
        let bytes = |spot: &Spot| spot.offset as usize..spot.end() as usize;
        let marks =
            frames.iter().map(|spot| Evidence { segment: spot.segment, bytes: bytes(spot), durable: spot.mark });
        subject.evidence = marks.collect();
        if store.open_report().clean {
            let (end, len) = (frames.last().unwrap().end() as usize, place.read(&segment_file(&place, last)).len());
            let durable = subject.events.len() as u64;
            subject.evidence.push(Evidence { segment: last, bytes: end..len, durable });
        }
        subject
    }

    /// Every event below this position must be there or be refused, going by what the damage left of the evidence.
    pub fn durable(&self, target: &Target, left: &[u8]) -> u64 {
        let is_left = |evidence: &&Evidence| {
            let bytes = evidence.bytes.clone();
            Some(evidence.segment) != target.segment || left.get(bytes.clone()) == target.bytes.get(bytes)
        };
        self.evidence.iter().filter(is_left).map(|evidence| evidence.durable).max().unwrap_or(0)
    }

    pub fn config(&self, place: &Place) -> Config {
        if self.sealed { sealed(place) } else { config(place, Encryption::none()) }
    }
}

fn disk_holds_key_file(place: &Place) -> bool {
    place.disk.exists(&place.key_file()).unwrap()
}

fn config(place: &Place, encryption: Encryption) -> Config {
    place.with(encryption).durability(Durability::Buffered).segment_bytes(4096)
}

fn sealed(place: &Place) -> Config {
    place.config().durability(Durability::Buffered).segment_bytes(4096)
}

/// Four segments with everything in them that a log may hold.
fn fill(place: &Place, config: Config) -> Store {
    let store = Store::create(place.dir(), config).unwrap();
    let first = store.append(&event("a", &[1; 700]).tag("red").key(b"first")).unwrap();
    store.append(&event("b", &[2; 700]).cause(first.id).correlation(first.id)).unwrap();
    store.append_batch(&[event("a", &[3; 300]), event("c", &[4; 300]).cause(first.id)]).unwrap();
    store.shred(&[Selector::Entity("b".into())], 7, "ticket 12").unwrap();
    store.readmit(&Selector::Entity("b".into())).unwrap();
    while store.stats().segments < 4 {
        store.append(&event("b", &[6; 600]).durability(Durability::Synced)).unwrap();
    }
    append(&store, "a", kind().to_string().as_bytes());
    store
}

fn segment_of(path: &std::path::Path) -> Option<u64> {
    let in_segments = path.parent()?.file_name()? == SEGMENTS_DIR;
    batpak_store::segment::parse_segment_name(path.file_name().filter(|_| in_segments)?)
}

fn target(place: &Place, path: PathBuf, bytes: Vec<u8>, last: u64, sealed: bool) -> Target {
    let segment = segment_of(&path);
    let closed = || {
        let closed = place.memory.clone().unwrap().copy();
        let closed = Place::on(closed);
        let config = if sealed { self::sealed(&closed) } else { config(&closed, Encryption::none()) };
        Store::open(closed.dir(), config).unwrap().open_report().clean
    };
    let kind = match (segment, path.file_name().unwrap().to_str().unwrap()) {
        (Some(number), _) if number == last && !sealed => FileKind::ActivePlain,
        (Some(number), _) if number == last && closed() => FileKind::Closed,
        (Some(number), _) if number == last => FileKind::Active,
        (Some(number), _) if number + 1 == last => FileKind::LastRolled,
        (Some(1), _) => FileKind::First,
        (Some(_), _) => FileKind::Rolled,
        (None, "keyset.a") => FileKind::KeysetA,
        (None, "keyset.b") => FileKind::KeysetB,
        (None, "lock") => FileKind::Lock,
        (None, _) if path == place.key_file() => FileKind::KeyFile,
        (None, name) if name.ends_with(".idx") => FileKind::Index,
        (None, _) => FileKind::Extent,
    };
    Target { path, kind, bytes, segment }
}
