//! Whole runs: without a broker, through a byte pipe, and with brokers that fail.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests to clippy only inside them")]

use harness::config::Config;
use harness::interrupt::Interrupt;
use harness::live::Live;

use harness::run::{Finished, RunError, run};
use measure::ResultsDir;
use std::process::{Command, Output};

const BYTE_PIPE: &str = env!("CARGO_BIN_EXE_byte-pipe");
const HARNESS: &str = env!("CARGO_BIN_EXE_harness");

fn finished(config: &str) -> Finished {
    let config = Config::parse(config).unwrap();
    run(&config, &Interrupt::default(), &mut Live::silent()).unwrap()
}

fn stream(publishers: u32, subscribers: u32, payload_bytes: u32) -> String {
    format!(
        "[[streams]]\npublishers = {publishers}\nsubscribers = {subscribers}\n\
         payload_bytes = [{payload_bytes}]\nmessages = 1000\nwarmup_ms = 5\n"
    )
}

fn byte_pipe_config(streams: &str) -> String {
    format!(
        "name = \"pipe\"\n[[brokers]]\nname = \"pipe\"\ndriver = \"byte-pipe\"\n\
         command = [\"{BYTE_PIPE}\"]\n{streams}"
    )
}

/// All of `messages`, at each of the subscribers, once, whole and in order.
fn check_streams(finished: &Finished, messages: u64) {
    assert_eq!(finished.failures, Vec::<String>::new());
    assert_eq!(finished.breaches, Vec::<String>::new());
    let streams = &finished.record.brokers[0].streams;
    assert!(!streams.is_empty());
    for stream in streams {
        let expected = messages * u64::from(stream.shape.subscribers);
        assert_eq!(stream.messages_sent, messages, "{}", stream.shape);
        assert_eq!(stream.messages_expected, expected, "{}", stream.shape);
        assert_eq!(stream.messages_received, expected, "{}", stream.shape);
        assert_eq!(
            stream.latencies.delivery().map_or(0, |latency| latency.summary.count),
            expected,
            "{}",
            stream.shape
        );
        assert!(stream.is_faultless(), "{}", stream.shape);
    }
}

#[test]
fn a_run_without_a_broker_leaves_a_whole_results_directory() {
    let dir = tempfile::tempdir().unwrap();
    let config = "name = \"nothing\"\nrepeat = 2\n[[brokers]]\nname = \"nothing\"\n\
                  driver = \"null\"\n[operations]\nclients = [1, 3]\ncount = 50\n";
    let finished = finished(&(config.to_owned() + &stream(2, 3, 40)));
    check_streams(&finished, 2 * 1000);
    let operations = &finished.record.brokers[0].operations;
    assert_eq!(operations.len(), 5 * 2);
    for operation in operations {
        assert_eq!(operation.errors, 0);
        assert_eq!(operation.count, 2 * 50 * u64::from(operation.clients));
        assert_eq!(operation.latency.count, operation.count);
    }
    let results = ResultsDir::create(dir.path()).unwrap();
    results.write(&finished.record, &finished.histograms).unwrap();
    assert_eq!(results.read_record().unwrap(), finished.record);
    assert_eq!(results.read_histograms().unwrap().len(), 12);
}

#[test]
fn every_shape_goes_through_the_byte_pipe_whole() {
    let shapes = [(1, 1, 16), (1, 5, 100), (5, 1, 100), (3, 4, 1000)];
    let streams: String = shapes.map(|(p, s, bytes)| stream(p, s, bytes)).concat();
    let finished = finished(&byte_pipe_config(&streams));
    check_streams(&finished, 1000);
    let pipe = &finished.record.brokers[0];
    assert!(pipe.streams.iter().all(|stream| stream.ratio_to_ceiling == Some(1.0)));
    assert!(pipe.resources.iter().any(|sample| sample.resident_bytes > 0));
    assert!(pipe.marks.iter().any(|mark| mark.label.starts_with("stream 3→4")));
}

#[test]
fn every_shape_goes_through_the_byte_pipe_by_mqtt_too() {
    let shapes = [(1, 1, 16), (1, 5, 100), (5, 1, 100), (3, 4, 1000)];
    let streams: String = shapes.map(|(p, s, bytes)| stream(p, s, bytes)).concat();
    for keys in [
        "driver = \"byte-pipe-mqtt\"",
        "driver = \"mqtt\"",
        "driver = \"mqtt\"\nmqtt_version = \"5.0\"",
    ] {
        let config = byte_pipe_config(&streams).replacen("driver = \"byte-pipe\"", keys, 1);
        check_streams(&finished(&config), 1000);
    }
}

