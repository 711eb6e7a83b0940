//! Loads, payloads, objectives and events: what is listed is multiplied out, what cannot be is
//! refused with its key and its line, and what takes effect can be written and read again.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests to clippy only inside them")]

use harness::config::{
    Arrivals, Bell, Config, Drive, GuaranteeClass, Payload, SlowSubscribers, StreamExtent,
    StreamLoad, TopicChoice, Variation,
};
use harness::plan::Plan;

const BROKER: &str = "name = \"x\"\n[[brokers]]\nname = \"nothing\"\ndriver = \"null\"\n";
const STREAM: &str =
    "[[streams]]\npublishers = 1\nsubscribers = 2\npayload_bytes = 100\nduration_ms = 1000\n";

/// The configuration of a stream with more keys, which survives being written.
fn config(keys: &str) -> Config {
    let config = Config::parse(&format!("{BROKER}{STREAM}{keys}")).unwrap();
    assert_eq!(Config::parse(&config.to_toml()).unwrap(), config, "{}", config.to_toml());
    config
}

/// The loads that a text comes to.
fn loads(load: &str) -> Vec<StreamLoad> {
    let config = config(&format!("load = {load}\n"));
    config.streams.iter().map(|stream| stream.load().unwrap().clone()).collect()
}

/// Expects an error about `key` that has `parts`, at the line of the first of `keys`: the tenth.
fn refused(keys: &str, key: &str, parts: &[&str]) {
    refused_in(&format!("{BROKER}{STREAM}{keys}"), 10, key, parts);
}

fn refused_in(text: &str, line: usize, key: &str, parts: &[&str]) {
    let message = match Config::parse(text) {
        Ok(config) => panic!("{text}: expected an error, found {config:?}"),
        Err(error) => error.to_string(),
    };
    assert!(message.starts_with(&format!("line {line}, `{key}`: ")), "{text}: {message}");
    for part in parts {
        assert!(message.contains(part), "{text}: expected {part:?} in: {message}");
    }
}

#[test]
fn every_load_model_is_understood() {
    let open = |rate_per_s, arrivals| StreamLoad::Open { rate_per_s, arrivals };
    assert_eq!(loads("\"saturating\""), [StreamLoad::Saturating]);
    assert_eq!(loads("{ rate_per_s = 10 }"), [open(10.0, Arrivals::Constant)]);
    assert_eq!(loads("{ closed = { in_flight = 8 } }"), [StreamLoad::Closed { in_flight: 8 }]);
    assert_eq!(
        loads("{ open = { rate_per_s = [10, 20.5], arrivals = \"poisson\" } }"),
        [open(10.0, Arrivals::Poisson), open(20.5, Arrivals::Poisson)]
    );
    assert_eq!(
        loads("{ ramp = { from_per_s = 10, to_per_s = 20 } }"),
        [StreamLoad::Ramp { from_per_s: 10.0, to_per_s: 20.0 }]
    );
    assert_eq!(
        loads("{ burst = { rate_per_s = 0, burst_messages = 5, every_ms = 10 } }"),
        [StreamLoad::Burst { rate_per_s: 0.0, burst_messages: 5, every_ms: 10 }]
    );
    assert_eq!(
        loads("[\"saturating\", { rate_per_s = [1, 2] }]"),
        [StreamLoad::Saturating, open(1.0, Arrivals::Constant), open(2.0, Arrivals::Constant)]
    );
}

#[test]
fn steps_say_themselves_how_long_they_take() {
    let steps = "load = { steps = { rates_per_s = [10, 20], step_ms = 300 } }\n";
    let text = format!("{BROKER}{STREAM}{steps}");
    let config = Config::parse(&text.replace("duration_ms = 1000\n", "")).unwrap();
    assert_eq!(config.streams[0].extent, StreamExtent::DurationMs(600));
    assert_eq!(Config::parse(&config.to_toml()).unwrap(), config);
    refused_in(&text, 9, "duration_ms", &["600 ms", "found 1000"]);
}

