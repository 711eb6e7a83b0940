//! The binary against a scripted broker: what it prints, and how it exits.

#[path = "../../client-api/tests/peer/mod.rs"]
mod peer;

use peer::Broker;
use protocol::{BatchBuilder, Code, Durability, Messages, Refusal, Request, Response};
use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn tandem(address: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.args(["--broker", address]).args(arguments).stdin(Stdio::null());
    command
}

fn ran(output: &Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn run(broker: &Broker, arguments: &[&str]) -> Ran {
    let address = broker.address.to_string();
    ran(&tandem(&address, arguments).output().expect("the binary runs"))
}

#[test]
fn topics_are_made_and_listed() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let create = it.expect("bytes_max: Some(67108864), messages_max: None");
        it.reply(create, &Response::Done);
        let mut it = listener.accept();
        let list = it.expect("ListTopics");
        it.reply(list, &Response::Topics(vec!["News", "Sports"]));
    });
    let created = run(&broker, &["topic", "create", "News", "--retention-bytes", "64MiB"]);
    assert_eq!((created.code, created.stdout.as_str()), (Some(0), "created News\n"));
    let listed = run(&broker, &["--json", "topic", "list"]);
    assert_eq!(listed.stdout, "{\"topic\":\"News\"}\n{\"topic\":\"Sports\"}\n");
    broker.join();
}

#[test]
fn a_refusal_is_one_sentence_and_exit_code_1() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let delete = it.expect("Delete");
        it.reply(delete, &Response::Refused(Refusal::new(Code::UnknownTopic, "no topic Health")));
    });
    let ran = run(&broker, &["topic", "delete", "Health"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert_eq!(ran.stderr, "tandem: the broker refused: unknown_topic: no topic Health\n");
    broker.join();
}

#[test]
fn a_broker_that_is_not_there_is_exit_code_3() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let ran = ran(&tandem(&address, &["ping"]).output().expect("the binary runs"));
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains(&address) && ran.stderr.lines().count() == 1, "{}", ran.stderr);
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let ran = ran(&tandem("nowhere", &["ping"]).output().expect("the binary runs"));
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("localhost:8080"), "{}", ran.stderr);
}

#[test]
fn lines_of_standard_input_are_published() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let (publish, payloads) = it.expect_publish();
        assert_eq!(payloads, [&b"one"[..], b"two"]);
        it.reply(publish, &Response::Published { base_offset: 5, count: 2 });
    });
    let address = broker.address.to_string();
    let mut child = tandem(&address, &["pub", "News"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"one\ntwo\n").expect("the binary reads");
    drop(stdin);
    let ran = ran(&child.wait_with_output().expect("the binary ends"));
    assert_eq!(ran.stdout, "published 2 messages to News from offset 5\n");
    broker.join();
}

#[test]
fn a_followed_topic_is_printed_and_acknowledged() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let subscription = it.expect("ack_mode: Cumulative, lag_policy: Hold, lifetime: Named");
        it.reply(subscription, &Response::Subscribed { next_offset: 3 });
        it.reply(subscription, &Response::Lost { count: 3, next_offset: 3 });
        it.deliver(subscription, 3, &["three", "four", "five"]);
        it.expect(&format!("Ack {{ subscription: {subscription}, offset: 4,"));
        let detach = it.expect("Detach");
        it.reply(detach, &Response::Done);
    });
    let arguments =
        ["--json", "sub", "News", "--id", "sid", "--count", "2", "--lag-policy", "hold"];
    let ran = run(&broker, &arguments);
    let expected = "{\"lost\":3,\"next_offset\":3}\n\
        {\"message\":\"three\",\"offset\":3}\n\
        {\"message\":\"four\",\"offset\":4}\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), expected), "{}", ran.stderr);
    broker.join();
}

#[test]
fn bytes_that_are_no_text_are_pulled_as_base64() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let subscribe = it.expect("Subscribe");
        it.reply(subscribe, &Response::Subscribed { next_offset: 0 });
        let pull = it.expect("count_max: Some(1)");
        let mut builder = BatchBuilder::new();
        builder.push(&[0xff, 0]).expect("small");
        let batch = builder.batch();
        it.reply(pull, &Response::Messages { base_offset: 0, lost: 0, remaining: 4, batch });
    });
    let arguments = ["--json", "pull", "News", "--id", "sid", "--max", "1", "--subscribe"];
    let ran = run(&broker, &arguments);
    let expected = "{\"message\":{\"base64\":\"/wA=\"},\"offset\":0}\n{\"remaining\":4}\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), expected), "{}", ran.stderr);
    broker.join();
}

#[test]
fn a_topic_is_made_with_its_storage_and_durability() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let create = it.expect("storage: Some(Disk), durability: Some(Os)");
        it.reply(create, &Response::Done);
    });
    let arguments = ["topic", "create", "Orders", "--storage", "disk", "--durability", "os"];
    assert_eq!(run(&broker, &arguments).code, Some(0));
    broker.join();
}

