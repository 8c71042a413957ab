//! The provider of the example, over its socket, with the service in a process of its own: down, killed, slow, and not itself.
//!
//! A test binary of its own, one test at a time: while a child starts it has the files of all other tests open, and a lock lasts as
//! long as any process has its file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that meets what it does not expect has failed")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use batpak_store::{
    Config, Destruction, Encryption, EventId, EventKind, NewSecret, OpenError, Payload, ProviderContext, ProviderError,
    Query, RootSecretProvider, Selector, ShredError, Store, Unfinished,
    crypto::{RootSecret, SecretId},
    format::Timestamp,
    keyset::{KeyFile as Slots, ProviderKind, ProviderRecord},
    segment::{DiskFile, RealDisk},
};

use kit::{Place, append, event, sound, unchanged};

#[expect(dead_code, reason = "the other test binary uses all of it")]
#[path = "../it/kit.rs"]
mod kit;
#[path = "../../examples/key_service/provider.rs"]
mod provider;
#[path = "../../examples/key_service/socket.rs"]
mod socket;
#[path = "../../examples/key_service/vault.rs"]
mod vault;
#[path = "../../examples/key_service/wire.rs"]
mod wire;

use provider::{KeyService, KeyServiceError};
use socket::Socket;
use vault::Vault;
use wire::{Operation, Request};

/// Names the place for the process that acts as the service.
const PLACE: &str = "BATPAK_TEST_KEY_SERVICE_PLACE";
/// Long enough for a machine that is busy; only what never answers waits so long, and that test sets its own.
const DEADLINE: Duration = Duration::from_secs(20);

/// Held by each test from its start to its end.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Acts as the service when it is asked to; else there is nothing to test here.
#[test]
fn service_process() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let vault = Vault::open(Arc::new(RealDisk), &place.join("vault")).unwrap();
    // Whoever started it waits for the socket; what this prints meanwhile is the harness's.
    socket::serve(&place.join("keys.sock"), &vault).unwrap();
}

/// The service, as a child process that can be killed and started again.
#[derive(Debug)]
struct Service {
    place: PathBuf,
    child: Option<Child>,
}

impl Service {
    fn start(place: &Path) -> Self {
        let mut service = Self { place: place.to_owned(), child: None };
        service.start_again();
        service
    }