const MOSQUITTO: &str = "driver = \"mqtt\"\ncommand = [\"mosquitto\", \"-c\", \"{config_file}\"]\n\
    config_file = \"\"\"\nlistener {port} 127.0.0.1\nallow_anonymous true\n\
    max_queued_messages 0\nmax_inflight_messages 0\nlog_dest stderr\n\"\"\"\n";

const NATS: &str = "driver = \"nats\"\ncommand = [\"nats-server\", \"-c\", \"{config_file}\"]\n\
    config_file = \"listen: '127.0.0.1:{port}'\"\n";

/// Streams with and without acknowledgements lose nothing, and publications are answered, if the
/// peer is installed.
fn check_peer(keys: &str) {
    let streams = stream(2, 3, 100)
        + "[[streams]]\npublishers = 2\nsubscribers = 2\npayload_bytes = [40]\n\
           acks = 3\nbatch = 7\nmessages = 1000\nwarmup_ms = 5\n"
        + "[operations]\nlist = [\"publish\"]\nclients = [2]\ncount = 50\n";
    let config = format!("name = \"peer\"\n[[brokers]]\nname = \"peer\"\n{keys}{streams}");
    let finished = finished(&config);
    if let [skipped] = finished.record.skipped.as_slice() {
        assert!(skipped.reason.contains("apt-get install"), "{skipped:?}");
        return;
    }
    check_streams(&finished, 1000);
    let peer = &finished.record.brokers[0];
    assert!(peer.version.starts_with(|first: char| first.is_ascii_digit()), "{}", peer.version);
    let acknowledged = peer.streams[1].acknowledged.as_ref().unwrap();
    let acks = peer.streams[1].latencies.acknowledgement.as_ref().unwrap();
    assert_eq!((acknowledged.messages, acks.summary.count), (1000, 1000));
    assert_eq!((peer.operations[0].count, peer.operations[0].errors), (100, 0));
}

#[test]
fn mosquitto_is_driven_with_both_versions_and_qualities_of_service() {
    for version in ["3.1.1", "5.0"] {
        for qos in [0, 1] {
            check_peer(&format!("{MOSQUITTO}mqtt_version = \"{version}\"\nqos = {qos}\n"));
        }
    }
}

#[test]
fn nats_is_driven_and_acknowledges_by_pong() {
    check_peer(NATS);
}

#[test]
fn a_paced_stream_sends_what_is_due_and_no_more() {
    let paced = "[[streams]]\npublishers = 2\nsubscribers = 1\npayload_bytes = [16]\n\
                 duration_ms = 50\nload = { rate_per_s = 2000 }\n";
    check_streams(&finished(&byte_pipe_config(paced)), 100);
}

#[test]
fn the_byte_pipe_echoes_publications_and_skips_what_it_has_not() {
    let config = byte_pipe_config("[operations]\nclients = [2]\ncount = 100\n");
    let finished = finished(&config);
    let operations = &finished.record.brokers[0].operations;
    assert_eq!(operations.len(), 1);
    assert_eq!((operations[0].count, operations[0].errors), (200, 0));
    let skipped = &finished.record.skipped[0];
    assert_eq!(skipped.name, "pipe: create, subscribe, pull, delete");
}

#[test]
fn a_peer_that_is_not_installed_is_skipped_with_advice() {
    let missing = "[[brokers]]\nname = \"peer\"\ndriver = \"redis\"\n\
                   command = [\"no-such-server\"]\n";
    let finished = finished(&byte_pipe_config(&(missing.to_owned() + &stream(1, 1, 16))));
    check_streams(&finished, 1000);
    assert_eq!(finished.record.brokers.len(), 1);
    let skipped = &finished.record.skipped[0];
    assert!(skipped.name == "peer" && skipped.reason.contains("install"), "{skipped:?}");
}

#[test]
fn a_broker_that_fails_is_reported_with_its_last_words_and_others_go_on() {
    let broken = "[[brokers]]\nname = \"broken\"\ndriver = \"tandem-native\"\n\
                  command = [\"sh\", \"-c\", \"echo out of luck >&2; exit 7\"]\n";
    let mut finished = finished(&byte_pipe_config(&(broken.to_owned() + &stream(1, 1, 16))));
    let failures = std::mem::take(&mut finished.failures);
    check_streams(&finished, 1000);
    let [failure] = failures.as_slice() else {
        panic!("expected one failure, found {failures:?}");
    };
    assert!(failure.starts_with("broken: sh ended by itself, exit status: 7"), "{failure}");
    assert!(failure.contains("out of luck"), "{failure}");
}

