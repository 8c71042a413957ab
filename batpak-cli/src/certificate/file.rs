//! The file form of a certificate: JSON, one to one with the canonical bytes.
//!
//! Invariant: a certificate has one form, and what is read has to be that form again: a name, a count or a time that stands there for
//! people cannot say anything else than the bytes that the hash is over.

use std::path::Path;

use batpak_store::{
    Certificate, Timestamp,
    format::{CertificateSection, CertifiedEvent, CertifiedTarget, KeyCommitment, KeyRun, PositionRun},
};
use serde::{Deserialize, Serialize};

use super::{
    hash_of, hex,
    names::{
        chain_hash, granularity_code, granularity_name, key_id, provider_code, provider_text, scope_name, worth,
        worth_name,
    },
};
use crate::{error::CliError, time};

/// The version of this form, that of the canonical bytes.
const VERSION: u16 = batpak_store::format::CERTIFICATE_VERSION;

/// A certificate as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFile {
    pub certificate: u16,
    pub hash: String,
    pub store: String,
    pub created: Option<String>,
    pub created_us: i64,
    pub genesis_chain_hash: String,
    pub granularity: String,
    pub reason: u16,
    pub reference: String,
    pub intents: Vec<EventForm>,
    pub completion: EventForm,
    pub provider: String,
    pub destruction: String,
    pub old_copies_dead_from: Option<String>,
    pub old_copies_dead_from_us: Option<i64>,
    pub unreachable: u32,
    pub epoch: u64,
    pub keys: u64,
    pub events: u64,
    pub events_hash: String,
    pub key_scopes: Vec<TargetForm>,
    pub withheld: Vec<ScopeForm>,
    pub sections: Vec<SectionForm>,
}

/// An intent, or the completion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventForm {
    pub position: u64,
    pub time: Option<String>,
    pub time_us: i64,
    pub chain_hash: String,
}

/// A key scope: its name for people, and its canonical bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeForm {
    pub name: Option<String>,
    pub key_scope: String,
}

/// A key scope that was shredded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetForm {
    pub name: Option<String>,
    pub key_scope: String,
    pub keys: u64,
    pub key_ids: Vec<KeyRunForm>,
    pub events: u64,
    pub positions: Vec<PositionRunForm>,
    pub commitments: Vec<CommitmentForm>,
}

/// Consecutive key ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRunForm {
    pub first: String,
    pub count: u32,
}

/// Consecutive positions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionRunForm {
    pub first: u64,
    pub count: u64,
}

/// The commitment to a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitmentForm {
    pub key_id: String,
    pub commitment: String,
}

/// A section of a later version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SectionForm {
    pub tag: u16,
    pub bytes: String,
}

impl CertificateFile {
    /// Writes a certificate in this form.
    ///
    /// # Errors
    /// [`CliError::Certificate`] when it has no canonical bytes.
    pub fn of(certificate: &Certificate) -> Result<Self, CliError> {
        let dead_from = certificate.worth.effective_at();
        Ok(Self {
            certificate: VERSION,
            hash: hash_of(certificate)?.to_string(),
            store: certificate.store.to_string(),
            created: time::rfc3339(certificate.created),
            created_us: certificate.created.as_micros(),
            genesis_chain_hash: certificate.genesis_chain_hash.to_string(),
            granularity: granularity_name(certificate.granularity),
            reason: certificate.reason,
            reference: certificate.reference.clone(),
            intents: certificate.intents.iter().map(EventForm::of).collect(),
            completion: EventForm::of(&certificate.completion),
            provider: provider_text(certificate.provider_kind),
            destruction: worth_name(certificate.worth).to_owned(),
            old_copies_dead_from: dead_from.and_then(time::rfc3339),
            old_copies_dead_from_us: dead_from.map(Timestamp::as_micros),
            unreachable: certificate.unreachable,
            epoch: certificate.epoch,
            keys: certificate.keys(),
            events: certificate.events(),
            events_hash: hex::written(&certificate.events_hash),
            key_scopes: certificate.targets.iter().map(TargetForm::of).collect(),
            withheld: certificate.withheld.iter().map(|key_scope| ScopeForm::of(key_scope)).collect(),
            sections: certificate.sections.iter().map(SectionForm::of).collect(),
        })
    }