    fn start_again(&mut self) {
        let socket = self.place.join("keys.sock");
        let _ = std::fs::remove_file(&socket);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["service_process", "--exact", "--nocapture"])
            .env(PLACE, &self.place)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Read on in a thread of its own, so that the child never waits for its output.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(self.child.as_mut().unwrap().try_wait().unwrap().is_none(), "the service ended");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills it with a signal that it cannot see.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The slots that it keeps for a store.
    fn slots(&self, store: &Store) -> Slots {
        let path = self.place.join("vault").join(format!("{}.slots", store.info().store));
        Slots::decode(&std::fs::read(path).unwrap(), None).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

fn provider(place: &Place) -> KeyService<Socket> {
    KeyService::new(Socket::new(place.root().join("keys.sock"), DEADLINE), place.root())
}

fn config(place: &Place) -> Config {
    place.with(Encryption::sealed(provider(place)))
}

fn fate(store: &Store, id: EventId) -> &'static str {
    match store.get(id).unwrap().unwrap().payload {
        Payload::Open(_) => "open",
        Payload::Shredded(_) => "shredded",
        _ => "lost",
    }
}

fn outside(why: &ProviderError) -> &KeyServiceError {
    match why {
        ProviderError::Outside(source) => source.downcast_ref().unwrap(),
        why => panic!("{why:?}"),
    }
}

fn refused(place: &Place) -> KeyServiceError {
    refused_with(place, config(place))
}

/// What an open for writing and one for reading say, which must change nothing.
fn refused_with(place: &Place, config: Config) -> KeyServiceError {
    let before = place.files();
    let mut said = Vec::new();
    for opened in [Store::open(place.dir(), config.clone()), Store::open_read_only(place.dir(), config)] {
        match opened.unwrap_err() {
            OpenError::Provider(ProviderError::Outside(why)) => said.push(why),
            why => panic!("{why:?}"),
        }
    }
    unchanged(place, &before);
    *said.pop().unwrap().downcast().unwrap()
}

#[test]
fn store_whose_secret_a_process_keeps_is_shredded_rekeyed_and_opened_again() {
    let _alone = alone();
    let place = Place::real();
    let mut service = Service::start(place.root());
    let store = Store::create(place.dir(), config(&place)).unwrap();
    let (victim, other) = (append(&store, "a", b"victim").id, append(&store, "b", b"other").id);
    let first = service.slots(&store).current().secret_id;
    let copy = place.root().join("copy");
    place.copy_dir(&place.dir(), &copy);
    let shredding = store.shred(&[Selector::Entity("a".into())], 0, "").unwrap();
    assert!(matches!(shredding.destruction, Destruction::OldCopiesDeadFrom(_)));
    let second = service.slots(&store);
    assert!(second.next().is_none() && second.find(first).is_none());
    assert!(matches!(store.rekey().unwrap(), Destruction::OldCopiesDeadFrom(_)));
    assert!(service.slots(&store).find(second.current().secret_id).is_none());
    let held = Store::open(&copy, config(&place)).unwrap_err();
    assert!(
        matches!(&held, OpenError::Provider(why) if matches!(outside(why), KeyServiceError::Held { .. })),
        "{held:?}"
    );
    store.close().unwrap();
    let old = Store::open_read_only(&copy, config(&place)).unwrap_err();
    assert!(matches!(old, OpenError::Provider(ProviderError::Missing)), "{old:?}");
    // What the service keeps is on disk: another process of it serves the same.
    service.kill();
    service.start_again();
    let store = Store::open(place.dir(), config(&place)).unwrap();
    assert!(store.open_report().clean);
    assert_eq!((fate(&store, victim), fate(&store, other)), ("shredded", "open"));
    sound(&store);
}

#[test]
fn service_that_is_down_is_named_at_create_and_open_and_nothing_is_changed() {
    let _alone = alone();
    let place = Place::real();
    match Store::create(place.dir(), config(&place)).unwrap_err() {
        OpenError::Provider(why) => assert!(matches!(outside(&why), KeyServiceError::Unreachable { .. })),
        why => panic!("{why:?}"),
    }
    assert_eq!(place.files(), []);
    let mut service = Service::start(place.root());
    let store = Store::create(place.dir(), config(&place)).unwrap();
    let id = append(&store, "a", b"1").id;
    service.kill();
    // The secret was asked for once: the store needs no service until it shreds or rekeys.
    append(&store, "b", b"2");
    let failed = store.shred(&[Selector::Entity("b".into())], 0, "").unwrap_err();
    assert!(matches!(&failed, ShredError::Provider(_)), "{failed:?}");
    assert!(matches!(store.rekey().unwrap_err(), ShredError::Provider(_)));
    append(&store, "b", b"nothing was destroyed");
    store.close().unwrap();
    let why = refused(&place);
    assert!(matches!(&why, KeyServiceError::Unreachable { socket, .. } if socket.ends_with("keys.sock")));
    assert!(why.to_string().ends_with("does not answer: start it, then open the store again"), "{why}");
    service.start_again();
    assert_eq!(fate(&Store::open(place.dir(), config(&place)).unwrap(), id), "open");
}

/// Where in a change of the root secret the service is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kill {
    BeforeStoreNext,
    /// It has made the next secret and its answer is lost.
    InStoreNext,
    /// The next secret is known, and nothing is sealed under it yet.
    AfterStoreNext,
    BeforeSettle,
    /// It has destroyed the old secret and its answer is lost.
    InSettle,
}

/// The provider, with a service that is killed at one of its calls.
#[derive(Debug)]
struct Killing {
    provider: KeyService<Socket>,
    service: Arc<Mutex<Service>>,
    at: Mutex<Option<Kill>>,
}

impl Killing {
    fn kill(&self, here: Kill) -> bool {
        let mut at = self.at.lock().unwrap();
        let now = *at == Some(here);
        if now {
            *at = None;
            self.service.lock().unwrap().kill();
        }
        now
    }

    fn lost<T>(&self, here: Kill, answer: T) -> Result<T, ProviderError> {
        match self.kill(here) {
            true => Err(ProviderError::Outside(Box::new(KeyServiceError::Unreachable {
                socket: PathBuf::new(),
                source: std::io::ErrorKind::ConnectionReset.into(),
            }))),
            false => Ok(answer),
        }
    }
}

impl RootSecretProvider for Killing {
    fn kind(&self) -> ProviderKind {
        self.provider.kind()
    }

    fn create(&self, context: &ProviderContext<'_>) -> Result<NewSecret, ProviderError> {
        self.provider.create(context)
    }

