//! What an open makes of a damage, and whether that is one of the answers it may have.
//!
//! A damage that an open neither refuses nor reports must be gone from the disk afterwards: nothing in a store's files is without use.

use std::{collections::BTreeSet, path::PathBuf};

use batpak_store::{
    AppendCondition, AppendError, Event, OpenError, OpenReport, ProviderError, QueryItem, ReadError, Selector, Store,
    VerifyOptions, VerifyReport,
    format::{EventHeader, SYSTEM_ENTITY},
    segment::RecoveryError,
};

use super::subject::{FileKind, Subject, Target};
use crate::kit::{Place, append, event};

/// What was made of a damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The open is refused, and says where.
    Refused,
    /// The open, a read or a verification reports it; what can be read is as it was.
    Reported,
    /// Reported, and gone: the next open reports nothing.
    Healed,
    /// The file is as it was, without a word: what was damaged follows from the rest.
    Rebuilt,
    /// To a reader, who mends nothing: everything reads as before.
    AsBefore,
    /// To a reader: the log ends before the damage, as before a frame that is being written.
    EndsBefore,
    /// The file ends early, between two events, and so does the log. That the end of a log was taken away, only a witness outside can
    /// tell; what is left is whole.
    EndGone,
    /// The file is whole, and what stands behind its end has no meaning: zeros behind a segment, as blocks that were written ahead are,
    /// and whatever stands behind the regions of an extent or in the lock file, which nobody reads.
    Unused,
    /// Nothing found it, and it is still there.
    Undetected(String),
    /// Something reads other than it was written, or is gone without a word.
    Wrong(String),
    Panicked,
}

/// What an open may answer is what it does answer, or a complaint.
type Judged<T = ()> = Result<T, Answer>;

fn wrong<T>(what: impl std::fmt::Debug) -> Judged<T> {
    Err(Answer::Wrong(format!("{what:?}")))
}

pub fn judge_writer(subject: &Subject, target: &Target, place: &Place) -> Answer {
    let either = |judged: Judged<Answer>| judged.unwrap_or_else(|answer| answer);
    let before = files(place);
    let (end_gone, durable) = (is_end_gone(target, place), subject.durable(target, &left(target, place)));
    let unused = is_unused(target, &left(target, place));
    match Store::open(place.dir(), subject.config(place)) {
        Err(why) => {
            either(refused(target, &why).and_then(|answer| same_files(place, &before, "lock").map(|()| answer)))
        }
        Ok(store) => either(opened(subject, target, place, store, (end_gone, durable, unused))),
    }
}

pub fn judge_reader(subject: &Subject, target: &Target, place: &Place) -> Answer {
    let before = files(place);
    let (end_gone, durable) = (is_end_gone(target, place), subject.durable(target, &left(target, place)));
    let judged = || match Store::open_read_only(place.dir(), subject.config(place)) {
        Err(why) => refused(target, &why),
        Ok(store) => {
            let readable = readable(subject, &store, store.stats().visible_mark)?;
            let report = store.open_report();
            let visible = store.stats().visible_mark;
            let readable = lookups(subject, &store, visible)? && readable;
            let verified = verified(&store)?;
            if visible < durable {
                return wrong("a reader misses what is durable");
            }
            match () {
                () if visible < subject.events.len() as u64 && !target.kind.is_last_segment() => {
                    wrong("a reader misses events before the damage")
                }
                () if !readable || !report.keyset.is_empty() || !verified.is_sound() => Ok(Answer::Reported),
                () if visible == subject.events.len() as u64 => Ok(Answer::AsBefore),
                () if end_gone => Ok(Answer::EndGone),
                () => Ok(Answer::EndsBefore),
            }
        }
    };
    let answer = judged().unwrap_or_else(|answer| answer);
    match same_files(place, &before, "") {
        Err(changed) => changed,
        Ok(()) => answer,
    }
}

fn opened(
    subject: &Subject,
    target: &Target,
    place: &Place,
    store: Store,
    (end_gone, durable, unused): (bool, u64, bool),
) -> Judged<Answer> {
    let report = store.open_report().clone();
    let visible = store.stats().visible_mark;
    let readable = readable(subject, &store, visible)?;
    let readable = lookups(subject, &store, visible)? && readable;
    let verified = verified(&store)?;
    if visible < durable {
        return wrong(("durable events are gone", visible, &report));
    }
    if visible < subject.events.len() as u64 && report.torn.is_none() {
        return if end_gone { Ok(Answer::EndGone) } else { wrong(("events are gone", visible, &report)) };
    }
    let readable = conditions(subject, &store, visible)? && readable;
    let is_there = place.disk.exists(&target.path).unwrap() && place.read(&target.path) == target.bytes;
    goes_on(&store)?;
    drop(store);
    let again =
        Store::open(place.dir(), subject.config(place)).map_err(|why| Answer::Wrong(format!("again {why:?}")))?;
    let clean = again.open_report().torn.is_none() && again.open_report().keyset.is_empty();
    readable_again(subject, &again, visible)?;
    match () {
        () if !verified.index_damaged.is_empty() && target.kind == FileKind::Index && is_there => Ok(Answer::Healed),
        () if !names(target, &report) && report.is_silent() && readable && verified.is_sound() => match is_there {
            true => Ok(Answer::Rebuilt),
            false if unused => Ok(Answer::Unused),
            // The footer of a clean close: without it the log is one whose writer was stopped.
            false if end_gone => Ok(Answer::EndGone),
            false => Err(Answer::Undetected(format!("{report:?}"))),
        },
        () if !names(target, &report) && readable && verified.is_sound() => wrong(("another file is blamed", report)),
        () if clean && readable && report.torn.is_none() => Ok(Answer::Healed),
        () => Ok(Answer::Reported),
    }
}

