//! What came within a WebSocket while the broker took nothing more, for a topic without room, a
//! full output or a slow journal, is taken later, without a word more from the client.

use conformance::mqtt::web_socket::{BINARY, FIN, close_frame, frame};
use conformance::mqtt::{Connect, MqttClient, Publish, Version, Will, disconnect, pingreq};
use conformance::{Backend, BrokerProcess, DataDir, NativeClient, PUSH, Speaks};
use conformance::{for_both_backends, wait_until};
use protocol::{LagPolicy, Push};

for_both_backends! {
    held_publications_go_on_when_there_is_room,
    held_publications_go_on_at_the_end_of_the_stream,
    held_publications_go_on_after_a_close_frame,
    a_full_output_holds_packets_only_until_it_is_written,
    a_full_output_holds_packets_only_until_it_is_written_at_the_end_of_the_stream,
    answers_that_wait_for_the_journal_hold_packets_only_until_they_are_told,
}

const HELD: u16 = 100;
const V5: Version = Version::V5;

/// Publications that are not put together, since something else comes between them.
fn publications() -> Vec<u8> {
    let publication = |id: u16| {
        let publish = Publish::new("t", format!("{id}")).qos(1).id(id);
        [publish.packet(V5).bytes(), pingreq().bytes()].concat()
    };
    (1..=HELD).flat_map(publication).collect()
}

/// All of them answered, in order.
#[track_caller]
fn expect_answers(client: &mut MqttClient) {
    for id in 1..=HELD {
        assert_eq!(client.read().ack(0x40, V5).id, id);
        assert_eq!(client.read().name(), "PINGRESP");
    }
}

/// A client whose publications are held, for a subscriber that takes none yet.
struct Scene {
    broker: BrokerProcess,
    client: MqttClient,
    subscriber: NativeClient,
    subscription: u32,
}

impl Scene {
    #[track_caller]
    fn set(backend: Backend, end: &[u8]) -> Self {
        // A retry by the clock would come too late for the test.
        let flags = ["--topic-messages-max", "8", "--publisher-hold-ms-max", "60000"];
        let broker = BrokerProcess::start_with(backend, &flags);
        let mut subscriber = NativeClient::connect(&broker);
        subscriber.create("t").expect("created");
        let push = Push { credit_bytes: 0, lag_policy: LagPolicy::Hold, ..PUSH };
        let (subscription, _) = subscriber.attach("t", "s", push);
        let connect = Connect::new(V5, "a").will(Will::new("will", "gone"));
        let mut client = MqttClient::connect_web(&broker, &connect);
        client.connection.send(&[frame(FIN | BINARY, &publications()), end.to_vec()].concat());
        wait_until("a full topic", || subscriber.info().expect("info").messages_in >= 8);
        Self { broker, client, subscriber, subscription }
    }

    /// Has the subscriber read; nothing may be missing.
    #[track_caller]
    fn expect_messages(&mut self) {
        self.subscriber.credit(self.subscription, 1 << 30);
        let (_, messages) = self.subscriber.delivered_count(self.subscription, HELD.into());
        let expected: Vec<_> = (1..=HELD).map(|id| format!("{id}").into_bytes()).collect();
        assert_eq!(messages, expected);
    }
}

fn held_publications_go_on_when_there_is_room(backend: Backend) {
    let mut scene = Scene::set(backend, b"");
    scene.expect_messages();
    expect_answers(&mut scene.client);
    scene.client.expect_nothing();
}

fn held_publications_go_on_at_the_end_of_the_stream(backend: Backend) {
    let mut scene = Scene::set(backend, b"");
    scene.client.connection.finish_sending();
    scene.expect_messages();
    expect_answers(&mut scene.client);
    scene.client.expect_closed();
}

/// DISCONNECT is among what is taken later, so the will is not published.
fn held_publications_go_on_after_a_close_frame(backend: Backend) {
    let farewell = frame(FIN | BINARY, &disconnect().bytes());
    let mut scene = Scene::set(backend, &[farewell, close_frame(1000)].concat());
    let mut heir = MqttClient::connect(&scene.broker, V5, "heir");
    heir.subscribe("will", 0);
    scene.client.connection.finish_sending();
    scene.expect_messages();
    expect_answers(&mut scene.client);
    scene.client.expect_close_frame(1000);
    heir.expect_nothing();
}

const PINGS: usize = 50_000;

/// A client whose packets are answered with more than the broker keeps for it.
#[track_caller]
fn pinging(backend: Backend) -> (BrokerProcess, MqttClient) {
    let broker = BrokerProcess::start_with(backend, &["--output-bytes-max", "1KiB"]);
    let mut client = MqttClient::connect_web(&broker, &Connect::new(V5, "a"));
    client.connection.send(&frame(FIN | BINARY, &pingreq().bytes().repeat(PINGS)));
    (broker, client)
}

fn a_full_output_holds_packets_only_until_it_is_written(backend: Backend) {
    let (_broker, mut client) = pinging(backend);
    for _ in 0..PINGS {
        assert_eq!(client.read().name(), "PINGRESP");
    }
    client.expect_nothing();
}

fn a_full_output_holds_packets_only_until_it_is_written_at_the_end_of_the_stream(backend: Backend) {
    let (_broker, mut client) = pinging(backend);
    client.connection.finish_sending();
    for _ in 0..PINGS {
        assert_eq!(client.read().name(), "PINGRESP");
    }
    client.expect_closed();
}

fn answers_that_wait_for_the_journal_hold_packets_only_until_they_are_told(backend: Backend) {
    let data = DataDir::new();
    let broker = BrokerProcess::start_on(backend, &data, &["--answers-waiting-max", "2"]);
    let connect = Connect::new(V5, "a");
    // What has room again before the broker turns to something else needs many tries to be seen.
    for round in 0..20 {
        let mut over_tcp = MqttClient::connect_as(&broker, &connect);
        over_tcp.connection.send(&publications());
        expect_answers(&mut over_tcp);
        let mut client = MqttClient::connect_web(&broker, &connect);
        client.connection.send(&frame(FIN | BINARY, &publications()));
        if round % 2 == 0 {
            client.connection.finish_sending();
        }
        expect_answers(&mut client);
    }
}
