use super::frames::{FRAME_BYTES_MIN, FrameStep, KIND_METHOD, next_frame};
use super::methods::{Mandatory, Method, decode, publication};
use super::*;
use crate::drivers::DriverKind;
use crate::message::Payloads;
use crate::wire::testing::{Connected, Peer, check_splits, check_stream, stamped, terms};
use crate::wire::{Confirmation, EncodedBatch, Request, hold_requests};
use amq_protocol::frame::{AMQPFrame, WriteContext, gen_frame, parse_frame};
use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, connection, exchange, queue};
use proptest::prelude::*;

const CONFIG: &str = "listeners.tcp.1 = 127.0.0.1:{port}\n";

#[test]
fn rabbitmq_delivers_what_its_queues_take_whole_and_in_order() {
    let Some(peer) = Peer::start_rabbitmq(DriverKind::Amqp, "", CONFIG) else { return };
    let mut number = 0;
    for queues in [AmqpQueue::Classic, AmqpQueue::Quorum] {
        let driver = Amqp::new(peer.address(), queues);
        for confirmation in [Confirmation::Wanted, Confirmation::Unwanted] {
            for (topics, selection) in
                [(1, Selection::Names), (3, Selection::Names), (3, Selection::Wildcard)]
            {
                number += 1;
                let terms = terms(&format!("stream-{number}"), topics, Payloads::fixed(100));
                let terms = StreamTerms { confirmation, selection, ..terms };
                check_stream(&driver, &terms, 1000);
            }
        }
    }
    let driver = Amqp::new(peer.address(), AmqpQueue::Classic);
    // More than a frame holds.
    check_stream(&driver, &terms("large", 1, Payloads::fixed(500_000)), 20);
    check_stream(&driver, &terms("cycle", 1, Payloads::cycle(vec![32, 300_000, 100])), 100);
    rabbitmq_answers_operations(&peer);
    rabbitmq_refuses_what_nobody_takes(&peer);
}

fn rabbitmq_answers_operations(peer: &Peer) {
    for queues in [AmqpQueue::Classic, AmqpQueue::Quorum] {
        let driver = Amqp::new(peer.address(), queues);
        let topic = "topic";
        let requests = [
            Request::Create { topic },
            Request::Publish { topic, payload: b"x" },
            Request::Publish { topic, payload: &[0; 300_000] },
            Request::Delete { topic },
        ];
        hold_requests(peer.address(), driver.operator(0).as_mut(), requests).unwrap();
        let requests = [Request::Publish { topic, payload: b"x" }];
        let error =
            hold_requests(peer.address(), driver.operator(0).as_mut(), requests).unwrap_err();
        assert_eq!(error.code(), "amqp_312");
    }
}

fn rabbitmq_refuses_what_nobody_takes(peer: &Peer) {
    let driver = Amqp::new(peer.address(), AmqpQueue::Classic);
    let terms = terms("nobody", 1, Payloads::fixed(100));
    let refused = || {
        let publisher = driver.publisher(&terms, 0);
        let mut connected = Connected::open(peer.address(), publisher, &terms, 0).unwrap();
        connected.publish_all(&terms, 0, 1).unwrap_err()
    };
    let error = refused();
    assert!(error.code() == "amqp_404" && error.to_string().contains("nobody"), "{error}");
    let mut preparation = driver.preparation(&terms).unwrap();
    crate::wire::hold_conversation(peer.address(), preparation.as_mut()).unwrap();
    assert_eq!(refused().code(), "amqp_312");
}

/// What another's codec makes of bytes that begin with a frame.
fn parsed(bytes: &[u8]) -> (usize, AMQPFrame) {
    let (rest, frame) = parse_frame(bytes).expect("a frame that others can read");
    (bytes.len() - rest.len(), frame)
}

fn generated(frame: &AMQPFrame) -> Vec<u8> {
    let mut bytes = vec![0; 2 * frames::FRAME_BYTES_MAX];
    let cursor = std::io::Cursor::new(bytes.as_mut_slice());
    let (_, used) = gen_frame(frame)(WriteContext::from(cursor)).expect("a frame").into_inner();
    bytes.truncate(used as usize);
    bytes
}

/// A call is what another's codec says that it is, to the byte.
fn check_call(call: Call<'_>, expected: impl FnOnce(AMQPClass) -> bool) {
    let mut bytes = Vec::new();
    call.encode(&mut bytes);
    let (used, frame) = parsed(&bytes);
    assert_eq!(used, bytes.len(), "{call:?}");
    assert_eq!(generated(&frame), bytes, "{call:?}");
    let AMQPFrame::Method(_, class) = frame else { panic!("{frame:?}") };
    assert!(expected(class.clone()), "{call:?} is {class:?}");
}

