//! The native wire survives any cut of its bytes, and no bytes make it panic.

mod strategies;

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::native::{
    FrameDecoder, FrameStep, decode_request, decode_response, encode_request, encode_response,
};
use protocol::{
    BatchBuilder, Code, Durability, Messages, PublishAck, PublishTerms, PublisherId,
    PublisherSequence, Refusal, Request, Response,
};
use strategies::{name, plain_request, terms};

const MESSAGE_BYTES_MAX: usize = 1 << 20;
const FRAME_BYTES_MAX: usize = 1 << 22;

/// What a decoder makes of `stream` when its bytes come cut at `cuts`, in the words of `Debug`.
fn decode_cut(
    stream: &[u8],
    cuts: &[usize],
    decode: impl Fn(protocol::native::Frame<'_>) -> String,
) -> Vec<(u32, String)> {
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    let mut found = Vec::new();
    let (mut held, mut fed) = (Vec::new(), 0);
    for end in cuts.iter().copied().chain([stream.len()]) {
        let end = end.clamp(fed, stream.len());
        held.extend_from_slice(&stream[fed..end]);
        fed = end;
        loop {
            let consumed = match decoder.next(&held) {
                FrameStep::NeedMore { input_bytes } => {
                    assert!(input_bytes > held.len(), "what is needed is more than there is");
                    break;
                }
                FrameStep::Frame { consumed, frame } => {
                    found.push((frame.correlation, decode(frame)));
                    consumed
                }
                FrameStep::TooLarge { consumed, correlation, refusal } => {
                    found.push((correlation, format!("{refusal:?}")));
                    consumed
                }
                FrameStep::Discarded { consumed } => consumed,
                FrameStep::OutOfStep { refusal } => {
                    found.push((0, format!("{refusal:?}")));
                    return found;
                }
            };
            held.drain(..consumed);
        }
    }
    found
}

fn request_words(frame: protocol::native::Frame<'_>) -> String {
    format!("{:?}", decode_request(frame, MESSAGE_BYTES_MAX))
}

fn response_words(frame: protocol::native::Frame<'_>) -> String {
    format!("{:?}", decode_response(frame))
}

fn builder(payloads: &[Vec<u8>]) -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    for payload in payloads {
        // Every other message with a header.
        let header = [("key", payload.as_slice())].into_iter().take(payload.len() % 2);
        builder.push_with_headers(header, payload).expect("small");
    }
    builder
}

#[track_caller]
fn check_bytes(request: &Request<'_>, expected: &[u8]) {
    let mut bytes = Vec::new();
    encode_request(request, 7, &mut bytes);
    assert_eq!(bytes, expected, "{request:?}");
}

#[track_caller]
fn check_refused(kind: u8, flags: u8, body: &[u8], expected: Code) {
    let frame = protocol::native::Frame { kind, flags, correlation: 7, body };
    let refusal = decode_request(frame, MESSAGE_BYTES_MAX).expect_err("a wrong frame");
    assert_eq!(refusal.code, expected, "{frame:?}: {refusal}");
}

