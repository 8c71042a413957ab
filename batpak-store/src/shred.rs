//! The shred: keys destroyed, durably and on the record, while every hash still verifies.
//!
//! Invariants: what can fail for want of space or of the provider comes before the intent; once the intent is durable the shred can only
//! be finished, by this call or by the next open for writing. Reads answer Shredded from the durable intent on. No lock is held while
//! the disk or the provider works, but the publication turn.

use batpak_format::{
    Coordinate, CoordinateError, EventId, EventKind, KeyId, KeyRun, REFERENCE_BYTES_MAX, Record, SYSTEM_ENTITY,
    ScopeReadmitted, ShredCompleted, ShredIntent, ShredTarget, Timestamp,
};
use batpak_keyset::{ExtentRewrite, Frontiers, Granularity, KeyScope, scope_for};

use crate::{
    AppendError, Destruction, Durability, OpenError, ProviderError, PublishError, Query, ReadError, Store,
    keys::Keys,
    keys_destroyed::runs_of,
    secret::{NewSecret, ProviderContext, RootSecretProvider},
    selection::Selection,
    sync::{lock, read, write},
    writer::Writer,
};

/// The most key scopes of one shred.
const SCOPES_MAX: usize = 1 << 16;
/// A name where a selector does not look at it.
const ANY: &str = "any";

/// Names events whose keys are to be destroyed: all the key scopes that lie within it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selector {
    /// Every event of a category, 0 to 15.
    Category(u8),
    /// Every event at a coordinate.
    Coordinate(Coordinate),
    /// Every event of an entity.
    Entity(String),
    /// One event.
    Event(EventId),
    /// Every event of a kind.
    Kind(EventKind),
    /// Every event of a scope.
    Scope(String),
}

/// What a shred destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shredding {
    /// Position of the intent: from here on the keys' events read as shredded.
    pub intent: u64,
    /// Position of the completion.
    pub completion: u64,
    /// The key scopes that were shredded, those without a key too.
    pub key_scopes: Vec<KeyScope>,
    /// How many keys were destroyed.
    pub keys: u64,
    /// How many keys stand on pages that the keyset does not know or cannot read: a copy of them elsewhere may live on.
    pub unreachable: u64,
    /// What the destruction is worth against old copies.
    pub destruction: Destruction,
}

