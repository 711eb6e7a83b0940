//! Whatever becomes of a journal's files, opening it neither panics nor hangs nor gives a record
//! that was not appended; and what one opening has mended or accepted, the next one accepts.

#![no_main]

use journal::storage::SimulatedDisk;
use journal::{Journal, Level, OpenError, Options, RecoverMode, Recovered, inspect};
use libfuzzer_sys::fuzz_target;
use std::collections::HashMap;
use std::sync::Arc;

/// More than any of this takes, so that a bogus length ends in an error and not in memory.
const DISK_BYTES: u64 = 4 << 20;
const APPENDS_MAX: usize = 60;
const INJURIES_MAX: usize = 20;

type Records = HashMap<u64, (u8, Vec<u8>)>;

/// How a journal came to be, what was done to its files, and the bytes for that.
type Input<'a> = (Vec<(u8, u16)>, Vec<(u8, u8, u16, u16)>, Vec<u8>, &'a [u8]);

fuzz_target!(|input: Input<'_>| {
    let (appends, injuries, choices, bytes) = input;
    let (disk, records) = make(&appends, &choices);
    for injury in injuries.into_iter().take(INJURIES_MAX) {
        injure(&disk, injury, bytes);
    }
    inspect::inspect(&disk, &mut |_| {}).ok();
    let refusing = disk.copied();
    if open(&refusing, RecoverMode::Refuse, &records) {
        assert!(open(&refusing, RecoverMode::Refuse, &records), "what was accepted stays sound");
    }
    let quarantined = disk.copied();
    if open(&quarantined, RecoverMode::Quarantine, &records) {
        assert!(open(&quarantined, RecoverMode::Refuse, &records), "what was mended is sound");
    }
});

fn options() -> Options {
    Options {
        segment_bytes_first: 4096,
        segment_bytes_max: 8192,
        buffer_bytes_max: 4096,
        ..Options::default()
    }
}

/// A journal in the state that a crash has left it in.
fn make(appends: &[(u8, u16)], choices: &[u8]) -> (SimulatedDisk, Records) {
    let disk = SimulatedDisk::new(DISK_BYTES);
    let mut records = Records::new();
    let storage = Arc::new(disk.clone());
    let opened = Journal::open(storage, options(), RecoverMode::Refuse, &mut |_| Ok(()));
    let (journal, _) = opened.expect("an empty disk is no damaged journal");
    for (what, bytes) in appends.iter().take(APPENDS_MAX) {
        let level = if what & 1 == 0 { Level::Synced } else { Level::Written };
        let (kind, body) = (1 + what % 100, vec![*what; usize::from(*bytes) % 3000]);
        let place = journal.append(kind, &[&body], level).expect("it takes such records");
        records.insert(place.position.value(), (kind, body));
        match what >> 4 {
            0..5 => drop(journal.commit().expect("the disk has room")),
            5 => journal.prepare_segment().expect("the disk has room"),
            6 => journal
                .write_snapshot(journal.end(), &mut |sink| sink.put(1, &[b"state"]))
                .expect("the disk has room"),
            7 => drop(journal.remove_dead().expect("the disk has room")),
            _ => {}
        }
    }
    drop(journal);
    let mut choices = choices.iter().cycle();
    let crashed =
        disk.crash(&mut |below| choices.next().map_or(0, |byte| u64::from(*byte)) % below);
    (crashed, records)
}

fn injure(disk: &SimulatedDisk, injury: (u8, u8, u16, u16), bytes: &[u8]) {
    let (what, which, at, length) = injury;
    let names = disk.names();
    if names.is_empty() {
        return;
    }
    let name = &names[usize::from(which) % names.len()];
    let mut content = disk.content(name).expect("it was named just now");
    let start = usize::from(at).min(content.len());
    let end = (start + usize::from(length)).min(content.len());
    match what % 9 {
        0 if start < content.len() => content[start] ^= 1 << (length % 8),
        1 => content.truncate(start),
        2 => content[start..end].fill(0),
        3 => content.extend_from_slice(&bytes[..bytes.len().min(usize::from(length))]),
        4 => {
            let end = (start + bytes.len()).min(content.len());
            content[start..end].copy_from_slice(&bytes[..end - start]);
        }
        5 => return disk.take(name),
        6 => {
            let other = &names[usize::from(length) % names.len()];
            content = disk.content(other).expect("it was named just now");
        }
        7 => return disk.put(&format!("{:020}.segment", u64::from(at) * 4096), content),
        _ => return disk.put(&format!("{:020}.segment", u64::MAX - u64::from(at)), bytes.to_vec()),
    }
    disk.put(name, content);
}

/// Whether the journal could be opened. If so, all it gave was right, and it can be used.
fn open(disk: &SimulatedDisk, mode: RecoverMode, records: &Records) -> bool {
    let opened = Journal::open(Arc::new(disk.clone()), options(), mode, &mut |recovered| {
        if let Recovered::Record { place, kind, body } = recovered
            && kind != ONWARD_KIND
        {
            let (known_kind, known_body) =
                records.get(&place.position.value()).expect("no record is made up");
            assert!(kind == *known_kind && body == *known_body, "a record is as it was appended");
        }
        Ok(())
    });
    let journal = match opened {
        Ok((journal, _)) => journal,
        Err(OpenError::Damaged(_) | OpenError::Version { .. } | OpenError::Io { .. }) => {
            return false;
        }
        Err(error) => panic!("{error}"),
    };
    // There may be no room, but for that it works.
    if journal.append(ONWARD_KIND, &[b"onward"], Level::Synced).is_ok() {
        journal.close().ok();
    }
    true
}

/// Of the record that is appended after each opening.
const ONWARD_KIND: u8 = 127;
