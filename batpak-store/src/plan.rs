//! Shredding in two steps: what a shred would destroy, and a hash that it is carried out by only while that is still so.
//!
//! Invariant: the hash covers everything that the shred would destroy or leave out, so that whoever approved a plan approved exactly
//! what is then destroyed: one event more, and it is another plan.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    str::FromStr,
};

use batpak_format::{Coordinate, KeyId, StoreId};
use batpak_keyset::{Granularity, KeyScope, scope_for};

use crate::{
    ReadError, Selector, ShredError, Store,
    defect::{Defect, seeded},
    index::{LogIndex, Walked},
    keys::Keys,
    selection::Selection,
    selector::selected,
    sync::read,
    victims::{Victim, Victims},
};

const TAG: &[u8] = b"batpak-store v1 shred plan";
/// Events are looked at in pieces of so many, so that nobody waits long for the index.
const PIECE: u64 = 1 << 14;

/// What a shred would destroy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShredPlan {
    /// The key scopes that would be shredded, in the order of their canonical bytes.
    pub key_scopes: Vec<PlannedScope>,
    /// The key scopes that are named as well and held, so that they would be left out.
    pub withheld: Vec<KeyScope>,
    /// How many keys would be destroyed.
    pub keys: u64,
    /// How many events would read as shredded that do not now.
    pub events: u64,
    /// Stands for all of it, and for the store and the selectors.
    pub hash: PlanHash,
}

/// A key scope that would be shredded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedScope {
    /// The key scope.
    pub key_scope: KeyScope,
    /// Its keys that are not shredded yet; none when it would only be refused ahead.
    pub keys: Vec<KeyId>,
    /// How many events are sealed under them.
    pub events: u64,
    /// Position of the last of these events.
    pub last_position: Option<u64>,
}

/// Names a plan: BLAKE3 over its canonical bytes. Written as 64 hexadecimal digits.
///
/// The canonical bytes, numbers little-endian: a tag; store id; code of the granularity; the selectors as key scopes, sorted, each once;
/// the key scopes, each with its key ids (u64), the number of its events (u64) and the position behind the last of them (u64, 0 for
/// none); the key scopes that are held. Before each list stands its count, u64, and before each key scope its length, u16.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlanHash([u8; 32]);

/// Tells whether the log has gone on beyond a plan.
#[derive(Debug)]
pub(crate) struct PlanCheck {
    granularity: Granularity,
    scopes: HashSet<KeyScope>,
    /// Events below were looked at.
    seen: u64,
}

impl Store {
    /// Says what a shred by these selectors would destroy, and changes nothing. [`Store::shred_planned`] carries it out if it still
    /// holds then. It looks at every event in the index; no event is read, but with a key for each event.
    ///
    /// # Errors
    /// [`ShredError::Name`], [`ShredError::Reserved`], [`ShredError::WrongGranularity`], [`ShredError::Read`]; [`ShredError::Plaintext`]
    /// and [`ShredError::WithoutKeys`] for a store without keys. That nothing would be destroyed is a plan too.
    pub fn plan_shred(&self, selectors: &[Selector]) -> Result<ShredPlan, ShredError> {
        let refuse = if self.info.encrypted { ShredError::WithoutKeys } else { ShredError::Plaintext };
        let keys = self.keys().ok_or(refuse)?;
        let selection = selected(keys.granularity, selectors)?;
        self.refresh()?;
        Ok(self.planned(keys, &selection, &self.victims(keys, &selection)?)?.0)
    }

    /// The plan of a shred of these victims, and what tells whether it still holds.
    pub(crate) fn planned(
        &self,
        keys: &Keys,
        selection: &Selection,
        victims: &Victims,
    ) -> Result<(ShredPlan, PlanCheck), ReadError> {
        let granularity = keys.granularity;
        let planned = |victim: &Victim| PlannedScope {
            key_scope: victim.scope.clone(),
            keys: victim.keys.clone(),
            events: 0,
            last_position: None,
        };
        let mut key_scopes: Vec<PlannedScope> = victims.scopes.iter().map(planned).collect();
        let at: HashMap<&KeyScope, usize> = victims.scopes.iter().map(|victim| &victim.scope).zip(0..).collect();
        let seen = self.walk_all(&mut |event| {
            let Some(scope) = event.key_scope(granularity) else { return };
            let Some(at) = at.get(&scope).copied() else { return };
            if let (Some(planned), Some(victim)) = (key_scopes.get_mut(at), victims.scopes.get(at))
                && event.position >= victim.from
            {
                planned.events += 1;
                planned.last_position = Some(event.position);
            }
        })?;
        let hash = hash(self.info.store, granularity, selection, &key_scopes, &victims.withheld);
        let plan = ShredPlan {
            withheld: victims.withheld.clone(),
            keys: key_scopes.iter().map(|scope| scope.keys.len() as u64).sum(),
            events: key_scopes.iter().map(|scope| scope.events).sum(),
            hash,
            key_scopes,
        };
        let scopes = victims.scopes.iter().map(|victim| victim.scope.clone()).collect();
        Ok((plan, PlanCheck { granularity, scopes, seen }))
    }