/// Whether the damage took the end of the last segment away and nothing else.
fn is_end_gone(target: &Target, place: &Place) -> bool {
    let left = left(target, place);
    let content = left.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    target.kind.is_last_segment() && target.bytes.starts_with(&left[..content])
}

/// Whether the file is as it was up to its end, and what stands behind is not looked at.
fn is_unused(target: &Target, left: &[u8]) -> bool {
    let Some(behind) = left.strip_prefix(&target.bytes[..]) else { return false };
    match target.segment {
        Some(_) => behind.iter().all(|byte| *byte == 0),
        None => matches!(target.kind, FileKind::Extent | FileKind::Lock),
    }
}

/// What the file is now.
fn left(target: &Target, place: &Place) -> Vec<u8> {
    if place.disk.exists(&target.path).unwrap() { place.read(&target.path) } else { Vec::new() }
}

trait Silent {
    fn is_silent(&self) -> bool;
}

impl Silent for OpenReport {
    fn is_silent(&self) -> bool {
        self.torn.is_none() && self.keyset.is_empty() && !self.copied && self.shred_finished.is_none()
    }
}

/// Whether a report is about this file.
fn names(target: &Target, report: &OpenReport) -> bool {
    let findings = format!("{:?}", report.keyset);
    match target.kind {
        FileKind::KeysetA => findings.contains("(A)"),
        FileKind::KeysetB => findings.contains("(B)"),
        FileKind::Extent => findings.contains("extent"),
        FileKind::Index => !report.index_rebuilt.is_empty(),
        _ => report.torn.is_some_and(|torn| Some(torn.segment) == target.segment),
    }
}

/// Whether a refusal says where: the segment by its number, the genesis event, the key file.
fn refused(target: &Target, why: &OpenError) -> Judged<Answer> {
    let first = target.segment == Some(1);
    let holds = match why {
        OpenError::Genesis(_) | OpenError::UnfinishedCreation { .. } | OpenError::LogRolledBack { found: 0, .. } => {
            first
        }
        OpenError::Recovery(why) => match **why {
            RecoveryError::Corrupt { segment, .. }
            | RecoveryError::UnknownVersion { segment, .. }
            | RecoveryError::RequiredFlag { segment, .. }
            | RecoveryError::SegmentGap { expected: segment, .. }
            | RecoveryError::ForeignSegment { segment, .. } => Some(segment) == target.segment,
            _ => false,
        },
        OpenError::LogRolledBack { .. } => target.segment.is_some(),
        OpenError::Provider(ProviderError::KeyFile { .. } | ProviderError::KeyFileMissing { .. }) => {
            target.kind == FileKind::KeyFile
        }
        _ => false,
    };
    if holds { Ok(Answer::Refused) } else { wrong(why) }
}

/// Reads every event below a position; false when one is refused or its key is lost, an error when one is another than was written.
fn readable(subject: &Subject, store: &Store, visible: u64) -> Judged<bool> {
    let mut whole = true;
    for position in 0..visible {
        match (store.at(position), subject.events.get(position as usize)) {
            (Err(_), _) => whole = false,
            (Ok(Some(found)), Some(event)) if found == *event => {}
            (Ok(Some(found)), Some(event)) if is_lost(&found, event) => whole = false,
            found => return wrong(found),
        }
    }
    Ok(whole)
}

