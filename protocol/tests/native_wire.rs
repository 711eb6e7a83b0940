//! The native wire survives any cut of its bytes, and no bytes make it panic.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::native::{
    FrameDecoder, FrameStep, decode_request, decode_response, encode_request, encode_response,
};
use protocol::{
    AckMode, BatchBuilder, Code, Delivery, LagPolicy, Lifetime, Messages, PublishAck, Push,
    Refusal, Request, Response, Retention,
};
use std::borrow::Cow;

const MESSAGE_BYTES_MAX: usize = 1 << 20;
const FRAME_BYTES_MAX: usize = 1 << 22;

fn name() -> impl Strategy<Value = Cow<'static, str>> {
    "\\PC{0,20}".prop_map(Cow::Owned)
}

fn delivery() -> impl Strategy<Value = Delivery> {
    let ack_mode = prop_oneof![Just(AckMode::OnSend), Just(AckMode::Explicit)];
    let lag_policy =
        prop_oneof![Just(LagPolicy::Skip), Just(LagPolicy::Disconnect), Just(LagPolicy::Hold)];
    let lifetime = prop_oneof![Just(Lifetime::Named), Just(Lifetime::Connection)];
    let push = (any::<u32>(), ack_mode, lag_policy, lifetime).prop_map(
        |(credit_bytes, ack_mode, lag_policy, lifetime)| {
            Delivery::Push(Push { credit_bytes, ack_mode, lag_policy, lifetime })
        },
    );
    prop_oneof![Just(Delivery::Pull), push]
}

fn limit() -> impl Strategy<Value = Option<u64>> {
    proptest::option::of(1u64..)
}

/// Every request but PUBLISH, which borrows its batch.
fn plain_request() -> impl Strategy<Value = Request<'static>> {
    prop_oneof![
        (name(), limit(), limit(), limit()).prop_map(
            |(topic, bytes_max, messages_max, age_ms_max)| Request::Create {
                topic,
                retention: Retention { bytes_max, messages_max, age_ms_max },
            }
        ),
        name().prop_map(|topic| Request::Delete { topic }),
        (name(), name(), delivery()).prop_map(|(topic, subscriber, delivery)| {
            Request::Subscribe { topic, subscriber, delivery }
        }),
        (name(), name()).prop_map(|(topic, subscriber)| Request::Unsubscribe { topic, subscriber }),
        any::<u32>().prop_map(|subscription| Request::Detach { subscription }),
        any::<(u32, u32)>()
            .prop_map(|(subscription, bytes)| Request::Credit { subscription, bytes }),
        any::<(u32, u64)>()
            .prop_map(|(subscription, offset)| Request::Ack { subscription, offset }),
        (name(), name(), proptest::option::of(1u32..)).prop_map(
            |(topic, subscriber, count_max)| Request::Pull { topic, subscriber, count_max }
        ),
        Just(Request::ListTopics),
        name().prop_map(|topic| Request::Subscribers { topic }),
        Just(Request::Ping),
        Just(Request::Info),
    ]
}

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
        builder.push(payload).expect("small");
    }
    builder
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
        correlation: u32,
        mut cuts in vec(0usize..600, 0..12),
    ) {
        cuts.sort_unstable();
        let builder = builder(&payloads);
        let ack = if wanted { PublishAck::Wanted } else { PublishAck::Unwanted };
        let messages = Messages::Batch(builder.batch());
        let request = Request::Publish { topic, messages, ack };
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
        stream in vec(prop_oneof![3 => 0u8..16, 1 => any::<u8>()], 0..200),
        mut cuts in vec(0usize..200, 0..12),
    ) {
        cuts.sort_unstable();
        let whole = decode_cut(&stream, &[], request_words);
        prop_assert_eq!(decode_cut(&stream, &cuts, request_words), whole);
        decode_cut(&stream, &[], response_words);
    }
}