    fn renew(&self, context: &ProviderContext<'_>) -> Result<NewSecret, ProviderError> {
        self.provider.renew(context)
    }

    fn unlock(
        &self,
        context: &ProviderContext<'_>,
        record: &ProviderRecord,
        id: SecretId,
    ) -> Result<RootSecret, ProviderError> {
        self.provider.unlock(context, record, id)
    }

    fn store_next(
        &self,
        context: &ProviderContext<'_>,
        record: &ProviderRecord,
        current: SecretId,
    ) -> Result<NewSecret, ProviderError> {
        self.kill(Kill::BeforeStoreNext);
        let next = self.provider.store_next(context, record, current)?;
        let next = self.lost(Kill::InStoreNext, next)?;
        self.kill(Kill::AfterStoreNext);
        Ok(next)
    }

    fn settle(
        &self,
        context: &ProviderContext<'_>,
        keep: SecretId,
        now: Timestamp,
    ) -> Result<Destruction, ProviderError> {
        self.kill(Kill::BeforeSettle);
        let destruction = self.provider.settle(context, keep, now)?;
        self.lost(Kill::InSettle, destruction)
    }

    fn hold(&self, context: &ProviderContext<'_>) -> Result<Option<Arc<dyn DiskFile>>, ProviderError> {
        self.provider.hold(context)
    }
}

#[test]
fn service_killed_in_a_shred_did_nothing_or_leaves_it_pending_for_the_next_open() {
    let _alone = alone();
    for at in [Kill::BeforeStoreNext, Kill::InStoreNext, Kill::AfterStoreNext, Kill::BeforeSettle, Kill::InSettle] {
        let place = Place::real();
        let service = Arc::new(Mutex::new(Service::start(place.root())));
        let store = Store::create(place.dir(), config(&place)).unwrap();
        let (victim, other) = (append(&store, "a", b"victim").id, append(&store, "b", b"other").id);
        store.close().unwrap();
        let at_open = || {
            let killing = Killing { provider: provider(&place), service: Arc::clone(&service), at: Mutex::new(None) };
            let killing = Arc::new(killing);
            let provider: Arc<dyn RootSecretProvider> = killing.clone();
            (Store::open(place.dir(), place.with(Encryption::sealed_by(provider))).unwrap(), killing)
        };
        let (store, killing) = at_open();
        *killing.at.lock().unwrap() = Some(at);
        let first = service.lock().unwrap().slots(&store).current().secret_id;
        let failed = store.shred(&[Selector::Entity("a".into())], 0, "").unwrap_err();
        let pending = matches!(at, Kill::AfterStoreNext | Kill::BeforeSettle | Kill::InSettle);
        match (&failed, pending) {
            (ShredError::Pending { source: Unfinished::Provider(ProviderError::Outside(_)), .. }, true)
            | (ShredError::Provider(ProviderError::Outside(_)), false) => {}
            _ => panic!("{at:?}: {failed:?}"),
        }
        assert_eq!(fate(&store, victim), if pending { "shredded" } else { "open" }, "{at:?}");
        assert_eq!(fate(&store, other), "open");
        // Without the destruction there is no completion, and what is not of the victim goes on.
        append(&store, "b", b"more");
        store.close().unwrap();
        assert!(matches!(refused(&place), KeyServiceError::Unreachable { .. }));
        service.lock().unwrap().start_again();
        let store = Store::open(place.dir(), config(&place)).unwrap();
        assert_eq!(store.open_report().shred_finished.is_some(), pending, "{at:?}");
        let completions =
            store.read(&Query::all().kind(EventKind::SHRED_COMPLETED).include_system(true)).unwrap().count();
        assert_eq!(completions, usize::from(pending), "{at:?}");
        assert_eq!((fate(&store, victim), fate(&store, other)), (if pending { "shredded" } else { "open" }, "open"));
        let slots = service.lock().unwrap().slots(&store);
        assert!(slots.next().is_none() && !slots.is_damaged(), "{at:?}");
        assert_eq!(slots.find(first).is_none(), pending, "{at:?}: the old secret goes with the keys");
        sound(&store);
        store.close().unwrap();
        let before = place.files();
        Store::open(place.dir(), config(&place)).unwrap().close().unwrap();
        unchanged(&place, &before);
    }
}