#[test]
fn an_impossible_load_is_refused() {
    refused("load = { closed = { in_flight = 0 } }", "load", &["1 to", "found 0"]);
    refused("load = { open = { rate_per_s = -1 } }", "load", &["0.001 to", "found -1"]);
    refused("load = { open = { rate_per_s = nan } }", "load", &["0.001 to", "found NaN"]);
    refused("load = { opne = { rate_per_s = 1 } }", "load", &["did you mean \"open\"?"]);
    refused("load = { open = { rate = 1 } }", "load", &["unknown field `rate`", "rate_per_s"]);
    refused("load = \"saturated\"", "load", &["did you mean \"saturating\"?"]);
    refused("load = 5", "load", &["invalid type"]);
    let two = "{ rate_per_s = 1, closed = { in_flight = 1 } }";
    refused(&format!("load = {two}"), "load", &["expected one key", "as well"]);
    refused(&format!("load = [{two}]"), "load", &["exactly 1"]);
    let two = "topics = 2\ntopic_choice = { zipf = 1, uniform = 2 }";
    assert!(Config::parse(&format!("{BROKER}{STREAM}{two}")).is_err());
    refused("load = []", "load", &["at least one"]);
    refused("load = { steps = { rates_per_s = [], step_ms = 1 } }", "load", &["rates_per_s"]);
    refused("acks = 1\nload = { closed = { in_flight = 1 } }", "acks", &["in_flight says it"]);
    let ramp = "load = { ramp = { from_per_s = 1, to_per_s = 2 } }";
    let text = format!("{BROKER}{STREAM}{ramp}").replace("duration_ms = 1000", "messages = 10");
    refused_in(&text, 9, "messages", &["`duration_ms` in its place"]);
}

#[test]
fn what_is_listed_is_multiplied_out() {
    let text = "[[streams]]\npublishers = [1, 5]\nsubscribers = [0, 2]\npayload_bytes = [16, 100]\n\
                batch = [1, 64]\nacks = [1, 8]\nmessages = 10\nload = \"saturating\"\n";
    let config = Config::parse(&format!("{BROKER}{text}")).unwrap();
    assert_eq!(config.streams.len(), 32);
    let labels: Vec<_> = config.streams.iter().map(|stream| stream.label()).collect();
    assert_eq!(labels[0], "stream 1→0, 16 B, saturating, 1 in flight, batch 1");
    assert_eq!(labels[1], "stream 1→0, 16 B, saturating, 8 in flight, batch 1");
    assert_eq!(labels[31], "stream 5→2, 100 B, saturating, 8 in flight");
    assert_eq!(Config::parse(&config.to_toml()).unwrap(), config);
    let many: Vec<_> = (1..=101).map(|number| number.to_string()).collect();
    let many = many.join(", ");
    let text = text.replace("[1, 5]", &format!("[{many}]")).replace("[1, 8]", &format!("[{many}]"));
    refused_in(&format!("{BROKER}{text}"), 5, "streams", &["10000 streams at most"]);
}

#[test]
fn every_payload_is_understood() {
    let bell = Bell { mean: 100.0, sd: 10.0, min: 16, max: 1000 };
    let keys = "{ mean = 100, sd = 10, min = 16, max = 1000 }";
    let file = tempfile::NamedTempFile::new().unwrap();
    for (text, variation) in [
        ("{ uniform = [16, 64] }".to_owned(), Variation::Uniform(16, 64)),
        (format!("{{ normal = {keys} }}"), Variation::Normal(bell)),
        (format!("{{ lognormal = {keys} }}"), Variation::Lognormal(bell)),
        (
            "{ weights = { \"64\" = 0.9, \"1024\" = 0.1 } }".to_owned(),
            Variation::Weights([(64, 0.9), (1024, 0.1)].into()),
        ),
        (format!("{{ file = {:?} }}", file.path()), Variation::File(file.path().to_owned())),
    ] {
        let config = config(&format!("payload = {text}\n"));
        let payloads: Vec<_> = config.streams.iter().map(|stream| &stream.payload).collect();
        assert_eq!(payloads, [&Payload::Fixed(100), &Payload::Varied(variation)]);
    }
}

#[test]
fn an_impossible_payload_is_refused() {
    refused("payload = { uniform = [64, 16] }", "payload", &["no larger", "64 and 16"]);
    refused("payload = { uniform = [1, 64] }", "payload", &["16 to", "found 1"]);
    refused("payload = { weights = { \"1k\" = 1 } }", "payload", &["such as \"1024\"", "1k"]);
    refused("payload = { weights = { \"64\" = 0 } }", "payload", &["over 0", "0 for 64"]);
    refused("payload = { weights = {} }", "payload", &["at least one"]);
    refused("payload = { file = \"/no/such\" }", "payload", &["a file that is there"]);
    refused("payload = { unifrom = [16, 64] }", "payload", &["did you mean \"uniform\"?"]);
    let bell = "payload = { normal = { mean = 0, sd = 1, min = 16, max = 64 } }";
    refused(bell, "payload", &["a mean over 0"]);
    let large = "payload = { uniform = [16, 1_000_000] }";
    refused(large, "payload", &["64 × 1000000"]);
    let none = format!("{BROKER}{STREAM}").replace("payload_bytes = 100\n", "");
    refused_in(&none, 5, "streams", &["`payload_bytes` or `payload`", "neither"]);
}