#[test]
fn calls_are_what_another_codec_reads() {
    use AMQPClass::{Basic, Channel, Confirm, Connection, Exchange, Queue};
    check_call(Call::StartOk, |class| {
        let Connection(connection::AMQPMethod::StartOk(ok)) = class else { return false };
        ok.mechanism.as_str() == "PLAIN" && ok.response.as_bytes() == b"\0guest\0guest"
    });
    check_call(Call::TuneOk { frame_bytes_max: 4096 }, |class| {
        let Connection(connection::AMQPMethod::TuneOk(ok)) = class else { return false };
        (ok.channel_max, ok.frame_max, ok.heartbeat) == (1, 4096, 0)
    });
    check_call(Call::Open, |class| {
        let Connection(connection::AMQPMethod::Open(open)) = class else { return false };
        open.virtual_host.as_str() == "/"
    });
    check_call(Call::OpenChannel, |class| matches!(class, Channel(channel::AMQPMethod::Open(_))));
    let (exchange, queue, key) = ("an-exchange", "a-queue", "a-key");
    let call = Call::DeclareExchange { exchange, kind: "fanout", queues: AmqpQueue::Quorum };
    check_call(call, |class| {
        let Exchange(exchange::AMQPMethod::Declare(declare)) = class else { return false };
        declare.exchange.as_str() == exchange
            && declare.kind.as_str() == "fanout"
            && declare.durable
    });
    check_call(Call::DeleteExchange { exchange }, |class| {
        matches!(class, Exchange(exchange::AMQPMethod::Delete(_)))
    });
    for (kind, durable, exclusive) in [
        (QueueKind::Exclusive, false, true),
        (QueueKind::Transient, false, false),
        (QueueKind::Quorum, true, false),
    ] {
        check_call(Call::DeclareQueue { queue, kind }, |class| {
            let Queue(queue::AMQPMethod::Declare(declare)) = class else { return false };
            let quorum = declare.arguments.contains_key("x-queue-type");
            (declare.durable, declare.exclusive, quorum) == (durable, exclusive, durable)
        });
    }
    check_call(Call::BindQueue { queue, exchange, key }, |class| {
        let Queue(queue::AMQPMethod::Bind(bind)) = class else { return false };
        bind.routing_key.as_str() == key
    });
    check_call(Call::DeleteQueue { queue }, |class| {
        matches!(class, Queue(queue::AMQPMethod::Delete(_)))
    });
    check_call(Call::Consume { queue }, |class| {
        let Basic(basic::AMQPMethod::Consume(consume)) = class else { return false };
        consume.no_ack && consume.queue.as_str() == queue
    });
    check_call(Call::SelectConfirms, |class| {
        matches!(class, Confirm(confirm::AMQPMethod::Select(_)))
    });
    check_call(Call::Qos, |class| matches!(class, Basic(basic::AMQPMethod::Qos(_))));
}

/// The frames of a batch of these payloads, as another's codec reads them.
fn read_back(payloads: &[&[u8]], frame_bytes_max: usize) -> Vec<(basic::Publish, Vec<u8>, u8)> {
    let methods = vec![publication("an-exchange", "a-key", Mandatory::Yes)];
    let mut batch = EncodedBatch::default();
    ContentEncoder::new(methods, AmqpQueue::Quorum, frame_bytes_max)
        .encode(0, payloads, &mut batch);
    for (&at, payload) in batch.payloads_at().iter().zip(payloads) {
        let first = &payload[..payload.len().min(frame_bytes_max - 8)];
        assert!(batch.bytes()[at..].starts_with(first));
    }
    let (mut rest, mut messages) = (batch.bytes(), Vec::new());
    while !rest.is_empty() {
        let (used, frame) = parsed(rest);
        assert!(used <= frame_bytes_max, "{used}");
        rest = &rest[used..];
        match frame {
            AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Publish(publish))) => {
                messages.push((publish, Vec::new(), 0));
            }
            AMQPFrame::Header(1, header) => {
                messages.last_mut().unwrap().2 = header.properties.delivery_mode().unwrap();
                messages.last_mut().unwrap().1.reserve(header.body_size as usize);
            }
            AMQPFrame::Body(1, body) => messages.last_mut().unwrap().1.extend_from_slice(&body),
            other => panic!("{other:?}"),
        }
    }
    messages
}

