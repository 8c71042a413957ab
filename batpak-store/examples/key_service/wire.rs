//! What goes over the socket: one request of 41 bytes, one answer of 74, and the connection ends.
//!
//! Invariant: an answer counts only when it has its exact length, repeats operation and store of its request, and carries a secret where
//! one belongs and zeros where none does. Everything else is no answer.

use batpak_store::{crypto::SecretId, format::StoreId};
use zeroize::Zeroizing;

const MAGIC: [u8; 8] = *b"BPKEYSV1";
/// Bytes of a request: magic, operation, store, id of a secret.
pub const REQUEST_LEN: usize = 8 + 1 + 16 + 16;
/// Bytes of an answer: magic, operation, status, store, id of a secret, the secret.
pub const ANSWER_LEN: usize = 8 + 1 + 1 + 16 + 16 + 32;
const NO_ID: [u8; 16] = [0; 16];

/// What the service is asked to do for a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Make and keep the first secret.
    Create,
    /// Return the secret with the id.
    Fetch,
    /// Make and keep a next secret behind the current one, which must have the id.
    StoreNext,
    /// Make the secret with the id the current one, and destroy every other.
    Settle,
    /// Make and keep a secret whatever is kept now.
    Renew,
    /// Forget the store: its creation failed.
    TakeBack,
}

impl Operation {
    const ALL: [Self; 6] = [Self::Create, Self::Fetch, Self::StoreNext, Self::Settle, Self::Renew, Self::TakeBack];

    fn code(self) -> u8 {
        1 + Self::ALL.iter().position(|operation| *operation == self).map_or(0, |at| at as u8)
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.code() == code)
    }

    /// Whether an answer that says `Done` carries a secret.
    const fn gives_a_secret(self) -> bool {
        matches!(self, Self::Create | Self::Fetch | Self::StoreNext | Self::Renew)
    }
}

/// How the service answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done, and durable.
    Done,
    /// The service has no such secret.
    Missing,
    /// The current secret has another id than the one named.
    CurrentChanged,
    /// The service keeps secrets for this store already.
    Exists,
    /// The service could not read or write its own files.
    Failed,
}

impl Status {
    const ALL: [Self; 5] = [Self::Done, Self::Missing, Self::CurrentChanged, Self::Exists, Self::Failed];

    fn code(self) -> u8 {
        1 + Self::ALL.iter().position(|status| *status == self).map_or(0, |at| at as u8)
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub operation: Operation,
    pub store: StoreId,
    pub id: Option<SecretId>,
}

impl Request {
    pub fn encode(&self) -> [u8; REQUEST_LEN] {
        let mut bytes = [0; REQUEST_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8] = self.operation.code();
        bytes[9..25].copy_from_slice(self.store.as_bytes());
        bytes[25..].copy_from_slice(&self.id.map_or(NO_ID, |id| *id.as_bytes()));
        bytes
    }

    pub fn decode(bytes: &[u8; REQUEST_LEN]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (code, rest) = rest.split_first()?;
        let (store, id) = rest.split_first_chunk::<16>()?;
        let id: [u8; 16] = id.try_into().ok()?;
        let operation = Operation::from_code(*code).filter(|_| *magic == MAGIC)?;
        let id = (id != NO_ID).then(|| SecretId::from_bytes(id));
        Some(Self { operation, store: StoreId::from_bytes(*store), id })
    }
}

/// One answer; the secret is zeros unless it is asked for and there.
#[derive(Debug)]
pub struct Answer {
    pub status: Status,
    pub id: SecretId,
    pub secret: Zeroizing<[u8; 32]>,
}

impl Answer {
    /// An answer that says no, or that says yes without a secret.
    pub fn bare(status: Status) -> Self {
        Self { status, id: SecretId::from_bytes(NO_ID), secret: Zeroizing::new([0; 32]) }
    }

    pub fn encode(&self, request: &Request) -> Zeroizing<[u8; ANSWER_LEN]> {
        let mut bytes = Zeroizing::new([0; ANSWER_LEN]);
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8] = request.operation.code();
        bytes[9] = self.status.code();
        bytes[10..26].copy_from_slice(request.store.as_bytes());
        bytes[26..42].copy_from_slice(self.id.as_bytes());
        bytes[42..].copy_from_slice(&*self.secret);
        bytes
    }

    /// Reads the answer to a request; none for bytes that are none.
    pub fn decode(bytes: &[u8], request: &Request) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let ([operation, status], rest) = rest.split_first_chunk::<2>()?;
        let (store, rest) = rest.split_first_chunk::<16>()?;
        let (id, secret) = rest.split_first_chunk::<16>()?;
        let repeats = *magic == MAGIC && *operation == request.operation.code() && store == request.store.as_bytes();
        let status = Status::from_code(*status).filter(|_| repeats && secret.len() == 32)?;
        let mut answer = Self { status, id: SecretId::from_bytes(*id), secret: Zeroizing::new([0; 32]) };
        answer.secret.copy_from_slice(secret);
        let given = answer.secret.iter().any(|byte| *byte != 0) && *id != NO_ID;
        let bare = answer.secret.iter().all(|byte| *byte == 0) && *id == NO_ID;
        let wanted = status == Status::Done && request.operation.gives_a_secret();
        let same = request.operation != Operation::Fetch || !given || Some(answer.id) == request.id;
        ((if wanted { given } else { bare }) && same).then_some(answer)
    }
}
