//! The check: a store is opened as a user opens it, and held against the model.
//!
//! Invariant: it knows nothing of the store's files but that a second open must not change them and that no payload
//! stands in one in clear.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use batpak_store::{Event, OpenError, Payload, Query, Store, VerifyOptions, format::SYSTEM_ENTITY};

use crate::Outcome;
use crate::model::{Fate, Model, Scope};
use crate::script::{CANARY, payload};
use crate::worker::{config, open};

/// What stood in the store when it was held against the model.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Checked {
    pub(crate) events: u64,
    pub(crate) shredded: u64,
    /// Whether there was a store at all.
    pub(crate) is_store: bool,
}

/// Opens the store in `place`, compares, and makes the model what was found.
///
/// # Errors
///
/// When the store is not as the model says: a violation.
pub(crate) fn check(place: &Path, model: &mut Model) -> Outcome<Checked> {
    let before = files(place)?;
    look(place, model)?;
    unchanged(&before, &files(place)?, "a read-only open")?;
    let store = match open(place, config(place)) {
        Ok(store) => store,
        Err(OpenError::NotAStore { .. } | OpenError::UnfinishedCreation { .. }) if !model.opened => {
            return Ok(Checked::default());
        }
        Err(error) => return Err(format!("the store does not open: {error:?}").into()),
    };
    model.opened = true;
    let mut checked = compare(&store, model)?;
    checked.is_store = true;
    sound(&store)?;
    let end = store.stats().visible_mark;
    store.close()?;
    let before = files(place)?;
    let again = open(place, config(place))?;
    if again.stats().visible_mark != end {
        return Err(format!("a second open ends at {}, the first at {end}", again.stats().visible_mark).into());
    }
    again.close()?;
    let after = files(place)?;
    unchanged(&before, &after, "a second open")?;
    match after.iter().find(|(_, bytes)| bytes.windows(CANARY.len()).any(|it| it == CANARY)) {
        Some((path, _)) => Err(format!("{} holds a payload in clear", path.display()).into()),
        None => Ok(checked),
    }
}