#[test]
fn a_publication_says_who_sent_it_between_topic_and_count() {
    let messages = Messages::One(b"m"[..].into());
    let sequence = PublisherSequence { publisher: PublisherId(0x0102), sequence: 9 };
    let terms = PublishTerms { durability: Some(Durability::Os), sequence: Some(sequence) };
    let request = Request::Publish { topic: "t".into(), messages, ack: PublishAck::Wanted, terms };
    let mut expected = vec![44, 0, 0, 0, 0x01, 7, 0, 0, 7, 0, 0, 0, 1, 0, b't'];
    expected.extend([2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([1, 0, 0, 0, 1, 0, 0, 0, b'm']);
    check_bytes(&request, &expected);
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    let subscribe = [&[0; 9][..], &[0; 9]].concat();
    for flags in [2, 4, 6, 10, 12, 11, 16] {
        check_refused(0x04, flags, &subscribe, Code::MalformedFrame);
    }
    for flags in [12, 16] {
        check_refused(0x01, flags, &[0; 6], Code::MalformedFrame);
    }
    check_refused(0x08, 2, &[0; 12], Code::MalformedFrame);
    check_refused(0x0F, 2, &[0; 12], Code::MalformedFrame);
    check_refused(0x10, 1, &[0; 13], Code::MalformedFrame);
    check_refused(0x11, 1, &[], Code::UnknownCommand);
}

#[test]
fn what_is_settled_is_at_least_one_offset() {
    let body = |delay_ms: u32, ranges: u32, count: u32| {
        let numbers = [1, delay_ms, ranges, 0, 0, count];
        numbers.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>()
    };
    check_refused(0x0E, 0, &body(0, 1, 0), Code::InvalidValue);
    check_refused(0x0E, 0, &body(0, 2, 1), Code::MalformedFrame);
    check_refused(0x0E, 0, &body(0, u32::MAX, 1), Code::MalformedFrame);
    check_refused(0x0E, 0, &body(5, 1, 1), Code::MalformedFrame);
    check_refused(0x0E, 0, &body(0, 0, 1)[..12], Code::InvalidValue);
}

proptest! {
    #[test]
    fn requests_survive_the_wire_however_it_is_cut(
        requests in vec(plain_request(), 0..12),
        mut cuts in vec(0usize..600, 0..12),
    ) {
        cuts.sort_unstable();
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (correlation, request) in (0u32..).zip(&requests) {
            encode_request(request, correlation, &mut stream);
            expected.push((correlation, format!("{:?}", Ok::<_, Refusal>(request))));
        }
        prop_assert_eq!(decode_cut(&stream, &cuts, request_words), expected);
    }

    #[test]
    fn publications_survive_the_wire_however_it_is_cut(
        topic in name(),
        payloads in vec(vec(any::<u8>(), 0..50), 0..20),
        wanted: bool,
        terms in terms(),
        correlation: u32,
        mut cuts in vec(0usize..600, 0..12),
    ) {
        cuts.sort_unstable();
        let builder = builder(&payloads);
        let ack = if wanted { PublishAck::Wanted } else { PublishAck::Unwanted };
        let messages = Messages::Batch(builder.batch());
        let request = Request::Publish { topic, messages, ack, terms };
        let mut stream = Vec::new();
        encode_request(&request, correlation, &mut stream);
        let expected = vec![(correlation, format!("{:?}", Ok::<_, Refusal>(&request)))];
        prop_assert_eq!(decode_cut(&stream, &cuts, request_words), expected);
    }

    #[test]
    fn responses_survive_the_wire_however_it_is_cut(
        payloads in vec(vec(any::<u8>(), 0..50), 0..20),
        texts in vec("\\PC{0,20}", 0..8),
        numbers: [u64; 3],
        deliveries: u32,
        code in proptest::sample::select(Code::ALL),
        mut cuts in vec(0usize..1200, 0..12),
    ) {
        cuts.sort_unstable();
        let builder = builder(&payloads);
        let batch = builder.batch();
        let names: Vec<&str> = texts.iter().map(String::as_str).collect();
        let [base_offset, lost, remaining] = numbers;
        let refusal = Refusal::new(code, texts.concat());
        let responses = [
            Response::Done,
            Response::Published { base_offset, count: batch.count() },
            Response::Subscribed { next_offset: lost },
            Response::Messages { base_offset, lost, remaining, batch },
            Response::Leased { base_offset, lost, remaining, deliveries, batch },
            Response::Redeliver { base_offset, deliveries, batch },
            Response::Topics(names.clone()),
            Response::Subscribers(names),
            Response::Pong,
            Response::Info("{}"),
            Response::Refused(refusal.clone()),
            Response::Deliver { base_offset, batch },
            Response::Lost { count: lost, next_offset: remaining },
            Response::Ended(refusal),
        ];
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (correlation, response) in (0u32..).zip(&responses) {
            encode_response(response, correlation, &mut stream);
            expected.push((correlation, format!("{:?}", Ok::<_, Refusal>(response))));
        }
        prop_assert_eq!(decode_cut(&stream, &cuts, response_words), expected);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic_and_no_cut_changes_what_it_finds(
        stream in vec(prop_oneof![3 => 0u8..18, 1 => any::<u8>()], 0..200),
        mut cuts in vec(0usize..200, 0..12),
    ) {
        cuts.sort_unstable();
        let whole = decode_cut(&stream, &[], request_words);
        prop_assert_eq!(decode_cut(&stream, &cuts, request_words), whole);
        decode_cut(&stream, &[], response_words);
    }
}