#[test]
fn messages_are_what_another_codec_reads() {
    let sizes = [1, 100, FRAME_BYTES_MIN - 8, FRAME_BYTES_MIN - 7, 3 * FRAME_BYTES_MIN];
    let payloads: Vec<Vec<u8>> = sizes.iter().map(|&size| vec![7; size]).collect();
    let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    let read = read_back(&payloads, FRAME_BYTES_MIN);
    assert_eq!(read.len(), payloads.len());
    for ((publish, body, delivery_mode), payload) in read.iter().zip(payloads) {
        assert!(publish.mandatory && publish.routing_key.as_str() == "a-key");
        assert_eq!((body.as_slice(), *delivery_mode), (payload, 2));
    }
}

/// A method that another's codec wrote is read as this.
fn check_method(class: AMQPClass, expected: Method<'_>) {
    let bytes = generated(&AMQPFrame::Method(1, class));
    let FrameStep::Frame { used, frame } = next_frame(&bytes).unwrap() else {
        panic!("expected a frame, found {bytes:?}");
    };
    assert_eq!((used, frame.kind, frame.channel), (bytes.len(), KIND_METHOD, 1));
    assert_eq!(decode(frame.body).unwrap(), expected);
    for end in 0..frame.body.len() {
        // Cut short it may be an error, and never a panic.
        let _ = decode(&frame.body[..end]);
    }
}

fn start() -> AMQPClass {
    AMQPClass::Connection(connection::AMQPMethod::Start(connection::Start {
        version_major: 0,
        version_minor: 9,
        server_properties: Default::default(),
        mechanisms: "AMQPLAIN PLAIN".into(),
        locales: "en_US".into(),
    }))
}

fn tune(frame_max: u32) -> AMQPClass {
    let tune = connection::Tune { channel_max: 2047, frame_max, heartbeat: 60 };
    AMQPClass::Connection(connection::AMQPMethod::Tune(tune))
}

fn ack(delivery_tag: u64, multiple: bool) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple }))
}

fn deliver() -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Deliver(basic::Deliver {
        consumer_tag: "tag".into(),
        delivery_tag: 1,
        redelivered: false,
        exchange: "an-exchange".into(),
        routing_key: "a-key".into(),
    }))
}

fn granted(what: basic::AMQPMethod) -> AMQPClass {
    AMQPClass::Basic(what)
}

#[test]
fn methods_are_read_as_another_codec_writes_them() {
    check_method(start(), Method::Start { mechanisms: b"AMQPLAIN PLAIN" });
    check_method(tune(131_072), Method::Tune { frame_bytes_max: 131_072 });
    let open_ok = connection::AMQPMethod::OpenOk(connection::OpenOk {});
    check_method(AMQPClass::Connection(open_ok), Method::OpenOk);
    let (reply_code, reply_text) = (320, "CONNECTION_FORCED");
    let close =
        connection::Close { reply_code, reply_text: reply_text.into(), class_id: 0, method_id: 0 };
    let expected = Method::Close { code: reply_code, reason: reply_text.as_bytes() };
    check_method(AMQPClass::Connection(connection::AMQPMethod::Close(close)), expected);
    let close =
        channel::Close { reply_code, reply_text: reply_text.into(), class_id: 60, method_id: 40 };
    check_method(AMQPClass::Channel(channel::AMQPMethod::Close(close)), expected);
    check_method(deliver(), Method::Deliver);
    check_method(ack(7, true), Method::Ack { tag: 7, multiple: true });
    check_method(ack(8, false), Method::Ack { tag: 8, multiple: false });
    let nack = basic::Nack { delivery_tag: 9, multiple: false, requeue: false };
    check_method(granted(basic::AMQPMethod::Nack(nack)), Method::Nack { tag: 9 });
    let returned = basic::Return {
        reply_code: 312,
        reply_text: "NO_ROUTE".into(),
        exchange: "".into(),
        routing_key: "".into(),
    };
    let expected = Method::Return { code: 312, reason: b"NO_ROUTE" };
    check_method(granted(basic::AMQPMethod::Return(returned)), expected);
    let qos_ok = basic::AMQPMethod::QosOk(basic::QosOk {});
    check_method(granted(qos_ok), Method::Granted);
}

