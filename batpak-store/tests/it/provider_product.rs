//! Every state of the provider's two slots, with every state of either copy of the keyset: which wins, which secret is destroyed, what is
//! refused.
//!
//! The states are what one run of a rekey or a shred left durable at its calls, older images of the same store, and what tears and loses
//! such files. The answer of each combination is computed from KEYSET.md's sections 4 and 6 alone.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use batpak_store::{
    EventId, OpenError, Payload, ProviderError, Selector, Store,
    crypto::SecretId,
    keyset::{Copy, KeyFile as Slots, SECTOR_LEN},
    segment::{DiskOp, MemoryDisk},
};

use crate::{
    keepers::Keeper,
    kit::{Place, append, sound},
};

/// What changes the root secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Rekey,
    Shred,
}

/// What stands where a copy of the keyset should be; those that are whole in the order of their epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Image {
    Missing,
    Damaged,
    /// Under a secret that was destroyed long ago.
    Oldest,
    /// Under the current secret, and older than the log.
    Older,
    Current,
    Next,
}

const IMAGES: [Image; 6] = [Image::Missing, Image::Damaged, Image::Oldest, Image::Older, Image::Current, Image::Next];

/// What stands in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sector {
    Whole,
    Torn,
    Empty,
}

const SECTORS: [Sector; 3] = [Sector::Whole, Sector::Torn, Sector::Empty];

/// So much of an image was written when its write was cut: some of its header.
const TORN: usize = 128;

/// The slots of the current secret and of the next one; none when there is no file.
type SlotStates = Option<(Sector, Sector)>;

/// What an open must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Corrupt,
    NoKeyset,
    /// The slots cannot be read at all.
    NoSlots,
    RolledBack,
    SecretMissing,
    /// It opens, and the slots hold one secret: the one that the winner names, or a third one that a finished shred made.
    Opens {
        under_next: bool,
        third: bool,
    },
}

fn expected(change: Change, slots: SlotStates, a: Image, b: Image) -> Answer {
    let winner = a.max(b);
    if winner < Image::Oldest {
        return if winner == Image::Missing { Answer::NoKeyset } else { Answer::Corrupt };
    }
    let Some((current, next)) = slots else { return Answer::NoSlots };
    if current != Sector::Whole && next != Sector::Whole {
        return Answer::NoSlots;
    }
    match winner {
        Image::Next if next == Sector::Whole => Answer::Opens { under_next: true, third: false },
        Image::Current if current == Sector::Whole => {
            Answer::Opens { under_next: false, third: change == Change::Shred }
        }
        Image::Older if current == Sector::Whole => Answer::RolledBack,
        _ => Answer::SecretMissing,
    }
}

/// The files of one run.
struct Run {
    keeper: Keeper,
    change: Change,
    /// The store as the change found it, with the log as it was when the image of the change was written.
    base: MemoryDisk,
    victim: EventId,
    other: EventId,
    /// By [`Image`]: the last four.
    images: [Vec<u8>; 4],
    slots_path: PathBuf,
    /// The slots before the change and after it.
    slots: [Vec<u8>; 2],
    ids: [SecretId; 2],
}

fn open(keeper: Keeper, place: &Place) -> Result<Store, OpenError> {
    Store::open(place.dir(), keeper.config(place))
}

fn copy_path(place: &Place, copy: Copy) -> PathBuf {
    place.dir().join(copy.file_name())
}

fn current_id(slots: &[u8]) -> SecretId {
    Slots::decode(slots, None).unwrap().current().secret_id
}