/// A process that only reads, before any repair.
fn look(place: &Path, model: &Model) -> Outcome {
    match Store::open_read_only(place.join("store"), config(place)) {
        Ok(reader) if reader.stats().visible_mark < model.end_min => {
            let (end, least) = (reader.stats().visible_mark, model.end_min);
            Err(format!("a reader sees the log end at {end}, acknowledged up to {least}").into())
        }
        Err(error) if model.opened => Err(format!("the store does not open for reading: {error:?}").into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn compare(store: &Store, model: &mut Model) -> Outcome<Checked> {
    let mut checked = Checked::default();
    let mut revisions: BTreeMap<String, u64> = BTreeMap::new();
    let mut found = BTreeSet::new();
    let mut system = BTreeSet::new();
    let mut end = 0;
    for event in store.read(&Query::all().include_system(true))? {
        let event = event?;
        if event.header.position != end {
            return Err(format!("position {} follows {end} events", event.header.position).into());
        }
        end += 1;
        let entity = event.header.coordinate.entity();
        if entity == SYSTEM_ENTITY {
            system.insert(event.header.position);
            continue;
        }
        let revision = revisions.entry(entity.to_owned()).or_default();
        if event.header.revision != *revision {
            return Err(format!("{entity}: revision {} follows {revision} events", event.header.revision).into());
        }
        *revision += 1;
        checked.events += 1;
        checked.shredded += u64::from(matches!(event.payload, Payload::Shredded(_)));
        meet(model, &event)?;
        found.insert(event.header.id);
    }
    let recovered = recovered_end(store);
    if recovered < model.end_min {
        return Err(format!("the log ends at {recovered}, acknowledged up to {}", model.end_min).into());
    }
    if let Some(position) = model.system.iter().find(|it| !system.contains(it)) {
        return Err(format!("the event of the store's own at position {position} is not there").into());
    }
    settle(model, &found, recovered)?;
    model.end_min = end;
    Ok(checked)
}

/// Where the log ended before this open put on record that it finished a shred.
pub(crate) fn recovered_end(store: &Store) -> u64 {
    store.stats().visible_mark - u64::from(store.open_report().shred_finished.is_some())
}

/// One event that is in the log.
fn meet(model: &mut Model, event: &Event) -> Outcome {
    let (id, position) = (event.header.id, event.header.position);
    let Some(known) = model.events.get_mut(&id) else {
        return Err(format!("event {id} at position {position} was not submitted, or was refused").into());
    };
    let expected = *known.position.get_or_insert(position);
    if expected != position {
        return Err(format!("event {id} is at position {position}, acknowledged at {expected}").into());
    }
    let submitted = known.submitted.clone();
    let fate = known.fate;
    if event.header.coordinate.entity() != submitted.entity {
        return Err(format!("event {id} is of {}, not {}", event.header.coordinate.entity(), submitted.entity).into());
    }
    let is_open = match &event.payload {
        Payload::Open(bytes) if bytes[..] == payload(id, submitted.bytes)[..] => true,
        Payload::Shredded(_) => false,
        other => return Err(format!("event {id} at position {position} reads as {other:?}").into()),
    };
    match fate {
        Fate::Open if !is_open => return Err(format!("event {id} at {position} is shredded, and nobody did").into()),
        Fate::Shredded if is_open => return Err(format!("event {id} at {position} opens after its shred").into()),
        Fate::Either(shred) => {
            let learned = model.learned(shred, !is_open);
            learned.map_err(|why| format!("{why}: event {id} at {position} of {}", submitted.entity))?;
        }
        Fate::Open | Fate::Shredded => {}
    }
    if let Some(encryption) = &event.header.encryption {
        let owner = model.owners.entry(encryption.key_id).or_insert_with(|| submitted.entity.clone());
        if *owner != submitted.entity {
            return Err(format!("{:?} is a key of {owner} and of {}", encryption.key_id, submitted.entity).into());
        }
    }
    Ok(())
}

/// All that is known is in the log now, whole batches of it; the rest is forgotten.
fn settle(model: &mut Model, found: &BTreeSet<batpak_store::EventId>, end: u64) -> Outcome {
    let batches: BTreeSet<usize> =
        model.events.iter().filter(|(id, _)| found.contains(id)).map(|(_, known)| known.batch).collect();
    for (id, known) in model.events.iter().filter(|(id, _)| !found.contains(id)) {
        if known.position.is_some_and(|it| it < end) {
            return Err(format!("event {id} is not at position {:?}", known.position).into());
        }
        if batches.contains(&known.batch) {
            return Err(format!("event {id} is missing, and others of its batch are there").into());
        }
    }
    model.events.retain(|id, _| found.contains(id));
    let shreds = &model.shreds;
    let took_place = |shred: usize| shreds.get(shred).copied().flatten();
    for scope in model.scopes.values_mut() {
        if let Scope::Unknown(Some(shred)) = *scope
            && let Some(took_place) = took_place(shred)
        {
            *scope = if took_place { Scope::Refuses } else { Scope::Live };
        }
    }
    Ok(())
}

fn sound(store: &Store) -> Outcome {
    let report = store.verify(VerifyOptions::full(), &mut |_| {})?;
    if !report.is_sound() {
        return Err(format!(
            "verification finds {} problems, first {:?}",
            report.problems_total,
            report.problems.first()
        )
        .into());
    }
    if report.events + report.system_events != store.stats().visible_mark {
        return Err(format!("verified {} and {} events", report.events, report.system_events).into());
    }
    Ok(())
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Every file in `place`, the key file too, with its bytes.
pub(crate) fn files(place: &Path) -> Outcome<Files> {
    let mut files = Files::new();
    let mut dirs = vec![place.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            } else {
                files.insert(entry.path(), fs::read(entry.path())?);
            }
        }
    }
    Ok(files)
}

fn unchanged(before: &Files, after: &Files, by: &str) -> Outcome {
    let changed = before.keys().chain(after.keys()).find(|path| before.get(*path) != after.get(*path));
    match changed {
        Some(path) => Err(format!("{} was changed by {by}", path.display()).into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
