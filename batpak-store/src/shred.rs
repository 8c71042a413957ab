//! The shred: keys destroyed, durably and on the record, while every hash still verifies.
//!
//! Invariants: what can fail for want of space or of the provider comes before the intent; once the intent is durable the shred can only
//! be finished, by this call, by a later one, or by the next open for writing. Reads answer Shredded from the durable intent on. No lock
//! is held while the disk or the provider works, but the publication turn.

use batpak_format::{KeyId, KeyRun, Record, SHRED_TARGETS_MAX, ShredIntent, ShredTarget};
use batpak_keyset::{ExtentRewrite, Frontiers, KeyScope, KeysetError};

use crate::{
    Destruction, Pending, PlanHash, Selector, ShredError, Store, Unfinished,
    commit::Condemns,
    keys_destroyed::runs_of,
    pending::{Begun, Finished, ShredTurn},
    plan::PlanCheck,
    secret::NewSecret,
    selection::Selection,
    selector::{check_reference, selected},
    sync::read,
    victims::{Victim, Victims},
};

/// What a shred destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shredding {
    /// Position of the intent, of the last one when they are a batch: from here on the keys' events read as shredded.
    pub intent: u64,
    /// Position of the completion.
    pub completion: u64,
    /// The key scopes that were shredded, those without a key too.
    pub key_scopes: Vec<KeyScope>,
    /// The key scopes that were named as well and are kept, because they are held.
    pub withheld: Vec<KeyScope>,
    /// How many keys of theirs were destroyed.
    pub keys: u64,
    /// How many keys stand on pages that the keyset does not know or cannot read: a copy of them elsewhere may live on.
    pub unreachable: u64,
    /// What the destruction is worth against old copies.
    pub destruction: Destruction,
}

/// What the caller says of a shred.
struct Grounds<'a> {
    reason: u16,
    reference: &'a str,
    /// Nothing else may be destroyed than this plan says.
    planned: Option<&'a PlanHash>,
}

/// What a shred has made ready before its intent.
pub(crate) struct Prepared {
    victims: Victims,
    /// How many of the victims' keys can be derived now.
    derivable: u64,
    pub(crate) keys: Vec<KeyId>,
    pub(crate) intents: Vec<ShredIntent>,
    pub(crate) frontiers: Frontiers,
    pub(crate) secret: NewSecret,
    plan: Option<PlanCheck>,
}

impl Store {
    /// Destroys the keys of everything that the selectors name and that is not held, and returns when they are gone from the keyset,
    /// from both its copies and from this process, and the provider has destroyed the old root secret.
    ///
    /// `reason` is the caller's own code; `reference`, at most 64 bytes, is kept in the log for ever and in clear. Afterwards the key
    /// scopes take no new events until [`Store::readmit`].
    ///
    /// # Errors
    /// [`ShredError`]. After [`ShredError::Pending`] reads answer Shredded already; [`Store::resume`] finishes it, and so does the next
    /// open for writing.
    pub fn shred(&self, selectors: &[Selector], reason: u16, reference: &str) -> Result<Shredding, ShredError> {
        self.shred_on(selectors, &Grounds { reason, reference, planned: None })
    }

    /// Shreds as [`Store::shred`] does, but only what [`Store::plan_shred`] said: not an event more or less.
    ///
    /// # Errors
    /// [`ShredError::PlanChanged`] when what would be destroyed or left out is not what was planned; and as [`Store::shred`].
    pub fn shred_planned(
        &self,
        selectors: &[Selector],
        plan: &PlanHash,
        reason: u16,
        reference: &str,
    ) -> Result<Shredding, ShredError> {
        self.shred_on(selectors, &Grounds { reason, reference, planned: Some(plan) })
    }

    fn shred_on(&self, selectors: &[Selector], grounds: &Grounds<'_>) -> Result<Shredding, ShredError> {
        check_reference(grounds.reference)?;
        let turn = self.shred_turn()?;
        let selection = selected(turn.keys.granularity, selectors)?;
        let marked = turn.keys.mark(&selection);
        let prepared = self.prepare(&turn, &selection, grounds)?;
        let victims = prepared.victims.clone();
        let (keys, unreachable) = (prepared.derivable, prepared.frontiers.unreachable());
        let intent = self.point_of_no_return(&turn, &selection, prepared, grounds)?;
        let finished = self.finish(&turn)?;
        drop(marked);
        let Some(Finished { completion, destruction, .. }) = finished else {
            return Err(not_staged(intent));
        };
        Ok(Shredding {
            intent,
            completion,
            key_scopes: victims.scopes.into_iter().map(|victim| victim.scope).collect(),
            withheld: victims.withheld,
            keys,
            unreachable,
            destruction,
        })
    }