const KEPT: &str = "[[streams]]\npublishers = 2\nsubscribers = 0\npayload_bytes = [100]\n\
    acks = 4\nmessages = 1000\nwarmup_ms = 5\n\
    [[backlogs]]\npayload_bytes = [100]\nmessages = 1000\npublishers = 2\n";

#[test]
fn the_disk_alone_acknowledges_keeps_and_gives_back() {
    let config = "name = \"kept\"\nrepeat = 2\n[[brokers]]\nname = \"disk\"\ndriver = \"disk\"\n";
    let finished = finished(
        &(config.to_owned() + KEPT + "[[restarts]]\npayload_bytes = [100]\nmessages = 9\n"),
    );
    assert_eq!((&finished.failures[..], &finished.breaches[..]), (&[][..], &[][..]));
    let disk = &finished.record.brokers[0];
    let acknowledged = disk.streams[0].acknowledged.as_ref().unwrap();
    let acks = disk.streams[0].latencies.acknowledgement.as_ref().unwrap();
    assert_eq!((acknowledged.messages, acks.summary.count), (2000, 2000));
    assert_eq!(acknowledged.ratio_to_disk, Some(1.0));
    assert!(finished.histograms.histogram(&acks.histogram).is_some());
    let backlog = &disk.backlogs[0];
    assert_eq!((backlog.messages, backlog.build.messages), (1000, 2000));
    for drain in &backlog.drains {
        assert_eq!((drain.pass.messages, drain.faults.is_none()), (2000, true), "{}", drain.cache);
    }
    let place = disk.data_place.as_ref().unwrap();
    assert!(std::path::Path::new(&place.root).is_dir() && !place.file_system.is_empty());
    assert_eq!(finished.record.skipped[0].name, "disk: restarts");
}

#[test]
fn what_a_broker_without_a_directory_cannot_keep_is_skipped_with_the_reason() {
    let config = "name = \"kept\"\n[[brokers]]\nname = \"redis\"\ndriver = \"redis-streams\"\n\
                  command = [\"redis-server\", \"--port\", \"{port}\"]\n\
                  [[restarts]]\npayload_bytes = [100]\nmessages = 9\n";
    let finished = finished(config);
    let skipped = &finished.record.skipped[0];
    assert_eq!(skipped.name, "redis: restarts");
    assert!(skipped.reason.contains("{data_dir}"), "{}", skipped.reason);
}

#[test]
fn an_interrupted_run_says_so() {
    let config = Config::parse(&byte_pipe_config(&stream(1, 1, 16))).unwrap();
    let interrupt = Interrupt::default();
    interrupt.raise();
    let ran = run(&config, &interrupt, &mut Live::silent());
    assert!(matches!(ran, Err(RunError::Interrupted)));
}

fn harness(arguments: &[&str]) -> Output {
    Command::new(HARNESS).args(arguments).output().unwrap()
}

#[test]
fn a_wrong_configuration_exits_with_2_and_names_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("wrong.toml");
    std::fs::write(&config, "name = \"wrong\"\nnmae = 1\n").unwrap();
    let output = harness(&["run", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("wrong.toml: line 2, `nmae`"), "{message}");
    assert_eq!(harness(&["run"]).status.code(), Some(2));
}

#[test]
fn a_dry_run_tells_and_does_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (config, out) = (dir.path().join("dry.toml"), dir.path().join("out"));
    std::fs::write(&config, byte_pipe_config(&stream(1, 1, 16))).unwrap();
    let (config, out) = (config.to_str().unwrap(), out.to_str().unwrap());
    let output = harness(&["run", "--dry-run", config, "--out", out]);
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("stream 1→1, 16 B, saturating") && told.contains("about"), "{told}");
    assert!(!std::path::Path::new(out).exists());
}

