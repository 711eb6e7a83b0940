//! The process: its ready line, its command line, and how it says that it cannot start.

use conformance::{Backend, BrokerProcess, DataDir, Exit, JsonClient, NativeClient, Speaks};
use conformance::{for_both_backends, run_to_exit};
use std::fs;
use std::io::Write;
use std::net::TcpListener;

for_both_backends! {
    the_ready_line_tells_backend_version_and_address,
    the_version_names_program_version_and_backend,
    the_help_names_every_limit,
    several_addresses_are_all_served,
    a_config_file_is_followed_and_flags_override_it,
    the_example_config_file_is_good,
    a_port_in_use_is_told,
    a_flag_that_is_not_known_is_told,
    a_value_that_a_flag_does_not_take_is_told,
    a_config_key_that_is_not_known_is_named_with_its_line,
    a_config_value_of_the_wrong_kind_is_named_with_its_line,
    a_config_file_that_is_not_there_is_told,
    limits_that_contradict_each_other_are_told,
    a_data_directory_that_cannot_be_made_is_told,
    a_data_directory_in_use_is_told,
}

/// The repository's example of a config file, where every limit has a line.
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/broker.toml");

/// The broker did not start: code 2, nothing on standard output, and one sentence on standard
/// error that holds all of `parts`.
#[track_caller]
fn check_refused(backend: Backend, arguments: &[&str], parts: &[&str]) {
    let Exit { code, stdout, stderr } = run_to_exit(backend, arguments);
    assert_eq!(code, 2, "{arguments:?}: {stderr}");
    assert_eq!(stdout, "", "{arguments:?}");
    assert!(stderr.to_lowercase().contains("error"), "{arguments:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{arguments:?}: expected {part:?} in: {stderr}");
    }
}

/// As [`check_refused`], for a config file that holds `text`.
#[track_caller]
fn check_config_refused(backend: Backend, text: &str, parts: &[&str]) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    let path = file.path().to_str().expect("a path in UTF-8");
    check_refused(backend, &["--config", path], parts);
}

