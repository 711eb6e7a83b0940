//! Every wrong configuration is refused with its key and its line.

use harness::config::Config;
use harness::drivers::{MqttTerms, MqttVersion};
use protocol::mqtt::QoS;

const GOOD: &str = r#"name = "good"
[[brokers]]
name = "nothing"
driver = "null"
[operations]
clients = [1, 2]
duration_ms = 10
[[streams]]
publishers = 1
subscribers = 2
payload_bytes = [16, 100]
messages = 1000
"#;

/// Replaces `from` in the good configuration, and expects an error at `line` that has `parts`.
fn check(from: &str, to: &str, line: usize, parts: &[&str]) {
    assert!(GOOD.contains(from), "{from:?} is in the good configuration");
    let message = match Config::parse(&GOOD.replacen(from, to, 1)) {
        Ok(config) => panic!("{to:?}: expected an error, found {config:?}"),
        Err(error) => error.to_string(),
    };
    assert!(message.starts_with(&format!("line {line}, ")), "{to:?}: {message}");
    for part in parts {
        assert!(message.contains(part), "{to:?}: expected {part:?} in: {message}");
    }
}

#[test]
fn a_good_configuration_survives_being_written() {
    let config = Config::parse(GOOD).unwrap();
    assert_eq!(Config::parse(&config.to_toml()).unwrap(), config);
    assert_eq!(config.operations.unwrap().list.len(), 5);
}

#[test]
fn an_unknown_key_is_named() {
    check("name = \"good\"", "name = \"good\"\nrepeats = 2", 2, &["`repeats`", "unknown field"]);
    check("driver = \"null\"", "driver = \"null\"\ndriven = 1", 5, &["`driven`"]);
    check("duration_ms = 10", "duration_ms = 10\nduration = 1", 8, &["`duration`"]);
    check("messages = 1000", "messages = 1000\nload = { rate = 5 }", 13, &["`load`"]);
}

#[test]
fn a_missing_or_mistyped_key_is_named() {
    check("name = \"good\"\n", "", 1, &["missing field `name`"]);
    check("clients = [1, 2]\n", "", 5, &["missing field `clients`"]);
    check("clients = [1, 2]", "clients = 3", 6, &["`clients`", "invalid type"]);
    check("clients = [1, 2]", "clients = [1, -2]", 6, &["`clients`"]);
    check("driver = \"null\"", "driver = \"nul\"", 4, &["`driver`", "unknown variant"]);
    check("[operations]", "[operations", 5, &["[operations"]);
}

#[test]
fn an_impossible_value_is_named_with_what_is_possible() {
    check("name = \"good\"", "name = \"a/b\"", 1, &["`name`", "letters", "a/b"]);
    check(
        "name = \"good\"",
        "name = \"good\"\nrepeat = 0",
        2,
        &["`repeat`", "1 to 100", "found 0"],
    );
    check("clients = [1, 2]", "clients = []", 6, &["`clients`", "at least one"]);
    check("clients = [1, 2]", "clients = [2, 2]", 6, &["`clients`", "twice"]);
    check("clients = [1, 2]", "clients = [0]", 6, &["`clients`", "1 to 10000"]);
    check("duration_ms = 10", "duration_ms = 0", 7, &["`duration_ms`", "found 0"]);
    check("duration_ms = 10", "duration_ms = 10\ncount = 1", 8, &["`count`", "either"]);
    check("duration_ms = 10", "", 5, &["`operations`", "neither"]);
    check("[16, 100]", "[15]", 11, &["`payload_bytes`", "16 to", "found 15"]);
    check("[16, 100]", "[1_000_000]", 11, &["`payload_bytes`", "64 × 1000000"]);
    check("messages = 1000", "messages = 0", 12, &["`messages`", "found 0"]);
    check("messages = 1000", "", 8, &["`streams`", "neither"]);
    let load = "messages = 1000\nload = { rate_per_s = 0 }";
    check("messages = 1000", load, 13, &["`load`", "0.001 to 100000000"]);
}

const KEPT: &str = r#"name = "kept"
[[brokers]]
name = "disk"
driver = "disk"
[[streams]]
publishers = 1
subscribers = 0
payload_bytes = [100]
acks = 64
messages = 10
[[backlogs]]
payload_bytes = [100, 1000]
bytes = 1001
drains = ["warm"]
[[restarts]]
payload_bytes = [100]
messages = 10
"#;

/// As [`check`], with the configuration of what is kept.
fn check_kept(from: &str, to: &str, line: usize, parts: &[&str]) {
    assert!(KEPT.contains(from), "{from:?} is in the configuration");
    let message = match Config::parse(&KEPT.replacen(from, to, 1)) {
        Ok(config) => panic!("{to:?}: expected an error, found {config:?}"),
        Err(error) => error.to_string(),
    };
    assert!(message.starts_with(&format!("line {line}, ")), "{to:?}: {message}");
    for part in parts {
        assert!(message.contains(part), "{to:?}: expected {part:?} in: {message}");
    }
}

#[test]
fn what_is_kept_survives_being_written_and_bytes_become_messages() {
    let config = Config::parse(KEPT).unwrap();
    assert_eq!(Config::parse(&config.to_toml()).unwrap(), config);
    let pile = &config.backlogs[0].pile;
    assert_eq!((pile.messages(100), pile.messages(1000)), (11, 2));
    assert_eq!(config.restarts[0].stops.len(), 2);
}