/// Answers every request with what `answer` makes of it, as long as the test runs.
fn impostor(socket: &Path, mut answer: impl FnMut(&Request) -> Vec<u8> + Send + 'static) {
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; wire::REQUEST_LEN];
            if stream.read_exact(&mut bytes).is_ok() {
                // Who does not wait for the end of a long answer is gone by then.
                let _ = stream.write_all(&answer(&Request::decode(&bytes).unwrap()));
            }
        }
    });
}

#[test]
fn answers_that_are_none_are_refused_and_nothing_is_sealed_under_them() {
    let _alone = alone();
    let place = Place::real();
    let service = Service::start(place.root());
    let store = Store::create(place.dir(), config(&place)).unwrap();
    let id = append(&store, "a", b"1").id;
    store.close().unwrap();
    drop(service);
    let vault = Vault::open(Arc::new(RealDisk), &place.root().join("vault")).unwrap();
    let genuine = move |request: &Request| vault.answer(request).encode(request).to_vec();
    type Forge = fn(&Request, Vec<u8>) -> Vec<u8>;
    let forgeries: [(&str, Forge); 10] = [
        ("text", |_, _| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("zeros", |_, answer| vec![0; answer.len()]),
        ("noise", |_, answer| answer.iter().map(|byte| byte ^ 0x5a).collect()),
        ("one byte short", |_, answer| answer[..answer.len() - 1].to_vec()),
        ("one byte long", |_, answer| [answer, vec![0]].concat()),
        ("endless", |_, _| vec![0x41; 1 << 20]),
        ("another store", |_, mut answer| {
            answer[10] ^= 1;
            answer
        }),
        ("another operation", |_, mut answer| {
            answer[8] ^= 1;
            answer
        }),
        ("another secret", |_, mut answer| {
            answer[26] ^= 1;
            answer
        }),
        ("done without a secret", |_, mut answer| {
            answer[26..].fill(0);
            answer
        }),
    ];
    let socket = place.root().join("keys.sock");
    for (name, forge) in forgeries {
        let genuine = genuine.clone();
        impostor(&socket, move |request| forge(request, genuine(request)));
        assert!(matches!(refused(&place), KeyServiceError::Garbage { .. }), "{name}");
    }
    // A secret that is another one opens nothing, and one that the service does not keep is not sealed under.
    let changes_the_secret = |of: Operation| {
        let genuine = genuine.clone();
        move |request: &Request| {
            let mut answer = genuine(request);
            if request.operation == of {
                answer[wire::ANSWER_LEN - 1] ^= 1;
            }
            answer
        }
    };
    impostor(&socket, changes_the_secret(Operation::Fetch));
    let wrong = Store::open(place.dir(), config(&place)).unwrap_err();
    assert!(matches!(wrong, OpenError::Provider(ProviderError::Wrong)), "{wrong:?}");
    impostor(&socket, changes_the_secret(Operation::StoreNext));
    let store = Store::open(place.dir(), config(&place)).unwrap();
    match store.shred(&[Selector::Entity("a".into())], 0, "").unwrap_err() {
        ShredError::Provider(why) => assert!(matches!(outside(&why), KeyServiceError::Unstable)),
        why => panic!("{why:?}"),
    }
    store.append(&event("a", b"2")).unwrap();
    store.close().unwrap();
    // The control: the same answers, unchanged.
    impostor(&socket, genuine);
    assert_eq!(fate(&Store::open(place.dir(), config(&place)).unwrap(), id), "open");
}

#[test]
fn service_that_does_not_answer_in_time_is_not_waited_for() {
    let _alone = alone();
    let place = Place::real();
    let service = Service::start(place.root());
    Store::create(place.dir(), config(&place)).unwrap().close().unwrap();
    drop(service);
    let socket = place.root().join("keys.sock");
    let _ = std::fs::remove_file(&socket);
    // Takes connections, and says nothing; or one byte now and then, for ever.
    let hasty = || {
        let socket = Socket::new(place.root().join("keys.sock"), Duration::from_millis(40));
        place.with(Encryption::sealed(KeyService::new(socket, place.root())))
    };
    let timed_out = || match refused_with(&place, hasty()) {
        KeyServiceError::Unreachable { source, .. } => assert_eq!(source.kind(), std::io::ErrorKind::TimedOut),
        why => panic!("{why:?}"),
    };
    let silent = UnixListener::bind(&socket).unwrap();
    timed_out();
    drop(silent);
    std::fs::remove_file(&socket).unwrap();
    let slow = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in slow.incoming() {
            let mut stream = stream.unwrap();
            while stream.write_all(&[7]).is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    });
    timed_out();
}
