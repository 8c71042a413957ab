//! Accepted losses: a keyset that is gone, and a keyset or a log that is older than the other.
//!
//! Invariants: nothing is accepted that the caller did not name. What was accepted is an event, synced before anything is changed,
//! so that an acceptance cut short is on record and is asked for again. A new or older keyset mints from page numbers that no event
//! can name, and never under an epoch that was used.

use batpak_format::{ChainHash, KeyId, KeyLossAccepted, KeyRun, Record, RollbackAccepted, RolledBack};
use batpak_keyset::{CreateKeyset, Granularity, Keyset, LogSeen};
use batpak_segment::{Access, Recovered, RecoveryMode, SEGMENTS_DIR, make_durable};

use crate::{
    Durability, OpenError, OpenReport, Query, ReadError, Store, keys_destroyed::runs_of, keyset_files::NewCopy,
    layout::refused, log_scan::LogScan, open::Opening,
};

/// What a caller accepts when a store is opened for writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) key_loss: bool,
    pub(crate) keyset_rollback: bool,
    pub(crate) log_rollback: bool,
}

/// Puts a refusal that the caller accepts on record and mends what it is about; every other refusal stays one.
pub(crate) fn accept(opening: &Opening<'_>, why: OpenError) -> Result<(), OpenError> {
    let accepted = opening.config.accepted;
    match why {
        OpenError::KeysetMissing if accepted.key_loss => key_loss(opening),
        OpenError::KeysetRolledBack { .. } if accepted.keyset_rollback => rollback(opening, RolledBack::Keyset),
        OpenError::LogRolledBack { .. } if accepted.log_rollback => rollback(opening, RolledBack::Log),
        why => Err(why),
    }
}

/// The keyset is gone: every key that an event names is lost, and a new keyset begins above all of them.
fn key_loss(opening: &Opening<'_>) -> Result<(), OpenError> {
    let config = opening.config;
    let Some(provider) = config.encryption.provider() else { return Err(OpenError::KeysetMissing) };
    let _lock = opening.lock()?;
    let scan = record(opening, |store| {
        let runs = key_runs(store)?;
        Ok(Record::KeyLossAccepted(KeyLossAccepted { first_position: 0, next_position: store.view().visible(), runs }))
    })?;
    let secret = provider.renew(&opening.context())?;
    let granularity = opening.info.granularity.unwrap_or(Granularity::Entity);
    let create = CreateKeyset { store: opening.info.store, granularity, provider: secret.record, secret_id: secret.id };
    let mut keyset = Keyset::create(create, &*config.entropy)?;
    raise(&mut keyset, &scan);
    keyset.skip_pages(&*config.entropy)?;
    keyset.rebase_applied(scan.last_intent());
    let refuse = || refused("make the keyset in", opening.dir);
    let copy = NewCopy::create(&*config.disk, opening.dir).map_err(refuse())?;
    keyset.set_identity(copy.identity().map_err(refuse())?);
    let publication = keyset.publication(&secret.root, seen(&scan.recovered), &*config.entropy)?;
    copy.finish(&publication).map_err(refuse())
}

/// One of the two is older: the keyset is raised above everything that the log names, and knows the log as it is.
fn rollback(opening: &Opening<'_>, what: RolledBack) -> Result<(), OpenError> {
    let _lock = opening.lock()?;
    let epoch = match opening.load_keys(Access::Read)? {
        Some(loaded) => loaded.keyset.epoch(),
        None => return Err(OpenError::KeysetMissing),
    };
    let scan = record(opening, |store| {
        let position = store.view().visible();
        Ok(Record::RollbackAccepted(RollbackAccepted { what, epoch, position }))
    })?;
    let Some(mut loaded) = opening.load_keys(Access::ReadWrite)? else { return Err(OpenError::KeysetMissing) };
    loaded.rewrite().map_err(refused("write the keyset in", opening.dir))?;
    raise(&mut loaded.keyset, &scan);
    loaded.keyset.skip_pages(&*opening.config.entropy)?;
    if what == RolledBack::Keyset && scan.last_intent() > loaded.keyset.applied() {
        // An older keyset derives what was destroyed since.
        let provider = opening.config.encryption.provider().ok_or(OpenError::EncryptionExpected)?;
        let context = opening.context();
        let secret = provider.store_next(&context, loaded.keyset.provider(), loaded.keyset.secret_id())?;
        loaded.apply(&scan.shreds, secret, seen(&scan.recovered), &context)?;
        provider.settle(&context, loaded.keyset.secret_id(), opening.config.clock.now())?;
    }
    loaded.keyset.rebase_applied(scan.last_intent());
    loaded.renew_page(seen(&scan.recovered), &*opening.config.entropy, opening.dir)
}

/// Appends a record to the log, without any key, and reads the log again.
fn record(opening: &Opening<'_>, make: impl FnOnce(&Store) -> Result<Record, ReadError>) -> Result<LogScan, OpenError> {
    let scan = opening.scan(RecoveryMode::Repair, None)?;
    if scan.recovered.clean_close.is_none() {
        let segments = opening.dir.join(SEGMENTS_DIR);
        make_durable(&*opening.config.disk, &segments, &scan.recovered)
            .map_err(refused("write the log in", &segments))?;
    }
    let store = opening.again().wake_writer(scan, None, OpenReport::default(), [None, None])?;
    let record = make(&store).map_err(|why| OpenError::Append(why.into()))?;
    store.append_system(&record, Durability::Synced).map_err(OpenError::Append)?;
    store.close().map_err(OpenError::Append)?;
    opening.scan(RecoveryMode::Repair, None)
}

/// All key ids that events name, as runs.
fn key_runs(store: &Store) -> Result<Vec<KeyRun>, ReadError> {
    let mut ids: Vec<KeyId> = Vec::new();
    for event in store.read(&Query::all().headers_only(true))? {
        ids.extend(event?.header.encryption.map(|encryption| encryption.key_id));
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(runs_of(&ids))
}

/// Counts as used what the log names.
fn raise(keyset: &mut Keyset, scan: &LogScan) {
    if let Some(highest) = scan.facts().key_id_max {
        keyset.raise_above(highest);
        keyset.raise_pages_above(highest.page());
    }
    keyset.raise_epoch_above(scan.epoch_max());
}

fn seen(recovered: &Recovered) -> LogSeen {
    let chain_hash: ChainHash = recovered.last_chain_hash;
    LogSeen { position: recovered.next_position, chain_hash }
}