fn the_ready_line_tells_backend_version_and_address(backend: Backend) {
    let broker = BrokerProcess::start(backend);
    let address = broker.address();
    let expected = format!(
        "tandem ready backend={} version={} listen={address}",
        backend.name(),
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(broker.ready_line(), expected);
    assert_ne!(address.port(), 0, "the port as it came to be");
    assert_eq!(JsonClient::connect(&broker).ping(), Ok(()));
}

fn the_version_names_program_version_and_backend(backend: Backend) {
    let Exit { code, stdout, stderr } = run_to_exit(backend, &["--version"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let expected = format!("tandem {} ({} backend)\n", env!("CARGO_PKG_VERSION"), backend.name());
    assert_eq!(stdout, expected);
}

fn the_help_names_every_limit(backend: Backend) {
    let Exit { code, stdout, stderr } = run_to_exit(backend, &["--help"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let example = fs::read_to_string(EXAMPLE).expect("the example file");
    let (_, limits) = example.split_once("[limits]").expect("a table of limits");
    let keys = limits.lines().filter_map(|line| line.split_once(" = "));
    let keys: Vec<_> = keys.map(|(key, _)| key).filter(|key| !key.starts_with('#')).collect();
    assert!(keys.len() >= 33, "{keys:?}");
    for key in keys {
        let flag = format!("--{} ", key.replace('_', "-"));
        assert!(stdout.contains(&flag), "{flag} is not in: {stdout}");
    }
    for flag in [
        "--listen",
        "--config",
        "--log-level",
        "--log-format",
        "--memory",
        "--data",
        "--durability",
        "--recover",
    ] {
        assert!(stdout.contains(flag), "{flag} is not in: {stdout}");
    }
}

fn several_addresses_are_all_served(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--listen", "127.0.0.1:0"]);
    let [first, second] = broker.addresses() else {
        panic!("expected two addresses, found {:?}", broker.addresses());
    };
    assert_ne!(first, second);
    JsonClient::open(*first).create("t").expect("created");
    assert_eq!(NativeClient::open(*second).topics().expect("topics"), ["t"]);
}

fn a_config_file_is_followed_and_flags_override_it(backend: Backend) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let text = "listen = ['127.0.0.1:1']\n[limits]\ntopics_max = 1\nmessage_bytes_max = '2KiB'\n";
    file.write_all(text.as_bytes()).expect("written");
    let path = file.path().to_str().expect("a path in UTF-8");
    let flags = ["--config", path, "--message-bytes-max", "1024"];
    // It listens where it was told on the command line, or else it could not start.
    let broker = BrokerProcess::start_with(backend, &flags);
    let mut client = JsonClient::connect(&broker);
    client.create("one").expect("created");
    assert_eq!(client.create("two"), Err(protocol::Code::LimitReached));
    assert_eq!(client.publish("one", [b'x'; 1025]), Err(protocol::Code::MessageTooLarge));
    assert_eq!(client.publish("one", [b'x'; 1024]), Ok(0));
}

fn the_example_config_file_is_good(backend: Backend) {
    let broker = BrokerProcess::start_with(backend, &["--config", EXAMPLE]);
    assert_eq!(JsonClient::connect(&broker).ping(), Ok(()));
}

fn a_port_in_use_is_told(backend: Backend) {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    check_refused(backend, &["--memory", "--listen", &address], &[&address, "--listen"]);
}

fn a_flag_that_is_not_known_is_told(backend: Backend) {
    check_refused(backend, &["--loud"], &["--loud"]);
    check_refused(backend, &["stray"], &["stray"]);
}

fn a_value_that_a_flag_does_not_take_is_told(backend: Backend) {
    check_refused(backend, &["--listen", "localhost"], &["--listen", "localhost:8080"]);
    check_refused(backend, &["--listen", "127.0.0.1:99999"], &["99999"]);
    check_refused(backend, &["--topics-max", "many"], &["--topics-max", "many"]);
    check_refused(backend, &["--topic-bytes-max", "64MB"], &["--topic-bytes-max", "64MB"]);
    check_refused(backend, &["--log-level", "loud"], &["--log-level", "loud", "debug"]);
}

fn a_config_key_that_is_not_known_is_named_with_its_line(backend: Backend) {
    check_config_refused(backend, "memory = true\nlisten_to = 1\n", &[":2: ", "listen_to"]);
    check_config_refused(backend, "[limits]\n\ntopic_max = 1\n", &[":3: ", "topic_max"]);
}

fn a_config_value_of_the_wrong_kind_is_named_with_its_line(backend: Backend) {
    check_config_refused(backend, "listen = 8080\n", &[":1: ", "listen"]);
    check_config_refused(backend, "[limits]\ntopics_max = 'x'\n", &[":2: ", "topics_max"]);
    check_config_refused(backend, "memory = true\nmemory\n", &[":2: "]);
}

fn a_config_file_that_is_not_there_is_told(backend: Backend) {
    check_refused(backend, &["--config", "/no/such/file.toml"], &["/no/such/file.toml"]);
}

fn limits_that_contradict_each_other_are_told(backend: Backend) {
    let flags = ["--topic-bytes-max", "10"];
    check_refused(backend, &flags, &["--topic-bytes-max", "topic_bytes_max", "10"]);
    check_refused(backend, &["--connections-max", "0"], &["--connections-max", "at least 1"]);
}

fn a_data_directory_that_cannot_be_made_is_told(backend: Backend) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().join("data");
    let path = path.to_str().expect("a path in UTF-8");
    check_refused(backend, &["--data", path], &[path, "--data"]);
}

fn a_data_directory_in_use_is_told(backend: Backend) {
    let data = DataDir::new();
    let _broker = BrokerProcess::start_on(backend, &data, &[]);
    let path = data.path().to_str().expect("a path in UTF-8");
    check_refused(backend, &["--data", path], &[path, "in use by process"]);
}