    /// Goes through all events in the index, also those that are not written yet; returns where it ended.
    fn walk_all(&self, take: &mut dyn FnMut(Walked<'_>)) -> Result<u64, ReadError> {
        let mut from = 0;
        loop {
            let index = read(&self.view.index);
            let to = index.len().min(from + PIECE);
            index.walk(from..to, take)?;
            if to == index.len() {
                return Ok(to);
            }
            from = to;
        }
    }
}

impl PlanCheck {
    /// Tells whether no event of a planned key scope was placed since.
    pub(crate) fn holds(&self, index: &LogIndex) -> Result<bool, ReadError> {
        if seeded(Defect::PlanUnchecked) {
            return Ok(true);
        }
        let mut holds = true;
        index.walk(self.seen..index.len(), &mut |event| {
            holds &= event.key_scope(self.granularity).is_none_or(|scope| !self.scopes.contains(&scope));
        })?;
        Ok(holds)
    }
}

impl Walked<'_> {
    /// The key scope that an event of a caller belongs to.
    fn key_scope(&self, granularity: Granularity) -> Option<KeyScope> {
        if self.kind.is_reserved() {
            return None;
        }
        Some(scope_for(granularity, &Coordinate::new(self.entity, self.scope).ok()?, self.kind, self.id))
    }
}

fn hash(
    store: StoreId,
    granularity: Granularity,
    selection: &Selection,
    key_scopes: &[PlannedScope],
    withheld: &[KeyScope],
) -> PlanHash {
    let selectors: BTreeSet<&KeyScope> = selection.named().chain(selection.coarser()).collect();
    let mut hasher = blake3::Hasher::new();
    hasher.update(TAG).update(store.as_bytes()).update(&[granularity.code()]);
    put_scopes(&mut hasher, selectors.len(), selectors.into_iter());
    put_count(&mut hasher, key_scopes.len());
    for planned in key_scopes {
        put_scope(&mut hasher, &planned.key_scope);
        put_count(&mut hasher, planned.keys.len());
        for key_id in &planned.keys {
            hasher.update(&key_id.as_u64().to_le_bytes());
        }
        hasher.update(&planned.events.to_le_bytes());
        hasher.update(&planned.last_position.map_or(0, |last| last + 1).to_le_bytes());
    }
    put_scopes(&mut hasher, withheld.len(), withheld.iter());
    PlanHash(*hasher.finalize().as_bytes())
}

fn put_count(hasher: &mut blake3::Hasher, count: usize) {
    hasher.update(&(count as u64).to_le_bytes());
}

fn put_scopes<'s>(hasher: &mut blake3::Hasher, count: usize, scopes: impl Iterator<Item = &'s KeyScope>) {
    put_count(hasher, count);
    scopes.for_each(|scope| put_scope(hasher, scope));
}

fn put_scope(hasher: &mut blake3::Hasher, scope: &KeyScope) {
    let bytes = scope.as_bytes();
    let len = u16::try_from(bytes.len()).expect("a key scope has at most 2,053 bytes");
    hasher.update(&len.to_le_bytes()).update(bytes);
}

impl PlanHash {
    /// Returns the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlanHash({self})")
    }
}

/// What is no plan's hash: 64 hexadecimal digits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a plan's hash is 64 hexadecimal digits")]
#[expect(clippy::exhaustive_structs, reason = "nothing more is to be said")]
pub struct PlanHashError;

impl FromStr for PlanHash {
    type Err = PlanHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes())).map_err(|_| PlanHashError)
    }
}
