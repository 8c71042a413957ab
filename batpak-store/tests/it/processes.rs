//! A writer and a reader that are processes of their own: the test binary runs itself as the writer.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use batpak_store::{Config, Durability, Encryption, Event, Granularity, KeyFile, OpenError, Payload, Query, Store};

use crate::kit::{event, open, payloads, sound};

/// Names the place for the process that acts as the writer.
const PLACE: &str = "BATPAK_TEST_WRITER_PLACE";
/// The writer's events: singles and batches of three, in every mode, over several segments and publications.
const EVENTS: u32 = 400;
const SOON: Duration = Duration::from_secs(30);

fn config(place: &std::path::Path) -> Config {
    Config::new(Encryption::sealed(KeyFile::new(place.join("root.key"))))
        .granularity(Granularity::Event)
        .segment_bytes(16 * 1024)
}

fn payload(n: u32) -> Vec<u8> {
    let mut payload = n.to_le_bytes().to_vec();
    payload.resize(200, 7);
    payload
}

/// Acts as the writer when it is asked to; else there is nothing to test here.
#[test]
fn writer_process() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let store = Store::open(place.join("store"), config(&place)).unwrap();
    let modes = [Durability::Synced, Durability::Buffered, Durability::Deferred];
    let mut n = u32::try_from(store.stats().events - 1).unwrap();
    let end = n + EVENTS;
    while n < end {
        let durability = modes[(n / 7) as usize % 3];
        let group: Vec<Vec<u8>> = (n..n + if n.is_multiple_of(5) { 3 } else { 1 }).map(payload).collect();
        let events: Vec<_> = group.iter().map(|payload| event("a", payload).durability(durability)).collect();
        store.append_batch(&events).unwrap();
        n += u32::try_from(events.len()).unwrap();
        if durability != Durability::Deferred {
            println!("acknowledged {n}");
        }
    }
    store.sync().unwrap();
    println!("acknowledged {n}\nwritten");
    std::io::stdout().flush().unwrap();
    // Stays the writer until it is let go.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    store.close().unwrap();
}

struct Writer {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Writer {
    fn start(place: &std::path::Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["processes::writer_process", "--exact", "--nocapture"])
            .env(PLACE, place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads on until the writer says so, or ends; returns how many events it has acknowledged by then.
    fn until(&mut self, said: impl Fn(&str, u32) -> bool) -> u32 {
        let mut acknowledged = 0;
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            if let Some(number) = line.strip_prefix("acknowledged ") {
                acknowledged = number.parse().unwrap();
            }
            if said(&line, acknowledged) {
                break;
            }
        }
        acknowledged
    }

    fn let_go(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

fn number(event: &Event) -> u32 {
    assert!(matches!(event.payload, Payload::Open(_)), "{event:?}");
    u32::from_le_bytes(open(event)[..4].try_into().unwrap())
}

/// A batch is seen whole: the log, as far as it is visible, ends with the last of one.
fn whole(store: &Store) {
    let events = store.read(&Query::all().reverse().limit(1).headers_only(true)).unwrap().next();
    let batch = events.map(Result::unwrap).and_then(|event| event.header.batch);
    assert!(batch.is_none_or(|batch| batch.index + 1 == batch.count), "{batch:?}");
}

#[test]
fn reader_process_follows_a_writer_process() {
    let scratch = tempfile::tempdir().unwrap();
    let (place, dir) = (scratch.path(), scratch.path().join("store"));
    Store::create(&dir, config(place)).unwrap().close().unwrap();
    let early = Store::open_read_only(&dir, config(place)).unwrap();
    let mut writer = Writer::start(place);
    let mut follow = early.follow(&Query::all());
    for n in 0..EVENTS {
        assert_eq!(number(&follow.next_timeout(SOON).unwrap().unwrap()), n);
        if n.is_multiple_of(20) {
            whole(&early);
            let late = Store::open_read_only(&dir, config(place)).unwrap();
            let seen: Vec<u32> = late.read(&Query::all()).unwrap().map(|event| number(&event.unwrap())).collect();
            assert_eq!(seen, (0..u32::try_from(seen.len()).unwrap()).collect::<Vec<_>>());
            assert!(seen.len() > n as usize);
            whole(&late);
        }
    }
    let last = writer.until(|line, _| line == "written");
    assert!(last >= EVENTS);
    let second = Store::open(&dir, config(place)).unwrap_err();
    assert!(matches!(second, OpenError::Locked), "{second:?}");
    writer.let_go();
    assert_eq!(payloads(&early).len(), last as usize);
    let store = Store::open(&dir, config(place)).unwrap();
    assert!(store.open_report().clean);
    assert!(store.stats().segments > 3 && store.stats().keyset.unwrap().leaves_reserved > 64);
    sound(&store);
}

#[test]
fn writer_process_that_is_killed_loses_nothing_acknowledged_and_its_reader_goes_on() {
    let scratch = tempfile::tempdir().unwrap();
    let (place, dir) = (scratch.path(), scratch.path().join("store"));
    Store::create(&dir, config(place)).unwrap().close().unwrap();
    let reader = Store::open_read_only(&dir, config(place)).unwrap();
    let mut before = 0;
    for round in 1..=3_u32 {
        let mut writer = Writer::start(place);
        let enough = before + 40 * round;
        writer.until(|_, acknowledged| acknowledged >= enough);
        writer.child.kill().unwrap();
        let acknowledged = writer.until(|line, _| line == "written").max(enough);
        writer.child.wait().unwrap();
        let seen = payloads(&reader);
        assert!(seen.len() >= acknowledged as usize, "{} of {acknowledged}", seen.len());
        let store = Store::open(&dir, config(place)).unwrap();
        let kept = payloads(&store);
        assert_eq!(kept, (0..u32::try_from(kept.len()).unwrap()).map(payload).collect::<Vec<_>>());
        assert_eq!(kept, seen, "the system has all that the killed one wrote");
        whole(&store);
        sound(&store);
        before = u32::try_from(kept.len()).unwrap();
    }
    assert_eq!(payloads(&reader).len(), before as usize);
}