    /// Everything that can fail for want of space, of randomness or of the provider; nothing is destroyed yet.
    fn prepare(
        &self,
        turn: &ShredTurn<'_>,
        selection: &Selection,
        grounds: &Grounds<'_>,
    ) -> Result<Prepared, ShredError> {
        turn.writer.pipeline.sync_all()?;
        let victims = self.victims(turn.keys, selection)?;
        let plan = match grounds.planned {
            Some(planned) => Some(self.check_plan(turn, selection, &victims, planned)?),
            None => None,
        };
        match (victims.scopes.is_empty(), victims.withheld.is_empty()) {
            (true, true) => return Err(ShredError::Nothing),
            (true, false) => return Err(ShredError::Withheld { key_scopes: victims.withheld }),
            (false, _) => {}
        }
        let keys = victims.keys();
        let derivable = turn.keys.derivable(&keys);
        let unframed = turn.keys.unframed();
        let runs: Vec<KeyRun> = runs_of(&keys).into_iter().chain(unframed.iter().copied()).collect();
        let frontiers = turn.keys.beside(&runs, ExtentRewrite::WithNext)?;
        let shared = ShredIntent {
            granularity: turn.keys.granularity.code(),
            previous_intent: read(&turn.keys.shreds).last(),
            epoch: turn.keys.epoch(),
            reason: grounds.reason,
            reference: grounds.reference.to_owned(),
            targets: Vec::new(),
            withheld: Vec::new(),
        };
        let intents = intents(&shared, &victims, unframed);
        let secret = turn.keys.next_secret(turn.provider, &self.provider_context());
        let secret = secret.inspect_err(|_| turn.keys.abandon(&frontiers))?;
        Ok(Prepared { victims, derivable, keys, intents, frontiers, secret, plan })
    }

    fn check_plan(
        &self,
        turn: &ShredTurn<'_>,
        selection: &Selection,
        victims: &Victims,
        planned: &PlanHash,
    ) -> Result<PlanCheck, ShredError> {
        let (found, check) = self.planned(turn.keys, selection, victims)?;
        if found.hash == *planned {
            Ok(check)
        } else {
            Err(ShredError::PlanChanged { found: found.hash, planned: *planned })
        }
    }

    /// The intent, synced, and the image that carries it out, in one publication turn. Returns the intent's position.
    fn point_of_no_return(
        &self,
        turn: &ShredTurn<'_>,
        selection: &Selection,
        prepared: Prepared,
        grounds: &Grounds<'_>,
    ) -> Result<u64, ShredError> {
        #[cfg(batpak_defects)]
        if crate::misordered::is_seeded() {
            return self.misordered(turn, prepared);
        }
        let Prepared { keys: victims, intents, frontiers, secret, plan, .. } = prepared;
        let keys = turn.keys;
        let holds = |index: &_| plan.as_ref().map_or(Ok(true), |plan| plan.holds(index));
        let condemns = Condemns { keys: &victims, holds: &holds };
        keys.in_publication_turn(|durable| {
            let records: Vec<Record> = intents.into_iter().map(Record::ShredIntent).collect();
            let receipts = match self.append_intents(&records, &condemns) {
                Ok(Some(receipts)) => receipts,
                Ok(None) => {
                    keys.abandon(&frontiers);
                    return Err(self.changed(turn, selection, grounds));
                }
                Err(why) => {
                    keys.pardon();
                    keys.abandon(&frontiers);
                    return Err(why.into());
                }
            };
            let positions = receipts.iter().map(|receipt| receipt.position);
            let intent = positions.clone().max().unwrap_or_default();
            keys.record_intents(positions.zip(&records));
            let pending = |why| ShredError::Pending { intent, source: Unfinished::Publication(why) };
            let begun = Begun::new(Pending::Shred { intent }, victims.clone(), frontiers.unreachable());
            keys.stage(begun, frontiers, Some(intent), secret).map_err(pending)?;
            keys.publish_staged(turn.writer.pipeline.log_seen(), durable).map_err(pending)?;
            Ok(intent)
        })
    }

    /// An event was placed under a planned key scope between the look at the plan and the intent.
    fn changed(&self, turn: &ShredTurn<'_>, selection: &Selection, grounds: &Grounds<'_>) -> ShredError {
        match (self.victims(turn.keys, selection), grounds.planned) {
            (Ok(victims), Some(planned)) => match self.planned(turn.keys, selection, &victims) {
                Ok((plan, _)) => ShredError::PlanChanged { found: plan.hash, planned: *planned },
                Err(why) => why.into(),
            },
            (Err(why), _) => why.into(),
            (Ok(_), None) => ShredError::Nothing,
        }
    }
}

/// One intent, or as many as the lists need, of which each but the last is full. Leaves that no event names go under no key scope.
fn intents(shared: &ShredIntent, victims: &Victims, unframed: Vec<KeyRun>) -> Vec<ShredIntent> {
    let target =
        |victim: &Victim| ShredTarget { key_scope: victim.scope.as_bytes().into(), runs: runs_of(&victim.keys) };
    let mut targets: Vec<ShredTarget> = victims.scopes.iter().map(target).collect();
    if !unframed.is_empty() {
        targets.push(ShredTarget { key_scope: Box::default(), runs: unframed });
    }
    let withheld: Vec<Box<[u8]>> = victims.withheld.iter().map(|scope| scope.as_bytes().into()).collect();
    let count = targets.len().max(withheld.len()).div_ceil(SHRED_TARGETS_MAX);
    let (mut targets, mut withheld) = (targets.into_iter(), withheld.into_iter());
    let mut intent = || ShredIntent {
        targets: targets.by_ref().take(SHRED_TARGETS_MAX).collect(),
        withheld: withheld.by_ref().take(SHRED_TARGETS_MAX).collect(),
        ..shared.clone()
    };
    (0..count).map(|_| intent()).collect()
}

fn not_staged(intent: u64) -> ShredError {
    ShredError::Pending { intent, source: Unfinished::Publication(KeysetError::NothingStaged.into()) }
}
