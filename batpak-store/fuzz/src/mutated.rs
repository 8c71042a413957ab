//! A valid store, damaged in any number of places: it opens to a prefix of what was in it, each event as it was or refused, or it
//! does not open; nothing else.

use std::sync::OnceLock;

use batpak_format_fuzz::Seeds;
use batpak_store::{Event, Payload, Store, VerifyOptions};

use crate::place::{DIR, Place, event, events, sample};

const SECTOR: usize = 512;

/// The stores that are damaged, and the events in them.
fn whole(which: u8) -> &'static (Place, Vec<Event>) {
    static WHOLE: [OnceLock<(Place, Vec<Event>)>; 4] = [const { OnceLock::new() }; 4];
    WHOLE[usize::from(which)].get_or_init(|| {
        let place = sample(which & 1 == 1, which & 2 == 2);
        let store = Store::open_read_only(DIR, place.config());
        let events = store.map(|store| events(&store)).unwrap_or_default();
        assert!(events.len() > 9, "{}", events.len());
        (place, events)
    })
}

/// The first byte chooses the store. Then damages of five bytes: the file, what, where, and with what.
pub fn look(data: &[u8]) {
    let Some((choice, damages)) = data.split_first() else { return };
    let (place, written) = whole(choice % 4);
    let place = place.copy();
    let files = place.files();
    for damage in damages.chunks_exact(5).take(64) {
        let (path, _) = &files[usize::from(damage[0]) % files.len()];
        let bytes = place.files().into_iter().find(|(other, _)| other == path).map(|(_, bytes)| bytes);
        let Some(bytes) = bytes else { continue };
        let at = usize::from(u16::from_le_bytes([damage[2], damage[3]])) % (bytes.len() + 1);
        let other = &files[usize::from(damage[4]) % files.len()].1;
        place.put(path, damaged(bytes, damage[1], at, damage[4], other).as_deref());
    }
    if let Ok(reader) = Store::open_read_only(DIR, place.config()) {
        check(&reader, written);
    }
    for round in 0..2 {
        let store = match Store::open(DIR, place.config()) {
            Ok(store) => store,
            Err(why) => {
                assert_eq!(round, 0, "what was opened opens again: {why:?}");
                return;
            }
        };
        let kept = check(&store, written);
        if round == 0 {
            // Events that were there before may be cut off again, so the next number is as good as any.
            drop(store.append(&event(7, 1000 + kept as u32, b"on")));
        }
        drop(store);
    }
}

/// Checks each event that is there, and returns how many of those that were written.
fn check(store: &Store, written: &[Event]) -> u64 {
    let visible = store.stats().visible_mark;
    let mut kept = 0;
    for position in 0..visible {
        let Ok(Some(found)) = store.at(position) else { continue };
        match written.get(position as usize) {
            Some(event) if found.header.id == event.header.id => {
                assert_eq!((&found.header, found.event_hash()), (&event.header, event.event_hash()));
                let same = found.payload == event.payload;
                // An intent that was cut off has not been, and a key that the keyset lost is lost.
                let less = matches!((&found.payload, &event.payload), (Payload::KeyLost(_), _));
                assert!(same || less, "{found:?}, and it was {event:?}");
                kept = position + 1;
            }
            // What an open of its own, or this target, appended behind a cut.
            _ => assert!(found.header.kind.is_reserved() || found.header.coordinate.entity() == "e7", "{found:?}"),
        }
    }
    drop(store.verify(VerifyOptions::full(), &mut |_| {}));
    kept
}

fn damaged(mut bytes: Vec<u8>, what: u8, at: usize, with: u8, other: &[u8]) -> Option<Vec<u8>> {
    let sectors = bytes.len() / SECTOR;
    match what % 9 {
        0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (with % 8)),
        1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = with),
        2 => bytes.truncate(at),
        3 => bytes.iter_mut().skip(at).take(usize::from(with)).for_each(|byte| *byte = 0),
        4 => bytes.extend(std::iter::repeat_n(with, at % 1024)),
        5 if sectors > 1 => {
            let (a, b) = (at / SECTOR % sectors * SECTOR, usize::from(with) % sectors * SECTOR);
            for n in 0..SECTOR {
                bytes.swap(a + n, b + n);
            }
        }
        6 => {
            let by = at % bytes.len().max(1);
            bytes.rotate_left(by);
        }
        7 => return Some(other.to_vec()),
        8 => return None,
        _ => {}
    }
    Some(bytes)
}

/// No damage, and one of each.
pub fn seeds() -> Seeds {
    let mut seeds: Seeds = (0..4).map(|which| (format!("whole-{which}"), vec![which])).collect();
    for what in 0..9 {
        let damages = [1, what, 0x40, 0x01, 3, 4, what, 0x90, 0x00, 1];
        seeds.push((format!("damage-{what}"), [&[1], &damages[..]].concat()));
        seeds.push((format!("damage-{what}-stopped"), [&[3], &damages[5..]].concat()));
    }
    // Zeros behind the end of one copy of the keyset, as growing a file may leave them.
    seeds.push(("grown-copy".to_owned(), vec![1, 1, 4, 0x4a, 0, 0]));
    seeds.push(("grown-other-copy".to_owned(), vec![1, 0, 4, 0x4a, 0, 0]));
    seeds
}
