//! How JSON lines say storage, places, groups and acknowledgements, and what each answer holds.

use conformance::{Backend, BrokerProcess, DataDir, JsonClient, NativeClient, Speaks};
use conformance::{for_both_backends, wait_until};
use protocol::{BatchBuilder, Code, PublishTerms};
use serde_json::{Value, json};

for_both_backends! {
    a_subscription_is_answered_with_its_next_offset,
    a_group_stands_in_place_of_a_sid,
    a_group_has_the_brokers_terms_where_it_says_none,
    a_sid_with_acks_is_a_group,
    terms_that_are_null_are_the_brokers,
    a_pull_of_a_group_tells_offsets_and_deliveries,
    a_pull_of_a_group_tells_what_was_lost_and_what_remains,
    headers_stand_beside_messages,
    one_offset_and_many_are_acknowledged,
    a_message_is_given_back_with_a_delay_or_without,
    a_subscription_is_sought_by_either_name,
    a_topic_says_its_storage_and_durability,
    requests_that_were_pipelined_are_answered_in_order,
}

/// A broker with a topic `t` that holds `a`, `b` and `c`, and a client.
fn with_topic(backend: Backend) -> (BrokerProcess, JsonClient) {
    let broker = BrokerProcess::start(backend);
    let mut client = JsonClient::connect(&broker);
    client.create("t").expect("created");
    for message in ["a", "b", "c"] {
        client.publish("t", message).expect("published");
    }
    (broker, client)
}

/// The answer to a line is exactly `expected` beside its status.
#[track_caller]
fn check(client: &mut JsonClient, line: &str, mut expected: Value) {
    let request: Value = serde_json::from_str(line).expect("JSON");
    expected["status"] = "ok".into();
    assert_eq!(client.ask(&request), expected, "{line}");
}

#[track_caller]
fn ok(client: &mut JsonClient, line: &str) {
    check(client, line, json!({}));
}