impl Run {
    fn new(keeper: Keeper, change: Change) -> Self {
        let place = Place::memory();
        let disk = place.memory.clone().unwrap();
        let store = Store::create(place.dir(), keeper.config(&place)).unwrap();
        let (victim, other) = (append(&store, "a", b"victim").id, append(&store, "b", b"other").id);
        let image = || place.read(&copy_path(&place, Copy::A));
        let oldest = image();
        store.rekey().unwrap();
        let older = image();
        // From a fresh page: the older image does not know it.
        append(&store, "c", b"of a later page");
        let current = image();
        drop(store);
        let store = open(keeper, &place).unwrap();
        assert_eq!(image(), current, "an open of what is whole publishes nothing");
        let slots_path = keeper.slots(&place);
        let before = place.read(&slots_path);
        let base = disk.copy();
        let segment = place.dir().join("segments/00000000000000000001.seg");
        let log = Arc::new(Mutex::new(None));
        let (seen, at) = (Arc::clone(&log), segment.clone());
        disk.observe(Box::new(move |call| {
            let keyset = call.path.file_stem().is_some_and(|stem| stem == "keyset");
            if keyset && matches!(call.op, DiskOp::Write { .. }) {
                seen.lock().unwrap().get_or_insert_with(|| call.durable(&at).unwrap().to_vec());
            }
        }));
        match change {
            Change::Rekey => drop(store.rekey().unwrap()),
            Change::Shred => drop(store.shred(&[Selector::Entity("a".into())], 0, "").unwrap()),
        }
        disk.clear_hooks();
        let (next, after) = (image(), place.read(&slots_path));
        drop(store);
        Place::on(base.clone()).put(&segment, log.lock().unwrap().as_ref().unwrap());
        let ids = [current_id(&before), current_id(&after)];
        Self {
            keeper,
            change,
            base,
            victim,
            other,
            images: [oldest, older, current, next],
            slots_path,
            slots: [before, after],
            ids,
        }
    }

    /// The bytes of a file in a state; none when it is missing.
    fn image(&self, image: Image) -> Option<Vec<u8>> {
        let [oldest, older, current, next] = &self.images;
        Some(match image {
            Image::Missing => return None,
            // A write over the current image that did not get to its end.
            Image::Damaged => [&next[..TORN], &current[TORN..]].concat(),
            Image::Oldest => oldest.clone(),
            Image::Older => older.clone(),
            Image::Current => current.clone(),
            Image::Next => next.clone(),
        })
    }

    fn slot_bytes(&self, current: Sector, next: Sector) -> Vec<u8> {
        let [before, after] = &self.slots;
        // The current secret stands in the one sector, the next one in the other.
        let of_current = if before[..SECTOR_LEN].iter().any(|byte| *byte != 0) { 0 } else { SECTOR_LEN };
        let mut bytes = vec![0; 2 * SECTOR_LEN];
        for (at, source, state) in [(of_current, before, current), (SECTOR_LEN - of_current, after, next)] {
            let len = match state {
                Sector::Whole => SECTOR_LEN,
                Sector::Torn => SECTOR_LEN / 4,
                Sector::Empty => 0,
            };
            bytes[at..at + len].copy_from_slice(&source[at..at + len]);
        }
        bytes
    }

    /// Makes one combination, opens it, and holds the answer against the expected one.
    fn check(&self, slots: SlotStates, a: Image, b: Image) -> Answer {
        let place = Place::on(self.base.copy());
        place.memory.as_ref().unwrap().crash();
        let put = |path: &PathBuf, bytes: Option<Vec<u8>>| match bytes {
            Some(bytes) => place.put(path, &bytes),
            None => {
                place.disk.remove(path).unwrap();
                place.disk.sync_dir(path.parent().unwrap()).unwrap();
            }
        };
        for (copy, image) in [(Copy::A, a), (Copy::B, b)] {
            put(&copy_path(&place, copy), self.image(image));
        }
        put(&self.slots_path, slots.map(|(current, next)| self.slot_bytes(current, next)));
        let expected = expected(self.change, slots, a, b);
        let why = format!("{:?} {:?}: slots {slots:?}, a {a:?}, b {b:?}", self.keeper, self.change);
        let before = self.all_files(&place);
        match open(self.keeper, &place) {
            Ok(store) => {
                let Answer::Opens { under_next, third } = expected else { panic!("{why}: opened") };
                self.check_open(&place, store, a == b, &why);
                let slots = Slots::decode(&place.read(&self.slots_path), None).unwrap();
                assert!(slots.next().is_none() && !slots.is_damaged(), "{why}");
                let id = slots.current().secret_id;
                let known = self.ids.iter().position(|known| *known == id);
                assert_eq!(known, if third { None } else { Some(usize::from(under_next)) }, "{why}");
            }
            Err(refused) => {
                self.check_refusal(expected, &refused, &why);
                assert!(self.all_files(&place) == before, "{why}: a refusal writes nothing");
            }
        }
        expected
    }

