//! What a certificate states, field by field.
//!
//! Invariant: every field that a log can contradict has a name here.

use std::fmt;

/// Names a field of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateField {
    /// The commitments to the keys of a key scope.
    Commitments,
    /// The chain hash of the completion.
    CompletionChainHash,
    /// The position of the completion.
    CompletionPosition,
    /// The time of the completion.
    CompletionTime,
    /// When the store was created.
    Created,
    /// The epoch of the keyset.
    Epoch,
    /// The events whose keys were destroyed.
    Events,
    /// The hash over the events.
    EventsHash,
    /// The chain hash of the genesis event.
    GenesisChainHash,
    /// The granularity.
    Granularity,
    /// The chain hash of an intent.
    IntentChainHash,
    /// The position of an intent.
    IntentPosition,
    /// The time of an intent.
    IntentTime,
    /// The keys of a key scope.
    KeyIds,
    /// A key scope that was shredded.
    KeyScope,
    /// Who kept the root secret.
    Provider,
    /// The caller's reason.
    Reason,
    /// The caller's reference.
    Reference,
    /// How many keys could not be reached.
    Unreachable,
    /// A key scope that was withheld.
    Withheld,
    /// What the destruction is worth.
    Worth,
}

impl fmt::Display for CertificateField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Commitments => "key commitments",
            Self::CompletionChainHash => "completion's chain hash",
            Self::CompletionPosition => "completion's position",
            Self::CompletionTime => "completion's time",
            Self::Created => "time of the store's creation",
            Self::Epoch => "keyset epoch",
            Self::Events => "events",
            Self::EventsHash => "hash over the events",
            Self::GenesisChainHash => "genesis event's chain hash",
            Self::Granularity => "granularity",
            Self::IntentChainHash => "intent's chain hash",
            Self::IntentPosition => "intent's position",
            Self::IntentTime => "intent's time",
            Self::KeyIds => "key ids",
            Self::KeyScope => "key scope",
            Self::Provider => "provider",
            Self::Reason => "reason",
            Self::Reference => "reference",
            Self::Unreachable => "count of unreachable keys",
            Self::Withheld => "withheld key scope",
            Self::Worth => "worth of the destruction",
        })
    }
}
