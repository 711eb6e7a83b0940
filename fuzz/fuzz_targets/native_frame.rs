//! Any bytes, however they are cut, give the same frames, and a frame that is understood is
//! written again as it came.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::native::{
    BrokerGreeting, Frame, FrameDecoder, FrameStep, check_client_greeting, decode_request,
    decode_response, encode_request, encode_response,
};

/// Small, so that a short input reaches past it.
const FRAME_BYTES_MAX: usize = 128;
const MESSAGE_BYTES_MAX: usize = 48;

/// What a decoder found, without the bytes that it took for it.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Frame { kind: u8, flags: u8, correlation: u32, body: Vec<u8> },
    TooLarge { correlation: u32 },
    OutOfStep,
}

fuzz_target!(|input: (Vec<u8>, &[u8])| {
    let (cuts, stream) = input;
    let found = feed(stream, &[]);
    assert_eq!(feed(stream, &cuts), found, "a cut stream gives what the whole one gives");
    for found in &found {
        if let Found::Frame { kind, flags, correlation, body } = found {
            let frame = Frame { kind: *kind, flags: *flags, correlation: *correlation, body };
            check_request(frame);
            check_response(frame);
        }
    }
    let _ = check_client_greeting(stream);
    let _ = BrokerGreeting::decode(stream);
});

/// There is one way only to write a request, but for a pull subscription's unused fields: so what
/// is read and written again is what came.
fn check_request(frame: Frame<'_>) {
    let Ok(request) = decode_request(frame, MESSAGE_BYTES_MAX) else { return };
    let mut written = Vec::new();
    encode_request(&request, frame.correlation, &mut written);
    let again = whole_frame(&written);
    let reread = decode_request(again, MESSAGE_BYTES_MAX);
    assert_eq!(reread.as_ref(), Ok(&request), "a request survives its own encoding");
    if frame.kind != SUBSCRIBE || frame.flags & PUSH != 0 {
        assert_eq!(again, frame, "a request is written as it came");
    }
}

/// SUBSCRIBE without this flag is a pull subscription, which has no use for credit and lag policy.
const PUSH: u8 = 1;
const SUBSCRIBE: u8 = 0x04;

fn check_response(frame: Frame<'_>) {
    let Ok(response) = decode_response(frame) else { return };
    let mut written = Vec::new();
    encode_response(&response, frame.correlation, &mut written);
    assert_eq!(whole_frame(&written), frame, "a response is written as it came");
}

fn whole_frame(bytes: &[u8]) -> Frame<'_> {
    match FrameDecoder::new(usize::MAX).next(bytes) {
        FrameStep::Frame { consumed, frame } if consumed == bytes.len() => frame,
        other => panic!("expected the whole of {bytes:02x?} to be a frame, found {other:?}"),
    }
}

/// Feeds `stream` in pieces as long as `cuts` say, the rest at once.
fn feed(stream: &[u8], cuts: &[u8]) -> Vec<Found> {
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    let (mut found, mut held, mut rest) = (Vec::new(), Vec::new(), stream);
    for cut in cuts.iter().map(|cut| usize::from(*cut)).chain([usize::MAX]) {
        let (piece, after) = rest.split_at(cut.min(rest.len()));
        rest = after;
        held.extend_from_slice(piece);
        drain(&mut decoder, &mut held, &mut found);
        if found.last() == Some(&Found::OutOfStep) {
            break;
        }
    }
    found
}

fn drain(decoder: &mut FrameDecoder, held: &mut Vec<u8>, found: &mut Vec<Found>) {
    loop {
        let consumed = match decoder.next(held) {
            FrameStep::NeedMore { input_bytes } => {
                assert!(input_bytes > held.len(), "what is needed is more than there is");
                return;
            }
            FrameStep::Frame { consumed, frame } => {
                let Frame { kind, flags, correlation, body } = frame;
                found.push(Found::Frame { kind, flags, correlation, body: body.to_vec() });
                consumed
            }
            FrameStep::TooLarge { consumed, correlation, .. } => {
                found.push(Found::TooLarge { correlation });
                consumed
            }
            FrameStep::Discarded { consumed } => consumed,
            FrameStep::OutOfStep { .. } => {
                found.push(Found::OutOfStep);
                return;
            }
        };
        assert!(consumed > 0 && consumed <= held.len(), "each step makes progress");
        held.drain(..consumed);
    }
}