/// Looks events up by everything that they are indexed by, as far as they can be read; false when a lookup is refused.
fn lookups(subject: &Subject, store: &Store, visible: u64) -> Judged<bool> {
    let mut whole = true;
    let listed = |pick: &dyn Fn(&Event) -> bool| {
        let listed = subject.events.iter().filter(|event| pick(event)).map(|event| event.header.position);
        listed.filter(|position| *position < visible).collect::<Vec<_>>()
    };
    let ids: Vec<_> = subject.events.iter().map(|event| event.header.id).collect();
    for (id, event) in ids.iter().zip(&subject.events) {
        let (header, entity) = (&event.header, event.header.coordinate.entity());
        whole &= same(store.position_of(*id), &Some(header.position).filter(|position| *position < visible))?;
        let caused = listed(&|other| other.header.causes.iter().any(|cause| cause.id == *id));
        whole &= same(store.caused_by(*id), &caused)?;
        whole &= same(store.correlated(*id), &listed(&|other| other.header.correlation == Some(*id)))?;
        let stream = listed(&|other| other.header.coordinate.entity() == entity);
        let read = store
            .stream(entity, 0)
            .and_then(|events| events.map(|event| Ok(event?.header.position)).collect::<Result<Vec<_>, _>>());
        whole &= same(read, &stream)?;
        if subject.sealed && entity != SYSTEM_ENTITY {
            let keys = |event: &Event| event.header.encryption.map(|encryption| encryption.key_id);
            let live = |event: &&Event| {
                event.header.coordinate.entity() == entity
                    && event.header.position < visible
                    && event.payload.open().is_some()
            };
            let expected: BTreeSet<_> = subject.events.iter().filter(live).filter_map(keys).collect();
            let planned = store.plan_shred(&[Selector::Entity(entity.into())]);
            let planned = planned.map(|plan| plan.key_scopes.iter().flat_map(|scope| scope.keys.clone()).collect());
            whole &= same(planned, &expected)?;
        }
    }
    Ok(whole)
}

/// A lookup is answered as it was before, or refused.
fn same<T: PartialEq + std::fmt::Debug, E: std::fmt::Debug>(found: Result<T, E>, expected: &T) -> Judged<bool> {
    match found {
        Err(_) => Ok(false),
        Ok(found) if found == *expected => Ok(true),
        Ok(found) => wrong((found, expected)),
    }
}

/// After an append, and after an open of its own.
fn readable_again(subject: &Subject, store: &Store, visible: u64) -> Judged {
    let visible = visible.min(subject.events.len() as u64);
    readable(subject, store, visible).map(drop)
}

fn is_lost(found: &Event, event: &Event) -> bool {
    matches!(found.payload, batpak_store::Payload::KeyLost(_))
        && (&found.header, found.event_hash()) == (&event.header, event.event_hash())
}

fn verified(store: &Store) -> Judged<VerifyReport> {
    store.verify(VerifyOptions::full(), &mut |_| {}).map_err(|why| Answer::Wrong(format!("{why:?}")))
}

/// An append that must not follow an event of this kind, scope or tag is refused for the newest one.
fn conditions(subject: &Subject, store: &Store, visible: u64) -> Judged<bool> {
    let mut whole = true;
    let callers = || subject.events.iter().filter(|event| !event.header.kind.is_reserved());
    for event in callers().filter(|event| event.header.position < visible) {
        let newest = |has: &dyn Fn(&EventHeader) -> bool| {
            callers()
                .rfind(|other| other.header.position < visible && has(&other.header))
                .map(|other| other.header.position)
        };
        let (kind, scope) = (event.header.kind, event.header.coordinate.scope());
        whole &= refuses(store, QueryItem::any().kind(kind), newest(&|header| header.kind == kind))?;
        let scoped = newest(&|header| header.coordinate.scope() == scope);
        whole &= refuses(store, QueryItem::any().scope(scope), scoped)?;
        for tag in event.header.tags.iter() {
            let tagged = newest(&|header| header.tags.iter().any(|has| has == tag));
            whole &= refuses(store, QueryItem::any().tag(tag), tagged)?;
        }
    }
    Ok(whole)
}

fn refuses(store: &Store, item: QueryItem, newest: Option<u64>) -> Judged<bool> {
    let conditional = || store.append(&event("on", b"never").condition(AppendCondition::fail_if(item.clone())));
    let answer = match conditional() {
        // It is made again.
        Err(AppendError::Read(ReadError::IndexDamaged { .. })) => conditional(),
        answer => answer,
    };
    match answer {
        Err(AppendError::ConditionFailed { position }) if Some(position) == newest => Ok(true),
        Err(AppendError::Read(ReadError::Damaged { .. })) => Ok(false),
        other => wrong(other),
    }
}

/// A store that opened takes events.
fn goes_on(store: &Store) -> Judged {
    let receipt = append(store, "on", b"on");
    match store.at(receipt.position) {
        Ok(Some(event)) if event.payload.open().is_some_and(|bytes| bytes.as_ref() == b"on") => Ok(()),
        found => wrong(found),
    }
}

fn files(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = place.files();
    if place.disk.exists(&place.key_file()).unwrap() {
        files.push((place.key_file(), place.read(&place.key_file())));
    }
    files
}

/// A refusal, and a reader, leave every file as it is; a writer makes the lock file again before it looks further.
fn same_files(place: &Place, before: &[(PathBuf, Vec<u8>)], but: &str) -> Judged {
    let now: Vec<_> = files(place).into_iter().filter(|(path, _)| !path.ends_with(but)).collect();
    let before: Vec<_> = before.iter().filter(|(path, _)| !path.ends_with(but)).cloned().collect();
    if now == before { Ok(()) } else { wrong("files were changed") }
}
