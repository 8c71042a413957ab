//! An embedded event store: append-only, hash-chained, causally linked, every payload sealed under a key that can be destroyed.
//!
//! Start from [`Store`]. An event stands at a [`Coordinate`]: its entity, the stream it belongs to, and a scope. Its payload is sealed
//! under its key scope's key before it is hashed and written, so what is on disk, and in the hash chain, is ciphertext; and no
//! ciphertext reaches the log before the key that opens it is durable. That order is in the types: a payload is sealed, passes the
//! durability fence, and only then can be framed.
//!
//! ```
//! use batpak_store::{Config, Coordinate, Encryption, EventKind, KeyFile, NewEvent, Query, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let scratch = tempfile::tempdir()?;
//! # let (dir, key_file) = (scratch.path().join("store"), scratch.path().join("root.key"));
//! let config = Config::new(Encryption::sealed(KeyFile::new(key_file)));
//! let store = Store::create(dir, config)?;
//!
//! let order = Coordinate::new("order-1042", "shop")?;
//! let placed = store.append(&NewEvent::new(order.clone(), EventKind::new(1, 1)?, b"two lamps").key(b"order-1042/placed"))?;
//! let paid = store.append(&NewEvent::new(order, EventKind::new(1, 2)?, b"119.00 EUR").cause(placed.id))?;
//!
//! let event = store.get(paid.id)?.expect("it was acknowledged");
//! assert_eq!(event.payload.open().expect("its key is there").as_ref(), b"119.00 EUR");
//! assert_eq!(store.read(&Query::all().scope("shop"))?.count(), 2);
//! store.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! # What to know
//!
//! - Coordinates, kinds, ids, caller's keys, tags, causes, sizes and times stand in clear and cannot be shredded. Personal data belongs
//!   in payloads.
//! - Choosing where the root secret is kept is explicit: [`KeyFile`], [`Passphrase`], [`Local`] or a [`RootSecretProvider`] of your
//!   own. With [`Local`], and with a passphrase alone, old copies of the directory open what they held.
//! - [`Durability::Synced`] is the default: an append returns after fdatasync. The fence holds under the other modes as well.
//! - What a caller decided against is held at the commit: [`Expect`], [`AppendCondition`], and [`Gate`]s, which run under the commit
//!   lock. With the features `json` and `msgpack` there are typed events and aggregates.
//! - One process writes; any number read beside it ([`Store::open_read_only`]).
//! - [`Store::backup`] copies the log into one folder and the latest keyset into another, and never the root secret. After a shred or a
//!   rekey the keyset is backed up again: every older copy of it is dead, or has to go.
//! - Segments are read through memory maps. A file of the store that another program cuts short while it is open ends this process.
#![forbid(unsafe_code)]

pub use batpak_crypto as crypto;
pub use batpak_format as format;
pub use batpak_keyset as keyset;
pub use batpak_segment as segment;

pub use batpak_format::{
    Cause, Causes, Certificate, CertificateHash, CertifiedWorth, ChainHash, ContentType, Coordinate, EventHash,
    EventHeader, EventId, EventKind, KeyId, StoreId, Tags, Timestamp,
};
pub use batpak_keyset::{Granularity, ProviderKind};

pub use backup::{BackupError, BackupFolders, BackupReport, LastBackup};
pub use certificate::{CertificateError, CertificateField, CertificateFinding, CertificateReport};
pub use condition::{AppendCondition, QueryItem};
pub use config::{Clock, Config, Durability, Encryption, SEGMENT_BYTES_LIMIT, SEGMENT_BYTES_MIN, SystemClock};
#[cfg(batpak_defects)]
pub use defect::{Defect, seed};
pub use drill::Drill;
pub use error::{AppendError, OpenError, PublishError, ReadError};
pub use event::{Event, NewEvent, Payload, Receipt, Repeat, ShredProof};
pub use event_view::EventView;
pub use events::Events;
pub use expect::Expect;
pub use follow::Follow;
pub use gate::{
    Denial, Denied, GATE_DEFECT, Gate, GateSet, GateStats, GateView, KindsByScope, MonotoneTime, PayloadSize, Permit,
    Proposal, RatePerEntity, RequireCauses,
};
pub use holds::Hold;
pub use indexing::Indexing;
pub use key_report::{CopyReport, ExtentReport, KeyReport, PageReport};
pub use leak::{CANARY_BYTES_MAX, LeakError, LeakHit, LeakSearch, LeakSecrets};
pub use pending::{Finished, Pending};
pub use plan::{PlanHash, PlanHashError, PlannedScope, ShredPlan};
pub use query::Query;
pub use report::OpenReport;
pub use restore::RestoreReport;
pub use secret::{
    Destruction, KeyFile, Local, NewSecret, Passphrase, ProviderContext, ProviderError, RootSecretProvider,
};
pub use selector::Selector;
pub use shred::Shredding;
pub use shred_error::{ShredError, Unfinished};
pub use stats::{KeysetStats, Stats};
pub use store::{Store, StoreInfo};
pub use ticket::Ticket;
pub use verify::{Problem, ProblemKind, VerifyOptions, VerifyReport};
#[cfg(any(feature = "json", feature = "msgpack"))]
pub use {
    aggregate::{Aggregate, ExecuteError, Loaded},
    scenario::{Outcome, Scenario},
    typed::{
        DecodeError, EncodeError, Encoded, EventPayload, EventSet, Prepared, Typed, TypedError, Value,
        kinds_are_distinct,
    },
};

mod accept;
#[cfg(any(feature = "json", feature = "msgpack"))]
mod aggregate;
mod append;
mod backup;
mod causality;
mod certificate;
mod close;
mod commit;
mod condition;
mod config;
mod create;
mod defect;
mod drill;
mod durability;
mod error;
mod event;
mod event_view;
mod events;
mod expect;
mod fence;
mod fold;
mod follow;
mod fresh_id;
mod gate;
mod gated;
mod hold;
mod holds;
mod ids_seen;
mod index;
mod indexing;
mod inspect;
mod key_cache;
mod key_report;
mod keys;
mod keys_destroyed;
mod keyset_files;
mod keyset_load;
mod layout;
mod leak;
mod log_read;
mod log_scan;
#[cfg(batpak_defects)]
mod misordered;
#[cfg(all(test, loom))]
mod models;
mod open;
mod pending;
mod picks;
mod pipeline;
mod plan;
mod query;
mod read;
mod readmit;
mod refresh;
mod rekey;
mod repeat;
mod replay;
mod report;
mod restore;
mod rules;
mod run;
#[cfg(any(feature = "json", feature = "msgpack"))]
mod scenario;
mod scratch;
mod secret;
mod segments;
mod selection;
mod selector;
mod settled;
mod settled_intents;
mod shred;
mod shred_error;
mod shreds;
mod state;
mod stats;
mod store;
mod sync;
mod system;
mod ticket;
mod turn;
#[cfg(any(feature = "json", feature = "msgpack"))]
mod typed;
mod unframed;
mod verify;
mod victims;
mod view;
mod writer;

/// The example of the workspace's README, compiled and run with the documentation's own.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