    fn all_files(&self, place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = place.files();
        if place.disk.exists(&self.slots_path).unwrap() {
            files.push((self.slots_path.clone(), place.read(&self.slots_path)));
        }
        files
    }

    fn check_refusal(&self, expected: Answer, refused: &OpenError, why: &str) {
        let outside = self.keeper == Keeper::Outside;
        let as_expected = match refused {
            OpenError::KeysetCorrupt(_) => expected == Answer::Corrupt,
            OpenError::KeysetMissing => expected == Answer::NoKeyset,
            OpenError::KeysetRolledBack { .. } => expected == Answer::RolledBack,
            // A service that knows nothing of the store does not have the secret either.
            OpenError::Provider(ProviderError::Missing) => {
                expected == Answer::SecretMissing || (outside && expected == Answer::NoSlots)
            }
            OpenError::Provider(ProviderError::KeyFile { .. } | ProviderError::KeyFileMissing { .. }) => {
                !outside && expected == Answer::NoSlots
            }
            OpenError::Provider(ProviderError::Outside(_)) => outside && expected == Answer::NoSlots,
            _ => false,
        };
        assert!(as_expected, "{why}: {refused:?} instead of {expected:?}");
    }

    /// What is there after an open: all that was acknowledged, both copies whole and the same, and a second open changes no byte.
    fn check_open(&self, place: &Place, store: Store, same: bool, why: &str) {
        let open_now = |store: &Store, id| matches!(store.get(id).unwrap().unwrap().payload, Payload::Open(_));
        let shredded = |store: &Store| matches!(store.get(self.victim).unwrap().unwrap().payload, Payload::Shredded(_));
        let fates = |store: &Store| (open_now(store, self.victim), shredded(store), open_now(store, self.other));
        let expected = (self.change == Change::Rekey, self.change == Change::Shred, true);
        assert_eq!(fates(&store), expected, "{why}");
        assert_eq!(store.open_report().keyset.is_empty(), same, "{why}");
        store.close().unwrap();
        let [a, b] = Copy::BOTH.map(|copy| place.read(&copy_path(place, copy)));
        assert!(a == b, "{why}");
        let settled = self.all_files(place);
        let store = open(self.keeper, place).unwrap();
        assert!(store.open_report().clean, "{why}");
        assert!(self.all_files(place) == settled, "{why}: the second open changes a byte");
        assert_eq!(fates(&store), expected, "{why}");
        let page = |id| store.header(id).unwrap().unwrap().encryption.unwrap().key_id.page();
        let known = page(store.latest("c").unwrap().unwrap().header.id);
        let fresh = page(append(&store, "new", b"x").id);
        assert!(fresh >= known && (same || fresh > known), "{why}: page {fresh} after {known}");
        sound(&store);
    }
}

fn product(keeper: Keeper) {
    for change in [Change::Rekey, Change::Shred] {
        let run = Run::new(keeper, change);
        let pairs = SECTORS.iter().flat_map(|current| SECTORS.iter().map(move |next| Some((*current, *next))));
        let slots: Vec<SlotStates> = pairs.chain([None]).collect();
        let mut answers: Vec<(Answer, u32)> = Vec::new();
        for slots in slots {
            for (a, b) in IMAGES.iter().flat_map(|a| IMAGES.iter().map(move |b| (*a, *b))) {
                let answer = run.check(slots, a, b);
                match answers.iter_mut().find(|(known, _)| *known == answer) {
                    Some((_, count)) => *count += 1,
                    None => answers.push((answer, 1)),
                }
            }
        }
        let all: u32 = answers.iter().map(|(_, count)| count).sum();
        println!("{keeper:?}, {change:?}: {all} combinations: {answers:?}");
        assert_eq!((all, answers.len()), (360, 7), "each answer is met");
    }
}

#[test]
fn slots_and_copies_answer_as_specified_with_a_key_file() {
    product(Keeper::KeyFile);
}

#[test]
fn slots_and_copies_answer_as_specified_with_a_passphrase_and_a_key_file() {
    product(Keeper::PassphraseKeyFile);
}

#[test]
fn slots_and_copies_answer_as_specified_with_an_outside_provider() {
    product(Keeper::Outside);
}