    /// Reads the certificate.
    ///
    /// # Errors
    /// [`CliError::NoCertificate`] when a field cannot be read, [`CliError::CertificateChanged`] when the hash, or what stands there
    /// for people, does not agree with the rest.
    pub fn certificate(&self, path: &Path) -> Result<Certificate, CliError> {
        let no = |why: String| CliError::NoCertificate { path: path.to_owned(), why };
        if self.certificate != VERSION {
            return Err(no(format!("unknown certificate version {}", self.certificate)));
        }
        let certificate = self.read().ok_or_else(|| no("an id, a hash or a name in it cannot be read".to_owned()))?;
        certificate.encode().map_err(|why| no(why.to_string()))?;
        let again = Self::of(&certificate)?;
        if again == *self {
            return Ok(certificate);
        }
        Err(CliError::CertificateChanged { path: path.to_owned(), stated: self.hash.clone(), found: again.hash })
    }

    fn read(&self) -> Option<Certificate> {
        let withheld = self.withheld.iter().map(|scope| Some(hex::read(&scope.key_scope)?.into()));
        Some(Certificate {
            store: self.store.parse().ok()?,
            created: Timestamp::from_micros(self.created_us),
            genesis_chain_hash: chain_hash(&self.genesis_chain_hash)?,
            granularity: granularity_code(&self.granularity)?,
            reason: self.reason,
            provider_kind: provider_code(&self.provider)?,
            worth: worth(&self.destruction, self.old_copies_dead_from_us)?,
            unreachable: self.unreachable,
            epoch: self.epoch,
            completion: self.completion.read()?,
            events_hash: hex::read_array(&self.events_hash)?,
            reference: self.reference.clone(),
            intents: self.intents.iter().map(EventForm::read).collect::<Option<_>>()?,
            targets: self.key_scopes.iter().map(TargetForm::read).collect::<Option<_>>()?,
            withheld: withheld.collect::<Option<_>>()?,
            sections: self.sections.iter().map(SectionForm::read).collect::<Option<_>>()?,
        })
    }
}

impl EventForm {
    fn of(event: &CertifiedEvent) -> Self {
        Self {
            position: event.position,
            time: time::rfc3339(event.time),
            time_us: event.time.as_micros(),
            chain_hash: event.chain_hash.to_string(),
        }
    }

    fn read(&self) -> Option<CertifiedEvent> {
        let time = Timestamp::from_micros(self.time_us);
        Some(CertifiedEvent { position: self.position, time, chain_hash: chain_hash(&self.chain_hash)? })
    }
}

impl ScopeForm {
    fn of(key_scope: &[u8]) -> Self {
        Self { name: scope_name(key_scope), key_scope: hex::written(key_scope) }
    }
}

impl TargetForm {
    fn of(target: &CertifiedTarget) -> Self {
        let commitment = |it: &KeyCommitment| CommitmentForm {
            key_id: it.key_id.to_string(),
            commitment: hex::written(&it.commitment),
        };
        let key_run = |run: &KeyRun| KeyRunForm { first: run.first.to_string(), count: run.count };
        let position_run = |run: &PositionRun| PositionRunForm { first: run.first, count: run.count };
        Self {
            name: scope_name(&target.key_scope),
            key_scope: hex::written(&target.key_scope),
            keys: target.keys(),
            key_ids: target.runs.iter().map(key_run).collect(),
            events: target.events(),
            positions: target.events.iter().map(position_run).collect(),
            commitments: target.commitments.iter().map(commitment).collect(),
        }
    }

    fn read(&self) -> Option<CertifiedTarget> {
        let commitment = |it: &CommitmentForm| {
            Some(KeyCommitment { key_id: key_id(&it.key_id)?, commitment: hex::read_array(&it.commitment)? })
        };
        let key_run = |run: &KeyRunForm| Some(KeyRun { first: key_id(&run.first)?, count: run.count });
        let position_run = |run: &PositionRunForm| PositionRun { first: run.first, count: run.count };
        Some(CertifiedTarget {
            key_scope: hex::read(&self.key_scope)?.into(),
            runs: self.key_ids.iter().map(key_run).collect::<Option<_>>()?,
            events: self.positions.iter().map(position_run).collect(),
            commitments: self.commitments.iter().map(commitment).collect::<Option<_>>()?,
        })
    }
}

impl SectionForm {
    fn of(section: &CertificateSection) -> Self {
        Self { tag: section.tag, bytes: hex::written(&section.bytes) }
    }

    fn read(&self) -> Option<CertificateSection> {
        Some(CertificateSection { tag: self.tag, bytes: hex::read(&self.bytes)?.into() })
    }
}
