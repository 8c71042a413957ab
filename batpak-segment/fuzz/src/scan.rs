//! Any segments: scanned, searched and recovered, in bounded memory; what a recovery keeps is dense, and a second one changes nothing.

use std::path::Path;

use batpak_format_fuzz::{Seeds, bounded, samples::STORE};
use batpak_segment::{
    MemoryDisk, Recovered, RecoveryMode, ResyncBudget, ScanItem, Scanner, SegmentReader, make_durable, read_footer,
    recover, segment_path,
};

use crate::log::{DIR, HEADER, Writer, disk, put, read, shared};

/// The first byte says whether the rest is one segment as it stands, or instructions to make some.
pub fn look(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let mut writer = Writer::default();
    if choice & 1 == 0 {
        writer.segments.push(rest.to_vec());
    } else {
        writer.carry_out(rest);
    }
    let (disk, mut input) = (disk(), 0);
    for (bytes, number) in writer.segments.iter().zip(1..) {
        put(&disk, number, bytes);
        input += bytes.len();
    }
    for number in 1..=writer.segments.len() as u64 {
        bounded(2 * input, || scan(&disk, number));
    }
    bounded(4 * input, || recovered(&disk, RecoveryMode::ReadOnly));
    let first = recovered(&disk, RecoveryMode::Repair);
    let Some((first, shown)) = first else { return };
    make_durable(&disk, Path::new(DIR), &first).unwrap_or_else(|why| panic!("{why}"));
    let files = |disk: &MemoryDisk| (1..=writer.segments.len() as u64).map(|n| read(disk, n)).collect::<Vec<_>>();
    let before = files(&disk);
    let Some((second, again)) = recovered(&disk, RecoveryMode::Repair) else {
        panic!("what was recovered is refused");
    };
    make_durable(&disk, Path::new(DIR), &second).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!((second.torn, &shown), (None, &again));
    assert_eq!(files(&disk), before, "a second recovery changes no byte");
}

/// Recovers, and returns the places of the frames that stay; none when it is refused.
fn recovered(disk: &MemoryDisk, mode: RecoveryMode) -> Option<(Recovered, Vec<(u64, u64)>)> {
    let mut shown = Vec::new();
    let answer = recover::<()>(disk, Path::new(DIR), Some(STORE), mode, &mut |frame| {
        assert_eq!(frame.frame.header().position(), shown.len() as u64, "positions are dense");
        shown.push((frame.segment, frame.offset));
        Ok(())
    });
    let recovered = answer.ok()?;
    assert_eq!(recovered.next_position, shown.len() as u64);
    for (segment, offset) in &shown {
        let rolled = recovered.segments.iter().any(|info| info.number == *segment && info.footer.is_some());
        let reader = SegmentReader::open(disk, Path::new(DIR), *segment, rolled).unwrap_or_else(|why| panic!("{why}"));
        assert!(reader.read_frame_at(*offset, STORE).is_ok(), "a frame that was shown reads");
    }
    Some((recovered, shown))
}

fn scan(disk: &MemoryDisk, number: u64) {
    let Ok(file) = shared(disk).open(&segment_path(Path::new(DIR), number), batpak_segment::Access::Read) else {
        return;
    };
    drop(read_footer(&*file));
    let len = file.len().unwrap_or(0);
    let Ok(mut scanner) = Scanner::new(file, STORE, number, HEADER, u64::MAX) else { return };
    let mut budget = ResyncBudget::for_bytes(len);
    loop {
        match scanner.next() {
            Ok(ScanItem::Frame { offset, frame }) => assert!(offset + frame.len() as u64 <= len),
            Ok(ScanItem::Bad { offset, .. }) => match scanner.resync(offset + 1, &mut budget) {
                Ok(Some(found)) => assert!(found > offset),
                _ => return,
            },
            _ => return,
        }
    }
}

/// Logs that hold, and logs that lack something.
pub fn seeds() -> Seeds {
    let header = [0, 0];
    let frames = [4, 0, 4, 1, 2, 0x20, 2, 0x21, 4, 2];
    let logs: [(&str, &[&[u8]]); 6] = [
        ("one-segment", &[&header, &frames]),
        ("closed", &[&header, &frames, &[1, 1]]),
        ("rolled", &[&header, &frames, &[1, 0], &header, &frames, &[1, 0], &header, &[4, 0]]),
        ("unfinished-footer", &[&header, &frames, &header, &frames]),
        ("torn-batch", &[&header, &frames, &[2, 0x30, 2, 0x31]]),
        ("flipped", &[&header, &frames, &[7, 200, 5, 40]]),
    ];
    let mut seeds: Seeds = Vec::new();
    for (name, parts) in logs {
        let instructions = parts.concat();
        seeds.push((name.to_owned(), [&[1], &instructions[..]].concat()));
        let mut writer = Writer::default();
        writer.carry_out(&instructions);
        seeds.push((format!("{name}-bytes"), [&[0], &writer.segments[0][..]].concat()));
    }
    seeds
}
