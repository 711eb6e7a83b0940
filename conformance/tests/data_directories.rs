//! Data directories: who may use one, and what a broker's rules make of topics in it.

use conformance::{Backend, BrokerProcess, DataDir, NativeClient, Speaks};
use conformance::{for_both_backends, run_to_exit};
use protocol::{Code, Durability, Start};
use std::io::Write;

for_both_backends! {
    rules_hold_for_topics_that_are_made_later,
    a_directory_that_is_in_use_is_refused_with_its_user,
    a_file_in_place_of_a_directory_is_told,
    what_one_backend_stored_the_other_goes_on_with,
}

/// What a new subscription reads of `topic` from its oldest message on.
#[track_caller]
fn check_held(broker: &BrokerProcess, topic: &str, expected: &[&str]) {
    let mut client = NativeClient::connect(broker);
    client.subscribe_at(topic, "reader", Start::Earliest).expect("subscribed");
    assert_eq!(client.pull(topic, "reader").expect("messages").texts(), expected, "{topic}");
}

/// Rules for topics' names, the first that matches counting.
const RULES: &str = "\
[[topics]]
pattern = 'metrics/kept'
storage = 'disk'
durability = 'os'
retention = { messages = 2 }

[[topics]]
pattern = 'metrics/*'
storage = 'memory'
";

fn rules_hold_for_topics_that_are_made_later(backend: Backend) {
    let data = DataDir::new();
    let mut config = tempfile::NamedTempFile::new().expect("a file");
    config.write_all(RULES.as_bytes()).expect("written");
    let flags = ["--config", config.path().to_str().expect("a path in UTF-8")];
    let mut broker = BrokerProcess::start_on(backend, &data, &[]);
    let mut client = NativeClient::connect(&broker);
    client.create("metrics/before").expect("created");
    assert_eq!(broker.terminate(), Some(0));

    let mut broker = BrokerProcess::start_on(backend, &data, &flags);
    let mut client = NativeClient::connect(&broker);
    client.create("metrics/kept").expect("created");
    client.create("metrics/cpu").expect("created");
    let asked = client.publish_as("metrics/kept", "m", Some(Durability::Sync));
    assert_eq!(asked, Err(Code::StorageUnavailable), "the rule's durability");
    for message in ["a", "b", "c"] {
        client.publish("metrics/kept", message).expect("published");
    }
    broker.kill();

    let broker = BrokerProcess::start_on(backend, &data, &[]);
    let mut client = NativeClient::connect(&broker);
    assert_eq!(client.topics().expect("topics"), ["metrics/before", "metrics/kept"]);
    check_held(&broker, "metrics/kept", &["b", "c"]);
}

fn a_directory_that_is_in_use_is_refused_with_its_user(backend: Backend) {
    let data = DataDir::new();
    let mut broker = BrokerProcess::start_on(backend, &data, &[]);
    let path = data.path().to_str().expect("a path in UTF-8");
    for second in Backend::ALL {
        let exit = run_to_exit(second, &["--listen", "127.0.0.1:0", "--data", path]);
        assert_eq!((exit.code, exit.stdout.as_str()), (2, ""), "{}", exit.stderr);
        for part in [path, "in use", &format!("process {}", broker.process_id())] {
            assert!(exit.stderr.contains(part), "expected {part:?} in: {}", exit.stderr);
        }
    }
    let mut client = NativeClient::connect(&broker);
    client.create("t").expect("the first goes on");
    client.publish("t", "m").expect("published");
    broker.kill();
    let broker = BrokerProcess::start_on(backend, &data, &[]);
    check_held(&broker, "t", &["m"]);
}

fn a_file_in_place_of_a_directory_is_told(backend: Backend) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("a path in UTF-8");
    let exit = run_to_exit(backend, &["--listen", "127.0.0.1:0", "--data", path]);
    assert_eq!((exit.code, exit.stdout.as_str()), (2, ""), "{}", exit.stderr);
    assert!(exit.stderr.contains(path), "expected {path} in: {}", exit.stderr);
}

fn what_one_backend_stored_the_other_goes_on_with(backend: Backend) {
    let data = DataDir::new();
    let [first, second] = Backend::ALL;
    let other = if backend == first { second } else { first };
    for (life, backend) in [backend, other, backend].into_iter().enumerate() {
        let mut broker = BrokerProcess::start_on(backend, &data, &[]);
        let mut client = NativeClient::connect(&broker);
        if life == 0 {
            client.create("t").expect("created");
            client.subscribe("t", "s").expect("subscribed");
        }
        assert_eq!(client.publish("t", life.to_string()), Ok(life as u64));
        let pulled = client.pull("t", "s").expect("messages");
        assert_eq!(pulled.texts(), [life.to_string()], "what it had not read");
        broker.kill();
    }
}
