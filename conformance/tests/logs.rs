//! The log on standard error: who came, what was made, and no publication unless asked for.

use conformance::for_both_backends;
use conformance::{Backend, BrokerProcess, JsonClient, NativeClient, PUSH, Speaks};
use serde_json::Value;

for_both_backends! {
    connections_topics_and_subscriptions_are_logged,
    publications_are_logged_at_debug_only,
    a_quieter_level_keeps_silent_about_them,
    a_log_in_json_is_json_line_by_line,
    the_stop_is_logged,
}

/// A publication, between two events that are logged at any level from info on.
fn publish_once(broker: &BrokerProcess) {
    let mut client = JsonClient::connect(broker);
    client.create("quiet-topic").expect("created");
    client.publish("quiet-topic", "secret-payload").expect("published");
    client.create("marker").expect("created");
}

fn connections_topics_and_subscriptions_are_logged(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    broker.wait_for_log_line(&["INFO", broker.ready_line()]);
    let mut client = JsonClient::connect(&broker);
    client.create("News").expect("created");
    client.subscribe("News", "reader").expect("subscribed");
    let mut native = NativeClient::connect(&broker);
    native.attach("News", "pushed", PUSH);
    client.unsubscribe("News", "reader").expect("unsubscribed");
    client.delete("News").expect("deleted");
    broker.wait_for_log_line(&["INFO", "connected", "127.0.0.1:"]);
    broker.wait_for_log_line(&["INFO", "topic created", "News"]);
    broker.wait_for_log_line(&["INFO", "subscribed", "News", "reader"]);
    broker.wait_for_log_line(&["INFO", "subscribed", "News", "pushed"]);
    broker.wait_for_log_line(&["INFO", "unsubscribed", "News", "reader"]);
    broker.wait_for_log_line(&["INFO", "topic deleted", "News"]);
    drop(native);
    broker.wait_for_log_line(&["INFO", "disconnected"]);
}

fn publications_are_logged_at_debug_only(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    publish_once(&broker);
    broker.wait_for_log_line(&["topic created", "marker"]);
    let log = broker.log();
    assert!(!log.contains("published"), "expected nothing of publications in: {log}");
    let broker = BrokerProcess::start_with(backend, &["--log-level", "debug"]);
    publish_once(&broker);
    broker.wait_for_log_line(&["DEBUG", "published", "quiet-topic"]);
    broker.wait_for_log_line(&["topic created", "marker"]);
    let log = broker.log();
    assert!(!log.contains("secret-payload"), "expected no payload in: {log}");
}

fn a_quieter_level_keeps_silent_about_them(backend: Backend) {
    let mut broker = BrokerProcess::start_with(backend, &["--log-level", "error"]);
    publish_once(&broker);
    assert_eq!(broker.terminate(), Some(0));
    assert_eq!(broker.log(), "");
}

fn a_log_in_json_is_json_line_by_line(backend: Backend) {
    let flags = ["--log-format", "json", "--log-level", "debug"];
    let broker = BrokerProcess::start_with(backend, &flags);
    publish_once(&broker);
    let awkward = "quotes \" and \\ and é";
    JsonClient::connect(&broker).create(awkward).expect("created");
    broker.wait_for_log_line(&["topic created", "quotes"]);
    let log = broker.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let told = |level: &str, message: &str, topic: &str| {
        lines.iter().any(|line| {
            let fields = &line["fields"];
            line["level"] == level && fields["message"] == message && fields["topic"] == topic
        })
    };
    assert!(told("INFO", "topic created", "quiet-topic"), "{log}");
    assert!(told("DEBUG", "published", "quiet-topic"), "{log}");
    assert!(told("INFO", "topic created", awkward), "{log}");
}

fn the_stop_is_logged(backend: Backend) {
    let mut broker = BrokerProcess::start(backend);
    assert_eq!(broker.terminate(), Some(0));
    broker.wait_for_log_line(&["INFO", "SIGTERM"]);
}