#[test]
fn an_idempotent_publication_with_headers_survives_a_lost_connection() {
    let broker = Broker::start(|listener| {
        let number = |it: &mut peer::Connection| {
            it.next(|correlation, request| {
                let Request::Publish { messages: Messages::Batch(batch), terms, .. } = request
                else {
                    panic!("expected a publication, found {request:?}");
                };
                let headers = batch.records().next().expect("a message").headers;
                assert_eq!(headers.value_of("colour"), Some(&b"red"[..]));
                assert_eq!(terms.durability, Some(Durability::Sync));
                (correlation, terms.sequence.expect("a number"))
            })
        };
        let mut it = listener.accept();
        let (_, first) = number(&mut it);
        drop(it);
        let mut it = listener.accept();
        let (publish, again) = number(&mut it);
        assert_eq!(first, again, "the broker knows it again");
        it.reply(publish, &Response::Published { base_offset: 7, count: 1 });
    });
    let arguments =
        ["pub", "News", "m", "--idempotent", "--durability", "sync", "--header", "colour=red"];
    let ran = run(&broker, &arguments);
    let expected = "published 1 message to News at offset 7\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), expected), "{}", ran.stderr);
    broker.join();
}

#[test]
fn what_a_group_follows_is_acknowledged_when_it_was_printed() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let subscription = it.expect("start: Latest, acks: Some(AckTerms { ack_timeout_ms: 1000, in_flight_max: 0, deliveries_max: 3, backoff_ms_min: 5, backoff_ms_max: 9, dead_letter: Some(\"D\") })");
        it.reply(subscription, &Response::Subscribed { next_offset: 3 });
        it.deliver(subscription, 3, &["three"]);
        it.expect("first: 3, count: 1 }], verdict: Ack");
        let mut builder = BatchBuilder::new();
        builder.push_with_headers([("k", &b"v"[..])], b"one").expect("small");
        builder.push(b"two").expect("small");
        let batch = builder.batch();
        it.reply(subscription, &Response::Redeliver { base_offset: 1, deliveries: 2, batch });
        it.expect("first: 1, count: 1 }], verdict: Ack");
        let detach = it.expect("Detach");
        it.reply(detach, &Response::Done);
    });
    let terms = "--start latest --ack-timeout-ms 1000 --deliveries-max 3 --backoff-ms-min 5 \
                 --backoff-ms-max 9 --dead-letter D --headers --count 2";
    let arguments: Vec<_> = ["--json", "sub", "News", "--group", "g"]
        .into_iter()
        .chain(terms.split_whitespace())
        .collect();
    let ran = run(&broker, &arguments);
    let expected = "{\"deliveries\":1,\"headers\":{},\"message\":\"three\",\"offset\":3}\n\
        {\"deliveries\":2,\"headers\":{\"k\":\"v\"},\"message\":\"one\",\"offset\":1}\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), expected), "{}", ran.stderr);
    broker.join();
}

#[test]
fn what_a_group_pulls_is_acknowledged_when_it_was_printed_whatever_it_was_called() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let pull = it.expect("Pull { topic: \"News\", subscriber: \"g\"");
        let mut builder = BatchBuilder::new();
        builder.push_with_headers([("k", &b"\xff"[..])], b"one").expect("small");
        builder.push(b"two").expect("small");
        let (lost, remaining, batch) = (0, 0, builder.batch());
        let leased = Response::Leased { base_offset: 4, lost, remaining, deliveries: 1, batch };
        it.reply(pull, &leased);
        let settle = it.expect("first: 4, count: 2 }], verdict: Ack");
        it.reply(settle, &Response::Done);
    });
    let ran = run(&broker, &["pull", "News", "--id", "g", "--headers"]);
    let expected = "{\"k\":{\"base64\":\"/w==\"}}\tone\n{}\ttwo\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), expected), "{}", ran.stderr);
    broker.join();
}

#[test]
fn a_subscription_is_moved_and_told_where_it_is() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let seek = it.expect("subscriber: \"me\", to: Time { unix_ms: 1785585600000 }");
        it.reply(seek, &Response::Subscribed { next_offset: 12 });
        let mut it = listener.accept();
        let seek = it.expect("Seek");
        let refusal = Refusal::new(Code::NotSubscribed, "me is not subscribed");
        it.reply(seek, &Response::Refused(refusal));
    });
    let arguments = ["seek", "News", "--id", "me", "--to", "time:2026-08-01T12:00:00Z"];
    let ran = run(&broker, &arguments);
    assert_eq!(ran.stdout, "me was moved in News and reads offset 12 next\n", "{}", ran.stderr);
    assert_eq!(run(&broker, &["seek", "News", "--group", "me", "--to", "latest"]).code, Some(1));
    broker.join();
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let broker = Broker::start(|listener| {
        let mut it = listener.accept();
        let list = it.expect("ListTopics");
        let name = "x".repeat(1000);
        it.reply(list, &Response::Topics(vec![&name; 1000]));
    });
    let address = broker.address.to_string();
    let mut child = tandem(&address, &["topic", "list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let ran = ran(&child.wait_with_output().expect("the binary ends"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    broker.join();
}
