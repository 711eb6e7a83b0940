//! Any bytes, however they are cut, give the same lines, and no line makes the request decoder
//! panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::json::{LineDecoder, LineStep, decode_request};

/// Small, so that a short input reaches past it.
const LINE_BYTES_MAX: usize = 64;

/// What a decoder found, without the bytes that it took for it.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Line(Vec<u8>),
    TooLong,
}

fuzz_target!(|input: (Vec<u8>, &[u8])| {
    let (cuts, stream) = input;
    let found = feed(stream, &[]);
    assert_eq!(feed(stream, &cuts), found, "a cut stream gives what the whole one gives");
    for found in &found {
        if let Found::Line(line) = found {
            assert!(line.len() <= LINE_BYTES_MAX && !line.contains(&b'\n'));
            check_request(line);
        }
    }
    // The lines above are short; here the decoder gets whatever there is.
    check_request(stream);
});

/// A request that is understood names no more than its line held.
fn check_request(line: &[u8]) {
    match decode_request(line) {
        Ok(None) => assert!(line.trim_ascii().is_empty(), "only a blank line asks nothing"),
        Ok(Some(_)) => assert!(std::str::from_utf8(line).is_ok(), "a request is UTF-8"),
        Err(refusal) => assert!(!refusal.message.is_empty(), "a refusal says why"),
    }
}

/// Feeds `stream` in pieces as long as `cuts` say, the rest at once.
fn feed(stream: &[u8], cuts: &[u8]) -> Vec<Found> {
    let mut decoder = LineDecoder::new(LINE_BYTES_MAX);
    let (mut found, mut held, mut rest) = (Vec::new(), Vec::new(), stream);
    for cut in cuts.iter().map(|cut| usize::from(*cut)).chain([usize::MAX]) {
        let (piece, after) = rest.split_at(cut.min(rest.len()));
        rest = after;
        held.extend_from_slice(piece);
        drain(&mut decoder, &mut held, &mut found);
    }
    found
}

fn drain(decoder: &mut LineDecoder, held: &mut Vec<u8>, found: &mut Vec<Found>) {
    loop {
        let consumed = match decoder.next(held) {
            LineStep::NeedMore => return,
            LineStep::Line { consumed, line } => {
                found.push(Found::Line(line.to_vec()));
                consumed
            }
            LineStep::TooLong { consumed, .. } => {
                found.push(Found::TooLong);
                consumed
            }
            LineStep::Discarded { consumed } => consumed,
        };
        assert!(consumed > 0 && consumed <= held.len(), "each step makes progress");
        held.drain(..consumed);
    }
}
