//! Headers travel with their message, whoever reads it.

use conformance::{
    Backend, BrokerProcess, Headers, JsonClient, NativeClient, PUSH, Speaks, for_both_backends,
};
use protocol::{BatchBuilder, Code, PublishTerms};
use serde_json::json;

for_both_backends! {
    headers_come_with_a_pull_and_with_a_push,
    headers_stand_beside_the_messages_in_json,
    headers_count_to_the_size_of_a_message,
}

/// A message without headers and one with two, the second not text.
fn batch() -> BatchBuilder {
    let mut batch = BatchBuilder::new();
    batch.push(b"plain").expect("small");
    let headers: [(&str, &[u8]); 2] = [("from", "Zürich".as_bytes()), ("key", b"\xFF")];
    batch.push_with_headers(headers, b"rich").expect("small");
    batch
}

fn broker_with_topic(backend: Backend) -> (BrokerProcess, NativeClient) {
    let broker = BrokerProcess::start(backend);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    client.subscribe("t", "puller").expect("subscribed");
    (broker, client)
}

fn headers_come_with_a_pull_and_with_a_push(backend: Backend) {
    let (_broker, mut client) = broker_with_topic(backend);
    let (subscription, _) = client.attach("t", "pushed", PUSH);
    let published = client.publish_on("t", &batch(), PublishTerms::default());
    assert_eq!(published, Ok((0, 2)));
    let rich: Headers = vec![("from".to_owned(), "Zürich".into()), ("key".to_owned(), vec![0xFF])];
    let expected = (vec![b"plain".to_vec(), b"rich".to_vec()], vec![vec![], rich]);
    let delivered = client.delivered(subscription);
    assert_eq!((delivered.messages, delivered.headers), expected);
    let pulled = client.pull("t", "puller").expect("messages");
    assert_eq!((pulled.messages, pulled.headers), expected);
}

fn headers_stand_beside_the_messages_in_json(backend: Backend) {
    let (broker, mut native) = broker_with_topic(backend);
    native.publish_on("t", &batch(), PublishTerms::default()).expect("published");
    let mut client = JsonClient::connect(&broker);
    let pull = json!({"command": "PULL", "topic": "t", "sid": "puller"});
    let headers = json!([null, {"from": "Zürich", "key": {"base64": "/w=="}}]);
    let messages = json!(["plain", "rich"]);
    let expected = json!({"status": "ok", "messages": messages, "headers": headers});
    assert_eq!(client.ask(&pull), expected);
    native.publish("t", "plain").expect("published");
    assert_eq!(client.ask(&pull), json!({"status": "ok", "messages": ["plain"]}));
}

fn headers_count_to_the_size_of_a_message(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--message-bytes-max", "1024"]);
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("created");
    let publish = |client: &mut NativeClient, payload_bytes: usize| {
        let mut batch = BatchBuilder::new();
        // 4 bytes of the block's length, 2 of each field's, the key's and the value's own.
        let header = [("k", &[0; 100][..])];
        batch.push_with_headers(header, &vec![0; payload_bytes - 109]).expect("small");
        client.publish_on("t", &batch, PublishTerms::default())
    };
    assert_eq!(publish(&mut client, 1024), Ok((0, 1)));
    assert_eq!(publish(&mut client, 1025), Err(Code::MessageTooLarge));
}
