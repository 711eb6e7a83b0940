//! Each key of storage, places, groups and acknowledgements that is missing or wrong is refused
//! with its own code, and nothing is done.

use conformance::{Backend, BrokerProcess, JsonClient, Speaks, for_both_backends};
use protocol::{AckTerms, Code};
use serde_json::json;

for_both_backends! {
    keys_that_are_missing_are_told,
    keys_of_the_wrong_type_are_told,
    values_that_cannot_be_are_told,
    keys_that_are_not_known_are_told_where_they_would_mean_something,
}

/// Each line, behind `"command":`, is refused with `expected`; nothing is done.
#[track_caller]
fn check_refused(backend: Backend, expected: Code, lines: &[&str]) {
    let broker = BrokerProcess::start(backend);
    let mut client = JsonClient::connect(&broker);
    client.create("t").expect("created");
    for message in ["a", "b", "c"] {
        client.publish("t", message).expect("published");
    }
    assert_eq!(client.join("t", "g", &AckTerms::default()), Ok(0));
    assert_eq!(client.lease("t", "g", None).expect("a lease").offsets, [0, 1, 2]);
    for line in lines {
        assert_eq!(client.refusal_of(format!("{{\"command\":{line}}}")), expected, "{line}");
        assert_eq!(client.ping(), Ok(()), "after {line}");
    }
    assert_eq!(client.topics().expect("topics"), ["t"], "nothing was made");
    assert_eq!(client.subscribers("t").expect("subscribers"), ["g"], "nothing was made");
    let leased = client.lease("t", "g", None).expect("a lease");
    assert_eq!((leased.offsets.len(), leased.pulled.remaining), (0, 0), "nothing was given back");
    client.nack_offsets("t", "g", &[0, 1, 2], Some(0)).expect("given back");
    assert_eq!(client.lease("t", "g", None).expect("a lease").offsets, [0, 1, 2], "nor settled");
}

fn keys_that_are_missing_are_told(backend: Backend) {
    let lines = [
        r#""SUBSCRIBE","topic":"t","acks":{}"#,
        r#""SUBSCRIBE","group":"h""#,
        r#""SUBSCRIBE","topic":"t","group":null"#,
        r#""ACK","topic":"t","group":"g""#,
        r#""ACK","topic":"t","offset":0"#,
        r#""ACK","group":"g","offset":0"#,
        r#""ACK","topic":"t","group":"g","offset":null"#,
        r#""NACK","topic":"t","group":"g","delay_ms":0"#,
        r#""NACK","topic":"t","offset":0"#,
        r#""SEEK","topic":"t","group":"g""#,
        r#""SEEK","topic":"t","group":"g","to":null"#,
        r#""SEEK","topic":"t","group":"g","start":"earliest""#,
        r#""SEEK","topic":"t","to":"earliest""#,
        r#""SEEK","group":"g","to":"earliest""#,
    ];
    check_refused(backend, Code::MissingKey, &lines);
}

fn keys_of_the_wrong_type_are_told(backend: Backend) {
    let lines = [
        r#""CREATE","topic":"u","storage":1"#,
        r#""CREATE","topic":"u","storage":["memory"]"#,
        r#""CREATE","topic":"u","durability":true"#,
        r#""PUBLISH","topic":"t","message":"m","durability":2"#,
        r#""SUBSCRIBE","topic":"t","group":7"#,
        r#""SUBSCRIBE","topic":"t","group":"h","sid":7"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","start":7"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","start":["earliest"]"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","start":{"offset":"1"}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","start":{"offset":-1}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","start":{"time_ms":1.5}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","acks":true"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","acks":[]"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","acks":{"timeout_ms":"1"}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","acks":{"in_flight":-1}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","acks":{"deliveries":1.5}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","acks":{"backoff_ms":[]}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","acks":{"dead_letter":7}"#,
        r#""ACK","topic":"t","group":"g","offset":"0""#,
        r#""ACK","topic":"t","group":"g","offset":[0]"#,
        r#""ACK","topic":"t","group":"g","offsets":0"#,
        r#""ACK","topic":"t","group":"g","offsets":["0"]"#,
        r#""ACK","topic":"t","group":"g","offsets":[0,-1]"#,
        r#""ACK","topic":"t","group":["g"],"offset":0"#,
        r#""NACK","topic":"t","group":"g","offset":0,"delay_ms":"0""#,
        r#""NACK","topic":"t","group":"g","offset":0,"delay_ms":-1"#,
        r#""SEEK","topic":"t","group":"g","to":0"#,
        r#""SEEK","topic":"t","group":"g","to":{"offset":"0"}"#,
    ];
    check_refused(backend, Code::MistypedKey, &lines);
}

fn values_that_cannot_be_are_told(backend: Backend) {
    let lines = [
        r#""CREATE","topic":"u","storage":"tape""#,
        r#""CREATE","topic":"u","storage":"Memory""#,
        r#""CREATE","topic":"u","durability":"fsync""#,
        r#""CREATE","topic":"u","durability":"""#,
        r#""PUBLISH","topic":"t","message":"m","durability":"none""#,
        r#""SUBSCRIBE","topic":"t","sid":"s","group":"h""#,
        r#""SUBSCRIBE","topic":"t","sid":"s","start":"newest""#,
        r#""SUBSCRIBE","topic":"t","sid":"s","start":{}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","start":{"offset":1,"time_ms":1}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","acks":{"timeout_ms":0}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","acks":{"in_flight":0}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","acks":{"deliveries":0}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","acks":{"backoff_ms":0}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","acks":{"dead_letter":""}"#,
        r#""ACK","topic":"t","group":"g","offsets":[]"#,
        r#""ACK","topic":"t","group":"g","offset":0,"offsets":[0]"#,
        r#""ACK","topic":"t","group":"g","offset":3"#,
        r#""ACK","topic":"t","group":"g","offset":18446744073709551615"#,
        r#""ACK","topic":"t","group":"g","sid":"h","offset":0"#,
        r#""NACK","topic":"t","group":"g","offsets":[0,1,2,3]"#,
        r#""SEEK","topic":"t","group":"g","to":"newest""#,
        r#""SEEK","topic":"t","group":"g","to":{}"#,
        r#""SEEK","topic":"t","group":"g","to":{"offset":0,"time_ms":0}"#,
    ];
    check_refused(backend, Code::InvalidValue, &lines);
}

fn keys_that_are_not_known_are_told_where_they_would_mean_something(backend: Backend) {
    let lines = [
        r#""SUBSCRIBE","topic":"t","sid":"s","start":{"time":1}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","start":{"offset":1,"from":1}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","acks":{"timeout":1}"#,
        r#""SUBSCRIBE","topic":"t","sid":"s","acks":{"in_flight_max":1}"#,
        r#""SEEK","topic":"t","group":"g","to":{"Offset":1}"#,
    ];
    check_refused(backend, Code::MistypedKey, &lines);
    // Beside the keys of a command others are passed over, as they always were.
    let broker = BrokerProcess::start(backend);
    let mut client = JsonClient::connect(&broker);
    client.create("t").expect("created");
    let line = json!({
        "command": "SUBSCRIBE", "topic": "t", "sid": "s", "ack": {}, "to": 7, "delay_ms": -1,
    });
    assert_eq!(client.ask(&line), json!({"status": "ok", "next_offset": 0}));
}
