//! What the models share: a fresh store for each execution, threads, and the run itself with its count and bound.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::{ThreadId, current},
};

use batpak_segment::{Disk, DiskCall, MemoryDisk};

use super::disk::ModelDisk;
use crate::{
    AppendError, Config, Coordinate, Durability, Encryption, EventKind, Granularity, Indexing, Local, NewEvent,
    Receipt, Store,
    defect::{Defect, seed},
};

pub(super) const DIR: &str = "/store";
/// Threads may be preempted so often where they need not give way.
const PREEMPTIONS: usize = 3;

/// Stores of executions that have not ended well. A store that is dropped closes itself, which takes locks of the model; in a model that
/// panics there is none any more, so its store stays here.
static KEPT: Mutex<Vec<(ThreadId, Arc<Store>)>> = Mutex::new(Vec::new());

/// One store, shared by the threads of a model.
#[derive(Clone)]
pub(super) struct Rig {
    pub(super) store: Arc<Store>,
    pub(super) memory: MemoryDisk,
}

impl Rig {
    /// A sealed store with a key for each event.
    pub(super) fn new(configure: impl FnOnce(Config) -> Config) -> Self {
        let memory = MemoryDisk::new();
        let disk = ModelDisk::new(memory.clone());
        let store = Store::create(DIR, configure(config(Arc::new(disk)))).expect("the store is made");
        let store = Arc::new(store);
        let mut kept = KEPT.lock().expect("no model panics in here");
        kept.push((current().id(), Arc::clone(&store)));
        Self { store, memory }
    }

    /// Ends an execution that went well: closes the store.
    pub(super) fn done(self) {
        let own = current().id();
        let mut kept = KEPT.lock().expect("no model panics in here");
        let at = kept.iter().position(|(thread, _)| *thread == own).expect("it was kept when it was made");
        let (_, store) = kept.swap_remove(at);
        drop(kept);
        drop(self);
        drop(store);
    }

    pub(super) fn append(&self, entity: &str, durability: Durability) -> Result<Receipt, AppendError> {
        let coordinate = Coordinate::new(entity, "s").expect("a valid name");
        let kind = EventKind::new(1, 1).expect("a valid kind");
        self.store.append(&NewEvent::new(coordinate, kind, b"payload").durability(durability))
    }

    /// Fails the calls that `which` names.
    pub(super) fn fail(&self, which: impl Fn(&DiskCall<'_>) -> bool + Send + 'static) {
        self.memory.fail(Box::new(move |call| which(call).then(|| std::io::ErrorKind::StorageFull.into())));
    }
}

fn config(disk: Arc<dyn Disk>) -> Config {
    Config::new(Encryption::sealed(Local::new())).granularity(Granularity::Event).indexing(Indexing::Inline).disk(disk)
}

/// Whether a call is about the log.
pub(super) fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "seg")
}

/// Whether a call is about a copy of the keyset.
pub(super) fn is_keyset(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "keyset")
}

/// Explores a model up to the bound and prints how many executions it took.
pub(super) fn explore(name: &str, model: impl Fn() + Sync + Send + 'static) {
    explore_within(name, Some(PREEMPTIONS), model);
}

/// Explores every execution of a model; for those that end within a minute.
pub(super) fn explore_all(name: &str, model: impl Fn() + Sync + Send + 'static) {
    explore_within(name, None, model);
}

fn explore_within(name: &str, bound: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let executions = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound;
    builder.max_branches = 100_000;
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let executions = executions.load(Ordering::Relaxed);
    match bound {
        Some(bound) => println!("loom: {name}: {executions} executions, preemption bound {bound}"),
        None => println!("loom: {name}: {executions} executions, unbounded"),
    }
}

/// Explores a model with a seeded defect and panics with the message that the model gave, or that a deadlock stands for.
pub(super) fn explore_twin(defect: Defect, deadlock: &str, model: impl Fn() + Sync + Send + 'static) {
    seed(Some(defect));
    let outcome = catch_unwind(AssertUnwindSafe(|| explore("twin", model)));
    seed(None);
    let Err(panicked) = outcome else { return };
    let text = panicked.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panicked.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
    if text.starts_with("deadlock") {
        panic!("{deadlock}");
    }
    panic!("{text}");
}
