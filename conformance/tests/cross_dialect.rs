//! Both dialects see the same topics: what one publishes the other reads.

use conformance::{Backend, BrokerProcess, JsonClient, NativeClient, PUSH, Speaks};
use conformance::{for_both_backends, wait_until};
use serde_json::json;

for_both_backends! {
    what_native_publishes_json_pulls,
    what_json_publishes_native_pulls_and_is_pushed,
    a_subscription_is_the_same_in_both,
    a_pull_goes_on_where_a_push_ended,
    topics_and_subscribers_are_seen_by_both,
    a_topic_deleted_in_one_is_gone_in_the_other,
}

fn both(backend: Backend) -> (BrokerProcess, JsonClient, NativeClient) {
    let broker = BrokerProcess::start(backend);
    let mut json = JsonClient::connect(&broker);
    json.create("t").expect("created");
    let native = NativeClient::connect(&broker);
    (broker, json, native)
}

fn what_native_publishes_json_pulls(backend: Backend) {
    let (_broker, mut json, mut native) = both(backend);
    json.subscribe("t", "s").expect("subscribed");
    native.publish_batch("t", &[&b"text"[..], "Größe".as_bytes(), b"\xFF\x00\xFE", b""]);
    let pulled = json.ask(&json!({"command": "PULL", "topic": "t", "sid": "s"}));
    let messages = json!(["text", "Größe", {"base64": "/wD+"}, ""]);
    assert_eq!(pulled, json!({"status": "ok", "messages": messages}));
}

fn what_json_publishes_native_pulls_and_is_pushed(backend: Backend) {
    let (_broker, mut json, mut native) = both(backend);
    native.subscribe("t", "puller").expect("subscribed");
    let (subscription, _) = native.attach("t", "pushed", PUSH);
    json.publish("t", "Größe \"q\"\n").expect("published");
    json.publish("t", b"\xFF\x00").expect("published");
    let expected = ["Größe \"q\"\n".as_bytes(), b"\xFF\x00"];
    assert_eq!(native.pull("t", "puller").expect("messages").messages, expected);
    assert_eq!(native.delivered_count(subscription, 2).1, expected);
}

fn a_subscription_is_the_same_in_both(backend: Backend) {
    let (_broker, mut json, mut native) = both(backend);
    json.subscribe("t", "s").expect("subscribed");
    native.publish_batch("t", &["a", "b", "c"]);
    assert_eq!(json.pull_max("t", "s", Some(1)).expect("messages").texts(), ["a"]);
    assert_eq!(native.pull_max("t", "s", Some(1)).expect("messages").texts(), ["b"]);
    assert_eq!(json.pull("t", "s").expect("messages").texts(), ["c"]);
    native.subscribe("t", "s").expect("subscribed");
    assert!(json.pull("t", "s").expect("messages").messages.is_empty());
}

fn a_pull_goes_on_where_a_push_ended(backend: Backend) {
    let (_broker, mut json, mut native) = both(backend);
    let (subscription, _) = native.attach("t", "s", PUSH);
    json.publish("t", "pushed").expect("published");
    assert_eq!(native.delivered(subscription).messages, [b"pushed"]);
    drop(native);
    wait_until("the connection to be gone", || json.info().expect("info").connections == 1);
    json.publish("t", "pulled").expect("published");
    assert_eq!(json.pull("t", "s").expect("messages").texts(), ["pulled"]);
}

fn topics_and_subscribers_are_seen_by_both(backend: Backend) {
    let (_broker, mut json, mut native) = both(backend);
    native.create("u").expect("created");
    json.subscribe("u", "from json").expect("subscribed");
    native.attach("u", "from native", PUSH);
    assert_eq!(json.topics().expect("topics"), ["t", "u"]);
    assert_eq!(native.topics().expect("topics"), ["t", "u"]);
    let expected = ["from json", "from native"];
    assert_eq!(json.subscribers("u").expect("subscribers"), expected);
    assert_eq!(native.subscribers("u").expect("subscribers"), expected);
}

fn a_topic_deleted_in_one_is_gone_in_the_other(backend: Backend) {
    let (_broker, mut json, mut native) = both(backend);
    native.publish("t", "m").expect("published");
    json.delete("t").expect("deleted");
    assert_eq!(native.publish("t", "m"), Err(protocol::Code::UnknownTopic));
    native.create("t").expect("created");
    assert_eq!(json.publish("t", "m"), Ok(0));
}
