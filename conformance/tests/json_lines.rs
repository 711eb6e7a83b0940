//! JSON lines: one request a line, one answer a line, in order, however the bytes come.

use conformance::{Backend, BrokerProcess, JsonClient, Speaks, for_both_backends};
use serde_json::{Value, json};

for_both_backends! {
    the_seeds_story_goes_as_it_went,
    a_request_may_come_a_byte_at_a_time,
    many_requests_may_come_in_one_write,
    carriage_returns_and_blank_lines_are_passed_over,
    a_line_may_be_as_long_as_its_limit,
    a_message_of_several_hundred_kib_comes_back_whole,
    keys_that_a_command_does_not_take_are_ignored,
    the_order_of_keys_and_white_space_do_not_matter,
    messages_with_escapes_come_back_as_they_were,
    bytes_that_are_not_text_travel_as_base64,
    base64_of_text_comes_back_as_text,
    a_refusal_among_other_requests_keeps_its_place,
    what_was_sent_before_the_client_stopped_sending_is_answered,
}

#[track_caller]
fn check(client: &mut JsonClient, request: &Value, expected: &Value) {
    assert_eq!(client.ask(request), *expected, "{request}");
}

/// A client with a topic `t` and a subscription `s` to it.
fn subscribed(broker: &BrokerProcess) -> JsonClient {
    let mut client = JsonClient::connect(broker);
    client.create("t").expect("created");
    client.subscribe("t", "s").expect("subscribed");
    client
}

fn the_seeds_story_goes_as_it_went(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let ok = json!({"status": "ok"});
    let pid = "8f14e45f-ceea-467f-9575-1e5c1d1c2c58";
    let sid = "c9f0f895-fb98-4b91-89d3-5e1a2b3c4d5e";
    let mut publisher = JsonClient::connect(&broker);
    for topic in ["News", "Sports", "Technology", "Health", "Entertainment"] {
        let request = json!({"command": "CREATE", "topic": topic, "pid": pid});
        check(&mut publisher, &request, &ok);
    }
    for topic in ["Health", "Entertainment"] {
        check(&mut publisher, &json!({"command": "DELETE", "topic": topic}), &ok);
    }
    for topic in ["News", "Sports", "Technology"] {
        for number in 0..3 {
            let message = format!("{topic} message {}", number + 1);
            let request =
                json!({"command": "PUBLISH", "topic": topic, "message": message, "pid": pid});
            check(&mut publisher, &request, &json!({"status": "ok", "offset": number}));
        }
    }
    drop(publisher);
    let mut subscriber = JsonClient::connect(&broker);
    let subscribe = json!({"command": "SUBSCRIBE", "topic": "News", "sid": sid});
    check(&mut subscriber, &subscribe, &json!({"status": "ok", "next_offset": 0}));
    let pull = json!({"command": "PULL", "topic": "News", "sid": sid});
    let messages = ["News message 1", "News message 2", "News message 3"];
    check(&mut subscriber, &pull, &json!({"status": "ok", "messages": messages}));
    check(&mut subscriber, &pull, &json!({"status": "ok", "messages": []}));
    let topics = ["News", "Sports", "Technology"];
    let list = json!({"command": "LIST_TOPICS"});
    check(&mut subscriber, &list, &json!({"status": "ok", "topics": topics}));
    let who = json!({"command": "GET_SUBSCRIBERS", "topic": "News"});
    check(&mut subscriber, &who, &json!({"status": "ok", "subscribers": [sid], "count": 1}));
    let leave = json!({"command": "UNSUBSCRIBE", "topic": "News", "sid": sid});
    check(&mut subscriber, &leave, &ok);
}

fn a_request_may_come_a_byte_at_a_time(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscribed(&broker);
    for byte in b"{\"command\":\"PUBLISH\",\"topic\":\"t\",\"message\":\"one\"}\r\n" {
        client.connection.send(&[*byte]);
    }
    assert_eq!(client.read(), json!({"status": "ok", "offset": 0}));
    for byte in b"\n{\"command\":\"PULL\",\"topic\":\"t\",\"sid\":\"s\"}\n" {
        client.connection.send(&[*byte]);
    }
    assert_eq!(client.read(), json!({"status": "ok", "messages": ["one"]}));
}

fn many_requests_may_come_in_one_write(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscribed(&broker);
    let count = 500;
    let mut bytes = String::new();
    for number in 0..count {
        let message = number.to_string();
        let publish = json!({"command": "PUBLISH", "topic": "t", "message": message});
        let pull = json!({"command": "PULL", "topic": "t", "sid": "s"});
        bytes.push_str(&format!("{publish}\n{pull}\n"));
    }
    client.connection.send(bytes.as_bytes());
    for number in 0..count {
        assert_eq!(client.read(), json!({"status": "ok", "offset": number}));
        assert_eq!(client.read(), json!({"status": "ok", "messages": [number.to_string()]}));
    }
}

fn carriage_returns_and_blank_lines_are_passed_over(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = JsonClient::connect(&broker);
    client.connection.send(b"\r\n\n  \t \n{\"command\":\"PING\"}\r\n\r\n\n{\"command\":");
    client.connection.send(b"\"LIST_TOPICS\"}\n\n");
    assert_eq!(client.read(), json!({"status": "ok"}));
    assert_eq!(client.read(), json!({"status": "ok", "topics": []}));
    assert_eq!(client.ping(), Ok(()), "no blank line was answered");
}