#[test]
fn a_run_prints_the_path_of_its_report_last() {
    let dir = tempfile::tempdir().unwrap();
    let (config, out) = (dir.path().join("pipe.toml"), dir.path().join("out"));
    std::fs::write(&config, byte_pipe_config(&stream(1, 2, 16))).unwrap();
    let output = harness(&["run", config.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    let report = told.lines().last().unwrap();
    assert_eq!(report, out.join("report.html").to_str().unwrap());
    assert!(std::fs::read_to_string(report).unwrap().contains("<html"));
}

#[test]
fn what_init_writes_is_explained_and_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (config, out) = (dir.path().join("new.toml"), dir.path().join("out"));
    let path = config.to_str().unwrap();
    assert_eq!(harness(&["init", path]).status.code(), Some(0));
    assert_eq!(harness(&["init", path]).status.code(), Some(2));
    let explained = harness(&["explain", path]);
    assert_eq!(explained.status.code(), Some(0));
    let explained = String::from_utf8(explained.stdout).unwrap();
    assert!(explained.contains("10000 messages/s") && explained.contains("Needs:"), "{explained}");
    // Without the broker that would have to be built, and briefly.
    let text = std::fs::read_to_string(&config).unwrap();
    let (head, rest) = text.split_once("[[brokers]]").unwrap();
    let (_, rest) = rest.split_once("[[brokers]]").unwrap();
    let text = format!("{head}[[brokers]]{rest}")
        .replace("\"byte-pipe\"]", &format!("\"{BYTE_PIPE}\"]"))
        .replace("duration_ms = 1000", "duration_ms = 20")
        .replace("\"p99 < 50ms\"", "\"max < 60s\"");
    std::fs::write(&config, text).unwrap();
    let [xml, summary] = ["junit.xml", "summary.md"].map(|name| dir.path().join(name));
    let [xml_path, summary_path] = [&xml, &summary].map(|path| path.to_str().unwrap());
    let out = out.to_str().unwrap();
    let arguments = ["--out", out, "--junit", xml_path, "--markdown", summary_path];
    let ran = harness(&[&["run", path][..], &arguments].concat());
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    let xml = std::fs::read_to_string(xml).unwrap();
    assert!(xml.contains("stream 10→10, 100 B, saturating: ledger"), "{xml}");
    let summary = std::fs::read_to_string(summary).unwrap();
    assert!(summary.starts_with("## ✅ example: everything ran"), "{summary}");
}

#[test]
fn objectives_are_judged_and_what_could_not_be_told_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("judged.toml");
    let judged = |objectives: &str, code: i32, said: &str| {
        let streams = stream(1, 1, 100) + &format!("objectives = [{objectives}]\n");
        std::fs::write(&config, byte_pipe_config(&streams)).unwrap();
        let out = dir.path().join("out");
        let ran = harness(&["run", config.to_str().unwrap(), "--out", out.to_str().unwrap()]);
        let stderr = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(code), "{objectives}: {stderr}");
        assert!(stderr.contains(said), "{objectives}: {stderr}");
    };
    judged("\"lost == 0\", \"max < 60s\"", 0, "");
    judged("\"lost == 0\", \"max < 1ns\"", 4, "objective missed: pipe: stream 1→1, 100 B");
    judged("\"acknowledged_per_s > 1\"", 4, "acknowledged_per_s was not measured here");
}

#[test]
fn the_highest_rate_is_searched_for_and_measured_again_in_each_round() {
    let search = "repeat = 2\n[[brokers]]\nname = \"pipe\"\ndriver = \"byte-pipe\"\n\
                  command = [\"BYTE_PIPE\"]\n[[streams]]\npublishers = 1\nsubscribers = 1\n\
                  payload_bytes = 32\nduration_ms = 50\nwarmup_ms = 5\nbatch = 8\n\
                  find_max = { objective = \"delivered_per_s < 3000\", from_per_s = 500,\n\
                  to_per_s = 100_000, tolerance_percent = 50, confirm = 1 }\n";
    let config = "name = \"knee\"\n".to_owned() + &search.replace("BYTE_PIPE", BYTE_PIPE);
    let finished = finished(&config);
    assert_eq!(finished.failures, Vec::<String>::new());
    let pipe = &finished.record.brokers[0];
    let [knee] = pipe.knees.as_slice() else { panic!("expected one knee: {:?}", pipe.knees) };
    let rate_per_s = knee.rate_per_s.unwrap();
    // On a busy machine fewer are delivered in a second than are offered, so it may seem higher.
    assert!((1500.0..=24_000.0).contains(&rate_per_s), "{}", knee.answer);
    assert!(knee.attempts.iter().any(|attempt| !attempt.met), "{:?}", knee.attempts);
    let stream = &pipe.streams[0];
    let at_the_rate = knee.attempts.iter().filter(|it| it.rate_per_s == rate_per_s).count();
    assert_eq!(stream.rounds.len(), at_the_rate + 1, "the first round's, and one in the second");
    assert_eq!(stream.offered_per_s, Some(rate_per_s));
    assert!(finished.histograms.timeline().iter().next().is_some());
}