/// Why a shred or a readmission failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShredError {
    /// The event of the store itself could not be written. Nothing was destroyed, unless the source says that reopening decides.
    #[error("the shred could not be put on record")]
    Append(#[from] AppendError),
    /// A name of a selector is not valid.
    #[error("the selector is not valid")]
    Name(#[from] CoordinateError),
    /// No event that the selectors name has a key, and no key scope can be refused ahead.
    #[error("nothing is there to be shredded")]
    Nothing,
    /// The intent is on record and its keys are not all destroyed yet: open the store again, which finishes it.
    #[error("the shred of the intent at position {intent} is pending: close the store and open it for writing")]
    Pending {
        /// Position of the intent.
        intent: u64,
        /// What kept it from being finished.
        source: Unfinished,
    },
    /// The store's own events are never sealed and never shredded.
    #[error("the store's own events have no keys: name an entity, kind or category of callers")]
    Reserved,
    /// The keyset may be sealed under the new root secret already: open the store again, which finishes it.
    #[error("the rekey is pending: close the store and open it for writing")]
    RekeyPending(#[source] Unfinished),
    /// A plaintext store has no keys.
    #[error("the store is in plaintext: there is no key to destroy")]
    Plaintext,
    /// The provider of the root secret refused; nothing was destroyed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The new frontiers could not be made durable; nothing was destroyed.
    #[error("the keyset could not be prepared for the shred")]
    Prepare(#[from] PublishError),
    /// The events could not be read that the selectors name.
    #[error("the events could not be read")]
    Read(#[from] ReadError),
    /// The reference is too long.
    #[error("the reference has {bytes} bytes, at most 64 are kept, for ever and in clear")]
    ReferenceTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// More key scopes than one shred takes.
    #[error("{scopes} key scopes, one shred takes at most 65,536: name fewer")]
    TooMany {
        /// How many were named.
        scopes: usize,
    },
    /// The selector cuts through key scopes.
    #[error("the store has one key per {granularity}, so nothing can be shredded by {asked}")]
    WrongGranularity {
        /// What the store was created with.
        granularity: Granularity,
        /// What the selector names.
        asked: Granularity,
    },
}

/// What kept a shred from being finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unfinished {
    /// The completion could not be written.
    #[error("its completion could not be written")]
    Completion(#[source] AppendError),
    /// The provider could not destroy the old root secret.
    #[error("the old root secret could not be destroyed")]
    Provider(#[source] ProviderError),
    /// The keyset could not be published.
    #[error("the keyset could not be published")]
    Publication(#[source] PublishError),
}

/// What a shred has made ready before its intent.
struct Prepared {
    victims: Vec<(KeyScope, Vec<KeyId>)>,
    keys: Vec<KeyId>,
    intent: ShredIntent,
    frontiers: Frontiers,
    secret: NewSecret,
}

impl Store {
    /// Destroys the keys of everything that the selectors name, and returns when they are gone from the keyset, from both its copies
    /// and from this process, and the provider has destroyed the old root secret.
    ///
    /// `reason` is the caller's own code; `reference`, at most 64 bytes, is kept in the log for ever and in clear. Afterwards the key
    /// scopes take no new events until [`Store::readmit`].
    ///
    /// # Errors
    /// [`ShredError`]. After [`ShredError::Pending`] reads answer Shredded already, and the next open for writing finishes it.
    pub fn shred(&self, selectors: &[Selector], reason: u16, reference: &str) -> Result<Shredding, ShredError> {
        let writer = self.writer()?;
        let (Some(keys), Some(provider)) = (writer.keys.as_deref(), self.config.encryption.provider()) else {
            return Err(ShredError::Plaintext);
        };
        if reference.len() > REFERENCE_BYTES_MAX {
            return Err(ShredError::ReferenceTooLong { bytes: reference.len() });
        }
        let selection = self.selected(keys, selectors)?;
        let _turn = lock(&writer.shred_turn);
        keys.mark(&selection);
        let shredding = self.shred_marked(writer, keys, &**provider, &selection, reason, reference);
        keys.unmark();
        shredding
    }

    /// Lets a shredded key scope, or one whose key is lost, take new keys. What was shredded stays shredded.
    ///
    /// # Errors
    /// [`ShredError::WrongGranularity`] when the selector does not name a key scope of this store; [`ShredError::Append`].
    pub fn readmit(&self, selector: &Selector) -> Result<(), ShredError> {
        let writer = self.writer()?;
        let keys = writer.keys.as_deref().ok_or(ShredError::Plaintext)?;
        let scope = key_scope(selector)?;
        if scope.granularity() != keys.granularity {
            return Err(ShredError::WrongGranularity { granularity: keys.granularity, asked: scope.granularity() });
        }
        let _turn = lock(&writer.shred_turn);
        let record = Record::ScopeReadmitted(ScopeReadmitted { key_scope: scope.as_bytes().into() });
        self.append_system(&record, Durability::Synced)?;
        write(&keys.shreds).readmit(scope.as_bytes());
        Ok(())
    }

    fn selected(&self, keys: &Keys, selectors: &[Selector]) -> Result<Selection, ShredError> {
        let selected = selectors.iter().map(key_scope).collect::<Result<Vec<_>, _>>()?;
        match selected.iter().map(KeyScope::granularity).find(|asked| !asked.covers(keys.granularity)) {
            Some(asked) => Err(ShredError::WrongGranularity { granularity: keys.granularity, asked }),
            None => Ok(Selection::new(keys.granularity, selected)),
        }
    }

    fn shred_marked(
        &self,
        writer: &Writer,
        keys: &Keys,
        provider: &dyn RootSecretProvider,
        selection: &Selection,
        reason: u16,
        reference: &str,
    ) -> Result<Shredding, ShredError> {
        writer.pipeline.sync_all()?;
        let prepared = self.prepare(keys, provider, selection, reason, reference)?;
        let victims = prepared.victims.clone();
        let (destroyed, unreachable) = (prepared.frontiers.destroyed(), prepared.frontiers.unreachable());
        let (intent, epoch) = self.point_of_no_return(writer, keys, prepared)?;
        let pending = |source| ShredError::Pending { intent, source };
        keys.adopt(&victims).map_err(|why| pending(Unfinished::Publication(why)))?;
        let secret_id = keys.with_state(|state| state.keyset.secret_id());
        let destruction = provider
            .settle(&self.provider_context(), secret_id, writer.clock.now())
            .map_err(|why| pending(Unfinished::Provider(why)))?;
        let completed = completed(intent, epoch, provider, destruction, unreachable);
        let completion =
            self.append_system(&completed, Durability::Synced).map_err(|why| pending(Unfinished::Completion(why)))?;
        Ok(Shredding {
            intent,
            completion: completion.position,
            key_scopes: victims.into_iter().map(|(scope, _)| scope).collect(),
            keys: destroyed,
            unreachable,
            destruction,
        })
    }

    /// Everything that can fail for want of space, of randomness or of the provider; nothing is destroyed yet.
    fn prepare(
        &self,
        keys: &Keys,
        provider: &dyn RootSecretProvider,
        selection: &Selection,
        reason: u16,
        reference: &str,
    ) -> Result<Prepared, ShredError> {
        let victims = match keys.granularity {
            Granularity::Event => self.events_of(keys, selection)?,
            _ => keys.victims(selection, self.view()),
        };
        if victims.is_empty() {
            return Err(ShredError::Nothing);
        }
        if victims.len() > SCOPES_MAX {
            return Err(ShredError::TooMany { scopes: victims.len() });
        }
        let mut all: Vec<KeyId> = victims.iter().flat_map(|(_, keys)| keys.iter().copied()).collect();
        all.sort_unstable();
        let frontiers = keys.beside(&runs_of(&all), ExtentRewrite::WithNext)?;
        let targets = victims.iter().map(|(scope, keys)| target(scope, &runs_of(keys))).collect();
        let intent = ShredIntent {
            granularity: keys.granularity.code(),
            previous_intent: read(&keys.shreds).last(),
            epoch: keys.epoch(),
            reason,
            reference: reference.to_owned(),
            targets,
            withheld: Vec::new(),
        };
        let secret = keys.next_secret(provider, &self.provider_context());
        let secret = secret.inspect_err(|_| keys.abandon(&frontiers))?;
        Ok(Prepared { victims, keys: all, intent, frontiers, secret })
    }

    /// The intent, synced, and the image that carries it out, in one publication turn. Returns the intent's position and the epoch.
    fn point_of_no_return(&self, writer: &Writer, keys: &Keys, prepared: Prepared) -> Result<(u64, u64), ShredError> {
        keys.in_publication_turn(|durable| {
            let record = Record::ShredIntent(prepared.intent);
            let appended = self.append_condemning(&record, Durability::Synced, &prepared.keys);
            let Record::ShredIntent(intent) = record else { return Err(ShredError::Nothing) };
            let position = match appended {
                Ok(receipt) => receipt.position,
                Err(why) => {
                    keys.pardon();
                    keys.abandon(&prepared.frontiers);
                    return Err(why.into());
                }
            };
            keys.record_intent(position, &intent);
            let seen = writer.pipeline.log_seen();
            keys.publish_frontiers(prepared.frontiers, Some(position), prepared.secret, seen, durable)
                .map_err(|why| ShredError::Pending { intent: position, source: Unfinished::Publication(why) })?;
            Ok((position, keys.epoch()))
        })
    }

    /// Puts on record that an open has finished a shred.
    pub(crate) fn complete_shred(&self, intent: Option<u64>) -> Result<(), OpenError> {
        let (Some(intent), Some(keys), Some(provider)) = (intent, self.keys(), self.config.encryption.provider())
        else {
            return Ok(());
        };
        let destruction = provider.settle(
            &self.provider_context(),
            keys.with_state(|state| state.keyset.secret_id()),
            self.config.clock.now(),
        )?;
        let record = completed(intent, keys.epoch(), &**provider, destruction, 0);
        self.append_system(&record, Durability::Synced).map_err(OpenError::Append)?;
        Ok(())
    }

    /// With a key for each event, the events that selectors name and that are not shredded yet.
    fn events_of(&self, keys: &Keys, selection: &Selection) -> Result<Vec<(KeyScope, Vec<KeyId>)>, ReadError> {
        let mut victims = Vec::new();
        for event in self.read(&Query::all().headers_only(true))? {
            let header = event?.header;
            let Some(encryption) = header.encryption else { continue };
            let of = |granularity| scope_for(granularity, &header.coordinate, header.kind, header.id);
            let scope = of(Granularity::Event);
            let named =
                selection.covers(&scope) || selection.coarser().any(|selector| of(selector.granularity()) == *selector);
            if named && read(&keys.shreds).intent(&scope, encryption.key_id).is_none() {
                victims.push((scope, vec![encryption.key_id]));
            }
        }
        Ok(victims)
    }

    pub(crate) fn provider_context(&self) -> ProviderContext<'_> {
        let config = &self.config;
        ProviderContext { store: self.info.store, dir: &self.dir, disk: &*config.disk, entropy: &*config.entropy }
    }
}

/// The record of a shred that is done.
pub(crate) fn completed(
    intent: u64,
    epoch: u64,
    provider: &dyn RootSecretProvider,
    destruction: Destruction,
    unreachable: u64,
) -> Record {
    let (code, effective_at): (u8, Option<Timestamp>) = match destruction {
        Destruction::LiveFilesOnly => (1, None),
        Destruction::OldCopiesNotCovered => (2, None),
        Destruction::OldCopiesDeadFrom(time) => (3, Some(time)),
    };
    Record::ShredCompleted(ShredCompleted {
        intent,
        epoch,
        provider_kind: provider.kind().code(),
        destruction: code,
        effective_at,
        unreachable: u32::try_from(unreachable).unwrap_or(u32::MAX),
    })
}

fn target(scope: &KeyScope, runs: &[KeyRun]) -> ShredTarget {
    ShredTarget { key_scope: scope.as_bytes().into(), runs: runs.to_vec() }
}

/// The key scope that a selector is, whatever the granularity of the store.
fn key_scope(selector: &Selector) -> Result<KeyScope, ShredError> {
    let (any_kind, any_id) = (EventKind::from_u16(0), EventId::from_bytes([0; 16]));
    let named = |granularity, entity: &str, scope: &str| {
        Ok(scope_for(granularity, &Coordinate::new(entity, scope)?, any_kind, any_id))
    };
    let any = || Coordinate::new(ANY, ANY);
    let own = match selector {
        Selector::Category(category) => EventKind::new(*category, 0).map_or(true, EventKind::is_reserved),
        Selector::Coordinate(at) => at.is_system(),
        Selector::Entity(entity) => entity == SYSTEM_ENTITY,
        Selector::Kind(kind) => kind.is_reserved(),
        Selector::Event(_) | Selector::Scope(_) => false,
    };
    if own {
        return Err(ShredError::Reserved);
    }
    match selector {
        Selector::Entity(entity) => named(Granularity::Entity, entity, ANY),
        Selector::Scope(scope) => named(Granularity::Scope, ANY, scope),
        Selector::Coordinate(at) => named(Granularity::Coordinate, at.entity(), at.scope()),
        Selector::Event(id) => Ok(scope_for(Granularity::Event, &any()?, any_kind, *id)),
        Selector::Kind(kind) => Ok(scope_for(Granularity::Kind, &any()?, *kind, any_id)),
        Selector::Category(category) => {
            let kind = EventKind::new(*category, 0).unwrap_or(any_kind);
            Ok(scope_for(Granularity::Category, &any()?, kind, any_id))
        }
    }
}