/// What a broker says first, up to the answers to `calls` calls.
fn told_opening(frame_bytes_max: u32, calls: usize) -> Vec<u8> {
    let open_ok = AMQPClass::Connection(connection::AMQPMethod::OpenOk(connection::OpenOk {}));
    let opening = [start(), tune(frame_bytes_max), open_ok];
    let mut told: Vec<u8> =
        opening.into_iter().flat_map(|class| generated(&AMQPFrame::Method(0, class))).collect();
    let qos_ok = || granted(basic::AMQPMethod::QosOk(basic::QosOk {}));
    for _ in 0..calls {
        told.extend_from_slice(&generated(&AMQPFrame::Method(1, qos_ok())));
    }
    told
}

/// What a subscriber is told, with bodies in two frames where they are long.
fn told_subscriber(terms: &StreamTerms) -> Vec<u8> {
    let mut told = told_opening(131_072, 4);
    for sequence in 0..4 {
        let payload = stamped(&terms.payloads, sequence);
        let mut message = EncodedBatch::default();
        let methods = vec![methods::delivery("e", "k")];
        ContentEncoder::new(methods, AmqpQueue::Classic, FRAME_BYTES_MIN).encode(
            0,
            &[&payload],
            &mut message,
        );
        told.extend_from_slice(message.bytes());
        told.extend_from_slice(&generated(&AMQPFrame::Heartbeat));
    }
    told
}

fn told_publisher() -> Vec<u8> {
    let mut told = told_opening(FRAME_BYTES_MIN as u32, 2);
    for class in [ack(2, false), ack(1, false), ack(4, true)] {
        told.extend_from_slice(&generated(&AMQPFrame::Method(1, class)));
    }
    let qos_ok = granted(basic::AMQPMethod::QosOk(basic::QosOk {}));
    told.extend_from_slice(&generated(&AMQPFrame::Method(1, qos_ok)));
    told
}

#[test]
fn a_broker_that_allows_smaller_frames_gets_them() {
    let terms = terms("stream", 1, Payloads::fixed(10_000));
    let driver = Amqp::new("127.0.0.1:1".parse().unwrap(), AmqpQueue::Classic);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let broker = std::thread::spawn(move || {
        use std::io::Write;
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(&told_opening(FRAME_BYTES_MIN as u32, 2)).unwrap();
        socket
    });
    let mut connected = Connected::open(address, driver.publisher(&terms, 0), &terms, 0).unwrap();
    let stamp = crate::message::BatchStamp {
        count: 1,
        topic: 0,
        producer: 0,
        first_sequence: 0,
        intended: crate::message::Intended::Together(1),
        sent_ns: 2,
        run_id: 1,
        phase: 0,
    };
    let mut rest = connected.conversation.publish(&stamp);
    let mut bodies = 0;
    while !rest.is_empty() {
        let (used, frame) = parsed(rest);
        assert!(used <= FRAME_BYTES_MIN);
        bodies += usize::from(matches!(frame, AMQPFrame::Body(..)));
        rest = &rest[used..];
    }
    assert_eq!(bodies, 3);
    drop(broker.join().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_what_a_broker_says_comes_to_the_same(
        splits in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let driver = Amqp::new("127.0.0.1:1".parse().unwrap(), AmqpQueue::Classic);
        let payloads = Payloads::cycle(vec![40, 5000]);
        let terms = terms("stream", 1, payloads.clone());
        let told = told_subscriber(&terms);
        check_splits(|| driver.subscriber(&terms, 0), &terms, &told, &splits);
        let publisher = || {
            let mut publisher = AmqpPublisher::new(&terms, AmqpQueue::Classic);
            publisher.expect_publications(4);
            Box::new(publisher)
        };
        check_splits(publisher, &terms, &told_publisher(), &splits);
    }

    #[test]
    fn nothing_that_a_broker_may_say_panics(
        told in prop::collection::vec(any::<u8>(), 0..100),
        class in prop::sample::select(vec![10u8, 20, 40, 50, 60, 85]),
        method in any::<u8>(),
    ) {
        let driver = Amqp::new("127.0.0.1:1".parse().unwrap(), AmqpQueue::Classic);
        let payloads = Payloads::fixed(40);
        let terms = terms("stream", 1, payloads.clone());
        let mut opened = told_opening(0, 4);
        frames::put_frame(KIND_METHOD, 1, &mut opened, |output| {
            output.extend_from_slice(&[0, class, 0, method]);
            output.extend_from_slice(&told);
        });
        check_splits(|| driver.subscriber(&terms, 0), &terms, &opened, &[]);
        check_splits(|| driver.subscriber(&terms, 0), &terms, &told, &[]);
    }
}
