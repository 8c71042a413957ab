//! A certificate held against a log.
//!
//! Invariant: the certificate is made from the log once more and compared field by field, so nothing that it states is taken on trust.

use std::collections::BTreeMap;

use batpak_format::{Certificate, CertifiedEvent, CertifiedTarget, PositionRun};
use batpak_keyset::KeyScope;

use super::{CertificateField as Field, CertificateFinding as Finding, CertificateReport, issue::Issue};
use crate::{ReadError, Store};

/// What is said and what was found, where there is one.
type Pair<'a, T> = (Option<&'a T>, Option<&'a T>);

impl Store {
    /// Holds a certificate against this log, calling `progress` with the number of events done.
    ///
    /// It needs no key: a copy of the log is enough. The log is verified from genesis to the completion, and the certificate has to say
    /// what it says: the same store, chain, intents and completion, and exactly the events of these key scopes under these keys.
    /// What does not hold is in the report.
    ///
    /// # Errors
    /// [`ReadError`] when the log cannot be read.
    pub fn verify_certificate(
        &self,
        certificate: &Certificate,
        progress: &mut dyn FnMut(u64),
    ) -> Result<CertificateReport, ReadError> {
        self.refresh()?;
        let mut report = CertificateReport { sections_unread: certificate.sections.len(), ..Default::default() };
        if certificate.store != self.info.store {
            report.findings.push(Finding::OtherStore { named: certificate.store, found: self.info.store });
            return Ok(report);
        }
        let completion = certificate.completion.position;
        let intent = certificate.intents.last().map_or(completion, |intent| intent.position);
        let end = self.view().visible();
        let Some(shred) = self.shred_at(intent)? else {
            let cut = intent >= end;
            let finding = if cut {
                Finding::LogEnds { position: intent, end }
            } else {
                Finding::NotAnIntent { position: intent }
            };
            report.findings.push(finding);
            return Ok(report);
        };
        let mut issue = Issue::new(self, shred);
        let verified = self.walk_for(&mut issue, progress)?;
        report.events_read = verified.events + verified.system_events;
        report.findings.extend(verified.problems.into_iter().map(Finding::LogUnsound));
        match issue.finish() {
            Ok(Some(found)) => compare(certificate, &found, &mut report.findings),
            Ok(None) if completion >= end => report.findings.push(Finding::LogEnds { position: completion, end }),
            // A completion that fits no certificate is none.
            Ok(None) | Err(_) => report.findings.push(Finding::NotCompleted { intent }),
        }
        Ok(report)
    }
}

/// Compares what is said with what was found.
fn compare(said: &Certificate, found: &Certificate, findings: &mut Vec<Finding>) {
    let completion = found.completion.position;
    let intent = found.intents.last().map_or(completion, |intent| intent.position);
    let differ = [
        (Field::Created, said.created != found.created, 0),
        (Field::GenesisChainHash, said.genesis_chain_hash != found.genesis_chain_hash, 0),
        (Field::Granularity, said.granularity != found.granularity, intent),
        (Field::Reason, said.reason != found.reason, intent),
        (Field::Reference, said.reference != found.reference, intent),
        (Field::Provider, said.provider_kind != found.provider_kind, completion),
        (Field::Worth, said.worth != found.worth, completion),
        (Field::Unreachable, said.unreachable != found.unreachable, completion),
        (Field::Epoch, said.epoch != found.epoch, completion),
        (Field::EventsHash, said.events_hash != found.events_hash, intent),
        (Field::CompletionPosition, said.completion.position != completion, completion),
        (Field::CompletionTime, said.completion.time != found.completion.time, completion),
        (Field::CompletionChainHash, said.completion.chain_hash != found.completion.chain_hash, completion),
    ];
    let differ = differ.into_iter().filter(|(_, differs, _)| *differs);
    findings.extend(differ.map(|(field, _, position)| Finding::Differs { field, position }));
    compare_intents(&said.intents, &found.intents, findings);
    let scope = |target: &CertifiedTarget| target.key_scope.clone();
    for (key_scope, pair) in joined(&said.targets, &found.targets, scope) {
        compare_target(&key_scope, pair, intent, findings);
    }
    for (key_scope, pair) in joined(&said.withheld, &found.withheld, Clone::clone) {
        if !matches!(pair, (Some(_), Some(_))) {
            findings.push(of_scope(Field::Withheld, &key_scope, intent));
        }
    }
}

fn compare_intents(said: &[CertifiedEvent], found: &[CertifiedEvent], findings: &mut Vec<Finding>) {
    for at in 0..said.len().max(found.len()) {
        let (Some(said), Some(found)) = (said.get(at), found.get(at)) else {
            let one = said.get(at).or(found.get(at)).map_or(0, |intent| intent.position);
            findings.push(Finding::Differs { field: Field::IntentPosition, position: one });
            continue;
        };
        let differ = [
            (Field::IntentPosition, said.position != found.position),
            (Field::IntentTime, said.time != found.time),
            (Field::IntentChainHash, said.chain_hash != found.chain_hash),
        ];
        let differ = differ.into_iter().filter(|(_, differs)| *differs);
        findings.extend(differ.map(|(field, _)| Finding::Differs { field, position: found.position }));
    }
}

fn compare_target(key_scope: &[u8], pair: Pair<'_, CertifiedTarget>, intent: u64, findings: &mut Vec<Finding>) {
    let (Some(said), Some(found)) = pair else {
        findings.push(of_scope(Field::KeyScope, key_scope, intent));
        return;
    };
    if said.runs != found.runs {
        findings.push(of_scope(Field::KeyIds, key_scope, intent));
    }
    if said.events != found.events {
        let position = first_difference(&said.events, &found.events);
        findings.push(of_scope(Field::Events, key_scope, position));
    }
    if said.commitments != found.commitments {
        let position = found.events.first().map_or(intent, |run| run.first);
        findings.push(of_scope(Field::Commitments, key_scope, position));
    }
}

fn of_scope(field: Field, key_scope: &[u8], position: u64) -> Finding {
    Finding::ScopeDiffers { field, key_scope: KeyScope::from_bytes(key_scope).ok(), position }
}

/// The lowest position that one of two lists names and the other does not.
fn first_difference(said: &[PositionRun], found: &[PositionRun]) -> u64 {
    let positions = |run: &PositionRun| run.first..run.first.saturating_add(run.count);
    let (mut said, mut found) = (said.iter().flat_map(positions), found.iter().flat_map(positions));
    loop {
        match (said.next(), found.next()) {
            (Some(one), Some(other)) if one == other => {}
            (one, other) => return one.into_iter().chain(other).min().unwrap_or(0),
        }
    }
}

/// What stands in either of two sorted lists, with where it stands.
fn joined<'a, T, K: Ord>(said: &'a [T], found: &'a [T], key: impl Fn(&T) -> K) -> BTreeMap<K, Pair<'a, T>> {
    let mut by_key: BTreeMap<K, Pair<'a, T>> = BTreeMap::new();
    for item in said {
        by_key.entry(key(item)).or_default().0 = Some(item);
    }
    for item in found {
        by_key.entry(key(item)).or_default().1 = Some(item);
    }
    by_key
}