#[test]
fn impossible_backlogs_restarts_and_acknowledgements_are_named() {
    check_kept("acks = 64\n", "", 7, &["`subscribers`", "1 to 10000", "found 0"]);
    check_kept("acks = 64", "acks = 0", 9, &["`acks`", "1 to", "found 0"]);
    check_kept("bytes = 1001", "", 11, &["`backlogs`", "neither"]);
    check_kept("bytes = 1001", "bytes = 1\nmessages = 1", 13, &["`bytes`", "either", "both"]);
    check_kept("[\"warm\"]", "[\"warm\", \"warm\"]", 14, &["`drains`", "twice"]);
    check_kept("[\"warm\"]", "[\"hot\"]", 14, &["`drains`", "unknown variant"]);
    let twice = "messages = 10\n[[restarts]]\npayload_bytes = [100]\nbytes = 1000\n";
    let text = KEPT.replacen("payload_bytes = [100]\nmessages = 10\n", "", 1);
    assert!(Config::parse(&text).is_err(), "restarts need a size");
    let restarts = "[[restarts]]\npayload_bytes = [100]\nmessages = 10";
    let both = format!("[[restarts]]\npayload_bytes = [100]\n{twice}");
    check_kept(restarts, &both, 18, &["`restarts`", "10 × 100 B again"]);
    check_kept(
        "driver = \"disk\"",
        "driver = \"disk\"\ncommand = [\"x\"]",
        5,
        &["disk is no process"],
    );
    let root = "name = \"kept\"\ndata_root = \"/no/such/place\"";
    check_kept("name = \"kept\"", root, 2, &["`data_root`", "/no/such/place"]);
}

#[test]
fn a_broker_is_started_or_addressed_but_never_both() {
    check("driver = \"null\"", "driver = \"redis\"", 3, &["`name`", "neither"]);
    let both = "driver = \"redis\"\ncommand = [\"redis-server\"]\naddress = \"127.0.0.1:1\"";
    check("driver = \"null\"", both, 6, &["`address`", "both"]);
    check("driver = \"null\"", "driver = \"redis\"\ncommand = []", 5, &["`command`", "nothing"]);
    let nowhere = "driver = \"redis\"\naddress = \"localhost\"";
    check("driver = \"null\"", nowhere, 5, &["`address`", "127.0.0.1:8080"]);
    check("driver = \"null\"", "driver = \"null\"\ncommand = [\"x\"]", 5, &["`command`", "null"]);
}

#[test]
fn a_configuration_file_needs_a_command_that_names_it_and_the_other_way_round() {
    let good = "driver = \"null\"";
    let file = "driver = \"mqtt\"\ncommand = [\"x\"]\nconfig_file = \"port {port}\"";
    check(good, file, 6, &["`config_file`", "{config_file}"]);
    let command = "driver = \"mqtt\"\ncommand = [\"x\", \"-c={config_file}\"]";
    check(good, command, 5, &["`command`", "a `config_file`"]);
}

#[test]
fn only_who_speaks_mqtt_has_its_terms() {
    let mqtt = "driver = \"mqtt\"\naddress = \"127.0.0.1:1883\"";
    let good = "driver = \"null\"";
    check(good, &format!("{mqtt}\nqos = 3"), 6, &["`qos`", "0 to 2", "found 3"]);
    check(good, &format!("{mqtt}\nmqtt_version = \"4\""), 6, &["`mqtt_version`", "3.1.1"]);
    check(good, "driver = \"null\"\nqos = 0", 5, &["`qos`", "null does not speak MQTT"]);
    let version = "driver = \"null\"\nmqtt_version = \"5.0\"";
    check(good, version, 5, &["`mqtt_version`", "null does not speak MQTT"]);
    for (keys, version, qos) in [
        ("", MqttVersion::V311, QoS::AtMostOnce),
        ("\nmqtt_version = \"5.0\"\nqos = 1", MqttVersion::V5, QoS::AtLeastOnce),
        ("\nqos = 2", MqttVersion::V311, QoS::ExactlyOnce),
    ] {
        let config = Config::parse(&GOOD.replacen(good, &(mqtt.to_owned() + keys), 1)).unwrap();
        assert_eq!(config.brokers[0].mqtt, Some(MqttTerms { version, qos }));
        assert_eq!(Config::parse(&config.to_toml()).unwrap(), config);
    }
}

#[test]
fn results_that_could_not_be_told_apart_are_refused() {
    let broker = "[operations]";
    let twice = "[[brokers]]\nname = \"nothing\"\ndriver = \"null\"\n[operations]";
    check(broker, twice, 6, &["`name`", "second time"]);
    let stream = "messages = 1000";
    let twice = "messages = 1000\n[[streams]]\npublishers = 1\nsubscribers = 2\n\
                 payload_bytes = [100]\nmessages = 5";
    check(stream, twice, 13, &["`streams`", "1→2, 100 B, saturating again"]);
}

#[test]
fn a_configuration_must_ask_for_something() {
    let nothing = "name = \"x\"\n[[brokers]]\nname = \"n\"\ndriver = \"null\"\n";
    let message = Config::parse(nothing).unwrap_err().to_string();
    assert!(message.contains("line 4, `operations`"), "{message}");
    let nobody = "name = \"x\"\n[operations]\nclients = [1]\ncount = 1\n";
    let message = Config::parse(nobody).unwrap_err().to_string();
    assert!(message.contains("`brokers`: expected at least one"), "{message}");
}