fn a_line_may_be_as_long_as_its_limit(backend: Backend) {
    let limits = ["--message-bytes-max", "1024", "--line-bytes-max", "131072"];
    let broker = BrokerProcess::start_with(backend, &limits);
    let mut client = JsonClient::connect(&broker);
    let request = "{\"command\":\"LIST_TOPICS\"}";
    let spaces = " ".repeat(131_072 - request.len());
    client.connection.send(format!("{request}{spaces}\n").as_bytes());
    assert_eq!(client.read(), json!({"status": "ok", "topics": []}));
}

fn a_message_of_several_hundred_kib_comes_back_whole(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscribed(&broker);
    let words: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
    let message = words.join(" ");
    assert!(message.len() > 500 << 10, "{} bytes", message.len());
    client.publish("t", &message).expect("published");
    client.publish("t", "after").expect("published");
    let pulled = client.pull("t", "s").expect("messages");
    assert!(pulled.texts() == [message.as_str(), "after"], "the message is another");
}

fn keys_that_a_command_does_not_take_are_ignored(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscribed(&broker);
    let ok = json!({"status": "ok"});
    let extra = json!({"command": "PING", "pid": 7, "topic": ["x"], "nested": {"a": [1, null]}});
    check(&mut client, &extra, &ok);
    let publish = json!({
        "command": "PUBLISH", "topic": "t", "message": "m", "pid": "p", "sid": 3, "max": "x"
    });
    check(&mut client, &publish, &json!({"status": "ok", "offset": 0}));
    let pull = json!({"command": "PULL", "topic": "t", "sid": "s", "pid": null, "message": 1});
    check(&mut client, &pull, &json!({"status": "ok", "messages": ["m"]}));
}

fn the_order_of_keys_and_white_space_do_not_matter(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscribed(&broker);
    let line = b" { \"message\" : \"m\" ,\t\"topic\":\"t\" , \"command\" : \"PUBLISH\" } \n";
    client.connection.send(line);
    assert_eq!(client.read(), json!({"status": "ok", "offset": 0}));
    client
        .connection
        .send(b"{\"\\u0063ommand\":\"PU\\u004cL\",\"topic\":\"\\u0074\",\"sid\":\"s\"}\n");
    assert_eq!(client.read(), json!({"status": "ok", "messages": ["m"]}));
}

fn messages_with_escapes_come_back_as_they_were(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscribed(&broker);
    let messages = [
        "a\nb\r\n\tc",
        "\"quoted\" \\ back/slash",
        "\u{0}\u{1}\u{1f}\u{7f}\u{85}\u{2028}",
        "Größe 新闻 \u{1F600}",
        "{\"command\":\"PING\"}",
        "{\"base64\":\"/w==\"}",
        "",
    ];
    for message in messages {
        client.publish("t", message).expect("published");
    }
    let escaped = br#"{"command":"PUBLISH","topic":"t","message":"\u0041\/\ud83d\ude00\b\f"}"#;
    client.connection.send(escaped);
    client.connection.send(b"\n");
    client.read_answer().expect("published");
    let expected = [&messages[..], &["A/\u{1F600}\u{8}\u{c}"]].concat();
    assert_eq!(client.pull("t", "s").expect("messages").texts(), expected);
}

fn bytes_that_are_not_text_travel_as_base64(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscribed(&broker);
    let publish = json!({"command": "PUBLISH", "topic": "t", "message": {"base64": "/wD+"}});
    check(&mut client, &publish, &json!({"status": "ok", "offset": 0}));
    client.publish("t", "text").expect("published");
    let pull = json!({"command": "PULL", "topic": "t", "sid": "s"});
    let messages = json!([{"base64": "/wD+"}, "text"]);
    check(&mut client, &pull, &json!({"status": "ok", "messages": messages}));
    let all: Vec<u8> = (0..=255).collect();
    client.publish("t", &all).expect("published");
    assert_eq!(client.pull("t", "s").expect("messages").messages, [all]);
}

fn base64_of_text_comes_back_as_text(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = subscribed(&broker);
    let publish = json!({"command": "PUBLISH", "topic": "t", "message": {"base64": "w6k="}});
    check(&mut client, &publish, &json!({"status": "ok", "offset": 0}));
    let pull = json!({"command": "PULL", "topic": "t", "sid": "s"});
    check(&mut client, &pull, &json!({"status": "ok", "messages": ["é"]}));
}

fn a_refusal_among_other_requests_keeps_its_place(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = JsonClient::connect(&broker);
    client.connection.send(
        b"{\"command\":\"CREATE\",\"topic\":\"t\"}\n\
          {\"command\":\"CREATE\",\"topic\":\"t\"}\n\
          nonsense\n\
          {\"command\":\"STOP\"}\n\
          {\"command\":\"LIST_TOPICS\"}\n",
    );
    assert_eq!(client.read(), json!({"status": "ok"}));
    for expected in ["topic_exists", "invalid_json", "unknown_command"] {
        let answer = client.read();
        assert_eq!(
            (&answer["status"], &answer["error"]["code"]),
            (&json!("error"), &json!(expected))
        );
    }
    assert_eq!(client.read(), json!({"status": "ok", "topics": ["t"]}));
}

fn what_was_sent_before_the_client_stopped_sending_is_answered(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let mut client = JsonClient::connect(&broker);
    client.connection.send(b"{\"command\":\"CREATE\",\"topic\":\"t\"}\n{\"command\":\"PING\"}\n");
    client.connection.finish_sending();
    assert_eq!(client.read(), json!({"status": "ok"}));
    assert_eq!(client.read(), json!({"status": "ok"}));
    client.connection.assert_ended();
}