#[test]
fn topics_slow_subscribers_and_churn_are_understood() {
    let keys = "topics = 100\ntopic_choice = { zipf = 1.1 }\nwildcard = true\n\
                slow_subscribers = 1\nchurn = { every_ms = 100, subscribers = 5 }\n\
                objectives = [\"p99 < 5ms\"]\n";
    let stream = &config(keys).streams[0];
    assert_eq!((stream.topics, stream.wildcard), (100, true));
    assert_eq!(stream.topic_choice, TopicChoice::Zipf(1.1));
    assert_eq!(stream.slow, Some(SlowSubscribers { subscribers: 1, bytes_per_s: 100_000 }));
    assert_eq!(
        stream.label(),
        "stream 1→2, 100 B, saturating, 100 topics Zipf 1.1, wildcard, 1 slow at 100000 B/s, \
         churn 5 every 100 ms"
    );
    refused("topic_choice = { zipf = 1.1 }", "topic_choice", &["of one topic"]);
    refused("topic_choice = { zipf = 0 }\ntopics = 2", "topic_choice", &["over 0"]);
    refused("topics = 0", "topics", &["1 to", "found 0"]);
    refused("slow_subscribers = 3", "slow_subscribers", &["0 to 2", "found 3"]);
    refused("slow_bytes_per_s = 5", "slow_bytes_per_s", &["none without `slow_subscribers`"]);
    refused("churn = { every_ms = 0, subscribers = 1 }", "every_ms", &["1 to", "found 0"]);
    refused("objectives = [\" \"]", "objectives", &["p99 < 5ms"]);
}

#[test]
fn a_search_takes_the_place_of_a_load() {
    let search = "find_max = { objective = \"p99 < 5ms\", from_per_s = 10, to_per_s = 1000 }\n";
    let config = config(search);
    let Drive::FindMax(found) = &config.streams[0].drive else {
        panic!("expected a search, found {:?}", config.streams[0].drive)
    };
    assert_eq!((found.tolerance_percent, found.confirm), (5.0, 3));
    assert_eq!(config.streams[0].load(), None);
    assert_eq!(config.streams[0].label(), "stream 1→2, 100 B, most with response.p99 < 5ms");
    refused(&format!("{search}load = \"saturating\""), "find_max", &["either", "both"]);
    refused(&search.replace("1000", "5"), "to_per_s", &["over from_per_s, 10", "found 5"]);
    refused(&search.replace("\"p99 < 5ms\"", "[]"), "objective", &["at least one"]);
    refused(&search.replace(" }", ", confirm = 99 }"), "confirm", &["1 to 19"]);
    refused(&search.replace(" }", ", confirm = 2 }"), "confirm", &["odd", "found 2"]);
    refused(&search.replace("p99", "p101"), "objective", &["such as", "p101"]);
    refused(
        &search.replace(" }", ", tolerance_percent = 0 }"),
        "tolerance_percent",
        &["0.5 to 50"],
    );
}

#[test]
fn storms_idles_and_outages_are_understood() {
    let text = format!(
        "{BROKER}[[storms]]\nconnections = [10, 1000]\nrate_per_s = [50, 500]\n\
         [[idles]]\nconnections = 10\nhold_ms = 50\n\
         [[outages]]\nrate_per_s = 100\nkill_after_ms = 100\ndown_ms = 50\nduration_ms = 500\n"
    );
    let config = Config::parse(&text).unwrap();
    assert_eq!(Config::parse(&config.to_toml()).unwrap(), config);
    assert_eq!((config.storms.len(), config.idles.len(), config.outages.len()), (4, 1, 1));
    assert_eq!(config.storms[1].label(), "storm, 10 connections, 500/s");
    assert_eq!(config.outages[0].label(), "crash outage, 1→1, 100 B, 100 msgs/s, 50 ms down");
    let at = |line, from: &str, to: &str, key: &str, parts: &[&str]| {
        refused_in(&text.replace(from, to), line, key, parts);
    };
    at(6, "[10, 1000]", "[10, 10]", "connections", &["twice"]);
    at(6, "[10, 1000]", "[1_000_000]", "connections", &["1 to 100000"]);
    at(10, "hold_ms = 50", "hold_ms = 0", "hold_ms", &["found 0"]);
    at(15, "duration_ms = 500", "duration_ms = 150", "duration_ms", &["more than", "150"]);
}

#[test]
fn objectives_name_brokers_that_there_are() {
    let table =
        "[[objectives]]\nbroker = \"not*\"\ncell = \"stream 1→2*\"\nassert = \"lost == 0\"\n";
    let objectives = config(table).objectives;
    assert!(objectives[0].is_about("nothing", "stream 1→2, 100 B, saturating"));
    assert!(!objectives[0].is_about("nothing", "stream 2→2, 100 B, saturating"));
    let wrong = format!("{BROKER}{STREAM}{}", table.replace("not*", "notin"));
    refused_in(&wrong, 11, "broker", &["\"notin\", which is none", "did you mean \"nothing\"?"]);
}