fn a_subscription_is_answered_with_its_next_offset(backend: Backend) {
    let (_broker, mut client) = with_topic(backend);
    for (start, next_offset) in [
        ("", 0),
        (r#","start":"earliest""#, 0),
        (r#","start":"latest""#, 3),
        (r#","start":{"offset":2}"#, 2),
        (r#","start":{"offset":18446744073709551615}"#, 3),
        (r#","start":{"time_ms":0}"#, 0),
        (r#","start":{"offset":1,"time_ms":null}"#, 1),
    ] {
        let line = format!(r#"{{"command":"SUBSCRIBE","topic":"t","sid":"s"{start}}}"#);
        check(&mut client, &line, json!({"next_offset": next_offset}));
        client.unsubscribe("t", "s").expect("unsubscribed");
    }
}

fn a_group_stands_in_place_of_a_sid(backend: Backend) {
    let (_broker, mut client) = with_topic(backend);
    check(
        &mut client,
        r#"{"command":"SUBSCRIBE","topic":"t","group":"g"}"#,
        json!({"next_offset": 0}),
    );
    check(
        &mut client,
        r#"{"command":"SUBSCRIBE","topic":"t","group":"g","sid":"g"}"#,
        json!({"next_offset": 0}),
    );
    let pulled = json!({"messages": ["a"], "offsets": [0], "deliveries": 1, "remaining": 2});
    check(&mut client, r#"{"command":"PULL","topic":"t","group":"g","max":1}"#, pulled);
    ok(&mut client, r#"{"command":"ACK","topic":"t","group":"g","offset":0}"#);
    let pulled = json!({"messages": ["b"], "offsets": [1], "deliveries": 1, "remaining": 1});
    check(&mut client, r#"{"command":"PULL","topic":"t","sid":"g","max":1}"#, pulled);
    ok(&mut client, r#"{"command":"ACK","topic":"t","sid":"g","offset":1}"#);
    let subscribers = json!({"subscribers": ["g"], "count": 1});
    check(&mut client, r#"{"command":"GET_SUBSCRIBERS","topic":"t"}"#, subscribers);
    ok(&mut client, r#"{"command":"UNSUBSCRIBE","topic":"t","group":"g"}"#);
    // A group may be named in place of any sid, but only SUBSCRIBE makes it one.
    client.subscribe("t", "cursor").expect("subscribed");
    let pulled = json!({"messages": ["a", "b", "c"]});
    check(&mut client, r#"{"command":"PULL","topic":"t","group":"cursor"}"#, pulled);
}

fn a_group_has_the_brokers_terms_where_it_says_none(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--in-flight-max", "2"]);
    let mut client = JsonClient::connect(&broker);
    client.create("t").expect("created");
    for message in ["a", "b", "c"] {
        client.publish("t", message).expect("published");
    }
    for (name, acks, taken) in [
        ("none", "", 2),
        ("empty", r#","acks":{}"#, 2),
        ("own", r#","acks":{"in_flight":3}"#, 3),
        (
            "others",
            r#","acks":{"timeout_ms":1000,"deliveries":1,"backoff_ms":1,"backoff_ms_max":2}"#,
            2,
        ),
        ("huge", r#","acks":{"in_flight":18446744073709551615}"#, 3),
    ] {
        let line = format!(r#"{{"command":"SUBSCRIBE","topic":"t","group":"{name}"{acks}}}"#);
        check(&mut client, &line, json!({"next_offset": 0}));
        assert_eq!(client.lease("t", name, None).expect("a lease").offsets.len(), taken, "{name}");
    }
}

fn a_sid_with_acks_is_a_group(backend: Backend) {
    let (_broker, mut client) = with_topic(backend);
    let line = r#"{"command":"SUBSCRIBE","topic":"t","sid":"s","acks":{"in_flight":1}}"#;
    check(&mut client, line, json!({"next_offset": 0}));
    let pulled = json!({"messages": ["a"], "offsets": [0], "deliveries": 1, "remaining": 2});
    check(&mut client, r#"{"command":"PULL","topic":"t","sid":"s"}"#, pulled);
    let line = r#"{"command":"SUBSCRIBE","topic":"t","sid":"s"}"#;
    assert_eq!(client.refusal_of(line), Code::SubscriptionMismatch);
}

fn terms_that_are_null_are_the_brokers(backend: Backend) {
    let (_broker, mut client) = with_topic(backend);
    let line = r#"{"command":"SUBSCRIBE","topic":"t","sid":"s","acks":null,"start":null}"#;
    check(&mut client, line, json!({"next_offset": 0}));
    check(
        &mut client,
        r#"{"command":"PULL","topic":"t","sid":"s","max":1}"#,
        json!({"messages": ["a"], "remaining": 2}),
    );
    let line = r#"{"command":"SUBSCRIBE","topic":"t","sid":null,"group":"g",
        "acks":{"in_flight":null,"dead_letter":null}}"#;
    check(&mut client, line, json!({"next_offset": 0}));
}

fn a_pull_of_a_group_tells_offsets_and_deliveries(backend: Backend) {
    let (_broker, mut client) = with_topic(backend);
    check(
        &mut client,
        r#"{"command":"SUBSCRIBE","topic":"t","group":"g"}"#,
        json!({"next_offset": 0}),
    );
    let pull = r#"{"command":"PULL","topic":"t","group":"g"}"#;
    let all = json!({"messages": ["a", "b", "c"], "offsets": [0, 1, 2], "deliveries": 1});
    check(&mut client, pull, all);
    let answer = client.ask(&serde_json::from_str(pull).expect("JSON"));
    assert_eq!((&answer["messages"], &answer["offsets"]), (&json!([]), &json!([])));
    ok(&mut client, r#"{"command":"NACK","topic":"t","group":"g","offsets":[1,2],"delay_ms":0}"#);
    check(&mut client, pull, json!({"messages": ["b", "c"], "offsets": [1, 2], "deliveries": 2}));
    client.publish("t", [0xFF]).expect("published");
    let bytes = json!({"messages": [{"base64": "/w=="}], "offsets": [3], "deliveries": 1});
    check(&mut client, pull, bytes);
}

fn a_pull_of_a_group_tells_what_was_lost_and_what_remains(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--topic-messages-max", "2"]);
    let mut client = JsonClient::connect(&broker);
    client.create("t").expect("created");
    check(
        &mut client,
        r#"{"command":"SUBSCRIBE","topic":"t","group":"g"}"#,
        json!({"next_offset": 0}),
    );
    for message in ["a", "b", "c", "d"] {
        client.publish("t", message).expect("published");
    }
    let pulled = json!({
        "messages": ["c"], "offsets": [2], "deliveries": 1, "lost": 2, "remaining": 1,
    });
    check(&mut client, r#"{"command":"PULL","topic":"t","group":"g","max":1}"#, pulled);
}

fn headers_stand_beside_messages(backend: Backend) {
    let (broker, mut client) = with_topic(backend);
    let mut batch = BatchBuilder::new();
    let headers: [(&str, &[u8]); 3] = [("k", b"first"), ("bytes", b"\xFF\x00"), ("k", b"last")];
    batch.push_with_headers(headers, b"rich").expect("small");
    batch.push(b"plain").expect("small");
    let mut native = NativeClient::connect(&broker);
    native.publish_on("t", &batch, PublishTerms::default()).expect("published");
    let own = json!({"k": "last", "bytes": {"base64": "/wA="}});
    for (name, offsets) in [("sid", false), ("group", true)] {
        let line = format!(
            r#"{{"command":"SUBSCRIBE","topic":"t","{name}":"{name}","start":{{"offset":2}}}}"#
        );
        check(&mut client, &line, json!({"next_offset": 2}));
        let mut expected =
            json!({"messages": ["c", "rich", "plain"], "headers": [null, own, null]});
        if offsets {
            expected["offsets"] = json!([2, 3, 4]);
            expected["deliveries"] = 1.into();
        }
        check(
            &mut client,
            &format!(r#"{{"command":"PULL","topic":"t","{name}":"{name}"}}"#),
            expected,
        );
    }
}

fn one_offset_and_many_are_acknowledged(backend: Backend) {
    let (_broker, mut client) = with_topic(backend);
    for command in ["ACK", "NACK"] {
        let group = json!({"command": "SUBSCRIBE", "topic": "t", "group": command});
        assert_eq!(client.ask(&group)["next_offset"], 0);
        assert_eq!(client.lease("t", command, None).expect("a lease").offsets, [0, 1, 2]);
        for offsets in [r#""offset":0"#, r#""offsets":[2]"#, r#""offsets":[1,0,2,1]"#] {
            ok(
                &mut client,
                &format!(r#"{{"command":"{command}","topic":"t","group":"{command}",{offsets}}}"#),
            );
        }
    }
}

fn a_message_is_given_back_with_a_delay_or_without(backend: Backend) {
    let (_broker, mut client) = with_topic(backend);
    let line = r#"{"command":"SUBSCRIBE","topic":"t","group":"g","acks":{"backoff_ms":1,"backoff_ms_max":1}}"#;
    check(&mut client, line, json!({"next_offset": 0}));
    assert_eq!(client.lease("t", "g", None).expect("a lease").offsets, [0, 1, 2]);
    ok(
        &mut client,
        r#"{"command":"NACK","topic":"t","group":"g","offset":0,"delay_ms":18446744073709551615}"#,
    );
    ok(&mut client, r#"{"command":"NACK","topic":"t","group":"g","offset":1,"delay_ms":0}"#);
    assert_eq!(client.lease("t", "g", None).expect("a lease").offsets, [1]);
    ok(&mut client, r#"{"command":"NACK","topic":"t","group":"g","offset":2}"#);
    wait_until("the backoff to be over", || {
        client.lease("t", "g", None).expect("a lease").offsets == [2]
    });
}

fn a_subscription_is_sought_by_either_name(backend: Backend) {
    let (_broker, mut client) = with_topic(backend);
    client.subscribe("t", "s").expect("subscribed");
    check(
        &mut client,
        r#"{"command":"SUBSCRIBE","topic":"t","group":"g"}"#,
        json!({"next_offset": 0}),
    );
    for (line, next_offset) in [
        (r#"{"command":"SEEK","topic":"t","sid":"s","to":"latest"}"#, 3),
        (r#"{"command":"SEEK","topic":"t","group":"g","to":{"offset":1}}"#, 1),
        (r#"{"command":"SEEK","topic":"t","sid":"g","to":{"time_ms":0}}"#, 0),
        (r#"{"command":"SEEK","topic":"t","group":"s","to":"earliest"}"#, 0),
    ] {
        check(&mut client, line, json!({"next_offset": next_offset}));
    }
}

fn a_topic_says_its_storage_and_durability(backend: Backend) {
    let data = DataDir::new();
    let broker = BrokerProcess::start_on(backend, &data, &[]);
    let mut client = JsonClient::connect(&broker);
    ok(&mut client, r#"{"command":"CREATE","topic":"m","storage":"memory"}"#);
    ok(&mut client, r#"{"command":"CREATE","topic":"d","storage":"disk","durability":"os"}"#);
    ok(&mut client, r#"{"command":"CREATE","topic":"n","storage":null,"durability":null}"#);
    let publish = r#"{"command":"PUBLISH","topic":"d","message":"m","durability":"#;
    check(&mut client, &format!("{publish}\"os\"}}"), json!({"offset": 0}));
    check(&mut client, &format!("{publish}null}}"), json!({"offset": 1}));
    assert_eq!(client.refusal_of(format!("{publish}\"sync\"}}")), Code::StorageUnavailable);
}

fn requests_that_were_pipelined_are_answered_in_order(backend: Backend) {
    let (_broker, mut client) = with_topic(backend);
    let lines = [
        r#"{"command":"SUBSCRIBE","topic":"t","group":"g"}"#,
        r#"{"command":"PULL","topic":"t","group":"g","max":2}"#,
        r#"{"command":"ACK","topic":"t","group":"g","offset":0}"#,
        r#"{"command":"ACK","topic":"t","group":"g","offset":2}"#,
        r#"{"command":"NACK","topic":"t","group":"g","offset":1,"delay_ms":0}"#,
        r#"{"command":"PULL","topic":"t","group":"g","max":1}"#,
        r#"{"command":"SEEK","topic":"t","group":"g","to":"latest"}"#,
    ];
    client.connection.send((lines.join("\n") + "\n").as_bytes());
    let answers: Vec<Value> = lines.iter().map(|_| client.read()).collect();
    assert_eq!(answers[0], json!({"status": "ok", "next_offset": 0}));
    assert_eq!(answers[1]["offsets"], json!([0, 1]));
    assert_eq!(answers[2], json!({"status": "ok"}));
    assert_eq!(answers[3]["error"]["code"], "invalid_value");
    assert_eq!(answers[4], json!({"status": "ok"}));
    assert_eq!((&answers[5]["offsets"], &answers[5]["deliveries"]), (&json!([1]), &json!(2)));
    assert_eq!(answers[6], json!({"status": "ok", "next_offset": 3}));
}