#[test]
fn the_generator_its_phases_and_the_seed_have_defaults_and_bounds() {
    let defaults = config("");
    assert_eq!(defaults.seed, 1);
    assert_eq!((defaults.phases.warmup_ms, defaults.phases.drain_ms_max), (100, 3000));
    assert!(defaults.generator.threads_or_cores() > 0);
    let set = config("[generator]\nthreads = 2\nspin_us = 50\n[phases]\nwarmup_ms = 7\n");
    assert_eq!((set.generator.threads_or_cores(), set.generator.spin_us), (2, 50));
    assert_eq!(set.streams[0].warmup_ms, 7);
    let wrong = |keys: &str| format!("{BROKER}{STREAM}{keys}");
    refused_in(&wrong("[generator]\nthreads = 0"), 11, "threads", &["1 to", "found 0"]);
    refused_in(&wrong("[generator]\nthread = 1"), 11, "thread", &["did you mean \"threads\"?"]);
    refused_in(&wrong("[phases]\ndrain_ms_max = 0"), 11, "drain_ms_max", &["found 0"]);
    refused_in(&wrong("[baseline]\nresults = \"/no\""), 11, "results", &["run.json"]);
}

/// The guarantee of a broker that says `text`.
fn guarantee(text: &str) -> GuaranteeClass {
    let broker = format!("{BROKER}guarantee = {text:?}\n{STREAM}");
    let config = Config::parse(&broker).unwrap();
    assert_eq!(Config::parse(&config.to_toml()).unwrap(), config);
    config.brokers[0].guarantee
}

#[test]
fn guarantees_are_classes_and_their_former_texts_are_understood() {
    for class in GuaranteeClass::ALL {
        assert_eq!(guarantee(class.name()), class);
    }
    assert_eq!(guarantee("in memory"), GuaranteeClass::InMemory);
    assert_eq!(guarantee("after fdatasync"), GuaranteeClass::Synced);
    assert_eq!(guarantee("synced within 1 s"), GuaranteeClass::OperatingSystem);
    let wrong = format!("{BROKER}guarantee = \"sinced\"\n{STREAM}");
    refused_in(&wrong, 5, "guarantee", &["\"replicated\"", "did you mean \"synced\"?"]);
}

#[test]
fn an_environment_is_for_what_is_started() {
    let started = "name = \"x\"\n[[brokers]]\nname = \"b\"\ndriver = \"redis\"\n\
                   command = [\"redis-server\"]\nconfig_file = \"port {port}\"\n\
                   environment = { FILE = \"{config_file}\", DIR = \"{data_dir}\" }\n";
    let config = Config::parse(&format!("{started}{STREAM}")).unwrap();
    assert_eq!(config.brokers[0].environment["FILE"], "{config_file}");
    assert!(config.brokers[0].has_data_dir() && config.brokers[0].fresh_each_round);
    assert_eq!(Config::parse(&config.to_toml()).unwrap(), config);
    let wrong = format!("{}{STREAM}", started.replace("FILE =", "\"A=B\" ="));
    refused_in(&wrong, 7, "environment", &["names without"]);
    let wrong = format!("{BROKER}environment = {{ A = \"b\" }}\n{STREAM}");
    refused_in(&wrong, 5, "environment", &["without a `command`"]);
    for key in ["jetstream_storage = \"memory\"", "amqp_queue = \"quorum\""] {
        let wrong = format!("{BROKER}{key}\n{STREAM}");
        refused_in(&wrong, 5, key.split(' ').next().unwrap(), &["null has no such choice"]);
    }
}

#[test]
fn the_documented_example_can_be_read() {
    let source = include_str!("../src/config/mod.rs");
    let documented = source.lines().map_while(|line| line.strip_prefix("//!"));
    let documented: String =
        documented.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned() + "\n").collect();
    let (_, example) = documented.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let config = Config::parse(example).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(Config::parse(&config.to_toml()).unwrap(), config);
    assert_eq!(config.streams.len(), 2 * 3 + 1 + 2 + 1);
}

#[test]
fn a_stream_may_be_for_some_brokers_only() {
    let config = config("brokers = [\"noth*\"]");
    assert!(config.streams[0].is_for("nothing") && !config.streams[0].is_for("redis"));
    assert_eq!(Config::parse(&config.to_toml()).unwrap(), config);
    refused("brokers = [\"nothign\"]", "brokers", &["a broker above", "did you mean \"nothing\"?"]);
    let two = format!("{BROKER}[[brokers]]\nname = \"more\"\ndriver = \"null\"\n");
    let text = format!("{two}{STREAM}brokers = [\"more\"]\n");
    let config = Config::parse(&text).unwrap();
    let streams = Plan::of(&config).brokers.iter().map(|it| it.streams.len()).collect::<Vec<_>>();
    assert_eq!(streams, [0, 1]);
}
